//! Sessions: what a client asks for, and all that it needs to reach a gateway.

use postern_domain::{
    Actor, GatewayId, Grant, Host, InstanceId, Pin, Port, RelayId, ResourceId, Scope, SessionId, Timestamp,
};
use serde::{Deserialize, Serialize};

use crate::TlsAnchor;

/// `POST /sessions`: one or more resources of one project that lie behind one gateway, and two certificate
/// requests by keys that the client made for this session.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CreateSession {
    /// The resources, 1 to 32.
    pub resources: Vec<ResourceId>,
    /// The request for the relay leg, PEM.
    pub relay_csr: String,
    /// The request for the inner leg, PEM; another key than the relay leg's.
    pub gateway_csr: String,
}

/// The answer to `POST /sessions`.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct SessionGranted {
    /// The instance, the trust domain of every identity in it.
    pub instance: InstanceId,
    /// The platform's clock.
    pub time: Timestamp,
    /// What was granted; the inner leg's certificate carries the same.
    pub grant: Grant,
    /// The client's certificates.
    pub certificates: ClientCertificates,
    /// The relays to try, in order.
    pub relays: Vec<SessionRelay>,
    /// What to demand of the gateway.
    pub gateway: GatewayExpectation,
}

/// The two certificates of a session, each with the authority that signed it.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct ClientCertificates {
    /// For the relay leg: leaf and intermediate, PEM.
    pub relay: Vec<String>,
    /// For the inner leg: leaf and intermediate, PEM.
    pub gateway: Vec<String>,
    /// The end of both: until then handshakes can begin.
    pub expires: Timestamp,
}

/// A relay to try, and what to demand of it.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct SessionRelay {
    /// The relay.
    pub id: RelayId,
    /// Its owner.
    pub scope: Scope,
    /// Its host, which its certificate must name.
    pub host: Host,
    /// Its TLS port.
    pub tls_port: Port,
    /// The authorities its certificate may come from.
    pub anchors: Vec<TlsAnchor>,
}

/// What a client demands of the gateway's certificate.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct GatewayExpectation {
    /// The gateway.
    pub id: GatewayId,
    /// The authorities its certificate may come from.
    pub anchors: Vec<TlsAnchor>,
    /// Its key: at most two, current and next.
    pub pins: Vec<Pin>,
}

/// A session as it is listed.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Session {
    /// Its id.
    pub id: SessionId,
    /// Who asked for it.
    pub actor: Actor,
    /// The gateway.
    pub gateway: GatewayId,
    /// The resources.
    pub resources: Vec<ResourceId>,
    /// When it was made.
    pub created: Timestamp,
    /// When it ends by itself.
    pub expires: Timestamp,
    /// When it was ended before that.
    pub ended: Option<Timestamp>,
}
