//! How long each step may take.

use std::time::Duration;

/// The deadline of each step on the way to a session. The steps of one relay follow each other, and so do relays.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Timeouts {
    /// The platform's answer.
    pub grant: Duration,
    /// Resolving a relay's name and connecting to one of its addresses.
    pub dial: Duration,
    /// The TLS handshake with the relay.
    pub relay: Duration,
    /// The relay's status byte, which waits for the gateway to confirm.
    pub status: Duration,
    /// The TLS handshake with the gateway.
    pub gateway: Duration,
    /// The gateway's word that it admits the session.
    pub admission: Duration,
}

impl Default for Timeouts {
    fn default() -> Self {
        Self {
            grant: Duration::from_secs(15),
            dial: Duration::from_secs(5),
            relay: Duration::from_secs(5),
            status: Duration::from_secs(10),
            gateway: Duration::from_secs(10),
            admission: Duration::from_secs(10),
        }
    }
}
