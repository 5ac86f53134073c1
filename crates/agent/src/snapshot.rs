//! Keeps what a daemon knows up to date: fetches the snapshot at the start and every second after, publishes it
//! when it was accepted, and keeps the last one on the disk.
//!
//! While the platform is away, what is known ages: [`postern_pki::Trust::fresh`] says when it is too old.

use std::sync::Arc;
use std::time::Duration;

use postern_api::Snapshot;
use postern_domain::{DaemonId, InstanceId, Reason, Timestamp};
use postern_pki::Trust;
use postern_transport::{Backoff, Drain};
use serde::{Deserialize, Serialize};
use tokio::sync::watch;
use tokio::task::spawn_blocking;
use tokio::time::{sleep, timeout};

use crate::clock_check::ClockSkew;
use crate::daemon::Daemon;
use crate::error::ApiError;
use crate::knowledge::{Known, SnapshotError};
use crate::state::{StateDir, StateError};
use crate::token::TokenSource;

/// How long after an answer the next question follows.
const INTERVAL: Duration = Duration::from_secs(1);
/// How long one question may take, with its token.
const DEADLINE: Duration = Duration::from_secs(5);
/// What is kept on the disk is written when anything but the time changed, and at the latest after this: a daemon
/// that starts while the platform is away goes by the time that was kept.
const KEEP_EVERY: Duration = Duration::from_secs(600);
const FILE: &str = "snapshot.json";

