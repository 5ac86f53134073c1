//! Authorities: what is made, what is taken out of the store, and what is taken for an anchor.

use std::time::Duration;

use postern_domain::{AuthorityRole, InstanceId, OrganizationId, Scope, Timestamp};
use postern_pki::{
    DaemonKind, IssueError, Leaf, Lifetimes, SshLeaf, TlsAnchor, TlsAuthority, inspect_pem, issue, issue_ssh,
    issue_with, profile, random_serial, random_ssh_serial,
};
use rcgen::{BasicConstraints, CertificateParams, ExtendedKeyUsagePurpose, IsCa, KeyPair, KeyUsagePurpose};

use crate::forge::{authority, name, stolen};
use crate::world::{HOUR, World};

const TITLE: &str = "Organization Gateway Client CA";

fn parse(world: &World, root: &str, issuer: &str) -> Result<TlsAnchor, String> {
    let role = AuthorityRole::GatewayClient;
    TlsAnchor::parse(world.a.owner, role, root, issuer).map_err(|e| e.to_string())
}

/// Tries an issuer, signed by A's gateway root, after spoiling a good one.
fn spoilt(spoil: impl FnOnce(&World, &mut CertificateParams)) -> String {
    let world = World::new();
    let root = &world.a.gateways().root;
    let mut params = authority(&world, TITLE, 0);
    spoil(&world, &mut params);
    let issuer = params
        .signed_by(&KeyPair::generate().unwrap(), &stolen(root))
        .unwrap();
    parse(&world, &root.certificate_pem(), &issuer.pem()).unwrap_err()
}

#[test]
fn every_authority_is_an_anchor_of_its_own_role() {
    let world = World::new();
    for owner in [&world.own, &world.a, &world.b] {
        for anchor in owner.anchors() {
            let expected = profile::title(anchor.role(), owner.owner);
            assert_eq!(anchor.title(), expected);
            assert_ne!(anchor.root().pin(), anchor.issuer().pin());
            assert_eq!(anchor.root().owner_id(), anchor.issuer().owner_id());
        }
    }
}

#[test]
fn no_two_owners_share_an_authority() {
    let world = World::new();
    let mut keys = Vec::new();
    for owner in [&world.own, &world.a, &world.b] {
        keys.extend(owner.anchors().iter().map(|a| a.issuer().pin()));
        keys.extend([
            owner.relay_root.pin(),
            owner.ssh_client.pin(),
            owner.ssh_server.pin(),
        ]);
        keys.extend(owner.gateway.as_ref().map(|g| g.root.pin()));
    }
    let count = keys.len();
    keys.sort();
    keys.dedup();
    assert_eq!((keys.len(), count), (21, 21));
}

#[test]
fn an_authority_survives_the_store() {
    let world = World::new();
    let made = &world.a.gateways().client;
    let sealed = made.to_sealed_parts().unwrap();
    let again = TlsAuthority::from_parts(made.certificate_der(), sealed.expose()).unwrap();
    assert_eq!(
        (again.role(), again.owner(), again.pin()),
        (made.role(), made.owner(), made.pin())
    );
    assert!(
        world
            .judge(
                &world.at_gateway(),
                &world.issue(&again, &world.client_leaf()).der
            )
            .is_ok()
    );
    let other = world.b.gateways().client.to_sealed_parts().unwrap();
    let refused = TlsAuthority::from_parts(made.certificate_der(), other.expose()).unwrap_err();
    assert!(
        refused.to_string().contains("private key is not that of"),
        "{refused}"
    );
    let leaf = world.issue(made, &world.client_leaf());
    assert!(TlsAuthority::from_parts(&leaf.der, sealed.expose()).is_err());
    assert!(!format!("{made:?}").contains("PRIVATE"));
}

