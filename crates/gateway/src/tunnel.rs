//! The tunnel to one relay: dialled, proven, kept; when it is lost it is dialled again, for as long as the gateway
//! runs.
//!
//! A new tunnel is made before an old one is given up: when the relay says that it drains, or when the gateway has
//! a newer certificate to prove, another is opened at once and the elder serves its streams to their end.

use std::sync::{Arc, OnceLock};
use std::time::Duration;

use postern_agent::Agent;
use postern_api::RelayEndpoint;
use postern_audit::{Durability, Event, Hop, Recorder};
use postern_domain::{GatewayId, Reason, RelayId, Scope};
use postern_ssh::{ClientConfig, ConfigError, Facts, Incoming, IncomingEvent, RefusedAttempt};
use postern_transport::{Backoff, Clock, Drain, socket};
use tokio::net::TcpStream;
use tokio::sync::{mpsc, oneshot, watch};
use tokio::task::JoinSet;
use tokio::time::{Instant, timeout_at};

use crate::inner::{Inner, Origin, note};
use crate::judge::RelayJudge;

/// How long name resolution and TCP may take, and then again the SSH handshake.
const CONNECT_TIME: Duration = Duration::from_secs(10);

/// How many refusals of one relay may wait to be recorded.
const REFUSALS: usize = 64;

/// How the tunnel to one relay stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum TunnelState {
    /// It is being dialled.
    Connecting,
    /// It is open, and was proven on both sides.
    Open {
        /// What was negotiated.
        facts: Facts,
        /// How long it took to open: TCP, key exchange, both proofs.
        took: Duration,
    },
    /// It was not to be had, or was lost; it will be dialled again.
    Down(String),
}

/// What the tunnels of a gateway share.
#[derive(Debug)]
pub(crate) struct Tunnels {
    pub(crate) gateway: GatewayId,
    pub(crate) agent: Agent,
    pub(crate) scope: Scope,
    pub(crate) inner: Inner,
    pub(crate) recorder: Recorder,
    pub(crate) clock: Clock,
    pub(crate) drain: Drain,
}

impl Tunnels {
    /// Holds a tunnel to one relay until the drain, then lets what is open end.
    pub(crate) async fn hold(&self, relay: &RelayEndpoint, state: &watch::Sender<TunnelState>) {
        let mut backoff = Backoff::default();
        let mut tunnels = JoinSet::new();
        // Dropped or started, it lets the elder tunnel end as soon as it is idle.
        let mut elder = None;
        while !self.drain.is_draining() {
            if !matches!(&*state.borrow(), TunnelState::Open { .. }) {
                state.send_replace(TunnelState::Connecting);
            }
            let began = Instant::now();
            let opened = tokio::select! {
                opened = self.open(relay) => opened,
                () = self.drain.draining() => break,
            };
            match opened {
                Ok(Opened {
                    incoming,
                    judge,
                    refusals,
                }) => {
                    backoff.reset();
                    tracing::info!(relay = %relay.id, host = %relay.host, "tunnel open");
                    state.send_replace(TunnelState::Open {
                        facts: incoming.facts().clone(),
                        took: began.elapsed(),
                    });
                    let (hand, retired) = Drain::new();
                    elder = Some(hand);
                    let (replace, replaced) = oneshot::channel();
                    let tunnel = Tunnel {
                        inner: self.inner.clone(),
                        relay: relay.id,
                        incoming,
                        judge,
                        refusals,
                        retired,
                    };
                    tunnels.spawn(tunnel.serve(replace));
                    let why = self.until_replaced(replaced).await;
                    tracing::info!(relay = %relay.id, host = %relay.host, why, "tunnel to be replaced");
                }
                Err(failure) => {
                    tracing::warn!(relay = %relay.id, host = %relay.host, %failure, "no tunnel");
                    state.send_replace(TunnelState::Down(failure));
                }
            }
            while tunnels.try_join_next().is_some() {}
            if tunnels.is_empty() && matches!(&*state.borrow(), TunnelState::Open { .. }) {
                state.send_replace(TunnelState::Down("the tunnel was lost".into()));
            }
            tokio::select! {
                () = backoff.wait() => (),
                () = self.drain.draining() => break,
            }
        }
        drop(elder);
        while tunnels.join_next().await.is_some() {}
    }

