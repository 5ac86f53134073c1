//! The daemon's life: init, bind, run, drain.

use std::os::unix::fs::PermissionsExt as _;

use http::Method;
use postern_platform::config::Config;
use postern_platform::{InitError, InitOptions, Platform, StartError};
use postern_transport::Clock;

use crate::world::{World, connect_h1, request};

#[tokio::test]
async fn init_makes_a_password_once_and_keeps_everything_to_its_owner() {
    let parent = tempfile::tempdir().unwrap();
    let directory = parent.path().join("data");
    let made = Platform::init(&directory, InitOptions::default(), Clock::system().now())
        .await
        .unwrap();
    let report = made.report();
    let password = made.password.unwrap();
    assert!(password.expose().len() >= 20 && report.expose().contains(password.expose().as_str()));
    assert!(report.expose().contains(&made.pins[0].to_string()));
    let mode = |path: &std::path::Path| path.metadata().unwrap().permissions().mode() & 0o777;
    assert_eq!(mode(&directory), 0o700);
    for file in ["root.key", "platform.db", "platform.toml"] {
        assert_eq!(mode(&directory.join(file)), 0o600, "{file}");
    }
}

#[tokio::test]
async fn init_over_an_instance_touches_nothing() {
    let directory = tempfile::tempdir().unwrap();
    let now = Clock::system().now();
    Platform::init(directory.path(), InitOptions::default(), now)
        .await
        .unwrap();
    let key = std::fs::read(directory.path().join("root.key")).unwrap();
    let again = Platform::init(directory.path(), InitOptions::default(), now).await;
    assert!(matches!(again, Err(InitError::Exists(_))));
    assert_eq!(std::fs::read(directory.path().join("root.key")).unwrap(), key);
    Platform::bind(Config::for_data_directory(directory.path()), Clock::system())
        .await
        .unwrap();
}

#[tokio::test]
async fn a_failed_init_leaves_nothing_behind_and_can_be_repeated() {
    let directory = tempfile::tempdir().unwrap();
    let now = Clock::system().now();
    let short = InitOptions {
        password: Some(postern_domain::Secret::new("short".into())),
        ..InitOptions::default()
    };
    assert!(Platform::init(directory.path(), short, now).await.is_err());
    assert!(!directory.path().join("root.key").exists());
    Platform::init(directory.path(), InitOptions::default(), now)
        .await
        .unwrap();
}

#[tokio::test]
async fn refuses_to_serve_without_an_instance_or_with_another_root_key() {
    let directory = tempfile::tempdir().unwrap();
    let config = || Config::for_data_directory(directory.path());
    let missing = Platform::bind(config(), Clock::system()).await;
    assert!(matches!(missing, Err(StartError::RootKey(_))));
    let now = Clock::system().now();
    Platform::init(directory.path(), InitOptions::default(), now)
        .await
        .unwrap();
    let other = tempfile::tempdir().unwrap();
    Platform::init(other.path(), InitOptions::default(), now)
        .await
        .unwrap();
    std::fs::copy(other.path().join("root.key"), directory.path().join("root.key")).unwrap();
    let wrong = Platform::bind(config(), Clock::system()).await.unwrap_err();
    assert!(wrong.to_string().contains("root key"), "{wrong}");
}

#[tokio::test]
async fn a_taken_port_is_named() {
    let world = World::start().await;
    let mut config = Config::for_data_directory(world.directory.path());
    config.server.listen = world.address;
    let taken = Platform::bind(config, Clock::system()).await.unwrap_err();
    assert!(taken.to_string().contains(&world.address.to_string()), "{taken}");
}

#[tokio::test]
async fn a_drain_lets_go_of_idle_connections_and_closes_the_port() {
    let world = World::start().await;
    let mut idle = connect_h1(world.address, &world.pins).await;
    idle.send_request(request(world.address, Method::GET, "/time", "", None))
        .await
        .unwrap();
    let address = world.address;
    let directory = world.stop().await;
    assert!(tokio::net::TcpStream::connect(address).await.is_err());
    Platform::bind(Config::for_data_directory(directory.path()), Clock::system())
        .await
        .unwrap();
}

#[tokio::test]
async fn what_was_made_is_there_after_a_restart_and_old_tokens_still_count() {
    let world = World::start().await;
    let administrator = world.administrator().await;
    let tenant = world.tenant(&administrator, "a").await;
    let directory = world.stop().await;
    let bound = Platform::bind(Config::for_data_directory(directory.path()), Clock::system())
        .await
        .unwrap();
    let (address, pins) = (bound.local_addr(), bound.pins().to_vec());
    let (hand, drain) = postern_transport::Drain::new();
    let running = tokio::spawn(bound.run(drain));
    let mut client = connect_h1(address, &pins).await;
    let answer = client
        .send_request(request(address, Method::GET, "/whoami", &tenant.token, None))
        .await
        .unwrap();
    assert_eq!(answer.status(), 200);
    drop((client, answer));
    hand.start();
    running.await.unwrap();
}
