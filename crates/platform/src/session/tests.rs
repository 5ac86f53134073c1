//! Tests of opening sessions.

use std::time::Duration;

use postern_api::{CreateSession, Role};
use postern_audit::Outcome;
use postern_domain::{Actor, Reason, ResourceId};
use postern_pki::{DaemonKind, LeafKey, certificate_from_pem, decode_grant, inspect};

use super::*;
use crate::noun::mapping;
use crate::world::{Keys, Site, World, decide};

async fn world() -> (World, Site) {
    let world = World::new().await;
    world.instance_relay("hub").await;
    let site = world.site("acme").await;
    (world, site)
}

async fn stored(world: &World) -> (i64, i64) {
    (
        world.count("SELECT COUNT(*) FROM sessions").await,
        world
            .count("SELECT COUNT(*) FROM certificates WHERE owner LIKE 'session:%'")
            .await,
    )
}

#[tokio::test]
async fn a_session_names_the_way_and_what_to_expect() {
    let (world, site) = world().await;
    let granted = world.session(&site.tenant.owner, &[site.resource]).await.unwrap();
    assert_eq!(granted.grant.gateway, site.gateway);
    assert_eq!(granted.grant.resources.len(), 1);
    assert_eq!(granted.gateway.pins, [site.keys.daemon.tls.pin()]);
    assert_eq!(granted.relays[0].scope, Scope::Instance);
    assert_eq!(granted.relays[0].anchors[0].role, AuthorityRole::RelayServer);
    assert_eq!(granted.gateway.anchors[0].role, AuthorityRole::GatewayServer);
    assert_eq!(
        granted.grant.session_expires,
        world.now.plus(Duration::from_secs(8 * 3600))
    );
    assert_eq!(
        granted.certificates.expires,
        world.now.plus(Duration::from_secs(300))
    );
    assert_eq!(stored(&world).await, (1, 2));
    assert!(decode_grant(b"nonsense").is_err());
}

#[tokio::test]
async fn both_serial_numbers_are_recorded_with_the_session() {
    let (world, site) = world().await;
    let granted = world.session(&site.tenant.owner, &[site.resource]).await.unwrap();
    for chain in [&granted.certificates.relay, &granted.certificates.gateway] {
        let leaf = certificate_from_pem(&chain[0]).unwrap();
        let serial = inspect(&leaf).unwrap().serial.to_string();
        let mut read = world.platform.store().read().await.unwrap();
        let found: i64 = sqlx::query_scalar("SELECT COUNT(*) FROM certificates WHERE serial = $1")
            .bind(serial)
            .fetch_one(&mut *read)
            .await
            .unwrap();
        assert_eq!(found, 1);
    }
    let records = world.records().await;
    let record = records
        .iter()
        .find(|r| r.event.session == Some(granted.grant.session))
        .unwrap();
    assert_eq!(
        (record.event.action.as_ref(), record.event.outcome),
        ("session.create", Outcome::Allowed)
    );
    assert_eq!(record.event.resource, Some(site.resource));
}

#[tokio::test]
async fn a_connector_reaches_the_projects_that_it_is_a_member_of() {
    let (world, site) = world().await;
    let owner = &site.tenant.owner;
    let connector = world.identity(owner, "app", Role::Connector).await;
    let refused = world.session(&connector, &[site.resource]).await.unwrap_err();
    assert_eq!(refused.reason(), Reason::NotFound);
    world.join(owner, site.project, &connector).await;
    let granted = world.session(&connector, &[site.resource]).await.unwrap();
    assert_eq!(granted.grant.actor, connector.actor);
}

