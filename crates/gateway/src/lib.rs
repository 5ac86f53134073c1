//! The gateway: the agent in the private network. It only dials out.
//!
//! It holds a tunnel to each of its relays, ends the inner sessions that clients open through them, and connects
//! their streams to approved resources: what the platform's policy, the client's grant and the local rules all
//! permit. It listens nowhere.

pub mod address;
pub mod config;
pub mod rules;

mod command;
mod daemon;
mod dial;
mod inner;
mod judge;
mod policy;
mod stream;
mod tunnel;

pub use command::run;
pub use config::Config;
pub use daemon::{BindError, Gateway, Tunnelled};
pub use inner::{Inner, Origin};
pub use policy::PolicyError;
pub use tunnel::TunnelState;
