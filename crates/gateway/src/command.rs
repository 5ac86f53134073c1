//! The program `postern-gateway`: `enroll` once, then `run`.

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::{Context as _, bail};
use clap::{Parser, Subcommand};
use postern_agent::{Api, NewGateway, PlatformAddress, StateDir, enroll_with_identity, enroll_with_ticket};
use postern_api::{EnrollmentTicket, UniversalLogin};
use postern_domain::{Name, Pin, RelayId, Secret, Target, printable};
use postern_pki::DaemonKind;
use postern_transport::{Clock, Drain, Signals};

use crate::config::{Config, Flags};
use crate::daemon::Gateway;

/// The gateway of Postern: the agent in the private network. It only dials out.
#[derive(Debug, Parser)]
#[command(name = "postern-gateway", version, about)]
struct Command {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Debug, Subcommand)]
enum Verb {
    /// Enroll with a platform: by the one-time token in POSTERN_TOKEN, or as a machine identity.
    Enroll(Enroll),
    /// Run, after it has enrolled.
    Run(Flags),
}

#[derive(Debug, clap::Args)]
struct Enroll {
    #[command(flatten)]
    flags: Flags,
    /// A file that holds the one-time token; otherwise it is read from POSTERN_TOKEN.
    #[arg(long, value_name = "FILE")]
    token_file: Option<PathBuf>,
    /// The platform's address; with a machine identity.
    #[arg(long, value_name = "HOST:PORT", requires = "client_id")]
    platform: Option<Target>,
    /// The key of the Platform Root; with a machine identity. Several may be given.
    #[arg(long, value_name = "sha256/…")]
    pin: Vec<Pin>,
    /// A machine identity's client id; its secret is read from POSTERN_CLIENT_SECRET.
    #[arg(long, value_name = "ID", requires = "name")]
    client_id: Option<String>,
    /// The gateway's name; with a machine identity.
    #[arg(long)]
    name: Option<Name>,
    /// The ids of its relays in order, one to three; absent: the platform assigns one.
    #[arg(long = "relay", value_name = "ID")]
    relays: Vec<RelayId>,
}

/// Runs the program on the command line that it was started with. Exit codes: 0 done, 1 failed, 2 the command line
/// or the configuration is wrong.
pub async fn run() -> ExitCode {
    let command = Command::parse();
    let flags = match &command.verb {
        Verb::Enroll(enroll) => &enroll.flags,
        Verb::Run(flags) => flags,
    };
    let config = match Config::load(flags) {
        Ok(config) => config,
        Err(error) => return fail(&format!("configuration: {error}"), 2),
    };
    log(config.log.json);
    let done = match command.verb {
        Verb::Enroll(enroll) => self::enroll(enroll, &config).await,
        Verb::Run(_) => serve(&config).await,
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            let wrong_file = error.downcast_ref::<crate::rules::RulesError>().is_some();
            fail(&format!("{error:#}"), if wrong_file { 2 } else { 1 })
        }
    }
}

async fn serve(config: &Config) -> anyhow::Result<()> {
    let rules = config
        .rules
        .file
        .as_deref()
        .map(crate::rules::Rules::load)
        .transpose()?;
    drop(rules);
    let gateway = Gateway::start(config, Clock::system()).await?;
    let signals = Signals::listen().context("signals")?;
    let (hand, drain) = Drain::new();
    tracing::info!(gateway = %gateway.id(), "running");
    signals
        .govern(hand, gateway.run(drain))
        .await
        .context("stopped before everything had ended")
}

async fn enroll(enroll: Enroll, config: &Config) -> anyhow::Result<()> {
    let state = StateDir::open(&config.state.directory)?;
    let clock = Clock::system();
    let daemon = match (enroll.client_id, enroll.name) {
        (Some(client_id), Some(name)) => {
            let Some(target) = enroll.platform else {
                bail!("give --platform HOST:PORT and --pin")
            };
            if enroll.pin.is_empty() {
                bail!("give --pin: the platform is known by its key, as postern-platform init printed it");
            }
            let platform = PlatformAddress {
                target,
                pins: enroll.pin,
            };
            let api = Api::new(platform.clone(), clock.clone());
            let client_secret = from_environment("POSTERN_CLIENT_SECRET")?;
            let token = api
                .log_in_universal(&UniversalLogin {
                    client_id,
                    client_secret,
                })
                .await?;
            let gateway = NewGateway {
                name,
                relays: enroll.relays,
            };
            enroll_with_identity(&state, platform, &token.access_token, gateway, clock).await?
        }
        _ => {
            let text = match enroll.token_file {
                Some(file) => Secret::new(
                    std::fs::read_to_string(&file)
                        .with_context(|| format!("{} cannot be read", file.display()))?,
                ),
                None => from_environment("POSTERN_TOKEN")?,
            };
            let ticket: EnrollmentTicket = text.expose().parse()?;
            enroll_with_ticket(&state, DaemonKind::Gateway, &ticket, clock).await?
        }
    };
    tracing::info!(id = %daemon.id, name = %daemon.name, "enrolled");
    Ok(())
}

fn from_environment(variable: &str) -> anyhow::Result<Secret<String>> {
    match std::env::var(variable) {
        Ok(value) if !value.is_empty() => Ok(Secret::new(value)),
        _ => bail!("set {variable}: secrets are never given as arguments, which others can see"),
    }
}

fn log(json: bool) {
    let format = tracing_subscriber::fmt()
        .with_writer(std::io::stderr)
        .with_max_level(tracing::Level::INFO);
    let set = if json {
        format.json().try_init()
    } else {
        format.try_init()
    };
    // Whoever embeds the gateway has set up a log of its own.
    set.ok();
}

fn fail(what: &str, code: u8) -> ExitCode {
    use std::io::Write as _;
    writeln!(std::io::stderr().lock(), "postern-gateway: {}", printable(what)).ok();
    ExitCode::from(code)
}
