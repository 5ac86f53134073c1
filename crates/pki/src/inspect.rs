//! The public facts of an X.509 certificate, for listings. Nothing is verified.

use postern_domain::{Pin, Serial, Validity};
use rustls_pki_types::CertificateDer;

use crate::certificate::{Malformed, Parsed};
use crate::pem::certificate_from_pem;

/// What a certificate says of itself; texts are fit for a terminal.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Inspected {
    /// Its subject.
    pub subject: String,
    /// Its issuer.
    pub issuer: String,
    /// Its validity.
    pub validity: Validity,
    /// Its serial number.
    pub serial: Serial,
    /// The pin of its key.
    pub key: Pin,
    /// Whether it is an authority's.
    pub is_authority: bool,
}

/// Reads a certificate in DER.
///
/// # Errors
/// Fails if it cannot be read.
pub fn inspect(der: &CertificateDer<'_>) -> Result<Inspected, Malformed> {
    let parsed = Parsed::parse(der)?;
    Ok(Inspected {
        subject: parsed.subject_text(),
        issuer: parsed.issuer_text(),
        validity: parsed.validity,
        serial: parsed.serial.clone(),
        key: parsed.key,
        is_authority: parsed.is_authority(),
    })
}

/// Reads a certificate in PEM.
///
/// # Errors
/// Fails if it is not one block, or cannot be read.
pub fn inspect_pem(text: &str) -> Result<Inspected, Malformed> {
    let der = certificate_from_pem(text).map_err(|e| Malformed(e.to_string()))?;
    inspect(&der)
}
