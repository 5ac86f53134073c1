//! What a daemon knows: refused, published, kept, aged.

use std::fs;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use http::StatusCode;
use postern_agent::{Contact, Daemon, PollError, Poller, SnapshotError, StateDir, Statements, TokenSource};
use postern_api::Revocation;
use postern_domain::{InstanceId, Pin, Reason};
use postern_transport::Drain;

use crate::platform::{Fault, NOW, Platform, problem_body, project};

async fn start(platform: &Platform, state: &StateDir) -> Poller {
    let daemon = Daemon::load(state).unwrap().unwrap();
    let statements = Statements::new(daemon.id, daemon.instance, daemon.keys.identity.clone());
    let tokens = Arc::new(TokenSource::new(platform.api(), statements));
    Poller::start(state.clone(), tokens, &daemon).await.unwrap()
}

fn kept(directory: &Path) -> String {
    fs::read_to_string(directory.join("snapshot.json")).unwrap()
}

#[tokio::test]
async fn what_changed_is_published_and_kept_and_what_did_not_is_neither() {
    let platform = Platform::start().await;
    let dir = tempfile::tempdir().unwrap();
    let state = platform.enrolled(dir.path()).await;
    let mut poller = start(&platform, &state).await;
    let known = poller.known();
    let before = Arc::clone(&known.borrow());
    let text = kept(dir.path());

    platform.hand.advance(Duration::from_secs(60));
    poller.poll().await.unwrap();
    let same = Arc::clone(&known.borrow());
    assert_eq!(same.revision, before.revision);
    assert!(Arc::ptr_eq(&same.snapshot, &before.snapshot));
    assert_eq!(same.trust.learned, NOW.plus(Duration::from_secs(60)));
    assert_eq!(kept(dir.path()), text);

    platform
        .state()
        .snapshot
        .gateway
        .as_mut()
        .unwrap()
        .projects
        .push(project());
    platform.state().snapshot.organization_version = Some(8);
    poller.poll().await.unwrap();
    let changed = Arc::clone(&known.borrow());
    assert_eq!(changed.revision, before.revision + 1);
    assert_eq!(changed.snapshot.gateway.as_ref().unwrap().projects.len(), 1);
    assert_ne!(kept(dir.path()), text);
}

#[tokio::test]
async fn the_time_that_is_kept_is_never_much_older_than_the_last_answer() {
    let platform = Platform::start().await;
    let dir = tempfile::tempdir().unwrap();
    let state = platform.enrolled(dir.path()).await;
    let mut poller = start(&platform, &state).await;
    let text = kept(dir.path());
    platform.hand.advance(Duration::from_secs(600));
    poller.poll().await.unwrap();
    assert_ne!(kept(dir.path()), text);
    drop(poller);
    let again = start(&platform, &state).await;
    assert_eq!(again.trust().borrow().learned, NOW.plus(Duration::from_secs(600)));
}

#[tokio::test]
async fn a_revocation_reaches_the_trust() {
    let platform = Platform::start().await;
    let dir = tempfile::tempdir().unwrap();
    let state = platform.enrolled(dir.path()).await;
    let mut poller = start(&platform, &state).await;
    let key = Pin::from_digest([9; 32]);
    assert!(!poller.trust().borrow().revoked.contains_key(key));
    platform
        .state()
        .snapshot
        .trust
        .revoked
        .push(Revocation::Key { key });
    platform.state().snapshot.instance_version += 1;
    poller.poll().await.unwrap();
    assert!(poller.trust().borrow().revoked.contains_key(key));
}

#[tokio::test]
async fn refuses_an_older_version_of_the_same_epoch_and_takes_it_of_another() {
    let platform = Platform::start().await;
    let dir = tempfile::tempdir().unwrap();
    let state = platform.enrolled(dir.path()).await;
    let mut poller = start(&platform, &state).await;
    for lower in [(4, Some(7)), (5, Some(6)), (5, None)] {
        {
            let mut held = platform.state();
            (held.snapshot.instance_version, held.snapshot.organization_version) = lower;
        }
        let error = poller.poll().await.unwrap_err();
        assert!(
            matches!(error, PollError::Snapshot(SnapshotError::Older { .. })),
            "{error}"
        );
    }
    // A restart goes by what was kept, and refuses it as well.
    drop(poller);
    let mut poller = start(&platform, &state).await;
    assert!(poller.poll().await.is_err());
    platform.state().snapshot.epoch = "two".into();
    poller.poll().await.unwrap();
    assert_eq!(poller.known().borrow().snapshot.epoch, "two");
}

