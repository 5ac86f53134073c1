//! The mutual legs over real handshakes: who is accepted, and who is refused for which reason.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "tests fail by panicking, their helpers too"
)]

use std::io::ErrorKind;
use std::sync::Arc;
use std::time::Duration;

use postern_domain::{Reason, Scope};
use postern_fixtures::{Held, Hostile, Rogue, Signer, World};
use postern_pki::{LeafKey, Leg, Trust};
use postern_transport::{
    ALPN_INNER, ALPN_RELAY, AcceptError, Accepted, Clock, ClockHand, ConnectError, CredentialStore,
    MutualAcceptor, MutualConnector, RelayStatus, TlsFacts, TrustReceiver,
};
use rustls::HandshakeKind;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, DuplexStream, duplex};
use tokio::time::Instant;

fn soon() -> Instant {
    Instant::now() + Duration::from_secs(10)
}

fn pipe() -> (DuplexStream, DuplexStream) {
    duplex(64 * 1024)
}

fn is_client(leg: &Leg) -> bool {
    matches!(leg, Leg::RelayClient { .. } | Leg::GatewayClient { .. })
}

fn alpn(leg: &Leg) -> &'static [u8] {
    match leg {
        Leg::RelayClient { .. } | Leg::RelayServer { .. } => ALPN_RELAY,
        Leg::GatewayClient { .. } | Leg::GatewayServer { .. } => ALPN_INNER,
    }
}

/// The world with the server of one leg, as its clients meet it.
struct Server {
    world: World,
    leg: Leg,
    trust: tokio::sync::watch::Sender<Arc<Trust>>,
    hand: ClockHand,
    acceptor: MutualAcceptor,
}

impl Server {
    fn new(leg: impl Fn(&World) -> Leg) -> Self {
        Self::trusting(leg, |world, _| world.trust())
    }

    fn trusting(leg: impl Fn(&World) -> Leg, trust: impl Fn(&World, &Leg) -> Trust) -> Self {
        let (world, clock, hand) = World::at_rest();
        let leg = leg(&world);
        let (trust, receiver) = World::watched(trust(&world, &leg));
        let acceptor = acceptor(&world, &leg, receiver, clock);
        Self {
            world,
            leg,
            trust,
            hand,
            acceptor,
        }
    }

    /// Lets a peer connect that keeps no rule. Returns what the server found, and what the peer could read.
    async fn meets(&self, peer: &Hostile) -> (Result<Accepted<DuplexStream>, AcceptError>, ErrorKind) {
        let (near, far) = pipe();
        let connect = async {
            match peer.connect(near).await {
                Ok(mut stream) => stream.read_u8().await.unwrap_err().kind(),
                Err(error) => error.kind(),
            }
        };
        let accept = async {
            let mut accepted = self.acceptor.accept(far, soon()).await;
            // Whoever was accepted is let go, so that its read ends.
            if let Ok(accepted) = &mut accepted {
                accepted.stream.shutdown().await.unwrap();
            }
            accepted
        };
        tokio::join!(accept, connect)
    }

    async fn refuses(&self, held: &Held) -> AcceptError {
        let (accepted, told) = self.meets(&Hostile::with(held, alpn(&self.leg))).await;
        assert_eq!(told, ErrorKind::InvalidData, "the peer reads an alert");
        accepted.unwrap_err()
    }
}

fn acceptor(world: &World, leg: &Leg, trust: TrustReceiver, clock: Clock) -> MutualAcceptor {
    let own = match leg {
        Leg::GatewayClient { .. } => world.gateway_server(&world.a.one),
        Leg::RelayClient {
            scope: Scope::Instance,
        } => world.relay_server(&world.relay),
        Leg::RelayClient { .. } => world.relay_server(&world.a.relay),
        Leg::RelayServer { .. } | Leg::GatewayServer { .. } => panic!("that is a client"),
    };
    MutualAcceptor::new(own.credential(), trust, clock, alpn(leg), leg.clone()).unwrap()
}

fn relay(world: &World) -> Leg {
    World::relay_client_leg(&world.relay)
}

fn gateway(world: &World) -> Leg {
    World::gateway_client_leg(&world.a.one)
}

fn own_relay(world: &World) -> Leg {
    World::relay_client_leg(&world.a.relay)
}

