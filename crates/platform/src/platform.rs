//! What every service works with: the open store, the keys that seal it, and the settings that it goes by.
//! Nothing here listens or spawns.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use postern_audit::Recorder;
use postern_domain::{Name, Pin, Scope, Secret, Timestamp};
use tokio::sync::Semaphore;

use crate::Error;
use crate::access::{self, Action};
use crate::authority::{self, Signers};
use crate::credential;
use crate::keys::{Keys, RootKey};
use crate::record::StoreSink;
use crate::snapshot::Snapshots;
use crate::store::{Instance, Store, StoreError};

/// How many passwords may be judged at once; each takes a core and some memory.
const PASSWORDS_AT_ONCE: usize = 2;

/// The platform cannot be made or opened.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// The store.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// What is in the store.
    #[error("{0}")]
    Keys(#[from] crate::keys::KeyError),
    /// Anything else that is needed to begin.
    #[error("the platform cannot begin: {0}")]
    Content(String),
}

impl From<Error> for OpenError {
    fn from(error: Error) -> Self {
        use std::error::Error as _;
        let source = error.source();
        match source.and_then(|s| s.downcast_ref::<crate::keys::KeyError>()) {
            Some(key) => Self::Keys(key.clone()),
            None => Self::Content(source.map_or_else(|| error.to_string(), ToString::to_string)),
        }
    }
}

/// Lifetimes that the platform goes by.
#[derive(Debug, Clone)]
pub struct Settings {
    /// How long an access token lives that was given for a client secret or a password.
    pub access_token: Duration,
    /// How long an access token lives that was given for a statement; at most ten minutes.
    pub daemon_token: Duration,
    /// How long a session lives; at most twelve hours.
    pub session: Duration,
    /// How old what a daemon knows may be; at most eight hours.
    pub trust_max_age: Duration,
    /// Lifetimes of certificates, where they are to be shorter than their profile says.
    pub certificates: postern_pki::Lifetimes,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            access_token: Duration::from_secs(60 * 60),
            daemon_token: Duration::from_secs(10 * 60),
            session: Duration::from_secs(8 * 60 * 60),
            trust_max_age: Duration::from_secs(4 * 60 * 60),
            certificates: postern_pki::Lifetimes::default(),
        }
    }
}

/// The first administrator of a new instance.
#[derive(Debug)]
pub struct FirstAdministrator {
    /// The name to log in with.
    pub name: Name,
    /// The password.
    pub password: Secret<String>,
}

/// The control plane, open. Everything that answers a request works with this and nothing else.
#[derive(Debug)]
pub struct Platform {
    store: Store,
    keys: Keys,
    settings: Settings,
    sink: Arc<StoreSink>,
    signers: Signers,
    snapshots: Snapshots,
    passwords: Semaphore,
    pins: Vec<Pin>,
}

impl Platform {
    /// Makes a new instance: the store, the keys of the instance, its authorities and its first administrator.
    ///
    /// # Errors
    /// If there is a store already, or it cannot be made.
    pub async fn create(
        path: &Path,
        root: &RootKey,
        administrator: FirstAdministrator,
        settings: Settings,
        now: Timestamp,
    ) -> Result<Self, OpenError> {
        let password = credential::hash_password(administrator.password).await?;
        let store = Store::create(path, now).await?;
        let mut write = store.write().await?;
        let keys = Keys::found(&mut write, root).await?;
        let access = access::decide_for_platform(Action::CreateAuthorities, Scope::Instance)?;
        authority::create(
            &mut write,
            &keys,
            &access,
            store.instance().id,
            Scope::Instance,
            now,
        )
        .await?;
        credential::create_user(&mut write, &administrator.name, &password, now).await?;
        write.bump(Scope::Instance).await?;
        write.commit().await?;
        Self::assemble(store, keys, settings).await
    }

    /// Opens an instance.
    ///
    /// # Errors
    /// If there is none, it is of a newer version, or the root key is not the one that it was made with.
    pub async fn open(path: &Path, root: &RootKey, settings: Settings) -> Result<Self, OpenError> {
        let store = Store::open(path).await?;
        let mut read = store.read().await?;
        let keys = Keys::open(&mut read, root).await?;
        drop(read);
        Self::assemble(store, keys, settings).await
    }

