//! Stock OpenSSH as a gateway's tunnel at the real relay: it carries inner sessions, and gets nothing else.

use std::io::Write as _;
use std::net::SocketAddr;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, ensure};
use postern_api::ListQuery;
use postern_audit::{Hop, Outcome};
use postern_client::Connector;
use postern_domain::{AuthorityRole, Reason, Scope};
use postern_gateway::{Gateway, Inner, Origin};
use postern_testkit::parts::command::{Output, command, run};
use postern_testkit::records::wait_for_record;
use postern_testkit::state::DaemonFiles;
use postern_testkit::{EnrolledGateway, World};
use postern_transport::Drain;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::process::Command;
use tokio::task::JoinSet;

use crate::bounded;

const MINUTE: Duration = Duration::from_secs(60);
/// The rules of the gateway under test: it may dial loopback, where the target is.
const RULES: &str = "[[allow_forbidden]]\naddress = \"127.0.0.1\"\n";

/// OpenSSH with a gateway's key and certificate, and the relays' authority.
struct Ssh {
    directory: PathBuf,
    user: String,
    relay: SocketAddr,
}

impl Ssh {
    async fn new(world: &World, gateway: &EnrolledGateway) -> anyhow::Result<Self> {
        let files = DaemonFiles::read(&gateway.state)?;
        let directory = world.directory().join("ssh");
        std::fs::create_dir(&directory)?;
        let mut options = std::fs::OpenOptions::new();
        let options = options.write(true).create_new(true).mode(0o600);
        let mut key = options.open(directory.join("key"))?;
        key.write_all(files.keys.ssh.to_openssh()?.as_bytes())?;
        std::fs::write(directory.join("key-cert.pub"), &files.certificates.ssh)?;
        let admin = world.stack.administrator().await?;
        let query = ListQuery::default();
        let authorities = world.stack.api.list_authorities(&admin, &query).await?;
        let mut found = authorities.items.into_iter();
        let authority = found
            .find(|a| a.owner == Scope::Instance && a.role == AuthorityRole::RelaySshServer)
            .context("the authority of relays")?;
        let relay = world.stack.relay_ssh;
        let known = format!(
            "@cert-authority [{}]:{} {}\n",
            relay.ip(),
            relay.port(),
            authority.public
        );
        std::fs::write(directory.join("known_hosts"), known)?;
        Ok(Self {
            directory,
            user: gateway.id.to_string(),
            relay,
        })
    }

    /// Makes `ssh` with these options before the destination and this command after it.
    fn command(&self, options: &[&str], after: &[&str]) -> Command {
        let mut ssh = command("ssh");
        ssh.args(["-F", "/dev/null", "-T", "-i", "key", "-l", &self.user]);
        ssh.args(["-p", &self.relay.port().to_string()]);
        for option in [
            "BatchMode=yes",
            "StrictHostKeyChecking=yes",
            "UserKnownHostsFile=known_hosts",
            "GlobalKnownHostsFile=/dev/null",
            "HostKeyAlgorithms=ssh-ed25519-cert-v01@openssh.com",
            "IdentitiesOnly=yes",
            // Without this it offers the bare key too, which is refused and recorded.
            "PubkeyAcceptedAlgorithms=ssh-ed25519-cert-v01@openssh.com",
            "ExitOnForwardFailure=yes",
        ] {
            ssh.args(["-o", option]);
        }
        ssh.args(options).arg(self.relay.ip().to_string()).args(after);
        ssh.current_dir(&self.directory);
        ssh
    }
}

/// Serves each connection to `listener` as one inner session, until the drain.
async fn serve_inner(listener: TcpListener, drain: Drain, inner: Inner) {
    let mut sessions = JoinSet::new();
    loop {
        tokio::select! {
            accepted = listener.accept() => {
                let Ok((stream, _)) = accepted else { return };
                let inner = inner.clone();
                let origin = Origin { source: None, relay: None };
                sessions.spawn(async move { inner.serve(stream, origin).await });
            }
            () = drain.draining() => break,
        }
    }
    while sessions.join_next().await.is_some() {}
}

