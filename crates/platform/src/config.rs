//! The configuration of the platform: TOML file, environment (`POSTERN_<SECTION>__<KEY>`), flags over both.
//!
//! Unknown keys are refused, and an error names the source and the key. Nothing is bound before all of it was
//! read and judged.

mod source;

use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::time::Duration;

use figment::Figment;
use figment::providers::{Format as _, Serialized, Toml};
use postern_domain::{Host, Secret, Target};
use postern_session::Network;
use postern_transport::{AcceptLimits, Rate};
use serde::{Deserialize, Serialize};

use source::{Environment, Named, explain};

pub use source::ConfigError;

/// The file that `init` writes into the data directory, and that `serve --data` reads from it if it is there.
pub const FILE: &str = "platform.toml";

/// The most hosts that a certificate names.
const MOST_HOSTS: usize = 32;

/// All that the platform must be told.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Config {
    /// Where it listens, and how others reach it.
    pub server: Server,
    /// Where it keeps everything.
    pub store: StoreFile,
    /// What seals the private keys in the store.
    pub keys: RootKeySource,
    /// How it speaks of what it does.
    pub log: Log,
    /// What bounds it.
    pub limits: Limits,
}

/// `[server]`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Server {
    /// The address and port to listen on; port 0 takes a free one.
    pub listen: SocketAddr,
    /// Where daemons and the command line reach the platform, as enrollment tokens say it; absent: the first of
    /// `hosts` with the port that was bound.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub public_address: Option<Target>,
    /// The names in the platform's HTTPS certificate, besides the public address's.
    pub hosts: Vec<Host>,
    /// Networks (CIDR) of the proxies whose `X-Forwarded-For` is believed.
    #[serde(serialize_with = "as_texts", deserialize_with = "from_texts")]
    pub trusted_proxies: Vec<Network>,
}

impl Default for Server {
    fn default() -> Self {
        Self {
            listen: SocketAddr::from((Ipv4Addr::LOCALHOST, 8080)),
            public_address: None,
            hosts: vec![
                Host::Name("localhost".into()),
                Host::Address(Ipv4Addr::LOCALHOST.into()),
            ],
            trusted_proxies: Vec::new(),
        }
    }
}

fn as_texts<S: serde::Serializer>(networks: &[Network], serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_seq(networks.iter().map(ToString::to_string))
}

fn from_texts<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<Vec<Network>, D::Error> {
    let texts = Vec::<String>::deserialize(deserializer)?;
    texts
        .iter()
        .map(|text| text.parse().map_err(serde::de::Error::custom))
        .collect()
}

/// `[store]`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct StoreFile {
    /// The SQLite file; a relative path is taken from the configuration file's directory.
    pub path: PathBuf,
}

impl Default for StoreFile {
    fn default() -> Self {
        Self {
            path: "platform.db".into(),
        }
    }
}

/// `[keys]`.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct RootKeySource {
    /// The file of the root key, mode 0600; a relative path is taken from the configuration file's directory.
    pub root_key_file: PathBuf,
    /// The root key itself, for the environment (`POSTERN_KEYS__ROOT_KEY`); it stands over the file.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub root_key: Option<Secret<String>>,
}

impl Default for RootKeySource {
    fn default() -> Self {
        Self {
            root_key_file: "root.key".into(),
            root_key: None,
        }
    }
}

/// `[log]`.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Log {
    /// Lines for people, or one JSON object a line.
    pub format: LogFormat,
    /// The least that is worth a line.
    pub level: LogLevel,
}

/// The form of the log.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, clap::ValueEnum)]
#[serde(rename_all = "snake_case")]
pub enum LogFormat {
    /// Lines for people.
    #[default]
    Text,
    /// One JSON object a line.
    Json,
}

/// The least that is worth a line in the log.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, clap::ValueEnum)]
#[serde(rename_all = "snake_case")]
pub enum LogLevel {
    /// What needs somebody's attention at once.
    Error,
    /// What may need it soon.
    Warn,
    /// What happened.
    #[default]
    Info,
    /// What led to it.
    Debug,
    /// Every step.
    Trace,
}

/// `[limits]`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Limits {
    /// Connections at once.
    pub connections: usize,
    /// Connections at once that have not shown an access token yet.
    pub unauthenticated: usize,
    /// Connections at once from one source that have not shown an access token yet.
    pub unauthenticated_per_source: usize,
    /// New connections a second from one source; four times as many may come at once.
    pub connection_rate_per_source: u32,
    /// Requests at once, on all connections together.
    pub requests: u32,
    /// Logins and enrollments a second from one source.
    pub login_rate_per_source: u32,
    /// Logins and enrollments at once from one source, after a pause.
    pub login_burst_per_source: u32,
    /// Seconds within which a request is answered.
    pub request_seconds: u64,
    /// Seconds that requests in flight may take after SIGTERM.
    pub drain_seconds: u64,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            connections: 8192,
            unauthenticated: 1024,
            unauthenticated_per_source: 128,
            connection_rate_per_source: 100,
            requests: 512,
            login_rate_per_source: 5,
            login_burst_per_source: 60,
            request_seconds: 30,
            drain_seconds: 30,
        }
    }
}

