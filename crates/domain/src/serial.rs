//! Serial numbers of X.509 and SSH certificates. Text form: lower-case hex.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// A text is not a serial number.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not a serial number: expected 1 to 20 bytes in lower-case hex")]
pub struct ParseSerialError;

/// A certificate's serial number: big-endian without leading zero bytes, at most 20 bytes (RFC 5280 section
/// 4.1.2.2). An SSH certificate's 64-bit serial is written the same way.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Serial(Box<[u8]>);

impl Serial {
    /// Takes big-endian bytes; leading zeros are dropped. Returns `None` above 20 bytes or for zero.
    #[must_use]
    pub fn from_be_bytes(bytes: &[u8]) -> Option<Self> {
        let first = bytes.iter().position(|&b| b != 0)?;
        bytes
            .get(first..)
            .filter(|b| b.len() <= 20)
            .map(|b| Self(b.into()))
    }

    /// Returns the big-endian bytes, without leading zeros.
    #[must_use]
    pub fn as_be_bytes(&self) -> &[u8] {
        &self.0
    }

    /// Returns the number as an SSH certificate's serial, if it fits in 64 bits.
    #[must_use]
    pub fn as_u64(&self) -> Option<u64> {
        (self.0.len() <= 8).then(|| self.0.iter().fold(0, |n, &b| (n << 8) | u64::from(b)))
    }
}

impl From<std::num::NonZeroU64> for Serial {
    fn from(number: std::num::NonZeroU64) -> Self {
        let bytes = number.get().to_be_bytes();
        let zeros = bytes.iter().take_while(|&&b| b == 0).count();
        Self(bytes.into_iter().skip(zeros).collect())
    }
}

impl fmt::Display for Serial {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|b| write!(f, "{b:02x}"))
    }
}

impl fmt::Debug for Serial {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Serial({self})")
    }
}

impl FromStr for Serial {
    type Err = ParseSerialError;

    fn from_str(text: &str) -> Result<Self, ParseSerialError> {
        let digit = |b: u8| match b {
            b'0'..=b'9' => Some(b - b'0'),
            b'a'..=b'f' => Some(b - b'a' + 10),
            _ => None,
        };
        let pairs = text.as_bytes().chunks(2).map(|pair| match *pair {
            [high, low] => Some(digit(high)? << 4 | digit(low)?),
            _ => None,
        });
        let bytes: Vec<u8> = pairs.collect::<Option<_>>().ok_or(ParseSerialError)?;
        match bytes.first() {
            Some(1..) if bytes.len() <= 20 => Ok(Self(bytes.into())),
            _ => Err(ParseSerialError),
        }
    }
}

impl Serialize for Serial {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Serial {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        crate::text::deserialize_from_str(deserializer)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::num::NonZeroU64;

    #[test]
    fn one_form_for_each_number() {
        let serial = Serial::from_be_bytes(&[0, 0, 0x0a, 0xff]);
        assert_eq!(serial.as_ref().map(ToString::to_string).as_deref(), Some("0aff"));
        assert_eq!("0aff".parse().ok(), serial);
        assert_eq!(NonZeroU64::new(0x0aff).map(Serial::from), serial);
        assert_eq!(serial.and_then(|s| s.as_u64()), Some(0x0aff));
    }

    #[test]
    fn refuses_zero_and_long_and_foreign_text() {
        assert_eq!(Serial::from_be_bytes(&[0; 8]), None);
        assert_eq!(Serial::from_be_bytes(&[1; 21]), None);
        for bad in ["", "0", "00", "00aa", "AA", "0x1", "aa bb", &"11".repeat(21)] {
            assert!(bad.parse::<Serial>().is_err(), "{bad}");
        }
    }
}
