//! What a stack keeps from one start to the next: ports, and the credentials that are shown only once. Mode 0600.

use std::fs::OpenOptions;
use std::io::Write as _;
use std::net::SocketAddr;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;

use anyhow::Context as _;
use postern_domain::Secret;
use serde::{Deserialize, Serialize};

const FILE: &str = "dev.json";

/// What is kept.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Kept {
    /// Where the platform listens.
    pub platform: SocketAddr,
    /// Where the relay listens for gateways.
    pub relay_ssh: SocketAddr,
    /// Where the relay listens for clients.
    pub relay_tls: SocketAddr,
    /// The administrator's password.
    pub password: Secret<String>,
    /// Whether the relay has enrolled.
    pub relay_enrolled: bool,
    /// The credential of the organization's owner.
    pub owner: Option<Credential>,
    /// The credential of the identity that connects.
    pub developer: Option<Credential>,
    /// Whether the gateway has enrolled.
    pub gateway_enrolled: bool,
}

/// A machine identity's credential.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Credential {
    /// The client id.
    pub client_id: String,
    /// The client secret.
    pub client_secret: Secret<String>,
}

impl Kept {
    /// Begins with what the first start has.
    #[must_use]
    pub const fn new(
        platform: SocketAddr,
        relay_ssh: SocketAddr,
        relay_tls: SocketAddr,
        password: Secret<String>,
    ) -> Self {
        Self {
            platform,
            relay_ssh,
            relay_tls,
            password,
            relay_enrolled: false,
            owner: None,
            developer: None,
            gateway_enrolled: false,
        }
    }

    /// Reads it, if it is there.
    ///
    /// # Errors
    /// Names the file.
    pub fn load(directory: &Path) -> anyhow::Result<Option<Self>> {
        let file = directory.join(FILE);
        match std::fs::read(&file) {
            Ok(text) => {
                let kept = serde_json::from_slice(&text);
                kept.map(Some).with_context(|| {
                    format!(
                        "{} is damaged: remove {} to begin anew",
                        file.display(),
                        directory.display()
                    )
                })
            }
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error).with_context(|| format!("{} cannot be read", file.display())),
        }
    }

    /// Writes it, whole or not at all.
    ///
    /// # Errors
    /// Names the file.
    pub fn save(&self, directory: &Path) -> anyhow::Result<()> {
        let (file, aside) = (directory.join(FILE), directory.join(".dev.json"));
        let text = Secret::new(serde_json::to_vec_pretty(self)?);
        let write = || {
            let mut out = OpenOptions::new()
                .write(true)
                .create(true)
                .truncate(true)
                .mode(0o600)
                .open(&aside)?;
            out.write_all(text.expose())?;
            std::fs::rename(&aside, &file)
        };
        write().with_context(|| format!("{} cannot be written", file.display()))
    }
}
