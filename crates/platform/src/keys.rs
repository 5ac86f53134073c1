//! The keys at rest: root key → data key of each scope → sealed private keys.
//!
//! Everything is AES-256-GCM with a random nonce, bound to its place: scope, table, row, purpose and key
//! version are associated data, so that a sealed value moved to another row, or to another organization, does
//! not open. A value that does not open is named and refused; nothing else stops for it.

mod root;

use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};

use aws_lc_rs::aead::{AES_256_GCM, Aad, NONCE_LEN, Nonce, RandomizedNonceKey};
use aws_lc_rs::rand;
use postern_domain::{Scope, Secret, Timestamp};
use sqlx::SqliteConnection;
use zeroize::Zeroizing;

use crate::Error;
use crate::store::{Write, millis, scope_text};

pub use root::{RootKey, RootKeyError};

/// The version of a scope's first data key; rotation adds others.
const FIRST: i64 = 1;
const CHECK: &[u8] = b"postern root key check";

/// A sealed value cannot be opened.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum KeyError {
    /// The store was sealed under another root key.
    #[error("the root key is not the one that this store was made with: give the right key file")]
    WrongRootKey,
    /// The store has no check value.
    #[error("the store was not initialized to its end: delete it and run postern-platform init again")]
    Unfinished,
    /// A data key is missing or does not open.
    #[error("the data key of {0} is missing or damaged: restore it from a backup")]
    DataKey(Scope),
    /// A sealed key is missing or does not open.
    #[error("the sealed key {row} ({purpose}) of {scope} is missing or damaged: restore it from a backup")]
    Sealed {
        /// Its owner.
        scope: Scope,
        /// Its row.
        row: String,
        /// What it is for.
        purpose: String,
    },
    /// Sealing failed, or the system has no randomness.
    #[error("a key could not be sealed")]
    NotSealed,
}

/// Where a sealed value belongs. All of it is associated data.
struct Place<'a> {
    scope: Scope,
    table: &'static str,
    row: &'a str,
    purpose: &'a str,
    version: i64,
}

impl Place<'_> {
    /// Writes `organization|table|row|purpose|key version`; none of the parts can hold a bar.
    fn associated_data(&self) -> Vec<u8> {
        let scope = scope_text(self.scope);
        let Self {
            table, row, purpose, ..
        } = self;
        format!("{scope}|{table}|{row}|{purpose}|{}", self.version).into_bytes()
    }
}

/// The open root key and the data keys that were needed so far. Wiped when dropped.
pub struct Keys {
    root: RandomizedNonceKey,
    data: Mutex<HashMap<Scope, Arc<RandomizedNonceKey>>>,
}

impl fmt::Debug for Keys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Keys(…)")
    }
}

impl Keys {
    /// Binds a new store to a root key: writes the check value.
    ///
    /// # Errors
    /// If the store cannot be written.
    pub async fn found(write: &mut Write, root: &RootKey) -> Result<Self, Error> {
        let keys = Self::new(root)?;
        let sealed = seal(&keys.root, &Self::check_place(), Secret::new(CHECK.to_vec()))?;
        sqlx::query("UPDATE instance SET key_check = $1")
            .bind(sealed)
            .execute(&mut **write)
            .await?;
        Ok(keys)
    }

    /// Opens the keys of a store, if the root key is the one that it was made with.
    ///
    /// # Errors
    /// Another root key, as an internal error whose source is [`KeyError::WrongRootKey`].
    pub async fn open(connection: &mut SqliteConnection, root: &RootKey) -> Result<Self, Error> {
        let keys = Self::new(root)?;
        let check: Option<Vec<u8>> = sqlx::query_scalar("SELECT key_check FROM instance")
            .fetch_one(connection)
            .await?;
        let check = check.ok_or_else(|| Error::internal(KeyError::Unfinished))?;
        match open(&keys.root, &Self::check_place(), check) {
            Some(opened) if opened.expose() == CHECK => Ok(keys),
            _ => Err(Error::internal(KeyError::WrongRootKey)),
        }
    }

    fn new(root: &RootKey) -> Result<Self, Error> {
        Ok(Self {
            root: aead(root.expose())?,
            data: Mutex::new(HashMap::new()),
        })
    }

