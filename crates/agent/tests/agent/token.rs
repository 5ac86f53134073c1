//! Tokens: one request at a time, early replacement, one try more after a refusal.

use std::sync::Arc;
use std::time::Duration;

use http::StatusCode;
use postern_agent::{ApiError, Daemon, Statements, TokenSource};
use tokio::task::JoinSet;

use crate::platform::{Fault, Platform, problem_body};

const LOGIN: &str = "POST /api/v1/auth/statement";

async fn source(platform: &Platform) -> Arc<TokenSource> {
    let dir = tempfile::tempdir().unwrap();
    let state = platform.enrolled(dir.path()).await;
    let daemon = Daemon::load(&state).unwrap().unwrap();
    platform.state().seen.clear();
    let statements = Statements::new(daemon.id, daemon.instance, daemon.keys.identity.clone());
    Arc::new(TokenSource::new(platform.api(), statements))
}

#[tokio::test]
async fn those_who_ask_at_once_get_one_token() {
    let platform = Platform::start().await;
    let source = source(&platform).await;
    let mut asking = JoinSet::new();
    for _ in 0..20 {
        let source = Arc::clone(&source);
        asking.spawn(async move { source.token().await.unwrap().expose().clone() });
    }
    assert_eq!(asking.join_all().await, vec!["token-1"; 20]);
    assert_eq!(platform.seen(LOGIN), 1);
}

#[tokio::test]
async fn a_token_is_replaced_at_two_thirds_of_its_life() {
    let platform = Platform::start().await;
    let source = source(&platform).await;
    assert_eq!(source.token().await.unwrap().expose(), "token-1");
    platform.hand.advance(Duration::from_secs(399));
    assert_eq!(source.token().await.unwrap().expose(), "token-1");
    platform.hand.advance(Duration::from_secs(1));
    assert_eq!(source.token().await.unwrap().expose(), "token-2");
}

#[tokio::test]
async fn a_refused_token_is_replaced_once_and_no_more() {
    let platform = Platform::start().await;
    let source = source(&platform).await;
    let api = source.api();
    let snapshot = || source.call(|token| async move { api.snapshot(&token).await });
    snapshot().await.unwrap();
    platform.state().revoked_tokens.insert("token-1".into());
    snapshot().await.unwrap();
    assert_eq!(platform.seen(LOGIN), 2);
    platform
        .state()
        .revoked_tokens
        .extend(["token-2".into(), "token-3".into()]);
    let error = snapshot().await.unwrap_err();
    assert!(error.is_unauthenticated(), "{error}");
    assert_eq!(platform.seen(LOGIN), 3);
}

#[tokio::test]
async fn a_clock_that_was_set_is_learned_anew() {
    let platform = Platform::start().await;
    let source = source(&platform).await;
    source.token().await.unwrap();
    // The platform's clock goes on; ours, by which the statement would be made, is an hour behind it now.
    platform.state().ahead = Duration::from_secs(3600);
    platform.hand.advance(Duration::from_secs(500));
    assert_eq!(source.token().await.unwrap().expose(), "token-2");
    assert_eq!(platform.seen("GET /api/v1/time"), 2);
    assert_eq!(platform.seen(LOGIN), 3);
}

#[tokio::test]
async fn an_expelled_daemon_asks_twice_and_gives_up() {
    let platform = Platform::start().await;
    let source = source(&platform).await;
    source.api().server_time().await.unwrap().1.unwrap();
    let body = problem_body(StatusCode::UNAUTHORIZED, "revoked", "the gateway was revoked");
    platform.fault(Fault::Answer(
        StatusCode::UNAUTHORIZED,
        "application/problem+json",
        body.clone(),
    ));
    // The time is asked for between the two statements.
    platform.fault(Fault::LoseAnswer);
    let error = source.token().await.unwrap_err();
    assert!(matches!(error, ApiError::Unreachable { .. }), "{error:?}");
    assert_eq!(platform.seen(LOGIN), 1);
    platform.fault(Fault::Answer(
        StatusCode::UNAUTHORIZED,
        "application/problem+json",
        body,
    ));
    assert_eq!(source.token().await.unwrap().expose(), "token-1");
    assert_eq!(platform.seen(LOGIN), 3);
}
