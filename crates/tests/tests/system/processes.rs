//! The five programs in processes of their own, set up and used as an operator and a user would.

use std::net::SocketAddr;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::time::Duration;

use postern_api::EnrollmentTicket;
use postern_testkit::parts::command::{command, run};
use postern_testkit::processes::Processes;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::oneshot;

use crate::bounded;

const MINUTE: Duration = Duration::from_secs(60);

/// Serves the built-in web page at a port of its own, until the test ends.
async fn web() -> anyhow::Result<SocketAddr> {
    let service = TcpListener::bind("127.0.0.1:0").await?;
    let address = service.local_addr()?;
    tokio::spawn(async move {
        let (_hand, drain) = postern_transport::Drain::new();
        postern_dev::web::serve(service, drain).await;
    });
    Ok(address)
}

async fn curl(at: SocketAddr) -> anyhow::Result<String> {
    let mut curl = command("curl");
    curl.args(["-sS", "--fail", &format!("http://{at}/")]);
    Ok(run(&mut curl, MINUTE).await?.success()?.text())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_new_user_creates_a_resource_connects_and_reads_the_page() -> anyhow::Result<()> {
    bounded(async {
        let (processes, page) = tokio::try_join!(Processes::start(), web())?;
        let made = processes.resource("web", "http", page).await?;
        let shown = processes.postern(&["resource", "show", "demo/web"]).await?;
        assert_eq!(made["id"], shown["id"]);
        let at = processes.listen("demo/web").await?;
        assert!(curl(at.address).await?.contains("You are inside."));
        let sessions = processes.postern(&["session", "list"]).await?;
        assert!(
            sessions.to_string().contains(made["id"].as_str().unwrap()),
            "{sessions}"
        );
        let gateway = processes.postern(&["gateway", "show", "gateway"]).await?;
        assert_eq!(gateway["enrolled"], true);
        Ok(())
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_killed_gateway_starts_again_without_a_stored_bearer_secret() -> anyhow::Result<()> {
    bounded(async {
        let (mut processes, page) = tokio::try_join!(Processes::start(), web())?;
        processes.resource("web", "http", page).await?;
        let before = processes.listen("demo/web").await?;
        assert!(curl(before.address).await?.contains("You are inside."));

        processes.gateway.kill().await?;
        let ticket: EnrollmentTicket = processes.tickets.gateway.parse()?;
        for (path, content) in files(&processes.directory().join("gateway"))? {
            let text = String::from_utf8_lossy(&content);
            for secret in [
                ticket.secret.expose().as_str(),
                "postern-enroll-",
                "bearer",
                "access_token",
            ] {
                assert!(!text.contains(secret), "{path} holds {secret}");
            }
        }
        // There is no gateway now, and a user is told so.
        let mut alone = processes.command().await?;
        let refused = run(alone.args(["--json", "connect", "--stdio", "demo/web"]), MINUTE).await?;
        assert_eq!(refused.status.code(), Some(7), "{}", refused.stderr);
        assert!(
            refused.stderr.contains("\"gateway_offline\""),
            "{}",
            refused.stderr
        );

        processes.start_gateway_again().await?;
        let after = processes.listen("demo/web").await?;
        assert!(curl(after.address).await?.contains("You are inside."));
        // Who was connected before makes a new session by itself.
        assert!(curl(before.address).await?.contains("You are inside."));
        Ok(())
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_relay_that_is_asked_to_end_lets_a_running_transfer_finish() -> anyhow::Result<()> {
    bounded(async {
        const PART: usize = 1_000_000;
        let mut processes = Processes::start().await?;
        let target = TcpListener::bind("127.0.0.1:0").await?;
        processes.resource("files", "tcp", target.local_addr()?).await?;
        let (go_on, asked) = oneshot::channel();
        let serving = tokio::spawn(async move {
            let (mut stream, _) = target.accept().await?;
            stream.write_all(&vec![b'1'; PART]).await?;
            asked.await?;
            stream.write_all(&vec![b'2'; PART]).await?;
            stream.shutdown().await?;
            anyhow::Ok(())
        });
        let at = processes.listen("demo/files").await?;
        let mut client = TcpStream::connect(at.address).await?;
        let mut first = vec![0; PART];
        client.read_exact(&mut first).await?;

        processes.relay.ask_to_end()?;
        // The drain has begun as soon as nobody new is let in.
        let tls = processes.relay_tls();
        let mut looks = tokio::time::interval(Duration::from_millis(20));
        while TcpStream::connect(tls).await.is_ok() {
            looks.tick().await;
        }
        go_on.send(()).ok();
        let mut rest = Vec::new();
        client.read_to_end(&mut rest).await?;
        assert_eq!((first.len(), rest.len()), (PART, PART));
        assert!(rest.iter().all(|byte| *byte == b'2'));
        serving.await??;
        drop((client, at));
        assert_eq!(processes.relay.ended().await?.code(), Some(0));

        // It comes back, the gateway finds it, and all is as before.
        processes.start_relay_again().await?;
        let page = web().await?;
        processes.resource("web", "http", page).await?;
        let again = async {
            let mut tries = tokio::time::interval(Duration::from_millis(200));
            loop {
                tries.tick().await;
                if let Ok(at) = processes.listen("demo/web").await {
                    return curl(at.address).await;
                }
            }
        };
        assert!(again.await?.contains("You are inside."));
        Ok(())
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn daemons_asked_to_end_exit_with_0() -> anyhow::Result<()> {
    bounded(async {
        let mut processes = Processes::start().await?;
        for daemon in [
            &mut processes.gateway,
            &mut processes.relay,
            &mut processes.platform,
        ] {
            daemon.ask_to_end()?;
            assert_eq!(daemon.ended().await?.code(), Some(0));
        }
        Ok(())
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_kept_is_for_its_owner_alone() -> anyhow::Result<()> {
    bounded(async {
        let (processes, page) = tokio::try_join!(Processes::start(), web())?;
        processes.resource("web", "http", page).await?;
        let at = processes.listen("demo/web").await?;
        assert!(curl(at.address).await?.contains("You are inside."));
        for name in ["platform", "relay", "gateway", "owner", "admin"] {
            let directory = processes.directory().join(name);
            let mode = std::fs::metadata(&directory)?.permissions().mode() & 0o777;
            assert_eq!(mode, 0o700, "{name} has {mode:o}");
            assert_private(&directory)?;
        }
        for file in [
            "platform/platform.db",
            "platform/root.key",
            "relay/daemon.json",
            "gateway/daemon.json",
            "gateway/snapshot.json",
            "owner/login.json",
        ] {
            assert!(processes.directory().join(file).exists(), "{file}");
        }
        Ok(())
    })
    .await
}

/// Asserts that no one but the owner can enter or read anything in a directory.
fn assert_private(directory: &Path) -> anyhow::Result<()> {
    for entry in std::fs::read_dir(directory)? {
        let path = entry?.path();
        let metadata = std::fs::symlink_metadata(&path)?;
        let (mode, wanted) = (
            metadata.permissions().mode() & 0o777,
            if metadata.is_dir() { 0o700 } else { 0o600 },
        );
        assert_eq!(mode, wanted, "{} has {mode:o}", path.display());
        if metadata.is_dir() {
            assert_private(&path)?;
        }
    }
    Ok(())
}

/// Reads every file in a directory and below.
fn files(directory: &Path) -> anyhow::Result<Vec<(String, Vec<u8>)>> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(directory)? {
        let path = entry?.path();
        if path.is_dir() {
            found.extend(files(&path)?);
        } else {
            found.push((path.display().to_string(), std::fs::read(&path)?));
        }
    }
    Ok(found)
}
