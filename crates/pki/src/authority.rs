//! X.509 authorities: making them, and taking them out of the store again. Private keys leave only for
//! sealing.

use std::fmt;

use postern_domain::{AuthorityRole, InstanceId, OrganizationId, Pin, Scope, Secret, Timestamp, Validity};
use rcgen::{
    BasicConstraints, CertificateParams, DistinguishedName, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer,
    KeyUsagePurpose, SerialNumber,
};
use rustls_pki_types::CertificateDer;
use time::OffsetDateTime;

use crate::anchor::{AnchorError, AuthorityCertificate};
use crate::certificate::{Malformed, Parsed};
use crate::key::P256Key;
use crate::pem;
use crate::profile::{AuthorityProfile, BACK_DATING, Usage, title};
use crate::{KeyError, random_serial};

/// An authority could not be made or read.
#[derive(Debug, thiserror::Error)]
pub enum AuthorityError {
    /// The role is not that of an X.509 authority, or the owner cannot have one of it.
    #[error("{0} cannot be an X.509 authority")]
    Role(String),
    /// The parent is missing, of another role, or of another owner.
    #[error("{0} must be signed by the root of its owner, and a root by nobody")]
    Parent(String),
    /// The parent is not valid at this moment.
    #[error("{0} is not valid now and signs nothing")]
    ParentNotValid(String),
    /// The private key failed.
    #[error(transparent)]
    Key(#[from] KeyError),
    /// The private key is not that of the certificate.
    #[error("the private key is not that of {0}")]
    OtherKey(String),
    /// The certificate is not that of any authority.
    #[error(transparent)]
    Certificate(#[from] AnchorError),
    /// The certificate cannot be read.
    #[error(transparent)]
    Malformed(#[from] Malformed),
    /// The certificate could not be made.
    #[error("the certificate could not be made: {0}")]
    Encoding(#[from] rcgen::Error),
}

/// An X.509 authority with its private key.
pub struct TlsAuthority {
    role: AuthorityRole,
    owner: Scope,
    key: P256Key,
    certificate: AuthorityCertificate,
}

impl TlsAuthority {
    /// Makes an authority with a new key: a root signs itself, every other is signed by `parent`, the root of
    /// the same owner.
    ///
    /// # Errors
    /// Fails for a role without an X.509 certificate, for an owner that cannot have the role, and for a
    /// parent that is not the right one or not valid at `now`.
    pub fn new(
        role: AuthorityRole,
        owner: Scope,
        instance: InstanceId,
        parent: Option<&Self>,
        now: Timestamp,
    ) -> Result<Self, AuthorityError> {
        let title = title(role, owner);
        let allowed = match owner {
            Scope::Instance => AuthorityRole::INSTANCE.contains(&role),
            Scope::Organization(_) => AuthorityRole::ORGANIZATION.contains(&role),
        };
        let profile = AuthorityProfile::of(role)
            .filter(|_| allowed)
            .ok_or_else(|| AuthorityError::Role(title.clone()))?;
        let parent_is_right = match (role.parent(), parent) {
            (None, None) => true,
            (Some(wanted), Some(p)) => p.role == wanted && p.owner == owner,
            (Some(_), None) | (None, Some(_)) => false,
        };
        if !parent_is_right {
            return Err(AuthorityError::Parent(title));
        }
        if let Some(p) = parent.filter(|p| !p.validity().contains(now)) {
            return Err(AuthorityError::ParentNotValid(p.title().into()));
        }
        let owner_id = match owner {
            Scope::Instance => instance.to_string(),
            Scope::Organization(id) => id.to_string(),
        };
        let end = now.plus(profile.lifetime);
        let params = params(
            &title,
            &owner_id,
            profile,
            Validity {
                not_before: now.minus(BACK_DATING),
                not_after: parent.map_or(end, |p| end.min(p.validity().not_after)),
            },
        )?;
        let key = P256Key::generate()?;
        let certificate = match parent {
            None => params.self_signed(&key)?,
            Some(parent) => params.signed_by(&key, &parent.issuer()?)?,
        };
        let certificate = AuthorityCertificate::parse(certificate.into(), role, owner)?;
        Ok(Self {
            role,
            owner,
            key,
            certificate,
        })
    }

    /// Takes an authority out of the store: its certificate, and its private key as [`Self::to_sealed_parts`]
    /// gave it. Role and owner are what the certificate says.
    ///
    /// # Errors
    /// Fails if the certificate has not the form of any role, or the key is another's.
    pub fn from_parts(certificate: &[u8], private_key: &[u8]) -> Result<Self, AuthorityError> {
        let der = CertificateDer::from(certificate.to_vec());
        let (role, owner) = read_name(&der)?;
        let certificate = AuthorityCertificate::parse(der, role, owner)?;
        let key = P256Key::from_pkcs8(private_key)?;
        if key.public() != certificate.public() {
            return Err(AuthorityError::OtherKey(certificate.title().into()));
        }
        Ok(Self {
            role,
            owner,
            key,
            certificate,
        })
    }

    /// Returns the private key, PKCS #8, to be sealed and stored, and for nothing else.
    ///
    /// # Errors
    /// Fails if the key cannot be encoded.
    pub fn to_sealed_parts(&self) -> Result<Secret<Vec<u8>>, KeyError> {
        self.key.to_pkcs8().map(|der| Secret::new(der.to_vec()))
    }

    /// Returns what it signs.
    #[must_use]
    pub const fn role(&self) -> AuthorityRole {
        self.role
    }

    /// Returns its owner.
    #[must_use]
    pub const fn owner(&self) -> Scope {
        self.owner
    }

    /// Returns the id of its owner, as its subject has it.
    #[must_use]
    pub fn owner_id(&self) -> &str {
        self.certificate.owner_id()
    }

    /// Returns its name, such as "Organization Gateway Root CA".
    #[must_use]
    pub fn title(&self) -> &str {
        self.certificate.title()
    }

    /// Returns its certificate in DER.
    #[must_use]
    pub const fn certificate_der(&self) -> &CertificateDer<'static> {
        self.certificate.der()
    }

    /// Returns its certificate as PEM.
    #[must_use]
    pub fn certificate_pem(&self) -> String {
        pem::encode(pem::CERTIFICATE, self.certificate.der())
    }

    /// Returns the pin of its key.
    #[must_use]
    pub const fn pin(&self) -> Pin {
        self.certificate.pin()
    }

    /// Returns its validity.
    #[must_use]
    pub const fn validity(&self) -> Validity {
        self.certificate.validity()
    }

    /// Lends name and key to rcgen.
    pub(crate) fn issuer(&self) -> Result<Issuer<'static, &P256Key>, rcgen::Error> {
        Issuer::from_ca_cert_der(self.certificate.der(), &self.key)
    }
}

impl fmt::Debug for TlsAuthority {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut out = f.debug_struct("TlsAuthority");
        out.field("title", &self.title()).field("owner", &self.owner);
        out.field("pin", &self.pin()).finish_non_exhaustive()
    }
}

fn params(
    title: &str,
    owner_id: &str,
    profile: AuthorityProfile,
    validity: Validity,
) -> Result<CertificateParams, AuthorityError> {
    let mut params = CertificateParams::default();
    let mut name = DistinguishedName::new();
    name.push(DnType::OrganizationName, owner_id);
    name.push(DnType::CommonName, title);
    params.distinguished_name = name;
    params.not_before = moment(validity.not_before)?;
    params.not_after = moment(validity.not_after)?;
    params.serial_number = Some(SerialNumber::from_slice(random_serial()?.as_be_bytes()));
    params.is_ca = IsCa::Ca(BasicConstraints::Constrained(profile.path_length));
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign];
    params.extended_key_usages = profile.usage.into_iter().map(purpose).collect();
    params.use_authority_key_identifier_extension = true;
    Ok(params)
}

