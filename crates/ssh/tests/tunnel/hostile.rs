//! Peers that ask for what is not offered: a gateway that is no gateway, a relay that is no relay.

use std::sync::Arc;

use postern_ssh::{AcceptError, Attempt};
use postern_sshkey::{Certificate, PrivateKey};
use russh::client::{AuthResult, Handle};
use russh::keys::{PrivateKeyWithHashAlg, PublicKeyOrCertificate};
use russh::server::{Auth, Session};
use russh::{Preferred, client, server};
use tokio::io::DuplexStream;
use tokio::sync::oneshot;

use crate::world::{GATEWAY, World, host_spec, peer, soon, user_spec, wire};

/// A client that takes any server.
struct Anyone;

impl client::Handler for Anyone {
    type Error = russh::Error;

    async fn check_server_key(&mut self, _key: &PublicKeyOrCertificate) -> Result<bool, russh::Error> {
        Ok(true)
    }
}

async fn dial(io: DuplexStream) -> Handle<Anyone> {
    let config = client::Config {
        preferred: Preferred {
            host_key_certificates: vec![russh::keys::Algorithm::Ed25519].into(),
            ..Preferred::DEFAULT
        },
        ..client::Config::default()
    };
    client::connect_stream(Arc::new(config), io, Anyone)
        .await
        .unwrap()
}

fn library_key(key: &PrivateKey) -> Arc<russh::keys::PrivateKey> {
    Arc::new(russh::keys::PrivateKey::from_openssh(key.to_openssh().unwrap().as_bytes()).unwrap())
}

fn library_certificate(certificate: &Certificate) -> russh::keys::Certificate {
    russh::keys::Certificate::from_bytes(certificate.as_bytes()).unwrap()
}

/// A client that has logged in with a good certificate and not yet asked for the tunnel.
async fn logged_in(world: &World, io: DuplexStream) -> Handle<Anyone> {
    let key = PrivateKey::generate().unwrap();
    let certificate = user_spec(&key).sign(&world.user_authority).unwrap();
    let mut handle = dial(io).await;
    let result = handle
        .authenticate_openssh_cert(GATEWAY, library_key(&key), library_certificate(&certificate))
        .await
        .unwrap();
    assert_eq!(result, AuthResult::Success);
    handle
}

#[tokio::test]
async fn passwords_and_bare_keys_are_refused_and_told_and_none_is_no_strike() {
    let world = World::new();
    let (relay_end, io) = wire();
    let accepting = tokio::spawn(postern_ssh::accept(
        relay_end,
        peer(),
        world.server(),
        Arc::clone(&world.judge),
    ));
    let mut handle = dial(io).await;
    assert!(!handle.authenticate_none("root").await.unwrap().success());
    assert!(world.judge.attempts().is_empty());
    assert!(
        !handle
            .authenticate_password("root", "hunter2")
            .await
            .unwrap()
            .success()
    );
    drop(
        handle
            .authenticate_keyboard_interactive_start("root", None::<String>)
            .await
            .unwrap(),
    );
    let key = PrivateKeyWithHashAlg::new(library_key(&world.user_authority), None);
    assert!(
        !handle
            .authenticate_publickey(GATEWAY, key)
            .await
            .unwrap()
            .success()
    );
    drop(handle);
    assert_eq!(soon(accepting).await.unwrap().unwrap_err(), AcceptError::Refused);
    let attempts = world.judge.attempts();
    let kinds: Vec<_> = attempts.iter().map(|(attempt, _)| *attempt).collect();
    assert_eq!(kinds, [Attempt::Method, Attempt::Method, Attempt::BareKey]);
    assert!(attempts[0].1.contains("root") && !attempts[0].1.contains("hunter2"));
    let fingerprint = world.user_authority.public_key().fingerprint();
    assert!(attempts[2].1.contains(&fingerprint), "{}", attempts[2].1);
    assert!(world.judge.asked.lock().unwrap().is_empty());
}

