//! What lies between the holder of a stream and the task that drives its session: two bounded queues.
//!
//! Lock order: a pipe's lock may be held while the HTTP/2 library is called, never the other way round. Wakers
//! are called after the lock is released.

use std::io;
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use bytes::Bytes;
use postern_domain::Reason;
use tokio::io::ReadBuf;
use tokio::time::Instant;

use crate::limits::Limits;
use crate::outgoing::{Outgoing, Wish};
use crate::queue::Queue;
use crate::stream::StreamReset;
use crate::tally::Tally;

#[derive(Debug)]
struct State {
    inbox: Queue,
    finished: bool,
    reader: Option<Waker>,
    /// Bytes read whose window was not given back yet.
    consumed: usize,
    flow: Option<h2::FlowControl>,
    /// Bytes that arrived since they were last counted.
    arrived: usize,
    /// Counts reads, so that a stall can be told without a clock on the data path.
    reads: u64,
    seen_reads: u64,
    seen_at: Option<Instant>,

    outbox: Queue,
    shut: bool,
    end_sent: bool,
    writer: Option<Waker>,

    wish: Wish,
    released: bool,
    reset: Option<StreamReset>,
    pump: Option<Waker>,
}

/// The shared state of one stream.
#[derive(Debug)]
pub(crate) struct Pipe {
    state: Mutex<State>,
    tally: Arc<Tally>,
    send_buffer: usize,
}

fn park(slot: &mut Option<Waker>, cx: &Context<'_>) {
    match slot {
        Some(waker) => waker.clone_from(cx.waker()),
        None => *slot = Some(cx.waker().clone()),
    }
}

fn wake(waker: Option<Waker>) {
    if let Some(waker) = waker {
        waker.wake();
    }
}

