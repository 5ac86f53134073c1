//! Refusals: why a certificate was not taken, and what it claimed, for the audit record.

use postern_domain::{GatewayId, Grant, Identity, OrganizationId, Reason, Serial, SessionId, printable};
use postern_sshkey::Certificate;

use crate::certificate::{AltName, Parsed};
use crate::grant_der::{GRANT_OID, decode_grant};
use crate::profile::ORGANIZATION_OPTION;

/// What a refused certificate says of itself. Nobody vouches for any of it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Claimed {
    /// Its serial number.
    pub serial: Option<Serial>,
    /// Its organization.
    pub organization: Option<OrganizationId>,
    /// Its gateway.
    pub gateway: Option<GatewayId>,
    /// Its session.
    pub session: Option<SessionId>,
}

/// A certificate was refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{} {detail}", .reason.explanation())]
pub struct Refusal {
    /// Why, as a stable code.
    pub reason: Reason,
    /// Why, in words; fit for a terminal.
    pub detail: String,
    /// What the certificate claimed.
    pub claimed: Claimed,
}

/// A refusal in the making: the judge says why, the caller adds what was claimed.
#[derive(Debug)]
pub(crate) struct Denied {
    pub(crate) reason: Reason,
    pub(crate) detail: String,
}

/// Refuses, with foreign text made printable.
pub(crate) fn deny<T>(reason: Reason, detail: impl AsRef<str>) -> Result<T, Denied> {
    Err(Denied {
        reason,
        detail: printable(detail.as_ref()),
    })
}

impl Denied {
    pub(crate) fn claimed(self, claimed: Claimed) -> Refusal {
        Refusal {
            reason: self.reason,
            detail: self.detail,
            claimed,
        }
    }
}

impl Claimed {
    pub(crate) fn by(parsed: &Parsed<'_>) -> Self {
        let subject = parsed.subject();
        let name = |text: &&str| text.parse().ok();
        let mut out = Self {
            serial: Some(parsed.serial.clone()),
            organization: subject.organizations.first().and_then(|o| o.parse().ok()),
            gateway: subject.common_names.first().and_then(name),
            session: None,
        };
        let mut uris = parsed.names().into_iter().filter_map(|name| match name {
            AltName::Uri(uri) => uri.parse().ok(),
            AltName::Dns(_) | AltName::Address(_) | AltName::Other => None,
        });
        match uris.next() {
            Some(Identity::Session { session, .. }) => out.session = Some(session),
            Some(Identity::Gateway { gateway, .. }) => out.gateway = Some(gateway),
            Some(Identity::Relay { .. }) => out.gateway = None,
            None => {}
        }
        // On the inner leg the common name is the session's, an id like any other.
        let grant: Option<Grant> = parsed
            .extension(&GRANT_OID)
            .and_then(|der| decode_grant(der).ok());
        if let Some(grant) = grant {
            out.gateway = Some(grant.gateway);
        } else if out
            .session
            .is_some_and(|s| subject.common_names.contains(&&*s.to_string()))
        {
            out.gateway = None;
        }
        out
    }

    pub(crate) fn by_ssh(certificate: &Certificate) -> Self {
        let option = certificate
            .critical_options()
            .iter()
            .find(|(name, _)| name == ORGANIZATION_OPTION);
        Self {
            serial: Serial::from_be_bytes(&certificate.serial().to_be_bytes()),
            organization: option.and_then(|(_, data)| data.parse().ok()),
            gateway: certificate.principals().first().and_then(|p| p.parse().ok()),
            session: None,
        }
    }
}