#[tokio::test]
async fn a_certificate_without_its_key_is_refused() {
    let world = World::new();
    let (relay_end, io) = wire();
    let accepting = tokio::spawn(postern_ssh::accept(
        relay_end,
        peer(),
        world.server(),
        Arc::clone(&world.judge),
    ));
    let key = PrivateKey::generate().unwrap();
    let thief = PrivateKey::generate().unwrap();
    let certificate = user_spec(&key).sign(&world.user_authority).unwrap();
    let mut handle = dial(io).await;
    let result = handle
        .authenticate_openssh_cert(GATEWAY, library_key(&thief), library_certificate(&certificate))
        .await;
    assert!(!result.is_ok_and(|result| result.success()));
    drop(handle);
    assert!(soon(accepting).await.unwrap().is_err());
    // Identity exists only after the signature over this session: nobody was judged.
    assert!(world.judge.asked.lock().unwrap().is_empty());
}

#[tokio::test]
async fn guessing_on_ends_the_connection() {
    let world = World::new();
    let (relay_end, io) = wire();
    let accepting = tokio::spawn(postern_ssh::accept(
        relay_end,
        peer(),
        world.server(),
        Arc::clone(&world.judge),
    ));
    let mut handle = dial(io).await;
    let mut guesses = 0;
    while handle.authenticate_password("root", "guess").await.is_ok() && !handle.is_closed() {
        guesses += 1;
        assert!(guesses < 20);
    }
    assert_eq!(soon(accepting).await.unwrap().unwrap_err(), AcceptError::Refused);
    assert!(world.judge.attempts().len() <= 6);
}

#[tokio::test]
async fn any_other_forward_and_a_second_one_are_refused_and_told() {
    let world = World::new();
    let (relay_end, io) = wire();
    let accepting = tokio::spawn(postern_ssh::accept(
        relay_end,
        peer(),
        world.server(),
        Arc::clone(&world.judge),
    ));
    let handle = logged_in(&world, io).await;
    for (address, port) in [("gateway", 2), ("", 1), ("0.0.0.0", 22), ("localhost", 0)] {
        assert!(
            handle.tcpip_forward(address, port).await.is_err(),
            "{address}:{port}"
        );
    }
    assert!(handle.streamlocal_forward("/tmp/x").await.is_err());
    assert!(handle.tcpip_forward("gateway", 1).await.is_ok());
    let tunnel = soon(accepting).await.unwrap().unwrap();
    assert!(handle.tcpip_forward("gateway", 1).await.is_err());
    assert!(handle.cancel_tcpip_forward("gateway", 1).await.is_err());
    let attempts = world.judge.attempts();
    assert_eq!(attempts.len(), 7);
    assert!(attempts.iter().all(|(attempt, _)| *attempt == Attempt::Request));
    assert_eq!(attempts[2].1, "tcpip-forward 0.0.0.0:22");
    assert!(tunnel.is_open());
}

#[tokio::test]
async fn no_channel_can_be_opened_towards_the_relay() {
    let world = World::new();
    let (relay_end, io) = wire();
    let accepting = tokio::spawn(postern_ssh::accept(
        relay_end,
        peer(),
        world.server(),
        Arc::clone(&world.judge),
    ));
    let handle = logged_in(&world, io).await;
    assert!(handle.channel_open_session().await.is_err());
    assert!(
        handle
            .channel_open_direct_tcpip("10.0.0.1", 22, "127.0.0.1", 1)
            .await
            .is_err()
    );
    assert!(
        handle
            .channel_open_direct_streamlocal("/var/run/docker.sock")
            .await
            .is_err()
    );
    assert!(handle.channel_open_x11("127.0.0.1", 6000).await.is_err());
    let attempts = world.judge.attempts();
    let told: Vec<_> = attempts.iter().map(|(_, detail)| detail.as_str()).collect();
    assert_eq!(
        told,
        [
            "session",
            "direct-tcpip 10.0.0.1:22",
            "direct-streamlocal /var/run/docker.sock",
            "x11"
        ]
    );
    assert!(attempts.iter().all(|(attempt, _)| *attempt == Attempt::Channel));
    drop(handle);
    assert!(soon(accepting).await.unwrap().is_err());
}

