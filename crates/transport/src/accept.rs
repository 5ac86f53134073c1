//! The accept loop that every listener uses. It never waits for a peer: whatever a peer may delay happens in the
//! connection's own task. Connections that have not authenticated are limited in total, per source and in rate;
//! what exceeds a limit is closed at once, before any cryptography, and reported.

use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use postern_domain::Reason;
use tokio::net::{TcpListener, TcpStream};
use tokio::task::{JoinError, JoinSet};
use tokio::time::Instant;

use crate::quota::{Buckets, Quota, Rate, SourceKey, Taken};
use crate::{Drain, socket};

/// The limits of one listener.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AcceptLimits {
    /// Connections at once, authenticated or not.
    pub connections: usize,
    /// Unauthenticated connections at once.
    pub concurrent_total: usize,
    /// Unauthenticated connections at once from one source (an IPv4 address, an IPv6 /64).
    pub concurrent_per_source: usize,
    /// New connections a second from one source.
    pub rate_per_source: Rate,
    /// How long connections may take to end once draining has begun; then they are cut.
    pub drain_deadline: Duration,
}

impl Default for AcceptLimits {
    fn default() -> Self {
        Self {
            connections: 65_536,
            concurrent_total: 1024,
            concurrent_per_source: 64,
            rate_per_source: Rate {
                per_second: 100,
                burst: 400,
            },
            drain_deadline: Duration::from_secs(30),
        }
    }
}

impl AcceptLimits {
    /// How many sources have a rate of their own; those beyond share one.
    const SOURCES: usize = 16_384;
}

/// A connection's place among the unauthenticated. The handler gives it back as soon as the peer has proven who
/// it is; dropping it does the same.
#[derive(Debug)]
pub struct Slot {
    _place: Taken<SourceKey>,
}

impl Slot {
    /// Gives the place back.
    pub fn release(self) {
        drop(self);
    }
}

/// How an accept loop ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Served {
    /// Connections that were handed to the handler.
    pub accepted: u64,
    /// Connections that were closed because of a limit.
    pub shed: u64,
    /// Connections that were cut when the drain's deadline passed.
    pub cut: usize,
}

/// Accepts connections until `drain` begins, then waits for their handlers, at most until the deadline.
///
/// `handler` runs in a task of its own for each connection and gets a prepared socket (see
/// [`socket::prepare`]). `on_shed` is called for each connection that a limit closed, with
/// [`Reason::OverQuota`] or [`Reason::RateLimited`]; it must not block.
pub async fn serve<H, F, S>(
    listener: TcpListener,
    limits: AcceptLimits,
    drain: Drain,
    on_shed: S,
    handler: H,
) -> Served
where
    H: Fn(TcpStream, SocketAddr, Slot) -> F,
    F: Future<Output = ()> + Send + 'static,
    S: Fn(SocketAddr, Reason),
{
    serve_from(listener, limits, drain, on_shed, handler).await
}

/// What connections come from; a listener, but for tests of its errors. Dropped when draining begins, so that
/// the port is free at once.
trait Incoming {
    fn accept(&mut self) -> impl Future<Output = io::Result<(TcpStream, SocketAddr)>> + Send;
}

impl Incoming for TcpListener {
    fn accept(&mut self) -> impl Future<Output = io::Result<(TcpStream, SocketAddr)>> + Send {
        Self::accept(self)
    }
}

struct Admission {
    connections: usize,
    unauthenticated: Quota<SourceKey>,
    rates: Buckets<SourceKey>,
}

impl Admission {
    fn admit(&mut self, peer: SocketAddr, running: usize) -> Result<Slot, Reason> {
        let source = SourceKey::of(peer.ip());
        if !self.rates.allow(source, Instant::now()) {
            return Err(Reason::RateLimited);
        }
        if running >= self.connections {
            return Err(Reason::OverQuota);
        }
        self.unauthenticated.take(source).map(|_place| Slot { _place })
    }
}

async fn serve_from<I, H, F, S>(
    mut incoming: I,
    limits: AcceptLimits,
    drain: Drain,
    on_shed: S,
    handler: H,
) -> Served
where
    I: Incoming,
    H: Fn(TcpStream, SocketAddr, Slot) -> F,
    F: Future<Output = ()> + Send + 'static,
    S: Fn(SocketAddr, Reason),
{
    let mut admission = Admission {
        connections: limits.connections,
        unauthenticated: Quota::new(limits.concurrent_total, limits.concurrent_per_source),
        rates: Buckets::new(limits.rate_per_source, AcceptLimits::SOURCES),
    };
    let mut served = Served {
        accepted: 0,
        shed: 0,
        cut: 0,
    };
    let mut tasks = JoinSet::new();
    loop {
        let accepted = tokio::select! {
            biased;
            () = drain.draining() => break,
            Some(ended) = tasks.join_next() => {
                log_panic(ended);
                continue;
            }
            accepted = incoming.accept() => accepted,
        };
        let (stream, peer) = match accepted {
            Ok(connection) => connection,
            Err(error) => {
                pause_after(&error, &drain).await;
                continue;
            }
        };
        match admission.admit(peer, tasks.len()) {
            // A socket that cannot be prepared was already reset by its peer.
            Ok(slot) => {
                if socket::prepare(&stream).is_ok() {
                    served.accepted += 1;
                    tasks.spawn(handler(stream, peer, slot));
                }
            }
            Err(reason) => {
                served.shed += 1;
                on_shed(peer, reason);
            }
        }
    }
    drop(incoming);
    served.cut = finish(tasks, limits.drain_deadline).await;
    served
}

