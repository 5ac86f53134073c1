//! The relay's side: who may open a tunnel, and the tunnel that is open.

use std::fmt;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use postern_sshkey::{Certificate, PrivateKey};
use russh::keys::ssh_key::certificate::CertType;
use russh::{MethodKind, MethodSet, SshId};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::sync::oneshot;
use tokio::time::{Instant, timeout_at};

use crate::algorithms;
use crate::convert::{ConfigError, into_library};
use crate::guard::{Guard, Seen};
use crate::kexinit::{Facts, Side};
use crate::refusal::{Attempt, Refused, RefusedAttempt};

mod gate;
mod tunnel;

use gate::{Gate, Login};
pub use tunnel::{OpenError, Tunnel};

/// How often a peer may be refused before it is authenticated.
const MAX_REJECTIONS: usize = 6;

/// A certificate whose signature holds, presented by who proved to have its key in this session.
#[derive(Debug, Clone, Copy)]
pub struct Offered<'a> {
    /// The certificate.
    pub certificate: &'a Certificate,
    /// The user name of the login; foreign text.
    pub user: &'a str,
    /// The address of the peer.
    pub peer: SocketAddr,
}

/// Decides who may open a tunnel.
pub trait Judge: Send + Sync + 'static {
    /// What is known of a gateway that was admitted.
    type Verdict: Clone + Send + Sync + 'static;

    /// Judges a certificate: its authority, type, names, options, validity and revocation. The signature of the
    /// certificate and the possession of its key are proven already. A refusal is the judge's to record.
    ///
    /// # Errors
    /// Refuses with the reason.
    fn judge(&self, offered: Offered<'_>) -> Result<Self::Verdict, Refused>;

    /// Is told what was refused without asking it: other methods, bare keys, channels, requests.
    fn refused(&self, attempt: RefusedAttempt, peer: SocketAddr);
}

/// How a relay serves tunnels. New certificates come in a new configuration, for handshakes from then on.
pub struct ServerConfig {
    library: Arc<russh::server::Config>,
    login_deadline: Duration,
    silence: Duration,
    streams: usize,
}

impl ServerConfig {
    /// Serves with this host key and the certificate over it: 10 s to log in, a keepalive every 3 s, dead after
    /// three without an answer, at most 4096 streams at once.
    ///
    /// # Errors
    /// Refuses a certificate that is not for hosts or is for another key.
    pub fn new(host_key: &PrivateKey, host_certificate: &Certificate) -> Result<Self, ConfigError> {
        let (key, certificate) = into_library(host_key, host_certificate)?;
        if certificate.cert_type() != CertType::Host {
            return Err(ConfigError::Certificate);
        }
        let keepalive = Duration::from_secs(3);
        let library = russh::server::Config {
            server_id: SshId::Standard(algorithms::VERSION.into()),
            methods: MethodSet::from(&[MethodKind::PublicKey][..]),
            // A certificate is no secret to be guessed, so a refusal need not take its time.
            auth_rejection_time: Duration::ZERO,
            auth_rejection_time_initial: None,
            keys: vec![key],
            certificates: vec![certificate],
            limits: algorithms::rekey_limits(),
            window_size: algorithms::WINDOW,
            maximum_packet_size: algorithms::PACKET,
            channel_buffer_size: algorithms::CHANNEL_BUFFER,
            event_buffer_size: 64,
            preferred: algorithms::for_server(),
            max_auth_attempts: MAX_REJECTIONS,
            inactivity_timeout: Some(algorithms::STUCK),
            keepalive_interval: Some(keepalive),
            keepalive_max: 3,
            nodelay: true,
        };
        Ok(Self {
            library: Arc::new(library),
            login_deadline: Duration::from_secs(10),
            silence: keepalive * 3,
            streams: 4096,
        })
    }

    /// Sets how long a peer has to open its tunnel.
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

impl fmt::Debug for ServerConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ServerConfig")
            .field("login_deadline", &self.login_deadline)
            .field("silence", &self.silence)
            .field("streams", &self.streams)
            .finish_non_exhaustive()
    }
}

/// A peer did not open a tunnel.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum AcceptError {
    /// It did not finish in time.
    #[error("the peer did not open its tunnel in time")]
    Deadline,
    /// It was refused, and the judge knows of every refusal.
    #[error("the peer was refused")]
    Refused,
    /// It does not speak SSH as it must.
    #[error("the handshake failed: {0}")]
    Handshake(String),
    /// It left before it tried to log in.
    #[error("the peer left before it logged in")]
    Left,
}

