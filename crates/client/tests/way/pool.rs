//! One session for many connections.

use std::sync::Arc;
use std::time::Duration;

use postern_client::Pool;
use postern_domain::{Port, Reason};
use tokio::task::JoinSet;

use crate::support::{Platform, Role, Scene, greet};

fn pool(scene: &Scene, platform: &Arc<Platform>) -> Arc<Pool<Arc<Platform>>> {
    Arc::new(Pool::new(scene.connector(platform), vec![scene.resource().0]))
}

#[tokio::test]
async fn connections_that_begin_together_share_one_session() {
    let scene = Scene::new();
    let gateway = scene.gateway();
    let relay = scene.relay(Role::Leads(Arc::clone(&gateway))).await;
    let platform = scene.platform(&[&relay]);
    let pool = pool(&scene, &platform);
    assert_eq!(platform.asked(), 0);
    let (resource, port) = scene.resource();
    let mut all = JoinSet::new();
    for _ in 0..20 {
        let pool = Arc::clone(&pool);
        all.spawn(async move { greet(&mut pool.open(resource, port).await.unwrap()).await });
    }
    while let Some(done) = all.join_next().await {
        done.unwrap();
    }
    assert_eq!((platform.asked(), gateway.sessions()), (1, 1));
}

#[tokio::test]
async fn a_lost_session_is_made_anew_at_the_next_connection() {
    let scene = Scene::new();
    let gateway = scene.gateway();
    let relay = scene.relay(Role::Leads(Arc::clone(&gateway))).await;
    let platform = scene.platform(&[&relay]);
    let pool = pool(&scene, &platform);
    let (resource, port) = scene.resource();
    greet(&mut pool.open(resource, port).await.unwrap()).await;
    // The pool has not heard of it yet when the next connection begins.
    gateway.end_all(Reason::Draining);
    greet(&mut pool.open(resource, port).await.unwrap()).await;
    assert_eq!(platform.asked(), 2);
}

#[tokio::test]
async fn a_session_near_its_end_is_replaced_and_its_streams_go_on() {
    let scene = Scene::new();
    let gateway = scene.gateway();
    let relay = scene.relay(Role::Leads(Arc::clone(&gateway))).await;
    let platform = scene.platform(&[&relay]);
    let pool = pool(&scene, &platform);
    let (resource, port) = scene.resource();
    let mut old = pool.open(resource, port).await.unwrap();
    let first = pool.session().await.unwrap();
    assert!(Arc::ptr_eq(&first, &pool.session().await.unwrap()));

    // The world does not certify later than it was made, so the next attempt fails; that it is made is the point.
    scene.hand.set(first.expires().minus(Duration::from_secs(29)));
    pool.open(resource, port).await.unwrap_err();
    assert_eq!(platform.asked(), 2);
    greet(&mut old).await;
}

#[tokio::test]
async fn whoever_waits_for_a_failing_attempt_shares_its_failure() {
    let scene = Scene::new();
    let platform = scene.platform(&[]);
    *platform.refusal.lock().unwrap() = Some(Reason::Forbidden);
    let pool = pool(&scene, &platform);
    let (resource, port) = scene.resource();
    let mut all = JoinSet::new();
    for _ in 0..20 {
        let pool = Arc::clone(&pool);
        all.spawn(async move { pool.open(resource, port).await.unwrap_err().reason });
    }
    while let Some(reason) = all.join_next().await {
        assert_eq!(reason.unwrap(), Reason::Forbidden);
    }
    assert_eq!(platform.asked(), 1);
    // Whoever comes later is not put off with an old failure.
    pool.open(resource, port).await.unwrap_err();
    assert_eq!(platform.asked(), 2);
}

#[tokio::test]
async fn a_refused_connection_does_not_cost_the_session() {
    let scene = Scene::new();
    let relay = scene.relay(Role::Leads(scene.gateway())).await;
    let platform = scene.platform(&[&relay]);
    let pool = pool(&scene, &platform);
    let (resource, port) = scene.resource();
    let error = pool.open(resource, Port::new(1).unwrap()).await.unwrap_err();
    assert_eq!(error.reason, Reason::ResourceNotGranted);
    greet(&mut pool.open(resource, port).await.unwrap()).await;
    assert_eq!(platform.asked(), 1);
}
