//! The policy document of a daemon: whom to trust, what is revoked, and what a gateway may do.
//!
//! It is one consistent view of the store at the versions that it names. It is built once for each version and
//! kept; a poll that finds the versions unchanged reads two small rows.

mod gateway;

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use postern_api::{Revocation, Snapshot, TrustDocument};
use postern_domain::{Actor, AuthorityRole, DaemonId, RelayId, Scope, Timestamp};
use sqlx::SqliteConnection;

use crate::access::AccessDecision;
use crate::authority::{ssh_anchor, tls_anchor};
use crate::noun::relay;
use crate::store::{self, Columns as _, millis, scope_text};
use crate::{Error, Platform, RequestContext};

/// How many daemons' documents are kept.
const MOST_KEPT: usize = 16_384;
/// How often it is written down that a daemon was seen.
const SEEN: Duration = Duration::from_secs(10);

/// What a daemon knows may never be older.
const OLDEST: Duration = Duration::from_secs(8 * 60 * 60);

/// The documents that were built, and when each daemon was last written down as seen.
#[derive(Debug, Default)]
pub(crate) struct Snapshots {
    built: Mutex<HashMap<DaemonId, Arc<Snapshot>>>,
    seen: Mutex<HashMap<DaemonId, Timestamp>>,
}

impl Snapshots {
    fn get(&self, daemon: DaemonId, versions: (u64, Option<u64>)) -> Option<Arc<Snapshot>> {
        let built = self.built.lock().unwrap_or_else(PoisonError::into_inner);
        let kept = built.get(&daemon)?;
        let is_current = (kept.instance_version, kept.organization_version) == versions;
        is_current.then(|| Arc::clone(kept))
    }

    fn keep(&self, snapshot: &Arc<Snapshot>) {
        let mut built = self.built.lock().unwrap_or_else(PoisonError::into_inner);
        if built.len() >= MOST_KEPT && !built.contains_key(&snapshot.daemon) {
            built.clear();
        }
        built.insert(snapshot.daemon, Arc::clone(snapshot));
    }

    /// Returns whether it is time to write down that a daemon was seen.
    fn is_due(&self, daemon: DaemonId, now: Timestamp) -> bool {
        let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        if seen
            .get(&daemon)
            .is_some_and(|last| now.since(*last) < SEEN && now >= *last)
        {
            return false;
        }
        if seen.len() >= MOST_KEPT {
            seen.clear();
        }
        seen.insert(daemon, now);
        true
    }
}

/// Returns the document of the daemon that asks, and notes that it was seen.
///
/// # Errors
/// Forbidden, if it is no daemon that asks.
pub async fn snapshot(
    platform: &Platform,
    context: &RequestContext,
    access: &AccessDecision,
) -> Result<Snapshot, Error> {
    if access.action() != crate::access::Action::WatchSnapshot {
        return Err(Error::forbidden());
    }
    let daemon = match context.actor {
        Actor::Gateway(id) => DaemonId::Gateway(id),
        Actor::Relay(id) => DaemonId::Relay(id),
        Actor::User(_) | Actor::MachineIdentity(_) | Actor::Platform => return Err(Error::forbidden()),
    };
    if platform.snapshots().is_due(daemon, context.now) {
        note_seen(platform, daemon, context.now).await?;
    }
    build(platform, daemon, context.now).await
}

/// Writes down that a daemon was seen. No version changes for it.
async fn note_seen(platform: &Platform, daemon: DaemonId, now: Timestamp) -> Result<(), Error> {
    let (sql, id) = match daemon {
        DaemonId::Gateway(id) => ("UPDATE gateways SET last_seen = $1 WHERE id = $2", id.to_string()),
        DaemonId::Relay(id) => ("UPDATE relays SET last_seen = $1 WHERE id = $2", id.to_string()),
    };
    let mut write = platform.store().write().await?;
    sqlx::query(sql)
        .bind(millis(now))
        .bind(id)
        .execute(&mut *write)
        .await?;
    write.commit().await
}

