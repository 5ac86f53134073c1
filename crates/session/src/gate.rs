//! The bytes beneath a session, read in portions: the driver empties the HTTP/2 library after each, so no burst
//! of small frames can pile up inside. It also knows when a peer sends too much that carries nothing.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::Instant;

use crate::frames::{Held, Scanner};
use crate::limits::Limits;

/// The span in which [`Limits::control_frames`] may be sent.
const SPAN: Duration = Duration::from_secs(10);

/// What the gate and the driver tell each other. Used by one task only; shared because the library owns the gate.
#[derive(Debug)]
pub(crate) struct Watch {
    left: AtomicUsize,
    received: AtomicU64,
    starved: AtomicBool,
    flooded: AtomicBool,
    /// The code of a GOAWAY, above the lower 32 bits a one.
    goaway: AtomicU64,
}

impl Watch {
    /// Lets another portion be read.
    pub(crate) fn refill(&self) {
        self.left.store(Limits::TURN, Ordering::Relaxed);
        self.starved.store(false, Ordering::Relaxed);
    }

    /// Returns how many bytes have come in.
    pub(crate) fn received(&self) -> u64 {
        self.received.load(Ordering::Relaxed)
    }

    /// Returns whether reading stopped at the end of the portion; then nobody but the driver wakes the reader.
    pub(crate) fn is_starved(&self) -> bool {
        self.starved.load(Ordering::Relaxed)
    }

    /// Returns whether the peer floods the session. Nothing more is read then.
    pub(crate) fn is_flooded(&self) -> bool {
        self.flooded.load(Ordering::Relaxed)
    }

    /// Returns the code with which the peer has announced the end of the session.
    pub(crate) fn goodbye(&self) -> Option<u32> {
        let goaway = self.goaway.load(Ordering::Relaxed);
        (goaway != 0).then(|| u32::try_from(goaway & u64::from(u32::MAX)).unwrap_or_default())
    }
}

/// A byte stream that is read in portions.
#[derive(Debug)]
pub(crate) struct Gate<IO> {
    io: IO,
    scanner: Scanner,
    passing: Held,
    watch: Arc<Watch>,
    limit: u32,
    seen: u32,
    since: Option<Instant>,
}

impl<IO> Gate<IO> {
    /// Makes the gate of a gateway, whose peer begins with a preface, or of a client.
    pub(crate) fn new(io: IO, preface: bool, limits: &Limits) -> (Self, Arc<Watch>) {
        let watch = Arc::new(Watch {
            left: AtomicUsize::new(Limits::TURN),
            received: AtomicU64::new(0),
            starved: AtomicBool::new(false),
            flooded: AtomicBool::new(false),
            goaway: AtomicU64::new(0),
        });
        let gate = Self {
            io,
            scanner: Scanner::new(preface),
            passing: Held::default(),
            watch: Arc::clone(&watch),
            limit: limits.control_frames,
            seen: 0,
            since: None,
        };
        (gate, watch)
    }

    /// Takes note of what the scanner has found.
    fn note(&mut self) {
        let found = self.scanner.found();
        if let Some(code) = found.goaway {
            self.watch
                .goaway
                .store(1 << 32 | u64::from(code), Ordering::Relaxed);
        }
        if found.control > 0 {
            let now = Instant::now();
            if self.since.is_none_or(|since| now.duration_since(since) >= SPAN) {
                self.since = Some(now);
                self.seen = 0;
            }
            self.seen = self.seen.saturating_add(found.control);
            if self.seen > self.limit {
                self.watch.flooded.store(true, Ordering::Relaxed);
            }
        }
    }
}

impl<IO: AsyncRead + Unpin> AsyncRead for Gate<IO> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = &mut *self;
        loop {
            let left = this.watch.left.load(Ordering::Relaxed);
            if left == 0 || this.watch.is_flooded() {
                this.watch.starved.store(true, Ordering::Relaxed);
                return Poll::Pending;
            }
            let start = buf.filled().len();
            let held = this.scanner.held().len();
            if buf.remaining() == 0 {
                return Poll::Ready(Ok(()));
            }
            if buf.remaining() <= held {
                // No room to wait for the rest of a header: it passes as it is.
                this.passing = this.scanner.give_up();
            }
            if !this.passing.is_empty() {
                this.passing.put_into(buf);
                return Poll::Ready(Ok(()));
            }
            buf.put_slice(this.scanner.held());
            let result = Pin::new(&mut this.io).poll_read(cx, buf);
            if !matches!(result, Poll::Ready(Ok(()))) {
                buf.set_filled(start);
                return result;
            }
            let end = buf.filled().len();
            let count = end - start - held;
            if count == 0 {
                // The end: what is held back was all there is, and passes.
                this.scanner.give_up();
                return Poll::Ready(Ok(()));
            }
            this.watch
                .left
                .store(left.saturating_sub(count), Ordering::Relaxed);
            this.watch.received.fetch_add(count as u64, Ordering::Relaxed);
            let passed = this
                .scanner
                .scan(buf.filled_mut().get_mut(start..).unwrap_or_default());
            buf.set_filled(start + passed);
            this.note();
            if passed > 0 {
                return Poll::Ready(Ok(()));
            }
        }
    }
}

impl<IO: AsyncWrite + Unpin> AsyncWrite for Gate<IO> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.io).poll_write(cx, buf)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.io).poll_write_vectored(cx, bufs)
    }

    fn is_write_vectored(&self) -> bool {
        self.io.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_shutdown(cx)
    }
}
