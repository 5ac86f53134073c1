//! X.509 and SSH certificates: one profile table, keys and requests, issuing, and judging.
//!
//! What it promises: a certificate that [`issue`] or [`issue_ssh`] makes has exactly the form that
//! [`profile`] says, for a key whose holder proved that he holds it ([`VerifiedRequest`]); and a
//! [`VerifiedPeer`] exists only for a certificate that [`judge`] (or its two SSH siblings) found to be right
//! for the leg it was presented on, under trust that was fresh ([`FreshTrust`]).
//!
//! What it never does: I/O, reading a clock (`now` is always an argument), or taking a name from a request.

mod anchor;
mod authority;
mod certificate;
mod daemon_keys;
mod grant_der;
mod identify;
mod inspect;
mod issue;
mod issue_ssh;
mod judge;
mod key;
mod leaf;
mod leg;
mod peer;
mod pem;
mod pin;
pub mod profile;
mod refusal;
mod request;
mod revocations;
mod serial;
mod spki;
mod ssh_authority;
mod ssh_judge;
mod trust;

pub use anchor::{AnchorError, AuthorityCertificate, SshAnchor, TlsAnchor};
pub use authority::{AuthorityError, TlsAuthority};
pub use certificate::Malformed;
pub use daemon_keys::{DaemonKeys, DaemonRequests, sign_identity_statement};
pub use grant_der::{GrantDerError, decode_grant, encode_grant};
pub use inspect::{Inspected, inspect, inspect_pem};
pub use issue::{IssueError, IssuedTls, issue, issue_with};
pub use issue_ssh::{IssuedSsh, issue_ssh, issue_ssh_with};
pub use judge::{check_chain, judge};
pub use key::{KeyError, LeafKey};
pub use leaf::{Leaf, SshLeaf};
pub use leg::Leg;
pub use peer::VerifiedPeer;
pub use pem::{PemError, certificate_from_pem, certificate_to_pem};
pub use pin::{pin_of_certificate, pin_of_spki, pin_of_ssh_key, sha256};
pub use profile::Lifetimes;
pub use refusal::{Claimed, Refusal};
pub use request::{
    DaemonKind, IDENTITY_NAMESPACE, REQUEST_NAMESPACE, RequestError, VerifiedRequest, identity_statement,
    request_statement, verify_csr, verify_daemon_request, verify_identity_statement,
};
pub use revocations::Revocations;
pub use serial::{random_serial, random_ssh_serial};
pub use ssh_authority::{SigningKey, SshAuthority};
pub use ssh_judge::{judge_gateway, judge_relay_host};
pub use trust::{FreshTrust, LONGEST_TRUST, Trust, TrustStale};
