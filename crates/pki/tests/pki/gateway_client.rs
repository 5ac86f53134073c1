//! At the gateway, inside the tunnel: which clients are let in.

use postern_domain::{GrantKind, Identity, Reason, SessionId};
use postern_pki::{Leaf, Trust, check_chain, encode_grant, issue, judge, pin_of_certificate, random_serial};
use rcgen::{
    BasicConstraints, CertificateParams, CustomExtension, DnType, ExtendedKeyUsagePurpose, IsCa, KeyPair,
    KeyUsagePurpose, SanType, SerialNumber,
};

use crate::forge::{
    self, authority, extension, gateway_client, mint, mint_as, moment, name, resign, second, session, stolen,
    uri,
};
use crate::world::{HOUR, MINUTE, World, anchor, reason};

/// Judges a client certificate after spoiling a good one.
fn spoilt(spoil: impl FnOnce(&World, &mut CertificateParams)) -> Reason {
    let world = World::new();
    let mut params = gateway_client(&world);
    spoil(&world, &mut params);
    let der = mint(&world.a.gateways().client, &params);
    reason(world.judge(&world.at_gateway(), &der))
}

#[test]
fn lets_in_a_client_of_its_own_organization_with_a_grant() {
    let world = World::new();
    let issued = world.issue(&world.a.gateways().client, &world.client_leaf());
    let peer = world.judge(&world.at_gateway(), &issued.der).unwrap();
    assert_eq!(peer.organization(), Some(world.org_a()));
    assert_eq!(
        (peer.gateway(), peer.session()),
        (Some(world.a1), Some(world.session))
    );
    assert_eq!(peer.grant().map(|g| g.resources.len()), Some(1));
    assert_eq!((peer.serial(), peer.key()), (&issued.serial, issued.pin));
    assert_eq!(peer.issuer(), world.a.gateways().client.pin());
    assert_eq!(peer.issuer_title(), "Organization Gateway Client CA");
    assert_eq!(
        (peer.session_expires(), peer.ends()),
        (Some(world.expires()), world.expires())
    );
    assert!(matches!(peer.identity(), Identity::Session { session, .. } if *session == world.session));
}

#[test]
fn the_hand_made_certificate_is_good_before_it_is_spoilt() {
    let world = World::new();
    let der = mint(&world.a.gateways().client, &gateway_client(&world));
    assert!(world.judge(&world.at_gateway(), &der).is_ok());
}

#[test]
fn lets_in_the_platforms_probe() {
    let world = World::new();
    let mut grant = world.grant();
    grant.kind = GrantKind::Probe;
    grant.actor = postern_domain::Actor::Platform;
    grant.project = None;
    grant.resources.clear();
    let leaf = Leaf::GatewayClient {
        instance: world.instance,
        grant,
    };
    let issued = world.issue(&world.a.gateways().client, &leaf);
    let peer = world.judge(&world.at_gateway(), &issued.der).unwrap();
    assert_eq!(peer.grant().map(|g| g.kind), Some(GrantKind::Probe));
}

#[test]
fn refuses_a_peer_that_presents_nothing() {
    let world = World::new();
    let trust = world.trust();
    let refused = judge(
        &world.at_gateway(),
        &[],
        &trust.fresh(world.now).unwrap(),
        world.now,
    );
    assert_eq!(reason(refused), Reason::NoCertificate);
}

#[test]
fn refuses_a_self_signed_certificate() {
    let world = World::new();
    let der = gateway_client(&world)
        .self_signed(&KeyPair::generate().unwrap())
        .unwrap()
        .into();
    assert_eq!(
        reason(world.judge(&world.at_gateway(), &der)),
        Reason::UnknownAuthority
    );
}

#[test]
fn refuses_a_client_of_another_organization() {
    let world = World::new();
    let mut grant = world.grant();
    grant.organization = world.org_b();
    let leaf = Leaf::GatewayClient {
        instance: world.instance,
        grant,
    };
    let issued = world.issue(&world.b.gateways().client, &leaf);
    // Whoever knows B's authorities sees whose it is; A's gateways do not even know them.
    assert_eq!(
        reason(world.judge(&world.at_gateway(), &issued.der)),
        Reason::WrongAuthority
    );
    let refused = world.judge_with(&world.at_gateway(), &issued.der, &world.trust_of_a(), world.now);
    assert_eq!(
        refused.as_ref().unwrap_err().claimed.organization,
        Some(world.org_b())
    );
    assert_eq!(reason(refused), Reason::UnknownAuthority);
}

