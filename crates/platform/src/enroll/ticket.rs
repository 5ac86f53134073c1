//! Tickets: a one-time secret that names one daemon, with the address and the pins to go to.

use std::time::Duration;

use postern_api::{EnrollmentTicket, EnrollmentToken};
use postern_domain::{DaemonId, EnrollmentTokenId, Target};

use crate::access::{self, AccessDecision, Action};
use crate::credential::{SecretKind, mint};
use crate::record::{allowed, commit_recorded};
use crate::store::{Columns as _, millis, scope_text};
use crate::{Error, Platform, RequestContext};

/// How long a ticket lives.
const LIFETIME: Duration = Duration::from_secs(60 * 60);

/// Makes a ticket for a daemon of the decision's scope. Records itself.
///
/// # Errors
/// Not found; forbidden, if the daemon is enrolled already and the actor may not enroll it again.
pub async fn create_ticket(
    platform: &Platform,
    context: &RequestContext,
    access: &AccessDecision,
    daemon: DaemonId,
    address: &Target,
) -> Result<EnrollmentToken, Error> {
    let (action, again, sql, id) = match daemon {
        DaemonId::Gateway(id) => (
            Action::CreateGatewayToken,
            Action::EnrollGatewayAgain,
            "SELECT enrolled FROM gateways WHERE organization = $1 AND id = $2",
            id.to_string(),
        ),
        DaemonId::Relay(id) => (
            Action::CreateRelayToken,
            Action::EnrollRelayAgain,
            "SELECT enrolled FROM relays WHERE scope = $1 AND id = $2",
            id.to_string(),
        ),
    };
    if access.action() != action {
        return Err(Error::forbidden());
    }
    let again = access::decide_on(context, again, access.scope()).is_ok();
    let mut write = context.write(platform.store()).await?;
    let row = sqlx::query(sql)
        .bind(scope_text(access.scope()))
        .bind(&id)
        .fetch_optional(&mut *write)
        .await?
        .ok_or_else(Error::not_found)?;
    let enrolled = row.time_option("enrolled")?.is_some();
    if enrolled && !again {
        return Err(Error::forbidden());
    }
    // A ticket for the first enrollment is no ticket for another: one that was left over takes nothing away.
    let again = enrolled && again;
    sqlx::query("DELETE FROM enrollment_tokens WHERE expires <= $1")
        .bind(millis(context.now.minus(LIFETIME)))
        .execute(&mut *write)
        .await?;
    let minted = mint(SecretKind::Enrollment)?;
    let expires = context.now.plus(LIFETIME);
    sqlx::query(
        "INSERT INTO enrollment_tokens (id, scope, daemon, hash, again, created_by, created, expires) \
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8)",
    )
    .bind(EnrollmentTokenId::generate(context.now).to_string())
    .bind(scope_text(access.scope()))
    .bind(daemon.to_string())
    .bind(minted.hash)
    .bind(i64::from(again))
    .bind(context.actor.to_string())
    .bind(millis(context.now))
    .bind(millis(expires))
    .execute(&mut *write)
    .await?;
    let event = allowed(context, access.action()).with_detail(&format!("for {daemon} until {expires}"));
    let event = match daemon {
        DaemonId::Gateway(id) => event.with_gateway(id),
        DaemonId::Relay(id) => event.with_relay(id),
    };
    let ticket = EnrollmentTicket {
        address: address.clone(),
        pins: platform.pins().to_vec(),
        secret: minted.secret,
    };
    let token = EnrollmentToken {
        token: ticket.to_secret_text(),
        expires,
    };
    Ok(commit_recorded(write, token, event).await?.into_inner())
}
