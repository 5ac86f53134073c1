//! Judging SSH certificates, whose authority's signature `sshkey` has verified: a gateway at its relay, a
//! relay's host certificate at the gateway. The order is that of the X.509 judge: authority, validity, usage,
//! names, options, revocation.

use postern_domain::{
    AuthorityRole, DaemonId, GatewayId, Host, Identity, OrganizationId, Port, Reason, RelayId, Scope, Serial,
    Target, Timestamp,
};
use postern_sshkey::{Certificate, CertificateKind};

use crate::identify::Identified;
use crate::issue_ssh::ssh_validity;
use crate::peer::{Authority, Certified, VerifiedPeer, check_validity};
use crate::pin::pin_of_ssh_key;
use crate::profile::{MOST_RELAYS, ORGANIZATION_OPTION, RELAYS_OPTION, title};
use crate::refusal::{Claimed, Denied, Refusal, deny};
use crate::{FreshTrust, Trust};

/// Judges a gateway that authenticates to `relay`, owned by `scope`, as the SSH user `user`. The caller has
/// seen that the certificate's key signed this SSH session.
///
/// # Errors
/// Says why the certificate is refused.
pub fn judge_gateway(
    certificate: &Certificate,
    user: &str,
    relay: RelayId,
    scope: Scope,
    trust: &FreshTrust<'_>,
    now: Timestamp,
) -> Result<VerifiedPeer, Refusal> {
    let trust = trust.get();
    let role = AuthorityRole::RelaySshClient;
    let judged =
        certify(certificate, (scope, role), CertificateKind::User, trust, now).and_then(|certified| {
            let identified = gateway(certificate, user, relay, scope, trust)?;
            conclude(identified, certified, (scope, role), trust)
        });
    judged.map_err(|denied| denied.claimed(Claimed::by_ssh(certificate)))
}

/// Judges the host certificate of a relay that was dialled as `host` and `port`.
///
/// # Errors
/// Says why the certificate is refused.
pub fn judge_relay_host(
    certificate: &Certificate,
    (host, port): (&Host, Port),
    relay: RelayId,
    scope: Scope,
    trust: &FreshTrust<'_>,
    now: Timestamp,
) -> Result<VerifiedPeer, Refusal> {
    let trust = trust.get();
    let role = AuthorityRole::RelaySshServer;
    let judged =
        certify(certificate, (scope, role), CertificateKind::Host, trust, now).and_then(|certified| {
            let identified = relay_host(certificate, (host, port), relay, scope, trust)?;
            conclude(identified, certified, (scope, role), trust)
        });
    judged.map_err(|denied| denied.claimed(Claimed::by_ssh(certificate)))
}

/// Authority, validity, type and form.
fn certify(
    certificate: &Certificate,
    (owner, role): (Scope, AuthorityRole),
    kind: CertificateKind,
    trust: &Trust,
    now: Timestamp,
) -> Result<Certified, Denied> {
    let issuer = certificate.signature_key();
    let Some(serial) = Serial::from_be_bytes(&certificate.serial().to_be_bytes()) else {
        return deny(Reason::CertificateMalformed, "its serial number is zero");
    };
    let mut signers = trust.ssh.iter().filter(|anchor| anchor.key == *issuer).peekable();
    let named = |role, owner| format!("{} of {owner}", title(role, owner));
    let first = signers.peek().map(|anchor| named(anchor.role, anchor.owner));
    if !signers.any(|anchor| anchor.owner == owner && anchor.role == role) {
        let expected = named(role, owner);
        return match first {
            Some(other) => deny(
                Reason::WrongAuthority,
                format!("{other} issued it; expected {expected}"),
            ),
            None => deny(
                Reason::UnknownAuthority,
                format!("the key {} issued it; expected {expected}", issuer.fingerprint()),
            ),
        };
    }
    let validity = ssh_validity(certificate.valid_after(), certificate.valid_before());
    check_validity(validity, "the certificate", now)?;
    if certificate.kind() != kind {
        let detail = match kind {
            CertificateKind::User => "it is a host's certificate, not a user's",
            CertificateKind::Host => "it is a user's certificate, not a host's",
        };
        return deny(Reason::WrongUsage, detail);
    }
    if certificate.valid_before() == u64::MAX {
        return deny(
            Reason::CertificateMalformed,
            "it never ends, and such are never issued",
        );
    }
    if !certificate.extensions().is_empty() {
        return deny(
            Reason::CertificateMalformed,
            "it has extensions, which are never issued",
        );
    }
    Ok(Certified {
        serial,
        validity,
        key: pin_of_ssh_key(certificate.key()),
        issuer: pin_of_ssh_key(issuer),
    })
}

