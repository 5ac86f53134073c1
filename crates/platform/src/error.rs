//! Why a request was not met: a stable reason, an HTTP status, and a sentence for whoever asked.
//!
//! What went wrong inside is kept as the source, logged once at the boundary, and never shown.

use std::error::Error as StdError;
use std::fmt;

use http::StatusCode;
use postern_domain::Reason;

/// A refusal or a failure of a service.
#[derive(Debug)]
pub struct Error {
    reason: Reason,
    status: StatusCode,
    detail: String,
    source: Option<Box<dyn StdError + Send + Sync>>,
}

impl Error {
    /// Makes a refusal with this reason, status and sentence.
    #[must_use]
    pub fn new(reason: Reason, status: StatusCode, detail: impl Into<String>) -> Self {
        Self {
            reason,
            status,
            detail: detail.into(),
            source: None,
        }
    }

    /// 404: there is no such thing, or it is another organization's; the two answers are one.
    #[must_use]
    pub fn not_found() -> Self {
        Self::plain(Reason::NotFound, StatusCode::NOT_FOUND)
    }

    /// 403: the actor may not do this.
    #[must_use]
    pub fn forbidden() -> Self {
        Self::plain(Reason::Forbidden, StatusCode::FORBIDDEN)
    }

    /// 403 with another reason than [`Reason::Forbidden`], or with more to say.
    #[must_use]
    pub fn refused(reason: Reason, detail: impl Into<String>) -> Self {
        Self::new(reason, StatusCode::FORBIDDEN, detail)
    }

    /// 401: the credential is not accepted. The sentence says no more than the reason does.
    #[must_use]
    pub fn unauthenticated(reason: Reason) -> Self {
        Self::plain(reason, StatusCode::UNAUTHORIZED)
    }

    /// 400: the request is not well-formed.
    #[must_use]
    pub fn invalid(detail: impl Into<String>) -> Self {
        Self::new(Reason::InvalidRequest, StatusCode::BAD_REQUEST, detail)
    }

    /// 409: it exists already, or is still in use.
    #[must_use]
    pub fn conflict(detail: impl Into<String>) -> Self {
        Self::new(Reason::Conflict, StatusCode::CONFLICT, detail)
    }

    /// 422: the request is well-formed but cannot be met.
    #[must_use]
    pub fn unprocessable(detail: impl Into<String>) -> Self {
        Self::new(Reason::Unprocessable, StatusCode::UNPROCESSABLE_ENTITY, detail)
    }

    /// 429: too many requests.
    #[must_use]
    pub fn rate_limited() -> Self {
        Self::plain(Reason::RateLimited, StatusCode::TOO_MANY_REQUESTS)
    }

    /// 503: not now.
    #[must_use]
    pub fn unavailable(source: impl Into<Box<dyn StdError + Send + Sync>>) -> Self {
        Self {
            source: Some(source.into()),
            ..Self::plain(Reason::Unavailable, StatusCode::SERVICE_UNAVAILABLE)
        }
    }

    /// 503: the audit record could not be written, so nothing was done.
    #[must_use]
    pub fn not_recorded(source: impl Into<Box<dyn StdError + Send + Sync>>) -> Self {
        Self {
            source: Some(source.into()),
            ..Self::plain(Reason::NotRecorded, StatusCode::SERVICE_UNAVAILABLE)
        }
    }

    /// 500: something went wrong inside. The source is for the log.
    #[must_use]
    pub fn internal(source: impl Into<Box<dyn StdError + Send + Sync>>) -> Self {
        Self {
            source: Some(source.into()),
            ..Self::plain(Reason::Internal, StatusCode::INTERNAL_SERVER_ERROR)
        }
    }

    /// Returns the stable reason.
    #[must_use]
    pub const fn reason(&self) -> Reason {
        self.reason
    }

    /// Returns the HTTP status.
    #[must_use]
    pub const fn status(&self) -> StatusCode {
        self.status
    }

    /// Returns the sentence for whoever asked; it never holds a cause from inside.
    #[must_use]
    pub fn detail(&self) -> &str {
        &self.detail
    }

    fn plain(reason: Reason, status: StatusCode) -> Self {
        Self::new(reason, status, reason.explanation())
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.detail)
    }
}

impl StdError for Error {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        self.source.as_ref().map(|s| &**s as &(dyn StdError + 'static))
    }
}

impl From<sqlx::Error> for Error {
    fn from(error: sqlx::Error) -> Self {
        // SQLITE_BUSY: another process, a backup perhaps, holds the store for longer than we wait. SQLITE_IOERR
        // and SQLITE_FULL: the disk is full or fails. The low byte of an extended code is the primary one.
        let code = error
            .as_database_error()
            .and_then(|e| e.code()?.parse::<u32>().ok());
        let passing = code.is_some_and(|code| matches!(code & 0xff, 5 | 10 | 13));
        if passing || matches!(error, sqlx::Error::PoolTimedOut | sqlx::Error::PoolClosed) {
            Self::unavailable(error)
        } else {
            Self::internal(error)
        }
    }
}

/// Turns a violated unique constraint into the refusal that it means.
pub(crate) trait OnConflict<T> {
    /// Answers 409 with this sentence where a unique constraint was violated.
    fn on_conflict(self, detail: impl FnOnce() -> String) -> Result<T, Error>;
}

impl<T> OnConflict<T> for Result<T, sqlx::Error> {
    fn on_conflict(self, detail: impl FnOnce() -> String) -> Result<T, Error> {
        self.map_err(|error| {
            let violated = error.as_database_error().is_some_and(|e| e.is_unique_violation());
            if violated {
                Error::conflict(detail())
            } else {
                Error::from(error)
            }
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cause_from_inside_is_never_shown() {
        let error = Error::internal("the disk is on fire");
        assert!(!error.to_string().contains("fire"));
        assert!(
            error
                .source()
                .is_some_and(|s| s.to_string() == "the disk is on fire")
        );
        assert_eq!(
            (error.reason(), error.status()),
            (Reason::Internal, StatusCode::INTERNAL_SERVER_ERROR)
        );
    }

    #[test]
    fn unknown_and_foreign_answer_the_same() {
        assert_eq!(Error::not_found().detail(), Reason::NotFound.explanation());
    }
}
