//! The platform's time against ours. Certificates and grants are judged by the local clock, so a clock that is
//! wrong lets in what has expired: above [`WARN`] the difference is logged, above [`REFUSE`] nothing that the
//! platform says is gone by.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};
use std::time::Duration;

use postern_domain::{Reason, Timestamp};
use postern_transport::Clock;

/// Above this difference a warning is logged.
const WARN: Duration = Duration::from_secs(120);
/// Above this difference everything is refused.
const REFUSE: Duration = Duration::from_secs(300);

/// This machine's clock is too far from the platform's.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error(
    "this machine's clock says {local}, the platform's {platform}: they are {} s apart and at most {} s are \
     tolerated; set this machine's clock",
    local.distance(*platform).as_secs(),
    REFUSE.as_secs()
)]
pub struct ClockSkew {
    /// What the local clock said.
    pub local: Timestamp,
    /// What the platform's clock said.
    pub platform: Timestamp,
}

impl ClockSkew {
    /// Returns the stable code.
    #[must_use]
    pub const fn reason(&self) -> Reason {
        Reason::ClockSkew
    }
}

/// The local clock, and how far the platform's is ahead of it as last learned. Clones share what is learned.
#[derive(Clone)]
pub struct PlatformTime {
    clock: Clock,
    learned: Arc<Learned>,
}

#[derive(Default)]
struct Learned {
    is_learned: AtomicBool,
    ahead_ms: AtomicI64,
    warned: AtomicBool,
}

impl PlatformTime {
    pub(crate) fn new(clock: Clock) -> Self {
        Self {
            clock,
            learned: Arc::default(),
        }
    }

    /// Returns the local clock's time.
    #[must_use]
    pub fn local(&self) -> Timestamp {
        self.clock.now()
    }

    /// Returns the platform's time, as the local clock and what was last learned give it.
    #[must_use]
    pub fn platform(&self) -> Timestamp {
        let local = self.local().as_millis();
        Timestamp::from_millis(local.saturating_add_signed(self.learned.ahead_ms.load(Ordering::Acquire)))
    }

    /// Returns whether the platform's time was learned yet.
    #[must_use]
    pub fn is_learned(&self) -> bool {
        self.learned.is_learned.load(Ordering::Acquire)
    }

    /// Learns what the platform's clock said in an answer to a request that was sent at `sent`, by the local clock.
    /// The platform's reading was taken between then and now, and whatever difference that may explain is none.
    ///
    /// # Errors
    /// If the clocks are more than [`REFUSE`] apart; the platform's time is learned all the same, since
    /// statements are made in it.
    pub fn learn(&self, platform: Timestamp, sent: Timestamp) -> Result<(), ClockSkew> {
        let received = self.local();
        let local = if platform < sent {
            sent
        } else {
            received.min(platform)
        };
        let ahead = i64::try_from(platform.since(local).as_millis()).unwrap_or(i64::MAX)
            - i64::try_from(local.since(platform).as_millis()).unwrap_or(i64::MAX);
        self.learned.ahead_ms.store(ahead, Ordering::Release);
        self.learned.is_learned.store(true, Ordering::Release);
        let apart = local.distance(platform);
        let warn = apart > WARN;
        if self.learned.warned.swap(warn, Ordering::AcqRel) != warn {
            if warn {
                tracing::warn!(%local, %platform, apart_s = apart.as_secs(), "this machine's clock and the platform's differ");
            } else {
                tracing::info!("this machine's clock and the platform's agree again");
            }
        }
        if apart > REFUSE {
            Err(ClockSkew { local, platform })
        } else {
            Ok(())
        }
    }
}

impl fmt::Debug for PlatformTime {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "PlatformTime({})", self.platform())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOON: Timestamp = Timestamp::from_unix_seconds(1_700_000_000);

    fn after(seconds: u64) -> Timestamp {
        NOON.plus(Duration::from_secs(seconds))
    }

    #[test]
    fn tolerates_five_minutes_either_way_and_no_more() {
        let (clock, _hand) = Clock::manual(NOON);
        let time = PlatformTime::new(clock);
        for good in [after(0), after(300), NOON.minus(REFUSE)] {
            assert_eq!(time.learn(good, NOON), Ok(()));
            assert_eq!(time.platform(), good);
        }
        for bad in [after(301), NOON.minus(Duration::from_secs(301))] {
            let skew = time.learn(bad, NOON).unwrap_err();
            assert_eq!(skew.reason(), Reason::ClockSkew);
            assert!(
                skew.to_string().contains("301 s apart") && skew.to_string().contains("clock"),
                "{skew}"
            );
            assert_eq!(time.platform(), bad);
        }
    }

    #[test]
    fn a_slow_answer_is_no_difference() {
        let (clock, hand) = Clock::manual(NOON);
        let time = PlatformTime::new(clock);
        hand.advance(Duration::from_secs(600));
        for reading in [0, 300, 600] {
            assert_eq!(time.learn(after(reading), NOON), Ok(()));
            assert_eq!(time.platform(), time.local());
        }
        assert!(time.learn(after(901), NOON).is_err());
        assert!(time.learn(NOON.minus(Duration::from_secs(301)), NOON).is_err());
    }

    #[test]
    fn platform_time_goes_on_with_the_local_clock() {
        let (clock, hand) = Clock::manual(NOON);
        let time = PlatformTime::new(clock);
        time.learn(after(7), NOON).unwrap();
        hand.advance(Duration::from_secs(100));
        assert_eq!(time.platform(), after(107));
    }
}
