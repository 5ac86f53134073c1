//! `postern-platform init`: makes the root key, the store with the instance's authorities and its first
//! administrator, and the configuration file. It never touches what is there already.

use std::fmt::Write as _;
use std::fs;
use std::io::{self, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

use aws_lc_rs::rand;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use postern_domain::{Host, InstanceId, Name, Pin, Secret, Target, Timestamp};
use zeroize::Zeroizing;

use crate::config::{Config, FILE};
use crate::keys::{RootKey, RootKeyError};
use crate::{FirstAdministrator, OpenError, Platform, Settings};

/// The instance was not made.
#[derive(Debug, thiserror::Error)]
pub enum InitError {
    /// There is something already.
    #[error("{0} exists already: an instance is made once; nothing was touched")]
    Exists(PathBuf),
    /// The directory or a file in it cannot be made.
    #[error("{0} cannot be made")]
    File(PathBuf, #[source] io::Error),
    /// The root key cannot be made.
    #[error(transparent)]
    RootKey(#[from] RootKeyError),
    /// The store cannot be made.
    #[error(transparent)]
    Open(#[from] OpenError),
}

/// What a new instance begins with.
#[derive(Debug)]
pub struct InitOptions {
    /// The first administrator's name.
    pub admin: Name,
    /// The first administrator's password, at least 12 bytes; absent: a random one is made.
    pub password: Option<Secret<String>>,
    /// Where daemons reach the platform.
    pub public_address: Option<Target>,
    /// Names in the HTTPS certificate, before those that are there by default.
    pub hosts: Vec<Host>,
}

impl Default for InitOptions {
    fn default() -> Self {
        Self {
            #[expect(clippy::expect_used, reason = "a literal that is a name")]
            admin: "admin".parse().expect("a name"),
            password: None,
            public_address: None,
            hosts: Vec::new(),
        }
    }
}

/// A new instance.
#[derive(Debug)]
pub struct Initialized {
    /// The data directory.
    pub directory: PathBuf,
    /// The instance.
    pub instance: InstanceId,
    /// The first administrator's name.
    pub admin: Name,
    /// The first administrator's password, if it was made here; it is nowhere else.
    pub password: Option<Secret<String>>,
    /// The keys that the platform's HTTPS certificate may chain to.
    pub pins: Vec<Pin>,
}

impl Platform {
    /// Makes a new instance in a directory, which is made if it is not there.
    ///
    /// # Errors
    /// If there is an instance already, or something cannot be made; what was begun is taken away again.
    pub async fn init(
        directory: &Path,
        options: InitOptions,
        now: Timestamp,
    ) -> Result<Initialized, InitError> {
        let config = Config::for_data_directory(directory);
        let (store, root_key) = (&config.store.path, &config.keys.root_key_file);
        for file in [store, root_key] {
            if file.exists() {
                return Err(InitError::Exists(file.clone()));
            }
        }
        fs::DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(directory)
            .map_err(|e| InitError::File(directory.to_owned(), e))?;
        let (password, made) = match options.password {
            Some(password) => (password, None),
            None => {
                let password = random_password()?;
                (password.clone(), Some(password))
            }
        };
        let root = RootKey::generate()?;
        root.write_new(root_key)?;
        let administrator = FirstAdministrator {
            name: options.admin.clone(),
            password,
        };
        let created = Self::create(store, &root, administrator, Settings::default(), now).await;
        let platform = match created {
            Ok(platform) => platform,
            Err(error) => {
                undo(store, root_key);
                return Err(error.into());
            }
        };
        let (instance, pins) = (platform.instance().id, platform.pins().to_vec());
        platform.close().await;
        if let Err(error) = write_configuration(directory, options.public_address.as_ref(), &options.hosts) {
            undo(store, root_key);
            return Err(error);
        }
        Ok(Initialized {
            directory: directory.to_owned(),
            instance,
            admin: options.admin,
            password: made,
            pins,
        })
    }
}

/// Takes away what this run made. Both files were not there when it began.
fn undo(store: &Path, root_key: &Path) {
    let beside = |suffix: &str| {
        let mut name = store.as_os_str().to_owned();
        name.push(suffix);
        PathBuf::from(name)
    };
    for file in [
        beside("-wal"),
        beside("-shm"),
        store.to_owned(),
        root_key.to_owned(),
    ] {
        if let Err(error) = fs::remove_file(&file)
            && error.kind() != io::ErrorKind::NotFound
        {
            tracing::warn!(file = %file.display(), %error, "cannot be removed");
        }
    }
}

fn random_password() -> Result<Secret<String>, RootKeyError> {
    let mut bytes = Zeroizing::new([0; 18]);
    rand::fill(&mut *bytes).map_err(|_| RootKeyError::NoRandomness)?;
    Ok(Secret::new(URL_SAFE_NO_PAD.encode(*bytes)))
}

/// Writes the configuration file, unless there is one.
fn write_configuration(
    directory: &Path,
    public_address: Option<&Target>,
    hosts: &[Host],
) -> Result<(), InitError> {
    let mut text =
        String::from("# The platform's configuration. All keys: examples/platform.toml.\n\n[server]\n");
    let mut all = Config::default().server.hosts;
    all.retain(|host| !hosts.contains(host));
    let all: Vec<String> = hosts
        .iter()
        .chain(&all)
        .map(|host| format!("{:?}", host.to_string()))
        .collect();
    let lines = [
        public_address.map(|address| format!("public_address = \"{address}\"\n")),
        Some(format!("hosts = [{}]\n", all.join(", "))),
    ];
    text.extend(lines.into_iter().flatten());
    let path = directory.join(FILE);
    let opened = fs::OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(&path);
    let written = match opened {
        Ok(mut file) => {
            let written = file.write_all(text.as_bytes()).and_then(|()| file.sync_all());
            if written.is_err() {
                // It was made just now. That it could not be written is what is told.
                fs::remove_file(&path).ok();
            }
            written
        }
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(()),
        Err(error) => Err(error),
    };
    written.map_err(|e| InitError::File(path, e))
}

impl Initialized {
    /// Returns what the operator is told, once: it may hold the password.
    #[must_use]
    pub fn report(&self) -> Secret<String> {
        let mut text = format!(
            "Made instance {} in {}.\n\n",
            self.instance,
            self.directory.display()
        );
        let pins: Vec<String> = self.pins.iter().map(ToString::to_string).collect();
        let mut line = |label: &str, value: &str| {
            // Writing to a string does not fail.
            writeln!(text, "  {label:<16} {value}").ok();
        };
        line("administrator", self.admin.as_str());
        if let Some(password) = &self.password {
            line("password", password.expose());
        }
        line("platform pin", &pins.join(" "));
        text.push_str(&format!(
            "\nThe password is shown this once. Keep a copy of root.key apart from copies of platform.db.\n\n\
             Next:\n  postern-platform serve --data {}\n  \
             postern login --platform HOST:PORT --pin {} --user {}\n",
            self.directory.display(),
            pins.first().map_or("PIN", String::as_str),
            self.admin,
        ));
        Secret::new(text)
    }
}
