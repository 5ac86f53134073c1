//! What can go wrong between this process and the platform.

use std::time::Duration;

use postern_domain::{Reason, RequestId, Target};

/// A request to the platform did not succeed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ApiError {
    /// The platform refused (RFC 9457).
    #[error("the platform refused: {detail} ({code})")]
    Refused {
        /// The HTTP status.
        status: u16,
        /// The stable code.
        code: Reason,
        /// What is wrong and what to do.
        detail: String,
        /// The request's id in the platform's log; absent if the platform gave none.
        request: Option<RequestId>,
    },
    /// No connection came about, or it was lost.
    #[error("cannot reach the platform at {address}: {cause}")]
    Unreachable {
        /// Where it was looked for.
        address: Target,
        /// Why not.
        cause: String,
    },
    /// Whoever answered there is not the platform, or not with a certificate that is valid now.
    #[error("the platform at {address} did not prove itself: {detail} ({reason})")]
    Tls {
        /// Where it was looked for.
        address: Target,
        /// Why it was not believed.
        reason: Reason,
        /// More for a person.
        detail: String,
    },
    /// The platform took too long.
    #[error("the platform at {address} did not answer in {} s while {deed}", within.as_secs())]
    Timeout {
        /// Where it was looked for.
        address: Target,
        /// What was waited for.
        deed: &'static str,
        /// For how long.
        within: Duration,
    },
    /// The answer is not one that the API gives.
    #[error("the platform at {address} gave an answer that cannot be read: {detail}")]
    Unreadable {
        /// Where it was looked for.
        address: Target,
        /// What is wrong with it.
        detail: String,
    },
    /// The request could not even be made.
    #[error("the request could not be made: {0}")]
    Unsendable(String),
}

impl ApiError {
    /// Returns the stable code.
    #[must_use]
    pub const fn reason(&self) -> Reason {
        match self {
            Self::Refused { code, .. } => *code,
            Self::Unreachable { .. } | Self::Timeout { .. } => Reason::Unavailable,
            Self::Tls { reason, .. } => *reason,
            Self::Unreadable { .. } => Reason::ProtocolViolation,
            Self::Unsendable(_) => Reason::Internal,
        }
    }

    /// Returns whether the platform demands another credential (401).
    #[must_use]
    pub const fn is_unauthenticated(&self) -> bool {
        matches!(self, Self::Refused { status: 401, .. })
    }

    /// Returns whether the platform understood the request and refused it for good: asking the same again is in
    /// vain. Too many requests, a timeout and the platform's own failures are not.
    #[must_use]
    pub const fn is_final(&self) -> bool {
        matches!(self, Self::Refused { status: 400..=499, code, .. }
            if !matches!(code, Reason::RateLimited | Reason::OverQuota))
            && !matches!(
                self,
                Self::Refused {
                    status: 408 | 425 | 429,
                    ..
                }
            )
    }
}
