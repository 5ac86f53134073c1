//! Authorities with their private keys, for tests that must mint what the platform never issues. Behind the
//! feature `testing`, which nothing that ships enables.

use postern_domain::{AuthorityRole, Scope, Secret};
use postern_pki::{SshAuthority, TlsAuthority, certificate_from_pem};

use super::{PURPOSE, missing};
use crate::store::{Columns as _, scope_text};
use crate::{Error, Platform};

/// Opens the current X.509 authority of an owner and role.
///
/// # Errors
/// If there is none, or its sealed key does not open.
pub async fn tls_authority(
    platform: &Platform,
    owner: Scope,
    role: AuthorityRole,
) -> Result<TlsAuthority, Error> {
    let (public, private) = parts(platform, owner, role).await?;
    let certificate = certificate_from_pem(&public).map_err(Error::internal)?;
    TlsAuthority::from_parts(&certificate, private.expose()).map_err(Error::internal)
}

/// Opens the current SSH authority of an owner and role.
///
/// # Errors
/// As [`tls_authority`].
pub async fn ssh_authority(
    platform: &Platform,
    owner: Scope,
    role: AuthorityRole,
) -> Result<SshAuthority, Error> {
    let (_, private) = parts(platform, owner, role).await?;
    SshAuthority::from_parts(role, owner, private.expose()).map_err(Error::internal)
}

async fn parts(
    platform: &Platform,
    owner: Scope,
    role: AuthorityRole,
) -> Result<(String, Secret<Vec<u8>>), Error> {
    let mut read = platform.store().read().await?;
    let row = sqlx::query(
        "SELECT id, public FROM authorities WHERE scope = $1 AND role = $2 AND phase = 'current'",
    )
    .bind(scope_text(owner))
    .bind(role.as_str())
    .fetch_optional(&mut *read)
    .await?
    .ok_or_else(|| missing(owner, role))?;
    let id = row.text("id")?;
    let private = platform.keys().unseal(&mut read, owner, (&id, PURPOSE)).await?;
    Ok((row.text("public")?, private))
}
