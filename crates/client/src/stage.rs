//! How far an attempt has come, for whoever waits for it.

use std::fmt;
use std::net::SocketAddr;
use std::time::Duration;

use postern_domain::{GatewayId, RelayId, SessionId, Target, Timestamp};

use crate::Attempt;

/// A step that an attempt has reached.
#[derive(Debug, Clone)]
pub enum Stage {
    /// The platform is asked for a session.
    Asking,
    /// The platform has granted one.
    Granted {
        /// The session.
        session: SessionId,
        /// The gateway it leads to.
        gateway: GatewayId,
        /// When it ends.
        expires: Timestamp,
    },
    /// The clock of this computer is off by more than two minutes, not yet by five.
    ClockOff {
        /// By how much.
        by: Duration,
        /// Whether it is ahead of the platform's.
        ahead: bool,
    },
    /// A relay is dialled.
    Dialling {
        /// The relay.
        relay: RelayId,
        /// Its host and port.
        target: Target,
    },
    /// The relay has answered on TCP; TLS begins.
    Dialled {
        /// The address that answered.
        address: SocketAddr,
    },
    /// The relay has proven itself; it is asked for the gateway.
    RelayVerified,
    /// The relay has opened the way; TLS with the gateway begins.
    TunnelOpen,
    /// The gateway has proven itself; it is asked for the session.
    GatewayVerified,
    /// The gateway has admitted the session.
    Admitted,
    /// One relay did not lead to the gateway; the next one is tried, if there is one.
    RelayFailed(Attempt),
    /// The gateway's key is not one that the platform announced; the platform is asked again, once.
    AskingAgain,
}

impl fmt::Display for Stage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Asking => f.write_str("asking the platform for a session"),
            Self::Granted { session, gateway, .. } => {
                write!(f, "session {session} granted, behind gateway {gateway}")
            }
            Self::ClockOff { by, ahead } => {
                let way = if *ahead { "ahead of" } else { "behind" };
                let seconds = by.as_secs();
                write!(
                    f,
                    "the clock of this computer is {seconds} s {way} the platform's; sessions fail at 300 s"
                )
            }
            Self::Dialling { target, .. } => write!(f, "dialling relay {target}"),
            Self::Dialled { address } => write!(f, "connected to {address}"),
            Self::RelayVerified => f.write_str("relay verified"),
            Self::TunnelOpen => f.write_str("way to the gateway open"),
            Self::GatewayVerified => f.write_str("gateway verified"),
            Self::Admitted => f.write_str("session admitted"),
            Self::RelayFailed(attempt) => write!(f, "{attempt}"),
            Self::AskingAgain => f.write_str("the gateway has another key than announced; asking again"),
        }
    }
}
