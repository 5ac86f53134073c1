//! What both sides' drivers share: the pumps of a session, and the watch over streams that nobody reads.

use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::task::{Context, Poll};

use futures_util::StreamExt;
use futures_util::stream::FuturesUnordered;
use h2::PingPong;
use postern_domain::Reason;
use tokio::time::{Instant, Interval, MissedTickBehavior};

use crate::ended::Ended;
use crate::gate::Watch;
use crate::limits::Limits;
use crate::pump::Pump;
use crate::tally::Tally;
use crate::tune::{Tuned, Tuner};

/// Times that a driver looks after connection and pumps before it lets other tasks run.
pub(crate) const ROUNDS: usize = 16;

/// The streams of one session.
#[derive(Debug)]
pub(crate) struct Streams {
    pumps: FuturesUnordered<Pump>,
    pub(crate) tally: Arc<Tally>,
    gate: Arc<Watch>,
    watch: Interval,
    limits: Limits,
    tuner: Tuner,
    /// A window that the library did not take yet.
    wanted: Option<u32>,
}

impl Streams {
    pub(crate) fn new(limits: &Limits, gate: Arc<Watch>, pings: Option<PingPong>) -> Self {
        let period = (limits.stall / 4).max(std::time::Duration::from_millis(10));
        let mut watch = tokio::time::interval_at(Instant::now() + period, period);
        watch.set_missed_tick_behavior(MissedTickBehavior::Delay);
        Self {
            pumps: FuturesUnordered::new(),
            tally: Arc::default(),
            gate,
            watch,
            limits: limits.clone(),
            tuner: Tuner::new(pings, limits.stream_window, limits.largest_stream_window),
            wanted: None,
        }
    }

    pub(crate) fn push(&self, pump: Pump) {
        self.pumps.push(pump);
    }

    /// Runs the pumps a last time, since what arrived last is still in the library, and says how a session has
    /// ended whose connection is at its end.
    pub(crate) fn finish(&mut self, cx: &mut Context<'_>) -> Ended {
        self.pump(cx);
        let complete = Pin::new(&self.pumps).get_ref().into_iter().all(Pump::is_complete);
        if complete && !self.tally.broken.load(Ordering::Relaxed) {
            Ended::Finished
        } else {
            Ended::Lost
        }
    }

    /// Runs every pump that was woken. Returns whether there was one, so that the connection may have
    /// something to write.
    pub(crate) fn pump(&mut self, cx: &mut Context<'_>) -> bool {
        let before = self.tally.turns.load(Ordering::Relaxed);
        while let Poll::Ready(Some(())) = self.pumps.poll_next_unpin(cx) {}
        self.tally.turns.load(Ordering::Relaxed) != before
    }

    /// Returns the gate; to be refilled when the pumps have run.
    pub(crate) fn gate(&self) -> &Watch {
        &self.gate
    }

    /// Measures the path while bytes come in. Hands a new window for streams to `set`, which says whether the
    /// library took it: it takes one at a time.
    pub(crate) fn tune(&mut self, cx: &mut Context<'_>, set: impl FnOnce(u32) -> bool) {
        match self.tuner.poll(cx, self.gate.received()) {
            Tuned::Leave => {}
            Tuned::Count => {
                self.busiest();
            }
            Tuned::Measured => {
                let busiest = self.busiest();
                self.wanted = self.tuner.measured(busiest).or(self.wanted);
            }
        }
        if let Some(window) = self.wanted
            && set(window)
        {
            self.wanted = None;
            // The connection has to be looked after once more to tell the peer.
            cx.waker().wake_by_ref();
        }
    }

    /// Returns what the busiest stream has received since the last call.
    fn busiest(&self) -> usize {
        let arrived = Pin::new(&self.pumps).get_ref().into_iter();
        arrived.map(|pump| pump.pipe().arrived()).max().unwrap_or(0)
    }

    /// Returns how many streams more the peer has given up than let be answered.
    pub(crate) fn abandoned(&self) -> usize {
        self.tally.abandoned.load(Ordering::Relaxed)
    }

    /// Resets every stream, for one reason.
    pub(crate) fn reset_all(&self, reason: Reason) {
        for pump in Pin::new(&self.pumps).get_ref() {
            pump.pipe().reset(Some(reason));
        }
    }

    /// Resets streams that stood too long: unread ones once together they take more than half of the session's
    /// window, and those that their holder has dropped.
    pub(crate) fn poll_watch(&mut self, cx: &mut Context<'_>) {
        while self.watch.poll_tick(cx).is_ready() {
            let now = Instant::now();
            let unread = self.tally.unread.load(Ordering::Relaxed);
            let pressed = unread > self.limits.session_window as usize / 2;
            for pump in Pin::new(&self.pumps).get_ref() {
                if pump.pipe().stalled(now, pressed) >= self.limits.stall {
                    pump.pipe().reset(Some(Reason::OverQuota));
                }
            }
        }
    }
}
