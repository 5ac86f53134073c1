//! The bytes beneath a session, read in portions: the driver empties the HTTP/2 library after each, so no burst
//! of small frames can pile up inside.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::task::{Context, Poll};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use crate::limits::Limits;

/// How much may still be read in this turn. Used by one task only; shared because the library owns the gate.
#[derive(Debug)]
pub(crate) struct Allowance {
    left: AtomicUsize,
    starved: AtomicBool,
}

impl Allowance {
    fn new() -> Arc<Self> {
        Arc::new(Self {
            left: AtomicUsize::new(Limits::TURN),
            starved: AtomicBool::new(false),
        })
    }

    /// Begins a turn; returns whether the last one ended because nothing more was allowed, in which case
    /// nobody but the caller will wake the reader.
    pub(crate) fn refill(&self) -> bool {
        self.left.store(Limits::TURN, Ordering::Relaxed);
        self.starved.swap(false, Ordering::Relaxed)
    }

    /// Returns whether this turn has ended because nothing more was allowed.
    pub(crate) fn is_starved(&self) -> bool {
        self.starved.load(Ordering::Relaxed)
    }
}

/// A byte stream that is read in portions.
#[derive(Debug)]
pub(crate) struct Gate<IO> {
    io: IO,
    allowance: Arc<Allowance>,
}

impl<IO> Gate<IO> {
    pub(crate) fn new(io: IO) -> (Self, Arc<Allowance>) {
        let allowance = Allowance::new();
        let gate = Self {
            io,
            allowance: Arc::clone(&allowance),
        };
        (gate, allowance)
    }
}

impl<IO: AsyncRead + Unpin> AsyncRead for Gate<IO> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let left = self.allowance.left.load(Ordering::Relaxed);
        if left == 0 {
            self.allowance.starved.store(true, Ordering::Relaxed);
            return Poll::Pending;
        }
        let before = buf.filled().len();
        let result = Pin::new(&mut self.io).poll_read(cx, buf);
        let count = buf.filled().len().saturating_sub(before);
        self.allowance
            .left
            .store(left.saturating_sub(count), Ordering::Relaxed);
        result
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
