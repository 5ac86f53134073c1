//! Random secrets: 32 bytes from the system, in base64url, with a prefix that says what they are, so that a
//! scanner finds a leaked one. The store keeps the SHA-256 of the whole text and nothing more.

use aws_lc_rs::{digest, rand};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use postern_domain::{MachineIdentityId, Secret};
use zeroize::Zeroizing;

use crate::Error;

/// How many characters of a secret are shown to tell it from others; the prefix and 24 bits.
const SHOWN: usize = 4;

const LENGTH: usize = 32;

/// What a secret is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum SecretKind {
    /// An access token.
    AccessToken,
    /// The client secret of a machine identity.
    ClientSecret,
    /// The one-time secret of an enrollment ticket.
    Enrollment,
}

impl SecretKind {
    /// Returns the prefix.
    pub(crate) const fn prefix(self) -> &'static str {
        match self {
            Self::AccessToken => "pat_",
            Self::ClientSecret => "pcs_",
            Self::Enrollment => "pet_",
        }
    }
}

/// Returns the client id of a machine identity; it is no secret.
pub(crate) fn client_id(identity: MachineIdentityId) -> String {
    format!("pci_{identity}")
}

/// A new secret, and what the store keeps of it.
#[derive(Debug)]
pub(crate) struct Minted {
    /// The secret, to be handed out once.
    pub(crate) secret: Secret<String>,
    /// What the store keeps.
    pub(crate) hash: Vec<u8>,
    /// Its first characters.
    pub(crate) shown: String,
}

/// Makes a secret.
///
/// # Errors
/// If the system has no randomness.
pub(crate) fn mint(kind: SecretKind) -> Result<Minted, Error> {
    let mut bytes = Zeroizing::new(vec![0; LENGTH]);
    rand::fill(&mut bytes).map_err(|_| Error::internal("the system has no randomness"))?;
    let encoded = Zeroizing::new(URL_SAFE_NO_PAD.encode(&*bytes));
    let secret = Secret::new(format!("{}{}", kind.prefix(), *encoded));
    let shown = secret
        .expose()
        .chars()
        .take(kind.prefix().len() + SHOWN)
        .collect();
    Ok(Minted {
        hash: digest(secret.expose()),
        secret,
        shown,
    })
}

/// Returns what the store keeps of a secret. All of a text that is shown is hashed, so that looking it up tells
/// nothing about its parts.
pub(crate) fn digest(text: &str) -> Vec<u8> {
    digest::digest(&digest::SHA256, text.as_bytes()).as_ref().to_vec()
}
