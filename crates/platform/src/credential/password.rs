//! Passwords of users: argon2id, judged off the async threads, at the same cost for a user who does not exist.

use std::sync::LazyLock;

use argon2::password_hash::{PasswordHash, PasswordHasher as _, PasswordVerifier as _, SaltString};
use argon2::{Algorithm, Argon2, Params, Version};
use aws_lc_rs::rand;
use postern_api::{PasswordLogin, Role, Token};
use postern_domain::{Actor, Name, Reason, Scope, Secret, Timestamp, UserId};

use super::token::{Grantee, grant};
use crate::record::{allowed_arrival, commit_recorded};
use crate::store::{Columns as _, Write, millis};
use crate::{Arrival, Error, Platform};

/// OWASP's first choice for argon2id: 46 MiB would be one pass; 19 MiB take two.
const MEMORY_KIB: u32 = 19 * 1024;
const PASSES: u32 = 2;
const SHORTEST: usize = 12;
const LONGEST: usize = 1024;

/// What is judged when there is no such user; nothing hashes to it.
static NOBODY: LazyLock<String> = LazyLock::new(|| {
    format!(
        "$argon2id$v=19$m={MEMORY_KIB},t={PASSES},p=1${}${}",
        "A".repeat(22),
        "A".repeat(43)
    )
});

fn argon2() -> Result<Argon2<'static>, Error> {
    let params = Params::new(MEMORY_KIB, PASSES, 1, None).map_err(|e| Error::internal(e.to_string()))?;
    Ok(Argon2::new(Algorithm::Argon2id, Version::V0x13, params))
}

/// Hashes a password, off the async threads.
///
/// # Errors
/// If it is shorter than 12 bytes or longer than 1024.
pub(crate) async fn hash_password(password: Secret<String>) -> Result<String, Error> {
    if !(SHORTEST..=LONGEST).contains(&password.expose().len()) {
        return Err(Error::invalid(format!(
            "password: expected {SHORTEST} to {LONGEST} bytes"
        )));
    }
    let hashed = tokio::task::spawn_blocking(move || {
        let mut salt = [0; 16];
        rand::fill(&mut salt).map_err(|_| Error::internal("the system has no randomness"))?;
        let salt = SaltString::encode_b64(&salt).map_err(|e| Error::internal(e.to_string()))?;
        argon2()?
            .hash_password(password.expose().as_bytes(), &salt)
            .map(|hash| hash.to_string())
            .map_err(|e| Error::internal(e.to_string()))
    });
    hashed.await.map_err(Error::internal)?
}

/// Makes the instance's administrator.
///
/// # Errors
/// If the store cannot be written.
pub(crate) async fn create_user(
    write: &mut Write,
    name: &Name,
    password: &str,
    now: Timestamp,
) -> Result<UserId, Error> {
    let id = UserId::generate(now);
    sqlx::query("INSERT INTO users (id, name, role, password, created) VALUES ($1, $2, $3, $4, $5)")
        .bind(id.to_string())
        .bind(name.as_str())
        .bind(Role::Administrator.as_str())
        .bind(password)
        .bind(millis(now))
        .execute(&mut **write)
        .await?;
    Ok(id)
}

/// Gives an access token for a user's name and password. Records itself if it succeeds.
///
/// # Errors
/// Unauthenticated, alike and at the same cost for an unknown user and a wrong password. Whoever comes while
/// two passwords are being judged waits.
pub async fn password_login(
    platform: &Platform,
    arrival: &Arrival,
    login: PasswordLogin,
) -> Result<Token, Error> {
    let unknown = || Error::unauthenticated(Reason::Unauthenticated);
    if login.password.expose().len() > LONGEST {
        return Err(unknown());
    }
    let mut read = platform.store().read().await?;
    let found = sqlx::query("SELECT id, password FROM users WHERE name = $1")
        .bind(&login.user)
        .fetch_optional(&mut *read)
        .await?;
    drop(read);
    let (user, hash): (Option<UserId>, _) = match found {
        Some(row) => (Some(row.parsed("id")?), row.text("password")?),
        None => (None, NOBODY.clone()),
    };
    let permit = platform.passwords().acquire().await.map_err(Error::unavailable)?;
    let password = login.password;
    let judged = tokio::task::spawn_blocking(move || {
        let hash = PasswordHash::new(&hash).map_err(|e| Error::internal(e.to_string()))?;
        Ok::<_, Error>(
            argon2()?
                .verify_password(password.expose().as_bytes(), &hash)
                .is_ok(),
        )
    });
    let right = judged.await.map_err(Error::internal)??;
    drop(permit);
    let user = user.filter(|_| right).ok_or_else(unknown)?;

    let grantee = Grantee {
        actor: Actor::User(user),
        scope: Scope::Instance,
        client_secret: None,
    };
    let mut write = platform.store().write().await?;
    let token = grant(
        &mut write,
        &grantee,
        platform.settings().access_token,
        arrival.now,
    )
    .await?;
    let event = allowed_arrival(arrival, "auth.password").with_actor(grantee.actor);
    Ok(commit_recorded(write, token, event).await?.into_inner())
}
