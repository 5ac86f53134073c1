//! The client's side of a session: begins it, waits until the gateway admits it, opens streams.

use std::fmt;
use std::future::Future;
use std::sync::Arc;
use std::task::{Context, Poll};

use h2::client::{Connection as Http, SendRequest};
use http::{Method, Request, Uri, Version};
use postern_domain::{Reason, ResourceAuthority};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc, oneshot, watch};
use tokio::time::timeout;

use crate::chunk::Chunk;
use crate::codes::reason_of;
use crate::driver::{ROUNDS, Streams};
use crate::ended::Ended;
use crate::error::{HandshakeError, OpenError};
use crate::gate::{Gate, Watch};
use crate::limits::{FRAME, Limits};
use crate::opening::Ask;
use crate::pipe::Pipe;
use crate::pump::{Pump, Reply};
use crate::stream::Stream;

/// Requests that wait for the driver. More wait with their caller.
const ASKS: usize = 64;

/// How far a session is in its life.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Life {
    Open,
    /// The gateway has said that it takes no more streams.
    Leaving(Reason),
    Over(Ended),
}

struct Asked {
    ask: Ask,
    reply: Reply,
    permit: OwnedSemaphorePermit,
}

/// A session that the gateway has admitted. Clones share it; when the last one and the last stream are gone,
/// it ends in order.
#[derive(Clone)]
pub struct Connection {
    asks: mpsc::Sender<Asked>,
    room: Arc<Semaphore>,
    life: watch::Receiver<Life>,
}

impl fmt::Debug for Connection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Connection")
            .field("life", &*self.life.borrow())
            .finish_non_exhaustive()
    }
}

impl Connection {
    /// Opens a connection to a resource. Waits for room if as many streams are open as the gateway allows.
    ///
    /// # Errors
    ///
    /// The gateway's refusal, or that the session is over.
    pub async fn open(&self, authority: ResourceAuthority) -> Result<Stream, OpenError> {
        self.ask(Ask::Connect(authority)).await
    }

    /// Asks for a sign of life (`OPTIONS *`).
    ///
    /// # Errors
    ///
    /// The gateway's refusal, or that the session is over.
    pub async fn probe(&self) -> Result<(), OpenError> {
        self.ask(Ask::Probe).await.map(drop)
    }

    async fn ask(&self, ask: Ask) -> Result<Stream, OpenError> {
        let room = Arc::clone(&self.room);
        let permit = room.acquire_owned().await.map_err(|_| self.over())?;
        let (reply, answer) = oneshot::channel();
        let request = Asked { ask, reply, permit };
        self.asks.send(request).await.map_err(|_| self.over())?;
        answer.await.map_err(|_| self.over())?
    }

    fn over(&self) -> OpenError {
        let reason = match *self.life.borrow() {
            Life::Open => Reason::ConnectionLost,
            Life::Leaving(reason) => reason,
            Life::Over(ended) => ended.reason().unwrap_or(Reason::ConnectionLost),
        };
        OpenError::SessionOver(reason)
    }

    /// Returns whether the session still takes streams, as far as is known.
    #[must_use]
    pub fn is_open(&self) -> bool {
        *self.life.borrow() == Life::Open && !self.asks.is_closed()
    }

    /// Waits until the session is over.
    pub async fn ended(&self) -> Ended {
        let mut life = self.life.clone();
        let over = life.wait_for(|life| matches!(life, Life::Over(_))).await;
        match over.map(|life| *life) {
            Ok(Life::Over(ended)) => ended,
            Ok(Life::Open | Life::Leaving(_)) | Err(_) => Ended::Lost,
        }
    }
}

/// Drives a session. Nothing moves unless it runs.
#[must_use = "a session moves only while its driver runs"]
pub struct Driver<IO> {
    http: Http<Gate<IO>, Chunk>,
    requests: Option<SendRequest<Chunk>>,
    asks: mpsc::Receiver<Asked>,
    streams: Streams,
    life: watch::Sender<Life>,
    limits: Limits,
}

impl<IO> fmt::Debug for Driver<IO> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Driver").finish_non_exhaustive()
    }
}

