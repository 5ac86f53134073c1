//! The daemon: bound first, so that its ports are known, then run until it is drained.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use postern_agent::{Agent, AgentRun, Spool, SpoolWriter, StartError, StateDir, StateError};
use postern_audit::{Event, Hop, Recorder, Reporter, Source};
use postern_domain::{DaemonId, Reason, RelayId, Scope};
use postern_pki::Leg;
use postern_ssh::{ConfigError, ServerConfig};
use postern_transport::{
    ALPN_RELAY, AcceptLimits, Clock, Drain, MutualAcceptor, Quota, Rate, Slot, Standing,
};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;

use crate::clients::Clients;
use crate::config::{Config, Limits};
use crate::judge::GatewayJudge;
use crate::reports::{ReportWriter, Reports};
use crate::routes::{Route as _, Routes};
use crate::tunnels::{TunnelRoute, Tunnels};

/// A relay cannot start.
#[derive(Debug, thiserror::Error)]
pub enum BindError {
    /// The state directory cannot be used.
    #[error(transparent)]
    State(#[from] StateError),
    /// What it needs to begin is not there.
    #[error(transparent)]
    Start(#[from] StartError),
    /// An address cannot be listened on.
    #[error("cannot listen on {address}: {source}")]
    Listen {
        /// The address.
        address: SocketAddr,
        /// Why not.
        source: std::io::Error,
    },
    /// The state directory belongs to another kind of daemon.
    #[error("the state directory belongs to {0}, not to a relay")]
    WrongKind(DaemonId),
    /// The host certificate is not for the key.
    #[error("SSH cannot be set up: {0}")]
    Ssh(#[from] ConfigError),
    /// TLS refused our own settings.
    #[error("TLS cannot be set up: {0}")]
    Tls(String),
}

/// Where a relay listens.
#[derive(Debug)]
pub struct Listeners {
    /// For gateways.
    pub ssh: TcpListener,
    /// For clients.
    pub tls: TcpListener,
}

impl Listeners {
    /// Binds what the configuration says.
    ///
    /// # Errors
    /// Names the address.
    pub async fn bind(config: &Config) -> Result<Self, BindError> {
        let bind = async |address: SocketAddr| {
            TcpListener::bind(address)
                .await
                .map_err(|source| BindError::Listen { address, source })
        };
        Ok(Self {
            ssh: bind(config.listen.ssh).await?,
            tls: bind(config.listen.tls).await?,
        })
    }
}

/// A relay that is bound and has what it needs to begin.
#[derive(Debug)]
pub struct Relay {
    id: RelayId,
    listeners: Listeners,
    limits: Limits,
    agent: Agent,
    agent_run: AgentRun,
    spool_writer: SpoolWriter,
    report_writer: ReportWriter,
    recorder: Recorder,
    reports: Reports,
    clock: Clock,
    scope: Scope,
    acceptor: MutualAcceptor,
    ssh: Arc<ServerConfig>,
}

impl Relay {
    /// Opens the state directory and starts from it, on listeners that are bound.
    ///
    /// # Errors
    /// The state directory is unusable, no relay enrolled there, or the platform is needed and away.
    pub async fn start(config: &Config, listeners: Listeners, clock: Clock) -> Result<Self, BindError> {
        let state = StateDir::open(&config.state.directory)?;
        let (agent, agent_run) = Agent::start(&state, clock.clone()).await?;
        let own = agent.known.borrow().snapshot.relay.clone();
        let (DaemonId::Relay(id), Some(own)) = (agent.id, own) else {
            return Err(BindError::WrongKind(agent.id));
        };
        let (spool, spool_writer) = Spool::open(&state, Reporter::Daemon(agent.id), clock.now())?;
        let (reports, report_writer) = Reports::new();
        let ssh = Arc::new(server_config(&agent)?);
        let leg = Leg::RelayClient { scope: own.scope };
        let acceptor = MutualAcceptor::new(
            agent.tls.clone(),
            agent.trust.clone(),
            clock.clone(),
            ALPN_RELAY,
            leg,
        )
        .map_err(|error| BindError::Tls(error.to_string()))?;
        Ok(Self {
            id,
            listeners,
            limits: config.limits.clone(),
            agent,
            agent_run,
            spool_writer,
            report_writer,
            recorder: Recorder::new(Arc::new(spool)),
            reports,
            clock,
            scope: own.scope,
            acceptor,
            ssh,
        })
    }

    /// Returns who it is.
    #[must_use]
    pub const fn id(&self) -> RelayId {
        self.id
    }

    /// Runs until the drain has begun and every connection has ended or the time for that is over.
    pub async fn run(self, drain: Drain) {
        let grace = Duration::from_secs(self.limits.drain_seconds);
        let standing = Standing::new(self.agent.trust.clone(), self.clock.clone(), drain.clone(), grace);
        let routes = Routes::new(
            self.limits.gateways,
            most_of_one(self.scope, self.limits.gateways),
        );
        let clients = Arc::new(self.clients(&standing, &routes, &drain));
        let (config, receiver) = watch::channel(Arc::clone(&self.ssh));
        let tunnels = Arc::new(self.tunnels(&standing, &routes, receiver));
        let (finished, stop) = Drain::new();
        let Self {
            listeners,
            limits,
            agent,
            agent_run,
            spool_writer,
            report_writer,
            recorder,
            reports,
            clock,
            id,
            ..
        } = self;
        let shed = |hop, action, reports: &Reports, clock: &Clock| {
            let (reports, clock) = (reports.clone(), clock.clone());
            move |source: SocketAddr, reason: Reason| {
                let event = Event::refused(hop, action, reason, clock.now()).with_relay(id);
                reports.send(event.with_source(Source::seen(source)));
            }
        };
        let tls = postern_transport::serve(
            listeners.tls,
            accept_limits(&limits, limits.connections),
            drain.clone(),
            shed(Hop::RelayTls, "connection.open", &reports, &clock),
            move |tcp: TcpStream, source, slot: Slot| {
                let clients = Arc::clone(&clients);
                async move { clients.serve(tcp, source, slot).await }
            },
        );
        let ssh = postern_transport::serve(
            listeners.ssh,
            accept_limits(&limits, limits.gateways.saturating_mul(2)),
            drain.clone(),
            shed(Hop::RelaySsh, "tunnel.open", &reports, &clock),
            move |tcp: TcpStream, source, slot: Slot| {
                let tunnels = Arc::clone(&tunnels);
                async move { tunnels.serve(tcp, source, slot).await }
            },
        );
        drop(reports);
        let serving = async {
            tokio::join!(
                ssh,
                end_tunnels_after(tls, &routes),
                announce_drain(&drain, &routes)
            );
            finished.start();
        };
        let (recorded, all_recorded) = Drain::new();
        let recording = async {
            // It ends with the last of those who report, and they are gone when the serving is over.
            tokio::join!(serving, report_writer.run(id, recorder));
            recorded.start();
        };
        let (_, (), (), written) = tokio::join!(
            recording,
            agent_run.run(stop.clone()),
            follow_certificate(agent, config, stop),
            spool_writer.run(all_recorded.draining()),
        );
        if let Err(error) = written {
            tracing::error!(%error, "the audit spool's writer failed");
        }
    }

    fn clients(&self, standing: &Standing, routes: &Routes<TunnelRoute>, drain: &Drain) -> Clients {
        let limits = &self.limits;
        Clients {
            relay: self.id,
            acceptor: self.acceptor.clone(),
            standing: standing.clone(),
            routes: routes.clone(),
            organizations: Quota::new(limits.connections, limits.connections_per_organization),
            gateways: Quota::new(limits.connections, limits.connections_per_gateway),
            recorder: self.recorder.clone(),
            reports: self.reports.clone(),
            clock: self.clock.clone(),
            drain: drain.clone(),
        }
    }

    fn tunnels(
        &self,
        standing: &Standing,
        routes: &Routes<TunnelRoute>,
        config: watch::Receiver<Arc<ServerConfig>>,
    ) -> Tunnels {
        let judge = GatewayJudge {
            relay: self.id,
            scope: self.scope,
            trust: self.agent.trust.clone(),
            clock: self.clock.clone(),
            reports: self.reports.clone(),
        };
        Tunnels {
            relay: self.id,
            config,
            judge: Arc::new(judge),
            standing: standing.clone(),
            routes: routes.clone(),
            recorder: self.recorder.clone(),
            reports: self.reports.clone(),
            clock: self.clock.clone(),
        }
    }
}

fn server_config(agent: &Agent) -> Result<ServerConfig, ConfigError> {
    ServerConfig::new(&agent.ssh_key, &agent.ssh.borrow())
}

/// Lets each new handshake present the newest host certificate.
async fn follow_certificate(mut agent: Agent, config: watch::Sender<Arc<ServerConfig>>, stop: Drain) {
    loop {
        tokio::select! {
            changed = agent.ssh.changed() => if changed.is_err() { return },
            () = stop.draining() => return,
        }
        agent.ssh.mark_unchanged();
        match server_config(&agent) {
            Ok(newest) => drop(config.send_replace(Arc::new(newest))),
            Err(error) => tracing::error!(%error, "the new host certificate was not taken over"),
        }
    }
}

/// When the last client has gone, nothing needs the tunnels any more.
async fn end_tunnels_after<T>(clients: impl Future<Output = T>, routes: &Routes<TunnelRoute>) {
    clients.await;
    for route in routes.all() {
        route.close(Reason::Draining);
    }
}

/// Tells every gateway to open a tunnel elsewhere, as soon as the drain begins.
async fn announce_drain(drain: &Drain, routes: &Routes<TunnelRoute>) {
    drain.draining().await;
    for route in routes.all() {
        route.drain();
    }
}

/// How many gateways one organization may have here: all, at a relay of its own; a fifth, at one that is shared.
const fn most_of_one(scope: Scope, gateways: usize) -> usize {
    match scope {
        Scope::Organization(_) => gateways,
        Scope::Instance => gateways.div_ceil(5),
    }
}

fn accept_limits(limits: &Limits, connections: usize) -> AcceptLimits {
    let per_second = limits.connections_per_second_per_source;
    AcceptLimits {
        connections,
        concurrent_total: limits.handshakes,
        concurrent_per_source: limits.handshakes_per_source,
        rate_per_source: Rate {
            per_second,
            burst: per_second.saturating_mul(2),
        },
        // Connections end by themselves after the grace; this is for one that does not.
        drain_deadline: Duration::from_secs(limits.drain_seconds.saturating_add(5)),
    }
}
