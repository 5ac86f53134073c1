//! One stream of a tunnel: an SSH channel as reader and writer.
//!
//! Half-close is EOF. Reset is a channel that closes without EOF: a reader then gets an error and never an orderly
//! end. Dropping a stream closes its channel, so a stream that was not shut down is reset.

use std::fmt;
use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::pin::{Pin, pin};
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use russh::{ChannelMsg, ChannelReadHalf, ChannelWriteHalf};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::runtime::Handle;
use tokio::sync::OwnedSemaphorePermit;

/// What a stream keeps for as long as it lives, so that its tunnel does too and its place is taken.
pub(crate) trait Held: fmt::Debug + Send + Sync {}
impl<T: fmt::Debug + Send + Sync> Held for T {}

/// The writing half of either side's channel.
pub(crate) enum WriteHalf {
    Server(ChannelWriteHalf<russh::server::Msg>),
    Client(ChannelWriteHalf<russh::client::Msg>),
}

impl WriteHalf {
    fn writer(&self) -> Pin<Box<dyn AsyncWrite + Send>> {
        match self {
            Self::Server(half) => Box::pin(half.make_writer()),
            Self::Client(half) => Box::pin(half.make_writer()),
        }
    }

    /// Closes the channel; when the session is gone, there is nothing to close.
    async fn close(self) {
        let result = match self {
            Self::Server(half) => half.close().await,
            Self::Client(half) => half.close().await,
        };
        if result.is_err() {
            tracing::trace!("a stream outlived its tunnel");
        }
    }
}

/// How the peer's half stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Peer {
    Open,
    /// It sent EOF: it writes no more, and reads on.
    Ended,
    /// It closed the channel after EOF: it does not read any more.
    Gone,
    /// It closed the channel without EOF.
    Reset,
    /// The tunnel is lost.
    Lost,
}

/// One stream of a tunnel.
pub struct TunnelStream {
    reader: ChannelReadHalf,
    writer: Pin<Box<dyn AsyncWrite + Send>>,
    half: Option<WriteHalf>,
    unread: Bytes,
    peer: Peer,
    shut: bool,
    origin: Option<SocketAddr>,
    _permit: OwnedSemaphorePermit,
    _held: Box<dyn Held>,
}

impl TunnelStream {
    pub(crate) fn new(
        reader: ChannelReadHalf,
        half: WriteHalf,
        origin: Option<SocketAddr>,
        permit: OwnedSemaphorePermit,
        held: Box<dyn Held>,
    ) -> Self {
        Self {
            reader,
            writer: half.writer(),
            half: Some(half),
            unread: Bytes::new(),
            peer: Peer::Open,
            shut: false,
            origin,
            _permit: permit,
            _held: held,
        }
    }

    /// Returns where the relay says that the stream comes from; only claimed.
    #[must_use]
    pub const fn origin(&self) -> Option<SocketAddr> {
        self.origin
    }

    /// Resets the stream: the peer gets an error unless it has our EOF already.
    pub fn reset(self) {
        drop(self);
    }

    /// Takes the next message of the channel.
    fn poll_message(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        // The library gives no way to poll; waiting anew each time loses nothing, since it only takes from a queue.
        match ready!(pin!(self.reader.wait()).poll(cx)) {
            Some(ChannelMsg::Data { data }) => self.unread = data,
            Some(ChannelMsg::Eof) => self.peer = Peer::Ended,
            Some(ChannelMsg::Close) => {
                self.peer = if self.peer == Peer::Ended {
                    Peer::Gone
                } else {
                    Peer::Reset
                };
            }
            None if self.peer == Peer::Ended => self.peer = Peer::Gone,
            None => self.peer = Peer::Lost,
            // Window updates and what else a channel may say; none of it is data.
            Some(_) => {}
        }
        Poll::Ready(())
    }

    fn reader_error(&self) -> Option<io::Error> {
        match self.peer {
            Peer::Open | Peer::Ended | Peer::Gone => None,
            Peer::Reset => Some(io::Error::new(
                io::ErrorKind::ConnectionReset,
                "reset by the peer",
            )),
            Peer::Lost => Some(io::Error::new(
                io::ErrorKind::ConnectionAborted,
                "the tunnel is lost",
            )),
        }
    }

    fn writer_error(&self) -> Option<io::Error> {
        match self.peer {
            Peer::Gone => Some(io::Error::new(
                io::ErrorKind::BrokenPipe,
                "the peer reads no more",
            )),
            Peer::Open | Peer::Ended | Peer::Reset | Peer::Lost => self.reader_error(),
        }
    }
}

impl AsyncRead for TunnelStream {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        loop {
            if !self.unread.is_empty() {
                let length = self.unread.len().min(buffer.remaining());
                buffer.put_slice(&self.unread.split_to(length));
                return Poll::Ready(Ok(()));
            }
            if let Some(error) = self.reader_error() {
                return Poll::Ready(Err(error));
            }
            if self.peer != Peer::Open {
                return Poll::Ready(Ok(()));
            }
            ready!(self.poll_message(cx));
        }
    }
}

impl AsyncWrite for TunnelStream {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        if bytes.is_empty() {
            return Poll::Ready(Ok(0));
        }
        loop {
            if let Some(error) = self.writer_error() {
                return Poll::Ready(Err(error));
            }
            if let Poll::Ready(result) = self.writer.as_mut().poll_write(cx, bytes) {
                return Poll::Ready(result);
            }
            // After the peer's EOF nobody reads any more, and only here could we learn that it closed. Before
            // it, messages are left to the reader, lest data be taken twice as fast as it is read.
            if self.peer != Peer::Ended {
                return Poll::Pending;
            }
            ready!(self.poll_message(cx));
        }
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.writer.as_mut().poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        if self.shut {
            return Poll::Ready(Ok(()));
        }
        if let Some(error) = self.writer_error() {
            return Poll::Ready(Err(error));
        }
        ready!(self.writer.as_mut().poll_shutdown(cx))?;
        self.shut = true;
        Poll::Ready(Ok(()))
    }
}

impl Drop for TunnelStream {
    fn drop(&mut self) {
        // Closing waits for room in the session's queue, which a drop cannot; outside a runtime there is no session.
        if let (Some(half), Ok(runtime)) = (self.half.take(), Handle::try_current()) {
            drop(runtime.spawn(half.close()));
        }
    }
}

impl fmt::Debug for TunnelStream {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TunnelStream")
            .field("peer", &self.peer)
            .field("shut", &self.shut)
            .field("origin", &self.origin)
            .finish_non_exhaustive()
    }
}
