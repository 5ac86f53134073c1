//! Tests of tickets, enrollment and renewal.

use std::time::Duration;

use postern_api::{EnrollRequest, RenewRequest, Role};
use postern_audit::Outcome;
use postern_domain::{Actor, AuthorityRole, GatewayId, Pin, Reason, RelayId, Scope};
use postern_pki::{DaemonKind, LeafKey, certificate_from_pem, inspect};

use super::*;
use crate::access::Action;
use crate::authority::{ssh_anchor, tls_anchor};
use crate::credential::universal_login;
use crate::noun::{gateway, identity, relay};
use crate::world::{Keys, World, decide};

async fn world_with_gateway() -> (World, crate::world::Tenant, GatewayId) {
    let world = World::new().await;
    world.instance_relay("hub").await;
    let tenant = world.organization("acme").await;
    let gateway = world.gateway(&tenant.owner, "edge").await;
    (world, tenant, gateway)
}

#[tokio::test]
async fn a_ticket_enrolls_the_gateway_that_it_names() {
    let (world, tenant, gateway) = world_with_gateway().await;
    let secret = world
        .ticket(&tenant.owner, DaemonId::Gateway(gateway))
        .await
        .unwrap();
    let keys = Keys::generate();
    let enrolled = world.enroll(&secret, &keys, DaemonKind::Gateway).await.unwrap();
    assert_eq!(enrolled.daemon, DaemonId::Gateway(gateway));
    assert_eq!(
        enrolled.snapshot.gateway.as_ref().map(|g| g.relay_scope),
        Some(Scope::Instance)
    );

    let mut read = world.platform.store().read().await.unwrap();
    let own = Scope::Organization(tenant.id);
    let server = tls_anchor(&mut read, own, AuthorityRole::GatewayServer)
        .await
        .unwrap();
    assert_eq!(enrolled.certificates.tls.get(1), Some(&server.issuer));
    let leaf = certificate_from_pem(&enrolled.certificates.tls[0]).unwrap();
    assert_eq!(inspect(&leaf).unwrap().key, keys.daemon.tls.pin());
    let client = ssh_anchor(&mut read, Scope::Instance, AuthorityRole::RelaySshClient)
        .await
        .unwrap();
    let certificate = postern_sshkey::UnverifiedCertificate::from_openssh(&enrolled.certificates.ssh)
        .unwrap()
        .verify_signature()
        .unwrap();
    assert_eq!(certificate.signature_key().to_openssh(), client.key);
    assert_eq!(certificate.principals(), [gateway.to_string()]);
}

#[tokio::test]
async fn serial_numbers_and_the_record_are_in_the_store() {
    let (world, tenant, gateway) = world_with_gateway().await;
    let secret = world
        .ticket(&tenant.owner, DaemonId::Gateway(gateway))
        .await
        .unwrap();
    let enrolled = world
        .enroll(&secret, &Keys::generate(), DaemonKind::Gateway)
        .await
        .unwrap();
    let leaf = certificate_from_pem(&enrolled.certificates.tls[0]).unwrap();
    let serial = inspect(&leaf).unwrap().serial;
    let records = world.records().await;
    let record = records
        .iter()
        .find(|r| r.event.certificate.as_ref() == Some(&serial))
        .unwrap();
    assert_eq!(
        (record.event.action.as_ref(), record.event.outcome),
        ("daemon.enroll", Outcome::Allowed)
    );
    assert_eq!(
        (record.event.gateway, record.event.organization),
        (Some(gateway), Some(tenant.id))
    );
    let kinds = world
        .count("SELECT COUNT(*) FROM certificates WHERE owner LIKE 'gateway:%'")
        .await;
    assert_eq!(kinds, 2);
}