#[test]
fn the_platform_root_signs_leaves_itself_and_has_no_path_below() {
    let world = World::new();
    let root = TlsAuthority::new(
        AuthorityRole::PlatformRoot,
        Scope::Instance,
        world.instance,
        None,
        world.now,
    )
    .unwrap();
    assert_eq!(root.title(), "Platform Root");
    let leaf = Leaf::Platform {
        hosts: vec!["postern.example.com".parse().unwrap(), "::1".parse().unwrap()],
    };
    let issued = world.issue(&root, &leaf);
    let facts = inspect_pem(&issued.pem).unwrap();
    assert_eq!(
        (facts.serial, facts.key, facts.is_authority),
        (issued.serial, issued.pin, false)
    );
    let sealed = root.to_sealed_parts().unwrap();
    assert!(TlsAuthority::from_parts(root.certificate_der(), sealed.expose()).is_ok());
    let none = Leaf::Platform { hosts: vec![] };
    let refused = issue(
        &root,
        &none,
        &world.request(),
        &random_serial().unwrap(),
        world.now,
    );
    assert!(matches!(refused, Err(IssueError::Leaf(_))));
}

#[test]
fn refuses_to_make_authorities_that_the_hierarchy_has_not() {
    let world = World::new();
    let now = world.now;
    let make = |role, owner, parent| TlsAuthority::new(role, owner, world.instance, parent, now).is_ok();
    let a = &world.a;
    assert!(!make(AuthorityRole::GatewayRoot, Scope::Instance, None));
    assert!(!make(AuthorityRole::PlatformRoot, a.owner, None));
    assert!(!make(AuthorityRole::RelaySshClient, a.owner, None));
    assert!(!make(AuthorityRole::AuditKey, a.owner, None));
    assert!(!make(AuthorityRole::GatewayClient, a.owner, None));
    assert!(!make(
        AuthorityRole::GatewayRoot,
        a.owner,
        Some(&a.gateways().root)
    ));
    assert!(!make(AuthorityRole::GatewayClient, a.owner, Some(&a.relay_root)));
    assert!(!make(
        AuthorityRole::GatewayClient,
        a.owner,
        Some(&a.gateways().server)
    ));
    assert!(!make(
        AuthorityRole::GatewayClient,
        a.owner,
        Some(&world.b.gateways().root)
    ));
    let root = &a.gateways().root;
    let late = root.validity().not_after.plus(HOUR);
    let role = AuthorityRole::GatewayClient;
    assert!(TlsAuthority::new(role, a.owner, world.instance, Some(root), late).is_err());
}

#[test]
fn an_intermediate_never_outlives_its_root() {
    let now = Timestamp::from_unix_seconds(1_900_000_000);
    let instance = InstanceId::generate(now);
    let owner = Scope::Organization(OrganizationId::generate(now));
    let root = TlsAuthority::new(AuthorityRole::GatewayRoot, owner, instance, None, now).unwrap();
    let late = now.plus(9 * 365 * 24 * HOUR);
    let issuer = TlsAuthority::new(AuthorityRole::GatewayClient, owner, instance, Some(&root), late).unwrap();
    assert_eq!(issuer.validity().not_after, root.validity().not_after);
}

#[test]
fn refuses_anchors_of_another_owner_role_or_root() {
    let world = World::new();
    let (a, b) = (world.a.gateways(), world.b.gateways());
    let pem = TlsAuthority::certificate_pem;
    assert!(parse(&world, &pem(&a.root), &pem(&a.client)).is_ok());
    for (root, issuer) in [
        (&b.root, &a.client),
        (&a.root, &b.client),
        (&b.root, &b.client),
        (&a.root, &a.server),
        (&a.root, &a.root),
        (&a.client, &a.client),
        (&a.client, &a.root),
        (&world.a.relay_root, &world.a.relay_client),
    ] {
        assert!(
            parse(&world, &pem(root), &pem(issuer)).is_err(),
            "{root:?} {issuer:?}"
        );
    }
    for role in [
        AuthorityRole::GatewayRoot,
        AuthorityRole::RelaySshClient,
        AuthorityRole::PlatformRoot,
    ] {
        assert!(TlsAnchor::parse(world.a.owner, role, &pem(&a.root), &pem(&a.client)).is_err());
    }
    for text in ["", "x", &format!("{}{}", pem(&a.root), pem(&a.root))] {
        assert!(parse(&world, text, &pem(&a.client)).is_err());
        assert!(parse(&world, &pem(&a.root), text).is_err());
    }
}

