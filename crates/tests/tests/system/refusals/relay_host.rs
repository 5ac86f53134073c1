//! The gateway, judging the host certificate of the relay that it dialled: a real gateway, and relays that are not
//! what they claim.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::{Context as _, ensure};
use postern_api::CreateRelay;
use postern_audit::{Event, Hop, Outcome, Record};
use postern_domain::{DaemonId, Host, Port, Reason, RelayId};
use postern_fixtures::Relay;
use postern_gateway::Gateway;
use postern_pki::DaemonKeys;
use postern_ssh::{Judge, Offered, Refused, RefusedAttempt, ServerConfig};
use postern_sshkey::{Certificate, CertificateKind, PrivateKey};
use postern_testkit::parts::sshd;
use postern_testkit::records::{read_spool, wait_for_record};
use postern_testkit::{EnrolledGateway, World};
use postern_transport::Drain;
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;

use super::Row;
use super::authorities::{self, Cards, Subject, key_of};
use crate::bounded;

/// A relay that takes every gateway.
struct Anyone;

impl Judge for Anyone {
    type Verdict = ();

    fn judge(&self, _offered: Offered<'_>) -> Result<(), Refused> {
        Ok(())
    }

    fn refused(&self, _attempt: RefusedAttempt, _peer: SocketAddr) {}
}

/// What answers where the gateway believes its relay to be.
enum Pretender {
    /// It hangs up.
    Nobody,
    /// Our own server with this host certificate.
    Ours(Arc<ServerConfig>),
    /// OpenSSH's server with this configuration file.
    OpenSsh(PathBuf),
}

impl Pretender {
    fn ours(key: &PrivateKey, certificate: &Certificate) -> anyhow::Result<Self> {
        Ok(Self::Ours(Arc::new(ServerConfig::new(key, certificate)?)))
    }

    /// Serves one connection until it ends.
    async fn serve(&self, tcp: TcpStream, source: SocketAddr) -> anyhow::Result<()> {
        match self {
            Self::Nobody => drop(tcp),
            Self::Ours(config) => {
                let accepted = postern_ssh::accept(tcp, source, Arc::clone(config), Arc::new(Anyone));
                if let Ok(tunnel) = accepted.await {
                    tunnel.closed().await;
                }
            }
            Self::OpenSsh(configuration) => {
                sshd::serve(tcp, configuration)?.wait().await?;
            }
        }
        Ok(())
    }
}

/// Where the gateway dials, and the gateway.
struct Scene {
    world: World,
    listener: TcpListener,
    relay: Relay,
    gateway: EnrolledGateway,
}

impl Scene {
    async fn new() -> anyhow::Result<Self> {
        let world = World::start().await?;
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let at = listener.local_addr()?;
        let new = CreateRelay {
            name: "pretender".parse()?,
            host: Host::Address(at.ip()),
            ssh_port: Port::new(at.port()),
            // No client ever comes here.
            tls_port: None,
        };
        let admin = world.stack.administrator().await?;
        let relay = world.stack.api.create_relay(&admin, &new).await?;
        let gateway = world.enroll_gateway("dialler", &[relay.id]).await?;
        let relay = Relay {
            id: relay.id,
            scope: relay.scope,
            host: relay.host,
            ssh_port: relay.ssh_port,
            keys: DaemonKeys::generate()?,
        };
        Ok(Self {
            world,
            listener,
            relay,
            gateway,
        })
    }

    /// Runs the gateway until it has judged the pretender, and returns what it recorded.
    async fn judged(&self, pretender: &Pretender) -> anyhow::Result<Event> {
        let before: Vec<Record> = read_spool(&self.gateway.spool())?;
        let config = postern_gateway::Config {
            state: postern_gateway::config::State {
                directory: self.gateway.state.clone(),
            },
            ..postern_gateway::Config::default()
        };
        let gateway = Gateway::start(&config, self.world.stack.clock().clone()).await?;
        let (hand, drain) = Drain::new();
        let mut running = JoinSet::new();
        running.spawn(gateway.run(drain));
        let judged = [Outcome::Allowed, Outcome::Refused, Outcome::Failed];
        let spool = self.gateway.spool();
        let recorded = wait_for_record(&spool, |record| {
            let event = &record.event;
            event.hop == Hop::GatewayTunnel && judged.contains(&event.outcome) && !before.contains(record)
        });
        let serving = async {
            loop {
                let (tcp, source) = self.listener.accept().await?;
                pretender.serve(tcp, source).await?;
            }
        };
        let record = tokio::select! {
            record = recorded => record,
            ended = serving => ended,
        };
        hand.start();
        while running.join_next().await.is_some() {}
        Ok(record.context("nothing on record")?.event)
    }

    async fn refused(&self, pretender: &Pretender, reason: Reason) -> anyhow::Result<()> {
        let event = self.judged(pretender).await?;
        ensure!(
            (event.outcome, event.reason) == (Outcome::Refused, Some(reason)),
            "expected {reason}, recorded {:?} {:?} ({:?})",
            event.outcome,
            event.reason,
            event.detail
        );
        ensure!(
            event.relay == Some(self.relay.id),
            "the record names another relay"
        );
        Ok(())
    }

