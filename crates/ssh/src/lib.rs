//! The tunnel between gateway and relay: SSH with certificates on both sides and nothing else.
//!
//! - [`accept`] is the relay's side: it resolves when a gateway has proven a certificate that the [`Judge`] took,
//!   and has asked for the one tunnel. [`Tunnel::open`] then opens streams to the gateway.
//! - [`connect`] is the gateway's side: the [`HostJudge`] judges the relay's host certificate before anything is
//!   said of who we are; [`Incoming::next`] yields the streams that the relay opens.
//! - [`TunnelStream`] is one stream, with half-close and reset kept apart.
//!
//! No password, no bare key, no shell, no forward but the tunnel's own, in either direction: what else is asked
//! is refused and told to the judge. Nothing waits for a peer without a deadline, and every queue is bounded.
//!
//! The protocol machine is russh for now, which this crate alone names; no type of it is public. What it cannot
//! do is said where it shows: [`Attempt::Unjudged`] and the module `drain`.

mod algorithms;
mod client;
mod convert;
mod drain;
mod guard;
mod kexinit;
mod refusal;
mod server;
mod stream;

pub use client::{ClientConfig, ConnectError, HostJudge, Incoming, IncomingEvent, connect};
pub use convert::ConfigError;
pub use kexinit::Facts;
pub use refusal::{Attempt, Refused, RefusedAttempt};
pub use server::{AcceptError, Judge, Offered, OpenError, ServerConfig, Tunnel, accept};
pub use stream::TunnelStream;

/// The address that a tunnel is asked for with, and that its streams name (RFC 4254 section 7).
pub const TUNNEL_ADDRESS: &str = "gateway";
/// The port that a tunnel is asked for with, and that its streams name. Nothing listens on it.
pub const TUNNEL_PORT: u32 = 1;
