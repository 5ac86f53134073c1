//! Where sessions come from: the platform, however it is reached.

use std::future::Future;

use postern_api::SessionGranted;
use postern_domain::{Reason, ResourceId};

/// The platform did not grant a session.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{detail}")]
pub struct GrantError {
    /// Why.
    pub reason: Reason,
    /// What happened, for a person.
    pub detail: String,
}

/// Asks for sessions. Implemented over the HTTP API, and inside the platform itself.
pub trait GrantSource: Send + Sync {
    /// Asks for a session on these resources, all behind one gateway. Each request (PEM, PKCS #10) is by a key of
    /// its own that never leaves the caller.
    fn grant(
        &self,
        resources: &[ResourceId],
        relay_csr: String,
        gateway_csr: String,
    ) -> impl Future<Output = Result<SessionGranted, GrantError>> + Send;
}

impl<S: GrantSource> GrantSource for std::sync::Arc<S> {
    fn grant(
        &self,
        resources: &[ResourceId],
        relay_csr: String,
        gateway_csr: String,
    ) -> impl Future<Output = Result<SessionGranted, GrantError>> + Send {
        S::grant(self, resources, relay_csr, gateway_csr)
    }
}