    /// Writes a configuration for OpenSSH's server with this host key and, where given, a certificate over it.
    fn openssh(
        &self,
        name: &str,
        key: &PrivateKey,
        certificate: Option<&Certificate>,
    ) -> anyhow::Result<Pretender> {
        let directory = self.world.directory().join(name);
        std::fs::create_dir(&directory)?;
        let host = directory.join("host");
        write_private(&host, &key.to_openssh()?)?;
        let mut lines = vec![
            format!("HostKey {}", host.display()),
            "StrictModes no".into(),
            "UsePAM no".into(),
            "PidFile none".into(),
        ];
        if let Some(certificate) = certificate {
            let file = directory.join("host-cert.pub");
            std::fs::write(&file, certificate.to_openssh())?;
            lines.push(format!("HostCertificate {}", file.display()));
        }
        let configuration = directory.join("sshd_config");
        std::fs::write(&configuration, lines.join("\n"))?;
        // As root, sshd separates privileges in this directory, which the package's service would make.
        std::fs::create_dir_all("/run/sshd").ok();
        Ok(Pretender::OpenSsh(configuration))
    }
}

fn write_private(path: &Path, content: &str) -> anyhow::Result<()> {
    use std::io::Write as _;
    use std::os::unix::fs::OpenOptionsExt as _;

    let mut options = std::fs::OpenOptions::new();
    let mut file = options.write(true).create_new(true).mode(0o600).open(path)?;
    Ok(file.write_all(content.as_bytes())?)
}

/// A cell: its name, what answers, the reason on record.
type Cell = (&'static str, Pretender, Reason);

/// Those that present no certificate of a relay at all.
fn by_kind(scene: &Scene, cards: &Cards) -> anyhow::Result<Vec<Cell>> {
    let key = &scene.relay.keys.ssh;
    let users = cards.changed(|spec| spec.kind = CertificateKind::User)?;
    Ok(vec![
        ("nothing", Pretender::Nobody, Reason::HandshakeFailed),
        // A gateway takes no host key without a certificate, so that the two find no algorithm in common.
        (
            "raw key",
            scene.openssh("raw", key, None)?,
            Reason::HandshakeFailed,
        ),
        (
            "wrong usage: a user's",
            scene.openssh("usage", key, Some(&users))?,
            Reason::WrongUsage,
        ),
    ])
}

/// Certificates that are right but for who signed them, or when they are valid.
fn by_signer_and_time(
    pki: &postern_fixtures::World,
    cards: &Cards,
    own: &PrivateKey,
) -> anyhow::Result<Vec<Cell>> {
    let cell = |name, certificate: anyhow::Result<Certificate>, reason| {
        anyhow::Ok((name, Pretender::ours(own, &certificate?)?, reason))
    };
    let signed_by = |authority| cards.signed_by(&key_of(authority)?);
    let unknown = Reason::UnknownAuthority;
    Ok(vec![
        cell("self-signed", cards.signed_by(own), unknown)?,
        cell(
            "an authority that nobody knows",
            cards.signed_by(&PrivateKey::generate()?),
            unknown,
        )?,
        cell(
            "another organization's CA",
            signed_by(&pki.b.relays.ssh_server),
            unknown,
        )?,
        cell(
            "its own organization's CA, of other relays",
            signed_by(&pki.a.relays.ssh_server),
            unknown,
        )?,
        cell(
            "sibling CA",
            signed_by(&pki.relays.ssh_client),
            Reason::WrongAuthority,
        )?,
        cell("expired", cards.expired(), Reason::CertificateExpired)?,
        cell(
            "not yet valid",
            cards.not_yet_valid(),
            Reason::CertificateNotYetValid,
        )?,
    ])
}

/// Certificates of the right authority that say something wrong.
fn by_content(other: RelayId, cards: &Cards, own: &PrivateKey) -> anyhow::Result<Vec<Cell>> {
    let cell = |name, certificate: anyhow::Result<Certificate>, reason| {
        anyhow::Ok((name, Pretender::ours(own, &certificate?)?, reason))
    };
    let option = (String::from("source-address"), String::from("::/0"));
    Ok(vec![
        cell(
            "another host",
            cards.changed(|spec| spec.principals = vec!["elsewhere.example".into()]),
            Reason::WrongName,
        )?,
        cell(
            "another relay at the same host",
            cards.changed(|spec| spec.key_id = DaemonId::Relay(other).to_string()),
            Reason::WrongRelay,
        )?,
        cell(
            "a critical option",
            cards.changed(|spec| spec.critical_options.push(option)),
            Reason::CriticalOption,
        )?,
    ])
}

#[tokio::test(flavor = "multi_thread")]
async fn gateway_refuses_a_relay_by_every_column_of_the_table_and_says_why_on_record() -> anyhow::Result<()> {
    bounded(async {
        let scene = Scene::new().await?;
        let pki = authorities::of(&scene.world, Subject::new(scene.world.seeded.gateway, &[])?).await?;
        let key = &scene.relay.keys.ssh;
        let cards = Cards {
            good: pki.relay_ssh(&scene.relay).certificate,
            signer: key_of(&pki.relays.ssh_server)?,
            now: pki.now,
        };
        let mut cells = by_kind(&scene, &cards)?;
        cells.extend(by_signer_and_time(&pki, &cards, key)?);
        cells.extend(by_content(RelayId::generate(pki.now), &cards, key)?);
        let mut row = Row::new("gateway, judging the relay");
        for (cell, pretender, reason) in &cells {
            row.cell(cell, scene.refused(pretender, *reason).await);
        }
        let event = scene.judged(&Pretender::ours(key, &cards.good)?).await?;
        let came = if event.outcome == Outcome::Allowed {
            Ok(())
        } else {
            Err(anyhow::anyhow!("{event:?}"))
        };
        row.cell("right CA, right id", came);
        scene.world.stop().await;
        row.finish(14)
    })
    .await
}
