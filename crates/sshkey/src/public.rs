//! Public keys of the algorithms that are allowed, and no others.
//!
//! A key is parsed strictly: lengths, points and moduli are checked, nothing may follow, and a certificate is
//! never taken for a key (CVE-2025-49825). Two keys are equal when their wire bytes are.

use std::fmt;
use std::sync::Arc;

use aws_lc_rs::digest::{SHA256, digest};
use aws_lc_rs::encoding::AsDer;
use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_FIXED, ECDSA_P384_SHA384_FIXED, ED25519, ParsedPublicKey, RSA_PKCS1_2048_8192_SHA256,
    RsaPublicKeyComponents,
};
use base64::Engine;
use base64::engine::general_purpose::{STANDARD, STANDARD_NO_PAD};

use crate::signature::{SignatureError, verify};
use crate::wire::{Reader, WireError, Writer};

/// The longest key that is read, in wire bytes: RSA with 8192 bits takes about 1060.
pub(crate) const MAX_KEY: usize = 2048;
const MIN_RSA_BITS: usize = 2048;
const MAX_RSA_BITS: usize = 8192;
const MAX_RSA_EXPONENT: usize = 4;

/// What follows the name of an algorithm when the blob is a certificate.
const CERTIFICATE_SUFFIX: &str = "-cert-v01@openssh.com";

/// The algorithms of keys. RSA is for verifying only.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Algorithm {
    /// `ssh-ed25519` (RFC 8709).
    Ed25519,
    /// `ecdsa-sha2-nistp256` (RFC 5656).
    EcdsaP256,
    /// `ecdsa-sha2-nistp384` (RFC 5656).
    EcdsaP384,
    /// `ssh-rsa` keys of 2048 to 8192 bits (RFC 4253), with signatures over SHA-2 only (RFC 8332).
    Rsa,
}

impl Algorithm {
    const ALL: [Self; 4] = [Self::Ed25519, Self::EcdsaP256, Self::EcdsaP384, Self::Rsa];

    /// Returns the name of the key type on the wire.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Ed25519 => "ssh-ed25519",
            Self::EcdsaP256 => "ecdsa-sha2-nistp256",
            Self::EcdsaP384 => "ecdsa-sha2-nistp384",
            Self::Rsa => "ssh-rsa",
        }
    }

    /// Returns the name of the certificate type on the wire.
    #[must_use]
    pub const fn certificate_name(self) -> &'static str {
        match self {
            Self::Ed25519 => "ssh-ed25519-cert-v01@openssh.com",
            Self::EcdsaP256 => "ecdsa-sha2-nistp256-cert-v01@openssh.com",
            Self::EcdsaP384 => "ecdsa-sha2-nistp384-cert-v01@openssh.com",
            Self::Rsa => "ssh-rsa-cert-v01@openssh.com",
        }
    }

    fn from_name(name: &[u8]) -> Result<Self, KeyError> {
        if name.ends_with(CERTIFICATE_SUFFIX.as_bytes()) {
            return Err(KeyError::Certificate);
        }
        Self::ALL
            .into_iter()
            .find(|algorithm| algorithm.name().as_bytes() == name)
            .ok_or_else(|| KeyError::unknown(name))
    }

    pub(crate) fn from_certificate_name(name: &[u8]) -> Result<Self, KeyError> {
        Self::ALL
            .into_iter()
            .find(|algorithm| algorithm.certificate_name().as_bytes() == name)
            .ok_or_else(|| KeyError::unknown(name))
    }
}

impl fmt::Display for Algorithm {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

/// A key cannot be taken.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum KeyError {
    /// It cannot be read.
    #[error("the key is malformed: {0}")]
    Malformed(&'static str),
    /// Its algorithm is not allowed.
    #[error("the key's algorithm is not allowed: {0}")]
    Algorithm(String),
    /// It is a certificate where a key is demanded.
    #[error("a certificate was given in place of a key")]
    Certificate,
    /// It is RSA of a length that is not allowed.
    #[error("the RSA key has {0} bits; allowed are {MIN_RSA_BITS} to {MAX_RSA_BITS}")]
    Length(usize),
    /// It is encrypted with a passphrase.
    #[error("the key is encrypted")]
    Encrypted,
    /// The random generator failed.
    #[error("no key could be made: the random generator failed")]
    Random,
}

impl KeyError {
    /// Names an unknown algorithm, unless its name is not fit to be shown.
    fn unknown(name: &[u8]) -> Self {
        match std::str::from_utf8(name) {
            Ok(text) if text.len() <= 64 && text.bytes().all(|byte| byte.is_ascii_graphic()) => {
                Self::Algorithm(text.to_owned())
            }
            _ => Self::Algorithm("an unreadable name".to_owned()),
        }
    }
}

impl From<WireError> for KeyError {
    fn from(error: WireError) -> Self {
        Self::Malformed(match error {
            WireError::Truncated => "it ends too early",
            WireError::Trailing => "bytes follow its end",
            WireError::NotText => "a text is not UTF-8",
            WireError::Integer => "an integer has a wrong form",
        })
    }
}

/// What the algorithm needs to verify.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Material {
    Ed25519([u8; 32]),
    EcdsaP256(Vec<u8>),
    EcdsaP384(Vec<u8>),
    Rsa(RsaNumbers),
}

