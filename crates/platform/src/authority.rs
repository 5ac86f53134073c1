//! The certificate authorities: made with their owner, listed in public, opened to sign.
//!
//! A private key is sealed in the transaction that makes its authority and is never exported. To sign, an
//! authority is opened here and nowhere else, for an [`AccessDecision`] whose action needs this very role.

mod signer;
#[cfg(feature = "testing")]
pub mod testing;

use postern_api::AuthorityKind;
use postern_domain::{AuthorityId, AuthorityRole, InstanceId, Pin, Scope, Secret, Timestamp, Validity};
use postern_pki::{SigningKey, SshAuthority, TlsAuthority};
use sqlx::SqliteConnection;

use crate::Error;
use crate::access::{AccessDecision, Action};
use crate::keys::Keys;
use crate::store::{Columns as _, Write, millis, scope_text};

pub(crate) use signer::{Signers, open_ssh, open_tls};

/// What a sealed private key of an authority is for, as its associated data says.
const PURPOSE: &str = "authority";

/// Makes every authority of a new owner, with its data key, in the transaction that makes the owner.
///
/// # Errors
/// Forbidden, if the decision is not one to make an owner; internal, if a key cannot be made or sealed, or the
/// store cannot be written.
pub(crate) async fn create(
    write: &mut Write,
    keys: &Keys,
    access: &AccessDecision,
    instance: InstanceId,
    owner: Scope,
    now: Timestamp,
) -> Result<(), Error> {
    let allowed = match owner {
        Scope::Instance => access.action() == Action::CreateAuthorities,
        Scope::Organization(_) => access.action() == Action::CreateOrganization,
    };
    if !allowed {
        return Err(Error::forbidden());
    }
    // A transaction that was undone may have left the key of an owner that never was.
    keys.forget(owner);
    keys.create_data_key(write, owner, now).await?;
    let roles: &[AuthorityRole] = match owner {
        Scope::Instance => &AuthorityRole::INSTANCE,
        Scope::Organization(_) => &AuthorityRole::ORGANIZATION,
    };
    let mut roots: Vec<(AuthorityId, TlsAuthority)> = Vec::new();
    for role in roles {
        let id = AuthorityId::generate(now);
        let parent = role
            .parent()
            .and_then(|p| roots.iter().find(|(_, root)| root.role() == p));
        let made = Made::new(*role, owner, instance, (parent, now))?;
        insert(write, id, (*role, owner), &made, now).await?;
        keys.seal(write, owner, (&id.to_string(), PURPOSE), made.private)
            .await?;
        if let Some(root) = made.root {
            roots.push((id, root));
        }
    }
    Ok(())
}

/// A new authority, as it is stored.
struct Made {
    kind: AuthorityKind,
    parent: Option<AuthorityId>,
    public: String,
    key: Pin,
    validity: Option<Validity>,
    private: Secret<Vec<u8>>,
    root: Option<TlsAuthority>,
}

impl Made {
    fn new(
        role: AuthorityRole,
        owner: Scope,
        instance: InstanceId,
        (parent, now): (Option<&(AuthorityId, TlsAuthority)>, Timestamp),
    ) -> Result<Self, Error> {
        match role {
            AuthorityRole::RelaySshClient | AuthorityRole::RelaySshServer => {
                let authority = SshAuthority::new(role, owner).map_err(Error::internal)?;
                Ok(Self {
                    kind: AuthorityKind::Ssh,
                    parent: None,
                    public: authority.public_line(),
                    key: authority.pin(),
                    validity: None,
                    private: authority.to_sealed_parts().map_err(Error::internal)?,
                    root: None,
                })
            }
            AuthorityRole::AuditKey => {
                let key = SigningKey::generate().map_err(Error::internal)?;
                Ok(Self {
                    kind: AuthorityKind::Signature,
                    parent: None,
                    public: key.public_line(),
                    key: key.pin(),
                    validity: None,
                    private: key.to_sealed_parts().map_err(Error::internal)?,
                    root: None,
                })
            }
            AuthorityRole::RelayRoot
            | AuthorityRole::RelayClient
            | AuthorityRole::RelayServer
            | AuthorityRole::GatewayRoot
            | AuthorityRole::GatewayClient
            | AuthorityRole::GatewayServer
            | AuthorityRole::PlatformRoot => {
                let authority = TlsAuthority::new(role, owner, instance, parent.map(|(_, root)| root), now);
                let authority = authority.map_err(Error::internal)?;
                Ok(Self {
                    kind: AuthorityKind::X509,
                    parent: parent.map(|(id, _)| *id),
                    public: authority.certificate_pem(),
                    key: authority.pin(),
                    validity: Some(authority.validity()),
                    private: authority.to_sealed_parts().map_err(Error::internal)?,
                    root: Some(authority),
                })
            }
        }
    }
}

