//! What was proven on the way, for people who want to see it.

use std::net::SocketAddr;
use std::time::Duration;

use postern_domain::{Identity, Pin, Serial, Validity};
use postern_pki::VerifiedPeer;
use postern_transport::TlsFacts;

/// Who stood at the other end of a leg, and how it was proven.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LegEvidence {
    /// Who it is.
    pub identity: Identity,
    /// The authority that issued its certificate, such as "Organization Gateway Server CA".
    pub issuer: String,
    /// The certificate's serial number.
    pub serial: Serial,
    /// The certificate's validity.
    pub validity: Validity,
    /// The pin of its key.
    pub key: Pin,
    /// The key exchange, such as `X25519MLKEM768`.
    pub kx: &'static str,
    /// The cipher suite.
    pub cipher: &'static str,
    /// How long the leg took.
    pub elapsed: Duration,
}

impl LegEvidence {
    pub(crate) fn of(peer: &VerifiedPeer, tls: &TlsFacts, elapsed: Duration) -> Self {
        Self {
            identity: *peer.identity(),
            issuer: peer.issuer_title(),
            serial: peer.serial().clone(),
            validity: peer.validity(),
            key: peer.key(),
            kx: tls.kx,
            cipher: tls.cipher,
            elapsed,
        }
    }
}

/// What was proven on both legs of a session.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Evidence {
    /// The relay's address.
    pub address: SocketAddr,
    /// The relay leg: TCP, TLS and the relay's status.
    pub relay: LegEvidence,
    /// The inner leg: TLS with the gateway, through the relay that cannot read it.
    pub gateway: LegEvidence,
    /// How long the gateway took to admit the session.
    pub admission: Duration,
    /// How far this computer's clock is from the platform's.
    pub clock_distance: Duration,
}
