//! What a process does when it is asked to stop. The signals are real, so there is one test only.
#![allow(clippy::unwrap_used, reason = "tests fail by panicking, their helpers too")]

use std::future::pending;

use postern_transport::{Drain, Signals};
use tokio::process::Command;

async fn signal(name: &str) {
    let line = format!("kill -{name} {}", std::process::id());
    assert!(
        Command::new("sh")
            .args(["-c", &line])
            .status()
            .await
            .unwrap()
            .success()
    );
}

#[tokio::test]
async fn the_first_signal_drains_and_the_second_gives_up() {
    let (hand, drain) = Drain::new();
    let signals = Signals::listen().unwrap();
    let work = async {
        signal("TERM").await;
        drain.draining().await;
        "finished in order"
    };
    assert_eq!(signals.govern(hand, work).await, Some("finished in order"));

    let (hand, drain) = Drain::new();
    let signals = Signals::listen().unwrap();
    let work = async {
        signal("INT").await;
        drain.draining().await;
        signal("TERM").await;
        pending::<()>().await
    };
    assert_eq!(signals.govern(hand, work).await, None);

    let (hand, drain) = Drain::new();
    assert_eq!(
        Signals::listen().unwrap().govern(hand, async { 7 }).await,
        Some(7)
    );
    assert!(drain.is_draining(), "whoever is left learns that it is over");
}
