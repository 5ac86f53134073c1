//! A stream: one connection to a resource, as its holder sees it.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use postern_domain::Reason;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use crate::pipe::Pipe;

/// A stream was reset, by its peer, by this side or because its session ended. It is the inner error of an
/// [`io::Error`] of kind `ConnectionReset`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the stream was reset{}", .reason.map(|r| format!(": {}", r.explanation())).unwrap_or_default())]
pub struct StreamReset {
    /// Why, if whoever did it said so.
    pub reason: Option<Reason>,
}

impl StreamReset {
    /// Returns the reset that an error of a [`Stream`] speaks of.
    #[must_use]
    pub fn of(error: &io::Error) -> Option<Self> {
        error.get_ref()?.downcast_ref().copied()
    }

    pub(crate) fn into_io(self) -> io::Error {
        io::Error::new(io::ErrorKind::ConnectionReset, self)
    }
}

/// One connection to a resource. Reading returns zero bytes after the peer's half-close; shutting down is our
/// half-close. A stream that is dropped before it was shut down is reset; one that was shut down still sends
/// what was written.
#[derive(Debug)]
pub struct Stream {
    pipe: Arc<Pipe>,
}

/// Resets a stream from elsewhere, such as a policy that changed.
#[derive(Debug, Clone)]
pub struct Control {
    pipe: Arc<Pipe>,
}

impl Control {
    /// Resets the stream and tells the peer why. Its holder sees the reason too.
    pub fn reset(&self, reason: Reason) {
        self.pipe.reset(Some(reason));
    }
}

impl Stream {
    pub(crate) const fn new(pipe: Arc<Pipe>) -> Self {
        Self { pipe }
    }

    /// Returns a hand that can reset the stream from elsewhere.
    #[must_use]
    pub fn control(&self) -> Control {
        Control {
            pipe: Arc::clone(&self.pipe),
        }
    }

    /// Resets the stream: what was not sent yet is dropped, the peer's reads and writes fail.
    pub fn reset(self) {
        self.pipe.reset(None);
    }

    /// Resets the stream and tells the peer why.
    pub fn reset_with(self, reason: Reason) {
        self.pipe.reset(Some(reason));
    }

    /// Reads the next piece as it arrived, at most `max` bytes of it, without copying. `None` is the peer's
    /// half-close.
    ///
    /// # Errors
    ///
    /// An error of kind `ConnectionReset` if the stream was reset.
    pub fn poll_read_chunk(&mut self, cx: &Context<'_>, max: usize) -> Poll<io::Result<Option<Bytes>>> {
        self.pipe.poll_take(cx, max)
    }

    /// Writes as much of a piece as there is room for, without copying if it is large, and advances it.
    ///
    /// # Errors
    ///
    /// An error of kind `ConnectionReset` if the stream was reset, `BrokenPipe` after shutdown.
    pub fn poll_write_chunk(&mut self, cx: &Context<'_>, piece: &mut Bytes) -> Poll<io::Result<usize>> {
        self.pipe.poll_give(cx, piece)
    }

    /// Reads the next piece as it arrived; see [`Self::poll_read_chunk`].
    ///
    /// # Errors
    ///
    /// An error of kind `ConnectionReset` if the stream was reset.
    pub async fn read_chunk(&mut self, max: usize) -> io::Result<Option<Bytes>> {
        std::future::poll_fn(|cx| self.poll_read_chunk(cx, max)).await
    }

    /// Writes a whole piece; see [`Self::poll_write_chunk`].
    ///
    /// # Errors
    ///
    /// An error of kind `ConnectionReset` if the stream was reset, `BrokenPipe` after shutdown.
    pub async fn write_chunk(&mut self, mut piece: Bytes) -> io::Result<()> {
        std::future::poll_fn(|cx| {
            while !piece.is_empty() {
                ready!(self.poll_write_chunk(cx, &mut piece))?;
            }
            Poll::Ready(Ok(()))
        })
        .await
    }
}

impl AsyncRead for Stream {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        self.pipe.poll_read(cx, buf)
    }
}

impl AsyncWrite for Stream {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        self.pipe.poll_write(cx, buf)
    }

    /// Returns at once: what was written leaves as soon as the peer's window and the wire allow.
    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    /// Ends this direction, and returns when all that was written and the end itself are on their way.
    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.pipe.poll_shutdown(cx)
    }
}

impl Drop for Stream {
    fn drop(&mut self) {
        self.pipe.release();
    }
}
