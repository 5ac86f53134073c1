//! Peers that break the protocol or overdo it, frame by frame. Their session ends or their stream does; a gateway
//! keeps nothing for them.

use std::time::Duration;

use postern_domain::Reason;
use postern_session::{Ended, Limits};
use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream};

use crate::support::{Gateway, authority, limits};

const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

const DATA: u8 = 0;
const HEADERS: u8 = 1;
const RST_STREAM: u8 = 3;
const SETTINGS: u8 = 4;
const PING: u8 = 6;
const GOAWAY: u8 = 7;
const CONTINUATION: u8 = 9;

const END_STREAM: u8 = 1;
const END_HEADERS: u8 = 4;

/// A client that writes frames by hand.
struct Raw {
    io: DuplexStream,
    unread: Vec<u8>,
}

#[derive(Debug, PartialEq)]
struct Frame {
    kind: u8,
    flags: u8,
    stream: u32,
    payload: Vec<u8>,
}

fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let length = u32::try_from(payload.len()).unwrap().to_be_bytes();
    let mut out = vec![length[1], length[2], length[3], kind, flags];
    out.extend(stream.to_be_bytes());
    out.extend_from_slice(payload);
    out
}

/// Header fields as literals without indexing (RFC 7541 section 6.2.2), no Huffman.
fn fields(fields: &[(&str, &str)]) -> Vec<u8> {
    let mut out = Vec::new();
    for (name, value) in fields {
        out.push(0);
        for text in [name, value] {
            assert!(text.len() < 127);
            out.push(u8::try_from(text.len()).unwrap());
            out.extend_from_slice(text.as_bytes());
        }
    }
    out
}

/// Reads a string of digits (RFC 7541 section 5.2), Huffman-coded or not: 0 to 2 have five bits there, the others six.
fn digits(text: &[u8]) -> String {
    let length = usize::from(text[0] & 0x7f);
    let bytes = &text[1..=length];
    if text[0] & 0x80 == 0 {
        return String::from_utf8(bytes.to_vec()).unwrap();
    }
    let bits: Vec<u8> = bytes
        .iter()
        .flat_map(|b| (0..8).rev().map(move |n| b >> n & 1))
        .collect();
    let number = |bits: &[u8]| bits.iter().fold(0, |n, bit| n << 1 | bit);
    let mut rest = bits.as_slice();
    let mut out = String::new();
    while rest.len() >= 5 {
        let short = number(&rest[..5]);
        if short <= 2 {
            out.push(char::from(b'0' + short));
            rest = &rest[5..];
        } else if rest.len() >= 6 && (0x19..=0x1f).contains(&number(&rest[..6])) {
            out.push(char::from(b'0' + number(&rest[..6]) - 0x19 + 3));
            rest = &rest[6..];
        } else {
            break;
        }
    }
    out
}

fn connect_fields() -> Vec<u8> {
    fields(&[(":method", "CONNECT"), (":authority", &authority(1).to_string())])
}

impl Raw {
    async fn new(gateway: &Gateway) -> Self {
        let mut raw = Self {
            io: gateway.io(),
            unread: Vec::new(),
        };
        raw.send(PREFACE).await;
        raw.send(&frame(SETTINGS, 0, 0, &[])).await;
        raw
    }

    async fn send(&mut self, bytes: &[u8]) {
        self.io.write_all(bytes).await.unwrap();
    }

    /// Writes while reading nothing; a gateway that has hung up is no failure.
    async fn try_send(&mut self, bytes: &[u8]) -> bool {
        self.io.write_all(bytes).await.is_ok()
    }

    async fn next(&mut self) -> Option<Frame> {
        loop {
            if let Some((header, rest)) = self.unread.split_at_checked(9) {
                let length = usize::from(header[1]) << 8 | usize::from(header[2]);
                if rest.len() >= length {
                    let frame = Frame {
                        kind: header[3],
                        flags: header[4],
                        stream: u32::from_be_bytes(header[5..9].try_into().unwrap()),
                        payload: rest[..length].to_vec(),
                    };
                    self.unread.drain(..9 + length);
                    return Some(frame);
                }
            }
            let mut buf = [0; 4096];
            match self.io.read(&mut buf).await {
                Ok(count) if count > 0 => self.unread.extend_from_slice(&buf[..count]),
                Ok(_) | Err(_) => return None,
            }
        }
    }

    /// Returns the next frame of this kind on this stream.
    async fn expect(&mut self, kind: u8, stream: u32) -> Frame {
        loop {
            let frame = self.next().await.expect("the gateway hung up");
            if frame.kind == kind && frame.stream == stream {
                return frame;
            }
        }
    }

