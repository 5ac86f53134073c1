//! One daemon in a process of its own: started, watched, limited and ended by its process id.

use std::process::{ExitStatus, Stdio};
use std::time::Duration;

use anyhow::{Context as _, ensure};
use rustix::process::{Pid, Resource, Rlimit, Signal, getrlimit, kill_process, prlimit};
use tokio::io::{AsyncBufReadExt as _, BufReader};
use tokio::process::Child;

use crate::programs::tolerant;

const MINUTE: Duration = Duration::from_secs(60);

/// A daemon in a process of its own. Dropped, it is killed.
#[derive(Debug)]
pub struct Daemon {
    child: Child,
}

impl Daemon {
    /// Starts a program and waits until a line of its log holds `ready`; returns that line as well.
    ///
    /// # Errors
    /// It ended, or was not ready in time; the message has what it said.
    pub async fn start(name: &str, arguments: &[&str], ready: &str) -> anyhow::Result<(Self, String)> {
        let mut command = tolerant(name, None).await?;
        command
            .args(arguments)
            .stdout(Stdio::null())
            .stderr(Stdio::piped());
        let mut child = command.spawn()?;
        let mut lines = BufReader::new(child.stderr.take().context("standard error")?).lines();
        let mut said = Vec::new();
        let waiting = async {
            while let Some(line) = lines.next_line().await? {
                if line.contains(ready) {
                    return anyhow::Ok(Some(line));
                }
                said.push(line);
            }
            Ok(None)
        };
        let line = tokio::time::timeout(MINUTE, waiting)
            .await
            .with_context(|| format!("{name} is not ready"))??;
        let line = line.with_context(|| format!("{name} ended:\n{}", said.join("\n")))?;
        tokio::spawn(async move { while let Ok(Some(_)) = lines.next_line().await {} });
        Ok((Self { child }, line))
    }

    /// Returns the process's id, while it runs.
    #[must_use]
    pub fn pid(&self) -> Option<u32> {
        self.child.id()
    }

    /// Returns the resident memory, in MiB.
    ///
    /// # Errors
    /// The process is gone.
    pub fn resident_mib(&self) -> anyhow::Result<f64> {
        let pid = self.pid().context("the process is gone")?;
        let status = std::fs::read_to_string(format!("/proc/{pid}/status"))?;
        let line = status
            .lines()
            .find_map(|line| line.strip_prefix("VmRSS:"))
            .context("VmRSS")?;
        let kib: f64 = line.trim().trim_end_matches("kB").trim().parse()?;
        Ok(kib / 1024.0)
    }

    /// Sends SIGTERM, and leaves it to the process what becomes of that.
    ///
    /// # Errors
    /// The process is gone.
    pub fn ask_to_end(&self) -> anyhow::Result<()> {
        Ok(kill_process(self.process()?, Signal::TERM)?)
    }

    /// Waits until the process has ended, and returns how.
    ///
    /// # Errors
    /// It did not end in time.
    pub async fn ended(&mut self) -> anyhow::Result<ExitStatus> {
        let ended = tokio::time::timeout(MINUTE, self.child.wait()).await;
        Ok(ended.context("the process did not end in time")??)
    }

    /// Kills the process without a warning (SIGKILL), and waits until it is gone.
    ///
    /// # Errors
    /// It was gone already.
    pub async fn kill(&mut self) -> anyhow::Result<()> {
        ensure!(self.pid().is_some(), "the process had ended by itself");
        Ok(self.child.kill().await?)
    }

    /// Lets no file of the process grow beyond `bytes`, as if the disk were full; none takes the limit away.
    ///
    /// # Errors
    /// The process is gone.
    pub fn limit_files(&self, bytes: Option<u64>) -> anyhow::Result<()> {
        let limit = Rlimit {
            current: bytes,
            maximum: getrlimit(Resource::Fsize).maximum,
        };
        prlimit(Some(self.process()?), Resource::Fsize, limit)?;
        Ok(())
    }

    fn process(&self) -> anyhow::Result<Pid> {
        let pid = self.pid().context("the process is gone")?;
        Pid::from_raw(i32::try_from(pid)?).context("a process id")
    }
}
