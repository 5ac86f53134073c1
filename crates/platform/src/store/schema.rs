//! The schema and its versions. A store is only ever brought forward; a newer one is refused.

use std::path::Path;

use aws_lc_rs::rand;
use postern_domain::{InstanceId, SpoolEpoch, Timestamp};
use sqlx::sqlite::SqlitePool;

use super::{Columns, Instance, StoreError, millis};

/// What brings a store from version `n` to `n + 1`, in order.
const MIGRATIONS: &[&str] = &[include_str!("../../migrations/0001_start.sql")];

/// Brings the schema up to date, each step in a transaction of its own.
pub(super) async fn migrate(writer: &SqlitePool, path: &Path) -> Result<(), StoreError> {
    let failed = |error| StoreError::Database(path.to_owned(), error);
    let mut transaction = writer.begin_with("BEGIN IMMEDIATE").await.map_err(failed)?;
    sqlx::query("CREATE TABLE IF NOT EXISTS schema_version (version BIGINT NOT NULL PRIMARY KEY)")
        .execute(&mut *transaction)
        .await
        .map_err(failed)?;
    let found: i64 = sqlx::query_scalar("SELECT COALESCE(MAX(version), 0) FROM schema_version")
        .fetch_one(&mut *transaction)
        .await
        .map_err(failed)?;
    transaction.commit().await.map_err(failed)?;

    let known = i64::try_from(MIGRATIONS.len()).unwrap_or(i64::MAX);
    if found > known {
        return Err(StoreError::Newer {
            path: path.to_owned(),
            found,
            known,
        });
    }
    for (step, version) in MIGRATIONS.iter().zip(1_i64..) {
        if version <= found {
            continue;
        }
        let mut transaction = writer.begin_with("BEGIN IMMEDIATE").await.map_err(failed)?;
        sqlx::raw_sql(*step)
            .execute(&mut *transaction)
            .await
            .map_err(failed)?;
        sqlx::query("INSERT INTO schema_version (version) VALUES ($1)")
            .bind(version)
            .execute(&mut *transaction)
            .await
            .map_err(failed)?;
        transaction.commit().await.map_err(failed)?;
    }
    Ok(())
}

/// Writes a new instance into an empty store.
pub(super) async fn found(writer: &SqlitePool, now: Timestamp) -> Result<(), sqlx::Error> {
    let mut random = [0; 8];
    rand::fill(&mut random).map_err(|_| sqlx::Error::Protocol("no randomness from the system".into()))?;
    let epoch = format!("{:016x}", u64::from_be_bytes(random));
    sqlx::query("INSERT INTO instance (id, epoch, spool_epoch, created) VALUES ($1, $2, $3, $4)")
        .bind(InstanceId::generate(now).to_string())
        .bind(epoch)
        .bind(SpoolEpoch::generate(now).to_string())
        .bind(millis(now))
        .execute(writer)
        .await?;
    Ok(())
}

/// Reads what identifies the store.
pub(super) async fn instance(writer: &SqlitePool, path: &Path) -> Result<Instance, StoreError> {
    let row = sqlx::query("SELECT id, epoch, spool_epoch FROM instance")
        .fetch_optional(writer)
        .await
        .map_err(|error| StoreError::Database(path.to_owned(), error))?
        .ok_or_else(|| StoreError::Unfinished(path.to_owned()))?;
    let damaged = |_| StoreError::Damaged(path.to_owned(), "the instance's row cannot be read".into());
    Ok(Instance {
        id: row.parsed("id").map_err(damaged)?,
        epoch: row.text("epoch").map_err(damaged)?,
        spool_epoch: row.parsed("spool_epoch").map_err(damaged)?,
    })
}
