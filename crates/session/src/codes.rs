//! How a reason travels in the inner session: as a private HTTP/2 error code in GOAWAY and RST_STREAM, as a
//! status with the header `postern-reason` in a response. Codes and statuses are stable.

use postern_domain::Reason;

/// The header that carries the stable code of a reason.
pub const REASON_HEADER: &str = "postern-reason";

/// Private error codes are this base, the ASCII of "PO" and "S" in the upper three bytes, plus a number.
const BASE: u32 = 0x504f_5300;

/// The number of each reason that a session or stream can end with. A number is never used twice.
const NUMBERS: &[(u8, Reason)] = &[
    (0x01, Reason::Refused),
    (0x02, Reason::NoCertificate),
    (0x03, Reason::CertificateMalformed),
    (0x04, Reason::UnknownAuthority),
    (0x05, Reason::WrongAuthority),
    (0x06, Reason::BadSignature),
    (0x07, Reason::CertificateExpired),
    (0x08, Reason::CertificateNotYetValid),
    (0x09, Reason::WrongUsage),
    (0x0a, Reason::WrongName),
    (0x0b, Reason::WrongOrganization),
    (0x0c, Reason::WrongGateway),
    (0x0d, Reason::KeyNotPinned),
    (0x0e, Reason::Revoked),
    (0x0f, Reason::GrantMissing),
    (0x10, Reason::GrantMalformed),
    (0x11, Reason::ProjectNotMapped),
    (0x12, Reason::ResourceNotApproved),
    (0x13, Reason::ResourceNotGranted),
    (0x14, Reason::ResourceChanged),
    (0x15, Reason::SessionExpired),
    (0x16, Reason::SessionTerminated),
    (0x17, Reason::TrustStale),
    (0x18, Reason::ClockSkew),
    (0x19, Reason::TargetForbidden),
    (0x1a, Reason::LocalRule),
    (0x1b, Reason::OverQuota),
    (0x1c, Reason::Draining),
    (0x1d, Reason::HandshakeTimeout),
    (0x1e, Reason::ProtocolViolation),
    (0x1f, Reason::ConnectionLost),
    (0x20, Reason::NotRecorded),
    (0x21, Reason::Unavailable),
    (0x22, Reason::Internal),
    (0x23, Reason::RequestNotOffered),
    (0x24, Reason::TargetUnreachable),
    (0x25, Reason::TargetTimeout),
    (0x26, Reason::TargetRefused),
];

/// Returns the HTTP/2 error code that says this reason; the code of [`Reason::Refused`] for a reason without one.
#[must_use]
pub fn error_code(reason: Reason) -> u32 {
    let number = NUMBERS
        .iter()
        .find(|(_, r)| *r == reason)
        .map_or(0x01, |(n, _)| *n);
    BASE + u32::from(number)
}

/// Returns the reason that an HTTP/2 error code says. Codes that are not ours are read as RFC 9113 section 7
/// means them; `None` is for those that only say that a stream or session is over.
#[must_use]
pub fn reason_of(code: u32) -> Option<Reason> {
    match code {
        0x1 | 0x3..=0x6 | 0x9 | 0xb => Some(Reason::ProtocolViolation),
        0x2 => Some(Reason::Internal),
        0x7 => Some(Reason::Refused),
        _ => NUMBERS
            .iter()
            .find(|(n, _)| BASE + u32::from(*n) == code)
            .map(|(_, r)| *r),
    }
}

/// Returns the HTTP status with which a gateway answers a stream that it refuses for this reason.
#[must_use]
#[expect(
    clippy::wildcard_enum_match_arm,
    reason = "reasons are many and become more; whatever has no status of its own is forbidden"
)]
pub const fn status_of(reason: Reason) -> u16 {
    match reason {
        Reason::InvalidRequest => 400,
        Reason::RequestNotOffered => 405,
        Reason::OverQuota | Reason::RateLimited => 429,
        Reason::Internal => 500,
        Reason::TargetUnreachable | Reason::TargetRefused | Reason::NameNotResolved => 502,
        Reason::Draining | Reason::Unavailable | Reason::NotRecorded | Reason::TrustStale => 503,
        Reason::TargetTimeout => 504,
        _ => 403,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn codes_are_unique_and_read_back() {
        let numbers: BTreeSet<_> = NUMBERS.iter().map(|(n, _)| n).collect();
        assert_eq!(numbers.len(), NUMBERS.len());
        for (_, reason) in NUMBERS {
            assert_eq!(reason_of(error_code(*reason)), Some(*reason));
        }
    }

    #[test]
    fn codes_never_change() {
        assert_eq!(error_code(Reason::Refused), 0x504f_5301);
        assert_eq!(error_code(Reason::SessionExpired), 0x504f_5315);
        assert_eq!(error_code(Reason::TargetRefused), 0x504f_5326);
    }

    #[test]
    fn a_reason_without_a_code_says_refused() {
        assert_eq!(reason_of(error_code(Reason::Replayed)), Some(Reason::Refused));
        assert_eq!(reason_of(0x0), None);
        assert_eq!(reason_of(0x8), None);
        assert_eq!(reason_of(0x504f_53ff), None);
    }

    #[test]
    fn statuses_are_those_of_the_protocol() {
        assert_eq!(status_of(Reason::ResourceNotGranted), 403);
        assert_eq!(status_of(Reason::OverQuota), 429);
        assert_eq!(status_of(Reason::TargetRefused), 502);
        assert_eq!(status_of(Reason::TargetTimeout), 504);
    }
}
