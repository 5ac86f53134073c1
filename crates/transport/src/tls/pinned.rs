//! The client's side of the platform's HTTPS. The anchor is the presented certificate whose key is pinned; from
//! there chain, validity, name and usage are checked. There is no trust on first use and no insecure switch.

use std::sync::Arc;

use postern_domain::{Host, Pin, Reason, Timestamp};
use postern_pki::{Claimed, Refusal, inspect, pin_of_certificate};
use rustls::client::Resumption;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::verify_tls13_signature;
use rustls::{ClientConfig, DigitallySignedStruct, Error, PeerIncompatible, SignatureScheme};
use rustls_pki_types::{CertificateDer, ServerName, UnixTime};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::sync::watch;
use tokio::time::{Instant, timeout_at};
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;
use webpki::{EndEntityCert, KeyUsage, anchor_from_trusted_cert};

use super::failure::wrap;
use super::{ConnectError, Secured, TlsFacts, profile};
use crate::Clock;

/// Where the newest pins are read.
pub type PinReceiver = watch::Receiver<Vec<Pin>>;

/// id-kp-serverAuth (RFC 5280 section 4.2.1.12), the content of its DER.
const SERVER_AUTH: &[u8] = &[0x2b, 6, 1, 5, 5, 7, 3, 1];

/// The most certificates that are looked at.
const LONGEST_CHAIN: usize = 5;

/// Connects to the platform.
#[derive(Debug, Clone)]
pub struct PinnedConnector {
    pins: PinReceiver,
    clock: Clock,
    alpn: Vec<Vec<u8>>,
}

impl PinnedConnector {
    /// Makes a connector that offers these application protocols, in this order.
    #[must_use]
    pub fn new(pins: PinReceiver, clock: Clock, alpn: &[&[u8]]) -> Self {
        Self {
            pins,
            clock,
            alpn: alpn.iter().map(|protocol| protocol.to_vec()).collect(),
        }
    }

    /// Makes a connector whose pins never change.
    #[must_use]
    pub fn with_pins(pins: Vec<Pin>, clock: Clock, alpn: &[&[u8]]) -> Self {
        Self::new(watch::channel(pins).1, clock, alpn)
    }

    /// Does the handshake with the platform at `host` before `deadline`.
    ///
    /// # Errors
    /// [`Reason::KeyNotPinned`] when no presented authority is pinned, another reason when the chain below it is
    /// wrong, [`Reason::HandshakeTimeout`] and [`Reason::HandshakeFailed`] for everything else.
    pub async fn connect<IO>(
        &self,
        io: IO,
        host: &Host,
        deadline: Instant,
    ) -> Result<Secured<TlsStream<IO>>, ConnectError>
    where
        IO: AsyncRead + AsyncWrite + Unpin,
    {
        let config = self.config(host).map_err(|error| {
            ConnectError::new(
                Reason::Internal,
                format!("the TLS library refused our settings: {error}"),
            )
        })?;
        let name = server_name(host).ok_or_else(|| {
            ConnectError::new(Reason::InvalidRequest, format!("{host} is not a name for TLS"))
        })?;
        let stream = timeout_at(deadline, TlsConnector::from(Arc::new(config)).connect(name, io))
            .await
            .map_err(|_| ConnectError::timeout())?
            .map_err(|error| ConnectError::of_handshake(&error))?;
        let tls = TlsFacts::of(stream.get_ref().1);
        Ok(Secured { stream, tls })
    }

    fn config(&self, host: &Host) -> Result<ClientConfig, Error> {
        let verifier = PinVerifier {
            pins: self.pins.clone(),
            clock: self.clock.clone(),
            host: host.clone(),
        };
        let mut config = ClientConfig::builder_with_details(profile::one_way(), Arc::new(self.clock.clone()))
            .with_protocol_versions(&[&rustls::version::TLS13])?
            .dangerous()
            .with_custom_certificate_verifier(Arc::new(verifier))
            .with_no_client_auth();
        config.alpn_protocols.clone_from(&self.alpn);
        config.resumption = Resumption::disabled();
        config.enable_early_data = false;
        Ok(config)
    }
}

fn server_name(host: &Host) -> Option<ServerName<'static>> {
    match host {
        Host::Name(name) => ServerName::try_from(name.to_string()).ok(),
        Host::Address(address) => Some(ServerName::from(*address)),
    }
}

#[derive(Debug)]
struct PinVerifier {
    pins: PinReceiver,
    clock: Clock,
    host: Host,
}

