//! What every daemon and the command line do towards the platform.
//!
//! - [`Api`] is the typed HTTP client, over TLS to a platform that is known by pins.
//! - [`enroll_with_ticket`] and [`enroll_with_identity`] make a [`Daemon`], kept in a [`StateDir`].
//! - [`Agent`] is an enrolled daemon at work: its tokens ([`TokenSource`]), what it knows ([`Poller`], [`Known`]),
//!   and its certificates ([`Renewer`]).
//! - [`Spool`] keeps its audit records.
//!
//! Private keys are made here and stay here: in memory and in the state directory. Nothing spawns by itself; what
//! must run has a `run` that the daemon spawns and joins.

mod address;
mod agent;
mod api;
mod certificates;
mod clock_check;
mod daemon;
mod enroll;
mod error;
mod knowledge;
mod renew;
mod snapshot;
mod spool;
mod state;
mod statement;
mod token;

pub use address::PlatformAddress;
pub use agent::{Agent, AgentRun, StartError};
pub use api::{Api, Deadlines};
pub use certificates::{CertificatesRefused, Certified, certify, server_leg};
pub use clock_check::{ClockSkew, PlatformTime};
pub use daemon::{Daemon, Keys};
pub use enroll::{EnrollError, NewGateway, enroll_with_identity, enroll_with_ticket};
pub use error::ApiError;
pub use knowledge::{Known, SnapshotError};
pub use renew::{RenewError, Renewer};
pub use snapshot::{Contact, PollError, Poller};
pub use spool::{Spool, SpoolWriter};
pub use state::{StateDir, StateError};
pub use statement::{StatementError, Statements};
pub use token::TokenSource;
