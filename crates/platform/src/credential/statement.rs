//! Statements: a daemon's short JWT (RFC 7519, EdDSA), signed by its identity key, for an access token.
//!
//! A statement lives at most 60 s, is for this instance and this one path, and is accepted once. Whoever asks
//! is judged again: the daemon, its organization, and whoever enrolled it must still be there.

use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jsonwebtoken::{Algorithm, DecodingKey, Validation};
use postern_api::{StatementClaims, StatementLogin, Token};
use postern_domain::{Actor, DaemonId, InstanceId, Reason, Timestamp};
use postern_sshkey::PublicKey;
use sqlx::SqliteConnection;

use super::token::{Grantee, grant, principal};
use super::{STATEMENT_METHOD, STATEMENT_PATH};
use crate::record::{allowed_arrival, commit_recorded};
use crate::store::{Columns as _, Write, millis};
use crate::{Arrival, Error, Platform};

const LONGEST: usize = 2048;
const LONGEST_JTI: usize = 64;
/// How long a statement may live.
const LIFETIME: Duration = Duration::from_secs(60);
/// How far the daemon's idea of our time may be off.
const LEEWAY: Duration = Duration::from_secs(30);
/// A daemon that did not ask for so long has to enroll again.
const UNUSED: Duration = Duration::from_secs(30 * 24 * 60 * 60);
/// A daemon's token never lives longer.
const LONGEST_TOKEN: Duration = Duration::from_secs(10 * 60);

/// Gives a daemon an access token for its statement. Records itself if it succeeds.
///
/// # Errors
/// Unauthenticated; replayed, if the statement was accepted before; credential expired, if it is too old, or the
/// daemon did not ask for 30 days; revoked, if whoever enrolled it is gone.
pub async fn statement_login(
    platform: &Platform,
    arrival: &Arrival,
    login: StatementLogin,
) -> Result<Token, Error> {
    let unknown = || Error::unauthenticated(Reason::Unauthenticated);
    let text = login.statement.expose();
    if text.len() > LONGEST {
        return Err(unknown());
    }
    let claimed: StatementClaims =
        jsonwebtoken::dangerous::insecure_decode_claims(text).map_err(|_| unknown())?;
    let mut read = platform.store().read().await?;
    let key = identity_key(&mut read, claimed.iss).await?.ok_or_else(unknown)?;
    drop(read);
    let claims = verify(text, &key).ok_or_else(unknown)?;
    judge(&claims, platform.instance().id, arrival.now)?;

    let mut write = platform.store().write().await?;
    let grantee = judge_daemon(&mut write, &claims, &key, arrival.now).await?;
    consume(&mut write, &claims, arrival.now).await?;
    let lifetime = platform.settings().daemon_token.min(LONGEST_TOKEN);
    let token = grant(&mut write, &grantee, lifetime, arrival.now).await?;
    let event = allowed_arrival(arrival, "auth.statement")
        .with_actor(grantee.actor)
        .with_organization(grantee.scope.organization());
    Ok(commit_recorded(write, token, event).await?.into_inner())
}

/// Returns a daemon as an actor.
pub(crate) const fn actor_of(daemon: DaemonId) -> Actor {
    match daemon {
        DaemonId::Gateway(id) => Actor::Gateway(id),
        DaemonId::Relay(id) => Actor::Relay(id),
    }
}

async fn identity_key(
    connection: &mut SqliteConnection,
    daemon: DaemonId,
) -> Result<Option<PublicKey>, Error> {
    let line: Option<String> = sqlx::query_scalar("SELECT identity_key FROM daemon_keys WHERE daemon = $1")
        .bind(daemon.to_string())
        .fetch_optional(connection)
        .await?;
    line.map(|line| PublicKey::from_openssh(&line).map_err(Error::internal))
        .transpose()
}

/// Verifies the signature and returns what was signed. Times are judged elsewhere, by the platform's clock.
fn verify(statement: &str, key: &PublicKey) -> Option<StatementClaims> {
    // The wire form of an Ed25519 key ends with its 32 bytes (RFC 8709 section 4).
    let raw = key.as_bytes().last_chunk::<32>()?;
    let key = DecodingKey::from_ed_components(&URL_SAFE_NO_PAD.encode(raw)).ok()?;
    let mut validation = Validation::new(Algorithm::EdDSA);
    validation.required_spec_claims.clear();
    validation.validate_exp = false;
    validation.validate_aud = false;
    let data = jsonwebtoken::decode::<StatementClaims>(statement, &key, &validation).ok()?;
    Some(data.claims)
}

