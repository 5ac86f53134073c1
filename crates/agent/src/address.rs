//! Where the platform is, and how it is known: address and pins.

use postern_api::EnrollmentTicket;
use postern_domain::{Pin, Target};
use serde::{Deserialize, Serialize};

/// The platform's address and the keys that its certificate may chain to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PlatformAddress {
    /// Host and port of its HTTPS API. The certificate must name the host.
    pub target: Target,
    /// SHA-256 of the keys; at least one, or nothing is believed.
    pub pins: Vec<Pin>,
}

impl From<&EnrollmentTicket> for PlatformAddress {
    fn from(ticket: &EnrollmentTicket) -> Self {
        Self {
            target: ticket.address.clone(),
            pins: ticket.pins.clone(),
        }
    }
}
