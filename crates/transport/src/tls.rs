//! TLS as Postern speaks it: version 1.3 only, aws-lc-rs, X25519MLKEM768 first, no tickets, no resumption, no
//! early data.
//!
//! Two legs are mutual: there the rustls verifiers check the chain, its usage and its time, and can return no
//! proof; right after the handshake [`postern_pki::judge`] judges the leaf whose key signed the handshake, and
//! only then is there a [`postern_pki::VerifiedPeer`]. The platform's HTTPS is one-way and pinned.

mod acceptor;
mod connector;
mod credential;
mod failure;
mod pinned;
mod profile;
mod server;
mod verifier;

use std::sync::Arc;

use postern_pki::Trust;
use tokio::sync::watch;

pub use acceptor::{Accepted, Judged, MutualAcceptor};
pub use connector::{Connected, MutualConnector};
pub use credential::{Credential, CredentialError, CredentialReceiver, CredentialStore};
pub use failure::{AcceptError, ConnectError};
pub use pinned::{PinReceiver, PinnedConnector};
pub use profile::TlsFacts;
pub use server::{Secured, ServerTls};

/// Where the newest trust is read.
pub type TrustReceiver = watch::Receiver<Arc<Trust>>;
