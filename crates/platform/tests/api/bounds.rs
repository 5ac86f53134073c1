//! Bounds: sizes, rates, and what waits for nobody.

use bytes::Bytes;
use http::Method;
use http_body_util::{BodyExt as _, Full};
use serde_json::json;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

use crate::world::{World, connect_h1, request, tls};

#[tokio::test]
async fn an_oversize_body_is_refused() {
    let world = World::start().await;
    let administrator = world.administrator().await;
    let large = json!({"name": "x".repeat(70_000)});
    world
        .post(&administrator, "/organizations", large.clone())
        .await
        .problem(413, "too_large");
    world
        .post("", "/auth/password", large)
        .await
        .problem(413, "too_large");
}

#[tokio::test]
async fn an_oversize_head_is_refused() {
    let world = World::start().await;
    let mut large = request(world.address, Method::GET, "/time", "", None);
    large
        .headers_mut()
        .insert("x-filler", "x".repeat(17_000).parse().unwrap());
    let mut h1 = connect_h1(world.address, &world.pins).await;
    let answer = h1.send_request(large.clone()).await.unwrap();
    assert_eq!(answer.status(), 431);
    assert_eq!(answer.headers()["content-type"], "application/problem+json");
    world.send(large).await.problem(431, "too_large");
}

#[tokio::test]
async fn logins_from_one_source_are_limited() {
    let world = World::with(|config| {
        config.limits.login_rate_per_source = 1;
        config.limits.login_burst_per_source = 3;
    })
    .await;
    let login = json!({"client_id": "pci_x", "client_secret": "pcs_x"});
    let mut answers = Vec::new();
    for _ in 0..8 {
        answers.push(world.post("", "/auth/universal", login.clone()).await);
    }
    let limited = answers.iter().filter(|a| a.status == 429).count();
    assert!(limited >= 3, "{limited}");
    for answer in answers {
        if answer.status == 429 {
            answer.problem(429, "rate_limited");
            assert!(answer.headers.contains_key("retry-after"));
        } else {
            answer.problem(401, "unauthenticated");
        }
    }
    world.get("", "/time").await.expect(200);
}

#[tokio::test]
async fn a_flood_of_refusals_is_folded_and_every_one_is_counted() {
    const ATTEMPTS: u64 = 60;
    let world = World::start().await;
    for _ in 0..ATTEMPTS {
        world
            .get("pat_nobody", "/projects")
            .await
            .problem(401, "unauthenticated");
    }
    let platform = std::sync::Arc::clone(&world.platform);
    let directory = world.stop().await;
    drop(platform);
    let path = directory.path().join("platform.db");
    let store = postern_platform::store::Store::open(&path).await.unwrap();
    let mut view = store.read().await.unwrap();
    let texts: Vec<String> = sqlx::query_scalar("SELECT record FROM audit_records")
        .fetch_all(&mut *view)
        .await
        .unwrap();
    let records: Vec<serde_json::Value> = texts.iter().map(|t| serde_json::from_str(t).unwrap()).collect();
    let refused: Vec<_> = records.iter().filter(|r| r["action"] == "project.list").collect();
    assert!((refused.len() as u64) < ATTEMPTS, "{}", refused.len());
    assert_eq!(
        refused
            .iter()
            .map(|r| r["count"].as_u64().unwrap_or(1))
            .sum::<u64>(),
        ATTEMPTS
    );
}

#[tokio::test]
async fn speaks_http_1_and_keeps_the_connection() {
    let world = World::start().await;
    let mut client = connect_h1(world.address, &world.pins).await;
    for _ in 0..3 {
        client.ready().await.unwrap();
        let answer = client
            .send_request(request(world.address, Method::GET, "/time", "", None))
            .await
            .unwrap();
        assert_eq!(answer.status(), 200);
        answer.into_body().collect().await.unwrap();
    }
    client.ready().await.unwrap();
    let none: http::Request<Full<Bytes>> = request(world.address, Method::GET, "/nothing", "", None);
    let answer = client.send_request(none).await.unwrap();
    assert_eq!(
        (
            answer.status().as_u16(),
            answer.headers()["content-type"].as_bytes()
        ),
        (404, &b"application/problem+json"[..])
    );
}

#[tokio::test]
async fn garbage_instead_of_http_ends_that_connection_and_no_other() {
    let world = World::start().await;
    let mut stream = tls(world.address, &world.pins, b"http/1.1").await;
    stream
        .write_all(b"\x00\x01SSH-2.0-nonsense\r\n\r\n")
        .await
        .unwrap();
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).await.ok();
    assert!(answer.starts_with(b"HTTP/1.1 400") || answer.is_empty());
    world.get("", "/time").await.expect(200);
}

#[tokio::test]
async fn clear_text_gets_no_answer() {
    let world = World::start().await;
    let mut stream = tokio::net::TcpStream::connect(world.address).await.unwrap();
    stream
        .write_all(b"GET /api/v1/time HTTP/1.1\r\nhost: x\r\n\r\n")
        .await
        .unwrap();
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).await.ok();
    assert!(!answer.windows(4).any(|w| w == b"HTTP"));
}