#[test]
fn refuses_another_organizations_authority_that_writes_this_organizations_names() {
    let world = World::new();
    let der = mint(&world.b.gateways().client, &gateway_client(&world));
    assert_eq!(
        reason(world.judge(&world.at_gateway(), &der)),
        Reason::WrongAuthority
    );
}

#[test]
fn refuses_the_sibling_the_root_and_the_relays_authorities() {
    let world = World::new();
    let a = &world.a;
    let others = [
        &a.gateways().server,
        &a.gateways().root,
        &a.relay_client,
        &a.relay_server,
        &a.relay_root,
        &world.own.relay_client,
    ];
    for other in others {
        let der = mint(other, &gateway_client(&world));
        let refused = world.judge(&world.at_gateway(), &der).unwrap_err();
        assert_eq!(refused.reason, Reason::WrongAuthority, "{other:?}");
        assert!(refused.detail.contains(other.title()), "{refused}");
    }
}

#[test]
fn refuses_a_foreign_authority_with_the_same_name() {
    let world = World::new();
    let foreign = KeyPair::generate().unwrap();
    let mut params = authority(&world, "Organization Gateway Client CA", 0);
    params.serial_number = Some(SerialNumber::from_slice(&[0x43; 16]));
    let issuer = rcgen::CertifiedIssuer::self_signed(params, foreign).unwrap();
    let leaf = gateway_client(&world)
        .signed_by(&KeyPair::generate().unwrap(), &issuer)
        .unwrap();
    assert_eq!(
        reason(world.judge(&world.at_gateway(), &leaf.into())),
        Reason::UnknownAuthority
    );
}

#[test]
fn refuses_a_certificate_that_only_claims_its_authority() {
    let world = World::new();
    let der = mint_as(&world.a.gateways().client, &gateway_client(&world));
    assert_eq!(
        reason(world.judge(&world.at_gateway(), &der)),
        Reason::BadSignature
    );
}

#[test]
fn looks_at_the_first_certificate_and_at_nothing_else_that_is_presented() {
    let world = World::new();
    // Below the root, but not the leg's authority: its path verifies, and it is refused all the same.
    let key = KeyPair::generate().unwrap();
    let mut params = authority(&world, "Organization Gateway Client CA", 0);
    params.distinguished_name = name(&world.org_a().to_string(), None, "Another CA");
    let other = params.signed_by(&key, &stolen(&world.a.gateways().root)).unwrap();
    let issuer = rcgen::Issuer::from_ca_cert_der(other.der(), key).unwrap();
    let leaf = gateway_client(&world)
        .signed_by(&KeyPair::generate().unwrap(), &issuer)
        .unwrap();
    let good = world.issue(&world.a.gateways().client, &world.client_leaf());
    let root = world.a.gateways().root.certificate_der().clone();
    let presented = [leaf.into(), other.der().clone(), good.der.clone(), root.clone()];
    let trust = world.trust();
    let fresh = trust.fresh(world.now).unwrap();
    let refused = judge(&world.at_gateway(), &presented, &fresh, world.now);
    assert_eq!(reason(refused), Reason::UnknownAuthority);
    // And a good one needs no chain, nor is it harmed by a foreign one.
    let presented = [good.der, other.der().clone(), root, vec![0xff].into()];
    assert!(judge(&world.at_gateway(), &presented, &fresh, world.now).is_ok());
}

#[test]
fn refuses_a_leaf_below_an_authority_below_the_authority() {
    let world = World::new();
    let key = KeyPair::generate().unwrap();
    let mut params = authority(&world, "x", 0);
    params.distinguished_name = name(&world.org_a().to_string(), None, "Sub CA");
    let sub = params
        .signed_by(&key, &stolen(&world.a.gateways().client))
        .unwrap();
    let issuer = rcgen::Issuer::from_ca_cert_der(sub.der(), key).unwrap();
    let leaf = gateway_client(&world)
        .signed_by(&KeyPair::generate().unwrap(), &issuer)
        .unwrap();
    let trust = world.trust();
    let presented = [leaf.into(), sub.into()];
    let refused = judge(
        &world.at_gateway(),
        &presented,
        &trust.fresh(world.now).unwrap(),
        world.now,
    );
    assert_eq!(reason(refused), Reason::UnknownAuthority);
}

