//! The profile table: what every authority and every leaf looks like, in one place, for issuing and judging.
//!
//! | authority | subject | path length | key usage | extended key usage | lifetime |
//! | --- | --- | --- | --- | --- | --- |
//! | relay root, gateway root | `O=<owner>, CN=<title>` | 1 | keyCertSign | none | 10 years |
//! | relay client, gateway client | the same | 0 | keyCertSign | clientAuth | 5 years |
//! | relay server, gateway server | the same | 0 | keyCertSign | serverAuth | 5 years |
//! | platform root | the same | 0 | keyCertSign | none | 10 years |
//!
//! | leaf | signed by | `O`, `OU`, `CN` | names | extended key usage | lifetime |
//! | --- | --- | --- | --- | --- | --- |
//! | relay, TLS | relay server | owner, `relay`, host | host, URI of the relay | serverAuth | 24 h |
//! | gateway, TLS | gateway server | organization, `gateway`, gateway | URI of the gateway | serverAuth | 24 h |
//! | client, relay leg | relay client | organization, `relay-client`, gateway | URI of the session | clientAuth | 5 min |
//! | client, inner leg | gateway client | organization, `gateway-client`, session | URI of the session | clientAuth | 5 min |
//! | platform, HTTPS | platform root | instance, –, `Postern Platform` | hosts | serverAuth | 7 days |
//! | relay, SSH host | relay SSH server | – | `host`, `host:port` | – | 24 h |
//! | gateway, SSH user | relay SSH client | – | gateway | – | 24 h |
//!
//! The owner is the organization's id, or the instance's. A title is [`title`]. A leaf's key usage is
//! digitalSignature and nothing else; it is marked as no authority; every certificate names its authority's
//! key (AKI) and its own (SKI). A client's certificate never outlives its session, and no certificate its
//! authority. Each begins [`BACK_DATING`] before it was made, for the sake of slow clocks.

use std::time::Duration;

use postern_domain::{AuthorityRole, Scope};

/// How long before the moment of issuing every certificate begins.
pub const BACK_DATING: Duration = Duration::from_secs(5 * 60);

/// The most resources that one grant can name.
pub const MOST_RESOURCES: usize = 32;

/// The most relays that one gateway's SSH certificate can name.
pub const MOST_RELAYS: usize = 3;

/// The most hosts that the platform's certificate can name.
pub const MOST_HOSTS: usize = 32;

/// The most keys that can be announced for one gateway: the current and the next. Any further one is not looked at.
pub const MOST_PINS: usize = 2;

/// The critical option of a gateway's SSH certificate that holds its organization's id.
pub const ORGANIZATION_OPTION: &str = "org@postern";

/// The critical option of a gateway's SSH certificate that holds its relays' ids, separated by commas.
pub const RELAYS_OPTION: &str = "relays@postern";

const DAY: Duration = Duration::from_secs(24 * 60 * 60);

/// The one extended key usage of a leaf.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Usage {
    /// id-kp-clientAuth.
    ClientAuth,
    /// id-kp-serverAuth.
    ServerAuth,
}

/// What an X.509 authority looks like.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AuthorityProfile {
    /// How many authorities may stand below it.
    pub path_length: u8,
    /// What its leaves may be used for; a root does not say.
    pub usage: Option<Usage>,
    /// How long it is valid.
    pub lifetime: Duration,
}

impl AuthorityProfile {
    /// Returns the row of a role; SSH authorities and bare keys have none.
    #[must_use]
    pub const fn of(role: AuthorityRole) -> Option<Self> {
        let (path_length, usage, days) = match role {
            AuthorityRole::RelayRoot | AuthorityRole::GatewayRoot => (1, None, 3650),
            AuthorityRole::RelayClient | AuthorityRole::GatewayClient => (0, Some(Usage::ClientAuth), 1825),
            AuthorityRole::RelayServer | AuthorityRole::GatewayServer => (0, Some(Usage::ServerAuth), 1825),
            AuthorityRole::PlatformRoot => (0, None, 3650),
            AuthorityRole::RelaySshClient | AuthorityRole::RelaySshServer | AuthorityRole::AuditKey => {
                return None;
            }
        };
        Some(Self {
            path_length,
            usage,
            lifetime: DAY.saturating_mul(days),
        })
    }
}

/// The kinds of leaf.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LeafKind {
    /// A relay's TLS certificate.
    RelayServer,
    /// A gateway's TLS certificate.
    GatewayServer,
    /// A client's certificate for the relay leg.
    RelayClient,
    /// A client's certificate for the inner leg.
    GatewayClient,
    /// The platform's HTTPS certificate.
    Platform,
    /// A relay's SSH host certificate.
    RelaySsh,
    /// A gateway's SSH user certificate.
    GatewaySsh,
}

