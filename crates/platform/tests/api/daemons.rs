//! What daemons and clients do: enroll, state, fetch, renew; and a session from ticket to end.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use http::Method;
use postern_api::EnrollmentTicket;
use postern_domain::{InstanceId, RequestId, Timestamp};
use postern_pki::{DaemonKeys, DaemonKind, LeafKey, sign_identity_statement};
use postern_sshkey::PrivateKey;
use serde_json::{Value, json};

use crate::world::{Tenant, World};

struct Daemon {
    keys: DaemonKeys,
    identity: PrivateKey,
    kind: DaemonKind,
    instance: InstanceId,
}

impl Daemon {
    fn new(world: &World, kind: DaemonKind) -> Self {
        Self {
            keys: DaemonKeys::generate().unwrap(),
            identity: PrivateKey::generate().unwrap(),
            kind,
            instance: world.platform.instance().id,
        }
    }

    fn request(&self) -> Value {
        let made = self.keys.requests(self.instance, self.kind).unwrap();
        json!({"csr": made.csr, "ssh_key": made.ssh_key, "ssh_proof": made.ssh_proof})
    }

    fn enrollment(&self, token: Option<&str>) -> Value {
        let csr = self.keys.tls.csr_der();
        json!({
            "token": token,
            "request": self.request(),
            "identity_key": self.identity.public_key().to_openssh(),
            "identity_proof": sign_identity_statement(&self.identity, self.instance, csr).unwrap(),
        })
    }

