//! OpenSSH certificates (PROTOCOL.certkeys): parsed strictly, verified over the bytes as received.
//!
//! A [`Certificate`] says only that the key it names as its signer signed exactly these bytes. Whether that
//! signer is trusted, and the certificate meant for this use, name and time, is judged elsewhere. What we never
//! issue is not readable either: no principals, principals with commas or white space (CVE-2026-35414), a
//! certificate as signing key (CVE-2025-49825), options out of order or twice.

use std::fmt;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use crate::public::{Algorithm, KeyError, PublicKey, split_line};
use crate::signature::SignatureError;
use crate::wire::{Reader, WireError};

/// The longest certificate that is read, in wire bytes.
pub(crate) const MAX_CERTIFICATE: usize = 16 * 1024;
const MAX_PRINCIPALS: usize = 256;
const MAX_OPTIONS: usize = 64;

/// What a certificate is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum CertificateKind {
    /// It names a user: a client of SSH.
    User,
    /// It names a host: a server of SSH.
    Host,
}

impl CertificateKind {
    pub(crate) const fn code(self) -> u32 {
        match self {
            Self::User => 1,
            Self::Host => 2,
        }
    }
}

impl fmt::Display for CertificateKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::User => "user",
            Self::Host => "host",
        })
    }
}

/// A certificate cannot be read, or is one that is never issued.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CertificateError {
    /// It cannot be read.
    #[error("the certificate is malformed: {0}")]
    Malformed(&'static str),
    /// The key that it certifies is not allowed.
    #[error("the certificate's key: {0}")]
    Key(#[source] KeyError),
    /// The key that signed it is not allowed.
    #[error("the certificate's signing key: {0}")]
    SignatureKey(#[source] KeyError),
    /// The key that signed it is itself a certificate.
    #[error("the certificate is signed by a certificate")]
    Nested,
    /// It is neither for a user nor for a host.
    #[error("the certificate is of an unknown type")]
    Kind,
    /// It names nobody, which means nobody and never everybody.
    #[error("the certificate names nobody")]
    NoPrincipals,
    /// A name in it is empty, or has a comma, white space or a control character.
    #[error("a name in the certificate is empty, or has a comma, white space or a control character")]
    Principal,
    /// It ends before it begins.
    #[error("the certificate ends before it begins")]
    Validity,
    /// Its signature does not hold.
    #[error("the certificate's signature: {0}")]
    Signature(#[source] SignatureError),
}

impl CertificateError {
    fn signature_key(error: KeyError) -> Self {
        if error == KeyError::Certificate {
            Self::Nested
        } else {
            Self::SignatureKey(error)
        }
    }
}

impl From<WireError> for CertificateError {
    fn from(error: WireError) -> Self {
        Self::Malformed(match error {
            WireError::Truncated => "it ends too early",
            WireError::Trailing => "bytes follow its end",
            WireError::NotText => "a text is not UTF-8",
            WireError::Integer => "an integer has a wrong form",
        })
    }
}

/// A certificate as it arrived: read, but not verified.
#[derive(Debug, Clone)]
pub struct UnverifiedCertificate {
    certificate: Certificate,
    /// How many of the bytes the signature covers.
    signed: usize,
    signature: Vec<u8>,
}

impl UnverifiedCertificate {
    /// Reads one line as in a `-cert.pub` file.
    ///
    /// # Errors
    /// Refuses what is no such line, and all that [`Self::from_bytes`] refuses.
    pub fn from_openssh(line: &str) -> Result<Self, CertificateError> {
        let (name, bytes) = split_line(line, MAX_CERTIFICATE).map_err(CertificateError::Malformed)?;
        let read = Self::from_bytes(&bytes)?;
        if read.certificate.key.algorithm().certificate_name() == name {
            Ok(read)
        } else {
            Err(CertificateError::Malformed(
                "the line names another algorithm than the certificate",
            ))
        }
    }

    /// Reads the wire form (PROTOCOL.certkeys).
    ///
    /// # Errors
    /// Refuses what cannot be read and what is never issued; see [`CertificateError`].
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, CertificateError> {
        if bytes.len() > MAX_CERTIFICATE {
            return Err(CertificateError::Malformed("it is too long"));
        }
        let mut reader = Reader::new(bytes);
        let algorithm = Algorithm::from_certificate_name(reader.string()?).map_err(CertificateError::Key)?;
        let _nonce = reader.string()?;
        let key = PublicKey::read_fields(&mut reader, algorithm).map_err(CertificateError::Key)?;
        let serial = reader.u64()?;
        let kind = match reader.u32()? {
            1 => CertificateKind::User,
            2 => CertificateKind::Host,
            _ => return Err(CertificateError::Kind),
        };
        let key_id = reader.text()?.to_owned();
        let principals = read_principals(reader.string()?)?;
        let valid_after = reader.u64()?;
        let valid_before = reader.u64()?;
        if valid_before <= valid_after {
            return Err(CertificateError::Validity);
        }
        let critical_options = read_options(reader.string()?)?;
        let extensions = read_options(reader.string()?)?;
        let _reserved = reader.string()?;
        let signature_key =
            PublicKey::from_bytes(reader.string()?).map_err(CertificateError::signature_key)?;
        let signed = bytes.len() - reader.remaining();
        let signature = reader.string()?.to_vec();
        reader.finish()?;
        Ok(Self {
            certificate: Certificate {
                bytes: bytes.to_vec(),
                key,
                kind,
                serial,
                key_id,
                principals,
                valid_after,
                valid_before,
                critical_options,
                extensions,
                signature_key,
            },
            signed,
            signature,
        })
    }

    /// Lends what it says of itself, for a record of its refusal; nothing of it is proven.
    #[must_use]
    pub const fn claims(&self) -> &Certificate {
        &self.certificate
    }

    /// Verifies the signature of the key that it names as its signer, over the bytes as they were received.
    ///
    /// # Errors
    /// Refuses a signature that does not hold.
    pub fn verify_signature(self) -> Result<Certificate, CertificateError> {
        let message = self
            .certificate
            .bytes
            .get(..self.signed)
            .ok_or(CertificateError::Malformed("it ends too early"))?;
        self.certificate
            .signature_key
            .verify(message, &self.signature)
            .map_err(CertificateError::Signature)?;
        Ok(self.certificate)
    }
}

/// A certificate whose signature holds. Equal when every byte is.
#[derive(Clone)]
pub struct Certificate {
    bytes: Vec<u8>,
    key: PublicKey,
    kind: CertificateKind,
    serial: u64,
    key_id: String,
    principals: Vec<String>,
    valid_after: u64,
    valid_before: u64,
    critical_options: Vec<(String, String)>,
    extensions: Vec<(String, String)>,
    signature_key: PublicKey,
}

impl Certificate {
    /// Returns what it is for.
    #[must_use]
    pub const fn kind(&self) -> CertificateKind {
        self.kind
    }

    /// Lends the certified key.
    #[must_use]
    pub const fn key(&self) -> &PublicKey {
        &self.key
    }

    /// Lends the key that signed it.
    #[must_use]
    pub const fn signature_key(&self) -> &PublicKey {
        &self.signature_key
    }

    /// Returns the serial number.
    #[must_use]
    pub const fn serial(&self) -> u64 {
        self.serial
    }

    /// Lends the key id: a free text that its signer chose.
    #[must_use]
    pub fn key_id(&self) -> &str {
        &self.key_id
    }

    /// Lends the names that it is for; at least one.
    #[must_use]
    pub fn principals(&self) -> &[String] {
        &self.principals
    }

    /// Returns the first second of its validity, since 1970.
    #[must_use]
    pub const fn valid_after(&self) -> u64 {
        self.valid_after
    }

    /// Returns the first second after its validity, since 1970; later than [`Self::valid_after`].
    #[must_use]
    pub const fn valid_before(&self) -> u64 {
        self.valid_before
    }

    /// Lends the critical options, in order of name, each once. The data of a flag is empty.
    #[must_use]
    pub fn critical_options(&self) -> &[(String, String)] {
        &self.critical_options
    }

    /// Lends the extensions, in order of name, each once. The data of a flag is empty.
    #[must_use]
    pub fn extensions(&self) -> &[(String, String)] {
        &self.extensions
    }

    /// Returns the line of a `-cert.pub` file, without comment and line end.
    #[must_use]
    pub fn to_openssh(&self) -> String {
        format!(
            "{} {}",
            self.key.algorithm().certificate_name(),
            STANDARD.encode(&self.bytes)
        )
    }

    /// Returns the wire form, exactly as received or signed.
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        self.bytes.clone()
    }

    /// Lends the wire form.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        &self.bytes
    }
}

impl PartialEq for Certificate {
    fn eq(&self, other: &Self) -> bool {
        self.bytes == other.bytes
    }
}

impl Eq for Certificate {}

impl fmt::Debug for Certificate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Certificate")
            .field("kind", &self.kind)
            .field("key", &self.key)
            .field("serial", &self.serial)
            .field("key_id", &self.key_id)
            .field("principals", &self.principals)
            .field("valid_after", &self.valid_after)
            .field("valid_before", &self.valid_before)
            .field("critical_options", &self.critical_options)
            .field("extensions", &self.extensions)
            .field("signature_key", &self.signature_key)
            .finish_non_exhaustive()
    }
}

