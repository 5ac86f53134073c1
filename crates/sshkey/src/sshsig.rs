//! Detached signatures in the format of `ssh-keygen -Y sign` and `-Y verify` (PROTOCOL.sshsig).
//!
//! A signature names its purpose, the namespace, so that one made for one use is worth nothing for another.

use ssh_key::{Algorithm as LibraryAlgorithm, HashAlg, LineEnding, Signature, SshSig, public};

use crate::private::PrivateKey;
use crate::public::PublicKey;
use crate::signature::SignatureError;
use crate::wire::{Reader, Writer};

/// The longest armored signature that is read: RSA with 8192 bits takes about 3 KiB.
const MAX_ARMORED: usize = 8192;

/// Signs a message for a namespace; returns the armored signature.
///
/// # Errors
/// Refuses an empty namespace.
pub fn sign(key: &PrivateKey, namespace: &str, message: &[u8]) -> Result<String, SignatureError> {
    if namespace.is_empty() {
        return Err(SignatureError::OtherNamespace);
    }
    let data = SshSig::signed_data(namespace, HashAlg::Sha512, message).map_err(malformed)?;
    let blob = key.sign_raw(&data);
    let mut reader = Reader::new(&blob);
    let _algorithm = reader.string()?;
    let signature = Signature::new(LibraryAlgorithm::Ed25519, reader.string()?).map_err(malformed)?;
    let data = public::PublicKey::from_bytes(key.public_key().as_bytes()).map_err(malformed)?;
    SshSig::new(data.key_data().clone(), namespace, HashAlg::Sha512, signature)
        .and_then(|envelope| envelope.to_pem(LineEnding::LF))
        .map_err(malformed)
}

/// Verifies that a key signed a message for a namespace.
///
/// # Errors
/// Refuses what cannot be read, another key, another namespace, and a signature that does not verify.
pub fn verify(key: &PublicKey, namespace: &str, message: &[u8], armored: &str) -> Result<(), SignatureError> {
    if armored.len() > MAX_ARMORED {
        return Err(SignatureError::Malformed);
    }
    let envelope = SshSig::from_pem(armored).map_err(malformed)?;
    if envelope.version() != SshSig::VERSION || !envelope.reserved().is_empty() {
        return Err(SignatureError::Malformed);
    }
    if namespace.is_empty() || envelope.namespace() != namespace {
        return Err(SignatureError::OtherNamespace);
    }
    let claimed = public::PublicKey::from(envelope.public_key().clone());
    if claimed.to_bytes().map_err(malformed)? != key.as_bytes() {
        return Err(SignatureError::OtherKey);
    }
    let data = SshSig::signed_data(namespace, envelope.hash_alg(), message).map_err(malformed)?;
    let mut signature = Writer::default();
    signature
        .string(envelope.algorithm().as_str().as_bytes())
        .string(envelope.signature_bytes());
    key.verify(&data, signature.as_bytes())
}

fn malformed(_: ssh_key::Error) -> SignatureError {
    SignatureError::Malformed
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn accepts_its_own() {
        let key = PrivateKey::generate().unwrap();
        let armored = sign(&key, "enroll@postern", b"message").unwrap();
        assert!(armored.starts_with("-----BEGIN SSH SIGNATURE-----\n"));
        assert_eq!(
            verify(key.public_key(), "enroll@postern", b"message", &armored),
            Ok(())
        );
    }

    #[test]
    fn refuses_another_namespace_key_or_message() {
        let key = PrivateKey::generate().unwrap();
        let other = PrivateKey::generate().unwrap();
        let armored = sign(&key, "enroll@postern", b"message").unwrap();
        assert_eq!(
            verify(key.public_key(), "file", b"message", &armored),
            Err(SignatureError::OtherNamespace)
        );
        assert_eq!(
            verify(other.public_key(), "enroll@postern", b"message", &armored),
            Err(SignatureError::OtherKey)
        );
        assert_eq!(
            verify(key.public_key(), "enroll@postern", b"massage", &armored),
            Err(SignatureError::Invalid)
        );
        assert_eq!(sign(&key, "", b"message"), Err(SignatureError::OtherNamespace));
        assert_eq!(
            verify(key.public_key(), "", b"message", &armored),
            Err(SignatureError::OtherNamespace)
        );
    }

    #[test]
    fn refuses_a_signature_cut_at_any_byte_or_altered() {
        let key = PrivateKey::generate().unwrap();
        let armored = sign(&key, "file", b"message").unwrap();
        for length in 0..armored.trim_end().len() {
            assert!(
                verify(key.public_key(), "file", b"message", &armored[..length]).is_err(),
                "{length}"
            );
        }
        for (at, old) in armored.char_indices().filter(|(_, c)| c.is_ascii_alphanumeric()) {
            let new = if old == 'A' { 'B' } else { 'A' };
            let mut altered = armored.clone();
            altered.replace_range(at..=at, &new.to_string());
            assert!(
                verify(key.public_key(), "file", b"message", &altered).is_err(),
                "{at}"
            );
        }
    }

    #[test]
    fn refuses_what_is_too_long_before_it_reads_it() {
        let key = PrivateKey::generate().unwrap();
        assert_eq!(
            verify(key.public_key(), "file", b"", &"-".repeat(MAX_ARMORED + 1)),
            Err(SignatureError::Malformed)
        );
    }
}
