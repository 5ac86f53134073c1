//! Anchors: the authorities that are trusted for one role each, parsed and checked once.

use postern_domain::{AuthorityRole, InstanceId, Pin, Scope, Serial, Timestamp, Validity};
use postern_sshkey::PublicKey;
use rustls_pki_types::{CertificateDer, TrustAnchor};

use crate::certificate::{Malformed, Parsed};
use crate::pem::{PemError, certificate_from_pem};
use crate::pin::pin_of_ssh_key;
use crate::profile::{AuthorityProfile, title};
use crate::spki::P256Public;

/// An authority's certificate is not what its role demands.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum AnchorError {
    /// It is not PEM.
    #[error("{authority}: {cause}")]
    Pem {
        /// The authority.
        authority: String,
        /// What is wrong with it.
        cause: PemError,
    },
    /// It cannot be read.
    #[error("{authority}: {cause}")]
    Malformed {
        /// The authority.
        authority: String,
        /// What is wrong with it.
        cause: Malformed,
    },
    /// It has another form than the profile table says.
    #[error("{authority}: {what}")]
    Form {
        /// The authority.
        authority: String,
        /// What is wrong with it.
        what: &'static str,
    },
    /// The role is not that of an X.509 authority below a root, or the owner cannot have one.
    #[error("{0} is not an X.509 authority that signs leaves below a root")]
    Role(String),
}

/// The certificate of an X.509 authority in the form that the profile table says.
#[derive(Debug, Clone)]
pub struct AuthorityCertificate {
    der: CertificateDer<'static>,
    title: String,
    organization: String,
    subject: Vec<u8>,
    issuer: Vec<u8>,
    key_id: Vec<u8>,
    authority_key: Option<Vec<u8>>,
    public: P256Public,
    key: Pin,
    serial: Serial,
    validity: Validity,
}

impl AuthorityCertificate {
    /// Reads a certificate and holds it against the profile table. Who signed it is not judged here.
    pub(crate) fn parse(
        der: CertificateDer<'static>,
        role: AuthorityRole,
        owner: Scope,
    ) -> Result<Self, AnchorError> {
        let title = title(role, owner);
        let profile = AuthorityProfile::of(role).ok_or_else(|| AnchorError::Role(title.clone()))?;
        let parsed = Parsed::parse(&der).map_err(|cause| AnchorError::Malformed {
            authority: title.clone(),
            cause,
        })?;
        let wrong = |what| AnchorError::Form {
            authority: title.clone(),
            what,
        };
        let subject = parsed.subject();
        let organization = match (&*subject.organizations, &*subject.common_names) {
            ([organization], [name]) if *name == title && subject.units.is_empty() && subject.others == 0 => {
                String::from(*organization)
            }
            _ => return Err(wrong("its subject is not the name of this authority")),
        };
        let is_owner = match owner {
            Scope::Instance => organization.parse::<InstanceId>().is_ok(),
            Scope::Organization(id) => organization == id.to_string(),
        };
        if !is_owner {
            return Err(wrong("it belongs to another owner"));
        }
        if parsed.path_length() != Some(u32::from(profile.path_length)) {
            return Err(wrong("it is no authority, or its path length is another"));
        }
        if !parsed.only_certifies() {
            return Err(wrong("its key usage is not keyCertSign alone"));
        }
        if parsed.usage() != profile.usage || parsed.has_extended_usage() != profile.usage.is_some() {
            return Err(wrong("its extended key usage is another"));
        }
        let public = parsed
            .public_key()
            .ok_or_else(|| wrong("its key is not one of P-256"))?;
        let key_id = parsed
            .own_key()
            .ok_or_else(|| wrong("it lacks the identifier of its key"))?;
        Ok(Self {
            title: title.clone(),
            organization,
            subject: parsed.subject_der().to_vec(),
            issuer: parsed.issuer_der().to_vec(),
            key_id: key_id.to_vec(),
            authority_key: parsed.authority_key().map(<[u8]>::to_vec),
            public,
            key: parsed.key,
            serial: parsed.serial.clone(),
            validity: parsed.validity,
            der,
        })
    }

    /// Returns whether `child` names this authority, by subject and by key identifier, as the one that signed
    /// it.
    pub(crate) fn is_named_by(&self, child: &Parsed<'_>) -> bool {
        self.has_the_name_in(child) && child.authority_key() == Some(&*self.key_id)
    }

    /// Returns whether `child` names this authority by subject.
    pub(crate) fn has_the_name_in(&self, child: &Parsed<'_>) -> bool {
        child.issuer_der() == self.subject
    }

    /// Returns whether this authority's key signed `child`.
    pub(crate) fn signed(&self, child: &Parsed<'_>) -> bool {
        child.is_signed_by(&self.public)
    }

    fn certified(&self, child: &Self) -> Result<bool, Malformed> {
        let names = child.issuer == self.subject && child.authority_key.as_deref() == Some(&*self.key_id);
        Ok(names && self.signed(&Parsed::parse(&child.der)?))
    }