/// Modulus and exponent, without leading zeros.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct RsaNumbers {
    pub(crate) n: Vec<u8>,
    pub(crate) e: Vec<u8>,
}

#[derive(Debug)]
struct Inner {
    material: Material,
    blob: Vec<u8>,
    spki_sha256: [u8; 32],
}

/// A public key. Clones share it.
#[derive(Clone)]
pub struct PublicKey(Arc<Inner>);

impl PublicKey {
    /// Reads one line as in a `.pub` file: algorithm, base64, and a comment that is ignored.
    ///
    /// # Errors
    /// Refuses what is no such line, certificates, and keys that are not allowed.
    pub fn from_openssh(line: &str) -> Result<Self, KeyError> {
        let (name, bytes) = split_line(line, MAX_KEY).map_err(KeyError::Malformed)?;
        let key = Self::from_bytes(&bytes);
        match key {
            Ok(key) if key.algorithm().name() != name => Err(KeyError::Malformed(
                "the line names another algorithm than the key",
            )),
            other => other,
        }
    }

    /// Reads the wire form (RFC 4253 section 6.6).
    ///
    /// # Errors
    /// Refuses what cannot be read, certificates, and keys that are not allowed.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, KeyError> {
        if bytes.len() > MAX_KEY {
            return Err(KeyError::Malformed("it is too long"));
        }
        let mut reader = Reader::new(bytes);
        let algorithm = Algorithm::from_name(reader.string()?)?;
        let key = Self::read_fields(&mut reader, algorithm)?;
        reader.finish()?;
        Ok(key)
    }

    /// Reads the fields that follow the algorithm's name, as they stand in a certificate.
    pub(crate) fn read_fields(reader: &mut Reader<'_>, algorithm: Algorithm) -> Result<Self, KeyError> {
        let material = match algorithm {
            Algorithm::Ed25519 => Material::Ed25519(
                reader
                    .string()?
                    .try_into()
                    .map_err(|_| KeyError::Malformed("an Ed25519 key has 32 bytes"))?,
            ),
            Algorithm::EcdsaP256 => Material::EcdsaP256(read_point(reader, b"nistp256", 65)?),
            Algorithm::EcdsaP384 => Material::EcdsaP384(read_point(reader, b"nistp384", 97)?),
            Algorithm::Rsa => Material::Rsa(read_rsa(reader)?),
        };
        Self::from_material(material)
    }

    pub(crate) fn from_material(material: Material) -> Result<Self, KeyError> {
        let rejected = |_| KeyError::Malformed("it is not a point or modulus of its algorithm");
        let mut writer = Writer::default();
        let parsed = match &material {
            Material::Ed25519(point) => {
                writer.string(Algorithm::Ed25519.name().as_bytes()).string(point);
                ParsedPublicKey::new(&ED25519, point)
            }
            Material::EcdsaP256(point) => {
                writer.string(Algorithm::EcdsaP256.name().as_bytes());
                writer.string(b"nistp256").string(point);
                ParsedPublicKey::new(&ECDSA_P256_SHA256_FIXED, point)
            }
            Material::EcdsaP384(point) => {
                writer.string(Algorithm::EcdsaP384.name().as_bytes());
                writer.string(b"nistp384").string(point);
                ParsedPublicKey::new(&ECDSA_P384_SHA384_FIXED, point)
            }
            Material::Rsa(RsaNumbers { n, e }) => {
                writer.string(Algorithm::Rsa.name().as_bytes());
                writer.positive(e).positive(n);
                RsaPublicKeyComponents { n, e }.to_parsed_public_key(&RSA_PKCS1_2048_8192_SHA256)
            }
        }
        .map_err(rejected)?;
        let spki = parsed
            .as_der()
            .map_err(|_| KeyError::Malformed("it has no X.509 form"))?;
        let hash = digest(&SHA256, spki.as_ref());
        let spki_sha256 = hash
            .as_ref()
            .try_into()
            .map_err(|_| KeyError::Malformed("it has no fingerprint"))?;
        Ok(Self(Arc::new(Inner {
            material,
            blob: writer.into_bytes(),
            spki_sha256,
        })))
    }

    pub(crate) fn material(&self) -> &Material {
        &self.0.material
    }

    /// Returns the algorithm.
    #[must_use]
    pub fn algorithm(&self) -> Algorithm {
        match self.0.material {
            Material::Ed25519(_) => Algorithm::Ed25519,
            Material::EcdsaP256(_) => Algorithm::EcdsaP256,
            Material::EcdsaP384(_) => Algorithm::EcdsaP384,
            Material::Rsa(_) => Algorithm::Rsa,
        }
    }

    /// Returns the line of a `.pub` file, without comment and line end.
    #[must_use]
    pub fn to_openssh(&self) -> String {
        format!("{} {}", self.algorithm().name(), STANDARD.encode(&self.0.blob))
    }

    /// Returns the wire form (RFC 4253 section 6.6).
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        self.0.blob.clone()
    }

    /// Lends the wire form.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        &self.0.blob
    }

    /// Returns the fingerprint as OpenSSH shows it: `SHA256:` and unpadded base64.
    #[must_use]
    pub fn fingerprint(&self) -> String {
        let hash = digest(&SHA256, &self.0.blob);
        format!("SHA256:{}", STANDARD_NO_PAD.encode(hash))
    }

    /// Returns SHA-256 over the key's X.509 SubjectPublicKeyInfo in DER (RFC 5280 section 4.1), which is the pin
    /// of the same key in a certificate of X.509.
    #[must_use]
    pub fn spki_sha256(&self) -> [u8; 32] {
        self.0.spki_sha256
    }

    /// Verifies a signature in SSH's wire form (RFC 4253 section 6.6) over a message.
    ///
    /// # Errors
    /// Refuses a signature of another algorithm, of a wrong form, or that does not verify.
    pub fn verify(&self, message: &[u8], signature: &[u8]) -> Result<(), SignatureError> {
        verify(self, message, signature)
    }
}

