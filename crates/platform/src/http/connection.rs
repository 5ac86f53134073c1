//! One connection: TLS, then HTTP/1.1 or HTTP/2 as was negotiated, every request in a task of its own.
//!
//! A request runs to its end even if whoever asked has gone, so that nothing is done without its record. Every
//! wait has a deadline, every size a bound.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::pin::pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use http::{Request, Response};
use hyper::body::Incoming;
use hyper::server::conn::{http1, http2};
use hyper::service::{Service as _, service_fn};
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use postern_audit::Outcome;
use postern_domain::Reason;
use postern_transport::{Drain, ServerTls, Slot};
use tokio::net::TcpStream;
use tokio::time::{Instant, timeout};

use super::app::App;
use super::fold::Kind;
use super::{problem, source};
use crate::Error;

/// How long a handshake may take.
const HANDSHAKE: Duration = Duration::from_secs(10);
/// How long a request's head may take to arrive, and a kept-alive connection may be silent.
const HEAD: Duration = Duration::from_secs(30);
/// How long a connection may last on which nobody has authenticated; then requests under way are finished.
const STRANGER: Duration = Duration::from_secs(60);
/// How often a quiet HTTP/2 connection is asked whether it is there, and how long it may take to answer.
const PING: Duration = Duration::from_secs(20);
/// What the library reads of a head before it gives up; our own limit is lower and answers with a problem.
const HEAD_BUFFER: usize = 64 * 1024;
const HEADERS: usize = 100;
const STREAMS: u32 = 64;

/// The other end of a connection.
#[derive(Clone)]
pub(super) struct Peer {
    pub(super) address: SocketAddr,
    slot: Arc<Mutex<Option<Slot>>>,
}

impl Peer {
    /// Gives back the connection's place among the unauthenticated.
    pub(super) fn authenticated(&self) {
        let slot = self.slot.lock().unwrap_or_else(PoisonError::into_inner).take();
        drop(slot);
    }

    /// Resolves when the connection has had all the time that there is without authenticating once.
    async fn overstayed(&self) {
        tokio::time::sleep(STRANGER).await;
        let authenticated = self.slot.lock().unwrap_or_else(PoisonError::into_inner).is_none();
        if authenticated {
            std::future::pending().await
        }
    }
}

/// Serves connections.
pub(crate) struct Connections {
    app: Arc<App>,
    router: Router,
    tls: ServerTls,
    drain: Drain,
}

impl Connections {
    pub(crate) fn new(app: Arc<App>, tls: ServerTls, drain: Drain) -> Self {
        Self {
            router: super::router(&app),
            app,
            tls,
            drain,
        }
    }

    /// Serves one connection to its end. When the drain begins, requests under way are finished.
    pub(crate) async fn serve(self: Arc<Self>, stream: TcpStream, address: SocketAddr, slot: Slot) {
        let secured = match self.tls.accept(stream, Instant::now() + HANDSHAKE).await {
            Ok(secured) => secured,
            Err(error) => {
                tracing::debug!(%address, %error, "no handshake");
                return;
            }
        };
        let this = Arc::clone(&self);
        let is_h2 = secured.stream.get_ref().1.alpn_protocol() == Some(b"h2");
        let io = TokioIo::new(secured.stream);
        let peer = Peer {
            address,
            slot: Arc::new(Mutex::new(Some(slot))),
        };
        let leaving = peer.clone();
        let leave = async {
            tokio::select! {
                () = self.drain.draining() => (),
                () = leaving.overstayed() => (),
            }
        };
        let service = service_fn(move |request| Arc::clone(&this).answer(request, peer.clone()));
        let ended = if is_h2 {
            let mut builder = http2::Builder::new(TokioExecutor::new());
            builder
                .timer(TokioTimer::new())
                .keep_alive_interval(PING)
                .keep_alive_timeout(PING)
                .max_concurrent_streams(STREAMS)
                .max_header_list_size(HEAD_BUFFER as u32)
                .max_pending_accept_reset_streams(STREAMS as usize)
                .max_local_error_reset_streams(STREAMS as usize);
            let mut connection = pin!(builder.serve_connection(io, service));
            tokio::select! {
                ended = connection.as_mut() => Some(ended),
                () = leave => {
                    connection.as_mut().graceful_shutdown();
                    timeout(HEAD, connection).await.ok()
                }
            }
        } else {
            let mut builder = http1::Builder::new();
            builder
                .timer(TokioTimer::new())
                .header_read_timeout(HEAD)
                .max_buf_size(HEAD_BUFFER)
                .max_headers(HEADERS);
            let mut connection = pin!(builder.serve_connection(io, service));
            tokio::select! {
                ended = connection.as_mut() => Some(ended),
                () = leave => {
                    connection.as_mut().graceful_shutdown();
                    timeout(HEAD, connection).await.ok()
                }
            }
        };
        if let Some(Err(error)) = ended {
            tracing::debug!(%address, %error, "connection ended");
        }
    }

    async fn answer(
        self: Arc<Self>,
        request: Request<Incoming>,
        peer: Peer,
    ) -> Result<Response<Body>, Infallible> {
        let Some(place) = self.app.place() else {
            return Ok(self.shed(&request, &peer));
        };
        let mut request = request.map(Body::new);
        request.extensions_mut().insert(peer);
        let answering = TowerToHyperService::new(self.router.clone()).call(request);
        let task = tokio::spawn(async move {
            let answer = answering.await;
            drop(place);
            answer
        });
        match task.await {
            Ok(answer) => answer,
            Err(error) => {
                let id = self.app.arrival(|_| None).request;
                Ok(problem::problem(&Error::internal(error), id))
            }
        }
    }

    /// Refuses a request because too many are under way; it is counted, and costs nothing more.
    fn shed(&self, request: &Request<Incoming>, peer: &Peer) -> Response<Body> {
        let find = |trusted: &[_]| Some(source::source(peer.address, request.headers(), trusted));
        let arrival = self.app.arrival(find);
        let kind = Kind {
            action: "unknown",
            outcome: Outcome::Refused,
            reason: Some(Reason::Unavailable),
            actor: None,
            organization: None,
            source: Some(source::network_of(arrival.source)),
        };
        self.app.folds().count(kind, arrival.now);
        problem::problem(&Error::unavailable("too many requests at once"), arrival.request)
    }
}
