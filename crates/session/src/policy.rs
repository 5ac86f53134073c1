//! What a gateway may open: its own copy of the projects it is mapped to and the resources approved in them.

use std::collections::{HashMap, HashSet};

use postern_domain::{GatewayId, Name, OrganizationId, ProjectId, Protocol, ResourceId, SessionId, Target};

use crate::Network;

/// A resource as the platform has approved it for this gateway.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ApprovedResource {
    /// Its name.
    pub name: Name,
    /// What to dial.
    pub target: Target,
    /// What it speaks.
    pub protocol: Protocol,
    /// Networks that its name may resolve to; empty: any that is not forbidden.
    pub allowed_networks: Vec<Network>,
}

/// A gateway's policy, as last heard from the platform.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Policy {
    /// The gateway's organization.
    pub organization: OrganizationId,
    /// The gateway.
    pub gateway: GatewayId,
    /// The resources approved in each project that the gateway is mapped to.
    pub projects: HashMap<ProjectId, HashMap<ResourceId, ApprovedResource>>,
    /// Sessions that were ended before their time.
    pub ended: HashSet<SessionId>,
}
