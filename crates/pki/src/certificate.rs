//! One X.509 certificate, read strictly and not yet believed.
//!
//! Two parsers read every certificate: rustls-webpki, which refuses trailing bytes, versions other than 3,
//! duplicate and unknown critical extensions; and x509-parser, which gives the fields. What either refuses is
//! malformed.

use std::net::IpAddr;

use postern_domain::{Pin, Serial, Timestamp, Validity};
use rustls_pki_types::CertificateDer;
use webpki::EndEntityCert;
use x509_parser::certificate::X509Certificate;
use x509_parser::extensions::{GeneralName, ParsedExtension};
use x509_parser::oid_registry::{
    OID_X509_COMMON_NAME, OID_X509_ORGANIZATION_NAME, OID_X509_ORGANIZATIONAL_UNIT, Oid,
};
use x509_parser::prelude::FromDer as _;
use x509_parser::time::ASN1Time;
use x509_parser::x509::X509Name;

use crate::pin::pin_of_spki;
use crate::profile::Usage;
use crate::spki::P256Public;

/// The longest certificate that is looked at, in bytes: a grant of 32 resources with long names fits.
const LONGEST: usize = 24 * 1024;

/// The most extensions that are looked at.
const MOST_EXTENSIONS: usize = 32;

/// The bits of KeyUsage as x509-parser gives them (RFC 5280 section 4.2.1.3, first bit lowest).
const DIGITAL_SIGNATURE: u16 = 1;
const KEY_CERT_SIGN: u16 = 1 << 5;

/// A certificate cannot be read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the certificate cannot be read: {0}")]
pub struct Malformed(pub(crate) String);

fn malformed<T>(what: &str) -> Result<T, Malformed> {
    Err(Malformed(String::from(what)))
}

/// The attributes of a name that matter here, each as often as it occurs.
#[derive(Debug, Default)]
pub(crate) struct Subject<'a> {
    pub(crate) common_names: Vec<&'a str>,
    pub(crate) organizations: Vec<&'a str>,
    pub(crate) units: Vec<&'a str>,
    /// Attributes of other types, of unreadable text, or more than one to a set.
    pub(crate) others: usize,
}

/// A subject alternative name.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum AltName<'a> {
    Uri(&'a str),
    Dns(&'a str),
    Address(IpAddr),
    Other,
}

/// A certificate's fields.
#[derive(Debug)]
pub(crate) struct Parsed<'a> {
    x509: X509Certificate<'a>,
    pub(crate) serial: Serial,
    pub(crate) validity: Validity,
    pub(crate) key: Pin,
}

impl<'a> Parsed<'a> {
    pub(crate) fn parse(der: &'a CertificateDer<'_>) -> Result<Self, Malformed> {
        if der.len() > LONGEST {
            return malformed("it is too long");
        }
        EndEntityCert::try_from(der).map_err(|e| Malformed(format!("{e:?}")))?;
        let (rest, x509) = X509Certificate::from_der(der).map_err(|e| Malformed(e.to_string()))?;
        if !rest.is_empty() {
            return malformed("bytes follow it");
        }
        if x509.extensions().len() > MOST_EXTENSIONS {
            return malformed("it has too many extensions");
        }
        if x509.extensions_map().is_err() {
            return malformed("an extension occurs twice");
        }
        if x509
            .extensions()
            .iter()
            .any(|e| e.parsed_extension().error().is_some())
        {
            return malformed("an extension cannot be read");
        }
        let validity = Validity {
            not_before: timestamp(x509.validity().not_before)?,
            not_after: timestamp(x509.validity().not_after)?,
        };
        Ok(Self {
            serial: serial(x509.raw_serial())?,
            validity,
            key: pin_of_spki(x509.public_key().raw),
            x509,
        })
    }

    /// The subject's name, DER.
    pub(crate) fn subject_der(&self) -> &[u8] {
        self.x509.subject().as_raw()
    }

    /// The issuer's name, DER.
    pub(crate) fn issuer_der(&self) -> &[u8] {
        self.x509.issuer().as_raw()
    }

