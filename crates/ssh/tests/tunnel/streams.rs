//! Streams: both ways, half-closed, reset, many, and the end of the tunnel.

use std::io::ErrorKind;
use std::sync::Arc;
use std::time::Duration;

use postern_ssh::{IncomingEvent, OpenError, TunnelStream};
use tokio::io::{AsyncReadExt, AsyncWriteExt, copy_bidirectional, duplex};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;
use tokio::time::Instant;

use crate::world::{World, client, soon, stream, wire};

#[tokio::test]
async fn bytes_cross_both_ways_and_half_close_crosses_each_way_alone() {
    let world = World::new();
    let (tunnel, mut incoming) = world.tunnel().await;
    let (mut relay, mut gateway) = stream(&tunnel, &mut incoming).await;
    assert_eq!(gateway.origin(), Some(client()));
    relay.write_all(b"question").await.unwrap();
    relay.shutdown().await.unwrap();
    let mut text = String::new();
    soon(gateway.read_to_string(&mut text)).await.unwrap();
    assert_eq!(text, "question");
    gateway.write_all(b"answer after your end").await.unwrap();
    gateway.shutdown().await.unwrap();
    let mut text = String::new();
    soon(relay.read_to_string(&mut text)).await.unwrap();
    assert_eq!(text, "answer after your end");
}

#[tokio::test]
async fn says_what_was_negotiated_and_who_was_admitted() {
    let world = World::new();
    let (tunnel, incoming) = world.tunnel().await;
    assert_eq!(tunnel.verdict(), "gateway-1 from 192.0.2.7:4242");
    assert_eq!(tunnel.certificate().key_id(), "gateway:1");
    assert_eq!(incoming.certificate().key_id(), "relay:1");
    for facts in [tunnel.facts(), incoming.facts()] {
        assert_eq!(facts.kex, "mlkem768x25519-sha256");
        assert_eq!(facts.cipher, "aes256-gcm@openssh.com");
        assert_eq!(facts.version, "SSH-2.0-Postern");
    }
}

#[tokio::test]
async fn a_reset_by_the_relay_is_no_orderly_end() {
    let world = World::new();
    let (tunnel, mut incoming) = world.tunnel().await;
    let (mut relay, mut gateway) = stream(&tunnel, &mut incoming).await;
    relay.write_all(b"half of it").await.unwrap();
    relay.reset();
    let mut bytes = Vec::new();
    let error = soon(gateway.read_to_end(&mut bytes)).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::ConnectionReset);
    assert_eq!(bytes, b"half of it");
    assert!(gateway.write_all(b"more").await.is_err());
}

#[tokio::test]
async fn a_reset_by_the_gateway_is_no_orderly_end() {
    let world = World::new();
    let (tunnel, mut incoming) = world.tunnel().await;
    let (mut relay, gateway) = stream(&tunnel, &mut incoming).await;
    gateway.reset();
    let error = soon(relay.read_u8()).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::ConnectionReset);
}

#[tokio::test]
async fn a_writer_learns_that_nobody_reads_any_more() {
    let world = World::new();
    let (tunnel, mut incoming) = world.tunnel().await;
    let (mut relay, mut gateway) = stream(&tunnel, &mut incoming).await;
    gateway.shutdown().await.unwrap();
    assert_eq!(soon(relay.read_to_end(&mut Vec::new())).await.unwrap(), 0);
    drop(gateway);
    let block = vec![7; 64 * 1024];
    // More than the window, so that the writer has to wait and must be woken.
    let error = soon(async {
        loop {
            if let Err(error) = relay.write_all(&block).await {
                break error;
            }
        }
    })
    .await;
    assert_eq!(error.kind(), ErrorKind::BrokenPipe);
}

#[tokio::test]
async fn a_stream_takes_its_place_until_it_is_gone() {
    let world = World::new();
    let server = Arc::new(world.server_signed_by(&world.host_authority).with_streams(2));
    let (tunnel, incoming) = world.meet(server, &world.client()).await;
    let (tunnel, mut incoming) = (tunnel.unwrap(), incoming.unwrap());
    let first = stream(&tunnel, &mut incoming).await;
    let _second = stream(&tunnel, &mut incoming).await;
    assert_eq!(tunnel.open(client()).await.unwrap_err(), OpenError::TooMany);
    drop(first);
    assert_eq!(tunnel.room(), 1);
    let _third = stream(&tunnel, &mut incoming).await;
}

#[tokio::test]
async fn a_gateway_that_carries_as_many_as_it_may_refuses_one_more() {
    let world = World::new();
    let (tunnel, incoming) = world.meet(world.server(), &world.client().with_streams(1)).await;
    let (tunnel, mut incoming) = (tunnel.unwrap(), incoming.unwrap());
    let (_relay, _gateway) = stream(&tunnel, &mut incoming).await;
    let error = soon(tunnel.open(client())).await.unwrap_err();
    assert_eq!(error, OpenError::Refused("it has too many".to_owned()));
}

