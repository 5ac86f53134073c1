//! Whom a certificate speaks of: its names, held against the leg and against each other. Called only by the
//! judge, after the chain was verified.

use postern_domain::{
    GatewayId, Grant, Host, Identity, InstanceId, OrganizationId, Pin, Reason, RelayId, Scope, SessionId,
    Timestamp,
};

use crate::certificate::{AltName, Parsed, Subject};
use crate::grant_der::{GRANT_OID, SESSION_EXPIRES_OID, decode_grant, decode_session_expires};
use crate::leaf::relay_common_name;
use crate::peer::check_session;
use crate::profile::MOST_PINS;
use crate::refusal::{Denied, deny};
use crate::{Leg, TlsAnchor};

/// What a certificate says of its holder, found right.
pub(crate) struct Identified {
    pub(crate) identity: Identity,
    pub(crate) gateway: Option<GatewayId>,
    pub(crate) grant: Option<Grant>,
    pub(crate) session_expires: Option<Timestamp>,
}

/// Steps 6 and 7 of the judge.
pub(crate) fn identify(
    leg: &Leg,
    parsed: &Parsed<'_>,
    anchor: &TlsAnchor,
    instance: InstanceId,
    now: Timestamp,
) -> Result<Identified, Denied> {
    let subject = parsed.subject();
    let (name, organization) = one_of_each(&subject, leg)?;
    match leg {
        Leg::RelayClient { scope } => {
            let organization = client_organization(organization, *scope)?;
            relay_client(parsed, name, organization, instance, now)
        }
        Leg::RelayServer { scope, relay, host } => {
            same_organization(organization, anchor.issuer().owner_id())?;
            relay_server(parsed, name, (*scope, *relay, host), instance)
        }
        Leg::GatewayClient {
            organization: own,
            gateway,
        } => {
            same_organization(organization, &own.to_string())?;
            gateway_client(parsed, name, (*own, *gateway), instance, now)
        }
        Leg::GatewayServer {
            organization: own,
            gateway,
            pins,
        } => {
            same_organization(organization, &own.to_string())?;
            gateway_server(parsed, name, (*own, *gateway), pins, instance)
        }
    }
}

/// Demands exactly one unit, the leg's; one common name; one organization; and no attribute besides.
fn one_of_each<'a>(subject: &Subject<'a>, leg: &Leg) -> Result<(&'a str, &'a str), Denied> {
    let unit = leg.profile().unit.unwrap_or_default();
    match &*subject.units {
        [one] if *one == unit => {}
        [one] => {
            return deny(
                Reason::WrongUsage,
                format!("its unit is \"{one}\", not \"{unit}\""),
            );
        }
        [] => return deny(Reason::WrongUsage, format!("it has no unit; expected \"{unit}\"")),
        _ => return deny(Reason::WrongUsage, "it has more than one unit"),
    }
    if subject.others != 0 {
        return deny(
            Reason::WrongName,
            "its subject has attributes that are never issued",
        );
    }
    match (&*subject.common_names, &*subject.organizations) {
        ([name], [organization]) => Ok((name, organization)),
        (_, [_]) => deny(Reason::WrongName, "it has not exactly one common name"),
        (_, _) => deny(Reason::WrongName, "it has not exactly one organization"),
    }
}

fn same_organization(claimed: &str, expected: &str) -> Result<(), Denied> {
    if claimed == expected {
        Ok(())
    } else {
        deny(
            Reason::WrongOrganization,
            format!("it belongs to \"{claimed}\", not to {expected}"),
        )
    }
}

/// The organization of a relay's client: any at an instance's relay, its own at an organization's.
fn client_organization(claimed: &str, scope: Scope) -> Result<OrganizationId, Denied> {
    match (claimed.parse::<OrganizationId>(), scope) {
        (Ok(id), Scope::Instance) => Ok(id),
        (Ok(id), Scope::Organization(own)) => same_organization(claimed, &own.to_string()).map(|()| id),
        (Err(_), Scope::Instance | Scope::Organization(_)) => deny(
            Reason::WrongOrganization,
            format!("\"{claimed}\" is not the id of an organization"),
        ),
    }
}

