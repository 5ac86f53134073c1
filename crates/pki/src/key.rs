//! P-256 private keys: those of leaves, made by their holder, and those of authorities.

use std::fmt;

use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{ECDSA_P256_SHA256_ASN1_SIGNING, EcdsaKeyPair, KeyPair as _};
use postern_domain::{Pin, Secret};
use rcgen::{CertificateParams, DistinguishedName};
use rustls_pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};
use zeroize::Zeroizing;

use crate::pem;
use crate::spki::P256Public;

/// A private key could not be made or read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum KeyError {
    /// The system gave no randomness.
    #[error("the system gave no randomness")]
    Randomness,
    /// The text is not one PEM block.
    #[error(transparent)]
    Pem(#[from] pem::PemError),
    /// It is not a P-256 key in PKCS #8.
    #[error("not a private key: expected P-256 in PKCS #8 (RFC 5208)")]
    Malformed,
    /// The certificate request could not be made.
    #[error("the certificate request could not be made: {0}")]
    Request(String),
}

/// A P-256 private key that signs with SHA-256.
pub(crate) struct P256Key {
    pair: EcdsaKeyPair,
    public: P256Public,
}

impl P256Key {
    pub(crate) fn generate() -> Result<Self, KeyError> {
        let pair = EcdsaKeyPair::generate(&ECDSA_P256_SHA256_ASN1_SIGNING);
        Self::new(pair.map_err(|_| KeyError::Randomness)?)
    }

    pub(crate) fn from_pkcs8(der: &[u8]) -> Result<Self, KeyError> {
        let pair = EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_ASN1_SIGNING, der);
        Self::new(pair.map_err(|_| KeyError::Malformed)?)
    }

    fn new(pair: EcdsaKeyPair) -> Result<Self, KeyError> {
        let public = P256Public::from_point(pair.public_key().as_ref()).ok_or(KeyError::Malformed)?;
        Ok(Self { pair, public })
    }

    pub(crate) fn to_pkcs8(&self) -> Result<Zeroizing<Vec<u8>>, KeyError> {
        let document = self.pair.to_pkcs8v1().map_err(|_| KeyError::Malformed)?;
        Ok(Zeroizing::new(document.as_ref().to_vec()))
    }

    pub(crate) const fn public(&self) -> &P256Public {
        &self.public
    }
}

impl rcgen::PublicKeyData for P256Key {
    fn der_bytes(&self) -> &[u8] {
        self.public.der_bytes()
    }

    fn algorithm(&self) -> &'static rcgen::SignatureAlgorithm {
        self.public.algorithm()
    }
}

impl rcgen::SigningKey for P256Key {
    fn sign(&self, message: &[u8]) -> Result<Vec<u8>, rcgen::Error> {
        let signature = self.pair.sign(&SystemRandom::new(), message);
        signature
            .map(|s| s.as_ref().to_vec())
            .map_err(|_| rcgen::Error::RingUnspecified)
    }
}

/// The private key of a leaf, on its holder's side, with the one certificate request that it makes. The key
/// never crosses the network.
pub struct LeafKey {
    key: P256Key,
    pkcs8: Zeroizing<Vec<u8>>,
    // Made once: ECDSA is randomized, and the proofs that bind a request name its digest.
    csr: Vec<u8>,
}

impl LeafKey {
    /// Makes a new key.
    ///
    /// # Errors
    /// Fails when the system gives no randomness.
    pub fn generate() -> Result<Self, KeyError> {
        Self::new(P256Key::generate()?)
    }

    /// Reads a key as [`Self::to_pem`] writes it.
    ///
    /// # Errors
    /// Fails unless the text is one block `PRIVATE KEY` with a P-256 key in PKCS #8.
    pub fn from_pem(text: &str) -> Result<Self, KeyError> {
        let der = Zeroizing::new(pem::decode(pem::PRIVATE_KEY, text)?);
        Self::new(P256Key::from_pkcs8(&der)?)
    }

    fn new(key: P256Key) -> Result<Self, KeyError> {
        // The platform takes nothing but the key from a request, so the request says nothing else.
        let mut params = CertificateParams::default();
        params.distinguished_name = DistinguishedName::new();
        let csr = params
            .serialize_request(&key)
            .map_err(|e| KeyError::Request(e.to_string()))?;
        Ok(Self {
            pkcs8: key.to_pkcs8()?,
            csr: csr.der().to_vec(),
            key,
        })
    }

    /// Returns the key as PEM, PKCS #8, for the holder's state directory.
    #[must_use]
    pub fn to_pem(&self) -> Secret<String> {
        Secret::new(pem::encode(pem::PRIVATE_KEY, &self.pkcs8))
    }

    /// Returns the key as PKCS #8 for the TLS library.
    #[must_use]
    pub fn private_key_der(&self) -> PrivateKeyDer<'static> {
        PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(self.pkcs8.to_vec()))
    }

    /// Returns the certificate request as PEM (PKCS #10, RFC 2986): the public key, an empty subject, and the
    /// proof of possession. It is the same at every call.
    #[must_use]
    pub fn csr_pem(&self) -> String {
        pem::encode(pem::REQUEST, &self.csr)
    }

    /// Returns the certificate request in DER.
    #[must_use]
    pub fn csr_der(&self) -> &[u8] {
        &self.csr
    }

    /// Returns the SubjectPublicKeyInfo in DER.
    #[must_use]
    pub fn spki(&self) -> Vec<u8> {
        self.key.public().to_spki()
    }

    /// Returns the pin of the public key.
    #[must_use]
    pub fn pin(&self) -> Pin {
        self.key.public().pin()
    }
}

impl fmt::Debug for LeafKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("LeafKey").field(&self.pin()).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_survives_its_text_form() {
        let key = LeafKey::generate().unwrap();
        let again = LeafKey::from_pem(key.to_pem().expose()).unwrap();
        assert_eq!(key.pin(), again.pin());
        assert_eq!(key.csr_pem(), key.csr_pem());
    }

    #[test]
    fn never_shows_itself() {
        let key = LeafKey::generate().unwrap();
        assert_eq!(format!("{key:?}"), format!("LeafKey(Pin({}))", key.pin()));
    }

    #[test]
    fn refuses_keys_of_other_kinds() {
        let ed25519 = rcgen::KeyPair::generate_for(&rcgen::PKCS_ED25519).unwrap();
        let p384 = rcgen::KeyPair::generate_for(&rcgen::PKCS_ECDSA_P384_SHA384).unwrap();
        for bad in [ed25519.serialize_pem(), p384.serialize_pem(), String::from("x")] {
            assert!(LeafKey::from_pem(&bad).is_err());
        }
        let good = rcgen::KeyPair::generate_for(&rcgen::PKCS_ECDSA_P256_SHA256).unwrap();
        assert!(LeafKey::from_pem(&good.serialize_pem()).is_ok());
    }
}