fn read_point(reader: &mut Reader<'_>, curve: &[u8], length: usize) -> Result<Vec<u8>, KeyError> {
    if reader.string()? != curve {
        return Err(KeyError::Malformed("the curve is not that of the algorithm"));
    }
    match reader.string()? {
        point @ [4, ..] if point.len() == length => Ok(point.to_vec()),
        _ => Err(KeyError::Malformed(
            "the point is not an uncompressed one of the curve",
        )),
    }
}

fn read_rsa(reader: &mut Reader<'_>) -> Result<RsaNumbers, KeyError> {
    let e = reader.positive()?;
    let n = reader.positive()?;
    let unused = n.first().map_or(0, |first| first.leading_zeros() as usize);
    let bits = (n.len() * 8).saturating_sub(unused);
    if !(MIN_RSA_BITS..=MAX_RSA_BITS).contains(&bits) {
        return Err(KeyError::Length(bits));
    }
    let odd = e.last().is_some_and(|last| last & 1 == 1);
    if e.len() > MAX_RSA_EXPONENT || !odd || e == [1] {
        return Err(KeyError::Malformed(
            "the RSA exponent is not a small odd number above one",
        ));
    }
    Ok(RsaNumbers {
        n: n.to_vec(),
        e: e.to_vec(),
    })
}

/// Splits a line of algorithm, base64 and comment; returns the algorithm's name and the decoded bytes.
pub(crate) fn split_line(line: &str, most: usize) -> Result<(&str, Vec<u8>), &'static str> {
    let line = line.trim_ascii();
    if line.contains(['\n', '\r']) {
        return Err("it is more than one line");
    }
    let mut words = line.split_ascii_whitespace();
    let (Some(name), Some(encoded)) = (words.next(), words.next()) else {
        return Err("it is not a line of algorithm and base64");
    };
    if encoded.len() > most.div_ceil(3) * 4 {
        return Err("it is too long");
    }
    let bytes = STANDARD.decode(encoded).map_err(|_| "it is not base64")?;
    Ok((name, bytes))
}

impl PartialEq for PublicKey {
    fn eq(&self, other: &Self) -> bool {
        self.0.blob == other.0.blob
    }
}

impl Eq for PublicKey {}

impl std::hash::Hash for PublicKey {
    fn hash<H: std::hash::Hasher>(&self, state: &mut H) {
        self.0.blob.hash(state);
    }
}

