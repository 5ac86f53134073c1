//! Scopes: the instance, or one organization.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::OrganizationId;

/// Who owns a relay or an authority.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(tag = "scope", content = "organization", rename_all = "snake_case")]
pub enum Scope {
    /// Shared by all organizations.
    Instance,
    /// One organization's own.
    Organization(OrganizationId),
}

impl Scope {
    /// Returns the organization, if it is one's own.
    #[must_use]
    pub const fn organization(self) -> Option<OrganizationId> {
        match self {
            Self::Instance => None,
            Self::Organization(id) => Some(id),
        }
    }
}

impl fmt::Display for Scope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Instance => f.write_str("instance"),
            Self::Organization(id) => write!(f, "organization:{id}"),
        }
    }
}