    /// Returns the status of the response on this stream.
    async fn status(&mut self, stream: u32) -> u16 {
        let frame = self.expect(HEADERS, stream).await;
        match frame.payload[0] {
            0x88 => 200,
            0x8c => 400,
            // A literal with the indexed name :status.
            _ => digits(&frame.payload[1..]).parse().unwrap(),
        }
    }

    /// Returns the code of GOAWAY, or `None` if the gateway hung up without one.
    async fn goaway(&mut self) -> Option<u32> {
        while let Some(frame) = self.next().await {
            if frame.kind == GOAWAY {
                return Some(u32::from_be_bytes(frame.payload[4..8].try_into().unwrap()));
            }
        }
        None
    }
}

/// A client of the library beside the hostile one, to see that it notices nothing.
async fn is_served(gateway: &mut Gateway, raw: &mut Raw, stream: u32) {
    raw.send(&frame(HEADERS, END_HEADERS, stream, &connect_fields()))
        .await;
    let mut server = gateway.next().await.accept();
    assert_eq!(raw.status(stream).await, 200);
    raw.send(&frame(DATA, 0, stream, b"ok?")).await;
    let mut buf = [0; 3];
    server.read_exact(&mut buf).await.unwrap();
    server.write_all(b"ok!").await.unwrap();
    assert_eq!(raw.expect(DATA, stream).await.payload, b"ok!");
}

#[tokio::test]
async fn a_strangers_client_is_served() {
    let mut gateway = Gateway::manual();
    let mut raw = Raw::new(&gateway).await;
    let settings = raw.expect(SETTINGS, 0).await;
    let max_streams = settings.payload.chunks(6).find(|s| s[..2] == [0, 3]).unwrap();
    assert_ne!(max_streams[2..], [0; 4]);
    is_served(&mut gateway, &mut raw, 1).await;
    is_served(&mut gateway, &mut raw, 3).await;
}

#[tokio::test]
async fn a_hundred_and_one_empty_data_frames_touch_no_stream() {
    let mut gateway = Gateway::manual();
    let mut raw = Raw::new(&gateway).await;
    raw.send(&frame(HEADERS, END_HEADERS, 1, &connect_fields())).await;
    let mut server = gateway.next().await.accept();
    for _ in 0..1010 {
        raw.send(&frame(DATA, 0, 1, b"")).await;
    }
    raw.send(&frame(DATA, 0, 1, b"after")).await;
    let mut buf = [0; 5];
    server.read_exact(&mut buf).await.unwrap();
    assert_eq!(&buf, b"after");
    is_served(&mut gateway, &mut raw, 3).await;
}

#[tokio::test]
async fn a_stalled_stream_with_sixty_thousand_one_byte_frames_touches_no_other() {
    let mut gateway = Gateway::manual();
    let mut raw = Raw::new(&gateway).await;
    raw.send(&frame(HEADERS, END_HEADERS, 1, &connect_fields())).await;
    let mut stalled = gateway.next().await.accept();
    let byte = frame(DATA, 0, 1, b"x");
    let burst = byte.repeat(1000);
    for _ in 0..60 {
        raw.send(&burst).await;
    }
    is_served(&mut gateway, &mut raw, 3).await;
    raw.send(&frame(DATA, END_STREAM, 1, b"")).await;
    let mut got = Vec::new();
    stalled.read_to_end(&mut got).await.unwrap();
    assert_eq!(got.len(), 60_000);
}

#[tokio::test]
async fn only_a_resource_and_its_port_are_an_authority() {
    let gateway = Gateway::echoing();
    let mut raw = Raw::new(&gateway).await;
    let good = authority(1).to_string();
    let upper = good.to_uppercase();
    let with_user = format!("user@{good}");
    let no_port = good.split(':').next().unwrap();
    let bad = [
        "db.internal:5432",
        "127.0.0.1:22",
        &upper,
        &with_user,
        no_port,
        "[::1]:1",
    ];
    for (stream, authority) in (1..).step_by(2).zip(bad) {
        let block = fields(&[(":method", "CONNECT"), (":authority", authority)]);
        raw.send(&frame(HEADERS, END_HEADERS, stream, &block)).await;
        assert_eq!(raw.status(stream).await, 400, "{authority}");
    }
}

