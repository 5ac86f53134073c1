//! A gateway and its clients, joined by a pipe in memory.

use std::sync::Mutex;
use std::time::Duration;

use postern_domain::{Port, Reason, ResourceAuthority, ResourceId, Timestamp};
use postern_session::{
    Ask, Connection, Ended, HandshakeError, Limits, Opening, OrderHand, Stream, handshake, orders, serve,
};
use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream, ReadHalf, WriteHalf};
use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use tokio::time::Instant;

/// The bytes that a pipe holds.
pub(crate) const PIPE: usize = 1 << 18;

/// Limits for tests.
pub(crate) fn limits() -> Limits {
    Limits::default()
}

/// The port at which handlers panic.
pub(crate) const PANICS: u16 = 666;

fn asks_for(opening: &Opening, port: u16) -> bool {
    matches!(opening.ask(), Ask::Connect(authority) if authority.port.get() == port)
}

/// Some resource, at this port.
pub(crate) fn authority(port: u16) -> ResourceAuthority {
    ResourceAuthority {
        resource: ResourceId::generate(Timestamp::from_unix_seconds(1_800_000_000)),
        port: Port::new(port).unwrap(),
    }
}

/// A gateway that serves one session.
pub(crate) struct Gateway {
    far: Mutex<Option<DuplexStream>>,
    hand: OrderHand,
    serving: Option<JoinHandle<Ended>>,
    openings: mpsc::Receiver<Opening>,
}

pub(crate) async fn echo(mut stream: Stream) {
    while let Ok(Some(piece)) = stream.read_chunk(1 << 16).await {
        if stream.write_chunk(piece).await.is_err() {
            return;
        }
    }
    let _gone = stream.shutdown().await;
}

impl Gateway {
    fn with(limits: &Limits, handler: impl FnMut(Opening) -> Option<Opening> + Send + 'static) -> Self {
        let (near, far) = tokio::io::duplex(PIPE);
        Self::at(near, far, limits, handler)
    }

    fn at(
        near: DuplexStream,
        far: DuplexStream,
        limits: &Limits,
        handler: impl FnMut(Opening) -> Option<Opening> + Send + 'static,
    ) -> Self {
        let (hand, orders) = orders();
        let limits = limits.clone();
        let (sender, openings) = mpsc::channel(64);
        let mut handler = handler;
        let serving = tokio::spawn(async move {
            serve(near, Ok(()), &limits, orders, move |opening| {
                let kept = handler(opening);
                let sender = sender.clone();
                async move {
                    match kept {
                        Some(opening) if asks_for(&opening, PANICS) => panic!("as it was asked to"),
                        Some(opening) if sender.is_closed() => echo(opening.accept()).await,
                        Some(opening) => drop(sender.send(opening).await),
                        None => {}
                    }
                }
            })
            .await
        });
        Self {
            far: Mutex::new(Some(far)),
            hand,
            serving: Some(serving),
            openings,
        }
    }

    /// Accepts everything and echoes.
    pub(crate) fn echoing() -> Self {
        let mut gateway = Self::with(&limits(), Some);
        gateway.openings.close();
        gateway
    }

    /// Echoes, but refuses one port.
    pub(crate) fn refusing_port(port: u16, reason: Reason) -> Self {
        let mut gateway = Self::with(&limits(), move |opening| match opening.ask() {
            Ask::Connect(authority) if authority.port.get() == port => {
                opening.refuse(reason);
                None
            }
            Ask::Connect(_) | Ask::Probe => Some(opening),
        });
        gateway.openings.close();
        gateway
    }

    /// Drops every opening.
    pub(crate) fn forgetting() -> Self {
        Self::with(&limits(), |_| None)
    }

    /// Hands every opening to the test.
    pub(crate) fn manual() -> Self {
        Self::with(&limits(), Some)
    }

    /// Hands every opening to the test, with other limits.
    pub(crate) fn manual_with(limits: &Limits) -> Self {
        Self::with(limits, Some)
    }

    /// Hands every opening to the test, over another line.
    pub(crate) fn over(near: DuplexStream, far: DuplexStream, limits: &Limits) -> Self {
        Self::at(near, far, limits, Some)
    }

    /// Takes the client's end of the pipe.
    pub(crate) fn io(&self) -> DuplexStream {
        self.far.lock().unwrap().take().unwrap()
    }

    pub(crate) async fn next(&mut self) -> Opening {
        self.openings.recv().await.unwrap()
    }

    /// Opens a stream; returns the client's and the gateway's end.
    pub(crate) async fn pair(&mut self, connection: &Connection) -> (Stream, Stream) {
        let opening = async { self.next().await.accept() };
        let (client, server) = tokio::join!(connection.open(authority(1)), opening);
        (client.unwrap(), server)
    }

    pub(crate) fn end(&self, reason: Reason) {
        self.hand.end(reason);
    }

    pub(crate) fn drain(&self) {
        self.hand.drain();
    }

    pub(crate) fn abort(&self) {
        self.serving.as_ref().unwrap().abort();
    }

    pub(crate) async fn ended(&mut self) -> Ended {
        self.serving.take().unwrap().await.unwrap()
    }
}

/// Begins a session with the gateway and drives it.
pub(crate) async fn connect(gateway: &Gateway) -> Connection {
    let (connection, driver) = handshake(gateway.io(), &limits()).await.unwrap();
    tokio::spawn(driver.run());
    connection
}

/// Begins a session with a gateway that does not admit it.
pub(crate) async fn connect_refused(reason: Reason) -> HandshakeError {
    let (near, far) = tokio::io::duplex(PIPE);
    let (_hand, orders) = orders();
    let limits = limits();
    let serving = serve(near, Err(reason), &limits, orders, |_| std::future::ready(()));
    let (ended, result) = tokio::join!(serving, handshake(far, &limits));
    assert_eq!(ended, Ended::ByGateway(reason));
    result.map(drop).unwrap_err()
}

/// Makes a line that holds every byte for this long in each direction.
pub(crate) fn long_line(delay: Duration) -> (DuplexStream, DuplexStream) {
    let (near, near_end) = tokio::io::duplex(PIPE);
    let (far, far_end) = tokio::io::duplex(PIPE);
    let (near_reader, near_writer) = tokio::io::split(near_end);
    let (far_reader, far_writer) = tokio::io::split(far_end);
    tokio::spawn(carry(near_reader, far_writer, delay));
    tokio::spawn(carry(far_reader, near_writer, delay));
    (near, far)
}

async fn carry(mut reader: ReadHalf<DuplexStream>, mut writer: WriteHalf<DuplexStream>, delay: Duration) {
    let (sender, mut pieces) = mpsc::channel::<(Instant, Vec<u8>)>(1 << 16);
    tokio::spawn(async move {
        while let Some((due, piece)) = pieces.recv().await {
            // tidy: sleeps because it is a line that takes its time, on a paused clock
            tokio::time::sleep_until(due).await;
            if writer.write_all(&piece).await.is_err() {
                return;
            }
        }
    });
    let mut buf = vec![0; 1 << 16];
    while let Ok(count) = reader.read(&mut buf).await
        && count > 0
    {
        let piece = (Instant::now() + delay, buf[..count].to_vec());
        if sender.send(piece).await.is_err() {
            return;
        }
    }
}