#[tokio::test]
async fn a_ticket_is_taken_once_and_its_own_request_gets_the_same_answer() {
    let (mut world, tenant, gateway) = world_with_gateway().await;
    let secret = world
        .ticket(&tenant.owner, DaemonId::Gateway(gateway))
        .await
        .unwrap();
    let keys = Keys::generate();
    let first = world.enroll(&secret, &keys, DaemonKind::Gateway).await.unwrap();
    world.pass(Duration::from_secs(599));
    let second = world.enroll(&secret, &keys, DaemonKind::Gateway).await.unwrap();
    assert_eq!(second.certificates.tls, first.certificates.tls);
    assert_eq!(second.certificates.ssh, first.certificates.ssh);

    let others = world
        .enroll(&secret, &Keys::generate(), DaemonKind::Gateway)
        .await
        .unwrap_err();
    assert_eq!(others.reason(), Reason::Replayed);
    world.pass(Duration::from_secs(2));
    let late = world
        .enroll(&secret, &keys, DaemonKind::Gateway)
        .await
        .unwrap_err();
    assert_eq!(late.reason(), Reason::Replayed);
}

#[tokio::test]
async fn a_request_whose_answer_was_never_kept_is_taken_up_again() {
    let (world, tenant, gateway) = world_with_gateway().await;
    let secret = world
        .ticket(&tenant.owner, DaemonId::Gateway(gateway))
        .await
        .unwrap();
    let keys = Keys::generate();
    world.enroll(&secret, &keys, DaemonKind::Gateway).await.unwrap();
    let mut write = world.platform.store().write().await.unwrap();
    sqlx::query("UPDATE enrollments SET answer = NULL")
        .execute(&mut *write)
        .await
        .unwrap();
    write.commit().await.unwrap();
    assert!(world.enroll(&secret, &keys, DaemonKind::Gateway).await.is_ok());
    assert_eq!(world.count("SELECT COUNT(*) FROM revocations").await, 0);
}

#[tokio::test]
async fn refuses_a_ticket_that_is_unknown_or_too_old() {
    let (mut world, tenant, gateway) = world_with_gateway().await;
    let secret = world
        .ticket(&tenant.owner, DaemonId::Gateway(gateway))
        .await
        .unwrap();
    let keys = Keys::generate();
    for bad in ["", "pet_", "pet_AAAA"] {
        let refused = world
            .enroll(&Secret::new(bad.into()), &keys, DaemonKind::Gateway)
            .await
            .unwrap_err();
        assert_eq!(refused.reason(), Reason::Unauthenticated);
    }
    world.pass(Duration::from_secs(3600));
    let refused = world
        .enroll(&secret, &keys, DaemonKind::Gateway)
        .await
        .unwrap_err();
    assert_eq!(refused.reason(), Reason::CredentialExpired);
    assert_eq!(
        world
            .count("SELECT COUNT(*) FROM certificates WHERE owner LIKE 'gateway:%'")
            .await,
        0
    );
}

#[tokio::test]
async fn refuses_proofs_that_do_not_hold_and_leaves_the_ticket_untouched() {
    let (world, tenant, gateway) = world_with_gateway().await;
    let secret = world
        .ticket(&tenant.owner, DaemonId::Gateway(gateway))
        .await
        .unwrap();
    let (keys, others) = (Keys::generate(), Keys::generate());
    let good = || EnrollRequest {
        token: Some(secret.clone()),
        ..world.enroll_request(&keys, DaemonKind::Gateway)
    };
    let foreign = world.enroll_request(&others, DaemonKind::Gateway);
    let relays = world.enroll_request(&keys, DaemonKind::Relay);
    let mut bad = Vec::new();
    for (name, change) in [
        ("csr", 0),
        ("ssh_key", 1),
        ("proof", 2),
        ("kind", 3),
        ("identity", 4),
        ("same", 5),
    ] {
        let mut request = good();
        match change {
            0 => request.request.csr = foreign.request.csr.clone(),
            1 => request.request.ssh_key = foreign.request.ssh_key.clone(),
            2 => request.request.ssh_proof = foreign.request.ssh_proof.clone(),
            3 => request.request.ssh_proof = relays.request.ssh_proof.clone(),
            4 => request.identity_proof = foreign.identity_proof.clone(),
            _ => request.name = Some("edge".parse().unwrap()),
        }
        bad.push((name, request));
    }
    for (name, request) in bad {
        let refused = enroll(&world.platform, &world.arrival(), None, request)
            .await
            .unwrap_err();
        let allowed = [Reason::BadSignature, Reason::InvalidRequest];
        assert!(allowed.contains(&refused.reason()), "{name}: {refused}");
    }
    assert_eq!(
        world
            .count("SELECT COUNT(*) FROM enrollment_tokens WHERE consumed IS NOT NULL")
            .await,
        1
    );
    assert!(
        enroll(&world.platform, &world.arrival(), None, good())
            .await
            .is_ok()
    );
}

