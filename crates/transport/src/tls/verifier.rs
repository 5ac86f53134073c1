//! The rustls verifier of both mutual legs. It checks what must be right before the handshake may finish, by the
//! same code that judges afterwards, and carries its refusal out of the handshake.

use postern_domain::Reason;
use postern_pki::{Claimed, Leg, Refusal, check_chain, inspect};
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::verify_tls13_signature;
use rustls::server::danger::{ClientCertVerified, ClientCertVerifier};
use rustls::{
    CertificateError, DigitallySignedStruct, DistinguishedName, Error, PeerIncompatible, SignatureScheme,
};
use rustls_pki_types::{CertificateDer, ServerName, UnixTime};

use super::failure::{stale, wrap};
use super::{TrustReceiver, profile};
use crate::Clock;

/// Judges the chain of a peer on one leg, by the newest trust.
#[derive(Debug)]
pub(super) struct ChainVerifier {
    pub(super) leg: Leg,
    pub(super) trust: TrustReceiver,
    pub(super) clock: Clock,
}

impl ChainVerifier {
    fn check(&self, leaf: &CertificateDer<'_>) -> Result<(), Error> {
        let now = self.clock.now();
        let trust = self.trust.borrow().clone();
        let fresh = trust.fresh(now).map_err(|e| wrap(stale(&e)))?;
        // Whatever else was presented has no part in the judgement: the issuer is the leg's own.
        check_chain(&self.leg, std::slice::from_ref(leaf), &fresh, now).map_err(wrap)
    }
}

/// Verifies that the peer holds the key of the leaf.
fn check_possession(
    message: &[u8],
    leaf: &CertificateDer<'_>,
    signature: &DigitallySignedStruct,
) -> Result<HandshakeSignatureValid, Error> {
    let algorithms = profile::mutual().signature_verification_algorithms;
    let verified = verify_tls13_signature(message, leaf, signature, &algorithms);
    verified.map_err(|error| {
        if error != Error::InvalidCertificate(CertificateError::BadSignature) {
            return error;
        }
        wrap(Refusal {
            reason: Reason::BadSignature,
            detail: String::from("the peer does not hold the key of the certificate that it presented"),
            claimed: claimed_by(leaf),
        })
    })
}

fn claimed_by(leaf: &CertificateDer<'_>) -> Claimed {
    Claimed {
        serial: inspect(leaf).ok().map(|facts| facts.serial),
        ..Claimed::default()
    }
}

fn no_tls12() -> Error {
    Error::PeerIncompatible(PeerIncompatible::Tls12NotOffered)
}

impl ClientCertVerifier for ChainVerifier {
    fn root_hint_subjects(&self) -> &[DistinguishedName] {
        // A stranger need not learn who is trusted here.
        &[]
    }

    fn verify_client_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        _intermediates: &[CertificateDer<'_>],
        _now: UnixTime,
    ) -> Result<ClientCertVerified, Error> {
        self.check(end_entity).map(|()| ClientCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        _message: &[u8],
        _cert: &CertificateDer<'_>,
        _dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        Err(no_tls12())
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        check_possession(message, cert, dss)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        profile::mutual()
            .signature_verification_algorithms
            .supported_schemes()
    }
}

impl ServerCertVerifier for ChainVerifier {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        _intermediates: &[CertificateDer<'_>],
        _server_name: &ServerName<'_>,
        _ocsp_response: &[u8],
        _now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        self.check(end_entity).map(|()| ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        _message: &[u8],
        _cert: &CertificateDer<'_>,
        _dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        Err(no_tls12())
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        check_possession(message, cert, dss)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        profile::mutual()
            .signature_verification_algorithms
            .supported_schemes()
    }
}
