//! Keys and certificates on their way into the library and out of it, as the bytes that OpenSSH defines.

use postern_sshkey::{Certificate, CertificateError, PrivateKey, UnverifiedCertificate};

/// A key or certificate cannot be used for a tunnel.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ConfigError {
    /// The library does not take the key.
    #[error("our SSH key cannot be used")]
    Key,
    /// The library does not take the certificate.
    #[error("our SSH certificate cannot be used")]
    Certificate,
    /// The certificate is for another key.
    #[error("our SSH certificate is for another key than ours")]
    OtherKey,
}

/// Turns our key and the certificate over it into the library's.
pub(crate) fn into_library(
    key: &PrivateKey,
    certificate: &Certificate,
) -> Result<(russh::keys::PrivateKey, russh::keys::Certificate), ConfigError> {
    if key.public_key() != certificate.key() {
        return Err(ConfigError::OtherKey);
    }
    let file = key.to_openssh().map_err(|_| ConfigError::Key)?;
    let key = russh::keys::PrivateKey::from_openssh(file.as_bytes()).map_err(|_| ConfigError::Key)?;
    let certificate =
        russh::keys::Certificate::from_bytes(certificate.as_bytes()).map_err(|_| ConfigError::Certificate)?;
    Ok((key, certificate))
}

/// Reads a certificate that a peer presented with our own parser, and verifies its signature once more.
pub(crate) fn from_library(certificate: &russh::keys::Certificate) -> Result<Certificate, CertificateError> {
    let bytes = certificate
        .to_bytes()
        .map_err(|_| CertificateError::Malformed("it cannot be encoded"))?;
    UnverifiedCertificate::from_bytes(&bytes)?.verify_signature()
}