/// Reads the one URI among `names`, which is an identity of this instance.
fn identity(names: &[AltName<'_>], instance: InstanceId) -> Result<Identity, Denied> {
    let mut uris = names.iter().filter_map(|name| match name {
        AltName::Uri(uri) => Some(*uri),
        AltName::Dns(_) | AltName::Address(_) | AltName::Other => None,
    });
    let uri = match (uris.next(), uris.next()) {
        (Some(one), None) => one,
        (None, _) => return deny(Reason::WrongName, "it carries no identity"),
        (Some(_), Some(_)) => return deny(Reason::WrongName, "it carries more than one identity"),
    };
    match uri.parse::<Identity>() {
        Ok(identity) if identity.instance() == instance => Ok(identity),
        Ok(_) => deny(Reason::WrongName, format!("\"{uri}\" is of another instance")),
        Err(_) => deny(Reason::WrongName, format!("\"{uri}\" is not an identity")),
    }
}

/// Demands that the identity is all the names there are.
fn only_identity(parsed: &Parsed<'_>, instance: InstanceId) -> Result<Identity, Denied> {
    let names = parsed.names();
    let identity = identity(&names, instance)?;
    if names.len() == 1 {
        Ok(identity)
    } else {
        deny(Reason::WrongName, "it carries names besides its identity")
    }
}

fn session_of(identity: &Identity, own: OrganizationId) -> Result<SessionId, Denied> {
    match identity {
        Identity::Session {
            organization,
            session,
            ..
        } => same_organization(&organization.to_string(), &own.to_string()).map(|()| *session),
        Identity::Relay { .. } | Identity::Gateway { .. } => {
            deny(Reason::WrongName, format!("{identity} is not a session"))
        }
    }
}

fn relay_client(
    parsed: &Parsed<'_>,
    name: &str,
    organization: OrganizationId,
    instance: InstanceId,
    now: Timestamp,
) -> Result<Identified, Denied> {
    let identity = only_identity(parsed, instance)?;
    session_of(&identity, organization)?;
    let Ok(gateway) = name.parse::<GatewayId>() else {
        return deny(
            Reason::WrongName,
            format!("\"{name}\" is not the id of a gateway"),
        );
    };
    let Some(der) = parsed.extension(&SESSION_EXPIRES_OID) else {
        return deny(Reason::GrantMissing, "it does not say when its session ends");
    };
    let expires = match decode_session_expires(der) {
        Ok(expires) => expires,
        Err(error) => return deny(Reason::GrantMalformed, error.to_string()),
    };
    check_session(expires, now)?;
    Ok(Identified {
        identity,
        gateway: Some(gateway),
        grant: None,
        session_expires: Some(expires),
    })
}

fn relay_server(
    parsed: &Parsed<'_>,
    name: &str,
    (scope, relay, host): (Scope, RelayId, &Host),
    instance: InstanceId,
) -> Result<Identified, Denied> {
    let names = parsed.names();
    let identity = identity(&names, instance)?;
    let named = |alt: &AltName<'_>| match (alt, host) {
        (AltName::Dns(dns), Host::Name(own)) => *dns == &**own,
        (AltName::Address(address), Host::Address(own)) => address == own,
        (AltName::Dns(_) | AltName::Address(_) | AltName::Uri(_) | AltName::Other, _) => false,
    };
    // Exactly the host and the identity: no wildcard, no second name.
    if names.len() != 2 || !names.iter().any(named) {
        return deny(Reason::WrongName, format!("it is not for {host} alone"));
    }
    match identity {
        Identity::Relay { scope: own, .. } if own != scope => {
            return deny(
                Reason::WrongOrganization,
                format!("{identity} is not a relay of this owner"),
            );
        }
        Identity::Relay { relay: own, .. } if own != relay => {
            return deny(Reason::WrongRelay, format!("{identity} is not relay {relay}"));
        }
        Identity::Relay { .. } => {}
        Identity::Gateway { .. } | Identity::Session { .. } => {
            return deny(Reason::WrongName, format!("{identity} is not a relay"));
        }
    }
    if name != relay_common_name(relay, host) {
        return deny(
            Reason::WrongName,
            format!("its common name is \"{name}\", not {host}"),
        );
    }
    Ok(Identified {
        identity,
        gateway: None,
        grant: None,
        session_expires: None,
    })
}

fn gateway_client(
    parsed: &Parsed<'_>,
    name: &str,
    (own, gateway): (OrganizationId, GatewayId),
    instance: InstanceId,
    now: Timestamp,
) -> Result<Identified, Denied> {
    let identity = only_identity(parsed, instance)?;
    let session = session_of(&identity, own)?;
    if name != session.to_string() {
        return deny(
            Reason::WrongName,
            format!("its common name is \"{name}\", not its session"),
        );
    }
    let Some(der) = parsed.extension(&GRANT_OID) else {
        return deny(Reason::GrantMissing, "it has no grant extension");
    };
    let grant = match decode_grant(der) {
        Ok(grant) => grant,
        Err(error) => return deny(Reason::GrantMalformed, error.to_string()),
    };
    same_organization(&grant.organization.to_string(), &own.to_string())?;
    if grant.gateway != gateway {
        return deny(
            Reason::WrongGateway,
            format!("its grant is for gateway {}", grant.gateway),
        );
    }
    if grant.session != session {
        return deny(
            Reason::WrongName,
            "its grant is for another session than its identity",
        );
    }
    check_session(grant.session_expires, now)?;
    Ok(Identified {
        identity,
        gateway: Some(gateway),
        session_expires: Some(grant.session_expires),
        grant: Some(grant),
    })
}

fn gateway_server(
    parsed: &Parsed<'_>,
    name: &str,
    (own, gateway): (OrganizationId, GatewayId),
    pins: &[Pin],
    instance: InstanceId,
) -> Result<Identified, Denied> {
    let identity = only_identity(parsed, instance)?;
    let claimed = match identity {
        Identity::Gateway {
            organization,
            gateway,
            ..
        } => same_organization(&organization.to_string(), &own.to_string()).map(|()| gateway)?,
        Identity::Relay { .. } | Identity::Session { .. } => {
            return deny(Reason::WrongName, format!("{identity} is not a gateway"));
        }
    };
    if name != claimed.to_string() {
        return deny(
            Reason::WrongName,
            format!("its common name is \"{name}\", not its gateway"),
        );
    }
    if claimed != gateway {
        return deny(
            Reason::WrongGateway,
            format!("it is gateway {claimed}, not {gateway}"),
        );
    }
    if !pins.iter().take(MOST_PINS).any(|pin| *pin == parsed.key) {
        return deny(
            Reason::KeyNotPinned,
            format!(
                "its key is {}, none of those announced for gateway {gateway}",
                parsed.key
            ),
        );
    }
    Ok(Identified {
        identity,
        gateway: Some(gateway),
        grant: None,
        session_expires: None,
    })
}
