//! `postern login`, `logout` and `whoami`.

use std::io::{IsTerminal as _, Read as _};
use std::path::{Path, PathBuf};

use anyhow::{Context as _, bail};
use postern_agent::{Api, PlatformAddress};
use postern_api::{PasswordLogin, Token, UniversalLogin, Whoami};
use postern_domain::Secret;
use postern_transport::Clock;

use crate::args::Login;
use crate::home::{Home, SavedLogin};
use crate::output::{Output, Show};
use crate::remote::Remote;

/// Secrets are words: longer input is a mistake.
const LONGEST_SECRET: u64 = 4096;

impl Show for Whoami {
    const HEADS: &'static [&'static str] = &["actor", "name", "role", "organization", "login ends"];

    fn cells(&self) -> Vec<String> {
        vec![
            self.actor.to_string(),
            self.name.clone(),
            self.role.as_str().into(),
            self.organization
                .map_or_else(|| "none: the instance".into(), |id| id.to_string()),
            self.expires.to_string(),
        ]
    }
}

/// Logs in and keeps the login.
pub(crate) async fn login(args: Login, home: &Home, clock: &Clock, out: Output) -> anyhow::Result<()> {
    let before = home.load().ok().flatten();
    let known = before.map(|login| PlatformAddress {
        target: login.platform,
        pins: login.pins,
    });
    let address = match (args.platform, args.pin, known) {
        (Some(target), pins, _) if !pins.is_empty() => PlatformAddress { target, pins },
        (Some(target), _, Some(known)) if known.target == target => known,
        (None, pins, Some(known)) if pins.is_empty() => known,
        (None, pins, Some(known)) => PlatformAddress { pins, ..known },
        (Some(_), _, _) => {
            bail!("give --pin: the platform is known by its key, as postern-platform init printed it")
        }
        (None, _, None) => {
            bail!("give --platform HOST:PORT and --pin sha256/…, as postern-platform init printed them")
        }
    };
    let api = Api::new(address.clone(), clock.clone());
    let (_, clocks) = api.server_time().await?;
    if let Err(skew) = clocks {
        bail!(skew);
    }
    let token = match (args.client_id, args.user) {
        (Some(client_id), _) => {
            let client_secret = secret("POSTERN_CLIENT_SECRET", "Client secret: ", args.secret_file)?;
            api.log_in_universal(&UniversalLogin {
                client_id,
                client_secret,
            })
            .await?
        }
        (None, Some(user)) => {
            let password = secret("POSTERN_PASSWORD", "Password: ", args.secret_file)?;
            api.log_in_password(&PasswordLogin { user, password }).await?
        }
        (None, None) => bail!("give --client-id ID (a machine identity) or --user NAME"),
    };
    let Token {
        access_token,
        expires,
        ..
    } = token;
    let login = SavedLogin {
        platform: address.target,
        pins: address.pins,
        token: Some(access_token.clone()),
        expires: Some(expires),
    };
    home.save(&login)?;
    out.one(&api.whoami(&access_token).await?)
}

/// Forgets the token; the platform's address and pins stay known.
pub(crate) fn logout(home: &Home) -> anyhow::Result<()> {
    match home.load()? {
        Some(login) => home.save(&SavedLogin {
            token: None,
            expires: None,
            ..login
        }),
        None => Ok(()),
    }
}

/// Says who is logged in.
pub(crate) async fn whoami(remote: &Remote, out: Output) -> anyhow::Result<()> {
    out.one(&remote.api.whoami(&remote.token).await?)
}

/// Reads a secret from where it may come from; never from the command line, which others can see.
fn secret(variable: &str, prompt: &str, file: Option<PathBuf>) -> anyhow::Result<Secret<String>> {
    if let Some(file) = file {
        return from_file(&file);
    }
    match std::env::var(variable) {
        Ok(value) if !value.is_empty() => return Ok(Secret::new(value)),
        Err(std::env::VarError::NotUnicode(_)) => bail!("{variable} is not text"),
        Ok(_) | Err(std::env::VarError::NotPresent) => (),
    }
    if !std::io::stdin().is_terminal() {
        bail!("no secret: set {variable}, or give --secret-file FILE (- for standard input)");
    }
    rpassword::prompt_password(prompt)
        .map(Secret::new)
        .context("the terminal cannot be read")
}

fn from_file(file: &Path) -> anyhow::Result<Secret<String>> {
    let mut text = Secret::new(Vec::new());
    let read = if file == Path::new("-") {
        std::io::stdin()
            .lock()
            .take(LONGEST_SECRET + 1)
            .read_to_end(text.expose_mut())
    } else {
        std::fs::File::open(file)
            .and_then(|open| open.take(LONGEST_SECRET + 1).read_to_end(text.expose_mut()))
    };
    let length = read.with_context(|| format!("{} cannot be read", file.display()))?;
    if length as u64 > LONGEST_SECRET {
        bail!("{} is too long to be a secret", file.display());
    }
    let text =
        std::str::from_utf8(text.expose()).with_context(|| format!("{} is not text", file.display()))?;
    Ok(Secret::new(text.trim_end_matches(['\r', '\n']).to_owned()))
}
