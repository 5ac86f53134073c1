//! A platform on a free port, in a directory of its own, and a plain client for it.

use std::net::SocketAddr;
use std::time::Duration;

use bytes::Bytes;
use http::header::{AUTHORIZATION, CONTENT_TYPE};
use http::{HeaderMap, Method, Request, StatusCode};
use http_body_util::{BodyExt as _, Full};
use hyper::client::conn::{http1, http2};
use hyper_util::rt::{TokioExecutor, TokioIo};
use postern_domain::{Host, Pin, Secret};
use postern_platform::config::Config;
use postern_platform::{InitOptions, Platform};
use postern_transport::{Clock, Drain, DrainHand, PinnedConnector};
use serde_json::{Value, json};
use tokio::net::TcpStream;
use tokio::task::JoinHandle;
use tokio::time::Instant;

pub(crate) const PASSWORD: &str = "correct horse battery";

/// A running platform.
pub(crate) struct World {
    pub(crate) address: SocketAddr,
    pub(crate) pins: Vec<Pin>,
    pub(crate) platform: std::sync::Arc<Platform>,
    pub(crate) directory: tempfile::TempDir,
    hand: DrainHand,
    running: JoinHandle<()>,
    client: http2::SendRequest<Full<Bytes>>,
}

/// What came back.
#[derive(Debug, Clone)]
pub(crate) struct Answer {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    pub(crate) bytes: Bytes,
}

impl Answer {
    pub(crate) fn json(&self) -> Value {
        serde_json::from_slice(&self.bytes).unwrap_or_else(|e| panic!("{e}: {self:?}"))
    }

    pub(crate) fn text(&self, member: &str) -> String {
        self.json()[member]
            .as_str()
            .unwrap_or_else(|| panic!("no {member}: {self:?}"))
            .to_owned()
    }

    /// Asserts the status, and returns the answer.
    #[track_caller]
    pub(crate) fn expect(self, status: u16) -> Self {
        assert_eq!(
            self.status.as_u16(),
            status,
            "{}",
            String::from_utf8_lossy(&self.bytes)
        );
        self
    }

    /// Asserts that this is a problem with this status and code, and returns its detail.
    #[track_caller]
    pub(crate) fn problem(&self, status: u16, code: &str) -> String {
        assert_eq!(
            self.status.as_u16(),
            status,
            "{}",
            String::from_utf8_lossy(&self.bytes)
        );
        assert_eq!(self.headers[CONTENT_TYPE], "application/problem+json");
        let problem = self.json();
        assert_eq!(problem["code"], code, "{problem}");
        assert_eq!(problem["status"], status);
        assert_eq!(problem["type"], "about:blank");
        assert_eq!(
            self.headers["postern-request"],
            problem["request"].as_str().unwrap()
        );
        problem["detail"].as_str().unwrap().to_owned()
    }

    /// What a prober could tell answers apart by: everything but the request's id.
    pub(crate) fn apart_from_id(&self) -> (StatusCode, Value) {
        let mut problem = self.json();
        problem["request"] = Value::Null;
        (self.status, problem)
    }
}

/// An organization with its owner's token.
pub(crate) struct Tenant {
    pub(crate) id: String,
    pub(crate) token: String,
}

impl World {
    pub(crate) async fn start() -> Self {
        Self::with(|_| ()).await
    }

