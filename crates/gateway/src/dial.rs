//! Dialling a target: its name is resolved once, each address is judged, and the socket is dialled with the
//! address that was judged, never with the name.

use std::net::SocketAddr;
use std::time::Duration;

use postern_audit::Recorded;
use postern_domain::{Host, Reason, Target};
use postern_session::Permit;
use tokio::net::{TcpSocket, TcpStream};
use tokio::time::{Instant, timeout_at};

use crate::rules::{RuleRefusal, Rules};

/// At most so many addresses of one name are tried.
const MOST_ADDRESSES: usize = 8;

/// A target was not reached.
#[derive(Debug, thiserror::Error)]
#[error("{detail}")]
pub(crate) struct DialError {
    /// Why: forbidden, not resolved, unreachable, refused or too slow.
    pub(crate) reason: Reason,
    /// What was tried.
    pub(crate) detail: String,
}

impl DialError {
    fn new(reason: Reason, detail: impl Into<String>) -> Self {
        Self {
            reason,
            detail: detail.into(),
        }
    }
}

impl From<RuleRefusal> for DialError {
    fn from(refusal: RuleRefusal) -> Self {
        Self {
            reason: refusal.reason,
            detail: refusal.detail,
        }
    }
}

/// Addresses of one target that may be dialled: resolved once, each judged.
#[derive(Debug)]
pub(crate) struct Approach {
    addresses: Vec<SocketAddr>,
}

/// Resolves a permitted target and judges its addresses. An address that is refused is left out; when none is
/// left, the first refusal is the answer.
///
/// # Errors
/// The name does not resolve in time, or every address is refused.
pub(crate) async fn approach(
    permit: &Permit,
    rules: &Rules,
    deadline: Instant,
) -> Result<Approach, DialError> {
    let target = permit.target();
    rules.judge_target(target)?;
    let mut refused = None;
    let mut addresses = Vec::new();
    for address in resolve(target, deadline).await? {
        let judged = rules
            .judge_address(target, address)
            .and_then(|()| within_networks(permit, address));
        match judged {
            Ok(()) => addresses.push(address),
            Err(refusal) => refused = refused.or(Some(refusal)),
        }
    }
    match (addresses.is_empty(), refused) {
        (false, _) => Ok(Approach { addresses }),
        (true, Some(refusal)) => Err(refusal.into()),
        (true, None) => Err(DialError::new(
            Reason::NameNotResolved,
            format!("{} has no address", target.host),
        )),
    }
}

async fn resolve(target: &Target, deadline: Instant) -> Result<Vec<SocketAddr>, DialError> {
    let name = match &target.host {
        Host::Address(ip) => return Ok(vec![SocketAddr::new(*ip, target.port.get())]),
        Host::Name(name) => name,
    };
    // A trailing dot keeps the resolver from appending search domains, but hides /etc/hosts entries from some
    // resolvers; private networks live by both, so the name is asked as it is written.
    match timeout_at(deadline, tokio::net::lookup_host((&**name, target.port.get()))).await {
        Ok(Ok(found)) => Ok(found.take(MOST_ADDRESSES).collect()),
        Ok(Err(error)) => Err(DialError::new(
            Reason::NameNotResolved,
            format!("{name} cannot be resolved on the gateway: {error}"),
        )),
        Err(_) => Err(DialError::new(
            Reason::NameNotResolved,
            format!("{name} was not resolved in time"),
        )),
    }
}

fn within_networks(permit: &Permit, address: SocketAddr) -> Result<(), RuleRefusal> {
    let networks = permit.allowed_networks();
    let ip = crate::address::canonical(address.ip());
    if networks.is_empty() || networks.iter().any(|network| network.contains(ip)) {
        Ok(())
    } else {
        let detail = format!(
            "{} resolves to {ip}, outside the resource's allowed networks",
            permit.target().host
        );
        Err(RuleRefusal {
            reason: Reason::TargetForbidden,
            detail,
        })
    }
}

/// Dials a target for a permit that is on record, one address after the other.
///
/// # Errors
/// Says of the last address tried whether it refused, was unreachable or did not answer.
pub(crate) async fn dial(
    permit: &Recorded<Permit>,
    approach: &Approach,
    deadline: Instant,
) -> Result<TcpStream, DialError> {
    let mut last = DialError::new(
        Reason::TargetUnreachable,
        format!("{} has no address", permit.get().target()),
    );
    let count = u32::try_from(approach.addresses.len()).unwrap_or(u32::MAX).max(1);
    for (&address, left) in approach.addresses.iter().zip((1..=count).rev()) {
        // What time is left is shared by the addresses that are left, so a dead one does not use up all of it.
        let share = deadline.saturating_duration_since(Instant::now()) / left;
        last = match timeout_at(Instant::now() + share, connect(address)).await {
            Ok(Ok(stream)) => return Ok(stream),
            Ok(Err(error)) => {
                let refused = error.kind() == std::io::ErrorKind::ConnectionRefused;
                let reason = if refused {
                    Reason::TargetRefused
                } else {
                    Reason::TargetUnreachable
                };
                DialError::new(reason, format!("{address}: {error}"))
            }
            Err(_) => DialError::new(Reason::TargetTimeout, format!("{address} did not answer in time")),
        };
    }
    Err(last)
}

async fn connect(address: SocketAddr) -> std::io::Result<TcpStream> {
    let socket = if address.is_ipv4() {
        TcpSocket::new_v4()?
    } else {
        TcpSocket::new_v6()?
    };
    socket.set_nodelay(true)?;
    socket.set_keepalive(true)?;
    socket.connect(address).await
}

/// How long a dial may take, name resolution included.
pub(crate) const DIAL_TIME: Duration = Duration::from_secs(10);
