//! Authorities as they are listed: public parts only.

use postern_domain::{AuthorityId, AuthorityRole, Pin, Scope, Timestamp, Validity};
use serde::{Deserialize, Serialize};

/// How an authority signs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum AuthorityKind {
    /// X.509, P-256.
    X509,
    /// SSH certificates, Ed25519.
    Ssh,
    /// Plain signatures, Ed25519.
    Signature,
}

/// An authority.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Authority {
    /// Its id.
    pub id: AuthorityId,
    /// Its owner.
    pub owner: Scope,
    /// What it signs.
    pub role: AuthorityRole,
    /// Its name in the hierarchy's words, such as "Organization Gateway Root CA".
    pub title: String,
    /// How it signs.
    pub kind: AuthorityKind,
    /// The authority that signed it; a root and a bare key have none.
    pub parent: Option<AuthorityId>,
    /// Its certificate as PEM, or its public key as one line in OpenSSH's form.
    pub public: String,
    /// The SHA-256 of its public key (SubjectPublicKeyInfo).
    pub key: Pin,
    /// Its validity; a bare key has none.
    pub validity: Option<Validity>,
    /// When it was made.
    pub created: Timestamp,
}
