//! What moves bytes between Postern's parts: TLS with our own verifiers, credentials that can be replaced while
//! in use, the accept loop, two-way copy, drain, backoff, and the clock.
//!
//! Nothing here decides who may do what: [`postern_pki::judge`] does, and it is called in exactly two places,
//! [`MutualAcceptor`] and [`MutualConnector`].

pub mod accept;
pub mod backoff;
pub mod clock;
pub mod copy;
pub mod drain;
pub mod quota;
pub mod relay_status;
pub mod socket;
pub mod standing;
pub mod tls;

pub use accept::{AcceptLimits, Served, Slot, serve};
pub use backoff::Backoff;
pub use clock::{Clock, ClockHand};
pub use copy::{CopyEnd, Duplex, HowEnded, WithReset, copy_two_way};
pub use drain::{Drain, DrainHand, Signals};
pub use quota::{Buckets, Quota, Rate, SourceKey, Taken};
pub use relay_status::{ALPN_INNER, ALPN_RELAY, RelayStatus};
pub use standing::Standing;
pub use tls::{
    AcceptError, Accepted, ConnectError, Connected, Credential, CredentialError, CredentialReceiver,
    CredentialStore, Judged, MutualAcceptor, MutualConnector, PinReceiver, PinnedConnector, Secured,
    ServerTls, TlsFacts, TrustReceiver,
};