/// Begins a session and returns when the gateway has admitted it: when its SETTINGS have arrived and allow
/// at least one stream.
///
/// # Errors
///
/// The gateway's reason if it refused, that it did not answer in `limits.handshake`, or that the connection
/// was lost.
pub async fn handshake<IO>(io: IO, limits: &Limits) -> Result<(Connection, Driver<IO>), HandshakeError>
where
    IO: AsyncRead + AsyncWrite + Unpin,
{
    match timeout(limits.handshake, begin(io, limits)).await {
        Ok(begun) => begun,
        Err(_) => Err(HandshakeError::new(
            Reason::HandshakeTimeout,
            "the gateway did not say in time whether it admits the session",
        )),
    }
}

async fn begin<IO>(io: IO, limits: &Limits) -> Result<(Connection, Driver<IO>), HandshakeError>
where
    IO: AsyncRead + AsyncWrite + Unpin,
{
    let (gate, watch) = Gate::new(io, false, limits);
    let (requests, mut http) = builder(limits)
        .handshake::<_, Chunk>(gate)
        .await
        .map_err(|_| HandshakeError::new(Reason::ConnectionLost, "the connection was lost at once"))?;
    std::future::poll_fn(|cx| poll_admission(cx, &mut http, &watch)).await?;

    let peer_streams = u32::try_from(http.max_concurrent_send_streams()).unwrap_or(u32::MAX);
    let room = Arc::new(Semaphore::new(peer_streams.min(limits.streams) as usize));
    let (asks, asked) = mpsc::channel(ASKS);
    let (life, watched) = watch::channel(Life::Open);
    let connection = Connection {
        asks,
        room,
        life: watched,
    };
    let pings = http.ping_pong();
    let driver = Driver {
        http,
        requests: Some(requests),
        asks: asked,
        streams: Streams::new(limits, watch, pings),
        life,
        limits: limits.clone(),
    };
    Ok((connection, driver))
}

/// Waits for SETTINGS that allow a stream. The library begins with none allowed, so the number says when they
/// have arrived; a gateway that refuses allows none and says why with GOAWAY.
fn poll_admission<IO>(
    cx: &mut Context<'_>,
    http: &mut Http<Gate<IO>, Chunk>,
    watch: &Watch,
) -> Poll<Result<(), HandshakeError>>
where
    IO: AsyncRead + AsyncWrite + Unpin,
{
    watch.refill();
    let polled = std::pin::Pin::new(&mut *http).poll(cx);
    if let Some(reason) = goodbye(watch) {
        let error = HandshakeError::new(reason, "the gateway refused the session");
        return Poll::Ready(Err(error));
    }
    match polled {
        Poll::Ready(Err(error)) if !error.is_io() => Poll::Ready(Err(HandshakeError::new(
            Reason::ProtocolViolation,
            "the gateway does not speak the protocol",
        ))),
        Poll::Ready(_) => Poll::Ready(Err(HandshakeError::new(
            Reason::ConnectionLost,
            "the connection was lost before the gateway said whether it admits the session",
        ))),
        Poll::Pending if http.max_concurrent_send_streams() > 0 => Poll::Ready(Ok(())),
        Poll::Pending if watch.is_starved() => {
            cx.waker().wake_by_ref();
            Poll::Pending
        }
        Poll::Pending => Poll::Pending,
    }
}

/// Returns why the gateway ends the session, if it has said that it does.
fn goodbye(watch: &Watch) -> Option<Reason> {
    let code = watch.goodbye()?;
    Some(reason_of(code).unwrap_or(Reason::Draining))
}

fn builder(limits: &Limits) -> h2::client::Builder {
    let mut builder = h2::client::Builder::new();
    builder
        .initial_window_size(limits.stream_window)
        .initial_connection_window_size(limits.connection_window())
        .max_frame_size(u32::try_from(FRAME).unwrap_or(u32::MAX))
        .max_header_list_size(limits.header_list)
        .initial_max_send_streams(0)
        .enable_push(false)
        .max_concurrent_streams(0)
        .max_concurrent_reset_streams(Limits::RESETS_REMEMBERED)
        .reset_stream_duration(Limits::RESETS_REMEMBERED_FOR)
        .max_pending_accept_reset_streams(limits.pending_resets)
        .max_local_error_reset_streams(Some(limits.error_resets))
        .max_send_buffer_size(16 * FRAME)
        .data_frame_budget(Limits::SMALL_FRAME_BUDGET);
    builder
}

