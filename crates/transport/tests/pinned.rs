//! The platform's HTTPS: pinned, and nothing believed at first sight.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "tests fail by panicking, their helpers too"
)]

use std::time::Duration;

use postern_domain::{Host, Pin, Reason};
use postern_fixtures::{ExtendedKeyUsagePurpose as Usage, Held, Hostile, Signer, World};
use postern_transport::{Clock, ConnectError, CredentialStore, PinnedConnector, ServerTls};
use tokio::io::{AsyncWriteExt as _, duplex};
use tokio::sync::watch;
use tokio::time::Instant;

const ALPN: &[&[u8]] = &[b"h2", b"http/1.1"];

fn soon() -> Instant {
    Instant::now() + Duration::from_secs(10)
}

fn host() -> Host {
    "platform.example".parse().unwrap()
}

/// Connects to a server that presents `held`.
async fn connect(world: &World, held: &Held, pins: Vec<Pin>, host: &Host) -> Result<(), ConnectError> {
    let (clock, _hand) = Clock::manual(world.now);
    let connector = PinnedConnector::with_pins(pins, clock, ALPN);
    let (near, far) = duplex(64 * 1024);
    let hostile = Hostile::with(held, b"h2");
    let (connected, _) = tokio::join!(connector.connect(near, host, soon()), hostile.accept(far));
    connected.map(|connected| assert_eq!(connected.tls.alpn, b"h2"))
}

async fn refused(world: &World, held: &Held, pins: Vec<Pin>, host: &Host) -> Reason {
    connect(world, held, pins, host).await.unwrap_err().reason
}

#[tokio::test]
async fn the_platform_is_known_by_its_pinned_root_and_its_name() {
    let (world, clock, _hand) = World::at_rest();
    let address: Host = "192.0.2.7".parse().unwrap();
    let held = world.platform(&[host(), address.clone()]);
    let server = ServerTls::new(held.credential(), clock.clone(), ALPN).unwrap();
    let connector = PinnedConnector::with_pins(vec![world.platform_pin()], clock, ALPN);
    for dialled in [host(), address] {
        let (near, far) = duplex(64 * 1024);
        let (accepted, connected) = tokio::join!(
            server.accept(far, soon()),
            connector.connect(near, &dialled, soon())
        );
        let (accepted, connected) = (accepted.unwrap(), connected.unwrap());
        assert_eq!(accepted.tls, connected.tls);
        assert_eq!(
            (connected.tls.kx, &*connected.tls.alpn),
            ("X25519MLKEM768", &b"h2"[..])
        );
    }
}

#[tokio::test]
async fn refuses_a_platform_whose_root_is_not_pinned_or_not_presented() {
    let (world, _, _) = World::at_rest();
    let (other, _, _) = World::at_rest();
    let held = world.platform(&[host()]);
    let pin = world.platform_pin();
    assert_eq!(
        refused(&world, &held, vec![other.platform_pin()], &host()).await,
        Reason::KeyNotPinned
    );
    assert_eq!(
        refused(&world, &held, Vec::new(), &host()).await,
        Reason::KeyNotPinned
    );
    let alone = Held::new(vec![held.leaf().clone()], &held.key(), held.issuer);
    assert_eq!(
        refused(&world, &alone, vec![pin], &host()).await,
        Reason::KeyNotPinned
    );
    // A pinned leaf is no authority.
    assert_eq!(
        refused(&world, &alone, vec![alone.pin()], &host()).await,
        Reason::KeyNotPinned
    );
    connect(&world, &held, vec![other.platform_pin(), pin], &host())
        .await
        .unwrap();
}

#[tokio::test]
async fn presenting_the_pinned_root_does_not_make_a_strangers_leaf_right() {
    let (world, _, _) = World::at_rest();
    let root = world.platform_root.certificate_der();
    let pins = vec![world.platform_pin()];
    let mint = world.mint_platform(&[host()]);
    let stranger = mint.sign(Signer::Itself).followed_by([root.clone()]);
    assert_eq!(
        refused(&world, &stranger, pins.clone(), &host()).await,
        Reason::UnknownAuthority
    );
    let forged = mint
        .sign(Signer::Forger(&world.platform_root))
        .followed_by([root.clone()]);
    assert_eq!(
        refused(&world, &forged, pins.clone(), &host()).await,
        Reason::BadSignature
    );
    let relays = mint
        .sign(Signer::Authority(&world.relays.server))
        .followed_by([root.clone()]);
    assert_eq!(
        refused(&world, &relays, pins, &host()).await,
        Reason::UnknownAuthority
    );
}

