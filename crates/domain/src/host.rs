//! Hosts: a DNS name or an IP address, in one canonical form.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// A text is neither a DNS name nor an IP address.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not a host: expected a DNS name or an IP address without brackets or port")]
pub struct ParseHostError;

/// A DNS name (RFC 1123: labels of letters, digits and hyphens, at most 253 characters, lower-cased, no
/// trailing dot) or an IP address in canonical form.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Host {
    /// A DNS name.
    Name(Box<str>),
    /// An address.
    Address(IpAddr),
}

impl FromStr for Host {
    type Err = ParseHostError;

    fn from_str(text: &str) -> Result<Self, ParseHostError> {
        if let Ok(v4) = text.parse::<Ipv4Addr>() {
            return Ok(Self::Address(v4.into()));
        }
        if let Ok(v6) = text.parse::<Ipv6Addr>() {
            return Ok(Self::Address(IpAddr::V6(v6).to_canonical()));
        }
        let label = |l: &str| {
            (1..=63).contains(&l.len())
                && l.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-')
                && !l.starts_with('-')
                && !l.ends_with('-')
        };
        // A last label of digits only would be read as an address by some resolvers (URL standard, "ends in a
        // number"), so it is not a name; likewise 0x….
        let numeric = |l: &str| {
            l.bytes().all(|b| b.is_ascii_digit())
                || l.strip_prefix("0x")
                    .is_some_and(|hex| hex.bytes().all(|b| b.is_ascii_hexdigit()))
        };
        let lower = text.to_ascii_lowercase();
        let last_is_numeric = lower.rsplit('.').next().is_none_or(numeric);
        if lower.len() <= 253 && lower.split('.').all(label) && !last_is_numeric {
            Ok(Self::Name(lower.into()))
        } else {
            Err(ParseHostError)
        }
    }
}

impl fmt::Display for Host {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Name(name) => f.pad(name),
            Self::Address(address) => address.fmt(f),
        }
    }
}

impl fmt::Debug for Host {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Host({self})")
    }
}

impl Serialize for Host {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Host {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        crate::text::deserialize_from_str(deserializer)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_form_for_each_host() {
        let form = |text: &str| text.parse::<Host>().map(|h| h.to_string());
        assert_eq!(form("DB.Internal").as_deref(), Ok("db.internal"));
        assert_eq!(form("::ffff:10.0.0.1").as_deref(), Ok("10.0.0.1"));
        assert_eq!(form("2001:DB8::0001").as_deref(), Ok("2001:db8::1"));
    }

    #[test]
    fn refuses_what_a_resolver_might_read_otherwise() {
        let long = format!("{}.a", "x".repeat(64));
        for bad in [
            "",
            ".",
            "a..b",
            "a.",
            "-a",
            "a-",
            "a_b",
            "a b",
            "1.2.3",
            "127.1",
            "2130706433",
            "0x7f000001",
            "[::1]",
            "host:80",
            "fe80::1%eth0",
            "ä.de",
            "a\n",
            &long,
        ] {
            assert_eq!(bad.parse::<Host>(), Err(ParseHostError), "{bad:?}");
        }
    }
}
