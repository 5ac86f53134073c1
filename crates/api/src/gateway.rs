//! Gateways.

use postern_domain::{GatewayId, Name, ProjectId, RelayId, Timestamp};
use serde::{Deserialize, Serialize};

/// `POST /gateways`.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CreateGateway {
    /// Unique in the organization.
    pub name: Name,
    /// One to three relays of one scope, in order; empty: the platform assigns one.
    #[serde(default)]
    pub relays: Vec<RelayId>,
}

/// A gateway.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Gateway {
    /// Its id.
    pub id: GatewayId,
    /// Its name.
    pub name: Name,
    /// Its relays, in order.
    pub relays: Vec<RelayId>,
    /// The projects it is mapped to.
    pub projects: Vec<ProjectId>,
    /// Whether it holds certificates.
    pub enrolled: bool,
    /// When it last fetched a snapshot.
    pub last_seen: Option<Timestamp>,
    /// When it was made.
    pub created: Timestamp,
}
