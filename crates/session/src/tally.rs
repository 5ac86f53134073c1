//! What the streams of one session count together. Counters only: nobody waits for them.

use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};

use postern_domain::Reason;

/// What the streams of one session count together.
#[derive(Debug, Default)]
pub(crate) struct Tally {
    /// Bytes that arrived and were not read.
    pub(crate) unread: AtomicUsize,
    /// Times that a stream was looked after: how the driver knows that something may have to be written.
    pub(crate) turns: AtomicU64,
    /// Streams that the peer gave up before they were answered, less those that were answered.
    pub(crate) abandoned: AtomicUsize,
    /// Some stream broke off with the connection.
    pub(crate) broken: AtomicBool,
    /// Why the session is about to end, once either side has said so.
    pub(crate) goodbye: OnceLock<Reason>,
}

impl Tally {
    /// Returns why streams end that end with the session.
    pub(crate) fn farewell(&self) -> Reason {
        self.goodbye.get().copied().unwrap_or(Reason::ConnectionLost)
    }

    /// Counts an answered stream against those that were given up.
    pub(crate) fn answered(&self) {
        let abandoned = self.abandoned.load(Ordering::Relaxed);
        self.abandoned
            .store(abandoned.saturating_sub(1), Ordering::Relaxed);
    }
}
