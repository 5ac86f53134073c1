//! Opening an authority to sign. What is open is kept, and wiped when it is dropped.

use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};

use postern_domain::{AuthorityId, AuthorityRole, Scope};
use postern_pki::{SshAuthority, TlsAuthority, certificate_from_pem};
use sqlx::SqliteConnection;

use super::{PURPOSE, missing};
use crate::access::{AccessDecision, Action};
use crate::store::{Columns as _, scope_text};
use crate::{Error, Platform};

/// How many authorities are kept open; beyond that all are closed and opened again as needed.
const MOST_OPEN: usize = 4096;

#[derive(Clone)]
enum Opened {
    Tls(Arc<TlsAuthority>),
    Ssh(Arc<SshAuthority>),
}

/// The authorities that are open.
#[derive(Default)]
pub(crate) struct Signers(Mutex<HashMap<AuthorityId, Opened>>);

impl fmt::Debug for Signers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Signers(…)")
    }
}

impl Signers {
    fn get(&self, id: AuthorityId) -> Option<Opened> {
        self.0
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .get(&id)
            .cloned()
    }

    fn keep(&self, id: AuthorityId, opened: Opened) {
        let mut open = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if open.len() >= MOST_OPEN {
            open.clear();
        }
        open.insert(id, opened);
    }
}

/// Opens an X.509 authority.
///
/// # Errors
/// Forbidden, if the decision does not call for it; internal, if the authority is missing or its sealed key is
/// damaged, which stops nothing else.
pub(crate) async fn open_tls(
    platform: &Platform,
    connection: &mut SqliteConnection,
    access: &AccessDecision,
    (owner, role): (Scope, AuthorityRole),
) -> Result<Arc<TlsAuthority>, Error> {
    let (id, public) = find(connection, access, (owner, role)).await?;
    if let Some(Opened::Tls(open)) = platform.signers().get(id) {
        return Ok(open);
    }
    let private = platform
        .keys()
        .unseal(connection, owner, (&id.to_string(), PURPOSE))
        .await?;
    let certificate = certificate_from_pem(&public).map_err(Error::internal)?;
    let opened = TlsAuthority::from_parts(&certificate, private.expose()).map_err(Error::internal)?;
    if opened.role() != role || opened.owner() != owner {
        return Err(Error::internal(format!(
            "the authority {id} is not what its row says"
        )));
    }
    let opened = Arc::new(opened);
    platform.signers().keep(id, Opened::Tls(Arc::clone(&opened)));
    Ok(opened)
}

/// Opens an SSH authority.
///
/// # Errors
/// As [`open_tls`].
pub(crate) async fn open_ssh(
    platform: &Platform,
    connection: &mut SqliteConnection,
    access: &AccessDecision,
    (owner, role): (Scope, AuthorityRole),
) -> Result<Arc<SshAuthority>, Error> {
    let (id, public) = find(connection, access, (owner, role)).await?;
    if let Some(Opened::Ssh(open)) = platform.signers().get(id) {
        return Ok(open);
    }
    let private = platform
        .keys()
        .unseal(connection, owner, (&id.to_string(), PURPOSE))
        .await?;
    let opened = SshAuthority::from_parts(role, owner, private.expose()).map_err(Error::internal)?;
    if opened.public_line() != public {
        return Err(Error::internal(format!(
            "the authority {id} is not what its row says"
        )));
    }
    let opened = Arc::new(opened);
    platform.signers().keep(id, Opened::Ssh(Arc::clone(&opened)));
    Ok(opened)
}

async fn find(
    connection: &mut SqliteConnection,
    access: &AccessDecision,
    (owner, role): (Scope, AuthorityRole),
) -> Result<(AuthorityId, String), Error> {
    let reaches = access.scope() == owner || (is_relays(role) && owner == Scope::Instance);
    if !reaches || !calls_for(access.action(), role) {
        return Err(Error::forbidden());
    }
    let row = sqlx::query(
        "SELECT id, public FROM authorities WHERE scope = $1 AND role = $2 AND phase = 'current'",
    )
    .bind(scope_text(owner))
    .bind(role.as_str())
    .fetch_optional(connection)
    .await?
    .ok_or_else(|| missing(owner, role))?;
    Ok((row.parsed("id")?, row.text("public")?))
}

/// Returns whether an organization's own may be certified by the instance's authority of this role: those of
/// instance relays.
const fn is_relays(role: AuthorityRole) -> bool {
    matches!(role, AuthorityRole::RelaySshClient | AuthorityRole::RelayClient)
}

/// Returns whether an action needs a signature of this role.
const fn calls_for(action: Action, role: AuthorityRole) -> bool {
    match role {
        AuthorityRole::RelayClient | AuthorityRole::GatewayClient => matches!(action, Action::CreateSession),
        AuthorityRole::RelaySshClient | AuthorityRole::GatewayServer => matches!(
            action,
            Action::EnrollGateway | Action::EnrollByTicket | Action::RenewCertificates
        ),
        AuthorityRole::RelaySshServer | AuthorityRole::RelayServer => {
            matches!(action, Action::EnrollByTicket | Action::RenewCertificates)
        }
        AuthorityRole::PlatformRoot => matches!(action, Action::CertifyPlatform),
        AuthorityRole::RelayRoot | AuthorityRole::GatewayRoot | AuthorityRole::AuditKey => false,
    }
}