impl AcceptError {
    /// Returns the stable code of the reason, if nobody was told yet that the peer was refused.
    #[must_use]
    pub const fn unrecorded_code(&self) -> Option<&'static str> {
        match self {
            Self::Deadline => Some("handshake_timeout"),
            Self::Refused => None,
            Self::Handshake(_) => Some("handshake_failed"),
            Self::Left => Some("connection_lost"),
        }
    }
}

/// Serves one connection until its peer has opened its tunnel: proven a certificate that the judge took, and asked
/// for exactly the address [`crate::TUNNEL_ADDRESS`] and port [`crate::TUNNEL_PORT`]. No socket is bound for it.
///
/// The caller has set its options on the socket (no delay, keepalive), and bounds how many wait here at once.
///
/// # Errors
/// Fails when the peer is refused, breaks the protocol, leaves, or takes too long; the connection is ended then.
pub async fn accept<J, IO>(
    io: IO,
    peer: SocketAddr,
    config: Arc<ServerConfig>,
    judge: Arc<J>,
) -> Result<Tunnel<J::Verdict>, AcceptError>
where
    J: Judge,
    IO: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let (guard, cutter, seen) = Guard::new(io, Side::Server, config.silence);
    let login = Arc::new(Login::default());
    let (proven, opened) = oneshot::channel();
    let gate = Gate::new(Arc::clone(&judge), peer, Arc::clone(&login), proven);
    let handshake = async {
        let running = russh::server::run_stream(Arc::clone(&config.library), guard, gate)
            .await
            .map_err(|error| error.to_string())?;
        Ok((running.handle(), running))
    };
    let deadline = Instant::now() + config.login_deadline;
    let outcome = match timeout_at(deadline, handshake).await {
        Ok(Ok((handle, running))) => match timeout_at(deadline, opened).await {
            Ok(Ok(proven)) => Ok((handle, running, proven)),
            Ok(Err(_)) => Err(why_not(
                running.await.map_err(|error| error.to_string()),
                &login,
                &seen,
            )),
            Err(_) => {
                drop(cutter);
                // The session ends at once, now that its connection is cut; its task is not left behind.
                drop(running.await);
                return Err(late(&login, judge.as_ref(), peer));
            }
        },
        Ok(Err(error)) => Err(why_not(Err(error), &login, &seen)),
        Err(_) => Err(AcceptError::Deadline),
    };
    match outcome {
        Ok((handle, running, proven)) => {
            let facts = seen.get().and_then(|seen| seen.as_ref().ok()).cloned();
            Ok(Tunnel::start(
                running,
                handle,
                cutter,
                proven,
                facts.unwrap_or_else(unknown),
                config.streams,
            ))
        }
        Err(AcceptError::Left) if login.was_unjudged() => {
            judge.refused(unjudged(), peer);
            Err(AcceptError::Refused)
        }
        Err(error) => Err(error),
    }
}

fn unjudged() -> RefusedAttempt {
    RefusedAttempt::new(
        Attempt::Unjudged,
        "a certificate that is expired, not yet valid or badly signed, or an unknown method",
    )
}

fn late<J: Judge>(login: &Login, judge: &J, peer: SocketAddr) -> AcceptError {
    if login.was_unjudged() {
        judge.refused(unjudged(), peer);
        AcceptError::Refused
    } else if login.was_refused() {
        AcceptError::Refused
    } else {
        AcceptError::Deadline
    }
}

/// Says why a session ended before its tunnel was open.
fn why_not(result: Result<(), String>, login: &Login, seen: &Seen) -> AcceptError {
    match seen.get() {
        Some(Err(error)) => return AcceptError::Handshake(error.to_string()),
        Some(Ok(_)) => {}
        None => {
            return match result {
                Ok(()) => AcceptError::Left,
                Err(error) => AcceptError::Handshake(error),
            };
        }
    }
    if login.was_refused() {
        return AcceptError::Refused;
    }
    match result {
        Err(error) if !login.has_begun() => AcceptError::Handshake(error),
        Ok(()) | Err(_) => AcceptError::Left,
    }
}

fn unknown() -> Facts {
    Facts {
        version: String::new(),
        kex: String::new(),
        cipher: String::new(),
    }
}