#[tokio::test]
async fn an_identity_enrolls_a_gateway_of_its_organization_by_name() {
    let world = World::new().await;
    world.instance_relay("hub").await;
    let tenant = world.organization("acme").await;
    let token = universal_login(&world.platform, &world.arrival(), tenant.login.clone())
        .await
        .unwrap();
    let named = |keys: &Keys| EnrollRequest {
        name: Some("edge".parse().unwrap()),
        ..world.enroll_request(keys, DaemonKind::Gateway)
    };
    let keys = Keys::generate();
    let bearer = Some(&token.access_token);
    let first = enroll(&world.platform, &world.arrival(), bearer, named(&keys))
        .await
        .unwrap();
    let again = enroll(&world.platform, &world.arrival(), bearer, named(&keys))
        .await
        .unwrap();
    assert_eq!(
        (first.daemon, &first.certificates.ssh),
        (again.daemon, &again.certificates.ssh)
    );
    assert_eq!(world.count("SELECT COUNT(*) FROM gateways").await, 1);

    let nobody = enroll(&world.platform, &world.arrival(), None, named(&keys))
        .await
        .unwrap_err();
    assert_eq!(nobody.reason(), Reason::Unauthenticated);
}

#[tokio::test]
async fn an_enroller_may_not_enroll_again_what_is_enrolled() {
    let (world, tenant, gateway) = world_with_gateway().await;
    let daemon = DaemonId::Gateway(gateway);
    let enroller = world.identity(&tenant.owner, "enroller", Role::Enroller).await;
    let early = world.ticket(&enroller, daemon).await.unwrap();
    let secret = world.ticket(&enroller, daemon).await.unwrap();
    world
        .enroll(&secret, &Keys::generate(), DaemonKind::Gateway)
        .await
        .unwrap();

    assert_eq!(
        world.ticket(&enroller, daemon).await.unwrap_err().reason(),
        Reason::Forbidden
    );
    let refused = world
        .enroll(&early, &Keys::generate(), DaemonKind::Gateway)
        .await
        .unwrap_err();
    assert_eq!(refused.reason(), Reason::Forbidden);
    let connector = world.identity(&tenant.owner, "connector", Role::Connector).await;
    assert_eq!(
        world.ticket(&connector, daemon).await.unwrap_err().reason(),
        Reason::Forbidden
    );
}

#[tokio::test]
async fn a_ticket_that_was_left_over_takes_no_enrolled_daemon_away() {
    let (world, tenant, gateway) = world_with_gateway().await;
    let daemon = DaemonId::Gateway(gateway);
    let left = world.ticket(&tenant.owner, daemon).await.unwrap();
    let secret = world.ticket(&tenant.owner, daemon).await.unwrap();
    let keys = Keys::generate();
    world.enroll(&secret, &keys, DaemonKind::Gateway).await.unwrap();
    let refused = world
        .enroll(&left, &Keys::generate(), DaemonKind::Gateway)
        .await
        .unwrap_err();
    assert_eq!(refused.reason(), Reason::Forbidden);
    assert!(world.state(&world.claims(daemon), &keys.identity).await.is_ok());
}

