//! Guards the bytes of a connection: ends it when nothing was received for too long, when its owner cuts it, or
//! when the peer does not begin as it must.
//!
//! The library's own keepalives make an idle peer speak; that it is dead is decided here, by the only sign that
//! counts: no byte was received.
//!
//! The library also reads nothing while it waits to write, so two that write to each other in bulk would wait for
//! ever. While a write waits, the guard reads ahead for it, up to [`READ_AHEAD`] bytes, so that the peer's write can
//! finish.

use std::future::Future;
use std::io;
use std::pin::Pin;
use std::sync::{Arc, OnceLock};
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::{Buf, BytesMut};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::sync::oneshot;
use tokio::time::{Instant, Sleep, sleep_until};

use crate::kexinit::{Facts, KexInitError, Reading, Side};

/// The most that is read ahead while a write waits: what sixteen streams may have on their way.
const READ_AHEAD: usize = 32 * 1024 * 1024;
/// How much is read ahead at once.
const CHUNK: usize = 64 * 1024;

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
    ahead: BytesMut,
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
            ahead: BytesMut::new(),
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

impl<IO: AsyncRead + Unpin> Guard<IO> {
    /// Reads what has come already, for when the library reads again. An end or error is left for it to find.
    fn read_ahead(&mut self, cx: &mut Context<'_>) -> io::Result<()> {
        let mut chunk = [0; CHUNK];
        while self.ahead.len() < READ_AHEAD {
            let mut buffer = ReadBuf::new(&mut chunk);
            match Pin::new(&mut self.io).poll_read(cx, &mut buffer) {
                Poll::Ready(Ok(())) if !buffer.filled().is_empty() => {
                    self.hear(buffer.filled())?;
                    self.ahead.extend_from_slice(buffer.filled());
                }
                Poll::Ready(_) | Poll::Pending => break,
            }
        }
        Ok(())
    }

    fn take_ahead(&mut self, buffer: &mut ReadBuf<'_>) {
        let length = self.ahead.len().min(buffer.remaining());
        buffer.put_slice(self.ahead.get(..length).unwrap_or_default());
        self.ahead.advance(length);
        if self.ahead.is_empty() {
            // It grew for a rare case; the memory is given back.
            self.ahead = BytesMut::new();
        }
    }
}

impl<IO: AsyncRead + Unpin> AsyncRead for Guard<IO> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        self.poll_cut(cx)?;
        if !self.ahead.is_empty() {
            self.take_ahead(buffer);
            return Poll::Ready(Ok(()));
        }
        let before = buffer.filled().len();
        match Pin::new(&mut self.io).poll_read(cx, buffer) {
            Poll::Ready(Ok(())) => Poll::Ready(self.hear(buffer.filled().get(before..).unwrap_or_default())),
            Poll::Ready(Err(error)) => Poll::Ready(Err(error)),
            Poll::Pending => self.poll_silence(cx),
        }
    }
}

impl<IO: AsyncRead + AsyncWrite + Unpin> AsyncWrite for Guard<IO> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        self.poll_cut(cx)?;
        let written = Pin::new(&mut self.io).poll_write(cx, bytes);
        if written.is_pending() {
            self.read_ahead(cx)?;
            // A peer that is read and still says nothing is dead, whatever waits to be written to it.
            if self.ahead.len() < READ_AHEAD
                && let Poll::Ready(silence) = self.poll_silence(cx)
            {
                silence?;
            }
        }
        written
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
    async fn a_write_that_waits_reads_ahead_and_nothing_is_lost() {
        let (ours, theirs) = duplex(16);
        let (mut guard, _cutter, _seen) = Guard::new(ours, Side::Server, Duration::from_secs(9));
        guard.reading = None;
        let (mut reader, mut writer) = tokio::io::split(theirs);
        // Both write more than the wire holds, and neither reads before it has written.
        let sent: Vec<u8> = (0..=255).collect();
        let their_write = async {
            writer.write_all(&sent).await.unwrap();
            let mut got = vec![0; 256];
            reader.read_exact(&mut got).await.unwrap();
            assert_eq!(got, [7; 256]);
        };
        let our_write = async {
            guard.write_all(&[7; 256]).await.unwrap();
            let mut got = vec![0; 256];
            guard.read_exact(&mut got).await.unwrap();
            assert_eq!(got, sent);
        };
        tokio::join!(their_write, our_write);
        assert!(guard.ahead.is_empty());
    }

    #[tokio::test(start_paused = true)]
    async fn a_peer_that_neither_reads_nor_speaks_is_dead_while_we_write() {
        let (ours, _theirs) = duplex(16);
        let (mut guard, _cutter, _seen) = Guard::new(ours, Side::Server, Duration::from_secs(9));
        let began = Instant::now();
        let error = guard.write_all(&[7; 256]).await.unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::TimedOut);
        assert_eq!(began.elapsed().as_secs(), 9);
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
