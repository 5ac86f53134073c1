//! What a session needs of the store: the resources, and the way to their gateway.

use http::StatusCode;
use postern_domain::{
    Actor, GatewayId, GrantedResource, Host, OrganizationId, Pin, Port, ProjectId, Reason, RelayId,
    ResourceId, Scope, Timestamp,
};
use sqlx::SqliteConnection;

use crate::Error;
use crate::access::{AccessDecision, Reach};
use crate::store::{Columns as _, millis};

/// The resources of a session, all of one project and behind one gateway.
#[derive(Debug)]
pub(super) struct Found {
    pub(super) project: ProjectId,
    pub(super) gateway: GatewayId,
    pub(super) resources: Vec<GrantedResource>,
}

impl Found {
    /// Reads the resources, in the order asked for.
    ///
    /// # Errors
    /// Not found, for one that does not exist or that the actor may not reach; 422 if they do not share project
    /// and gateway.
    pub(super) async fn read(
        connection: &mut SqliteConnection,
        access: &AccessDecision,
        wanted: &[ResourceId],
    ) -> Result<Self, Error> {
        let member = match (access.reach(), access.actor()) {
            (Reach::Membership, Actor::MachineIdentity(id)) => id.to_string(),
            (Reach::Scope | Reach::ScopeAndInstance, _) => String::new(),
            (Reach::Membership | Reach::Own | Reach::Never, _) => return Err(Error::forbidden()),
        };
        let organization = access.organization()?.to_string();
        let mut place: Option<(ProjectId, GatewayId)> = None;
        let mut resources = Vec::with_capacity(wanted.len());
        for id in wanted {
            let row = sqlx::query(
                "SELECT r.id, r.project, r.gateway, r.host, r.port, r.protocol FROM resources r \
                 WHERE r.organization = $1 AND r.id = $2 AND ($3 = '' OR EXISTS (SELECT 1 FROM members m \
                   WHERE m.organization = r.organization AND m.project = r.project AND m.identity = $3))",
            )
            .bind(&organization)
            .bind(id.to_string())
            .bind(&member)
            .fetch_optional(&mut *connection)
            .await?
            .ok_or_else(Error::not_found)?;
            let its = (row.parsed("project")?, row.parsed("gateway")?);
            if *place.get_or_insert(its) != its {
                return Err(Error::unprocessable(
                    "resources: all must be of one project and lie behind one gateway; open a session for each",
                ));
            }
            resources.push(GrantedResource {
                id: row.parsed("id")?,
                host: row.parsed("host")?,
                port: row.port("port")?,
                protocol: row.parsed("protocol")?,
            });
        }
        let (project, gateway) = place.ok_or_else(|| Error::invalid("resources: none"))?;
        Ok(Self {
            project,
            gateway,
            resources,
        })
    }
}

/// A relay on the way.
#[derive(Debug)]
pub(super) struct Relay {
    pub(super) id: RelayId,
    pub(super) host: Host,
    pub(super) tls_port: Port,
}

/// The way to a gateway, and how to know it.
#[derive(Debug)]
pub(super) struct Way {
    /// The relays' owner.
    pub(super) scope: Scope,
    /// The relays, in order.
    pub(super) relays: Vec<Relay>,
    /// The gateway's keys: at most two, the newest first.
    pub(super) pins: Vec<Pin>,
}

impl Way {
    /// Reads the way to the gateway of what was found.
    ///
    /// # Errors
    /// 422 if the gateway is not mapped to the project, not enrolled, or has no certificate that is valid now.
    pub(super) async fn read(
        connection: &mut SqliteConnection,
        organization: OrganizationId,
        found: &Found,
        now: Timestamp,
    ) -> Result<Self, Error> {
        let owner = organization.to_string();
        let gateway = found.gateway.to_string();
        let (mapped, enrolled): (i64, i64) = sqlx::query_as(
            "SELECT (SELECT COUNT(*) FROM gateway_projects \
                     WHERE organization = $1 AND gateway = $2 AND project = $3), \
                    (SELECT COUNT(*) FROM gateways \
                     WHERE organization = $1 AND id = $2 AND enrolled IS NOT NULL)",
        )
        .bind(&owner)
        .bind(&gateway)
        .bind(found.project.to_string())
        .fetch_one(&mut *connection)
        .await?;
        if mapped == 0 {
            return Err(not_ready(
                Reason::ProjectNotMapped,
                "the gateway is not mapped to the project",
            ));
        }
        let pins = pins(connection, &owner, &gateway, now).await?;
        if enrolled == 0 || pins.is_empty() {
            return Err(not_ready(
                Reason::GatewayOffline,
                "the gateway is not enrolled, or was away for so long that its certificate expired",
            ));
        }
        let rows = sqlx::query(
            "SELECT r.id, r.scope, r.host, r.tls_port FROM gateway_relays g JOIN relays r ON r.id = g.relay \
             WHERE g.organization = $1 AND g.gateway = $2 ORDER BY g.position",
        )
        .bind(&owner)
        .bind(&gateway)
        .fetch_all(connection)
        .await?;
        let scope = match rows.first() {
            Some(first) => first.scope("scope")?,
            None => return Err(not_ready(Reason::GatewayOffline, "the gateway has no relay")),
        };
        let mut relays = Vec::with_capacity(rows.len());
        for row in &rows {
            relays.push(Relay {
                id: row.parsed("id")?,
                host: row.parsed("host")?,
                tls_port: row.port("tls_port")?,
            });
        }
        Ok(Self { scope, relays, pins })
    }
}

fn not_ready(reason: Reason, detail: &str) -> Error {
    Error::new(reason, StatusCode::UNPROCESSABLE_ENTITY, detail)
}

/// Returns the keys under which the gateway holds certificates that are valid now: current and next.
async fn pins(
    connection: &mut SqliteConnection,
    organization: &str,
    gateway: &str,
    now: Timestamp,
) -> Result<Vec<Pin>, Error> {
    let rows = sqlx::query(
        "SELECT c.key AS key, MAX(c.created) AS newest FROM certificates c \
         WHERE c.owner = $1 AND c.kind = 'gateway_server' AND c.scope = $2 AND c.not_after > $3 \
           AND NOT EXISTS (SELECT 1 FROM revocations r WHERE r.scope = c.scope AND r.kind = 'certificate' \
             AND r.issuer = c.issuer AND r.serial = c.serial AND r.key = '') \
         GROUP BY c.key ORDER BY newest DESC, key LIMIT 2",
    )
    .bind(format!("gateway:{gateway}"))
    .bind(organization)
    .bind(millis(now))
    .fetch_all(connection)
    .await?;
    rows.iter().map(|row| row.parsed("key")).collect()
}
