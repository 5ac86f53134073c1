//! The configuration of a relay: TOML file, environment (`POSTERN_<SECTION>__<KEY>`), flags over both.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use figment::Figment;
use figment::providers::{Env, Format as _, Serialized, Toml};
use serde::{Deserialize, Serialize};

/// No limit of a number is higher.
const MOST: u64 = 1_000_000;
/// No drain is longer: a day.
const LONGEST_DRAIN: u64 = 86_400;

/// The configuration cannot be used.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct ConfigError(Box<figment::Error>);

/// What a relay must be told.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Config {
    /// Where it keeps things.
    pub state: State,
    /// Where it listens.
    pub listen: Listen,
    /// What bounds it.
    pub limits: Limits,
    /// How it speaks of what it does.
    pub log: Log,
}

/// `[state]`.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct State {
    /// The state directory: keys, certificates, last known trust, audit spool. Mode 0700.
    pub directory: PathBuf,
}

impl Default for State {
    fn default() -> Self {
        Self {
            directory: "/var/lib/postern-relay".into(),
        }
    }
}

/// `[listen]`. Behind a port forwarding these differ from the ports that the platform hands out.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Listen {
    /// For gateways.
    pub ssh: SocketAddr,
    /// For clients.
    pub tls: SocketAddr,
}

impl Default for Listen {
    fn default() -> Self {
        Self {
            ssh: SocketAddr::from(([0; 8], 2222)),
            tls: SocketAddr::from(([0; 8], 8443)),
        }
    }
}

/// `[limits]`.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Limits {
    /// Unauthenticated connections at once, on each listener.
    pub handshakes: usize,
    /// Unauthenticated connections at once from one source address (IPv6: one /64), on each listener.
    pub handshakes_per_source: usize,
    /// New connections a second from one source address, on each listener.
    pub connections_per_second_per_source: u32,
    /// Gateways with a tunnel.
    pub gateways: usize,
    /// Client connections at once.
    pub connections: usize,
    /// Client connections at once of one organization.
    pub connections_per_organization: usize,
    /// Client connections at once to one gateway.
    pub connections_per_gateway: usize,
    /// Seconds that live connections may go on after SIGTERM.
    pub drain_seconds: u64,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            handshakes: 1024,
            handshakes_per_source: 128,
            connections_per_second_per_source: 200,
            gateways: 20_000,
            connections: 50_000,
            connections_per_organization: 10_000,
            connections_per_gateway: 4096,
            drain_seconds: 30,
        }
    }
}

/// `[log]`.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Log {
    /// One JSON object a line instead of text.
    pub json: bool,
}

/// Flags of the command line that stand over file and environment.
#[derive(Debug, Clone, Default, clap::Args)]
pub struct Flags {
    /// The configuration file (TOML).
    #[arg(long, value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// The state directory.
    #[arg(long, value_name = "DIR")]
    pub state: Option<PathBuf>,
    /// Where to listen for gateways.
    #[arg(long, value_name = "ADDRESS:PORT")]
    pub listen_ssh: Option<SocketAddr>,
    /// Where to listen for clients.
    #[arg(long, value_name = "ADDRESS:PORT")]
    pub listen_tls: Option<SocketAddr>,
}

impl Config {
    /// Reads file, environment and flags.
    ///
    /// # Errors
    /// Says which key of which source is wrong.
    pub fn load(flags: &Flags) -> Result<Self, ConfigError> {
        let mut figment = Figment::from(Serialized::defaults(Self::default()));
        if let Some(file) = &flags.config {
            figment = figment.merge(file_source(file)?);
        }
        let sections = ["state", "listen", "limits", "log"];
        let ours = move |key: &figment::value::UncasedStr| {
            sections.iter().any(|section| {
                key.as_str()
                    .to_ascii_lowercase()
                    .starts_with(&format!("{section}__"))
            })
        };
        figment = figment.merge(Env::prefixed("POSTERN_").filter(ours).split("__"));
        let mut config: Self = figment.extract().map_err(|e| ConfigError(Box::new(e)))?;
        if let Some(directory) = &flags.state {
            config.state.directory.clone_from(directory);
        }
        config.listen.ssh = flags.listen_ssh.unwrap_or(config.listen.ssh);
        config.listen.tls = flags.listen_tls.unwrap_or(config.listen.tls);
        config.limits.check(&figment)?;
        Ok(config)
    }
}

impl Limits {
    /// Refuses what would let nobody in, or bounds nothing.
    fn check(&self, source: &Figment) -> Result<(), ConfigError> {
        let judged = [
            ("handshakes", self.handshakes as u64, 1..=MOST),
            (
                "handshakes_per_source",
                self.handshakes_per_source as u64,
                1..=MOST,
            ),
            (
                "connections_per_second_per_source",
                u64::from(self.connections_per_second_per_source),
                1..=MOST,
            ),
            ("gateways", self.gateways as u64, 1..=MOST),
            ("connections", self.connections as u64, 1..=MOST),
            (
                "connections_per_organization",
                self.connections_per_organization as u64,
                1..=MOST,
            ),
            (
                "connections_per_gateway",
                self.connections_per_gateway as u64,
                1..=MOST,
            ),
            ("drain_seconds", self.drain_seconds, 0..=LONGEST_DRAIN),
        ];
        for (key, value, allowed) in judged {
            if !allowed.contains(&value) {
                let (least, most) = (allowed.start(), allowed.end());
                let what = format!("{value} is not between {least} and {most}");
                let key = format!("limits.{key}");
                let mut error = figment::Error::from(what).with_path(&key);
                error.metadata = source.find_metadata(&key).cloned();
                error.profile = Some(figment::Profile::Default);
                return Err(ConfigError(Box::new(error)));
            }
        }
        Ok(())
    }
}

/// A missing file is an error, not an empty configuration.
fn file_source(file: &Path) -> Result<figment::providers::Data<Toml>, ConfigError> {
    match std::fs::metadata(file) {
        Ok(found) if found.is_file() => Ok(Toml::file_exact(file)),
        Ok(_) => Err(ConfigError(Box::new(figment::Error::from(format!(
            "{} is not a file",
            file.display()
        ))))),
        Err(error) => Err(ConfigError(Box::new(figment::Error::from(format!(
            "{}: {error}",
            file.display()
        ))))),
    }
}
