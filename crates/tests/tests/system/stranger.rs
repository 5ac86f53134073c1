//! A stranger's HTTP/2 client: Python's h2 over its ssl module, through relay and tunnel.

use std::path::Path;
use std::time::Duration;

use postern_domain::{Protocol, ResourceAuthority};
use postern_testkit::World;
use postern_testkit::parts::command::{command, run};
use postern_testkit::parts::python;
use tokio::net::TcpListener;

use crate::bounded;

#[tokio::test(flavor = "multi_thread")]
async fn a_strangers_http2_client_reaches_what_is_approved_and_nothing_else() -> anyhow::Result<()> {
    bounded(async {
        let service = TcpListener::bind("127.0.0.1:0").await?;
        let (address, other) = (
            service.local_addr()?,
            TcpListener::bind("127.0.0.1:0").await?.local_addr()?,
        );
        let (_hand, drain) = postern_transport::Drain::new();
        tokio::spawn(postern_dev::web::serve(service, drain));
        let (world, python) = tokio::try_join!(World::start(), python::interpreter())?;
        let web = world.resource("web", Protocol::Http, address).await?;
        let not_granted = world.resource("other", Protocol::Http, other).await?;
        let session = world.raw_session(&[web.id]).await?;
        let [chain, key, root] = session.write_inner(world.directory())?;

        let pipe = TcpListener::bind("127.0.0.1:0").await?;
        let port = pipe.local_addr()?.port();
        let carrying = async {
            let mut tls = world.pipe(&session).await?;
            let (mut plain, _) = pipe.accept().await?;
            // Whoever hangs up first ends it; the script's own result says what came of it.
            tokio::io::copy_bidirectional(&mut plain, &mut tls).await.ok();
            anyhow::Ok(())
        };
        let authority = |resource: &postern_api::Resource| {
            ResourceAuthority {
                resource: resource.id,
                port: resource.port,
            }
            .to_string()
        };
        let mut stranger = command(python);
        stranger.arg(Path::new(env!("CARGO_MANIFEST_DIR")).join("scripts/stranger.py"));
        stranger.arg(port.to_string()).args([&chain, &key, &root]);
        stranger.args([authority(&web), authority(&not_granted)]);
        let (carried, output) = tokio::join!(carrying, run(&mut stranger, Duration::from_secs(60)));
        carried?;
        let said: serde_json::Value = serde_json::from_str(&output?.success()?.text())?;
        assert_eq!(
            (said["tls"].as_str(), said["alpn"].as_str()),
            (Some("TLSv1.3"), Some("h2"))
        );
        assert_eq!(said["approved"]["status"], 200);
        assert!(
            said["approved"]["body"]
                .as_str()
                .unwrap_or_default()
                .contains("You are inside."),
            "{said}"
        );
        assert_eq!(said["other"]["status"], 403);
        assert_eq!(said["other"]["reason"], "resource_not_granted");
        world.stop().await;
        Ok(())
    })
    .await
}