#[tokio::test]
async fn another_organizations_resource_answers_like_one_that_does_not_exist() {
    let (world, site) = world().await;
    let other = world.site("other").await;
    let foreign = world
        .session(&other.tenant.owner, &[site.resource])
        .await
        .unwrap_err();
    let unknown = world
        .session(&other.tenant.owner, &[ResourceId::generate(world.now)])
        .await
        .unwrap_err();
    assert_eq!(
        (foreign.reason(), foreign.status(), foreign.detail()),
        (unknown.reason(), unknown.status(), unknown.detail())
    );
    let mixed = world
        .session(&other.tenant.owner, &[other.resource, site.resource])
        .await
        .unwrap_err();
    assert_eq!(mixed.reason(), Reason::NotFound);
    assert_eq!(stored(&world).await, (0, 0));
}

#[tokio::test]
async fn enrollers_administrators_and_daemons_open_no_session() {
    let (world, site) = world().await;
    let enroller = world
        .identity(&site.tenant.owner, "enroller", Role::Enroller)
        .await;
    let administrator = world.administrator().await;
    let gateway = world.context(Actor::Gateway(site.gateway), Role::Gateway, Some(site.tenant.id));
    for who in [enroller, administrator, gateway] {
        let refused = world.session(&who, &[site.resource]).await.unwrap_err();
        assert_eq!(refused.reason(), Reason::Forbidden);
    }
}

#[tokio::test]
async fn an_organization_that_opens_too_many_sessions_is_refused_and_no_other() {
    let (mut world, site) = world().await;
    let other = world.site("umbrella").await;
    let mut write = world.platform.store().write().await.unwrap();
    for _ in 0..CROWD {
        sqlx::query(
            "INSERT INTO sessions (id, organization, actor, project, gateway, created, expires) \
             VALUES ($1, $2, '', '', '', 0, 0)",
        )
        .bind(SessionId::generate(world.now).to_string())
        .bind(site.tenant.id.to_string())
        .execute(&mut *write)
        .await
        .unwrap();
    }
    write.commit().await.unwrap();
    let refused = world
        .session(&site.tenant.owner, &[site.resource])
        .await
        .unwrap_err();
    assert_eq!(refused.reason(), Reason::RateLimited);
    assert!(
        world
            .session(&other.tenant.owner, &[other.resource])
            .await
            .is_ok()
    );
    world.pass(CROWD_SPAN + Duration::from_secs(1));
    let owner = world.again(&site.tenant.owner);
    assert!(world.session(&owner, &[site.resource]).await.is_ok());
}

#[tokio::test]
async fn nothing_is_stored_for_resources_that_do_not_belong_together() {
    let (world, site) = world().await;
    let owner = &site.tenant.owner;
    let project = world.project(owner, "shipping").await;
    world.map(owner, site.gateway, project).await;
    let elsewhere = world.resource(owner, "parcels", (site.gateway, project)).await;
    let second = world.gateway(owner, "second").await;
    world.map(owner, second, site.project).await;
    let behind = world.resource(owner, "archive", (second, site.project)).await;
    for pair in [[site.resource, elsewhere], [site.resource, behind]] {
        let refused = world.session(owner, &pair).await.unwrap_err();
        assert_eq!(refused.reason(), Reason::Unprocessable);
    }
    let offline = world.session(owner, &[behind]).await.unwrap_err();
    assert_eq!(
        (offline.reason(), offline.status().as_u16()),
        (Reason::GatewayOffline, 422)
    );
    assert_eq!(stored(&world).await, (0, 0));
}

#[tokio::test]
async fn nothing_is_stored_for_a_request_that_is_not_well_formed() {
    let (world, site) = world().await;
    let owner = &site.tenant.owner;
    let access = decide(owner, Action::CreateSession);
    let csr = || LeafKey::generate().unwrap().csr_pem();
    let same = csr();
    let many = (0..33).map(|_| ResourceId::generate(world.now)).collect();
    let request = |resources, relay_csr, gateway_csr| CreateSession {
        resources,
        relay_csr,
        gateway_csr,
    };
    for bad in [
        request(vec![], csr(), csr()),
        request(vec![site.resource, site.resource], csr(), csr()),
        request(many, csr(), csr()),
        request(vec![site.resource], same.clone(), same),
        request(vec![site.resource], String::from("nonsense"), csr()),
        request(vec![site.resource], csr(), String::new()),
    ] {
        assert!(create(&world.platform, owner, &access, bad).await.is_err());
    }
    assert_eq!(stored(&world).await, (0, 0));
}

