//! `cargo xtask bench NAME`: builds the benches and the binaries that they start in release, then runs one.

use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};

use anyhow::{Context as _, ensure};

/// What a bench starts besides itself.
const BINARIES: [&str; 5] = [
    "postern",
    "postern-dev",
    "postern-platform",
    "postern-relay",
    "postern-gateway",
];

/// Which bench to run, and how.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// The bench, such as smoke.
    name: String,
    /// What the bench takes, such as --json.
    #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
    rest: Vec<String>,
}

/// Builds, then runs; the bench's output is the only thing on standard output.
pub(crate) fn run(root: &Path, args: &Args) -> anyhow::Result<ExitCode> {
    let mut build = Command::new(env!("CARGO"));
    build
        .current_dir(root)
        .args(["build", "--release", "--bins", "--package", "postern-bench"]);
    for package in BINARIES {
        build.args(["--package", package]);
    }
    ensure!(
        build.status().context("cargo build does not start")?.success(),
        "the release build failed"
    );
    let bench = target_dir(root)?.join("release").join("postern-bench");
    let mut run = Command::new(&bench);
    run.current_dir(root).arg(&args.name).args(&args.rest);
    let status = run
        .status()
        .with_context(|| format!("{} does not start", bench.display()))?;
    Ok(if status.success() {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}

/// Returns the folder that cargo builds into, wherever the configuration has put it.
fn target_dir(root: &Path) -> anyhow::Result<PathBuf> {
    let metadata = crate::layers::metadata(root)?;
    let dir = metadata
        .get("target_directory")
        .and_then(serde_json::Value::as_str);
    dir.map(PathBuf::from)
        .context("cargo metadata names no target directory")
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    #[derive(Debug, Parser)]
    struct Line {
        #[command(flatten)]
        args: super::Args,
    }

    #[test]
    fn passes_on_whatever_follows_the_name() {
        let line = Line::try_parse_from(["bench", "smoke", "--json", "--runs", "3"]).unwrap();
        assert_eq!(line.args.name, "smoke");
        assert_eq!(line.args.rest, ["--json", "--runs", "3"]);
        assert!(Line::try_parse_from(["bench"]).is_err());
    }
}