impl Limits {
    /// Returns the time within which a request is answered.
    #[must_use]
    pub const fn request_deadline(&self) -> Duration {
        Duration::from_secs(self.request_seconds)
    }

    /// Returns the limits of the listener.
    #[must_use]
    pub const fn accept(&self) -> AcceptLimits {
        AcceptLimits {
            connections: self.connections,
            concurrent_total: self.unauthenticated,
            concurrent_per_source: self.unauthenticated_per_source,
            rate_per_source: Rate {
                per_second: self.connection_rate_per_source,
                burst: self.connection_rate_per_source.saturating_mul(4),
            },
            drain_deadline: Duration::from_secs(self.drain_seconds),
        }
    }

    /// Returns the rate of logins from one source.
    #[must_use]
    pub const fn logins(&self) -> Rate {
        Rate {
            per_second: self.login_rate_per_source,
            burst: self.login_burst_per_source,
        }
    }
}

/// Flags of the command line that stand over file and environment.
#[derive(Debug, Clone, Default, clap::Args)]
pub struct Flags {
    /// The configuration file (TOML).
    #[arg(long, value_name = "FILE", conflicts_with = "data")]
    pub config: Option<PathBuf>,
    /// The data directory that `init` made; its platform.toml is read if it is there.
    #[arg(long, value_name = "DIR")]
    pub data: Option<PathBuf>,
    /// The address and port to listen on.
    #[arg(long, value_name = "ADDRESS:PORT")]
    pub listen: Option<SocketAddr>,
    /// Where daemons reach the platform.
    #[arg(long, value_name = "HOST:PORT")]
    pub public_address: Option<Target>,
    /// The form of the log.
    #[arg(long, value_name = "FORMAT")]
    pub log_format: Option<LogFormat>,
    /// The least that is worth a line in the log.
    #[arg(long, value_name = "LEVEL")]
    pub log_level: Option<LogLevel>,
}

impl Config {
    /// Returns the configuration of a data directory as `init` makes it, listening on a free local port.
    #[must_use]
    pub fn for_data_directory(directory: &Path) -> Self {
        let mut config = Self::default();
        config.server.listen.set_port(0);
        config.resolve(directory);
        config
    }

    /// Reads file, environment and flags.
    ///
    /// # Errors
    /// Says which key of which source is wrong.
    pub fn load(flags: &Flags) -> Result<Self, ConfigError> {
        Self::load_from(flags, std::env::vars())
    }

    fn load_from(
        flags: &Flags,
        environment: impl Iterator<Item = (String, String)>,
    ) -> Result<Self, ConfigError> {
        let (file, directory) = match (&flags.config, &flags.data) {
            (Some(file), _) => (Some(file.clone()), file.parent().map(Path::to_path_buf)),
            (None, Some(data)) => {
                let file = data.join(FILE);
                (file.exists().then_some(file), Some(data.clone()))
            }
            (None, None) => (None, None),
        };
        let mut figment = Figment::from(Serialized::defaults(Self::default()));
        if let Some(file) = &file {
            let text = std::fs::read_to_string(file).map_err(|e| ConfigError {
                place: file.display().to_string(),
                key: "the file".into(),
                what: e.to_string(),
            })?;
            figment = figment.merge(Named {
                inner: Toml::string(&text),
                name: file.display().to_string(),
            });
        }
        figment = figment.merge(Environment::of(environment));
        let mut config: Self = figment.extract().map_err(|e| explain(&e))?;
        config.apply(flags);
        config.resolve(&directory.unwrap_or_default());
        config.check()?;
        Ok(config)
    }

    fn apply(&mut self, flags: &Flags) {
        if let Some(listen) = flags.listen {
            self.server.listen = listen;
        }
        if let Some(address) = &flags.public_address {
            self.server.public_address = Some(address.clone());
        }
        if let Some(format) = flags.log_format {
            self.log.format = format;
        }
        if let Some(level) = flags.log_level {
            self.log.level = level;
        }
    }

    fn resolve(&mut self, directory: &Path) {
        self.store.path = directory.join(&self.store.path);
        self.keys.root_key_file = directory.join(&self.keys.root_key_file);
    }

