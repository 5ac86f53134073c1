//! The daemon: started from its state directory, then run until it is drained. It listens nowhere.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use postern_agent::{Agent, AgentRun, Known, Spool, SpoolWriter, StartError, StateDir, StateError};
use postern_api::{GatewayPolicy, RelayEndpoint};
use postern_audit::{Recorder, Reporter};
use postern_domain::{DaemonId, GatewayId, RelayId};
use postern_pki::Leg;
use postern_session::Policy;
use postern_transport::{ALPN_INNER, Clock, Drain, MutualAcceptor, Standing};
use tokio::sync::{Semaphore, watch};
use tokio::task::JoinSet;

use crate::config::{Config, Limits};
use crate::inner::{Inner, Shared};
use crate::policy::{self, PolicyError};
use crate::rules::{Rules, RulesError};
use crate::tunnel::{TunnelState, Tunnels};

/// A gateway cannot start.
#[derive(Debug, thiserror::Error)]
pub enum BindError {
    /// The state directory cannot be used.
    #[error(transparent)]
    State(#[from] StateError),
    /// What it needs to begin is not there.
    #[error(transparent)]
    Start(#[from] StartError),
    /// The local rule file cannot be used.
    #[error(transparent)]
    Rules(#[from] RulesError),
    /// The platform's policy cannot be used.
    #[error(transparent)]
    Policy(#[from] PolicyError),
    /// The state directory belongs to another kind of daemon.
    #[error("the state directory belongs to {0}, not to a gateway")]
    WrongKind(DaemonId),
    /// TLS refused our own settings.
    #[error("TLS cannot be set up: {0}")]
    Tls(String),
}

/// How each tunnel stands, in the order in which the relays were learned.
pub type Tunnelled = Vec<(RelayId, TunnelState)>;

/// A gateway that has what it needs to begin.
#[derive(Debug)]
pub struct Gateway {
    id: GatewayId,
    limits: Limits,
    rules: Rules,
    agent: Agent,
    agent_run: AgentRun,
    spool_writer: SpoolWriter,
    recorder: Recorder,
    clock: Clock,
    document: GatewayPolicy,
    policy: watch::Sender<Arc<Policy>>,
    acceptor: MutualAcceptor,
    tunnels: watch::Sender<Tunnelled>,
}

impl Gateway {
    /// Reads the rule file, opens the state directory and starts from it.
    ///
    /// # Errors
    /// One of them is unusable, no gateway enrolled there, or the platform is needed and away.
    pub async fn start(config: &Config, clock: Clock) -> Result<Self, BindError> {
        let rules = config
            .rules
            .file
            .as_deref()
            .map(Rules::load)
            .transpose()?
            .unwrap_or_default();
        let state = StateDir::open(&config.state.directory)?;
        let (agent, agent_run) = Agent::start(&state, clock.clone()).await?;
        let document = agent.known.borrow().snapshot.gateway.clone();
        let (DaemonId::Gateway(id), Some(document)) = (agent.id, document) else {
            return Err(BindError::WrongKind(agent.id));
        };
        let policy = watch::Sender::new(Arc::new(policy::read(&document)?));
        let (spool, spool_writer) = Spool::open(&state, Reporter::Daemon(agent.id), clock.now())?;
        let leg = Leg::GatewayClient {
            organization: document.organization,
            gateway: id,
        };
        let acceptor = MutualAcceptor::new(
            agent.tls.clone(),
            agent.trust.clone(),
            clock.clone(),
            ALPN_INNER,
            leg,
        )
        .map_err(|error| BindError::Tls(error.to_string()))?;
        Ok(Self {
            id,
            limits: config.limits.clone(),
            rules,
            agent,
            agent_run,
            spool_writer,
            recorder: Recorder::new(Arc::new(spool)),
            clock,
            document,
            policy,
            acceptor,
            tunnels: watch::Sender::new(Vec::new()),
        })
    }

    /// Returns who it is.
    #[must_use]
    pub const fn id(&self) -> GatewayId {
        self.id
    }

    /// Returns where the policy is read that streams are judged by.
    #[must_use]
    pub fn policy(&self) -> watch::Receiver<Arc<Policy>> {
        self.policy.subscribe()
    }

    /// Returns where it is read how its tunnels stand.
    #[must_use]
    pub fn tunnels(&self) -> watch::Receiver<Tunnelled> {
        self.tunnels.subscribe()
    }

    /// Runs until the drain has begun and every session has ended or the time for that is over.
    pub async fn run(self, drain: Drain) {
        let (gateway, agent, states) = (self.id, self.agent.clone(), self.tunnels.clone());
        let scope = self.document.relay_scope;
        let (recorder, clock) = (self.recorder.clone(), self.clock.clone());
        let holding = async |inner: Inner| {
            let tunnels = Arc::new(Tunnels {
                gateway,
                agent,
                scope,
                inner,
                recorder,
                clock,
                drain: drain.clone(),
            });
            let known = tunnels.agent.known.clone();
            hold_all(&tunnels, known, &states, &drain).await;
        };
        self.run_over(drain.clone(), holding).await;
    }

    /// Runs with streams that come from elsewhere than the gateway's own tunnels, until `feed` returns.
    pub async fn run_over(self, drain: Drain, feed: impl AsyncFnOnce(Inner)) {
        let inner = self.inner(drain);
        let Self {
            agent,
            agent_run,
            spool_writer,
            policy,
            ..
        } = self;
        let (finished, stop) = Drain::new();
        let following = follow_policy(agent.known.clone(), policy, stop.clone());
        let feeding = async {
            feed(inner).await;
            finished.start();
        };
        let (_, (), (), written) = tokio::join!(
            feeding,
            following,
            agent_run.run(stop.clone()),
            spool_writer.run(stop.draining())
        );
        if let Err(error) = written {
            tracing::error!(%error, "the audit spool's writer failed");
        }
    }

    fn inner(&self, drain: Drain) -> Inner {
        let grace = Duration::from_secs(self.limits.drain_seconds);
        let limits = postern_session::Limits {
            streams: self.limits.streams_per_session,
            ..postern_session::Limits::default()
        };
        let shared = Shared {
            acceptor: self.acceptor.clone(),
            policy: self.policy.subscribe(),
            standing: Standing::new(self.agent.trust.clone(), self.clock.clone(), drain, grace),
            rules: self.rules.clone(),
            recorder: self.recorder.clone(),
            clock: self.clock.clone(),
            limits,
            handshakes: Semaphore::new(self.limits.handshakes),
            sessions: Semaphore::new(self.limits.sessions),
        };
        Inner {
            shared: Arc::new(shared),
        }
    }
}

/// Turns each newer policy document into the policy that streams are judged by. One that cannot be read changes
/// nothing and is reported: what is open stays judged by what was understood.
async fn follow_policy(
    mut known: watch::Receiver<Arc<Known>>,
    policy: watch::Sender<Arc<Policy>>,
    stop: Drain,
) {
    loop {
        tokio::select! {
            changed = known.changed() => if changed.is_err() { return },
            () = stop.draining() => return,
        }
        let newest = Arc::clone(&known.borrow_and_update());
        match newest.snapshot.gateway.as_ref().map(policy::read) {
            Some(Ok(read)) => {
                policy.send_if_modified(|current| {
                    let changes = **current != read;
                    *current = Arc::new(read);
                    changes
                });
            }
            Some(Err(error)) => tracing::error!(%error, "the policy was not taken over"),
            None => (),
        }
    }
}

/// Holds a tunnel to each relay that the policy names, as it changes, until the drain.
async fn hold_all(
    tunnels: &Arc<Tunnels>,
    mut known: watch::Receiver<Arc<Known>>,
    states: &watch::Sender<Tunnelled>,
    drain: &Drain,
) {
    let mut holding = JoinSet::new();
    let mut held: HashMap<RelayId, (RelayEndpoint, tokio::task::AbortHandle)> = HashMap::new();
    loop {
        let wanted = known
            .borrow_and_update()
            .snapshot
            .gateway
            .as_ref()
            .map(|own| own.relays.clone());
        let wanted = wanted.unwrap_or_default();
        held.retain(|_, (endpoint, task)| {
            let keep = wanted.contains(endpoint);
            if !keep {
                task.abort();
            }
            keep
        });
        states.send_if_modified(|all| {
            let before = all.len();
            all.retain(|(relay, _)| held.contains_key(relay));
            all.len() != before
        });
        for endpoint in wanted {
            if held.contains_key(&endpoint.id) {
                continue;
            }
            let task = holding.spawn(hold_one(Arc::clone(tunnels), endpoint.clone(), states.clone()));
            held.insert(endpoint.id, (endpoint, task));
        }
        tokio::select! {
            changed = known.changed() => if changed.is_err() { break },
            () = drain.draining() => break,
        }
        while holding.try_join_next().is_some() {}
    }
    while holding.join_next().await.is_some() {}
}

/// Holds one tunnel, and shows how it stands.
async fn hold_one(tunnels: Arc<Tunnels>, endpoint: RelayEndpoint, states: watch::Sender<Tunnelled>) {
    let (state, mut changes) = watch::channel(TunnelState::Connecting);
    let showing = async {
        loop {
            let now = changes.borrow_and_update().clone();
            states.send_modify(
                |all| match all.iter_mut().find(|(relay, _)| *relay == endpoint.id) {
                    Some((_, shown)) => *shown = now,
                    None => all.push((endpoint.id, now)),
                },
            );
            if changes.changed().await.is_err() {
                return;
            }
        }
    };
    let holding = async {
        tunnels.hold(&endpoint, &state).await;
        drop(state);
    };
    tokio::join!(holding, showing);
}
