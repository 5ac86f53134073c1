//! Bad input: everything is answered with a problem, and nothing is done.

use bytes::Bytes;
use http::header::CONTENT_TYPE;
use http::{Method, Request};
use http_body_util::Full;
use serde_json::json;

use crate::world::{Tenant, World, request};

async fn world() -> (World, Tenant) {
    let world = World::start().await;
    let administrator = world.administrator().await;
    let tenant = world.tenant(&administrator, "a").await;
    (world, tenant)
}

fn raw(world: &World, token: &str, path: &str, content_type: &str, body: &str) -> Request<Full<Bytes>> {
    let mut request = request(world.address, Method::POST, path, token, None);
    if !content_type.is_empty() {
        request
            .headers_mut()
            .insert(CONTENT_TYPE, content_type.parse().unwrap());
    }
    *request.body_mut() = Full::new(Bytes::from(body.to_owned()));
    request
}

#[tokio::test]
async fn refuses_bodies_that_are_not_exactly_what_was_asked_for() {
    let (world, tenant) = world().await;
    for body in [
        "",
        "{",
        "[]",
        "\u{0}",
        r#"{"name":"a"}x"#,
        r#"{"name":"a","name":"b"}"#,
        r#"{"name":"a","colour":"red"}"#,
        r#"{"name":null}"#,
        r#"{}"#,
    ] {
        let answer = world
            .send(raw(&world, &tenant.token, "/projects", "application/json", body))
            .await;
        answer.problem(400, "invalid_request");
    }
    assert_eq!(
        world.get(&tenant.token, "/projects").await.json()["items"],
        json!([])
    );
}

#[tokio::test]
async fn refuses_names_that_a_terminal_or_a_reader_could_mistake() {
    let (world, tenant) = world().await;
    let long = "x".repeat(64);
    for name in [
        "",
        " a",
        "A",
        "a_b",
        "a\u{0}",
        "a\u{1b}[2J",
        "a\r\nb",
        "ä",
        "\u{202e}a",
        "-a",
        "a/b",
        &long,
    ] {
        for path in ["/projects", "/gateways"] {
            let answer = world.post(&tenant.token, path, json!({"name": name})).await;
            let detail = answer.problem(400, "invalid_request");
            assert!(detail.chars().all(|c| !c.is_control()), "{detail:?}");
        }
    }
}

#[tokio::test]
async fn refuses_ports_that_are_none() {
    let (world, tenant) = world().await;
    for port in [
        json!(0),
        json!(65_536),
        json!(-1),
        json!(22.5),
        json!("22"),
        json!(null),
    ] {
        let project = "01890a5d-ac96-774b-bcce-b302099a8057";
        let resource = json!({"name": "r", "project": project, "gateway": project, "host": "db.internal",
            "port": port, "protocol": "tcp"});
        world
            .post(&tenant.token, "/resources", resource)
            .await
            .problem(400, "invalid_request");
        if !port.is_null() {
            let relay = json!({"name": "r", "host": "r.example", "ssh_port": port});
            world
                .post(&tenant.token, "/relays", relay)
                .await
                .problem(400, "invalid_request");
        }
    }
    let same = json!({"name": "r", "host": "r.example", "ssh_port": 22, "tls_port": 22});
    world
        .post(&tenant.token, "/relays", same)
        .await
        .problem(422, "unprocessable");
}

#[tokio::test]
async fn refuses_hosts_that_a_resolver_might_read_otherwise() {
    let (world, tenant) = world().await;
    for host in [
        "",
        "a b",
        "127.1",
        "0x7f000001",
        "2130706433",
        "[::1]",
        "a:80",
        "http://a",
        "a\u{0}",
    ] {
        let relay = json!({"name": "r", "host": host});
        world
            .post(&tenant.token, "/relays", relay)
            .await
            .problem(400, "invalid_request");
    }
}

#[tokio::test]
async fn takes_json_only_and_says_so() {
    let (world, tenant) = world().await;
    for content_type in [
        "",
        "text/plain",
        "application/x-www-form-urlencoded",
        "application/json; charset=latin1",
    ] {
        let answer = world
            .send(raw(
                &world,
                &tenant.token,
                "/projects",
                content_type,
                r#"{"name":"a"}"#,
            ))
            .await;
        answer.problem(415, "invalid_request");
    }
    let utf8 = "application/json; charset=UTF-8";
    world
        .send(raw(&world, &tenant.token, "/projects", utf8, r#"{"name":"a"}"#))
        .await
        .expect(201);
}

#[tokio::test]
async fn unknown_paths_and_methods_are_problems_too() {
    let (world, tenant) = world().await;
    for path in [
        "/nothing",
        "/projects/",
        "/projects//members",
        "/",
        "",
        "/../projects",
        "/PROJECTS",
    ] {
        world.get(&tenant.token, path).await.problem(404, "not_found");
    }
    let answer = world.ask(Method::PATCH, "/projects", &tenant.token, None).await;
    answer.problem(405, "request_not_offered");
    assert_eq!(answer.headers["allow"], "POST, GET");
    world
        .ask(Method::OPTIONS, "/time", "", None)
        .await
        .problem(405, "request_not_offered");
}

#[tokio::test]
async fn refuses_queries_that_mean_nothing() {
    let (world, tenant) = world().await;
    for query in [
        "limit=0",
        "limit=501",
        "limit=x",
        "after=x",
        "name=%1b",
        "offset=1",
        "limit=1&limit=2",
    ] {
        let answer = world.get(&tenant.token, &format!("/projects?{query}")).await;
        answer.problem(400, "invalid_request");
    }
    world
        .get(&tenant.token, "/whoami?x=1")
        .await
        .problem(400, "invalid_request");
    world
        .get(&tenant.token, "/sessions?name=a")
        .await
        .problem(400, "invalid_request");
}

#[tokio::test]
async fn a_resource_needs_a_mapped_gateway_and_sound_networks() {
    let (world, tenant) = world().await;
    let token = &tenant.token;
    world
        .made(token, "/relays", json!({"name": "r", "host": "r.example"}))
        .await;
    let project = world.made(token, "/projects", json!({"name": "p"})).await;
    let gateway = world.made(token, "/gateways", json!({"name": "g"})).await;
    let resource = |networks: serde_json::Value| {
        json!({"name": "db", "project": project, "gateway": gateway, "host": "10.0.0.7", "port": 5432,
            "protocol": "postgres", "allowed_networks": networks})
    };
    let refused = world.post(token, "/resources", resource(json!([]))).await;
    assert!(refused.problem(422, "unprocessable").contains("map it first"));
    world
        .put(token, &format!("/gateways/{gateway}/projects/{project}"))
        .await
        .expect(204);
    for networks in [
        json!(["10.0.0.0/33"]),
        json!(["10.0.0.1/8"]),
        json!(["x"]),
        json!(vec!["10.0.0.0/8"; 33]),
    ] {
        world
            .post(token, "/resources", resource(networks))
            .await
            .problem(400, "invalid_request");
    }
    world
        .post(token, "/resources", resource(json!(["192.0.2.0/24"])))
        .await
        .problem(422, "unprocessable");
    world
        .post(token, "/resources", resource(json!(["10.0.0.0/8"])))
        .await
        .expect(201);
}