#[test]
fn refuses_before_and_after_the_validity() {
    let world = World::new();
    let issued = world.issue(&world.a.gateways().client, &world.client_leaf());
    let at = |now| world.judge_with(&world.at_gateway(), &issued.der, &world.trust(), now);
    assert!(at(issued.validity.not_before).is_ok() && at(issued.validity.not_after).is_ok());
    let early = issued.validity.not_before.minus(MINUTE);
    assert_eq!(reason(at(early)), Reason::CertificateNotYetValid);
    assert_eq!(reason(at(world.now.plus(5 * MINUTE))), Reason::CertificateExpired);
}

#[test]
fn refuses_below_an_authority_that_has_expired() {
    let world = World::new();
    let later = world.a.gateways().client.validity().not_after.plus(HOUR);
    let mut params = gateway_client(&world);
    params.not_after = moment(later.plus(HOUR));
    params.custom_extensions = vec![extension(1, {
        let mut grant = world.grant();
        grant.session_expires = later.plus(HOUR);
        encode_grant(&grant)
    })];
    let der = mint(&world.a.gateways().client, &params);
    let refused = world
        .judge_with(&world.at_gateway(), &der, &world.trust(), later)
        .unwrap_err();
    assert_eq!(refused.reason, Reason::CertificateExpired);
    assert!(
        refused.detail.contains("Organization Gateway Client CA"),
        "{refused}"
    );
}

#[test]
fn refuses_below_a_root_that_has_expired() {
    let world = World::new();
    let root = &world.a.gateways().root;
    let later = root.validity().not_after.plus(HOUR);
    // An intermediate that outlives its root is never issued, but a trust document could carry one.
    let key = KeyPair::generate().unwrap();
    let mut params = authority(&world, "Organization Gateway Client CA", 0);
    params.not_after = moment(later.plus(HOUR));
    let issuer = params.signed_by(&key, &stolen(root)).unwrap();
    let mut leaf = gateway_client(&world);
    leaf.not_after = moment(later.plus(HOUR));
    let leaf = leaf
        .signed_by(
            &KeyPair::generate().unwrap(),
            &rcgen::Issuer::from_ca_cert_der(issuer.der(), key).unwrap(),
        )
        .unwrap();
    let mut trust = world.trust();
    trust.tls = vec![
        postern_pki::TlsAnchor::parse(
            world.a.owner,
            postern_domain::AuthorityRole::GatewayClient,
            &root.certificate_pem(),
            &issuer.pem(),
        )
        .unwrap(),
    ];
    let refused = world
        .judge_with(&world.at_gateway(), &leaf.into(), &trust, later)
        .unwrap_err();
    assert_eq!(refused.reason, Reason::CertificateExpired);
    assert!(
        refused.detail.contains("Organization Gateway Root CA"),
        "{refused}"
    );
}

#[test]
fn refuses_every_extended_key_usage_but_client_auth_alone() {
    use ExtendedKeyUsagePurpose::{Any, ClientAuth, CodeSigning, Other, ServerAuth};
    for usages in [
        vec![],
        vec![ServerAuth],
        vec![Any],
        vec![ClientAuth, ServerAuth],
        vec![ClientAuth, CodeSigning],
        vec![ClientAuth, ClientAuth],
        vec![ClientAuth, Any],
        vec![ClientAuth, Other(vec![1, 2, 3, 4])],
    ] {
        let found = spoilt(|_, params| params.extended_key_usages = usages.clone());
        assert_eq!(found, Reason::WrongUsage, "{usages:?}");
    }
}

#[test]
fn refuses_a_leaf_that_is_an_authority_or_whose_key_may_do_more_than_sign() {
    use KeyUsagePurpose::{CrlSign, DigitalSignature, KeyAgreement, KeyCertSign};
    let authority = spoilt(|_, params| params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained));
    assert_eq!(authority, Reason::WrongUsage);
    for usages in [
        vec![],
        vec![KeyCertSign],
        vec![KeyAgreement],
        vec![DigitalSignature, KeyCertSign],
        vec![DigitalSignature, CrlSign],
    ] {
        assert_eq!(spoilt(|_, params| params.key_usages = usages), Reason::WrongUsage);
    }
}