/// Lets the client of a leg connect to a server that keeps no rule.
async fn judged_by_client(
    world: &World,
    leg: &Leg,
    trust: Trust,
    presented: &Held,
) -> Result<TlsFacts, ConnectError> {
    let (clock, _hand) = Clock::manual(world.now);
    let (_trust, receiver) = World::watched(trust);
    let client = world.gateway_client(&world.grant(&world.a.one)).credential();
    let connector = MutualConnector::new(client, receiver, clock, alpn(leg));
    let (near, far) = pipe();
    let hostile = Hostile::with(presented, alpn(leg));
    let (connected, _) = tokio::join!(connector.connect(near, leg, soon()), hostile.accept(far));
    connected.map(|connected| connected.tls)
}

#[tokio::test]
async fn both_ends_of_both_legs_find_each_other() {
    for (server, client_leg) in [
        (relay as fn(&World) -> Leg, None),
        (own_relay, None),
        (gateway, Some(())),
    ] {
        let server = Server::new(server);
        let (world, grant) = (&server.world, server.world.grant(&server.world.a.one));
        let (held, leg) = match (&server.leg, client_leg) {
            (_, Some(())) => (
                world.gateway_client(&grant),
                World::gateway_server_leg(&world.a.one),
            ),
            (Leg::RelayClient { scope }, None) => {
                let relay = if *scope == Scope::Instance {
                    &world.relay
                } else {
                    &world.a.relay
                };
                (world.relay_client(*scope, &grant), World::relay_server_leg(relay))
            }
            (other, None) => panic!("{other:?}"),
        };
        let (clock, _hand) = Clock::manual(world.now);
        let (_trust, trust) = World::watched(world.trust());
        let connector = MutualConnector::new(held.credential(), trust, clock, alpn(&leg));
        let (near, far) = pipe();
        let (accepted, connected) = tokio::join!(
            server.acceptor.accept(far, soon()),
            connector.connect(near, &leg, soon())
        );
        let (accepted, connected) = (accepted.unwrap(), connected.unwrap());
        let facts = TlsFacts {
            kx: "X25519MLKEM768",
            cipher: "TLS_AES_128_GCM_SHA256",
            alpn: alpn(&leg).to_vec(),
        };
        assert_eq!((&accepted.tls, &connected.tls), (&facts, &facts));
        assert_eq!(accepted.peer.session(), Some(grant.session));
        assert_eq!(accepted.peer.gateway(), Some(world.a.one.id));
        assert_eq!(accepted.peer.serial(), &held.serial());
    }
}

#[tokio::test]
async fn refuses_a_client_without_a_certificate() {
    for leg in [relay, gateway, own_relay] {
        let server = Server::new(leg);
        let (accepted, told) = server.meets(&Hostile::with_nothing(alpn(&server.leg))).await;
        assert_eq!(accepted.unwrap_err().reason, Reason::NoCertificate);
        assert_eq!(told, ErrorKind::InvalidData, "the client reads an alert");
    }
}

#[tokio::test]
async fn a_server_refuses_every_rogue_for_its_own_reason_and_knows_which_certificate_it_was() {
    for leg in [relay, gateway, own_relay] {
        let server = Server::new(leg);
        for rogue in Rogue::ALL {
            let Some(reason) = rogue.expected(&server.leg) else {
                continue;
            };
            let held = server.world.rogue(&server.leg, rogue);
            let (accepted, _) = server.meets(&Hostile::with(&held, alpn(&server.leg))).await;
            let error = accepted.unwrap_err();
            assert_eq!(error.reason, reason, "{rogue:?} on {:?}: {error}", server.leg);
            // Of what cannot be read, nothing is known.
            let readable = reason != Reason::CertificateMalformed;
            assert_eq!(error.claimed.serial, readable.then(|| held.serial()), "{rogue:?}");
        }
    }
}

#[tokio::test]
async fn a_client_refuses_every_rogue_for_its_own_reason() {
    let (world, _, _) = World::at_rest();
    for leg in world.legs().into_iter().filter(|leg| !is_client(leg)) {
        judged_by_client(&world, &leg, world.trust(), &world.good(&leg))
            .await
            .unwrap();
        for rogue in Rogue::ALL {
            let Some(reason) = rogue.expected(&leg) else {
                continue;
            };
            let presented = world.rogue(&leg, rogue);
            let error = judged_by_client(&world, &leg, world.trust(), &presented)
                .await
                .unwrap_err();
            assert_eq!(error.reason, reason, "{rogue:?} on {leg:?}: {error}");
        }
    }
}

