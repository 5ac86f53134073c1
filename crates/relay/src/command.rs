//! The program `postern-relay`: `enroll` once, then `run`.

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::{Context as _, bail};
use clap::{Parser, Subcommand};
use postern_agent::{StateDir, enroll_with_ticket};
use postern_api::EnrollmentTicket;
use postern_domain::{Secret, printable};
use postern_pki::DaemonKind;
use postern_transport::{Clock, Drain, Signals};

use crate::config::{Config, Flags};
use crate::daemon::{Listeners, Relay};

/// The relay of Postern: routes sealed traffic between clients and gateways, and can read none of it.
#[derive(Debug, Parser)]
#[command(name = "postern-relay", version, about)]
struct Command {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Debug, Subcommand)]
enum Verb {
    /// Enroll with a platform by the one-time token in POSTERN_TOKEN.
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
        Err(error) => fail(&format!("{error:#}"), 1),
    }
}

async fn serve(config: &Config) -> anyhow::Result<()> {
    let relay = Relay::start(config, Listeners::bind(config).await?, Clock::system()).await?;
    let signals = Signals::listen().context("signals")?;
    let (hand, drain) = Drain::new();
    tracing::info!(relay = %relay.id(), ssh = %config.listen.ssh, tls = %config.listen.tls, "running");
    signals
        .govern(hand, relay.run(drain))
        .await
        .context("stopped before everything had ended")
}

async fn enroll(enroll: Enroll, config: &Config) -> anyhow::Result<()> {
    let text = match enroll.token_file {
        Some(file) => Secret::new(
            std::fs::read_to_string(&file).with_context(|| format!("{} cannot be read", file.display()))?,
        ),
        None => match std::env::var("POSTERN_TOKEN") {
            Ok(value) if !value.is_empty() => Secret::new(value),
            _ => bail!("set POSTERN_TOKEN: secrets are never given as arguments, which others can see"),
        },
    };
    let ticket: EnrollmentTicket = text.expose().parse()?;
    let state = StateDir::open(&config.state.directory)?;
    let daemon = enroll_with_ticket(&state, DaemonKind::Relay, &ticket, Clock::system()).await?;
    tracing::info!(id = %daemon.id, name = %daemon.name, "enrolled");
    Ok(())
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
    // Whoever embeds the relay has set up a log of its own.
    set.ok();
}

fn fail(what: &str, code: u8) -> ExitCode {
    use std::io::Write as _;
    writeln!(std::io::stderr().lock(), "postern-relay: {}", printable(what)).ok();
    ExitCode::from(code)
}
