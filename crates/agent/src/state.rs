//! The state directory: keys, certificates, the last snapshot and the audit spool of one daemon.
//!
//! The directory has mode 0700 and its files 0600; one process holds it, by a lock that the kernel releases when
//! the process ends, however it ends. A file is replaced whole or not at all: written beside its old self, synced,
//! renamed over it, and the directory synced. A file that cannot be read is named in the error and left alone.
//!
//! | file | holds |
//! | --- | --- |
//! | `lock` | nothing; it is locked |
//! | `daemon.json` | who the daemon is, its three private keys, its certificates |
//! | `enrolling.json` | the keys of an enrollment whose answer has not arrived yet |
//! | `snapshot.json` | what the daemon last heard from the platform |
//! | `spool/<epoch>.jsonl` | audit records, see [`crate::Spool`] |

use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, Read as _, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, MetadataExt as _, OpenOptionsExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use rustix::fs::{FlockOperation, flock};
use serde::Serialize;
use serde::de::DeserializeOwned;
use zeroize::Zeroizing;

/// No file of ours is longer; a longer one is not ours.
const LONGEST: u64 = 64 << 20;
const PRIVATE: u32 = 0o600;

/// The state directory cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum StateError {
    /// Another process holds it.
    #[error("the state directory {} is in use by another process", path.display())]
    Locked {
        /// The directory.
        path: PathBuf,
    },
    /// Others than its owner may read or change it.
    #[error("{} is open to others (mode {mode:03o}): run chmod go= on it", path.display())]
    Open {
        /// The file or directory.
        path: PathBuf,
        /// Its permission bits.
        mode: u32,
    },
    /// The system refused.
    #[error("cannot {deed} {}: {source}", path.display())]
    Io {
        /// What was tried.
        deed: &'static str,
        /// The file or directory.
        path: PathBuf,
        /// Why not.
        source: io::Error,
    },
    /// A file's content is not what this program writes.
    #[error("{} is damaged: {detail}", path.display())]
    Corrupt {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        detail: String,
    },
}

impl StateError {
    pub(crate) fn io(deed: &'static str, path: &Path) -> impl FnOnce(io::Error) -> Self {
        let path = path.to_owned();
        move |source| Self::Io { deed, path, source }
    }
}

/// A locked state directory. Clones share the lock; it is released with the last one.
#[derive(Debug, Clone)]
pub struct StateDir {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    path: PathBuf,
    lock: File,
    /// Held while a file is replaced, so that two replacements never share a temporary file.
    replacing: Mutex<()>,
}

impl Drop for Inner {
    /// Releases the lock by name. Closing the file alone would leave it held for as long as a child process that
    /// is just being started has the file, too.
    fn drop(&mut self) {
        if let Err(error) = flock(&self.lock, FlockOperation::Unlock) {
            tracing::debug!(%error, "the state directory's lock ends with the process");
        }
    }
}

impl StateDir {
    /// Opens and locks the directory, making it if it does not exist.
    ///
    /// # Errors
    /// If another process holds it, if others than its owner may enter it, or if the system refuses.
    pub fn open(path: &Path) -> Result<Self, StateError> {
        let mut builder = DirBuilder::new();
        builder
            .recursive(true)
            .mode(0o700)
            .create(path)
            .map_err(StateError::io("make", path))?;
        refuse_open(path)?;
        let lock_path = path.join("lock");
        let lock = private_file(&lock_path, false).map_err(StateError::io("open", &lock_path))?;
        match flock(&lock, FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => {}
            Err(rustix::io::Errno::WOULDBLOCK) => {
                return Err(StateError::Locked {
                    path: path.to_owned(),
                });
            }
            Err(errno) => return Err(StateError::io("lock", &lock_path)(errno.into())),
        }
        Ok(Self {
            inner: Arc::new(Inner {
                path: path.to_owned(),
                lock,
                replacing: Mutex::new(()),
            }),
        })
    }

