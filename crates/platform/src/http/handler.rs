//! Handlers: from input to a service call, from its result to a reply. One file per noun, nothing else in them.

pub(super) mod auth;
pub(super) mod authority;
pub(super) mod daemon;
pub(super) mod gateway;
pub(super) mod identity;
pub(super) mod organization;
pub(super) mod project;
pub(super) mod relay;
pub(super) mod resource;
pub(super) mod session;

use super::endpoint::{Call, OpenCall, Reply};
use crate::Error;

/// What a handler answers.
type Answer = Result<Reply, Error>;