#[tokio::test]
async fn who_knows_less_refuses_as_much() {
    let relays = Server::trusting(relay, |world, _| world.trust_of_relay(&world.relay));
    let gateways = Server::trusting(gateway, |world, _| {
        world.trust_of_gateway(&world.a.one, Scope::Instance)
    });
    for server in [relays, gateways] {
        let good = server.world.good(&server.leg);
        server
            .meets(&Hostile::with(&good, alpn(&server.leg)))
            .await
            .0
            .unwrap();
        for rogue in [Rogue::AnotherOrganization, Rogue::Sibling, Rogue::Root] {
            let error = server.refuses(&server.world.rogue(&server.leg, rogue)).await;
            assert!(
                matches!(error.reason, Reason::WrongAuthority | Reason::UnknownAuthority),
                "{error}"
            );
        }
    }
}

#[tokio::test]
async fn a_client_of_one_leg_is_refused_on_every_other() {
    for at in [relay, gateway, own_relay] {
        let server = Server::new(at);
        let own = server.leg.clone();
        let mut others = server.world.legs();
        others.push(World::gateway_client_leg(&server.world.b.one));
        others.push(World::relay_client_leg(&server.world.b.relay));
        for leg in others.into_iter().filter(|leg| *leg != own) {
            let held = server.world.good(&leg);
            let (accepted, _) = server.meets(&Hostile::with(&held, alpn(&own))).await;
            let error = accepted.unwrap_err();
            assert_eq!(
                error.reason,
                Reason::WrongAuthority,
                "{leg:?} at {own:?}: {error}"
            );
        }
    }
}

#[tokio::test]
async fn a_revocation_counts_from_the_next_handshake_on() {
    for leg in [relay, gateway] {
        let server = Server::new(leg);
        let held = server.world.good(&server.leg);
        let peer = Hostile::with(&held, alpn(&server.leg));
        server.meets(&peer).await.0.unwrap();
        server
            .trust
            .send_replace(Arc::new(World::revoking(server.world.trust(), &held)));
        assert_eq!(server.meets(&peer).await.0.unwrap_err().reason, Reason::Revoked);
        let mut by_key = server.world.trust();
        by_key.revoked.insert_key(held.pin());
        server.trust.send_replace(Arc::new(by_key));
        let error = server.meets(&peer).await.0.unwrap_err();
        assert_eq!(
            (error.reason, error.claimed.serial),
            (Reason::Revoked, Some(held.serial()))
        );
    }
}

#[tokio::test]
async fn a_revoked_server_is_refused() {
    let (world, _, _) = World::at_rest();
    for leg in world.legs().into_iter().filter(|leg| !is_client(leg)) {
        let presented = world.good(&leg);
        let trust = World::revoking(world.trust(), &presented);
        let error = judged_by_client(&world, &leg, trust, &presented)
            .await
            .unwrap_err();
        assert_eq!(error.reason, Reason::Revoked);
    }
}

#[tokio::test]
async fn a_stolen_certificate_is_worth_nothing_without_its_key() {
    for leg in [relay, gateway] {
        let server = Server::new(leg);
        let stolen = server.world.good(&server.leg);
        let thief = stolen.with_key_of(&server.world.good(&server.leg));
        let error = server.refuses(&thief).await;
        assert_eq!(
            (error.reason, error.claimed.serial),
            (Reason::BadSignature, Some(stolen.serial()))
        );
    }
    let (world, _, _) = World::at_rest();
    let leg = World::gateway_server_leg(&world.a.one);
    let thief = world.good(&leg).with_key_of(&world.good(&relay(&world)));
    let error = judged_by_client(&world, &leg, world.trust(), &thief)
        .await
        .unwrap_err();
    assert_eq!(error.reason, Reason::BadSignature);
}

#[tokio::test]
async fn only_the_certificate_that_signed_the_handshake_counts() {
    let server = Server::new(gateway);
    let good = server.world.good(&server.leg);
    let rogue = server.world.rogue(&server.leg, Rogue::SelfSigned);
    let behind = rogue.followed_by(good.chain.clone());
    assert_eq!(server.refuses(&behind).await.reason, Reason::UnknownAuthority);
    // What follows it neither helps nor hurts.
    let before = good.followed_by(rogue.chain.clone());
    let (accepted, _) = server.meets(&Hostile::with(&before, ALPN_INNER)).await;
    assert_eq!(accepted.unwrap().peer.serial(), &good.serial());
}