#[tokio::test]
async fn an_unmapped_gateway_serves_no_session() {
    let (world, site) = world().await;
    let owner = &site.tenant.owner;
    let mut write = world.platform.store().write().await.unwrap();
    sqlx::query("DELETE FROM gateway_projects")
        .execute(&mut *write)
        .await
        .unwrap();
    write.commit().await.unwrap();
    let refused = world.session(owner, &[site.resource]).await.unwrap_err();
    assert_eq!(
        (refused.reason(), refused.status().as_u16()),
        (Reason::ProjectNotMapped, 422)
    );
    world.map(owner, site.gateway, site.project).await;
    assert!(world.session(owner, &[site.resource]).await.is_ok());
    // Mapping is asked for by its own noun; listing it works as well.
    let access = decide(owner, Action::ShowGateway);
    let page = crate::noun::Page {
        limit: 10,
        after: None,
        name: None,
    };
    let mapped = mapping::list(world.platform.store(), &access, site.gateway, page)
        .await
        .unwrap();
    assert_eq!(mapped.items.len(), 1);
}

#[tokio::test]
async fn a_gateway_away_for_too_long_serves_no_session_until_it_renews() {
    let (mut world, site) = world().await;
    world.pass(Duration::from_secs(25 * 3600));
    let owner = world.again(&site.tenant.owner);
    let refused = world.session(&owner, &[site.resource]).await.unwrap_err();
    assert_eq!(refused.reason(), Reason::GatewayOffline);
}

#[tokio::test]
async fn a_revoked_certificates_key_is_no_longer_expected() {
    let (world, site) = world().await;
    let owner = &site.tenant.owner;
    let daemon = postern_domain::DaemonId::Gateway(site.gateway);
    let secret = world.ticket(owner, daemon).await.unwrap();
    let new = Keys::generate();
    world.enroll(&secret, &new, DaemonKind::Gateway).await.unwrap();
    let granted = world.session(owner, &[site.resource]).await.unwrap();
    assert_eq!(granted.gateway.pins, [new.daemon.tls.pin()]);
}

#[tokio::test]
async fn a_damaged_key_is_named_and_stops_nothing_else() {
    use std::error::Error as _;
    let (world, site) = world().await;
    let other = world.site("other").await;
    let mut write = world.platform.store().write().await.unwrap();
    sqlx::query(
        "UPDATE sealed_keys SET sealed = zeroblob(40) WHERE scope = $1 AND id IN \
         (SELECT id FROM authorities WHERE role = 'gateway_client')",
    )
    .bind(site.tenant.id.to_string())
    .execute(&mut *write)
    .await
    .unwrap();
    write.commit().await.unwrap();
    let refused = world
        .session(&site.tenant.owner, &[site.resource])
        .await
        .unwrap_err();
    assert_eq!(refused.reason(), Reason::Internal);
    let cause = refused.source().unwrap().to_string();
    assert!(
        cause.contains("missing or damaged") && cause.contains(&site.tenant.id.to_string()),
        "{cause}"
    );
    assert!(!refused.detail().contains("damaged"));
    assert!(
        world
            .session(&other.tenant.owner, &[other.resource])
            .await
            .is_ok()
    );
    assert_eq!(stored(&world).await, (1, 2));
}

#[tokio::test]
async fn nothing_is_issued_that_cannot_be_recorded() {
    let (world, site) = world().await;
    let mut write = world.platform.store().write().await.unwrap();
    sqlx::query("ALTER TABLE audit_records RENAME TO away")
        .execute(&mut *write)
        .await
        .unwrap();
    write.commit().await.unwrap();
    let refused = world
        .session(&site.tenant.owner, &[site.resource])
        .await
        .unwrap_err();
    assert_eq!(refused.reason(), Reason::NotRecorded);
    assert_eq!(stored(&world).await, (0, 0));
}
