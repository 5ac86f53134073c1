//! Whole sessions over a pipe in memory: a gateway that echoes, and clients that behave and misbehave.

use std::io::ErrorKind;
use std::time::Duration;

use crate::support::{Gateway, PANICS, authority, connect, connect_refused, limits, long_line};
use bytes::Bytes;
use postern_domain::Reason;
use postern_session::{Ended, Limits, OpenError, StreamReset};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

#[tokio::test]
async fn bytes_pass_in_both_directions() {
    let gateway = Gateway::echoing();
    let connection = connect(&gateway).await;
    let mut stream = connection.open(authority(1)).await.unwrap();
    stream.write_all(b"hello").await.unwrap();
    let mut buf = [0; 5];
    stream.read_exact(&mut buf).await.unwrap();
    assert_eq!(&buf, b"hello");
}

#[tokio::test]
async fn a_megabyte_on_each_of_fifty_streams_arrives_whole() {
    let gateway = Gateway::echoing();
    let connection = connect(&gateway).await;
    let tasks: Vec<_> = (0..50_u8)
        .map(|n| {
            let connection = connection.clone();
            tokio::spawn(async move {
                let stream = connection.open(authority(1)).await.unwrap();
                let (mut reader, mut writer) = tokio::io::split(stream);
                let sent: Vec<u8> = (0..1_000_003_u32).map(|i| (i % 251) as u8 ^ n).collect();
                let expected = sent.clone();
                let write = async move {
                    writer.write_all(&sent).await.unwrap();
                    writer.shutdown().await.unwrap();
                };
                let read = async move {
                    let mut got = Vec::new();
                    reader.read_to_end(&mut got).await.unwrap();
                    got
                };
                let ((), got) = tokio::join!(write, read);
                assert!(got == expected, "stream {n}: {} bytes", got.len());
            })
        })
        .collect();
    for task in tasks {
        task.await.unwrap();
    }
}

#[tokio::test]
async fn pieces_pass_without_being_copied_into_a_buffer() {
    let gateway = Gateway::echoing();
    let connection = connect(&gateway).await;
    let mut stream = connection.open(authority(1)).await.unwrap();
    stream.write_chunk(Bytes::from(vec![7; 300_000])).await.unwrap();
    stream.shutdown().await.unwrap();
    let mut total = 0;
    while let Some(piece) = stream.read_chunk(100_000).await.unwrap() {
        assert!(piece.len() <= 100_000 && piece.iter().all(|b| *b == 7));
        total += piece.len();
    }
    assert_eq!(total, 300_000);
}

#[tokio::test]
async fn half_close_of_the_client_reaches_the_gateway_and_the_answer_still_comes() {
    let mut gateway = Gateway::manual();
    let connection = connect(&gateway).await;
    let (mut client, mut server) = gateway.pair(&connection).await;
    client.write_all(b"question").await.unwrap();
    client.shutdown().await.unwrap();
    let mut got = Vec::new();
    server.read_to_end(&mut got).await.unwrap();
    assert_eq!(got, b"question");
    server.write_all(b"answer").await.unwrap();
    server.shutdown().await.unwrap();
    let mut got = Vec::new();
    client.read_to_end(&mut got).await.unwrap();
    assert_eq!(got, b"answer");
    assert_eq!(
        client.write(b"x").await.unwrap_err().kind(),
        ErrorKind::BrokenPipe
    );
}

#[tokio::test]
async fn half_close_of_the_gateway_reaches_the_client_and_the_client_still_sends() {
    let mut gateway = Gateway::manual();
    let connection = connect(&gateway).await;
    let (mut client, mut server) = gateway.pair(&connection).await;
    server.shutdown().await.unwrap();
    assert_eq!(client.read(&mut [0; 8]).await.unwrap(), 0);
    client.write_all(b"late").await.unwrap();
    client.shutdown().await.unwrap();
    let mut got = Vec::new();
    server.read_to_end(&mut got).await.unwrap();
    assert_eq!(got, b"late");
}

#[tokio::test]
async fn what_was_written_arrives_although_its_writer_is_gone_after_shutdown() {
    let mut gateway = Gateway::manual();
    let connection = connect(&gateway).await;
    let (mut client, mut server) = gateway.pair(&connection).await;
    server.write_all(&vec![1; 100_000]).await.unwrap();
    server.shutdown().await.unwrap();
    drop(server);
    let mut got = Vec::new();
    client.read_to_end(&mut got).await.unwrap();
    assert_eq!(got.len(), 100_000);
}

