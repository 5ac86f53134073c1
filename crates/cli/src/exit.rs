//! Exit codes, so that a program can tell failures apart.
//!
//! | code | meaning |
//! | --- | --- |
//! | 0 | done |
//! | 1 | failed; the message says why |
//! | 2 | the command line is wrong |
//! | 3 | not logged in, or the login is over |
//! | 4 | forbidden |
//! | 5 | there is no such thing, or it is not yours |
//! | 6 | the platform could not be reached or is not available |
//! | 7 | the resource could not be reached: relay, gateway or target |

use std::process::ExitCode;

use postern_agent::ApiError;
use postern_client::{ConnectError, Leg};
use postern_domain::Reason;

/// There is no such thing, found out before anything was asked by id.
#[derive(Debug, thiserror::Error)]
#[error("not found")]
pub(crate) struct NotFound;

/// There is no login, or it is over.
#[derive(Debug, thiserror::Error)]
#[error("not logged in: run postern login")]
pub(crate) struct NotLoggedIn;

/// Returns the exit code of a failure.
#[must_use]
pub fn code(error: &anyhow::Error) -> ExitCode {
    ExitCode::from(number(error))
}

fn number(error: &anyhow::Error) -> u8 {
    if error.downcast_ref::<NotLoggedIn>().is_some() {
        return 3;
    }
    if error.downcast_ref::<NotFound>().is_some() {
        return 5;
    }
    match error.downcast_ref::<ApiError>() {
        Some(ApiError::Refused { status: 401, .. }) => 3,
        Some(ApiError::Refused { status: 403, .. }) => 4,
        Some(ApiError::Refused { status: 404, .. }) => 5,
        Some(
            ApiError::Refused {
                status: 502..=504, ..
            }
            | ApiError::Unreachable { .. }
            | ApiError::Timeout { .. },
        ) => 6,
        Some(
            ApiError::Refused { .. }
            | ApiError::Tls { .. }
            | ApiError::Unreadable { .. }
            | ApiError::Unsendable(_),
        ) => 1,
        None => match error.downcast_ref::<ConnectError>() {
            Some(error) if error.leg == Leg::Platform => by_reason(error.reason),
            Some(_) => 7,
            None => 1,
        },
    }
}

/// Returns the exit code for the platform's refusal of a session.
fn by_reason(reason: Reason) -> u8 {
    let codes = [
        (Reason::Unauthenticated, 3),
        (Reason::CredentialExpired, 3),
        (Reason::Forbidden, 4),
        (Reason::NotFound, 5),
        (Reason::Unavailable, 6),
    ];
    codes
        .into_iter()
        .find(|(known, _)| *known == reason)
        .map_or(1, |(_, code)| code)
}

/// Returns the stable code of a failure, if it has one.
pub(crate) fn reason(error: &anyhow::Error) -> Option<Reason> {
    if error.downcast_ref::<NotLoggedIn>().is_some() {
        return Some(Reason::Unauthenticated);
    }
    if error.downcast_ref::<NotFound>().is_some() {
        return Some(Reason::NotFound);
    }
    let api = error.downcast_ref::<ApiError>().map(ApiError::reason);
    api.or_else(|| error.downcast_ref::<ConnectError>().map(|error| error.reason))
}
