//! Addresses that a gateway does not dial by default, judged in canonical form.
//!
//! An address is canonical when nothing stands for another address: IPv4-mapped (RFC 4291 section 2.5.5.2),
//! IPv4-compatible, NAT64 (RFC 6052 and the local-use prefix of RFC 8215) and 6to4 (RFC 3056) are unwrapped to
//! the IPv4 address that packets would reach. Both the text's address and the one within it are judged.

use std::fmt;
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, UdpSocket};

/// Why an address is forbidden.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Forbidden {
    /// 127.0.0.0/8, ::1.
    Loopback,
    /// 0.0.0.0/8, ::.
    Unspecified,
    /// 169.254.0.0/16, fe80::/10.
    LinkLocal,
    /// 224.0.0.0/4, ff00::/8.
    Multicast,
    /// 255.255.255.255 and the reserved block above 240.0.0.0.
    Broadcast,
    /// The metadata service of a cloud.
    Metadata,
    /// An address of the gateway's own host.
    Own,
}

impl fmt::Display for Forbidden {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Loopback => "a loopback address",
            Self::Unspecified => "the unspecified address",
            Self::LinkLocal => "a link-local address",
            Self::Multicast => "a multicast address",
            Self::Broadcast => "a broadcast or reserved address",
            Self::Metadata => "a metadata service",
            Self::Own => "the gateway's own address",
        })
    }
}

/// Metadata services that lie outside the link-local networks.
const METADATA_V4: [Ipv4Addr; 3] = [
    Ipv4Addr::new(100, 100, 100, 200),
    Ipv4Addr::new(168, 63, 129, 16),
    Ipv4Addr::new(192, 0, 0, 192),
];
const METADATA_V6: [Ipv6Addr; 2] = [
    Ipv6Addr::new(0xfd00, 0xec2, 0, 0, 0, 0, 0, 0x254),
    Ipv6Addr::new(0xfd20, 0xce, 0, 0, 0, 0, 0, 0x254),
];

/// Returns the address that packets to `address` would reach.
#[must_use]
pub fn canonical(address: IpAddr) -> IpAddr {
    let IpAddr::V6(v6) = address else { return address };
    let [a, b, c, d, e, f, g, h] = v6.segments();
    let embedded = |high: u16, low: u16| {
        let [w, x] = high.to_be_bytes();
        let [y, z] = low.to_be_bytes();
        IpAddr::V4(Ipv4Addr::new(w, x, y, z))
    };
    match (a, b, c, d, e, f) {
        (0, 0, 0, 0, 0, 0xffff) | (0x64, 0xff9b, 0, 0, 0, 0) => embedded(g, h),
        // RFC 8215: whatever the local prefix length, operators embed at the end of a /96 by convention.
        (0x64, 0xff9b, 1, ..) => embedded(g, h),
        (0x2002, high, low, ..) => embedded(high, low),
        (0, 0, 0, 0, 0, 0) if g != 0 => embedded(g, h),
        _ => address,
    }
}

/// Returns why an address is forbidden by default, if it is. The address is made canonical first.
#[must_use]
pub fn forbidden(address: IpAddr) -> Option<Forbidden> {
    let canonical = canonical(address);
    by_class(canonical).or_else(|| is_own(canonical).then_some(Forbidden::Own))
}

fn by_class(address: IpAddr) -> Option<Forbidden> {
    match address {
        IpAddr::V4(v4) => {
            let [first, ..] = v4.octets();
            match () {
                () if v4.is_loopback() => Some(Forbidden::Loopback),
                () if first == 0 => Some(Forbidden::Unspecified),
                () if v4.is_link_local() => Some(Forbidden::LinkLocal),
                () if v4.is_multicast() => Some(Forbidden::Multicast),
                () if first >= 240 => Some(Forbidden::Broadcast),
                () if METADATA_V4.contains(&v4) => Some(Forbidden::Metadata),
                () => None,
            }
        }
        IpAddr::V6(v6) => match () {
            () if v6.is_loopback() => Some(Forbidden::Loopback),
            () if v6.is_unspecified() => Some(Forbidden::Unspecified),
            () if v6.is_unicast_link_local() => Some(Forbidden::LinkLocal),
            () if v6.is_multicast() => Some(Forbidden::Multicast),
            () if METADATA_V6.contains(&v6) => Some(Forbidden::Metadata),
            () => None,
        },
    }
}

/// Asks the kernel whether an address is this host's: only then can a socket be bound to it. Interfaces come
/// and go, so it is asked at every dial. Where the host lets sockets bind to foreign addresses
/// (`ip_nonlocal_bind`), every address counts as its own, and the local rules must allow each: closed, not open. So
/// does an address of which the kernel does not say that it is foreign, as when descriptors have run out.
fn is_own(address: IpAddr) -> bool {
    !says_foreign(&UdpSocket::bind((address, 0)))
}

fn says_foreign<T>(bound: &io::Result<T>) -> bool {
    bound
        .as_ref()
        .is_err_and(|error| error.kind() == io::ErrorKind::AddrNotAvailable)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(text: &str) -> Option<Forbidden> {
        forbidden(text.parse().unwrap())
    }

    #[test]
    fn forbids_every_class_in_both_families() {
        for (text, why) in [
            ("127.0.0.1", Forbidden::Loopback),
            ("127.255.0.9", Forbidden::Loopback),
            ("::1", Forbidden::Loopback),
            ("0.0.0.0", Forbidden::Unspecified),
            ("0.1.2.3", Forbidden::Unspecified),
            ("::", Forbidden::Unspecified),
            ("169.254.169.254", Forbidden::LinkLocal),
            ("fe80::1", Forbidden::LinkLocal),
            ("224.0.0.1", Forbidden::Multicast),
            ("ff02::1", Forbidden::Multicast),
            ("255.255.255.255", Forbidden::Broadcast),
            ("100.100.100.200", Forbidden::Metadata),
            ("168.63.129.16", Forbidden::Metadata),
            ("fd00:ec2::254", Forbidden::Metadata),
        ] {
            assert_eq!(of(text), Some(why), "{text}");
        }
    }

    #[test]
    fn unwraps_addresses_that_stand_for_others() {
        for text in [
            "::ffff:127.0.0.1",
            "::127.0.0.1",
            "64:ff9b::7f00:1",
            "64:ff9b:1::7f00:1",
            "2002:7f00:1::",
            "2002:7f00:1:1::1",
        ] {
            assert_eq!(of(text), Some(Forbidden::Loopback), "{text}");
        }
        assert_eq!(of("2002:a9fe:a9fe::1"), Some(Forbidden::LinkLocal));
    }

    #[test]
    fn an_address_is_foreign_only_if_the_kernel_says_so() {
        let failed = |code| says_foreign::<()>(&Err(io::Error::from_raw_os_error(code)));
        let (too_many_files, no_memory, not_available) = (24, 12, 99);
        assert!(!failed(too_many_files) && !failed(no_memory) && !says_foreign(&Ok(())));
        assert!(failed(not_available));
    }

    #[test]
    fn allows_what_is_none_of_these() {
        for text in ["192.0.2.7", "10.255.255.1", "2001:db8::7", "2002:c000:207::1"] {
            assert_eq!(of(text), None, "{text}");
        }
    }
}