impl<IO> Driver<IO>
where
    IO: AsyncRead + AsyncWrite + Unpin,
{
    /// Runs the session to its end.
    pub async fn run(mut self) -> Ended {
        let ended = std::future::poll_fn(|cx| self.poll(cx)).await;
        self.life.send_replace(Life::Over(ended));
        ended
    }

    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Ended> {
        self.streams.poll_watch(cx);
        let http = &mut self.http;
        self.streams
            .tune(cx, |window| http.set_initial_window_size(window).is_ok());
        for round in 0..ROUNDS {
            let asked = self.poll_asks(cx);
            let pumped = self.streams.pump(cx);
            if round > 0 && !pumped && !asked && !self.streams.gate().is_starved() {
                return Poll::Pending;
            }
            if self.streams.gate().is_flooded() {
                return Poll::Ready(Ended::ByGateway(Reason::ProtocolViolation));
            }
            self.streams.gate().refill();
            let polled = std::pin::Pin::new(&mut self.http).poll(cx);
            self.hear_goodbye();
            if let Poll::Ready(result) = polled {
                let ended = self.streams.finish(cx);
                return Poll::Ready(self.ended(ended, result));
            }
        }
        cx.waker().wake_by_ref();
        Poll::Pending
    }

    fn hear_goodbye(&self) {
        if let Some(reason) = goodbye(self.streams.gate())
            && *self.life.borrow() == Life::Open
        {
            self.streams.tally.goodbye.get_or_init(|| reason);
            self.life.send_replace(Life::Leaving(reason));
        }
    }

    fn ended(&self, ended: Ended, result: Result<(), h2::Error>) -> Ended {
        let life = *self.life.borrow();
        match (life, result) {
            (Life::Leaving(reason), _) => Ended::ByGateway(reason),
            (Life::Open | Life::Over(_), Ok(())) => ended,
            (Life::Open | Life::Over(_), Err(error)) if error.is_io() => Ended::Lost,
            (Life::Open | Life::Over(_), Err(_)) => Ended::ByGateway(Reason::ProtocolViolation),
        }
    }

    /// Sends what was asked for since the last time; returns whether anything was.
    fn poll_asks(&mut self, cx: &mut Context<'_>) -> bool {
        let mut any = false;
        while let Some(requests) = &mut self.requests {
            match self.asks.poll_recv(cx) {
                Poll::Ready(Some(asked)) => {
                    any = true;
                    start(requests, &self.streams, &self.limits, asked);
                }
                // No handle is left: the library ends the session when its last stream has.
                Poll::Ready(None) => {
                    any = true;
                    self.requests = None;
                }
                Poll::Pending => break,
            }
        }
        any
    }
}

fn start(requests: &mut SendRequest<Chunk>, streams: &Streams, limits: &Limits, asked: Asked) {
    let Asked { ask, reply, permit } = asked;
    let Some(request) = request(ask) else {
        drop(reply.send(Err(OpenError::Reset(Reason::InvalidRequest))));
        return;
    };
    let half_closed = ask == Ask::Probe;
    match requests.send_request(request, half_closed) {
        Ok((response, send)) => {
            let pipe = Pipe::new(&streams.tally, limits);
            let tally = Arc::clone(&streams.tally);
            let pump = Pump::asking(pipe, tally, response, send, reply, permit);
            streams.push(if half_closed { pump.half_closed() } else { pump });
        }
        Err(error) => drop(reply.send(Err(OpenError::of(&error, &streams.tally)))),
    }
}

fn request(ask: Ask) -> Option<Request<()>> {
    let mut request = Request::new(());
    *request.version_mut() = Version::HTTP_2;
    let mut parts = http::uri::Parts::default();
    match ask {
        Ask::Connect(authority) => {
            *request.method_mut() = Method::CONNECT;
            parts.authority = Some(authority.to_string().parse().ok()?);
        }
        Ask::Probe => {
            *request.method_mut() = Method::OPTIONS;
            // Without authority, which the library only sends in the form of a request that was forwarded.
            *request.version_mut() = Version::HTTP_11;
            parts.path_and_query = Some(http::uri::PathAndQuery::from_static("*"));
        }
    }
    *request.uri_mut() = Uri::from_parts(parts).ok()?;
    Some(request)
}
