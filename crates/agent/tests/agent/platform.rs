//! A platform small enough to be told what to do wrong.

use std::collections::{HashSet, VecDeque};
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use bytes::Bytes;
use http::{Request, Response, StatusCode, header};
use http_body_util::{BodyExt as _, Full};
use hyper::body::Incoming;
use hyper_util::rt::TokioIo;
use jsonwebtoken::{Algorithm, DecodingKey, Validation, decode};
use postern_agent::{Api, Deadlines, PlatformAddress, StateDir};
use postern_api::{
    DaemonCertificates, EnrollRequest, Enrolled, EnrollmentTicket, GatewayPolicy, PolicyProject,
    RelayEndpoint, RenewRequest, ServerTime, Snapshot, SshAnchor, StatementClaims, StatementLogin, TlsAnchor,
    TrustDocument, UnverifiedDaemonRequest,
};
use postern_domain::{
    Actor, AuthorityRole, DaemonId, GatewayId, InstanceId, OrganizationId, RelayId, RequestId, Scope, Secret,
    Timestamp,
};
use postern_pki::{
    DaemonKind, Leaf, LeafKey, SshAuthority, SshLeaf, TlsAuthority, issue, issue_ssh, random_serial,
    random_ssh_serial, verify_csr, verify_daemon_request, verify_identity_statement,
};
use postern_sshkey::PublicKey;
use postern_transport::{Clock, ClockHand, Credential, ServerTls};
use serde::Serialize;
use serde::de::DeserializeOwned;
use tokio::net::{TcpListener, TcpStream};
use tokio::task::{AbortHandle, JoinSet};
use tokio::time::Instant;

pub(crate) const NOW: Timestamp = Timestamp::from_unix_seconds(1_750_000_000);
pub(crate) const SECRET: &str = "the-one-time-secret-of-this-test";