    /// Waits until the tunnel in use is lost or asks for another, or a newer certificate is to be proven.
    async fn until_replaced(&self, replaced: oneshot::Receiver<&'static str>) -> &'static str {
        let mut certificate = self.agent.ssh.clone();
        certificate.mark_unchanged();
        tokio::select! {
            why = replaced => why.unwrap_or("the tunnel was lost"),
            _ = certificate.changed() => "there is a newer certificate to prove",
            () = self.drain.draining() => "this gateway drains",
        }
    }

    /// Dials the relay, judges it, proves this gateway to it, and puts the outcome on record.
    async fn open(&self, relay: &RelayEndpoint) -> Result<Opened, String> {
        let refused = |reason: Reason, detail: String| async move {
            let event = Event::failed(Hop::GatewayTunnel, "tunnel.open", reason, self.clock.now());
            note(&self.recorder, self.describe(relay, event.with_detail(&detail))).await;
            detail
        };
        let tcp = match self.dial(relay).await {
            Ok(tcp) => tcp,
            Err((reason, detail)) => return Err(refused(reason, detail).await),
        };
        let (refusals_sender, refusals) = mpsc::channel(REFUSALS);
        let judge = RelayJudge {
            relay: relay.id,
            scope: self.scope,
            host: relay.host.clone(),
            port: relay.ssh_port,
            trust: self.agent.trust.clone(),
            clock: self.clock.clone(),
            peer: OnceLock::new(),
            refusals: refusals_sender,
        };
        let judge = Arc::new(judge);
        let opened = match self.credentials() {
            Ok(config) => postern_ssh::connect(tcp, &config, Arc::clone(&judge))
                .await
                .map_err(|error| {
                    (
                        error.code().parse().unwrap_or(Reason::HandshakeFailed),
                        error.to_string(),
                    )
                }),
            Err(error) => Err((Reason::Internal, error.to_string())),
        };
        let incoming = match opened {
            Ok(incoming) => incoming,
            Err((reason, detail)) => {
                let event = Event::refused(Hop::GatewayTunnel, "tunnel.open", reason, self.clock.now());
                note(&self.recorder, self.describe(relay, event.with_detail(&detail))).await;
                return Err(detail);
            }
        };
        let event = self.describe(
            relay,
            Event::allowed(Hop::GatewayTunnel, "tunnel.open", self.clock.now()),
        );
        match self.recorder.record(incoming, event, Durability::Synced).await {
            Ok(recorded) => Ok(Opened {
                incoming: recorded.into_inner(),
                judge,
                refusals,
            }),
            Err(error) => Err(error.to_string()),
        }
    }

    /// Joins this gateway's name, key and newest certificate.
    fn credentials(&self) -> Result<ClientConfig, ConfigError> {
        let certificate = Arc::clone(&self.agent.ssh.borrow());
        ClientConfig::new(&self.gateway.to_string(), &self.agent.ssh_key, &certificate)
    }

    fn describe(&self, relay: &RelayEndpoint, event: Event) -> Event {
        let shared = &self.inner.shared;
        let policy = shared.policy.borrow();
        event
            .with_organization(policy.organization)
            .with_gateway(policy.gateway)
            .with_relay(relay.id)
    }

    async fn dial(&self, relay: &RelayEndpoint) -> Result<TcpStream, (Reason, String)> {
        let host = relay.host.to_string();
        let deadline = Instant::now() + CONNECT_TIME;
        let connected = timeout_at(
            deadline,
            TcpStream::connect((host.as_str(), relay.ssh_port.get())),
        )
        .await;
        let shown = format!("{host}:{}", relay.ssh_port);
        match connected {
            Ok(Ok(tcp)) => {
                if let Err(error) = socket::prepare(&tcp) {
                    tracing::debug!(%error, "socket options");
                }
                Ok(tcp)
            }
            Ok(Err(error)) => Err((
                Reason::ConnectionLost,
                format!("the relay at {shown} cannot be reached: {error}"),
            )),
            Err(_) => Err((
                Reason::HandshakeTimeout,
                format!("the relay at {shown} did not answer in time"),
            )),
        }
    }
}

/// A tunnel that was just opened, with the judge of its relay and what that reports.
struct Opened {
    incoming: Incoming<RelayJudge>,
    judge: Arc<RelayJudge>,
    refusals: mpsc::Receiver<RefusedAttempt>,
}

/// Resolves when a relay's authority is lost, with the reason.
async fn lost(inner: &Inner, judge: &RelayJudge) -> Reason {
    match judge.peer.get() {
        Some(peer) => inner.shared.standing.lost(peer).await,
        None => Reason::UnknownAuthority,
    }
}

/// One open tunnel.
struct Tunnel {
    inner: Inner,
    relay: RelayId,
    incoming: Incoming<RelayJudge>,
    judge: Arc<RelayJudge>,
    refusals: mpsc::Receiver<RefusedAttempt>,
    /// Begins when another tunnel has taken its place.
    retired: Drain,
}

impl Tunnel {
    /// Serves streams until the tunnel is lost, or is idle after it was retired. Says through `replace` when
    /// another is to be opened.
    async fn serve(mut self, replace: oneshot::Sender<&'static str>) {
        let mut replace = Some(replace);
        let mut ask = |why| {
            if let Some(replace) = replace.take() {
                replace.send(why).ok();
            }
        };
        let mut streams = JoinSet::new();
        let (mut open, mut retired) = (true, false);
        loop {
            tokio::select! {
                event = self.incoming.next(), if open => match event {
                    Some(IncomingEvent::Stream(stream)) => {
                        let inner = self.inner.clone();
                        let origin = Origin { source: stream.origin(), relay: Some(self.relay) };
                        streams.spawn(async move { inner.serve(stream, origin).await });
                    }
                    Some(IncomingEvent::Drain) => ask("the relay drains"),
                    None => {
                        open = false;
                        ask("the tunnel was lost");
                    }
                },
                Some(attempt) = self.refusals.recv(), if open => self.inner.note_refused_relay(self.relay, &attempt).await,
                reason = lost(&self.inner, &self.judge), if open => {
                    // Nothing more is taken from a relay whose authority is gone, and what it carries ends.
                    tracing::warn!(relay = %self.relay, %reason, "the relay's authority is lost");
                    self.inner.note_lost_relay(self.relay, reason).await;
                    ask("the relay's authority is lost");
                    self.incoming.close(reason.code()).await;
                    // The streams end with the tunnel, and say so in their records.
                    while streams.join_next().await.is_some() {}
                    return;
                }
                () = self.retired.draining(), if !retired => retired = true,
                ended = streams.join_next(), if !streams.is_empty() || retired || !open => {
                    if ended.is_none() {
                        break;
                    }
                }
            }
        }
        self.incoming.close("another tunnel took its place").await;
    }
}
