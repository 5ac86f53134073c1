//! `postern connect`, as a user runs it.

use std::net::SocketAddr;
use std::time::Duration;

use anyhow::{Context as _, bail};
use postern::home::{Home, SavedLogin};
use tokio::io::{AsyncBufReadExt as _, BufReader};
use tokio::process::{Child, Command};

use crate::programs::program;
use crate::world::World;

/// How long the first session may take.
const PATIENCE: Duration = Duration::from_secs(30);

/// A running `postern connect --listen`. Dropped, it is killed.
#[derive(Debug)]
pub struct Connecting {
    /// Where it listens.
    pub address: SocketAddr,
    _child: Child,
}

impl World {
    /// Makes the command `postern`, logged in as the identity that may connect.
    ///
    /// # Errors
    /// The program cannot be built, or the platform refused the login.
    pub async fn postern(&self) -> anyhow::Result<Command> {
        let directory = self.directory().join("home");
        let login = SavedLogin {
            platform: self.stack.address.target.clone(),
            pins: self.stack.address.pins.clone(),
            token: Some(self.seeded.developer.token().await?),
            expires: None,
        };
        Home::choose(Some(directory.clone()))?.save(&login)?;
        let mut postern = program("postern").await?;
        postern.env("POSTERN_HOME", directory);
        Ok(postern)
    }

    /// Runs `postern connect RESOURCE --listen 127.0.0.1:0` and waits until it listens.
    ///
    /// # Errors
    /// It did not come to listen; the message has what it said.
    pub async fn listen(&self, resource: &str) -> anyhow::Result<Connecting> {
        Connecting::start(self.postern().await?, resource).await
    }
}

impl Connecting {
    /// Runs `postern`, which is logged in, with `connect RESOURCE --listen 127.0.0.1:0`.
    ///
    /// # Errors
    /// It did not come to listen; the message has what it said.
    pub(crate) async fn start(mut postern: Command, resource: &str) -> anyhow::Result<Self> {
        postern.args(["connect", resource, "--listen", "127.0.0.1:0", "--json"]);
        let mut child = postern.spawn()?;
        let mut lines = BufReader::new(child.stdout.take().context("standard output")?).lines();
        let mut errors = BufReader::new(child.stderr.take().context("standard error")?).lines();
        let line = tokio::time::timeout(PATIENCE, lines.next_line())
            .await
            .context("postern connect")??;
        let Some(line) = line else {
            let mut said = String::new();
            while let Some(line) = errors.next_line().await? {
                said.push_str(&line);
                said.push('\n');
            }
            bail!("postern connect ended: {}\n{said}", child.wait().await?)
        };
        // What it says is read on, so that it never waits for a full pipe; the reader ends with it.
        tokio::spawn(async move { while let Ok(Some(_)) = errors.next_line().await {} });
        let said: serde_json::Value = serde_json::from_str(&line)?;
        let address = said
            .get("address")
            .and_then(|a| a.as_str())
            .context("an address")?
            .parse()?;
        Ok(Self {
            address,
            _child: child,
        })
    }
}
