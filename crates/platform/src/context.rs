//! What is known of a request: who asks, in which organization, from where and when.
//!
//! An [`Arrival`] is what is known before authentication, a [`RequestContext`] what is known after it. Every
//! service takes one or the other; none reads a clock or guesses an organization.

use std::net::IpAddr;

use postern_api::Role;
use postern_domain::{Actor, OrganizationId, Reason, RequestId, Scope, Timestamp};

use crate::Error;
use crate::store::{Store, Write};

/// A request before authentication.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Arrival {
    /// The request's id, as in the log, the audit record and the answer.
    pub request: RequestId,
    /// When it arrived, by the platform's clock.
    pub now: Timestamp,
    /// Where it came from.
    pub source: IpAddr,
}

/// A request after authentication.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RequestContext {
    /// Who asks.
    pub actor: Actor,
    /// The actor's name.
    pub name: String,
    /// The actor's role.
    pub role: Role,
    /// The actor's organization; an administrator and an instance relay have none.
    pub organization: Option<OrganizationId>,
    /// The request's id.
    pub request: RequestId,
    /// When it arrived.
    pub now: Timestamp,
    /// Where it came from.
    pub source: IpAddr,
    /// When the actor's token ends.
    pub token_expires: Timestamp,
    /// What the store knows the actor's token by; none where nobody showed one.
    pub(crate) token: Option<Vec<u8>>,
}

impl RequestContext {
    /// Returns the scope that the actor belongs to.
    #[must_use]
    pub fn scope(&self) -> Scope {
        self.organization.map_or(Scope::Instance, Scope::Organization)
    }

    /// Returns the actor's organization.
    ///
    /// # Errors
    /// Forbidden, if the actor belongs to none.
    pub fn require_organization(&self) -> Result<OrganizationId, Error> {
        self.organization.ok_or_else(Error::forbidden)
    }

    /// Begins a write on the actor's behalf. The token is looked up once more: between authentication and this
    /// moment lies at least the request's body, and what was taken back meanwhile counts.
    ///
    /// # Errors
    /// Unauthenticated, if the token was taken back; otherwise as [`Store::write`].
    pub(crate) async fn write(&self, store: &Store) -> Result<Write, Error> {
        let mut write = store.write().await?;
        if let Some(token) = &self.token {
            let still: Option<i64> =
                sqlx::query_scalar("SELECT 1 FROM access_tokens WHERE hash = $1 AND actor = $2")
                    .bind(token)
                    .bind(self.actor.to_string())
                    .fetch_optional(&mut *write)
                    .await?;
            still.ok_or_else(|| Error::unauthenticated(Reason::Unauthenticated))?;
        }
        Ok(write)
    }

    /// Returns what was known before authentication.
    #[must_use]
    pub const fn arrival(&self) -> Arrival {
        Arrival {
            request: self.request,
            now: self.now,
            source: self.source,
        }
    }
}
