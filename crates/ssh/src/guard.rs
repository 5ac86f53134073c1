//! Guards the bytes of a connection: ends it when nothing was received for too long, when its owner cuts it, or
//! when the peer does not begin as it must.
//!
//! The library's own keepalives make an idle peer speak; that it is dead is decided here, by the only sign that
//! counts: no byte was received.

use std::future::Future;
use std::io;
use std::pin::Pin;
use std::sync::{Arc, OnceLock};
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::sync::oneshot;
use tokio::time::{Instant, Sleep, sleep_until};

use crate::kexinit::{Facts, KexInitError, Reading, Side};

/// What the guard saw in the peer's first words.
pub(crate) type Seen = Arc<OnceLock<Result<Facts, KexInitError>>>;

/// The connection ends when this is dropped.
#[derive(Debug)]
pub(crate) struct Cutter {
    _held: oneshot::Sender<()>,
}

/// A guarded connection.
#[derive(Debug)]
pub(crate) struct Guard<IO> {
    io: IO,
    cut: oneshot::Receiver<()>,
    is_cut: bool,
    silence: Duration,
    heard: Instant,
    alarm: Pin<Box<Sleep>>,
    reading: Option<Reading>,
    seen: Seen,
}

impl<IO> Guard<IO> {
    /// Guards a connection that is dead after `silence` without a byte received.
    pub(crate) fn new(io: IO, side: Side, silence: Duration) -> (Self, Cutter, Seen) {
        let (held, cut) = oneshot::channel();
        let heard = Instant::now();
        let seen = Seen::default();
        let guard = Self {
            io,
            cut,
            is_cut: false,
            silence,
            heard,
            alarm: Box::pin(sleep_until(heard + silence)),
            reading: Some(Reading::new(side)),
            seen: Arc::clone(&seen),
        };
        (guard, Cutter { _held: held }, seen)
    }

    fn poll_cut(&mut self, cx: &mut Context<'_>) -> io::Result<()> {
        if !self.is_cut && Pin::new(&mut self.cut).poll(cx).is_ready() {
            self.is_cut = true;
        }
        if self.is_cut {
            return Err(io::Error::new(io::ErrorKind::ConnectionAborted, "cut"));
        }
        Ok(())
    }

    fn poll_silence(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        while self.alarm.as_mut().poll(cx).is_ready() {
            let dead = self.heard + self.silence;
            if Instant::now() >= dead {
                let error = io::Error::new(io::ErrorKind::TimedOut, "nothing was received for too long");
                return Poll::Ready(Err(error));
            }
            self.alarm.as_mut().reset(dead);
        }
        Poll::Pending
    }

    fn hear(&mut self, bytes: &[u8]) -> io::Result<()> {
        if bytes.is_empty() {
            return Ok(());
        }
        self.heard = Instant::now();
        let Some(reading) = &mut self.reading else {
            return Ok(());
        };
        let outcome = match reading.push(bytes) {
            Ok(None) => return Ok(()),
            Ok(Some(facts)) => Ok(facts),
            Err(error) => Err(error),
        };
        self.reading = None;
        let answer = match &outcome {
            Ok(_) => Ok(()),
            Err(error) => Err(io::Error::new(io::ErrorKind::InvalidData, *error)),
        };
        // It is set once, here.
        drop(self.seen.set(outcome));
        answer
    }
}

impl<IO: AsyncRead + Unpin> AsyncRead for Guard<IO> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        self.poll_cut(cx)?;
        let before = buffer.filled().len();
        match Pin::new(&mut self.io).poll_read(cx, buffer) {
            Poll::Ready(Ok(())) => Poll::Ready(self.hear(buffer.filled().get(before..).unwrap_or_default())),
            Poll::Ready(Err(error)) => Poll::Ready(Err(error)),
            Poll::Pending => self.poll_silence(cx),
        }
    }
}

impl<IO: AsyncWrite + Unpin> AsyncWrite for Guard<IO> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        self.poll_cut(cx)?;
        Pin::new(&mut self.io).poll_write(cx, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.poll_cut(cx)?;
        Pin::new(&mut self.io).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.poll_cut(cx)?;
        Pin::new(&mut self.io).poll_shutdown(cx)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::io::{AsyncReadExt, AsyncWriteExt, duplex};

    #[tokio::test(start_paused = true)]
    async fn a_silent_peer_is_dead_after_the_time_and_not_before() {
        let (ours, mut theirs) = duplex(64);
        let (mut guard, _cutter, _seen) = Guard::new(ours, Side::Server, Duration::from_secs(9));
        let began = Instant::now();
        tokio::time::advance(Duration::from_secs(5)).await;
        theirs.write_all(b"SSH").await.unwrap();
        let mut buffer = [0; 3];
        guard.read_exact(&mut buffer).await.unwrap();
        let error = guard.read_u8().await.unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::TimedOut);
        assert_eq!(began.elapsed().as_secs(), 14);
    }

    #[tokio::test]
    async fn a_cut_connection_neither_reads_nor_writes() {
        let (ours, _theirs) = duplex(64);
        let (mut guard, cutter, _seen) = Guard::new(ours, Side::Client, Duration::from_secs(9));
        drop(cutter);
        assert_eq!(
            guard.read_u8().await.unwrap_err().kind(),
            io::ErrorKind::ConnectionAborted
        );
        assert_eq!(
            guard.write_u8(0).await.unwrap_err().kind(),
            io::ErrorKind::ConnectionAborted
        );
    }
}
