//! The key of a record: (reporter, spool epoch, number). The platform stores each key once.

use std::fmt;
use std::str::FromStr;

use postern_domain::{DaemonId, SpoolEpoch};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// A text is not a reporter.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not a reporter: expected platform, relay:<id> or gateway:<id>")]
pub struct ParseReporterError;

/// Who wrote a record. Text form `platform`, `relay:<id>` or `gateway:<id>`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Reporter {
    /// The platform.
    Platform,
    /// A relay or a gateway.
    Daemon(DaemonId),
}

impl From<DaemonId> for Reporter {
    fn from(daemon: DaemonId) -> Self {
        Self::Daemon(daemon)
    }
}

impl fmt::Display for Reporter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Platform => f.write_str("platform"),
            Self::Daemon(id) => id.fmt(f),
        }
    }
}

impl FromStr for Reporter {
    type Err = ParseReporterError;

    fn from_str(text: &str) -> Result<Self, ParseReporterError> {
        if text == "platform" {
            return Ok(Self::Platform);
        }
        text.parse::<DaemonId>()
            .map(Self::from)
            .map_err(|_| ParseReporterError)
    }
}

impl Serialize for Reporter {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Reporter {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = std::borrow::Cow::<str>::deserialize(deserializer)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}

/// Names one record for ever. Numbers are gapless within an epoch, beginning at 1.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct RecordKey {
    /// Who wrote it.
    pub reporter: Reporter,
    /// The life of the spool that it was written to.
    pub epoch: SpoolEpoch,
    /// Its place in that epoch, from 1.
    pub number: u64,
}

impl fmt::Display for RecordKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}/{}", self.reporter, self.epoch, self.number)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use postern_domain::{GatewayId, RelayId, Timestamp};

    #[test]
    fn reporters_have_one_text_form() {
        let now = Timestamp::from_unix_seconds(1);
        for reporter in [
            Reporter::Platform,
            Reporter::Daemon(DaemonId::Relay(RelayId::generate(now))),
            Reporter::Daemon(DaemonId::Gateway(GatewayId::generate(now))),
        ] {
            assert_eq!(reporter.to_string().parse(), Ok(reporter));
        }
        for bad in ["", "Platform", "gateway:", "user:x"] {
            assert_eq!(bad.parse::<Reporter>(), Err(ParseReporterError), "{bad}");
        }
    }
}
