//! `smoke`: the few figures that every change should look at.
//!
//! | case | what is measured |
//! | --- | --- |
//! | `session-first-byte` | `POST /sessions`, relay leg, inner leg, one byte there and back; platform warm, all in one process |
//! | `whoami`, `create-session` | one request of the HTTP API, on a connection that is open |
//! | `idle-platform`, `idle-relay`, `idle-gateway` | resident memory of each daemon in a process of its own, with one tunnel |
//! | `dev-once` | `postern dev --once --json`, from its start to its verdict |

use std::process::Stdio;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, ensure};
use postern_api::CreateSession;
use postern_client::Connector;
use postern_domain::Protocol;
use postern_pki::LeafKey;
use postern_testkit::World;
use postern_testkit::processes::Processes;
use postern_testkit::programs::program;
use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::{TcpListener, TcpStream};
use tokio::time::Instant;

use crate::Options;
use crate::report::Report;

const OURS: &str = "postern";
/// How many sessions and requests one run is made of.
const SESSIONS: usize = 50;
const REQUESTS: usize = 200;
/// Before anything is measured, so many are made that do not count.
const WARMING: usize = 5;

/// Measures every case and prints the figures.
///
/// # Errors
/// Something that is measured does not work.
pub(crate) async fn run(options: Options) -> anyhow::Result<()> {
    let mut report = Report::new("smoke");
    let world = World::start().await?;
    for _ in 0..options.runs {
        sessions(&world, &mut report)
            .await
            .context("session-first-byte")?;
        requests(&world, &mut report).await.context("api")?;
    }
    world.stop().await;
    for _ in 0..options.runs {
        idle(&mut report).await.context("idle")?;
        dev_once(&mut report).await.context("dev-once")?;
    }
    report.print(options.json)
}

/// Makes sessions one after another, each with keys and connections of its own.
async fn sessions(world: &World, report: &mut Report) -> anyhow::Result<()> {
    let target = TcpListener::bind("127.0.0.1:0").await?;
    let resource = world
        .resource("echo", Protocol::Tcp, target.local_addr()?)
        .await?;
    let echoing = tokio::spawn(async move {
        while let Ok((stream, _)) = target.accept().await {
            tokio::spawn(echo(stream));
        }
    });
    let connector = Connector::new(Arc::clone(&world.seeded.developer), world.stack.clock().clone());
    let mut times = Vec::with_capacity(SESSIONS);
    for _ in 0..WARMING + SESSIONS {
        let began = Instant::now();
        let session = connector.connect(&[resource.id], |_| ()).await?;
        let mut stream = session.open(resource.id, resource.port).await?;
        stream.write_all(b"?").await?;
        ensure!(stream.read_u8().await? == b'?', "another byte came back");
        times.push(began.elapsed());
    }
    echoing.abort();
    quantiles(report, "session-first-byte", times.split_off(WARMING));
    Ok(())
}

async fn echo(mut stream: TcpStream) {
    let (mut from, mut to) = stream.split();
    // Whoever hangs up first ends it.
    tokio::io::copy(&mut from, &mut to).await.ok();
}

/// Asks the API one thing after another. The keys of the sessions are made before the time is taken.
async fn requests(world: &World, report: &mut Report) -> anyhow::Result<()> {
    let (api, developer) = (&world.stack.api, &world.seeded.developer);
    let token = developer.token().await?;
    let mut times = Vec::with_capacity(REQUESTS);
    for _ in 0..WARMING + REQUESTS {
        let began = Instant::now();
        api.whoami(&token).await?;
        times.push(began.elapsed());
    }
    quantiles(report, "whoami", times.split_off(WARMING));

    let target = TcpListener::bind("127.0.0.1:0").await?;
    let resource = world
        .resource("silent", Protocol::Tcp, target.local_addr()?)
        .await?;
    let mut times = Vec::with_capacity(SESSIONS);
    for _ in 0..WARMING + SESSIONS {
        let request = CreateSession {
            resources: vec![resource.id],
            relay_csr: LeafKey::generate()?.csr_pem(),
            gateway_csr: LeafKey::generate()?.csr_pem(),
        };
        let began = Instant::now();
        api.create_session(&token, &request).await?;
        times.push(began.elapsed());
    }
    quantiles(report, "create-session", times.split_off(WARMING));
    Ok(())
}

async fn idle(report: &mut Report) -> anyhow::Result<()> {
    let processes = Processes::start().await?;
    for (case, daemon) in [
        ("idle-platform", &processes.platform),
        ("idle-relay", &processes.relay),
        ("idle-gateway", &processes.gateway),
    ] {
        report.add(case, OURS, ("rss_mib", "MiB"), daemon.resident_mib()?);
    }
    Ok(())
}

/// Runs the demo, and takes the time until its verdict can be read.
async fn dev_once(report: &mut Report) -> anyhow::Result<()> {
    let mut command = program("postern").await?;
    command.args(["dev", "--once", "--json"]).stderr(Stdio::inherit());
    let began = Instant::now();
    let mut child = command.spawn()?;
    let mut lines = BufReader::new(child.stdout.take().context("standard output")?).lines();
    let verdict = lines.next_line().await?.context("no verdict")?;
    let took = began.elapsed();
    let verdict: serde_json::Value = serde_json::from_str(&verdict)?;
    ensure!(
        verdict.get("holds") == Some(&true.into()),
        "not every check held: {verdict}"
    );
    ensure!(child.wait().await?.success(), "postern dev failed");
    report.add("dev-once", OURS, ("verdict_ms", "ms"), milliseconds(took));
    Ok(())
}

fn milliseconds(time: Duration) -> f64 {
    time.as_secs_f64() * 1000.0
}

/// Adds median and 99th percentile of one run.
fn quantiles(report: &mut Report, case: &str, mut times: Vec<Duration>) {
    times.sort_unstable();
    for (metric, of_hundred) in [("p50_ms", 50), ("p99_ms", 99)] {
        let place = (times.len() * of_hundred / 100).min(times.len().saturating_sub(1));
        if let Some(time) = times.get(place) {
            report.add(case, OURS, (metric, "ms"), milliseconds(*time));
        }
    }
}
