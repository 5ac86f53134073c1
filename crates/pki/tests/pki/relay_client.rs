//! At the relay: which clients are let in.

use postern_domain::{GatewayId, Identity, Reason, Scope};
use postern_pki::{Leaf, Leg};
use rcgen::{CertificateParams, DnType, ExtendedKeyUsagePurpose};

use crate::forge::{self, mint, mint_as, name, relay_client, session_expires};
use crate::world::{MINUTE, World, reason};

fn spoilt(spoil: impl FnOnce(&World, &mut CertificateParams)) -> Reason {
    let world = World::new();
    let mut params = relay_client(&world);
    spoil(&world, &mut params);
    let der = mint(&world.a.relay_client, &params);
    reason(world.judge(&world.at_relay(), &der))
}

#[test]
fn lets_in_a_client_of_the_relays_organization() {
    let world = World::new();
    let issued = world.issue(&world.a.relay_client, &world.relay_client_leaf());
    let peer = world.judge(&world.at_relay(), &issued.der).unwrap();
    assert_eq!(peer.organization(), Some(world.org_a()));
    assert_eq!(
        (peer.gateway(), peer.session()),
        (Some(world.a1), Some(world.session))
    );
    assert_eq!(
        (peer.session_expires(), peer.grant()),
        (Some(world.expires()), None)
    );
    assert_eq!(peer.issuer_title(), "Organization Relay PKI Client CA");
}

#[test]
fn an_instance_relay_lets_in_clients_of_every_organization_as_what_they_are() {
    let world = World::new();
    let leg = Leg::RelayClient {
        scope: Scope::Instance,
    };
    for organization in [world.org_a(), world.org_b()] {
        let leaf = Leaf::RelayClient {
            instance: world.instance,
            organization,
            gateway: world.b1,
            session: world.session,
            session_expires: world.expires(),
        };
        let issued = world.issue(&world.own.relay_client, &leaf);
        let peer = world.judge(&leg, &issued.der).unwrap();
        assert_eq!(peer.organization(), Some(organization));
    }
}

#[test]
fn an_organization_relay_refuses_the_instances_clients_and_the_other_way_round() {
    let world = World::new();
    let instances = world.issue(&world.own.relay_client, &world.relay_client_leaf());
    assert_eq!(
        reason(world.judge(&world.at_relay(), &instances.der)),
        Reason::WrongAuthority
    );
    let own = world.issue(&world.a.relay_client, &world.relay_client_leaf());
    let leg = Leg::RelayClient {
        scope: Scope::Instance,
    };
    assert_eq!(reason(world.judge(&leg, &own.der)), Reason::WrongAuthority);
}

#[test]
fn refuses_a_client_of_another_organization() {
    let world = World::new();
    let der = mint(&world.b.relay_client, &relay_client(&world));
    assert_eq!(
        reason(world.judge(&world.at_relay(), &der)),
        Reason::WrongAuthority
    );
    let refused = world.judge_with(&world.at_relay(), &der, &world.trust_of_a(), world.now);
    assert_eq!(reason(refused), Reason::UnknownAuthority);
    let names_b = spoilt(|world, params| {
        params.distinguished_name = name(
            &world.org_b().to_string(),
            Some("relay-client"),
            &world.a1.to_string(),
        );
    });
    assert_eq!(names_b, Reason::WrongOrganization);
}

#[test]
fn an_instance_relay_refuses_a_client_whose_subject_and_identity_name_two_organizations() {
    let world = World::new();
    let mut params = relay_client(&world);
    params.distinguished_name = name(
        &world.org_b().to_string(),
        Some("relay-client"),
        &world.a1.to_string(),
    );
    let der = mint(&world.own.relay_client, &params);
    let leg = Leg::RelayClient {
        scope: Scope::Instance,
    };
    assert_eq!(reason(world.judge(&leg, &der)), Reason::WrongOrganization);
    params.distinguished_name = name("everybody", Some("relay-client"), &world.a1.to_string());
    let der = mint(&world.own.relay_client, &params);
    assert_eq!(reason(world.judge(&leg, &der)), Reason::WrongOrganization);
}

