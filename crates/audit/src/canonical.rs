//! The canonical encoding of a record: the bytes that are spooled, shipped, hashed and verified.
//!
//! One JSON object in the form of RFC 8785 (JCS): no white space, members sorted by name, UTF-8 with only `"`,
//! `\` and control characters escaped. Members are strings, but for `count`, `number`, `bytes_up`, `bytes_down`
//! and `v`, which are integers, and `source_claimed`, which is `true`. Absent members are left out: `count` where
//! it is 1, `source_claimed` where it is false, and every other that has no value. Always there are `action`,
//! `epoch`, `hop`, `number`, `outcome`, `reporter`, `time` and `v`, the version of this encoding, 1.
//!
//! Two records are the same exactly if their bytes are. Bytes that decode but are not what encoding gives
//! (another order, a spare space, an unknown member, `count` written as 1) are refused.

use std::borrow::Cow;

use postern_domain::{
    Actor, GatewayId, OrganizationId, ProjectId, Reason, RelayId, ResourceId, Serial, SessionId, SpoolEpoch,
    Timestamp,
};
use serde::{Deserialize, Serialize};

use crate::{Event, Hop, Outcome, RecordKey, Reporter, Source};

/// The version of the encoding.
const VERSION: u8 = 1;
/// The longest encoding of a record, in bytes. What [`Event`]'s constructors make stays below.
pub const LONGEST: usize = 4096;
const LONGEST_ACTION: usize = 64;

/// Bytes are not a record.
#[derive(Debug, thiserror::Error)]
pub enum DecodeError {
    /// They are longer than any record.
    #[error("the record is longer than {LONGEST} bytes")]
    TooLong,
    /// They are not JSON, or a member is missing, unknown or malformed.
    #[error("the record cannot be read: {0}")]
    Malformed(#[from] serde_json::Error),
    /// They are of another version.
    #[error("the record is of version {0}, which is unknown here")]
    Version(u8),
    /// A member has a value that is never written.
    #[error("the record's {0} has a value that is never written")]
    Member(&'static str),
    /// They are not in canonical form.
    #[error("the record is not in canonical form")]
    NotCanonical,
}

/// An event with its key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Record {
    /// Names it.
    pub key: RecordKey,
    /// What happened.
    pub event: Event,
}

/// The members in the order in which they are written: sorted by name.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Wire<'a> {
    action: Cow<'a, str>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    actor: Option<Actor>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    bytes_down: Option<u64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    bytes_up: Option<u64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    certificate: Option<Cow<'a, Serial>>,
    #[serde(default = "one", skip_serializing_if = "is_one")]
    count: u64,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    detail: Option<Cow<'a, str>>,
    epoch: SpoolEpoch,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    first: Option<Timestamp>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    gateway: Option<GatewayId>,
    hop: Hop,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    last: Option<Timestamp>,
    number: u64,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    organization: Option<OrganizationId>,
    outcome: Outcome,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    project: Option<ProjectId>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    reason: Option<Reason>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    relay: Option<RelayId>,
    reporter: Reporter,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    resource: Option<ResourceId>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    session: Option<SessionId>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    source: Option<String>,
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    source_claimed: bool,
    time: Timestamp,
    v: u8,
}

const fn one() -> u64 {
    1
}

const fn is_one(count: &u64) -> bool {
    *count == 1
}

impl Record {
    /// Returns the record's canonical bytes, without a line feed.
    #[must_use]
    pub fn to_canonical(&self) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(512);
        encode(&self.key, &self.event, &mut bytes);
        bytes
    }

    /// Reads canonical bytes.
    ///
    /// # Errors
    /// Refuses whatever [`Self::to_canonical`] does not write.
    pub fn from_canonical(bytes: &[u8]) -> Result<Self, DecodeError> {
        if bytes.len() > LONGEST {
            return Err(DecodeError::TooLong);
        }
        let record = Self::from_wire(serde_json::from_slice(bytes)?)?;
        if record.to_canonical() == bytes {
            Ok(record)
        } else {
            Err(DecodeError::NotCanonical)
        }
    }

    fn from_wire(wire: Wire<'_>) -> Result<Self, DecodeError> {
        let word = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_' || b == b'.';
        if wire.v != VERSION {
            return Err(DecodeError::Version(wire.v));
        }
        if wire.action.is_empty() || wire.action.len() > LONGEST_ACTION || !wire.action.bytes().all(word) {
            return Err(DecodeError::Member("action"));
        }
        if wire
            .detail
            .as_ref()
            .is_some_and(|d| d.chars().any(char::is_control))
        {
            return Err(DecodeError::Member("detail"));
        }
        if wire.count == 0 {
            return Err(DecodeError::Member("count"));
        }
        let source = wire.source.as_deref();
        let source = source
            .map(|text| Source::parse(text, wire.source_claimed))
            .transpose();
        let event = Event {
            time: wire.time,
            hop: wire.hop,
            action: Cow::Owned(wire.action.into_owned()),
            outcome: wire.outcome,
            reason: wire.reason,
            detail: wire.detail.map(Cow::into_owned),
            actor: wire.actor,
            organization: wire.organization,
            project: wire.project,
            gateway: wire.gateway,
            relay: wire.relay,
            resource: wire.resource,
            session: wire.session,
            certificate: wire.certificate.map(Cow::into_owned),
            source: source.map_err(|_| DecodeError::Member("source"))?,
            count: wire.count,
            first: wire.first,
            last: wire.last,
            bytes_up: wire.bytes_up,
            bytes_down: wire.bytes_down,
        };
        let key = RecordKey {
            reporter: wire.reporter,
            epoch: wire.epoch,
            number: wire.number,
        };
        Ok(Self { key, event })
    }
}

/// Appends the canonical bytes of `event` under `key`, for a sink that writes many records at once.
pub fn encode(key: &RecordKey, event: &Event, into: &mut Vec<u8>) {
    let wire = Wire {
        action: Cow::Borrowed(&event.action),
        actor: event.actor,
        bytes_down: event.bytes_down,
        bytes_up: event.bytes_up,
        certificate: event.certificate.as_ref().map(Cow::Borrowed),
        count: event.count,
        detail: event.detail.as_deref().map(Cow::Borrowed),
        epoch: key.epoch,
        first: event.first,
        gateway: event.gateway,
        hop: event.hop,
        last: event.last,
        number: key.number,
        organization: event.organization,
        outcome: event.outcome,
        project: event.project,
        reason: event.reason,
        relay: event.relay,
        reporter: key.reporter,
        resource: event.resource,
        session: event.session,
        source: event.source.map(|s| s.to_string()),
        source_claimed: event.source.is_some_and(|s| s.claimed),
        time: event.time,
        v: VERSION,
    };
    // Writing strings and integers to memory has no way to fail.
    if serde_json::to_writer(&mut *into, &wire).is_err() {
        debug_assert!(false, "a record always encodes");
    }
}

#[cfg(test)]
mod tests;
