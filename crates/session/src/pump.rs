//! Moves one stream's bytes between the HTTP/2 library and its pipe. All pumps of a session run in its one
//! task, so that nothing stays in the library longer than it takes to look.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::task::{Context, Poll};

use h2::client::ResponseFuture;
use h2::server::SendResponse;
use h2::{RecvStream, SendStream};
use postern_domain::Reason;
use tokio::sync::{OwnedSemaphorePermit, oneshot};

use crate::answer::{Answer, refusal, response};
use crate::chunk::{Chunk, InFlight};
use crate::codes::{error_code, reason_of, status_of};
use crate::error::OpenError;
use crate::limits::FRAME;
use crate::outgoing::{Outgoing, Wish};
use crate::pipe::Pipe;
use crate::stream::{Stream, StreamReset};
use crate::tally::Tally;

/// Bytes of one stream that may lie in the library's queue: enough to keep the wire busy.
const QUEUED: usize = 4 * FRAME;

/// What a client waits for.
pub(crate) type Reply = oneshot::Sender<Result<Stream, OpenError>>;

enum Stage {
    /// A gateway has not answered yet.
    Answering {
        respond: SendResponse<Chunk>,
        answer: oneshot::Receiver<Answer>,
    },
    /// A client has asked.
    Asking { response: ResponseFuture, reply: Reply },
    /// The stream is open, in one direction at least.
    Open,
    /// Nothing is left to do.
    Over,
}

/// One stream's pump; done when both directions are.
pub(crate) struct Pump {
    pipe: Arc<Pipe>,
    tally: Arc<Tally>,
    stage: Stage,
    recv: Option<RecvStream>,
    send: Option<SendStream<Chunk>>,
    end_sent: bool,
    account: Arc<InFlight>,
    /// The code of a reset without a reason.
    plain_reset: h2::Reason,
    _permit: Option<OwnedSemaphorePermit>,
}

impl Pump {
    /// Makes the pump of a stream that a gateway was asked for.
    pub(crate) fn answering(
        pipe: Arc<Pipe>,
        tally: Arc<Tally>,
        respond: SendResponse<Chunk>,
        mut recv: RecvStream,
        answer: oneshot::Receiver<Answer>,
    ) -> Self {
        pipe.attach(recv.flow_control().clone());
        Self {
            pipe,
            tally,
            stage: Stage::Answering { respond, answer },
            recv: Some(recv),
            send: None,
            end_sent: false,
            account: Arc::default(),
            plain_reset: h2::Reason::CONNECT_ERROR,
            _permit: None,
        }
    }

    /// Makes the pump of a stream that a client asks for.
    pub(crate) fn asking(
        pipe: Arc<Pipe>,
        tally: Arc<Tally>,
        response: ResponseFuture,
        send: SendStream<Chunk>,
        reply: Reply,
        permit: OwnedSemaphorePermit,
    ) -> Self {
        Self {
            pipe,
            tally,
            stage: Stage::Asking { response, reply },
            recv: None,
            send: Some(send),
            end_sent: false,
            account: Arc::default(),
            plain_reset: h2::Reason::CANCEL,
            _permit: Some(permit),
        }
    }

    /// Notes that the request itself has ended our direction.
    pub(crate) fn half_closed(mut self) -> Self {
        self.end_sent = true;
        self.pipe.sent_end();
        self
    }

    /// Returns whether both directions have ended in order.
    pub(crate) const fn is_complete(&self) -> bool {
        self.end_sent && self.recv.is_none()
    }

    pub(crate) fn pipe(&self) -> &Pipe {
        &self.pipe
    }

    /// Ends the stream because of an error of the library.
    fn fail(&mut self, error: &h2::Error) {
        let reason = match error.reason() {
            Some(code) => reason_of(code.into()),
            None => {
                self.tally.broken.store(true, Ordering::Relaxed);
                Some(self.tally.farewell())
            }
        };
        self.end(StreamReset { reason });
    }

