//! The clock: the only place where wall time is read. Everything else is handed the time or a [`Clock`].

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use postern_domain::Timestamp;
use rustls::time_provider::TimeProvider;
use rustls_pki_types::UnixTime;

/// A source of wall time; cheap to clone.
#[derive(Debug, Clone)]
pub struct Clock(Kind);

#[derive(Debug, Clone)]
enum Kind {
    /// The system's time, moved by so many milliseconds.
    System(i64),
    Manual(Arc<AtomicU64>),
}

/// Sets a manual clock, for tests.
#[derive(Debug)]
pub struct ClockHand(Arc<AtomicU64>);

impl Clock {
    /// Returns the system's clock.
    #[must_use]
    pub const fn system() -> Self {
        Self(Kind::System(0))
    }

    /// Returns a clock that is `milliseconds` ahead of the system's (behind it, if negative).
    #[must_use]
    pub const fn skewed(milliseconds: i64) -> Self {
        Self(Kind::System(milliseconds))
    }

    /// Returns a clock that stands still until its hand is moved.
    #[must_use]
    pub fn manual(start: Timestamp) -> (Self, ClockHand) {
        let time = Arc::new(AtomicU64::new(start.as_millis()));
        (Self(Kind::Manual(Arc::clone(&time))), ClockHand(time))
    }

    /// Returns the time.
    #[must_use]
    pub fn now(&self) -> Timestamp {
        match &self.0 {
            Kind::System(offset) => Timestamp::from_millis(system_millis().saturating_add_signed(*offset)),
            Kind::Manual(time) => Timestamp::from_millis(time.load(Ordering::Acquire)),
        }
    }
}

#[expect(clippy::disallowed_methods, reason = "the one place that reads wall time")]
fn system_millis() -> u64 {
    // A system clock before 1970 is as wrong as can be; 1970 makes every certificate "not yet valid".
    let since_epoch = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since_epoch.as_millis()).unwrap_or(u64::MAX)
}

impl ClockHand {
    /// Moves the clock forward.
    pub fn advance(&self, span: Duration) {
        let millis = u64::try_from(span.as_millis()).unwrap_or(u64::MAX);
        self.0.fetch_add(millis, Ordering::AcqRel);
    }

    /// Sets the clock, forward or back.
    pub fn set(&self, time: Timestamp) {
        self.0.store(time.as_millis(), Ordering::Release);
    }
}

impl TimeProvider for Clock {
    fn current_time(&self) -> Option<UnixTime> {
        Some(UnixTime::since_unix_epoch(Duration::from_millis(
            self.now().as_millis(),
        )))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_manual_clock_moves_only_by_its_hand() {
        let (clock, hand) = Clock::manual(Timestamp::from_unix_seconds(100));
        let other = clock.clone();
        assert_eq!(clock.now(), Timestamp::from_unix_seconds(100));
        hand.advance(Duration::from_secs(5));
        assert_eq!(other.now(), Timestamp::from_unix_seconds(105));
        hand.set(Timestamp::from_unix_seconds(7));
        assert_eq!(clock.now(), Timestamp::from_unix_seconds(7));
    }

    #[test]
    fn a_skewed_clock_is_off_by_its_skew() {
        let system = Clock::system().now();
        let ahead = Clock::skewed(600_000).now();
        let behind = Clock::skewed(-600_000).now();
        assert!(ahead.since(system) >= Duration::from_secs(600));
        assert!(ahead.since(behind) >= Duration::from_secs(1199));
        assert_eq!(Clock::skewed(i64::MIN).now(), Timestamp::from_millis(0));
    }
}
