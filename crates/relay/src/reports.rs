//! Refusals of peers that have not proven who they are. The first of each source are records of their own; beyond a
//! rate they are counted by kind, and the counts become one record each. So nobody fills the audit log from outside,
//! and the sum of all counts is still the number of attempts.
//!
//! Those that are found where nothing can wait, in the middle of an SSH handshake or at the very door, go through a
//! bounded queue; what does not fit is counted, too.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use postern_audit::{Event, Hop, Recorder, Source};
use postern_domain::{Reason, RelayId, Timestamp};
use postern_transport::{Buckets, Rate, SourceKey};
use tokio::sync::mpsc;
use tokio::time::{Instant, MissedTickBehavior, interval};

/// How many refusals may wait.
const MOST_WAITING: usize = 1024;
/// Records of their own, for each source.
const SINGLES: Rate = Rate {
    per_second: 1,
    burst: 256,
};
/// How many sources have a rate of their own; those beyond share one.
const SOURCES: usize = 16_384;
/// How many kinds are counted apart by source; beyond that the source is dropped, the count is not.
const KINDS: usize = 4096;
/// How often counts become records.
const FLUSH: Duration = Duration::from_secs(10);

/// Refusals that are alike.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
struct Kind {
    hop: Hop,
    reason: Option<Reason>,
    source: Option<IpAddr>,
}

#[derive(Debug, Clone, Copy)]
struct Count {
    count: u64,
    first: Timestamp,
    last: Timestamp,
}

#[derive(Debug)]
struct Folds {
    singles: Buckets<SourceKey>,
    counts: HashMap<Kind, Count>,
}

impl Folds {
    fn is_single(&mut self, event: &Event) -> bool {
        event
            .source
            .is_none_or(|source| self.singles.allow(SourceKey::of(source.address), Instant::now()))
    }

    fn count(&mut self, event: &Event) {
        let kind = Kind {
            hop: event.hop,
            reason: event.reason,
            source: event.source.map(|source| source.address),
        };
        let full = self.counts.len() >= KINDS && !self.counts.contains_key(&kind);
        let kind = if full { Kind { source: None, ..kind } } else { kind };
        let entry = self.counts.entry(kind).or_insert(Count {
            count: 0,
            first: event.time,
            last: event.time,
        });
        entry.count = entry.count.saturating_add(1);
        entry.last = entry.last.max(event.time);
    }

    fn take(&mut self, relay: RelayId) -> Vec<Event> {
        let event = |(kind, count): (Kind, Count)| {
            let reason = kind.reason.unwrap_or(Reason::Refused);
            let event = Event::refused(kind.hop, action(kind.hop), reason, count.last)
                .with_relay(relay)
                .with_detail("refusals came faster than they are recorded one by one")
                .folded(count.count, count.first, count.last);
            match kind.source {
                Some(address) => event.with_source(Source::folded(address)),
                None => event,
            }
        };
        self.counts.drain().map(event).collect()
    }
}

/// What is attempted at a relay's two ports.
fn action(hop: Hop) -> &'static str {
    if hop == Hop::RelaySsh {
        "tunnel.open"
    } else {
        "connection.open"
    }
}

/// Takes refusals; cheap to clone.
#[derive(Debug, Clone)]
pub(crate) struct Reports {
    queue: mpsc::Sender<Event>,
    folds: Arc<Mutex<Folds>>,
}

/// Puts on record what was reported.
#[derive(Debug)]
pub(crate) struct ReportWriter {
    queue: mpsc::Receiver<Event>,
    folds: Arc<Mutex<Folds>>,
}

fn lock(folds: &Mutex<Folds>) -> MutexGuard<'_, Folds> {
    folds.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Reports {
    /// Makes a queue.
    pub(crate) fn new() -> (Self, ReportWriter) {
        let (sender, receiver) = mpsc::channel(MOST_WAITING);
        let folds = Arc::new(Mutex::new(Folds {
            singles: Buckets::new(SINGLES, SOURCES),
            counts: HashMap::new(),
        }));
        (
            Self {
                queue: sender,
                folds: Arc::clone(&folds),
            },
            ReportWriter {
                queue: receiver,
                folds,
            },
        )
    }

    /// Reports a refusal.
    pub(crate) fn send(&self, event: Event) {
        if !self.is_single(&event) {
            return;
        }
        if let Err(mpsc::error::TrySendError::Full(event) | mpsc::error::TrySendError::Closed(event)) =
            self.queue.try_send(event)
        {
            lock(&self.folds).count(&event);
        }
    }

    /// Puts a refusal on record before it returns, or counts it.
    pub(crate) async fn note(&self, recorder: &Recorder, event: Event) {
        if self.is_single(&event) {
            note(recorder, event).await;
        }
    }

    /// Says whether a refusal is a record of its own; if not, it is counted.
    fn is_single(&self, event: &Event) -> bool {
        let mut folds = lock(&self.folds);
        let single = folds.is_single(event);
        if !single {
            folds.count(event);
        }
        single
    }
}