    async fn assemble(store: Store, keys: Keys, settings: Settings) -> Result<Self, OpenError> {
        let mut read = store.read().await?;
        let pins = authority::platform_pins(&mut read).await?;
        drop(read);
        if pins.is_empty() {
            return Err(OpenError::Content("the store has no Platform Root".into()));
        }
        Ok(Self {
            sink: Arc::new(StoreSink::new(store.clone())),
            store,
            keys,
            settings,
            signers: Signers::default(),
            snapshots: Snapshots::default(),
            passwords: Semaphore::new(PASSWORDS_AT_ONCE),
            pins,
        })
    }

    /// Returns the store.
    #[must_use]
    pub const fn store(&self) -> &Store {
        &self.store
    }

    /// Returns what identifies the instance.
    #[must_use]
    pub const fn instance(&self) -> &Instance {
        self.store.instance()
    }

    /// Returns the settings.
    #[must_use]
    pub const fn settings(&self) -> &Settings {
        &self.settings
    }

    /// Returns the keys that the platform's HTTPS certificate may chain to: what tickets carry and daemons pin.
    #[must_use]
    pub fn pins(&self) -> &[Pin] {
        &self.pins
    }

    /// Returns a recorder for attempts that change nothing; what changes something records itself.
    #[must_use]
    pub fn recorder(&self) -> Recorder {
        Recorder::new(Arc::<StoreSink>::clone(&self.sink))
    }

    /// Closes the store; what is under way ends first.
    pub async fn close(&self) {
        self.store.close().await;
    }

    pub(crate) const fn keys(&self) -> &Keys {
        &self.keys
    }

    pub(crate) const fn signers(&self) -> &Signers {
        &self.signers
    }

    pub(crate) const fn snapshots(&self) -> &Snapshots {
        &self.snapshots
    }

    pub(crate) const fn passwords(&self) -> &Semaphore {
        &self.passwords
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::keys::KeyError;
    use crate::world::World;

    #[tokio::test]
    async fn opens_again_with_its_root_key_and_no_other() {
        let world = World::new().await;
        let tenant = world.organization("acme").await;
        let path = world.dir.path().join("platform.db");
        world.platform.close().await;
        let wrong = RootKey::generate().unwrap();
        let refused = Platform::open(&path, &wrong, Settings::default())
            .await
            .unwrap_err();
        assert!(
            matches!(refused, OpenError::Keys(KeyError::WrongRootKey)),
            "{refused}"
        );

        let opened = Platform::open(&path, &world.root, Settings::default())
            .await
            .unwrap();
        assert_eq!(
            (opened.instance(), opened.pins()),
            (world.platform.instance(), world.platform.pins())
        );
        let arrival = world.arrival();
        assert!(
            credential::universal_login(&opened, &arrival, tenant.login)
                .await
                .is_ok()
        );
    }

    #[tokio::test]
    async fn an_instance_begins_with_its_own_authorities_and_an_organization_with_others() {
        let world = World::new().await;
        let count = "SELECT COUNT(*) FROM authorities WHERE phase = 'current'";
        assert_eq!(world.count(count).await, 7);
        for (name, expected) in [("one", 16), ("two", 25), ("three", 34)] {
            world.organization(name).await;
            assert_eq!(world.count(count).await, expected);
        }
        // The database holds no two of the same key, and as many sealed keys as authorities.
        assert_eq!(
            world.count("SELECT COUNT(DISTINCT key) FROM authorities").await,
            34
        );
        assert_eq!(world.count("SELECT COUNT(*) FROM sealed_keys").await, 34);
        assert_eq!(world.count("SELECT COUNT(*) FROM data_keys").await, 4);
    }

    #[tokio::test]
    async fn refuses_to_begin_over_another_instance() {
        let world = World::new().await;
        let path = world.dir.path().join("platform.db");
        let administrator = FirstAdministrator {
            name: "admin".parse().unwrap(),
            password: Secret::new(crate::world::PASSWORD.into()),
        };
        let again = Platform::create(&path, &world.root, administrator, Settings::default(), world.now).await;
        assert!(matches!(again, Err(OpenError::Store(StoreError::Exists(_)))));
    }
}
