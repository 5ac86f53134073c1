//! The server's side of a mutual leg.

use std::fmt;
use std::sync::Arc;

use postern_domain::Reason;
use postern_pki::{Leg, VerifiedPeer, judge};
use rustls::ServerConfig;
use rustls::server::NoServerSessionStorage;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::time::{Instant, timeout_at};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;

use super::failure::stale;
use super::verifier::ChainVerifier;
use super::{AcceptError, CredentialReceiver, TlsFacts, TrustReceiver, profile};
use crate::Clock;

/// Accepts peers on one leg.
#[derive(Clone)]
pub struct MutualAcceptor {
    tls: TlsAcceptor,
    leg: Leg,
    trust: TrustReceiver,
    clock: Clock,
    alpn: Vec<u8>,
}

/// A peer that was judged and found right.
#[derive(Debug)]
pub struct Accepted<IO> {
    /// The stream.
    pub stream: TlsStream<IO>,
    /// Who it is.
    pub peer: VerifiedPeer,
    /// What was negotiated.
    pub tls: TlsFacts,
}

/// A peer whose handshake has finished, with the judgement on it. A TLS 1.3 client does not learn from the
/// handshake that it was refused, so a server with a protocol for refusals says so on this stream and closes it.
#[derive(Debug)]
pub struct Judged<IO> {
    /// The stream. Nothing that arrives on it may be acted on unless the peer was found right.
    pub stream: TlsStream<IO>,
    /// Who it is, or why it was refused.
    pub peer: Result<VerifiedPeer, AcceptError>,
    /// What was negotiated.
    pub tls: TlsFacts,
}

impl MutualAcceptor {
    /// Makes an acceptor for the leg whose client certificates `leg` describes.
    ///
    /// # Errors
    /// Fails only if the library refuses our own settings.
    pub fn new(
        credential: impl Into<CredentialReceiver>,
        trust: TrustReceiver,
        clock: Clock,
        alpn: &[u8],
        leg: Leg,
    ) -> Result<Self, rustls::Error> {
        let verifier = ChainVerifier {
            leg: leg.clone(),
            trust: trust.clone(),
            clock: clock.clone(),
        };
        let mut config = ServerConfig::builder_with_details(profile::mutual(), Arc::new(clock.clone()))
            .with_protocol_versions(&[&rustls::version::TLS13])?
            .with_client_cert_verifier(Arc::new(verifier))
            .with_cert_resolver(Arc::new(credential.into()));
        config.alpn_protocols = vec![alpn.to_vec()];
        config.session_storage = Arc::new(NoServerSessionStorage {});
        config.send_tls13_tickets = 0;
        config.max_early_data_size = 0;
        Ok(Self {
            tls: TlsAcceptor::from(Arc::new(config)),
            leg,
            trust,
            clock,
            alpn: alpn.to_vec(),
        })
    }

    /// Does the handshake and judges the peer, all before `deadline`.
    ///
    /// # Errors
    /// See [`AcceptError`]: [`Reason::NoCertificate`] when none was presented, the judgement's own reason when it
    /// was refused, [`Reason::HandshakeTimeout`] and [`Reason::HandshakeFailed`] for everything else. The stream
    /// is closed then.
    pub async fn accept<IO>(&self, io: IO, deadline: Instant) -> Result<Accepted<IO>, AcceptError>
    where
        IO: AsyncRead + AsyncWrite + Unpin,
    {
        let Judged { stream, peer, tls } = self.handshake(io, deadline).await?;
        let peer = peer?;
        Ok(Accepted { stream, peer, tls })
    }

    /// Does the handshake and judges the peer, and keeps the stream of a peer that the judgement refused, so that
    /// it can be told.
    ///
    /// # Errors
    /// As [`Self::accept`], for what fails within the handshake: no certificate, or one whose chain, usage or
    /// time is wrong.
    pub async fn handshake<IO>(&self, io: IO, deadline: Instant) -> Result<Judged<IO>, AcceptError>
    where
        IO: AsyncRead + AsyncWrite + Unpin,
    {
        let stream = timeout_at(deadline, self.tls.accept(io))
            .await
            .map_err(|_| AcceptError::timeout())?
            .map_err(|error| AcceptError::of_handshake(&error))?;
        let tls = TlsFacts::of(stream.get_ref().1);
        if tls.alpn != self.alpn {
            return Err(AcceptError::new(
                Reason::HandshakeFailed,
                "the client did not ask for the protocol of this listener (ALPN)",
            ));
        }
        let peer = self.judge(&stream);
        Ok(Judged { stream, peer, tls })
    }

    fn judge<IO>(&self, stream: &TlsStream<IO>) -> Result<VerifiedPeer, AcceptError> {
        // The first certificate is the one whose key signed this handshake; rustls has verified that signature.
        let presented = stream.get_ref().1.peer_certificates().unwrap_or_default();
        let now = self.clock.now();
        let trust = self.trust.borrow().clone();
        let fresh = trust.fresh(now).map_err(|e| stale(&e))?;
        Ok(judge(&self.leg, presented, &fresh, now)?)
    }
}

impl fmt::Debug for MutualAcceptor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("MutualAcceptor").field(&self.leg).finish()
    }
}
