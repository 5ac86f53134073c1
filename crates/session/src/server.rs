//! The gateway's side of a session: reads requests, hands each to the handler, ends when told to.

use std::future::Future;
use std::sync::Arc;
use std::task::{Context, Poll};

use h2::RecvStream;
use h2::server::{Connection, SendResponse};
use http::{Method, Request};
use postern_domain::Reason;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::sync::oneshot;
use tokio::task::JoinSet;
use tokio::time::timeout;

use crate::answer::response;
use crate::chunk::Chunk;
use crate::codes::{error_code, reason_of, status_of};
use crate::driver::{ROUNDS, Streams};
use crate::ended::Ended;
use crate::gate::Gate;
use crate::limits::{FRAME, Limits};
use crate::opening::{Ask, Opening};
use crate::orders::{Order, Orders};
use crate::pipe::Pipe;
use crate::pump::Pump;

/// Serves one session over a connection whose peer has been judged, and returns when it is over and every
/// handler has returned or was stopped.
///
/// A peer that is not admitted gets SETTINGS that allow no stream and GOAWAY with the reason. Otherwise the
/// handler is called with every request; it runs as a task of its own, so it may serve the stream to its end.
/// When the session ends, its streams are reset; handlers have `limits.close` to notice.
pub async fn serve<IO, H, F>(
    io: IO,
    admission: Result<(), Reason>,
    limits: &Limits,
    orders: Orders,
    handler: H,
) -> Ended
where
    IO: AsyncRead + AsyncWrite + Unpin,
    H: FnMut(Opening) -> F,
    F: Future<Output = ()> + Send + 'static,
{
    let reason = match (admission, orders.now()) {
        (Err(reason), _) | (Ok(()), Order::End(reason)) => reason,
        (Ok(()), Order::Drain) => Reason::Draining,
        (Ok(()), Order::Run) => return run(io, limits, orders, handler).await,
    };
    crate::refusal::refuse(io, reason, limits).await;
    Ended::ByGateway(reason)
}

async fn run<IO, H, F>(io: IO, limits: &Limits, mut orders: Orders, handler: H) -> Ended
where
    IO: AsyncRead + AsyncWrite + Unpin,
    H: FnMut(Opening) -> F,
    F: Future<Output = ()> + Send + 'static,
{
    let (gate, watch) = Gate::new(io, true, limits);
    let handshake = timeout(limits.handshake, builder(limits).handshake(gate));
    let mut connection = tokio::select! {
        result = handshake => match result {
            Ok(Ok(connection)) => connection,
            Ok(Err(error)) if error.is_io() => return Ended::Lost,
            Ok(Err(_)) => return Ended::ByClient(Reason::ProtocolViolation),
            Err(_) => return Ended::ByClient(Reason::HandshakeTimeout),
        },
        reason = ordered_end(&mut orders) => return Ended::ByGateway(reason),
    };
    let pings = connection.ping_pong();
    let mut server = Server {
        connection,
        streams: Streams::new(limits, watch, pings),
        handlers: JoinSet::new(),
        handler,
        limits,
        closing: false,
    };
    let ended = server.drive(&mut orders).await;
    let Server {
        connection,
        streams,
        mut handlers,
        ..
    } = server;
    // Streams that are left fail here, so that their handlers return.
    drop(streams);
    drop(connection);
    let joined = timeout(limits.close, async {
        while handlers.join_next().await.is_some() {}
    })
    .await;
    if joined.is_err() {
        handlers.shutdown().await;
    }
    ended
}

async fn ordered_end(orders: &mut Orders) -> Reason {
    loop {
        match orders.changed().await {
            Order::End(reason) => return reason,
            Order::Run | Order::Drain => {}
        }
    }
}

fn builder(limits: &Limits) -> h2::server::Builder {
    let mut builder = h2::server::Builder::new();
    builder
        .initial_window_size(limits.stream_window)
        .initial_connection_window_size(limits.connection_window())
        .max_frame_size(u32::try_from(FRAME).unwrap_or(u32::MAX))
        .max_header_list_size(limits.header_list)
        .max_concurrent_streams(limits.streams)
        .max_concurrent_reset_streams(Limits::RESETS_REMEMBERED)
        .reset_stream_duration(Limits::RESETS_REMEMBERED_FOR)
        .max_pending_accept_reset_streams(limits.pending_resets)
        .max_local_error_reset_streams(Some(limits.error_resets))
        .max_send_buffer_size(16 * FRAME)
        .data_frame_budget(Limits::SMALL_FRAME_BUDGET);
    builder
}

/// What a turn of the driver comes to.
enum Step {
    /// The session is over.
    Over(Ended),
    /// The client asks for streams and gives them up again and again, or sends frames that carry nothing.
    Abuse,
}

struct Server<'a, IO, H> {
    connection: Connection<Gate<IO>, Chunk>,
    streams: Streams,
    handlers: JoinSet<()>,
    handler: H,
    limits: &'a Limits,
    closing: bool,
}

