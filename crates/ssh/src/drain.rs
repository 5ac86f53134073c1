//! How a relay says that it drains.
//!
//! The design says it with the global request `drain@postern`, without reply. The library sends no global request
//! of our own from the server's side, so until our own protocol machine stands it is said with a channel: a
//! `forwarded-tcpip` for this address and port, which a gateway always refuses, and understands. OpenSSH refuses
//! it as a forward that it never asked for, and goes on.

/// The address that a drain names in place of the tunnel's.
pub(crate) const ADDRESS: &str = "drain@postern";
/// The port that a drain names.
pub(crate) const PORT: u32 = 0;
