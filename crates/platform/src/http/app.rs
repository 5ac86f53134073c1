//! What every request works with: the platform, the clock, and the bounds.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use postern_audit::Recorder;
use postern_domain::{RequestId, Target};
use postern_session::Network;
use postern_transport::{Buckets, Clock, SourceKey};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::Instant;

use super::fold::Folds;
use crate::config::Limits;
use crate::store::Store;
use crate::{Arrival, Platform};

/// How many sources have a login rate of their own; those beyond share one.
const SOURCES: usize = 16_384;

/// What the HTTP layer is made of.
pub(crate) struct Parts {
    /// The control plane.
    pub(crate) platform: Arc<Platform>,
    /// The clock.
    pub(crate) clock: Clock,
    /// The bounds.
    pub(crate) limits: Limits,
    /// The proxies whose `X-Forwarded-For` is believed.
    pub(crate) trusted_proxies: Vec<Network>,
    /// Where daemons reach the platform, as enrollment tickets say it.
    pub(crate) public_address: Target,
}

/// What every request works with.
pub(crate) struct App {
    parts: Parts,
    recorder: Recorder,
    places: Arc<Semaphore>,
    logins: Mutex<Buckets<SourceKey>>,
    folds: Mutex<Folds>,
}

impl fmt::Debug for App {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("App")
    }
}

impl App {
    pub(crate) fn new(parts: Parts) -> Self {
        let places = usize::try_from(parts.limits.requests).unwrap_or(usize::MAX);
        Self {
            recorder: parts.platform.recorder(),
            places: Arc::new(Semaphore::new(places.min(Semaphore::MAX_PERMITS))),
            logins: Mutex::new(Buckets::new(parts.limits.logins(), SOURCES)),
            folds: Mutex::new(Folds::new()),
            parts,
        }
    }

    pub(super) fn platform(&self) -> &Platform {
        &self.parts.platform
    }

    pub(super) fn store(&self) -> &Store {
        self.parts.platform.store()
    }

    pub(super) const fn limits(&self) -> &Limits {
        &self.parts.limits
    }

    pub(super) const fn recorder(&self) -> &Recorder {
        &self.recorder
    }

    pub(super) const fn public_address(&self) -> &Target {
        &self.parts.public_address
    }

    /// Says what is known of a request before authentication. `source` finds the address, given the proxies that
    /// are trusted.
    pub(super) fn arrival(&self, source: impl FnOnce(&[Network]) -> Option<IpAddr>) -> Arrival {
        let now = self.parts.clock.now();
        let source = source(&self.parts.trusted_proxies).unwrap_or(IpAddr::V4(Ipv4Addr::UNSPECIFIED));
        Arrival {
            request: RequestId::generate(now),
            now,
            source,
        }
    }

    /// Takes a place among the requests at once, if there is one.
    pub(super) fn place(&self) -> Option<OwnedSemaphorePermit> {
        Arc::clone(&self.places).try_acquire_owned().ok()
    }

    /// Waits until no request is under way.
    pub(crate) async fn idle(&self) {
        // The semaphore is never closed, so an error cannot be.
        self.places
            .acquire_many(self.parts.limits.requests)
            .await
            .map(drop)
            .ok();
    }

    pub(super) fn allow_login(&self, source: IpAddr) -> bool {
        let mut logins = self.logins.lock().unwrap_or_else(PoisonError::into_inner);
        logins.allow(SourceKey::of(source), Instant::now())
    }

    pub(super) fn folds(&self) -> MutexGuard<'_, Folds> {
        self.folds.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Makes records of what was only counted so far.
    pub(crate) async fn write_folds(&self) {
        let events = self.folds().take();
        for event in events {
            if let Err(error) = self.recorder.note(event).await {
                tracing::error!(%error, "folded attempts were not recorded");
            }
        }
    }
}
