//! Certificate requests with proof of possession. Only what was verified here is ever certified.
//!
//! A *client* sends a PKCS #10 request (RFC 2986) for each leg; its signature is the proof. A *daemon* sends
//! one, an SSH public key, and a signature by that key (SSHSIG, namespace `enroll@postern`) over exactly
//! these bytes, each line ended by one line feed:
//!
//! ```text
//! postern enroll v1
//! <instance id>
//! <relay or gateway>
//! <SHA-256 of the PKCS #10 request in DER, 64 digits of lower-case hex>
//! ```
//!
//! so that neither key can be certified together with another's, for another instance, or for another kind of
//! daemon. At enrollment a daemon also proves its identity key: a signature (SSHSIG, namespace
//! `identity@postern`) over the instance id, one line feed, and the SHA-256 of the request, 32 bytes.
//!
//! From a request the public key is taken and nothing else. Only P-256 keys are: one algorithm for all TLS
//! keys keeps handshakes cheap, and a request for an RSA key would let its sender choose what each later
//! verification costs.

use std::fmt::{self, Write as _};

use postern_domain::{InstanceId, Pin, Reason};
use postern_sshkey::{Algorithm, PublicKey, sshsig};
use x509_parser::certification_request::X509CertificationRequest;
use x509_parser::prelude::FromDer as _;
use yasna::models::ObjectIdentifier;

use crate::pem::{self, PemError};
use crate::pin::{pin_of_ssh_key, sha256};
use crate::profile::LeafKind;
use crate::spki::P256Public;

/// The namespace of a daemon's proof that it holds its SSH key.
pub const REQUEST_NAMESPACE: &str = "enroll@postern";

/// The namespace of a daemon's proof that it holds its identity key.
pub const IDENTITY_NAMESPACE: &str = "identity@postern";

/// The algorithm by which requests are signed.
const ECDSA_WITH_SHA256: [u64; 7] = [1, 2, 840, 10045, 4, 3, 2];

/// The longest request that is looked at, in bytes.
const LONGEST_REQUEST: usize = 4 * 1024;

/// The longest SSH key or signature that is looked at, in bytes.
const LONGEST_TEXT: usize = 4 * 1024;

/// A request was refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RequestError {
    /// It is not PEM.
    #[error("the certificate request is {0}")]
    Pem(#[from] PemError),
    /// It cannot be read.
    #[error("the certificate request cannot be read")]
    Malformed,
    /// Its key is not P-256.
    #[error("the certificate request is for another kind of key than P-256")]
    KeyKind,
    /// Its sender does not hold the key.
    #[error("the certificate request is not signed by its own key")]
    Signature,
    /// The SSH key cannot be read, or is not Ed25519.
    #[error("the SSH key is not one line with an Ed25519 public key")]
    SshKey,
    /// The sender does not hold the SSH key, or signed something else with it.
    #[error("the SSH key did not sign this request for this instance and this kind of daemon")]
    SshProof,
    /// The sender does not hold the identity key, or signed something else with it.
    #[error("the identity key did not sign this request for this instance")]
    IdentityProof,
}

impl RequestError {
    /// Returns the stable code.
    #[must_use]
    pub const fn reason(&self) -> Reason {
        match self {
            Self::Pem(_) | Self::Malformed | Self::KeyKind | Self::SshKey => Reason::InvalidRequest,
            Self::Signature | Self::SshProof | Self::IdentityProof => Reason::BadSignature,
        }
    }
}

/// The kinds of daemon that enroll.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum DaemonKind {
    /// A relay.
    Relay,
    /// A gateway.
    Gateway,
}

impl DaemonKind {
    /// Returns the text form: `relay` or `gateway`.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Relay => "relay",
            Self::Gateway => "gateway",
        }
    }
}

impl fmt::Display for DaemonKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// A request whose sender proved that he holds every key in it. Made by [`verify_csr`] and
/// [`verify_daemon_request`] only.
#[derive(Debug, Clone)]
pub struct VerifiedRequest {
    tls: P256Public,
    csr: [u8; 32],
    daemon: Option<(DaemonKind, PublicKey)>,
}

impl VerifiedRequest {
    /// Returns the TLS key, SubjectPublicKeyInfo in DER.
    #[must_use]
    pub fn tls_key(&self) -> Vec<u8> {
        self.tls.to_spki()
    }

    /// Returns the pin of the TLS key.
    #[must_use]
    pub fn pin(&self) -> Pin {
        self.tls.pin()
    }

    /// Returns the SSH key; a client has none.
    #[must_use]
    pub fn ssh_key(&self) -> Option<&PublicKey> {
        self.daemon.as_ref().map(|(_, key)| key)
    }

    /// Returns the pin of the SSH key.
    #[must_use]
    pub fn ssh_pin(&self) -> Option<Pin> {
        self.ssh_key().map(pin_of_ssh_key)
    }

    /// Returns the kind of daemon that the request is for; a client's is for none.
    #[must_use]
    pub fn daemon(&self) -> Option<DaemonKind> {
        self.daemon.as_ref().map(|(kind, _)| *kind)
    }

    /// Returns the SHA-256 of the PKCS #10 request, by which a repeated enrollment is known.
    #[must_use]
    pub const fn csr_digest(&self) -> &[u8; 32] {
        &self.csr
    }

    pub(crate) const fn public(&self) -> &P256Public {
        &self.tls
    }

