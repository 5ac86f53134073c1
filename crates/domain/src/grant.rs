//! Grants: what a client certificate of the inner leg carries.

use serde::{Deserialize, Serialize};

use crate::{
    Actor, GatewayId, Host, OrganizationId, Port, ProjectId, Protocol, ResourceId, SessionId, Timestamp,
};

/// What a grant is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum GrantKind {
    /// Connections to resources.
    Connect,
    /// The platform's question after a gateway's health: `OPTIONS *`, no project, no resources.
    Probe,
}

/// What the actor may do with the resources.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Permission {
    /// Open connections.
    Connect,
}

/// One resource as it was when the grant was made. The gateway demands that its own policy still says the same.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct GrantedResource {
    /// The resource.
    pub id: ResourceId,
    /// Its host.
    pub host: Host,
    /// Its port.
    pub port: Port,
    /// Its protocol.
    pub protocol: Protocol,
}

/// Who may reach which resources through which gateway until when.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Grant {
    /// What it is for.
    pub kind: GrantKind,
    /// The organization that gateway, project and resources belong to.
    pub organization: OrganizationId,
    /// The project of the resources; none in a probe.
    pub project: Option<ProjectId>,
    /// The only gateway that may honour it.
    pub gateway: GatewayId,
    /// Who asked for it.
    pub actor: Actor,
    /// The session it belongs to.
    pub session: SessionId,
    /// What it permits.
    pub permission: Permission,
    /// The resources; none in a probe.
    pub resources: Vec<GrantedResource>,
    /// The moment at which every stream under it ends.
    pub session_expires: Timestamp,
}
