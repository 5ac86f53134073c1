//! A daemon's state directory, read beside the running daemon that has locked it.

use std::path::Path;

use anyhow::Context as _;
use postern_api::DaemonCertificates;
use postern_domain::DaemonId;
use postern_pki::{DaemonKeys, LeafKey};
use postern_sshkey::{Certificate, PrivateKey, UnverifiedCertificate};
use serde_json::Value;

/// What a daemon is and holds.
#[derive(Debug)]
pub struct DaemonFiles {
    /// Its id.
    pub id: DaemonId,
    /// Its TLS and SSH keys.
    pub keys: DaemonKeys,
    /// Its certificates.
    pub certificates: DaemonCertificates,
}

impl DaemonFiles {
    /// Reads a state directory.
    ///
    /// # Errors
    /// No daemon has enrolled there.
    pub fn read(directory: &Path) -> anyhow::Result<Self> {
        let file = directory.join("daemon.json");
        let text = std::fs::read_to_string(&file).with_context(|| file.display().to_string())?;
        let mut stored: Value = serde_json::from_str(&text)?;
        let key = |name: &str| {
            stored
                .pointer(&format!("/keys/{name}"))
                .and_then(Value::as_str)
                .with_context(|| format!("no key {name}"))
        };
        let keys = DaemonKeys {
            tls: LeafKey::from_pem(key("tls")?)?,
            ssh: PrivateKey::from_openssh(key("ssh")?)?,
        };
        let mut take = |name: &str| stored.get_mut(name).map(Value::take).context("a member");
        Ok(Self {
            id: serde_json::from_value(take("id")?)?,
            certificates: serde_json::from_value(take("certificates")?)?,
            keys,
        })
    }

    /// Returns the SSH certificate.
    ///
    /// # Errors
    /// It is none.
    pub fn ssh_certificate(&self) -> anyhow::Result<Certificate> {
        Ok(UnverifiedCertificate::from_openssh(&self.certificates.ssh)?.verify_signature()?)
    }
}
