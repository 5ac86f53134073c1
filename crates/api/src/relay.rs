//! Relays.

use postern_domain::{Host, Name, Port, RelayId, Scope, Timestamp};
use serde::{Deserialize, Serialize};

/// `POST /relays`.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CreateRelay {
    /// Unique in its scope.
    pub name: Name,
    /// Where gateways and clients reach it; unique in its scope, with the ports.
    pub host: Host,
    /// Its SSH port; 2222 if absent.
    #[serde(default)]
    pub ssh_port: Option<Port>,
    /// Its TLS port; 8443 if absent.
    #[serde(default)]
    pub tls_port: Option<Port>,
}

/// A relay.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Relay {
    /// Its id.
    pub id: RelayId,
    /// Its name.
    pub name: Name,
    /// Its owner.
    pub scope: Scope,
    /// Where it is reached.
    pub host: Host,
    /// Its SSH port.
    pub ssh_port: Port,
    /// Its TLS port.
    pub tls_port: Port,
    /// Whether it holds certificates.
    pub enrolled: bool,
    /// When it last fetched a snapshot.
    pub last_seen: Option<Timestamp>,
    /// When it was made.
    pub created: Timestamp,
}

/// Where a gateway dials a relay.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RelayEndpoint {
    /// The relay.
    pub id: RelayId,
    /// Its host, the principal of its host certificate.
    pub host: Host,
    /// Its SSH port.
    pub ssh_port: Port,
}
