//! The root key: 32 random bytes in a file of mode 0600, or in the environment. Whoever holds it and the store
//! can impersonate anyone.

use std::io::Write as _;
use std::os::unix::fs::{OpenOptionsExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};

use aws_lc_rs::rand;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use postern_domain::Secret;
use zeroize::Zeroizing;

/// The root key cannot be made or read.
#[derive(Debug, thiserror::Error)]
pub enum RootKeyError {
    /// There is a file already.
    #[error("a root key exists already at {0}; it was not touched")]
    Exists(PathBuf),
    /// The file cannot be read or written.
    #[error("the root key file {0} cannot be used")]
    File(PathBuf, #[source] std::io::Error),
    /// Others may read the file.
    #[error("the root key file {0} can be read by others: chmod 600 {0}")]
    Permissions(PathBuf),
    /// The text is not a key.
    #[error("not a root key: expected 44 characters of base64, as postern-platform init writes them")]
    Malformed,
    /// What is in the file is not a key.
    #[error("the root key file {0} holds no key: restore it from its copy")]
    Damaged(PathBuf),
    /// The system has no randomness.
    #[error("the system has no randomness for a key")]
    NoRandomness,
}

/// The root key. It is wiped when dropped and never shown.
#[derive(Debug)]
pub struct RootKey(Secret<Vec<u8>>);

impl RootKey {
    /// Makes a new key.
    ///
    /// # Errors
    /// If the system has no randomness.
    pub fn generate() -> Result<Self, RootKeyError> {
        let mut bytes = Zeroizing::new(vec![0; 32]);
        rand::fill(&mut bytes).map_err(|_| RootKeyError::NoRandomness)?;
        Ok(Self(Secret::new(std::mem::take(&mut *bytes))))
    }

    /// Reads the text form, from the environment.
    ///
    /// # Errors
    /// If it is not the text form of a key.
    pub fn parse(text: &str) -> Result<Self, RootKeyError> {
        let bytes = Secret::new(
            STANDARD
                .decode(text.trim())
                .map_err(|_| RootKeyError::Malformed)?,
        );
        if bytes.expose().len() == 32 {
            Ok(Self(bytes))
        } else {
            Err(RootKeyError::Malformed)
        }
    }

    /// Reads a key file.
    ///
    /// # Errors
    /// If it cannot be read, others may read it, or it holds no key.
    pub fn load(path: &Path) -> Result<Self, RootKeyError> {
        let failed = |error| RootKeyError::File(path.to_owned(), error);
        let mode = std::fs::metadata(path).map_err(failed)?.permissions().mode();
        if mode & 0o077 != 0 {
            return Err(RootKeyError::Permissions(path.to_owned()));
        }
        let text = Zeroizing::new(std::fs::read(path).map_err(failed)?);
        let text = std::str::from_utf8(&text).map_err(|_| RootKeyError::Damaged(path.to_owned()))?;
        Self::parse(text).map_err(|_| RootKeyError::Damaged(path.to_owned()))
    }

    /// Writes a new key file with mode 0600, on disk when this returns.
    ///
    /// # Errors
    /// If there is a file already, or it cannot be written.
    pub fn write_new(&self, path: &Path) -> Result<(), RootKeyError> {
        let failed = |error| RootKeyError::File(path.to_owned(), error);
        let text = Zeroizing::new(STANDARD.encode(self.0.expose()) + "\n");
        let mut file = std::fs::OpenOptions::new()
            .write(true)
            .create_new(true)
            .mode(0o600)
            .open(path)
            .map_err(|error| match error.kind() == std::io::ErrorKind::AlreadyExists {
                true => RootKeyError::Exists(path.to_owned()),
                false => failed(error),
            })?;
        let written = file.write_all(text.as_bytes()).and_then(|()| file.sync_all());
        if written.is_err() {
            // It was made just now, and half a key is none. That it could not be written is what is told.
            std::fs::remove_file(path).ok();
        }
        written.map_err(failed)
    }

    pub(super) fn expose(&self) -> &[u8] {
        self.0.expose()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_file_is_for_its_owner_only_and_never_overwritten() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("root.key");
        let key = RootKey::generate().unwrap();
        key.write_new(&path).unwrap();
        assert_eq!(path.metadata().unwrap().permissions().mode() & 0o777, 0o600);
        assert_eq!(RootKey::load(&path).unwrap().expose(), key.expose());
        assert!(matches!(key.write_new(&path), Err(RootKeyError::Exists(_))));
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o640)).unwrap();
        assert!(matches!(RootKey::load(&path), Err(RootKeyError::Permissions(_))));
    }

    #[test]
    fn refuses_what_is_not_a_key() {
        for bad in [
            "",
            "AAAA",
            "not base64",
            &STANDARD.encode([0; 31]),
            &STANDARD.encode([0; 33]),
        ] {
            assert!(RootKey::parse(bad).is_err(), "{bad}");
        }
        assert!(!format!("{:?}", RootKey::generate().unwrap()).contains('['));
    }
}
