//! P-256 public keys as SubjectPublicKeyInfo (RFC 5480), in the one encoding that is accepted.

use aws_lc_rs::signature::{ECDSA_P256_SHA256_ASN1, UnparsedPublicKey};
use postern_domain::Pin;

use crate::pin::pin_of_spki;

/// SEQUENCE { SEQUENCE { id-ecPublicKey, prime256v1 }, BIT STRING of an uncompressed point }: all but the
/// point.
const PREFIX: [u8; 26] = [
    0x30, 0x59, 0x30, 0x13, 0x06, 0x07, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x02, 0x01, 0x06, 0x08, 0x2a, 0x86,
    0x48, 0xce, 0x3d, 0x03, 0x01, 0x07, 0x03, 0x42, 0x00,
];

/// A P-256 public key. The point is known to lie on the curve only once a signature was verified with it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct P256Public([u8; 65]);

impl P256Public {
    /// Takes the key out of a SubjectPublicKeyInfo; any other encoding than the usual one is none.
    pub(crate) fn from_spki(der: &[u8]) -> Option<Self> {
        Self::from_point(der.strip_prefix(&PREFIX)?)
    }

    /// Takes an uncompressed point (SEC 1 section 2.3.3).
    pub(crate) fn from_point(point: &[u8]) -> Option<Self> {
        let bytes: [u8; 65] = point.try_into().ok()?;
        (bytes.first() == Some(&4)).then_some(Self(bytes))
    }

    /// Returns the SubjectPublicKeyInfo in DER.
    pub(crate) fn to_spki(&self) -> Vec<u8> {
        [PREFIX.as_slice(), &self.0].concat()
    }

    /// Returns the key's pin.
    pub(crate) fn pin(&self) -> Pin {
        pin_of_spki(&self.to_spki())
    }

    /// Returns whether the key made this ECDSA signature with SHA-256 (RFC 5758 section 3.2).
    pub(crate) fn verifies(&self, message: &[u8], signature: &[u8]) -> bool {
        UnparsedPublicKey::new(&ECDSA_P256_SHA256_ASN1, &self.0)
            .verify(message, signature)
            .is_ok()
    }
}

impl rcgen::PublicKeyData for P256Public {
    fn der_bytes(&self) -> &[u8] {
        &self.0
    }

    fn algorithm(&self) -> &'static rcgen::SignatureAlgorithm {
        &rcgen::PKCS_ECDSA_P256_SHA256
    }
}
