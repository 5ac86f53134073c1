//! Issuing X.509 leaves. The profile table says what they look like; the caller says whose they are.

use std::time::Duration;

use postern_domain::{Host, Pin, Serial, Timestamp, Validity};
use rcgen::{
    CertificateParams, CustomExtension, DistinguishedName, DnType, IsCa, KeyUsagePurpose, SanType,
    SerialNumber,
};
use rustls_pki_types::CertificateDer;

use crate::authority::{moment, purpose};
use crate::grant_der::{GRANT_OID, SESSION_EXPIRES_OID, encode_grant, encode_session_expires};
use crate::profile::{BACK_DATING, LeafProfile};
use crate::{Leaf, Lifetimes, TlsAuthority, VerifiedRequest, pem};

/// A certificate was not issued.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum IssueError {
    /// The authority is for something else, or another owner's.
    #[error("{0} does not sign this certificate")]
    Authority(String),
    /// The authority is not valid at this moment.
    #[error("{0} is not valid now and signs nothing")]
    AuthorityNotValid(String),
    /// The session is over.
    #[error("the session is already over")]
    SessionOver,
    /// The request was verified for something else.
    #[error("the request is not one for this kind of certificate")]
    Request,
    /// The leaf breaks a rule of the profile table.
    #[error("the certificate cannot be issued: {0}")]
    Leaf(&'static str),
    /// The serial number does not fit.
    #[error("the serial number does not fit this kind of certificate")]
    Serial,
    /// The certificate could not be made.
    #[error("the certificate could not be made: {0}")]
    Encoding(String),
}

impl From<rcgen::Error> for IssueError {
    fn from(error: rcgen::Error) -> Self {
        Self::Encoding(error.to_string())
    }
}

/// An issued X.509 certificate.
#[derive(Debug, Clone)]
pub struct IssuedTls {
    /// The certificate.
    pub der: CertificateDer<'static>,
    /// The certificate as PEM.
    pub pem: String,
    /// Its validity.
    pub validity: Validity,
    /// Its serial number.
    pub serial: Serial,
    /// The pin of its key.
    pub pin: Pin,
}

/// Issues a leaf with the lifetime of the profile table.
///
/// # Errors
/// See [`issue_with`].
pub fn issue(
    authority: &TlsAuthority,
    leaf: &Leaf,
    request: &VerifiedRequest,
    serial: &Serial,
    now: Timestamp,
) -> Result<IssuedTls, IssueError> {
    issue_with(authority, leaf, request, serial, now, &Lifetimes::default())
}

/// Issues a leaf. Its public key is the request's; every name is the leaf's.
///
/// # Errors
/// Fails if the authority is not the one for this leaf or not valid at `now`, if the request is one for
/// another kind of certificate, if the leaf breaks a rule of the profile table or its session is over, and if
/// the serial number is longer than 20 bytes with its sign.
pub fn issue_with(
    authority: &TlsAuthority,
    leaf: &Leaf,
    request: &VerifiedRequest,
    serial: &Serial,
    now: Timestamp,
    lifetimes: &Lifetimes,
) -> Result<IssuedTls, IssueError> {
    let kind = leaf.kind();
    let profile = LeafProfile::of(kind);
    let is_its_own =
        authority.role() == profile.signer && leaf.may_be_signed_by(authority.owner(), authority.owner_id());
    if !is_its_own {
        return Err(IssueError::Authority(authority.title().into()));
    }
    if !request.is_for(kind) {
        return Err(IssueError::Request);
    }
    if let Some(fault) = leaf.fault() {
        return Err(IssueError::Leaf(fault));
    }
    if !matches!(serial.as_be_bytes(), [0..=0x7f, ..]) && serial.as_be_bytes().len() >= 20 {
        return Err(IssueError::Serial);
    }
    let validity = validity(authority, leaf, now, lifetimes.of(kind))?;
    let mut params = CertificateParams::default();
    params.distinguished_name = subject(authority, leaf, profile);
    params.subject_alt_names = names(leaf)?;
    params.not_before = moment(validity.not_before)?;
    params.not_after = moment(validity.not_after)?;
    params.serial_number = Some(SerialNumber::from_slice(serial.as_be_bytes()));
    params.is_ca = IsCa::ExplicitNoCa;
    params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    params.extended_key_usages = profile.usage.into_iter().map(purpose).collect();
    params.use_authority_key_identifier_extension = true;
    params.custom_extensions = extension(leaf).into_iter().collect();
    let certificate = params.signed_by(request.public(), &authority.issuer()?)?;
    Ok(IssuedTls {
        pem: pem::encode(pem::CERTIFICATE, certificate.der()),
        der: certificate.into(),
        validity,
        serial: serial.clone(),
        pin: request.pin(),
    })
}

fn validity(
    authority: &TlsAuthority,
    leaf: &Leaf,
    now: Timestamp,
    lifetime: Duration,
) -> Result<Validity, IssueError> {
    let bounds = authority.validity();
    if !bounds.contains(now) {
        return Err(IssueError::AuthorityNotValid(authority.title().into()));
    }
    let session_expires = leaf.session_expires().unwrap_or(Timestamp::MAX);
    if session_expires <= now {
        return Err(IssueError::SessionOver);
    }
    let end = now.plus(lifetime).min(bounds.not_after).min(session_expires);
    Ok(Validity {
        not_before: whole_seconds(now.minus(BACK_DATING)),
        not_after: whole_seconds(end),
    })
}

pub(crate) const fn whole_seconds(time: Timestamp) -> Timestamp {
    Timestamp::from_unix_seconds(time.as_unix_seconds())
}

fn subject(authority: &TlsAuthority, leaf: &Leaf, profile: LeafProfile) -> DistinguishedName {
    let organization = match leaf {
        Leaf::RelayClient { organization, .. } => organization.to_string(),
        Leaf::RelayServer { .. }
        | Leaf::GatewayServer { .. }
        | Leaf::GatewayClient { .. }
        | Leaf::Platform { .. } => String::from(authority.owner_id()),
    };
    let mut name = DistinguishedName::new();
    name.push(DnType::OrganizationName, organization);
    if let Some(unit) = profile.unit {
        name.push(DnType::OrganizationalUnitName, unit);
    }
    name.push(DnType::CommonName, leaf.common_name());
    name
}

fn names(leaf: &Leaf) -> Result<Vec<SanType>, rcgen::Error> {
    let mut names = Vec::new();
    for host in leaf.hosts() {
        names.push(match host {
            Host::Name(name) => SanType::DnsName((&**name).try_into()?),
            Host::Address(address) => SanType::IpAddress(*address),
        });
    }
    if let Some(identity) = leaf.identity() {
        names.push(SanType::URI(identity.to_string().try_into()?));
    }
    Ok(names)
}

fn extension(leaf: &Leaf) -> Option<CustomExtension> {
    match leaf {
        Leaf::GatewayClient { grant, .. } => {
            Some(CustomExtension::from_oid_content(&GRANT_OID, encode_grant(grant)))
        }
        Leaf::RelayClient { session_expires, .. } => Some(CustomExtension::from_oid_content(
            &SESSION_EXPIRES_OID,
            encode_session_expires(*session_expires),
        )),
        Leaf::RelayServer { .. } | Leaf::GatewayServer { .. } | Leaf::Platform { .. } => None,
    }
}
