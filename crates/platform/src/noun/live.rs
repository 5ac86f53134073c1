//! Ending live sessions when what they rest on is taken away; what is still valid of their certificates is
//! revoked.
//!
//! The caller bumps the organization's version in the same transaction.

use postern_domain::{Actor, GatewayId, OrganizationId, ProjectId, SessionId, Timestamp};

use crate::Error;
use crate::revoke;
use crate::store::{Write, millis};

/// Ends one session. Returns whether it was live.
pub(super) async fn end_one(
    write: &mut Write,
    organization: OrganizationId,
    session: SessionId,
    now: Timestamp,
) -> Result<bool, Error> {
    let sql = "UPDATE sessions SET ended = $1 \
               WHERE organization = $2 AND id = $3 AND ended IS NULL AND expires > $1";
    end(write, sql, (organization, now), &[session.to_string()])
        .await
        .map(|ended| ended > 0)
}

/// Ends every live session of an actor.
pub(super) async fn end_of_actor(
    write: &mut Write,
    organization: OrganizationId,
    actor: Actor,
    now: Timestamp,
) -> Result<u64, Error> {
    let sql = "UPDATE sessions SET ended = $1 \
               WHERE organization = $2 AND actor = $3 AND ended IS NULL AND expires > $1";
    end(write, sql, (organization, now), &[actor.to_string()]).await
}

/// Ends every live session of an actor in a project.
pub(super) async fn end_of_member(
    write: &mut Write,
    organization: OrganizationId,
    (project, actor): (ProjectId, Actor),
    now: Timestamp,
) -> Result<u64, Error> {
    let sql = "UPDATE sessions SET ended = $1 \
               WHERE organization = $2 AND project = $3 AND actor = $4 AND ended IS NULL AND expires > $1";
    let keys = [project.to_string(), actor.to_string()];
    end(write, sql, (organization, now), &keys).await
}

/// Ends every live session through a gateway.
pub(super) async fn end_of_gateway(
    write: &mut Write,
    organization: OrganizationId,
    gateway: GatewayId,
    now: Timestamp,
) -> Result<u64, Error> {
    let sql = "UPDATE sessions SET ended = $1 \
               WHERE organization = $2 AND gateway = $3 AND ended IS NULL AND expires > $1";
    end(write, sql, (organization, now), &[gateway.to_string()]).await
}

async fn end(
    write: &mut Write,
    sql: &'static str,
    (organization, now): (OrganizationId, Timestamp),
    keys: &[String],
) -> Result<u64, Error> {
    let mut query = sqlx::query(sql).bind(millis(now)).bind(organization.to_string());
    for key in keys {
        query = query.bind(key);
    }
    let ended = query.execute(&mut **write).await?.rows_affected();
    if ended > 0 {
        revoke::ended_sessions(write, organization, now).await?;
    }
    Ok(ended)
}
