//! At the client, inside the tunnel: which gateways are taken for the one that the grant names.

use postern_domain::{GatewayId, Identity, Reason};
use postern_pki::{Leaf, LeafKey, Leg, pin_of_certificate};
use rcgen::{CertificateParams, DnType, ExtendedKeyUsagePurpose, SanType};
use rustls_pki_types::CertificateDer;

use crate::forge::{self, gateway_server, mint, mint_as, name, uri};
use crate::world::{HOUR, MINUTE, World, reason};

/// The leg that expects gateway A1 with the key of this certificate.
fn expecting(world: &World, der: &CertificateDer<'_>) -> Leg {
    world.of_gateway(pin_of_certificate(der).unwrap())
}

fn spoilt(spoil: impl FnOnce(&World, &mut CertificateParams)) -> Reason {
    let world = World::new();
    let mut params = gateway_server(&world);
    spoil(&world, &mut params);
    let der = mint(&world.a.gateways().server, &params);
    reason(world.judge(&expecting(&world, &der), &der))
}

#[test]
fn takes_the_gateway_that_the_grant_names_with_its_present_and_its_next_key() {
    let world = World::new();
    let issued = world.issue(&world.a.gateways().server, &world.gateway_leaf());
    let next = LeafKey::generate().unwrap().pin();
    for pins in [vec![issued.pin], vec![issued.pin, next], vec![next, issued.pin]] {
        let leg = Leg::GatewayServer {
            organization: world.org_a(),
            gateway: world.a1,
            pins,
        };
        let peer = world.judge(&leg, &issued.der).unwrap();
        assert_eq!(
            (peer.gateway(), peer.organization()),
            (Some(world.a1), Some(world.org_a()))
        );
        assert_eq!(peer.issuer_title(), "Organization Gateway Server CA");
        assert_eq!((peer.session(), peer.grant()), (None, None));
    }
    let der = mint(&world.a.gateways().server, &gateway_server(&world));
    assert!(world.judge(&expecting(&world, &der), &der).is_ok());
}

#[test]
fn refuses_a_key_that_was_not_announced() {
    let world = World::new();
    let issued = world.issue(&world.a.gateways().server, &world.gateway_leaf());
    let other = LeafKey::generate().unwrap().pin();
    for pins in [
        vec![],
        vec![other],
        vec![other, other],
        vec![other, other, issued.pin],
    ] {
        let leg = Leg::GatewayServer {
            organization: world.org_a(),
            gateway: world.a1,
            pins,
        };
        assert_eq!(reason(world.judge(&leg, &issued.der)), Reason::KeyNotPinned);
    }
}

#[test]
fn refuses_another_gateway_of_the_same_organization() {
    let world = World::new();
    let leaf = Leaf::GatewayServer {
        instance: world.instance,
        organization: world.org_a(),
        gateway: world.a2,
    };
    let issued = world.issue(&world.a.gateways().server, &leaf);
    let refused = world
        .judge(&expecting(&world, &issued.der), &issued.der)
        .unwrap_err();
    assert_eq!(refused.reason, Reason::WrongGateway);
    assert_eq!(refused.claimed.gateway, Some(world.a2));
}

#[test]
fn refuses_another_organizations_gateway() {
    let world = World::new();
    let leaf = Leaf::GatewayServer {
        instance: world.instance,
        organization: world.org_b(),
        gateway: world.b1,
    };
    let issued = world.issue(&world.b.gateways().server, &leaf);
    assert_eq!(
        reason(world.judge(&expecting(&world, &issued.der), &issued.der)),
        Reason::WrongAuthority
    );
    // Even where B's authority writes A's names.
    let der = mint(&world.b.gateways().server, &gateway_server(&world));
    let refused = world.judge_with(&expecting(&world, &der), &der, &world.trust_of_a(), world.now);
    assert_eq!(reason(refused), Reason::UnknownAuthority);
}

#[test]
fn refuses_every_other_authority() {
    let world = World::new();
    let a = &world.a;
    for other in [
        &a.gateways().client,
        &a.gateways().root,
        &a.relay_server,
        &world.own.relay_server,
    ] {
        let der = mint(other, &gateway_server(&world));
        assert_eq!(
            reason(world.judge(&expecting(&world, &der), &der)),
            Reason::WrongAuthority,
            "{other:?}"
        );
    }
    let impostor = mint_as(&a.gateways().server, &gateway_server(&world));
    assert_eq!(
        reason(world.judge(&expecting(&world, &impostor), &impostor)),
        Reason::BadSignature
    );
    let alone = gateway_server(&world)
        .self_signed(&rcgen::KeyPair::generate().unwrap())
        .unwrap()
        .into();
    assert_eq!(
        reason(world.judge(&expecting(&world, &alone), &alone)),
        Reason::UnknownAuthority
    );
}

#[test]
fn refuses_a_certificate_for_another_use() {
    let client = spoilt(|_, p| p.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth]);
    assert_eq!(client, Reason::WrongUsage);
    let unit = spoilt(|world, params| {
        params.distinguished_name = name(&world.org_a().to_string(), Some("relay"), &world.a1.to_string());
    });
    assert_eq!(unit, Reason::WrongUsage);
}

#[test]
fn refuses_an_expired_certificate_and_one_not_yet_valid() {
    let world = World::new();
    let issued = world.issue(&world.a.gateways().server, &world.gateway_leaf());
    let leg = world.of_gateway(issued.pin);
    let at = |now| reason(world.judge_with(&leg, &issued.der, &world.trust(), now));
    assert_eq!(at(world.now.plus(24 * HOUR)), Reason::CertificateExpired);
    assert_eq!(at(world.now.minus(6 * MINUTE)), Reason::CertificateNotYetValid);
}

#[test]
fn refuses_names_that_disagree_with_each_other() {
    let common_name = spoilt(|world, params| {
        params
            .distinguished_name
            .push(DnType::CommonName, GatewayId::generate(world.now).to_string());
    });
    assert_eq!(common_name, Reason::WrongName);
    let organization = spoilt(|world, params| {
        let identity = Identity::Gateway {
            instance: world.instance,
            organization: world.org_b(),
            gateway: world.a1,
        };
        params.subject_alt_names = vec![uri(&identity.to_string())];
    });
    assert_eq!(organization, Reason::WrongOrganization);
    let session = spoilt(|world, params| params.subject_alt_names = vec![uri(&forge::session(world))]);
    assert_eq!(session, Reason::WrongName);
    let host = spoilt(|_, params| {
        params
            .subject_alt_names
            .push(SanType::DnsName("gateway.internal".try_into().unwrap()));
    });
    assert_eq!(host, Reason::WrongName);
}

#[test]
fn refuses_a_revoked_gateway_even_with_an_announced_key() {
    let world = World::new();
    let issued = world.issue(&world.a.gateways().server, &world.gateway_leaf());
    let mut trust = world.trust();
    trust.revoked.insert_key(issued.pin);
    let refused = world.judge_with(&world.of_gateway(issued.pin), &issued.der, &trust, world.now);
    assert_eq!(reason(refused), Reason::Revoked);
}