async fn insert(
    write: &mut Write,
    id: AuthorityId,
    (role, owner): (AuthorityRole, Scope),
    made: &Made,
    now: Timestamp,
) -> Result<(), Error> {
    sqlx::query(
        "INSERT INTO authorities (id, scope, role, kind, phase, parent, public, key, not_before, not_after, created) \
         VALUES ($1, $2, $3, $4, 'current', $5, $6, $7, $8, $9, $10)",
    )
    .bind(id.to_string())
    .bind(scope_text(owner))
    .bind(role.as_str())
    .bind(kind_text(made.kind))
    .bind(made.parent.map(|p| p.to_string()))
    .bind(&made.public)
    .bind(made.key.to_string())
    .bind(made.validity.map(|v| millis(v.not_before)))
    .bind(made.validity.map(|v| millis(v.not_after)))
    .bind(millis(now))
    .execute(&mut **write)
    .await?;
    Ok(())
}

/// Returns a kind as it is stored.
pub(crate) const fn kind_text(kind: AuthorityKind) -> &'static str {
    match kind {
        AuthorityKind::X509 => "x509",
        AuthorityKind::Ssh => "ssh",
        AuthorityKind::Signature => "signature",
    }
}

/// Reads a kind as it is stored.
///
/// # Errors
/// If the store is damaged.
pub(crate) fn parse_kind(text: &str) -> Result<AuthorityKind, Error> {
    [AuthorityKind::X509, AuthorityKind::Ssh, AuthorityKind::Signature]
        .into_iter()
        .find(|kind| kind_text(*kind) == text)
        .ok_or_else(|| Error::internal("the store holds an authority of an unknown kind"))
}

/// Returns the keys that the platform's HTTPS certificate may chain to.
///
/// # Errors
/// If the store cannot be read.
pub(crate) async fn platform_pins(connection: &mut SqliteConnection) -> Result<Vec<Pin>, Error> {
    let rows = sqlx::query(
        "SELECT key FROM authorities WHERE scope = 'instance' AND role = 'platform_root' ORDER BY created, id",
    )
    .fetch_all(connection)
    .await?;
    rows.iter().map(|row| row.parsed("key")).collect()
}

/// Returns the anchor of an X.509 role: its certificate and the root's.
///
/// # Errors
/// If the store cannot be read, or the owner has no such authority.
pub(crate) async fn tls_anchor(
    connection: &mut SqliteConnection,
    owner: Scope,
    role: AuthorityRole,
) -> Result<postern_api::TlsAnchor, Error> {
    let row = sqlx::query(
        "SELECT a.public AS issuer, r.public AS root FROM authorities a JOIN authorities r ON r.id = a.parent \
         WHERE a.scope = $1 AND a.role = $2 AND a.phase = 'current'",
    )
    .bind(scope_text(owner))
    .bind(role.as_str())
    .fetch_optional(connection)
    .await?
    .ok_or_else(|| missing(owner, role))?;
    Ok(postern_api::TlsAnchor {
        owner,
        role,
        root: row.text("root")?,
        issuer: row.text("issuer")?,
    })
}

/// Returns the anchor of an SSH role: its public key.
///
/// # Errors
/// If the store cannot be read, or the owner has no such authority.
pub(crate) async fn ssh_anchor(
    connection: &mut SqliteConnection,
    owner: Scope,
    role: AuthorityRole,
) -> Result<postern_api::SshAnchor, Error> {
    let key: Option<String> = sqlx::query_scalar(
        "SELECT public FROM authorities WHERE scope = $1 AND role = $2 AND phase = 'current'",
    )
    .bind(scope_text(owner))
    .bind(role.as_str())
    .fetch_optional(connection)
    .await?;
    let key = key.ok_or_else(|| missing(owner, role))?;
    Ok(postern_api::SshAnchor { owner, role, key })
}

fn missing(owner: Scope, role: AuthorityRole) -> Error {
    Error::internal(format!("{owner} has no authority {role}"))
}
