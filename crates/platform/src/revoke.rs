//! Taking back: what was certified is written down as revoked, in the transaction that takes it away.
//!
//! A revocation is written in the scope of the authority that signed and in the holder's organization, and each
//! of these scopes gets a new version. A revoked key is never certified again.

use std::collections::BTreeSet;

use http::StatusCode;
use postern_domain::{DaemonId, OrganizationId, Pin, Reason, Scope, Timestamp};
use sqlx::SqliteConnection;
use sqlx::sqlite::SqliteRow;

use crate::Error;
use crate::credential::actor_of;
use crate::store::{Columns as _, Write, millis, scope_text};

/// Refuses a key that was revoked, in whatever scope.
///
/// # Errors
/// 403, as revoked.
pub(crate) async fn demand_good_key(connection: &mut SqliteConnection, key: Pin) -> Result<(), Error> {
    let revoked: Option<i64> = sqlx::query_scalar("SELECT 1 FROM revocations WHERE key = $1 LIMIT 1")
        .bind(key.to_string())
        .fetch_optional(connection)
        .await?;
    match revoked {
        None => Ok(()),
        Some(_) => Err(Error::new(
            Reason::Revoked,
            StatusCode::FORBIDDEN,
            "the key was revoked and is never certified again: make a new one",
        )),
    }
}

/// A certificate that is to be revoked.
struct Doomed {
    issuer: String,
    serial: String,
    scopes: BTreeSet<Scope>,
    not_after: Timestamp,
}

impl Doomed {
    fn read(row: &SqliteRow) -> Result<Self, Error> {
        let organization: Option<OrganizationId> = row.parsed_option("organization")?;
        let mut scopes = BTreeSet::from([row.scope("scope")?]);
        scopes.extend(organization.map(Scope::Organization));
        Ok(Self {
            issuer: row.text("issuer")?,
            serial: row.text("serial")?,
            scopes,
            not_after: row.time("not_after")?,
        })
    }
}

async fn revoke_certificates(write: &mut Write, doomed: &[Doomed], now: Timestamp) -> Result<(), Error> {
    for certificate in doomed {
        for scope in &certificate.scopes {
            let entry = Entry {
                kind: "certificate",
                issuer: &certificate.issuer,
                serial: &certificate.serial,
                key: "",
                until: certificate.not_after,
            };
            entry.insert(write, *scope, now).await?;
        }
    }
    Ok(())
}

struct Entry<'a> {
    kind: &'static str,
    issuer: &'a str,
    serial: &'a str,
    key: &'a str,
    until: Timestamp,
}

impl Entry<'_> {
    async fn insert(&self, write: &mut Write, scope: Scope, now: Timestamp) -> Result<(), Error> {
        sqlx::query(
            "INSERT INTO revocations (scope, kind, issuer, serial, key, until, created) \
             VALUES ($1, $2, $3, $4, $5, $6, $7) ON CONFLICT DO NOTHING",
        )
        .bind(scope_text(scope))
        .bind(self.kind)
        .bind(self.issuer)
        .bind(self.serial)
        .bind(self.key)
        .bind(millis(self.until))
        .bind(millis(now))
        .execute(&mut **write)
        .await?;
        write.bump(scope).await?;
        Ok(())
    }
}

/// Revokes a daemon's live certificates and all its keys, and takes back every credential that it holds. The
/// daemon's own row is left to the caller.
///
/// # Errors
/// If the store cannot be written.
pub(crate) async fn daemon(write: &mut Write, daemon: DaemonId, now: Timestamp) -> Result<(), Error> {
    let name = daemon.to_string();
    let rows = sqlx::query(
        "SELECT issuer, serial, scope, organization, not_after FROM certificates \
         WHERE owner = $1 AND not_after >= $2",
    )
    .bind(&name)
    .bind(millis(now))
    .fetch_all(&mut **write)
    .await?;
    let doomed = rows.iter().map(Doomed::read).collect::<Result<Vec<_>, _>>()?;
    revoke_certificates(write, &doomed, now).await?;

    let keys = sqlx::query("SELECT scope, ssh_pin, tls_pin, identity_pin FROM daemon_keys WHERE daemon = $1")
        .bind(&name)
        .fetch_optional(&mut **write)
        .await?;
    if let Some(keys) = keys {
        let mut scopes: BTreeSet<Scope> = doomed.iter().flat_map(|d| d.scopes.iter().copied()).collect();
        scopes.insert(keys.scope("scope")?);
        let until = doomed.iter().map(|d| d.not_after).max().unwrap_or(now);
        for column in ["ssh_pin", "tls_pin", "identity_pin"] {
            let key = keys.text(column)?;
            let entry = Entry {
                kind: "key",
                issuer: "",
                serial: "",
                key: &key,
                until,
            };
            for scope in &scopes {
                entry.insert(write, *scope, now).await?;
            }
        }
    }
    let actor = actor_of(daemon).to_string();
    for (sql, key) in [
        ("DELETE FROM daemon_keys WHERE daemon = $1", &name),
        ("DELETE FROM enrollments WHERE daemon = $1", &name),
        ("DELETE FROM access_tokens WHERE actor = $1", &actor),
    ] {
        sqlx::query(sql).bind(key).execute(&mut **write).await?;
    }
    Ok(())
}

/// As [`daemon`], for a daemon that goes for good: its one-time tokens go with it.
///
/// # Errors
/// If the store cannot be written.
pub(crate) async fn forget_daemon(write: &mut Write, id: DaemonId, now: Timestamp) -> Result<(), Error> {
    daemon(write, id, now).await?;
    sqlx::query("DELETE FROM enrollment_tokens WHERE daemon = $1")
        .bind(id.to_string())
        .execute(&mut **write)
        .await?;
    Ok(())
}

/// Revokes what is still valid of the certificates of sessions that ended at `now`.
///
/// # Errors
/// If the store cannot be written.
pub(crate) async fn ended_sessions(
    write: &mut Write,
    organization: OrganizationId,
    now: Timestamp,
) -> Result<(), Error> {
    let rows = sqlx::query(
        "SELECT c.issuer, c.serial, c.scope, c.organization, c.not_after FROM certificates c \
         WHERE c.organization = $1 AND c.not_after >= $2 AND c.owner IN \
           (SELECT 'session:' || s.id FROM sessions s WHERE s.organization = $1 AND s.ended = $2)",
    )
    .bind(organization.to_string())
    .bind(millis(now))
    .fetch_all(&mut **write)
    .await?;
    let doomed = rows.iter().map(Doomed::read).collect::<Result<Vec<_>, _>>()?;
    revoke_certificates(write, &doomed, now).await
}
