//! A session: the way to the resources of one grant.

use postern_domain::{Grant, Port, Reason, ResourceAuthority, ResourceId, Timestamp};
use postern_session::{Connection, Ended, OpenError, Stream};

use crate::evidence::Evidence;

/// A session that the gateway has admitted. It lives until the gateway ends it, and without that until this
/// handle and every stream of it are gone.
#[derive(Debug)]
pub struct Session {
    pub(crate) connection: Connection,
    pub(crate) grant: Grant,
    pub(crate) evidence: Evidence,
}

impl Session {
    /// Opens a connection to a resource at its port.
    ///
    /// # Errors
    ///
    /// The gateway's refusal with its reason, or that the session is over.
    pub async fn open(&self, resource: ResourceId, port: Port) -> Result<Stream, OpenError> {
        self.connection.open(ResourceAuthority { resource, port }).await
    }

    /// Opens a connection to a resource at the port that the grant names for it.
    ///
    /// # Errors
    ///
    /// [`Reason::ResourceNotGranted`] if the grant does not name it; otherwise as [`Self::open`].
    pub async fn open_granted(&self, resource: ResourceId) -> Result<Stream, OpenError> {
        let granted = self.grant.resources.iter().find(|r| r.id == resource);
        match granted {
            Some(granted) => self.open(resource, granted.port).await,
            None => Err(OpenError::Refused {
                status: 403,
                reason: Reason::ResourceNotGranted,
            }),
        }
    }

    /// Asks the gateway for a sign of life; only a probe's grant permits it.
    ///
    /// # Errors
    ///
    /// The gateway's refusal with its reason, or that the session is over.
    pub async fn probe(&self) -> Result<(), OpenError> {
        self.connection.probe().await
    }

    /// Returns the grant.
    #[must_use]
    pub const fn grant(&self) -> &Grant {
        &self.grant
    }

    /// Returns when the session ends by itself.
    #[must_use]
    pub const fn expires(&self) -> Timestamp {
        self.grant.session_expires
    }

    /// Returns what was proven on the way.
    #[must_use]
    pub const fn evidence(&self) -> &Evidence {
        &self.evidence
    }

    /// Returns whether the session still takes new connections, as far as is known.
    #[must_use]
    pub fn is_open(&self) -> bool {
        self.connection.is_open()
    }

    /// Waits until the session is over, and says how it ended.
    pub async fn closed(&self) -> Ended {
        self.connection.ended().await
    }
}
