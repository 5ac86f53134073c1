//! The roles that certificate authorities play. Together with a [`crate::Scope`] a role names one authority of
//! the hierarchy (or, during a rotation, the old and the new one).

use std::fmt;

use serde::{Deserialize, Serialize};

/// What an authority signs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum AuthorityRole {
    /// SSH, Ed25519: user certificates of gateways.
    RelaySshClient,
    /// SSH, Ed25519: host certificates of relays.
    RelaySshServer,
    /// X.509: the anchor of the client–relay leg.
    RelayRoot,
    /// X.509, below the relay root: clients' certificates on that leg.
    RelayClient,
    /// X.509, below the relay root: relays' certificates on that leg.
    RelayServer,
    /// X.509: the anchor of the inner leg; an organization's own.
    GatewayRoot,
    /// X.509, below the gateway root: client certificates of the inner leg ("Client CA").
    GatewayClient,
    /// X.509, below the gateway root: gateway certificates of the inner leg ("Gateway CA").
    GatewayServer,
    /// Ed25519: checkpoints of an audit chain.
    AuditKey,
    /// X.509: the platform's own HTTPS certificates; an instance's only.
    PlatformRoot,
}

impl AuthorityRole {
    /// The authorities that an instance owns, roots before what they sign.
    pub const INSTANCE: [Self; 7] = [
        Self::RelaySshClient,
        Self::RelaySshServer,
        Self::RelayRoot,
        Self::RelayClient,
        Self::RelayServer,
        Self::AuditKey,
        Self::PlatformRoot,
    ];

    /// The authorities that an organization owns, roots before what they sign.
    pub const ORGANIZATION: [Self; 9] = [
        Self::RelaySshClient,
        Self::RelaySshServer,
        Self::RelayRoot,
        Self::RelayClient,
        Self::RelayServer,
        Self::GatewayRoot,
        Self::GatewayClient,
        Self::GatewayServer,
        Self::AuditKey,
    ];

    /// Returns the role of the authority that signs this one; a root and a bare key have none.
    #[must_use]
    pub const fn parent(self) -> Option<Self> {
        match self {
            Self::RelayClient | Self::RelayServer => Some(Self::RelayRoot),
            Self::GatewayClient | Self::GatewayServer => Some(Self::GatewayRoot),
            Self::RelaySshClient
            | Self::RelaySshServer
            | Self::RelayRoot
            | Self::GatewayRoot
            | Self::AuditKey
            | Self::PlatformRoot => None,
        }
    }

    /// Returns the stable text form.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::RelaySshClient => "relay_ssh_client",
            Self::RelaySshServer => "relay_ssh_server",
            Self::RelayRoot => "relay_root",
            Self::RelayClient => "relay_client",
            Self::RelayServer => "relay_server",
            Self::GatewayRoot => "gateway_root",
            Self::GatewayClient => "gateway_client",
            Self::GatewayServer => "gateway_server",
            Self::AuditKey => "audit_key",
            Self::PlatformRoot => "platform_root",
        }
    }

    /// Returns the name in the hierarchy's words, without its scope: "Relay SSH Client CA".
    #[must_use]
    pub const fn title(self) -> &'static str {
        match self {
            Self::RelaySshClient => "Relay SSH Client CA",
            Self::RelaySshServer => "Relay SSH Server CA",
            Self::RelayRoot => "Relay Root CA",
            Self::RelayClient => "Relay PKI Client CA",
            Self::RelayServer => "Relay PKI Server CA",
            Self::GatewayRoot => "Gateway Root CA",
            Self::GatewayClient => "Gateway Client CA",
            Self::GatewayServer => "Gateway Server CA",
            Self::AuditKey => "audit key",
            Self::PlatformRoot => "Platform Root",
        }
    }
}

impl fmt::Display for AuthorityRole {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// A text is not the role of an authority.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not the role of an authority")]
pub struct ParseAuthorityRoleError;

impl std::str::FromStr for AuthorityRole {
    type Err = ParseAuthorityRoleError;

    fn from_str(text: &str) -> Result<Self, ParseAuthorityRoleError> {
        let all = Self::INSTANCE.iter().chain(&Self::ORGANIZATION);
        all.copied()
            .find(|r| r.as_str() == text)
            .ok_or(ParseAuthorityRoleError)
    }
}
