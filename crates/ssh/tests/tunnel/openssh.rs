//! A stock OpenSSH client as a gateway: `ssh -N -R gateway:1:host:port` with a user certificate.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::process::Stdio;
use std::sync::Arc;

use postern_ssh::Attempt;
use postern_sshkey::PrivateKey;
use tempfile::TempDir;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;
use tokio::process::{Child, Command};

use crate::world::{GATEWAY, HOST, World, client, soon, user_spec};

/// Starts `ssh` towards a port of this host, taking the relay's authority for its name.
fn ssh(world: &World, home: &TempDir, port: u16, arguments: &[&str]) -> Child {
    let key = PrivateKey::generate().unwrap();
    let certificate = user_spec(&key).sign(&world.user_authority).unwrap();
    let file = home.path().join("key");
    fs::write(&file, key.to_openssh().unwrap().as_bytes()).unwrap();
    fs::set_permissions(&file, PermissionsExt::from_mode(0o600)).unwrap();
    fs::write(home.path().join("key-cert.pub"), certificate.to_openssh()).unwrap();
    let authority = world.host_authority.public_key().to_openssh();
    fs::write(
        home.path().join("known"),
        format!("@cert-authority * {authority}\n"),
    )
    .unwrap();
    Command::new("ssh")
        .args([
            "-F",
            "/dev/null",
            "-N",
            "-o",
            "BatchMode=yes",
            "-o",
            "StrictHostKeyChecking=yes",
        ])
        .args([
            "-o",
            "UserKnownHostsFile=known",
            "-o",
            "GlobalKnownHostsFile=/dev/null",
        ])
        .args([
            "-o",
            "IdentitiesOnly=yes",
            "-o",
            "ExitOnForwardFailure=yes",
            "-i",
            "key",
        ])
        // Without this it offers the bare key too, which is refused and told.
        .args(["-o", "PubkeyAcceptedAlgorithms=ssh-ed25519-cert-v01@openssh.com"])
        .args(["-o", &format!("HostKeyAlias={HOST}"), "-p", &port.to_string()])
        .args(arguments)
        .arg(format!("{GATEWAY}@127.0.0.1"))
        .current_dir(home.path())
        .stdin(Stdio::null())
        .stderr(Stdio::null())
        .kill_on_drop(true)
        .spawn()
        .expect("ssh of OpenSSH is needed")
}

#[tokio::test]
async fn openssh_opens_the_tunnel_and_its_streams_reach_the_target() {
    let world = World::new();
    let home = TempDir::new().unwrap();
    let target = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let forward = format!("gateway:1:127.0.0.1:{}", target.local_addr().unwrap().port());
    let relay = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let mut child = ssh(
        &world,
        &home,
        relay.local_addr().unwrap().port(),
        &["-R", &forward],
    );
    let (tcp, source) = soon(relay.accept()).await.unwrap();
    let tunnel = soon(postern_ssh::accept(
        tcp,
        source,
        world.server(),
        Arc::clone(&world.judge),
    ))
    .await
    .unwrap();
    assert!(tunnel.facts().version.contains("OpenSSH"));
    assert_eq!(tunnel.facts().kex, "curve25519-sha256");
    for _ in 0..3 {
        let mut stream = soon(tunnel.open(client())).await.unwrap();
        let (mut end, _) = soon(target.accept()).await.unwrap();
        stream.write_all(b"to the target").await.unwrap();
        stream.shutdown().await.unwrap();
        let mut text = String::new();
        soon(end.read_to_string(&mut text)).await.unwrap();
        assert_eq!(text, "to the target");
        end.write_all(b"and back").await.unwrap();
        drop(end);
        let mut text = String::new();
        soon(stream.read_to_string(&mut text)).await.unwrap();
        assert_eq!(text, "and back");
    }
    assert!(world.judge.attempts().is_empty(), "{:?}", world.judge.attempts());
    tunnel.drain();
    let mut stream = soon(tunnel.open(client())).await.unwrap();
    let (mut end, _) = soon(target.accept()).await.unwrap();
    stream.write_all(b"x").await.unwrap();
    assert_eq!(soon(end.read_u8()).await.unwrap(), b'x');
    tunnel.close("enough");
    soon(child.wait()).await.unwrap();
    soon(tunnel.closed()).await;
}

#[tokio::test]
async fn openssh_gets_no_other_forward() {
    let world = World::new();
    let home = TempDir::new().unwrap();
    let relay = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = relay.local_addr().unwrap().port();
    let mut child = ssh(&world, &home, port, &["-R", "0.0.0.0:2200:127.0.0.1:22"]);
    let (tcp, source) = soon(relay.accept()).await.unwrap();
    let accepted = soon(postern_ssh::accept(
        tcp,
        source,
        world.server(),
        Arc::clone(&world.judge),
    ))
    .await;
    assert!(accepted.is_err());
    assert!(!soon(child.wait()).await.unwrap().success());
    assert_eq!(
        world.judge.attempts(),
        [(Attempt::Request, "tcpip-forward 0.0.0.0:2200".to_owned())]
    );
}

#[tokio::test]
async fn openssh_with_a_certificate_of_another_authority_is_refused() {
    let world = World::new();
    let stranger = World::new();
    let home = TempDir::new().unwrap();
    let relay = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = relay.local_addr().unwrap().port();
    let mut child = ssh(&world, &home, port, &["-R", "gateway:1:127.0.0.1:9"]);
    let (tcp, source) = soon(relay.accept()).await.unwrap();
    let server = Arc::new(world.server_signed_by(&world.host_authority));
    let accepted = soon(postern_ssh::accept(
        tcp,
        source,
        server,
        Arc::clone(&stranger.judge),
    ))
    .await;
    assert!(accepted.is_err());
    assert!(!soon(child.wait()).await.unwrap().success());
    assert!(!stranger.judge.asked.lock().unwrap().is_empty());
}
