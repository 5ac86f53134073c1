//! The server's side of the platform's HTTPS: no client certificate.

use std::sync::Arc;

use rustls::ServerConfig;
use rustls::server::NoServerSessionStorage;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::time::{Instant, timeout_at};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;

use super::{AcceptError, CredentialReceiver, TlsFacts, profile};
use crate::Clock;

/// Accepts TLS connections with the newest credential.
#[derive(Clone)]
pub struct ServerTls(TlsAcceptor);

/// A stream whose handshake has finished.
#[derive(Debug)]
pub struct Secured<S> {
    /// The stream.
    pub stream: S,
    /// What was negotiated.
    pub tls: TlsFacts,
}

impl ServerTls {
    /// Makes an acceptor that offers these application protocols, in this order.
    ///
    /// # Errors
    /// Fails only if the library refuses our own settings.
    pub fn new(
        credential: impl Into<CredentialReceiver>,
        clock: Clock,
        alpn: &[&[u8]],
    ) -> Result<Self, rustls::Error> {
        let mut config = ServerConfig::builder_with_details(profile::one_way(), Arc::new(clock))
            .with_protocol_versions(&[&rustls::version::TLS13])?
            .with_no_client_auth()
            .with_cert_resolver(Arc::new(credential.into()));
        config.alpn_protocols = alpn.iter().map(|protocol| protocol.to_vec()).collect();
        config.session_storage = Arc::new(NoServerSessionStorage {});
        config.send_tls13_tickets = 0;
        config.max_early_data_size = 0;
        Ok(Self(TlsAcceptor::from(Arc::new(config))))
    }

    /// Does the handshake before `deadline`.
    ///
    /// # Errors
    /// [`postern_domain::Reason::HandshakeTimeout`] or [`postern_domain::Reason::HandshakeFailed`].
    pub async fn accept<IO>(&self, io: IO, deadline: Instant) -> Result<Secured<TlsStream<IO>>, AcceptError>
    where
        IO: AsyncRead + AsyncWrite + Unpin,
    {
        let stream = timeout_at(deadline, self.0.accept(io))
            .await
            .map_err(|_| AcceptError::timeout())?
            .map_err(|error| AcceptError::of_handshake(&error))?;
        let tls = TlsFacts::of(stream.get_ref().1);
        Ok(Secured { stream, tls })
    }
}

impl std::fmt::Debug for ServerTls {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ServerTls").finish_non_exhaustive()
    }
}