/// Waits for every task; after the deadline cuts what is left. Returns how many were cut.
async fn finish(mut tasks: JoinSet<()>, deadline: Duration) -> usize {
    let all_joined = async {
        while let Some(ended) = tasks.join_next().await {
            log_panic(ended);
        }
    };
    if tokio::time::timeout(deadline, all_joined).await.is_ok() {
        return 0;
    }
    let cut = tasks.len();
    tasks.shutdown().await;
    cut
}

fn log_panic(ended: Result<(), JoinError>) {
    if let Err(error) = ended
        && error.is_panic()
    {
        tracing::error!(%error, "a connection's task panicked");
    }
}

/// Waits a moment after an error that would come again at once: no descriptors, no memory. Errors that concern
/// one connection only (accept(2): "treat them like EAGAIN by retrying") need no wait.
async fn pause_after(error: &io::Error, drain: &Drain) {
    const PAUSE: Duration = Duration::from_millis(100);
    let concerns_one_connection = matches!(
        error.kind(),
        io::ErrorKind::ConnectionAborted
            | io::ErrorKind::ConnectionReset
            | io::ErrorKind::ConnectionRefused
            | io::ErrorKind::NetworkDown
            | io::ErrorKind::NetworkUnreachable
            | io::ErrorKind::HostUnreachable
            | io::ErrorKind::Interrupted
    );
    if concerns_one_connection {
        return;
    }
    tracing::warn!(%error, "cannot accept connections; trying again");
    tokio::select! {
        () = drain.draining() => (),
        () = tokio::time::sleep(PAUSE) => (),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Arc;
    use std::sync::atomic::{AtomicUsize, Ordering};
    use tokio::io::AsyncReadExt as _;
    use tokio::sync::mpsc;

    async fn listener() -> (TcpListener, SocketAddr) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        (listener, address)
    }

    fn ignore(_: SocketAddr, _: Reason) {}

    /// Serves with handlers that hold their slot until the peer has closed.
    fn hold(
        listener: TcpListener,
        limits: AcceptLimits,
        drain: Drain,
    ) -> (
        tokio::task::JoinHandle<Served>,
        mpsc::Receiver<Reason>,
        mpsc::Receiver<()>,
    ) {
        let (shed, shed_seen) = mpsc::channel(64);
        let (started, started_seen) = mpsc::channel(64);
        let on_shed = move |_, reason| shed.try_send(reason).unwrap();
        let handler = move |mut stream: TcpStream, _, slot: Slot| {
            let started = started.clone();
            async move {
                started.send(()).await.unwrap();
                drop(stream.read(&mut [0]).await);
                slot.release();
            }
        };
        let task = tokio::spawn(serve(listener, limits, drain, on_shed, handler));
        (task, shed_seen, started_seen)
    }

    #[tokio::test]
    async fn a_silent_peer_delays_nobody() {
        let (listener, address) = listener().await;
        let (hand, drain) = Drain::new();
        let (task, _shed, mut started) = hold(listener, AcceptLimits::default(), drain);
        let _silent = TcpStream::connect(address).await.unwrap();
        let _second = TcpStream::connect(address).await.unwrap();
        started.recv().await.unwrap();
        started.recv().await.unwrap();
        drop((_silent, _second));
        hand.start();
        assert_eq!((task.await.unwrap().accepted, started.recv().await), (2, None));
    }

    #[tokio::test]
    async fn sheds_and_reports_a_source_that_holds_too_many() {
        let (listener, address) = listener().await;
        let (_hand, drain) = Drain::new();
        let limits = AcceptLimits {
            concurrent_per_source: 2,
            ..AcceptLimits::default()
        };
        let (_task, mut shed, mut started) = hold(listener, limits, drain);
        let first = TcpStream::connect(address).await.unwrap();
        let _second = TcpStream::connect(address).await.unwrap();
        let mut third = TcpStream::connect(address).await.unwrap();
        assert_eq!(shed.recv().await, Some(Reason::OverQuota));
        assert_eq!(third.read(&mut [0]).await.unwrap_or(0), 0, "it is closed");
        started.recv().await.unwrap();
        started.recv().await.unwrap();
        drop(first);
        // The place comes back; until the handler has noticed, the next one may be shed too.
        loop {
            let _fourth = TcpStream::connect(address).await.unwrap();
            tokio::select! {
                _ = started.recv() => break,
                reason = shed.recv() => assert_eq!(reason, Some(Reason::OverQuota)),
            }
        }
    }

    #[tokio::test]
    async fn sheds_a_source_that_comes_too_often() {
        let (listener, address) = listener().await;
        let (_hand, drain) = Drain::new();
        let rate_per_source = Rate {
            per_second: 1,
            burst: 1,
        };
        let limits = AcceptLimits {
            rate_per_source,
            ..AcceptLimits::default()
        };
        let (_task, mut shed, _started) = hold(listener, limits, drain);
        let _first = TcpStream::connect(address).await.unwrap();
        let _second = TcpStream::connect(address).await.unwrap();
        assert_eq!(shed.recv().await, Some(Reason::RateLimited));
    }

    #[tokio::test]
    async fn an_authenticated_connection_no_longer_counts_against_its_source() {
        let (listener, address) = listener().await;
        let (hand, drain) = Drain::new();
        let limits = AcceptLimits {
            concurrent_per_source: 1,
            ..AcceptLimits::default()
        };
        let (released, mut seen) = mpsc::channel(4);
        let handler = move |mut stream: TcpStream, _, slot: Slot| {
            let released = released.clone();
            async move {
                slot.release();
                released.send(()).await.unwrap();
                drop(stream.read(&mut [0]).await);
            }
        };
        let task = tokio::spawn(serve(listener, limits, drain, ignore, handler));
        let mut held = Vec::new();
        for _ in 0..3 {
            held.push(TcpStream::connect(address).await.unwrap());
            seen.recv().await.unwrap();
        }
        hand.start();
        drop(held);
        let ended = task.await.unwrap();
        assert_eq!((ended.accepted, ended.shed, ended.cut), (3, 0, 0));
    }

    #[tokio::test]
    async fn a_drain_closes_the_port_waits_for_connections_and_cuts_them_at_the_deadline() {
        let (listener, address) = listener().await;
        let (hand, drain) = Drain::new();
        let limits = AcceptLimits {
            drain_deadline: Duration::from_millis(20),
            ..AcceptLimits::default()
        };
        let (task, _shed, mut started) = hold(listener, limits, drain);
        let mut open = TcpStream::connect(address).await.unwrap();
        started.recv().await.unwrap();
        hand.start();
        assert_eq!(task.await.unwrap().cut, 1);
        assert_eq!(open.read(&mut [0]).await.unwrap_or(0), 0);
        assert!(TcpStream::connect(address).await.is_err());
    }

    #[tokio::test]
    async fn a_panic_in_one_connection_ends_that_one_only() {
        let (listener, address) = listener().await;
        let (hand, drain) = Drain::new();
        let count = Arc::new(AtomicUsize::new(0));
        let (seen, mut seen_by_test) = mpsc::channel(4);
        let handler = move |_stream: TcpStream, _, _slot: Slot| {
            let nth = count.fetch_add(1, Ordering::SeqCst);
            let seen = seen.clone();
            async move {
                assert!(nth != 0, "the first one fails");
                seen.send(nth).await.unwrap();
            }
        };
        let task = tokio::spawn(serve(listener, AcceptLimits::default(), drain, ignore, handler));
        for _ in 0..2 {
            TcpStream::connect(address).await.unwrap();
        }
        assert_eq!(seen_by_test.recv().await, Some(1));
        hand.start();
        assert_eq!(task.await.unwrap().accepted, 2);
    }

    /// Fails as many times as asked, then behaves.
    struct Failing(TcpListener, Vec<io::Error>);

    impl Incoming for Failing {
        async fn accept(&mut self) -> io::Result<(TcpStream, SocketAddr)> {
            match self.1.pop() {
                Some(error) => Err(error),
                None => self.0.accept().await,
            }
        }
    }

    #[tokio::test(start_paused = true)]
    async fn survives_running_out_of_descriptors() {
        let (listener, address) = listener().await;
        let (_hand, drain) = Drain::new();
        let emfile = || io::Error::from_raw_os_error(24);
        let aborted = io::Error::from(io::ErrorKind::ConnectionAborted);
        let incoming = Failing(listener, vec![emfile(), aborted, emfile()]);
        let (seen, mut seen_by_test) = mpsc::channel(4);
        let handler = move |_: TcpStream, _, _: Slot| {
            let seen = seen.clone();
            async move { seen.send(()).await.unwrap() }
        };
        let limits = AcceptLimits::default();
        let before = Instant::now();
        let _task = tokio::spawn(async move { serve_from(incoming, limits, drain, ignore, handler).await });
        let _peer = TcpStream::connect(address).await.unwrap();
        assert_eq!(seen_by_test.recv().await, Some(()));
        assert!(before.elapsed() >= Duration::from_millis(200), "it did not spin");
    }
}