impl Pipe {
    pub(crate) fn new(tally: &Arc<Tally>, limits: &Limits) -> Arc<Self> {
        Arc::new(Self {
            state: Mutex::new(State {
                inbox: Queue::default(),
                finished: false,
                reader: None,
                consumed: 0,
                flow: None,
                arrived: 0,
                reads: 0,
                seen_reads: 0,
                seen_at: None,
                outbox: Queue::default(),
                shut: false,
                end_sent: false,
                writer: None,
                wish: Wish::Open,
                released: false,
                reset: None,
                pump: None,
            }),
            tally: Arc::clone(tally),
            send_buffer: limits.send_buffer.max(1),
        })
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Accounts for bytes that have been read.
    fn took(&self, mut state: MutexGuard<'_, State>, count: usize) {
        self.tally.unread.fetch_sub(count, Ordering::Relaxed);
        state.reads = state.reads.wrapping_add(1);
        Self::give_back(&mut state, count);
        // Nothing more will come, so the pump of a stream that has ended may go.
        let pump = if state.finished && state.inbox.len() == 0 {
            state.pump.take()
        } else {
            None
        };
        drop(state);
        wake(pump);
    }

    /// Gives the window of bytes that need no more room back, once they are worth it.
    fn give_back(state: &mut State, count: usize) {
        state.consumed += count;
        if state.consumed >= Limits::UNRELEASED
            && let Some(flow) = &mut state.flow
        {
            let count = std::mem::take(&mut state.consumed);
            if let Err(error) = flow.release_capacity(count) {
                tracing::debug!(%error, count, "window could not be given back");
            }
        }
    }

    /// Says what a reader sees when its queue is empty; `None` if it has to wait.
    fn exhausted(state: &mut State, cx: &Context<'_>) -> Option<io::Result<()>> {
        if let Some(reset) = state.reset {
            Some(Err(reset.into_io()))
        } else if state.finished {
            Some(Ok(()))
        } else {
            park(&mut state.reader, cx);
            None
        }
    }

    pub(crate) fn poll_read(&self, cx: &Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let mut state = self.lock();
        let count = state.inbox.copy_into(buf);
        if count > 0 || buf.remaining() == 0 {
            self.took(state, count);
            return Poll::Ready(Ok(()));
        }
        Self::exhausted(&mut state, cx).map_or(Poll::Pending, Poll::Ready)
    }

    pub(crate) fn poll_take(&self, cx: &Context<'_>, max: usize) -> Poll<io::Result<Option<Bytes>>> {
        let mut state = self.lock();
        if let Some(piece) = state.inbox.pop(max.max(1)) {
            self.took(state, piece.len());
            return Poll::Ready(Ok(Some(piece)));
        }
        match Self::exhausted(&mut state, cx) {
            Some(result) => Poll::Ready(result.map(|()| None)),
            None => Poll::Pending,
        }
    }

    /// Returns the room of a writer, or why there is none.
    fn room(&self, state: &mut State, cx: &Context<'_>) -> Poll<io::Result<usize>> {
        if let Some(reset) = state.reset {
            return Poll::Ready(Err(reset.into_io()));
        }
        if state.shut {
            return Poll::Ready(Err(io::ErrorKind::BrokenPipe.into()));
        }
        match self.send_buffer.saturating_sub(state.outbox.len()) {
            0 => {
                park(&mut state.writer, cx);
                Poll::Pending
            }
            room => Poll::Ready(Ok(room)),
        }
    }

    pub(crate) fn poll_write(&self, cx: &Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let mut state = self.lock();
        let room = std::task::ready!(self.room(&mut state, cx))?;
        let taken = bytes.get(..room).unwrap_or(bytes);
        state.outbox.extend(taken);
        let pump = state.pump.take();
        drop(state);
        wake(pump);
        Poll::Ready(Ok(taken.len()))
    }

    pub(crate) fn poll_give(&self, cx: &Context<'_>, piece: &mut Bytes) -> Poll<io::Result<usize>> {
        let mut state = self.lock();
        let room = std::task::ready!(self.room(&mut state, cx))?;
        let taken = piece.split_to(room.min(piece.len()));
        let count = taken.len();
        state.outbox.push(taken);
        let pump = state.pump.take();
        drop(state);
        wake(pump);
        Poll::Ready(Ok(count))
    }

    pub(crate) fn poll_shutdown(&self, cx: &Context<'_>) -> Poll<io::Result<()>> {
        let mut state = self.lock();
        if state.end_sent {
            return Poll::Ready(Ok(()));
        }
        if let Some(reset) = state.reset {
            return Poll::Ready(Err(reset.into_io()));
        }
        state.shut = true;
        park(&mut state.writer, cx);
        let pump = state.pump.take();
        drop(state);
        wake(pump);
        Poll::Pending
    }

    /// Asks for a reset. The first wish stands.
    pub(crate) fn reset(&self, reason: Option<Reason>) {
        let mut state = self.lock();
        if state.reset.is_some() {
            return;
        }
        state.wish = Wish::Reset(reason);
        self.end_locked(state, StreamReset { reason });
    }

    /// Lets go of the stream: resets it, unless its holder has shut it down.
    pub(crate) fn release(&self) {
        let mut state = self.lock();
        state.released = true;
        if state.reset.is_none() && state.shut {
            // What was written and the end still go out; what arrives is of no interest.
            let unread = state.inbox.clear();
            self.tally.unread.fetch_sub(unread, Ordering::Relaxed);
            let flow = if state.finished { state.flow.take() } else { None };
            let pump = state.pump.take();
            drop(state);
            drop(flow);
            wake(pump);
        } else {
            drop(state);
            self.reset(None);
            self.lock().flow = None;
        }
    }

    /// Ends the stream for its holder: what lies in the queues is dropped, readers and writers fail.
    pub(crate) fn end(&self, reset: StreamReset) {
        let state = self.lock();
        if state.reset.is_none() {
            self.end_locked(state, reset);
        }
    }

    fn end_locked(&self, mut state: MutexGuard<'_, State>, reset: StreamReset) {
        state.reset = Some(reset);
        let unread = state.inbox.clear();
        self.tally.unread.fetch_sub(unread, Ordering::Relaxed);
        state.outbox.clear();
        let flow = state.flow.take();
        let (reader, writer, pump) = (state.reader.take(), state.writer.take(), state.pump.take());
        drop(state);
        drop(flow);
        wake(reader);
        wake(writer);
        wake(pump);
    }

    /// Waits until the stream has been reset, whoever did it.
    pub(crate) fn poll_reset(&self, cx: &Context<'_>) -> Poll<StreamReset> {
        let mut state = self.lock();
        match state.reset {
            Some(reset) => Poll::Ready(reset),
            None => {
                park(&mut state.reader, cx);
                Poll::Pending
            }
        }
    }

    // For the pump.

    /// Takes the handle by which the window is given back.
    pub(crate) fn attach(&self, flow: h2::FlowControl) {
        self.lock().flow = Some(flow);
    }

    /// Puts in what has arrived. After the holder let go it is dropped.
    pub(crate) fn push(&self, piece: Bytes) {
        let mut state = self.lock();
        if piece.is_empty() || state.reset.is_some() {
            return;
        }
        let count = piece.len();
        state.arrived = state.arrived.saturating_add(count);
        if state.released {
            Self::give_back(&mut state, count);
            return;
        }
        self.tally.unread.fetch_add(count, Ordering::Relaxed);
        state.inbox.push(piece);
        let reader = state.reader.take();
        drop(state);
        wake(reader);
    }

    /// Notes the peer's half-close.
    pub(crate) fn finish(&self) {
        let mut state = self.lock();
        state.finished = true;
        let reader = state.reader.take();
        drop(state);
        wake(reader);
    }

    /// Says what is to be sent, and has the task woken when there is more.
    pub(crate) fn outgoing(&self, cx: &Context<'_>) -> Outgoing {
        let mut state = self.lock();
        park(&mut state.pump, cx);
        Outgoing {
            wish: state.wish,
            waiting: state.outbox.len(),
            shut: state.shut,
            released: state.released,
        }
    }

    /// Returns whether all that arrived was read, and has the task woken when it was.
    pub(crate) fn is_drained(&self, cx: &Context<'_>) -> bool {
        let mut state = self.lock();
        park(&mut state.pump, cx);
        state.inbox.len() == 0
    }

    /// Takes at most `max` bytes to send, and whether they are the last before the end.
    pub(crate) fn take(&self, max: usize) -> Option<(Bytes, bool)> {
        let mut state = self.lock();
        let piece = state.outbox.pop(max)?;
        let last = state.shut && state.outbox.len() == 0;
        let writer = if state.outbox.len() <= self.send_buffer / 2 && !state.shut {
            state.writer.take()
        } else {
            None
        };
        drop(state);
        wake(writer);
        Some((piece, last))
    }

    /// Notes that the end of this direction is on its way.
    pub(crate) fn sent_end(&self) {
        let mut state = self.lock();
        state.shut = true;
        state.end_sent = true;
        let writer = state.writer.take();
        drop(state);
        wake(writer);
    }

    /// Returns how many bytes have arrived since the last call.
    pub(crate) fn arrived(&self) -> usize {
        std::mem::take(&mut self.lock().arrived)
    }

    /// Returns for how long the stream has stood unread or, if the others have room enough, for how long its
    /// holder has been gone; as far as calls of this method can tell.
    pub(crate) fn stalled(&self, now: Instant, pressed: bool) -> Duration {
        let mut state = self.lock();
        let stalls = state.released || (pressed && state.inbox.len() > 0);
        if !stalls {
            state.seen_at = None;
            return Duration::ZERO;
        }
        if state.seen_reads != state.reads || state.seen_at.is_none() {
            state.seen_reads = state.reads;
            state.seen_at = Some(now);
        }
        state
            .seen_at
            .map_or(Duration::ZERO, |since| now.duration_since(since))
    }
}

impl Drop for Pipe {
    fn drop(&mut self) {
        let unread = self.lock().inbox.len();
        self.tally.unread.fetch_sub(unread, Ordering::Relaxed);
    }
}
