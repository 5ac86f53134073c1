//! The store: SQLite, one writer, many readers.
//!
//! Every read is one consistent view ([`Read`]), every write one transaction that took the write lock first
//! ([`Write`], `BEGIN IMMEDIATE`), synced to disk before [`Write::commit`] returns. What a snapshot shows
//! changes only together with its scope's version ([`Write::bump`]). This module knows the database; the
//! services know SQL text that PostgreSQL would take as well.

mod columns;
mod schema;

use std::collections::BTreeMap;
use std::ops::{Deref, DerefMut};
use std::path::{Path, PathBuf};
use std::time::Duration;

use postern_domain::{InstanceId, Scope, SpoolEpoch, Timestamp};
use sqlx::sqlite::{
    SqliteConnectOptions, SqliteJournalMode, SqlitePool, SqlitePoolOptions, SqliteSynchronous,
};
use sqlx::{Connection as _, Sqlite, SqliteConnection, Transaction};

use crate::Error;

pub(crate) use columns::{Columns, count, millis, scope_text};

/// How long a write waits for its turn.
const WRITE_WAIT: Duration = Duration::from_secs(10);
const READERS: u32 = 4;

/// The store cannot be made or opened.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// There is something already where a new store was to be made.
    #[error("a store exists already at {0}; it was not touched")]
    Exists(PathBuf),
    /// There is no store.
    #[error("there is no store at {0}: run postern-platform init first, or correct the path")]
    Missing(PathBuf),
    /// The store was written by a newer version.
    #[error(
        "the store at {path} has version {found}, this program knows versions up to {known}: \
         run the newer program that wrote it, or restore a backup from before the upgrade"
    )]
    Newer {
        /// The store's file.
        path: PathBuf,
        /// Its version.
        found: i64,
        /// The newest version known here.
        known: i64,
    },
    /// The store holds no instance.
    #[error("the store at {0} was not initialized to its end: delete it and run postern-platform init again")]
    Unfinished(PathBuf),
    /// A value in the store cannot be read.
    #[error("the store at {0} is damaged: {1}")]
    Damaged(PathBuf, String),
    /// The file cannot be made.
    #[error("the store at {0} cannot be made")]
    File(PathBuf, #[source] std::io::Error),
    /// The database failed.
    #[error("the store at {0} cannot be used")]
    Database(PathBuf, #[source] sqlx::Error),
}

/// What identifies this store and the instance in it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Instance {
    /// The instance.
    pub id: InstanceId,
    /// The store's epoch: random, another after a restored backup.
    pub epoch: String,
    /// The epoch of the platform's own audit records.
    pub spool_epoch: SpoolEpoch,
}

/// The open store. Clones share it.
#[derive(Debug, Clone)]
pub struct Store {
    writer: SqlitePool,
    readers: SqlitePool,
    instance: Instance,
}

impl Store {
    /// Makes a store with the whole schema and a new instance in it, in a new file with mode 0600.
    ///
    /// # Errors
    /// If something is there already, or the file cannot be made or written.
    pub async fn create(path: &Path, now: Timestamp) -> Result<Self, StoreError> {
        new_file(path)?;
        let store = Self::connect(path, Some(now)).await?;
        Ok(store)
    }

    /// Opens a store and brings its schema up to date.
    ///
    /// # Errors
    /// If there is none, it is newer than this program, or it is damaged.
    pub async fn open(path: &Path) -> Result<Self, StoreError> {
        if path.is_file() {
            Self::connect(path, None).await
        } else {
            Err(StoreError::Missing(path.to_owned()))
        }
    }

    async fn connect(path: &Path, new: Option<Timestamp>) -> Result<Self, StoreError> {
        let failed = |error| StoreError::Database(path.to_owned(), error);
        let options = SqliteConnectOptions::new()
            .filename(path)
            .create_if_missing(false)
            .journal_mode(SqliteJournalMode::Wal)
            .synchronous(SqliteSynchronous::Full)
            .foreign_keys(true)
            .busy_timeout(Duration::from_secs(5))
            .pragma("trusted_schema", "OFF");
        let pool = |size: u32| {
            SqlitePoolOptions::new()
                .max_connections(size)
                .acquire_timeout(WRITE_WAIT)
                .idle_timeout(None)
                .max_lifetime(None)
                // On a full disk SQLite ends a transaction by itself, and its ROLLBACK then fails: such a
                // connection believes to be in a transaction for ever, and another takes its place.
                .before_acquire(|connection, _| Box::pin(async { Ok(!connection.is_in_transaction()) }))
        };
        let writer = pool(1).connect_with(options.clone()).await.map_err(failed)?;
        schema::migrate(&writer, path).await?;
        if let Some(now) = new {
            schema::found(&writer, now).await.map_err(failed)?;
        }
        let instance = schema::instance(&writer, path).await?;
        let readers = pool(READERS)
            .connect_with(options.pragma("query_only", "ON"))
            .await
            .map_err(failed)?;
        Ok(Self {
            writer,
            readers,
            instance,
        })
    }