    /// Whether this kind of leaf may be made from it.
    pub(crate) fn is_for(&self, kind: LeafKind) -> bool {
        let wanted = match kind {
            LeafKind::RelayServer | LeafKind::RelaySsh => Some(DaemonKind::Relay),
            LeafKind::GatewayServer | LeafKind::GatewaySsh => Some(DaemonKind::Gateway),
            LeafKind::RelayClient | LeafKind::GatewayClient | LeafKind::Platform => None,
        };
        self.daemon() == wanted
    }
}

/// Verifies a client's request: one PKCS #10 request in PEM, for a P-256 key, signed by it.
///
/// # Errors
/// Says which of these does not hold.
pub fn verify_csr(csr_pem: &str) -> Result<VerifiedRequest, RequestError> {
    let der = pem::decode(pem::REQUEST, csr_pem)?;
    if der.len() > LONGEST_REQUEST {
        return Err(RequestError::Malformed);
    }
    let (rest, request) = X509CertificationRequest::from_der(&der).map_err(|_| RequestError::Malformed)?;
    if !rest.is_empty() {
        return Err(RequestError::Malformed);
    }
    let info = &request.certification_request_info;
    let tls = P256Public::from_spki(info.subject_pki.raw).ok_or(RequestError::KeyKind)?;
    // The parser is lenient around the signed part; a request has one encoding, so that its digest names it.
    if encode(info.raw, &request.signature_value.data) != der {
        return Err(RequestError::Malformed);
    }
    if !tls.verifies(info.raw, &request.signature_value.data) {
        return Err(RequestError::Signature);
    }
    Ok(VerifiedRequest {
        tls,
        csr: sha256(&der),
        daemon: None,
    })
}

/// Writes a request around its signed part: signed by ECDSA with SHA-256 (RFC 5758 section 3.2), or none of
/// ours.
fn encode(info: &[u8], signature: &[u8]) -> Vec<u8> {
    yasna::construct_der(|writer| {
        writer.write_sequence(|seq| {
            seq.next().write_der(info);
            seq.next().write_sequence(|algorithm| {
                algorithm
                    .next()
                    .write_oid(&ObjectIdentifier::from_slice(&ECDSA_WITH_SHA256));
            });
            seq.next()
                .write_bitvec_bytes(signature, signature.len().saturating_mul(8));
        });
    })
}

/// Verifies a daemon's requests: the PKCS #10 request as [`verify_csr`] does, and that the SSH key signed the
/// statement of the module's documentation.
///
/// # Errors
/// Says which of these does not hold.
pub fn verify_daemon_request(
    csr_pem: &str,
    ssh_key: &str,
    ssh_proof: &str,
    instance: InstanceId,
    kind: DaemonKind,
) -> Result<VerifiedRequest, RequestError> {
    let request = verify_csr(csr_pem)?;
    let key = read_ssh_key(ssh_key).ok_or(RequestError::SshKey)?;
    let statement = statement(instance, kind, &request.csr);
    if !is_proof(&key, REQUEST_NAMESPACE, &statement, ssh_proof) {
        return Err(RequestError::SshProof);
    }
    Ok(VerifiedRequest {
        daemon: Some((kind, key)),
        ..request
    })
}

/// Verifies a daemon's identity key and the signature by it.
///
/// # Errors
/// Fails if the request or the key cannot be read, or the key did not sign [`identity_statement`].
pub fn verify_identity_statement(
    identity_key: &str,
    proof: &str,
    instance: InstanceId,
    csr_pem: &str,
) -> Result<PublicKey, RequestError> {
    let key = read_ssh_key(identity_key).ok_or(RequestError::SshKey)?;
    let csr = pem::decode(pem::REQUEST, csr_pem)?;
    if is_proof(
        &key,
        IDENTITY_NAMESPACE,
        &identity_statement(instance, &csr),
        proof,
    ) {
        Ok(key)
    } else {
        Err(RequestError::IdentityProof)
    }
}

fn read_ssh_key(line: &str) -> Option<PublicKey> {
    if line.len() > LONGEST_TEXT {
        return None;
    }
    PublicKey::from_openssh(line)
        .ok()
        .filter(|key| key.algorithm() == Algorithm::Ed25519)
}

fn is_proof(key: &PublicKey, namespace: &str, message: &[u8], armored: &str) -> bool {
    armored.len() <= LONGEST_TEXT && sshsig::verify(key, namespace, message, armored).is_ok()
}

/// Returns the bytes that a daemon's SSH key signs; `csr` is the request in DER.
#[must_use]
pub fn request_statement(instance: InstanceId, kind: DaemonKind, csr: &[u8]) -> Vec<u8> {
    statement(instance, kind, &sha256(csr))
}

fn statement(instance: InstanceId, kind: DaemonKind, digest: &[u8; 32]) -> Vec<u8> {
    let mut out = format!("postern enroll v1\n{instance}\n{kind}\n");
    for byte in digest {
        // Writing to a String never fails.
        write!(out, "{byte:02x}").unwrap_or_default();
    }
    out.push('\n');
    out.into_bytes()
}

/// Returns the bytes that a daemon's identity key signs; `csr` is the request in DER.
#[must_use]
pub fn identity_statement(instance: InstanceId, csr: &[u8]) -> Vec<u8> {
    let mut out = format!("{instance}\n").into_bytes();
    out.extend_from_slice(&sha256(csr));
    out
}