/// Says a usage in rcgen's words.
pub(crate) const fn purpose(usage: Usage) -> ExtendedKeyUsagePurpose {
    match usage {
        Usage::ClientAuth => ExtendedKeyUsagePurpose::ClientAuth,
        Usage::ServerAuth => ExtendedKeyUsagePurpose::ServerAuth,
    }
}

/// Says a time in whole seconds, as certificates do.
pub(crate) fn moment(time: Timestamp) -> Result<OffsetDateTime, rcgen::Error> {
    let seconds = i64::try_from(time.as_unix_seconds()).map_err(|_| rcgen::Error::Time)?;
    OffsetDateTime::from_unix_timestamp(seconds).map_err(|_| rcgen::Error::Time)
}

/// Reads role and owner from the subject.
fn read_name(der: &CertificateDer<'_>) -> Result<(AuthorityRole, Scope), AuthorityError> {
    let parsed = Parsed::parse(der)?;
    let subject = parsed.subject();
    let unknown = || AuthorityError::Role(parsed.subject_text());
    let (organization, name) = match (&*subject.organizations, &*subject.common_names) {
        ([organization], [name]) => (*organization, *name),
        _ => return Err(unknown()),
    };
    let of_instance = AuthorityRole::INSTANCE
        .into_iter()
        .find(|role| title(*role, Scope::Instance) == name);
    if let Some(role) = of_instance {
        return Ok((role, Scope::Instance));
    }
    let owner = organization
        .parse::<OrganizationId>()
        .map(Scope::Organization)
        .map_err(|_| unknown())?;
    let of_organization = AuthorityRole::ORGANIZATION
        .into_iter()
        .find(|role| title(*role, owner) == name);
    of_organization.map(|role| (role, owner)).ok_or_else(unknown)
}
