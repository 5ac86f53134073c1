//! `cargo xtask`: what the project checks of itself, and how its benches are run.
//!
//! It depends on none of the project's crates, so that it still runs when one of them does not compile.
#![allow(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "a command for developers; its output is its purpose"
)]

mod bench;
mod ci;
mod layers;
mod tidy;

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::Context as _;
use clap::{Parser, Subcommand};

/// Checks and chores of the Postern workspace.
#[derive(Debug, Parser)]
#[command(name = "cargo xtask")]
struct Args {
    #[command(subcommand)]
    task: Task,
}

#[derive(Debug, Subcommand)]
enum Task {
    /// Holds the crates against the table of who may use whom, and each binary against what must not ship.
    Layers,
    /// Holds every file against the rules of form: headers, sizes, names, links.
    Tidy,
    /// Runs every check and every test, and says how long each step took.
    Ci,
    /// Builds in release and runs a bench; what follows the name is passed on.
    Bench(bench::Args),
}

fn main() -> ExitCode {
    let done = root().and_then(|root| match Args::parse().task {
        Task::Layers => layers::run(&root),
        Task::Tidy => tidy::run(&root),
        Task::Ci => ci::run(&root),
        Task::Bench(args) => bench::run(&root, &args),
    });
    done.unwrap_or_else(|error| {
        eprintln!("xtask: {error:#}");
        ExitCode::FAILURE
    })
}

/// Returns the workspace's folder.
fn root() -> anyhow::Result<PathBuf> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).ancestors().nth(2);
    root.map(Path::to_owned)
        .context("xtask lies outside of the workspace")
}