#[tokio::test]
async fn scheme_path_and_protocol_on_connect_reset_the_stream() {
    let mut gateway = Gateway::manual();
    let mut raw = Raw::new(&gateway).await;
    let authority = authority(1).to_string();
    let extra: [&[(&str, &str)]; 3] = [
        &[(":scheme", "https")],
        &[(":path", "/")],
        &[(":protocol", "websocket"), (":scheme", "https"), (":path", "/")],
    ];
    for (stream, extra) in (1..).step_by(2).zip(extra) {
        let mut all = vec![(":method", "CONNECT"), (":authority", authority.as_str())];
        all.extend_from_slice(extra);
        raw.send(&frame(HEADERS, END_HEADERS, stream, &fields(&all)))
            .await;
        assert_eq!(raw.expect(RST_STREAM, stream).await.payload, [0, 0, 0, 1]);
    }
    is_served(&mut gateway, &mut raw, 9).await;
}

#[tokio::test]
async fn other_methods_are_not_offered() {
    for method in ["GET", "POST", "OPTIONS"] {
        let gateway = Gateway::echoing();
        let mut raw = Raw::new(&gateway).await;
        let block = fields(&[
            (":method", method),
            (":scheme", "https"),
            (":authority", "x"),
            (":path", "/"),
        ]);
        raw.send(&frame(HEADERS, END_HEADERS | END_STREAM, 1, &block))
            .await;
        assert_eq!(raw.status(1).await, 405, "{method}");
    }
}

#[tokio::test]
async fn trailers_reset_the_stream() {
    let mut gateway = Gateway::manual();
    let mut raw = Raw::new(&gateway).await;
    raw.send(&frame(HEADERS, END_HEADERS, 1, &connect_fields())).await;
    let mut server = gateway.next().await.accept();
    raw.send(&frame(
        HEADERS,
        END_HEADERS | END_STREAM,
        1,
        &fields(&[("a", "b")]),
    ))
    .await;
    assert_eq!(raw.expect(RST_STREAM, 1).await.payload, [0, 0, 0, 1]);
    server.read(&mut [0; 1]).await.unwrap_err();
    is_served(&mut gateway, &mut raw, 3).await;
}

#[tokio::test]
async fn more_streams_than_allowed_are_refused_and_the_others_go_on() {
    let small = Limits {
        streams: 2,
        ..limits()
    };
    let mut gateway = Gateway::manual_with(&small);
    let mut raw = Raw::new(&gateway).await;
    for stream in [1, 3, 5] {
        raw.send(&frame(HEADERS, END_HEADERS, stream, &connect_fields()))
            .await;
    }
    let _one = gateway.next().await.accept();
    let mut two = gateway.next().await.accept();
    assert_eq!(raw.expect(RST_STREAM, 5).await.payload, [0, 0, 0, 7]);
    raw.send(&frame(DATA, 0, 3, b"x")).await;
    two.read_exact(&mut [0; 1]).await.unwrap();
}

#[tokio::test]
async fn a_rapid_reset_ends_the_session() {
    let mut gateway = Gateway::echoing();
    let mut raw = Raw::new(&gateway).await;
    let mut burst = Vec::new();
    for stream in (1..4001).step_by(2) {
        burst.extend(frame(HEADERS, END_HEADERS, stream, &connect_fields()));
        burst.extend(frame(RST_STREAM, 0, stream, &[0, 0, 0, 8]));
    }
    raw.try_send(&burst).await;
    assert_eq!(raw.goaway().await, Some(11));
    assert_eq!(gateway.ended().await, Ended::ByClient(Reason::ProtocolViolation));
}

#[tokio::test]
async fn a_patient_rapid_reset_ends_the_session_too() {
    let small = Limits {
        abandoned: 50,
        ..limits()
    };
    let mut gateway = Gateway::manual_with(&small);
    let mut raw = Raw::new(&gateway).await;
    let mut stream = 1;
    for _ in 0..51 {
        raw.send(&frame(HEADERS, END_HEADERS, stream, &connect_fields()))
            .await;
        let opening = gateway.next().await;
        raw.send(&frame(RST_STREAM, 0, stream, &[0, 0, 0, 8])).await;
        opening.abandoned().await;
        stream += 2;
    }
    assert_eq!(raw.goaway().await, Some(11));
    assert_eq!(gateway.ended().await, Ended::ByClient(Reason::ProtocolViolation));
}

#[tokio::test]
async fn a_flood_of_pings_or_settings_ends_the_session() {
    for flood in [
        frame(PING, 0, 0, &[0; 8]),
        frame(SETTINGS, 0, 0, &[]),
        frame(0x55, 0, 0, &[]),
    ] {
        let mut gateway = Gateway::echoing();
        let mut raw = Raw::new(&gateway).await;
        let burst = flood.repeat(500);
        for _ in 0..40 {
            if !raw.try_send(&burst).await {
                break;
            }
            // Takes the answers out of the pipe, so that the gateway is not held up by them.
            let _frame = tokio::time::timeout(Duration::ZERO, raw.next()).await;
            raw.unread.clear();
        }
        raw.goaway().await;
        assert_eq!(gateway.ended().await, Ended::ByClient(Reason::ProtocolViolation));
    }
}

