//! Platform, instance relay and one gateway in one process, on loopback, with the same rules as anywhere else.
//!
//! What it needs an exception for, it writes into the files that a user would write: the gateway's rule file
//! allows the loopback addresses of the resources, and nothing else of the kind.

use std::fmt::Write as _;
use std::net::{Ipv4Addr, SocketAddr};
use std::os::unix::fs::DirBuilderExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, bail};
use postern_agent::{Api, PlatformAddress, StateDir, enroll_with_ticket};
use postern_api::{CreateRelay, EnrollmentToken, PasswordLogin};
use postern_domain::{GatewayId, Host, Name, Port, RelayId, ResourceId, Secret, Target};
use postern_gateway::{Gateway, TunnelState, Tunnelled};
use postern_pki::DaemonKind;
use postern_platform::{InitOptions, Platform, Settings};
use postern_relay::{Listeners, Relay};
use postern_session::Policy;
use postern_transport::{Clock, Drain, DrainHand};
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::task::JoinSet;

use crate::kept::Kept;

/// The first administrator's name.
pub const ADMINISTRATOR: &str = "admin";
/// How long the gateway's first tunnel may take.
const TUNNEL_TIME: Duration = Duration::from_secs(20);

/// How a stack is to be.
#[derive(Debug, Clone)]
pub struct Options {
    /// Where everything is kept.
    pub directory: PathBuf,
    /// The gateway's rule file.
    pub rules: String,
    /// What the daemons take for the time.
    pub clock: Clock,
    /// The platform's lifetimes.
    pub settings: Settings,
    /// How long connections may go on once the stack is to stop.
    pub grace: Duration,
}

impl Options {
    /// Keeps everything in `directory`, with the defaults and the real clock.
    #[must_use]
    pub fn in_directory(directory: &Path) -> Self {
        Self {
            directory: directory.into(),
            rules: String::new(),
            clock: Clock::system(),
            settings: Settings::default(),
            grace: Duration::from_secs(1),
        }
    }
}

/// Writes a rule file that allows exactly these forbidden addresses.
#[must_use]
pub fn rules_allowing(targets: &[Target]) -> String {
    let mut text = String::from(
        "# Loopback targets of postern dev. Without these lines the gateway would not dial them.\n",
    );
    for target in targets {
        if let Host::Address(address) = target.host {
            // Writing to a string does not fail.
            write!(
                text,
                "\n[[allow_forbidden]]\naddress = \"{address}\"\nport = {}\n",
                target.port
            )
            .ok();
        }
    }
    text
}

/// A running platform with its relay; gateways are added to it.
#[derive(Debug)]
pub struct Stack {
    /// Where the platform is, and how it is known.
    pub address: PlatformAddress,
    /// The platform's API.
    pub api: Api,
    /// The control plane itself.
    pub platform: Arc<Platform>,
    /// The relay.
    pub relay: RelayId,
    /// Where the relay listens for gateways.
    pub relay_ssh: SocketAddr,
    /// Where the relay listens for clients.
    pub relay_tls: SocketAddr,
    /// How the tunnels of the gateway that was started last stand.
    pub tunnels: watch::Receiver<Tunnelled>,
    /// The policy of that gateway.
    pub policy: Option<watch::Receiver<Arc<Policy>>>,
    /// What the stack was made with, and what it keeps.
    pub kept: Kept,
    options: Options,
    daemons: JoinSet<()>,
    drains: Vec<DrainHand>,
}

