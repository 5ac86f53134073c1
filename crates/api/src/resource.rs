//! Resources.

use postern_domain::{GatewayId, Host, Name, Port, ProjectId, Protocol, ResourceId, Timestamp};
use serde::{Deserialize, Serialize};

/// `POST /resources`.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CreateResource {
    /// Unique in the project.
    pub name: Name,
    /// The project it belongs to.
    pub project: ProjectId,
    /// The gateway it lies behind; it must be mapped to the project.
    pub gateway: GatewayId,
    /// The host that the gateway dials.
    pub host: Host,
    /// The port that the gateway dials.
    pub port: Port,
    /// What it speaks.
    pub protocol: Protocol,
    /// Networks (CIDR) that a host name may resolve to; empty: any that is not forbidden.
    #[serde(default)]
    pub allowed_networks: Vec<String>,
}

/// A resource.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Resource {
    /// Its id.
    pub id: ResourceId,
    /// Its name.
    pub name: Name,
    /// The project it belongs to.
    pub project: ProjectId,
    /// The gateway it lies behind.
    pub gateway: GatewayId,
    /// The host that the gateway dials.
    pub host: Host,
    /// The port that the gateway dials.
    pub port: Port,
    /// What it speaks.
    pub protocol: Protocol,
    /// Networks (CIDR) that a host name may resolve to; empty: any that is not forbidden.
    pub allowed_networks: Vec<String>,
    /// When it was made.
    pub created: Timestamp,
}
