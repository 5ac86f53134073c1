//! Tests of the store.

use super::*;

fn now() -> Timestamp {
    Timestamp::from_unix_seconds(1_800_000_000)
}

#[tokio::test]
async fn opens_what_it_made_and_keeps_the_instance() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("store.db");
    let made = Store::create(&path, now()).await.unwrap();
    made.close().await;
    let opened = Store::open(&path).await.unwrap();
    assert_eq!(opened.instance(), made.instance());

    use std::os::unix::fs::PermissionsExt as _;
    assert_eq!(path.metadata().unwrap().permissions().mode() & 0o777, 0o600);
}

#[tokio::test]
async fn refuses_to_make_a_store_over_another_and_to_open_none() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("store.db");
    assert!(matches!(Store::open(&path).await, Err(StoreError::Missing(_))));
    Store::create(&path, now()).await.unwrap();
    assert!(matches!(
        Store::create(&path, now()).await,
        Err(StoreError::Exists(_))
    ));
}

#[tokio::test]
async fn refuses_a_newer_store_and_leaves_it_alone() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("store.db");
    let store = Store::create(&path, now()).await.unwrap();
    let mut write = store.write().await.unwrap();
    sqlx::query("INSERT INTO schema_version (version) VALUES (999)")
        .execute(&mut *write)
        .await
        .unwrap();
    write.commit().await.unwrap();
    store.close().await;
    let error = Store::open(&path).await.unwrap_err();
    assert!(matches!(error, StoreError::Newer { found: 999, .. }));
    assert!(error.to_string().contains("newer program"), "{error}");
}

#[tokio::test]
async fn versions_are_gapless_for_each_scope_and_an_undone_write_leaves_none() {
    let dir = tempfile::tempdir().unwrap();
    let store = Store::create(&dir.path().join("store.db"), now()).await.unwrap();
    let organization = Scope::Organization(postern_domain::OrganizationId::generate(now()));
    for expected in 1..4 {
        let mut write = store.write().await.unwrap();
        assert_eq!(write.bump(Scope::Instance).await.unwrap(), expected);
        assert_eq!(write.bump(Scope::Instance).await.unwrap(), expected);
        write.commit().await.unwrap();
        let mut undone = store.write().await.unwrap();
        undone.bump(Scope::Instance).await.unwrap();
        drop(undone);
    }
    let mut write = store.write().await.unwrap();
    assert_eq!(write.bump(organization).await.unwrap(), 1);
    write.commit().await.unwrap();
    let mut read = store.read().await.unwrap();
    assert_eq!(version(&mut read, Scope::Instance).await.unwrap(), 3);
}

#[tokio::test]
async fn a_reader_cannot_write() {
    let dir = tempfile::tempdir().unwrap();
    let store = Store::create(&dir.path().join("store.db"), now()).await.unwrap();
    let mut read = store.read().await.unwrap();
    assert!(
        sqlx::query("DELETE FROM instance")
            .execute(&mut *read)
            .await
            .is_err()
    );
}
