//! Enrollment: what is sent, what is kept, what is repeated, and what is refused.

use std::fs;
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;
use std::time::Duration;

use http::StatusCode;
use postern_agent::{
    Agent, Daemon, EnrollError, NewGateway, StartError, StateDir, enroll_with_identity, enroll_with_ticket,
};
use postern_domain::{Reason, RelayId, Secret};
use postern_pki::DaemonKind;

use crate::platform::{Fault, NOW, Platform, SECRET, problem_body};

async fn enroll(platform: &Platform, state: &StateDir) -> Result<Daemon, EnrollError> {
    enroll_with_ticket(
        state,
        DaemonKind::Gateway,
        &platform.ticket(),
        platform.clock.clone(),
    )
    .await
}

fn files(directory: &Path) -> Vec<String> {
    let mut names: Vec<_> = fs::read_dir(directory)
        .unwrap()
        .map(|e| e.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    names
}

#[tokio::test]
async fn a_ticket_makes_a_daemon_that_starts_without_it() {
    let platform = Platform::start().await;
    let dir = tempfile::tempdir().unwrap();
    let state = StateDir::open(dir.path()).unwrap();
    let daemon = enroll(&platform, &state).await.unwrap();
    assert_eq!(daemon.name.as_str(), "edge-1");
    assert_eq!(files(dir.path()), ["daemon.json", "lock", "snapshot.json"]);
    let (agent, run) = Agent::start(&state, platform.clock.clone()).await.unwrap();
    let (stop, stopped) = postern_transport::Drain::new();
    let running = tokio::spawn(run.run(stopped));
    platform.state().snapshot.instance_version += 1;
    agent.known.clone().changed().await.unwrap();
    stop.start();
    running.await.unwrap();
    assert_eq!(agent.id, daemon.id);
    assert_eq!(agent.ssh.borrow().key(), agent.ssh_key.public_key());
    assert_eq!(agent.tls.current().pin(), Some(daemon.keys.certified.tls.pin()));
}

#[tokio::test]
async fn nothing_secret_but_keys_stays_on_the_disk_and_no_key_is_sent() {
    let platform = Platform::start().await;
    let dir = tempfile::tempdir().unwrap();
    let state = StateDir::open(dir.path()).unwrap();
    platform.fault(Fault::Answer(StatusCode::OK, "x", vec![]));
    enroll(&platform, &state).await.unwrap_err();
    enroll(&platform, &state).await.unwrap();
    for name in files(dir.path()) {
        let text = fs::read_to_string(dir.path().join(&name)).unwrap();
        assert!(!text.contains(SECRET), "{name}");
        assert_eq!(
            fs::metadata(dir.path().join(&name)).unwrap().mode() & 0o777,
            0o600,
            "{name}"
        );
    }
    let sent = serde_json::to_string(&platform.state().enrollments[0]).unwrap();
    assert!(!sent.contains("PRIVATE KEY"), "{sent}");
}

#[tokio::test]
async fn a_lost_answer_is_repeated_with_the_same_requests() {
    let platform = Platform::start().await;
    let dir = tempfile::tempdir().unwrap();
    let state = StateDir::open(dir.path()).unwrap();
    // Learn the time without a fault, then lose the enrollment's answer.
    platform.fault(Fault::HangUpAfter);
    platform.fault(Fault::LoseAnswer);
    let error = enroll(&platform, &state).await.unwrap_err();
    assert!(matches!(error, EnrollError::Api(_)), "{error:?}");
    assert_eq!(files(dir.path()), ["enrolling.json", "lock"]);
    drop(state);
    let state = StateDir::open(dir.path()).unwrap();
    enroll(&platform, &state).await.unwrap();
    let sent: Vec<_> = platform
        .state()
        .enrollments
        .iter()
        .map(|e| serde_json::to_value(e).unwrap())
        .collect();
    assert_eq!(sent.len(), 2);
    assert_eq!(sent[0], sent[1]);
    assert!(Agent::start(&state, platform.clock.clone()).await.is_ok());
}

#[tokio::test]
async fn another_ticket_gets_other_keys() {
    let platform = Platform::start().await;
    let dir = tempfile::tempdir().unwrap();
    let state = StateDir::open(dir.path()).unwrap();
    platform.fault(Fault::HangUpAfter);
    platform.fault(Fault::LoseAnswer);
    enroll(&platform, &state).await.unwrap_err();
    let mut ticket = platform.ticket();
    ticket.secret = Secret::new("another".into());
    enroll_with_ticket(&state, DaemonKind::Gateway, &ticket, platform.clock.clone())
        .await
        .unwrap();
    let sent = &platform.state().enrollments;
    assert_ne!(sent[0].request.ssh_key, sent[1].request.ssh_key);
    assert_ne!(sent[0].identity_key, sent[1].identity_key);
}

#[tokio::test]
async fn what_was_refused_for_good_is_forgotten() {
    let platform = Platform::start().await;
    let dir = tempfile::tempdir().unwrap();
    let state = StateDir::open(dir.path()).unwrap();
    let refused = |status, code| Fault::Answer(status, "x", problem_body(status, code, "no"));
    platform.fault(Fault::HangUpAfter);
    platform.fault(refused(StatusCode::SERVICE_UNAVAILABLE, "unavailable"));
    enroll(&platform, &state).await.unwrap_err();
    assert_eq!(files(dir.path()), ["enrolling.json", "lock"]);
    platform.fault(Fault::HangUpAfter);
    platform.fault(refused(StatusCode::UNAUTHORIZED, "credential_expired"));
    let EnrollError::Api(error) = enroll(&platform, &state).await.unwrap_err() else {
        panic!("the platform refused");
    };
    assert_eq!(error.reason(), Reason::CredentialExpired);
    assert_eq!(files(dir.path()), ["lock"]);
}

#[tokio::test]
async fn an_identity_enrolls_a_gateway_by_name() {
    let platform = Platform::start().await;
    let dir = tempfile::tempdir().unwrap();
    let state = StateDir::open(dir.path()).unwrap();
    let relay = RelayId::generate(NOW);
    let gateway = NewGateway {
        name: "edge-1".parse().unwrap(),
        relays: vec![relay],
    };
    let bearer = Secret::new("token-of-an-identity".into());
    enroll_with_identity(
        &state,
        platform.address.clone(),
        &bearer,
        gateway,
        platform.clock.clone(),
    )
    .await
    .unwrap();
    let held = platform.state();
    assert_eq!(held.bearers, ["token-of-an-identity"]);
    let sent = &held.enrollments[0];
    assert_eq!(sent.name.as_ref().map(|n| n.as_str()), Some("edge-1"));
    assert_eq!(
        (sent.relays.as_slice(), sent.token.is_none()),
        (&[relay][..], true)
    );
}

#[tokio::test]
async fn refuses_with_a_wrong_clock_before_anything_is_sent() {
    let platform = Platform::start().await;
    let dir = tempfile::tempdir().unwrap();
    let state = StateDir::open(dir.path()).unwrap();
    platform.state().ahead = Duration::from_secs(301);
    let error = enroll(&platform, &state).await.unwrap_err();
    assert!(matches!(error, EnrollError::Clock(_)), "{error:?}");
    assert!(error.to_string().contains("this machine's clock"), "{error}");
    assert_eq!(platform.state().enrollments.len(), 0);
}

#[tokio::test]
async fn refuses_to_become_a_relay() {
    let platform = Platform::start().await;
    let dir = tempfile::tempdir().unwrap();
    let state = StateDir::open(dir.path()).unwrap();
    platform.state().kind = DaemonKind::Relay;
    let error = enroll(&platform, &state).await.unwrap_err();
    assert!(matches!(error, EnrollError::Kind { .. }), "{error:?}");
    assert!(Daemon::load(&state).unwrap().is_none());
}

#[tokio::test]
async fn refuses_authorities_that_are_none_and_certificates_of_others() {
    let (platform, other) = (Platform::start().await, Platform::start().await);
    let dir = tempfile::tempdir().unwrap();
    let state = StateDir::open(dir.path()).unwrap();
    let good = platform.state().snapshot.trust.clone();
    platform.state().snapshot.trust.tls[0].issuer =
        "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----".into();
    let error = enroll(&platform, &state).await.unwrap_err();
    assert!(matches!(error, EnrollError::Snapshot(_)), "{error:?}");
    let foreign = other.state().snapshot.trust.ssh[0].clone();
    platform.state().snapshot.trust = good.clone();
    platform.state().snapshot.trust.ssh[0] = foreign;
    let error = enroll(&platform, &state).await.unwrap_err();
    assert!(
        error
            .to_string()
            .starts_with("the SSH certificate would be refused"),
        "{error}"
    );
    assert!(Daemon::load(&state).unwrap().is_none());
    platform.state().snapshot.trust = good;
    enroll(&platform, &state).await.unwrap();
}

#[tokio::test]
async fn a_daemon_that_never_enrolled_does_not_start() {
    let platform = Platform::start().await;
    let dir = tempfile::tempdir().unwrap();
    let state = StateDir::open(dir.path()).unwrap();
    let error = Agent::start(&state, platform.clock.clone()).await.unwrap_err();
    assert!(matches!(error, StartError::NotEnrolled { .. }), "{error}");
}
