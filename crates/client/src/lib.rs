//! From a grant to an open stream: the client's whole way to a private resource.
//!
//! A [`Connector`] makes two fresh keys, asks the platform for a session through a [`GrantSource`], dials the
//! relays in the order that the platform gave, proves itself and judges the other end on both legs, and begins
//! the inner session. What comes out is a [`Session`], whose streams are connections to resources. A [`Pool`]
//! keeps one session for many connections and makes a new one when it is lost or near its end.
//!
//! Whom to believe comes from the grant alone; keys never leave this process; nothing inner is sent before the
//! relay's status byte. Every step has a deadline, and an error names the leg, the party and the reason.

mod connector;
mod dial;
mod error;
mod evidence;
mod expectation;
mod grant;
mod pool;
mod session;
mod stage;
mod timeouts;

pub use connector::Connector;
pub use error::{Attempt, ConnectError, Leg};
pub use evidence::{Evidence, LegEvidence};
pub use grant::{GrantError, GrantSource};
pub use pool::Pool;
pub use session::Session;
pub use stage::Stage;
pub use timeouts::Timeouts;

pub use postern_session::{Ended, Limits, OpenError, Stream, StreamReset};
