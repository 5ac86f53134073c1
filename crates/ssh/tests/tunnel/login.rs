//! Who gets a tunnel, and who does not.

use std::sync::Arc;
use std::time::Duration;

use postern_ssh::{AcceptError, Attempt, ClientConfig, ConfigError, ConnectError, ServerConfig};
use postern_sshkey::PrivateKey;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::time::Instant;

use crate::world::{GATEWAY, World, host_spec, peer, soon, stream, user_spec, wire};

#[tokio::test]
async fn refuses_a_gateway_of_another_authority() {
    let world = World::new();
    let stranger = PrivateKey::generate().unwrap();
    let (tunnel, incoming) = world
        .meet(world.server(), &world.client_signed_by(&stranger))
        .await;
    assert_eq!(incoming.unwrap_err(), ConnectError::LoginRefused);
    assert_eq!(tunnel.unwrap_err(), AcceptError::Refused);
    assert_eq!(world.judge.asked.lock().unwrap().len(), 1);
}

#[tokio::test]
async fn refuses_a_gateway_under_another_user_name() {
    let world = World::new();
    let key = PrivateKey::generate().unwrap();
    let certificate = user_spec(&key).sign(&world.user_authority).unwrap();
    let client = ClientConfig::new("gateway-2", &key, &certificate).unwrap();
    let (tunnel, incoming) = world.meet(world.server(), &client).await;
    assert_eq!(incoming.unwrap_err(), ConnectError::LoginRefused);
    assert_eq!(tunnel.unwrap_err(), AcceptError::Refused);
}

#[tokio::test]
async fn refuses_a_host_certificate_in_place_of_a_users() {
    let world = World::new();
    let key = PrivateKey::generate().unwrap();
    let mut spec = host_spec(&key);
    spec.principals = vec![GATEWAY.to_owned()];
    let certificate = spec.sign(&world.user_authority).unwrap();
    let client = ClientConfig::new(GATEWAY, &key, &certificate).unwrap();
    let (tunnel, incoming) = world.meet(world.server(), &client).await;
    assert_eq!(incoming.unwrap_err(), ConnectError::LoginRefused);
    assert_eq!(tunnel.unwrap_err(), AcceptError::Refused);
}

#[tokio::test]
async fn refuses_an_expired_certificate_and_says_that_it_was_not_judged() {
    let world = World::new();
    let key = PrivateKey::generate().unwrap();
    let mut spec = user_spec(&key);
    spec.valid_before = 1_000_000;
    let certificate = spec.sign(&world.user_authority).unwrap();
    let client = ClientConfig::new(GATEWAY, &key, &certificate).unwrap();
    let (tunnel, incoming) = world.meet(world.server(), &client).await;
    assert_eq!(incoming.unwrap_err(), ConnectError::LoginRefused);
    assert_eq!(tunnel.unwrap_err(), AcceptError::Refused);
    let attempts = world.judge.attempts();
    assert_eq!(attempts.len(), 1);
    assert_eq!(attempts[0].0, Attempt::Unjudged);
}

#[tokio::test]
async fn a_gateway_refuses_a_relay_of_another_authority_before_it_says_who_it_is() {
    let world = World::new();
    let stranger = PrivateKey::generate().unwrap();
    let server = Arc::new(world.server_signed_by(&stranger));
    let (tunnel, incoming) = world.meet(server, &world.client()).await;
    let error = incoming.unwrap_err();
    assert!(matches!(error, ConnectError::Host(_)), "{error:?}");
    assert_eq!(error.code(), "unknown_authority");
    assert!(tunnel.is_err());
    assert!(world.judge.asked.lock().unwrap().is_empty());
    assert!(world.judge.attempts().is_empty());
}

#[tokio::test]
async fn a_gateway_refuses_the_certificate_of_another_host() {
    let world = World::new();
    let key = PrivateKey::generate().unwrap();
    let mut spec = host_spec(&key);
    spec.principals = vec!["other.test".to_owned()];
    let certificate = spec.sign(&world.host_authority).unwrap();
    let server = Arc::new(ServerConfig::new(&key, &certificate).unwrap());
    let (_, incoming) = world.meet(server, &world.client()).await;
    let error = incoming.unwrap_err();
    assert!(matches!(error, ConnectError::Host(_)), "{error:?}");
    assert_eq!(error.code(), "wrong_name");
}

