//! Every certificate at every listener: each is taken at its own and refused at all others.

use postern_domain::{Grant, Port, Scope};
use postern_pki::{
    IssuedSsh, Leaf, Leg, SshLeaf, TlsAuthority, Trust, judge, judge_gateway, judge_relay_host,
    pin_of_certificate,
};
use rustls_pki_types::CertificateDer;

use crate::world::{Authorities, World, relay_host};

/// The TLS certificates that one owner's authorities issue, each with the leg where it belongs.
fn certificates(world: &World, owner: &Authorities) -> Vec<(CertificateDer<'static>, Leg)> {
    let World {
        instance,
        now,
        a1,
        session,
        ..
    } = *world;
    let organization = owner.owner.organization().unwrap_or_else(|| world.org_a());
    let issue = |authority: &TlsAuthority, leaf: Leaf| world.issue(authority, &leaf).der;
    let relay = Leaf::RelayServer {
        instance,
        scope: owner.owner,
        relay: world.ra,
        host: relay_host(),
    };
    let client = Leaf::RelayClient {
        instance,
        organization,
        gateway: a1,
        session,
        session_expires: now.plus(crate::world::HOUR),
    };
    let mut out = vec![
        (
            issue(&owner.relay_server, relay),
            Leg::RelayServer {
                scope: owner.owner,
                relay: world.ra,
                host: relay_host(),
            },
        ),
        (
            issue(&owner.relay_client, client),
            Leg::RelayClient { scope: owner.owner },
        ),
    ];
    if let Some(g) = &owner.gateway {
        let grant = Grant {
            organization,
            ..world.grant()
        };
        let gateway = issue(
            &g.server,
            Leaf::GatewayServer {
                instance,
                organization,
                gateway: a1,
            },
        );
        let pins = vec![pin_of_certificate(&gateway).unwrap()];
        out.push((
            gateway,
            Leg::GatewayServer {
                organization,
                gateway: a1,
                pins,
            },
        ));
        let client = issue(&g.client, Leaf::GatewayClient { instance, grant });
        out.push((
            client,
            Leg::GatewayClient {
                organization,
                gateway: a1,
            },
        ));
    }
    out
}

#[test]
fn each_tls_certificate_is_taken_on_its_own_leg_alone() {
    let world = World::new();
    let all: Vec<_> = [&world.own, &world.a, &world.b]
        .iter()
        .flat_map(|owner| certificates(&world, owner))
        .collect();
    assert_eq!(all.len(), 10);
    let trust = world.trust();
    let fresh = trust.fresh(world.now).unwrap();
    for (index, (certificate, _)) in all.iter().enumerate() {
        for (other, (_, leg)) in all.iter().enumerate() {
            // The pins of a leg are those of its own certificate; hand out the presented key as well, so that pinning
            // alone does not decide.
            let leg = match leg.clone() {
                Leg::GatewayServer {
                    organization,
                    gateway,
                    mut pins,
                } => {
                    pins.push(pin_of_certificate(certificate).unwrap());
                    Leg::GatewayServer {
                        organization,
                        gateway,
                        pins,
                    }
                }
                leg @ (Leg::RelayClient { .. } | Leg::RelayServer { .. } | Leg::GatewayClient { .. }) => leg,
            };
            let judged = judge(&leg, std::slice::from_ref(certificate), &fresh, world.now);
            assert_eq!(judged.is_ok(), index == other, "{leg:?}: {judged:?}");
        }
    }
}

#[test]
fn each_ssh_certificate_is_taken_at_its_own_listener_alone() {
    let world = World::new();
    let owners = [&world.own, &world.a, &world.b];
    let certificates: Vec<(IssuedSsh, bool, Scope)> = owners
        .iter()
        .flat_map(|owner| {
            let organization = owner.owner.organization().unwrap_or_else(|| world.org_a());
            let gateway = SshLeaf::Gateway {
                gateway: world.a1,
                organization,
                relays: vec![world.ra],
            };
            let port = Port::new(2222).unwrap();
            let relay = SshLeaf::Relay {
                relay: world.ra,
                host: relay_host(),
                port,
            };
            [
                (world.issue_ssh(&owner.ssh_client, &gateway), true, owner.owner),
                (world.issue_ssh(&owner.ssh_server, &relay), false, owner.owner),
            ]
        })
        .collect();
    let trust: Trust = world.trust();
    let fresh = trust.fresh(world.now).unwrap();
    let (user, host, port) = (world.a1.to_string(), relay_host(), Port::new(2222).unwrap());
    for (issued, is_user, owner) in &certificates {
        let certificate = &issued.certificate;
        for scope in owners.map(|o| o.owner) {
            let gateway = judge_gateway(certificate, &user, world.ra, scope, &fresh, world.now);
            assert_eq!(gateway.is_ok(), *is_user && scope == *owner, "{gateway:?}");
            let relay = judge_relay_host(certificate, (&host, port), world.ra, scope, &fresh, world.now);
            assert_eq!(relay.is_ok(), !*is_user && scope == *owner, "{relay:?}");
        }
    }
}