    /// Ends the stream because the peer has reset it, or the session has ended.
    fn peer_reset(&mut self, result: Result<h2::Reason, h2::Error>) {
        match result {
            Ok(code) => self.end(StreamReset {
                reason: reason_of(code.into()),
            }),
            Err(error) => self.fail(&error),
        }
    }

    fn end(&mut self, reset: StreamReset) {
        self.pipe.end(reset);
        self.stage = Stage::Over;
    }

    /// Sends RST_STREAM.
    fn send_reset(&mut self, code: h2::Reason) {
        if let Some(send) = &mut self.send {
            send.send_reset(code);
        } else if let Stage::Answering { respond, .. } = &mut self.stage {
            respond.send_reset(code);
        }
    }

    fn advance(&mut self, cx: &mut Context<'_>) {
        match std::mem::replace(&mut self.stage, Stage::Over) {
            Stage::Answering { respond, answer } => self.answer(cx, respond, answer),
            Stage::Asking { response, reply } => self.ask(cx, response, reply),
            Stage::Open => self.stage = Stage::Open,
            Stage::Over => {}
        }
    }

    fn answer(
        &mut self,
        cx: &mut Context<'_>,
        mut respond: SendResponse<Chunk>,
        mut answer: oneshot::Receiver<Answer>,
    ) {
        if let Poll::Ready(result) = respond.poll_reset(cx) {
            self.tally.abandoned.fetch_add(1, Ordering::Relaxed);
            self.peer_reset(result);
            return;
        }
        let Poll::Ready(answered) = Pin::new(&mut answer).poll(cx) else {
            self.stage = Stage::Answering { respond, answer };
            return;
        };
        self.tally.answered();
        let (response, more) = match answered {
            Ok(Answer::Accept) => (response(200, None), true),
            Ok(Answer::Done) => (response(200, None), false),
            Ok(Answer::Refuse(reason)) => (response(status_of(reason), Some(reason)), false),
            Err(_) => (response(500, Some(Reason::Internal)), false),
        };
        match respond.send_response(response, !more) {
            Ok(send) if more => {
                self.send = Some(send);
                self.stage = Stage::Open;
            }
            Ok(_) => self.end(StreamReset { reason: None }),
            Err(error) => self.fail(&error),
        }
    }

    fn ask(&mut self, cx: &mut Context<'_>, mut response: ResponseFuture, mut reply: Reply) {
        if reply.poll_closed(cx).is_ready() {
            self.send_reset(h2::Reason::CANCEL);
            self.end(StreamReset { reason: None });
            return;
        }
        let Poll::Ready(answered) = Pin::new(&mut response).poll(cx) else {
            self.stage = Stage::Asking { response, reply };
            return;
        };
        let answered = match answered {
            Ok(response) if response.status().is_success() => {
                let mut recv = response.into_body();
                self.pipe.attach(recv.flow_control().clone());
                self.recv = Some(recv);
                self.stage = Stage::Open;
                Ok(Stream::new(Arc::clone(&self.pipe)))
            }
            Ok(response) => {
                self.send_reset(h2::Reason::CANCEL);
                self.end(StreamReset { reason: None });
                Err(refusal(&response))
            }
            Err(error) => {
                self.fail(&error);
                Err(OpenError::of(&error, &self.tally))
            }
        };
        // A stream that nobody waits for any more is dropped here, which resets it.
        drop(reply.send(answered));
    }

