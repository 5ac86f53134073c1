//! The world in processes of its own, set up with the programs' own commands as an operator would: `init`, `serve`,
//! `login`, `create`, `enroll`, `run`.

use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::Context as _;
use serde_json::Value;
use tokio::process::Command;

use crate::connect::Connecting;
pub use crate::daemon::Daemon;
use crate::parts::command::run;
use crate::programs::program;

const MINUTE: Duration = Duration::from_secs(60);
/// What a gateway says of a resource that it has not heard of.
const NOT_KNOWN_YET: &str = "resource_not_approved";

/// Platform, relay and gateway, each in a process of its own.
#[derive(Debug)]
pub struct Processes {
    /// The platform.
    pub platform: Daemon,
    /// The relay.
    pub relay: Daemon,
    /// The gateway.
    pub gateway: Daemon,
    /// The login of the organization's owner, for `postern --home`.
    pub home: PathBuf,
    /// The login of the instance's administrator, for `postern --home`.
    pub admin_home: PathBuf,
    /// The platform's address and pin, as `postern login` takes them.
    pub platform_at: (String, String),
    /// The one-time tokens of relay and gateway, both used.
    pub tickets: Tickets,
    relay_ports: (SocketAddr, SocketAddr),
    directory: tempfile::TempDir,
}

impl Processes {
    /// Sets everything up: organization `acme`, project `demo`, one gateway that may dial 127.0.0.1.
    ///
    /// # Errors
    /// A command failed; the message has what it said.
    pub async fn start() -> anyhow::Result<Self> {
        let directory = tempfile::Builder::new().prefix("postern-processes-").tempdir()?;
        let at = |name: &str| directory.path().join(name);
        let text = |path: PathBuf| path.display().to_string();
        std::fs::write(at("password"), "a password for tests only\n")?;
        let (data, password) = (text(at("platform")), text(at("password")));
        let init = [
            "init",
            "--data",
            &data,
            "--admin-password-file",
            &password,
            "--host",
            "127.0.0.1",
        ];
        let report = succeed("postern-platform", &init).await?;
        let pin = report
            .split_whitespace()
            .find(|word| word.starts_with("sha256/"))
            .context("a pin")?;
        let (platform, address) = serve_platform(&at("platform"), "127.0.0.1:0").await?;
        let setup = Setup {
            pin,
            platform: &address,
            admin: at("admin"),
            owner: at("owner"),
            password: &password,
        };
        let (relay_ssh, relay_tls) = (free_port()?, free_port()?);
        let tickets = setup.make(relay_ssh, relay_tls).await?;

        enroll(&directory, &tickets).await?;
        std::fs::write(at("rules.toml"), "[[allow_forbidden]]\naddress = \"127.0.0.1\"\n")?;
        let relay = run_relay(directory.path(), (relay_ssh, relay_tls)).await?;
        let gateway = run_gateway(directory.path()).await?;
        Ok(Self {
            platform,
            relay,
            gateway,
            home: at("owner"),
            admin_home: at("admin"),
            platform_at: (address, pin.to_owned()),
            tickets,
            relay_ports: (relay_ssh, relay_tls),
            directory,
        })
    }

    /// Starts the gateway again, from what its state directory holds and nothing else.
    ///
    /// # Errors
    /// It ended, or got no tunnel in time.
    pub async fn start_gateway_again(&mut self) -> anyhow::Result<()> {
        self.gateway = run_gateway(self.directory.path()).await?;
        Ok(())
    }

    /// Starts the relay again, from what its state directory holds and nothing else.
    ///
    /// # Errors
    /// It ended.
    pub async fn start_relay_again(&mut self) -> anyhow::Result<()> {
        self.relay = run_relay(self.directory.path(), self.relay_ports).await?;
        Ok(())
    }

    /// Starts the platform again, where it was.
    ///
    /// # Errors
    /// It ended.
    pub async fn start_platform_again(&mut self) -> anyhow::Result<()> {
        let listen = &self.platform_at.0;
        self.platform = serve_platform(&self.directory.path().join("platform"), listen)
            .await?
            .0;
        Ok(())
    }

