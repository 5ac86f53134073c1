//! At the relay's SSH port: which gateways are let in.

use postern_domain::{DaemonId, GatewayId, OrganizationId, Reason, RelayId, Scope};
use postern_pki::{Refusal, SshAuthority, SshLeaf, Trust, VerifiedPeer, judge_gateway};
use postern_sshkey::{Certificate, CertificateKind, CertificateSpec, PrivateKey};

use crate::world::{HOUR, MINUTE, World, reason};

fn leaf(world: &World) -> SshLeaf {
    SshLeaf::Gateway {
        gateway: world.a1,
        organization: world.org_a(),
        relays: vec![world.ra, world.ri],
    }
}

fn judge(world: &World, certificate: &Certificate) -> Result<VerifiedPeer, Refusal> {
    judge_at(world, certificate, &world.trust(), world.now)
}

fn judge_at(
    world: &World,
    certificate: &Certificate,
    trust: &Trust,
    now: postern_domain::Timestamp,
) -> Result<VerifiedPeer, Refusal> {
    let fresh = Trust {
        learned: now,
        ..trust.clone()
    };
    let user = world.a1.to_string();
    judge_gateway(
        certificate,
        &user,
        world.ra,
        world.a.owner,
        &fresh.fresh(now).unwrap(),
        now,
    )
}

fn key_of(authority: &SshAuthority) -> PrivateKey {
    let sealed = authority.to_sealed_parts().unwrap();
    PrivateKey::from_openssh(std::str::from_utf8(sealed.expose()).unwrap()).unwrap()
}

/// What a good certificate of gateway A1 says, still to be spoilt.
fn spec(world: &World) -> CertificateSpec {
    CertificateSpec {
        kind: CertificateKind::User,
        key: PrivateKey::generate().unwrap().public_key().clone(),
        serial: 7,
        key_id: DaemonId::Gateway(world.a1).to_string(),
        principals: vec![world.a1.to_string()],
        valid_after: world.now.minus(5 * MINUTE).as_unix_seconds(),
        valid_before: world.now.plus(HOUR).as_unix_seconds(),
        critical_options: vec![
            (String::from("org@postern"), world.org_a().to_string()),
            (String::from("relays@postern"), world.ra.to_string()),
        ],
    }
}

fn spoilt(spoil: impl FnOnce(&World, &mut CertificateSpec)) -> Reason {
    let world = World::new();
    let mut spec = spec(&world);
    spoil(&world, &mut spec);
    let certificate = spec.sign(&key_of(&world.a.ssh_client)).unwrap();
    reason(judge(&world, &certificate))
}

#[test]
fn lets_in_a_gateway_that_names_this_relay() {
    let world = World::new();
    let issued = world.issue_ssh(&world.a.ssh_client, &leaf(&world));
    let peer = judge(&world, &issued.certificate).unwrap();
    assert_eq!(
        (peer.gateway(), peer.organization()),
        (Some(world.a1), Some(world.org_a()))
    );
    assert_eq!(peer.serial().as_u64(), Some(issued.certificate.serial()));
    assert_eq!(
        (peer.validity(), peer.issuer()),
        (issued.validity, world.a.ssh_client.pin())
    );
    assert_eq!(peer.issuer_title(), "Organization Relay SSH Client CA");
    assert!(judge(&world, &spec(&world).sign(&key_of(&world.a.ssh_client)).unwrap()).is_ok());
}

#[test]
fn an_instance_relay_lets_in_gateways_of_every_organization_as_what_they_are() {
    let world = World::new();
    let trust = world.trust();
    let fresh = trust.fresh(world.now).unwrap();
    for organization in [world.org_a(), world.org_b()] {
        let leaf = SshLeaf::Gateway {
            gateway: world.b1,
            organization,
            relays: vec![world.ri],
        };
        let issued = world.issue_ssh(&world.own.ssh_client, &leaf);
        let user = world.b1.to_string();
        let peer = judge_gateway(
            &issued.certificate,
            &user,
            world.ri,
            Scope::Instance,
            &fresh,
            world.now,
        );
        assert_eq!(peer.unwrap().organization(), Some(organization));
    }
}

