//! The world in processes of its own, set up with the programs' own commands as an operator would: `init`, `serve`,
//! `login`, `create`, `enroll`, `run`.

use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use anyhow::Context as _;
use serde_json::Value;
use tokio::io::{AsyncBufReadExt as _, BufReader};
use tokio::process::Child;

use crate::parts::command::run;
use crate::programs::program;

const MINUTE: Duration = Duration::from_secs(60);

/// A daemon in a process of its own. Dropped, it is killed.
#[derive(Debug)]
pub struct Daemon {
    child: Child,
}

impl Daemon {
    /// Returns the process's id, while it runs.
    #[must_use]
    pub fn pid(&self) -> Option<u32> {
        self.child.id()
    }

    /// Returns the resident memory, in MiB.
    ///
    /// # Errors
    /// The process is gone.
    pub fn resident_mib(&self) -> anyhow::Result<f64> {
        let pid = self.pid().context("the process is gone")?;
        let status = std::fs::read_to_string(format!("/proc/{pid}/status"))?;
        let line = status
            .lines()
            .find_map(|line| line.strip_prefix("VmRSS:"))
            .context("VmRSS")?;
        let kib: f64 = line.trim().trim_end_matches("kB").trim().parse()?;
        Ok(kib / 1024.0)
    }

    /// Starts a program and waits until a line of its log holds `ready`; returns that line as well.
    async fn start(name: &str, arguments: &[&str], ready: &str) -> anyhow::Result<(Self, String)> {
        let mut command = program(name).await?;
        command
            .args(arguments)
            .stdout(Stdio::null())
            .stderr(Stdio::piped());
        let mut child = command.spawn()?;
        let mut lines = BufReader::new(child.stderr.take().context("standard error")?).lines();
        let mut said = Vec::new();
        let waiting = async {
            while let Some(line) = lines.next_line().await? {
                if line.contains(ready) {
                    return anyhow::Ok(Some(line));
                }
                said.push(line);
            }
            Ok(None)
        };
        let line = tokio::time::timeout(MINUTE, waiting)
            .await
            .with_context(|| format!("{name} is not ready"))??;
        let line = line.with_context(|| format!("{name} ended:\n{}", said.join("\n")))?;
        tokio::spawn(async move { while let Ok(Some(_)) = lines.next_line().await {} });
        Ok((Self { child }, line))
    }
}

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
        let serve = [
            "serve",
            "--data",
            &data,
            "--listen",
            "127.0.0.1:0",
            "--log-format",
            "json",
        ];
        let (platform, line) = Daemon::start("postern-platform", &serve, "local_address").await?;
        let line: Value = serde_json::from_str(&line)?;
        let address = find(&line, "local_address")
            .and_then(Value::as_str)
            .context("the platform's address")?
            .to_owned();
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
        let (ssh, tls) = (relay_ssh.to_string(), relay_tls.to_string());
        let relay = text(at("relay"));
        let arguments = [
            "run",
            "--state",
            &relay,
            "--listen-ssh",
            &ssh,
            "--listen-tls",
            &tls,
        ];
        let (relay, _) = Daemon::start("postern-relay", &arguments, "running").await?;
        std::fs::write(at("rules.toml"), "[[allow_forbidden]]\naddress = \"127.0.0.1\"\n")?;
        let (gateway, rules) = (text(at("gateway")), text(at("rules.toml")));
        let arguments = ["run", "--state", &gateway, "--rules", &rules];
        let (gateway, _) = Daemon::start("postern-gateway", &arguments, "tunnel open").await?;
        Ok(Self {
            platform,
            relay,
            gateway,
            home: at("owner"),
            directory,
        })
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

struct Tickets {
    relay: String,
    gateway: String,
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
