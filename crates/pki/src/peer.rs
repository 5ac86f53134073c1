//! Verified peers: the proof that a certificate was judged for a leg, and what it said. A live connection
//! asks it again and again whether it still holds.

use postern_domain::{
    AuthorityRole, GatewayId, Grant, Identity, OrganizationId, Pin, Reason, Scope, Serial, SessionId,
    Timestamp, Validity,
};

use crate::identify::Identified;
use crate::profile::title;
use crate::refusal::{Claimed, Denied, Refusal, deny};
use crate::{FreshTrust, TlsAnchor, Trust};

/// What the certificate itself is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Certified {
    pub(crate) serial: Serial,
    pub(crate) validity: Validity,
    pub(crate) key: Pin,
    pub(crate) issuer: Pin,
}

/// Who issued it. An SSH authority has no root.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Authority {
    pub(crate) owner: Scope,
    pub(crate) role: AuthorityRole,
    pub(crate) root: Option<Pin>,
}

/// A peer whose certificate was judged for the leg it was presented on. Made by [`crate::judge`],
/// [`crate::judge_gateway`] and [`crate::judge_relay_host`] only.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct VerifiedPeer {
    identity: Identity,
    gateway: Option<GatewayId>,
    grant: Option<Grant>,
    session_expires: Option<Timestamp>,
    certified: Certified,
    authority: Authority,
}

impl VerifiedPeer {
    pub(crate) fn new(identified: Identified, certified: Certified, authority: Authority) -> Self {
        Self {
            identity: identified.identity,
            gateway: identified.gateway,
            grant: identified.grant,
            session_expires: identified.session_expires,
            certified,
            authority,
        }
    }

    /// Returns who the peer is: a relay, a gateway, or, for a client, its session.
    #[must_use]
    pub const fn identity(&self) -> &Identity {
        &self.identity
    }

    /// Returns the peer's organization; an instance's relay has none.
    #[must_use]
    pub const fn organization(&self) -> Option<OrganizationId> {
        self.identity.organization()
    }

    /// Returns the gateway that the peer is, or that it may reach.
    #[must_use]
    pub const fn gateway(&self) -> Option<GatewayId> {
        self.gateway
    }

    /// Returns the grant of a client on the inner leg.
    #[must_use]
    pub const fn grant(&self) -> Option<&Grant> {
        self.grant.as_ref()
    }

    /// Returns the session of a client.
    #[must_use]
    pub const fn session(&self) -> Option<SessionId> {
        match self.identity {
            Identity::Session { session, .. } => Some(session),
            Identity::Relay { .. } | Identity::Gateway { .. } => None,
        }
    }

    /// Returns the end of a client's session.
    #[must_use]
    pub const fn session_expires(&self) -> Option<Timestamp> {
        self.session_expires
    }

    /// Returns the certificate's serial number.
    #[must_use]
    pub const fn serial(&self) -> &Serial {
        &self.certified.serial
    }

    /// Returns the certificate's validity.
    #[must_use]
    pub const fn validity(&self) -> Validity {
        self.certified.validity
    }

    /// Returns the pin of the peer's key.
    #[must_use]
    pub const fn key(&self) -> Pin {
        self.certified.key
    }

    /// Returns the pin of the key that issued the certificate.
    #[must_use]
    pub const fn issuer(&self) -> Pin {
        self.certified.issuer
    }

    /// Returns the name of the authority that issued the certificate, such as "Organization Gateway Server
    /// CA".
    #[must_use]
    pub fn issuer_title(&self) -> String {
        title(self.authority.role, self.authority.owner)
    }

    /// Returns the moment from which it holds no more by itself: the end of a client's session, or the first
    /// moment after a daemon's certificate. Revocation may end it before.
    #[must_use]
    pub fn ends(&self) -> Timestamp {
        self.session_expires.unwrap_or_else(|| {
            Timestamp::from_millis(self.certified.validity.not_after.as_millis().saturating_add(1))
        })
    }

