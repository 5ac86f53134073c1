//! What a gateway may do, and whom it trusts.

use postern_api::{GatewayPolicy, PolicyProject, PolicyResource, RelayEndpoint, TrustDocument};
use postern_domain::{AuthorityRole, GatewayId, OrganizationId, ProjectId, Scope, SessionId, Timestamp};
use sqlx::SqliteConnection;
use sqlx::sqlite::SqliteRow;

use super::revocations;
use crate::Error;
use crate::authority::{ssh_anchor, tls_anchor};
use crate::store::{Columns as _, millis};

/// Reads a gateway's policy: its relays, the projects it is mapped to with the resources approved behind it, and
/// the sessions that ended before their time.
pub(super) async fn policy(
    connection: &mut SqliteConnection,
    id: GatewayId,
    now: Timestamp,
) -> Result<GatewayPolicy, Error> {
    let organization: Option<String> = sqlx::query_scalar("SELECT organization FROM gateways WHERE id = $1")
        .bind(id.to_string())
        .fetch_optional(&mut *connection)
        .await?;
    let organization: OrganizationId = organization
        .ok_or_else(Error::not_found)?
        .parse()
        .map_err(Error::internal)?;
    let owner = organization.to_string();
    let key = id.to_string();
    let relays = sqlx::query(
        "SELECT r.id, r.scope, r.host, r.ssh_port FROM gateway_relays g JOIN relays r ON r.id = g.relay \
         WHERE g.organization = $1 AND g.gateway = $2 ORDER BY g.position",
    )
    .bind(&owner)
    .bind(&key)
    .fetch_all(&mut *connection)
    .await?;
    let relay_scope = match relays.first() {
        Some(first) => first.scope("scope")?,
        None => return Err(Error::unprocessable("the gateway has no relay: give it one")),
    };
    let ended = sqlx::query(
        "SELECT id FROM sessions WHERE organization = $1 AND gateway = $2 AND expires > $3 AND ended IS NOT NULL \
         ORDER BY id",
    )
    .bind(&owner)
    .bind(&key)
    .bind(millis(now))
    .fetch_all(&mut *connection)
    .await?;
    Ok(GatewayPolicy {
        id,
        organization,
        relay_scope,
        relays: relays.iter().map(endpoint).collect::<Result<_, _>>()?,
        projects: projects(connection, &owner, &key).await?,
        ended_sessions: ended
            .iter()
            .map(|r| r.parsed::<SessionId>("id"))
            .collect::<Result<_, _>>()?,
    })
}

fn endpoint(row: &SqliteRow) -> Result<RelayEndpoint, Error> {
    Ok(RelayEndpoint {
        id: row.parsed("id")?,
        host: row.parsed("host")?,
        ssh_port: row.port("ssh_port")?,
    })
}

async fn projects(
    connection: &mut SqliteConnection,
    organization: &str,
    gateway: &str,
) -> Result<Vec<PolicyProject>, Error> {
    let rows = sqlx::query(
        "SELECT g.project, r.id, r.name, r.host, r.port, r.protocol, r.allowed_networks \
         FROM gateway_projects g LEFT JOIN resources r \
           ON r.organization = g.organization AND r.project = g.project AND r.gateway = g.gateway \
         WHERE g.organization = $1 AND g.gateway = $2 ORDER BY g.project, r.id",
    )
    .bind(organization)
    .bind(gateway)
    .fetch_all(connection)
    .await?;
    let mut projects: Vec<PolicyProject> = Vec::new();
    for row in &rows {
        let id: ProjectId = row.parsed("project")?;
        if projects.last().is_none_or(|last| last.id != id) {
            projects.push(PolicyProject {
                id,
                resources: Vec::new(),
            });
        }
        if let (Some(resource), Some(project)) = (resource(row)?, projects.last_mut()) {
            project.resources.push(resource);
        }
    }
    Ok(projects)
}

/// Reads a resource; a project without any has a row without one.
fn resource(row: &SqliteRow) -> Result<Option<PolicyResource>, Error> {
    let Some(id) = row.parsed_option("id")? else {
        return Ok(None);
    };
    Ok(Some(PolicyResource {
        id,
        name: row.parsed("name")?,
        host: row.parsed("host")?,
        port: row.port("port")?,
        protocol: row.parsed("protocol")?,
        allowed_networks: serde_json::from_str(&row.text("allowed_networks")?).map_err(Error::internal)?,
    }))
}

/// The authorities of the two legs that end at a gateway, on both sides, and what both scopes have revoked.
pub(super) async fn trust(
    connection: &mut SqliteConnection,
    policy: &GatewayPolicy,
    now: Timestamp,
    max_age_s: u64,
) -> Result<TrustDocument, Error> {
    let own = Scope::Organization(policy.organization);
    let relays = policy.relay_scope;
    Ok(TrustDocument {
        tls: vec![
            tls_anchor(connection, own, AuthorityRole::GatewayClient).await?,
            tls_anchor(connection, own, AuthorityRole::GatewayServer).await?,
        ],
        ssh: vec![
            ssh_anchor(connection, relays, AuthorityRole::RelaySshServer).await?,
            ssh_anchor(connection, relays, AuthorityRole::RelaySshClient).await?,
        ],
        revoked: revocations(connection, &[Scope::Instance, own], now).await?,
        max_age_s,
    })
}
