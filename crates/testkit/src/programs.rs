//! The programs as they are built, started by tests as a user would start them.

use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::Context as _;
use tokio::process::Command;
use tokio::sync::OnceCell;

use crate::parts::command::{command, run};

/// Where the programs are, once they are built.
static BUILT: OnceCell<PathBuf> = OnceCell::const_new();

/// Makes a command for one of the programs, which are built first if they are not up to date.
///
/// # Errors
/// They cannot be built.
pub async fn program(name: &str) -> anyhow::Result<Command> {
    let directory = BUILT.get_or_try_init(build).await?;
    Ok(command(directory.join(name)))
}

/// Makes a command for one of the programs that, where a file must not grow, gets an error and no signal. With
/// `longest`, none of its files may grow beyond so many bytes, as if the disk were full.
///
/// # Errors
/// They cannot be built.
pub async fn tolerant(name: &str, longest: Option<u64>) -> anyhow::Result<Command> {
    let program = program(name).await?;
    let mut shell = command("sh");
    let limit = longest.map_or_else(String::new, |bytes| format!("prlimit --fsize={bytes}: -- "));
    shell.args(["-c", &format!("trap '' XFSZ; exec {limit}\"$@\""), "sh"]);
    shell.arg(program.as_std().get_program());
    Ok(shell)
}

async fn build() -> anyhow::Result<PathBuf> {
    let own = std::env::current_exe()?;
    let directory = own.parent().context("the program's own directory")?;
    // A test's program lies in target/<profile>/deps; a bench lies beside the programs, which were built with it.
    if directory.file_name().is_none_or(|name| name != "deps") {
        return Ok(directory.to_owned());
    }
    let directory = directory.parent().context("the profile's directory")?;
    let mut cargo = command(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    cargo
        .args(["build", "--quiet", "--bins"])
        .current_dir(Path::new(env!("CARGO_MANIFEST_DIR")).join("../.."));
    for package in [
        "postern",
        "postern-dev",
        "postern-platform",
        "postern-relay",
        "postern-gateway",
    ] {
        cargo.args(["--package", package]);
    }
    run(&mut cargo, Duration::from_secs(1200))
        .await?
        .success()
        .context("cargo build")?;
    Ok(directory.to_owned())
}