#[tokio::test]
async fn a_new_certificate_serves_new_handshakes_and_tunnels_made_under_the_old_stay() {
    let world = World::new();
    let key = PrivateKey::generate().unwrap();
    let serve = |serial| {
        let mut spec = host_spec(&key);
        spec.serial = serial;
        let certificate = spec.sign(&world.host_authority).unwrap();
        Arc::new(ServerConfig::new(&key, &certificate).unwrap())
    };
    let client = world.client();
    let (old, old_incoming) = world.meet(serve(1), &client).await;
    let (new, new_incoming) = world.meet(serve(2), &client).await;
    let (old, mut old_incoming, new) = (old.unwrap(), old_incoming.unwrap(), new.unwrap());
    assert_eq!(old_incoming.certificate().serial(), 1);
    assert_eq!(new_incoming.unwrap().certificate().serial(), 2);
    let (mut relay, mut gateway) = stream(&old, &mut old_incoming).await;
    relay.write_all(b"x").await.unwrap();
    assert_eq!(soon(gateway.read_u8()).await.unwrap(), b'x');
    drop(new);
}

#[test]
fn a_configuration_needs_the_key_of_its_certificate_and_the_right_type() {
    let world = World::new();
    let key = PrivateKey::generate().unwrap();
    let other = PrivateKey::generate().unwrap();
    let host = host_spec(&key).sign(&world.host_authority).unwrap();
    let user = user_spec(&key).sign(&world.user_authority).unwrap();
    assert_eq!(
        ServerConfig::new(&other, &host).unwrap_err(),
        ConfigError::OtherKey
    );
    assert_eq!(
        ServerConfig::new(&key, &user).unwrap_err(),
        ConfigError::Certificate
    );
    assert_eq!(
        ClientConfig::new(GATEWAY, &other, &user).unwrap_err(),
        ConfigError::OtherKey
    );
    assert!(!format!("{:?}", ServerConfig::new(&key, &host).unwrap()).contains("PRIVATE"));
}

#[tokio::test(start_paused = true)]
async fn a_peer_that_says_nothing_is_cut_off() {
    let world = World::new();
    let (io, _held) = wire();
    let server = world.server();
    let began = Instant::now();
    let error = postern_ssh::accept(io, peer(), server, Arc::clone(&world.judge))
        .await
        .unwrap_err();
    assert!(began.elapsed() <= Duration::from_secs(10));
    assert_eq!(error.unrecorded_code(), Some("handshake_failed"));
}

#[tokio::test(start_paused = true)]
async fn a_peer_that_trickles_is_cut_off_at_the_deadline() {
    let world = World::new();
    let (io, mut held) = wire();
    let server = world.server();
    let began = Instant::now();
    let trickle = tokio::spawn(async move {
        while held.write_all(b"SSH-2.0-").await.is_ok() {
            tokio::time::sleep(Duration::from_secs(1)).await;
        }
    });
    let error = postern_ssh::accept(io, peer(), server, Arc::clone(&world.judge))
        .await
        .unwrap_err();
    assert_eq!(error, AcceptError::Deadline);
    assert_eq!(began.elapsed().as_secs(), 10);
    trickle.abort();
}

#[tokio::test]
async fn a_peer_that_does_not_speak_ssh_or_not_strictly_is_refused() {
    let world = World::new();
    let strictless = {
        let mut payload = vec![20];
        payload.extend_from_slice(&[7; 16]);
        for list in [
            "curve25519-sha256",
            "ssh-ed25519-cert-v01@openssh.com",
            "aes256-gcm@openssh.com",
        ] {
            payload.extend_from_slice(&u32::try_from(list.len()).unwrap().to_be_bytes());
            payload.extend_from_slice(list.as_bytes());
        }
        let mut bytes = b"SSH-2.0-Old\r\n".to_vec();
        bytes.extend_from_slice(&u32::try_from(payload.len() + 5).unwrap().to_be_bytes());
        bytes.push(4);
        bytes.extend_from_slice(&payload);
        bytes.extend_from_slice(&[0; 4]);
        bytes
    };
    for first in [
        &b"GET / HTTP/1.1\r\n\r\n"[..],
        b"SSH-1.5-Old\r\n",
        b"\x16\x03\x01\x02\x00",
        &strictless,
    ] {
        let (io, mut held) = wire();
        let accepting = tokio::spawn(postern_ssh::accept(
            io,
            peer(),
            world.server(),
            Arc::clone(&world.judge),
        ));
        held.write_all(first).await.unwrap();
        held.shutdown().await.unwrap();
        let mut rest = Vec::new();
        soon(held.read_to_end(&mut rest)).await.unwrap();
        let error = soon(accepting).await.unwrap().unwrap_err();
        assert!(matches!(error, AcceptError::Handshake(_)), "{error:?}");
    }
}