    pub(crate) fn subject(&self) -> Subject<'_> {
        let mut out = Subject::default();
        for set in self.x509.subject().iter() {
            let mut attributes = set.iter();
            let (Some(attribute), None) = (attributes.next(), attributes.next()) else {
                out.others += 1;
                continue;
            };
            let (oid, text) = (attribute.attr_type(), attribute.as_str());
            match text {
                Ok(text) if *oid == OID_X509_COMMON_NAME => out.common_names.push(text),
                Ok(text) if *oid == OID_X509_ORGANIZATION_NAME => out.organizations.push(text),
                Ok(text) if *oid == OID_X509_ORGANIZATIONAL_UNIT => out.units.push(text),
                Ok(_) | Err(_) => out.others += 1,
            }
        }
        out
    }

    /// The subject as text, for people.
    pub(crate) fn subject_text(&self) -> String {
        name_text(self.x509.subject())
    }

    /// The issuer as text, for people.
    pub(crate) fn issuer_text(&self) -> String {
        name_text(self.x509.issuer())
    }

    pub(crate) fn names(&self) -> Vec<AltName<'_>> {
        let Ok(Some(extension)) = self.x509.subject_alternative_name() else {
            return Vec::new();
        };
        let names = extension.value.general_names.iter();
        names
            .map(|name| match name {
                GeneralName::URI(uri) => AltName::Uri(uri),
                GeneralName::DNSName(name) => AltName::Dns(name),
                GeneralName::IPAddress(bytes) => address(bytes).map_or(AltName::Other, AltName::Address),
                GeneralName::OtherName(..)
                | GeneralName::RFC822Name(_)
                | GeneralName::X400Address(_)
                | GeneralName::DirectoryName(_)
                | GeneralName::EDIPartyName(_)
                | GeneralName::RegisteredID(_)
                | GeneralName::Invalid(..) => AltName::Other,
            })
            .collect()
    }

    /// The key identifier of the authority (AKI), as the certificate claims it.
    pub(crate) fn authority_key(&self) -> Option<&[u8]> {
        self.x509.iter_extensions().find_map(|e| {
            if let ParsedExtension::AuthorityKeyIdentifier(id) = e.parsed_extension() {
                id.key_identifier.as_ref().map(|k| k.0)
            } else {
                None
            }
        })
    }

    /// The identifier of its own key (SKI).
    pub(crate) fn own_key(&self) -> Option<&[u8]> {
        self.x509.iter_extensions().find_map(|e| {
            if let ParsedExtension::SubjectKeyIdentifier(id) = e.parsed_extension() {
                Some(id.0)
            } else {
                None
            }
        })
    }

    /// Whether it may sign certificates, by its basic constraints.
    pub(crate) fn is_authority(&self) -> bool {
        matches!(self.x509.basic_constraints(), Ok(Some(e)) if e.value.ca)
    }

    /// The path length of an authority whose basic constraints are critical, as they must be.
    pub(crate) fn path_length(&self) -> Option<u32> {
        match self.x509.basic_constraints() {
            Ok(Some(e)) if e.value.ca && e.critical => e.value.path_len_constraint,
            Ok(_) | Err(_) => None,
        }
    }

    /// Whether its key may make signatures and nothing else.
    pub(crate) fn only_signs(&self) -> bool {
        self.key_usage() == Some(DIGITAL_SIGNATURE)
    }

    /// Whether its key may sign certificates and nothing else.
    pub(crate) fn only_certifies(&self) -> bool {
        self.key_usage() == Some(KEY_CERT_SIGN)
    }

    fn key_usage(&self) -> Option<u16> {
        match self.x509.key_usage() {
            Ok(Some(e)) => Some(e.value.flags),
            Ok(None) | Err(_) => None,
        }
    }

    /// Whether it says for what it may be used at all.
    pub(crate) fn has_extended_usage(&self) -> bool {
        !matches!(self.x509.extended_key_usage(), Ok(None))
    }

    /// The one use that it is for; none if it has several, others, or does not say.
    pub(crate) fn usage(&self) -> Option<Usage> {
        let Ok(Some(e)) = self.x509.extended_key_usage() else {
            return None;
        };
        let u = e.value;
        let foreign = u.any || u.code_signing || u.email_protection || u.time_stamping || u.ocsp_signing;
        match (u.client_auth, u.server_auth) {
            _ if foreign || !u.other.is_empty() => None,
            (true, false) => Some(Usage::ClientAuth),
            (false, true) => Some(Usage::ServerAuth),
            (true, true) | (false, false) => None,
        }
    }

    /// The content of an extension of ours.
    pub(crate) fn extension(&self, oid: &[u64]) -> Option<&[u8]> {
        let oid = Oid::from(oid).ok()?;
        let found = self.x509.iter_extensions().find(|e| e.oid == oid);
        found.map(|e| e.value)
    }

    /// The public key, if it is one of P-256.
    pub(crate) fn public_key(&self) -> Option<P256Public> {
        P256Public::from_spki(self.x509.public_key().raw)
    }

    /// Whether this key signed it.
    pub(crate) fn is_signed_by(&self, key: &P256Public) -> bool {
        key.verifies(
            self.x509.tbs_certificate.as_ref(),
            &self.x509.signature_value.data,
        )
    }
}

fn name_text(name: &X509Name<'_>) -> String {
    postern_domain::printable(&name.to_string())
}

fn address(bytes: &[u8]) -> Option<IpAddr> {
    let v4 = <[u8; 4]>::try_from(bytes).map(IpAddr::from);
    v4.or_else(|_| <[u8; 16]>::try_from(bytes).map(IpAddr::from)).ok()
}

fn timestamp(time: ASN1Time) -> Result<Timestamp, Malformed> {
    match u64::try_from(time.timestamp()) {
        Ok(seconds) => Ok(Timestamp::from_unix_seconds(seconds)),
        Err(_) => malformed("its validity begins or ends before 1970"),
    }
}

/// Reads a serial number: positive, at most 20 bytes, in its shortest form (RFC 5280 section 4.1.2.2).
fn serial(raw: &[u8]) -> Result<Serial, Malformed> {
    let short = match *raw {
        [0, second, ..] => second >= 0x80,
        [first, ..] => first < 0x80,
        [] => false,
    };
    match Serial::from_be_bytes(raw) {
        Some(serial) if short && raw.len() <= 20 => Ok(serial),
        Some(_) | None => malformed("its serial number is not positive, or too long"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn takes_positive_serial_numbers_in_their_shortest_form() {
        for good in [&[1][..], &[0, 0x80], &[0x7f; 20]] {
            assert!(serial(good).is_ok(), "{good:?}");
        }
        for bad in [
            &[][..],
            &[0],
            &[0, 1],
            &[0x80],
            &[0xff; 20],
            &[1; 21],
            &[0, 0xff, 0].repeat(7),
        ] {
            assert!(serial(bad).is_err(), "{bad:?}");
        }
    }

    #[test]
    fn refuses_what_is_no_certificate() {
        for bad in [
            &[][..],
            &[0x30, 0],
            b"-----BEGIN CERTIFICATE-----",
            &[0x30; LONGEST + 1],
        ] {
            assert!(Parsed::parse(&CertificateDer::from(bad)).is_err());
        }
    }
}
