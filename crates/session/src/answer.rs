//! A gateway's answer to a request, as it is made and as it is read.

use h2::RecvStream;
use http::{Response, StatusCode};
use postern_domain::Reason;

use crate::codes::REASON_HEADER;
use crate::error::OpenError;

/// How a gateway answers a request.
#[derive(Debug)]
pub(crate) enum Answer {
    /// 200, and the stream goes on.
    Accept,
    /// 200, and that is all: the answer to a probe.
    Done,
    /// The reason's status.
    Refuse(Reason),
}

/// Makes a response without a body.
pub(crate) fn response(status: u16, reason: Option<Reason>) -> Response<()> {
    let mut response = Response::new(());
    *response.status_mut() = StatusCode::from_u16(status).unwrap_or(StatusCode::FORBIDDEN);
    if let Some(reason) = reason {
        let code = http::HeaderValue::from_static(reason.code());
        response.headers_mut().insert(REASON_HEADER, code);
    }
    response
}

/// Reads why a gateway refused.
pub(crate) fn refusal(response: &Response<RecvStream>) -> OpenError {
    let code = response.headers().get(REASON_HEADER);
    let reason = code
        .and_then(|code| code.to_str().ok())
        .and_then(|code| code.parse().ok());
    OpenError::Refused {
        status: response.status().as_u16(),
        reason: reason.unwrap_or(Reason::Refused),
    }
}