#[tokio::test]
async fn an_intermediate_that_the_peer_brings_along_is_not_believed() {
    let server = Server::new(gateway);
    // A leaf that a client's own certificate "issued", with that certificate presented along.
    let good = server.world.good(&server.leg);
    let b = &server.world.b;
    let mint = server.world.mint(&server.leg);
    let held = mint.sign(Signer::Authority(&b.gateway_client));
    let along = held.followed_by([b.gateway_client.certificate_der().clone(), good.leaf().clone()]);
    assert_eq!(server.refuses(&along).await.reason, Reason::WrongAuthority);
}

#[tokio::test]
async fn refuses_what_cannot_be_read_and_keys_of_another_kind() {
    let server = Server::new(relay);
    let key = LeafKey::generate().unwrap();
    let garbage = Held::new(
        vec![vec![0x30, 0x03, 1, 2, 3].into()],
        &key.private_key_der(),
        key.pin(),
    );
    assert_eq!(
        server.refuses(&garbage).await.reason,
        Reason::CertificateMalformed
    );
}

#[tokio::test]
async fn an_expired_authority_ends_what_it_signed() {
    let (world, _, _) = World::at_rest();
    let leg = relay(&world);
    let years = Duration::from_secs(6 * 365 * 24 * 3600);
    let (clock, _hand) = Clock::manual(world.now.plus(years));
    let mut trust = world.trust();
    trust.learned = world.now.plus(years);
    let mut mint = world.mint(&leg);
    mint.validity.not_after = world.now.plus(years * 2);
    let held = mint.sign(Signer::Authority(world.authority(&leg)));
    let (_trust, receiver) = World::watched(trust);
    let acceptor = acceptor(&world, &leg, receiver, clock);
    let (near, far) = pipe();
    let peer = Hostile::with(&held, ALPN_RELAY);
    let (accepted, _) = tokio::join!(acceptor.accept(far, soon()), peer.connect(near));
    assert_eq!(accepted.unwrap_err().reason, Reason::CertificateExpired);
}

#[tokio::test]
async fn stale_trust_accepts_nobody() {
    let server = Server::new(relay);
    let good = server.world.good(&server.leg);
    server.hand.advance(Duration::from_secs(9 * 3600));
    let error = server.refuses(&good).await;
    assert_eq!(error.reason, Reason::TrustStale);
    let (world, _, _) = World::at_rest();
    let leg = World::relay_server_leg(&world.relay);
    let mut stale = world.trust();
    stale.learned = world.now.minus(Duration::from_secs(9 * 3600));
    let error = judged_by_client(&world, &leg, stale, &world.good(&leg))
        .await
        .unwrap_err();
    assert_eq!(error.reason, Reason::TrustStale);
}

#[tokio::test]
async fn a_certificate_ends_with_the_clock() {
    let server = Server::new(gateway);
    let mut mint = server.world.mint(&server.leg);
    mint.validity.not_before = server.world.now;
    let held = mint.sign(Signer::Authority(server.world.authority(&server.leg)));
    let peer = Hostile::with(&held, ALPN_INNER);
    server.meets(&peer).await.0.unwrap();
    server.hand.advance(Duration::from_secs(301));
    let error = server.meets(&peer).await.0.unwrap_err();
    assert_eq!(error.reason, Reason::CertificateExpired);
    server.hand.set(server.world.now.minus(Duration::from_secs(1)));
    let error = server.meets(&peer).await.0.unwrap_err();
    assert_eq!(error.reason, Reason::CertificateNotYetValid);
}

#[tokio::test]
async fn garbage_and_an_early_end_fail_the_handshake() {
    let server = Server::new(relay);
    for sent in [
        &b"GET / HTTP/1.1\r\nHost: x\r\n\r\n"[..],
        b"SSH-2.0-OpenSSH_9.2\r\n",
        &[0x16, 3, 1],
        b"",
    ] {
        let (mut near, far) = pipe();
        let peer = async {
            near.write_all(sent).await.unwrap();
            near.shutdown().await.unwrap();
        };
        let (accepted, ()) = tokio::join!(server.acceptor.accept(far, soon()), peer);
        let error = accepted.unwrap_err();
        assert_eq!(error.reason, Reason::HandshakeFailed, "{error}");
        assert_eq!(error.claimed, postern_pki::Claimed::default());
    }
}