#[tokio::test]
async fn enrolling_again_revokes_every_certificate_and_key_of_before() {
    let (world, tenant, gateway) = world_with_gateway().await;
    let daemon = DaemonId::Gateway(gateway);
    let old = Keys::generate();
    let secret = world.ticket(&tenant.owner, daemon).await.unwrap();
    world.enroll(&secret, &old, DaemonKind::Gateway).await.unwrap();
    let token = world.state(&world.claims(daemon), &old.identity).await.unwrap();
    let before = world
        .count("SELECT version FROM scope_versions WHERE scope = 'instance'")
        .await;

    let secret = world.ticket(&tenant.owner, daemon).await.unwrap();
    let new = Keys::generate();
    let enrolled = world.enroll(&secret, &new, DaemonKind::Gateway).await.unwrap();
    assert!(world.state(&world.claims(daemon), &old.identity).await.is_err());
    assert!(world.state(&world.claims(daemon), &new.identity).await.is_ok());
    let spent = authenticate(world.platform.store(), &world.arrival(), &token.access_token).await;
    assert!(spent.is_err());
    // The SSH certificate was the instance's, so the instance's relays hear of it.
    let after = world
        .count("SELECT version FROM scope_versions WHERE scope = 'instance'")
        .await;
    assert_eq!(after, before + 1);
    let revoked = world
        .count("SELECT COUNT(*) FROM revocations WHERE scope = 'instance'")
        .await;
    assert_eq!(revoked, 1 + 3);
    let mentioned = enrolled.snapshot.trust.revoked.len();
    assert_eq!(mentioned, 2 + 3, "two certificates and three keys, each once");

    // A revoked key is never certified again.
    let secret = world.ticket(&tenant.owner, daemon).await.unwrap();
    let refused = world
        .enroll(&secret, &old, DaemonKind::Gateway)
        .await
        .unwrap_err();
    assert_eq!(refused.reason(), Reason::Revoked);
    assert!(
        world.state(&world.claims(daemon), &new.identity).await.is_ok(),
        "nothing was changed"
    );
}

#[tokio::test]
async fn refuses_keys_that_are_another_daemons() {
    let (world, tenant, gateway) = world_with_gateway().await;
    let keys = Keys::generate();
    let secret = world
        .ticket(&tenant.owner, DaemonId::Gateway(gateway))
        .await
        .unwrap();
    world.enroll(&secret, &keys, DaemonKind::Gateway).await.unwrap();
    let second = world.gateway(&tenant.owner, "second").await;
    let secret = world
        .ticket(&tenant.owner, DaemonId::Gateway(second))
        .await
        .unwrap();
    let refused = world
        .enroll(&secret, &keys, DaemonKind::Gateway)
        .await
        .unwrap_err();
    assert_eq!(refused.reason(), Reason::Conflict);
}

#[tokio::test]
async fn a_ticket_of_another_organization_is_not_made() {
    let (world, _, gateway) = world_with_gateway().await;
    let other = world.organization("other").await;
    let refused = world
        .ticket(&other.owner, DaemonId::Gateway(gateway))
        .await
        .unwrap_err();
    assert_eq!(refused.reason(), Reason::NotFound);
    let unknown = DaemonId::Gateway(GatewayId::generate(world.now));
    assert_eq!(
        world.ticket(&other.owner, unknown).await.unwrap_err().detail(),
        refused.detail()
    );
    let administrator = world.administrator().await;
    let refused = world
        .ticket(&administrator, DaemonId::Gateway(gateway))
        .await
        .unwrap_err();
    assert_eq!(refused.reason(), Reason::Forbidden);
    let relay = DaemonId::Relay(RelayId::generate(world.now));
    assert_eq!(
        world.ticket(&administrator, relay).await.unwrap_err().reason(),
        Reason::NotFound
    );
}

#[tokio::test]
async fn an_organization_relay_gets_the_organizations_certificates() {
    let world = World::new().await;
    let tenant = world.organization("acme").await;
    let relay = world.relay(&tenant.owner, "own").await;
    let secret = world.ticket(&tenant.owner, DaemonId::Relay(relay)).await.unwrap();
    let enrolled = world
        .enroll(&secret, &Keys::generate(), DaemonKind::Relay)
        .await
        .unwrap();
    let own = Scope::Organization(tenant.id);
    assert_eq!(enrolled.snapshot.relay.as_ref().map(|r| r.scope), Some(own));
    assert!(enrolled.snapshot.trust.tls.iter().all(|a| a.owner == own));
    // Its gateways get the organization's certificates too: the organization's relay goes before the instance's.
    world.instance_relay("hub").await;
    let gateway = world.gateway(&tenant.owner, "edge").await;
    let secret = world
        .ticket(&tenant.owner, DaemonId::Gateway(gateway))
        .await
        .unwrap();
    let enrolled = world
        .enroll(&secret, &Keys::generate(), DaemonKind::Gateway)
        .await
        .unwrap();
    let policy = enrolled.snapshot.gateway.unwrap();
    assert_eq!((policy.relay_scope, policy.relays[0].id), (own, relay));
    assert!(enrolled.snapshot.trust.ssh.iter().all(|a| a.owner == own));
}

