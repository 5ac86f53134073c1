//! Networks in CIDR form, against which the addresses of a resource's name are held.

use std::fmt;
use std::net::{IpAddr, Ipv6Addr};
use std::str::FromStr;

/// A text is not a network.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not a network: expected an address, a slash and a prefix length, with no bit set behind the prefix")]
pub struct ParseNetworkError;

/// A network: an address and a prefix length. Text form `10.0.0.0/8` or `2001:db8::/32`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Network {
    address: IpAddr,
    prefix: u8,
}

/// Returns the address as a number of 128 bits whose upper bits are the address, and its width in bits.
fn bits(address: IpAddr) -> (u128, u8) {
    match address {
        IpAddr::V4(v4) => (u128::from(v4.to_bits()) << 96, 32),
        IpAddr::V6(v6) => (v6.to_bits(), Ipv6Addr::BITS as u8),
    }
}

const fn mask(prefix: u8) -> u128 {
    match prefix {
        0 => 0,
        1..=127 => u128::MAX << (128 - prefix),
        128.. => u128::MAX,
    }
}

impl Network {
    /// Returns whether the address lies within. IPv4-mapped IPv6 addresses count as IPv4; the families never mix.
    #[must_use]
    pub fn contains(&self, address: IpAddr) -> bool {
        let (number, width) = bits(address.to_canonical());
        let (network, own_width) = bits(self.address);
        width == own_width && number & mask(self.prefix) == network
    }
}

impl FromStr for Network {
    type Err = ParseNetworkError;

    fn from_str(text: &str) -> Result<Self, ParseNetworkError> {
        let (address, prefix) = text.split_once('/').ok_or(ParseNetworkError)?;
        let address: IpAddr = address.parse().map_err(|_| ParseNetworkError)?;
        let plain = prefix.bytes().all(|b| b.is_ascii_digit()) && (prefix == "0" || !prefix.starts_with('0'));
        let prefix: u8 = prefix.parse().map_err(|_| ParseNetworkError)?;
        let (number, width) = bits(address);
        if plain && prefix <= width && number & !mask(prefix) == 0 && address.to_canonical() == address {
            Ok(Self { address, prefix })
        } else {
            Err(ParseNetworkError)
        }
    }
}

impl fmt::Display for Network {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.address, self.prefix)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn within(network: &str, address: &str) -> bool {
        network
            .parse::<Network>()
            .unwrap()
            .contains(address.parse().unwrap())
    }

    #[test]
    fn contains_what_shares_the_prefix() {
        assert!(within("10.0.0.0/8", "10.255.0.1"));
        assert!(within("0.0.0.0/0", "192.0.2.1"));
        assert!(within("192.0.2.7/32", "192.0.2.7"));
        assert!(within("2001:db8::/32", "2001:db8:1::1"));
        assert!(within("10.0.0.0/8", "::ffff:10.0.0.1"));
    }

    #[test]
    fn excludes_the_rest_and_the_other_family() {
        assert!(!within("10.0.0.0/8", "11.0.0.1"));
        assert!(!within("192.0.2.7/32", "192.0.2.6"));
        assert!(!within("::/0", "10.0.0.1"));
        assert!(!within("0.0.0.0/0", "2001:db8::1"));
    }

    #[test]
    fn refuses_what_can_be_read_in_two_ways() {
        for bad in [
            "",
            "10.0.0.0",
            "10.0.0.0/",
            "10.0.0.0/33",
            "10.0.0.0/08",
            "10.0.0.0/+8",
            "10.0.0.1/8",
            "2001:db8::/129",
            "::ffff:10.0.0.0/104",
            "10/8",
        ] {
            assert_eq!(bad.parse::<Network>(), Err(ParseNetworkError), "{bad:?}");
        }
        assert_eq!("10.0.0.0/8".parse::<Network>().unwrap().to_string(), "10.0.0.0/8");
    }
}