#[test]
fn refuses_every_other_authority() {
    let world = World::new();
    let others = [&world.a.ssh_server, &world.own.ssh_client, &world.b.ssh_client];
    for other in others {
        let certificate = spec(&world).sign(&key_of(other)).unwrap();
        assert_eq!(
            reason(judge(&world, &certificate)),
            Reason::WrongAuthority,
            "{other:?}"
        );
    }
    let certificate = spec(&world).sign(&key_of(&world.b.ssh_client)).unwrap();
    let refused = judge_at(&world, &certificate, &world.trust_of_a(), world.now);
    assert_eq!(reason(refused), Reason::UnknownAuthority);
    let foreign = spec(&world).sign(&PrivateKey::generate().unwrap()).unwrap();
    let refused = judge(&world, &foreign).unwrap_err();
    assert_eq!(refused.reason, Reason::UnknownAuthority);
    assert_eq!(
        (refused.claimed.gateway, refused.claimed.organization),
        (Some(world.a1), Some(world.org_a()))
    );
}

#[test]
fn refuses_a_key_that_signed_its_own_certificate() {
    let world = World::new();
    let key = PrivateKey::generate().unwrap();
    let mut spec = spec(&world);
    spec.key = key.public_key().clone();
    assert_eq!(
        reason(judge(&world, &spec.sign(&key).unwrap())),
        Reason::UnknownAuthority
    );
}

#[test]
fn refuses_before_and_after_the_validity() {
    let world = World::new();
    let issued = world.issue_ssh(&world.a.ssh_client, &leaf(&world));
    let at = |now| judge_at(&world, &issued.certificate, &world.trust(), now);
    assert!(at(issued.validity.not_after).is_ok() && at(issued.validity.not_before).is_ok());
    let end = issued
        .validity
        .not_after
        .plus(std::time::Duration::from_millis(1));
    assert_eq!(end.as_unix_seconds(), issued.certificate.valid_before());
    assert_eq!(reason(at(end)), Reason::CertificateExpired);
    assert_eq!(
        reason(at(world.now.minus(6 * MINUTE))),
        Reason::CertificateNotYetValid
    );
}

#[test]
fn refuses_a_host_certificate() {
    assert_eq!(
        spoilt(|_, spec| spec.kind = CertificateKind::Host),
        Reason::WrongUsage
    );
}

#[test]
fn refuses_another_user_name() {
    let world = World::new();
    let issued = world.issue_ssh(&world.a.ssh_client, &leaf(&world));
    let trust = world.trust();
    let fresh = trust.fresh(world.now).unwrap();
    let a1 = world.a1.to_string();
    for user in [
        &*world.a2.to_string(),
        "root",
        "",
        &a1.to_uppercase(),
        &format!("{a1} "),
    ] {
        let refused = judge_gateway(
            &issued.certificate,
            user,
            world.ra,
            world.a.owner,
            &fresh,
            world.now,
        );
        assert_eq!(reason(refused), Reason::WrongName, "{user}");
    }
}

#[test]
fn refuses_principals_that_are_not_one_gateway() {
    let two = spoilt(|w, spec| spec.principals.push(w.a2.to_string()));
    assert_eq!(two, Reason::WrongName);
    let name = spoilt(|_, spec| spec.principals = vec![String::from("root")]);
    assert_eq!(name, Reason::WrongName);
    let upper = spoilt(|w, spec| spec.principals = vec![w.a1.to_string().to_uppercase()]);
    assert_eq!(upper, Reason::WrongName);
    let key_id = spoilt(|w, spec| spec.key_id = DaemonId::Gateway(w.a2).to_string());
    assert_eq!(key_id, Reason::WrongName);
}

#[test]
fn refuses_missing_unknown_and_unreadable_options() {
    let options = |make: &dyn Fn(&World) -> Vec<(&'static str, String)>| {
        spoilt(|w, spec| {
            spec.critical_options = make(w).into_iter().map(|(n, d)| (String::from(n), d)).collect();
        })
    };
    let org = |w: &World| ("org@postern", w.org_a().to_string());
    let relays = |w: &World| ("relays@postern", w.ra.to_string());
    for found in [
        options(&|_| vec![]),
        options(&|w| vec![org(w)]),
        options(&|w| vec![relays(w)]),
        options(&|w| vec![("force-command", String::from("/bin/sh")), org(w), relays(w)]),
        options(&|w| vec![org(w), relays(w), ("source-address", String::from("10.0.0.0/8"))]),
        options(&|w| vec![("org@postern", String::from("A")), relays(w)]),
        options(&|w| vec![org(w), ("relays@postern", String::new())]),
        options(&|w| vec![org(w), ("relays@postern", format!("{},", w.ra))]),
        options(&|w| vec![org(w), ("relays@postern", format!("{}, {}", w.ra, w.ri))]),
        options(&|w| {
            vec![
                org(w),
                ("relays@postern", [w.ra; 4].map(|r| r.to_string()).join(",")),
            ]
        }),
    ] {
        assert_eq!(found, Reason::CriticalOption);
    }
}

