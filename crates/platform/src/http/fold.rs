//! Folding of attempts that come in numbers: refusals before authentication, and a daemon's polls.
//!
//! The first attempts of a kind are records of their own; beyond a rate they are counted, and the counts become
//! one record each when they are taken. Nobody can fill the audit log from outside, and the sum of all counts
//! is still the number of attempts. Bounded: beyond so many kinds at once the source is dropped, the count not.

use std::collections::HashMap;
use std::net::IpAddr;

use postern_audit::{Event, Hop, Outcome, Source};
use postern_domain::{Actor, OrganizationId, Reason, Timestamp};
use postern_transport::{Buckets, Rate, SourceKey};
use tokio::time::Instant;

/// Records of their own, for each source.
const SINGLES: Rate = Rate {
    per_second: 1,
    burst: 20,
};
const SOURCES: usize = 16_384;
const KINDS: usize = 4096;

/// Attempts that are alike.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) struct Kind {
    pub(super) action: &'static str,
    pub(super) outcome: Outcome,
    pub(super) reason: Option<Reason>,
    pub(super) actor: Option<Actor>,
    pub(super) organization: Option<OrganizationId>,
    /// None once there are too many kinds to keep sources apart.
    pub(super) source: Option<IpAddr>,
}

#[derive(Debug, Clone, Copy)]
struct Count {
    count: u64,
    first: Timestamp,
    last: Timestamp,
}

/// The counts that are not records yet.
#[derive(Debug)]
pub(super) struct Folds {
    singles: Buckets<SourceKey>,
    counts: HashMap<Kind, Count>,
}

impl Folds {
    pub(super) fn new() -> Self {
        Self {
            singles: Buckets::new(SINGLES, SOURCES),
            counts: HashMap::new(),
        }
    }

    /// Counts an attempt, or says that it is to be a record of its own.
    pub(super) fn is_single(&mut self, kind: Kind, source: IpAddr, now: Timestamp, instant: Instant) -> bool {
        if self.singles.allow(SourceKey::of(source), instant) {
            return true;
        }
        self.count(kind, now);
        false
    }

    /// Counts an attempt.
    pub(super) fn count(&mut self, kind: Kind, now: Timestamp) {
        let full = self.counts.len() >= KINDS && !self.counts.contains_key(&kind);
        let kind = if full { Kind { source: None, ..kind } } else { kind };
        let entry = self.counts.entry(kind).or_insert(Count {
            count: 0,
            first: now,
            last: now,
        });
        entry.count = entry.count.saturating_add(1);
        entry.last = entry.last.max(now);
    }

    /// Takes all counts, as events.
    pub(super) fn take(&mut self) -> Vec<Event> {
        self.counts
            .drain()
            .map(|(kind, count)| event(kind, count))
            .collect()
    }
}

fn event(kind: Kind, count: Count) -> Event {
    let reason = kind.reason.unwrap_or(Reason::Refused);
    let event = match kind.outcome {
        Outcome::Allowed => Event::allowed(Hop::Api, kind.action, count.last),
        Outcome::Refused => Event::refused(Hop::Api, kind.action, reason, count.last),
        Outcome::Failed => Event::failed(Hop::Api, kind.action, reason, count.last),
        Outcome::Ended => Event::ended(Hop::Api, kind.action, count.last),
    };
    let event = event
        .with_organization(kind.organization)
        .folded(count.count, count.first, count.last);
    let event = match kind.actor {
        Some(actor) => event.with_actor(actor),
        None => event,
    };
    match kind.source {
        Some(source) => event.with_source(Source::folded(source)),
        None => event,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn kind() -> Kind {
        Kind {
            action: "auth.universal",
            outcome: Outcome::Refused,
            reason: Some(Reason::Unauthenticated),
            actor: None,
            organization: None,
            source: None,
        }
    }

    #[tokio::test]
    async fn beyond_the_burst_attempts_are_counted_and_none_is_lost() {
        let mut folds = Folds::new();
        let (now, instant) = (Timestamp::from_unix_seconds(9), Instant::now());
        let source = IpAddr::from([192, 0, 2, 1]);
        let singles = (0..100)
            .filter(|_| folds.is_single(kind(), source, now, instant))
            .count() as u64;
        let events = folds.take();
        assert_eq!(events.len(), 1);
        assert_eq!(singles + events.iter().map(|e| e.count).sum::<u64>(), 100);
        assert!(folds.take().is_empty());
    }

    #[tokio::test]
    async fn the_number_of_kinds_is_bounded_and_the_count_is_kept() {
        let mut folds = Folds::new();
        let now = Timestamp::from_unix_seconds(9);
        for n in 0..10_000_u32 {
            folds.count(
                Kind {
                    source: Some(IpAddr::from(n.to_be_bytes())),
                    ..kind()
                },
                now,
            );
        }
        let events = folds.take();
        assert!(events.len() <= KINDS + 1);
        assert_eq!(events.iter().map(|e| e.count).sum::<u64>(), 10_000);
    }
}
