//! The standing of open connections: what ends them, and when.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "tests fail by panicking, their helpers too"
)]

use std::sync::Arc;
use std::time::Duration;

use postern_domain::Reason;
use postern_fixtures::World;
use postern_pki::{Trust, VerifiedPeer};
use postern_transport::{ClockHand, Drain, DrainHand, Standing};
use tokio::sync::watch;
use tokio::time::{Instant, timeout};

struct Open {
    world: World,
    peer: VerifiedPeer,
    trust: watch::Sender<Arc<Trust>>,
    hand: ClockHand,
    drain: DrainHand,
    standing: Standing,
}

const GRACE: Duration = Duration::from_secs(20);

fn open() -> Open {
    let (world, clock, hand) = World::at_rest();
    let leg = World::gateway_client_leg(&world.a.one);
    let peer = world
        .judge(&leg, &world.gateway_client(&world.grant(&world.a.one)))
        .unwrap();
    let (trust, receiver) = World::watched(world.trust());
    let (drain, draining) = Drain::new();
    Open {
        standing: Standing::new(receiver, clock, draining, GRACE),
        world,
        peer,
        trust,
        hand,
        drain,
    }
}

#[tokio::test(start_paused = true)]
async fn a_connection_stands_while_nothing_changes() {
    let open = open();
    let minute = Duration::from_secs(60);
    assert!(timeout(minute, open.standing.lost(&open.peer)).await.is_err());
    open.hand.advance(Duration::from_secs(3600));
    assert_eq!(
        open.standing.judge(&open.peer),
        Ok(()),
        "its certificate bounds the handshake only"
    );
}

#[tokio::test(start_paused = true)]
async fn a_revocation_ends_it_at_once() {
    let open = open();
    let start = Instant::now();
    let revoke = async {
        tokio::task::yield_now().await;
        let mut trust = open.world.trust();
        trust
            .revoked
            .insert_certificate(open.peer.issuer(), open.peer.serial().clone());
        open.trust.send_replace(Arc::new(trust));
    };
    let (reason, ()) = tokio::join!(open.standing.lost(&open.peer), revoke);
    assert_eq!((reason, start.elapsed()), (Reason::Revoked, Duration::ZERO));
}

#[tokio::test(start_paused = true)]
async fn it_ends_with_its_session() {
    let open = open();
    let expires = open.peer.session_expires().unwrap();
    open.trust
        .send_modify(|trust| Arc::make_mut(trust).learned = expires);
    open.hand.set(expires.minus(Duration::from_secs(5)));
    let start = Instant::now();
    let pass = async {
        tokio::time::sleep(Duration::from_secs(5)).await;
        open.hand.advance(Duration::from_secs(5));
    };
    let (reason, ()) = tokio::join!(open.standing.lost(&open.peer), pass);
    assert_eq!(reason, Reason::SessionExpired);
    assert!(
        start.elapsed() <= Duration::from_millis(5001),
        "{:?}",
        start.elapsed()
    );
}

#[tokio::test(start_paused = true)]
async fn it_ends_when_trust_grows_stale() {
    let open = open();
    open.hand.advance(Duration::from_secs(5 * 3600));
    assert_eq!(open.standing.lost(&open.peer).await, Reason::TrustStale);
}

#[tokio::test(start_paused = true)]
async fn a_drain_grants_it_a_while() {
    let open = open();
    open.drain.start();
    let start = Instant::now();
    assert_eq!(open.standing.lost(&open.peer).await, Reason::Draining);
    assert_eq!(start.elapsed(), GRACE);
}
