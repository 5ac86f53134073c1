//! Streams that can be reset.

use std::fmt;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio_rustls::{client, server};

/// A stream of bytes in both directions that tells an end (shutdown) from a reset. Its errors on read or write
/// are resets by the peer. Streams of other crates are adapted with [`WithReset`].
pub trait Duplex: AsyncRead + AsyncWrite + Unpin {
    /// Ends both directions at once, so that the peer sees a reset and not an end.
    fn reset(self);
}

impl Duplex for TcpStream {
    fn reset(self) {
        // It fails only if the socket is gone already, and then there is nothing to reset.
        drop(self.set_zero_linger());
    }
}

impl<IO: Duplex> Duplex for client::TlsStream<IO> {
    fn reset(self) {
        self.into_inner().0.reset();
    }
}

impl<IO: Duplex> Duplex for server::TlsStream<IO> {
    fn reset(self) {
        self.into_inner().0.reset();
    }
}

/// A stream together with the function that resets it.
pub struct WithReset<S> {
    stream: S,
    reset: fn(S),
}

impl<S> WithReset<S> {
    /// Joins a stream with its reset, such as `WithReset::new(stream, |stream| stream.reset())`.
    pub const fn new(stream: S, reset: fn(S)) -> Self {
        Self { stream, reset }
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> Duplex for WithReset<S> {
    fn reset(self) {
        (self.reset)(self.stream);
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for WithReset<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(cx, buf)
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for WithReset<S> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(cx, buf)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write_vectored(cx, bufs)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}

impl<S> fmt::Debug for WithReset<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("WithReset").finish_non_exhaustive()
    }
}
