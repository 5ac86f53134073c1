//! Where an attempt came from, and whether we saw that ourselves.

use std::fmt;
use std::net::{IpAddr, SocketAddr};
use std::str::FromStr;

/// A text is not a source address.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not a source: expected an IP address, with or without a port")]
pub struct ParseSourceError;

/// A source address. What the reporter's own socket said is seen; what a party only told is claimed, such as the
/// client's address that a relay passes on to a gateway.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Source {
    /// The address, canonical: an IPv4-mapped address is written as IPv4.
    pub address: IpAddr,
    /// The port; absent in a record that folds several attempts.
    pub port: Option<u16>,
    /// Whether it is only claimed.
    pub claimed: bool,
}

impl Source {
    /// Takes the peer address of the reporter's own socket.
    #[must_use]
    pub const fn seen(peer: SocketAddr) -> Self {
        Self {
            address: peer.ip().to_canonical(),
            port: Some(peer.port()),
            claimed: false,
        }
    }

    /// Takes an address that another party told.
    #[must_use]
    pub const fn claimed(told: SocketAddr) -> Self {
        Self {
            address: told.ip().to_canonical(),
            port: Some(told.port()),
            claimed: true,
        }
    }

    /// Takes the address that several attempts came from, seen by the reporter itself.
    #[must_use]
    pub const fn folded(address: IpAddr) -> Self {
        Self {
            address: address.to_canonical(),
            port: None,
            claimed: false,
        }
    }

    /// Reads an address, with or without a port.
    pub(crate) fn parse(text: &str, claimed: bool) -> Result<Self, ParseSourceError> {
        let (address, port) = match SocketAddr::from_str(text) {
            Ok(both) => (both.ip(), Some(both.port())),
            Err(_) => (text.parse().map_err(|_| ParseSourceError)?, None),
        };
        Ok(Self {
            address,
            port,
            claimed,
        })
    }
}

impl fmt::Display for Source {
    /// Writes `address:port`, IPv6 in brackets, or the bare address.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.port {
            Some(port) => SocketAddr::new(self.address, port).fmt(f),
            None => self.address.fmt(f),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mapped_address_is_written_as_ipv4() {
        let source = Source::seen("[::ffff:10.0.0.1]:7".parse().unwrap());
        assert_eq!(source.to_string(), "10.0.0.1:7");
    }

    #[test]
    fn text_forms_parse_back_and_nothing_else_does() {
        for text in ["10.0.0.1:7", "[2001:db8::1]:7", "10.0.0.1", "2001:db8::1"] {
            assert_eq!(
                Source::parse(text, true).map(|s| s.to_string()).as_deref(),
                Ok(text)
            );
        }
        for bad in ["", "localhost", "10.0.0.1:70000"] {
            assert!(Source::parse(bad, false).is_err(), "{bad}");
        }
    }
}