#[tokio::test(start_paused = true)]
async fn a_silent_peer_is_given_up_at_the_deadline() {
    let server = Server::new(relay);
    let (_near, far) = pipe();
    let error = server.acceptor.accept(far, soon()).await.unwrap_err();
    assert_eq!(error.reason, Reason::HandshakeTimeout);
    let (near, _far) = pipe();
    let (clock, _hand) = Clock::manual(server.world.now);
    let (_trust, trust) = World::watched(server.world.trust());
    let client = server.world.good(&server.leg).credential();
    let connector = MutualConnector::new(client, trust, clock, ALPN_RELAY);
    let leg = World::relay_server_leg(&server.world.relay);
    let error = connector.connect(near, &leg, soon()).await.unwrap_err();
    assert_eq!(error.reason, Reason::HandshakeTimeout);
}

#[tokio::test]
async fn speaks_its_own_protocol_only() {
    let server = Server::new(relay);
    let held = server.world.good(&server.leg);
    let good = Hostile::with(&held, ALPN_RELAY);
    server.meets(&good).await.0.unwrap();
    let other = Hostile::with(&held, b"http/1.1");
    for peer in [other, good.without_alpn()] {
        let error = server.meets(&peer).await.0.unwrap_err();
        assert_eq!(error.reason, Reason::HandshakeFailed, "{error}");
    }
}

/// A ClientHello of TLS 1.2 (RFC 5246 section 7.4.1.2): ECDHE_ECDSA_AES128_GCM with P-256.
fn hello_of_tls_1_2() -> Vec<u8> {
    let groups = [0, 10, 0, 4, 0, 2, 0, 23];
    let signatures = [0, 13, 0, 4, 0, 2, 4, 3];
    let extensions = [&groups[..], &signatures].concat();
    let random = [7; 32];
    let body = [
        &[3, 3][..],
        &random,
        &[
            0,
            0,
            2,
            0xc0,
            0x2b,
            1,
            0,
            0,
            u8::try_from(extensions.len()).unwrap(),
        ],
        &extensions,
    ]
    .concat();
    let length = u8::try_from(body.len()).unwrap();
    [&[0x16, 3, 1, 0, length + 4, 1, 0, 0, length][..], &body].concat()
}

#[tokio::test]
async fn does_not_speak_tls_1_2() {
    const PROTOCOL_VERSION: u8 = 70;
    let server = Server::new(relay);
    let (mut near, far) = pipe();
    let peer = async {
        near.write_all(&hello_of_tls_1_2()).await.unwrap();
        let mut alert = [0; 7];
        near.read_exact(&mut alert).await.unwrap();
        alert
    };
    let (accepted, alert) = tokio::join!(server.acceptor.accept(far, soon()), peer);
    assert_eq!(accepted.unwrap_err().reason, Reason::HandshakeFailed);
    assert_eq!((alert[0], alert[6]), (0x15, PROTOCOL_VERSION));
}

#[tokio::test]
async fn nothing_is_resumed() {
    let server = Server::new(gateway);
    let held = server.world.good(&server.leg);
    let config = Arc::new(Hostile::with(&held, ALPN_INNER).client_config());
    let connector = tokio_rustls::TlsConnector::from(config);
    for _ in 0..3 {
        let (near, far) = pipe();
        let name = "anybody.invalid".try_into().unwrap();
        let client = async {
            let mut stream = connector.connect(name, near).await.unwrap();
            stream.write_all(b"x").await.unwrap();
            // Reading lets tickets in, if there were any.
            drop(stream.read_u8().await);
            let connection = stream.get_ref().1;
            (
                connection.handshake_kind(),
                connection.tls13_tickets_received(),
                connection.is_handshaking(),
            )
        };
        let accept = async {
            let mut accepted = server.acceptor.accept(far, soon()).await.unwrap();
            accepted.stream.read_u8().await.unwrap();
            accepted.stream.shutdown().await.unwrap();
        };
        let (seen, ()) = tokio::join!(client, accept);
        assert_eq!(seen, (Some(HandshakeKind::Full), 0, false));
    }
}