#[tokio::test]
async fn a_flood_of_continuations_ends_the_session() {
    let mut gateway = Gateway::echoing();
    let mut raw = Raw::new(&gateway).await;
    raw.send(&frame(HEADERS, 0, 1, &connect_fields())).await;
    let more = frame(CONTINUATION, 0, 1, &fields(&[("x", &"y".repeat(100))]));
    for _ in 0..10_000 {
        if !raw.try_send(&more).await {
            break;
        }
    }
    raw.goaway().await;
    assert_eq!(gateway.ended().await, Ended::ByClient(Reason::ProtocolViolation));
}

#[tokio::test]
async fn a_list_of_header_fields_that_is_too_long_costs_its_stream() {
    let mut gateway = Gateway::manual();
    let mut raw = Raw::new(&gateway).await;
    let mut block = connect_fields();
    for n in 0..40 {
        block.extend(fields(&[(&format!("x-{n}"), &"y".repeat(100))]));
    }
    raw.send(&frame(HEADERS, END_HEADERS, 1, &block)).await;
    assert_eq!(raw.status(1).await, 431);
    is_served(&mut gateway, &mut raw, 3).await;
}

#[tokio::test]
async fn data_beyond_the_window_resets_the_stream_and_no_other() {
    let small = Limits {
        stream_window: 1000,
        largest_stream_window: 1000,
        ..limits()
    };
    let mut gateway = Gateway::manual_with(&small);
    let mut raw = Raw::new(&gateway).await;
    raw.send(&frame(SETTINGS, 1, 0, &[])).await;
    raw.send(&frame(HEADERS, END_HEADERS, 1, &connect_fields())).await;
    let mut server = gateway.next().await.accept();
    raw.send(&frame(DATA, 0, 1, &[0; 1001])).await;
    assert_eq!(raw.expect(RST_STREAM, 1).await.payload, [0, 0, 0, 3]);
    server.read(&mut [0; 1]).await.unwrap_err();
    is_served(&mut gateway, &mut raw, 3).await;
}

#[tokio::test]
async fn something_else_than_the_preface_ends_the_session() {
    let mut gateway = Gateway::echoing();
    let mut io = gateway.io();
    io.write_all(b"GET / HTTP/1.1\r\nhost: x\r\n\r\n").await.unwrap();
    let _hung_up = io.read_to_end(&mut Vec::new()).await;
    assert_eq!(gateway.ended().await, Ended::ByClient(Reason::ProtocolViolation));
}

#[tokio::test(start_paused = true)]
async fn a_client_that_never_begins_is_given_up() {
    let mut gateway = Gateway::echoing();
    let _io = gateway.io();
    assert_eq!(gateway.ended().await, Ended::ByClient(Reason::HandshakeTimeout));
}

#[tokio::test(start_paused = true)]
async fn a_client_that_does_not_read_cannot_keep_its_session() {
    let mut gateway = Gateway::manual();
    let mut raw = Raw::new(&gateway).await;
    raw.send(&frame(HEADERS, END_HEADERS, 1, &connect_fields())).await;
    let mut server = gateway.next().await.accept();
    let writing = tokio::spawn(async move { server.write_all(&vec![0; 8 << 20]).await });
    gateway.end(Reason::Revoked);
    assert_eq!(gateway.ended().await, Ended::ByGateway(Reason::Revoked));
    writing.await.unwrap().unwrap_err();
}

#[tokio::test]
async fn a_refused_client_sees_no_stream_allowed_and_the_reason() {
    let (near, far) = tokio::io::duplex(1 << 16);
    let (_hand, orders) = postern_session::orders();
    let limits = limits();
    let serving = postern_session::serve(near, Err(Reason::Revoked), &limits, orders, |_| {
        std::future::ready(())
    });
    let client = async {
        let mut raw = Raw {
            io: far,
            unread: Vec::new(),
        };
        let settings = raw.next().await.unwrap();
        assert_eq!(
            (settings.kind, settings.payload),
            (SETTINGS, vec![0, 3, 0, 0, 0, 0])
        );
        assert_eq!(
            raw.goaway().await,
            Some(postern_session::error_code(Reason::Revoked))
        );
    };
    let (ended, ()) = tokio::join!(serving, client);
    assert_eq!(ended, Ended::ByGateway(Reason::Revoked));
}

