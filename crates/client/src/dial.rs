//! One relay, from TCP to an admitted session.

use std::io;
use std::net::SocketAddr;

use postern_domain::{Host, Reason, Target};
use postern_session::{Connection, Driver, Limits, handshake};
use postern_transport::RelayStatus;
use postern_transport::socket::connect;
use tokio::net::TcpStream;
use tokio::time::{Instant, timeout_at};
use tokio_rustls::client::TlsStream;

use crate::evidence::LegEvidence;
use crate::expectation::{Expectation, Relay};
use crate::{Attempt, Leg, Stage, Timeouts};

/// Addresses of one name that are tried.
const ADDRESSES: usize = 8;

/// The bytes beneath the inner session.
pub(crate) type Inner = TlsStream<TlsStream<TcpStream>>;

/// A session that the gateway has admitted.
pub(crate) struct Reached {
    pub(crate) connection: Connection,
    pub(crate) driver: Driver<Inner>,
    pub(crate) address: SocketAddr,
    pub(crate) relay: LegEvidence,
    pub(crate) gateway: LegEvidence,
    pub(crate) admission: std::time::Duration,
}

/// Why a step failed; the caller knows of which relay.
struct Failed {
    leg: Leg,
    reason: Reason,
    detail: String,
}

impl Failed {
    fn new(leg: Leg, reason: Reason, detail: impl Into<String>) -> Self {
        Self {
            leg,
            reason,
            detail: detail.into(),
        }
    }
}

/// Goes the whole way over one relay.
pub(crate) async fn reach(
    relay: &Relay,
    expectation: &Expectation,
    timeouts: &Timeouts,
    limits: &Limits,
    progress: &(impl Fn(Stage) + Sync),
) -> Result<Reached, Attempt> {
    let result = steps(relay, expectation, timeouts, limits, progress).await;
    result.map_err(|failed| Attempt {
        relay: relay.id,
        target: relay.target.clone(),
        leg: failed.leg,
        reason: failed.reason,
        detail: failed.detail,
    })
}

async fn steps(
    relay: &Relay,
    expectation: &Expectation,
    timeouts: &Timeouts,
    limits: &Limits,
    progress: &(impl Fn(Stage) + Sync),
) -> Result<Reached, Failed> {
    progress(Stage::Dialling {
        relay: relay.id,
        target: relay.target.clone(),
    });
    let start = Instant::now();
    let (tcp, address) = dial(&relay.target, start + timeouts.dial)
        .await
        .map_err(|error| dial_failed(&error))?;
    progress(Stage::Dialled { address });

    let deadline = Instant::now() + timeouts.relay;
    let outer = expectation.relay_tls.connect(tcp, &relay.leg, deadline).await;
    let mut outer = outer.map_err(|error| Failed::new(Leg::Relay, error.reason, error.detail))?;
    progress(Stage::RelayVerified);

    // Nothing inner is sent before this byte.
    let deadline = Instant::now() + timeouts.status;
    status(&mut outer.stream, deadline).await?;
    let relay = LegEvidence::of(&outer.peer, &outer.tls, start.elapsed());
    progress(Stage::TunnelOpen);

    let start = Instant::now();
    let deadline = start + timeouts.gateway;
    let leg = &expectation.gateway_leg;
    let inner = expectation.gateway_tls.connect(outer.stream, leg, deadline).await;
    let inner = inner.map_err(|error| Failed::new(Leg::Gateway, error.reason, error.detail))?;
    let gateway = LegEvidence::of(&inner.peer, &inner.tls, start.elapsed());
    progress(Stage::GatewayVerified);

    let start = Instant::now();
    let limits = Limits {
        handshake: timeouts.admission,
        ..limits.clone()
    };
    let begun = handshake(inner.stream, &limits).await;
    let (connection, driver) =
        begun.map_err(|error| Failed::new(Leg::Session, error.reason, error.to_string()))?;
    progress(Stage::Admitted);
    Ok(Reached {
        connection,
        driver,
        address,
        relay,
        gateway,
        admission: start.elapsed(),
    })
}

async fn status(stream: &mut TlsStream<TcpStream>, deadline: Instant) -> Result<(), Failed> {
    let said = timeout_at(deadline, RelayStatus::read(stream)).await;
    let said = said.map_err(|_| {
        let detail = "the relay did not say in time whether it reaches the gateway";
        Failed::new(Leg::Tunnel, Reason::HandshakeTimeout, detail)
    })?;
    let said = said.map_err(|error| Failed::new(Leg::Tunnel, error.reason(), error.to_string()))?;
    match said.reason() {
        None => Ok(()),
        Some(reason) => {
            let detail = match said {
                RelayStatus::GatewayOffline => "the gateway has no tunnel to this relay",
                RelayStatus::OverQuota => {
                    "the organization or the gateway has reached its limit at this relay"
                }
                RelayStatus::Draining => "this relay is about to stop",
                RelayStatus::Open | RelayStatus::Refused => "the relay refused the connection",
            };
            Err(Failed::new(Leg::Tunnel, reason, detail))
        }
    }
}

/// Connects to one of the target's addresses. Each gets a fair share of the time that is left.
async fn dial(target: &Target, deadline: Instant) -> io::Result<(TcpStream, SocketAddr)> {
    let port = target.port.get();
    let addresses: Vec<SocketAddr> = match &target.host {
        Host::Address(address) => vec![SocketAddr::new(*address, port)],
        Host::Name(name) => {
            let found = timeout_at(deadline, tokio::net::lookup_host((&**name, port))).await;
            let found = found.map_err(|_| io::Error::from(io::ErrorKind::TimedOut))?;
            let unknown = |error: io::Error| {
                let what = format!("the relay's name could not be resolved: {error}");
                io::Error::new(io::ErrorKind::NotFound, what)
            };
            found.map_err(unknown)?.take(ADDRESSES).collect()
        }
    };
    let mut last = io::Error::new(io::ErrorKind::NotFound, "the relay's name has no address");
    for (address, left) in addresses.iter().zip((1..=addresses.len()).rev()) {
        let now = Instant::now();
        let share = deadline.duration_since(now) / u32::try_from(left).unwrap_or(1);
        match connect(*address, now + share).await {
            Ok(stream) => return Ok((stream, *address)),
            Err(error) => last = error,
        }
    }
    Err(last)
}

fn dial_failed(error: &io::Error) -> Failed {
    let kind = error.kind();
    let (reason, what) = if kind == io::ErrorKind::TimedOut {
        (
            Reason::TargetTimeout,
            String::from("the relay did not answer in time"),
        )
    } else if kind == io::ErrorKind::ConnectionRefused {
        let what = String::from("nobody listens on the relay's port");
        (Reason::TargetRefused, what)
    } else if kind == io::ErrorKind::NotFound {
        (Reason::NameNotResolved, error.to_string())
    } else {
        let what = format!("the relay could not be reached: {error}");
        (Reason::TargetUnreachable, what)
    };
    Failed::new(Leg::Dial, reason, what)
}
