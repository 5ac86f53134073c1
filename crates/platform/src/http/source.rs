//! Where a request came from: the socket's peer, or what a configured proxy says.

use std::net::{IpAddr, Ipv6Addr, SocketAddr};

use http::HeaderMap;
use postern_session::Network;

/// Returns the source address. `X-Forwarded-For` counts only as far as each address that wrote it is a trusted
/// proxy, read from the nearest hop backwards; the first address that is none is the source.
pub(super) fn source(peer: SocketAddr, headers: &HeaderMap, trusted: &[Network]) -> IpAddr {
    let mut source = peer.ip().to_canonical();
    let is_proxy = |address: IpAddr| trusted.iter().any(|network| network.contains(address));
    if !is_proxy(source) {
        return source;
    }
    let values: Vec<_> = headers.get_all("x-forwarded-for").iter().collect();
    let hops = values
        .iter()
        .rev()
        .flat_map(|value| value.to_str().unwrap_or("?").rsplit(','));
    for hop in hops {
        let Ok(address) = hop.trim().parse::<IpAddr>() else {
            break;
        };
        source = address.to_canonical();
        if !is_proxy(source) {
            break;
        }
    }
    source
}

/// Returns what counts as one source: an IPv4 address, or the IPv6 network of 64 bits that one host is given.
pub(super) fn network_of(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V4(v4) => IpAddr::V4(v4),
        IpAddr::V6(v6) => {
            let [a, b, c, d, ..] = v6.segments();
            IpAddr::V6(Ipv6Addr::new(a, b, c, d, 0, 0, 0, 0))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(peer: &str, lines: &[&str]) -> String {
        let mut headers = HeaderMap::new();
        for line in lines {
            headers.append("x-forwarded-for", line.parse().unwrap());
        }
        let trusted = ["10.0.0.0/8".parse().unwrap()];
        source(peer.parse().unwrap(), &headers, &trusted).to_string()
    }

    #[test]
    fn a_stranger_cannot_claim_another_address() {
        assert_eq!(told("192.0.2.1:9", &["198.51.100.7"]), "192.0.2.1");
        assert_eq!(told("[::ffff:192.0.2.1]:9", &[]), "192.0.2.1");
    }

    #[test]
    fn a_proxy_is_believed_as_far_as_the_chain_is_trusted() {
        assert_eq!(told("10.0.0.1:9", &["198.51.100.7"]), "198.51.100.7");
        assert_eq!(
            told("10.0.0.1:9", &["203.0.113.1, 198.51.100.7, 10.0.0.2"]),
            "198.51.100.7"
        );
        assert_eq!(
            told("10.0.0.1:9", &["203.0.113.1", "198.51.100.7"]),
            "198.51.100.7"
        );
        assert_eq!(told("10.0.0.1:9", &["203.0.113.1, garbage"]), "10.0.0.1");
        assert_eq!(told("10.0.0.1:9", &[]), "10.0.0.1");
    }
}