async fn renewed(
    world: &World,
    context: &crate::RequestContext,
    keys: &Keys,
    kind: DaemonKind,
) -> Result<postern_api::Renewed, Error> {
    let access = decide(context, Action::RenewCertificates);
    let request = RenewRequest {
        request: world.daemon_request(keys, kind),
    };
    renew(&world.platform, context, &access, request).await
}

#[tokio::test]
async fn a_daemon_has_its_keys_certified_again() {
    let (mut world, tenant, gateway) = world_with_gateway().await;
    let mut keys = Keys::generate();
    let secret = world
        .ticket(&tenant.owner, DaemonId::Gateway(gateway))
        .await
        .unwrap();
    let first = world.enroll(&secret, &keys, DaemonKind::Gateway).await.unwrap();
    world.pass(Duration::from_secs(16 * 3600));
    let context = world.context(Actor::Gateway(gateway), Role::Gateway, Some(tenant.id));
    let second = renewed(&world, &context, &keys, DaemonKind::Gateway)
        .await
        .unwrap();
    assert_ne!(second.certificates.ssh, first.certificates.ssh);
    assert!(second.certificates.expires > first.certificates.expires);

    keys.daemon.tls = LeafKey::generate().unwrap();
    let third = renewed(&world, &context, &keys, DaemonKind::Gateway)
        .await
        .unwrap();
    let leaf = certificate_from_pem(&third.certificates.tls[0]).unwrap();
    assert_eq!(inspect(&leaf).unwrap().key, keys.daemon.tls.pin());
}

#[tokio::test]
async fn refuses_to_renew_another_ssh_key_and_another_holders_tls_key() {
    let (world, tenant, gateway) = world_with_gateway().await;
    let (_, relays) = world.instance_relay("spoke").await;
    let keys = Keys::generate();
    let secret = world
        .ticket(&tenant.owner, DaemonId::Gateway(gateway))
        .await
        .unwrap();
    world.enroll(&secret, &keys, DaemonKind::Gateway).await.unwrap();
    let context = world.context(Actor::Gateway(gateway), Role::Gateway, Some(tenant.id));
    let refused = renewed(&world, &context, &Keys::generate(), DaemonKind::Gateway)
        .await
        .unwrap_err();
    assert_eq!(refused.reason(), Reason::Unprocessable);
    let stolen = Keys {
        daemon: postern_pki::DaemonKeys {
            tls: relays.daemon.tls,
            ssh: keys.daemon.ssh,
        },
        identity: keys.identity,
    };
    let refused = renewed(&world, &context, &stolen, DaemonKind::Gateway)
        .await
        .unwrap_err();
    assert_eq!(refused.reason(), Reason::Conflict);
    assert!(
        renewed(&world, &context, &stolen, DaemonKind::Relay)
            .await
            .is_err()
    );
}

#[tokio::test]
async fn deleting_a_daemon_revokes_what_it_holds_where_it_counts() {
    let (world, tenant, gateway) = world_with_gateway().await;
    let keys = Keys::generate();
    let secret = world
        .ticket(&tenant.owner, DaemonId::Gateway(gateway))
        .await
        .unwrap();
    world.enroll(&secret, &keys, DaemonKind::Gateway).await.unwrap();
    let access = decide(&tenant.owner, Action::DeleteGateway);
    gateway::delete(world.platform.store(), &tenant.owner, &access, gateway)
        .await
        .unwrap();
    let ssh: Pin = postern_pki::pin_of_ssh_key(keys.daemon.ssh.public_key());
    for scope in ["instance".to_owned(), tenant.id.to_string()] {
        let mut read = world.platform.store().read().await.unwrap();
        let found: i64 = sqlx::query_scalar("SELECT COUNT(*) FROM revocations WHERE scope = $1 AND key = $2")
            .bind(&scope)
            .bind(ssh.to_string())
            .fetch_one(&mut *read)
            .await
            .unwrap();
        assert_eq!(found, 1, "{scope}");
    }
    assert_eq!(
        world.count("SELECT COUNT(*) FROM daemon_keys").await,
        1,
        "the relay's are left"
    );
    let administrator = world.administrator().await;
    let access = decide(&administrator, Action::DeleteRelay);
    let hub: RelayId = world.text("SELECT id FROM relays").await.parse().unwrap();
    relay::delete(world.platform.store(), &administrator, &access, hub)
        .await
        .unwrap();
    assert_eq!(world.count("SELECT COUNT(*) FROM daemon_keys").await, 0);
}