/// What a leaf looks like.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LeafProfile {
    /// The role that signs it.
    pub signer: AuthorityRole,
    /// Its organizational unit.
    pub unit: Option<&'static str>,
    /// Its extended key usage; an SSH certificate has none.
    pub usage: Option<Usage>,
    /// How long it is valid at most.
    pub lifetime: Duration,
}

impl LeafProfile {
    /// Returns the row of a kind.
    #[must_use]
    pub const fn of(kind: LeafKind) -> Self {
        let client = Duration::from_secs(5 * 60);
        let (signer, unit, usage, lifetime) = match kind {
            LeafKind::RelayServer => (
                AuthorityRole::RelayServer,
                Some("relay"),
                Some(Usage::ServerAuth),
                DAY,
            ),
            LeafKind::GatewayServer => (
                AuthorityRole::GatewayServer,
                Some("gateway"),
                Some(Usage::ServerAuth),
                DAY,
            ),
            LeafKind::RelayClient => (
                AuthorityRole::RelayClient,
                Some("relay-client"),
                Some(Usage::ClientAuth),
                client,
            ),
            LeafKind::GatewayClient => (
                AuthorityRole::GatewayClient,
                Some("gateway-client"),
                Some(Usage::ClientAuth),
                client,
            ),
            LeafKind::Platform => (
                AuthorityRole::PlatformRoot,
                None,
                Some(Usage::ServerAuth),
                DAY.saturating_mul(7),
            ),
            LeafKind::RelaySsh => (AuthorityRole::RelaySshServer, None, None, DAY),
            LeafKind::GatewaySsh => (AuthorityRole::RelaySshClient, None, None, DAY),
        };
        Self {
            signer,
            unit,
            usage,
            lifetime,
        }
    }
}

/// Lifetimes of leaves, where the caller wants them shorter than the table does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Lifetimes {
    /// Of relays' and gateways' certificates.
    pub daemon: Duration,
    /// Of clients' certificates.
    pub client: Duration,
    /// Of the platform's certificate.
    pub platform: Duration,
}

impl Default for Lifetimes {
    fn default() -> Self {
        Self {
            daemon: LeafProfile::of(LeafKind::GatewayServer).lifetime,
            client: LeafProfile::of(LeafKind::GatewayClient).lifetime,
            platform: LeafProfile::of(LeafKind::Platform).lifetime,
        }
    }
}

impl Lifetimes {
    /// Returns the lifetime of a kind of leaf: never more than the table says.
    #[must_use]
    pub fn of(&self, kind: LeafKind) -> Duration {
        let wanted = match kind {
            LeafKind::RelayServer | LeafKind::GatewayServer | LeafKind::RelaySsh | LeafKind::GatewaySsh => {
                self.daemon
            }
            LeafKind::RelayClient | LeafKind::GatewayClient => self.client,
            LeafKind::Platform => self.platform,
        };
        wanted.min(LeafProfile::of(kind).lifetime)
    }
}

/// Returns the name of an authority in the hierarchy's words, such as "Organization Gateway Root CA".
#[must_use]
pub fn title(role: AuthorityRole, owner: Scope) -> String {
    match (role, owner) {
        (AuthorityRole::PlatformRoot, Scope::Instance | Scope::Organization(_)) => String::from(role.title()),
        (_, Scope::Instance) => format!("Instance {}", role.title()),
        (_, Scope::Organization(_)) => format!("Organization {}", role.title()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_leaf_is_signed_by_an_authority_for_its_use() {
        for kind in [
            LeafKind::RelayServer,
            LeafKind::GatewayServer,
            LeafKind::RelayClient,
            LeafKind::GatewayClient,
        ] {
            let leaf = LeafProfile::of(kind);
            let signer = AuthorityProfile::of(leaf.signer).unwrap();
            assert_eq!((signer.usage, signer.path_length), (leaf.usage, 0));
            assert!(signer.lifetime > leaf.lifetime);
        }
    }

    #[test]
    fn lifetimes_can_be_shortened_but_not_stretched() {
        let minute = Duration::from_secs(60);
        let short = Lifetimes {
            daemon: minute,
            client: DAY,
            platform: DAY,
        };
        assert_eq!(short.of(LeafKind::RelaySsh), minute);
        assert_eq!(short.of(LeafKind::RelayClient), minute * 5);
    }

    #[test]
    fn titles_are_the_hierarchys_words() {
        assert_eq!(
            title(AuthorityRole::RelayClient, Scope::Instance),
            "Instance Relay PKI Client CA"
        );
        assert_eq!(
            title(AuthorityRole::PlatformRoot, Scope::Instance),
            "Platform Root"
        );
    }
}