    /// Judges a live connection again. A client's certificate bounds its handshake only, so a session holds
    /// until it expires; a daemon holds while its certificate is valid. Both end when an authority above them
    /// is no longer trusted, not valid any more, or revoked, and when the certificate or its key is.
    ///
    /// # Errors
    /// Says why it holds no more.
    pub fn still_holds(&self, trust: &FreshTrust<'_>, now: Timestamp) -> Result<(), Refusal> {
        self.judge_again(trust.get(), now).map_err(|denied| {
            denied.claimed(Claimed {
                serial: Some(self.certified.serial.clone()),
                organization: self.organization(),
                gateway: self.gateway,
                session: self.session(),
            })
        })
    }

    fn judge_again(&self, trust: &Trust, now: Timestamp) -> Result<(), Denied> {
        if trust.instance != self.identity.instance() {
            return deny(Reason::UnknownAuthority, "trust is of another instance");
        }
        let anchor = self.anchor(trust)?;
        match self.session_expires {
            Some(expires) => check_session(expires, now)?,
            None => check_validity(self.certified.validity, "the certificate", now)?,
        }
        if let Some(authority) = anchor.and_then(|anchor| anchor.out_of_time(now)) {
            check_validity(authority.validity(), authority.title(), now)?;
        }
        self.check_revocation(trust, anchor)
    }

    /// Finds the anchor that the peer was judged under; an SSH authority is found, but has none.
    fn anchor<'t>(&self, trust: &'t Trust) -> Result<Option<&'t TlsAnchor>, Denied> {
        let Authority { owner, role, root } = self.authority;
        let issuer = self.certified.issuer;
        let gone = || {
            deny(
                Reason::UnknownAuthority,
                format!(
                    "{} with key {issuer} is not trusted any more",
                    self.issuer_title()
                ),
            )
        };
        let Some(root) = root else {
            let known = |a: &crate::SshAnchor| a.owner == owner && a.role == role && a.pin() == issuer;
            return if trust.ssh.iter().any(known) {
                Ok(None)
            } else {
                gone()
            };
        };
        let found = trust.tls.iter().find(|a| {
            let keys = (a.issuer().pin(), a.root().pin());
            a.owner() == owner && a.role() == role && keys == (issuer, root)
        });
        found.map_or_else(gone, |anchor| Ok(Some(anchor)))
    }

    /// Step 8 of the judge.
    pub(crate) fn check_revocation(&self, trust: &Trust, anchor: Option<&TlsAnchor>) -> Result<(), Denied> {
        let Certified {
            serial, key, issuer, ..
        } = &self.certified;
        let revoked = &trust.revoked;
        if revoked.contains_certificate(*issuer, serial) {
            return deny(Reason::Revoked, format!("certificate {serial} was revoked"));
        }
        if revoked.contains_key(*key) {
            return deny(Reason::Revoked, format!("key {key} was revoked"));
        }
        if revoked.contains_key(*issuer) {
            return deny(Reason::Revoked, format!("{} was revoked", self.issuer_title()));
        }
        let Some(anchor) = anchor else { return Ok(()) };
        let root = anchor.root();
        if revoked.contains_certificate(root.pin(), anchor.issuer().serial()) {
            return deny(Reason::Revoked, format!("{} was revoked", anchor.title()));
        }
        if revoked.contains_key(root.pin()) || revoked.contains_certificate(root.pin(), root.serial()) {
            return deny(Reason::Revoked, format!("{} was revoked", root.title()));
        }
        Ok(())
    }
}

/// Holds a validity against the clock.
pub(crate) fn check_validity(validity: Validity, whose: &str, now: Timestamp) -> Result<(), Denied> {
    if now > validity.not_after {
        let detail = format!("{whose} was valid until {}; now is {now}", validity.not_after);
        return deny(Reason::CertificateExpired, detail);
    }
    if now < validity.not_before {
        let detail = format!("{whose} is valid from {}; now is {now}", validity.not_before);
        return deny(Reason::CertificateNotYetValid, detail);
    }
    Ok(())
}

/// Holds a session's end against the clock: at that moment it is over.
pub(crate) fn check_session(expires: Timestamp, now: Timestamp) -> Result<(), Denied> {
    if now < expires {
        Ok(())
    } else {
        deny(
            Reason::SessionExpired,
            format!("the session ended at {expires}; now is {now}"),
        )
    }
}
