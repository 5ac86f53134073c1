//! Commands with a bound on their time, whose output is kept for the test's message.

use std::ffi::OsStr;
use std::process::{ExitStatus, Stdio};
use std::time::Duration;

use anyhow::{Context as _, bail};
use tokio::io::AsyncWriteExt as _;
use tokio::process::Command;

/// What a command left behind.
#[derive(Debug)]
pub struct Output {
    /// How it ended.
    pub status: ExitStatus,
    /// Its standard output.
    pub stdout: Vec<u8>,
    /// Its standard error, as text.
    pub stderr: String,
}

impl Output {
    /// Returns the standard output as text.
    #[must_use]
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.stdout).into_owned()
    }

    /// Returns the output of a command that succeeded.
    ///
    /// # Errors
    /// The command failed; the message has what it said.
    pub fn success(self) -> anyhow::Result<Self> {
        if self.status.success() {
            Ok(self)
        } else {
            bail!(
                "{}\nstdout: {}\nstderr: {}",
                self.status,
                self.text(),
                self.stderr
            )
        }
    }
}

/// Makes a command that is killed when the test lets go of it.
pub fn command(program: impl AsRef<OsStr>) -> Command {
    let mut command = Command::new(program);
    command
        .kill_on_drop(true)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    command
}

/// Runs a command to its end.
///
/// # Errors
/// It cannot be started or does not end in time.
pub async fn run(command: &mut Command, limit: Duration) -> anyhow::Result<Output> {
    run_with_input(command, Vec::new(), limit).await
}

/// Runs a command to its end, with `input` on its standard input.
///
/// # Errors
/// It cannot be started or does not end in time.
pub async fn run_with_input(
    command: &mut Command,
    input: Vec<u8>,
    limit: Duration,
) -> anyhow::Result<Output> {
    let shown = format!("{:?}", command.as_std().get_program());
    command.stdin(Stdio::piped());
    let mut child = command
        .spawn()
        .with_context(|| format!("{shown} cannot be started"))?;
    let mut stdin = child.stdin.take().context("standard input")?;
    let feeding = async move {
        // A command that does not read its input closes it; that is its own affair.
        stdin.write_all(&input).await.ok();
        drop(stdin);
    };
    let both = async { tokio::join!(feeding, child.wait_with_output()).1 };
    let output = tokio::time::timeout(limit, both)
        .await
        .with_context(|| format!("{shown} did not end in time"))??;
    let stderr = String::from_utf8_lossy(&output.stderr).into_owned();
    Ok(Output {
        status: output.status,
        stdout: output.stdout,
        stderr,
    })
}
