//! The command line of `postern-platform`. Exit codes: 0 done, 1 failed, 2 wrong arguments or configuration.

use std::fmt;
use std::io::{self, BufRead as _, Write as _};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::Context as _;
use clap::{Parser, Subcommand};
use postern_domain::{Host, Name, Secret, Target};
use postern_transport::{Clock, Drain, Signals};
use zeroize::Zeroizing;

use crate::config::{Config, ConfigError, Flags};
use crate::{InitOptions, Platform, log};

/// The platform of Postern: certificate authorities, policy, sessions, audit log, HTTP API.
#[derive(Debug, Parser)]
#[command(name = "postern-platform", version)]
pub struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Make a new instance: root key, store, authorities, first administrator.
    Init(Init),
    /// Serve the HTTP API until SIGTERM or SIGINT.
    Serve(Flags),
}

#[derive(Debug, clap::Args)]
struct Init {
    /// The data directory; it is made if it is not there.
    #[arg(long, value_name = "DIR")]
    data: PathBuf,
    /// The name of the first administrator.
    #[arg(long, value_name = "NAME", default_value = "admin")]
    admin: Name,
    /// A file whose first line is the administrator's password; `-` is standard input. Without it a random one
    /// is made and shown once.
    #[arg(long, value_name = "FILE")]
    admin_password_file: Option<PathBuf>,
    /// Where daemons and the command line will reach the platform.
    #[arg(long, value_name = "HOST:PORT")]
    public_address: Option<Target>,
    /// A name for the HTTPS certificate; may be given several times.
    #[arg(long, value_name = "HOST")]
    host: Vec<Host>,
}

/// Why the program ended otherwise than well.
#[derive(Debug)]
pub enum Failure {
    /// The configuration is wrong; nothing was bound.
    Config(ConfigError),
    /// Anything else.
    Other(anyhow::Error),
}

impl Failure {
    /// Returns the exit code.
    #[must_use]
    pub fn exit_code(&self) -> ExitCode {
        match self {
            Self::Config(_) => ExitCode::from(2),
            Self::Other(_) => ExitCode::from(1),
        }
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Config(error) => error.fmt(f),
            Self::Other(error) => write!(f, "{error:#}"),
        }
    }
}

impl From<ConfigError> for Failure {
    fn from(error: ConfigError) -> Self {
        Self::Config(error)
    }
}

impl From<anyhow::Error> for Failure {
    fn from(error: anyhow::Error) -> Self {
        Self::Other(error)
    }
}

/// Does what the command line asks for.
///
/// # Errors
/// Says what went wrong; nothing was logged about it yet.
pub async fn run(arguments: Arguments) -> Result<(), Failure> {
    match arguments.command {
        Command::Init(init) => Ok(initialize(init).await?),
        Command::Serve(flags) => {
            let config = Config::load(&flags)?;
            log::start(&config.log);
            Ok(serve(config).await?)
        }
    }
}

async fn initialize(init: Init) -> anyhow::Result<()> {
    let password = init
        .admin_password_file
        .as_deref()
        .map(read_password)
        .transpose()?;
    let options = InitOptions {
        admin: init.admin,
        password,
        public_address: init.public_address,
        hosts: init.host,
    };
    let made = Platform::init(&init.data, options, Clock::system().now()).await?;
    io::stdout().write_all(made.report().expose().as_bytes())?;
    Ok(())
}

/// Reads the first line of a file or of standard input.
fn read_password(file: &Path) -> anyhow::Result<Secret<String>> {
    let mut line = Zeroizing::new(String::new());
    if file == Path::new("-") {
        io::stdin()
            .lock()
            .read_line(&mut line)
            .context("the password cannot be read from standard input")?;
    } else {
        let opened = std::fs::File::open(file).with_context(|| format!("cannot open {}", file.display()))?;
        let read = io::BufReader::new(opened).read_line(&mut line);
        read.with_context(|| format!("cannot read {}", file.display()))?;
    }
    Ok(Secret::new(line.trim_end_matches(['\r', '\n']).to_owned()))
}

async fn serve(config: Config) -> anyhow::Result<()> {
    let signals = Signals::listen()?;
    let bound = Platform::bind(config, Clock::system()).await?;
    let (hand, drain) = Drain::new();
    match signals.govern(hand, bound.run(drain)).await {
        Some(()) => Ok(()),
        None => Err(anyhow::anyhow!(
            "stopped by a second signal before requests under way had ended"
        )),
    }
}
