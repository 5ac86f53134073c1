//! Opening a session: from resources to a grant, two certificates and the way to the gateway.
//!
//! All resources lie in one project and behind one gateway, the gateway is mapped to the project and enrolled,
//! and whoever asks may connect in that project; otherwise nothing is issued and nothing is stored. Session,
//! both serial numbers and the audit record are one transaction, which goes before the signatures.

mod found;

use std::collections::BTreeSet;
use std::time::Duration;

use postern_api::{CreateSession, GatewayExpectation, SessionGranted, SessionRelay};
use postern_domain::{
    AuthorityRole, Grant, GrantKind, OrganizationId, Permission, Scope, SessionId, Timestamp,
};
use postern_pki::profile::MOST_RESOURCES;
use postern_pki::{Leaf, VerifiedRequest, verify_csr};

use crate::access::{AccessDecision, Action};
use crate::authority::tls_anchor;
use crate::enroll::refusal;
use crate::issue::{Holder, SessionPlan, insert_tls, plan_tls, sign_session};
use crate::record::{allowed, commit_recorded};
use crate::store::{Write, millis};
use crate::{Error, Platform, RequestContext};
use found::{Found, Way};

/// How many sessions one organization may open within [`CROWD_SPAN`]. What can be revoked at once is bounded by it:
/// revocations under the instance's authorities are told to every relay and gateway, whosesoever they are.
const CROWD: i64 = 5000;
/// The longest life of a client's certificate.
const CROWD_SPAN: Duration = Duration::from_secs(5 * 60);

/// No session lives longer.
const LONGEST: Duration = Duration::from_secs(12 * 60 * 60);

/// Opens a session. Records itself.
///
/// # Errors
/// 400 if the request is not well-formed; not found, for a resource that does not exist or that the actor may not
/// reach; 422 if the resources do not share project and gateway, or the gateway is not ready; rate limited, if the
/// organization opened too many sessions of late. Then nothing was issued.
pub async fn create(
    platform: &Platform,
    context: &RequestContext,
    access: &AccessDecision,
    request: CreateSession,
) -> Result<SessionGranted, Error> {
    if access.action() != Action::CreateSession {
        return Err(Error::forbidden());
    }
    let organization = access.organization()?;
    let distinct: BTreeSet<_> = request.resources.iter().collect();
    if !(1..=MOST_RESOURCES).contains(&request.resources.len()) || distinct.len() != request.resources.len() {
        return Err(Error::invalid(format!(
            "resources: 1 to {MOST_RESOURCES} different ones"
        )));
    }
    let relay_request = verify_csr(&request.relay_csr).map_err(refusal)?;
    let gateway_request = verify_csr(&request.gateway_csr).map_err(refusal)?;
    if relay_request.pin() == gateway_request.pin() {
        return Err(Error::unprocessable(
            "relay_csr, gateway_csr: each leg needs a key of its own",
        ));
    }

    let now = context.now;
    let mut write = context.write(platform.store()).await?;
    let found = Found::read(&mut write, access, &request.resources).await?;
    demand_room(&mut write, organization, now).await?;
    let way = Way::read(&mut write, organization, &found, now).await?;
    let grant = Grant {
        kind: GrantKind::Connect,
        organization,
        project: Some(found.project),
        gateway: found.gateway,
        actor: context.actor,
        session: SessionId::generate(now),
        permission: Permission::Connect,
        resources: found.resources,
        session_expires: now.plus(platform.settings().session.min(LONGEST)),
    };
    insert(&mut write, &grant, found.project, now).await?;
    let requests = (&relay_request, &gateway_request);
    let plan = plan(platform, &mut write, access, (&grant, way.scope), requests, now).await?;
    let relay_anchors = vec![tls_anchor(&mut write, way.scope, AuthorityRole::RelayServer).await?];
    let own = Scope::Organization(organization);
    let gateway_anchors = vec![tls_anchor(&mut write, own, AuthorityRole::GatewayServer).await?];
    let single = match grant.resources.as_slice() {
        [one] => Some(one.id),
        _ => None,
    };
    let event = allowed(context, access.action())
        .with_project(grant.project)
        .with_gateway(grant.gateway)
        .with_session(grant.session)
        .with_resource(single)
        .with_certificate(plan.gateway.serial().clone())
        .with_detail(&format!(
            "{} resources; certificate of the relay leg {}",
            grant.resources.len(),
            plan.relay.serial()
        ));
    let plan = commit_recorded(write, plan, event).await?;
    let certificates = sign_session(plan, (now, &platform.settings().certificates))?;

    let relays = way.relays.into_iter().map(|relay| SessionRelay {
        id: relay.id,
        scope: way.scope,
        host: relay.host,
        tls_port: relay.tls_port,
        anchors: relay_anchors.clone(),
    });
    Ok(SessionGranted {
        instance: platform.instance().id,
        time: now,
        certificates,
        relays: relays.collect(),
        gateway: GatewayExpectation {
            id: grant.gateway,
            anchors: gateway_anchors,
            pins: way.pins,
        },
        grant,
    })
}

