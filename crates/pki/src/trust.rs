//! Trust: whom to believe, what was taken back, and how old that knowledge may be.

use std::time::Duration;

use postern_domain::{InstanceId, Reason, Timestamp};

use crate::{Revocations, SshAnchor, TlsAnchor};

/// The longest time for which anybody goes by what he last heard.
pub const LONGEST_TRUST: Duration = Duration::from_secs(8 * 60 * 60);

/// How far ahead of the clock the moment of learning may lie before the clock is disbelieved.
const CLOCK_TOLERANCE: Duration = Duration::from_secs(5 * 60);

/// What is known of revocations and authorities is too old to go by.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("trust was learned at {learned} and may be gone by until {until}; now is {now}")]
pub struct TrustStale {
    /// When it was learned.
    pub learned: Timestamp,
    /// Until when it may be gone by.
    pub until: Timestamp,
    /// The present moment.
    pub now: Timestamp,
}

impl TrustStale {
    /// Returns the stable code.
    #[must_use]
    pub const fn reason(&self) -> Reason {
        Reason::TrustStale
    }
}

/// All that a verifier goes by. It judges nothing by itself: ask for [`Trust::fresh`] at each use.
#[derive(Debug, Clone)]
pub struct Trust {
    /// The instance: the trust domain of every identity.
    pub instance: InstanceId,
    /// The X.509 authorities.
    pub tls: Vec<TlsAnchor>,
    /// The SSH authorities.
    pub ssh: Vec<SshAnchor>,
    /// What was taken back.
    pub revoked: Revocations,
    /// When all this was last heard from the platform.
    pub learned: Timestamp,
    /// For how long after that it may be gone by; above eight hours counts as eight hours.
    pub max_age: Duration,
}

impl Trust {
    /// Returns the last moment at which it may be gone by.
    #[must_use]
    pub fn until(&self) -> Timestamp {
        self.learned.plus(self.max_age.min(LONGEST_TRUST))
    }

    /// Lends it for judging, if it is fresh.
    ///
    /// # Errors
    /// Fails when it is too old, and when it was learned more than five minutes after `now`: then the clock
    /// went back, and age says nothing.
    pub fn fresh(&self, now: Timestamp) -> Result<FreshTrust<'_>, TrustStale> {
        let until = self.until();
        if now <= until && self.learned <= now.plus(CLOCK_TOLERANCE) {
            Ok(FreshTrust(self))
        } else {
            Err(TrustStale {
                learned: self.learned,
                until,
                now,
            })
        }
    }
}

/// Trust that was fresh when it was asked for; made by [`Trust::fresh`] only. Nothing is judged without it.
#[derive(Debug, Clone, Copy)]
pub struct FreshTrust<'a>(&'a Trust);

impl<'a> FreshTrust<'a> {
    /// Lends what is trusted.
    #[must_use]
    pub const fn get(&self) -> &'a Trust {
        self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn trust(max_age: Duration) -> Trust {
        let learned = Timestamp::from_unix_seconds(1_800_000_000);
        Trust {
            instance: InstanceId::generate(learned),
            tls: Vec::new(),
            ssh: Vec::new(),
            revoked: Revocations::new(),
            learned,
            max_age,
        }
    }

    #[test]
    fn trust_is_fresh_until_its_age_is_reached() {
        let trust = trust(Duration::from_secs(3600));
        let end = trust.learned.plus(Duration::from_secs(3600));
        assert!(trust.fresh(trust.learned).is_ok() && trust.fresh(end).is_ok());
        let stale = trust.fresh(end.plus(Duration::from_millis(1))).unwrap_err();
        assert_eq!(stale.reason(), Reason::TrustStale);
    }

    #[test]
    fn no_configuration_keeps_trust_beyond_eight_hours() {
        let trust = trust(Duration::from_secs(1_000_000));
        assert!(trust.fresh(trust.learned.plus(LONGEST_TRUST)).is_ok());
        assert!(trust.fresh(trust.learned.plus(LONGEST_TRUST * 2)).is_err());
    }

    #[test]
    fn a_clock_that_went_back_makes_trust_stale() {
        let trust = trust(Duration::from_secs(3600));
        assert!(trust.fresh(trust.learned.minus(CLOCK_TOLERANCE)).is_ok());
        assert!(trust.fresh(trust.learned.minus(CLOCK_TOLERANCE * 2)).is_err());
    }
}
