//! Two-way copy between real TCP sockets: ends, resets, stops, and slow readers.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "tests fail by panicking, their helpers too"
)]

use std::future::pending;
use std::io::ErrorKind;
use std::time::Duration;

use postern_fixtures::{Hostile, World};
use postern_transport::copy::HALF_CLOSED_IDLE;
use postern_transport::{
    ALPN_RELAY, CopyEnd, Duplex as _, HowEnded, MutualAcceptor, WithReset, copy_two_way,
};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, DuplexStream};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::oneshot;
use tokio::task::JoinHandle;
use tokio::time::{Instant, timeout};
use tokio_rustls::client::TlsStream;

/// A socket and its other end.
async fn pair() -> (TcpStream, TcpStream) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let dialled = TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
    (dialled, listener.accept().await.unwrap().0)
}

/// A client and a server with a copy between them.
struct Joined {
    client: TcpStream,
    server: TcpStream,
    stop: oneshot::Sender<()>,
    copy: JoinHandle<CopyEnd>,
}

async fn joined() -> Joined {
    let (client, a) = pair().await;
    let (b, server) = pair().await;
    let (stop, stopped) = oneshot::channel();
    let told = async {
        if stopped.await.is_err() {
            pending().await
        }
    };
    let copy = tokio::spawn(copy_two_way(a, b, told));
    Joined {
        client,
        server,
        stop,
        copy,
    }
}

fn reset(stream: TcpStream) {
    stream.set_zero_linger().unwrap();
}

async fn expect_reset(mut stream: TcpStream) {
    let read = stream.read(&mut [0; 16]).await;
    assert_eq!(read.unwrap_err().kind(), ErrorKind::ConnectionReset);
}

#[tokio::test]
async fn bytes_cross_unchanged_both_ways_at_once() {
    let Joined {
        client, server, copy, ..
    } = joined().await;
    let pattern: Vec<u8> = (0..3_000_000_u32).flat_map(u32::to_be_bytes).collect();
    let exchange = |stream: TcpStream, sent: Vec<u8>| async move {
        let (mut read, mut write) = stream.into_split();
        let send = async {
            write.write_all(&sent).await.unwrap();
            write.shutdown().await.unwrap();
        };
        let mut received = Vec::new();
        let (_, got) = tokio::join!(send, read.read_to_end(&mut received));
        got.unwrap();
        received
    };
    let mut backward = pattern.clone();
    backward.reverse();
    let (to_client, to_server) = tokio::join!(
        exchange(client, pattern.clone()),
        exchange(server, backward.clone())
    );
    assert!(to_server == pattern && to_client == backward);
    let end = copy.await.unwrap();
    let bytes = pattern.len() as u64;
    assert_eq!(
        (end.a_to_b, end.b_to_a, end.how),
        (bytes, bytes, HowEnded::Finished)
    );
}

#[tokio::test]
async fn the_clients_end_crosses_and_the_answer_still_arrives() {
    let Joined {
        mut client,
        mut server,
        copy,
        stop: _stop,
    } = joined().await;
    client.write_all(b"question").await.unwrap();
    client.shutdown().await.unwrap();
    let mut question = String::new();
    server.read_to_string(&mut question).await.unwrap();
    server.write_all(b"answer").await.unwrap();
    drop(server);
    let mut answer = String::new();
    client.read_to_string(&mut answer).await.unwrap();
    assert_eq!((&*question, &*answer), ("question", "answer"));
    assert_eq!(copy.await.unwrap().how, HowEnded::Finished);
}

#[tokio::test]
async fn the_servers_end_crosses_and_the_client_may_still_send() {
    let Joined {
        mut client,
        mut server,
        copy,
        stop: _stop,
    } = joined().await;
    server.write_all(b"banner").await.unwrap();
    server.shutdown().await.unwrap();
    let mut banner = String::new();
    client.read_to_string(&mut banner).await.unwrap();
    client.write_all(b"upload").await.unwrap();
    client.shutdown().await.unwrap();
    let mut upload = String::new();
    server.read_to_string(&mut upload).await.unwrap();
    assert_eq!((&*banner, &*upload), ("banner", "upload"));
    assert_eq!(copy.await.unwrap().how, HowEnded::Finished);
}

#[tokio::test]
async fn a_reset_by_the_client_arrives_as_a_reset() {
    let joined = joined().await;
    reset(joined.client);
    expect_reset(joined.server).await;
    assert_eq!(joined.copy.await.unwrap().how, HowEnded::ResetByA);
}

#[tokio::test]
async fn a_reset_by_the_server_arrives_as_a_reset() {
    let joined = joined().await;
    reset(joined.server);
    expect_reset(joined.client).await;
    assert_eq!(joined.copy.await.unwrap().how, HowEnded::ResetByB);
}

#[tokio::test]
async fn a_reset_after_half_close_arrives_as_a_reset() {
    let Joined {
        mut client,
        mut server,
        copy,
        stop: _stop,
    } = joined().await;
    client.shutdown().await.unwrap();
    assert_eq!(server.read(&mut [0]).await.unwrap(), 0);
    reset(server);
    expect_reset(client).await;
    assert_eq!(copy.await.unwrap().how, HowEnded::ResetByB);
}

#[tokio::test]
async fn writing_to_a_peer_that_is_gone_resets_the_other() {
    let Joined {
        mut client,
        mut server,
        copy,
        stop: _stop,
    } = joined().await;
    // The client ends its direction and then goes away; only a write can find that out.
    client.shutdown().await.unwrap();
    assert_eq!(server.read(&mut [0]).await.unwrap(), 0);
    drop(client);
    let error = loop {
        if let Err(error) = server.write_all(&[0; 1024]).await {
            break error;
        }
        tokio::task::yield_now().await;
    };
    assert!(matches!(
        error.kind(),
        ErrorKind::ConnectionReset | ErrorKind::BrokenPipe
    ));
    assert_eq!(copy.await.unwrap().how, HowEnded::ResetByA);
}