    /// Returns what identifies this store.
    #[must_use]
    pub const fn instance(&self) -> &Instance {
        &self.instance
    }

    /// Begins one consistent view.
    ///
    /// # Errors
    /// If the store cannot be read now.
    pub async fn read(&self) -> Result<Read, Error> {
        Ok(Read(self.readers.begin().await?))
    }

    /// Begins a write; nobody else writes until it is committed or dropped. Dropping it undoes it.
    ///
    /// # Errors
    /// If its turn does not come within ten seconds, or the store cannot be written.
    pub async fn write(&self) -> Result<Write, Error> {
        let transaction = self.writer.begin_with("BEGIN IMMEDIATE").await?;
        Ok(Write {
            transaction,
            spool_epoch: self.instance.spool_epoch,
            bumped: BTreeMap::new(),
        })
    }

    /// Closes every connection; what is under way ends first.
    pub async fn close(&self) {
        self.readers.close().await;
        self.writer.close().await;
    }
}

fn new_file(path: &Path) -> Result<(), StoreError> {
    use std::os::unix::fs::OpenOptionsExt as _;
    let made = std::fs::OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(path);
    match made {
        Ok(_) => Ok(()),
        Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => {
            Err(StoreError::Exists(path.to_owned()))
        }
        Err(error) => Err(StoreError::File(path.to_owned(), error)),
    }
}

/// One consistent view of the store. Queries run on `&mut *read`.
#[derive(Debug)]
pub struct Read(Transaction<'static, Sqlite>);

/// One write transaction. Queries run on `&mut *write`; dropped without [`Write::commit`] it never was.
#[derive(Debug)]
pub struct Write {
    transaction: Transaction<'static, Sqlite>,
    spool_epoch: SpoolEpoch,
    bumped: BTreeMap<Scope, u64>,
}

impl Write {
    /// Commits; everything is on disk when this returns.
    ///
    /// # Errors
    /// If the store cannot be written; then nothing was.
    pub async fn commit(self) -> Result<(), Error> {
        Ok(self.transaction.commit().await?)
    }

    /// Returns the epoch of the platform's own audit records.
    pub(crate) const fn spool_epoch(&self) -> SpoolEpoch {
        self.spool_epoch
    }

    /// Raises the version of a scope by one, and returns it; a transaction raises it once, however often it is
    /// asked. To be called in every transaction that changes what a snapshot of that scope shows.
    ///
    /// # Errors
    /// If the store cannot be written.
    pub async fn bump(&mut self, scope: Scope) -> Result<u64, Error> {
        if let Some(version) = self.bumped.get(&scope) {
            return Ok(*version);
        }
        let version: i64 = sqlx::query_scalar(
            "INSERT INTO scope_versions (scope, version) VALUES ($1, 1) \
             ON CONFLICT (scope) DO UPDATE SET version = scope_versions.version + 1 RETURNING version",
        )
        .bind(scope_text(scope))
        .fetch_one(&mut **self)
        .await?;
        self.bumped.insert(scope, count(version));
        Ok(count(version))
    }
}

impl Deref for Read {
    type Target = SqliteConnection;

    fn deref(&self) -> &SqliteConnection {
        &self.0
    }
}

impl DerefMut for Read {
    fn deref_mut(&mut self) -> &mut SqliteConnection {
        &mut self.0
    }
}

impl Deref for Write {
    type Target = SqliteConnection;

    fn deref(&self) -> &SqliteConnection {
        &self.transaction
    }
}

impl DerefMut for Write {
    fn deref_mut(&mut self) -> &mut SqliteConnection {
        &mut self.transaction
    }
}

/// Returns the version of a scope; zero before its first change.
///
/// # Errors
/// If the store cannot be read.
pub(crate) async fn version(connection: &mut SqliteConnection, scope: Scope) -> Result<u64, Error> {
    let version: Option<i64> = sqlx::query_scalar("SELECT version FROM scope_versions WHERE scope = $1")
        .bind(scope_text(scope))
        .fetch_optional(connection)
        .await?;
    Ok(version.map_or(0, count))
}

#[cfg(test)]
mod tests;