    /// Makes a statement of this moment.
    fn statement(&self, id: &Value, now: &str) -> Value {
        let now: Timestamp = now.parse().unwrap();
        let seconds = now.as_unix_seconds();
        let claims = json!({"iss": id, "aud": self.instance, "iat": seconds, "exp": seconds + 60,
            "jti": RequestId::generate(now), "htm": "POST", "htp": "/api/v1/auth/statement"});
        let encode = |text: &str| URL_SAFE_NO_PAD.encode(text);
        let signed = format!("{}.{}", encode(r#"{"alg":"EdDSA"}"#), encode(&claims.to_string()));
        let blob = self.identity.sign_raw(signed.as_bytes());
        let signature = URL_SAFE_NO_PAD.encode(&blob[blob.len() - 64..]);
        json!({"statement": format!("{signed}.{signature}")})
    }

    /// Enrolls with a ticket and gets a token for a statement.
    async fn begin(&self, world: &World, token: &str, path: &str) -> (Value, String) {
        let ticket = world
            .ask(Method::POST, path, token, None)
            .await
            .expect(201)
            .text("token");
        let ticket: EnrollmentTicket = ticket.parse().unwrap();
        let enrollment = self.enrollment(Some(ticket.secret.expose()));
        let enrolled = world.post("", "/enroll", enrollment).await.expect(200).json();
        let now = world.get("", "/time").await.expect(200).text("time");
        let statement = self.statement(&enrolled["daemon"], &now);
        let token = world
            .post("", "/auth/statement", statement.clone())
            .await
            .expect(200)
            .text("access_token");
        world
            .post("", "/auth/statement", statement)
            .await
            .problem(401, "replayed");
        (enrolled, token)
    }
}

/// An organization with an enrolled gateway behind an enrolled relay of the instance, and a resource.
struct Site {
    tenant: Tenant,
    project: String,
    resource: String,
    gateway: String,
    gateway_token: String,
}

async fn site(world: &World) -> Site {
    let administrator = world.administrator().await;
    let relay = world
        .made(
            &administrator,
            "/relays",
            json!({"name": "r", "host": "r.example"}),
        )
        .await;
    let path = format!("/relays/{relay}/enrollment-tokens");
    Daemon::new(world, DaemonKind::Relay)
        .begin(world, &administrator, &path)
        .await;
    let tenant = world.tenant(&administrator, "a").await;
    let token = &tenant.token;
    let gateway = world.made(token, "/gateways", json!({"name": "g"})).await;
    let project = world.made(token, "/projects", json!({"name": "p"})).await;
    world
        .put(token, &format!("/gateways/{gateway}/projects/{project}"))
        .await
        .expect(204);
    let resource = json!({"name": "db", "project": project, "gateway": gateway, "host": "db.internal",
        "port": 5432, "protocol": "postgres"});
    let resource = world.made(token, "/resources", resource).await;
    let path = format!("/gateways/{gateway}/enrollment-tokens");
    let (enrolled, gateway_token) = Daemon::new(world, DaemonKind::Gateway)
        .begin(world, token, &path)
        .await;
    assert_eq!(
        enrolled["snapshot"]["gateway"]["projects"][0]["resources"][0]["id"],
        json!(resource)
    );
    Site {
        tenant,
        project,
        resource,
        gateway,
        gateway_token,
    }
}

fn ask_for(resource: &str) -> Value {
    let csr = || LeafKey::generate().unwrap().csr_pem();
    json!({"resources": [resource], "relay_csr": csr(), "gateway_csr": csr()})
}

#[tokio::test]
async fn a_daemon_enrolls_states_fetches_and_renews() {
    let world = World::start().await;
    let administrator = world.administrator().await;
    let relay = world
        .made(
            &administrator,
            "/relays",
            json!({"name": "r", "host": "r.example"}),
        )
        .await;
    let daemon = Daemon::new(&world, DaemonKind::Relay);
    let path = format!("/relays/{relay}/enrollment-tokens");
    let (enrolled, token) = daemon.begin(&world, &administrator, &path).await;
    assert_eq!(enrolled["daemon"], json!({"kind": "relay", "id": relay}));
    assert!(!enrolled.to_string().contains("PRIVATE"));

    let snapshot = world.get(&token, "/watch/snapshot").await.expect(200).json();
    assert_eq!(snapshot["relay"]["id"], json!(relay));
    let renewed = world
        .post(
            &token,
            "/daemon/certificates",
            json!({"request": daemon.request()}),
        )
        .await;
    let renewed = renewed.expect(200).json();
    assert_ne!(renewed["certificates"]["ssh"], enrolled["certificates"]["ssh"]);
    let shown = world
        .get(&administrator, &format!("/relays/{relay}"))
        .await
        .expect(200)
        .json();
    assert_eq!(shown["enrolled"], json!(true));
    assert!(shown["last_seen"].is_string());

    for path in ["/relays", "/projects", "/organizations", "/authorities"] {
        world.get(&token, path).await.problem(403, "forbidden");
    }
    world
        .delete(&administrator, &format!("/relays/{relay}"))
        .await
        .expect(204);
    world
        .get(&token, "/watch/snapshot")
        .await
        .problem(401, "unauthenticated");
}

#[tokio::test]
async fn nobody_but_a_daemon_fetches_a_snapshot_or_renews() {
    let world = World::start().await;
    let administrator = world.administrator().await;
    let owner = world.tenant(&administrator, "a").await.token;
    let daemon = Daemon::new(&world, DaemonKind::Relay);
    for token in [&administrator, &owner] {
        world
            .get(token, "/watch/snapshot")
            .await
            .problem(403, "forbidden");
        let renew = json!({"request": daemon.request()});
        world
            .post(token, "/daemon/certificates", renew)
            .await
            .problem(403, "forbidden");
    }
}

#[tokio::test]
async fn enrolling_takes_a_ticket_or_the_right_identity() {
    let world = World::start().await;
    let administrator = world.administrator().await;
    let owner = world.tenant(&administrator, "a").await.token;
    world
        .made(&owner, "/relays", json!({"name": "r", "host": "r.example"}))
        .await;
    let (_, connector) = world.identity(&owner, "c", "connector").await;
    let (_, enroller) = world.identity(&owner, "e", "enroller").await;
    let daemon = Daemon::new(&world, DaemonKind::Gateway);
    let mut request = daemon.enrollment(None);
    world
        .post("", "/enroll", request.clone())
        .await
        .problem(401, "unauthenticated");
    request["name"] = json!("edge");
    for (token, status) in [("pat_x", 401), (&*connector, 403), (&*administrator, 403)] {
        world.post(token, "/enroll", request.clone()).await.expect(status);
    }
    let wrong = daemon.enrollment(Some("pet_AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"));
    world
        .post("", "/enroll", wrong)
        .await
        .problem(401, "unauthenticated");
    let enrolled = world.post(&enroller, "/enroll", request).await.expect(200).json();
    assert_eq!(enrolled["name"], json!("edge"));
    let gateways = world.get(&owner, "/gateways?name=edge").await.expect(200).json();
    assert_eq!(gateways["items"][0]["enrolled"], json!(true));
}

#[tokio::test]
async fn a_session_is_granted_listed_and_ended() {
    let world = World::start().await;
    let site = site(&world).await;
    let owner = &site.tenant.token;
    let (member, connector) = world.identity(owner, "app", "connector").await;
    world
        .post(&connector, "/sessions", ask_for(&site.resource))
        .await
        .problem(404, "not_found");
    world
        .put(owner, &format!("/projects/{}/members/{member}", site.project))
        .await
        .expect(204);
    let granted = world
        .post(&connector, "/sessions", ask_for(&site.resource))
        .await
        .expect(201)
        .json();
    let session = granted["grant"]["session"].as_str().unwrap();
    assert_eq!(granted["gateway"]["id"], json!(site.gateway));
    assert_eq!(granted["relays"][0]["host"], json!("r.example"));

    let (_, stranger) = world.identity(owner, "other", "connector").await;
    let path = format!("/sessions/{session}");
    world.get(&stranger, &path).await.problem(404, "not_found");
    world.delete(&stranger, &path).await.problem(404, "not_found");
    let shown = world.get(&connector, &path).await.expect(200).json();
    assert_eq!(
        (&shown["resources"], &shown["ended"]),
        (&json!([site.resource]), &Value::Null)
    );
    assert_eq!(
        world.get(owner, "/sessions").await.json()["items"],
        json!([shown])
    );

    world.delete(&connector, &path).await.expect(204);
    world.delete(&connector, &path).await.expect(204);
    assert!(world.get(owner, &path).await.json()["ended"].is_string());
    let snapshot = world
        .get(&site.gateway_token, "/watch/snapshot")
        .await
        .expect(200)
        .json();
    assert_eq!(snapshot["gateway"]["ended_sessions"], json!([session]));
}

#[tokio::test]
async fn a_member_or_an_identity_that_goes_takes_its_sessions_along() {
    let world = World::start().await;
    let site = site(&world).await;
    let owner = &site.tenant.token;
    for (name, by_membership) in [("one", true), ("two", false)] {
        let (member, connector) = world.identity(owner, name, "connector").await;
        let membership = format!("/projects/{}/members/{member}", site.project);
        world.put(owner, &membership).await.expect(204);
        let granted = world
            .post(&connector, "/sessions", ask_for(&site.resource))
            .await
            .expect(201)
            .json();
        let gone = if by_membership {
            membership
        } else {
            format!("/identities/{member}")
        };
        world.delete(owner, &gone).await.expect(204);
        let session = &granted["grant"]["session"];
        let shown = world
            .get(owner, &format!("/sessions/{}", session.as_str().unwrap()))
            .await
            .json();
        assert!(shown["ended"].is_string(), "{name}");
        let snapshot = world
            .get(&site.gateway_token, "/watch/snapshot")
            .await
            .expect(200)
            .json();
        assert!(
            snapshot["gateway"]["ended_sessions"]
                .as_array()
                .unwrap()
                .contains(session)
        );
    }
}

#[tokio::test]
async fn what_is_taken_from_a_gateway_is_gone_from_its_policy() {
    let world = World::start().await;
    let site = site(&world).await;
    let owner = &site.tenant.token;
    let projects = async || {
        let snapshot = world
            .get(&site.gateway_token, "/watch/snapshot")
            .await
            .expect(200)
            .json();
        snapshot["gateway"]["projects"].as_array().unwrap().clone()
    };
    assert_eq!(projects().await[0]["resources"].as_array().unwrap().len(), 1);
    let mapping = format!("/gateways/{}/projects/{}", site.gateway, site.project);
    world.delete(owner, &mapping).await.expect(204);
    assert_eq!(projects().await, Vec::<Value>::new());
    world.put(owner, &mapping).await.expect(204);
    assert_eq!(projects().await[0]["resources"].as_array().unwrap().len(), 1);
    world
        .delete(owner, &format!("/resources/{}", site.resource))
        .await
        .expect(204);
    assert_eq!(projects().await[0]["resources"], json!([]));
}

#[tokio::test]
async fn polls_of_a_daemon_are_folded_and_none_is_lost() {
    let world = World::start().await;
    let site = site(&world).await;
    for _ in 0..60 {
        world
            .get(&site.gateway_token, "/watch/snapshot")
            .await
            .expect(200);
    }
    let fetched = |records: Vec<Value>| {
        let fetched = records.into_iter().filter(|r| r["action"] == "snapshot.fetch");
        fetched
            .map(|r| r["count"].as_u64().unwrap_or(1))
            .collect::<Vec<_>>()
    };
    assert!(fetched(world.records().await).len() < 60);
    let directory = world.stop().await;
    let store = postern_platform::store::Store::open(&directory.path().join("platform.db"))
        .await
        .unwrap();
    let mut view = store.read().await.unwrap();
    let texts: Vec<String> = sqlx::query_scalar("SELECT record FROM audit_records")
        .fetch_all(&mut *view)
        .await
        .unwrap();
    let counts = fetched(texts.iter().map(|t| serde_json::from_str(t).unwrap()).collect());
    assert_eq!(counts.iter().sum::<u64>(), 60);
}
