//! The world.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use anyhow::Context as _;
use postern_api::Resource;
use postern_dev::stack::{Options, Stack};
use postern_dev::{Seeded, Wanted};
use postern_domain::{Host, Port, Protocol, Target};

/// The gateway of a world may dial any port of 127.0.0.1, for resources that are approved with exactly that address.
const RULES: &str = "[[allow_forbidden]]\naddress = \"127.0.0.1\"\n";

/// A running world. Dropped, it ends with the test's runtime; [`World::stop`] ends it in order.
#[derive(Debug)]
pub struct World {
    /// Platform, relay and gateway.
    pub stack: Stack,
    /// The organization `acme` and what is in it.
    pub seeded: Seeded,
    directory: tempfile::TempDir,
}

impl World {
    /// Starts a world with the defaults.
    ///
    /// # Errors
    /// Something could not be started.
    pub async fn start() -> anyhow::Result<Self> {
        Self::start_with(|_| ()).await
    }

    /// Starts a world after `change` had its way with the options.
    ///
    /// # Errors
    /// Something could not be started.
    pub async fn start_with(change: impl FnOnce(&mut Options)) -> anyhow::Result<Self> {
        let directory = tempfile::Builder::new().prefix("postern-world-").tempdir()?;
        let mut options = Options::in_directory(&directory.path().join("data"));
        options.rules = RULES.into();
        change(&mut options);
        let mut stack = Stack::start(options).await.context("platform and relay")?;
        let seeded = Seeded::make(&mut stack, &[])
            .await
            .context("organization and gateway")?;
        Ok(Self {
            stack,
            seeded,
            directory,
        })
    }

    /// Approves a target on loopback as a resource of the project `demo`.
    ///
    /// # Errors
    /// The platform refused.
    pub async fn resource(&self, name: &str, protocol: Protocol, at: SocketAddr) -> anyhow::Result<Resource> {
        let port = Port::new(at.port()).context("a port")?;
        let target = Target {
            host: Host::Address(at.ip()),
            port,
        };
        let wanted = Wanted {
            name: name.parse()?,
            target,
            protocol,
        };
        let resource = self.seeded.approve(&wanted).await?;
        self.stack.until_known(resource.id).await?;
        Ok(resource)
    }

    /// Returns a directory of the test's own.
    #[must_use]
    pub fn directory(&self) -> &Path {
        self.directory.path()
    }

    /// Returns the spool directory of the relay.
    #[must_use]
    pub fn relay_spool(&self) -> PathBuf {
        self.stack.directory().join("relay/spool")
    }

    /// Returns the spool directory of the gateway.
    #[must_use]
    pub fn gateway_spool(&self) -> PathBuf {
        self.stack
            .directory()
            .join(format!("gateway-{}/spool", postern_dev::seed::GATEWAY))
    }

    /// Ends everything, and waits until it has ended.
    pub async fn stop(self) {
        self.stack.stop().await;
    }
}
