//! What a client refuses: the platform's answers that do not fit, relays and gateways that are not who they must be.

use std::sync::Arc;
use std::time::Duration;

use postern_client::Leg;
use postern_domain::{Pin, Reason};
use postern_fixtures::{Rogue, World};

use crate::support::{Role, Scene, anchor, greet};

/// A client trusts the authorities of its two legs only, so a sibling's is one that it does not know.
fn as_seen_by_a_client(reason: Reason) -> Vec<Reason> {
    if reason == Reason::WrongAuthority {
        vec![Reason::WrongAuthority, Reason::UnknownAuthority]
    } else {
        vec![reason]
    }
}

/// Says why a leg refuses a rogue, if it exists there and the library lets a server present it.
fn presentable(rogue: Rogue, leg: &postern_pki::Leg) -> Option<Reason> {
    if rogue == Rogue::CriticalExtension {
        return None;
    }
    rogue.expected(leg)
}

#[tokio::test]
async fn refuses_every_relay_that_is_not_the_one() {
    let scene = Scene::new();
    let gateway = scene.gateway();
    let leg = World::relay_server_leg(&scene.world.relay);
    for rogue in Rogue::ALL {
        let Some(expected) = presentable(rogue, &leg) else {
            continue;
        };
        let held = scene.world.rogue(&leg, rogue);
        let relay = scene.relay_with(held, Role::Leads(Arc::clone(&gateway))).await;
        let error = scene.connect(&scene.platform(&[&relay])).await.unwrap_err();
        assert_eq!(error.leg, Leg::Relay, "{rogue:?}: {error}");
        assert!(
            as_seen_by_a_client(expected).contains(&error.reason),
            "{rogue:?}: {:?}",
            error.reason
        );
    }
    assert_eq!(gateway.sessions(), 0);
}

#[tokio::test]
async fn refuses_every_gateway_that_is_not_the_one() {
    let scene = Scene::new();
    let leg = World::gateway_server_leg(&scene.world.a.one);
    for rogue in Rogue::ALL {
        let Some(expected) = presentable(rogue, &leg) else {
            continue;
        };
        let held = scene.world.rogue(&leg, rogue);
        let gateway = scene.gateway_with(held);
        let relay = scene.relay(Role::Leads(gateway)).await;
        let error = scene.connect(&scene.platform(&[&relay])).await.unwrap_err();
        assert_eq!(error.leg, Leg::Gateway, "{rogue:?}: {error}");
        assert!(
            as_seen_by_a_client(expected).contains(&error.reason),
            "{rogue:?}: {:?}",
            error.reason
        );
    }
}

#[tokio::test]
async fn a_relay_that_leads_to_the_neighbours_gateway_leads_nowhere() {
    let scene = Scene::new();
    let neighbour = scene.gateway_with(scene.world.gateway_server(&scene.world.a.two));
    let relay = scene.relay(Role::Leads(neighbour)).await;
    let error = scene.connect(&scene.platform(&[&relay])).await.unwrap_err();
    assert_eq!((error.leg, error.reason), (Leg::Gateway, Reason::WrongGateway));

    let foreign = scene.gateway_with(scene.world.gateway_server(&scene.world.b.one));
    let relay = scene.relay(Role::Leads(foreign)).await;
    let error = scene.connect(&scene.platform(&[&relay])).await.unwrap_err();
    assert_eq!(
        (error.leg, error.reason),
        (Leg::Gateway, Reason::UnknownAuthority)
    );
}

#[tokio::test]
async fn a_key_that_was_not_announced_makes_the_client_ask_once_more() {
    let scene = Scene::new();
    let relay = scene.relay(Role::Leads(scene.gateway())).await;
    let platform = scene.platform(&[&relay]);
    let right = scene.world.a.one.keys.tls.pin();
    *platform.pins.lock().unwrap() = vec![vec![Pin::from_digest([7; 32])], vec![right]];
    let (session, stages) = scene.connect_watched(&platform).await;
    let (resource, port) = scene.resource();
    greet(&mut session.unwrap().open(resource, port).await.unwrap()).await;
    assert_eq!(platform.asked(), 2);
    assert!(stages.iter().any(|stage| stage.starts_with("AskingAgain")));
}

