//! Why a session was not begun, and why a stream was not opened.

use postern_domain::Reason;

use crate::codes::reason_of;
use crate::tally::Tally;

/// A session was not begun.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{detail}: {}", .reason.explanation())]
pub struct HandshakeError {
    /// Why. What the gateway said, if it said something.
    pub reason: Reason,
    /// Who did what.
    pub detail: String,
}

impl HandshakeError {
    pub(crate) fn new(reason: Reason, detail: impl Into<String>) -> Self {
        Self {
            reason,
            detail: detail.into(),
        }
    }
}

/// A stream was not opened.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum OpenError {
    /// The gateway answered that it will not.
    #[error("the gateway refused ({status}): {}", .reason.explanation())]
    Refused {
        /// The status.
        status: u16,
        /// Why.
        reason: Reason,
    },
    /// The gateway reset the stream instead of answering.
    #[error("the gateway reset the stream: {}", .0.explanation())]
    Reset(Reason),
    /// The session takes no more streams.
    #[error("the session takes no more streams: {}", .0.explanation())]
    SessionOver(Reason),
}

impl OpenError {
    /// Returns why.
    #[must_use]
    pub const fn reason(self) -> Reason {
        match self {
            Self::Refused { reason, .. } | Self::Reset(reason) | Self::SessionOver(reason) => reason,
        }
    }

    /// Returns whether another session may have a better answer to the same question.
    #[must_use]
    pub const fn is_session_over(self) -> bool {
        matches!(self, Self::SessionOver(_))
    }

    pub(crate) fn of(error: &h2::Error, tally: &Tally) -> Self {
        let reason = error.reason().and_then(|code| reason_of(code.into()));
        if error.is_reset() {
            Self::Reset(reason.unwrap_or(Reason::Refused))
        } else {
            Self::SessionOver(reason.unwrap_or_else(|| tally.farewell()))
        }
    }
}