fn judge(claims: &StatementClaims, instance: InstanceId, now: Timestamp) -> Result<(), Error> {
    let made = Timestamp::from_unix_seconds(claims.iat);
    let ends = Timestamp::from_unix_seconds(claims.exp);
    let jti = &claims.jti;
    let formed = (1..=LONGEST_JTI).contains(&jti.len()) && jti.bytes().all(|b| b.is_ascii_graphic());
    let here = claims.aud == instance && claims.htm == STATEMENT_METHOD && claims.htp == STATEMENT_PATH;
    if !formed || !here || ends < made || ends.since(made) > LIFETIME {
        return Err(Error::unauthenticated(Reason::Unauthenticated));
    }
    if made > now.plus(LEEWAY) {
        return Err(Error::unauthenticated(Reason::ClockSkew));
    }
    if now > ends.plus(LEEWAY) {
        return Err(Error::unauthenticated(Reason::CredentialExpired));
    }
    Ok(())
}

/// Judges the daemon and whoever enrolled it, and notes that it asked. The key that verified must still be the
/// daemon's: it may have been enrolled again since that key was read.
async fn judge_daemon(
    write: &mut Write,
    claims: &StatementClaims,
    key: &PublicKey,
    now: Timestamp,
) -> Result<Grantee, Error> {
    let unknown = || Error::unauthenticated(Reason::Unauthenticated);
    let daemon = claims.iss.to_string();
    let row = sqlx::query("SELECT enrolled_by, last_used, identity_key FROM daemon_keys WHERE daemon = $1")
        .bind(&daemon)
        .fetch_optional(&mut **write)
        .await?
        .ok_or_else(unknown)?;
    if row.text("identity_key")? != key.to_openssh() {
        return Err(unknown());
    }
    if now.since(row.time("last_used")?) > UNUSED {
        return Err(Error::unauthenticated(Reason::CredentialExpired));
    }
    let actor = actor_of(claims.iss);
    let speaker = principal(write, actor).await?.ok_or_else(unknown)?;
    if principal(write, row.parsed("enrolled_by")?).await?.is_none() {
        return Err(Error::unauthenticated(Reason::Revoked));
    }
    sqlx::query("UPDATE daemon_keys SET last_used = $1 WHERE daemon = $2")
        .bind(millis(now))
        .bind(&daemon)
        .execute(&mut **write)
        .await?;
    Ok(Grantee {
        actor,
        scope: speaker.scope,
        client_secret: None,
    })
}

/// Takes a statement's `jti`, once.
async fn consume(write: &mut Write, claims: &StatementClaims, now: Timestamp) -> Result<(), Error> {
    sqlx::query("DELETE FROM statements WHERE expires < $1")
        .bind(millis(now))
        .execute(&mut **write)
        .await?;
    // Kept until no clock would let it pass any more.
    let until = Timestamp::from_unix_seconds(claims.exp).plus(LEEWAY + LIFETIME);
    let taken = sqlx::query(
        "INSERT INTO statements (daemon, jti, expires) VALUES ($1, $2, $3) ON CONFLICT DO NOTHING",
    )
    .bind(claims.iss.to_string())
    .bind(&claims.jti)
    .bind(millis(until))
    .execute(&mut **write)
    .await?;
    if taken.rows_affected() == 1 {
        Ok(())
    } else {
        Err(Error::unauthenticated(Reason::Replayed))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::world::World;

    #[tokio::test]
    async fn a_key_that_was_replaced_while_its_statement_was_verified_gives_nothing() {
        let world = World::new().await;
        let (relay, keys) = world.instance_relay("hub").await;
        let claims = world.claims(DaemonId::Relay(relay));
        let replaced = postern_sshkey::PrivateKey::generate().unwrap();
        let mut write = world.platform.store().write().await.unwrap();
        let refused = judge_daemon(&mut write, &claims, replaced.public_key(), world.now).await;
        assert_eq!(
            refused.err().map(|error| error.reason()),
            Some(Reason::Unauthenticated)
        );
        let held = judge_daemon(&mut write, &claims, keys.identity.public_key(), world.now).await;
        assert!(held.is_ok());
    }
}
