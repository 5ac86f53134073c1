//! Renewing: when it is due, what replaces what, and what is refused.

use std::sync::Arc;
use std::time::Duration;

use http::StatusCode;
use postern_agent::{Agent, Daemon, Poller, RenewError, Renewer, StateDir, Statements, TokenSource};
use postern_domain::Reason;
use postern_transport::Drain;

use crate::platform::{Fault, NOW, Platform, problem_body};

const RENEW: &str = "POST /api/v1/daemon/certificates";
const DAY: Duration = Duration::from_secs(86_400);

async fn start(platform: &Platform, state: &StateDir) -> (Poller, Result<Renewer, RenewError>) {
    let daemon = Daemon::load(state).unwrap().unwrap();
    let statements = Statements::new(daemon.id, daemon.instance, daemon.keys.identity.clone());
    let tokens = Arc::new(TokenSource::new(platform.api(), statements));
    let mut poller = Poller::start(state.clone(), Arc::clone(&tokens), &daemon)
        .await
        .unwrap();
    poller.poll().await.unwrap();
    let renewer = Renewer::start(state.clone(), tokens, poller.known(), daemon).await;
    (poller, renewer)
}

#[tokio::test]
async fn renews_at_two_thirds_of_the_life_and_not_before() {
    let platform = Platform::start().await;
    let dir = tempfile::tempdir().unwrap();
    let state = platform.enrolled(dir.path()).await;
    let (mut poller, renewer) = start(&platform, &state).await;
    let mut renewer = renewer.unwrap();
    let (tls, ssh) = (renewer.tls(), renewer.ssh());
    let before = (tls.current().chain()[0].clone(), ssh.borrow().serial());
    platform.hand.advance(DAY * 2 / 3 - Duration::from_secs(600));
    assert!(!renewer.renew_if_due(platform.clock.now()).await.unwrap());
    assert_eq!(platform.seen(RENEW), 0);
    platform.hand.advance(Duration::from_secs(600));
    poller.poll().await.unwrap();
    assert!(renewer.renew_if_due(platform.clock.now()).await.unwrap());
    assert_eq!(platform.seen(RENEW), 1);
    let after = (tls.current().chain()[0].clone(), ssh.borrow().serial());
    assert!(before.0 != after.0 && before.1 != after.1);
    assert!(!renewer.renew_if_due(platform.clock.now()).await.unwrap());
    let kept = Daemon::load(&state).unwrap().unwrap();
    assert_eq!(kept.certificates.issued, platform.clock.now());
}

#[tokio::test]
async fn a_host_that_slept_for_a_week_comes_back() {
    let platform = Platform::start().await;
    let dir = tempfile::tempdir().unwrap();
    let state = platform.enrolled(dir.path()).await;
    platform.hand.advance(DAY * 7);
    let (agent, _run) = Agent::start(&state, platform.clock.clone()).await.unwrap();
    assert_eq!(platform.seen(RENEW), 1);
    assert!(agent.ssh.borrow().valid_before() > platform.clock.now().as_unix_seconds());
}

#[tokio::test]
async fn expired_certificates_do_not_serve_without_the_platform() {
    let platform = Platform::start().await;
    let dir = tempfile::tempdir().unwrap();
    let state = platform.enrolled(dir.path()).await;
    platform.hand.advance(DAY * 2);
    let (clock, address) = (platform.clock.clone(), platform.address.clone());
    drop(platform);
    let error = Agent::start(&state, clock).await.unwrap_err();
    assert!(error.to_string().contains(&address.target.to_string()), "{error}");
}

#[tokio::test]
async fn due_certificates_serve_on_while_the_platform_gives_none() {
    let platform = Platform::start().await;
    let dir = tempfile::tempdir().unwrap();
    let state = platform.enrolled(dir.path()).await;
    platform.hand.advance(DAY * 3 / 4);
    let daemon = Daemon::load(&state).unwrap().unwrap();
    let statements = Statements::new(daemon.id, daemon.instance, daemon.keys.identity.clone());
    let tokens = Arc::new(TokenSource::new(platform.api(), statements));
    let mut poller = Poller::start(state.clone(), Arc::clone(&tokens), &daemon)
        .await
        .unwrap();
    poller.poll().await.unwrap();
    let status = StatusCode::SERVICE_UNAVAILABLE;
    platform.fault(Fault::Answer(
        status,
        "x",
        problem_body(status, "unavailable", "not now"),
    ));
    let mut renewer = Renewer::start(state, tokens, poller.known(), daemon)
        .await
        .unwrap();
    assert!(renewer.renew_if_due(platform.clock.now()).await.unwrap());
}

#[tokio::test]
async fn certificates_that_the_other_ends_would_refuse_replace_nothing() {
    let platform = Platform::start().await;
    let other = Platform::start().await;
    let dir = tempfile::tempdir().unwrap();
    let state = platform.enrolled(dir.path()).await;
    let (mut poller, renewer) = start(&platform, &state).await;
    let mut renewer = renewer.unwrap();
    let before = renewer.tls().current().chain()[0].clone();
    platform.hand.advance(DAY * 3 / 4);
    poller.poll().await.unwrap();
    // The new ones are signed by another authority than the one that is trusted by then.
    let foreign = other.state().snapshot.trust.ssh[0].clone();
    let good = std::mem::replace(&mut platform.state().snapshot.trust.ssh[0], foreign);
    platform.state().snapshot.instance_version += 1;
    poller.poll().await.unwrap();
    let error = renewer.renew_if_due(platform.clock.now()).await.unwrap_err();
    assert_eq!(error.reason(), Reason::UnknownAuthority, "{error}");
    assert_eq!(renewer.tls().current().chain()[0], before);
    assert_eq!(Daemon::load(&state).unwrap().unwrap().certificates.issued, NOW);
    platform.state().snapshot.trust.ssh[0] = good;
    platform.state().snapshot.instance_version += 1;
    poller.poll().await.unwrap();
    assert!(renewer.renew_if_due(platform.clock.now()).await.unwrap());
}

#[tokio::test]
async fn the_loop_renews_and_stops() {
    let platform = Platform::start().await;
    let dir = tempfile::tempdir().unwrap();
    let state = platform.enrolled(dir.path()).await;
    let (mut poller, renewer) = start(&platform, &state).await;
    let renewer = renewer.unwrap();
    let mut ssh = renewer.ssh();
    platform.hand.advance(DAY * 3 / 4);
    poller.poll().await.unwrap();
    let (stop, stopped) = Drain::new();
    let running = tokio::spawn(renewer.keep_renewed(stopped));
    ssh.changed().await.unwrap();
    stop.start();
    running.await.unwrap();
    assert_eq!(platform.seen(RENEW), 1);
}