    pub(crate) async fn with(change: impl FnOnce(&mut Config)) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let options = InitOptions {
            password: Some(Secret::new(PASSWORD.to_owned())),
            ..InitOptions::default()
        };
        let made = Platform::init(directory.path(), options, Clock::system().now())
            .await
            .unwrap();
        assert!(made.password.is_none());
        let mut config = Config::for_data_directory(directory.path());
        change(&mut config);
        let bound = Platform::bind(config, Clock::system()).await.unwrap();
        let (address, pins, platform) = (bound.local_addr(), bound.pins().to_vec(), bound.platform());
        assert_eq!(pins, made.pins);
        let (hand, drain) = Drain::new();
        let running = tokio::spawn(bound.run(drain));
        let client = connect_h2(address, &pins).await;
        Self {
            address,
            pins,
            platform,
            directory,
            hand,
            running,
            client,
        }
    }

    /// Drains the platform and waits until it has stopped.
    pub(crate) async fn stop(self) -> tempfile::TempDir {
        self.hand.start();
        drop(self.client);
        tokio::time::timeout(Duration::from_secs(20), self.running)
            .await
            .expect("it stops")
            .unwrap();
        self.directory
    }

    pub(crate) async fn send(&self, request: Request<Full<Bytes>>) -> Answer {
        let response = self.client.clone().send_request(request).await.unwrap();
        let (head, body) = response.into_parts();
        let bytes = body.collect().await.unwrap().to_bytes();
        Answer {
            status: head.status,
            headers: head.headers,
            bytes,
        }
    }

    pub(crate) async fn ask(&self, method: Method, path: &str, token: &str, body: Option<Value>) -> Answer {
        self.send(request(self.address, method, path, token, body)).await
    }

    pub(crate) async fn get(&self, token: &str, path: &str) -> Answer {
        self.ask(Method::GET, path, token, None).await
    }

    pub(crate) async fn post(&self, token: &str, path: &str, body: Value) -> Answer {
        self.ask(Method::POST, path, token, Some(body)).await
    }

    pub(crate) async fn put(&self, token: &str, path: &str) -> Answer {
        self.ask(Method::PUT, path, token, None).await
    }

    pub(crate) async fn delete(&self, token: &str, path: &str) -> Answer {
        self.ask(Method::DELETE, path, token, None).await
    }

    /// Posts, demands 201, and returns the id.
    pub(crate) async fn made(&self, token: &str, path: &str, body: Value) -> String {
        self.post(token, path, body).await.expect(201).text("id")
    }

    pub(crate) async fn administrator(&self) -> String {
        let login = json!({"user": "admin", "password": PASSWORD});
        self.post("", "/auth/password", login)
            .await
            .expect(200)
            .text("access_token")
    }

    /// Makes an organization and logs its owner in.
    pub(crate) async fn tenant(&self, administrator: &str, name: &str) -> Tenant {
        let made = self
            .post(administrator, "/organizations", json!({"name": name}))
            .await
            .expect(201)
            .json();
        let owner = &made["owner"];
        let login = json!({"client_id": owner["client_id"], "client_secret": owner["client_secret"]});
        let token = self
            .post("", "/auth/universal", login)
            .await
            .expect(200)
            .text("access_token");
        Tenant {
            id: made["organization"]["id"].as_str().unwrap().to_owned(),
            token,
        }
    }

    /// Makes an identity with this role and logs it in; returns its id and token.
    pub(crate) async fn identity(&self, owner: &str, name: &str, role: &str) -> (String, String) {
        let id = self
            .made(owner, "/identities", json!({"name": name, "role": role}))
            .await;
        let path = format!("/identities/{id}/client-secrets");
        let secret = self
            .ask(Method::POST, &path, owner, None)
            .await
            .expect(201)
            .json();
        let login = json!({"client_id": secret["client_id"], "client_secret": secret["client_secret"]});
        (
            id,
            self.post("", "/auth/universal", login)
                .await
                .expect(200)
                .text("access_token"),
        )
    }

    /// Returns the audit records so far, oldest first.
    pub(crate) async fn records(&self) -> Vec<Value> {
        let mut view = self.platform.store().read().await.unwrap();
        let texts: Vec<String> = sqlx::query_scalar("SELECT record FROM audit_records ORDER BY number")
            .fetch_all(&mut *view)
            .await
            .unwrap();
        texts
            .iter()
            .map(|text| serde_json::from_str(text).unwrap())
            .collect()
    }
}

pub(crate) fn request(
    address: SocketAddr,
    method: Method,
    path: &str,
    token: &str,
    body: Option<Value>,
) -> Request<Full<Bytes>> {
    let mut request = Request::builder()
        .method(method)
        .uri(format!("https://{address}/api/v1{path}"));
    if !token.is_empty() {
        request = request.header(AUTHORIZATION, format!("Bearer {token}"));
    }
    let bytes = match body {
        Some(body) => {
            request = request.header(CONTENT_TYPE, "application/json");
            Bytes::from(serde_json::to_vec(&body).unwrap())
        }
        None => Bytes::new(),
    };
    request.body(Full::new(bytes)).unwrap()
}

pub(crate) fn localhost() -> Host {
    "localhost".parse().unwrap()
}

pub(crate) async fn tls(
    address: SocketAddr,
    pins: &[Pin],
    alpn: &[u8],
) -> tokio_rustls::client::TlsStream<TcpStream> {
    let tcp = TcpStream::connect(address).await.unwrap();
    let connector = PinnedConnector::with_pins(pins.to_vec(), Clock::system(), &[alpn]);
    let deadline = Instant::now() + Duration::from_secs(10);
    connector
        .connect(tcp, &localhost(), deadline)
        .await
        .unwrap()
        .stream
}

pub(crate) async fn connect_h2(address: SocketAddr, pins: &[Pin]) -> http2::SendRequest<Full<Bytes>> {
    let stream = TokioIo::new(tls(address, pins, b"h2").await);
    let (client, driver) = http2::handshake(TokioExecutor::new(), stream).await.unwrap();
    tokio::spawn(driver);
    client
}

pub(crate) async fn connect_h1(address: SocketAddr, pins: &[Pin]) -> http1::SendRequest<Full<Bytes>> {
    let stream = TokioIo::new(tls(address, pins, b"http/1.1").await);
    let (client, driver) = http1::handshake(stream).await.unwrap();
    tokio::spawn(driver);
    client
}
