//! Leaves as the platform asks for them: every name comes from its own records.

use std::collections::BTreeSet;

use postern_domain::{
    GatewayId, Grant, GrantKind, Host, Identity, InstanceId, OrganizationId, Port, RelayId, Scope, SessionId,
    Target, Timestamp,
};

use crate::profile::{LeafKind, MOST_HOSTS, MOST_RELAYS, MOST_RESOURCES};

/// The longest common name, in characters (RFC 5280 appendix A.1, ub-common-name).
const LONGEST_COMMON_NAME: usize = 64;

/// An X.509 leaf.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Leaf {
    /// A relay's TLS certificate.
    RelayServer {
        /// The trust domain.
        instance: InstanceId,
        /// The relay's owner.
        scope: Scope,
        /// The relay.
        relay: RelayId,
        /// The host that clients dial.
        host: Host,
    },
    /// A gateway's TLS certificate.
    GatewayServer {
        /// The trust domain.
        instance: InstanceId,
        /// The gateway's organization.
        organization: OrganizationId,
        /// The gateway.
        gateway: GatewayId,
    },
    /// A client's certificate for the relay leg.
    RelayClient {
        /// The trust domain.
        instance: InstanceId,
        /// The client's organization.
        organization: OrganizationId,
        /// The gateway that the relay shall reach.
        gateway: GatewayId,
        /// The session.
        session: SessionId,
        /// The end of the session.
        session_expires: Timestamp,
    },
    /// A client's certificate for the inner leg.
    GatewayClient {
        /// The trust domain.
        instance: InstanceId,
        /// What the client may do.
        grant: Grant,
    },
    /// The platform's HTTPS certificate.
    Platform {
        /// The hosts by which it is reached, 1 to 32.
        hosts: Vec<Host>,
    },
}

impl Leaf {
    /// Returns the row of the profile table.
    #[must_use]
    pub const fn kind(&self) -> LeafKind {
        match self {
            Self::RelayServer { .. } => LeafKind::RelayServer,
            Self::GatewayServer { .. } => LeafKind::GatewayServer,
            Self::RelayClient { .. } => LeafKind::RelayClient,
            Self::GatewayClient { .. } => LeafKind::GatewayClient,
            Self::Platform { .. } => LeafKind::Platform,
        }
    }

    /// Returns the identity in its URI; the platform's leaf has none.
    #[must_use]
    pub const fn identity(&self) -> Option<Identity> {
        match *self {
            Self::RelayServer {
                instance,
                scope,
                relay,
                ..
            } => Some(Identity::Relay {
                instance,
                scope,
                relay,
            }),
            Self::GatewayServer {
                instance,
                organization,
                gateway,
            } => Some(Identity::Gateway {
                instance,
                organization,
                gateway,
            }),
            Self::RelayClient {
                instance,
                organization,
                session,
                ..
            } => Some(Identity::Session {
                instance,
                organization,
                session,
            }),
            Self::GatewayClient { instance, ref grant } => Some(Identity::Session {
                instance,
                organization: grant.organization,
                session: grant.session,
            }),
            Self::Platform { .. } => None,
        }
    }

    pub(crate) fn common_name(&self) -> String {
        match self {
            Self::RelayServer { relay, host, .. } => relay_common_name(*relay, host),
            Self::GatewayServer { gateway, .. } | Self::RelayClient { gateway, .. } => gateway.to_string(),
            Self::GatewayClient { grant, .. } => grant.session.to_string(),
            Self::Platform { .. } => String::from("Postern Platform"),
        }
    }

    pub(crate) fn hosts(&self) -> &[Host] {
        match self {
            Self::RelayServer { host, .. } => std::slice::from_ref(host),
            Self::Platform { hosts } => hosts,
            Self::GatewayServer { .. } | Self::RelayClient { .. } | Self::GatewayClient { .. } => &[],
        }
    }

    /// The moment after which it is of no use.
    pub(crate) const fn session_expires(&self) -> Option<Timestamp> {
        match self {
            Self::RelayClient { session_expires, .. } => Some(*session_expires),
            Self::GatewayClient { grant, .. } => Some(grant.session_expires),
            Self::RelayServer { .. } | Self::GatewayServer { .. } | Self::Platform { .. } => None,
        }
    }

