//! A platform, relays and gateways, all in this process.

use std::collections::{HashMap, HashSet};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use postern_api::{ClientCertificates, GatewayExpectation, SessionGranted, SessionRelay, TlsAnchor};
use postern_client::{Connector, GrantError, GrantSource, Session, Stage, Timeouts};
use postern_domain::{Pin, Port, Reason, ResourceId, Scope, Timestamp};
use postern_fixtures::{Gateway, Held, World};
use postern_pki::{Leaf, Leg, TlsAuthority, issue, random_serial, verify_csr};
use postern_session::{
    ApprovedResource, Ask, Limits, Opening, OrderHand, Policy, Stream, authorize, authorize_probe, orders,
    serve,
};
use postern_transport::{
    ALPN_INNER, ALPN_RELAY, Clock, ClockHand, CredentialStore, MutualAcceptor, RelayStatus,
};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::{JoinHandle, JoinSet};
use tokio::time::Instant;

/// The stage of every test: a world whose relays are on the loopback.
pub(crate) struct Scene {
    pub(crate) world: Arc<World>,
    pub(crate) clock: Clock,
    pub(crate) hand: ClockHand,
}

impl Scene {
    pub(crate) fn new() -> Self {
        let (mut world, clock, hand) = World::at_rest();
        world.relay.host = "127.0.0.1".parse().unwrap();
        Self {
            world: Arc::new(world),
            clock,
            hand,
        }
    }

    pub(crate) fn resource(&self) -> (ResourceId, Port) {
        let resource = &self.world.a.resources[0];
        (resource.id, resource.port)
    }

    pub(crate) fn gateway(&self) -> Arc<GatewayStub> {
        self.gateway_with(self.world.gateway_server(&self.world.a.one))
    }

    pub(crate) fn gateway_with(&self, held: Held) -> Arc<GatewayStub> {
        Arc::new(GatewayStub::new(self, &self.world.a.one, held))
    }

    pub(crate) async fn relay(&self, role: Role) -> RelayStub {
        self.relay_with(self.world.relay_server(&self.world.relay), role)
            .await
    }

    pub(crate) async fn relay_with(&self, held: Held, role: Role) -> RelayStub {
        RelayStub::start(self, held, role).await
    }

    pub(crate) fn platform(&self, relays: &[&RelayStub]) -> Arc<Platform> {
        let relays = relays
            .iter()
            .map(|relay| self.session_relay(relay.port))
            .collect();
        self.platform_with(relays)
    }

    pub(crate) fn platform_with(&self, relays: Vec<SessionRelay>) -> Arc<Platform> {
        Arc::new(Platform {
            world: Arc::clone(&self.world),
            relays: Mutex::new(relays),
            pins: Mutex::new(vec![vec![self.world.a.one.keys.tls.pin()]]),
            refusal: Mutex::new(None),
            time: Mutex::new(self.world.now),
            asked: AtomicUsize::new(0),
        })
    }

    pub(crate) fn session_relay(&self, port: u16) -> SessionRelay {
        let relay = &self.world.relay;
        SessionRelay {
            id: relay.id,
            scope: relay.scope,
            host: relay.host.clone(),
            tls_port: Port::new(port).unwrap(),
            anchors: vec![anchor(&self.world.relays.root, &self.world.relays.server)],
        }
    }

    pub(crate) fn connector(&self, platform: &Arc<Platform>) -> Connector<Arc<Platform>> {
        Connector::new(Arc::clone(platform), self.clock.clone()).with_timeouts(Timeouts {
            status: Duration::from_millis(500),
            ..Timeouts::default()
        })
    }

    pub(crate) async fn connect(
        &self,
        platform: &Arc<Platform>,
    ) -> Result<Session, postern_client::ConnectError> {
        self.connect_watched(platform).await.0
    }

    /// Also returns the stages, one line for each.
    pub(crate) async fn connect_watched(
        &self,
        platform: &Arc<Platform>,
    ) -> (Result<Session, postern_client::ConnectError>, Vec<String>) {
        let stages = Arc::new(Mutex::new(Vec::new()));
        let seen = Arc::clone(&stages);
        let progress = move |stage: Stage| seen.lock().unwrap().push(format!("{stage:?} {stage}"));
        let connector = self.connector(platform);
        let resource = self.resource().0;
        // As a task, so that the future is known to be one that can be.
        let connecting = tokio::spawn(async move { connector.connect(&[resource], progress).await });
        let result = connecting.await.unwrap();
        let stages = stages.lock().unwrap().clone();
        (result, stages)
    }
}

pub(crate) fn anchor(root: &TlsAuthority, issuer: &TlsAuthority) -> TlsAnchor {
    TlsAnchor {
        owner: issuer.owner(),
        role: issuer.role(),
        root: root.certificate_pem(),
        issuer: issuer.certificate_pem(),
    }
}

