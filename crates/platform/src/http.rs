//! The HTTP API under `/api/v1`: one table of endpoints, one way through for every request.
//!
//! A request is admitted, decided, answered and recorded in `dispatch`, whatever it asks for; a handler only
//! turns input into a service call and the result into a reply. Every error is a problem in JSON (RFC 9457)
//! with a stable code. Nothing here knows SQL or a key.

mod app;
mod connection;
mod dispatch;
mod endpoint;
mod fold;
mod handler;
mod input;
mod problem;
mod router;
mod source;
mod subject;
mod table;

pub(crate) use app::{App, Parts};
pub(crate) use connection::Connections;
pub use endpoint::{Admission, Endpoint};
pub(crate) use router::router;
pub use table::ENDPOINTS;