    /// Returns the certificate.
    #[must_use]
    pub const fn der(&self) -> &CertificateDer<'static> {
        &self.der
    }

    /// Returns the authority's name, such as "Organization Gateway Root CA".
    #[must_use]
    pub fn title(&self) -> &str {
        &self.title
    }

    /// Returns the id of the owner: the organization's, or the instance's.
    #[must_use]
    pub fn owner_id(&self) -> &str {
        &self.organization
    }

    /// Returns the pin of its key.
    #[must_use]
    pub const fn pin(&self) -> Pin {
        self.key
    }

    /// Returns its serial number.
    #[must_use]
    pub const fn serial(&self) -> &Serial {
        &self.serial
    }

    /// Returns its validity.
    #[must_use]
    pub const fn validity(&self) -> Validity {
        self.validity
    }

    pub(crate) const fn public(&self) -> &P256Public {
        &self.public
    }
}

/// An X.509 authority that signs leaves, and the root above it: what a leg is anchored on.
#[derive(Debug, Clone)]
pub struct TlsAnchor {
    owner: Scope,
    role: AuthorityRole,
    root: AuthorityCertificate,
    issuer: AuthorityCertificate,
    anchor: TrustAnchor<'static>,
}

impl TlsAnchor {
    /// Parses both certificates and checks that each has the form of its role, that both belong to `owner`,
    /// that the root signed itself and the issuer, and that they differ. Their validity is judged at each
    /// use, not here.
    ///
    /// # Errors
    /// Fails naming the authority and what is wrong with it.
    pub fn parse(
        owner: Scope,
        role: AuthorityRole,
        root_pem: &str,
        issuer_pem: &str,
    ) -> Result<Self, AnchorError> {
        let root_role = role
            .parent()
            .ok_or_else(|| AnchorError::Role(title(role, owner)))?;
        let root = Self::read(owner, root_role, root_pem)?;
        let issuer = Self::read(owner, role, issuer_pem)?;
        Self::new(owner, role, root, issuer)
    }

    fn read(owner: Scope, role: AuthorityRole, text: &str) -> Result<AuthorityCertificate, AnchorError> {
        let der = certificate_from_pem(text).map_err(|cause| AnchorError::Pem {
            authority: title(role, owner),
            cause,
        })?;
        AuthorityCertificate::parse(der, role, owner)
    }

    fn new(
        owner: Scope,
        role: AuthorityRole,
        root: AuthorityCertificate,
        issuer: AuthorityCertificate,
    ) -> Result<Self, AnchorError> {
        let wrong = |authority: &AuthorityCertificate, what| AnchorError::Form {
            authority: String::from(authority.title()),
            what,
        };
        let malformed = |cause| AnchorError::Malformed {
            authority: title(role, owner),
            cause,
        };
        if !root.certified(&root).map_err(malformed)? {
            return Err(wrong(&root, "it did not sign itself"));
        }
        if issuer.pin() == root.pin() || !root.certified(&issuer).map_err(malformed)? {
            return Err(wrong(&issuer, "the root did not sign it"));
        }
        if issuer.owner_id() != root.owner_id() {
            return Err(wrong(&issuer, "it belongs to another owner than its root"));
        }
        let anchor = webpki::anchor_from_trusted_cert(root.der())
            .map_err(|e| malformed(Malformed(format!("{e:?}"))))?
            .to_owned();
        Ok(Self {
            owner,
            role,
            root,
            issuer,
            anchor,
        })
    }

    /// Returns the owner.
    #[must_use]
    pub const fn owner(&self) -> Scope {
        self.owner
    }

    /// Returns the role of the issuer.
    #[must_use]
    pub const fn role(&self) -> AuthorityRole {
        self.role
    }

    /// Returns the root.
    #[must_use]
    pub const fn root(&self) -> &AuthorityCertificate {
        &self.root
    }

    /// Returns the authority that signs the leaves.
    #[must_use]
    pub const fn issuer(&self) -> &AuthorityCertificate {
        &self.issuer
    }

    /// Returns the name of the issuer, such as "Organization Gateway Server CA".
    #[must_use]
    pub fn title(&self) -> &str {
        self.issuer.title()
    }

    pub(crate) const fn anchor(&self) -> &TrustAnchor<'static> {
        &self.anchor
    }

    /// Returns the first of root and issuer whose validity does not contain `now`.
    pub(crate) fn out_of_time(&self, now: Timestamp) -> Option<&AuthorityCertificate> {
        [&self.root, &self.issuer]
            .into_iter()
            .find(|authority| !authority.validity().contains(now))
    }
}

/// An SSH authority that is trusted for one role.
#[derive(Debug, Clone)]
pub struct SshAnchor {
    /// Its owner.
    pub owner: Scope,
    /// Its role: `RelaySshClient` or `RelaySshServer`.
    pub role: AuthorityRole,
    /// Its public key.
    pub key: PublicKey,
}

impl SshAnchor {
    /// Returns the pin of its key.
    #[must_use]
    pub fn pin(&self) -> Pin {
        pin_of_ssh_key(&self.key)
    }
}