#[tokio::test]
async fn streams_beyond_what_is_taken_are_refused_and_never_wait_without_bound() {
    let world = World::new();
    let (tunnel, mut incoming) = world.tunnel().await;
    let mut taken = Vec::new();
    let refused = loop {
        match soon(tunnel.open(client())).await {
            Ok(stream) => taken.push(stream),
            Err(error) => break error,
        }
    };
    assert_eq!(refused, OpenError::Refused("it has too many".to_owned()));
    assert_eq!(taken.len(), 64);
    assert!(matches!(
        soon(incoming.next()).await,
        Some(IncomingEvent::Stream(_))
    ));
    assert!(soon(tunnel.open(client())).await.is_ok());
}

#[tokio::test]
async fn many_streams_carry_each_its_own_bytes() {
    let world = World::new();
    let (tunnel, mut incoming) = world.tunnel().await;
    let echo = tokio::spawn(async move {
        while let Some(IncomingEvent::Stream(mut stream)) = incoming.next().await {
            tokio::spawn(async move {
                let mut text = Vec::new();
                stream.read_to_end(&mut text).await.unwrap();
                stream.write_all(&text).await.unwrap();
                stream.shutdown().await.unwrap();
            });
        }
    });
    for round in 0..20_u8 {
        let mut streams = Vec::new();
        for number in 0..20_u8 {
            let mut stream = soon(tunnel.open(client())).await.unwrap();
            stream.write_all(&[round, number]).await.unwrap();
            stream.shutdown().await.unwrap();
            streams.push((number, stream));
        }
        for (number, mut stream) in streams {
            let mut back = Vec::new();
            soon(stream.read_to_end(&mut back)).await.unwrap();
            assert_eq!(back, [round, number]);
        }
    }
    assert_eq!(tunnel.room(), 4096);
    tunnel.close("done");
    soon(tunnel.closed()).await;
    soon(echo).await.unwrap();
}

#[tokio::test]
async fn bulk_crosses_whole() {
    let world = World::new();
    let (tunnel, mut incoming) = world.tunnel().await;
    let (mut relay, mut gateway) = stream(&tunnel, &mut incoming).await;
    let sent: Vec<u8> = (0..8_000_000_u32)
        .flat_map(|number| u8::try_from(number % 251))
        .collect();
    let expected = sent.clone();
    let writer = tokio::spawn(async move {
        relay.write_all(&sent).await.unwrap();
        relay.shutdown().await.unwrap();
        relay
    });
    let mut received = Vec::new();
    soon(gateway.read_to_end(&mut received)).await.unwrap();
    assert!(received == expected);
    drop(soon(writer).await.unwrap());
}

#[tokio::test]
async fn a_drain_is_noticed_and_streams_go_on() {
    let world = World::new();
    let (tunnel, mut incoming) = world.tunnel().await;
    let (mut relay, mut gateway) = stream(&tunnel, &mut incoming).await;
    tunnel.drain();
    assert!(matches!(soon(incoming.next()).await, Some(IncomingEvent::Drain)));
    relay.write_all(b"x").await.unwrap();
    assert_eq!(soon(gateway.read_u8()).await.unwrap(), b'x');
    assert!(tunnel.is_open());
    assert!(world.host_judge.attempts.lock().unwrap().is_empty());
}

#[tokio::test]
async fn a_tunnel_that_the_relay_closes_ends_for_both_and_its_streams_with_it() {
    let world = World::new();
    let (tunnel, mut incoming) = world.tunnel().await;
    let (mut relay, mut gateway) = stream(&tunnel, &mut incoming).await;
    tunnel.close("revoked");
    soon(tunnel.closed()).await;
    assert_eq!(tunnel.end().as_deref(), Some("revoked"));
    assert!(soon(incoming.next()).await.is_none());
    assert!(incoming.end().is_some());
    let error = soon(gateway.read_u8()).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::ConnectionAborted);
    assert!(soon(relay.read_u8()).await.is_err());
    assert_eq!(tunnel.open(client()).await.unwrap_err(), OpenError::Lost);
}

#[tokio::test]
async fn a_tunnel_that_the_gateway_closes_or_drops_ends_for_the_relay() {
    let world = World::new();
    let (tunnel, incoming) = world.tunnel().await;
    soon(incoming.close("bye")).await;
    soon(tunnel.closed()).await;
    assert!(!tunnel.is_open());
    let (tunnel, incoming) = world.tunnel().await;
    drop(incoming);
    soon(tunnel.closed()).await;
}

