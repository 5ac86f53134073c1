//! At the client: which relays are taken for the one that was dialled.

use postern_domain::{Host, Identity, Reason, RelayId, Scope};
use postern_pki::{Leaf, Leg};
use rcgen::{CertificateParams, DnType, ExtendedKeyUsagePurpose, SanType};

use crate::forge::{self, mint, mint_as, name, relay_server, uri};
use crate::world::{HOUR, MINUTE, World, reason, relay_host};

fn spoilt(spoil: impl FnOnce(&World, &mut CertificateParams)) -> Reason {
    let world = World::new();
    let mut params = relay_server(&world);
    spoil(&world, &mut params);
    let der = mint(&world.a.relay_server, &params);
    reason(world.judge(&world.of_relay(), &der))
}

fn dns(text: &str) -> SanType {
    SanType::DnsName(text.try_into().unwrap())
}

#[test]
fn takes_the_relay_that_was_dialled_by_name_and_by_address() {
    let world = World::new();
    for host in ["relay.example.com", "192.0.2.7", "2001:db8::7"] {
        let host: Host = host.parse().unwrap();
        for (owner, authorities) in [(world.a.owner, &world.a), (Scope::Instance, &world.own)] {
            let leaf = Leaf::RelayServer {
                instance: world.instance,
                scope: owner,
                relay: world.ra,
                host: host.clone(),
            };
            let issued = world.issue(&authorities.relay_server, &leaf);
            let leg = Leg::RelayServer {
                scope: owner,
                relay: world.ra,
                host: host.clone(),
            };
            let peer = world.judge(&leg, &issued.der).unwrap();
            assert_eq!(peer.organization(), owner.organization());
            assert_eq!((peer.session(), peer.session_expires()), (None, None));
            assert!(peer.ends() > issued.validity.not_after);
        }
    }
}

#[test]
fn takes_a_host_longer_than_a_common_name() {
    let world = World::new();
    let host: Host = format!("{}.example.com", "x".repeat(60)).parse().unwrap();
    let leaf = Leaf::RelayServer {
        instance: world.instance,
        scope: world.a.owner,
        relay: world.ra,
        host: host.clone(),
    };
    let issued = world.issue(&world.a.relay_server, &leaf);
    let leg = Leg::RelayServer {
        scope: world.a.owner,
        relay: world.ra,
        host,
    };
    assert!(world.judge(&leg, &issued.der).is_ok());
}

#[test]
fn refuses_another_host_and_wildcards_and_further_names() {
    let world = World::new();
    let issued = world.issue(&world.a.relay_server, &world.relay_leaf());
    for host in [
        "relay.example.org",
        "example.com",
        "x.relay.example.com",
        "192.0.2.7",
    ] {
        let leg = Leg::RelayServer {
            scope: world.a.owner,
            relay: world.ra,
            host: host.parse().unwrap(),
        };
        assert_eq!(
            reason(world.judge(&leg, &issued.der)),
            Reason::WrongName,
            "{host}"
        );
    }
    let names = |names: &dyn Fn(SanType) -> Vec<SanType>| {
        spoilt(|_, params| params.subject_alt_names = names(params.subject_alt_names.pop().unwrap()))
    };
    assert_eq!(names(&|id| vec![id]), Reason::WrongName);
    assert_eq!(names(&|id| vec![dns("*.example.com"), id]), Reason::WrongName);
    assert_eq!(names(&|_| vec![dns("relay.example.com")]), Reason::WrongName);
    assert_eq!(
        names(&|id| vec![dns("relay.example.com"), id.clone(), id]),
        Reason::WrongName
    );
    assert_eq!(
        names(&|id| vec![dns("relay.example.com"), dns("b.example.com"), id]),
        Reason::WrongName
    );
    let email = SanType::Rfc822Name("relay.example.com".try_into().unwrap());
    assert_eq!(names(&|id| vec![email.clone(), id]), Reason::WrongName);
}

#[test]
fn refuses_another_relay_at_the_same_host() {
    let world = World::new();
    let issued = world.issue(&world.a.relay_server, &world.relay_leaf());
    let leg = Leg::RelayServer {
        scope: world.a.owner,
        relay: RelayId::generate(world.now),
        host: relay_host(),
    };
    assert_eq!(reason(world.judge(&leg, &issued.der)), Reason::WrongRelay);
}

