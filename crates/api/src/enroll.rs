//! Enrollment and renewal: how a daemon gets its certificates for keys that never leave it.

use postern_domain::{DaemonId, Name, RelayId, Secret, Timestamp};
use serde::{Deserialize, Serialize};

use crate::Snapshot;

/// `POST /enroll`. Authenticated by a one-time token in the body, or, for a gateway, by the bearer token of a
/// machine identity that may enroll gateways, together with the gateway's name.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct EnrollRequest {
    /// The secret of a one-time token.
    #[serde(default)]
    pub token: Option<Secret<String>>,
    /// The name of the gateway; with a machine identity only. It is made if it does not exist.
    #[serde(default)]
    pub name: Option<Name>,
    /// The relays, in order; with a machine identity only. Empty: the platform assigns one.
    #[serde(default)]
    pub relays: Vec<RelayId>,
    /// The requests.
    pub request: UnverifiedDaemonRequest,
    /// The public half of the identity key (Ed25519), one line.
    pub identity_key: String,
    /// A signature by the identity key (SSHSIG, namespace `identity@postern`) over the instance id, a line
    /// feed, and the SHA-256 of the certificate request (DER).
    pub identity_proof: String,
}

/// A daemon's requests, with proof that it holds both keys.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct UnverifiedDaemonRequest {
    /// The X.509 certificate request, PEM (PKCS #10, RFC 2986). Only its public key is taken.
    pub csr: String,
    /// The SSH public key, one line.
    pub ssh_key: String,
    /// SSHSIG by that key, namespace `enroll@postern`, over what `docs/protocol.md` says.
    pub ssh_proof: String,
}

/// The answer to `POST /enroll`.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Enrolled {
    /// Who the daemon is from now on.
    pub daemon: DaemonId,
    /// Its name.
    pub name: Name,
    /// Its certificates.
    pub certificates: DaemonCertificates,
    /// All that it must know to begin.
    pub snapshot: Snapshot,
}

/// A daemon's certificates.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct DaemonCertificates {
    /// The SSH certificate, one line.
    pub ssh: String,
    /// The TLS server certificate and the authority that signed it, PEM, leaf first.
    pub tls: Vec<String>,
    /// When both were made.
    pub issued: Timestamp,
    /// When the earlier of both ends.
    pub expires: Timestamp,
}

/// `POST /daemon/certificates`, by a daemon with a token from its statement: certifies its keys again.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RenewRequest {
    /// The requests. The SSH key must be the one certified at enrollment.
    pub request: UnverifiedDaemonRequest,
}

/// The answer to `POST /daemon/certificates`.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Renewed {
    /// The new certificates.
    pub certificates: DaemonCertificates,
}

/// The answer to `POST /gateways/{id}/enrollment-tokens` and `POST /relays/{id}/enrollment-tokens`.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct EnrollmentToken {
    /// The ticket: address, pins and one-time secret in one text, for `postern-gateway enroll --token`.
    pub token: Secret<String>,
    /// When it ends: an hour after it was made.
    pub expires: Timestamp,
}
