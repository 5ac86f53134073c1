//! Events: what one attempt was and how it came out. Who reports it and its number come from the sink.

use std::borrow::Cow;

use postern_domain::{
    Actor, GatewayId, OrganizationId, ProjectId, Reason, RelayId, ResourceId, Serial, SessionId, Timestamp,
    printable,
};
use serde::{Deserialize, Serialize};

use crate::Source;

/// The place at which the attempt was judged.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Hop {
    /// The platform's HTTP API.
    Api,
    /// A relay's SSH port, judging a gateway.
    RelaySsh,
    /// A relay's TLS port, judging a client.
    RelayTls,
    /// A gateway's end of the tunnel, judging a relay.
    GatewayTunnel,
    /// A gateway's end of the inner session, judging a client.
    GatewayInner,
    /// A gateway, judging and dialling a target.
    Target,
    /// A client, judging a relay or a gateway.
    Client,
}

/// How an attempt came out.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    /// It was let through.
    Allowed,
    /// It was refused.
    Refused,
    /// It was let through and did not succeed.
    Failed,
    /// What had been let through is over.
    Ended,
}

/// One attempt, or several alike that were folded into one record. Foreign text enters through
/// [`postern_domain::printable`] only and is bounded by it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Event {
    /// When it was judged, by the reporter's clock.
    pub time: Timestamp,
    /// Where it was judged.
    pub hop: Hop,
    /// What was attempted: words in lower case, joined by underscores and dots, such as `tunnel.open`.
    pub action: Cow<'static, str>,
    /// How it came out.
    pub outcome: Outcome,
    /// Why; absent where there is nothing to explain.
    pub reason: Option<Reason>,
    /// More for a person.
    pub detail: Option<String>,
    /// Who attempted it.
    pub actor: Option<Actor>,
    /// The organization; a record without one belongs to the instance.
    pub organization: Option<OrganizationId>,
    /// The project.
    pub project: Option<ProjectId>,
    /// The gateway.
    pub gateway: Option<GatewayId>,
    /// The relay.
    pub relay: Option<RelayId>,
    /// The resource.
    pub resource: Option<ResourceId>,
    /// The session.
    pub session: Option<SessionId>,
    /// The serial number of the certificate that was presented or issued.
    pub certificate: Option<Serial>,
    /// Where it came from.
    pub source: Option<Source>,
    /// How many attempts it stands for, at least 1.
    pub count: u64,
    /// The first of several.
    pub first: Option<Timestamp>,
    /// The last of several.
    pub last: Option<Timestamp>,
    /// Bytes from the client to the target.
    pub bytes_up: Option<u64>,
    /// Bytes from the target to the client.
    pub bytes_down: Option<u64>,
}

impl Event {
    /// Says that an attempt was let through.
    #[must_use]
    pub const fn allowed(hop: Hop, action: &'static str, now: Timestamp) -> Self {
        Self::new(hop, action, Outcome::Allowed, None, now)
    }

    /// Says that an attempt was refused, and why.
    #[must_use]
    pub const fn refused(hop: Hop, action: &'static str, reason: Reason, now: Timestamp) -> Self {
        Self::new(hop, action, Outcome::Refused, Some(reason), now)
    }

    /// Says that what was let through did not succeed, and why.
    #[must_use]
    pub const fn failed(hop: Hop, action: &'static str, reason: Reason, now: Timestamp) -> Self {
        Self::new(hop, action, Outcome::Failed, Some(reason), now)
    }

    /// Says that what had been let through is over.
    #[must_use]
    pub const fn ended(hop: Hop, action: &'static str, now: Timestamp) -> Self {
        Self::new(hop, action, Outcome::Ended, None, now)
    }

    const fn new(
        hop: Hop,
        action: &'static str,
        outcome: Outcome,
        reason: Option<Reason>,
        time: Timestamp,
    ) -> Self {
        Self {
            time,
            hop,
            action: Cow::Borrowed(action),
            outcome,
            reason,
            detail: None,
            actor: None,
            organization: None,
            project: None,
            gateway: None,
            relay: None,
            resource: None,
            session: None,
            certificate: None,
            source: None,
            count: 1,
            first: None,
            last: None,
            bytes_up: None,
            bytes_down: None,
        }
    }

    /// Adds why; for an end that has a reason.
    #[must_use]
    pub const fn with_reason(mut self, reason: Reason) -> Self {
        self.reason = Some(reason);
        self
    }

    /// Adds text for a person, escaped and bounded.
    #[must_use]
    pub fn with_detail(mut self, detail: &str) -> Self {
        self.detail = Some(printable(detail));
        self
    }

    /// Adds who attempted it.
    #[must_use]
    pub const fn with_actor(mut self, actor: Actor) -> Self {
        self.actor = Some(actor);
        self
    }

    /// Adds the organization, if there is one.
    #[must_use]
    pub fn with_organization(mut self, organization: impl Into<Option<OrganizationId>>) -> Self {
        self.organization = organization.into();
        self
    }

    /// Adds the project, if there is one.
    #[must_use]
    pub fn with_project(mut self, project: impl Into<Option<ProjectId>>) -> Self {
        self.project = project.into();
        self
    }

    /// Adds the gateway, if there is one.
    #[must_use]
    pub fn with_gateway(mut self, gateway: impl Into<Option<GatewayId>>) -> Self {
        self.gateway = gateway.into();
        self
    }

    /// Adds the relay, if there is one.
    #[must_use]
    pub fn with_relay(mut self, relay: impl Into<Option<RelayId>>) -> Self {
        self.relay = relay.into();
        self
    }

    /// Adds the resource, if there is one.
    #[must_use]
    pub fn with_resource(mut self, resource: impl Into<Option<ResourceId>>) -> Self {
        self.resource = resource.into();
        self
    }

    /// Adds the session, if there is one.
    #[must_use]
    pub fn with_session(mut self, session: impl Into<Option<SessionId>>) -> Self {
        self.session = session.into();
        self
    }

    /// Adds the certificate's serial number, if there is one.
    #[must_use]
    pub fn with_certificate(mut self, serial: impl Into<Option<Serial>>) -> Self {
        self.certificate = serial.into();
        self
    }

    /// Adds where it came from.
    #[must_use]
    pub const fn with_source(mut self, source: Source) -> Self {
        self.source = Some(source);
        self
    }

    /// Adds how many bytes went from the client to the target, and back.
    #[must_use]
    pub const fn with_bytes(mut self, up: u64, down: u64) -> Self {
        self.bytes_up = Some(up);
        self.bytes_down = Some(down);
        self
    }

    /// Makes it stand for `count` attempts alike.
    #[must_use]
    pub const fn folded(mut self, count: u64, first: Timestamp, last: Timestamp) -> Self {
        self.count = count;
        self.first = Some(first);
        self.last = Some(last);
        self
    }
}
