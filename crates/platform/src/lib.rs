//! The platform: the control plane of Postern. It holds every certificate authority, decides who may reach what,
//! and can take that back at once.

pub mod access;
mod context;
mod error;
pub mod keys;
pub mod record;
pub mod store;

pub use context::{Arrival, RequestContext};
pub use error::Error;