#[tokio::test]
async fn a_reset_by_the_client_arrives_as_a_reset() {
    let mut gateway = Gateway::manual();
    let connection = connect(&gateway).await;
    let (client, mut server) = gateway.pair(&connection).await;
    client.reset();
    let error = server.read(&mut [0; 8]).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::ConnectionReset);
    let error = server.write_all(b"x").await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::ConnectionReset);
}

#[tokio::test]
async fn a_reset_by_the_gateway_arrives_as_a_reset_with_its_reason() {
    let mut gateway = Gateway::manual();
    let connection = connect(&gateway).await;
    let (mut client, server) = gateway.pair(&connection).await;
    server.control().reset(Reason::ResourceNotApproved);
    let error = client.read(&mut [0; 8]).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::ConnectionReset);
    assert_eq!(
        StreamReset::of(&error),
        Some(StreamReset {
            reason: Some(Reason::ResourceNotApproved)
        })
    );
    drop(server);
}

#[tokio::test]
async fn a_reset_in_one_direction_after_the_end_of_the_other_is_still_a_reset() {
    let mut gateway = Gateway::manual();
    let connection = connect(&gateway).await;
    let (mut client, mut server) = gateway.pair(&connection).await;
    server.shutdown().await.unwrap();
    assert_eq!(client.read(&mut [0; 8]).await.unwrap(), 0);
    server.reset();
    let error = loop {
        match client.write_all(&[0; 1000]).await {
            Ok(()) => tokio::task::yield_now().await,
            Err(error) => break error,
        }
    };
    assert_eq!(error.kind(), ErrorKind::ConnectionReset);
}

#[tokio::test]
async fn a_stream_that_is_dropped_is_reset() {
    let mut gateway = Gateway::manual();
    let connection = connect(&gateway).await;
    let (mut client, server) = gateway.pair(&connection).await;
    drop(server);
    let error = client.read(&mut [0; 8]).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::ConnectionReset);
}

#[tokio::test]
async fn a_refused_stream_says_why_and_others_go_on() {
    let gateway = Gateway::refusing_port(2, Reason::TargetTimeout);
    let connection = connect(&gateway).await;
    let mut good = connection.open(authority(1)).await.unwrap();
    let error = connection.open(authority(2)).await.unwrap_err();
    assert_eq!(
        error,
        OpenError::Refused {
            status: 504,
            reason: Reason::TargetTimeout
        }
    );
    good.write_all(b"on").await.unwrap();
    good.read_exact(&mut [0; 2]).await.unwrap();
}

#[tokio::test]
async fn an_opening_that_its_handler_forgets_is_refused() {
    let gateway = Gateway::forgetting();
    let connection = connect(&gateway).await;
    let error = connection.open(authority(1)).await.unwrap_err();
    assert_eq!(
        error,
        OpenError::Refused {
            status: 500,
            reason: Reason::Internal
        }
    );
}

#[tokio::test]
async fn a_handler_learns_that_its_client_has_given_up() {
    let mut gateway = Gateway::manual();
    let connection = connect(&gateway).await;
    let asking = tokio::spawn({
        let connection = connection.clone();
        async move { connection.open(authority(1)).await }
    });
    let opening = gateway.next().await;
    asking.abort();
    opening.abandoned().await;
}

#[tokio::test]
async fn a_probe_is_answered() {
    let gateway = Gateway::echoing();
    let connection = connect(&gateway).await;
    connection.probe().await.unwrap();
    connection.probe().await.unwrap();
}

#[tokio::test]
async fn a_client_that_is_not_admitted_learns_why() {
    let error = connect_refused(Reason::Revoked).await;
    assert_eq!(error.reason, Reason::Revoked);
    let error = connect_refused(Reason::SessionExpired).await;
    assert_eq!(error.reason, Reason::SessionExpired);
}

#[tokio::test(start_paused = true)]
async fn a_gateway_that_says_nothing_is_given_up() {
    let (near, _far) = tokio::io::duplex(1 << 16);
    let error = postern_session::handshake(near, &limits()).await.unwrap_err();
    assert_eq!(error.reason, Reason::HandshakeTimeout);
}

#[tokio::test]
async fn a_gateway_that_hangs_up_at_once_is_a_lost_connection() {
    let (near, far) = tokio::io::duplex(1 << 16);
    drop(far);
    let error = postern_session::handshake(near, &limits()).await.unwrap_err();
    assert_eq!(error.reason, Reason::ConnectionLost);
}

