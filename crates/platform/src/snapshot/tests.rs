//! Tests of the policy document.

use std::time::Duration;

use postern_api::Role;
use postern_domain::{OrganizationId, Reason};

use super::*;
use crate::access::Action;
use crate::noun::{resource, session as sessions};
use crate::world::{Site, World, decide};

async fn of(world: &World, actor: Actor, role: Role, organization: Option<OrganizationId>) -> Snapshot {
    let context = world.context(actor, role, organization);
    let access = decide(&context, Action::WatchSnapshot);
    snapshot(&world.platform, &context, &access).await.unwrap()
}

async fn of_gateway(world: &World, site: &Site) -> Snapshot {
    of(
        world,
        Actor::Gateway(site.gateway),
        Role::Gateway,
        Some(site.tenant.id),
    )
    .await
}

#[tokio::test]
async fn a_gateway_sees_its_own_projects_and_nothing_of_others() {
    let world = World::new().await;
    world.instance_relay("hub").await;
    let site = world.site("acme").await;
    let other = world.site("other").await;
    let snapshot = of_gateway(&world, &site).await;
    let policy = snapshot.gateway.as_ref().unwrap();
    assert_eq!(policy.organization, site.tenant.id);
    assert_eq!(policy.projects.len(), 1);
    assert_eq!(policy.projects[0].resources[0].id, site.resource);
    let text = serde_json::to_string(&snapshot).unwrap();
    for foreign in [
        other.tenant.id.to_string(),
        other.project.to_string(),
        other.resource.to_string(),
    ] {
        assert!(!text.contains(&foreign));
    }
    assert_eq!(snapshot.platform_pins, world.platform.pins());
}

#[tokio::test]
async fn a_relay_of_the_instance_sees_the_instances_scope_only() {
    let world = World::new().await;
    let (relay, _) = world.instance_relay("hub").await;
    let site = world.site("acme").await;
    let snapshot = of(&world, Actor::Relay(relay), Role::Relay, None).await;
    assert_eq!(
        (snapshot.organization_version, snapshot.gateway.is_none()),
        (None, true)
    );
    assert!(
        !serde_json::to_string(&snapshot)
            .unwrap()
            .contains(&site.tenant.id.to_string())
    );
    assert!(
        snapshot
            .trust
            .tls
            .iter()
            .any(|a| a.role == AuthorityRole::RelayClient)
    );
    assert!(
        snapshot
            .trust
            .ssh
            .iter()
            .any(|a| a.role == AuthorityRole::RelaySshClient)
    );
}

#[tokio::test]
async fn a_change_raises_the_version_and_shows_at_once() {
    let world = World::new().await;
    world.instance_relay("hub").await;
    let site = world.site("acme").await;
    let before = of_gateway(&world, &site).await;
    assert_eq!(
        of_gateway(&world, &site).await.organization_version,
        before.organization_version
    );
    let owner = &site.tenant.owner;
    let access = decide(owner, Action::DeleteResource);
    resource::delete(world.platform.store(), owner, &access, site.resource)
        .await
        .unwrap();
    let after = of_gateway(&world, &site).await;
    assert_eq!(
        after.organization_version,
        before.organization_version.map(|v| v + 1)
    );
    assert!(after.gateway.unwrap().projects[0].resources.is_empty());
}

#[tokio::test]
async fn an_ended_session_is_named_and_its_certificates_are_revoked_in_both_scopes() {
    let world = World::new().await;
    let (relay, _) = world.instance_relay("hub").await;
    let site = world.site("acme").await;
    let owner = &site.tenant.owner;
    let granted = world.session(owner, &[site.resource]).await.unwrap();
    let access = decide(owner, Action::EndSession);
    sessions::end(world.platform.store(), owner, &access, granted.grant.session)
        .await
        .unwrap();
    let gateway = of_gateway(&world, &site).await;
    assert_eq!(gateway.gateway.unwrap().ended_sessions, [granted.grant.session]);
    assert_eq!(gateway.trust.revoked.len(), 2);
    let relay = of(&world, Actor::Relay(relay), Role::Relay, None).await;
    assert_eq!(relay.trust.revoked.len(), 1, "the certificate of the relay leg");
}

#[tokio::test]
async fn a_poll_is_seen_every_ten_seconds_and_changes_no_version() {
    let mut world = World::new().await;
    world.instance_relay("hub").await;
    let site = world.site("acme").await;
    let versions = "SELECT SUM(version) FROM scope_versions";
    let before = world.count(versions).await;
    let seen = "SELECT COALESCE(last_seen, 0) FROM gateways";
    of_gateway(&world, &site).await;
    let first = world.count(seen).await;
    assert_eq!(first, millis(world.now));
    world.pass(Duration::from_secs(9));
    of_gateway(&world, &site).await;
    assert_eq!(world.count(seen).await, first);
    world.pass(Duration::from_secs(1));
    let snapshot = of_gateway(&world, &site).await;
    assert_eq!(world.count(seen).await, millis(world.now));
    assert_eq!((snapshot.time, world.count(versions).await), (world.now, before));
}

#[tokio::test]
async fn only_daemons_have_a_snapshot() {
    let world = World::new().await;
    let tenant = world.organization("acme").await;
    let refused = crate::access::decide(&tenant.owner, Action::WatchSnapshot).unwrap_err();
    assert_eq!(refused.reason(), Reason::Forbidden);
    let access = decide(&tenant.owner, Action::ListGateways);
    assert!(snapshot(&world.platform, &tenant.owner, &access).await.is_err());
}
