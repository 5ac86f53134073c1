//! Pins: the SHA-256 of a public key (SubjectPublicKeyInfo, DER). Text form `sha256/<base64>`.

use std::fmt;
use std::str::FromStr;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// A text is not a pin.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not a pin: expected sha256/ and 44 characters of base64")]
pub struct ParsePinError;

/// The SHA-256 of a SubjectPublicKeyInfo in DER (RFC 5280 section 4.1). Public; compared as it is.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Pin([u8; 32]);

impl Pin {
    /// Takes a digest that was already computed.
    #[must_use]
    pub const fn from_digest(digest: [u8; 32]) -> Self {
        Self(digest)
    }

    /// Returns the digest.
    #[must_use]
    pub const fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }
}

impl FromStr for Pin {
    type Err = ParsePinError;

    fn from_str(text: &str) -> Result<Self, ParsePinError> {
        let encoded = text
            .strip_prefix("sha256/")
            .filter(|e| e.len() == 44)
            .ok_or(ParsePinError)?;
        let bytes = STANDARD.decode(encoded).map_err(|_| ParsePinError)?;
        bytes.try_into().map(Self).map_err(|_| ParsePinError)
    }
}

impl fmt::Display for Pin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "sha256/{}", STANDARD.encode(self.0))
    }
}

impl fmt::Debug for Pin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Pin({self})")
    }
}

impl Serialize for Pin {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Pin {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        crate::text::deserialize_from_str(deserializer)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_form_round_trips_and_nothing_else_parses() {
        let pin = Pin::from_digest([7; 32]);
        assert_eq!(pin.to_string().parse(), Ok(pin));
        for bad in [
            "",
            "sha256/",
            "sha1/AAAA",
            &pin.to_string().to_uppercase(),
            &format!("{pin}="),
        ] {
            assert_eq!(bad.parse::<Pin>(), Err(ParsePinError), "{bad}");
        }
    }
}