/// What the next request gets instead of an answer.
pub(crate) enum Fault {
    /// This answer; nothing is done.
    Answer(StatusCode, &'static str, Vec<u8>),
    /// It is done, and the connection ends before the answer.
    LoseAnswer,
    /// Nothing, ever.
    Silence,
    /// The answer, and then the connection ends without a word.
    HangUpAfter,
}

/// What the platform holds, for tests to read and change.
pub(crate) struct State {
    /// `METHOD path?query` of every request, in order.
    pub(crate) seen: Vec<String>,
    /// The bearer tokens that came, in order.
    pub(crate) bearers: Vec<String>,
    /// The bodies of enrollments, in order.
    pub(crate) enrollments: Vec<EnrollRequest>,
    pub(crate) connections: usize,
    pub(crate) faults: VecDeque<Fault>,
    /// What is added to the platform's clock.
    pub(crate) ahead: Duration,
    pub(crate) token_life: Duration,
    pub(crate) snapshot: Snapshot,
    pub(crate) kind: DaemonKind,
    pub(crate) revoked_tokens: HashSet<String>,
    identity_key: Option<PublicKey>,
    jtis: HashSet<String>,
    tokens: usize,
}

struct Shared {
    clock: Clock,
    gateway_server: TlsAuthority,
    ssh_client: SshAuthority,
    state: Mutex<State>,
}

/// Authorities of an instance and an organization with one gateway, and the snapshot that tells of them.
struct World {
    root: TlsAuthority,
    gateway_server: TlsAuthority,
    ssh_client: SshAuthority,
    snapshot: Snapshot,
}

impl World {
    fn new() -> Self {
        let instance = InstanceId::generate(NOW);
        let organization = OrganizationId::generate(NOW);
        let owner = Scope::Organization(organization);
        let authority = |role, owner, parent: Option<&TlsAuthority>| {
            TlsAuthority::new(role, owner, instance, parent, NOW).unwrap()
        };
        let root = authority(AuthorityRole::PlatformRoot, Scope::Instance, None);
        let gateway_root = authority(AuthorityRole::GatewayRoot, owner, None);
        let gateway_client = authority(AuthorityRole::GatewayClient, owner, Some(&gateway_root));
        let gateway_server = authority(AuthorityRole::GatewayServer, owner, Some(&gateway_root));
        let ssh_client = SshAuthority::new(AuthorityRole::RelaySshClient, Scope::Instance).unwrap();
        let ssh_server = SshAuthority::new(AuthorityRole::RelaySshServer, Scope::Instance).unwrap();
        let tls_anchor = |issuer: &TlsAuthority| TlsAnchor {
            owner,
            role: issuer.role(),
            root: gateway_root.certificate_pem(),
            issuer: issuer.certificate_pem(),
        };
        let ssh_anchor = |authority: &SshAuthority| SshAnchor {
            owner: Scope::Instance,
            role: authority.role(),
            key: authority.public_line(),
        };
        let gateway = GatewayId::generate(NOW);
        let snapshot = Snapshot {
            epoch: "one".into(),
            instance_version: 5,
            organization_version: Some(7),
            time: NOW,
            instance,
            daemon: DaemonId::Gateway(gateway),
            platform_pins: vec![root.pin()],
            trust: TrustDocument {
                tls: vec![tls_anchor(&gateway_client), tls_anchor(&gateway_server)],
                ssh: vec![ssh_anchor(&ssh_client), ssh_anchor(&ssh_server)],
                revoked: Vec::new(),
                max_age_s: 14_400,
            },
            gateway: Some(GatewayPolicy {
                id: gateway,
                organization,
                relay_scope: Scope::Instance,
                relays: vec![RelayEndpoint {
                    id: RelayId::generate(NOW),
                    host: "relay.example".parse().unwrap(),
                    ssh_port: 2222.try_into().unwrap(),
                }],
                projects: Vec::new(),
                ended_sessions: Vec::new(),
            }),
            relay: None,
        };
        Self {
            root,
            gateway_server,
            ssh_client,
            snapshot,
        }
    }
}

/// A running platform; it ends when dropped.
pub(crate) struct Platform {
    pub(crate) address: PlatformAddress,
    pub(crate) clock: Clock,
    pub(crate) hand: ClockHand,
    shared: Arc<Shared>,
    serving: AbortHandle,
}

impl Drop for Platform {
    fn drop(&mut self) {
        self.serving.abort();
    }
}

impl Platform {
    pub(crate) async fn start() -> Self {
        let (clock, hand) = Clock::manual(NOW);
        let world = World::new();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = PlatformAddress {
            target: listener.local_addr().unwrap().to_string().parse().unwrap(),
            pins: vec![world.root.pin()],
        };
        let tls = ServerTls::new(https_credential(&world.root), clock.clone(), &[b"http/1.1"]).unwrap();
        let shared = Arc::new(Shared {
            clock: clock.clone(),
            gateway_server: world.gateway_server,
            ssh_client: world.ssh_client,
            state: Mutex::new(State {
                seen: Vec::new(),
                bearers: Vec::new(),
                enrollments: Vec::new(),
                connections: 0,
                faults: VecDeque::new(),
                ahead: Duration::ZERO,
                token_life: Duration::from_secs(600),
                snapshot: world.snapshot,
                kind: DaemonKind::Gateway,
                revoked_tokens: HashSet::new(),
                identity_key: None,
                jtis: HashSet::new(),
                tokens: 0,
            }),
        });
        let serving = tokio::spawn(serve(listener, tls, Arc::clone(&shared))).abort_handle();
        Self {
            address,
            clock,
            hand,
            shared,
            serving,
        }
    }

    pub(crate) fn state(&self) -> MutexGuard<'_, State> {
        self.shared.state.lock().unwrap()
    }

    pub(crate) fn fault(&self, fault: Fault) {
        self.state().faults.push_back(fault);
    }

    pub(crate) fn seen(&self, what: &str) -> usize {
        self.state().seen.iter().filter(|s| *s == what).count()
    }

    pub(crate) fn ticket(&self) -> EnrollmentTicket {
        EnrollmentTicket {
            address: self.address.target.clone(),
            pins: self.address.pins.clone(),
            secret: Secret::new(SECRET.into()),
        }
    }

    pub(crate) fn api(&self) -> Api {
        let deadlines = Deadlines {
            connect: Duration::from_secs(2),
            request: Duration::from_secs(2),
        };
        Api::with_deadlines(self.address.clone(), self.clock.clone(), deadlines)
    }

    /// Enrolls a gateway in a directory.
    pub(crate) async fn enrolled(&self, directory: &Path) -> StateDir {
        let state = StateDir::open(directory).unwrap();
        let clock = self.clock.clone();
        postern_agent::enroll_with_ticket(&state, DaemonKind::Gateway, &self.ticket(), clock)
            .await
            .unwrap();
        state
    }
}

fn https_credential(root: &TlsAuthority) -> Credential {
    let key = LeafKey::generate().unwrap();
    let leaf = Leaf::Platform {
        hosts: vec!["127.0.0.1".parse().unwrap()],
    };
    let request = verify_csr(&key.csr_pem()).unwrap();
    let issued = issue(root, &leaf, &request, &random_serial().unwrap(), NOW).unwrap();
    Credential::new(
        vec![issued.der, root.certificate_der().clone()],
        key.private_key_der(),
    )
    .unwrap()
}

