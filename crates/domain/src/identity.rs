//! Identities as certificates carry them: SPIFFE URIs whose trust domain is the instance id.
//!
//! | identity | URI |
//! | --- | --- |
//! | instance relay | `spiffe://<instance>/relay/<id>` |
//! | organization relay | `spiffe://<instance>/org/<organization>/relay/<id>` |
//! | gateway | `spiffe://<instance>/org/<organization>/gateway/<id>` |
//! | session | `spiffe://<instance>/org/<organization>/session/<id>` |

use std::fmt;
use std::str::FromStr;

use crate::{GatewayId, InstanceId, OrganizationId, RelayId, Scope, SessionId};

/// A text is not the URI of an identity.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not an identity: expected a SPIFFE URI of a relay, gateway or session")]
pub struct ParseIdentityError;

/// Who a certificate speaks of.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Identity {
    /// A relay, of the instance or of an organization.
    Relay {
        /// The trust domain.
        instance: InstanceId,
        /// The relay's owner.
        scope: Scope,
        /// The relay.
        relay: RelayId,
    },
    /// A gateway.
    Gateway {
        /// The trust domain.
        instance: InstanceId,
        /// The gateway's organization.
        organization: OrganizationId,
        /// The gateway.
        gateway: GatewayId,
    },
    /// A client's session.
    Session {
        /// The trust domain.
        instance: InstanceId,
        /// The session's organization.
        organization: OrganizationId,
        /// The session.
        session: SessionId,
    },
}

impl Identity {
    /// Returns the trust domain.
    #[must_use]
    pub const fn instance(&self) -> InstanceId {
        match self {
            Self::Relay { instance, .. }
            | Self::Gateway { instance, .. }
            | Self::Session { instance, .. } => *instance,
        }
    }

    /// Returns the organization; an instance relay has none.
    #[must_use]
    pub const fn organization(&self) -> Option<OrganizationId> {
        match self {
            Self::Relay { scope, .. } => scope.organization(),
            Self::Gateway { organization, .. } | Self::Session { organization, .. } => Some(*organization),
        }
    }
}

impl fmt::Display for Identity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Relay {
                instance,
                scope: Scope::Instance,
                relay,
            } => write!(f, "spiffe://{instance}/relay/{relay}"),
            Self::Relay {
                instance,
                scope: Scope::Organization(org),
                relay,
            } => {
                write!(f, "spiffe://{instance}/org/{org}/relay/{relay}")
            }
            Self::Gateway {
                instance,
                organization,
                gateway,
            } => {
                write!(f, "spiffe://{instance}/org/{organization}/gateway/{gateway}")
            }
            Self::Session {
                instance,
                organization,
                session,
            } => {
                write!(f, "spiffe://{instance}/org/{organization}/session/{session}")
            }
        }
    }
}

impl FromStr for Identity {
    type Err = ParseIdentityError;

    fn from_str(text: &str) -> Result<Self, ParseIdentityError> {
        fn id<T: FromStr>(text: &str) -> Result<T, ParseIdentityError> {
            text.parse().map_err(|_| ParseIdentityError)
        }
        let mut parts = text
            .strip_prefix("spiffe://")
            .ok_or(ParseIdentityError)?
            .split('/');
        let mut next = || parts.next();
        let instance = id(next().unwrap_or_default())?;
        let identity = match (next(), next(), next(), next()) {
            (Some("relay"), Some(relay), None, None) => Self::Relay {
                instance,
                scope: Scope::Instance,
                relay: id(relay)?,
            },
            (Some("org"), Some(org), Some(kind), Some(last)) => {
                let organization = id(org)?;
                match kind {
                    "relay" => Self::Relay {
                        instance,
                        scope: Scope::Organization(organization),
                        relay: id(last)?,
                    },
                    "gateway" => Self::Gateway {
                        instance,
                        organization,
                        gateway: id(last)?,
                    },
                    "session" => Self::Session {
                        instance,
                        organization,
                        session: id(last)?,
                    },
                    _ => return Err(ParseIdentityError),
                }
            }
            _ => return Err(ParseIdentityError),
        };
        if parts.next().is_none() {
            Ok(identity)
        } else {
            Err(ParseIdentityError)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Timestamp;

    #[test]
    fn uris_round_trip() {
        let now = Timestamp::from_unix_seconds(1);
        let instance = InstanceId::generate(now);
        let organization = OrganizationId::generate(now);
        let relay = RelayId::generate(now);
        for identity in [
            Identity::Relay {
                instance,
                scope: Scope::Instance,
                relay,
            },
            Identity::Relay {
                instance,
                scope: Scope::Organization(organization),
                relay,
            },
            Identity::Gateway {
                instance,
                organization,
                gateway: GatewayId::generate(now),
            },
            Identity::Session {
                instance,
                organization,
                session: SessionId::generate(now),
            },
        ] {
            assert_eq!(identity.to_string().parse(), Ok(identity));
        }
    }

    #[test]
    fn refuses_near_misses() {
        let id = "01890a5d-ac96-774b-bcce-b302099a8057";
        for bad in [
            format!("https://{id}/relay/{id}"),
            format!("spiffe://{id}/relay/{id}/"),
            format!("spiffe://{id}/relay/{id}/x"),
            format!("spiffe://{id}/org/{id}/gateway/{id}/x"),
            format!("spiffe://{id}/org/{id}/platform/{id}"),
            format!("spiffe://{id}/org/{id}"),
            format!("spiffe://{id}//relay/{id}"),
            format!("spiffe://{id}/relay/{id}?x"),
            String::from("spiffe://"),
        ] {
            assert!(bad.parse::<Identity>().is_err(), "{bad}");
        }
    }
}
