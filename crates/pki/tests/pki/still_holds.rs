//! Live connections, judged again.

use postern_domain::{Reason, Scope, Timestamp};
use postern_pki::{Trust, VerifiedPeer};

use crate::world::{HOUR, MINUTE, World, anchor, reason};

fn at(peer: &VerifiedPeer, trust: &Trust, now: Timestamp) -> Result<(), postern_pki::Refusal> {
    let fresh = Trust {
        learned: now,
        ..trust.clone()
    };
    peer.still_holds(&fresh.fresh(now).unwrap(), now)
}

fn client(world: &World) -> VerifiedPeer {
    let issued = world.issue(&world.a.gateways().client, &world.client_leaf());
    world.judge(&world.at_gateway(), &issued.der).unwrap()
}

fn gateway(world: &World) -> VerifiedPeer {
    let issued = world.issue(&world.a.gateways().server, &world.gateway_leaf());
    world.judge(&world.of_gateway(issued.pin), &issued.der).unwrap()
}

#[test]
fn a_session_outlives_its_certificate_and_ends_when_it_expires() {
    let world = World::new();
    let peer = client(&world);
    let trust = world.trust();
    assert!(at(&peer, &trust, world.now.plus(HOUR)).is_ok());
    assert!(at(&peer, &trust, world.expires().minus(MINUTE)).is_ok());
    let refused = at(&peer, &trust, world.expires());
    assert_eq!(refused.as_ref().unwrap_err().claimed.session, Some(world.session));
    assert_eq!(reason(refused), Reason::SessionExpired);
    assert_eq!(peer.ends(), world.expires());
}

#[test]
fn a_session_on_the_relay_leg_ends_with_its_own_extension() {
    let world = World::new();
    let issued = world.issue(&world.a.relay_client, &world.relay_client_leaf());
    let peer = world.judge(&world.at_relay(), &issued.der).unwrap();
    assert!(at(&peer, &world.trust(), world.now.plus(7 * HOUR)).is_ok());
    assert_eq!(
        reason(at(&peer, &world.trust(), world.expires())),
        Reason::SessionExpired
    );
}

#[test]
fn a_daemon_holds_while_its_certificate_is_valid() {
    let world = World::new();
    let peer = gateway(&world);
    let trust = world.trust();
    assert!(at(&peer, &trust, world.now.plus(23 * HOUR)).is_ok());
    assert!(at(&peer, &trust, peer.validity().not_after).is_ok());
    assert_eq!(reason(at(&peer, &trust, peer.ends())), Reason::CertificateExpired);
    assert_eq!(
        reason(at(&peer, &trust, world.now.minus(HOUR))),
        Reason::CertificateNotYetValid
    );
}

#[test]
fn what_is_revoked_holds_no_more_whatever_was_revoked() {
    let world = World::new();
    let g = world.a.gateways();
    for (peer, issuer) in [(client(&world), &g.client), (gateway(&world), &g.server)] {
        let serial = anchor(&g.root, issuer).issuer().serial().clone();
        let revoked = |revoke: &dyn Fn(&mut Trust)| {
            let mut trust = world.trust();
            revoke(&mut trust);
            at(&peer, &trust, world.now)
        };
        assert!(revoked(&|_| {}).is_ok());
        for refused in [
            revoked(&|t| t.revoked.insert_certificate(issuer.pin(), peer.serial().clone())),
            revoked(&|t| t.revoked.insert_key(peer.key())),
            revoked(&|t| t.revoked.insert_key(issuer.pin())),
            revoked(&|t| t.revoked.insert_key(g.root.pin())),
            revoked(&|t| t.revoked.insert_certificate(g.root.pin(), serial.clone())),
        ] {
            assert_eq!(reason(refused), Reason::Revoked);
        }
    }
}

#[test]
fn a_peer_of_an_authority_that_is_no_longer_trusted_holds_no_more() {
    let world = World::new();
    let peer = client(&world);
    let mut trust = world.trust();
    trust.tls.retain(|anchor| anchor.issuer().pin() != peer.issuer());
    assert_eq!(reason(at(&peer, &trust, world.now)), Reason::UnknownAuthority);
    let elsewhere = World::new();
    assert_eq!(
        reason(at(&peer, &elsewhere.trust(), world.now)),
        Reason::UnknownAuthority
    );
}

#[test]
fn an_authority_that_expires_takes_its_sessions_with_it() {
    let world = World::new();
    let mut grant = world.grant();
    grant.session_expires = Timestamp::MAX;
    let leaf = postern_pki::Leaf::GatewayClient {
        instance: world.instance,
        grant,
    };
    let issued = world.issue(&world.a.gateways().client, &leaf);
    let peer = world.judge(&world.at_gateway(), &issued.der).unwrap();
    let later = world.a.gateways().client.validity().not_after.plus(HOUR);
    assert_eq!(
        reason(at(&peer, &world.trust(), later)),
        Reason::CertificateExpired
    );
}

#[test]
fn stale_trust_judges_nothing() {
    let world = World::new();
    let trust = world.trust();
    assert!(trust.fresh(world.now.plus(4 * HOUR)).is_ok());
    let stale = trust.fresh(world.now.plus(5 * HOUR)).unwrap_err();
    assert_eq!(stale.reason(), Reason::TrustStale);
}

#[test]
fn an_instance_relays_session_holds_under_the_instances_authorities_only() {
    let world = World::new();
    let issued = world.issue(&world.own.relay_client, &world.relay_client_leaf());
    let leg = postern_pki::Leg::RelayClient {
        scope: Scope::Instance,
    };
    let peer = world.judge(&leg, &issued.der).unwrap();
    let mut trust = world.trust();
    assert!(at(&peer, &trust, world.now).is_ok());
    trust.tls.retain(|anchor| anchor.owner() != Scope::Instance);
    assert_eq!(reason(at(&peer, &trust, world.now)), Reason::UnknownAuthority);
}
