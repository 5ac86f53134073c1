//! The relay's TLS port, judging clients.

use std::net::SocketAddr;

use anyhow::{Context as _, ensure};
use postern_audit::{Hop, Source};
use postern_domain::Reason;
use postern_fixtures::{DnType, Held, Hostile, Rogue, Signer};
use postern_pki::inspect;
use postern_testkit::World;
use postern_transport::{ALPN_INNER, ALPN_RELAY, RelayStatus};
use tokio::io::AsyncReadExt as _;
use tokio::net::TcpStream;

use super::authorities::{self, Subject};
use super::{Row, expect_record, mint};
use crate::bounded;

/// Knocks with a client that keeps no rule, and returns where it came from and all that the relay said before it
/// hung up.
async fn knock(world: &World, client: &Hostile) -> anyhow::Result<(SocketAddr, Vec<u8>)> {
    let tcp = TcpStream::connect(world.stack.relay_tls).await?;
    let source = tcp.local_addr()?;
    let mut said = Vec::new();
    if let Ok(mut tls) = client.connect(tcp).await {
        // An alert ends it as well as a close does.
        tls.read_to_end(&mut said).await.ok();
    }
    Ok((source, said))
}

async fn refused(world: &World, client: &Hostile, reason: Reason) -> anyhow::Result<()> {
    let (source, said) = knock(world, client).await?;
    expect_record(&world.relay_spool(), Hop::RelayTls, Some(reason), |event| {
        event.source == Some(Source::seen(source))
    })
    .await?;
    ensure!(
        said.is_empty() || said == [RelayStatus::Refused.byte()],
        "the relay said {said:?}"
    );
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn relay_tls_refuses_every_column_of_the_table_and_says_why_on_record() -> anyhow::Result<()> {
    bounded(async {
        let world = World::start().await?;
        let pki = authorities::of(&world, Subject::new(world.seeded.gateway, &[])?).await?;
        let leg = postern_fixtures::World::relay_client_leg(&pki.relay);
        let mut row = Row::new("relay TLS");
        let nothing = Hostile::with_nothing(ALPN_RELAY);
        row.cell("nothing", refused(&world, &nothing, Reason::NoCertificate).await);
        let good = pki.good(&leg);
        let thief = Hostile::with(&good.with_key_of(&pki.good(&leg)), ALPN_RELAY);
        row.cell(
            "a certificate without its key",
            refused(&world, &thief, Reason::BadSignature).await,
        );
        for rogue in Rogue::ALL {
            let Some(expected) = rogue.expected(&leg) else {
                continue;
            };
            // A relay knows no authority of any organization.
            let expected = if rogue == Rogue::AnotherOrganization {
                Reason::UnknownAuthority
            } else {
                expected
            };
            let client = Hostile::with(&mint(&pki, &leg, rogue), ALPN_RELAY);
            row.cell(
                format_args!("{rogue:?}"),
                refused(&world, &client, expected).await,
            );
        }
        row.cell("right CA, right id", admitted(&world, &good).await);
        world.stop().await;
        row.finish(15)
    })
    .await
}

/// The relay opens the way, and what answers there is the gateway that the certificate names.
async fn admitted(world: &World, held: &Held) -> anyhow::Result<()> {
    let subject = reached(world, held).await?;
    let own = world.seeded.gateway.to_string();
    ensure!(subject.contains(&own), "it led to {subject}");
    Ok(())
}

/// Returns the subject of whoever answers behind the relay.
async fn reached(world: &World, held: &Held) -> anyhow::Result<String> {
    let tcp = TcpStream::connect(world.stack.relay_tls).await?;
    let source = tcp.local_addr()?;
    let mut tls = Hostile::with(held, ALPN_RELAY).connect(tcp).await?;
    let status = RelayStatus::read(&mut tls).await?;
    ensure!(status == RelayStatus::Open, "the relay said {status:?}");
    expect_record(&world.relay_spool(), Hop::RelayTls, None, |event| {
        event.source == Some(Source::seen(source))
    })
    .await?;
    let inner = Hostile::with_nothing(ALPN_INNER).connect(tls).await?;
    let presented = inner.get_ref().1.peer_certificates().unwrap_or_default();
    let leaf = presented.first().context("a certificate")?;
    Ok(inspect(leaf)?.subject)
}

#[tokio::test(flavor = "multi_thread")]
async fn relay_tls_leads_only_to_the_gateway_that_the_certificate_names() -> anyhow::Result<()> {
    bounded(async {
        let mut world = World::start().await?;
        let token = world.seeded.owner.token().await?;
        let new = postern_api::CreateGateway {
            name: "other".parse()?,
            relays: vec![world.stack.relay],
        };
        let other = world.stack.api.create_gateway(&token, &new).await?.id;
        let ticket = world.stack.api.create_gateway_token(&token, other).await?;
        world.stack.start_gateway(&new.name, Some(&ticket)).await?;
        let pki = authorities::of(&world, Subject::new(world.seeded.gateway, &[])?).await?;
        let leg = postern_fixtures::World::relay_client_leg(&pki.relay);
        for gateway in [world.seeded.gateway, other] {
            let mut mint = pki.mint(&leg);
            mint.rename(&DnType::CommonName, gateway);
            let held = mint.sign(Signer::Authority(pki.authority(&leg)));
            let subject = reached(&world, &held).await?;
            ensure!(
                subject.contains(&gateway.to_string()),
                "{gateway} was named, {subject} answered"
            );
        }
        // A gateway that has no tunnel here is not reached, and neither is any other in its place.
        let mut mint = pki.mint(&leg);
        mint.rename(&DnType::CommonName, pki.a.two.id);
        let held = mint.sign(Signer::Authority(pki.authority(&leg)));
        let (source, said) = knock(&world, &Hostile::with(&held, ALPN_RELAY)).await?;
        ensure!(
            said == [RelayStatus::GatewayOffline.byte()],
            "the relay said {said:?}"
        );
        let offline = Some(Reason::GatewayOffline);
        let event = expect_record(&world.relay_spool(), Hop::RelayTls, offline, |event| {
            event.source == Some(Source::seen(source))
        })
        .await?;
        ensure!(event.gateway == Some(pki.a.two.id), "the record names another");
        world.stop().await;
        Ok(())
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn relay_tls_refuses_a_right_certificate_without_its_protocol() -> anyhow::Result<()> {
    bounded(async {
        let world = World::start().await?;
        let pki = authorities::of(&world, Subject::new(world.seeded.gateway, &[])?).await?;
        let leg = postern_fixtures::World::relay_client_leg(&pki.relay);
        let client = Hostile::with(&pki.good(&leg), ALPN_RELAY).without_alpn();
        refused(&world, &client, Reason::HandshakeFailed).await?;
        world.stop().await;
        Ok(())
    })
    .await
}