#[test]
fn refuses_a_gateway_of_another_organization() {
    let found = spoilt(|w, spec| spec.critical_options[0].1 = w.org_b().to_string());
    assert_eq!(found, Reason::WrongOrganization);
}

#[test]
fn refuses_a_gateway_that_was_given_another_relay() {
    let found = spoilt(|w, spec| spec.critical_options[1].1 = w.ri.to_string());
    assert_eq!(found, Reason::WrongRelay);
}

#[test]
fn refuses_what_was_revoked_and_cuts_what_holds_no_more() {
    let world = World::new();
    let issued = world.issue_ssh(&world.a.ssh_client, &leaf(&world));
    let peer = judge(&world, &issued.certificate).unwrap();
    let with = |revoke: &dyn Fn(&mut Trust)| {
        let mut trust = world.trust();
        revoke(&mut trust);
        let judged = judge_at(&world, &issued.certificate, &trust, world.now);
        (
            judged.map(|_| ()),
            peer.still_holds(&trust.fresh(world.now).unwrap(), world.now),
        )
    };
    assert!(matches!(with(&|_| {}), (Ok(()), Ok(()))));
    for (judged, held) in [
        with(&|t| {
            t.revoked
                .insert_certificate(world.a.ssh_client.pin(), peer.serial().clone())
        }),
        with(&|t| t.revoked.insert_key(peer.key())),
        with(&|t| t.revoked.insert_key(world.a.ssh_client.pin())),
    ] {
        assert_eq!((reason(judged), reason(held)), (Reason::Revoked, Reason::Revoked));
    }
    let (judged, held) = with(&|t| t.ssh.clear());
    assert_eq!(
        (reason(judged), reason(held)),
        (Reason::UnknownAuthority, Reason::UnknownAuthority)
    );
}

#[test]
fn a_tunnel_holds_while_its_certificate_is_valid() {
    let world = World::new();
    let issued = world.issue_ssh(&world.a.ssh_client, &leaf(&world));
    let peer = judge(&world, &issued.certificate).unwrap();
    let mut trust = world.trust();
    trust.learned = peer.ends();
    let held = peer.still_holds(&trust.fresh(peer.ends()).unwrap(), peer.ends());
    assert_eq!(reason(held), Reason::CertificateExpired);
}

#[test]
fn refuses_to_issue_leaves_that_break_the_table() {
    let world = World::new();
    let request = world.daemon_request(postern_pki::DaemonKind::Gateway);
    let serial = postern_pki::random_ssh_serial().unwrap();
    let gateway = |organization: OrganizationId, relays: Vec<RelayId>| SshLeaf::Gateway {
        gateway: GatewayId::generate(world.now),
        organization,
        relays,
    };
    let issue = |authority: &SshAuthority, leaf: SshLeaf| {
        postern_pki::issue_ssh(authority, &leaf, &request, &serial, world.now).is_ok()
    };
    assert!(issue(&world.a.ssh_client, gateway(world.org_a(), vec![world.ra])));
    assert!(!issue(&world.a.ssh_client, gateway(world.org_a(), vec![])));
    assert!(!issue(
        &world.a.ssh_client,
        gateway(world.org_a(), vec![world.ra, world.ra])
    ));
    let four = (0..4).map(|_| RelayId::generate(world.now)).collect();
    assert!(!issue(&world.a.ssh_client, gateway(world.org_a(), four)));
    assert!(!issue(
        &world.a.ssh_client,
        gateway(world.org_b(), vec![world.ra])
    ));
    assert!(!issue(
        &world.a.ssh_server,
        gateway(world.org_a(), vec![world.ra])
    ));
    let long = postern_pki::random_serial().unwrap();
    let leaf = gateway(world.org_a(), vec![world.ra]);
    assert!(postern_pki::issue_ssh(&world.a.ssh_client, &leaf, &request, &long, world.now).is_err());
}