#[tokio::test]
async fn a_stop_resets_both() {
    let joined = joined().await;
    joined.stop.send(()).unwrap();
    expect_reset(joined.client).await;
    expect_reset(joined.server).await;
    assert_eq!(joined.copy.await.unwrap().how, HowEnded::Stopped);
}

/// Two streams in memory with a copy between them, for tests that invent time.
fn in_memory(size: usize) -> (DuplexStream, DuplexStream, JoinHandle<CopyEnd>) {
    let (client, a) = tokio::io::duplex(size);
    let (b, server) = tokio::io::duplex(size);
    let copy = copy_two_way(WithReset::new(a, drop), WithReset::new(b, drop), pending());
    (client, server, tokio::spawn(copy))
}

#[tokio::test(start_paused = true)]
async fn a_reader_that_stalls_stops_the_writer() {
    let (mut client, mut server, _copy) = in_memory(1024);
    let sent = vec![7; 1 << 20];
    let write = timeout(Duration::from_secs(60), client.write_all(&sent)).await;
    assert!(write.is_err(), "at most one buffer and the two pipes are held");
    let mut received = vec![0; 1024];
    server.read_exact(&mut received).await.unwrap();
    assert_eq!(received, vec![7; 1024]);
}

#[tokio::test(start_paused = true)]
async fn a_stalled_direction_does_not_stop_the_other() {
    let (mut client, mut server, _copy) = in_memory(1024);
    let sent = vec![7; 1 << 20];
    assert!(
        timeout(Duration::from_secs(60), client.write_all(&sent))
            .await
            .is_err()
    );
    server.write_all(b"still here").await.unwrap();
    let mut received = [0; 10];
    client.read_exact(&mut received).await.unwrap();
    assert_eq!(&received, b"still here");
}

#[tokio::test(start_paused = true)]
async fn a_peer_that_never_ends_its_direction_is_not_waited_for_for_ever() {
    let (mut client, mut server, copy) = in_memory(1024);
    client.shutdown().await.unwrap();
    let almost = HALF_CLOSED_IDLE - Duration::from_secs(1);
    tokio::time::advance(almost).await;
    server.write_all(b"x").await.unwrap();
    client.read_exact(&mut [0]).await.unwrap();
    tokio::time::advance(almost).await;
    tokio::task::yield_now().await;
    assert!(!copy.is_finished(), "the byte counted as a sign of life");
    assert_eq!(copy.await.unwrap().how, HowEnded::HalfClosedIdle);
}

#[tokio::test(start_paused = true)]
async fn silence_alone_ends_nothing() {
    let (mut client, mut server, _copy) = in_memory(1024);
    tokio::time::advance(HALF_CLOSED_IDLE * 24).await;
    client.write_all(b"x").await.unwrap();
    server.read_exact(&mut [0]).await.unwrap();
}

/// A TLS client, and a server in clear, with a copy between them.
async fn joined_over_tls() -> (TlsStream<TcpStream>, TcpStream, JoinHandle<CopyEnd>) {
    let (world, clock, _hand) = World::at_rest();
    let leg = World::relay_client_leg(&world.relay);
    let (_trust, trust) = World::watched(world.trust());
    let own = world.relay_server(&world.relay).credential();
    let acceptor = MutualAcceptor::new(own, trust, clock, ALPN_RELAY, leg.clone()).unwrap();
    let (near, far) = pair().await;
    let deadline = Instant::now() + Duration::from_secs(10);
    let hostile = Hostile::with(&world.good(&leg), ALPN_RELAY);
    let (accepted, client) = tokio::join!(acceptor.accept(far, deadline), hostile.connect(near));
    let (b, server) = pair().await;
    let copy = tokio::spawn(copy_two_way(accepted.unwrap().stream, b, pending()));
    (client.unwrap(), server, copy)
}

#[tokio::test]
async fn over_tls_only_a_close_notify_is_an_end() {
    let (mut client, mut server, copy) = joined_over_tls().await;
    client.write_all(b"question").await.unwrap();
    client.shutdown().await.unwrap();
    let mut question = String::new();
    server.read_to_string(&mut question).await.unwrap();
    server.write_all(b"answer").await.unwrap();
    drop(server);
    let mut answer = String::new();
    client.read_to_string(&mut answer).await.unwrap();
    assert_eq!((&*question, &*answer), ("question", "answer"));
    assert_eq!(copy.await.unwrap().how, HowEnded::Finished);
}

#[tokio::test]
async fn a_tls_stream_that_is_cut_short_is_a_reset() {
    let (client, server, copy) = joined_over_tls().await;
    // The socket ends in order, but without a close_notify: anybody on the path can do that.
    drop(client.into_inner());
    expect_reset(server).await;
    assert_eq!(copy.await.unwrap().how, HowEnded::ResetByA);
}

#[tokio::test]
async fn a_reset_crosses_tls_both_ways() {
    let (client, server, copy) = joined_over_tls().await;
    client.reset();
    expect_reset(server).await;
    assert_eq!(copy.await.unwrap().how, HowEnded::ResetByA);

    let (mut client, server, copy) = joined_over_tls().await;
    reset(server);
    let error = client.read(&mut [0]).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::ConnectionReset);
    assert_eq!(copy.await.unwrap().how, HowEnded::ResetByB);
}