#[test]
fn refuses_issuers_of_another_form() {
    let cases: [(&str, String); 10] = [
        (
            "path length",
            spoilt(|_, p| p.is_ca = IsCa::Ca(BasicConstraints::Constrained(1))),
        ),
        (
            "path length",
            spoilt(|_, p| p.is_ca = IsCa::Ca(BasicConstraints::Unconstrained)),
        ),
        ("no authority", spoilt(|_, p| p.is_ca = IsCa::ExplicitNoCa)),
        ("key usage", spoilt(|_, p| p.key_usages.clear())),
        (
            "key usage",
            spoilt(|_, p| p.key_usages.push(KeyUsagePurpose::DigitalSignature)),
        ),
        ("extended key usage", spoilt(|_, p| p.extended_key_usages.clear())),
        (
            "extended key usage",
            spoilt(|_, p| p.extended_key_usages.push(ExtendedKeyUsagePurpose::ServerAuth)),
        ),
        (
            "another owner",
            spoilt(|w, p| p.distinguished_name = name(&w.org_b().to_string(), None, TITLE)),
        ),
        (
            "not the name",
            spoilt(|w, p| p.distinguished_name = name(&w.org_a().to_string(), Some("x"), TITLE)),
        ),
        (
            "did not sign",
            spoilt(|_, p| p.use_authority_key_identifier_extension = false),
        ),
    ];
    for (expected, found) in cases {
        assert!(
            found.contains(expected) && found.starts_with(TITLE),
            "{expected}: {found}"
        );
    }
}

#[test]
fn refuses_an_issuer_with_another_kind_of_key() {
    let world = World::new();
    let root = &world.a.gateways().root;
    let key = KeyPair::generate_for(&rcgen::PKCS_ECDSA_P384_SHA384).unwrap();
    let issuer = authority(&world, TITLE, 0)
        .signed_by(&key, &stolen(root))
        .unwrap();
    assert!(
        parse(&world, &root.certificate_pem(), &issuer.pem())
            .unwrap_err()
            .contains("P-256")
    );
}

#[test]
fn an_authority_signs_only_its_own_leaves() {
    let world = World::new();
    let (a, b) = (&world.a, &world.b);
    let leaves = [
        world.client_leaf(),
        world.relay_client_leaf(),
        world.gateway_leaf(),
        world.relay_leaf(),
    ];
    let right = [
        &a.gateways().client,
        &a.relay_client,
        &a.gateways().server,
        &a.relay_server,
    ];
    let wrong = [
        &a.relay_root,
        &a.gateways().root,
        &b.gateways().client,
        &b.gateways().server,
        &b.relay_client,
        &b.relay_server,
        &world.own.relay_server,
    ];
    let serial = random_serial().unwrap();
    for (index, leaf) in leaves.iter().enumerate() {
        let request = world.request_for(leaf);
        for (other, authority) in right.iter().enumerate() {
            let issued = issue(authority, leaf, &request, &serial, world.now);
            assert_eq!(issued.is_ok(), index == other, "{leaf:?} by {authority:?}");
        }
        for authority in wrong {
            let refused = issue(authority, leaf, &request, &serial, world.now);
            assert!(
                matches!(refused, Err(IssueError::Authority(_))),
                "{leaf:?} by {authority:?}"
            );
        }
    }
}

