//! Identifiers: UUIDv7 in lower case (RFC 9562), one type for each kind of thing.
//!
//! An id of one kind never stands where another kind is asked for, and nothing but the canonical text form
//! (36 characters, lower case, hyphens, version 7) parses, so that two texts never name one thing.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer};
use uuid::{Uuid, Version};

use crate::Timestamp;

/// A text is not the canonical form of an id.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not an id: expected a version 7 UUID in lower case, such as 01890a5d-ac96-774b-bcce-b302099a8057")]
pub struct ParseIdError;

fn parse(text: &str) -> Result<Uuid, ParseIdError> {
    let uuid = Uuid::try_parse(text).map_err(|_| ParseIdError)?;
    let canonical = uuid.hyphenated().to_string() == text;
    match uuid.get_version() {
        Some(Version::SortRand) if canonical => Ok(uuid),
        _ => Err(ParseIdError),
    }
}

fn generate(now: Timestamp) -> Uuid {
    let millis = now.as_millis();
    let seconds = millis / 1000;
    let nanos = u32::try_from((millis % 1000) * 1_000_000).unwrap_or(0);
    Uuid::new_v7(uuid::Timestamp::from_unix(uuid::NoContext, seconds, nanos))
}

macro_rules! ids {
    ($($(#[$doc:meta])* $name:ident)+) => {$(
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(Uuid);

        impl $name {
            /// Makes a new id whose time part is `now`.
            #[must_use]
            pub fn generate(now: Timestamp) -> Self {
                Self(generate(now))
            }

            /// Returns the 16 bytes of the id.
            #[must_use]
            pub const fn as_bytes(&self) -> &[u8; 16] {
                self.0.as_bytes()
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.hyphenated().fmt(f)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, concat!(stringify!($name), "({})"), self.0.hyphenated())
            }
        }

        impl FromStr for $name {
            type Err = ParseIdError;

            fn from_str(text: &str) -> Result<Self, ParseIdError> {
                parse(text).map(Self)
            }
        }

        impl Serialize for $name {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.collect_str(self)
            }
        }

        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                crate::text::deserialize_from_str(deserializer)
            }
        }
    )+};
}

ids! {
    /// One installation of the platform; also the SPIFFE trust domain.
    InstanceId
    /// A tenant.
    OrganizationId
    /// A group of resources, members and gateways inside an organization.
    ProjectId
    /// One approved target.
    ResourceId
    /// An agent in a private network.
    GatewayId
    /// A relay.
    RelayId
    /// One client's use of one grant.
    SessionId
    /// A non-human principal.
    MachineIdentityId
    /// A human principal.
    UserId
    /// A certificate authority.
    AuthorityId
    /// A client secret of a machine identity.
    ClientSecretId
    /// A one-time enrollment token.
    EnrollmentTokenId
    /// One request to the HTTP API.
    RequestId
    /// One life of an audit spool: a daemon that loses its spool starts a new epoch.
    SpoolEpoch
}

/// A relay or a gateway, by kind and id.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(tag = "kind", content = "id", rename_all = "snake_case")]
pub enum DaemonId {
    /// A relay.
    Relay(RelayId),
    /// A gateway.
    Gateway(GatewayId),
}

impl fmt::Display for DaemonId {
    /// Writes `relay:<id>` or `gateway:<id>`, the key id of SSH certificates.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Relay(id) => write!(f, "relay:{id}"),
            Self::Gateway(id) => write!(f, "gateway:{id}"),
        }
    }
}

impl FromStr for DaemonId {
    type Err = ParseIdError;

    fn from_str(text: &str) -> Result<Self, ParseIdError> {
        match text.split_once(':') {
            Some(("relay", id)) => id.parse().map(Self::Relay),
            Some(("gateway", id)) => id.parse().map(Self::Gateway),
            _ => Err(ParseIdError),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn generated_ids_parse_back_and_sort_by_time() {
        let early = GatewayId::generate(Timestamp::from_unix_seconds(1_700_000_000));
        let late = GatewayId::generate(Timestamp::from_unix_seconds(1_700_000_001));
        assert_eq!(early.to_string().parse(), Ok(early));
        assert!(early < late);
    }

    #[test]
    fn refuses_every_other_text() {
        for text in [
            "",
            "01890A5D-AC96-774B-BCCE-B302099A8057",
            "01890a5dac96774bbcceb302099a8057",
            "{01890a5d-ac96-774b-bcce-b302099a8057}",
            "urn:uuid:01890a5d-ac96-774b-bcce-b302099a8057",
            "01890a5d-ac96-474b-bcce-b302099a8057",
            "01890a5d-ac96-774b-bcce-b302099a8057 ",
        ] {
            assert_eq!(text.parse::<GatewayId>(), Err(ParseIdError), "{text:?}");
        }
    }

    #[test]
    fn a_daemon_id_is_its_key_id() {
        let id = DaemonId::Gateway(GatewayId::generate(Timestamp::from_unix_seconds(1)));
        assert_eq!(id.to_string().parse(), Ok(id));
        assert!(
            "platform:01890a5d-ac96-774b-bcce-b302099a8057"
                .parse::<DaemonId>()
                .is_err()
        );
    }
}
