//! Failures of handshakes, in the words of the table of reasons.

use std::io;
use std::sync::Arc;

use postern_domain::Reason;
use postern_pki::{Claimed, Refusal, TrustStale};
use rustls::{CertificateError, OtherError};

/// A peer was not accepted.
#[derive(Debug, Clone, thiserror::Error)]
#[error("{} {detail}", .reason.explanation())]
pub struct AcceptError {
    /// Why.
    pub reason: Reason,
    /// What exactly was wrong, for the log and the audit record.
    pub detail: String,
    /// What the refused certificate says about itself; nothing of it was proven.
    pub claimed: Claimed,
}

/// A connection was not made.
#[derive(Debug, Clone, thiserror::Error)]
#[error("{} {detail}", .reason.explanation())]
pub struct ConnectError {
    /// Why.
    pub reason: Reason,
    /// What exactly was wrong.
    pub detail: String,
}

impl AcceptError {
    pub(super) fn new(reason: Reason, detail: impl Into<String>) -> Self {
        Self {
            reason,
            detail: detail.into(),
            claimed: Claimed::default(),
        }
    }

    pub(super) fn timeout() -> Self {
        Self::new(
            Reason::HandshakeTimeout,
            "the client did not finish the TLS handshake in time",
        )
    }

    /// Reads what a failed handshake says.
    pub(super) fn of_handshake(error: &io::Error) -> Self {
        match read(error, "client") {
            Failure::Refused(refusal) => refusal.into(),
            Failure::Other(reason, detail) => Self::new(reason, detail),
        }
    }
}

impl From<Refusal> for AcceptError {
    fn from(refusal: Refusal) -> Self {
        Self {
            reason: refusal.reason,
            detail: refusal.detail,
            claimed: refusal.claimed,
        }
    }
}

impl ConnectError {
    pub(super) fn new(reason: Reason, detail: impl Into<String>) -> Self {
        Self {
            reason,
            detail: detail.into(),
        }
    }

    pub(super) fn timeout() -> Self {
        Self::new(
            Reason::HandshakeTimeout,
            "the server did not finish the TLS handshake in time",
        )
    }

    /// Reads what a failed handshake says.
    pub(super) fn of_handshake(error: &io::Error) -> Self {
        match read(error, "server") {
            Failure::Refused(refusal) => refusal.into(),
            Failure::Other(reason, detail) => Self::new(reason, detail),
        }
    }
}

impl From<Refusal> for ConnectError {
    fn from(refusal: Refusal) -> Self {
        Self::new(refusal.reason, refusal.detail)
    }
}

/// Returns the refusal of a daemon that knows too little to judge anybody.
pub(super) fn stale(stale: &TrustStale) -> Refusal {
    Refusal {
        reason: Reason::TrustStale,
        detail: stale.to_string(),
        claimed: Claimed::default(),
    }
}

/// Wraps a verifier's refusal so that it comes out of the handshake whole. The peer gets the alert
/// certificate_unknown, which tells a stranger nothing.
pub(super) fn wrap(refusal: Refusal) -> rustls::Error {
    rustls::Error::InvalidCertificate(CertificateError::Other(OtherError(Arc::new(refusal))))
}

enum Failure {
    Refused(Refusal),
    Other(Reason, String),
}

fn read(error: &io::Error, peer: &str) -> Failure {
    let tls = error
        .get_ref()
        .and_then(|inner| inner.downcast_ref::<rustls::Error>());
    let Some(tls) = tls else {
        let what = if error.kind() == io::ErrorKind::UnexpectedEof {
            format!("the {peer} closed the connection during the TLS handshake")
        } else {
            format!("the connection failed during the TLS handshake: {error}")
        };
        return Failure::Other(Reason::HandshakeFailed, what);
    };
    if let rustls::Error::InvalidCertificate(CertificateError::Other(other)) = tls
        && let Some(refusal) = other.0.downcast_ref::<Refusal>()
    {
        return Failure::Refused(refusal.clone());
    }
    if *tls == rustls::Error::NoCertificatesPresented {
        return Failure::Other(
            Reason::NoCertificate,
            format!("the {peer} presented no certificate"),
        );
    }
    if *tls == rustls::Error::InvalidCertificate(CertificateError::BadSignature) {
        let what = format!("the {peer} does not hold the key of its certificate");
        return Failure::Other(Reason::BadSignature, what);
    }
    if let rustls::Error::InvalidCertificate(error) = tls {
        let what = format!("the {peer}'s certificate cannot be used: {error}");
        return Failure::Other(Reason::CertificateMalformed, what);
    }
    if let rustls::Error::AlertReceived(alert) = tls {
        let what = format!("the {peer} gave up the TLS handshake: {alert:?}");
        return Failure::Other(Reason::HandshakeFailed, what);
    }
    let what = format!("the TLS handshake with the {peer} failed: {tls}");
    Failure::Other(Reason::HandshakeFailed, what)
}
