//! Enrollment and renewal: how a daemon's own keys get their certificates.
//!
//! A ticket or a machine identity admits; proofs of possession are judged before anything is looked up for
//! writing; then one transaction takes the ticket, revokes what an earlier enrollment certified, and records
//! the serial numbers. The answer is kept for ten minutes, for a daemon that did not hear it: the same
//! credential with the same keys gets it again, and with other keys gets nothing.

mod applicant;
mod certify;
mod proof;
mod renew;
mod repeat;
mod ticket;

use postern_api::{EnrollRequest, Enrolled};
use postern_audit::Event;
use postern_domain::{DaemonId, Name, Reason, Secret, Timestamp};

use crate::credential::authenticate;
use crate::record::{allowed_arrival, commit_recorded};
use crate::store::{Columns as _, Write, millis};
use crate::{Arrival, Error, Platform};
use applicant::Applicant;
use certify::{Subject, plan};
use proof::Proof;

pub use renew::renew;
pub use ticket::create_ticket;

pub(crate) use crate::revoke::forget_daemon;
pub(crate) use proof::refusal;

/// Enrolls a daemon: with the ticket in the request, or for the bearer of a token who may enroll gateways. Records
/// itself.
///
/// # Errors
/// Unauthenticated, if neither admits; replayed, if the ticket was used with other keys; refused as revoked, if
/// a key was; forbidden, if the daemon is enrolled already and this does not permit to enroll it again.
pub async fn enroll(
    platform: &Platform,
    arrival: &Arrival,
    bearer: Option<&Secret<String>>,
    request: EnrollRequest,
) -> Result<Enrolled, Error> {
    let caller = match bearer {
        Some(token) => Some(authenticate(platform.store(), arrival, token).await?),
        None => None,
    };
    let applicant = Applicant::admit(platform, arrival, caller.as_ref(), &request).await?;
    let proof = Proof::verify(&request, platform.instance().id, applicant.kind())?;
    if let Some(answer) = repeat::answer(platform, &applicant, &proof, arrival.now).await? {
        let event =
            event(arrival, &applicant, (answer.daemon, &answer.name)).with_detail("the same answer again");
        platform
            .recorder()
            .note(event)
            .await
            .map_err(Error::not_recorded)?;
        return Ok(answer);
    }

    let lifetimes = &platform.settings().certificates;
    let mut write = match &caller {
        Some(caller) => caller.write(platform.store()).await?,
        None => platform.store().write().await?,
    };
    let resumed = repeat::begun(&mut write, &applicant, &proof, arrival.now).await?;
    applicant
        .consume(&mut write, resumed.is_some(), arrival.now)
        .await?;
    let daemon = match resumed {
        Some(daemon) => daemon,
        None => {
            let daemon = applicant.daemon(&mut write, arrival.now).await?;
            begin(&mut write, &applicant, daemon, &proof, arrival.now).await?;
            daemon
        }
    };
    let subject = Subject::find(&mut write, daemon).await?;
    let plan = plan(
        platform,
        &mut write,
        &applicant.access,
        (&subject, &proof.request),
        arrival.now,
    )
    .await?;
    write.bump(subject.scope).await?;
    let event = event(arrival, &applicant, (daemon, &subject.name))
        .with_organization(subject.scope.organization())
        .with_certificate(plan.tls.serial().clone());
    let plan = commit_recorded(write, plan, event).await?;

    let answer = Enrolled {
        daemon,
        name: subject.name,
        certificates: crate::issue::sign_daemon(plan, (arrival.now, lifetimes))?,
        snapshot: crate::snapshot::build(platform, daemon, arrival.now).await?,
    };
    repeat::keep(platform, &applicant, &proof, &answer).await?;
    Ok(answer)
}

/// Marks a daemon as enrolled under these keys; what it was enrolled under before is revoked.
async fn begin(
    write: &mut Write,
    applicant: &Applicant,
    daemon: DaemonId,
    proof: &Proof,
    now: Timestamp,
) -> Result<(), Error> {
    let (find, mark, id) = match daemon {
        DaemonId::Gateway(id) => (
            "SELECT organization AS scope, enrolled FROM gateways WHERE id = $1",
            "UPDATE gateways SET enrolled = $1 WHERE id = $2",
            id.to_string(),
        ),
        DaemonId::Relay(id) => (
            "SELECT scope, enrolled FROM relays WHERE id = $1",
            "UPDATE relays SET enrolled = $1 WHERE id = $2",
            id.to_string(),
        ),
    };
    let row = sqlx::query(find)
        .bind(&id)
        .fetch_optional(&mut **write)
        .await?
        .ok_or_else(|| Error::unauthenticated(Reason::Unauthenticated))?;
    let scope = row.scope("scope")?;
    if row.time_option("enrolled")?.is_some() {
        if !applicant.may_enroll_again() {
            return Err(Error::refused(
                Reason::Forbidden,
                "the daemon is enrolled already, and this does not permit to enroll it again",
            ));
        }
        crate::revoke::daemon(write, daemon, now).await?;
    }
    proof.demand_good_identity_key(write).await?;
    proof
        .insert(write, (daemon, scope), applicant.enrolled_by, now)
        .await?;
    sqlx::query(mark)
        .bind(millis(now))
        .bind(&id)
        .execute(&mut **write)
        .await?;
    repeat::begin(write, applicant, proof, (daemon, scope), now).await
}

/// Begins the record of an enrollment.
fn event(arrival: &Arrival, applicant: &Applicant, (daemon, name): (DaemonId, &Name)) -> Event {
    let event = allowed_arrival(arrival, applicant.access.action().code())
        .with_actor(applicant.actor())
        .with_organization(applicant.access.scope().organization())
        .with_detail(&format!("{daemon} {name}"));
    match daemon {
        DaemonId::Gateway(id) => event.with_gateway(id),
        DaemonId::Relay(id) => event.with_relay(id),
    }
}

#[cfg(test)]
mod tests;