    const fn check_place() -> Place<'static> {
        Place {
            scope: Scope::Instance,
            table: "instance",
            row: "instance",
            purpose: "key_check",
            version: FIRST,
        }
    }

    /// Makes the data key of a new scope, in the transaction that makes the scope.
    ///
    /// # Errors
    /// If the store cannot be written.
    pub(crate) async fn create_data_key(
        &self,
        write: &mut Write,
        scope: Scope,
        now: Timestamp,
    ) -> Result<(), Error> {
        let mut fresh = Zeroizing::new(vec![0; 32]);
        rand::fill(&mut fresh).map_err(|_| Error::internal(KeyError::NotSealed))?;
        let bytes = Secret::new(std::mem::take(&mut *fresh));
        let row = scope_text(scope);
        let sealed = seal(&self.root, &Self::data_place(scope, &row), bytes)?;
        sqlx::query("INSERT INTO data_keys (scope, version, sealed, created) VALUES ($1, $2, $3, $4)")
            .bind(&row)
            .bind(FIRST)
            .bind(sealed)
            .bind(millis(now))
            .execute(&mut **write)
            .await?;
        Ok(())
    }

    const fn data_place(scope: Scope, row: &str) -> Place<'_> {
        Place {
            scope,
            table: "data_keys",
            row,
            purpose: "data_key",
            version: FIRST,
        }
    }

    async fn data_key(
        &self,
        connection: &mut SqliteConnection,
        scope: Scope,
    ) -> Result<Arc<RandomizedNonceKey>, Error> {
        let known = self
            .data
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .get(&scope)
            .cloned();
        if let Some(key) = known {
            return Ok(key);
        }
        let row = scope_text(scope);
        let sealed: Option<Vec<u8>> =
            sqlx::query_scalar("SELECT sealed FROM data_keys WHERE scope = $1 AND version = $2")
                .bind(&row)
                .bind(FIRST)
                .fetch_optional(connection)
                .await?;
        let opened = sealed
            .and_then(|sealed| open(&self.root, &Self::data_place(scope, &row), sealed))
            .ok_or_else(|| Error::internal(KeyError::DataKey(scope)))?;
        let key = Arc::new(aead(opened.expose())?);
        let mut data = self.data.lock().unwrap_or_else(PoisonError::into_inner);
        Ok(Arc::clone(data.entry(scope).or_insert(key)))
    }

    /// Forgets the data key of a scope that is gone, or that never came to be.
    pub(crate) fn forget(&self, scope: Scope) {
        self.data
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .remove(&scope);
    }

    /// Seals a private key into the row `row`.
    ///
    /// # Errors
    /// If the scope has no data key, or the store cannot be written.
    pub(crate) async fn seal(
        &self,
        write: &mut Write,
        scope: Scope,
        (row, purpose): (&str, &str),
        private: Secret<Vec<u8>>,
    ) -> Result<(), Error> {
        let key = self.data_key(write, scope).await?;
        let sealed = seal(&key, &Self::place(scope, row, purpose), private)?;
        sqlx::query(
            "INSERT INTO sealed_keys (id, scope, purpose, key_version, sealed) VALUES ($1, $2, $3, $4, $5)",
        )
        .bind(row)
        .bind(scope_text(scope))
        .bind(purpose)
        .bind(FIRST)
        .bind(sealed)
        .execute(&mut **write)
        .await?;
        Ok(())
    }

    /// Opens the private key in the row `row`.
    ///
    /// # Errors
    /// An internal error whose source is [`KeyError::Sealed`] and names the row, if it is missing, damaged, or
    /// was sealed for another place.
    pub(crate) async fn unseal(
        &self,
        connection: &mut SqliteConnection,
        scope: Scope,
        (row, purpose): (&str, &str),
    ) -> Result<Secret<Vec<u8>>, Error> {
        let key = self.data_key(connection, scope).await?;
        let sealed: Option<Vec<u8>> = sqlx::query_scalar(
            "SELECT sealed FROM sealed_keys WHERE id = $1 AND scope = $2 AND purpose = $3 AND key_version = $4",
        )
        .bind(row)
        .bind(scope_text(scope))
        .bind(purpose)
        .bind(FIRST)
        .fetch_optional(connection)
        .await?;
        sealed
            .and_then(|sealed| open(&key, &Self::place(scope, row, purpose), sealed))
            .ok_or_else(|| {
                Error::internal(KeyError::Sealed {
                    scope,
                    row: row.to_owned(),
                    purpose: purpose.to_owned(),
                })
            })
    }

    const fn place<'a>(scope: Scope, row: &'a str, purpose: &'a str) -> Place<'a> {
        Place {
            scope,
            table: "sealed_keys",
            row,
            purpose,
            version: FIRST,
        }
    }
}

fn aead(key: &[u8]) -> Result<RandomizedNonceKey, Error> {
    RandomizedNonceKey::new(&AES_256_GCM, key).map_err(|_| Error::internal(KeyError::NotSealed))
}

/// Returns nonce, ciphertext and tag.
fn seal(key: &RandomizedNonceKey, place: &Place<'_>, plain: Secret<Vec<u8>>) -> Result<Vec<u8>, Error> {
    let failed = |_| Error::internal(KeyError::NotSealed);
    // The buffer is encrypted in place and large enough for the tag, so no copy of the plain text is left.
    let mut buffer = Vec::with_capacity(plain.expose().len() + AES_256_GCM.tag_len());
    buffer.extend_from_slice(plain.expose());
    let nonce = key
        .seal_in_place_append_tag(Aad::from(place.associated_data()), &mut buffer)
        .map_err(failed)?;
    let mut sealed = nonce.as_ref().to_vec();
    sealed.extend_from_slice(&buffer);
    Ok(sealed)
}

fn open(key: &RandomizedNonceKey, place: &Place<'_>, sealed: Vec<u8>) -> Option<Secret<Vec<u8>>> {
    let (nonce, sealed) = sealed.split_at_checked(NONCE_LEN)?;
    let nonce = Nonce::try_assume_unique_for_key(nonce).ok()?;
    let mut plain = Zeroizing::new(sealed.to_vec());
    let length = key
        .open_in_place(nonce, Aad::from(place.associated_data()), &mut plain)
        .ok()?
        .len();
    plain.truncate(length);
    Some(Secret::new(std::mem::take(&mut *plain)))
}

#[cfg(test)]
mod tests;
