//! Tests of sealing.

use std::error::Error as _;

use postern_domain::OrganizationId;

use super::*;
use crate::store::Store;

fn now() -> Timestamp {
    Timestamp::from_unix_seconds(1_800_000_000)
}

fn cause(error: &Error) -> KeyError {
    let cause = error.source().unwrap().downcast_ref::<KeyError>();
    cause.cloned().unwrap()
}

struct World {
    _dir: tempfile::TempDir,
    store: Store,
    keys: Keys,
    one: Scope,
    other: Scope,
}

impl World {
    async fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let store = Store::create(&dir.path().join("store.db"), now()).await.unwrap();
        let mut write = store.write().await.unwrap();
        let keys = Keys::found(&mut write, &RootKey::generate().unwrap())
            .await
            .unwrap();
        let one = Scope::Organization(OrganizationId::generate(now()));
        let other = Scope::Organization(OrganizationId::generate(now()));
        for (scope, row) in [(one, "a"), (one, "b"), (other, "c")] {
            if row != "b" {
                keys.create_data_key(&mut write, scope, now()).await.unwrap();
            }
            let private = Secret::new(format!("private {row}").into_bytes());
            keys.seal(&mut write, scope, (row, "authority"), private)
                .await
                .unwrap();
        }
        write.commit().await.unwrap();
        Self {
            _dir: dir,
            store,
            keys,
            one,
            other,
        }
    }

    async fn change(&self, sql: &'static str) {
        let mut write = self.store.write().await.unwrap();
        sqlx::query(sql).execute(&mut *write).await.unwrap();
        write.commit().await.unwrap();
    }

    async fn unseal(&self, scope: Scope, row: &str, purpose: &str) -> Result<Vec<u8>, KeyError> {
        let mut read = self.store.read().await.unwrap();
        let opened = self.keys.unseal(&mut read, scope, (row, purpose)).await;
        opened.map(|k| k.expose().clone()).map_err(|e| cause(&e))
    }
}

#[tokio::test]
async fn what_is_sealed_opens_again_and_is_not_in_the_store_in_clear() {
    let world = World::new().await;
    assert_eq!(
        world.unseal(world.one, "a", "authority").await.unwrap(),
        b"private a"
    );
    let mut read = world.store.read().await.unwrap();
    let rows: Vec<Vec<u8>> =
        sqlx::query_scalar("SELECT sealed FROM sealed_keys UNION ALL SELECT sealed FROM data_keys")
            .fetch_all(&mut *read)
            .await
            .unwrap();
    assert_eq!(rows.len(), 5);
    assert!(rows.iter().all(|r| !r.windows(7).any(|w| w == b"private")));
}

#[tokio::test]
async fn a_sealed_key_opens_in_its_own_row_only() {
    let world = World::new().await;
    world
        .change(
            "UPDATE sealed_keys SET sealed = (SELECT sealed FROM sealed_keys WHERE id = 'a') WHERE id = 'b'",
        )
        .await;
    let moved = world.unseal(world.one, "b", "authority").await.unwrap_err();
    assert!(matches!(moved, KeyError::Sealed { .. }) && moved.to_string().contains("key b (authority)"));
    assert!(
        world.unseal(world.one, "a", "authority").await.is_ok(),
        "nothing else stops"
    );
}

#[tokio::test]
async fn a_sealed_key_opens_for_its_own_scope_and_purpose_only() {
    let world = World::new().await;
    assert!(world.unseal(world.other, "a", "authority").await.is_err());
    assert!(world.unseal(world.one, "a", "audit").await.is_err());
    world
        .change("UPDATE sealed_keys SET purpose = 'audit' WHERE id = 'a'")
        .await;
    assert!(world.unseal(world.one, "a", "audit").await.is_err());
}

#[tokio::test]
async fn a_data_key_moved_to_another_organization_does_not_open() {
    let world = World::new().await;
    world
        .change("UPDATE data_keys SET sealed = (SELECT sealed FROM data_keys ORDER BY scope LIMIT 1)")
        .await;
    world.keys.forget(world.one);
    world.keys.forget(world.other);
    let opened = [
        world.unseal(world.one, "a", "authority").await,
        world.unseal(world.other, "c", "authority").await,
    ];
    let refused: Vec<_> = opened.into_iter().filter_map(Result::err).collect();
    assert!(
        matches!(refused.as_slice(), [KeyError::DataKey(_)]),
        "{refused:?}"
    );
}

#[tokio::test]
async fn refuses_another_root_key() {
    let dir = tempfile::tempdir().unwrap();
    let store = Store::create(&dir.path().join("store.db"), now()).await.unwrap();
    let root = RootKey::generate().unwrap();
    let mut write = store.write().await.unwrap();
    Keys::found(&mut write, &root).await.unwrap();
    write.commit().await.unwrap();
    let mut read = store.read().await.unwrap();
    assert!(Keys::open(&mut read, &root).await.is_ok());
    let refused = Keys::open(&mut read, &RootKey::generate().unwrap())
        .await
        .unwrap_err();
    assert_eq!(cause(&refused), KeyError::WrongRootKey);
}