/// Builds the document of a daemon, unless the one that was built last is still current.
///
/// # Errors
/// Not found.
pub(crate) async fn build(platform: &Platform, daemon: DaemonId, now: Timestamp) -> Result<Snapshot, Error> {
    let mut read = platform.store().read().await?;
    let scope = scope_of(&mut read, daemon).await?;
    let instance_version = store::version(&mut read, Scope::Instance).await?;
    let organization_version = match scope {
        Scope::Instance => None,
        Scope::Organization(_) => Some(store::version(&mut read, scope).await?),
    };
    let versions = (instance_version, organization_version);
    if let Some(kept) = platform.snapshots().get(daemon, versions) {
        return Ok(Snapshot {
            time: now,
            ..Snapshot::clone(&kept)
        });
    }
    let max_age_s = platform.settings().trust_max_age.min(OLDEST).as_secs();
    let (trust, gateway, relay) = match daemon {
        DaemonId::Relay(id) => {
            let (trust, relay) = of_relay(&mut read, (id, scope), now, max_age_s).await?;
            (trust, None, Some(relay))
        }
        DaemonId::Gateway(id) => {
            let policy = gateway::policy(&mut read, id, now).await?;
            let trust = gateway::trust(&mut read, &policy, now, max_age_s).await?;
            (trust, Some(policy), None)
        }
    };
    let instance = platform.instance();
    let snapshot = Arc::new(Snapshot {
        epoch: instance.epoch.clone(),
        instance_version,
        organization_version,
        time: now,
        instance: instance.id,
        daemon,
        platform_pins: platform.pins().to_vec(),
        trust,
        gateway,
        relay,
    });
    platform.snapshots().keep(&snapshot);
    Ok(Snapshot::clone(&snapshot))
}

async fn scope_of(connection: &mut SqliteConnection, daemon: DaemonId) -> Result<Scope, Error> {
    let (sql, id) = match daemon {
        DaemonId::Gateway(id) => (
            "SELECT organization AS scope FROM gateways WHERE id = $1",
            id.to_string(),
        ),
        DaemonId::Relay(id) => ("SELECT scope FROM relays WHERE id = $1", id.to_string()),
    };
    let row = sqlx::query(sql).bind(id).fetch_optional(connection).await?;
    row.ok_or_else(Error::not_found)?.scope("scope")
}

/// The authorities of the two legs that end at a relay, on both sides: it judges its peers with one, and its own
/// new certificate with the other.
async fn of_relay(
    connection: &mut SqliteConnection,
    (id, scope): (RelayId, Scope),
    now: Timestamp,
    max_age_s: u64,
) -> Result<(TrustDocument, postern_api::Relay), Error> {
    let row = sqlx::query("SELECT * FROM relays WHERE id = $1")
        .bind(id.to_string())
        .fetch_one(&mut *connection)
        .await?;
    let trust = TrustDocument {
        tls: vec![
            tls_anchor(connection, scope, AuthorityRole::RelayClient).await?,
            tls_anchor(connection, scope, AuthorityRole::RelayServer).await?,
        ],
        ssh: vec![
            ssh_anchor(connection, scope, AuthorityRole::RelaySshClient).await?,
            ssh_anchor(connection, scope, AuthorityRole::RelaySshServer).await?,
        ],
        revoked: revocations(connection, &[scope], now).await?,
        max_age_s,
    };
    Ok((trust, relay::read(&row)?))
}

/// Returns what is revoked in these scopes and could still be valid otherwise, each once.
async fn revocations(
    connection: &mut SqliteConnection,
    scopes: &[Scope],
    now: Timestamp,
) -> Result<Vec<Revocation>, Error> {
    let first = scopes.first().copied().unwrap_or(Scope::Instance);
    let second = scopes.get(1).copied().unwrap_or(first);
    let rows = sqlx::query(
        "SELECT DISTINCT kind, issuer, serial, key FROM revocations WHERE scope IN ($1, $2) AND until >= $3 \
         ORDER BY kind, issuer, serial, key",
    )
    .bind(scope_text(first))
    .bind(scope_text(second))
    .bind(millis(now))
    .fetch_all(connection)
    .await?;
    rows.iter()
        .map(|row| match row.text("kind")?.as_str() {
            "certificate" => Ok(Revocation::Certificate {
                issuer: row.parsed("issuer")?,
                serial: row.parsed("serial")?,
            }),
            "key" => Ok(Revocation::Key {
                key: row.parsed("key")?,
            }),
            other => Err(Error::internal(format!(
                "the store holds a revocation of an unknown kind: {other}"
            ))),
        })
        .collect()
}

#[cfg(test)]
mod tests;