async fn serve(listener: TcpListener, tls: ServerTls, shared: Arc<Shared>) {
    let mut connections = JoinSet::new();
    loop {
        let (tcp, _) = listener.accept().await.unwrap();
        shared.state.lock().unwrap().connections += 1;
        connections.spawn(connection(tcp, tls.clone(), Arc::clone(&shared)));
    }
}

async fn connection(tcp: TcpStream, tls: ServerTls, shared: Arc<Shared>) {
    let Ok(secured) = tls.accept(tcp, Instant::now() + Duration::from_secs(2)).await else {
        return;
    };
    let (hang_up, hung_up) = tokio::sync::watch::channel(false);
    let service = hyper::service::service_fn(|request| {
        let (shared, hang_up) = (Arc::clone(&shared), hang_up.clone());
        async move {
            let fault = shared.state.lock().unwrap().faults.pop_front();
            let answer = match fault {
                Some(Fault::Answer(status, kind, body)) => {
                    shared.note(&request);
                    return Ok(Response::builder()
                        .status(status)
                        .header(header::CONTENT_TYPE, kind)
                        .body(Full::new(Bytes::from(body)))
                        .unwrap());
                }
                Some(Fault::Silence) => std::future::pending().await,
                Some(Fault::LoseAnswer) => {
                    shared.answer(request).await;
                    return Err(std::io::Error::other("the answer is lost"));
                }
                Some(Fault::HangUpAfter) => {
                    let answer = shared.answer(request).await;
                    hang_up.send_replace(true);
                    answer
                }
                None => shared.answer(request).await,
            };
            Ok::<_, std::io::Error>(answer)
        }
    });
    let io = TokioIo::new(secured.stream);
    let mut serving =
        std::pin::pin!(hyper::server::conn::http1::Builder::new().serve_connection(io, service));
    let mut hung_up = hung_up;
    tokio::select! {
        biased;
        ended = &mut serving => drop(ended),
        // The answer went out just now, without a word that it is the last.
        told = hung_up.wait_for(|h| *h) => drop(told),
    }
}

type Answer = Response<Full<Bytes>>;

impl Shared {
    fn note(&self, request: &Request<Incoming>) -> String {
        let text = format!("{} {}", request.method(), request.uri());
        let mut state = self.state.lock().unwrap();
        state.seen.push(text.clone());
        if let Some(bearer) = request.headers().get(header::AUTHORIZATION) {
            let bearer = bearer.to_str().unwrap().strip_prefix("Bearer ").unwrap();
            state.bearers.push(bearer.into());
        }
        text
    }

    fn now(&self) -> Timestamp {
        self.clock.now().plus(self.state.lock().unwrap().ahead)
    }

    async fn answer(&self, request: Request<Incoming>) -> Answer {
        let what = self.note(&request);
        let bearer = request
            .headers()
            .get(header::AUTHORIZATION)
            .map(|b| b.to_str().unwrap().strip_prefix("Bearer ").unwrap().to_owned());
        let body = request.into_body().collect().await.unwrap().to_bytes();
        match &*what {
            "GET /api/v1/time" => json(&ServerTime {
                time: self.now(),
                instance: self.state.lock().unwrap().snapshot.instance,
            }),
            "POST /api/v1/auth/statement" => self.log_in(&read(&body)),
            "POST /api/v1/enroll" => self.enroll(read(&body)),
            "POST /api/v1/daemon/certificates" => {
                let renew: RenewRequest = read(&body);
                self.with(bearer, || {
                    json(&postern_api::Renewed {
                        certificates: self.certify(&renew.request),
                    })
                })
            }
            "GET /api/v1/watch/snapshot" => self.with(bearer, || {
                let snapshot = Snapshot {
                    time: self.now(),
                    ..self.state.lock().unwrap().snapshot.clone()
                };
                json(&snapshot)
            }),
            _ => problem(StatusCode::NOT_FOUND, "not_found", "there is no such thing"),
        }
    }

    fn with(&self, bearer: Option<String>, answer: impl FnOnce() -> Answer) -> Answer {
        let good = bearer.is_some_and(|b| {
            b.starts_with("token-") && !self.state.lock().unwrap().revoked_tokens.contains(&b)
        });
        if good {
            answer()
        } else {
            problem(StatusCode::UNAUTHORIZED, "unauthenticated", "log in again")
        }
    }