#[tokio::test]
async fn something_else_than_a_gateway_is_a_violation() {
    let (near, mut far) = tokio::io::duplex(1 << 16);
    tokio::spawn(async move {
        far.write_all(b"HTTP/1.1 400 Bad Request\r\n\r\n").await.unwrap();
        far.read_to_end(&mut Vec::new()).await.unwrap();
    });
    let error = postern_session::handshake(near, &limits()).await.unwrap_err();
    assert_eq!(error.reason, Reason::ProtocolViolation);
}

#[tokio::test]
async fn an_ended_session_resets_its_streams_and_says_why() {
    let mut gateway = Gateway::manual();
    let connection = connect(&gateway).await;
    let (mut client, mut server) = gateway.pair(&connection).await;
    gateway.end(Reason::SessionTerminated);
    let error = client.read(&mut [0; 8]).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::ConnectionReset);
    assert_eq!(
        StreamReset::of(&error).and_then(|r| r.reason),
        Some(Reason::SessionTerminated)
    );
    let error = server.read(&mut [0; 8]).await.unwrap_err();
    assert_eq!(
        StreamReset::of(&error).and_then(|r| r.reason),
        Some(Reason::SessionTerminated)
    );
    assert_eq!(
        connection.ended().await,
        Ended::ByGateway(Reason::SessionTerminated)
    );
    assert_eq!(gateway.ended().await, Ended::ByGateway(Reason::SessionTerminated));
    assert_eq!(
        connection.open(authority(1)).await.unwrap_err(),
        OpenError::SessionOver(Reason::SessionTerminated)
    );
}

#[tokio::test]
async fn a_draining_session_serves_its_streams_and_takes_no_more() {
    let mut gateway = Gateway::manual();
    let connection = connect(&gateway).await;
    let (mut client, mut server) = gateway.pair(&connection).await;
    gateway.drain();
    server.write_all(b"a").await.unwrap();
    client.read_exact(&mut [0; 1]).await.unwrap();
    while connection.is_open() {
        tokio::task::yield_now().await;
    }
    assert_eq!(
        connection.open(authority(1)).await.unwrap_err(),
        OpenError::SessionOver(Reason::Draining)
    );
    client.write_all(b"b").await.unwrap();
    client.shutdown().await.unwrap();
    let mut got = Vec::new();
    server.read_to_end(&mut got).await.unwrap();
    assert_eq!(got, b"b");
    server.shutdown().await.unwrap();
    assert_eq!(client.read(&mut [0; 1]).await.unwrap(), 0);
    assert_eq!(gateway.ended().await, Ended::Finished);
}

#[tokio::test]
async fn a_draining_session_can_still_be_ended() {
    let mut gateway = Gateway::manual();
    let connection = connect(&gateway).await;
    let (mut client, _server) = gateway.pair(&connection).await;
    gateway.drain();
    while connection.is_open() {
        tokio::task::yield_now().await;
    }
    gateway.end(Reason::Revoked);
    client.read(&mut [0; 8]).await.unwrap_err();
    assert_eq!(gateway.ended().await, Ended::ByGateway(Reason::Revoked));
}

#[tokio::test]
async fn a_handler_that_panics_costs_its_stream_and_no_other() {
    let gateway = Gateway::refusing_port(2, Reason::Internal);
    let connection = connect(&gateway).await;
    let mut good = connection.open(authority(1)).await.unwrap();
    let error = connection.open(authority(PANICS)).await.unwrap_err();
    assert_eq!(error.reason(), Reason::Internal);
    good.write_all(b"on").await.unwrap();
    good.read_exact(&mut [0; 2]).await.unwrap();
}

#[tokio::test]
async fn a_session_without_handles_and_streams_ends_in_order() {
    let mut gateway = Gateway::manual();
    let connection = connect(&gateway).await;
    let (mut client, mut server) = gateway.pair(&connection).await;
    drop(connection);
    client.write_all(b"still").await.unwrap();
    server.read_exact(&mut [0; 5]).await.unwrap();
    client.shutdown().await.unwrap();
    server.shutdown().await.unwrap();
    assert_eq!(client.read(&mut [0; 1]).await.unwrap(), 0);
    drop((client, server));
    assert_eq!(gateway.ended().await, Ended::Finished);
}

