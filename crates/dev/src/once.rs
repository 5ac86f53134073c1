//! `postern dev --once`: a marker through every leg, and what was verified on each.

use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, ensure};
use postern_api::Resource;
use postern_client::{Connector, LegEvidence};
use postern_domain::Identity;
use postern_gateway::TunnelState;
use postern_transport::PinnedConnector;
use serde::Serialize;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::time::{Instant, timeout};

use crate::seed::Seeded;
use crate::stack::Stack;

/// How long the whole check may take.
const LIMIT: Duration = Duration::from_secs(30);

/// What was verified on one leg.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct LegReport {
    /// The leg, from the side that verified to the side that was verified.
    pub(crate) leg: &'static str,
    /// The verified identity.
    pub(crate) peer: String,
    /// The authority that issued its certificate.
    pub(crate) authority: String,
    /// The key exchange.
    pub(crate) key_exchange: String,
    /// The cipher.
    pub(crate) cipher: String,
    /// How long the leg took to open, in milliseconds.
    pub(crate) milliseconds: Option<f64>,
}

/// What came of the check.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Verdict {
    /// The legs that were verified.
    pub(crate) legs: Vec<LegReport>,
    /// Whether the marker came back whole.
    pub(crate) marker: bool,
    /// The first thing that did not hold.
    pub(crate) failure: Option<String>,
    /// From start to verdict, in milliseconds.
    pub(crate) milliseconds: f64,
}

impl Verdict {
    /// Returns whether every check held.
    pub(crate) const fn holds(&self) -> bool {
        self.marker && self.failure.is_none()
    }
}

/// Does the check.
pub(crate) async fn check(stack: &Stack, seeded: &Seeded, web: &Resource, began: Instant) -> Verdict {
    let mut legs = Vec::new();
    let done = timeout(LIMIT, walk(stack, seeded, web, &mut legs)).await;
    let failure = match done {
        Ok(Ok(())) => None,
        Ok(Err(error)) => Some(format!("{error:#}")),
        Err(_) => Some("not done in time".into()),
    };
    Verdict {
        legs,
        marker: failure.is_none(),
        failure,
        milliseconds: began.elapsed().as_secs_f64() * 1000.0,
    }
}

async fn walk(
    stack: &Stack,
    seeded: &Seeded,
    web: &Resource,
    legs: &mut Vec<LegReport>,
) -> anyhow::Result<()> {
    legs.push(https(stack).await?);
    legs.push(tunnel(stack)?);
    let connector = Connector::new(Arc::clone(&seeded.developer), stack.clock().clone());
    let session = connector.connect(&[web.id], |_| ()).await?;
    let evidence = session.evidence();
    ensure!(
        matches!(evidence.relay.identity, Identity::Relay { relay, .. } if relay == stack.relay),
        "another relay"
    );
    let gateway =
        matches!(evidence.gateway.identity, Identity::Gateway { gateway, .. } if gateway == seeded.gateway);
    ensure!(gateway, "another gateway");
    legs.push(of_evidence("client to relay", &evidence.relay));
    legs.push(of_evidence("client to gateway", &evidence.gateway));
    let began = Instant::now();
    let marker = format!("marker {}", session.grant().session);
    let request = format!(
        "POST /echo HTTP/1.1\r\nHost: web\r\nConnection: close\r\nContent-Length: {}\r\n\r\n{marker}",
        marker.len()
    );
    let mut stream = session.open(web.id, web.port).await?;
    stream.write_all(request.as_bytes()).await?;
    let mut answer = String::new();
    stream
        .read_to_string(&mut answer)
        .await
        .context("the web service's answer")?;
    ensure!(
        answer.starts_with("HTTP/1.1 200") && answer.ends_with(&marker),
        "the marker did not come back"
    );
    legs.push(LegReport {
        leg: "gateway to resource",
        peer: format!("{}:{}", web.host, web.port),
        authority: "approved in project demo".into(),
        key_exchange: "-".into(),
        cipher: "in clear, within the private network".into(),
        milliseconds: Some(began.elapsed().as_secs_f64() * 1000.0),
    });
    Ok(())
}

async fn https(stack: &Stack) -> anyhow::Result<LegReport> {
    let began = Instant::now();
    let tcp = TcpStream::connect(stack.address.target.to_string()).await?;
    let connector =
        PinnedConnector::with_pins(stack.address.pins.clone(), stack.clock().clone(), &[b"http/1.1"]);
    let facts = connector
        .connect(tcp, &stack.address.target.host, began + LIMIT)
        .await?
        .tls;
    Ok(LegReport {
        leg: "client to platform",
        peer: stack.address.target.to_string(),
        authority: "Platform Root".into(),
        key_exchange: facts.kx.into(),
        cipher: facts.cipher.into(),
        milliseconds: Some(began.elapsed().as_secs_f64() * 1000.0),
    })
}

fn tunnel(stack: &Stack) -> anyhow::Result<LegReport> {
    let tunnels = stack.tunnels.borrow().clone();
    let (relay, state) = tunnels.into_iter().next().context("the gateway has no relay")?;
    let TunnelState::Open { facts, took } = state else {
        anyhow::bail!("the tunnel is not open: {state:?}")
    };
    ensure!(relay == stack.relay, "the tunnel leads to another relay");
    Ok(LegReport {
        leg: "gateway to relay",
        peer: Identity::Relay {
            instance: stack.platform.instance().id,
            scope: postern_domain::Scope::Instance,
            relay,
        }
        .to_string(),
        authority: "Instance Relay SSH Server CA".into(),
        key_exchange: facts.kex,
        cipher: facts.cipher,
        milliseconds: Some(took.as_secs_f64() * 1000.0),
    })
}

fn of_evidence(leg: &'static str, evidence: &LegEvidence) -> LegReport {
    LegReport {
        leg,
        peer: evidence.identity.to_string(),
        authority: evidence.issuer.clone(),
        key_exchange: evidence.kx.into(),
        cipher: evidence.cipher.into(),
        milliseconds: Some(evidence.elapsed.as_secs_f64() * 1000.0),
    }
}
