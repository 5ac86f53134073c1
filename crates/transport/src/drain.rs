//! Drain: how a daemon is asked to stop. A [`Drain`] is handed to everything that runs; its [`DrainHand`] is held
//! by the one that decides. Draining begins once and is never taken back.

use std::future::Future;
use std::io;

use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::watch;

/// Tells whether to stop taking new work and finish what is in hand; cheap to clone.
#[derive(Debug, Clone)]
pub struct Drain(Option<watch::Receiver<bool>>);

/// Starts a drain. Dropping it starts the drain too: what lost its owner has nobody left to stop it.
#[derive(Debug)]
pub struct DrainHand(watch::Sender<bool>);

impl Drain {
    /// Makes a drain and its hand.
    #[must_use]
    pub fn new() -> (DrainHand, Self) {
        let (sender, receiver) = watch::channel(false);
        (DrainHand(sender), Self(Some(receiver)))
    }

    /// Returns a drain that never begins.
    #[must_use]
    pub const fn never() -> Self {
        Self(None)
    }

    /// Returns whether draining has begun.
    #[must_use]
    pub fn is_draining(&self) -> bool {
        self.0
            .as_ref()
            .is_some_and(|r| *r.borrow() || r.has_changed().is_err())
    }

    /// Waits until draining begins. It can be called again, and then returns at once.
    pub async fn draining(&self) {
        let Some(receiver) = &self.0 else {
            return std::future::pending().await;
        };
        // An error means that the hand is gone, which is a beginning too.
        drop(receiver.clone().wait_for(|begun| *begun).await);
    }
}

impl DrainHand {
    /// Begins the drain.
    pub fn start(&self) {
        self.0.send_replace(true);
    }
}

/// The signals that ask a process to stop: SIGTERM and SIGINT.
#[derive(Debug)]
pub struct Signals {
    terminate: Signal,
    interrupt: Signal,
}

impl Signals {
    /// Starts listening for the signals.
    ///
    /// # Errors
    /// The system's error, if the handlers cannot be installed.
    pub fn listen() -> io::Result<Self> {
        Ok(Self {
            terminate: signal(SignalKind::terminate())?,
            interrupt: signal(SignalKind::interrupt())?,
        })
    }

    /// Waits for the next signal.
    pub async fn next(&mut self) {
        tokio::select! {
            _ = self.terminate.recv() => (),
            _ = self.interrupt.recv() => (),
        }
    }

    /// Runs `work`; the first signal starts the drain, a second one gives up on `work` and returns `None`.
    pub async fn govern<T>(mut self, hand: DrainHand, work: impl Future<Output = T>) -> Option<T> {
        let mut work = std::pin::pin!(work);
        tokio::select! {
            done = &mut work => return Some(done),
            () = self.next() => hand.start(),
        }
        tokio::select! {
            done = &mut work => Some(done),
            () = self.next() => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn draining_begins_once_and_stays() {
        let (hand, drain) = Drain::new();
        assert!(!drain.is_draining());
        let waiting = tokio::spawn({
            let drain = drain.clone();
            async move { drain.draining().await }
        });
        hand.start();
        waiting.await.unwrap();
        drain.draining().await;
        assert!(drain.is_draining());
    }

    #[tokio::test]
    async fn a_dropped_hand_starts_the_drain() {
        let (hand, drain) = Drain::new();
        drop(hand);
        drain.draining().await;
        assert!(drain.is_draining());
    }

    #[tokio::test(start_paused = true)]
    async fn never_means_never() {
        let drain = Drain::never();
        assert!(!drain.is_draining());
        let day = std::time::Duration::from_secs(86_400);
        assert!(tokio::time::timeout(day, drain.draining()).await.is_err());
    }
}