    /// Takes out all that has arrived.
    fn pump_in(&mut self, cx: &mut Context<'_>) {
        while let Some(recv) = &mut self.recv {
            match recv.poll_data(cx) {
                Poll::Ready(Some(Ok(piece))) => self.pipe.push(piece),
                Poll::Ready(Some(Err(error))) => {
                    self.recv = None;
                    self.fail(&error);
                }
                Poll::Ready(None) if recv.is_end_stream() => {
                    self.recv = None;
                    self.pipe.finish();
                }
                // Trailers: RFC 9113 section 8.5 allows DATA only.
                Poll::Ready(None) => {
                    self.recv = None;
                    self.send_reset(h2::Reason::PROTOCOL_ERROR);
                    self.end(StreamReset {
                        reason: Some(Reason::ProtocolViolation),
                    });
                }
                Poll::Pending => return,
            }
        }
    }

    /// Sends what the peer's window and our own order allow.
    fn pump_out(&mut self, cx: &mut Context<'_>) {
        let outgoing = self.pipe.outgoing(cx);
        if let Wish::Reset(reason) = outgoing.wish {
            let code = reason.map_or(self.plain_reset, |reason| error_code(reason).into());
            self.send_reset(code);
            self.end(StreamReset { reason });
            return;
        }
        if !matches!(self.stage, Stage::Open) {
            return;
        }
        let Some(send) = &mut self.send else { return };
        if let Poll::Ready(result) = send.poll_reset(cx) {
            self.peer_reset(result);
            return;
        }
        if !self.end_sent {
            self.end_sent = write_out(cx, &self.pipe, &self.account, send, outgoing);
            if self.end_sent {
                self.pipe.sent_end();
            }
        }
        if self.is_complete() {
            // As long as something is unread it counts against the session, and may have to be reset.
            if self.pipe.is_drained(cx) {
                self.stage = Stage::Over;
            }
        } else if self.end_sent && outgoing.released && self.account.watch(cx) == 0 {
            // Nobody will read what still comes.
            self.send_reset(h2::Reason::CANCEL);
            self.end(StreamReset { reason: None });
        }
    }
}

/// Sends until queue, window or order say stop; returns whether the direction has ended.
///
/// A piece that does not fill a frame waits while an earlier one of the same stream is not on the wire yet:
/// so small writes are joined exactly when they would otherwise pile up.
fn write_out(
    cx: &mut Context<'_>,
    pipe: &Pipe,
    account: &Arc<InFlight>,
    send: &mut SendStream<Chunk>,
    outgoing: Outgoing,
) -> bool {
    let mut waiting = outgoing.waiting;
    while waiting > 0 {
        let queued = account.watch(cx);
        if queued >= QUEUED || (queued > 0 && waiting < FRAME && !outgoing.shut) {
            return false;
        }
        send.reserve_capacity(waiting.min(FRAME));
        let capacity = send.capacity();
        if capacity == 0 {
            match send.poll_capacity(cx) {
                Poll::Ready(Some(Ok(_))) => continue,
                // The reset that closed the stream is seen on the next turn.
                Poll::Ready(Some(Err(_)) | None) | Poll::Pending => return false,
            }
        }
        let Some((piece, last)) = pipe.take(capacity.min(FRAME)) else {
            return false;
        };
        waiting = waiting.saturating_sub(piece.len());
        if send.send_data(Chunk::new(piece, account), last).is_err() {
            return false;
        }
        if last {
            return true;
        }
    }
    outgoing.shut && send.send_data(Chunk::end(), true).is_ok()
}

impl Future for Pump {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        self.tally.turns.fetch_add(1, Ordering::Relaxed);
        self.advance(cx);
        self.pump_in(cx);
        if !matches!(self.stage, Stage::Over) {
            self.pump_out(cx);
        }
        if matches!(self.stage, Stage::Over) {
            Poll::Ready(())
        } else {
            Poll::Pending
        }
    }
}

impl Drop for Pump {
    fn drop(&mut self) {
        drop(self.account.forget());
        if !self.is_complete() {
            self.pipe.end(StreamReset {
                reason: Some(self.tally.farewell()),
            });
        }
    }
}

impl std::fmt::Debug for Pump {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Pump")
            .field("end_sent", &self.end_sent)
            .finish_non_exhaustive()
    }
}
