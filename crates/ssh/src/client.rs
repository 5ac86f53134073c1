//! The gateway's side: the relay is judged, we prove who we are, and take the streams that the relay opens.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use postern_sshkey::{Certificate, PrivateKey};
use russh::client::Handle;
use russh::{Disconnect, SshId};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::sync::{Semaphore, mpsc};
use tokio::time::timeout;

use crate::algorithms;
use crate::convert::{ConfigError, into_library};
use crate::guard::{Cutter, Guard, Seen};
use crate::kexinit::{Facts, Side};
use crate::refusal::{Refused, RefusedAttempt};
use crate::stream::TunnelStream;
use crate::{TUNNEL_ADDRESS, TUNNEL_PORT};

mod door;

use door::{Door, HostVerdict};

/// How long a goodbye may take.
const GOODBYE: Duration = Duration::from_secs(1);
/// Streams that wait to be taken.
const WAITING: usize = 64;

/// Decides whether a relay is the one that was dialled.
pub trait HostJudge: Send + Sync + 'static {
    /// Judges a host certificate: its authority, type, names, validity and revocation. The signature of the
    /// certificate is verified already; the possession of its key is proven before we go on.
    ///
    /// # Errors
    /// Refuses with the reason.
    fn judge(&self, certificate: &Certificate) -> Result<(), Refused>;

    /// Is told what the relay asked for and was refused.
    fn refused(&self, attempt: RefusedAttempt) {
        tracing::warn!(attempt = %attempt.attempt, detail = %attempt.detail, "refused to the relay");
    }
}

/// How a gateway opens tunnels.
#[derive(Clone)]
pub struct ClientConfig {
    library: Arc<russh::client::Config>,
    user: String,
    key: Arc<russh::keys::PrivateKey>,
    certificate: russh::keys::Certificate,
    login_deadline: Duration,
    silence: Duration,
    streams: usize,
}

impl ClientConfig {
    /// Logs in as `user` with this key and the certificate over it: 10 s to open a tunnel, a keepalive every 3 s,
    /// dead after three without an answer, at most 4096 streams at once.
    ///
    /// # Errors
    /// Refuses a certificate that is for another key.
    pub fn new(user: &str, key: &PrivateKey, certificate: &Certificate) -> Result<Self, ConfigError> {
        let (key, certificate) = into_library(key, certificate)?;
        let keepalive = Duration::from_secs(3);
        let library = russh::client::Config {
            client_id: SshId::Standard(algorithms::VERSION.into()),
            limits: algorithms::rekey_limits(),
            window_size: algorithms::WINDOW,
            maximum_packet_size: algorithms::PACKET,
            channel_buffer_size: algorithms::CHANNEL_BUFFER,
            preferred: algorithms::for_client(),
            inactivity_timeout: Some(algorithms::STUCK),
            keepalive_interval: Some(keepalive),
            keepalive_max: 3,
            nodelay: true,
            ..russh::client::Config::default()
        };
        Ok(Self {
            library: Arc::new(library),
            user: user.to_owned(),
            key: Arc::new(key),
            certificate,
            login_deadline: Duration::from_secs(10),
            silence: keepalive * 3,
            streams: 4096,
        })
    }

    /// Sets how long opening a tunnel may take.
    #[must_use]
    pub const fn with_login_deadline(mut self, deadline: Duration) -> Self {
        self.login_deadline = deadline;
        self
    }

    /// Sets how many streams one tunnel carries at once.
    #[must_use]
    pub const fn with_streams(mut self, streams: usize) -> Self {
        self.streams = streams;
        self
    }
}

impl fmt::Debug for ClientConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ClientConfig")
            .field("user", &self.user)
            .field("login_deadline", &self.login_deadline)
            .field("silence", &self.silence)
            .field("streams", &self.streams)
            .finish_non_exhaustive()
    }
}

/// A tunnel could not be opened.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ConnectError {
    /// It took too long.
    #[error("the tunnel was not open in time")]
    Deadline,
    /// The relay's host certificate was refused; nothing was said of who we are.
    #[error("the relay's host certificate: {0}")]
    Host(Refused),
    /// The relay refused our certificate.
    #[error("the relay refused our certificate")]
    LoginRefused,
    /// The relay refused the tunnel.
    #[error("the relay refused the tunnel")]
    TunnelRefused,
    /// The relay does not speak SSH as it must, or left.
    #[error("the handshake failed: {0}")]
    Handshake(String),
}

impl ConnectError {
    /// Returns the stable code of the reason.
    #[must_use]
    pub const fn code(&self) -> &'static str {
        match self {
            Self::Deadline => "handshake_timeout",
            Self::Host(refused) => refused.code,
            Self::LoginRefused | Self::TunnelRefused => "refused",
            Self::Handshake(_) => "handshake_failed",
        }
    }
}

/// What a relay does on an open tunnel.
#[derive(Debug)]
pub enum IncomingEvent {
    /// It opened a stream on behalf of a client.
    Stream(TunnelStream),
    /// It drains: open a tunnel elsewhere, and keep this one until it closes.
    Drain,
}

