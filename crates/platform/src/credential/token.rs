//! Access tokens: opaque, stored as a hash, with an end. Who the bearer is, is asked of the store each time, so
//! that whatever was taken back counts at once.

use std::time::Duration;

use postern_api::{Role, Token};
use postern_domain::{Actor, ClientSecretId, Reason, Scope, Secret, Timestamp};
use sqlx::SqliteConnection;

use super::{SecretKind, digest, mint};
use crate::store::{Columns as _, Store, Write, millis, scope_text};
use crate::{Arrival, Error, RequestContext};

/// How many live tokens one actor can have.
const MOST_TOKENS: i64 = 1000;
/// No secret of ours is longer.
const LONGEST: usize = 128;

/// Says who bears this token.
///
/// # Errors
/// Unauthenticated, or that the token has expired.
pub async fn authenticate(
    store: &Store,
    arrival: &Arrival,
    token: &Secret<String>,
) -> Result<RequestContext, Error> {
    let unknown = || Error::unauthenticated(Reason::Unauthenticated);
    let text = token.expose();
    if text.len() > LONGEST || !text.starts_with(SecretKind::AccessToken.prefix()) {
        return Err(unknown());
    }
    let hash = digest(text);
    let mut read = store.read().await?;
    let row = sqlx::query("SELECT actor, expires FROM access_tokens WHERE hash = $1")
        .bind(&hash)
        .fetch_optional(&mut *read)
        .await?
        .ok_or_else(unknown)?;
    let expires = row.time("expires")?;
    if expires <= arrival.now {
        return Err(Error::unauthenticated(Reason::CredentialExpired));
    }
    let actor = row.parsed("actor")?;
    let principal = principal(&mut read, actor).await?.ok_or_else(unknown)?;
    Ok(RequestContext {
        actor,
        name: principal.name,
        role: principal.role,
        organization: principal.scope.organization(),
        request: arrival.request,
        now: arrival.now,
        source: arrival.source,
        token_expires: expires,
        token: Some(hash),
    })
}

/// An actor as the store knows it now.
pub(super) struct Principal {
    pub(super) name: String,
    pub(super) role: Role,
    pub(super) scope: Scope,
}

/// Looks an actor up; none if it is gone, or a daemon that is not enrolled.
pub(super) async fn principal(
    connection: &mut SqliteConnection,
    actor: Actor,
) -> Result<Option<Principal>, Error> {
    let (sql, id) = match actor {
        Actor::User(id) => (
            "SELECT name, role, 'instance' AS scope FROM users WHERE id = $1",
            id.to_string(),
        ),
        Actor::MachineIdentity(id) => (
            "SELECT name, role, organization AS scope FROM identities WHERE id = $1",
            id.to_string(),
        ),
        Actor::Gateway(id) => (
            "SELECT name, 'gateway' AS role, organization AS scope FROM gateways \
             WHERE id = $1 AND enrolled IS NOT NULL",
            id.to_string(),
        ),
        Actor::Relay(id) => (
            "SELECT name, 'relay' AS role, scope FROM relays WHERE id = $1 AND enrolled IS NOT NULL",
            id.to_string(),
        ),
        Actor::Platform => return Ok(None),
    };
    let row = sqlx::query(sql).bind(id).fetch_optional(connection).await?;
    row.map(|row| {
        Ok(Principal {
            name: row.text("name")?,
            role: parse_role(&row.text("role")?)?,
            scope: row.scope("scope")?,
        })
    })
    .transpose()
}

/// Returns whether an actor is still there.
///
/// # Errors
/// If the store cannot be read.
pub(crate) async fn exists(connection: &mut SqliteConnection, actor: Actor) -> Result<bool, Error> {
    Ok(principal(connection, actor).await?.is_some())
}

/// Reads a role as it is stored.
///
/// # Errors
/// If the store is damaged.
pub(crate) fn parse_role(text: &str) -> Result<Role, Error> {
    let all = [
        Role::Administrator,
        Role::Owner,
        Role::Enroller,
        Role::Connector,
        Role::Gateway,
        Role::Relay,
    ];
    all.into_iter()
        .find(|role| role.as_str() == text)
        .ok_or_else(|| Error::internal(format!("the store holds a role that is unknown: {text}")))
}

/// What a token is given for.
pub(super) struct Grantee {
    pub(super) actor: Actor,
    pub(super) scope: Scope,
    pub(super) client_secret: Option<ClientSecretId>,
}

/// Makes a token and stores its hash.
pub(super) async fn grant(
    write: &mut Write,
    grantee: &Grantee,
    lifetime: Duration,
    now: Timestamp,
) -> Result<Token, Error> {
    sqlx::query("DELETE FROM access_tokens WHERE expires <= $1")
        .bind(millis(now))
        .execute(&mut **write)
        .await?;
    let live: i64 = sqlx::query_scalar("SELECT COUNT(*) FROM access_tokens WHERE actor = $1")
        .bind(grantee.actor.to_string())
        .fetch_one(&mut **write)
        .await?;
    if live >= MOST_TOKENS {
        return Err(Error::rate_limited());
    }
    let minted = mint(SecretKind::AccessToken)?;
    let expires = now.plus(lifetime);
    sqlx::query(
        "INSERT INTO access_tokens (hash, scope, actor, client_secret, created, expires) \
         VALUES ($1, $2, $3, $4, $5, $6)",
    )
    .bind(minted.hash)
    .bind(scope_text(grantee.scope))
    .bind(grantee.actor.to_string())
    .bind(grantee.client_secret.map(|id| id.to_string()))
    .bind(millis(now))
    .bind(millis(expires))
    .execute(&mut **write)
    .await?;
    Ok(Token {
        access_token: minted.secret,
        expires,
        actor: grantee.actor,
        time: now,
    })
}
