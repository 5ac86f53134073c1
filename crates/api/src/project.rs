//! Projects and their members.

use postern_domain::{MachineIdentityId, Name, ProjectId, Timestamp};
use serde::{Deserialize, Serialize};

/// `POST /projects`.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CreateProject {
    /// Unique in the organization.
    pub name: Name,
}

/// A project.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Project {
    /// Its id.
    pub id: ProjectId,
    /// Its name.
    pub name: Name,
    /// When it was made.
    pub created: Timestamp,
}

/// A member of a project: an identity that may open sessions in it.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Member {
    /// The identity.
    pub identity: MachineIdentityId,
    /// Its name.
    pub name: Name,
}
