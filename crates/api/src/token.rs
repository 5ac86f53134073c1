//! The enrollment ticket: all that a daemon needs to enroll, in one text.
//!
//! `postern-enroll-` and the unpadded base64url of the JSON `{"a":"host:port","p":["sha256/…"],"s":"<secret>"}`.

use std::fmt;
use std::str::FromStr;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use postern_domain::{Pin, Secret, Target};
use serde::{Deserialize, Serialize};

const PREFIX: &str = "postern-enroll-";
const LONGEST: usize = 4096;

/// A text is not an enrollment ticket.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not an enrollment token: it starts with postern-enroll- and must be copied whole")]
pub struct ParseTicketError;

/// Where to enroll, whom to believe, and the one-time secret.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct EnrollmentTicket {
    /// The platform's address.
    #[serde(rename = "a")]
    pub address: Target,
    /// The keys that the platform's certificate may chain to; at least one.
    #[serde(rename = "p")]
    pub pins: Vec<Pin>,
    /// The one-time secret.
    #[serde(rename = "s")]
    pub secret: Secret<String>,
}

impl EnrollmentTicket {
    /// Returns the ticket's text, a secret.
    #[must_use]
    pub fn to_secret_text(&self) -> Secret<String> {
        let json = Secret::new(serde_json::to_vec(self).unwrap_or_default());
        Secret::new(format!("{PREFIX}{}", URL_SAFE_NO_PAD.encode(json.expose())))
    }
}

impl FromStr for EnrollmentTicket {
    type Err = ParseTicketError;

    fn from_str(text: &str) -> Result<Self, ParseTicketError> {
        let encoded = text
            .trim()
            .strip_prefix(PREFIX)
            .filter(|e| e.len() <= LONGEST)
            .ok_or(ParseTicketError)?;
        let json = Secret::new(URL_SAFE_NO_PAD.decode(encoded).map_err(|_| ParseTicketError)?);
        let ticket: Self = serde_json::from_slice(json.expose()).map_err(|_| ParseTicketError)?;
        if ticket.pins.is_empty() {
            Err(ParseTicketError)
        } else {
            Ok(ticket)
        }
    }
}

impl fmt::Display for EnrollmentTicket {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "enrollment token for {}", self.address)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_form_round_trips_and_bad_text_is_refused() {
        let ticket = EnrollmentTicket {
            address: "platform.example:8080".parse().unwrap(),
            pins: vec![Pin::from_digest([1; 32])],
            secret: Secret::new("s".into()),
        };
        let text = ticket.to_secret_text();
        let back: EnrollmentTicket = text.expose().parse().unwrap();
        assert_eq!((back.address, back.pins), (ticket.address, ticket.pins));
        let cut = &text.expose()[..text.expose().len() - 3];
        for bad in [
            "",
            "postern-enroll-",
            "postern-enroll-e30",
            cut,
            "postern-enroll-AAAA",
        ] {
            assert!(bad.parse::<EnrollmentTicket>().is_err(), "{bad}");
        }
    }
}