    /// Returns the directory's path.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.inner.path
    }

    /// Reads a file of JSON; `None` if there is no such file.
    pub(crate) fn load<T: DeserializeOwned>(&self, name: &str) -> Result<Option<T>, StateError> {
        let path = self.inner.path.join(name);
        let file = match File::open(&path) {
            Ok(file) => file,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(StateError::io("open", &path)(error)),
        };
        refuse_open(&path)?;
        let mut bytes = Zeroizing::new(Vec::new());
        file.take(LONGEST)
            .read_to_end(&mut bytes)
            .map_err(StateError::io("read", &path))?;
        match serde_json::from_slice(&bytes) {
            Ok(value) => Ok(Some(value)),
            Err(error) => Err(StateError::Corrupt {
                path,
                // The text of the error may quote the file, and the file may hold keys: name the place only.
                detail: format!(
                    "not what this program writes, at line {} column {}",
                    error.line(),
                    error.column()
                ),
            }),
        }
    }

    /// Replaces a file, or makes it, and returns once it is on the disk.
    pub(crate) fn save<T: Serialize>(&self, name: &str, value: &T) -> Result<(), StateError> {
        let path = self.inner.path.join(name);
        let bytes = serde_json::to_vec_pretty(value).map(Zeroizing::new);
        let bytes = bytes.map_err(|error| StateError::Io {
            deed: "encode",
            path: path.clone(),
            source: error.into(),
        })?;
        let _one_at_a_time = self
            .inner
            .replacing
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        let beside = self.inner.path.join(format!("{name}.new"));
        // What a crash left there may have another mode, and what somebody put there may be a link.
        match fs::remove_file(&beside) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                return Err(StateError::io("remove", &beside)(error));
            }
            Ok(()) | Err(_) => {}
        }
        let mut file = private_file(&beside, true).map_err(StateError::io("make", &beside))?;
        let replaced = file
            .write_all(&bytes)
            .and_then(|()| file.sync_all())
            .map_err(StateError::io("write", &beside))
            .and_then(|()| fs::rename(&beside, &path).map_err(StateError::io("replace", &path)));
        if replaced.is_err() {
            // Half of a file is of no use, and may hold a key. That it could not be written is what is told.
            fs::remove_file(&beside).ok();
        }
        replaced?;
        sync_directory(&self.inner.path)
    }

    /// Removes a file, if it is there.
    pub(crate) fn remove(&self, name: &str) -> Result<(), StateError> {
        let path = self.inner.path.join(name);
        match fs::remove_file(&path) {
            Ok(()) => sync_directory(&self.inner.path),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
            Err(error) => Err(StateError::io("remove", &path)(error)),
        }
    }

    /// Says that a file's content, though well-formed, contradicts itself.
    pub(crate) fn corrupt(&self, name: &str, detail: impl Into<String>) -> StateError {
        StateError::Corrupt {
            path: self.inner.path.join(name),
            detail: detail.into(),
        }
    }

    /// Returns a directory within, made if it does not exist.
    pub(crate) fn directory(&self, name: &str) -> Result<PathBuf, StateError> {
        let path = self.inner.path.join(name);
        match DirBuilder::new().mode(0o700).create(&path) {
            Ok(()) => sync_directory(&self.inner.path)?,
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
            Err(error) => return Err(StateError::io("make", &path)(error)),
        }
        refuse_open(&path)?;
        Ok(path)
    }
}

/// Opens a file for its owner alone, never through a symbolic link; made if it does not exist, or refused unless it
/// is `new`.
pub(crate) fn private_file(path: &Path, new: bool) -> io::Result<File> {
    OpenOptions::new()
        .read(true)
        .write(true)
        .create(true)
        .create_new(new)
        .mode(PRIVATE)
        .custom_flags(i32::try_from(rustix::fs::OFlags::NOFOLLOW.bits()).unwrap_or_default())
        .open(path)
}

/// Makes the names in a directory durable.
pub(crate) fn sync_directory(path: &Path) -> Result<(), StateError> {
    File::open(path)
        .and_then(|directory| directory.sync_all())
        .map_err(StateError::io("sync", path))
}

/// Refuses what others may read or change. A directory that is ours and empty is closed instead.
fn refuse_open(path: &Path) -> Result<(), StateError> {
    let metadata = fs::metadata(path).map_err(StateError::io("look at", path))?;
    let mode = metadata.mode() & 0o777;
    if mode & 0o077 == 0 {
        return Ok(());
    }
    let empty = metadata.is_dir() && fs::read_dir(path).is_ok_and(|mut entries| entries.next().is_none());
    if empty && fs::set_permissions(path, fs::Permissions::from_mode(0o700)).is_ok() {
        return Ok(());
    }
    Err(StateError::Open {
        path: path.to_owned(),
        mode,
    })
}

#[cfg(test)]
mod tests;
