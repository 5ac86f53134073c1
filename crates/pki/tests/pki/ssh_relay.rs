//! At the gateway, before any authentication: which relays are taken for the one that was dialled.

use postern_domain::{DaemonId, Port, Reason, RelayId, Scope, Timestamp};
use postern_pki::{Refusal, SshLeaf, Trust, VerifiedPeer, judge_relay_host};
use postern_sshkey::{Certificate, CertificateKind, CertificateSpec, PrivateKey};

use crate::world::{HOUR, MINUTE, World, reason, relay_host};

fn port() -> Port {
    Port::new(2222).unwrap()
}

fn leaf(world: &World) -> SshLeaf {
    SshLeaf::Relay {
        relay: world.ra,
        host: relay_host(),
        port: port(),
    }
}

fn judge_at(
    world: &World,
    certificate: &Certificate,
    trust: &Trust,
    now: Timestamp,
) -> Result<VerifiedPeer, Refusal> {
    let fresh = Trust {
        learned: now,
        ..trust.clone()
    };
    let host = relay_host();
    judge_relay_host(
        certificate,
        (&host, port()),
        world.ra,
        world.a.owner,
        &fresh.fresh(now).unwrap(),
        now,
    )
}

fn judge(world: &World, certificate: &Certificate) -> Result<VerifiedPeer, Refusal> {
    judge_at(world, certificate, &world.trust(), world.now)
}

fn spoilt(spoil: impl FnOnce(&World, &mut CertificateSpec)) -> Result<VerifiedPeer, Refusal> {
    let world = World::new();
    let mut spec = CertificateSpec {
        kind: CertificateKind::Host,
        key: PrivateKey::generate().unwrap().public_key().clone(),
        serial: 7,
        key_id: DaemonId::Relay(world.ra).to_string(),
        principals: vec![relay_host().to_string(), String::from("relay.example.com:2222")],
        valid_after: world.now.minus(5 * MINUTE).as_unix_seconds(),
        valid_before: world.now.plus(HOUR).as_unix_seconds(),
        critical_options: Vec::new(),
    };
    spoil(&world, &mut spec);
    let sealed = world.a.ssh_server.to_sealed_parts().unwrap();
    let key = PrivateKey::from_openssh(std::str::from_utf8(sealed.expose()).unwrap()).unwrap();
    judge(&world, &spec.sign(&key).unwrap())
}

#[test]
fn takes_the_relay_that_was_dialled() {
    let world = World::new();
    let issued = world.issue_ssh(&world.a.ssh_server, &leaf(&world));
    let peer = judge(&world, &issued.certificate).unwrap();
    assert_eq!((peer.gateway(), peer.organization()), (None, Some(world.org_a())));
    assert_eq!(peer.issuer_title(), "Organization Relay SSH Server CA");
    assert!(spoilt(|_, _| {}).is_ok());
    for principal in ["relay.example.com", "relay.example.com:2222"] {
        assert!(spoilt(|_, spec| spec.principals = vec![String::from(principal)]).is_ok());
    }
}

#[test]
fn refuses_another_host_and_another_port() {
    for principal in [
        "relay.example.org",
        "relay.example.com:22",
        "*.example.com",
        "RELAY.EXAMPLE.COM",
    ] {
        let refused = spoilt(|_, spec| spec.principals = vec![String::from(principal)]);
        assert_eq!(reason(refused), Reason::WrongName, "{principal}");
    }
}

#[test]
fn refuses_another_relay_at_the_same_host() {
    let other = spoilt(|w, spec| spec.key_id = DaemonId::Relay(RelayId::generate(w.now)).to_string());
    assert_eq!(reason(other), Reason::WrongRelay);
    let gateway = spoilt(|w, spec| spec.key_id = DaemonId::Gateway(w.a1).to_string());
    assert_eq!(reason(gateway), Reason::WrongRelay);
}

#[test]
fn refuses_a_user_certificate_and_critical_options() {
    assert_eq!(
        reason(spoilt(|_, spec| spec.kind = CertificateKind::User)),
        Reason::WrongUsage
    );
    let option = spoilt(|w, spec| {
        spec.critical_options = vec![(String::from("org@postern"), w.org_a().to_string())];
    });
    assert_eq!(reason(option), Reason::CriticalOption);
}

#[test]
fn refuses_every_other_authority() {
    let world = World::new();
    let instances = world.issue_ssh(&world.own.ssh_server, &leaf(&world));
    assert_eq!(
        reason(judge(&world, &instances.certificate)),
        Reason::WrongAuthority
    );
    let others = world.issue_ssh(&world.b.ssh_server, &leaf(&world));
    assert_eq!(reason(judge(&world, &others.certificate)), Reason::WrongAuthority);
    let refused = judge_at(&world, &others.certificate, &world.trust_of_a(), world.now);
    assert_eq!(reason(refused), Reason::UnknownAuthority);
    let leaf = SshLeaf::Gateway {
        gateway: world.a1,
        organization: world.org_a(),
        relays: vec![world.ra],
    };
    let gateway = world.issue_ssh(&world.a.ssh_client, &leaf);
    assert_eq!(
        reason(judge(&world, &gateway.certificate)),
        Reason::WrongAuthority
    );
}

#[test]
fn an_instance_relay_is_judged_under_the_instances_authority() {
    let world = World::new();
    let leaf = SshLeaf::Relay {
        relay: world.ri,
        host: relay_host(),
        port: port(),
    };
    let issued = world.issue_ssh(&world.own.ssh_server, &leaf);
    let trust = world.trust();
    let fresh = trust.fresh(world.now).unwrap();
    let host = relay_host();
    let judged = judge_relay_host(
        &issued.certificate,
        (&host, port()),
        world.ri,
        Scope::Instance,
        &fresh,
        world.now,
    );
    assert_eq!(judged.unwrap().organization(), None);
}

#[test]
fn refuses_other_times_and_revoked_relays() {
    let world = World::new();
    let issued = world.issue_ssh(&world.a.ssh_server, &leaf(&world));
    let at = |now| reason(judge_at(&world, &issued.certificate, &world.trust(), now));
    assert_eq!(at(world.now.plus(24 * HOUR)), Reason::CertificateExpired);
    assert_eq!(at(world.now.minus(6 * MINUTE)), Reason::CertificateNotYetValid);
    let mut trust = world.trust();
    trust.revoked.insert_key(world.a.ssh_server.pin());
    let refused = judge_at(&world, &issued.certificate, &trust, world.now);
    assert_eq!(reason(refused), Reason::Revoked);
}
