//! Where the configuration comes from: the file and the environment under the names that errors show.

use figment::error::Kind;
use figment::value::{Dict, Map, Value};
use figment::{Metadata, Profile, Provider};

/// The sections that are ours; other daemons on the host have theirs.
const SECTIONS: [&str; 5] = ["server", "store", "keys", "log", "limits"];

/// The configuration cannot be used. The exit code is 2, and nothing was bound.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("configuration: {place}: {key}: {what}")]
pub struct ConfigError {
    /// The file, the environment or the flags.
    pub place: String,
    /// The key, with its section.
    pub key: String,
    /// What is wrong with it.
    pub what: String,
}

/// Turns figment's error into ours: source, key, what.
pub(super) fn explain(error: &figment::Error) -> ConfigError {
    let place = error
        .metadata
        .as_ref()
        .map_or_else(|| "built-in".to_owned(), |m| m.name.to_string());
    let mut key = error.path.clone();
    let mut what = error.kind.to_string();
    if let Kind::UnknownField(field, expected) = &error.kind {
        if key.last() != Some(field) {
            key.push(field.clone());
        }
        what = format!("unknown key; known are {}", expected.join(", "));
    }
    let key = if key.is_empty() {
        "the whole".to_owned()
    } else {
        key.join(".")
    };
    ConfigError { place, key, what }
}

/// A provider under the name that errors are to show.
pub(super) struct Named<P> {
    pub(super) inner: P,
    pub(super) name: String,
}

impl<P: Provider> Provider for Named<P> {
    fn metadata(&self) -> Metadata {
        Metadata::named(self.name.clone())
    }

    fn data(&self) -> Result<Map<Profile, Dict>, figment::Error> {
        self.inner.data()
    }
}

/// `POSTERN_<SECTION>__<KEY>` for our own sections; other daemons on the host have theirs.
pub(super) struct Environment(Dict);

impl Environment {
    pub(super) fn of(variables: impl Iterator<Item = (String, String)>) -> Self {
        let mut sections = Dict::new();
        for (name, value) in variables {
            let Some((section, key)) = name.strip_prefix("POSTERN_").and_then(|n| n.split_once("__")) else {
                continue;
            };
            let section = section.to_ascii_lowercase();
            if !SECTIONS.contains(&section.as_str()) {
                continue;
            }
            let Ok(value) = value.parse::<Value>();
            let dict = sections
                .entry(section)
                .or_insert_with(|| Value::from(Dict::new()));
            if let Value::Dict(_, keys) = dict {
                keys.insert(key.to_ascii_lowercase(), value);
            }
        }
        Self(sections)
    }
}

impl Provider for Environment {
    fn metadata(&self) -> Metadata {
        Metadata::named("environment (POSTERN_<SECTION>__<KEY>)")
    }

    fn data(&self) -> Result<Map<Profile, Dict>, figment::Error> {
        Ok(Map::from([(Profile::Default, self.0.clone())]))
    }
}
