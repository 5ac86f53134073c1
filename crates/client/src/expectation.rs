//! What a grant says to demand of both ends, parsed once: credentials, trust, legs.

use std::sync::Arc;
use std::time::Duration;

use postern_api::{SessionGranted, SessionRelay};
use postern_domain::{AuthorityRole, Reason, Scope, Target, Timestamp};
use postern_pki::{LeafKey, Leg as Judged, Revocations, TlsAnchor, Trust, certificate_from_pem};
use postern_transport::{ALPN_INNER, ALPN_RELAY, Clock, Credential, CredentialStore, MutualConnector};
use tokio::sync::watch;

use crate::{ConnectError, Leg};

/// Relays beyond this many are not tried.
const RELAYS: usize = 8;

/// A clock further from the platform's than this is named to its owner.
const CLOCK_WARNS: Duration = Duration::from_secs(2 * 60);

/// A clock further from the platform's than this is not gone by.
const CLOCK_FAILS: Duration = Duration::from_secs(5 * 60);

/// The two keys of a session, made for it and thrown away with it.
pub(crate) struct Keys {
    pub(crate) relay: LeafKey,
    pub(crate) gateway: LeafKey,
}

impl Keys {
    pub(crate) fn generate() -> Result<Self, ConnectError> {
        let failed = |error: postern_pki::KeyError| {
            let detail = format!("This computer could not make a key: {error}");
            ConnectError::new(Leg::Client, Reason::Internal, detail)
        };
        Ok(Self {
            relay: LeafKey::generate().map_err(failed)?,
            gateway: LeafKey::generate().map_err(failed)?,
        })
    }
}

/// A relay to try.
pub(crate) struct Relay {
    pub(crate) leg: Judged,
    pub(crate) target: Target,
    pub(crate) id: postern_domain::RelayId,
}

/// What to demand of whom, and what to show.
pub(crate) struct Expectation {
    pub(crate) relays: Vec<Relay>,
    pub(crate) relay_tls: MutualConnector,
    pub(crate) gateway_leg: Judged,
    pub(crate) gateway_tls: MutualConnector,
}

/// How far this computer's clock is from the platform's.
#[derive(Debug, Clone, Copy)]
pub(crate) struct ClockOff {
    pub(crate) by: Duration,
    pub(crate) ahead: bool,
}

impl ClockOff {
    pub(crate) fn new(now: Timestamp, platform: Timestamp) -> Self {
        Self {
            by: now.distance(platform),
            ahead: now > platform,
        }
    }

    pub(crate) fn is_worth_a_word(self) -> bool {
        self.by > CLOCK_WARNS
    }

    /// Refuses a clock that is too far off.
    pub(crate) fn check(self) -> Result<(), ConnectError> {
        if self.by <= CLOCK_FAILS {
            return Ok(());
        }
        let way = if self.ahead { "ahead of" } else { "behind" };
        let detail = format!(
            "The clock of this computer is {} s {way} the platform's. At most 300 s are allowed; set the clock.",
            self.by.as_secs()
        );
        Err(ConnectError::new(Leg::Client, Reason::ClockSkew, detail))
    }
}

fn unusable(what: &str, error: impl std::fmt::Display) -> ConnectError {
    let detail = format!("The platform sent {what} that cannot be used: {error}");
    ConnectError::new(Leg::Platform, Reason::CertificateMalformed, detail)
}

impl Expectation {
    pub(crate) fn new(
        granted: &SessionGranted,
        keys: &Keys,
        clock: &Clock,
        now: Timestamp,
    ) -> Result<Self, ConnectError> {
        if granted.gateway.id != granted.grant.gateway {
            return Err(unusable("a grant", "it names two gateways"));
        }
        // A session's trust is never renewed: it is for the handshakes that follow.
        let (_, trust) = watch::channel(Arc::new(trust(granted, now)?));
        let relay = credential(&granted.certificates.relay, &keys.relay)?;
        let gateway = credential(&granted.certificates.gateway, &keys.gateway)?;
        let connector = |credential: &CredentialStore, alpn| {
            MutualConnector::new(credential.subscribe(), trust.clone(), clock.clone(), alpn)
        };
        Ok(Self {
            relays: granted.relays.iter().take(RELAYS).map(expected_relay).collect(),
            relay_tls: connector(&relay, ALPN_RELAY),
            gateway_leg: Judged::GatewayServer {
                organization: granted.grant.organization,
                gateway: granted.gateway.id,
                pins: granted.gateway.pins.clone(),
            },
            gateway_tls: connector(&gateway, ALPN_INNER),
        })
    }
}

fn expected_relay(relay: &SessionRelay) -> Relay {
    Relay {
        leg: Judged::RelayServer {
            scope: relay.scope,
            relay: relay.id,
            host: relay.host.clone(),
        },
        target: Target {
            host: relay.host.clone(),
            port: relay.tls_port,
        },
        id: relay.id,
    }
}

fn credential(chain: &[String], key: &LeafKey) -> Result<CredentialStore, ConnectError> {
    let chain = chain
        .iter()
        .map(|pem| certificate_from_pem(pem))
        .collect::<Result<_, _>>()
        .map_err(|error| unusable("a certificate", error))?;
    let credential = Credential::new(chain, key.private_key_der());
    let credential = credential.map_err(|error| unusable("a certificate", error))?;
    Ok(CredentialStore::new(credential))
}

/// Builds trust from the anchors of the grant, each taken for the leg it was given for and no other. It was
/// learned now and lasts as long as handshakes may begin.
fn trust(granted: &SessionGranted, now: Timestamp) -> Result<Trust, ConnectError> {
    let relays = granted.relays.iter().take(RELAYS).flat_map(|relay| {
        let expected = (relay.scope, AuthorityRole::RelayServer);
        relay.anchors.iter().map(move |anchor| (expected, anchor))
    });
    let organization = Scope::Organization(granted.grant.organization);
    let gateway = (organization, AuthorityRole::GatewayServer);
    let gateways = granted.gateway.anchors.iter().map(|anchor| (gateway, anchor));
    let mut sent: Vec<&postern_api::TlsAnchor> = Vec::new();
    let mut tls = Vec::new();
    for ((owner, role), anchor) in relays.chain(gateways) {
        if (anchor.owner, anchor.role) != (owner, role) {
            return Err(unusable("an authority", "it is for another leg"));
        }
        if sent.contains(&anchor) {
            continue;
        }
        sent.push(anchor);
        let parsed = TlsAnchor::parse(owner, role, &anchor.root, &anchor.issuer);
        tls.push(parsed.map_err(|error| unusable("an authority", error))?);
    }
    Ok(Trust {
        instance: granted.instance,
        tls,
        ssh: Vec::new(),
        revoked: Revocations::new(),
        learned: now,
        max_age: granted.certificates.expires.since(now),
    })
}
