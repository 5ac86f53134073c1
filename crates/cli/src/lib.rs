//! `postern`: administration of a platform, and connecting to resources.
//!
//! Everything it can do, anyone can do over the HTTP API with the same rights; it holds no key of the platform
//! and no database. Results go to standard output, progress and errors to standard error.

pub mod args;
mod connect;
mod dev;
pub mod exit;
pub mod home;
pub mod noun;
pub mod output;
pub mod remote;

mod login;

pub use connect::{forward, hint, not_granted};

use std::process::ExitCode;

use clap::Parser as _;
use postern_domain::printable;
use postern_transport::Clock;

use crate::args::{Cli, Command};
use crate::home::Home;
use crate::output::Output;
use crate::remote::Remote;

/// Runs the program on the command line that it was started with.
pub async fn run() -> ExitCode {
    let cli = Cli::parse();
    let json = cli.global.json;
    match carry_out(cli).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            report(&error, json);
            exit::code(&error)
        }
    }
}

async fn carry_out(cli: Cli) -> anyhow::Result<()> {
    let out = Output {
        json: cli.global.json,
    };
    let clock = Clock::system();
    let home = || Home::choose(cli.global.home.clone());
    let remote = || Remote::open(&home()?, &clock);
    match cli.command {
        Command::Dev(dev) => dev::run(dev, out.json),
        Command::Login(args) => login::login(args, &home()?, &clock, out).await,
        Command::Logout => login::logout(&home()?),
        Command::Whoami => login::whoami(&remote()?, out).await,
        Command::Organization(verb) => noun::organization::run(verb, &remote()?, out).await,
        Command::Project(verb) => noun::project::run(verb, &remote()?, out).await,
        Command::Identity(verb) => noun::identity::run(verb, &remote()?, out).await,
        Command::Relay(verb) => noun::relay::run(verb, &remote()?, out).await,
        Command::Gateway(verb) => noun::gateway::run(verb, &remote()?, out).await,
        Command::Resource(verb) => noun::resource::run(verb, &remote()?, out).await,
        Command::Session(verb) => noun::session::run(verb, &remote()?, out).await,
        Command::Authority(verb) => noun::authority::run(verb, &remote()?, out).await,
        Command::Connect(args) => connect::run(args, &remote()?, &clock, out).await,
    }
}

/// Says on standard error what went wrong: a sentence, or one JSON object with the stable code.
fn report(error: &anyhow::Error, json: bool) {
    let text = if json {
        let code = exit::reason(error).map(postern_domain::Reason::code);
        serde_json::json!({ "error": format!("{error:#}"), "code": code }).to_string()
    } else {
        format!("postern: {}", printable(&format!("{error:#}")))
    };
    say(&text);
}

/// Writes a line to standard error, where progress and errors go. Nobody may be listening.
pub(crate) fn say(line: &str) {
    use std::io::Write as _;
    writeln!(std::io::stderr().lock(), "{line}").ok();
}
