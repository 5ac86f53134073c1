//! Private keys: Ed25519 only, since these are the ones we make.
//!
//! The key is held by aws-lc-rs, which wipes it; it leaves only as an OpenSSH file in a wiped string.

use std::fmt;
use std::sync::Arc;

use aws_lc_rs::encoding::{AsBigEndian, Curve25519SeedBin};
use aws_lc_rs::signature::{Ed25519KeyPair, KeyPair};
use ssh_key::LineEnding;
use ssh_key::private::{Ed25519Keypair, Ed25519PrivateKey, KeypairData};
use ssh_key::public::Ed25519PublicKey;
use zeroize::Zeroizing;

use crate::public::{Algorithm, KeyError, Material, PublicKey};
use crate::wire::Writer;

/// The longest file that is read.
const MAX_FILE: usize = 8192;

/// An Ed25519 private key. Clones share it.
#[derive(Clone)]
pub struct PrivateKey(Arc<Inner>);

struct Inner {
    pair: Ed25519KeyPair,
    public: PublicKey,
}

impl PrivateKey {
    /// Makes a new key.
    ///
    /// # Errors
    /// Fails when the random generator does.
    pub fn generate() -> Result<Self, KeyError> {
        Self::from_pair(Ed25519KeyPair::generate().map_err(|_| KeyError::Random)?)
    }

    /// Reads an unencrypted OpenSSH private key file.
    ///
    /// # Errors
    /// Refuses what is no such file, other algorithms, encrypted keys, and a file whose public half is not that
    /// of its private half.
    pub fn from_openssh(file: &str) -> Result<Self, KeyError> {
        if file.len() > MAX_FILE {
            return Err(KeyError::Malformed("it is too long"));
        }
        let key = ssh_key::PrivateKey::from_openssh(file)
            .map_err(|_| KeyError::Malformed("it is not an OpenSSH private key"))?;
        if key.is_encrypted() {
            return Err(KeyError::Encrypted);
        }
        let Some(pair) = key.key_data().ed25519() else {
            return Err(KeyError::Algorithm(key.algorithm().to_string()));
        };
        let pair = Ed25519KeyPair::from_seed_and_public_key(pair.private.as_ref(), pair.public.as_ref())
            .map_err(|_| KeyError::Malformed("its halves do not belong together"))?;
        Self::from_pair(pair)
    }

    fn from_pair(pair: Ed25519KeyPair) -> Result<Self, KeyError> {
        let point = pair
            .public_key()
            .as_ref()
            .try_into()
            .map_err(|_| KeyError::Malformed("an Ed25519 key has 32 bytes"))?;
        let public = PublicKey::from_material(Material::Ed25519(point))?;
        Ok(Self(Arc::new(Inner { pair, public })))
    }

    /// Returns the OpenSSH private key file, unencrypted.
    ///
    /// # Errors
    /// Fails when the key cannot be encoded, which says that the library changed.
    pub fn to_openssh(&self) -> Result<Zeroizing<String>, KeyError> {
        let failed = KeyError::Malformed("it cannot be encoded");
        let seed = self.0.pair.seed().map_err(|_| failed.clone())?;
        let seed: Curve25519SeedBin<'_> = seed.as_be_bytes().map_err(|_| failed.clone())?;
        let private = Ed25519PrivateKey::try_from(seed.as_ref()).map_err(|_| failed.clone())?;
        let public =
            Ed25519PublicKey::try_from(self.0.pair.public_key().as_ref()).map_err(|_| failed.clone())?;
        let data = KeypairData::Ed25519(Ed25519Keypair { public, private });
        ssh_key::PrivateKey::new(data, "")
            .and_then(|key| key.to_openssh(LineEnding::LF))
            .map_err(|_| failed)
    }

    /// Lends the public half.
    #[must_use]
    pub fn public_key(&self) -> &PublicKey {
        &self.0.public
    }

    /// Signs a message; the signature is in SSH's wire form (RFC 4253 section 6.6).
    #[must_use]
    pub fn sign_raw(&self, message: &[u8]) -> Vec<u8> {
        let mut writer = Writer::default();
        writer
            .string(Algorithm::Ed25519.name().as_bytes())
            .string(self.0.pair.sign(message).as_ref());
        writer.into_bytes()
    }
}

impl fmt::Debug for PrivateKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "PrivateKey({}, …)", self.0.public.fingerprint())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_back_its_own_file() {
        let key = PrivateKey::generate().unwrap();
        let again = PrivateKey::from_openssh(&key.to_openssh().unwrap()).unwrap();
        assert_eq!(key.public_key(), again.public_key());
        assert_eq!(key.sign_raw(b"m"), again.sign_raw(b"m"));
    }

    #[test]
    fn never_shows_itself() {
        let key = PrivateKey::generate().unwrap();
        let file = key.to_openssh().unwrap();
        let shown = format!("{key:?}");
        assert!(shown.starts_with("PrivateKey(SHA256:"));
        assert!(!file.lines().any(|line| shown.contains(line)));
    }

    #[test]
    fn refuses_what_is_no_private_key() {
        let key = PrivateKey::generate().unwrap();
        assert!(PrivateKey::from_openssh("").is_err());
        assert!(PrivateKey::from_openssh(&key.public_key().to_openssh()).is_err());
        let file = key.to_openssh().unwrap();
        assert!(PrivateKey::from_openssh(&file[..file.len() / 2]).is_err());
        assert!(PrivateKey::from_openssh(&"x".repeat(MAX_FILE + 1)).is_err());
    }
}