/// SETTINGS_INITIAL_WINDOW_SIZE.
fn window_setting(size: u32) -> Vec<u8> {
    let [a, b, c, d] = size.to_be_bytes();
    frame(SETTINGS, 0, 0, &[0, 4, a, b, c, d])
}

fn window_update(stream: u32, by: u32) -> Vec<u8> {
    frame(8, 0, stream, &by.to_be_bytes())
}

#[tokio::test]
async fn nothing_leaves_beyond_the_window_and_small_writes_are_joined_meanwhile() {
    let mut gateway = Gateway::manual();
    let mut raw = Raw::new(&gateway).await;
    raw.send(&window_setting(0)).await;
    raw.send(&frame(HEADERS, END_HEADERS, 1, &connect_fields())).await;
    let mut server = gateway.next().await.accept();
    assert_eq!(raw.status(1).await, 200);
    for n in 0..=255 {
        server.write_all(&[n]).await.unwrap();
    }
    raw.send(&window_update(1, 5)).await;
    assert_eq!(raw.expect(DATA, 1).await.payload, [0, 1, 2, 3, 4]);
    raw.send(&window_update(1, 10_000)).await;
    assert_eq!(raw.expect(DATA, 1).await.payload, (5..=255).collect::<Vec<u8>>());
}

#[tokio::test]
async fn a_stream_without_window_takes_its_buffer_and_no_more() {
    let mut gateway = Gateway::manual();
    let mut raw = Raw::new(&gateway).await;
    raw.send(&window_setting(0)).await;
    raw.send(&frame(HEADERS, END_HEADERS, 1, &connect_fields())).await;
    let mut server = gateway.next().await.accept();
    let mut taken = 0;
    while let Ok(count) = tokio::time::timeout(Duration::from_millis(50), server.write(&[0; 10_000])).await {
        taken += count.unwrap();
    }
    assert_eq!(taken, limits().send_buffer);
}

#[tokio::test]
async fn no_data_frame_is_empty_unless_it_ends_the_stream() {
    let mut gateway = Gateway::manual();
    let mut raw = Raw::new(&gateway).await;
    raw.send(&frame(HEADERS, END_HEADERS, 1, &connect_fields())).await;
    let mut server = gateway.next().await.accept();
    for _ in 0..200 {
        server.write_all(b"").await.unwrap();
        server.write_chunk(bytes::Bytes::new()).await.unwrap();
        server.flush().await.unwrap();
        tokio::task::yield_now().await;
    }
    server.write_all(b"x").await.unwrap();
    assert_eq!(raw.expect(DATA, 1).await.payload, b"x");
    server.shutdown().await.unwrap();
    let end = raw.expect(DATA, 1).await;
    assert_eq!((end.flags, end.payload), (END_STREAM, Vec::new()));
}

#[tokio::test]
async fn what_was_under_way_to_a_stream_that_we_reset_is_dropped_quietly() {
    let mut gateway = Gateway::manual();
    let mut raw = Raw::new(&gateway).await;
    raw.send(&frame(HEADERS, END_HEADERS, 1, &connect_fields())).await;
    gateway.next().await.accept().reset();
    // CONNECT_ERROR, as RFC 9113 section 8.5 has it.
    assert_eq!(raw.expect(RST_STREAM, 1).await.payload, [0, 0, 0, 10]);
    for _ in 0..2000 {
        raw.send(&frame(DATA, 0, 1, &[0; 100])).await;
    }
    is_served(&mut gateway, &mut raw, 3).await;
}

#[tokio::test]
async fn a_session_that_must_end_resets_its_streams_and_says_why() {
    let mut gateway = Gateway::manual();
    let mut raw = Raw::new(&gateway).await;
    let mut held = Vec::new();
    for stream in [1, 3] {
        raw.send(&frame(HEADERS, END_HEADERS, stream, &connect_fields()))
            .await;
        held.push(gateway.next().await.accept());
    }
    assert_eq!(raw.status(3).await, 200);
    gateway.end(Reason::Revoked);
    let code = postern_session::error_code(Reason::Revoked);
    let mut told = std::collections::BTreeSet::new();
    while let Some(said) = raw.next().await {
        match said.kind {
            RST_STREAM => {
                assert_eq!(said.payload, code.to_be_bytes());
                told.insert(said.stream);
            }
            GOAWAY => {
                assert_eq!(said.payload[4..8], code.to_be_bytes());
                told.insert(0);
            }
            _ => {}
        }
    }
    assert_eq!(told.into_iter().collect::<Vec<_>>(), [0, 1, 3]);
    assert_eq!(gateway.ended().await, Ended::ByGateway(Reason::Revoked));
}
