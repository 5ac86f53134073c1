//! Reasons: the stable codes that say why something was refused or ended, one table for audit records, the
//! `postern-reason` header, problem details and the command line.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

macro_rules! reasons {
    ($($(#[doc = $doc:literal])+ $name:ident = $code:literal)+) => {
        /// Why something was refused or ended. Codes are stable: one is added, none changes its meaning.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        #[non_exhaustive]
        pub enum Reason {
            $($(#[doc = $doc])+ $name,)+
        }

        impl Reason {
            /// Every reason, in the order of documentation.
            pub const ALL: &[Self] = &[$(Self::$name),+];

            /// Returns the stable code.
            #[must_use]
            pub const fn code(self) -> &'static str {
                match self {
                    $(Self::$name => $code,)+
                }
            }

            /// Returns a sentence for a person: what is wrong, in the words of the glossary.
            #[must_use]
            pub fn explanation(self) -> &'static str {
                match self {
                    $(Self::$name => concat!($($doc),+).trim_ascii_start(),)+
                }
            }
        }
    };
}

reasons! {
    /// No certificate was presented.
    NoCertificate = "no_certificate"
    /// The certificate cannot be read, or has a form that is never issued.
    CertificateMalformed = "certificate_malformed"
    /// The certificate was not issued by an authority that is trusted here.
    UnknownAuthority = "unknown_authority"
    /// The certificate was issued by an authority that is trusted for another role.
    WrongAuthority = "wrong_authority"
    /// The signature does not verify.
    BadSignature = "bad_signature"
    /// The certificate has expired.
    CertificateExpired = "certificate_expired"
    /// The certificate is not valid yet.
    CertificateNotYetValid = "certificate_not_yet_valid"
    /// The certificate is for another use.
    WrongUsage = "wrong_usage"
    /// The certificate names somebody else.
    WrongName = "wrong_name"
    /// The certificate belongs to another organization.
    WrongOrganization = "wrong_organization"
    /// The certificate is for another gateway.
    WrongGateway = "wrong_gateway"
    /// The certificate is not for this relay.
    WrongRelay = "wrong_relay"
    /// The certificate's key is not one of those that were announced.
    KeyNotPinned = "key_not_pinned"
    /// The certificate, its key or its authority was revoked.
    Revoked = "revoked"
    /// The certificate carries no grant.
    GrantMissing = "grant_missing"
    /// The certificate's grant cannot be read.
    GrantMalformed = "grant_malformed"
    /// The certificate has a critical option that is unknown, or lacks one that is demanded.
    CriticalOption = "critical_option"
    /// The authentication method is not offered; only a certificate of the right authority is.
    MethodNotOffered = "method_not_offered"
    /// A bare key was presented where a certificate is demanded.
    BareKey = "bare_key"
    /// The channel or request is not the tunnel's own.
    RequestNotOffered = "request_not_offered"
    /// The project is not mapped to this gateway.
    ProjectNotMapped = "project_not_mapped"
    /// The resource is not approved in this project, or does not exist.
    ResourceNotApproved = "resource_not_approved"
    /// The grant does not name the resource.
    ResourceNotGranted = "resource_not_granted"
    /// The resource has changed since the grant was made.
    ResourceChanged = "resource_changed"
    /// The session has reached its end.
    SessionExpired = "session_expired"
    /// The session was terminated.
    SessionTerminated = "session_terminated"
    /// What is known of revocations and policy is too old to go by.
    TrustStale = "trust_stale"
    /// The clock is too far from the platform's.
    ClockSkew = "clock_skew"
    /// The target's address is forbidden.
    TargetForbidden = "target_forbidden"
    /// The gateway's local rules forbid the target.
    LocalRule = "local_rule"
    /// The target's name could not be resolved.
    NameNotResolved = "name_not_resolved"
    /// The target could not be reached.
    TargetUnreachable = "target_unreachable"
    /// The target did not answer in time.
    TargetTimeout = "target_timeout"
    /// The target refused the connection.
    TargetRefused = "target_refused"
    /// The gateway has no tunnel to the relay.
    GatewayOffline = "gateway_offline"
    /// The organization, gateway or source has reached its limit.
    OverQuota = "over_quota"
    /// The server is about to stop and takes no new connections.
    Draining = "draining"
    /// The handshake did not finish in time.
    HandshakeTimeout = "handshake_timeout"
    /// The handshake failed.
    HandshakeFailed = "handshake_failed"
    /// The peer broke the protocol.
    ProtocolViolation = "protocol_violation"
    /// The connection was lost.
    ConnectionLost = "connection_lost"
    /// The other side refused without saying why.
    Refused = "refused"
    /// The request carries no credential that is accepted.
    Unauthenticated = "unauthenticated"
    /// The actor may not do this.
    Forbidden = "forbidden"
    /// There is no such thing, or it is not yours.
    NotFound = "not_found"
    /// The request is not well-formed.
    InvalidRequest = "invalid_request"
    /// The request is well-formed but cannot be met.
    Unprocessable = "unprocessable"
    /// It exists already, or is still in use.
    Conflict = "conflict"
    /// Too many requests.
    RateLimited = "rate_limited"
    /// The request is too large.
    TooLarge = "too_large"
    /// The credential has expired.
    CredentialExpired = "credential_expired"
    /// The statement or token was used before.
    Replayed = "replayed"
    /// The record could not be written, so nothing was done.
    NotRecorded = "not_recorded"
    /// The service is not available now.
    Unavailable = "unavailable"
    /// Something went wrong inside; the log has the cause.
    Internal = "internal"
}

/// A text is not the code of a reason.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not the code of a reason")]
pub struct ParseReasonError;

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.code())
    }
}

impl FromStr for Reason {
    type Err = ParseReasonError;

    fn from_str(text: &str) -> Result<Self, ParseReasonError> {
        Self::ALL
            .iter()
            .copied()
            .find(|r| r.code() == text)
            .ok_or(ParseReasonError)
    }
}

impl Serialize for Reason {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.code())
    }
}

impl<'de> Deserialize<'de> for Reason {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        crate::text::deserialize_from_str(deserializer)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn codes_are_unique_and_parse_back() {
        let codes: BTreeSet<_> = Reason::ALL.iter().map(|r| r.code()).collect();
        assert_eq!(codes.len(), Reason::ALL.len());
        assert!(Reason::ALL.iter().all(|r| r.code().parse() == Ok(*r)));
        assert_eq!(
            Reason::Revoked.explanation(),
            "The certificate, its key or its authority was revoked."
        );
    }
}