#[test]
fn refuses_a_missing_another_and_a_second_unit() {
    let unit = |unit: Option<&'static str>| {
        spoilt(|world, params| {
            let organization = world.org_a().to_string();
            params.distinguished_name = name(&organization, unit, &world.session.to_string());
        })
    };
    for bad in [
        None,
        Some("gateway"),
        Some("relay-client"),
        Some("Gateway-Client"),
        Some("gateway-client "),
    ] {
        assert_eq!(unit(bad), Reason::WrongUsage, "{bad:?}");
    }
    for unit in ["gateway-client", "gateway", ""] {
        let found = spoilt(|_, params| params.distinguished_name.push(second(11), unit));
        assert_eq!(found, Reason::WrongUsage, "{unit}");
    }
}

#[test]
fn refuses_the_organization_of_somebody_else_and_two_of_them() {
    let world = World::new();
    let b = world.org_b().to_string();
    let other = |o: &str| {
        let mut params = gateway_client(&world);
        params.distinguished_name = name(o, Some("gateway-client"), &world.session.to_string());
        reason(world.judge(&world.at_gateway(), &mint(&world.a.gateways().client, &params)))
    };
    for bad in [&*b, "", "A", &world.org_a().to_string().to_uppercase()] {
        assert_eq!(other(bad), Reason::WrongOrganization, "{bad}");
    }
    let two = spoilt(|world, params| {
        params
            .distinguished_name
            .push(second(10), world.org_a().to_string());
    });
    assert_eq!(two, Reason::WrongName);
}

#[test]
fn refuses_a_common_name_that_is_not_the_session_of_the_identity() {
    let other = spoilt(|world, params| {
        let session = SessionId::generate(world.now).to_string();
        params.distinguished_name.push(DnType::CommonName, session);
    });
    assert_eq!(other, Reason::WrongName);
    let none = spoilt(|_, params| {
        params.distinguished_name.remove(DnType::CommonName);
    });
    assert_eq!(none, Reason::WrongName);
    let two = spoilt(|world, params| {
        params
            .distinguished_name
            .push(second(3), world.session.to_string());
    });
    assert_eq!(two, Reason::WrongName);
    let more = spoilt(|_, params| params.distinguished_name.push(DnType::CountryName, "CH"));
    assert_eq!(more, Reason::WrongName);
}

#[test]
fn refuses_every_set_of_names_but_the_one_identity() {
    let world = World::new();
    let good = session(&world);
    let gateway = format!(
        "spiffe://{}/org/{}/gateway/{}",
        world.instance,
        world.org_a(),
        world.a1
    );
    let foreign = good.replace(
        &world.instance.to_string(),
        &SessionId::generate(world.now).to_string(),
    );
    for names in [
        vec![],
        vec![uri(&good), uri(&good)],
        vec![uri(&good), uri(&gateway)],
        vec![uri(&gateway)],
        vec![uri(&foreign)],
        vec![uri(&format!("{good}/x"))],
        vec![uri("https://example.com")],
        vec![uri(&good), SanType::DnsName("example.com".try_into().unwrap())],
        vec![SanType::DnsName("example.com".try_into().unwrap())],
    ] {
        let mut params = gateway_client(&world);
        params.subject_alt_names = names.clone();
        let der = mint(&world.a.gateways().client, &params);
        assert_eq!(
            reason(world.judge(&world.at_gateway(), &der)),
            Reason::WrongName,
            "{names:?}"
        );
    }
}

#[test]
fn refuses_an_identity_of_another_organization() {
    let found = spoilt(|world, params| {
        let foreign = session(world).replace(&world.org_a().to_string(), &world.org_b().to_string());
        params.subject_alt_names = vec![uri(&foreign)];
    });
    assert_eq!(found, Reason::WrongOrganization);
}

#[test]
fn refuses_a_certificate_for_another_gateway_of_the_same_organization() {
    let world = World::new();
    let mut grant = world.grant();
    grant.gateway = world.a2;
    let leaf = Leaf::GatewayClient {
        instance: world.instance,
        grant,
    };
    let issued = world.issue(&world.a.gateways().client, &leaf);
    let refused = world.judge(&world.at_gateway(), &issued.der).unwrap_err();
    assert_eq!(refused.reason, Reason::WrongGateway);
    assert_eq!(refused.claimed.gateway, Some(world.a2));
    assert_eq!(refused.claimed.session, Some(world.session));
}