impl Stack {
    /// Starts platform and relay, making what the directory does not hold yet.
    ///
    /// # Errors
    /// Says what could not be made, bound or enrolled.
    pub async fn start(options: Options) -> anyhow::Result<Self> {
        let directory = &options.directory;
        std::fs::DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(directory)
            .with_context(|| format!("{} cannot be made", directory.display()))?;
        let kept = Kept::load(directory)?;
        let data = directory.join("platform");
        let mut daemons = JoinSet::new();
        let mut drains = Vec::new();
        let new_password = if kept.is_none() {
            Some(init(&data, &options.clock).await?)
        } else {
            None
        };

        let mut config = postern_platform::config::Config::for_data_directory(&data);
        config.server.listen = kept.as_ref().map_or_else(any_port, |kept| kept.platform);
        config.server.hosts = vec![Host::Address(Ipv4Addr::LOCALHOST.into())];
        config.limits = generous(config.limits);
        let bound = Platform::bind_with(config, options.settings.clone(), options.clock.clone()).await?;
        let platform = bound.platform();
        let listen = bound.local_addr();
        let address = PlatformAddress {
            target: target_of(listen)?,
            pins: bound.pins().to_vec(),
        };
        let (hand, drain) = Drain::new();
        daemons.spawn(bound.run(drain));
        drains.push(hand);
        let api = Api::new(address.clone(), options.clock.clone());

        let listen_at = |at: Option<SocketAddr>| {
            let at = at.unwrap_or_else(any_port);
            async move {
                TcpListener::bind(at)
                    .await
                    .with_context(|| format!("{at} cannot be listened on"))
            }
        };
        let ssh = listen_at(kept.as_ref().map(|kept| kept.relay_ssh)).await?;
        let tls = listen_at(kept.as_ref().map(|kept| kept.relay_tls)).await?;
        let (relay_ssh, relay_tls) = (ssh.local_addr()?, tls.local_addr()?);
        let kept = match (kept, new_password) {
            (Some(kept), _) => kept,
            (None, Some(password)) => Kept::new(listen, relay_ssh, relay_tls, password),
            (None, None) => bail!("there is no administrator's password"),
        };
        let mut stack = Self {
            address,
            api,
            platform,
            relay: RelayId::generate(options.clock.now()),
            relay_ssh,
            relay_tls,
            tunnels: watch::channel(Vec::new()).1,
            policy: None,
            kept,
            options,
            daemons,
            drains,
        };
        stack.start_relay(Listeners { ssh, tls }).await?;
        stack.kept.save(&stack.options.directory)?;
        Ok(stack)
    }

    async fn start_relay(&mut self, listeners: Listeners) -> anyhow::Result<()> {
        let state = self.options.directory.join("relay");
        if !self.kept.relay_enrolled {
            let admin = self.administrator().await?;
            let relay = CreateRelay {
                name: "local".parse()?,
                host: Host::Address(self.relay_ssh.ip()),
                ssh_port: Port::new(self.relay_ssh.port()),
                tls_port: Port::new(self.relay_tls.port()),
            };
            let relay = self.api.create_relay(&admin, &relay).await?;
            let ticket = self.api.create_relay_token(&admin, relay.id).await?;
            self.enroll(&state, DaemonKind::Relay, &ticket).await?;
            self.kept.relay_enrolled = true;
        }
        let config = postern_relay::Config {
            state: postern_relay::config::State { directory: state },
            limits: postern_relay::config::Limits {
                handshakes_per_source: 1024,
                connections_per_second_per_source: 20_000,
                drain_seconds: self.options.grace.as_secs(),
                ..postern_relay::config::Limits::default()
            },
            ..postern_relay::Config::default()
        };
        let relay = Relay::start(&config, listeners, self.options.clock.clone()).await?;
        self.relay = relay.id();
        let (hand, drain) = Drain::new();
        self.daemons.spawn(relay.run(drain));
        self.drains.push(hand);
        Ok(())
    }

    /// Enrolls a daemon with a one-time ticket, so that it can be started from its state directory.
    ///
    /// # Errors
    /// The platform refused, or the state directory cannot be used.
    pub async fn enroll(
        &self,
        state: &Path,
        kind: DaemonKind,
        ticket: &EnrollmentToken,
    ) -> anyhow::Result<()> {
        let state = StateDir::open(state)?;
        let ticket = ticket.token.expose().parse()?;
        enroll_with_ticket(&state, kind, &ticket, self.options.clock.clone()).await?;
        Ok(())
    }