#[tokio::test]
async fn a_tunnel_that_nobody_uses_any_more_ends_for_the_gateway() {
    let world = World::new();
    let (tunnel, mut incoming) = world.tunnel().await;
    let (relay, _gateway) = stream(&tunnel, &mut incoming).await;
    drop(tunnel);
    assert!(
        tokio::time::timeout(Duration::from_millis(200), incoming.next())
            .await
            .is_err()
    );
    drop(relay);
    assert!(soon(incoming.next()).await.is_none());
}

#[tokio::test(start_paused = true)]
async fn silence_is_noticed_by_both_sides_after_nine_seconds() {
    let world = World::new();
    let (relay_end, mut relay_far) = wire();
    let (gateway_end, mut gateway_far) = wire();
    let (cut, cutting) = tokio::sync::oneshot::channel::<()>();
    let middle = tokio::spawn(async move {
        tokio::select! {
            _ = copy_bidirectional(&mut relay_far, &mut gateway_far) => {}
            _ = cutting => {}
        }
        // Held, so that nobody sees an end: the wire is only silent.
        (relay_far, gateway_far)
    });
    let client_config = world.client();
    let (tunnel, incoming) = world
        .meet_over(relay_end, gateway_end, world.server(), &client_config)
        .await;
    let (tunnel, mut incoming) = (tunnel.unwrap(), incoming.unwrap());
    // Idle is not silent: keepalives go both ways.
    tokio::time::sleep(Duration::from_secs(3600)).await;
    assert!(tunnel.is_open());
    cut.send(()).unwrap();
    let held = middle.await.unwrap();
    let began = Instant::now();
    tunnel.closed().await;
    let relay_took = began.elapsed();
    assert!(incoming.next().await.is_none());
    assert!(relay_took <= Duration::from_secs(10), "{relay_took:?}");
    assert!(relay_took >= Duration::from_secs(6), "{relay_took:?}");
    assert!(began.elapsed() <= Duration::from_secs(10));
    drop(held);
}

#[tokio::test]
async fn a_lost_connection_resets_streams_on_both_sides() {
    let world = World::new();
    let (relay_end, mut relay_far) = duplex(64 * 1024);
    let (gateway_end, mut gateway_far) = duplex(64 * 1024);
    let middle = tokio::spawn(async move { copy_bidirectional(&mut relay_far, &mut gateway_far).await });
    let client_config = world.client();
    let (tunnel, incoming) = world
        .meet_over(relay_end, gateway_end, world.server(), &client_config)
        .await;
    let (tunnel, mut incoming) = (tunnel.unwrap(), incoming.unwrap());
    let (mut relay, mut gateway) = stream(&tunnel, &mut incoming).await;
    middle.abort();
    assert_eq!(
        soon(relay.read_u8()).await.unwrap_err().kind(),
        ErrorKind::ConnectionAborted
    );
    assert_eq!(
        soon(gateway.read_u8()).await.unwrap_err().kind(),
        ErrorKind::ConnectionAborted
    );
}

/// Writes to a stream and reads from it at once, as many bytes each way.
async fn bulk(stream: TunnelStream, blocks: usize) {
    let (mut reader, mut writer) = tokio::io::split(stream);
    let block = vec![7; 64 * 1024];
    let write = async {
        for _ in 0..blocks {
            writer.write_all(&block).await.unwrap();
        }
        writer.shutdown().await.unwrap();
    };
    let read = async {
        tokio::io::copy(&mut reader, &mut tokio::io::sink())
            .await
            .unwrap()
    };
    let ((), received) = tokio::join!(write, read);
    assert_eq!(received, u64::try_from(blocks * block.len()).unwrap());
}

#[tokio::test(flavor = "multi_thread")]
async fn bulk_both_ways_on_many_streams_at_once_does_not_wait_for_ever() {
    let world = World::new();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let dialled = TcpStream::connect(listener.local_addr().unwrap());
    let (gateway_end, relay_end) = tokio::join!(dialled, listener.accept());
    let (relay_end, _) = relay_end.unwrap();
    let client_config = world.client();
    let (tunnel, incoming) = world
        .meet_over(relay_end, gateway_end.unwrap(), world.server(), &client_config)
        .await;
    let (tunnel, mut incoming) = (tunnel.unwrap(), incoming.unwrap());
    let mut all = JoinSet::new();
    for _ in 0..8 {
        let (relay, gateway) = stream(&tunnel, &mut incoming).await;
        all.spawn(bulk(relay, 1024));
        all.spawn(bulk(gateway, 1024));
    }
    tokio::time::timeout(Duration::from_secs(60), all.join_all())
        .await
        .expect("the streams should have finished by now");
}
