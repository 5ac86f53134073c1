//! What an endpoint is: method, path, who is admitted, and what it does.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;

use bytes::Bytes;
use http::{Method, StatusCode};
use serde::Serialize;

use super::app::App;
use super::input::Input;
use crate::access::{AccessDecision, Action};
use crate::{Arrival, Error, RequestContext};

/// Who is let through to an endpoint.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Admission {
    /// Anybody. The text is the `action` of audit records.
    Open(&'static str),
    /// Anybody who shows a credential in the request itself; attempts are limited for each source. The text is
    /// the `action` of audit records.
    Login(&'static str),
    /// Whoever has an access token and the permission for this action.
    Bearer(Action),
}

impl Admission {
    /// Returns the `action` of audit records.
    #[must_use]
    pub const fn action(self) -> &'static str {
        match self {
            Self::Open(action) | Self::Login(action) => action,
            Self::Bearer(action) => action.code(),
        }
    }
}

/// The future of an answer.
pub(super) type Answering = Pin<Box<dyn Future<Output = Result<Reply, Error>> + Send>>;

/// What an endpoint does.
#[derive(Clone, Copy)]
pub(super) enum Handler {
    /// Without an access token.
    Open(fn(OpenCall) -> Answering),
    /// With an access token and a decision.
    Guarded(fn(Call) -> Answering),
}

/// One endpoint of the API.
#[derive(Clone)]
pub struct Endpoint {
    /// The method.
    pub method: Method,
    /// The path below [`postern_api::PREFIX`], parameters in braces.
    pub path: &'static str,
    /// Who is let through.
    pub admission: Admission,
    pub(super) handler: Handler,
}

impl fmt::Debug for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {} ({})", self.method, self.path, self.admission.action())
    }
}

/// A request to an open endpoint.
pub(super) struct OpenCall {
    pub(super) app: Arc<App>,
    pub(super) arrival: Arrival,
    pub(super) input: Input,
}

/// An authenticated and decided request.
pub(super) struct Call {
    pub(super) app: Arc<App>,
    pub(super) context: RequestContext,
    pub(super) access: AccessDecision,
    pub(super) input: Input,
}

/// What an endpoint answers.
#[derive(Debug)]
pub(super) struct Reply {
    pub(super) status: StatusCode,
    pub(super) body: Option<Bytes>,
    /// Whether the service wrote the audit record itself, together with the change.
    pub(super) recorded: bool,
}

impl Reply {
    /// 200 with a body.
    pub(super) fn ok<T: Serialize>(body: &T) -> Result<Self, Error> {
        Self::with(StatusCode::OK, body)
    }

    /// 201 with a body. What makes something records it itself, in the same transaction.
    pub(super) fn created<T: Serialize>(body: &T) -> Result<Self, Error> {
        Self::with(StatusCode::CREATED, body).map(Self::recorded)
    }

    /// 204. What takes something away or maps it records it itself, in the same transaction.
    pub(super) const fn done() -> Self {
        Self {
            status: StatusCode::NO_CONTENT,
            body: None,
            recorded: true,
        }
    }

    /// Says that the service wrote the record itself.
    pub(super) fn recorded(mut self) -> Self {
        self.recorded = true;
        self
    }

    fn with<T: Serialize>(status: StatusCode, body: &T) -> Result<Self, Error> {
        let body = serde_json::to_vec(body).map_err(Error::internal)?;
        Ok(Self {
            status,
            body: Some(body.into()),
            recorded: false,
        })
    }
}