#[test]
fn refuses_a_missing_and_an_unreadable_grant() {
    assert_eq!(
        spoilt(|_, params| params.custom_extensions.clear()),
        Reason::GrantMissing
    );
    let relay_legs = spoilt(|world, params| {
        params.custom_extensions = vec![forge::session_expires(world.expires())];
    });
    assert_eq!(relay_legs, Reason::GrantMissing);
    for der in [vec![], vec![0x30, 0], vec![0xff; 40]] {
        let found = spoilt(|_, params| params.custom_extensions = vec![extension(1, der.clone())]);
        assert_eq!(found, Reason::GrantMalformed, "{der:?}");
    }
    let trailing = spoilt(|world, params| {
        let mut der = encode_grant(&world.grant());
        der.push(0);
        params.custom_extensions = vec![extension(1, der)];
    });
    assert_eq!(trailing, Reason::GrantMalformed);
}

#[test]
fn refuses_a_grant_that_contradicts_its_certificate() {
    let with = |change: &dyn Fn(&World, &mut postern_domain::Grant)| {
        spoilt(|world, params| {
            let mut grant = world.grant();
            change(world, &mut grant);
            params.custom_extensions = vec![extension(1, encode_grant(&grant))];
        })
    };
    assert_eq!(
        with(&|w, g| g.organization = w.org_b()),
        Reason::WrongOrganization
    );
    assert_eq!(with(&|w, g| g.gateway = w.b1), Reason::WrongGateway);
    assert_eq!(
        with(&|w, g| g.session = SessionId::generate(w.now)),
        Reason::WrongName
    );
    assert_eq!(with(&|w, g| g.session_expires = w.now), Reason::SessionExpired);
}

#[test]
fn refuses_grants_that_break_the_rules_of_their_kind() {
    let with = |change: &dyn Fn(&World, &mut postern_domain::Grant)| {
        spoilt(|world, params| {
            let mut grant = world.grant();
            change(world, &mut grant);
            params.custom_extensions = vec![extension(1, encode_grant(&grant))];
        })
    };
    assert_eq!(with(&|_, g| g.kind = GrantKind::Probe), Reason::GrantMalformed);
    assert_eq!(with(&|_, g| g.project = None), Reason::GrantMalformed);
    assert_eq!(with(&|_, g| g.resources.clear()), Reason::GrantMalformed);
    assert_eq!(
        with(&|w, g| g.resources = (0..33).map(|_| w.resource()).collect()),
        Reason::GrantMalformed
    );
}

#[test]
fn refuses_what_was_revoked_by_serial_number_by_key_and_above() {
    let world = World::new();
    let g = world.a.gateways();
    let issued = world.issue(&g.client, &world.client_leaf());
    let with = |revoke: &dyn Fn(&mut Trust)| {
        let mut trust = world.trust();
        revoke(&mut trust);
        world.judge_with(&world.at_gateway(), &issued.der, &trust, world.now)
    };
    let issuer_serial = anchor(&g.root, &g.client).issuer().serial().clone();
    let root_serial = anchor(&g.root, &g.client).root().serial().clone();
    for revoked in [
        with(&|t| {
            t.revoked
                .insert_certificate(g.client.pin(), issued.serial.clone())
        }),
        with(&|t| t.revoked.insert_key(issued.pin)),
        with(&|t| t.revoked.insert_key(g.client.pin())),
        with(&|t| t.revoked.insert_key(g.root.pin())),
        with(&|t| t.revoked.insert_certificate(g.root.pin(), issuer_serial.clone())),
        with(&|t| t.revoked.insert_certificate(g.root.pin(), root_serial.clone())),
    ] {
        assert_eq!(reason(revoked), Reason::Revoked);
    }
    // The same serial number of another authority is another certificate.
    assert!(
        with(&|t| t
            .revoked
            .insert_certificate(g.server.pin(), issued.serial.clone()))
        .is_ok()
    );
    assert!(with(&|t| t.revoked.insert_key(g.server.pin())).is_ok());
}

