//! SSH keys, signatures and certificates: encoded, parsed, verified.
//!
//! - [`PrivateKey`] and [`PublicKey`] are keys; [`PublicKey::verify`] checks an SSH signature.
//! - [`UnverifiedCertificate`] is what arrived; [`UnverifiedCertificate::verify_signature`] makes it a
//!   [`Certificate`], whose signature holds. Who signed it, for whom and until when is for the caller to judge.
//! - [`CertificateSpec`] is signed into a certificate, which is handed out only after our own verifier took it.
//! - [`sshsig`] is the format of `ssh-keygen -Y`.
//!
//! Algorithms are an allow-list ([`Algorithm`]); everything else is refused by name. All cryptography is that of
//! aws-lc-rs, over the bytes as received. The ssh-key library is used for the files of private keys and the
//! envelope of SSHSIG, and named nowhere else. Nothing here does I/O or reads a clock.

mod certificate;
mod private;
mod public;
mod signature;
mod spec;
pub mod sshsig;
mod wire;

pub use certificate::{Certificate, CertificateError, CertificateKind, UnverifiedCertificate};
pub use private::PrivateKey;
pub use public::{Algorithm, KeyError, PublicKey};
pub use signature::SignatureError;
pub use spec::CertificateSpec;
