//! Issuing SSH certificates: a relay's host certificate and a gateway's user certificate.

use postern_domain::{DaemonId, Serial, Timestamp, Validity};
use postern_sshkey::{Certificate, CertificateKind, CertificateSpec};

use crate::issue::{IssueError, whole_seconds};
use crate::profile::{BACK_DATING, LeafProfile, ORGANIZATION_OPTION, RELAYS_OPTION};
use crate::{Lifetimes, SshAuthority, SshLeaf, VerifiedRequest};

/// An issued SSH certificate.
#[derive(Debug, Clone)]
pub struct IssuedSsh {
    /// The certificate.
    pub certificate: Certificate,
    /// The certificate as one line.
    pub line: String,
    /// Its validity; the last valid moment is the millisecond before the second that the certificate names.
    pub validity: Validity,
}

/// Issues an SSH certificate with the lifetime of the profile table.
///
/// # Errors
/// See [`issue_ssh_with`].
pub fn issue_ssh(
    authority: &SshAuthority,
    leaf: &SshLeaf,
    request: &VerifiedRequest,
    serial: &Serial,
    now: Timestamp,
) -> Result<IssuedSsh, IssueError> {
    issue_ssh_with(authority, leaf, request, serial, now, &Lifetimes::default())
}

/// Issues an SSH certificate. Its public key is the request's; every name is the leaf's.
///
/// # Errors
/// Fails if the authority is not the one for this leaf, if the request is one for another kind of daemon, if
/// the leaf breaks a rule of the profile table, and if the serial number is longer than 8 bytes.
pub fn issue_ssh_with(
    authority: &SshAuthority,
    leaf: &SshLeaf,
    request: &VerifiedRequest,
    serial: &Serial,
    now: Timestamp,
    lifetimes: &Lifetimes,
) -> Result<IssuedSsh, IssueError> {
    let kind = leaf.kind();
    let is_its_own =
        authority.role() == LeafProfile::of(kind).signer && leaf.may_be_signed_by(authority.owner());
    if !is_its_own {
        return Err(IssueError::Authority(authority.title()));
    }
    let key = match request.ssh_key() {
        Some(key) if request.is_for(kind) => key.clone(),
        Some(_) | None => return Err(IssueError::Request),
    };
    if let Some(fault) = leaf.fault() {
        return Err(IssueError::Leaf(fault));
    }
    let valid_after = now.minus(BACK_DATING).as_unix_seconds();
    let valid_before = now.plus(lifetimes.of(kind)).as_unix_seconds();
    let (certificate_kind, daemon, critical_options) = match leaf {
        SshLeaf::Relay { relay, .. } => (CertificateKind::Host, DaemonId::Relay(*relay), Vec::new()),
        SshLeaf::Gateway {
            gateway,
            organization,
            relays,
        } => {
            let relays: Vec<String> = relays.iter().map(ToString::to_string).collect();
            // OpenSSH demands that options are sorted by name.
            let options = vec![
                (String::from(ORGANIZATION_OPTION), organization.to_string()),
                (String::from(RELAYS_OPTION), relays.join(",")),
            ];
            (CertificateKind::User, DaemonId::Gateway(*gateway), options)
        }
    };
    let spec = CertificateSpec {
        kind: certificate_kind,
        key,
        serial: serial.as_u64().ok_or(IssueError::Serial)?,
        key_id: daemon.to_string(),
        principals: leaf.principals(),
        valid_after,
        valid_before,
        critical_options,
    };
    let certificate = spec
        .sign(authority.key())
        .map_err(|e| IssueError::Encoding(e.to_string()))?;
    Ok(IssuedSsh {
        line: certificate.to_openssh(),
        validity: ssh_validity(valid_after, valid_before),
        certificate,
    })
}

/// Says an SSH certificate's validity in our words: OpenSSH counts its end as the first moment that is not
/// valid.
pub(crate) fn ssh_validity(valid_after: u64, valid_before: u64) -> Validity {
    let end = whole_seconds(Timestamp::from_unix_seconds(valid_before));
    Validity {
        not_before: Timestamp::from_unix_seconds(valid_after),
        not_after: Timestamp::from_millis(end.as_millis().saturating_sub(1)),
    }
}
