//! More than a fresh world has: further gateways, and resources behind them.

use std::net::SocketAddr;
use std::path::PathBuf;

use anyhow::Context as _;
use postern_api::{CreateGateway, CreateResource, ListQuery, Organization, Resource};
use postern_domain::{GatewayId, Host, Port, Protocol, RelayId};
use postern_pki::DaemonKind;

use crate::world::World;

/// A gateway that has enrolled and does not run.
#[derive(Debug, Clone)]
pub struct EnrolledGateway {
    /// Its id.
    pub id: GatewayId,
    /// Its state directory.
    pub state: PathBuf,
}

impl EnrolledGateway {
    /// Returns its spool directory.
    #[must_use]
    pub fn spool(&self) -> PathBuf {
        self.state.join("spool")
    }
}

impl World {
    /// Returns the organization `acme`.
    ///
    /// # Errors
    /// The platform refused.
    pub async fn organization(&self) -> anyhow::Result<Organization> {
        let query = ListQuery {
            name: Some(postern_dev::seed::ORGANIZATION.into()),
            ..ListQuery::default()
        };
        let admin = self.stack.administrator().await?;
        let mut found = self.stack.api.list_organizations(&admin, &query).await?;
        found.items.pop().context("the organization")
    }

    /// Makes another gateway of the project, for these relays, and enrolls it.
    ///
    /// # Errors
    /// The platform refused.
    pub async fn enroll_gateway(&self, name: &str, relays: &[RelayId]) -> anyhow::Result<EnrolledGateway> {
        let (api, token) = (&self.stack.api, self.seeded.owner.token().await?);
        let new = CreateGateway {
            name: name.parse()?,
            relays: relays.to_vec(),
        };
        let id = api.create_gateway(&token, &new).await?.id;
        api.map_gateway(&token, id, self.seeded.project).await?;
        let ticket = api.create_gateway_token(&token, id).await?;
        let state = self.directory().join(format!("state-{name}"));
        self.stack.enroll(&state, DaemonKind::Gateway, &ticket).await?;
        Ok(EnrolledGateway { id, state })
    }

    /// Approves a target on loopback as a resource behind any gateway of the project.
    ///
    /// # Errors
    /// The platform refused.
    pub async fn resource_behind(
        &self,
        gateway: GatewayId,
        name: &str,
        at: SocketAddr,
    ) -> anyhow::Result<Resource> {
        let new = CreateResource {
            name: name.parse()?,
            project: self.seeded.project,
            gateway,
            host: Host::Address(at.ip()),
            port: Port::new(at.port()).context("a port")?,
            protocol: Protocol::Tcp,
            allowed_networks: Vec::new(),
        };
        let token = self.seeded.owner.token().await?;
        Ok(self.stack.api.create_resource(&token, &new).await?)
    }
}