#[test]
fn refuses_the_siblings_and_the_client_certificate_of_the_inner_leg() {
    let world = World::new();
    let a = &world.a;
    for other in [
        &a.relay_server,
        &a.relay_root,
        &a.gateways().client,
        &a.gateways().root,
    ] {
        let der = mint(other, &relay_client(&world));
        assert_eq!(
            reason(world.judge(&world.at_relay(), &der)),
            Reason::WrongAuthority,
            "{other:?}"
        );
    }
    let inner = world.issue(&a.gateways().client, &world.client_leaf());
    assert_eq!(
        reason(world.judge(&world.at_relay(), &inner.der)),
        Reason::WrongAuthority
    );
    let disguised = mint(&a.relay_client, &forge::gateway_client(&world));
    assert_eq!(
        reason(world.judge(&world.at_relay(), &disguised)),
        Reason::WrongUsage
    );
}

#[test]
fn refuses_an_impostor_and_a_self_signed_certificate() {
    let world = World::new();
    let der = mint_as(&world.a.relay_client, &relay_client(&world));
    assert_eq!(reason(world.judge(&world.at_relay(), &der)), Reason::BadSignature);
    let alone = relay_client(&world)
        .self_signed(&rcgen::KeyPair::generate().unwrap())
        .unwrap();
    assert_eq!(
        reason(world.judge(&world.at_relay(), &alone.into())),
        Reason::UnknownAuthority
    );
}

#[test]
fn refuses_an_expired_certificate_one_not_yet_valid_and_a_server() {
    let world = World::new();
    let issued = world.issue(&world.a.relay_client, &world.relay_client_leaf());
    let at = |now| reason(world.judge_with(&world.at_relay(), &issued.der, &world.trust(), now));
    assert_eq!(at(world.now.plus(6 * MINUTE)), Reason::CertificateExpired);
    assert_eq!(at(world.now.minus(6 * MINUTE)), Reason::CertificateNotYetValid);
    let server = spoilt(|_, p| p.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth]);
    assert_eq!(server, Reason::WrongUsage);
}

#[test]
fn refuses_a_common_name_that_is_no_gateway() {
    for bad in ["", "gateway", "*"] {
        let found = spoilt(|_, params| params.distinguished_name.push(DnType::CommonName, bad));
        assert_eq!(found, Reason::WrongName, "{bad}");
    }
}

#[test]
fn reaches_only_the_gateway_that_the_certificate_names() {
    let world = World::new();
    let other = GatewayId::generate(world.now);
    let mut params = relay_client(&world);
    params
        .distinguished_name
        .push(DnType::CommonName, other.to_string());
    let der = mint(&world.a.relay_client, &params);
    assert_eq!(
        world.judge(&world.at_relay(), &der).unwrap().gateway(),
        Some(other)
    );
}

#[test]
fn refuses_an_identity_that_is_no_session() {
    let found = spoilt(|world, params| {
        let identity = Identity::Gateway {
            instance: world.instance,
            organization: world.org_a(),
            gateway: world.a1,
        };
        params.subject_alt_names = vec![forge::uri(&identity.to_string())];
    });
    assert_eq!(found, Reason::WrongName);
}

#[test]
fn refuses_a_certificate_that_does_not_say_when_its_session_ends() {
    assert_eq!(
        spoilt(|_, params| params.custom_extensions.clear()),
        Reason::GrantMissing
    );
    for der in [
        vec![],
        vec![2, 0],
        vec![2, 1, 0xff],
        vec![2, 2, 0, 1],
        vec![2, 9, 0, 0xff, 0, 0, 0, 0, 0, 0, 0],
    ] {
        let found = spoilt(|_, p| p.custom_extensions = vec![forge::extension(2, der.clone())]);
        assert_eq!(found, Reason::GrantMalformed, "{der:?}");
    }
    let over = spoilt(|world, p| p.custom_extensions = vec![session_expires(world.now)]);
    assert_eq!(over, Reason::SessionExpired);
}

#[test]
fn refuses_what_was_revoked() {
    let world = World::new();
    let issued = world.issue(&world.a.relay_client, &world.relay_client_leaf());
    let pins = [issued.pin, world.a.relay_client.pin(), world.a.relay_root.pin()];
    for pin in pins {
        let mut trust = world.trust();
        trust.revoked.insert_key(pin);
        let refused = world.judge_with(&world.at_relay(), &issued.der, &trust, world.now);
        assert_eq!(reason(refused), Reason::Revoked);
    }
    let mut trust = world.trust();
    trust
        .revoked
        .insert_certificate(world.a.relay_client.pin(), issued.serial.clone());
    let refused = world.judge_with(&world.at_relay(), &issued.der, &trust, world.now);
    assert_eq!(reason(refused), Reason::Revoked);
}