/// Refuses an organization that opened too many sessions of late. Ids sort by time.
async fn demand_room(write: &mut Write, organization: OrganizationId, now: Timestamp) -> Result<(), Error> {
    let recent: i64 = sqlx::query_scalar("SELECT COUNT(*) FROM sessions WHERE organization = $1 AND id > $2")
        .bind(organization.to_string())
        .bind(SessionId::generate(now.minus(CROWD_SPAN)).to_string())
        .fetch_one(&mut **write)
        .await?;
    if recent < CROWD {
        Ok(())
    } else {
        Err(Error::rate_limited())
    }
}

async fn insert(
    write: &mut Write,
    grant: &Grant,
    project: postern_domain::ProjectId,
    now: Timestamp,
) -> Result<(), Error> {
    let organization = grant.organization.to_string();
    let session = grant.session.to_string();
    sqlx::query(
        "INSERT INTO sessions (id, organization, actor, project, gateway, created, expires) \
         VALUES ($1, $2, $3, $4, $5, $6, $7)",
    )
    .bind(&session)
    .bind(&organization)
    .bind(grant.actor.to_string())
    .bind(project.to_string())
    .bind(grant.gateway.to_string())
    .bind(millis(now))
    .bind(millis(grant.session_expires))
    .execute(&mut **write)
    .await?;
    for (resource, position) in grant.resources.iter().zip(0_i64..) {
        sqlx::query(
            "INSERT INTO session_resources (organization, session, resource, position) VALUES ($1, $2, $3, $4)",
        )
        .bind(&organization)
        .bind(&session)
        .bind(resource.id.to_string())
        .bind(position)
        .execute(&mut **write)
        .await?;
    }
    Ok(())
}

/// Plans both certificates and records their serial numbers in the transaction.
async fn plan(
    platform: &Platform,
    write: &mut Write,
    access: &AccessDecision,
    (grant, relay_scope): (&Grant, Scope),
    (relay_request, gateway_request): (&VerifiedRequest, &VerifiedRequest),
    now: Timestamp,
) -> Result<SessionPlan, Error> {
    let instance = platform.instance().id;
    let organization: OrganizationId = grant.organization;
    let relay = Leaf::RelayClient {
        instance,
        organization,
        gateway: grant.gateway,
        session: grant.session,
        session_expires: grant.session_expires,
    };
    let gateway = Leaf::GatewayClient {
        instance,
        grant: grant.clone(),
    };
    let own = Scope::Organization(organization);
    let plan = SessionPlan {
        relay: plan_tls(platform, write, access, (relay_scope, relay), relay_request).await?,
        gateway: plan_tls(platform, write, access, (own, gateway), gateway_request).await?,
    };
    let holder = Holder {
        owner: format!("session:{}", grant.session),
        organization: Some(organization),
    };
    let when = (now, &platform.settings().certificates);
    insert_tls(write, &plan.relay, &holder, when).await?;
    insert_tls(write, &plan.gateway, &holder, when).await?;
    Ok(plan)
}

#[cfg(test)]
mod tests;