#[tokio::test]
async fn a_lost_connection_resets_every_stream() {
    let mut gateway = Gateway::manual();
    let connection = connect(&gateway).await;
    let (mut client, _server) = gateway.pair(&connection).await;
    gateway.abort();
    let error = client.read(&mut [0; 8]).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::ConnectionReset);
    assert_eq!(
        StreamReset::of(&error).and_then(|r| r.reason),
        Some(Reason::ConnectionLost)
    );
    assert_eq!(connection.ended().await, Ended::Lost);
}

#[tokio::test]
async fn more_streams_than_the_gateway_allows_wait_for_room() {
    let mut gateway = Gateway::manual_with(&Limits {
        streams: 2,
        ..limits()
    });
    let connection = connect(&gateway).await;
    let (first, _one) = gateway.pair(&connection).await;
    let (_second, _two) = gateway.pair(&connection).await;
    let third = tokio::spawn({
        let connection = connection.clone();
        async move { connection.open(authority(1)).await }
    });
    for _ in 0..50 {
        tokio::task::yield_now().await;
    }
    assert!(!third.is_finished());
    drop(first);
    let opening = gateway.next().await;
    let _three = opening.accept();
    third.await.unwrap().unwrap();
}

#[tokio::test]
async fn an_empty_write_and_a_byte_at_a_time_do_no_harm() {
    let gateway = Gateway::echoing();
    let connection = connect(&gateway).await;
    let mut stream = connection.open(authority(1)).await.unwrap();
    for _ in 0..300 {
        assert_eq!(stream.write(b"").await.unwrap(), 0);
        stream.write_chunk(Bytes::new()).await.unwrap();
        stream.write_all(b"k").await.unwrap();
        stream.flush().await.unwrap();
        stream.read_exact(&mut [0; 1]).await.unwrap();
    }
}

#[tokio::test]
async fn sixty_thousand_one_byte_writes_to_a_stalled_stream_touch_no_other() {
    let mut gateway = Gateway::manual();
    let connection = connect(&gateway).await;
    let (mut stalled, mut reader) = gateway.pair(&connection).await;
    let (mut other, mut echo) = gateway.pair(&connection).await;
    for n in 0..60_000_u32 {
        stalled.write_all(&[(n % 251) as u8]).await.unwrap();
        if n % 8 == 0 {
            // Lets the byte leave alone, so that many small frames really travel.
            tokio::task::yield_now().await;
        }
        if n % 10_000 == 0 {
            other.write_all(b"ping").await.unwrap();
            echo.read_exact(&mut [0; 4]).await.unwrap();
        }
    }
    stalled.shutdown().await.unwrap();
    let mut got = Vec::new();
    reader.read_to_end(&mut got).await.unwrap();
    assert_eq!(got.len(), 60_000);
    assert!(got.iter().zip(0_u32..).all(|(b, n)| u32::from(*b) == n % 251));
    assert!(connection.is_open());
}

#[tokio::test]
async fn a_reader_that_stalls_leaves_bulk_on_other_streams_alone() {
    let mut gateway = Gateway::manual();
    let connection = connect(&gateway).await;
    let (stalled, _unread) = gateway.pair(&connection).await;
    let (mut client, mut server) = gateway.pair(&connection).await;
    let flood = tokio::spawn(async move {
        let mut stalled = stalled;
        stalled.write_all(&vec![0; 64 << 20]).await
    });
    let copy = tokio::spawn(async move {
        let mut total = 0;
        let mut buf = vec![0; 1 << 16];
        loop {
            match server.read(&mut buf).await.unwrap() {
                0 => return total,
                n => total += n,
            }
        }
    });
    client.write_all(&vec![1; 32 << 20]).await.unwrap();
    client.shutdown().await.unwrap();
    assert_eq!(copy.await.unwrap(), 32 << 20);
    assert!(!flood.is_finished(), "a stalled stream took more than its window");
    flood.abort();
}