/// An open tunnel, as the gateway uses it. It ends when this is dropped.
pub struct Incoming<J: HostJudge> {
    handle: Handle<Door<J>>,
    events: mpsc::Receiver<IncomingEvent>,
    cutter: Option<Cutter>,
    certificate: Certificate,
    facts: Facts,
    end: Option<String>,
}

/// Opens a tunnel: judges the relay by its host certificate, proves our certificate, asks for the tunnel.
///
/// The caller has set its options on the socket (no delay, keepalive).
///
/// # Errors
/// Fails when either side refuses the other, the relay breaks the protocol, or it takes too long.
pub async fn connect<J, IO>(io: IO, config: &ClientConfig, judge: Arc<J>) -> Result<Incoming<J>, ConnectError>
where
    J: HostJudge,
    IO: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let (guard, cutter, seen) = Guard::new(io, Side::Client, config.silence);
    let verdict = HostVerdict::default();
    let (sender, events) = mpsc::channel(WAITING);
    let streams = Arc::new(Semaphore::new(config.streams));
    let door = Door::new(judge, Arc::clone(&verdict), sender, streams);
    let opening = open(guard, config, door, &verdict, &seen);
    // Dropping the cutter on the way out ends whatever was begun.
    let handle = timeout(config.login_deadline, opening)
        .await
        .map_err(|_| ConnectError::Deadline)??;
    let judged = verdict.get().and_then(|judged| judged.as_ref().ok()).cloned();
    let facts = seen.get().and_then(|seen| seen.as_ref().ok()).cloned();
    match (judged, facts) {
        (Some(certificate), Some(facts)) => Ok(Incoming {
            handle,
            events,
            cutter: Some(cutter),
            certificate,
            facts,
            end: None,
        }),
        _ => Err(ConnectError::Handshake("the relay was not judged".to_owned())),
    }
}

async fn open<J, IO>(
    guard: Guard<IO>,
    config: &ClientConfig,
    door: Door<J>,
    verdict: &HostVerdict,
    seen: &Seen,
) -> Result<Handle<Door<J>>, ConnectError>
where
    J: HostJudge,
    IO: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let failed = |error: russh::Error| match (verdict.get(), seen.get()) {
        (Some(Err(refused)), _) => ConnectError::Host(refused.clone()),
        (_, Some(Err(error))) => ConnectError::Handshake(error.to_string()),
        _ => ConnectError::Handshake(error.to_string()),
    };
    let mut handle = russh::client::connect_stream(Arc::clone(&config.library), guard, door)
        .await
        .map_err(failed)?;
    let proven = handle
        .authenticate_openssh_cert(
            config.user.clone(),
            Arc::clone(&config.key),
            config.certificate.clone(),
        )
        .await
        .map_err(failed)?;
    if !proven.success() {
        return Err(ConnectError::LoginRefused);
    }
    match handle.tcpip_forward(TUNNEL_ADDRESS, TUNNEL_PORT).await {
        Ok(_) => Ok(handle),
        Err(russh::Error::RequestDenied) => Err(ConnectError::TunnelRefused),
        Err(error) => Err(failed(error)),
    }
}

impl<J: HostJudge> Incoming<J> {
    /// Waits for what the relay does next; `None` when the tunnel has ended. Nothing is lost when it is dropped.
    pub async fn next(&mut self) -> Option<IncomingEvent> {
        if self.end.is_some() {
            return None;
        }
        // The library lets go of the sender when the session ends, so all that came before the end is seen first.
        if let Some(event) = self.events.recv().await {
            return Some(event);
        }
        self.end = Some(match (&mut self.handle).await {
            Ok(()) => "the relay left".to_owned(),
            Err(error) => error.to_string(),
        });
        None
    }

    /// Lends the relay's host certificate.
    #[must_use]
    pub const fn certificate(&self) -> &Certificate {
        &self.certificate
    }

    /// Lends what was negotiated.
    #[must_use]
    pub const fn facts(&self) -> &Facts {
        &self.facts
    }

    /// Says in words why the tunnel ended, once [`Self::next`] has returned `None`.
    #[must_use]
    pub fn end(&self) -> Option<&str> {
        self.end.as_deref()
    }

    /// Ends the tunnel and all its streams, with words for the peer's log, and waits until it has.
    pub async fn close(mut self, why: &str) {
        if self.end.is_some() {
            return;
        }
        let goodbye = async {
            let sent = self.handle.disconnect(Disconnect::ByApplication, why, "");
            if sent.await.is_ok() {
                drop((&mut self.handle).await);
            }
        };
        if timeout(GOODBYE, goodbye).await.is_err() {
            drop(self.cutter.take());
            drop(self.handle.await);
        }
    }
}

impl<J: HostJudge> fmt::Debug for Incoming<J> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Incoming")
            .field("certificate", &self.certificate)
            .field("facts", &self.facts)
            .field("end", &self.end)
            .finish_non_exhaustive()
    }
}
