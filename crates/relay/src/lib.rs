//! The relay: routes sealed traffic between clients and gateways, and can read none of it.
//!
//! It holds tunnels of gateways that proved themselves by an SSH certificate, and joins to them clients that proved
//! themselves by a TLS certificate which names the gateway. What it copies is the inner session, TLS between client
//! and gateway with keys of which the relay has none. It links neither the inner session nor a database.

mod clients;
mod command;
pub mod config;
mod daemon;
mod judge;
mod reports;
mod routes;
mod tunnels;

pub use command::run;
pub use config::Config;
pub use daemon::{BindError, Listeners, Relay};