#[tokio::test(start_paused = true)]
async fn stalled_streams_are_reset_when_they_fill_the_session() {
    let small = Limits {
        streams: 8,
        stream_window: 1 << 16,
        largest_stream_window: 1 << 16,
        session_window: 4 << 16,
        stall: Duration::from_secs(5),
        ..limits()
    };
    let mut gateway = Gateway::manual_with(&small);
    let connection = connect(&gateway).await;
    let mut held = Vec::new();
    let mut floods = Vec::new();
    for _ in 0..4 {
        let (mut client, server) = gateway.pair(&connection).await;
        held.push(server);
        floods.push(tokio::spawn(
            async move { client.write_all(&vec![0; 1 << 20]).await },
        ));
    }
    for flood in floods {
        let error = flood.await.unwrap().unwrap_err();
        assert_eq!(error.kind(), ErrorKind::ConnectionReset);
        assert_eq!(
            StreamReset::of(&error).and_then(|r| r.reason),
            Some(Reason::OverQuota)
        );
    }
    let (mut client, mut server) = gateway.pair(&connection).await;
    client.write_all(b"room").await.unwrap();
    server.read_exact(&mut [0; 4]).await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn streams_that_have_ended_but_stand_unread_count_too() {
    let small = Limits {
        streams: 8,
        stream_window: 1 << 16,
        largest_stream_window: 1 << 16,
        session_window: 4 << 16,
        stall: Duration::from_secs(5),
        ..limits()
    };
    let mut gateway = Gateway::manual_with(&small);
    let connection = connect(&gateway).await;
    let mut held = Vec::new();
    for _ in 0..3 {
        let (mut client, mut server) = gateway.pair(&connection).await;
        server.shutdown().await.unwrap();
        client.write_all(&vec![0; 1 << 16]).await.unwrap();
        client.shutdown().await.unwrap();
        assert_eq!(client.read(&mut [0; 1]).await.unwrap(), 0);
        held.push(server);
    }
    for _ in 0..10 {
        tokio::time::advance(Duration::from_secs(2)).await;
    }
    for mut server in held {
        let error = server.read(&mut [0; 1]).await.unwrap_err();
        assert_eq!(
            StreamReset::of(&error).and_then(|r| r.reason),
            Some(Reason::OverQuota)
        );
    }
}

#[tokio::test]
async fn what_arrived_before_the_session_ended_in_order_is_still_read() {
    let mut gateway = Gateway::manual();
    let connection = connect(&gateway).await;
    let (mut client, mut server) = gateway.pair(&connection).await;
    client.write_all(&vec![3; 200_000]).await.unwrap();
    client.shutdown().await.unwrap();
    server.shutdown().await.unwrap();
    assert_eq!(client.read(&mut [0; 1]).await.unwrap(), 0);
    drop((client, connection));
    assert_eq!(gateway.ended().await, Ended::Finished);
    let mut got = Vec::new();
    server.read_to_end(&mut got).await.unwrap();
    assert_eq!(got.len(), 200_000);
}

#[tokio::test(start_paused = true)]
async fn one_stalled_stream_is_left_alone_for_as_long_as_it_likes() {
    let mut gateway = Gateway::manual();
    let connection = connect(&gateway).await;
    let (mut client, mut server) = gateway.pair(&connection).await;
    client.write_all(b"paused").await.unwrap();
    tokio::time::advance(Duration::from_secs(3600)).await;
    let mut buf = [0; 6];
    server.read_exact(&mut buf).await.unwrap();
    assert_eq!(&buf, b"paused");
}

/// Sends eight megabytes over a line with a round trip of 100 ms and returns how long that took.
async fn time_over_a_long_line(limits: &Limits) -> Duration {
    let (near, far) = long_line(Duration::from_millis(50));
    let mut gateway = Gateway::over(near, far, limits);
    let connection = connect(&gateway).await;
    let (mut client, mut server) = gateway.pair(&connection).await;
    let reading = tokio::spawn(async move {
        let mut buf = vec![0; 1 << 16];
        let mut total = 0;
        loop {
            match server.read(&mut buf).await.unwrap() {
                0 => return total,
                count => total += count,
            }
        }
    });
    let start = tokio::time::Instant::now();
    client.write_all(&vec![0; 8 << 20]).await.unwrap();
    client.shutdown().await.unwrap();
    assert_eq!(reading.await.unwrap(), 8 << 20);
    start.elapsed()
}

#[tokio::test(start_paused = true)]
async fn the_window_of_a_long_path_grows_up_to_its_bound() {
    let fixed = Limits {
        stream_window: 1 << 16,
        largest_stream_window: 1 << 16,
        ..limits()
    };
    let growing = Limits {
        largest_stream_window: 1 << 20,
        ..fixed.clone()
    };
    // 64 KiB in 100 ms are 128 round trips at least; at 1 MiB eight would do.
    let slow = time_over_a_long_line(&fixed).await;
    let quick = time_over_a_long_line(&growing).await;
    assert!(slow > Duration::from_secs(12), "{slow:?}");
    assert!(quick < slow / 3, "{quick:?} against {slow:?}");
}