#[tokio::test]
async fn asking_on_for_what_is_refused_ends_the_tunnel() {
    let world = World::new();
    let (relay_end, io) = wire();
    let accepting = tokio::spawn(postern_ssh::accept(
        relay_end,
        peer(),
        world.server(),
        Arc::clone(&world.judge),
    ));
    let handle = logged_in(&world, io).await;
    handle.tcpip_forward("gateway", 1).await.unwrap();
    let tunnel = soon(accepting).await.unwrap().unwrap();
    for _ in 0..40 {
        drop(handle.channel_open_session().await);
    }
    soon(tunnel.closed()).await;
    assert_eq!(world.judge.attempts().len(), 16);
}

/// A relay that admits anybody and then asks for what it may not have.
struct Greedy {
    opened: Option<oneshot::Sender<server::Handle>>,
}

impl server::Handler for Greedy {
    type Error = russh::Error;

    async fn auth_openssh_certificate(
        &mut self,
        _user: &str,
        _certificate: &russh::keys::Certificate,
    ) -> Result<Auth, russh::Error> {
        Ok(Auth::Accept)
    }

    async fn tcpip_forward(
        &mut self,
        _address: &str,
        _port: &mut u32,
        session: &mut Session,
    ) -> Result<bool, russh::Error> {
        if let Some(opened) = self.opened.take() {
            drop(opened.send(session.handle()));
        }
        Ok(true)
    }
}

#[tokio::test]
async fn a_gateway_refuses_every_channel_but_the_tunnels_own_and_tells_its_judge() {
    let world = World::new();
    let (relay_end, io) = wire();
    let key = PrivateKey::generate().unwrap();
    let certificate = host_spec(&key).sign(&world.host_authority).unwrap();
    let (opened, handle) = oneshot::channel();
    let config = server::Config {
        keys: vec![(*library_key(&key)).clone()],
        certificates: vec![library_certificate(&certificate)],
        ..server::Config::default()
    };
    let relay = tokio::spawn(server::run_stream(
        Arc::new(config),
        relay_end,
        Greedy { opened: Some(opened) },
    ));
    let client = world.client();
    let incoming = postern_ssh::connect(io, &client, Arc::clone(&world.host_judge))
        .await
        .unwrap();
    let handle = soon(handle).await.unwrap();
    assert!(handle.channel_open_session().await.is_err());
    assert!(
        handle
            .channel_open_direct_tcpip("169.254.169.254", 80, "::1", 1)
            .await
            .is_err()
    );
    assert!(
        handle
            .channel_open_forwarded_tcpip("gateway", 2, "::1", 1)
            .await
            .is_err()
    );
    assert!(
        handle
            .channel_open_forwarded_tcpip("other", 1, "::1", 1)
            .await
            .is_err()
    );
    assert!(handle.channel_open_forwarded_streamlocal("/x").await.is_err());
    assert!(handle.channel_open_agent().await.is_err());
    assert!(handle.channel_open_x11("::1", 1).await.is_err());
    let told: Vec<_> = {
        let attempts = world.host_judge.attempts.lock().unwrap();
        attempts.iter().map(|attempt| attempt.detail.clone()).collect()
    };
    assert_eq!(
        told,
        [
            "session",
            "direct-tcpip 169.254.169.254:80",
            "forwarded-tcpip gateway:2",
            "forwarded-tcpip other:1",
            "forwarded-streamlocal /x",
            "auth-agent",
            "x11",
        ]
    );
    let accepted = handle.channel_open_forwarded_tcpip("gateway", 1, "::1", 1).await;
    assert!(accepted.is_ok());
    drop(incoming);
    drop(soon(relay).await);
}

#[tokio::test]
async fn a_gateway_refuses_a_relay_without_a_certificate() {
    let world = World::new();
    let (relay_end, io) = wire();
    let key = PrivateKey::generate().unwrap();
    let config = server::Config {
        keys: vec![(*library_key(&key)).clone()],
        ..server::Config::default()
    };
    let relay = tokio::spawn(server::run_stream(
        Arc::new(config),
        relay_end,
        Greedy { opened: None },
    ));
    let client = world.client();
    let error = postern_ssh::connect(io, &client, Arc::clone(&world.host_judge))
        .await
        .unwrap_err();
    assert_eq!(error.code(), "handshake_failed");
    drop(soon(relay).await);
}