impl ReportWriter {
    /// Writes until every [`Reports`] is gone and the queue is empty.
    pub(crate) async fn run(mut self, relay: RelayId, recorder: Recorder) {
        let mut ticks = interval(FLUSH);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                event = self.queue.recv() => match event {
                    Some(event) => note(&recorder, event).await,
                    None => break,
                },
                _ = ticks.tick() => self.flush(relay, &recorder).await,
            }
        }
        self.flush(relay, &recorder).await;
    }

    async fn flush(&self, relay: RelayId, recorder: &Recorder) {
        let events = lock(&self.folds).take(relay);
        for event in events {
            note(recorder, event).await;
        }
    }
}

/// Records what allows nothing. If it cannot be recorded the log says so; there is nothing to take back.
pub(crate) async fn note(recorder: &Recorder, event: Event) {
    if let Err(error) = recorder.note(event).await {
        tracing::error!(%error, "an event could not be recorded");
    }
}

#[cfg(test)]
mod tests {
    use std::net::SocketAddr;

    use postern_audit::{Appending, Durability, RecordKey, Reporter, Sink};
    use postern_domain::SpoolEpoch;

    use super::*;

    const NOW: Timestamp = Timestamp::from_unix_seconds(1_800_000_000);

    /// Keeps what it is given.
    #[derive(Debug, Default)]
    struct Kept(Mutex<Vec<Event>>);

    impl Sink for Kept {
        fn append(&self, event: Event, _: Durability) -> Appending<'_> {
            Box::pin(async move {
                let mut kept = self.0.lock().unwrap();
                kept.push(event);
                Ok(RecordKey {
                    reporter: Reporter::Platform,
                    epoch: SpoolEpoch::generate(NOW),
                    number: kept.len() as u64,
                })
            })
        }
    }

    fn refused(source: SocketAddr) -> Event {
        Event::refused(Hop::RelayTls, "connection.open", Reason::NoCertificate, NOW)
            .with_source(Source::seen(source))
    }

    #[tokio::test]
    async fn a_stranger_who_knocks_on_and_on_fills_no_log_and_every_knock_is_counted() {
        let kept = Arc::new(Kept::default());
        let recorder = Recorder::new(Arc::<Kept>::clone(&kept));
        let (reports, writer) = Reports::new();
        let (stranger, other) = ("192.0.2.1:5".parse().unwrap(), "192.0.2.2:5".parse().unwrap());
        for nth in 0..5000 {
            // Half of them where it can wait, half where it cannot.
            if nth % 2 == 0 {
                reports.note(&recorder, refused(stranger)).await;
            } else {
                reports.send(refused(stranger));
            }
        }
        reports.send(refused(other));
        drop(reports);
        let relay = RelayId::generate(NOW);
        writer.run(relay, recorder).await;
        let events = kept.0.lock().unwrap();
        let records = |source: SocketAddr| -> Vec<&Event> {
            let of = |event: &&Event| event.source.is_some_and(|s| s.address == source.ip());
            events.iter().filter(of).collect()
        };
        let of_stranger = records(stranger);
        assert!(of_stranger.len() <= 300, "{}", of_stranger.len());
        assert_eq!(of_stranger.iter().map(|event| event.count).sum::<u64>(), 5000);
        assert_eq!(records(other).len(), 1);
        assert!(
            of_stranger
                .iter()
                .any(|event| event.count > 1 && event.relay == Some(relay))
        );
    }

    #[tokio::test]
    async fn the_number_of_kinds_is_bounded_and_no_count_is_lost() {
        let (reports, writer) = Reports::new();
        let mut folds = lock(&writer.folds);
        for n in 0..10_000_u32 {
            folds.count(&refused(SocketAddr::new(IpAddr::from(n.to_be_bytes()), 5)));
        }
        let events = folds.take(RelayId::generate(NOW));
        assert!(events.len() <= KINDS + 1);
        assert_eq!(events.iter().map(|event| event.count).sum::<u64>(), 10_000);
        drop(folds);
        drop(reports);
    }
}