#[tokio::test]
async fn a_refused_client_can_be_told() {
    let server = Server::new(relay);
    let held = server.world.good(&server.leg);
    server
        .trust
        .send_replace(Arc::new(World::revoking(server.world.trust(), &held)));
    let (near, far) = pipe();
    let tell = async {
        let mut judged = server.acceptor.handshake(far, soon()).await.unwrap();
        assert_eq!(judged.peer.unwrap_err().reason, Reason::Revoked);
        RelayStatus::Refused.write(&mut judged.stream).await.unwrap();
        judged.stream.shutdown().await.unwrap();
    };
    let hear = async {
        let mut stream = Hostile::with(&held, ALPN_RELAY).connect(near).await.unwrap();
        RelayStatus::read(&mut stream).await.unwrap()
    };
    let ((), heard) = tokio::join!(tell, hear);
    assert_eq!(heard, RelayStatus::Refused);
}

#[tokio::test]
async fn the_inner_leg_tells_the_relay_no_name() {
    let (world, clock, _hand) = World::at_rest();
    for (leg, told) in [
        (World::gateway_server_leg(&world.a.one), None),
        (World::relay_server_leg(&world.relay), Some("relay.example")),
    ] {
        let (_trust, trust) = World::watched(world.trust());
        let client = world.gateway_client(&world.grant(&world.a.one)).credential();
        let connector = MutualConnector::new(client, trust, clock.clone(), alpn(&leg));
        let (near, far) = pipe();
        let hostile = Hostile::with(&world.good(&leg), alpn(&leg));
        let (connected, accepted) = tokio::join!(connector.connect(near, &leg, soon()), hostile.accept(far));
        connected.unwrap();
        assert_eq!(accepted.unwrap().get_ref().1.server_name(), told);
    }
}

#[tokio::test]
async fn a_new_credential_serves_new_handshakes_and_a_wrong_one_is_not_published() {
    let (world, clock, _hand) = World::at_rest();
    let leg = World::gateway_server_leg(&world.a.one);
    let first = world.gateway_server(&world.a.one);
    let store = CredentialStore::new(first.credential());
    let (_trust, trust) = World::watched(world.trust());
    let acceptor =
        MutualAcceptor::new(&store, trust.clone(), clock.clone(), ALPN_INNER, gateway(&world)).unwrap();
    let client = world.gateway_client(&world.grant(&world.a.one)).credential();
    let connector = MutualConnector::new(client, trust.clone(), clock, ALPN_INNER);
    let serves = || async {
        let (near, far) = pipe();
        let (accepted, connected) = tokio::join!(
            acceptor.accept(far, soon()),
            connector.connect(near, &leg, soon())
        );
        (accepted.unwrap(), connected.unwrap())
    };
    let (mut old_server, mut old_client) = serves().await;
    assert_eq!(old_client.peer.serial(), &first.serial());

    let known = trust.borrow().clone();
    let fresh = known.fresh(world.now).unwrap();
    let wrong = world.rogue(&leg, Rogue::Expired).credential();
    let refusal = store.publish(wrong, &leg, &fresh, world.now).unwrap_err();
    assert_eq!(refusal.reason, Reason::CertificateExpired);
    assert_eq!(
        serves().await.1.peer.serial(),
        &first.serial(),
        "the old one stays"
    );

    let second = world.gateway_server(&world.a.one);
    store
        .publish(second.credential(), &leg, &fresh, world.now)
        .unwrap();
    assert_eq!(serves().await.1.peer.serial(), &second.serial());
    old_server.stream.write_all(b"still here").await.unwrap();
    old_server.stream.flush().await.unwrap();
    let mut read = [0; 10];
    old_client.stream.read_exact(&mut read).await.unwrap();
    assert_eq!(&read, b"still here");
}

#[test]
fn a_credential_has_a_chain_and_the_key_of_its_leaf() {
    let (world, _, _) = World::at_rest();
    let (one, two) = (world.good(&relay(&world)), world.good(&relay(&world)));
    let new = postern_transport::Credential::new;
    assert!(new(one.chain.clone(), one.key()).is_ok());
    assert!(matches!(
        new(one.chain.clone(), two.key()),
        Err(postern_transport::CredentialError::KeyMismatch)
    ));
    assert!(matches!(
        new(Vec::new(), two.key()),
        Err(postern_transport::CredentialError::Empty)
    ));
    assert!(new(vec![vec![1, 2, 3].into()], one.key()).is_err());
}