#[test]
fn refuses_an_identity_of_another_owner_and_one_that_is_no_relay() {
    let identity = |make: &dyn Fn(&World) -> Identity| {
        spoilt(|world, params| {
            params.subject_alt_names.pop();
            params.subject_alt_names.push(uri(&make(world).to_string()));
        })
    };
    let of = |scope: Scope, world: &World| Identity::Relay {
        instance: world.instance,
        scope,
        relay: world.ra,
    };
    assert_eq!(identity(&|w| of(Scope::Instance, w)), Reason::WrongOrganization);
    assert_eq!(identity(&|w| of(w.b.owner, w)), Reason::WrongOrganization);
    let gateway = identity(&|w| Identity::Gateway {
        instance: w.instance,
        organization: w.org_a(),
        gateway: w.a1,
    });
    assert_eq!(gateway, Reason::WrongName);
}

#[test]
fn refuses_another_organizations_subject_and_another_common_name() {
    let other = spoilt(|world, params| {
        params.distinguished_name = name(&world.org_b().to_string(), Some("relay"), "relay.example.com");
    });
    assert_eq!(other, Reason::WrongOrganization);
    let name = spoilt(|_, params| {
        params
            .distinguished_name
            .push(DnType::CommonName, "x.example.com")
    });
    assert_eq!(name, Reason::WrongName);
}

#[test]
fn refuses_every_other_authority() {
    let world = World::new();
    let a = &world.a;
    let others = [
        &a.relay_client,
        &a.relay_root,
        &a.gateways().server,
        &world.own.relay_server,
        &world.b.relay_server,
    ];
    for other in others {
        let der = mint(other, &relay_server(&world));
        assert_eq!(
            reason(world.judge(&world.of_relay(), &der)),
            Reason::WrongAuthority,
            "{other:?}"
        );
    }
    let impostor = mint_as(&a.relay_server, &relay_server(&world));
    assert_eq!(
        reason(world.judge(&world.of_relay(), &impostor)),
        Reason::BadSignature
    );
    let alone = relay_server(&world)
        .self_signed(&rcgen::KeyPair::generate().unwrap())
        .unwrap();
    assert_eq!(
        reason(world.judge(&world.of_relay(), &alone.into())),
        Reason::UnknownAuthority
    );
}

#[test]
fn refuses_a_client_certificate_another_unit_and_other_times() {
    let client = spoilt(|_, p| p.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth]);
    assert_eq!(client, Reason::WrongUsage);
    let gateway = spoilt(|world, params| {
        params.distinguished_name = name(&world.org_a().to_string(), Some("gateway"), "relay.example.com");
    });
    assert_eq!(gateway, Reason::WrongUsage);
    let world = World::new();
    let issued = world.issue(&world.a.relay_server, &world.relay_leaf());
    let at = |now| reason(world.judge_with(&world.of_relay(), &issued.der, &world.trust(), now));
    assert_eq!(at(world.now.plus(25 * HOUR)), Reason::CertificateExpired);
    assert_eq!(at(world.now.minus(6 * MINUTE)), Reason::CertificateNotYetValid);
}

#[test]
fn refuses_a_revoked_relay() {
    let world = World::new();
    let issued = world.issue(&world.a.relay_server, &world.relay_leaf());
    let mut trust = world.trust();
    trust
        .revoked
        .insert_certificate(world.a.relay_server.pin(), issued.serial.clone());
    let refused = world.judge_with(&world.of_relay(), &issued.der, &trust, world.now);
    assert_eq!(reason(refused), Reason::Revoked);
}

#[test]
fn the_hand_made_certificate_is_good_before_it_is_spoilt() {
    let world = World::new();
    let der = mint(&world.a.relay_server, &relay_server(&world));
    assert!(world.judge(&world.of_relay(), &der).is_ok());
    let der = mint(&world.a.relay_client, &forge::relay_client(&world));
    assert!(world.judge(&world.at_relay(), &der).is_ok());
}