    /// Returns where the relay listens for clients.
    #[must_use]
    pub const fn relay_tls(&self) -> SocketAddr {
        self.relay_ports.1
    }

    /// Approves a target on loopback as a resource of the project `demo`.
    ///
    /// # Errors
    /// The platform refused.
    pub async fn resource(&self, name: &str, protocol: &str, at: SocketAddr) -> anyhow::Result<Value> {
        let target = at.to_string();
        let create = [
            "resource",
            "create",
            name,
            "--project",
            "demo",
            "--gateway",
            "gateway",
        ];
        let what = ["--target", &target, "--protocol", protocol];
        self.postern(&[&create[..], &what].concat()).await
    }

    /// Makes the command `postern`, logged in as the organization's owner.
    ///
    /// # Errors
    /// The program cannot be built.
    pub async fn command(&self) -> anyhow::Result<Command> {
        let mut postern = program("postern").await?;
        postern.env("POSTERN_HOME", &self.home);
        Ok(postern)
    }

    /// Runs `postern connect RESOURCE --listen 127.0.0.1:0` and waits until it listens. A gateway hears of a new
    /// resource within a second; until then it is tried again.
    ///
    /// # Errors
    /// It did not come to listen in time.
    pub async fn listen(&self, resource: &str) -> anyhow::Result<Connecting> {
        let trying = async {
            loop {
                match Connecting::start(self.command().await?, resource).await {
                    Err(error) if format!("{error:#}").contains(NOT_KNOWN_YET) => {}
                    done => return done,
                }
            }
        };
        tokio::time::timeout(MINUTE, trying)
            .await
            .context("the gateway does not hear of the resource")?
    }

    /// Runs `postern` as the organization's owner, and returns what it printed as JSON.
    ///
    /// # Errors
    /// It failed; the message has what it said.
    pub async fn postern(&self, arguments: &[&str]) -> anyhow::Result<Value> {
        postern(&self.home, arguments).await
    }

    /// Returns a directory of the test's own.
    #[must_use]
    pub fn directory(&self) -> &Path {
        self.directory.path()
    }
}

struct Setup<'a> {
    pin: &'a str,
    platform: &'a str,
    admin: PathBuf,
    owner: PathBuf,
    password: &'a str,
}

/// The one-time tokens of the daemons.
#[derive(Debug)]
pub struct Tickets {
    /// The relay's.
    pub relay: String,
    /// The gateway's.
    pub gateway: String,
}

impl Setup<'_> {
    async fn make(&self, ssh: SocketAddr, tls: SocketAddr) -> anyhow::Result<Tickets> {
        let platform = ["login", "--platform", self.platform, "--pin", self.pin];
        let user = ["--user", "admin", "--secret-file", self.password];
        postern(&self.admin, &[&platform[..], &user].concat()).await?;
        let (ssh, tls) = (ssh.port().to_string(), tls.port().to_string());
        let relay = [
            "relay",
            "create",
            "relay",
            "--host",
            "127.0.0.1",
            "--ssh-port",
            &ssh,
            "--tls-port",
            &tls,
        ];
        postern(&self.admin, &relay).await?;
        let relay = word(
            &postern(&self.admin, &["relay", "token", "relay"]).await?,
            "token",
        )?;
        let acme = postern(&self.admin, &["organization", "create", "acme"]).await?;
        let secret = self.owner.with_extension("secret");
        std::fs::write(&secret, word(&acme, "client_secret")?)?;
        let (client_id, secret) = (word(&acme, "client_id")?, secret.display().to_string());
        let identity = ["--client-id", &client_id, "--secret-file", &secret];
        postern(&self.owner, &[&platform[..], &identity].concat()).await?;
        postern(&self.owner, &["project", "create", "demo"]).await?;
        postern(&self.owner, &["gateway", "create", "gateway"]).await?;
        quiet(&self.owner, &["gateway", "map", "gateway", "demo"]).await?;
        let gateway = word(
            &postern(&self.owner, &["gateway", "token", "gateway"]).await?,
            "token",
        )?;
        Ok(Tickets { relay, gateway })
    }
}

