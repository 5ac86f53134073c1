//! Tests of the table and of the decision.

use std::collections::BTreeSet;
use std::net::{IpAddr, Ipv4Addr};

use postern_domain::{Reason, RequestId, Timestamp, UserId};

use super::*;

const ROLES: [Role; 6] = [
    Role::Administrator,
    Role::Owner,
    Role::Enroller,
    Role::Connector,
    Role::Gateway,
    Role::Relay,
];

fn context(role: Role, organization: Option<OrganizationId>) -> RequestContext {
    let now = Timestamp::from_unix_seconds(1_800_000_000);
    RequestContext {
        actor: Actor::User(UserId::generate(now)),
        name: "somebody".into(),
        role,
        organization,
        request: RequestId::generate(now),
        now,
        source: IpAddr::V4(Ipv4Addr::LOCALHOST),
        token_expires: now,
        token: None,
    }
}

fn organization() -> OrganizationId {
    OrganizationId::generate(Timestamp::from_unix_seconds(1_800_000_000))
}

#[test]
fn every_pair_of_role_and_action_has_a_row_and_codes_are_unique() {
    let codes: BTreeSet<_> = Action::ALL.iter().map(|a| a.code()).collect();
    assert_eq!(codes.len(), Action::ALL.len());
    let golden = include_str!("permissions.txt");
    let mut matrix = String::new();
    for action in Action::ALL {
        matrix.push_str(&format!("{:<28}", action.code()));
        for role in ROLES {
            matrix.push_str(&format!(" {}={:?}", role.as_str(), table::reach(role, *action)));
        }
        matrix.push('\n');
    }
    assert_eq!(
        matrix, golden,
        "the table changed: review it, then update src/access/permissions.txt"
    );
}

#[test]
fn an_administrator_may_do_nothing_within_an_organization() {
    let administrator = context(Role::Administrator, None);
    let inside = [
        Action::CreateProject,
        Action::ListProjects,
        Action::CreateSession,
        Action::ListSessions,
        Action::CreateIdentity,
        Action::ListGateways,
        Action::CreateGatewayToken,
        Action::EnrollGateway,
        Action::ShowResource,
        Action::MapGateway,
    ];
    for action in inside {
        assert_eq!(
            decide(&administrator, action).unwrap_err().reason(),
            Reason::Forbidden
        );
    }
    let theirs = Scope::Organization(organization());
    for action in [
        Action::ListAuthorities,
        Action::ListRelays,
        Action::CreateRelay,
        Action::DeleteRelay,
    ] {
        assert!(decide(&administrator, action).is_ok());
        let refused = decide_on(&administrator, action, theirs).unwrap_err();
        assert_eq!(refused.reason(), Reason::NotFound);
    }
}

#[test]
fn nobody_reaches_into_another_organization() {
    let mine = organization();
    let theirs = Scope::Organization(organization());
    for role in [
        Role::Owner,
        Role::Enroller,
        Role::Connector,
        Role::Gateway,
        Role::Relay,
    ] {
        for action in Action::ALL {
            assert!(
                decide_on(&context(role, Some(mine)), *action, theirs).is_err(),
                "{role:?} {action:?}"
            );
        }
    }
}

#[test]
fn an_owner_sees_the_relays_of_the_instance_and_changes_none() {
    let owner = context(Role::Owner, Some(organization()));
    assert!(decide_on(&owner, Action::ShowRelay, Scope::Instance).is_ok());
    assert!(decide(&owner, Action::ListRelays).unwrap().sees_instance());
    for action in [
        Action::CreateRelay,
        Action::DeleteRelay,
        Action::ListAuthorities,
        Action::CreateRelayToken,
    ] {
        let refused = decide_on(&owner, action, Scope::Instance).unwrap_err();
        assert_eq!(refused.reason(), Reason::NotFound);
    }
}

#[test]
fn a_role_in_the_wrong_place_may_do_nothing() {
    for action in Action::ALL {
        assert!(decide(&context(Role::Owner, None), *action).is_err());
        assert!(decide(&context(Role::Administrator, Some(organization())), *action).is_err());
    }
}

#[test]
fn the_platform_itself_may_do_nothing_but_its_own() {
    let allowed: Vec<_> = Action::ALL
        .iter()
        .filter(|a| decide_for_platform(**a, Scope::Instance).is_ok())
        .collect();
    assert_eq!(allowed, [&Action::CreateAuthorities, &Action::CertifyPlatform]);
}
