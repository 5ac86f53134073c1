//! `cargo xtask layers`: who may use whom, and what must not ship.
//!
//! The table of crates is held against `cargo metadata`, normal and development edges apart, and the shipped
//! binaries against `cargo tree`. Both are judged from text by functions that their tests call with bad input.

mod graph;
mod shipped;
mod table;

use std::path::Path;
use std::process::{Command, ExitCode};

use anyhow::{Context as _, ensure};

/// Judges the workspace and prints each fault. Fails if there is one.
pub(crate) fn run(root: &Path) -> anyhow::Result<ExitCode> {
    let graph = graph::Graph::parse(&metadata(root)?)?;
    let mut faults = table::judge(&graph);
    for binary in &table::BINARIES {
        let tree = tree(root, &table::package(binary.krate))?;
        faults.extend(shipped::judge(binary, &shipped::Tree::parse(&tree)));
    }
    for fault in &faults {
        println!("layers: {fault}");
    }
    if faults.is_empty() {
        println!(
            "layers: {} crates, {} binaries: all hold",
            graph.packages.len(),
            table::BINARIES.len()
        );
        Ok(ExitCode::SUCCESS)
    } else {
        Ok(ExitCode::FAILURE)
    }
}

/// Returns what `cargo metadata` says of the workspace's own packages.
pub(crate) fn metadata(root: &Path) -> anyhow::Result<serde_json::Value> {
    let text = cargo(root, &["metadata", "--format-version", "1", "--no-deps"])?;
    serde_json::from_str(&text).context("cargo metadata is not JSON")
}

/// Returns the tree of what is linked into a package's binary.
fn tree(root: &Path, package: &str) -> anyhow::Result<String> {
    let args = [
        "tree",
        "--edges",
        "normal",
        "--package",
        package,
        "--prefix",
        "depth",
        "--format",
        "{p}",
    ];
    cargo(root, &args)
}

fn cargo(root: &Path, args: &[&str]) -> anyhow::Result<String> {
    let run = Command::new(env!("CARGO")).current_dir(root).args(args).output();
    let output = run.context("cargo does not start")?;
    let errors = String::from_utf8_lossy(&output.stderr);
    ensure!(
        output.status.success(),
        "cargo {}: {}",
        args.join(" "),
        errors.trim()
    );
    String::from_utf8(output.stdout).context("cargo's output is not UTF-8")
}