#[tokio::test]
async fn refuses_a_leaf_of_the_pinned_root_that_is_not_right() {
    let (world, _, _) = World::at_rest();
    let root = world.platform_root.certificate_der();
    let pins = || vec![world.platform_pin()];
    let hour = Duration::from_secs(3600);
    let made = |change: &dyn Fn(&mut postern_fixtures::Mint)| {
        let mut mint = world.mint_platform(&[host()]);
        change(&mut mint);
        mint.sign(Signer::Authority(&world.platform_root))
            .followed_by([root.clone()])
    };
    connect(&world, &made(&|_| ()), pins(), &host()).await.unwrap();
    let expired = made(&|mint| {
        mint.validity.not_before = world.now.minus(hour);
        mint.validity.not_after = world.now.minus(Duration::from_secs(1));
    });
    let early = made(&|mint| {
        mint.validity.not_before = world.now.plus(Duration::from_secs(1));
        mint.validity.not_after = world.now.plus(hour);
    });
    let client = made(&|mint| mint.usages = vec![Usage::ClientAuth]);
    let anything = made(&|mint| mint.usages.clear());
    let authority = made(&|mint| mint.is_authority = true);
    for (held, reason) in [
        (expired, Reason::CertificateExpired),
        (early, Reason::CertificateNotYetValid),
        (client, Reason::WrongUsage),
        (anything, Reason::WrongUsage),
        (authority, Reason::WrongUsage),
    ] {
        assert_eq!(refused(&world, &held, pins(), &host()).await, reason);
    }
    let good = world.platform(&[host()]);
    for other in ["other.example", "sub.platform.example", "192.0.2.7"] {
        let other = other.parse().unwrap();
        assert_eq!(refused(&world, &good, pins(), &other).await, Reason::WrongName);
    }
    let thief = good.with_key_of(&world.platform(&[host()]));
    assert_eq!(
        refused(&world, &thief, pins(), &host()).await,
        Reason::BadSignature
    );
    let long = good.followed_by(std::iter::repeat_n(root.clone(), 9));
    assert_eq!(
        refused(&world, &long, pins(), &host()).await,
        Reason::CertificateMalformed
    );
}

#[tokio::test]
async fn an_expired_root_is_refused_though_pinned() {
    let (world, _, _) = World::at_rest();
    let years = Duration::from_secs(11 * 365 * 24 * 3600);
    let mut mint = world.mint_platform(&[host()]);
    mint.validity.not_after = world.now.plus(years * 2);
    let root = world.platform_root.certificate_der().clone();
    let held = mint
        .sign(Signer::Authority(&world.platform_root))
        .followed_by([root]);
    let (clock, _hand) = Clock::manual(world.now.plus(years));
    let connector = PinnedConnector::with_pins(vec![world.platform_pin()], clock, ALPN);
    let (near, far) = duplex(64 * 1024);
    let hostile = Hostile::with(&held, b"h2");
    let host = host();
    let (connected, _) = tokio::join!(connector.connect(near, &host, soon()), hostile.accept(far));
    assert_eq!(connected.unwrap_err().reason, Reason::CertificateExpired);
}

#[tokio::test]
async fn a_new_pin_counts_from_the_next_connection_on() {
    let (world, clock, _hand) = World::at_rest();
    let (pins, receiver) = watch::channel(Vec::new());
    let connector = PinnedConnector::new(receiver, clock, ALPN);
    let hostile = Hostile::with(&world.platform(&[host()]), b"h2");
    let connect = || async {
        let (near, far) = duplex(64 * 1024);
        let host = host();
        let (connected, _) = tokio::join!(connector.connect(near, &host, soon()), hostile.accept(far));
        connected.map(|_| ()).map_err(|error| error.reason)
    };
    assert_eq!(connect().await, Err(Reason::KeyNotPinned));
    pins.send_replace(vec![world.platform_pin()]);
    assert_eq!(connect().await, Ok(()));
}

#[tokio::test]
async fn a_renewed_certificate_is_published_only_if_it_would_be_accepted() {
    let (world, _, _) = World::at_rest();
    let pins = [world.platform_pin()];
    let store = CredentialStore::new(world.platform(&[host()]).credential());
    let elsewhere = world
        .platform(&["elsewhere.example".parse().unwrap()])
        .credential();
    let refusal = store
        .publish_pinned(elsewhere, &pins, &[host()], world.now)
        .unwrap_err();
    assert_eq!(refusal.reason, Reason::WrongName);
    let renewed = world.platform(&[host()]);
    store
        .publish_pinned(renewed.credential(), &pins, &[host()], world.now)
        .unwrap();
    assert_eq!(store.current().pin(), Some(renewed.pin()));
}

#[tokio::test]
async fn a_server_survives_garbage() {
    let (world, clock, _hand) = World::at_rest();
    let server = ServerTls::new(world.platform(&[host()]).credential(), clock, ALPN).unwrap();
    let (mut near, far) = duplex(1024);
    let peer = async {
        near.write_all(b"GET / HTTP/1.1\r\n\r\n").await.unwrap();
        near.shutdown().await.unwrap();
    };
    let (accepted, ()) = tokio::join!(server.accept(far, soon()), peer);
    assert_eq!(accepted.unwrap_err().reason, Reason::HandshakeFailed);
}
