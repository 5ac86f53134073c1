//! The gateway's end of the inner session, judging clients that came through the real relay.

use anyhow::ensure;
use postern_audit::{Hop, Source};
use postern_domain::{Protocol, Reason};
use postern_fixtures::{Hostile, Rogue};
use postern_session::{Limits, handshake};
use postern_testkit::World;
use postern_testkit::raw::RawSession;
use postern_transport::ALPN_INNER;

use super::authorities::{self, Subject};
use super::{Row, expect_record, mint};
use crate::bounded;

/// Goes through the relay with a right session and presents `client` to the gateway; says what is recorded there,
/// and that no session began unless it was to.
async fn present(
    world: &World,
    session: &RawSession,
    client: &Hostile,
    expected: Option<Reason>,
) -> anyhow::Result<()> {
    let pipe = world.pipe(session).await?;
    let source = pipe.get_ref().0.local_addr()?;
    let began = match client.connect(pipe).await {
        Ok(tls) => handshake(tls, &Limits::default()).await.is_ok(),
        Err(_) => false,
    };
    expect_record(&world.gateway_spool(), Hop::GatewayInner, expected, |event| {
        event.source == Some(Source::claimed(source)) && event.action == "session.open"
    })
    .await?;
    ensure!(
        began == expected.is_none(),
        "the session {}",
        if began { "began" } else { "did not begin" }
    );
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn gateway_inner_refuses_every_column_of_the_table_and_says_why_on_record() -> anyhow::Result<()> {
    bounded(async {
        let world = World::start().await?;
        let resource = world.resource("r", Protocol::Tcp, "127.0.0.1:9".parse()?).await?;
        let session = world.raw_session(&[resource.id]).await?;
        let pki = authorities::of(&world, Subject::new(world.seeded.gateway, &[&resource])?).await?;
        let leg = postern_fixtures::World::gateway_client_leg(&pki.a.one);
        let mut row = Row::new("gateway, inner TLS");
        let nothing = Hostile::with_nothing(ALPN_INNER);
        let came = present(&world, &session, &nothing, Some(Reason::NoCertificate)).await;
        row.cell("nothing", came);
        let good = pki.good(&leg);
        let thief = Hostile::with(&good.with_key_of(&pki.good(&leg)), ALPN_INNER);
        let came = present(&world, &session, &thief, Some(Reason::BadSignature)).await;
        row.cell("a certificate without its key", came);
        for rogue in Rogue::ALL {
            let Some(expected) = rogue.expected(&leg) else {
                continue;
            };
            // A gateway knows no authority of another organization.
            let expected = if rogue == Rogue::AnotherOrganization {
                Reason::UnknownAuthority
            } else {
                expected
            };
            let client = Hostile::with(&mint(&pki, &leg, rogue), ALPN_INNER);
            let came = present(&world, &session, &client, Some(expected)).await;
            row.cell(format_args!("{rogue:?}"), came);
        }
        // What the relay's port takes is nothing here: the legs have authorities of their own.
        let relay_leg = postern_fixtures::World::relay_client_leg(&pki.relay);
        let client = Hostile::with(&pki.good(&relay_leg), ALPN_INNER);
        let came = present(&world, &session, &client, Some(Reason::UnknownAuthority)).await;
        row.cell("the relay leg's certificate", came);
        let client = Hostile::with(&good, ALPN_INNER);
        let came = present(&world, &session, &client, None).await;
        row.cell("right CA, right id", came);
        world.stop().await;
        row.finish(20)
    })
    .await
}
