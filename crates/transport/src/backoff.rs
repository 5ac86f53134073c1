//! Backoff: how long to wait before trying again. Full jitter (a uniformly random share of a span that doubles),
//! so that many agents that lost the same peer do not return in step; the first wait is at most half a second.

use std::time::Duration;

use rustls::crypto::aws_lc_rs;

/// The waits between attempts. One that succeeded calls [`Backoff::reset`].
#[derive(Debug, Clone)]
pub struct Backoff {
    attempt: u32,
    cap: Duration,
}

impl Backoff {
    /// The longest first wait.
    pub const FIRST: Duration = Duration::from_millis(500);

    /// Makes a backoff whose waits grow to at most `cap`.
    #[must_use]
    pub const fn new(cap: Duration) -> Self {
        Self { attempt: 0, cap }
    }

    /// Forgets the failures so far.
    pub const fn reset(&mut self) {
        self.attempt = 0;
    }

    /// Returns how long to wait before the next attempt.
    pub fn next_wait(&mut self) -> Duration {
        let mut random = [0; 4];
        // Without randomness there is no jitter, but still a bounded wait.
        if aws_lc_rs::default_provider()
            .secure_random
            .fill(&mut random)
            .is_err()
        {
            random = [0xff; 4];
        }
        self.next_with(u32::from_be_bytes(random))
    }

    /// Waits, then returns.
    pub async fn wait(&mut self) {
        tokio::time::sleep(self.next_wait()).await;
    }

    fn next_with(&mut self, random: u32) -> Duration {
        let span = Self::FIRST
            .saturating_mul(1_u32.checked_shl(self.attempt.min(20)).unwrap_or(u32::MAX))
            .min(self.cap);
        self.attempt = self.attempt.saturating_add(1);
        span.mul_f64(f64::from(random) / f64::from(u32::MAX))
    }
}

impl Default for Backoff {
    /// Grows to at most ten seconds: stranded daemons come back in seconds.
    fn default() -> Self {
        Self::new(Duration::from_secs(10))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_double_to_the_cap_and_start_over_after_a_success() {
        let mut backoff = Backoff::default();
        let waits: Vec<_> = (0..7).map(|_| backoff.next_with(u32::MAX).as_millis()).collect();
        assert_eq!(waits, [500, 1000, 2000, 4000, 8000, 10_000, 10_000]);
        backoff.reset();
        assert_eq!(backoff.next_with(u32::MAX), Backoff::FIRST);
        assert_eq!(backoff.next_with(0), Duration::ZERO);
    }

    #[test]
    fn never_overflows() {
        let mut backoff = Backoff::new(Duration::MAX);
        for _ in 0..10_000 {
            assert!(backoff.next_wait() <= Duration::from_secs(1 << 20));
        }
    }

    #[test]
    fn two_agents_do_not_return_in_step() {
        let waits: std::collections::HashSet<_> = (0..50).map(|_| Backoff::default().next_wait()).collect();
        assert!(waits.len() > 40);
        assert!(waits.iter().all(|w| *w <= Backoff::FIRST));
    }
}
