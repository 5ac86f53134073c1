//! Refusals that are found where nothing can wait: in the middle of an SSH handshake, or at the very door. They go
//! into a bounded queue and from there on record; what does not fit is counted and recorded as one.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use postern_audit::{Event, Hop, Recorder};
use postern_domain::{Reason, RelayId};
use postern_transport::Clock;
use tokio::sync::mpsc;

/// How many refusals may wait.
const MOST_WAITING: usize = 1024;

/// Takes refusals; cheap to clone.
#[derive(Debug, Clone)]
pub(crate) struct Reports {
    queue: mpsc::Sender<Event>,
    missed: Arc<AtomicU64>,
}

/// Puts on record what was reported.
#[derive(Debug)]
pub(crate) struct ReportWriter {
    queue: mpsc::Receiver<Event>,
    missed: Arc<AtomicU64>,
}

impl Reports {
    /// Makes a queue.
    pub(crate) fn new() -> (Self, ReportWriter) {
        let (sender, receiver) = mpsc::channel(MOST_WAITING);
        let missed = Arc::new(AtomicU64::new(0));
        (
            Self {
                queue: sender,
                missed: Arc::clone(&missed),
            },
            ReportWriter {
                queue: receiver,
                missed,
            },
        )
    }

    /// Reports a refusal.
    pub(crate) fn send(&self, event: Event) {
        if self.queue.try_send(event).is_err() {
            self.missed.fetch_add(1, Ordering::Relaxed);
        }
    }
}

impl ReportWriter {
    /// Writes until every [`Reports`] is gone and the queue is empty.
    pub(crate) async fn run(mut self, relay: RelayId, recorder: Recorder, clock: Clock) {
        let mut since = clock.now();
        while let Some(event) = self.queue.recv().await {
            note(&recorder, event).await;
            let missed = self.missed.swap(0, Ordering::Relaxed);
            let now = clock.now();
            if missed > 0 {
                let event = Event::refused(Hop::RelaySsh, "connection.open", Reason::OverQuota, now)
                    .with_relay(relay)
                    .with_detail("refusals came faster than they could be recorded one by one");
                note(&recorder, event.folded(missed, since, now)).await;
            }
            since = now;
        }
    }
}

/// Records what allows nothing. If it cannot be recorded the log says so; there is nothing to take back.
pub(crate) async fn note(recorder: &Recorder, event: Event) {
    if let Err(error) = recorder.note(event).await {
        tracing::error!(%error, "an event could not be recorded");
    }
}