/// What is known was not brought up to date.
#[derive(Debug, thiserror::Error)]
pub enum PollError {
    /// The platform did not give a snapshot.
    #[error(transparent)]
    Api(#[from] ApiError),
    /// It was not accepted.
    #[error(transparent)]
    Snapshot(#[from] SnapshotError),
    /// The clocks are too far apart.
    #[error(transparent)]
    Clock(#[from] ClockSkew),
    /// It could not be kept.
    #[error(transparent)]
    State(#[from] StateError),
}

impl PollError {
    /// Returns the stable code.
    #[must_use]
    pub const fn reason(&self) -> Reason {
        match self {
            Self::Api(error) => error.reason(),
            Self::Snapshot(_) => Reason::ProtocolViolation,
            Self::Clock(skew) => skew.reason(),
            Self::State(_) => Reason::Internal,
        }
    }
}

/// How things stand between a daemon and the platform, for its health.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Contact {
    /// The last question was answered.
    Up,
    /// The last question was not; says since when none was, and why.
    Lost {
        /// When the first of them was asked, by the local clock.
        since: Timestamp,
        /// Why the last one was not answered.
        why: String,
    },
}

/// What is kept on the disk.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Kept {
    /// When the platform last said so, by the local clock.
    learned: Timestamp,
    snapshot: Snapshot,
}

/// Asks for snapshots and publishes what is known.
#[derive(Debug)]
pub struct Poller {
    state: StateDir,
    tokens: Arc<TokenSource>,
    known: watch::Sender<Arc<Known>>,
    trust: watch::Sender<Arc<Trust>>,
    contact: watch::Sender<Contact>,
    /// The revision on the disk and when it was learned; none if it could not be written.
    kept: Option<(u64, Timestamp)>,
}

impl Poller {
    /// Begins with what is on the disk, or asks the platform if there is nothing of use.
    ///
    /// # Errors
    /// If there is nothing on the disk and the platform gives nothing.
    pub async fn start(
        state: StateDir,
        tokens: Arc<TokenSource>,
        daemon: &Daemon,
    ) -> Result<Self, PollError> {
        let (known, kept) = match from_disk(&state, daemon) {
            Some(known) => {
                let kept = (known.revision, known.trust.learned);
                (known, Some(kept))
            }
            None => (fetch_first(&tokens, daemon.id, daemon.instance).await?, None),
        };
        tokens.api().announce_pins(&known.snapshot.platform_pins);
        let mut poller = Self {
            state,
            tokens,
            trust: watch::Sender::new(Arc::clone(&known.trust)),
            known: watch::Sender::new(Arc::new(known)),
            contact: watch::Sender::new(Contact::Up),
            kept,
        };
        poller.keep().await?;
        Ok(poller)
    }

    /// Returns where the newest knowledge is read. Its readers are woken when anything but the time changed.
    #[must_use]
    pub fn known(&self) -> watch::Receiver<Arc<Known>> {
        self.known.subscribe()
    }

    /// Returns where the newest trust is read.
    #[must_use]
    pub fn trust(&self) -> watch::Receiver<Arc<Trust>> {
        self.trust.subscribe()
    }

    /// Returns where it is read whether the platform answers.
    #[must_use]
    pub fn contact(&self) -> watch::Receiver<Contact> {
        self.contact.subscribe()
    }

    /// Asks until `stop` drains, without a pause while the platform answers, and with backoff while it does not. A
    /// daemon stops it after its last connection, since connections are judged by what is published here.
    pub async fn run(mut self, stop: Drain) {
        let mut backoff = Backoff::default();
        loop {
            let wait = tokio::select! {
                polled = self.poll() => match polled {
                    Ok(()) => {
                        backoff.reset();
                        INTERVAL
                    }
                    Err(_) => backoff.next_wait(),
                },
                () = stop.draining() => return,
            };
            tokio::select! {
                () = sleep(wait) => {}
                () = stop.draining() => return,
            }
        }
    }

    /// Asks once, publishes what was accepted, and keeps it.
    ///
    /// # Errors
    /// If what is known is not newer than before, or could not be kept.
    pub async fn poll(&mut self) -> Result<(), PollError> {
        let asked = self.tokens.api().time_of_platform().local();
        let result = match fetch(&self.tokens).await.and_then(|(snapshot, sent)| {
            let known = self.known.borrow().next(snapshot, sent)?;
            self.publish(known);
            Ok(())
        }) {
            Ok(()) => self.keep().await,
            Err(error) => Err(error),
        };
        self.tell(&result, asked);
        result
    }

    /// Publishes what is known. Where nothing but the time changed, it is in place for whoever looks, and nobody is
    /// woken: thousands of connections wait on it.
    fn publish(&self, known: Known) {
        self.tokens.api().announce_pins(&known.snapshot.platform_pins);
        let news = self.known.borrow().revision != known.revision;
        self.trust.send_if_modified(|trust| {
            *trust = Arc::clone(&known.trust);
            news
        });
        self.known.send_if_modified(|current| {
            *current = Arc::new(known);
            news
        });
    }

    /// Logs what has changed, and tells whoever watches.
    fn tell(&self, result: &Result<(), PollError>, asked: Timestamp) {
        self.contact.send_if_modified(|contact| {
            let next = match (result, &*contact) {
                (Ok(()), Contact::Up) => return false,
                (Ok(()), Contact::Lost { since, .. }) => {
                    tracing::info!(%since, "the platform answers again");
                    Contact::Up
                }
                (Err(error), Contact::Up) => {
                    tracing::warn!(%error, reason = %error.reason(), "the platform gives no snapshot");
                    Contact::Lost {
                        since: asked,
                        why: error.to_string(),
                    }
                }
                (Err(error), Contact::Lost { since, why }) => {
                    let now = error.to_string();
                    if now != *why {
                        tracing::warn!(%error, reason = %error.reason(), "the platform still gives no snapshot");
                    }
                    Contact::Lost { since: *since, why: now }
                }
            };
            let changed = *contact != next;
            *contact = next;
            changed
        });
    }

    /// Writes what is known to the disk, if it is time to.
    async fn keep(&mut self) -> Result<(), PollError> {
        let known = Arc::clone(&self.known.borrow());
        let learned = known.trust.learned;
        let due = self
            .kept
            .is_none_or(|(revision, at)| revision != known.revision || learned.since(at) >= KEEP_EVERY);
        if !due {
            return Ok(());
        }
        self.kept = None;
        save(&self.state, &known.snapshot, learned).await?;
        self.kept = Some((known.revision, learned));
        Ok(())
    }
}

/// Writes a snapshot to the state directory.
pub(crate) async fn save(
    state: &StateDir,
    snapshot: &Snapshot,
    learned: Timestamp,
) -> Result<(), StateError> {
    let kept = Kept {
        learned,
        snapshot: snapshot.clone(),
    };
    let path = state.path().join(FILE);
    let state = state.clone();
    let saved = spawn_blocking(move || state.save(FILE, &kept)).await;
    saved.map_err(|error| StateError::io("write", &path)(error.into()))?
}

/// Reads what is on the disk; what cannot be used is told and asked for again.
fn from_disk(state: &StateDir, daemon: &Daemon) -> Option<Known> {
    let kept = match state.load::<Kept>(FILE) {
        Ok(kept) => kept?,
        Err(error) => {
            tracing::warn!(%error, "the last snapshot is lost");
            return None;
        }
    };
    match Known::first(kept.snapshot, daemon.id, daemon.instance, kept.learned) {
        Ok(known) => Some(known),
        Err(error) => {
            tracing::warn!(%error, "the last snapshot is of no use");
            None
        }
    }
}

async fn fetch_first(
    tokens: &TokenSource,
    daemon: DaemonId,
    instance: InstanceId,
) -> Result<Known, PollError> {
    let (snapshot, sent) = fetch(tokens).await?;
    Ok(Known::first(snapshot, daemon, instance, sent)?)
}

/// Asks once; returns the answer and when the question was sent, by the local clock.
async fn fetch(tokens: &TokenSource) -> Result<(Snapshot, Timestamp), PollError> {
    let api = tokens.api();
    let asking = tokens.call(|token| async move {
        let sent = api.time_of_platform().local();
        let snapshot = api.snapshot(&token).await?;
        Ok((snapshot, sent))
    });
    let late = |_| ApiError::Timeout {
        address: api.address().target,
        deed: "giving a snapshot",
        within: DEADLINE,
    };
    let (snapshot, sent) = timeout(DEADLINE, asking).await.map_err(late)??;
    api.time_of_platform().learn(snapshot.time, sent)?;
    Ok((snapshot, sent))
}