/// Says whether a text can name somebody.
pub(crate) fn is_principal(text: &str) -> bool {
    !text.is_empty() && !text.contains(|c: char| c == ',' || c.is_whitespace() || c.is_control())
}

fn read_principals(packed: &[u8]) -> Result<Vec<String>, CertificateError> {
    let mut reader = Reader::new(packed);
    let mut principals = Vec::new();
    while !reader.is_empty() {
        let principal = reader.text()?;
        if !is_principal(principal) {
            return Err(CertificateError::Principal);
        }
        if principals.len() == MAX_PRINCIPALS {
            return Err(CertificateError::Malformed("it names too many"));
        }
        principals.push(principal.to_owned());
    }
    if principals.is_empty() {
        return Err(CertificateError::NoPrincipals);
    }
    Ok(principals)
}

/// Reads names with data, which stand in order of name, each once; the data is empty or one text.
fn read_options(packed: &[u8]) -> Result<Vec<(String, String)>, CertificateError> {
    let mut reader = Reader::new(packed);
    let mut options: Vec<(String, String)> = Vec::new();
    while !reader.is_empty() {
        let name = reader.text()?;
        let mut data = Reader::new(reader.string()?);
        let value = if data.is_empty() { "" } else { data.text()? };
        data.finish()?;
        if options.last().is_some_and(|(last, _)| last.as_str() >= name) {
            return Err(CertificateError::Malformed("its options are out of order"));
        }
        if options.len() == MAX_OPTIONS {
            return Err(CertificateError::Malformed("it has too many options"));
        }
        options.push((name.to_owned(), value.to_owned()));
    }
    Ok(options)
}