    /// Whether an authority of this owner may sign it. An instance's authorities serve every organization on
    /// the relay leg; all else stays within its owner.
    pub(crate) fn may_be_signed_by(&self, owner: Scope, owner_id: &str) -> bool {
        match self {
            Self::RelayServer { instance, scope, .. } => {
                owner == *scope && (owner != Scope::Instance || owner_id == instance.to_string())
            }
            Self::RelayClient {
                instance,
                organization,
                ..
            } => match owner {
                Scope::Instance => owner_id == instance.to_string(),
                Scope::Organization(id) => id == *organization,
            },
            Self::GatewayServer { organization, .. } => owner == Scope::Organization(*organization),
            Self::GatewayClient { grant, .. } => owner == Scope::Organization(grant.organization),
            Self::Platform { .. } => owner == Scope::Instance,
        }
    }

    /// Says what is wrong with the leaf itself.
    pub(crate) fn fault(&self) -> Option<&'static str> {
        match self {
            Self::GatewayClient { grant, .. } => grant_fault(grant),
            Self::Platform { hosts } if hosts.is_empty() || hosts.len() > MOST_HOSTS => {
                Some("it must name 1 to 32 hosts")
            }
            Self::RelayServer { .. }
            | Self::GatewayServer { .. }
            | Self::RelayClient { .. }
            | Self::Platform { .. } => None,
        }
    }
}

/// Says why a grant is none that is ever issued.
pub(crate) fn grant_fault(grant: &Grant) -> Option<&'static str> {
    let count = grant.resources.len();
    let distinct: BTreeSet<_> = grant.resources.iter().map(|r| r.id).collect();
    match grant.kind {
        GrantKind::Probe if grant.project.is_some() => Some("a probe has no project"),
        GrantKind::Probe if count != 0 => Some("a probe has no resources"),
        GrantKind::Probe if grant.actor != postern_domain::Actor::Platform => {
            Some("a probe is the platform's own")
        }
        GrantKind::Connect if grant.project.is_none() => Some("it names no project"),
        GrantKind::Connect if count == 0 => Some("it names no resource"),
        GrantKind::Connect if count > MOST_RESOURCES => Some("it names more than 32 resources"),
        GrantKind::Connect if distinct.len() != count => Some("it names a resource twice"),
        GrantKind::Probe | GrantKind::Connect => None,
    }
}

/// The common name of a relay's certificate: its host, or its id where the host is longer than a common name
/// can be.
pub(crate) fn relay_common_name(relay: RelayId, host: &Host) -> String {
    let host = host.to_string();
    if host.len() <= LONGEST_COMMON_NAME {
        host
    } else {
        relay.to_string()
    }
}

/// An SSH leaf.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SshLeaf {
    /// A relay's host certificate.
    Relay {
        /// The relay.
        relay: RelayId,
        /// The host that gateways dial.
        host: Host,
        /// The port that gateways dial.
        port: Port,
    },
    /// A gateway's user certificate.
    Gateway {
        /// The gateway.
        gateway: GatewayId,
        /// Its organization.
        organization: OrganizationId,
        /// The relays that it may hold tunnels to, 1 to 3.
        relays: Vec<RelayId>,
    },
}

impl SshLeaf {
    /// Returns the row of the profile table.
    #[must_use]
    pub const fn kind(&self) -> LeafKind {
        match self {
            Self::Relay { .. } => LeafKind::RelaySsh,
            Self::Gateway { .. } => LeafKind::GatewaySsh,
        }
    }

    pub(crate) fn principals(&self) -> Vec<String> {
        match self {
            Self::Relay { host, port, .. } => {
                let target = Target {
                    host: host.clone(),
                    port: *port,
                };
                vec![host.to_string(), target.to_string()]
            }
            Self::Gateway { gateway, .. } => vec![gateway.to_string()],
        }
    }

    /// Whether an authority of this owner may sign it.
    pub(crate) fn may_be_signed_by(&self, owner: Scope) -> bool {
        match (self, owner) {
            (Self::Relay { .. }, Scope::Instance | Scope::Organization(_))
            | (Self::Gateway { .. }, Scope::Instance) => true,
            (Self::Gateway { organization, .. }, Scope::Organization(id)) => *organization == id,
        }
    }

    /// Says what is wrong with the leaf itself.
    pub(crate) fn fault(&self) -> Option<&'static str> {
        match self {
            Self::Gateway { relays, .. } => {
                let distinct: BTreeSet<_> = relays.iter().collect();
                if relays.is_empty() || relays.len() > MOST_RELAYS {
                    Some("it must name 1 to 3 relays")
                } else if distinct.len() != relays.len() {
                    Some("it names a relay twice")
                } else {
                    None
                }
            }
            Self::Relay { .. } => None,
        }
    }
}