#[test]
fn a_request_serves_only_the_kind_it_was_verified_for() {
    let world = World::new();
    let serial = random_serial().unwrap();
    let client = world.request();
    let relay = world.daemon_request(DaemonKind::Relay);
    let g = world.a.gateways();
    for (authority, leaf, request) in [
        (&g.server, world.gateway_leaf(), &client),
        (&g.server, world.gateway_leaf(), &relay),
        (&g.client, world.client_leaf(), &relay),
        (&world.a.relay_server, world.relay_leaf(), &client),
    ] {
        let refused = issue(authority, &leaf, request, &serial, world.now).unwrap_err();
        assert_eq!(refused, IssueError::Request);
    }
    let leaf = SshLeaf::Gateway {
        gateway: world.a1,
        organization: world.org_a(),
        relays: vec![world.ra],
    };
    let ssh = random_ssh_serial().unwrap();
    for request in [&client, &relay] {
        let refused = issue_ssh(&world.a.ssh_client, &leaf, request, &ssh, world.now).unwrap_err();
        assert_eq!(refused, IssueError::Request);
    }
}

#[test]
fn a_clients_certificate_lives_five_minutes_and_never_longer_than_its_session() {
    let world = World::new();
    let issued = world.issue(&world.a.gateways().client, &world.client_leaf());
    let life = issued.validity.not_after.since(world.now);
    assert!(life <= Duration::from_secs(300) && life > Duration::from_secs(298));
    let back = world.now.since(issued.validity.not_before);
    assert!(back >= Duration::from_secs(300) && back < Duration::from_secs(302));
    let mut grant = world.grant();
    grant.session_expires = world.now.plus(Duration::from_secs(60));
    let leaf = Leaf::GatewayClient {
        instance: world.instance,
        grant: grant.clone(),
    };
    let issued = world.issue(&world.a.gateways().client, &leaf);
    assert!(issued.validity.not_after <= grant.session_expires);
    grant.session_expires = world.now;
    let leaf = Leaf::GatewayClient {
        instance: world.instance,
        grant,
    };
    let serial = random_serial().unwrap();
    let refused = issue(
        &world.a.gateways().client,
        &leaf,
        &world.request(),
        &serial,
        world.now,
    );
    assert_eq!(refused.unwrap_err(), IssueError::SessionOver);
}

#[test]
fn lifetimes_can_be_shortened_and_never_exceed_the_authoritys() {
    let world = World::new();
    let server = &world.a.gateways().server;
    let (leaf, serial) = (world.gateway_leaf(), random_serial().unwrap());
    let request = world.request_for(&leaf);
    let lifetimes = Lifetimes {
        daemon: Duration::from_secs(60),
        ..Lifetimes::default()
    };
    let issued = issue_with(server, &leaf, &request, &serial, world.now, &lifetimes).unwrap();
    assert!(issued.validity.not_after <= world.now.plus(Duration::from_secs(60)));
    let last = server.validity().not_after.minus(HOUR);
    let issued = issue(server, &leaf, &request, &serial, last).unwrap();
    assert_eq!(issued.validity.not_after, server.validity().not_after);
    let refused = issue(server, &leaf, &request, &serial, last.plus(2 * HOUR)).unwrap_err();
    assert!(matches!(refused, IssueError::AuthorityNotValid(_)));
}

#[test]
fn refuses_grants_that_are_never_issued() {
    let world = World::new();
    let bad = |change: &dyn Fn(&mut postern_domain::Grant)| {
        let mut grant = world.grant();
        change(&mut grant);
        let leaf = Leaf::GatewayClient {
            instance: world.instance,
            grant,
        };
        let serial = random_serial().unwrap();
        issue(
            &world.a.gateways().client,
            &leaf,
            &world.request(),
            &serial,
            world.now,
        )
        .unwrap_err()
    };
    let twice = |g: &mut postern_domain::Grant| g.resources.push(g.resources[0].clone());
    assert!(matches!(bad(&twice), IssueError::Leaf(_)));
    assert!(matches!(bad(&|g| g.resources.clear()), IssueError::Leaf(_)));
    assert!(matches!(bad(&|g| g.project = None), IssueError::Leaf(_)));
    assert!(matches!(
        bad(&|g| g.kind = postern_domain::GrantKind::Probe),
        IssueError::Leaf(_)
    ));
}
