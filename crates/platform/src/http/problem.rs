//! Errors on the wire: `application/problem+json` (RFC 9457). The one place that logs a failure of ours.

use std::error::Error as _;

use axum::body::Body;
use http::header::{ALLOW, CACHE_CONTROL, CONTENT_TYPE, RETRY_AFTER, WWW_AUTHENTICATE};
use http::{HeaderName, HeaderValue, Method, Response, StatusCode};
use postern_api::Problem;
use postern_domain::{Reason, RequestId};

use super::endpoint::Reply;
use crate::Error;

/// The header that carries the request's id.
const REQUEST_ID: HeaderName = HeaderName::from_static("postern-request");

/// Writes a reply.
pub(super) fn reply(reply: Reply, request: RequestId) -> Response<Body> {
    let mut response = bare(reply.status, request);
    if let Some(body) = reply.body {
        response
            .headers_mut()
            .insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        *response.body_mut() = Body::from(body);
    }
    response
}

/// Writes an error, and logs its cause if it is ours.
pub(super) fn problem(error: &Error, request: RequestId) -> Response<Body> {
    let status = error.status();
    if status.is_server_error() {
        let mut causes = String::new();
        let mut cause = error.source();
        while let Some(source) = cause {
            causes = format!("{causes}: {source}");
            cause = source.source();
        }
        tracing::error!(%request, code = %error.reason(), "request failed{causes}");
    }
    let problem = Problem {
        kind: "about:blank".into(),
        title: status.canonical_reason().unwrap_or("Error").into(),
        status: status.as_u16(),
        code: error.reason(),
        detail: error.detail().into(),
        request,
    };
    let mut response = bare(status, request);
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/problem+json"));
    if status == StatusCode::UNAUTHORIZED {
        headers.insert(WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
    }
    if status == StatusCode::TOO_MANY_REQUESTS || status == StatusCode::SERVICE_UNAVAILABLE {
        headers.insert(RETRY_AFTER, HeaderValue::from_static("1"));
    }
    *response.body_mut() = Body::from(serde_json::to_vec(&problem).unwrap_or_default());
    response
}

/// Says which methods a path takes.
pub(super) fn allow(mut response: Response<Body>, methods: &[Method]) -> Response<Body> {
    let text = methods.iter().map(Method::as_str).collect::<Vec<_>>().join(", ");
    if let Ok(value) = HeaderValue::from_str(&text) {
        response.headers_mut().insert(ALLOW, value);
    }
    response
}

/// 404 for a path that no endpoint has; the same problem as for a thing that does not exist.
pub(super) fn no_such_path() -> Error {
    Error::not_found()
}

/// 405.
pub(super) fn no_such_method() -> Error {
    Error::new(
        Reason::RequestNotOffered,
        StatusCode::METHOD_NOT_ALLOWED,
        "this path does not take this method; the header Allow says which it takes",
    )
}

/// 413.
pub(super) fn too_large(limit: usize) -> Error {
    Error::new(
        Reason::TooLarge,
        StatusCode::PAYLOAD_TOO_LARGE,
        format!("the body is larger than {limit} bytes"),
    )
}

/// 431.
pub(super) fn head_too_large(limit: usize) -> Error {
    Error::new(
        Reason::TooLarge,
        StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE,
        format!("path and headers together are larger than {limit} bytes"),
    )
}

/// 408: the body did not arrive.
pub(super) fn body_timeout() -> Error {
    Error::new(
        Reason::InvalidRequest,
        StatusCode::REQUEST_TIMEOUT,
        "the body did not arrive in time",
    )
}

/// 503: the request was not answered in time.
pub(super) fn too_slow() -> Error {
    Error::unavailable("the request was not answered within its deadline")
}

fn bare(status: StatusCode, request: RequestId) -> Response<Body> {
    let mut response = Response::new(Body::empty());
    *response.status_mut() = status;
    let headers = response.headers_mut();
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    if let Ok(value) = HeaderValue::from_str(&request.to_string()) {
        headers.insert(REQUEST_ID, value);
    }
    response
}