    /// Starts a gateway from its state directory, which is named after it, and waits for its tunnel. A ticket enrolls
    /// it first.
    ///
    /// # Errors
    /// It cannot be enrolled or started, or gets no tunnel in time.
    pub async fn start_gateway(
        &mut self,
        name: &Name,
        ticket: Option<&EnrollmentToken>,
    ) -> anyhow::Result<GatewayId> {
        let state = self.options.directory.join(format!("gateway-{name}"));
        if let Some(ticket) = ticket {
            self.enroll(&state, DaemonKind::Gateway, ticket).await?;
        }
        let rules = self.options.directory.join(format!("gateway-{name}-rules.toml"));
        std::fs::write(&rules, &self.options.rules).with_context(|| format!("{}", rules.display()))?;
        let config = postern_gateway::Config {
            state: postern_gateway::config::State { directory: state },
            rules: postern_gateway::config::RuleFile { file: Some(rules) },
            limits: postern_gateway::config::Limits {
                drain_seconds: self.options.grace.as_secs(),
                ..postern_gateway::config::Limits::default()
            },
            ..postern_gateway::Config::default()
        };
        let gateway = Gateway::start(&config, self.options.clock.clone()).await?;
        let (id, mut tunnels) = (gateway.id(), gateway.tunnels());
        self.policy = Some(gateway.policy());
        let (hand, drain) = Drain::new();
        self.daemons.spawn(gateway.run(drain));
        self.drains.push(hand);
        let open = tunnels.wait_for(|all| {
            all.iter()
                .any(|(_, state)| matches!(state, TunnelState::Open { .. }))
        });
        let waited = tokio::time::timeout(TUNNEL_TIME, open)
            .await
            .map(|found| found.map(drop));
        match waited {
            Ok(found) => found.context("the gateway has stopped")?,
            Err(_) => bail!("the gateway has no tunnel: {:?}", *tunnels.borrow()),
        }
        self.tunnels = tunnels;
        Ok(id)
    }

    /// Waits until the gateway that was started last knows a resource.
    ///
    /// # Errors
    /// There is no gateway, or it does not hear of the resource in time.
    pub async fn until_known(&self, resource: ResourceId) -> anyhow::Result<()> {
        let mut policy = self.policy.clone().context("there is no gateway")?;
        let known = policy.wait_for(|policy| policy.projects.values().any(|all| all.contains_key(&resource)));
        tokio::time::timeout(TUNNEL_TIME, known)
            .await
            .context("the gateway does not know the resource")??;
        Ok(())
    }

    /// Logs in as the administrator.
    ///
    /// # Errors
    /// The platform refused.
    pub async fn administrator(&self) -> anyhow::Result<Secret<String>> {
        let login = PasswordLogin {
            user: ADMINISTRATOR.into(),
            password: self.kept.password.clone(),
        };
        Ok(self.api.log_in_password(&login).await?.access_token)
    }

    /// Returns where everything is kept.
    #[must_use]
    pub fn directory(&self) -> &Path {
        &self.options.directory
    }

    /// Returns what the daemons take for the time.
    #[must_use]
    pub const fn clock(&self) -> &Clock {
        &self.options.clock
    }

    /// Stops everything, the gateways first and the platform last, and waits until it has ended.
    pub async fn stop(mut self) {
        while let Some(hand) = self.drains.pop() {
            hand.start();
        }
        while self.daemons.join_next().await.is_some() {}
    }
}

async fn init(data: &Path, clock: &Clock) -> anyhow::Result<Secret<String>> {
    let made = Platform::init(
        data,
        InitOptions {
            admin: ADMINISTRATOR.parse()?,
            ..InitOptions::default()
        },
        clock.now(),
    );
    made.await?.password.context("the administrator's password")
}

fn any_port() -> SocketAddr {
    SocketAddr::from((Ipv4Addr::LOCALHOST, 0))
}

fn target_of(address: SocketAddr) -> anyhow::Result<Target> {
    let port = Port::new(address.port()).context("a bound port")?;
    Ok(Target {
        host: Host::Address(address.ip()),
        port,
    })
}

/// Everything comes from one address here, so limits for each source are those for all.
fn generous(limits: postern_platform::config::Limits) -> postern_platform::config::Limits {
    postern_platform::config::Limits {
        unauthenticated_per_source: limits.unauthenticated,
        connection_rate_per_source: 10_000,
        login_rate_per_source: 1000,
        login_burst_per_source: 1000,
        ..limits
    }
}
