//! How a session ended.

use std::fmt;

use postern_domain::Reason;

/// How a session ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ended {
    /// In order: the client had no more use for it.
    Finished,
    /// The gateway refused or ended it.
    ByGateway(Reason),
    /// The client broke it off, or broke the protocol.
    ByClient(Reason),
    /// The bytes beneath it came to an end.
    Lost,
}

impl Ended {
    /// Returns why; `None` if it ended in order.
    #[must_use]
    pub const fn reason(self) -> Option<Reason> {
        match self {
            Self::Finished => None,
            Self::ByGateway(reason) | Self::ByClient(reason) => Some(reason),
            Self::Lost => Some(Reason::ConnectionLost),
        }
    }
}

impl fmt::Display for Ended {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Finished => f.write_str("the session has finished"),
            Self::ByGateway(reason) => {
                write!(f, "the gateway ended the session: {}", reason.explanation())
            }
            Self::ByClient(reason) => write!(f, "the client ended the session: {}", reason.explanation()),
            Self::Lost => f.write_str("the connection beneath the session was lost"),
        }
    }
}
