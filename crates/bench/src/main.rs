//! The benches. Each builds what it needs through the testkit, measures it, and judges nothing: figures are printed.

mod report;
mod smoke;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

/// Measures Postern on this machine. Run it through `cargo xtask bench`, which builds in release.
#[derive(Debug, Parser)]
#[command(name = "postern-bench")]
struct Arguments {
    #[command(subcommand)]
    bench: Bench,
}

#[derive(Debug, Subcommand)]
enum Bench {
    /// The figures that every change should look at: a session, the API, idle memory, the demo.
    Smoke(Options),
}

/// What every bench takes.
#[derive(Debug, Clone, Copy, clap::Args)]
struct Options {
    /// Print one JSON object a line.
    #[arg(long)]
    json: bool,
    /// How often each case is measured.
    #[arg(long, value_name = "N", default_value_t = 3, value_parser = clap::value_parser!(u32).range(1..=1000))]
    runs: u32,
}

#[tokio::main]
async fn main() -> ExitCode {
    let Bench::Smoke(options) = Arguments::parse().bench;
    match smoke::run(options).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            report::complain(&error);
            ExitCode::FAILURE
        }
    }
}