#[test]
fn refuses_malformed_certificates() {
    let world = World::new();
    let g = world.a.gateways();
    let good = mint(&g.client, &gateway_client(&world));
    let judged = |der: Vec<u8>| reason(world.judge(&world.at_gateway(), &der.into()));
    let mut trailing = good.to_vec();
    trailing.push(0);
    assert_eq!(judged(trailing), Reason::CertificateMalformed);
    for length in [0, 1, 10, good.len() / 2, good.len() - 1] {
        assert_eq!(
            judged(good[..length].to_vec()),
            Reason::CertificateMalformed,
            "{length}"
        );
    }
    let duplicate = spoilt(|world, params| {
        params
            .custom_extensions
            .push(extension(1, encode_grant(&world.grant())));
    });
    assert_eq!(duplicate, Reason::CertificateMalformed);
    let critical = spoilt(|_, params| {
        let mut unknown = CustomExtension::from_oid_content(&[1, 2, 3, 4], vec![5, 0]);
        unknown.set_criticality(true);
        params.custom_extensions.push(unknown);
    });
    assert_eq!(critical, Reason::CertificateMalformed);
    let unreadable = spoilt(|_, params| {
        params.subject_alt_names.clear();
        params
            .custom_extensions
            .push(CustomExtension::from_oid_content(&[2, 5, 29, 17], vec![5, 0]));
    });
    assert_eq!(unreadable, Reason::CertificateMalformed);
}

#[test]
fn ignores_an_unknown_extension_that_is_not_critical() {
    let world = World::new();
    let mut params = gateway_client(&world);
    params
        .custom_extensions
        .push(CustomExtension::from_oid_content(&[1, 2, 3, 4], vec![5, 0]));
    let der = mint(&world.a.gateways().client, &params);
    assert!(world.judge(&world.at_gateway(), &der).is_ok());
}

#[test]
fn refuses_a_negative_a_zero_and_a_huge_serial_number() {
    let world = World::new();
    let client = &world.a.gateways().client;
    let good = mint(client, &gateway_client(&world));
    // The signed part begins after the outer header of four bytes.
    let at = good.windows(16).position(|w| w == [0x41; 16]).unwrap() - 4;
    let negative = resign(client, &good, |tbs| tbs[at] = 0xc1);
    let zero = resign(client, &good, |tbs| tbs[at..at + 16].fill(0));
    for der in [negative, zero] {
        assert_eq!(
            reason(world.judge(&world.at_gateway(), &der)),
            Reason::CertificateMalformed
        );
    }
    for bad in [vec![0x7f; 21], vec![0xff; 20]] {
        let huge = spoilt(|_, params| params.serial_number = Some(SerialNumber::from_slice(&bad)));
        assert_eq!(huge, Reason::CertificateMalformed);
    }
}

#[test]
fn refuses_every_certificate_with_one_bit_turned() {
    let world = World::new();
    let good = world
        .issue(&world.a.gateways().client, &world.client_leaf())
        .der
        .to_vec();
    let trust = world.trust();
    let fresh = trust.fresh(world.now).unwrap();
    for byte in 0..good.len() {
        let mut bad = good.clone();
        bad[byte] ^= 1 << (byte % 8);
        let presented = [bad.into()];
        assert!(
            judge(&world.at_gateway(), &presented, &fresh, world.now).is_err(),
            "byte {byte}"
        );
    }
}

#[test]
fn the_chain_alone_says_nothing_of_the_identity() {
    let world = World::new();
    let trust = world.trust();
    let fresh = trust.fresh(world.now).unwrap();
    let mut params = gateway_client(&world);
    params.custom_extensions.clear();
    let der = [mint(&world.a.gateways().client, &params)];
    assert!(check_chain(&world.at_gateway(), &der, &fresh, world.now).is_ok());
    assert_eq!(
        reason(judge(&world.at_gateway(), &der, &fresh, world.now)),
        Reason::GrantMissing
    );
    let other = [mint(&world.a.gateways().server, &gateway_client(&world))];
    let refused = check_chain(&world.at_gateway(), &other, &fresh, world.now);
    assert_eq!(reason(refused), Reason::WrongAuthority);
}

#[test]
fn a_certificate_is_pinned_by_its_key_whatever_else_it_says() {
    let world = World::new();
    let request = world.request();
    let leaf = world.client_leaf();
    let authority = &world.a.gateways().client;
    let issued = issue(authority, &leaf, &request, &random_serial().unwrap(), world.now).unwrap();
    assert_eq!(pin_of_certificate(&issued.der), Some(request.pin()));
}