impl ServerCertVerifier for PinVerifier {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        _server_name: &ServerName<'_>,
        _ocsp_response: &[u8],
        _now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        let presented: Vec<CertificateDer<'_>> = std::iter::once(end_entity)
            .chain(intermediates)
            .cloned()
            .collect();
        let pins = self.pins.borrow().clone();
        check(&presented, &pins, &self.host, self.clock.now()).map_err(wrap)?;
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        _message: &[u8],
        _cert: &CertificateDer<'_>,
        _dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        Err(Error::PeerIncompatible(PeerIncompatible::Tls12NotOffered))
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        let algorithms = profile::one_way().signature_verification_algorithms;
        verify_tls13_signature(message, cert, dss, &algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        profile::one_way()
            .signature_verification_algorithms
            .supported_schemes()
    }
}

fn refuse(reason: Reason, detail: impl Into<String>) -> Refusal {
    Refusal {
        reason,
        detail: detail.into(),
        claimed: Claimed::default(),
    }
}

/// Judges the chain that the platform presented, leaf first.
pub(super) fn check(
    presented: &[CertificateDer<'_>],
    pins: &[Pin],
    host: &Host,
    now: Timestamp,
) -> Result<(), Refusal> {
    let (leaf, others) = presented
        .split_first()
        .ok_or_else(|| refuse(Reason::NoCertificate, "the platform presented no certificate"))?;
    if others.len() >= LONGEST_CHAIN {
        return Err(refuse(
            Reason::CertificateMalformed,
            "the platform's certificate chain is too long",
        ));
    }
    let is_pinned =
        |der: &&CertificateDer<'_>| pin_of_certificate(der).is_some_and(|pin| pins.contains(&pin));
    let root = others.iter().find(is_pinned).ok_or_else(|| {
        let told = "none of the authorities that the platform presented has a pinned key";
        refuse(Reason::KeyNotPinned, told)
    })?;
    // The library takes an anchor's validity for granted.
    let validity = inspect(root)
        .map_err(|error| {
            refuse(
                Reason::CertificateMalformed,
                format!("the platform's root: {error}"),
            )
        })?
        .validity;
    if now > validity.not_after {
        return Err(refuse(
            Reason::CertificateExpired,
            "the platform's root has expired",
        ));
    }
    if now < validity.not_before {
        return Err(refuse(
            Reason::CertificateNotYetValid,
            "the platform's root is not valid yet",
        ));
    }
    let anchor = anchor_from_trusted_cert(root).map_err(|error| of_webpki(&error))?;
    let between: Vec<_> = others.iter().filter(|der| *der != root).cloned().collect();
    let parsed = EndEntityCert::try_from(leaf).map_err(|error| of_webpki(&error))?;
    let time = UnixTime::since_unix_epoch(std::time::Duration::from_millis(now.as_millis()));
    let algorithms = profile::one_way().signature_verification_algorithms.all;
    let anchors = [anchor];
    let path = parsed
        .verify_for_usage(
            algorithms,
            &anchors,
            &between,
            time,
            KeyUsage::server_auth(),
            None,
            None,
        )
        .map_err(|error| of_webpki(&error))?;
    // The library is content with certificates that do not say what they are for. Authorities need not, the leaf
    // must: it is verified once more, below its issuer alone.
    let issuer = path
        .intermediate_certificates()
        .next()
        .map_or_else(|| root.clone(), |issuer| issuer.der());
    let anchor = anchor_from_trusted_cert(&issuer).map_err(|error| of_webpki(&error))?;
    let usage = KeyUsage::required(SERVER_AUTH);
    parsed
        .verify_for_usage(algorithms, &[anchor], &[], time, usage, None, None)
        .map_err(|error| of_webpki(&error))?;
    let name =
        server_name(host).ok_or_else(|| refuse(Reason::WrongName, format!("{host} is no name for TLS")))?;
    parsed.verify_is_valid_for_subject_name(&name).map_err(|_| {
        refuse(
            Reason::WrongName,
            format!("the platform's certificate is not for {host}"),
        )
    })
}

fn of_webpki(error: &webpki::Error) -> Refusal {
    use webpki::Error;
    let reason = if matches!(error, Error::CertExpired { .. }) {
        Reason::CertificateExpired
    } else if matches!(error, Error::CertNotValidYet { .. }) {
        Reason::CertificateNotYetValid
    } else if matches!(error, Error::UnknownIssuer) {
        Reason::UnknownAuthority
    } else if matches!(error, Error::InvalidSignatureForPublicKey) {
        Reason::BadSignature
    } else if matches!(
        error,
        Error::RequiredEkuNotFoundContext(_) | Error::EndEntityUsedAsCa | Error::CaUsedAsEndEntity
    ) {
        Reason::WrongUsage
    } else {
        Reason::CertificateMalformed
    };
    refuse(
        reason,
        format!("the platform's certificate cannot be verified: {error}"),
    )
}