impl fmt::Debug for PublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "PublicKey({} {})", self.algorithm(), self.fingerprint())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::PrivateKey;

    #[test]
    fn reads_back_its_own_line_and_bytes() {
        let key = PrivateKey::generate().unwrap().public_key().clone();
        assert_eq!(PublicKey::from_openssh(&key.to_openssh()), Ok(key.clone()));
        assert_eq!(
            PublicKey::from_openssh(&format!("{} some comment\n", key.to_openssh())),
            Ok(key.clone())
        );
        assert_eq!(PublicKey::from_bytes(&key.to_bytes()), Ok(key));
    }

    #[test]
    fn refuses_a_key_cut_at_any_byte_or_with_more_behind() {
        let bytes = PrivateKey::generate().unwrap().public_key().to_bytes();
        for length in 0..bytes.len() {
            assert!(PublicKey::from_bytes(&bytes[..length]).is_err(), "{length}");
        }
        let longer = [&bytes[..], &[0]].concat();
        assert_eq!(
            PublicKey::from_bytes(&longer),
            Err(KeyError::Malformed("bytes follow its end"))
        );
    }

    #[test]
    fn refuses_unknown_algorithms_by_name() {
        let mut writer = Writer::default();
        writer.string(b"ssh-dss").string(&[1; 32]);
        assert_eq!(
            PublicKey::from_bytes(writer.as_bytes()),
            Err(KeyError::Algorithm("ssh-dss".to_owned()))
        );
        let mut writer = Writer::default();
        writer.string(b"evil\x1b[2J").string(&[1; 32]);
        assert_eq!(
            PublicKey::from_bytes(writer.as_bytes()),
            Err(KeyError::Algorithm("an unreadable name".to_owned()))
        );
    }

    #[test]
    fn refuses_a_certificate_in_place_of_a_key() {
        let mut writer = Writer::default();
        writer
            .string(b"ssh-ed25519-cert-v01@openssh.com")
            .string(&[1; 32]);
        assert_eq!(
            PublicKey::from_bytes(writer.as_bytes()),
            Err(KeyError::Certificate)
        );
    }

    #[test]
    fn refuses_a_line_that_names_another_algorithm() {
        let line = PrivateKey::generate().unwrap().public_key().to_openssh();
        let other = line.replace("ssh-ed25519", "ssh-rsa");
        assert!(PublicKey::from_openssh(&other).is_err());
        assert!(PublicKey::from_openssh("").is_err());
        assert!(PublicKey::from_openssh("ssh-ed25519").is_err());
        assert!(PublicKey::from_openssh("ssh-ed25519 !!!").is_err());
        assert!(PublicKey::from_openssh(&format!("{line}\n{line}")).is_err());
        assert!(PublicKey::from_openssh(&format!("no-pty {line}")).is_err());
    }

    #[test]
    fn refuses_a_point_that_is_not_on_its_curve() {
        let mut writer = Writer::default();
        let point = [&[4][..], &[7; 64]].concat();
        writer
            .string(b"ecdsa-sha2-nistp256")
            .string(b"nistp256")
            .string(&point);
        assert!(matches!(
            PublicKey::from_bytes(writer.as_bytes()),
            Err(KeyError::Malformed(_))
        ));
    }

    #[test]
    fn refuses_rsa_exponents_and_lengths_that_are_not_allowed() {
        let rsa = |e: &[u8], n: &[u8]| {
            let mut writer = Writer::default();
            writer.string(b"ssh-rsa").positive(e).positive(n);
            PublicKey::from_bytes(writer.as_bytes())
        };
        assert_eq!(rsa(&[1, 0, 1], &[0xff; 128]), Err(KeyError::Length(1024)));
        assert_eq!(rsa(&[1, 0, 1], &[0x7f; 256]), Err(KeyError::Length(2047)));
        assert!(matches!(rsa(&[1], &[0xff; 256]), Err(KeyError::Malformed(_))));
        assert!(matches!(rsa(&[2], &[0xff; 256]), Err(KeyError::Malformed(_))));
        assert!(matches!(
            rsa(&[3, 0, 0, 0, 1], &[0xff; 256]),
            Err(KeyError::Malformed(_))
        ));
        assert!(rsa(&[1, 0, 1], &[0xff; 256]).is_ok());
    }

    #[test]
    fn the_pin_of_an_ed25519_key_is_over_its_x509_form() {
        let key = PrivateKey::generate().unwrap().public_key().clone();
        let raw = &key.as_bytes()[19..];
        let mut spki = vec![0x30, 0x2a, 0x30, 5, 6, 3, 0x2b, 0x65, 0x70, 3, 0x21, 0];
        spki.extend_from_slice(raw);
        assert_eq!(key.spki_sha256(), digest(&SHA256, &spki).as_ref());
    }
}
