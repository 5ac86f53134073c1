//! The inner session: HTTP/2 with CONNECT (RFC 9113 section 8.5) between a client and a gateway, one stream
//! for each connection to a resource, and the judgement of what may be opened.
//!
//! Both sides run over any byte stream; whoever calls has already done the TLS handshake and judged the peer.
//! One task drives a session and owns everything of the HTTP/2 library; a [`Stream`] is a handle to a bounded
//! pair of queues that this task empties and fills. So one slow reader costs its own window and nothing else:
//!
//! - what arrives is taken out of the library at once and small pieces are joined, so a peer that sends a
//!   byte at a time exhausts neither memory nor the library's budget for small frames;
//! - what is written is joined while an earlier frame of the same stream still waits for the wire, and leaves
//!   only within the window that the peer has granted, so no stream buffers more than its bound;
//! - a DATA frame is never empty unless it ends the stream;
//! - the window of streams grows with the path, up to its bound;
//! - streams that nobody reads are reset after a deadline, but only once they hold so much of the session's
//!   window that others would suffer.
//!
//! Half-close is END_STREAM in each direction; a reset is RST_STREAM and reaches the reader and the writer as
//! an error of kind `ConnectionReset`, never as an orderly end.

mod answer;
mod authorize;
mod chunk;
mod client;
mod codes;
mod driver;
mod ended;
mod error;
mod frames;
mod gate;
mod limits;
mod network;
mod opening;
mod orders;
mod outgoing;
mod pipe;
mod policy;
mod pump;
mod queue;
mod refusal;
mod server;
mod stream;
mod tally;
mod tune;

pub use authorize::{Denial, Permit, authorize, authorize_probe, session_admitted};
pub use client::{Connection, Driver, handshake};
pub use codes::{REASON_HEADER, error_code, reason_of, status_of};
pub use ended::Ended;
pub use error::{HandshakeError, OpenError};
pub use limits::Limits;
pub use network::{Network, ParseNetworkError};
pub use opening::{Ask, Opening};
pub use orders::{Order, OrderHand, Orders, orders};
pub use policy::{ApprovedResource, Policy};
pub use server::serve;
pub use stream::{Control, Stream, StreamReset};