    fn check(&self) -> Result<(), ConfigError> {
        let limits = &self.limits;
        let zero = [
            ("limits.connections", limits.connections == 0),
            ("limits.unauthenticated", limits.unauthenticated == 0),
            (
                "limits.unauthenticated_per_source",
                limits.unauthenticated_per_source == 0,
            ),
            (
                "limits.connection_rate_per_source",
                limits.connection_rate_per_source == 0,
            ),
            ("limits.requests", limits.requests == 0),
            ("limits.login_rate_per_source", limits.login_rate_per_source == 0),
            (
                "limits.login_burst_per_source",
                limits.login_burst_per_source == 0,
            ),
            ("limits.request_seconds", limits.request_seconds == 0),
        ];
        let wrong = |key: &str, what: &str| {
            Err(ConfigError {
                place: "all sources together".into(),
                key: key.into(),
                what: what.into(),
            })
        };
        if let Some((key, _)) = zero.iter().find(|(_, zero)| *zero) {
            return wrong(key, "must be at least 1");
        }
        if self.server.hosts.is_empty() && self.server.public_address.is_none() {
            return wrong(
                "server.hosts",
                "needs a name, unless server.public_address is set",
            );
        }
        if self.certificate_hosts().len() > MOST_HOSTS {
            return wrong("server.hosts", "a certificate names at most 32 hosts");
        }
        Ok(())
    }

    /// Returns every name that the HTTPS certificate must carry, each once.
    #[must_use]
    pub fn certificate_hosts(&self) -> Vec<Host> {
        let public = self
            .server
            .public_address
            .iter()
            .map(|target| target.host.clone());
        let mut hosts: Vec<Host> = public.chain(self.server.hosts.iter().cloned()).collect();
        let mut seen = std::collections::BTreeSet::new();
        hosts.retain(|host| seen.insert(host.clone()));
        hosts
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn load(toml: &str, environment: &[(&str, &str)], flags: Flags) -> Result<Config, ConfigError> {
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("p.toml");
        std::fs::write(&file, toml).unwrap();
        let flags = Flags {
            config: Some(file),
            ..flags
        };
        Config::load_from(
            &flags,
            environment
                .iter()
                .map(|(k, v)| ((*k).to_owned(), (*v).to_owned())),
        )
    }

    #[test]
    fn flags_stand_over_the_environment_and_that_over_the_file() {
        let toml = "[server]\nlisten = '127.0.0.1:1'\n[log]\nlevel = 'warn'\n[limits]\nrequests = 7\n";
        let environment = [
            ("POSTERN_SERVER__LISTEN", "127.0.0.1:2"),
            ("POSTERN_LOG__LEVEL", "debug"),
            ("POSTERN_SERVER__HOSTS", "[\"a.example\", \"10.0.0.1\"]"),
            ("POSTERN_GATEWAY__X", "1"),
            ("POSTERN_TOKEN", "x"),
        ];
        let flags = Flags {
            listen: Some("127.0.0.1:3".parse().unwrap()),
            ..Flags::default()
        };
        let config = load(toml, &environment, flags).unwrap();
        assert_eq!(config.server.listen.port(), 3);
        assert_eq!(config.log.level, LogLevel::Debug);
        assert_eq!(config.limits.requests, 7);
        assert_eq!(config.certificate_hosts().len(), 2);
    }

    #[test]
    fn an_error_names_the_source_and_the_key() {
        for (toml, key) in [
            ("[server]\nlisten = 'nowhere'", "server.listen"),
            ("[server]\nlitsen = '127.0.0.1:1'", "server.litsen"),
            ("[servre]\nlisten = '127.0.0.1:1'", "servre"),
            (
                "[server]\ntrusted_proxies = ['10.0.0.0/33']",
                "server.trusted_proxies",
            ),
            ("[server]\nhosts = ['a b']", "server.hosts"),
            ("[server]\npublic_address = 'a:0'", "server.public_address"),
            ("[log]\nformat = 'xml'", "log.format"),
            ("[limits]\nrequests = -1", "limits.requests"),
        ] {
            let error = load(toml, &[], Flags::default()).unwrap_err();
            assert!(error.key.starts_with(key), "{toml}: {error}");
            assert!(error.place.ends_with("p.toml"), "{error}");
        }
        let error = load("", &[("POSTERN_SERVER__PORT", "1")], Flags::default()).unwrap_err();
        assert!(
            error.place.contains("environment") && error.key == "server.port",
            "{error}"
        );
        let error = load("[limits]\nrequests = 0", &[], Flags::default()).unwrap_err();
        assert_eq!(error.key, "limits.requests");
    }

    #[test]
    fn a_missing_file_is_an_error_and_a_data_directory_needs_none() {
        let directory = tempfile::tempdir().unwrap();
        let missing = Flags {
            config: Some(directory.path().join("x.toml")),
            ..Flags::default()
        };
        assert!(Config::load_from(&missing, std::iter::empty()).is_err());
        let data = Flags {
            data: Some(directory.path().to_path_buf()),
            ..Flags::default()
        };
        let config = Config::load_from(&data, std::iter::empty()).unwrap();
        assert_eq!(config.store.path, directory.path().join("platform.db"));
    }
}
