//! The way itself: what is proven, what is shown, and how one relay stands in for another.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use postern_client::Leg;
use postern_domain::{Identity, Port, Reason, Scope};
use postern_session::{Ended, OpenError};
use postern_transport::RelayStatus;
use tokio::net::TcpListener;

use crate::support::{Role, Scene, greet};

#[tokio::test]
async fn leads_to_the_resource_and_shows_what_was_proven() {
    let scene = Scene::new();
    let relay = scene.relay(Role::Leads(scene.gateway())).await;
    let platform = scene.platform(&[&relay]);
    let (session, stages) = scene.connect_watched(&platform).await;
    let session = session.unwrap();
    let (resource, port) = scene.resource();
    greet(&mut session.open(resource, port).await.unwrap()).await;
    greet(&mut session.open_granted(resource).await.unwrap()).await;

    let evidence = session.evidence();
    assert_eq!(
        evidence.relay.identity,
        Identity::Relay {
            instance: scene.world.instance,
            scope: Scope::Instance,
            relay: scene.world.relay.id
        }
    );
    assert_eq!(
        evidence.gateway.identity,
        Identity::Gateway {
            instance: scene.world.instance,
            organization: scene.world.a.id,
            gateway: scene.world.a.one.id
        }
    );
    assert_eq!(evidence.relay.issuer, "Instance Relay PKI Server CA");
    assert_eq!(evidence.gateway.issuer, "Organization Gateway Server CA");
    assert_eq!(
        (evidence.relay.kx, evidence.gateway.kx),
        ("X25519MLKEM768", "X25519MLKEM768")
    );
    assert_eq!(evidence.address.port(), relay.port);
    assert_eq!(evidence.gateway.key, scene.world.a.one.keys.tls.pin());

    let steps = [
        "Asking",
        "Granted",
        "Dialling",
        "Dialled",
        "RelayVerified",
        "TunnelOpen",
        "GatewayVerified",
        "Admitted",
    ];
    assert_eq!(stages.len(), steps.len());
    assert!(
        stages
            .iter()
            .zip(steps)
            .all(|(stage, step)| stage.starts_with(step)),
        "{stages:?}"
    );
}

#[tokio::test]
async fn a_probe_gets_its_sign_of_life_and_nothing_else() {
    let scene = Scene::new();
    let relay = scene.relay(Role::Leads(scene.gateway())).await;
    let platform = scene.platform(&[&relay]);
    let session = scene.connector(&platform).connect(&[], |_| {}).await.unwrap();
    session.probe().await.unwrap();
    let (resource, port) = scene.resource();
    let error = session.open(resource, port).await.unwrap_err();
    assert_eq!(error.reason(), Reason::ResourceNotGranted);
}

#[tokio::test]
async fn a_client_that_was_granted_resources_may_not_probe() {
    let scene = Scene::new();
    let relay = scene.relay(Role::Leads(scene.gateway())).await;
    let session = scene.connect(&scene.platform(&[&relay])).await.unwrap();
    assert_eq!(
        session.probe().await.unwrap_err().reason(),
        Reason::RequestNotOffered
    );
}

#[tokio::test]
async fn what_was_not_granted_is_refused_and_the_session_goes_on() {
    let scene = Scene::new();
    let relay = scene.relay(Role::Leads(scene.gateway())).await;
    let session = scene.connect(&scene.platform(&[&relay])).await.unwrap();
    let other = &scene.world.a.resources[1];
    let denied = OpenError::Refused {
        status: 403,
        reason: Reason::ResourceNotGranted,
    };
    assert_eq!(session.open(other.id, other.port).await.unwrap_err(), denied);
    assert_eq!(session.open_granted(other.id).await.unwrap_err(), denied);
    let (resource, port) = scene.resource();
    assert_eq!(
        session.open(resource, Port::new(22).unwrap()).await.unwrap_err(),
        denied
    );
    greet(&mut session.open(resource, port).await.unwrap()).await;
}

