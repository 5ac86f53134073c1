//! Why there is no session: on which leg, whose doing, and what a person can make of it.

use std::fmt;

use postern_domain::{Reason, RelayId, Target};

/// Where an attempt failed. In the order of progress: a later one came further.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Leg {
    /// Here: the clock, a key, what the platform sent.
    Client,
    /// Towards the platform.
    Platform,
    /// Reaching a relay over TCP.
    Dial,
    /// TLS with a relay.
    Relay,
    /// From the relay to the gateway.
    Tunnel,
    /// TLS with the gateway, inside.
    Gateway,
    /// The inner session.
    Session,
}

impl fmt::Display for Leg {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Client => "on this computer",
            Self::Platform => "at the platform",
            Self::Dial => "reaching the relay",
            Self::Relay => "proving the relay",
            Self::Tunnel => "between relay and gateway",
            Self::Gateway => "proving the gateway",
            Self::Session => "in the inner session",
        })
    }
}

/// What became of one relay.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Attempt {
    /// The relay.
    pub relay: RelayId,
    /// Its host and port.
    pub target: Target,
    /// Where it failed.
    pub leg: Leg,
    /// Why.
    pub reason: Reason,
    /// What happened, for a person.
    pub detail: String,
}

impl Attempt {
    /// Returns whether another relay leads elsewhere: the gateway's own refusal is the same behind each.
    pub(crate) fn is_final(&self) -> bool {
        let passing = [
            Reason::Draining,
            Reason::Unavailable,
            Reason::ConnectionLost,
            Reason::HandshakeTimeout,
            Reason::OverQuota,
        ];
        self.leg == Leg::Session && !passing.contains(&self.reason)
    }
}

impl fmt::Display for Attempt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "relay {}, {}: {}", self.target, self.leg, self.detail)
    }
}

/// A session could not be made.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{detail}")]
pub struct ConnectError {
    /// Where the attempt that came furthest failed.
    pub leg: Leg,
    /// Why.
    pub reason: Reason,
    /// What happened, in sentences for a person.
    pub detail: String,
    /// What became of each relay that was tried, in order.
    pub attempts: Vec<Attempt>,
}

impl ConnectError {
    pub(crate) fn new(leg: Leg, reason: Reason, detail: impl Into<String>) -> Self {
        Self {
            leg,
            reason,
            detail: detail.into(),
            attempts: Vec::new(),
        }
    }

    /// Makes one error of what became of every relay: the attempt that came furthest speaks, the first of equals.
    pub(crate) fn of_attempts(attempts: Vec<Attempt>) -> Self {
        let mut furthest: Option<&Attempt> = None;
        for attempt in &attempts {
            if furthest.is_none_or(|best| attempt.leg > best.leg) {
                furthest = Some(attempt);
            }
        }
        let Some(furthest) = furthest else {
            return Self::new(
                Leg::Platform,
                Reason::Unavailable,
                "the platform named no relay that leads to the gateway",
            );
        };
        let mut detail = format!("No way to the gateway: {furthest}");
        for other in attempts.iter().filter(|attempt| *attempt != furthest) {
            detail.push_str("; ");
            detail.push_str(&other.to_string());
        }
        Self {
            leg: furthest.leg,
            reason: furthest.reason,
            detail,
            attempts,
        }
    }

    /// Returns whether some relay led to a gateway whose key is not one that the platform announced.
    pub(crate) fn is_pin_mismatch(&self) -> bool {
        self.attempts
            .iter()
            .any(|attempt| attempt.leg == Leg::Gateway && attempt.reason == Reason::KeyNotPinned)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use postern_domain::Timestamp;

    fn attempt(leg: Leg, reason: Reason) -> Attempt {
        Attempt {
            relay: RelayId::generate(Timestamp::from_unix_seconds(1_800_000_000)),
            target: "relay.example:8443".parse().unwrap(),
            leg,
            reason,
            detail: String::from("it did not work"),
        }
    }

    #[test]
    fn the_attempt_that_came_furthest_speaks_and_none_is_left_out() {
        let error = ConnectError::of_attempts(vec![
            attempt(Leg::Dial, Reason::ConnectionLost),
            attempt(Leg::Tunnel, Reason::GatewayOffline),
            attempt(Leg::Tunnel, Reason::OverQuota),
        ]);
        assert_eq!((error.leg, error.reason), (Leg::Tunnel, Reason::GatewayOffline));
        assert_eq!(error.detail.matches("relay.example:8443").count(), 3);
    }

    #[test]
    fn only_the_gateways_own_refusal_is_final() {
        assert!(attempt(Leg::Session, Reason::Revoked).is_final());
        assert!(!attempt(Leg::Session, Reason::Draining).is_final());
        assert!(!attempt(Leg::Tunnel, Reason::Refused).is_final());
        assert!(!attempt(Leg::Gateway, Reason::KeyNotPinned).is_final());
    }
}
