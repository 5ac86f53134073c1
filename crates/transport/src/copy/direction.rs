//! One direction of a two-way copy, as a machine that is polled.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use super::buffer;

/// Which of the two streams failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Failed {
    /// The one that is read.
    Source,
    /// The one that is written.
    Sink,
}

#[derive(Debug, Default)]
pub(super) struct Direction {
    state: State,
    needs_flush: bool,
    bytes: u64,
}

#[derive(Debug, Default)]
enum State {
    #[default]
    Reading,
    /// The bytes from `start` to `end` are still to be written.
    Writing {
        buffer: Box<[u8]>,
        start: usize,
        end: usize,
    },
    /// The source has ended; the sink is being told.
    Ending,
    Ended,
}

impl Direction {
    /// How many buffers may move before other tasks get their turn.
    const ROUNDS: usize = 32;

    /// Returns how many bytes were written.
    pub(super) const fn bytes(&self) -> u64 {
        self.bytes
    }

    /// Moves what can be moved. Ready when the source has ended and the sink knows it; it may be polled again.
    pub(super) fn poll<R, W>(
        &mut self,
        cx: &mut Context<'_>,
        source: &mut R,
        sink: &mut W,
    ) -> Poll<Result<(), Failed>>
    where
        R: AsyncRead + Unpin,
        W: AsyncWrite + Unpin,
    {
        for _ in 0..Self::ROUNDS {
            self.state = match std::mem::take(&mut self.state) {
                State::Reading => match self.read(cx, source, sink) {
                    Poll::Ready(next) => next?,
                    Poll::Pending => return Poll::Pending,
                },
                State::Writing { buffer, start, end } => match write(cx, sink, &buffer, start, end) {
                    Poll::Ready(written) => {
                        let written = written.map_err(|_| Failed::Sink)?;
                        self.bytes = self.bytes.saturating_add(written as u64);
                        self.needs_flush = true;
                        if start + written < end {
                            State::Writing {
                                buffer,
                                start: start + written,
                                end,
                            }
                        } else {
                            buffer::give(buffer);
                            State::Reading
                        }
                    }
                    Poll::Pending => {
                        self.state = State::Writing { buffer, start, end };
                        return Poll::Pending;
                    }
                },
                State::Ending => match Pin::new(&mut *sink).poll_shutdown(cx) {
                    Poll::Ready(done) => {
                        done.map_err(|_| Failed::Sink)?;
                        State::Ended
                    }
                    Poll::Pending => {
                        self.state = State::Ending;
                        return Poll::Pending;
                    }
                },
                State::Ended => {
                    self.state = State::Ended;
                    return Poll::Ready(Ok(()));
                }
            };
        }
        cx.waker().wake_by_ref();
        Poll::Pending
    }

    /// Reads once. While there is nothing to read, what was written is flushed and no buffer is held.
    fn read<R, W>(
        &mut self,
        cx: &mut Context<'_>,
        source: &mut R,
        sink: &mut W,
    ) -> Poll<Result<State, Failed>>
    where
        R: AsyncRead + Unpin,
        W: AsyncWrite + Unpin,
    {
        let mut buffer = buffer::take();
        let mut filled = ReadBuf::new(&mut buffer);
        let read = Pin::new(source).poll_read(cx, &mut filled);
        let end = filled.filled().len();
        match read {
            Poll::Ready(Ok(())) if end > 0 => Poll::Ready(Ok(State::Writing {
                buffer,
                start: 0,
                end,
            })),
            Poll::Ready(Ok(())) => {
                buffer::give(buffer);
                Poll::Ready(Ok(State::Ending))
            }
            Poll::Ready(Err(_)) => {
                buffer::give(buffer);
                Poll::Ready(Err(Failed::Source))
            }
            Poll::Pending => {
                buffer::give(buffer);
                if self.needs_flush {
                    ready!(Pin::new(sink).poll_flush(cx)).map_err(|_| Failed::Sink)?;
                    self.needs_flush = false;
                }
                Poll::Pending
            }
        }
    }
}

fn write<W: AsyncWrite + Unpin>(
    cx: &mut Context<'_>,
    sink: &mut W,
    buffer: &[u8],
    start: usize,
    end: usize,
) -> Poll<io::Result<usize>> {
    let rest = buffer.get(start..end).unwrap_or_default();
    match ready!(Pin::new(sink).poll_write(cx, rest)) {
        Ok(0) => Poll::Ready(Err(io::ErrorKind::WriteZero.into())),
        other => Poll::Ready(other),
    }
}
