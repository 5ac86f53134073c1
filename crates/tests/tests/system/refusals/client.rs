//! The client, judging the gateway's certificate: the gateway behind the real relay is a hostile one, which holds a
//! real tunnel.

use std::sync::{Arc, Mutex, PoisonError};

use anyhow::{Context as _, bail, ensure};
use postern_client::{ConnectError, Connector, Leg};
use postern_domain::{Reason, ResourceId};
use postern_fixtures::{Held, Hostile, Rogue};
use postern_ssh::{ClientConfig, HostJudge, Incoming, IncomingEvent, Refused};
use postern_sshkey::Certificate;
use postern_testkit::World;
use postern_testkit::state::DaemonFiles;
use postern_transport::ALPN_INNER;
use tokio::io::AsyncReadExt as _;
use tokio::net::TcpStream;
use tokio::task::JoinSet;

use super::authorities::{self, Subject};
use super::{Row, mint};
use crate::bounded;

/// What the hostile gateway presents next; `None` hangs up at once.
type Presents = Arc<Mutex<Option<Hostile>>>;

struct Anyone;

impl HostJudge for Anyone {
    fn judge(&self, _certificate: &Certificate) -> Result<(), Refused> {
        Ok(())
    }
}

/// Opens a tunnel with an enrolled gateway's SSH certificate and serves its streams hostilely.
async fn hold_tunnel(world: &World, files: &DaemonFiles, presents: Presents) -> anyhow::Result<JoinSet<()>> {
    let certificate = files.ssh_certificate()?;
    let user = certificate.principals().first().context("a principal")?;
    let config = ClientConfig::new(user, &files.keys.ssh, &certificate)?;
    let tcp = TcpStream::connect(world.stack.relay_ssh).await?;
    let tunnel = postern_ssh::connect(tcp, &config, Arc::new(Anyone)).await?;
    let mut serving = JoinSet::new();
    serving.spawn(serve(tunnel, presents));
    Ok(serving)
}

async fn serve(mut tunnel: Incoming<Anyone>, presents: Presents) {
    let mut streams = JoinSet::new();
    while let Some(event) = tunnel.next().await {
        let IncomingEvent::Stream(stream) = event else {
            continue;
        };
        let hostile = presents.lock().unwrap_or_else(PoisonError::into_inner).clone();
        streams.spawn(async move {
            let Some(hostile) = hostile else { return };
            if let Ok(mut tls) = hostile.accept(stream).await {
                // Whether the client goes on or gives up shows in its first byte, and this peer knows no more.
                tls.read_u8().await.ok();
            }
        });
    }
}

/// Connects as a real client; the attempt cannot succeed, and says where and why.
async fn attempt(world: &World, resource: ResourceId) -> anyhow::Result<ConnectError> {
    let connector = Connector::new(Arc::clone(&world.seeded.developer), world.stack.clock().clone());
    let mut looks = tokio::time::interval(std::time::Duration::from_millis(20));
    loop {
        looks.tick().await;
        match connector.connect(&[resource], |_| ()).await {
            Ok(_) => bail!("the client took it for the gateway"),
            // The relay enters a tunnel in its routes after it has confirmed it.
            Err(error) if error.reason == Reason::GatewayOffline => (),
            Err(error) => return Ok(error),
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn client_refuses_a_gateway_by_every_column_of_the_table() -> anyhow::Result<()> {
    bounded(async {
        let world = World::start().await?;
        let gateway = world.enroll_gateway("hostile", &[world.stack.relay]).await?;
        let resource = world
            .resource_behind(gateway.id, "r", "127.0.0.1:9".parse()?)
            .await?;
        let files = DaemonFiles::read(&gateway.state)?;
        let presents = Presents::default();
        let tunnel = hold_tunnel(&world, &files, Arc::clone(&presents)).await?;
        let subject = Subject {
            gateway: gateway.id,
            keys: files.keys,
            resources: &[&resource],
        };
        let pki = authorities::of(&world, subject).await?;
        let leg = postern_fixtures::World::gateway_server_leg(&pki.a.one);
        let mut row = Row::new("client, judging the gateway");
        let present = |held: Option<&Held>| {
            let hostile = held.map(|held| Hostile::with(held, ALPN_INNER));
            *presents.lock().unwrap_or_else(PoisonError::into_inner) = hostile;
            attempt(&world, resource.id)
        };
        let refused = |error: ConnectError, reason| {
            ensure!(
                (error.leg, error.reason) == (Leg::Gateway, reason),
                "expected {reason}, came {:?} {}: {error}",
                error.leg,
                error.reason
            );
            Ok(())
        };
        let error = present(None).await?;
        row.cell("nothing", refused(error, Reason::HandshakeFailed));
        let good = pki.good(&leg);
        let thief = good.with_key_of(&pki.rogue(&leg, Rogue::NotPinned));
        let error = present(Some(&thief)).await?;
        row.cell(
            "a certificate without its key",
            refused(error, Reason::BadSignature),
        );
        for rogue in Rogue::ALL {
            let Some(expected) = rogue.expected(&leg) else {
                continue;
            };
            // A client knows no authority but those that its grant names: the gateways' of the organization.
            let expected = if [Rogue::AnotherOrganization, Rogue::Sibling].contains(&rogue) {
                Reason::UnknownAuthority
            } else {
                expected
            };
            let error = present(Some(&mint(&pki, &leg, rogue))).await?;
            row.cell(format_args!("{rogue:?}"), refused(error, expected));
        }
        // The right certificate is taken: the attempt comes as far as the session, of which this peer knows nothing.
        let error = present(Some(&good)).await?;
        let came = if error.leg == Leg::Session {
            Ok(())
        } else {
            Err(anyhow::Error::new(error))
        };
        row.cell("right CA, right id", came);
        drop(tunnel);
        world.stop().await;
        row.finish(18)
    })
    .await
}