/// Answers each connection with what it receives.
async fn echo(listener: TcpListener) {
    let mut connections = JoinSet::new();
    while let Ok((mut stream, _)) = listener.accept().await {
        connections.spawn(async move {
            let (mut reader, mut writer) = stream.split();
            tokio::io::copy(&mut reader, &mut writer).await.ok();
            writer.shutdown().await.ok();
        });
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn openssh_holds_a_gateways_tunnel_and_carries_an_inner_session() -> anyhow::Result<()> {
    bounded(async {
        let world = World::start().await?;
        let target = TcpListener::bind("127.0.0.1:0").await?;
        let gateway = world.enroll_gateway("stock", &[world.stack.relay]).await?;
        let resource = world
            .resource_behind(gateway.id, "echo", target.local_addr()?)
            .await?;
        let mut tasks = JoinSet::new();
        tasks.spawn(echo(target));

        let ssh = Ssh::new(&world, &gateway).await?;
        let inside = TcpListener::bind("127.0.0.1:0").await?;
        let forward = format!("gateway:1:127.0.0.1:{}", inside.local_addr()?.port());
        let mut tunnel = ssh.command(&["-N", "-R", &forward], &[]).spawn()?;

        let rules = world.directory().join("stock-rules.toml");
        std::fs::write(&rules, RULES)?;
        let config = postern_gateway::Config {
            state: postern_gateway::config::State {
                directory: gateway.state.clone(),
            },
            rules: postern_gateway::config::RuleFile { file: Some(rules) },
            ..postern_gateway::Config::default()
        };
        let running = Gateway::start(&config, world.stack.clock().clone()).await?;
        let mut policy = running.policy();
        let (hand, drain) = Drain::new();
        let feeding = drain.clone();
        tasks.spawn(async move {
            let feed = async |inner| serve_inner(inside, feeding, inner).await;
            running.run_over(drain, feed).await;
        });
        policy
            .wait_for(|policy| policy.projects.values().any(|all| all.contains_key(&resource.id)))
            .await?;
        wait_for_record(&world.relay_spool(), |record| {
            let event = &record.event;
            event.gateway == Some(gateway.id)
                && event.action == "tunnel.open"
                && event.outcome == Outcome::Allowed
        })
        .await?;

        let connector = Connector::new(Arc::clone(&world.seeded.developer), world.stack.clock().clone());
        let mut looks = tokio::time::interval(Duration::from_millis(20));
        let session = loop {
            looks.tick().await;
            match connector.connect(&[resource.id], |_| ()).await {
                // The relay enters a tunnel in its routes right after it is on record.
                Err(error) if error.reason == Reason::GatewayOffline => (),
                connected => break connected?,
            }
        };
        // More than one window of SSH's, so that flow control is met as well.
        let sent: Vec<u8> = (0..3_000_000_u32).map(|i| (i % 251) as u8).collect();
        let (mut reader, mut writer) = tokio::io::split(session.open_granted(resource.id).await?);
        let writing = async {
            writer.write_all(&sent).await?;
            writer.shutdown().await
        };
        let mut received = Vec::new();
        let (written, read) = tokio::join!(writing, reader.read_to_end(&mut received));
        written?;
        read?;
        ensure!(received == sent, "{} bytes came back", received.len());
        ensure!(tunnel.try_wait()?.is_none(), "ssh has ended");

        drop((reader, writer, session));
        hand.start();
        tunnel.kill().await?;
        tasks.abort_all();
        while tasks.join_next().await.is_some() {}
        world.stop().await;
        Ok(())
    })
    .await
}

/// Runs `ssh`, which must fail, and finds on record that `what` was refused.
async fn refused(world: &World, mut ssh: Command, what: &str) -> anyhow::Result<Output> {
    let output = run(&mut ssh, MINUTE).await?;
    ensure!(
        !output.status.success() && output.stdout.is_empty(),
        "{what}: {} {}",
        output.status,
        output.stderr
    );
    on_record(world, what).await?;
    Ok(output)
}

async fn on_record(world: &World, what: &str) -> anyhow::Result<()> {
    let spool = world.relay_spool();
    let record = wait_for_record(&spool, |record| {
        let event = &record.event;
        event.hop == Hop::RelaySsh && event.detail.as_ref().is_some_and(|detail| detail.ends_with(what))
    });
    let event = record
        .await
        .with_context(|| format!("no record of {what}"))?
        .event;
    ensure!(
        (event.outcome, event.reason) == (Outcome::Refused, Some(Reason::RequestNotOffered)),
        "{what}: {event:?}"
    );
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn openssh_with_a_gateways_certificate_gets_nothing_but_the_tunnel() -> anyhow::Result<()> {
    bounded(async {
        let world = World::start().await?;
        let gateway = world.enroll_gateway("stock", &[world.stack.relay]).await?;
        let ssh = Ssh::new(&world, &gateway).await?;
        let target = TcpListener::bind("127.0.0.1:0").await?;
        let port = target.local_addr()?.port();

        // A shell, then a command: both need a session, and there is none to be had.
        refused(&world, ssh.command(&[], &[]), ": session").await?;
        let before = sessions_refused(&world)?;
        refused(&world, ssh.command(&[], &["id"]), ": session").await?;
        ensure!(sessions_refused(&world)? > before, "the command is not on record");

        let to_target = format!("127.0.0.1:{port}");
        let direct = format!("direct-tcpip {to_target}");
        refused(&world, ssh.command(&["-W", &to_target], &[]), &direct).await?;
        for forward in ["gateway:2", "other:1", "127.0.0.1:2200"] {
            let remote = format!("{forward}:{to_target}");
            let what = format!("tcpip-forward {forward}");
            refused(&world, ssh.command(&["-N", "-R", &remote], &[]), &what).await?;
        }
        let socket = world.directory().join("socket");
        let remote = format!("{}:{to_target}", socket.display());
        let what = format!("streamlocal-forward {}", socket.display());
        refused(&world, ssh.command(&["-N", "-R", &remote], &[]), &what).await?;

        // With the tunnel open, a local forward beside it leads nowhere.
        let local = TcpListener::bind("127.0.0.1:0").await?.local_addr()?;
        let beside = format!("127.0.0.1:{}:127.0.0.2:{port}", local.port());
        let tunnel = format!("gateway:1:{to_target}");
        let mut held = ssh.command(&["-N", "-R", &tunnel, "-L", &beside], &[]).spawn()?;
        let mut looks = tokio::time::interval(Duration::from_millis(20));
        let mut stream = loop {
            looks.tick().await;
            ensure!(held.try_wait()?.is_none(), "ssh has ended");
            if let Ok(stream) = TcpStream::connect(local).await {
                break stream;
            }
        };
        let mut heard = Vec::new();
        // It ends, by a close or by a reset.
        stream.read_to_end(&mut heard).await.ok();
        ensure!(heard.is_empty(), "it heard {heard:?}");
        on_record(&world, &format!("direct-tcpip 127.0.0.2:{port}")).await?;
        held.kill().await?;

        // Nobody ever reached the target.
        ensure!(
            tokio::time::timeout(Duration::ZERO, target.accept())
                .await
                .is_err(),
            "the target was reached"
        );
        world.stop().await;
        Ok(())
    })
    .await
}

fn sessions_refused(world: &World) -> anyhow::Result<usize> {
    let records = postern_testkit::records::read_spool(&world.relay_spool())?;
    let is_session = |detail: &String| detail.ends_with(": session");
    Ok(records
        .iter()
        .filter(|record| record.event.detail.as_ref().is_some_and(is_session))
        .count())
}
