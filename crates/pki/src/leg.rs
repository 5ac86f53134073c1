//! Legs: where a certificate is presented, and so what it must be.

use postern_domain::{AuthorityRole, GatewayId, Host, OrganizationId, Pin, RelayId, Scope};

use crate::profile::{LeafKind, LeafProfile, title};

/// What a presented certificate must be; each is named after the certificate that is judged.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Leg {
    /// At a relay: a client.
    RelayClient {
        /// The relay's owner. An organization's relay takes that organization's clients only.
        scope: Scope,
    },
    /// At a client: the relay that it dialled.
    RelayServer {
        /// The relay's owner.
        scope: Scope,
        /// The relay.
        relay: RelayId,
        /// The host that was dialled.
        host: Host,
    },
    /// At a gateway: a client, inside the tunnel.
    GatewayClient {
        /// The gateway's organization.
        organization: OrganizationId,
        /// The gateway.
        gateway: GatewayId,
    },
    /// At a client: the gateway that its grant names.
    GatewayServer {
        /// The gateway's organization.
        organization: OrganizationId,
        /// The gateway.
        gateway: GatewayId,
        /// The keys that the platform announced: current and next.
        pins: Vec<Pin>,
    },
}

impl Leg {
    /// Returns the owner of the authority that must have issued the certificate.
    #[must_use]
    pub const fn owner(&self) -> Scope {
        match self {
            Self::RelayClient { scope } | Self::RelayServer { scope, .. } => *scope,
            Self::GatewayClient { organization, .. } | Self::GatewayServer { organization, .. } => {
                Scope::Organization(*organization)
            }
        }
    }

    /// Returns the role of that authority.
    #[must_use]
    pub const fn role(&self) -> AuthorityRole {
        self.profile().signer
    }

    /// Returns the name of that authority.
    #[must_use]
    pub fn authority(&self) -> String {
        title(self.role(), self.owner())
    }

    pub(crate) const fn profile(&self) -> LeafProfile {
        LeafProfile::of(match self {
            Self::RelayClient { .. } => LeafKind::RelayClient,
            Self::RelayServer { .. } => LeafKind::RelayServer,
            Self::GatewayClient { .. } => LeafKind::GatewayClient,
            Self::GatewayServer { .. } => LeafKind::GatewayServer,
        })
    }
}
