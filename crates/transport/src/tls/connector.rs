//! The client's side of a mutual leg.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;

use postern_domain::{Host, Reason};
use postern_pki::{Leg, VerifiedPeer, judge};
use rustls::ClientConfig;
use rustls::client::Resumption;
use rustls_pki_types::ServerName;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::time::{Instant, timeout_at};
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use super::failure::stale;
use super::verifier::ChainVerifier;
use super::{ConnectError, CredentialReceiver, TlsFacts, TrustReceiver, profile};
use crate::Clock;

/// Connects to servers of mutual legs with one credential.
#[derive(Clone)]
pub struct MutualConnector {
    credential: CredentialReceiver,
    trust: TrustReceiver,
    clock: Clock,
    alpn: Vec<u8>,
}

/// A server that was judged and found right. Whether it accepts us is not known yet: in TLS 1.3 the client has
/// finished before the server has seen its certificate.
#[derive(Debug)]
pub struct Connected<IO> {
    /// The stream.
    pub stream: TlsStream<IO>,
    /// Who the server is.
    pub peer: VerifiedPeer,
    /// What was negotiated.
    pub tls: TlsFacts,
}

impl MutualConnector {
    /// Makes a connector.
    pub fn new(
        credential: impl Into<CredentialReceiver>,
        trust: TrustReceiver,
        clock: Clock,
        alpn: &[u8],
    ) -> Self {
        Self {
            credential: credential.into(),
            trust,
            clock,
            alpn: alpn.to_vec(),
        }
    }

    /// Does the handshake and judges the server as `leg` describes it, all before `deadline`.
    ///
    /// # Errors
    /// The judgement's own reason when the server was refused, [`Reason::HandshakeTimeout`] and
    /// [`Reason::HandshakeFailed`] for everything else.
    pub async fn connect<IO>(
        &self,
        io: IO,
        leg: &Leg,
        deadline: Instant,
    ) -> Result<Connected<IO>, ConnectError>
    where
        IO: AsyncRead + AsyncWrite + Unpin,
    {
        let config = self.config(leg).map_err(|error| {
            ConnectError::new(
                Reason::Internal,
                format!("the TLS library refused our settings: {error}"),
            )
        })?;
        let connector = TlsConnector::from(Arc::new(config));
        let stream = timeout_at(deadline, connector.connect(name(leg)?, io))
            .await
            .map_err(|_| ConnectError::timeout())?
            .map_err(|error| ConnectError::of_handshake(&error))?;
        let tls = TlsFacts::of(stream.get_ref().1);
        if tls.alpn != self.alpn {
            return Err(ConnectError::new(
                Reason::HandshakeFailed,
                "the server did not agree to the protocol of this leg (ALPN)",
            ));
        }
        let presented = stream.get_ref().1.peer_certificates().unwrap_or_default();
        let now = self.clock.now();
        let trust = self.trust.borrow().clone();
        let fresh = trust.fresh(now).map_err(|e| stale(&e))?;
        let peer = judge(leg, presented, &fresh, now)?;
        Ok(Connected { stream, peer, tls })
    }

    fn config(&self, leg: &Leg) -> Result<ClientConfig, rustls::Error> {
        let verifier = ChainVerifier {
            leg: leg.clone(),
            trust: self.trust.clone(),
            clock: self.clock.clone(),
        };
        let mut config = ClientConfig::builder_with_details(profile::mutual(), Arc::new(self.clock.clone()))
            .with_protocol_versions(&[&rustls::version::TLS13])?
            .dangerous()
            .with_custom_certificate_verifier(Arc::new(verifier))
            .with_client_cert_resolver(Arc::new(self.credential.clone()));
        config.alpn_protocols = vec![self.alpn.clone()];
        config.resumption = Resumption::disabled();
        config.enable_early_data = false;
        // The inner leg has no name that the relay's host would not leak twice; the judgement needs none.
        config.enable_sni = matches!(leg, Leg::RelayServer { .. });
        Ok(config)
    }
}

/// Returns the name for the ClientHello. It decides nothing: the judgement compares the certificate with the leg.
fn name(leg: &Leg) -> Result<ServerName<'static>, ConnectError> {
    match leg {
        Leg::RelayServer {
            host: Host::Name(name),
            ..
        } => ServerName::try_from(name.to_string()).map_err(|_| {
            ConnectError::new(
                Reason::Internal,
                "the relay's host is not a name that TLS can carry",
            )
        }),
        Leg::RelayServer {
            host: Host::Address(address),
            ..
        } => Ok(ServerName::from(*address)),
        Leg::RelayClient { .. } | Leg::GatewayClient { .. } | Leg::GatewayServer { .. } => {
            Ok(ServerName::from(IpAddr::from(Ipv4Addr::UNSPECIFIED)))
        }
    }
}

impl fmt::Debug for MutualConnector {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("MutualConnector").field(&self.credential).finish()
    }
}
