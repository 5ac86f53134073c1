//! The configuration of a gateway: TOML file, environment (`POSTERN_<SECTION>__<KEY>`), flags over both.

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

/// What a gateway must be told.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Config {
    /// Where it keeps things.
    pub state: State,
    /// What narrows it.
    pub rules: RuleFile,
    /// What bounds it.
    pub limits: Limits,
    /// How it speaks of what it does.
    pub log: Log,
}

/// `[state]`.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct State {
    /// The state directory: keys, certificates, last known policy, audit spool. Mode 0700.
    pub directory: PathBuf,
}

impl Default for State {
    fn default() -> Self {
        Self {
            directory: "/var/lib/postern-gateway".into(),
        }
    }
}

/// `[rules]`.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct RuleFile {
    /// The local rule file; none: the defaults.
    pub file: Option<PathBuf>,
}

/// `[limits]`.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Limits {
    /// Inner sessions at once.
    pub sessions: usize,
    /// Inner handshakes at once.
    pub handshakes: usize,
    /// Streams at once in one inner session.
    pub streams_per_session: u32,
    /// Seconds that live streams may go on after SIGTERM.
    pub drain_seconds: u64,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            sessions: 4096,
            handshakes: 128,
            streams_per_session: 1024,
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
    /// The local rule file.
    #[arg(long, value_name = "FILE")]
    pub rules: Option<PathBuf>,
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
        let sections = ["state", "rules", "limits", "log"];
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
        if let Some(file) = &flags.rules {
            config.rules.file = Some(file.clone());
        }
        config.limits.check(&figment)?;
        Ok(config)
    }
}

impl Limits {
    /// Refuses what would let nobody in, or bounds nothing.
    fn check(&self, source: &Figment) -> Result<(), ConfigError> {
        let judged = [
            ("sessions", self.sessions as u64, 1..=MOST),
            ("handshakes", self.handshakes as u64, 1..=MOST),
            (
                "streams_per_session",
                u64::from(self.streams_per_session),
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