#[tokio::test]
async fn an_identity_that_asks_for_something_else_with_the_same_keys_gets_no_old_answer() {
    let world = World::new().await;
    world.instance_relay("hub").await;
    let tenant = world.organization("acme").await;
    let token = universal_login(&world.platform, &world.arrival(), tenant.login.clone())
        .await
        .unwrap();
    let keys = Keys::generate();
    let named = |name: &str| EnrollRequest {
        name: Some(name.parse().unwrap()),
        ..world.enroll_request(&keys, DaemonKind::Gateway)
    };
    let bearer = Some(&token.access_token);
    enroll(&world.platform, &world.arrival(), bearer, named("edge"))
        .await
        .unwrap();
    let refused = enroll(&world.platform, &world.arrival(), bearer, named("second"))
        .await
        .unwrap_err();
    assert_eq!(refused.reason(), Reason::Conflict);
    assert_eq!(
        world.count("SELECT COUNT(*) FROM gateways").await,
        1,
        "nothing was made"
    );
}

#[tokio::test]
async fn a_gateway_moves_to_its_organizations_relay_by_enrolling_again() {
    let world = World::new().await;
    let (shared, _) = world.instance_relay("hub").await;
    let tenant = world.organization("acme").await;
    let token = universal_login(&world.platform, &world.arrival(), tenant.login.clone())
        .await
        .unwrap();
    let at = |relay: RelayId, keys: &Keys| EnrollRequest {
        name: Some("edge".parse().unwrap()),
        relays: vec![relay],
        ..world.enroll_request(keys, DaemonKind::Gateway)
    };
    let bearer = Some(&token.access_token);
    let first = at(shared, &Keys::generate());
    let first = enroll(&world.platform, &world.arrival(), bearer, first)
        .await
        .unwrap();
    let own = world.relay(&tenant.owner, "own").await;
    let second = at(own, &Keys::generate());
    let second = enroll(&world.platform, &world.arrival(), bearer, second)
        .await
        .unwrap();
    assert_eq!(second.daemon, first.daemon);
    let scope = |e: &Enrolled| e.snapshot.gateway.as_ref().map(|g| g.relay_scope);
    assert_eq!(scope(&first), Some(Scope::Instance));
    assert_eq!(scope(&second), Some(Scope::Organization(tenant.id)));

    let foreign = world.organization("other").await;
    let theirs = world.relay(&foreign.owner, "theirs").await;
    let refused = at(theirs, &Keys::generate());
    let refused = enroll(&world.platform, &world.arrival(), bearer, refused)
        .await
        .unwrap_err();
    assert_eq!(refused.reason(), Reason::Unprocessable);
}

#[tokio::test]
async fn a_ticket_goes_with_whoever_made_it() {
    let (world, tenant, gateway) = world_with_gateway().await;
    let enroller = world.identity(&tenant.owner, "enroller", Role::Enroller).await;
    let secret = world.ticket(&enroller, DaemonId::Gateway(gateway)).await.unwrap();
    let Actor::MachineIdentity(id) = enroller.actor else {
        panic!("an identity")
    };
    let access = decide(&tenant.owner, Action::DeleteIdentity);
    identity::delete(world.platform.store(), &tenant.owner, &access, id)
        .await
        .unwrap();
    let refused = world
        .enroll(&secret, &Keys::generate(), DaemonKind::Gateway)
        .await
        .unwrap_err();
    assert_eq!(refused.reason(), Reason::Revoked);
}