#[tokio::test]
async fn refuses_what_is_not_for_this_daemon_or_cannot_be_used_and_keeps_the_old() {
    let platform = Platform::start().await;
    let dir = tempfile::tempdir().unwrap();
    let state = platform.enrolled(dir.path()).await;
    let mut poller = start(&platform, &state).await;
    poller.poll().await.unwrap();
    let good = platform.state().snapshot.clone();
    let learned = poller.trust().borrow().learned;
    platform.hand.advance(Duration::from_secs(10));
    type Harm = fn(&mut postern_api::Snapshot);
    let harms: [(&str, Harm); 7] = [
        ("another instance", |s| s.instance = InstanceId::generate(NOW)),
        ("another daemon", |s| {
            s.daemon = postern_domain::DaemonId::Gateway(postern_domain::GatewayId::generate(NOW))
        }),
        ("no policy", |s| s.gateway = None),
        ("a root that is no certificate", |s| {
            s.trust.tls[0].root = "x".into()
        }),
        ("root and issuer swapped", |s| {
            let anchor = &mut s.trust.tls[0];
            std::mem::swap(&mut anchor.root, &mut anchor.issuer);
        }),
        ("a sibling's certificate", |s| {
            s.trust.tls[0].issuer = s.trust.tls[1].issuer.clone()
        }),
        ("an SSH key that is none", |s| {
            s.trust.ssh[0].key = "ssh-ed25519 AAAA".into()
        }),
    ];
    for (what, harm) in harms {
        let mut harmed = good.clone();
        harmed.instance_version += 1;
        harm(&mut harmed);
        platform.state().snapshot = harmed;
        let error = poller.poll().await.unwrap_err();
        assert!(matches!(error, PollError::Snapshot(_)), "{what}: {error}");
        assert_eq!(error.reason(), Reason::ProtocolViolation);
        assert_eq!(poller.trust().borrow().learned, learned, "{what}");
    }
}

#[tokio::test]
async fn a_wrong_clock_ages_the_trust_and_names_the_clock() {
    let platform = Platform::start().await;
    let dir = tempfile::tempdir().unwrap();
    let state = platform.enrolled(dir.path()).await;
    let mut poller = start(&platform, &state).await;
    platform.state().ahead = Duration::from_secs(299);
    poller.poll().await.unwrap();
    let learned = poller.trust().borrow().learned;
    platform.hand.advance(Duration::from_secs(60));
    platform.state().ahead = Duration::from_secs(360);
    let error = poller.poll().await.unwrap_err();
    assert_eq!(error.reason(), Reason::ClockSkew, "{error}");
    assert_eq!(poller.trust().borrow().learned, learned);
    platform.hand.advance(Duration::from_secs(14_400));
    assert!(poller.trust().borrow().fresh(platform.clock.now()).is_err());
}

#[tokio::test]
async fn a_platform_that_is_away_is_told_and_its_return_too() {
    let platform = Platform::start().await;
    let dir = tempfile::tempdir().unwrap();
    let state = platform.enrolled(dir.path()).await;
    let mut poller = start(&platform, &state).await;
    poller.poll().await.unwrap();
    assert_eq!(*poller.contact().borrow(), Contact::Up);
    let gone = || {
        let status = StatusCode::SERVICE_UNAVAILABLE;
        Fault::Answer(
            status,
            "x",
            problem_body(status, "unavailable", "the store is gone"),
        )
    };
    let since = platform.clock.now();
    for _ in 0..2 {
        platform.fault(gone());
        poller.poll().await.unwrap_err();
        platform.hand.advance(Duration::from_secs(5));
    }
    let Contact::Lost { since: told, why } = poller.contact().borrow().clone() else {
        panic!("the platform is away");
    };
    assert_eq!(told, since);
    assert!(why.contains("the store is gone"), "{why}");
    poller.poll().await.unwrap();
    assert_eq!(*poller.contact().borrow(), Contact::Up);
}

#[tokio::test]
async fn starts_with_what_was_kept_while_the_platform_is_away() {
    let platform = Platform::start().await;
    let dir = tempfile::tempdir().unwrap();
    let state = platform.enrolled(dir.path()).await;
    let clock = platform.clock.clone();
    drop(platform);
    let (agent, _run) = postern_agent::Agent::start(&state, clock.clone()).await.unwrap();
    assert!(agent.trust.borrow().fresh(clock.now()).is_ok());
    assert!(matches!(*agent.contact.borrow(), Contact::Lost { .. }));
}

#[tokio::test]
async fn a_lost_or_damaged_snapshot_is_asked_for_again() {
    let platform = Platform::start().await;
    let dir = tempfile::tempdir().unwrap();
    let state = platform.enrolled(dir.path()).await;
    let path = dir.path().join("snapshot.json");
    fs::write(&path, "{").unwrap();
    start(&platform, &state).await;
    assert!(kept(dir.path()).len() > 100);
    fs::remove_file(&path).unwrap();
    start(&platform, &state).await;
    assert!(kept(dir.path()).len() > 100);
}

#[tokio::test]
async fn runs_until_it_is_stopped_and_asks_on() {
    let platform = Platform::start().await;
    let dir = tempfile::tempdir().unwrap();
    let state = platform.enrolled(dir.path()).await;
    let poller = start(&platform, &state).await;
    let mut known = poller.known();
    let (stop, stopped) = Drain::new();
    let running = tokio::spawn(poller.run(stopped));
    for _ in 0..2 {
        platform.state().snapshot.instance_version += 1;
        known.changed().await.unwrap();
    }
    platform
        .state()
        .snapshot
        .platform_pins
        .push(Pin::from_digest([3; 32]));
    platform.state().snapshot.instance_version += 1;
    known
        .wait_for(|k| k.snapshot.platform_pins.len() == 2)
        .await
        .unwrap();
    stop.start();
    running.await.unwrap();
}