/// Grants every session asked for.
pub(crate) struct Platform {
    world: Arc<World>,
    pub(crate) relays: Mutex<Vec<SessionRelay>>,
    /// The pins of each answer in turn; the last one stays.
    pub(crate) pins: Mutex<Vec<Vec<Pin>>>,
    pub(crate) refusal: Mutex<Option<Reason>>,
    pub(crate) time: Mutex<Timestamp>,
    asked: AtomicUsize,
}

impl Platform {
    pub(crate) fn asked(&self) -> usize {
        self.asked.load(Ordering::Relaxed)
    }

    fn certify(&self, authority: &TlsAuthority, leaf: &Leaf, csr: &str) -> Vec<String> {
        let request = verify_csr(csr).unwrap();
        let serial = random_serial().unwrap();
        vec![
            issue(authority, leaf, &request, &serial, self.world.now)
                .unwrap()
                .pem,
        ]
    }
}

impl GrantSource for Platform {
    async fn grant(
        &self,
        resources: &[ResourceId],
        relay_csr: String,
        gateway_csr: String,
    ) -> Result<SessionGranted, GrantError> {
        self.asked.fetch_add(1, Ordering::Relaxed);
        tokio::task::yield_now().await;
        if let Some(reason) = *self.refusal.lock().unwrap() {
            let detail = String::from("The platform says no.");
            return Err(GrantError { reason, detail });
        }
        let world = &self.world;
        let mut grant = if resources.is_empty() {
            world.probe(&world.a.one)
        } else {
            world.grant(&world.a.one)
        };
        grant
            .resources
            .retain(|resource| resources.contains(&resource.id));
        let relay = Leaf::RelayClient {
            instance: world.instance,
            organization: grant.organization,
            gateway: grant.gateway,
            session: grant.session,
            session_expires: grant.session_expires,
        };
        let gateway = Leaf::GatewayClient {
            instance: world.instance,
            grant: grant.clone(),
        };
        let pins = {
            let mut pins = self.pins.lock().unwrap();
            if pins.len() > 1 {
                pins.remove(0)
            } else {
                pins[0].clone()
            }
        };
        Ok(SessionGranted {
            instance: world.instance,
            time: *self.time.lock().unwrap(),
            certificates: ClientCertificates {
                relay: self.certify(&world.relays.client, &relay, &relay_csr),
                gateway: self.certify(&world.a.gateway_client, &gateway, &gateway_csr),
                expires: world.now.plus(Duration::from_secs(300)),
            },
            relays: self.relays.lock().unwrap().clone(),
            gateway: GatewayExpectation {
                id: grant.gateway,
                anchors: vec![anchor(&world.a.gateway_root, &world.a.gateway_server)],
                pins,
            },
            grant,
        })
    }
}

/// What a relay does with a client that it has accepted.
#[derive(Clone)]
pub(crate) enum Role {
    /// Leads it to a gateway.
    Leads(Arc<GatewayStub>),
    /// Sends this and hangs up.
    Says(RelayStatus),
    /// Sends this byte and hangs up.
    SaysByte(u8),
    /// Says nothing, and notes whether the client sends something.
    Silent(Arc<AtomicUsize>),
    /// Hangs up.
    HangsUp,
}

/// A relay on the loopback.
pub(crate) struct RelayStub {
    pub(crate) port: u16,
    accepted: Arc<AtomicUsize>,
    task: JoinHandle<()>,
}

impl Drop for RelayStub {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl RelayStub {
    pub(crate) fn accepted(&self) -> usize {
        self.accepted.load(Ordering::Relaxed)
    }