    fn log_in(&self, login: &StatementLogin) -> Answer {
        let now = self.now();
        let mut state = self.state.lock().unwrap();
        let mut validation = Validation::new(Algorithm::EdDSA);
        validation.validate_exp = false;
        validation.validate_aud = false;
        let wire = state.identity_key.as_ref().unwrap().to_bytes();
        let key = DecodingKey::from_ed_der(wire.last_chunk::<32>().unwrap());
        let claims = decode::<StatementClaims>(login.statement.expose(), &key, &validation)
            .unwrap()
            .claims;
        assert_eq!((&*claims.htm, &*claims.htp), ("POST", "/api/v1/auth/statement"));
        assert_eq!(
            (claims.iss, claims.aud),
            (state.snapshot.daemon, state.snapshot.instance)
        );
        let in_time = claims.iat <= now.as_unix_seconds() + 30 && now.as_unix_seconds() <= claims.exp + 30;
        if !in_time || !state.jtis.insert(claims.jti) {
            return problem(
                StatusCode::UNAUTHORIZED,
                "unauthenticated",
                "the statement is not good",
            );
        }
        state.tokens += 1;
        json(&postern_api::Token {
            access_token: Secret::new(format!("token-{}", state.tokens)),
            expires: now.plus(state.token_life),
            actor: Actor::Platform,
            time: now,
        })
    }

    fn enroll(&self, request: EnrollRequest) -> Answer {
        let (instance, kind) = {
            let state = self.state.lock().unwrap();
            (state.snapshot.instance, state.kind)
        };
        let identity = verify_identity_statement(
            &request.identity_key,
            &request.identity_proof,
            instance,
            &request.request.csr,
        );
        let certificates = self.certify(&request.request);
        let now = self.now();
        let mut state = self.state.lock().unwrap();
        state.identity_key = Some(identity.unwrap());
        state.enrollments.push(request);
        let daemon = match kind {
            DaemonKind::Gateway => state.snapshot.daemon,
            DaemonKind::Relay => DaemonId::Relay(RelayId::generate(NOW)),
        };
        let mut answer = json(&Enrolled {
            daemon,
            name: "edge-1".parse().unwrap(),
            certificates,
            snapshot: Snapshot {
                time: now,
                ..state.snapshot.clone()
            },
        });
        *answer.status_mut() = StatusCode::CREATED;
        answer
    }

    fn certify(&self, request: &UnverifiedDaemonRequest) -> DaemonCertificates {
        let snapshot = self.state.lock().unwrap().snapshot.clone();
        let (instance, now) = (snapshot.instance, self.clock.now());
        let UnverifiedDaemonRequest {
            csr,
            ssh_key,
            ssh_proof,
        } = request;
        let verified = verify_daemon_request(csr, ssh_key, ssh_proof, instance, DaemonKind::Gateway).unwrap();
        let own = snapshot.gateway.unwrap();
        let leaf = Leaf::GatewayServer {
            instance,
            organization: own.organization,
            gateway: own.id,
        };
        let tls = issue(
            &self.gateway_server,
            &leaf,
            &verified,
            &random_serial().unwrap(),
            now,
        )
        .unwrap();
        let leaf = SshLeaf::Gateway {
            gateway: own.id,
            organization: own.organization,
            relays: own.relays.iter().map(|r| r.id).collect(),
        };
        let ssh = issue_ssh(
            &self.ssh_client,
            &leaf,
            &verified,
            &random_ssh_serial().unwrap(),
            now,
        )
        .unwrap();
        DaemonCertificates {
            ssh: ssh.line,
            tls: vec![tls.pem, self.gateway_server.certificate_pem()],
            issued: now,
            expires: tls.validity.not_after.min(ssh.validity.not_after),
        }
    }
}

fn read<T: DeserializeOwned>(body: &[u8]) -> T {
    serde_json::from_slice(body).unwrap()
}

fn json<T: Serialize>(value: &T) -> Answer {
    let body = Full::new(Bytes::from(serde_json::to_vec(value).unwrap()));
    Response::new(body)
}

pub(crate) fn problem_body(status: StatusCode, code: &str, detail: &str) -> Vec<u8> {
    let request = RequestId::generate(NOW);
    serde_json::json!({
        "type": "about:blank", "title": "t", "status": status.as_u16(), "code": code, "detail": detail,
        "request": request,
    })
    .to_string()
    .into_bytes()
}

fn problem(status: StatusCode, code: &str, detail: &str) -> Answer {
    let body = Full::new(Bytes::from(problem_body(status, code, detail)));
    let mut answer = Response::new(body);
    *answer.status_mut() = status;
    answer
}

/// Lets a gateway's project be told apart in snapshots.
pub(crate) fn project() -> PolicyProject {
    PolicyProject {
        id: postern_domain::ProjectId::generate(NOW),
        resources: Vec::new(),
    }
}
