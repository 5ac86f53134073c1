//! Signatures in SSH's wire form: an algorithm's name and its bytes (RFC 4253 section 6.6).

use aws_lc_rs::error::Unspecified;
use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_FIXED, ECDSA_P384_SHA384_FIXED, ED25519, RSA_PKCS1_2048_8192_SHA256,
    RSA_PKCS1_2048_8192_SHA512, RsaPublicKeyComponents, UnparsedPublicKey,
};

use crate::public::{Material, PublicKey};
use crate::wire::{Reader, WireError};

/// A signature is not accepted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum SignatureError {
    /// It cannot be read.
    #[error("the signature is malformed")]
    Malformed,
    /// It is of an algorithm that is not allowed for the key.
    #[error("the signature is of another algorithm than the key allows")]
    Algorithm,
    /// It does not verify.
    #[error("the signature does not verify")]
    Invalid,
    /// It was made by another key than the one that is expected.
    #[error("the signature is of another key")]
    OtherKey,
    /// It was made for another purpose, or the purpose is empty.
    #[error("the signature is for another purpose")]
    OtherNamespace,
}

impl From<WireError> for SignatureError {
    fn from(_: WireError) -> Self {
        Self::Malformed
    }
}

impl From<Unspecified> for SignatureError {
    fn from(_: Unspecified) -> Self {
        Self::Invalid
    }
}

/// Verifies with the algorithms that the key allows: RSA never with SHA-1 (RFC 8332).
pub(crate) fn verify(key: &PublicKey, message: &[u8], signature: &[u8]) -> Result<(), SignatureError> {
    let mut reader = Reader::new(signature);
    let name = reader.string()?;
    let bytes = reader.string()?;
    reader.finish()?;
    match (key.material(), name) {
        (Material::Ed25519(point), b"ssh-ed25519") => {
            UnparsedPublicKey::new(&ED25519, point).verify(message, bytes)?;
        }
        (Material::EcdsaP256(point), b"ecdsa-sha2-nistp256") => {
            let fixed = fixed_width::<32>(bytes)?;
            UnparsedPublicKey::new(&ECDSA_P256_SHA256_FIXED, point).verify(message, &fixed)?;
        }
        (Material::EcdsaP384(point), b"ecdsa-sha2-nistp384") => {
            let fixed = fixed_width::<48>(bytes)?;
            UnparsedPublicKey::new(&ECDSA_P384_SHA384_FIXED, point).verify(message, &fixed)?;
        }
        (Material::Rsa(numbers), b"rsa-sha2-256" | b"rsa-sha2-512") => {
            if bytes.len() != numbers.n.len() {
                return Err(SignatureError::Malformed);
            }
            let parameters = if name == b"rsa-sha2-256" {
                &RSA_PKCS1_2048_8192_SHA256
            } else {
                &RSA_PKCS1_2048_8192_SHA512
            };
            RsaPublicKeyComponents {
                n: &numbers.n,
                e: &numbers.e,
            }
            .verify(parameters, message, bytes)?;
        }
        (Material::Ed25519(_) | Material::EcdsaP256(_) | Material::EcdsaP384(_) | Material::Rsa(_), _) => {
            return Err(SignatureError::Algorithm);
        }
    }
    Ok(())
}

/// Turns the two `mpint`s of RFC 5656 section 3.1.2 into two numbers of `N` bytes each, one after the other.
fn fixed_width<const N: usize>(bytes: &[u8]) -> Result<Vec<u8>, SignatureError> {
    let mut reader = Reader::new(bytes);
    let mut fixed = Vec::with_capacity(2 * N);
    for _ in 0..2 {
        let number = reader.positive()?;
        let padding = N.checked_sub(number.len()).ok_or(SignatureError::Malformed)?;
        fixed.resize(fixed.len() + padding, 0);
        fixed.extend_from_slice(number);
    }
    reader.finish()?;
    Ok(fixed)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::PrivateKey;
    use crate::wire::Writer;

    #[test]
    fn accepts_what_the_key_signed() {
        let key = PrivateKey::generate().unwrap();
        let signature = key.sign_raw(b"message");
        assert_eq!(key.public_key().verify(b"message", &signature), Ok(()));
    }

    #[test]
    fn refuses_another_message_another_key_and_any_flipped_bit() {
        let key = PrivateKey::generate().unwrap();
        let other = PrivateKey::generate().unwrap();
        let signature = key.sign_raw(b"message");
        assert_eq!(
            key.public_key().verify(b"massage", &signature),
            Err(SignatureError::Invalid)
        );
        assert_eq!(
            other.public_key().verify(b"message", &signature),
            Err(SignatureError::Invalid)
        );
        for bit in 0..signature.len() * 8 {
            let mut flipped = signature.clone();
            flipped[bit / 8] ^= 1 << (bit % 8);
            assert!(key.public_key().verify(b"message", &flipped).is_err(), "{bit}");
        }
    }

    #[test]
    fn refuses_a_signature_cut_at_any_byte_or_with_more_behind() {
        let key = PrivateKey::generate().unwrap();
        let mut signature = key.sign_raw(b"message");
        for length in 0..signature.len() {
            assert!(key.public_key().verify(b"message", &signature[..length]).is_err());
        }
        signature.push(0);
        assert_eq!(
            key.public_key().verify(b"message", &signature),
            Err(SignatureError::Malformed)
        );
    }

    #[test]
    fn refuses_the_name_of_another_algorithm() {
        let key = PrivateKey::generate().unwrap();
        let mut writer = Writer::default();
        writer.string(b"rsa-sha2-256").string(&[1; 64]);
        assert_eq!(
            key.public_key().verify(b"message", writer.as_bytes()),
            Err(SignatureError::Algorithm)
        );
    }
}
