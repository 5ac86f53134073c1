//! Actors: who did or may do something. Text form `<kind>:<id>`.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::{GatewayId, MachineIdentityId, RelayId, UserId};

/// A text is not an actor.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not an actor: expected user:<id>, machine_identity:<id>, gateway:<id>, relay:<id> or platform")]
pub struct ParseActorError;

/// A principal.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Actor {
    /// A person.
    User(UserId),
    /// A non-human principal with an access token.
    MachineIdentity(MachineIdentityId),
    /// A gateway, acting for itself.
    Gateway(GatewayId),
    /// A relay, acting for itself.
    Relay(RelayId),
    /// The platform, acting for itself.
    Platform,
}

impl fmt::Display for Actor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::User(id) => write!(f, "user:{id}"),
            Self::MachineIdentity(id) => write!(f, "machine_identity:{id}"),
            Self::Gateway(id) => write!(f, "gateway:{id}"),
            Self::Relay(id) => write!(f, "relay:{id}"),
            Self::Platform => f.write_str("platform"),
        }
    }
}

impl FromStr for Actor {
    type Err = ParseActorError;

    fn from_str(text: &str) -> Result<Self, ParseActorError> {
        let parsed = match text.split_once(':') {
            Some(("user", id)) => id.parse().map(Self::User),
            Some(("machine_identity", id)) => id.parse().map(Self::MachineIdentity),
            Some(("gateway", id)) => id.parse().map(Self::Gateway),
            Some(("relay", id)) => id.parse().map(Self::Relay),
            None if text == "platform" => Ok(Self::Platform),
            _ => return Err(ParseActorError),
        };
        parsed.map_err(|_| ParseActorError)
    }
}

impl Serialize for Actor {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Actor {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        crate::text::deserialize_from_str(deserializer)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Timestamp;

    #[test]
    fn text_form_round_trips() {
        let now = Timestamp::from_unix_seconds(1);
        for actor in [
            Actor::User(UserId::generate(now)),
            Actor::MachineIdentity(MachineIdentityId::generate(now)),
            Actor::Gateway(GatewayId::generate(now)),
            Actor::Relay(RelayId::generate(now)),
            Actor::Platform,
        ] {
            assert_eq!(actor.to_string().parse(), Ok(actor));
        }
        assert!("user:root".parse::<Actor>().is_err());
    }
}