    async fn start(scene: &Scene, held: Held, role: Role) -> Self {
        let world = &scene.world;
        let (_, trust) = World::watched(world.trust_of_relay(&world.relay));
        let credential = CredentialStore::new(held.credential());
        let leg = World::relay_client_leg(&world.relay);
        let acceptor = MutualAcceptor::new(
            credential.subscribe(),
            trust,
            scene.clock.clone(),
            ALPN_RELAY,
            leg,
        )
        .unwrap();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let accepted = Arc::new(AtomicUsize::new(0));
        let count = Arc::clone(&accepted);
        let task = tokio::spawn(async move {
            let mut clients = JoinSet::new();
            loop {
                let (tcp, _) = listener.accept().await.unwrap();
                count.fetch_add(1, Ordering::Relaxed);
                clients.spawn(serve_relay(acceptor.clone(), tcp, role.clone()));
            }
        });
        Self { port, accepted, task }
    }
}

async fn serve_relay(acceptor: MutualAcceptor, tcp: TcpStream, role: Role) {
    tcp.set_nodelay(true).unwrap();
    let deadline = Instant::now() + Duration::from_secs(10);
    let Ok(mut client) = acceptor.accept(tcp, deadline).await else {
        return;
    };
    match role {
        Role::Leads(gateway) => {
            RelayStatus::Open.write(&mut client.stream).await.unwrap();
            gateway.serve(client.stream).await;
        }
        Role::Says(status) => status.write(&mut client.stream).await.unwrap(),
        Role::SaysByte(byte) => {
            use tokio::io::AsyncWriteExt as _;
            client.stream.write_all(&[byte]).await.unwrap();
        }
        Role::Silent(heard) => {
            let mut buf = [0; 1024];
            while let Ok(count) = client.stream.read(&mut buf).await
                && count > 0
            {
                heard.fetch_add(count, Ordering::Relaxed);
            }
        }
        Role::HangsUp => {}
    }
}

/// A gateway behind the relays.
pub(crate) struct GatewayStub {
    acceptor: MutualAcceptor,
    clock: Clock,
    policy: Arc<Policy>,
    pub(crate) admission: Mutex<Result<(), Reason>>,
    hands: Mutex<Vec<OrderHand>>,
}

impl GatewayStub {
    fn new(scene: &Scene, gateway: &Gateway, held: Held) -> Self {
        let world = &scene.world;
        let (_, trust) = World::watched(world.trust_of_gateway(gateway, Scope::Instance));
        let credential = CredentialStore::new(held.credential());
        let leg: Leg = World::gateway_client_leg(gateway);
        let approved = |resource: &postern_domain::GrantedResource| ApprovedResource {
            name: "db".parse().unwrap(),
            target: postern_domain::Target {
                host: resource.host.clone(),
                port: resource.port,
            },
            protocol: resource.protocol,
            allowed_networks: Vec::new(),
        };
        let resources: HashMap<_, _> = world.a.resources.iter().map(|r| (r.id, approved(r))).collect();
        Self {
            acceptor: MutualAcceptor::new(
                credential.subscribe(),
                trust,
                scene.clock.clone(),
                ALPN_INNER,
                leg,
            )
            .unwrap(),
            clock: scene.clock.clone(),
            policy: Arc::new(Policy {
                organization: world.a.id,
                gateway: gateway.id,
                projects: HashMap::from([(world.a.project, resources)]),
                ended: HashSet::new(),
            }),
            admission: Mutex::new(Ok(())),
            hands: Mutex::new(Vec::new()),
        }
    }

    /// Ends every session.
    pub(crate) fn end_all(&self, reason: Reason) {
        for hand in self.hands.lock().unwrap().drain(..) {
            hand.end(reason);
        }
    }

    /// Returns how many sessions were begun and not ended by us.
    pub(crate) fn sessions(&self) -> usize {
        self.hands.lock().unwrap().len()
    }

    async fn serve(&self, io: impl AsyncRead + AsyncWrite + Unpin) {
        let deadline = Instant::now() + Duration::from_secs(10);
        let Ok(client) = self.acceptor.accept(io, deadline).await else {
            return;
        };
        let (hand, orders) = orders();
        self.hands.lock().unwrap().push(hand);
        let admission = *self.admission.lock().unwrap();
        let (policy, clock, peer) = (
            Arc::clone(&self.policy),
            self.clock.clone(),
            Arc::new(client.peer),
        );
        serve(
            client.stream,
            admission,
            &Limits::default(),
            orders,
            move |opening: Opening| {
                let (policy, clock, peer) = (Arc::clone(&policy), clock.clone(), Arc::clone(&peer));
                async move {
                    let permitted = match opening.ask() {
                        Ask::Connect(authority) => {
                            authorize(&peer, &policy, authority, clock.now()).map(drop)
                        }
                        Ask::Probe => authorize_probe(&peer, &policy, clock.now()),
                    };
                    match permitted {
                        Ok(()) => echo(opening.accept()).await,
                        Err(denial) => opening.refuse(denial.reason),
                    }
                }
            },
        )
        .await;
    }
}

async fn echo(mut stream: Stream) {
    use tokio::io::AsyncWriteExt as _;
    while let Ok(Some(piece)) = stream.read_chunk(1 << 16).await {
        if stream.write_chunk(piece).await.is_err() {
            return;
        }
    }
    let _gone = stream.shutdown().await;
}

/// Sends a word and waits for its echo.
pub(crate) async fn greet(stream: &mut Stream) {
    use tokio::io::AsyncWriteExt as _;
    stream.write_all(b"hello").await.unwrap();
    let mut buf = [0; 5];
    stream.read_exact(&mut buf).await.unwrap();
    assert_eq!(&buf, b"hello");
}