/// Serves a data directory at an address; returns the address that is bound, too.
async fn serve_platform(data: &Path, listen: &str) -> anyhow::Result<(Daemon, String)> {
    let data = data.display().to_string();
    let serve = [
        "serve",
        "--data",
        &data,
        "--listen",
        listen,
        "--log-format",
        "json",
    ];
    let (platform, line) = Daemon::start("postern-platform", &serve, "local_address").await?;
    let line: Value = serde_json::from_str(&line)?;
    let address = find(&line, "local_address").and_then(Value::as_str);
    Ok((platform, address.context("the platform's address")?.to_owned()))
}

async fn run_relay(directory: &Path, (ssh, tls): (SocketAddr, SocketAddr)) -> anyhow::Result<Daemon> {
    let (ssh, tls) = (ssh.to_string(), tls.to_string());
    let state = directory.join("relay").display().to_string();
    let listen = ["--listen-ssh", &ssh, "--listen-tls", &tls];
    let arguments = [&["run", "--state", &state], &listen[..]].concat();
    Ok(Daemon::start("postern-relay", &arguments, "running").await?.0)
}

async fn run_gateway(directory: &Path) -> anyhow::Result<Daemon> {
    let at = |name: &str| directory.join(name).display().to_string();
    let (state, rules) = (at("gateway"), at("rules.toml"));
    let arguments = ["run", "--state", &state, "--rules", &rules];
    Ok(Daemon::start("postern-gateway", &arguments, "tunnel open")
        .await?
        .0)
}

/// Enrolls relay and gateway, each in a state directory that is named after it.
async fn enroll(directory: &tempfile::TempDir, tickets: &Tickets) -> anyhow::Result<()> {
    for (daemon, token) in [("relay", &tickets.relay), ("gateway", &tickets.gateway)] {
        let mut enroll = program(&format!("postern-{daemon}")).await?;
        let state = directory.path().join(daemon);
        enroll
            .args(["enroll", "--state"])
            .arg(state)
            .env("POSTERN_TOKEN", token);
        run(&mut enroll, MINUTE)
            .await?
            .success()
            .with_context(|| format!("postern-{daemon} enroll"))?;
    }
    Ok(())
}

/// Runs `postern --json` with a home.
///
/// # Errors
/// It failed, or printed no JSON.
pub async fn postern(home: &Path, arguments: &[&str]) -> anyhow::Result<Value> {
    let text = quiet(home, arguments).await?;
    serde_json::from_str(&text).with_context(|| format!("postern {}: {text}", arguments.join(" ")))
}

async fn quiet(home: &Path, arguments: &[&str]) -> anyhow::Result<String> {
    let mut command = program("postern").await?;
    command.arg("--json").arg("--home").arg(home).args(arguments);
    let output = run(&mut command, MINUTE).await?.success();
    Ok(output
        .with_context(|| format!("postern {}", arguments.join(" ")))?
        .text())
}

async fn succeed(name: &str, arguments: &[&str]) -> anyhow::Result<String> {
    let mut command = program(name).await?;
    let output = run(command.args(arguments), MINUTE).await?.success();
    Ok(output
        .with_context(|| format!("{name} {}", arguments.join(" ")))?
        .text())
}

/// Finds a member anywhere in a JSON value.
fn find<'a>(value: &'a Value, name: &str) -> Option<&'a Value> {
    match value {
        Value::Object(members) => members
            .get(name)
            .or_else(|| members.values().find_map(|member| find(member, name))),
        Value::Array(items) => items.iter().find_map(|item| find(item, name)),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => None,
    }
}

fn word(value: &Value, name: &str) -> anyhow::Result<String> {
    find(value, name)
        .and_then(Value::as_str)
        .map(str::to_owned)
        .with_context(|| format!("no {name} in {value}"))
}

/// Finds a port that is free now. The relay's ports must be known to the platform before the relay can bind them.
fn free_port() -> anyhow::Result<SocketAddr> {
    Ok(TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()?)
}
