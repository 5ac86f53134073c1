//! Who a daemon is: what `daemon.json` holds after it enrolled.

use std::sync::Arc;

use postern_api::DaemonCertificates;
use postern_domain::{DaemonId, InstanceId, Name, Secret};
use postern_pki::{DaemonKeys, DaemonKind, LeafKey};
use postern_sshkey::PrivateKey;
use serde::{Deserialize, Serialize};

use crate::address::PlatformAddress;
use crate::state::{StateDir, StateError};

const FILE: &str = "daemon.json";

/// The three keys of a daemon. They are made here and never leave.
#[derive(Debug)]
pub struct Keys {
    /// The TLS key and the SSH key, which the platform certifies.
    pub certified: DaemonKeys,
    /// The identity key, used for nothing but statements.
    pub identity: PrivateKey,
}

/// An enrolled daemon.
#[derive(Debug, Clone)]
pub struct Daemon {
    /// Its id, given by the platform.
    pub id: DaemonId,
    /// Its name.
    pub name: Name,
    /// The instance that it belongs to.
    pub instance: InstanceId,
    /// Where the platform is and how it is known.
    pub platform: PlatformAddress,
    /// Its keys.
    pub keys: Arc<Keys>,
    /// Its newest certificates.
    pub certificates: DaemonCertificates,
}

/// The keys as they are kept.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct StoredKeys {
    tls: Secret<String>,
    ssh: Secret<String>,
    identity: Secret<String>,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct StoredDaemon {
    id: DaemonId,
    name: Name,
    instance: InstanceId,
    platform: PlatformAddress,
    keys: StoredKeys,
    certificates: DaemonCertificates,
}

impl Keys {
    /// Makes new keys.
    pub(crate) fn generate() -> Result<Self, postern_pki::KeyError> {
        Ok(Self {
            certified: DaemonKeys::generate()?,
            identity: PrivateKey::generate().map_err(|_| postern_pki::KeyError::Randomness)?,
        })
    }

    /// Returns the form in which they are kept.
    pub(crate) fn to_stored(&self) -> Result<StoredKeys, postern_sshkey::KeyError> {
        let text = |key: &PrivateKey| key.to_openssh().map(|file| Secret::new(String::from(&**file)));
        Ok(StoredKeys {
            tls: self.certified.tls.to_pem(),
            ssh: text(&self.certified.ssh)?,
            identity: text(&self.identity)?,
        })
    }

    /// Reads the form in which they are kept; the error names the key.
    pub(crate) fn from_stored(stored: &StoredKeys) -> Result<Self, String> {
        let ssh = |name: &str, file: &Secret<String>| {
            PrivateKey::from_openssh(file.expose()).map_err(|error| format!("its {name} key: {error}"))
        };
        Ok(Self {
            certified: DaemonKeys {
                tls: LeafKey::from_pem(stored.tls.expose())
                    .map_err(|error| format!("its TLS key: {error}"))?,
                ssh: ssh("SSH", &stored.ssh)?,
            },
            identity: ssh("identity", &stored.identity)?,
        })
    }
}

impl Daemon {
    /// Reads the state directory; `None` if no daemon has enrolled with it.
    ///
    /// # Errors
    /// If the file cannot be read or is damaged.
    pub fn load(state: &StateDir) -> Result<Option<Self>, StateError> {
        let Some(stored) = state.load::<StoredDaemon>(FILE)? else {
            return Ok(None);
        };
        let keys = Keys::from_stored(&stored.keys).map_err(|detail| state.corrupt(FILE, detail))?;
        Ok(Some(Self {
            id: stored.id,
            name: stored.name,
            instance: stored.instance,
            platform: stored.platform,
            keys: Arc::new(keys),
            certificates: stored.certificates,
        }))
    }

    /// Writes the state directory.
    ///
    /// # Errors
    /// If the system refuses.
    pub(crate) fn save(&self, state: &StateDir) -> Result<(), StateError> {
        let stored = StoredDaemon {
            id: self.id,
            name: self.name.clone(),
            instance: self.instance,
            platform: self.platform.clone(),
            keys: self
                .keys
                .to_stored()
                .map_err(|error| state.corrupt(FILE, error.to_string()))?,
            certificates: self.certificates.clone(),
        };
        state.save(FILE, &stored)
    }

    /// Returns its kind.
    #[must_use]
    pub const fn kind(&self) -> DaemonKind {
        kind_of(self.id)
    }
}

pub(crate) const fn kind_of(id: DaemonId) -> DaemonKind {
    match id {
        DaemonId::Relay(_) => DaemonKind::Relay,
        DaemonId::Gateway(_) => DaemonKind::Gateway,
    }
}
