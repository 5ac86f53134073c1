//! Organizations.

use postern_domain::{MachineIdentityId, Name, OrganizationId, Secret, Timestamp};
use serde::{Deserialize, Serialize};

/// `POST /organizations`, by the instance's administrator.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CreateOrganization {
    /// Unique on the instance.
    pub name: Name,
}

/// An organization.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Organization {
    /// Its id.
    pub id: OrganizationId,
    /// Its name.
    pub name: Name,
    /// When it was made.
    pub created: Timestamp,
}

/// The answer to `POST /organizations`: the organization and the credential of its first owner, shown once, to
/// be handed to whoever is to run the organization.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct CreatedOrganization {
    /// The organization.
    pub organization: Organization,
    /// Its first owner.
    pub owner: OwnerCredential,
}

/// The first owner's machine identity and its credential.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct OwnerCredential {
    /// The identity, named `owner`.
    pub identity: MachineIdentityId,
    /// Its client id.
    pub client_id: String,
    /// Its client secret.
    pub client_secret: Secret<String>,
}
