//! The policy document: all that a daemon must know to judge by itself.

use postern_domain::{
    AuthorityRole, DaemonId, GatewayId, Host, InstanceId, Name, OrganizationId, Pin, Port, ProjectId,
    Protocol, ResourceId, Scope, Serial, SessionId, Timestamp,
};
use serde::{Deserialize, Serialize};

use crate::{Relay, RelayEndpoint};

/// `GET /watch/snapshot`: the state of a daemon's scopes at one version.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Snapshot {
    /// The store's epoch: random, another after a restored backup.
    pub epoch: String,
    /// The instance scope's version.
    pub instance_version: u64,
    /// The organization scope's version; absent for an instance relay.
    pub organization_version: Option<u64>,
    /// The platform's clock.
    pub time: Timestamp,
    /// The instance.
    pub instance: InstanceId,
    /// Whom it is for.
    pub daemon: DaemonId,
    /// The keys that the platform's HTTPS certificate may chain to.
    pub platform_pins: Vec<Pin>,
    /// Whom to trust.
    pub trust: TrustDocument,
    /// What a gateway may do; absent for a relay.
    pub gateway: Option<GatewayPolicy>,
    /// What a relay is; absent for a gateway.
    pub relay: Option<Relay>,
}

/// The authorities of the legs that a daemon takes part in, and what they have taken back.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TrustDocument {
    /// X.509 authorities.
    pub tls: Vec<TlsAnchor>,
    /// SSH authorities.
    pub ssh: Vec<SshAnchor>,
    /// What is revoked.
    pub revoked: Vec<Revocation>,
    /// For how many seconds after `time` all this may be gone by.
    pub max_age_s: u64,
}

/// An X.509 authority that signs leaves, with the root above it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TlsAnchor {
    /// Its owner.
    pub owner: Scope,
    /// Its role: relay_client, relay_server, gateway_client or gateway_server.
    pub role: AuthorityRole,
    /// The root's certificate, PEM.
    pub root: String,
    /// The authority's certificate, PEM.
    pub issuer: String,
}

/// An SSH authority.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SshAnchor {
    /// Its owner.
    pub owner: Scope,
    /// Its role: relay_ssh_client or relay_ssh_server.
    pub role: AuthorityRole,
    /// Its public key, one line.
    pub key: String,
}

/// Something that is no longer to be trusted.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Revocation {
    /// One certificate, by its issuer's key and its serial number.
    Certificate {
        /// The issuer's key.
        issuer: Pin,
        /// The serial number.
        serial: Serial,
    },
    /// A public key, whatever certificate it is in.
    Key {
        /// The key.
        key: Pin,
    },
}

/// What a gateway may do.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct GatewayPolicy {
    /// The gateway.
    pub id: GatewayId,
    /// Its organization.
    pub organization: OrganizationId,
    /// Its relays' owner: all are of one scope.
    pub relay_scope: Scope,
    /// The relays to hold tunnels to, in order.
    pub relays: Vec<RelayEndpoint>,
    /// The projects it is mapped to.
    pub projects: Vec<PolicyProject>,
    /// Sessions that were ended before their time.
    pub ended_sessions: Vec<SessionId>,
}

/// A project that a gateway is mapped to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PolicyProject {
    /// The project.
    pub id: ProjectId,
    /// The resources approved in it that lie behind this gateway.
    pub resources: Vec<PolicyResource>,
}

/// An approved resource.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PolicyResource {
    /// The resource.
    pub id: ResourceId,
    /// Its name.
    pub name: Name,
    /// The host to dial.
    pub host: Host,
    /// The port to dial.
    pub port: Port,
    /// What it speaks.
    pub protocol: Protocol,
    /// Networks (CIDR) that its name may resolve to; empty: any that is not forbidden.
    pub allowed_networks: Vec<String>,
}