impl<IO, H, F> Server<'_, IO, H>
where
    IO: AsyncRead + AsyncWrite + Unpin,
    H: FnMut(Opening) -> F,
    F: Future<Output = ()> + Send + 'static,
{
    async fn drive(&mut self, orders: &mut Orders) -> Ended {
        loop {
            let order = tokio::select! {
                biased;
                order = orders.changed() => order,
                step = std::future::poll_fn(|cx| self.poll(cx)) => match step {
                    Step::Over(ended) => return ended,
                    Step::Abuse => {
                        let ended = Ended::ByClient(Reason::ProtocolViolation);
                        return self.close(ended, h2::Reason::ENHANCE_YOUR_CALM).await;
                    }
                },
            };
            match order {
                Order::Run => {}
                Order::Drain => self.connection.graceful_shutdown(),
                Order::End(reason) => {
                    return self
                        .close(Ended::ByGateway(reason), error_code(reason).into())
                        .await;
                }
            }
        }
    }

    /// Resets every stream and sends GOAWAY, for as long as that may take.
    async fn close(&mut self, ended: Ended, code: h2::Reason) -> Ended {
        self.closing = true;
        if let Some(reason) = ended.reason() {
            self.streams.tally.goodbye.get_or_init(|| reason);
            // Each stream is told by itself as far as the wire takes it now; GOAWAY follows and ends them all.
            self.streams.reset_all(reason);
            std::future::poll_fn(|cx| Poll::Ready(self.poll(cx).is_ready())).await;
        }
        self.connection.abrupt_shutdown(code);
        let patience = self.limits.close;
        let flushed = std::future::poll_fn(|cx| match self.poll(cx) {
            Poll::Ready(Step::Over(_)) => Poll::Ready(()),
            Poll::Ready(Step::Abuse) | Poll::Pending => Poll::Pending,
        });
        if timeout(patience, flushed).await.is_err() {
            tracing::debug!("the peer did not take the end of its session in time");
        }
        ended
    }

    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Step> {
        while self.handlers.try_join_next().is_some() {}
        self.streams.poll_watch(cx);
        let connection = &mut self.connection;
        self.streams
            .tune(cx, |window| connection.set_initial_window_size(window).is_ok());
        for round in 0..ROUNDS {
            let pumped = self.streams.pump(cx);
            if round > 0 && !pumped && !self.streams.gate().is_starved() {
                return Poll::Pending;
            }
            let flooded = self.streams.gate().is_flooded();
            if !self.closing && (flooded || self.streams.abandoned() > self.limits.abandoned as usize) {
                return Poll::Ready(Step::Abuse);
            }
            self.streams.gate().refill();
            if let Poll::Ready(error) = self.poll_connection(cx) {
                let ended = self.streams.finish(cx);
                return Poll::Ready(Step::Over(error.as_ref().map_or(ended, ended_by)));
            }
        }
        cx.waker().wake_by_ref();
        Poll::Pending
    }

    /// Takes in requests until there is nothing to read; ready when the connection is at its end.
    fn poll_connection(&mut self, cx: &mut Context<'_>) -> Poll<Option<h2::Error>> {
        loop {
            match self.connection.poll_accept(cx) {
                Poll::Ready(Some(Ok((request, respond)))) => self.admit(request, respond),
                Poll::Ready(Some(Err(error))) => return Poll::Ready(Some(error)),
                Poll::Ready(None) => return Poll::Ready(None),
                Poll::Pending => return Poll::Pending,
            }
        }
    }

    fn admit(&mut self, request: Request<RecvStream>, mut respond: SendResponse<Chunk>) {
        // A handler outlives its stream by a moment; many that do are a client's doing.
        let crowded = self.handlers.len() >= 2 * self.limits.streams as usize;
        let ask = match read(&request) {
            Ok(_) if crowded => Err(Reason::OverQuota),
            read => read,
        };
        let ask = match ask {
            Ok(ask) => ask,
            Err(reason) => {
                let refusal = response(status_of(reason), Some(reason));
                if let Err(error) = respond.send_response(refusal, true) {
                    tracing::debug!(%error, "a refusal found nobody");
                }
                return;
            }
        };
        let pipe = Pipe::new(&self.streams.tally, self.limits);
        let (answer, answered) = oneshot::channel();
        let opening = Opening::new(ask, Arc::clone(&pipe), answer);
        let tally = Arc::clone(&self.streams.tally);
        self.streams.push(Pump::answering(
            pipe,
            tally,
            respond,
            request.into_body(),
            answered,
        ));
        self.handlers.spawn((self.handler)(opening));
    }
}

/// Reads what is asked for. `:scheme`, `:path` and `:protocol` on CONNECT never come here: the library resets
/// such a stream (RFC 9113 section 8.5).
fn read(request: &Request<RecvStream>) -> Result<Ask, Reason> {
    match *request.method() {
        Method::CONNECT => request
            .uri()
            .authority()
            .and_then(|authority| authority.as_str().parse().ok())
            .map(Ask::Connect)
            .ok_or(Reason::InvalidRequest),
        Method::OPTIONS if request.uri().path() == "*" => Ok(Ask::Probe),
        _ => Err(Reason::RequestNotOffered),
    }
}

/// Says how the session ended when the library calls it an error.
fn ended_by(error: &h2::Error) -> Ended {
    match error.reason() {
        Some(h2::Reason::NO_ERROR) => Ended::Finished,
        Some(code) if error.is_remote() => {
            Ended::ByClient(reason_of(code.into()).unwrap_or(Reason::ConnectionLost))
        }
        Some(_) => Ended::ByClient(Reason::ProtocolViolation),
        None => Ended::Lost,
    }
}
