//! Digests and pins of public keys.

use aws_lc_rs::digest;
use postern_domain::Pin;
use postern_sshkey::PublicKey;
use rustls_pki_types::CertificateDer;

use crate::certificate::Parsed;

/// Returns the SHA-256 of some bytes.
#[must_use]
pub fn sha256(bytes: &[u8]) -> [u8; 32] {
    let mut out = [0; 32];
    out.copy_from_slice(digest::digest(&digest::SHA256, bytes).as_ref());
    out
}

/// Returns the pin of a public key, given as SubjectPublicKeyInfo in DER (RFC 5280 section 4.1).
#[must_use]
pub fn pin_of_spki(der: &[u8]) -> Pin {
    Pin::from_digest(sha256(der))
}

/// Returns the pin of an SSH key: that of the same key as SubjectPublicKeyInfo, so that a revoked key is
/// found whichever kind of certificate it is in.
#[must_use]
pub fn pin_of_ssh_key(key: &PublicKey) -> Pin {
    Pin::from_digest(key.spki_sha256())
}

/// Returns the pin of the key in a certificate; nothing of the certificate is verified. `None` if it cannot
/// be read.
#[must_use]
pub fn pin_of_certificate(der: &CertificateDer<'_>) -> Option<Pin> {
    Parsed::parse(der).ok().map(|parsed| parsed.key)
}
