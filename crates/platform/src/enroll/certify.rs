//! A daemon's two certificates: what they say comes from the store and from nowhere else.

use postern_domain::{DaemonId, GatewayId, Host, Name, OrganizationId, Port, RelayId, Scope, Timestamp};
use postern_pki::{Leaf, SshLeaf, VerifiedRequest};
use sqlx::SqliteConnection;

use crate::access::AccessDecision;
use crate::issue::{DaemonPlan, Holder, insert_ssh, insert_tls, plan_ssh, plan_tls};
use crate::store::{Columns as _, Write};
use crate::{Error, Platform};

/// A daemon as the store knows it.
#[derive(Debug)]
pub(super) struct Subject {
    pub(super) name: Name,
    /// Its owner.
    pub(super) scope: Scope,
    daemon: Daemon,
}

#[derive(Debug)]
enum Daemon {
    Relay {
        id: RelayId,
        host: Host,
        ssh_port: Port,
    },
    Gateway {
        id: GatewayId,
        organization: OrganizationId,
        relays: Vec<RelayId>,
        relay_scope: Scope,
    },
}

impl Subject {
    /// Reads a daemon.
    ///
    /// # Errors
    /// Not found; 422 for a gateway that has no relay.
    pub(super) async fn find(connection: &mut SqliteConnection, daemon: DaemonId) -> Result<Self, Error> {
        match daemon {
            DaemonId::Relay(id) => Self::relay(connection, id).await,
            DaemonId::Gateway(id) => Self::gateway(connection, id).await,
        }
    }

    async fn relay(connection: &mut SqliteConnection, id: RelayId) -> Result<Self, Error> {
        let row = sqlx::query("SELECT name, scope, host, ssh_port FROM relays WHERE id = $1")
            .bind(id.to_string())
            .fetch_optional(connection)
            .await?
            .ok_or_else(Error::not_found)?;
        Ok(Self {
            name: row.parsed("name")?,
            scope: row.scope("scope")?,
            daemon: Daemon::Relay {
                id,
                host: row.parsed("host")?,
                ssh_port: row.port("ssh_port")?,
            },
        })
    }

    async fn gateway(connection: &mut SqliteConnection, id: GatewayId) -> Result<Self, Error> {
        let row = sqlx::query("SELECT name, organization FROM gateways WHERE id = $1")
            .bind(id.to_string())
            .fetch_optional(&mut *connection)
            .await?
            .ok_or_else(Error::not_found)?;
        let organization = row.parsed("organization")?;
        let rows = sqlx::query(
            "SELECT g.relay, r.scope FROM gateway_relays g JOIN relays r ON r.id = g.relay \
             WHERE g.organization = $1 AND g.gateway = $2 ORDER BY g.position",
        )
        .bind(row.text("organization")?)
        .bind(id.to_string())
        .fetch_all(connection)
        .await?;
        let relay_scope = match rows.first() {
            Some(first) => first.scope("scope")?,
            None => return Err(Error::unprocessable("the gateway has no relay: give it one")),
        };
        Ok(Self {
            name: row.parsed("name")?,
            scope: Scope::Organization(organization),
            daemon: Daemon::Gateway {
                id,
                organization,
                relays: rows.iter().map(|r| r.parsed("relay")).collect::<Result<_, _>>()?,
                relay_scope,
            },
        })
    }
}

/// Plans both certificates and records their serial numbers in the transaction.
///
/// # Errors
/// Refused as revoked, if a key was.
pub(super) async fn plan(
    platform: &Platform,
    write: &mut Write,
    access: &AccessDecision,
    (subject, request): (&Subject, &VerifiedRequest),
    now: Timestamp,
) -> Result<DaemonPlan, Error> {
    let instance = platform.instance().id;
    let scope = subject.scope;
    let (owner, tls, ssh) = match &subject.daemon {
        Daemon::Relay { id, host, ssh_port } => {
            let tls = Leaf::RelayServer {
                instance,
                scope,
                relay: *id,
                host: host.clone(),
            };
            let ssh = SshLeaf::Relay {
                relay: *id,
                host: host.clone(),
                port: *ssh_port,
            };
            (DaemonId::Relay(*id), (scope, tls), (scope, ssh))
        }
        Daemon::Gateway {
            id,
            organization,
            relays,
            relay_scope,
        } => {
            let tls = Leaf::GatewayServer {
                instance,
                organization: *organization,
                gateway: *id,
            };
            let ssh = SshLeaf::Gateway {
                gateway: *id,
                organization: *organization,
                relays: relays.clone(),
            };
            (DaemonId::Gateway(*id), (scope, tls), (*relay_scope, ssh))
        }
    };
    let holder = Holder {
        owner: owner.to_string(),
        organization: scope.organization(),
    };
    let plan = DaemonPlan {
        tls: plan_tls(platform, write, access, tls, request).await?,
        ssh: plan_ssh(platform, write, access, ssh, request).await?,
    };
    let when = (now, &platform.settings().certificates);
    insert_tls(write, &plan.tls, &holder, when).await?;
    insert_ssh(write, &plan.ssh, &holder, when).await?;
    Ok(plan)
}