#[tokio::test]
async fn a_key_that_was_not_announced_twice_is_an_error() {
    let scene = Scene::new();
    let relay = scene.relay(Role::Leads(scene.gateway())).await;
    let platform = scene.platform(&[&relay]);
    *platform.pins.lock().unwrap() = vec![vec![Pin::from_digest([7; 32])]];
    let error = scene.connect(&platform).await.unwrap_err();
    assert_eq!((error.leg, error.reason), (Leg::Gateway, Reason::KeyNotPinned));
    assert_eq!(platform.asked(), 2);
}

#[tokio::test]
async fn the_second_of_two_pins_will_do() {
    let scene = Scene::new();
    let relay = scene.relay(Role::Leads(scene.gateway())).await;
    let platform = scene.platform(&[&relay]);
    let right = scene.world.a.one.keys.tls.pin();
    *platform.pins.lock().unwrap() = vec![vec![Pin::from_digest([7; 32]), right]];
    scene.connect(&platform).await.unwrap();
    assert_eq!(platform.asked(), 1);
}

#[tokio::test]
async fn authorities_count_for_the_leg_they_were_given_for_and_no_other() {
    let scene = Scene::new();
    let relay = scene.relay(Role::Leads(scene.gateway())).await;
    let platform = scene.platform(&[&relay]);
    let world = &scene.world;
    for wrong in [
        anchor(&world.relays.root, &world.relays.client),
        anchor(&world.a.gateway_root, &world.a.gateway_server),
        anchor(&world.a.relays.root, &world.a.relays.server),
    ] {
        platform.relays.lock().unwrap()[0].anchors = vec![wrong];
        let error = scene.connect(&platform).await.unwrap_err();
        assert_eq!(
            (error.leg, error.reason),
            (Leg::Platform, Reason::CertificateMalformed)
        );
    }
    assert_eq!(relay.accepted(), 0);
}

#[tokio::test]
async fn a_clock_that_is_off_is_named_and_beyond_five_minutes_not_gone_by() {
    let scene = Scene::new();
    let relay = scene.relay(Role::Leads(scene.gateway())).await;
    let platform = scene.platform(&[&relay]);
    let now = scene.world.now;

    *platform.time.lock().unwrap() = now.plus(Duration::from_secs(180));
    let (session, stages) = scene.connect_watched(&platform).await;
    assert_eq!(
        session.unwrap().evidence().clock_distance,
        Duration::from_secs(180)
    );
    assert!(
        stages
            .iter()
            .any(|s| s.starts_with("ClockOff") && s.contains("180 s behind")),
        "{stages:?}"
    );

    for (time, way) in [
        (now.plus(Duration::from_secs(301)), "301 s behind"),
        (now.minus(Duration::from_secs(301)), "301 s ahead of"),
    ] {
        *platform.time.lock().unwrap() = time;
        let error = scene.connect(&platform).await.unwrap_err();
        assert_eq!((error.leg, error.reason), (Leg::Client, Reason::ClockSkew));
        assert!(
            error.detail.contains("The clock of this computer") && error.detail.contains(way),
            "{error}"
        );
    }
}

#[tokio::test]
async fn the_platforms_refusal_is_passed_on() {
    let scene = Scene::new();
    let platform = scene.platform(&[]);
    *platform.refusal.lock().unwrap() = Some(Reason::Forbidden);
    let error = scene.connect(&platform).await.unwrap_err();
    assert_eq!((error.leg, error.reason), (Leg::Platform, Reason::Forbidden));
    assert_eq!(error.to_string(), "The platform says no.");
}

#[tokio::test]
async fn a_grant_without_relays_leads_nowhere() {
    let scene = Scene::new();
    let error = scene.connect(&scene.platform(&[])).await.unwrap_err();
    assert_eq!((error.leg, error.reason), (Leg::Platform, Reason::Unavailable));
}

#[tokio::test]
async fn certificates_that_have_expired_begin_nothing() {
    let scene = Scene::new();
    let gateway = scene.gateway();
    let relay = scene.relay(Role::Leads(Arc::clone(&gateway))).await;
    let platform = scene.platform(&[&relay]);
    scene.hand.advance(Duration::from_secs(301));
    *platform.time.lock().unwrap() = scene.clock.now();
    let error = scene.connect(&platform).await.unwrap_err();
    assert_eq!(
        (error.leg, error.reason),
        (Leg::Tunnel, Reason::Refused),
        "{error}"
    );
    assert_eq!(gateway.sessions(), 0);
}
