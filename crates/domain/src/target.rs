//! What is dialled in the private network, and how a client names it.

use std::fmt;
use std::num::NonZeroU16;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::{Host, ParseHostError, ResourceId};

/// A TCP port, 1 to 65535.
pub type Port = NonZeroU16;

/// A text is not a target.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum ParseTargetError {
    /// There is no `:port`, or it is not 1 to 65535 in decimal without sign or leading zero.
    #[error("not a port: expected host:port with a port from 1 to 65535")]
    Port,
    /// The host does not parse.
    #[error(transparent)]
    Host(#[from] ParseHostError),
}

/// A host and a port. Text form `host:port`, IPv6 in brackets.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Target {
    /// The host.
    pub host: Host,
    /// The port.
    pub port: Port,
}

fn parse_port(text: &str) -> Result<Port, ParseTargetError> {
    let plain = text.bytes().all(|b| b.is_ascii_digit()) && !text.starts_with('0') && text.len() <= 5;
    if plain {
        text.parse().map_err(|_| ParseTargetError::Port)
    } else {
        Err(ParseTargetError::Port)
    }
}

impl FromStr for Target {
    type Err = ParseTargetError;

    fn from_str(text: &str) -> Result<Self, ParseTargetError> {
        let (host, port) = text.rsplit_once(':').ok_or(ParseTargetError::Port)?;
        let port = parse_port(port)?;
        let host = match host.strip_prefix('[').and_then(|inner| inner.strip_suffix(']')) {
            Some(inner) if inner.contains(':') => inner.parse()?,
            None if !host.contains(':') => host.parse()?,
            _ => return Err(ParseHostError.into()),
        };
        Ok(Self { host, port })
    }
}

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.host {
            Host::Address(std::net::IpAddr::V6(address)) => write!(f, "[{address}]:{}", self.port),
            Host::Address(_) | Host::Name(_) => write!(f, "{}:{}", self.host, self.port),
        }
    }
}

impl fmt::Debug for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Target({self})")
    }
}

impl Serialize for Target {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Target {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        crate::text::deserialize_from_str(deserializer)
    }
}

/// What a resource speaks. It tells clients what to print and policy what to expect; bytes are never parsed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Protocol {
    /// Any protocol over TCP.
    Tcp,
    /// PostgreSQL.
    Postgres,
    /// SSH.
    Ssh,
    /// HTTP in clear inside the tunnel.
    Http,
    /// HTTP over TLS.
    Https,
    /// A Kubernetes API.
    Kubernetes,
}

impl Protocol {
    /// Every protocol, in the order of documentation.
    pub const ALL: [Self; 6] = [
        Self::Tcp,
        Self::Postgres,
        Self::Ssh,
        Self::Http,
        Self::Https,
        Self::Kubernetes,
    ];

    /// Returns the stable text form.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Tcp => "tcp",
            Self::Postgres => "postgres",
            Self::Ssh => "ssh",
            Self::Http => "http",
            Self::Https => "https",
            Self::Kubernetes => "kubernetes",
        }
    }
}

impl fmt::Display for Protocol {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// A text is not a protocol.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not a protocol: expected tcp, postgres, ssh, http, https or kubernetes")]
pub struct ParseProtocolError;

impl FromStr for Protocol {
    type Err = ParseProtocolError;

    fn from_str(text: &str) -> Result<Self, ParseProtocolError> {
        Self::ALL
            .into_iter()
            .find(|p| p.as_str() == text)
            .ok_or(ParseProtocolError)
    }
}

/// The `:authority` of a CONNECT in the inner session: `<resource id>:<port>` and nothing else.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct ResourceAuthority {
    /// The resource asked for.
    pub resource: ResourceId,
    /// The port asked for; it must be the resource's own.
    pub port: Port,
}

impl FromStr for ResourceAuthority {
    type Err = ParseTargetError;

    fn from_str(text: &str) -> Result<Self, ParseTargetError> {
        let (resource, port) = text.split_once(':').ok_or(ParseTargetError::Port)?;
        let port = parse_port(port)?;
        let resource = resource.parse().map_err(|_| ParseHostError)?;
        Ok(Self { resource, port })
    }
}

impl fmt::Display for ResourceAuthority {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.resource, self.port)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn targets_have_one_text_form() {
        for text in ["db.internal:5432", "10.0.0.7:22", "[2001:db8::1]:443"] {
            assert_eq!(text.parse::<Target>().map(|t| t.to_string()).as_deref(), Ok(text));
        }
    }

    #[test]
    fn refuses_bad_ports_and_hosts() {
        for bad in [
            "a", "a:", "a:0", "a:65536", "a:080", "a:+80", "a:-1", "a:8 0", ":80", "::1:80", "[a]:80",
            "[::1]", "[::1:80",
        ] {
            assert!(bad.parse::<Target>().is_err(), "{bad:?}");
        }
    }

    #[test]
    fn an_authority_is_a_resource_id_and_a_port() {
        let good = "01890a5d-ac96-774b-bcce-b302099a8057:5432";
        assert_eq!(
            good.parse::<ResourceAuthority>()
                .map(|a| a.to_string())
                .as_deref(),
            Ok(good)
        );
        for bad in [
            "10.0.0.1:22",
            "01890A5D-AC96-774B-BCCE-B302099A8057:1",
            "01890a5d-ac96-774b-bcce-b302099a8057",
            "user@x:1",
        ] {
            assert!(bad.parse::<ResourceAuthority>().is_err(), "{bad:?}");
        }
    }
}
