//! Names that people give to organizations, projects, gateways, relays, identities and resources.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// A text cannot be a name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not a name: expected 1 to 63 lower-case letters, digits and inner hyphens, such as billing-db")]
pub struct ParseNameError;

/// A name: 1 to 63 characters of `a-z`, `0-9` and `-`, neither starting nor ending with a hyphen, and not of
/// the shape of an id, so that a command line may take either.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Name(Box<str>);

impl Name {
    /// Returns the name's text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for Name {
    type Err = ParseNameError;

    fn from_str(text: &str) -> Result<Self, ParseNameError> {
        let allowed = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-';
        let shape = (1..=63).contains(&text.len())
            && text.bytes().all(allowed)
            && !text.starts_with('-')
            && !text.ends_with('-');
        if shape && uuid::Uuid::try_parse(text).is_err() {
            Ok(Self(text.into()))
        } else {
            Err(ParseNameError)
        }
    }
}

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

impl fmt::Debug for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&*self.0, f)
    }
}

impl Serialize for Name {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.0)
    }
}

impl<'de> Deserialize<'de> for Name {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        crate::text::deserialize_from_str(deserializer)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn takes_host_label_names_and_nothing_else() {
        for good in ["a", "billing-db", "7", &"x".repeat(63)] {
            assert!(good.parse::<Name>().is_ok(), "{good}");
        }
        let id = "01890a5d-ac96-774b-bcce-b302099a8057";
        for bad in [
            "",
            "-a",
            "a-",
            "A",
            "a b",
            "a\u{0}",
            "ä",
            "a/b",
            "a\x1b[2J",
            id,
            &"x".repeat(64),
        ] {
            assert_eq!(bad.parse::<Name>(), Err(ParseNameError), "{bad:?}");
        }
    }
}
