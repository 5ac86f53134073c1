//! Tunes the window of streams to the path: a window below bandwidth × round trip holds a stream back, and one that
//! is always large lets stalled streams take more than they need.
//!
//! While bytes come in, a PING measures a round trip. If the busiest stream filled most of its window meanwhile, the
//! window is what holds it back, and it is doubled, up to its bound. It never shrinks in a session's life.

use std::task::{Context, Poll};
use std::time::Duration;

use h2::{Ping, PingPong};
use tokio::time::Instant;

/// The shortest time between two measurements: pings are not for free, and a short round trip needs no large window.
const PAUSE: Duration = Duration::from_millis(100);

/// Measures the path and says how large the window of a stream should be.
#[derive(Debug)]
pub(crate) struct Tuner {
    pings: Option<Pings>,
    window: u32,
    bound: u32,
}

#[derive(Debug)]
struct Pings {
    pings: Wrapped,
    measuring: bool,
    not_before: Instant,
    /// What had come in when the last measurement began.
    received: u64,
}

struct Wrapped(PingPong);

impl std::fmt::Debug for Wrapped {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("PingPong")
    }
}

/// What to do after a turn.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Tuned {
    /// Nothing.
    Leave,
    /// Begin to count what each stream receives: a measurement has begun.
    Count,
    /// A measurement has ended; hand in what the busiest stream has received with [`Tuner::measured`].
    Measured,
}

impl Tuner {
    pub(crate) fn new(pings: Option<PingPong>, window: u32, bound: u32) -> Self {
        let pings = pings.map(|pings| Pings {
            pings: Wrapped(pings),
            measuring: false,
            not_before: Instant::now(),
            received: 0,
        });
        Self { pings, window, bound }
    }

    /// Looks for the end of a measurement, or begins one if enough has come in on all streams together since the
    /// last one for the window to matter.
    pub(crate) fn poll(&mut self, cx: &mut Context<'_>, received: u64) -> Tuned {
        if self.window >= self.bound {
            return Tuned::Leave;
        }
        let Some(pings) = &mut self.pings else {
            return Tuned::Leave;
        };
        if pings.measuring {
            return match pings.pings.0.poll_pong(cx) {
                Poll::Ready(Ok(_)) => {
                    pings.measuring = false;
                    pings.not_before = Instant::now() + PAUSE;
                    Tuned::Measured
                }
                Poll::Ready(Err(_)) => {
                    self.pings = None;
                    Tuned::Leave
                }
                Poll::Pending => Tuned::Leave,
            };
        }
        let quiet = received.wrapping_sub(pings.received) < u64::from(self.window / 4);
        if quiet || Instant::now() < pings.not_before {
            return Tuned::Leave;
        }
        if pings.pings.0.send_ping(Ping::opaque()).is_err() {
            return Tuned::Leave;
        }
        pings.measuring = true;
        pings.received = received;
        Tuned::Count
    }

    /// Takes what the busiest stream received in a round trip; returns the new window if it is to change.
    pub(crate) fn measured(&mut self, busiest: usize) -> Option<u32> {
        let most = self.window as usize / 3 * 2;
        if busiest < most || self.window >= self.bound {
            return None;
        }
        self.window = self.window.saturating_mul(2).min(self.bound);
        Some(self.window)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_window_doubles_while_it_is_what_holds_a_stream_back() {
        let mut tuner = Tuner::new(None, 1000, 3000);
        assert_eq!(tuner.measured(500), None);
        assert_eq!(tuner.measured(700), Some(2000));
        assert_eq!(tuner.measured(700), None);
        assert_eq!(tuner.measured(2000), Some(3000));
        assert_eq!(tuner.measured(3000), None);
    }
}