fn gateway(
    certificate: &Certificate,
    user: &str,
    relay: RelayId,
    scope: Scope,
    trust: &Trust,
) -> Result<Identified, Denied> {
    let [principal] = certificate.principals() else {
        return deny(Reason::WrongName, "it has not exactly one principal");
    };
    let Ok(gateway) = principal.parse::<GatewayId>() else {
        return deny(
            Reason::WrongName,
            format!("\"{principal}\" is not the id of a gateway"),
        );
    };
    if user != principal {
        return deny(
            Reason::WrongName,
            format!("it is for {principal}, and \"{user}\" presented it"),
        );
    }
    if certificate.key_id() != DaemonId::Gateway(gateway).to_string() {
        let key_id = certificate.key_id();
        return deny(
            Reason::WrongName,
            format!("its key id is \"{key_id}\", not that of its principal"),
        );
    }
    let (organization, relays) = options(certificate)?;
    if let Some(own) = scope.organization().filter(|own| *own != organization) {
        let detail = format!("it belongs to {organization}, the relay to {own}");
        return deny(Reason::WrongOrganization, detail);
    }
    if !relays.contains(&relay) {
        return deny(Reason::WrongRelay, format!("it does not name relay {relay}"));
    }
    Ok(Identified {
        identity: Identity::Gateway {
            instance: trust.instance,
            organization,
            gateway,
        },
        gateway: Some(gateway),
        grant: None,
        session_expires: None,
    })
}

/// Reads the two critical options: both must be there, once each, and no other.
fn options(certificate: &Certificate) -> Result<(OrganizationId, Vec<RelayId>), Denied> {
    let (mut organization, mut relays) = (None, None);
    for (name, data) in certificate.critical_options() {
        let fresh = match &**name {
            ORGANIZATION_OPTION => organization.replace(data).is_none(),
            RELAYS_OPTION => relays.replace(data).is_none(),
            _ => {
                return deny(
                    Reason::CriticalOption,
                    format!("it has the unknown option \"{name}\""),
                );
            }
        };
        if !fresh {
            return deny(Reason::CriticalOption, format!("it has the option {name} twice"));
        }
    }
    let (Some(organization), Some(relays)) = (organization, relays) else {
        let detail = format!("it lacks {ORGANIZATION_OPTION} or {RELAYS_OPTION}");
        return deny(Reason::CriticalOption, detail);
    };
    let Ok(organization) = organization.parse() else {
        let detail = format!("{ORGANIZATION_OPTION} is \"{organization}\", no organization's id");
        return deny(Reason::CriticalOption, detail);
    };
    let ids: Result<Vec<RelayId>, _> = relays.split(',').take(MOST_RELAYS + 1).map(str::parse).collect();
    match ids {
        Ok(ids) if ids.len() <= MOST_RELAYS => Ok((organization, ids)),
        Ok(_) | Err(_) => deny(
            Reason::CriticalOption,
            format!("{RELAYS_OPTION} is \"{relays}\", not the ids of one to three relays"),
        ),
    }
}

fn relay_host(
    certificate: &Certificate,
    (host, port): (&Host, Port),
    relay: RelayId,
    scope: Scope,
    trust: &Trust,
) -> Result<Identified, Denied> {
    let target = Target {
        host: host.clone(),
        port,
    };
    let dialled = [host.to_string(), target.to_string()];
    if !certificate.principals().iter().any(|p| dialled.contains(p)) {
        return deny(Reason::WrongName, format!("it is not for {target}"));
    }
    if !certificate.critical_options().is_empty() {
        return deny(
            Reason::CriticalOption,
            "it has critical options, and a relay's has none",
        );
    }
    match certificate.key_id().parse() {
        Ok(DaemonId::Relay(id)) if id == relay => {}
        Ok(DaemonId::Relay(_) | DaemonId::Gateway(_)) | Err(_) => {
            let detail = format!("its key id is \"{}\", not relay {relay}", certificate.key_id());
            return deny(Reason::WrongRelay, detail);
        }
    }
    Ok(Identified {
        identity: Identity::Relay {
            instance: trust.instance,
            scope,
            relay,
        },
        gateway: None,
        grant: None,
        session_expires: None,
    })
}

fn conclude(
    identified: Identified,
    certified: Certified,
    (owner, role): (Scope, AuthorityRole),
    trust: &Trust,
) -> Result<VerifiedPeer, Denied> {
    let authority = Authority {
        owner,
        role,
        root: None,
    };
    let peer = VerifiedPeer::new(identified, certified, authority);
    peer.check_revocation(trust, None)?;
    Ok(peer)
}
