//! SSH authorities and audit keys: Ed25519 keys with an owner and a role.

use std::fmt;

use postern_domain::{AuthorityRole, Pin, Scope, Secret};
use postern_sshkey::{PrivateKey, PublicKey};

use crate::KeyError;
use crate::authority::AuthorityError;
use crate::pin::pin_of_ssh_key;
use crate::profile::title;

/// An SSH authority with its private key.
#[derive(Clone)]
pub struct SshAuthority {
    role: AuthorityRole,
    owner: Scope,
    key: PrivateKey,
}

impl SshAuthority {
    /// Makes an authority with a new key.
    ///
    /// # Errors
    /// Fails for a role that is no SSH authority's.
    pub fn new(role: AuthorityRole, owner: Scope) -> Result<Self, AuthorityError> {
        Self::with(role, owner, || {
            PrivateKey::generate().map_err(|_| KeyError::Randomness)
        })
    }

    /// Takes an authority out of the store: its private key as [`Self::to_sealed_parts`] gave it.
    ///
    /// # Errors
    /// Fails for a role that is no SSH authority's, and for bytes that are no key.
    pub fn from_parts(role: AuthorityRole, owner: Scope, private_key: &[u8]) -> Result<Self, AuthorityError> {
        Self::with(role, owner, || read(private_key))
    }

    fn with(
        role: AuthorityRole,
        owner: Scope,
        key: impl FnOnce() -> Result<PrivateKey, KeyError>,
    ) -> Result<Self, AuthorityError> {
        match role {
            AuthorityRole::RelaySshClient | AuthorityRole::RelaySshServer => Ok(Self {
                role,
                owner,
                key: key()?,
            }),
            AuthorityRole::RelayRoot
            | AuthorityRole::RelayClient
            | AuthorityRole::RelayServer
            | AuthorityRole::GatewayRoot
            | AuthorityRole::GatewayClient
            | AuthorityRole::GatewayServer
            | AuthorityRole::AuditKey
            | AuthorityRole::PlatformRoot => Err(AuthorityError::Role(title(role, owner))),
        }
    }

    /// Returns the private key to be sealed and stored, and for nothing else.
    ///
    /// # Errors
    /// Fails if the key cannot be encoded.
    pub fn to_sealed_parts(&self) -> Result<Secret<Vec<u8>>, KeyError> {
        write(&self.key)
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

    /// Returns its name, such as "Organization Relay SSH Client CA".
    #[must_use]
    pub fn title(&self) -> String {
        title(self.role, self.owner)
    }

    /// Returns its public key.
    #[must_use]
    pub fn public_key(&self) -> &PublicKey {
        self.key.public_key()
    }

    /// Returns its public key as one line.
    #[must_use]
    pub fn public_line(&self) -> String {
        self.public_key().to_openssh()
    }

    /// Returns the pin of its key.
    #[must_use]
    pub fn pin(&self) -> Pin {
        pin_of_ssh_key(self.public_key())
    }

    pub(crate) const fn key(&self) -> &PrivateKey {
        &self.key
    }
}

impl fmt::Debug for SshAuthority {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut out = f.debug_struct("SshAuthority");
        out.field("title", &self.title()).field("owner", &self.owner);
        out.field("pin", &self.pin()).finish_non_exhaustive()
    }
}

/// A key that signs plain statements of its owner: the checkpoints of an audit chain.
#[derive(Clone)]
pub struct SigningKey(PrivateKey);

impl SigningKey {
    /// Makes a new key.
    ///
    /// # Errors
    /// Fails when the system gives no randomness.
    pub fn generate() -> Result<Self, KeyError> {
        PrivateKey::generate().map(Self).map_err(|_| KeyError::Randomness)
    }

    /// Takes a key out of the store, as [`Self::to_sealed_parts`] gave it.
    ///
    /// # Errors
    /// Fails for bytes that are no key.
    pub fn from_parts(private_key: &[u8]) -> Result<Self, KeyError> {
        read(private_key).map(Self)
    }

    /// Returns the private key to be sealed and stored, and for nothing else.
    ///
    /// # Errors
    /// Fails if the key cannot be encoded.
    pub fn to_sealed_parts(&self) -> Result<Secret<Vec<u8>>, KeyError> {
        write(&self.0)
    }

    /// Returns its public key.
    #[must_use]
    pub fn public_key(&self) -> &PublicKey {
        self.0.public_key()
    }

    /// Returns its public key as one line.
    #[must_use]
    pub fn public_line(&self) -> String {
        self.public_key().to_openssh()
    }

    /// Returns the pin of its key.
    #[must_use]
    pub fn pin(&self) -> Pin {
        pin_of_ssh_key(self.public_key())
    }
}

impl fmt::Debug for SigningKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("SigningKey").field(&self.pin()).finish()
    }
}

fn read(private_key: &[u8]) -> Result<PrivateKey, KeyError> {
    let text = std::str::from_utf8(private_key).map_err(|_| KeyError::Malformed)?;
    PrivateKey::from_openssh(text).map_err(|_| KeyError::Malformed)
}

fn write(key: &PrivateKey) -> Result<Secret<Vec<u8>>, KeyError> {
    let text = key.to_openssh().map_err(|_| KeyError::Malformed)?;
    Ok(Secret::new(text.as_bytes().to_vec()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_authority_survives_the_store() {
        let made = SshAuthority::new(AuthorityRole::RelaySshClient, Scope::Instance).unwrap();
        let sealed = made.to_sealed_parts().unwrap();
        let again = SshAuthority::from_parts(made.role(), made.owner(), sealed.expose()).unwrap();
        assert_eq!(made.public_line(), again.public_line());
        let key = SigningKey::generate().unwrap();
        let sealed = key.to_sealed_parts().unwrap();
        assert_eq!(SigningKey::from_parts(sealed.expose()).unwrap().pin(), key.pin());
    }

    #[test]
    fn refuses_other_roles_and_bytes_that_are_no_key() {
        for role in [
            AuthorityRole::AuditKey,
            AuthorityRole::RelayClient,
            AuthorityRole::PlatformRoot,
        ] {
            assert!(SshAuthority::new(role, Scope::Instance).is_err());
        }
        for bytes in [&b""[..], b"\xff\xfe", b"-----BEGIN OPENSSH PRIVATE KEY-----"] {
            assert!(SigningKey::from_parts(bytes).is_err());
        }
    }

    #[test]
    fn never_shows_its_key() {
        let key = SshAuthority::new(AuthorityRole::RelaySshServer, Scope::Instance).unwrap();
        let shown = format!("{key:?}");
        assert!(
            shown.contains("Instance Relay SSH Server CA") && !shown.contains("PRIVATE"),
            "{shown}"
        );
    }
}
