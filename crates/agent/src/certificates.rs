//! A daemon's certificates, judged by our own verifiers before anything uses them.

use std::sync::Arc;

use postern_api::DaemonCertificates;
use postern_domain::{DaemonId, Reason, Scope, Timestamp};
use postern_pki::{Leg, Refusal, TrustStale, certificate_from_pem, judge_gateway, judge_relay_host};
use postern_sshkey::{Certificate, UnverifiedCertificate};
use postern_transport::Credential;

use crate::daemon::Keys;
use crate::knowledge::Known;

/// Certificates that the other ends would accept, with the keys they are for.
#[derive(Debug, Clone)]
pub struct Certified {
    /// The TLS chain and its key.
    pub tls: Credential,
    /// The SSH certificate.
    pub ssh: Arc<Certificate>,
}

/// Certificates cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum CertificatesRefused {
    /// The other end would refuse one.
    #[error("the {leg} certificate would be refused: {detail} ({reason})")]
    Refused {
        /// Which: `TLS` or `SSH`.
        leg: &'static str,
        /// Why.
        reason: Reason,
        /// More for a person.
        detail: String,
    },
    /// One cannot be read, or is for another key.
    #[error("the {leg} certificate cannot be used: {detail}")]
    Unusable {
        /// Which: `TLS` or `SSH`.
        leg: &'static str,
        /// What is wrong with it.
        detail: String,
    },
    /// What is known is too old, or not enough, to judge them.
    #[error("the certificates cannot be judged: {0}")]
    Unjudged(String),
}

impl CertificatesRefused {
    /// Returns the stable code.
    #[must_use]
    pub const fn reason(&self) -> Reason {
        match self {
            Self::Refused { reason, .. } => *reason,
            Self::Unusable { .. } => Reason::CertificateMalformed,
            Self::Unjudged(_) => Reason::TrustStale,
        }
    }

    pub(crate) fn tls(refusal: Refusal) -> Self {
        Self::refused("TLS", refusal)
    }

    fn ssh(refusal: Refusal) -> Self {
        Self::refused("SSH", refusal)
    }

    fn refused(leg: &'static str, refusal: Refusal) -> Self {
        Self::Refused {
            leg,
            reason: refusal.reason,
            detail: refusal.detail,
        }
    }
}

impl From<TrustStale> for CertificatesRefused {
    fn from(stale: TrustStale) -> Self {
        Self::Unjudged(stale.to_string())
    }
}

/// Returns the leg on which a daemon serves TLS, as what is known describes it.
///
/// # Errors
/// If what is known does not describe this daemon.
pub fn server_leg(id: DaemonId, keys: &Keys, known: &Known) -> Result<Leg, CertificatesRefused> {
    let leg = match id {
        DaemonId::Relay(relay) => known.snapshot.relay.as_ref().map(|own| Leg::RelayServer {
            scope: own.scope,
            relay,
            host: own.host.clone(),
        }),
        DaemonId::Gateway(gateway) => known.snapshot.gateway.as_ref().map(|own| Leg::GatewayServer {
            organization: own.organization,
            gateway,
            pins: vec![keys.certified.tls.pin()],
        }),
    };
    leg.ok_or_else(|| CertificatesRefused::Unjudged(format!("the snapshot does not describe {id}")))
}

/// Judges a daemon's certificates as the other ends will.
///
/// # Errors
/// If one of them would be refused, is for another key, or cannot be read.
pub fn certify(
    id: DaemonId,
    keys: &Keys,
    certificates: &DaemonCertificates,
    known: &Known,
    now: Timestamp,
) -> Result<Certified, CertificatesRefused> {
    Ok(Certified {
        tls: certify_tls(id, keys, certificates, known, now)?,
        ssh: Arc::new(certify_ssh(id, keys, certificates, known, now)?),
    })
}

fn certify_tls(
    id: DaemonId,
    keys: &Keys,
    certificates: &DaemonCertificates,
    known: &Known,
    now: Timestamp,
) -> Result<Credential, CertificatesRefused> {
    let unusable = |detail: String| CertificatesRefused::Unusable { leg: "TLS", detail };
    let chain = certificates
        .tls
        .iter()
        .map(|pem| certificate_from_pem(pem))
        .collect::<Result<Vec<_>, _>>()
        .map_err(|error| unusable(error.to_string()))?;
    let credential = Credential::new(chain, keys.certified.tls.private_key_der())
        .map_err(|error| unusable(error.to_string()))?;
    credential
        .verify(&server_leg(id, keys, known)?, &known.trust.fresh(now)?, now)
        .map_err(CertificatesRefused::tls)?;
    Ok(credential)
}

fn certify_ssh(
    id: DaemonId,
    keys: &Keys,
    certificates: &DaemonCertificates,
    known: &Known,
    now: Timestamp,
) -> Result<Certificate, CertificatesRefused> {
    let unusable = |detail: String| CertificatesRefused::Unusable { leg: "SSH", detail };
    let certificate = UnverifiedCertificate::from_openssh(&certificates.ssh)
        .and_then(UnverifiedCertificate::verify_signature)
        .map_err(|error| unusable(error.to_string()))?;
    if certificate.key() != keys.certified.ssh.public_key() {
        return Err(unusable("it is for another key".into()));
    }
    let trust = known.trust.fresh(now)?;
    let snapshot = &known.snapshot;
    match (id, &snapshot.relay, &snapshot.gateway) {
        (DaemonId::Relay(relay), Some(own), _) => {
            let (host, port) = (&own.host, own.ssh_port);
            judge_relay_host(&certificate, (host, port), relay, own.scope, &trust, now)
                .map_err(CertificatesRefused::ssh)?;
        }
        (DaemonId::Gateway(gateway), _, Some(own)) => {
            let user = gateway.to_string();
            let scope: Scope = own.relay_scope;
            for relay in &own.relays {
                judge_gateway(&certificate, &user, relay.id, scope, &trust, now)
                    .map_err(CertificatesRefused::ssh)?;
            }
        }
        (DaemonId::Relay(_) | DaemonId::Gateway(_), _, _) => {
            return Err(CertificatesRefused::Unjudged(format!(
                "the snapshot does not describe {id}"
            )));
        }
    }
    Ok(certificate)
}
