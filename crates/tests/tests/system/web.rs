//! A private web service, reached with curl; half-close and reset, seen from both ends.

use std::io::ErrorKind;
use std::net::SocketAddr;
use std::time::Duration;

use postern_domain::Protocol;
use postern_testkit::World;
use postern_testkit::parts::command::{command, run};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::oneshot;

use crate::bounded;

const MINUTE: Duration = Duration::from_secs(60);

/// Starts a world with a resource at which `serve` gets the first connection; returns the world, where to dial,
/// and what `serve` came to.
async fn world_with<T, F>(
    serve: impl FnOnce(TcpStream) -> F + Send + 'static,
) -> anyhow::Result<(
    World,
    postern_testkit::Connecting,
    oneshot::Receiver<anyhow::Result<T>>,
)>
where
    T: Send + 'static,
    F: Future<Output = anyhow::Result<T>> + Send,
{
    let target = TcpListener::bind("127.0.0.1:0").await?;
    let world = World::start().await?;
    world
        .resource("target", Protocol::Tcp, target.local_addr()?)
        .await?;
    let (done, came) = oneshot::channel();
    tokio::spawn(async move {
        let result = async { serve(target.accept().await?.0).await };
        done.send(result.await).ok();
    });
    let at = world.listen("demo/target").await?;
    Ok((world, at, came))
}

#[tokio::test(flavor = "multi_thread")]
async fn curl_reaches_the_service_and_its_upload_comes_back() -> anyhow::Result<()> {
    bounded(async {
        let service = TcpListener::bind("127.0.0.1:0").await?;
        let address = service.local_addr()?;
        let (_hand, drain) = postern_transport::Drain::new();
        tokio::spawn(postern_dev::web::serve(service, drain));
        let world = World::start().await?;
        world.resource("web", Protocol::Http, address).await?;
        let at = world.listen("demo/web").await?;
        let page = run(
            command("curl").args(["-sS", &format!("http://{}/", at.address)]),
            MINUTE,
        )
        .await?
        .success()?;
        assert!(page.text().contains("You are inside."), "{}", page.text());
        let upload = world.directory().join("upload");
        std::fs::write(&upload, vec![b'x'; 5_000_000])?;
        let mut curl = command("curl");
        curl.args(["-sS", "--data-binary"])
            .arg(format!("@{}", upload.display()));
        let echoed = run(curl.arg(format!("http://{}/echo", at.address)), MINUTE)
            .await?
            .success()?;
        assert_eq!(echoed.stdout.len(), 5_000_000);
        world.stop().await;
        Ok(())
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn an_upload_that_half_closes_gets_its_whole_answer() -> anyhow::Result<()> {
    bounded(async {
        let (world, at, came) = world_with(|mut target| async move {
            let mut received = Vec::new();
            target.read_to_end(&mut received).await?;
            // Only now, after the client's end has arrived, the answer begins.
            target.write_all(&vec![b'a'; 3_000_000]).await?;
            target.shutdown().await?;
            Ok(received.len())
        })
        .await?;
        let mut client = TcpStream::connect(at.address).await?;
        client.write_all(&vec![b'u'; 2_000_000]).await?;
        client.shutdown().await?;
        let mut answer = Vec::new();
        client.read_to_end(&mut answer).await?;
        assert_eq!(came.await??, 2_000_000);
        assert_eq!(answer.len(), 3_000_000);
        world.stop().await;
        Ok(())
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_target_that_half_closes_still_receives_everything() -> anyhow::Result<()> {
    bounded(async {
        let (world, at, came) = world_with(|mut target| async move {
            target.write_all(b"done talking").await?;
            target.shutdown().await?;
            let mut received = Vec::new();
            target.read_to_end(&mut received).await?;
            Ok(received.len())
        })
        .await?;
        let mut client = TcpStream::connect(at.address).await?;
        let mut said = Vec::new();
        client.read_to_end(&mut said).await?;
        assert_eq!(said, b"done talking");
        client.write_all(&vec![b'u'; 1_000_000]).await?;
        client.shutdown().await?;
        assert_eq!(came.await??, 1_000_000);
        world.stop().await;
        Ok(())
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_reset_by_the_target_arrives_at_the_client_as_a_reset() -> anyhow::Result<()> {
    bounded(async {
        let (world, at, came) = world_with(|mut target| async move {
            let mut one = [0];
            target.read_exact(&mut one).await?;
            target.set_zero_linger()?;
            drop(target);
            Ok(())
        })
        .await?;
        let mut client = TcpStream::connect(at.address).await?;
        client.write_all(b"x").await?;
        came.await??;
        let ended = client.read_to_end(&mut Vec::new()).await;
        assert_eq!(ended.map_err(|e| e.kind()), Err(ErrorKind::ConnectionReset));
        world.stop().await;
        Ok(())
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_reset_by_the_client_arrives_at_the_target_as_a_reset() -> anyhow::Result<()> {
    bounded(async {
        let (ready, is_ready) = oneshot::channel();
        let (world, at, came) = world_with(|mut target| async move {
            let mut one = [0];
            target.read_exact(&mut one).await?;
            ready.send(()).ok();
            Ok(target.read_to_end(&mut Vec::new()).await.map_err(|e| e.kind()))
        })
        .await?;
        let mut client = TcpStream::connect(at.address).await?;
        client.write_all(b"x").await?;
        is_ready.await?;
        client.set_zero_linger()?;
        drop(client);
        assert_eq!(came.await??, Err(ErrorKind::ConnectionReset));
        world.stop().await;
        Ok(())
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_target_that_refuses_ends_the_client_with_a_reset() -> anyhow::Result<()> {
    bounded(async {
        let free: SocketAddr = TcpListener::bind("127.0.0.1:0").await?.local_addr()?;
        let world = World::start().await?;
        world.resource("nobody", Protocol::Tcp, free).await?;
        let at = world.listen("demo/nobody").await?;
        let mut client = TcpStream::connect(at.address).await?;
        let ended = client.read_to_end(&mut Vec::new()).await;
        assert_eq!(ended.map_err(|e| e.kind()), Err(ErrorKind::ConnectionReset));
        world.stop().await;
        Ok(())
    })
    .await
}
