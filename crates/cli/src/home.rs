//! Where a login is kept: `login.json` in a directory that only its owner can enter.

use std::fs::{DirBuilder, OpenOptions};
use std::io::Write as _;
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::PathBuf;

use anyhow::{Context as _, bail};
use postern_domain::{Pin, Secret, Target, Timestamp};
use serde::{Deserialize, Serialize};

use crate::exit::NotLoggedIn;

/// A login: where the platform is, by which keys it is known, and an access token with its end.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SavedLogin {
    /// The platform's address.
    pub platform: Target,
    /// The keys of its Platform Root.
    pub pins: Vec<Pin>,
    /// The token; absent after a logout.
    pub token: Option<Secret<String>>,
    /// When the token ends.
    pub expires: Option<Timestamp>,
}

/// The directory.
#[derive(Debug, Clone)]
pub struct Home {
    directory: PathBuf,
}

impl Home {
    /// Chooses the directory: what was asked for, else `$XDG_CONFIG_HOME/postern`, else `~/.config/postern`.
    ///
    /// # Errors
    /// There is no home directory.
    pub fn choose(asked: Option<PathBuf>) -> anyhow::Result<Self> {
        let by_variable = |name: &str| {
            std::env::var_os(name)
                .filter(|v| !v.is_empty())
                .map(PathBuf::from)
        };
        let directory = asked
            .or_else(|| by_variable("XDG_CONFIG_HOME").map(|config| config.join("postern")))
            .or_else(|| by_variable("HOME").map(|home| home.join(".config/postern")))
            .context("no home directory is known: give --home")?;
        Ok(Self { directory })
    }

    fn file(&self) -> PathBuf {
        self.directory.join("login.json")
    }

    /// Reads the login, if there is one.
    ///
    /// # Errors
    /// The file cannot be read or is damaged.
    pub fn load(&self) -> anyhow::Result<Option<SavedLogin>> {
        let file = self.file();
        match std::fs::read(&file) {
            Ok(text) => {
                let login = serde_json::from_slice(&text);
                login
                    .map(Some)
                    .with_context(|| format!("{} is damaged: log in again", file.display()))
            }
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error).with_context(|| format!("{} cannot be read", file.display())),
        }
    }

    /// Reads the login and its token, which must not be over at `now`.
    ///
    /// # Errors
    /// There is none, or it is over.
    pub fn require(&self, now: Timestamp) -> anyhow::Result<(SavedLogin, Secret<String>)> {
        let Some(login) = self.load()? else {
            bail!(NotLoggedIn)
        };
        let Some(token) = login.token.clone() else {
            bail!(NotLoggedIn)
        };
        if login.expires.is_some_and(|end| end <= now) {
            return Err(anyhow::Error::new(NotLoggedIn).context("the login is over"));
        }
        Ok((login, token))
    }

    /// Writes the login: whole or not at all, mode 0600.
    ///
    /// # Errors
    /// The directory or file cannot be written.
    pub fn save(&self, login: &SavedLogin) -> anyhow::Result<()> {
        let file = self.file();
        let shown = file.display();
        DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(&self.directory)
            .with_context(|| format!("{} cannot be made", self.directory.display()))?;
        let aside = self.directory.join(format!(".login.{}", std::process::id()));
        let text = Secret::new(serde_json::to_vec_pretty(login)?);
        let write = || {
            let mut out = OpenOptions::new()
                .write(true)
                .create(true)
                .truncate(true)
                .mode(0o600)
                .open(&aside)?;
            out.write_all(text.expose())?;
            out.sync_all()?;
            std::fs::rename(&aside, &file)
        };
        let written = write();
        if written.is_err() {
            // Half of a file is of no use. That it could not be written is what is told.
            std::fs::remove_file(&aside).ok();
        }
        written.with_context(|| format!("{shown} cannot be written"))
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    #[test]
    fn keeps_a_login_that_only_its_owner_can_read() {
        let place = tempfile::tempdir().unwrap();
        let home = Home::choose(Some(place.path().join("postern"))).unwrap();
        let now = Timestamp::from_unix_seconds(10);
        assert!(
            home.require(now)
                .unwrap_err()
                .downcast_ref::<NotLoggedIn>()
                .is_some()
        );
        let login = SavedLogin {
            platform: "platform.example:8080".parse().unwrap(),
            pins: vec![Pin::from_digest([1; 32])],
            token: Some(Secret::new("t".into())),
            expires: Some(Timestamp::from_unix_seconds(11)),
        };
        home.save(&login).unwrap();
        assert_eq!(home.require(now).unwrap().1.expose(), "t");
        assert!(
            home.require(Timestamp::from_unix_seconds(11)).is_err(),
            "the token is over"
        );
        let mode = |path| std::fs::metadata(path).unwrap().permissions().mode() & 0o777;
        assert_eq!((mode(home.file()), mode(home.directory.clone())), (0o600, 0o700));
    }

    #[test]
    fn names_a_damaged_file() {
        let place = tempfile::tempdir().unwrap();
        std::fs::write(place.path().join("login.json"), "{").unwrap();
        let home = Home::choose(Some(place.path().into())).unwrap();
        assert!(format!("{:#}", home.load().unwrap_err()).contains("login.json is damaged"));
    }
}
