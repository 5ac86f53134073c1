//! The platform: the control plane of Postern. It holds every certificate authority, decides who may reach what,
//! and can take that back at once.

pub mod access;
pub mod authority;
pub mod command;
pub mod config;
mod context;
pub mod credential;
pub mod enroll;
mod error;
pub mod http;
mod init;
pub mod issue;
pub mod keys;
mod log;
mod noun;
mod platform;
pub mod record;
mod revoke;
mod serve;
pub mod session;
pub mod snapshot;
pub mod store;
#[cfg(test)]
mod world;

pub use context::{Arrival, RequestContext};
pub use error::Error;
pub use init::{InitError, InitOptions, Initialized};
pub use platform::{FirstAdministrator, OpenError, Platform, Settings};
pub use serve::{Bound, StartError};