#[tokio::test]
async fn the_next_relay_is_tried_when_one_is_away_and_one_has_no_tunnel() {
    let scene = Scene::new();
    let closed = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = closed.local_addr().unwrap().port();
    drop(closed);
    let offline = scene.relay(Role::Says(RelayStatus::GatewayOffline)).await;
    let good = scene.relay(Role::Leads(scene.gateway())).await;
    let relays = [port, offline.port, good.port].map(|port| scene.session_relay(port));
    let platform = scene.platform_with(relays.into());
    let (session, stages) = scene.connect_watched(&platform).await;
    let (resource, port) = scene.resource();
    greet(&mut session.unwrap().open(resource, port).await.unwrap()).await;
    let failed: Vec<_> = stages
        .iter()
        .filter(|stage| stage.starts_with("RelayFailed"))
        .collect();
    assert_eq!(failed.len(), 2);
    assert!(failed[0].contains("nobody listens"), "{failed:?}");
    assert!(failed[1].contains("no tunnel"), "{failed:?}");
    assert_eq!(platform.asked(), 1);
}

#[tokio::test]
async fn when_no_relay_leads_there_the_one_that_came_furthest_says_why() {
    let scene = Scene::new();
    for (status, reason) in [
        (RelayStatus::GatewayOffline, Reason::GatewayOffline),
        (RelayStatus::OverQuota, Reason::OverQuota),
        (RelayStatus::Draining, Reason::Draining),
        (RelayStatus::Refused, Reason::Refused),
    ] {
        let hangs_up = scene.relay(Role::HangsUp).await;
        let says = scene.relay(Role::Says(status)).await;
        let error = scene
            .connect(&scene.platform(&[&says, &hangs_up]))
            .await
            .unwrap_err();
        assert_eq!((error.leg, error.reason), (Leg::Tunnel, reason), "{error}");
        assert_eq!(error.attempts.len(), 2);
        assert_eq!(error.attempts[1].reason, Reason::ConnectionLost);
    }
}

#[tokio::test]
async fn an_unknown_status_byte_is_no_way_in() {
    let scene = Scene::new();
    let relay = scene.relay(Role::SaysByte(5)).await;
    let error = scene.connect(&scene.platform(&[&relay])).await.unwrap_err();
    assert_eq!(
        (error.leg, error.reason),
        (Leg::Tunnel, Reason::ProtocolViolation)
    );
}

#[tokio::test]
async fn nothing_inner_is_sent_before_the_status_byte() {
    let scene = Scene::new();
    let heard = Arc::new(AtomicUsize::new(0));
    let relay = scene.relay(Role::Silent(Arc::clone(&heard))).await;
    let error = scene.connect(&scene.platform(&[&relay])).await.unwrap_err();
    assert_eq!((error.leg, error.reason), (Leg::Tunnel, Reason::HandshakeTimeout));
    assert_eq!(heard.load(Ordering::Relaxed), 0);
}

#[tokio::test]
async fn a_listener_that_says_nothing_is_given_up_in_time() {
    let scene = Scene::new();
    let silent = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let relay = scene.session_relay(silent.local_addr().unwrap().port());
    let platform = scene.platform_with(vec![relay]);
    let connector = scene
        .connector(&platform)
        .with_timeouts(postern_client::Timeouts {
            relay: Duration::from_millis(100),
            ..postern_client::Timeouts::default()
        });
    let error = connector
        .connect(&[scene.resource().0], |_| {})
        .await
        .unwrap_err();
    assert_eq!((error.leg, error.reason), (Leg::Relay, Reason::HandshakeTimeout));
}

#[tokio::test]
async fn a_gateway_that_refuses_the_session_is_not_asked_through_another_relay() {
    let scene = Scene::new();
    let gateway = scene.gateway();
    *gateway.admission.lock().unwrap() = Err(Reason::SessionTerminated);
    let first = scene.relay(Role::Leads(Arc::clone(&gateway))).await;
    let second = scene.relay(Role::Leads(gateway)).await;
    let error = scene
        .connect(&scene.platform(&[&first, &second]))
        .await
        .unwrap_err();
    assert_eq!(
        (error.leg, error.reason),
        (Leg::Session, Reason::SessionTerminated)
    );
    assert_eq!((first.accepted(), second.accepted()), (1, 0));
}

#[tokio::test]
async fn an_ended_session_says_why() {
    let scene = Scene::new();
    let gateway = scene.gateway();
    let relay = scene.relay(Role::Leads(Arc::clone(&gateway))).await;
    let session = scene.connect(&scene.platform(&[&relay])).await.unwrap();
    assert!(session.is_open());
    gateway.end_all(Reason::Revoked);
    assert_eq!(session.closed().await, Ended::ByGateway(Reason::Revoked));
    assert!(!session.is_open());
    let (resource, port) = scene.resource();
    let error = session.open(resource, port).await.unwrap_err();
    assert_eq!(error, OpenError::SessionOver(Reason::Revoked));
}
