//! Renewal: a daemon has its keys certified again. The SSH key must be the one of its enrollment; the TLS key may
//! be a new one, which clients are told of from then on.

use postern_api::{RenewRequest, Renewed};
use postern_domain::{Actor, DaemonId};
use postern_pki::DaemonKind;

use super::certify::{Subject, plan};
use super::proof::verify_request;
use crate::access::AccessDecision;
use crate::error::OnConflict as _;
use crate::record::{allowed, commit_recorded};
use crate::store::Columns as _;
use crate::{Error, Platform, RequestContext};

/// Certifies a daemon's keys again. Records itself.
///
/// # Errors
/// 422 if the SSH key is another than at enrollment; refused as revoked, if a key was; a conflict, if the TLS
/// key is another daemon's.
pub async fn renew(
    platform: &Platform,
    context: &RequestContext,
    access: &AccessDecision,
    request: RenewRequest,
) -> Result<Renewed, Error> {
    let (daemon, kind) = match context.actor {
        Actor::Gateway(id) => (DaemonId::Gateway(id), DaemonKind::Gateway),
        Actor::Relay(id) => (DaemonId::Relay(id), DaemonKind::Relay),
        Actor::User(_) | Actor::MachineIdentity(_) | Actor::Platform => return Err(Error::forbidden()),
    };
    let verified = verify_request(&request.request, platform.instance().id, kind)?;

    let mut write = context.write(platform.store()).await?;
    let keys = sqlx::query("SELECT ssh_pin, tls_pin FROM daemon_keys WHERE daemon = $1")
        .bind(daemon.to_string())
        .fetch_optional(&mut *write)
        .await?
        .ok_or_else(Error::forbidden)?;
    if verified.ssh_pin() != Some(keys.parsed("ssh_pin")?) {
        return Err(Error::unprocessable(
            "the SSH key is another than at enrollment: enroll again to change it",
        ));
    }
    let tls = verified.pin().to_string();
    let others: Option<i64> =
        sqlx::query_scalar("SELECT 1 FROM certificates WHERE key = $1 AND owner <> $2 LIMIT 1")
            .bind(&tls)
            .bind(daemon.to_string())
            .fetch_optional(&mut *write)
            .await?;
    let in_use = || String::from("the TLS key is in use by somebody else already: make a new one");
    if others.is_some() {
        return Err(Error::conflict(in_use()));
    }
    sqlx::query("UPDATE daemon_keys SET tls_pin = $1 WHERE daemon = $2")
        .bind(&tls)
        .bind(daemon.to_string())
        .execute(&mut *write)
        .await
        .on_conflict(in_use)?;
    let subject = Subject::find(&mut write, daemon).await?;
    let plan = plan(platform, &mut write, access, (&subject, &verified), context.now).await?;
    let event = allowed(context, access.action()).with_certificate(plan.tls.serial().clone());
    let event = match daemon {
        DaemonId::Gateway(id) => event.with_gateway(id),
        DaemonId::Relay(id) => event.with_relay(id),
    };
    let plan = commit_recorded(write, plan, event).await?;
    let when = (context.now, &platform.settings().certificates);
    Ok(Renewed {
        certificates: crate::issue::sign_daemon(plan, when)?,
    })
}
