//! Machine identities and their client secrets.

use postern_domain::{ClientSecretId, MachineIdentityId, Name, Secret, Timestamp};
use serde::{Deserialize, Serialize};

/// What an actor may do; the platform's table of permissions says what each role means.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Role {
    /// The instance's administrator: relays and the existence of organizations, nothing within one.
    Administrator,
    /// Everything within one organization.
    Owner,
    /// Creates and enrolls gateways.
    Enroller,
    /// Opens sessions in the projects it is a member of.
    Connector,
    /// A gateway, for itself.
    Gateway,
    /// A relay, for itself.
    Relay,
}

impl Role {
    /// Returns the stable text form.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Administrator => "administrator",
            Self::Owner => "owner",
            Self::Enroller => "enroller",
            Self::Connector => "connector",
            Self::Gateway => "gateway",
            Self::Relay => "relay",
        }
    }
}

/// `POST /identities`. The role is owner, enroller or connector.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CreateIdentity {
    /// Unique in the organization.
    pub name: Name,
    /// What it may do.
    pub role: Role,
}

/// A machine identity.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Identity {
    /// Its id.
    pub id: MachineIdentityId,
    /// Its name.
    pub name: Name,
    /// What it may do.
    pub role: Role,
    /// What it logs in with, together with a client secret.
    pub client_id: String,
    /// When it was made.
    pub created: Timestamp,
}

/// A client secret as it is listed: never the secret itself.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct ClientSecret {
    /// Its id.
    pub id: ClientSecretId,
    /// Its first characters, to tell it from others.
    pub prefix: String,
    /// When it was made.
    pub created: Timestamp,
}

/// The answer to `POST /identities/{id}/client-secrets`: the only time that the secret is shown.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct CreatedClientSecret {
    /// Its id.
    pub id: ClientSecretId,
    /// The identity's client id.
    pub client_id: String,
    /// The secret.
    pub client_secret: Secret<String>,
}
