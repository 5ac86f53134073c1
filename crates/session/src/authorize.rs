//! The judgement of what a client may open: grant and policy, held against each other for every stream anew.

use postern_domain::{
    Grant, GrantKind, GrantedResource, Permission, ProjectId, Protocol, Reason, ResourceAuthority,
    ResourceId, SessionId, Target, Timestamp,
};
use postern_pki::VerifiedPeer;

use crate::Network;
use crate::codes::status_of;
use crate::policy::{ApprovedResource, Policy};

/// A client may not do what it asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("{}", .reason.explanation())]
pub struct Denial {
    /// Why.
    pub reason: Reason,
}

impl Denial {
    /// Returns the HTTP status that says so.
    #[must_use]
    pub const fn status(self) -> u16 {
        status_of(self.reason)
    }
}

const fn deny<T>(reason: Reason) -> Result<T, Denial> {
    Err(Denial { reason })
}

/// The proof that a client may open one connection to one resource now. Made by [`authorize`] only; whoever
/// dials asks for it, and dials what it names and nothing else.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Permit {
    resource: ResourceId,
    approved: ApprovedResource,
    project: ProjectId,
    session: SessionId,
    expires: Timestamp,
}

impl Permit {
    /// Returns the resource.
    #[must_use]
    pub const fn resource(&self) -> ResourceId {
        self.resource
    }

    /// Returns the resource's project.
    #[must_use]
    pub const fn project(&self) -> ProjectId {
        self.project
    }

    /// Returns the session.
    #[must_use]
    pub const fn session(&self) -> SessionId {
        self.session
    }

    /// Returns what to dial: the policy's value.
    #[must_use]
    pub const fn target(&self) -> &Target {
        &self.approved.target
    }

    /// Returns what the resource speaks.
    #[must_use]
    pub const fn protocol(&self) -> Protocol {
        self.approved.protocol
    }

    /// Returns the networks that the target's name may resolve to; empty: any that is not forbidden.
    #[must_use]
    pub fn allowed_networks(&self) -> &[Network] {
        &self.approved.allowed_networks
    }

    /// Returns the moment at which the session, and the connection with it, ends.
    #[must_use]
    pub const fn expires(&self) -> Timestamp {
        self.expires
    }
}

/// Says whether the client may open a connection to what it asks for, by its grant, the policy of this gateway
/// and the time. Called for every stream, and again for open ones when policy changes or time passes.
///
/// # Errors
///
/// Says why not. What the grant does not name is answered alike whether or not it exists.
pub fn authorize(
    peer: &VerifiedPeer,
    policy: &Policy,
    ask: ResourceAuthority,
    now: Timestamp,
) -> Result<Permit, Denial> {
    let grant = grant_of(peer)?;
    permit(grant, policy, ask, now)
}

/// Says whether the client may ask for a sign of life (`OPTIONS *`): only a probe may.
///
/// # Errors
///
/// Says why not.
pub fn authorize_probe(peer: &VerifiedPeer, policy: &Policy, now: Timestamp) -> Result<(), Denial> {
    let grant = grant_of(peer)?;
    check_session(grant, policy, now)?;
    match grant.kind {
        GrantKind::Probe => Ok(()),
        GrantKind::Connect => deny(Reason::RequestNotOffered),
    }
}

/// Says whether the client's session may begin or go on: it must be current, and at least one resource of its
/// grant must still be approved as it was granted. A probe needs no resource.
///
/// # Errors
///
/// Says why not.
pub fn session_admitted(peer: &VerifiedPeer, policy: &Policy, now: Timestamp) -> Result<(), Denial> {
    let grant = grant_of(peer)?;
    admit(grant, policy, now)
}

fn grant_of(peer: &VerifiedPeer) -> Result<&Grant, Denial> {
    let Some(grant) = peer.grant() else {
        return deny(Reason::GrantMissing);
    };
    if peer.organization() != Some(grant.organization) {
        return deny(Reason::WrongOrganization);
    }
    Ok(grant)
}

fn admit(grant: &Grant, policy: &Policy, now: Timestamp) -> Result<(), Denial> {
    check_session(grant, policy, now)?;
    match grant.kind {
        GrantKind::Probe => Ok(()),
        GrantKind::Connect => {
            let resources = project(grant, policy)?.1;
            let mut denials = grant.resources.iter().map(|granted| approved(granted, resources));
            // The first reason stands for all.
            match denials.next() {
                None => deny(Reason::ResourceNotGranted),
                Some(Ok(_)) => Ok(()),
                Some(Err(_)) if denials.any(|d| d.is_ok()) => Ok(()),
                Some(Err(denial)) => Err(denial),
            }
        }
    }
}

fn permit(grant: &Grant, policy: &Policy, ask: ResourceAuthority, now: Timestamp) -> Result<Permit, Denial> {
    check_session(grant, policy, now)?;
    match (grant.kind, grant.permission) {
        (GrantKind::Connect, Permission::Connect) => {}
        (GrantKind::Probe, Permission::Connect) => return deny(Reason::ResourceNotGranted),
    }
    let (project, resources) = project(grant, policy)?;
    let Some(granted) = grant.resources.iter().find(|r| r.id == ask.resource) else {
        return deny(Reason::ResourceNotGranted);
    };
    if granted.port != ask.port {
        return deny(Reason::ResourceNotGranted);
    }
    Ok(Permit {
        resource: granted.id,
        approved: approved(granted, resources)?.clone(),
        project,
        session: grant.session,
        expires: grant.session_expires,
    })
}

/// Checks what holds for every use of a grant.
fn check_session(grant: &Grant, policy: &Policy, now: Timestamp) -> Result<(), Denial> {
    if grant.organization != policy.organization {
        deny(Reason::WrongOrganization)
    } else if grant.gateway != policy.gateway {
        deny(Reason::WrongGateway)
    } else if policy.ended.contains(&grant.session) {
        deny(Reason::SessionTerminated)
    } else if now >= grant.session_expires {
        deny(Reason::SessionExpired)
    } else {
        Ok(())
    }
}

type Resources = std::collections::HashMap<ResourceId, ApprovedResource>;

fn project<'p>(grant: &Grant, policy: &'p Policy) -> Result<(ProjectId, &'p Resources), Denial> {
    let mapped = grant
        .project
        .and_then(|id| policy.projects.get(&id).map(|resources| (id, resources)));
    mapped.ok_or(Denial {
        reason: Reason::ProjectNotMapped,
    })
}

/// Finds the resource in the policy and demands that it is what was granted.
fn approved<'p>(granted: &GrantedResource, resources: &'p Resources) -> Result<&'p ApprovedResource, Denial> {
    let Some(approved) = resources.get(&granted.id) else {
        return deny(Reason::ResourceNotApproved);
    };
    let same = approved.target.host == granted.host
        && approved.target.port == granted.port
        && approved.protocol == granted.protocol;
    if same {
        Ok(approved)
    } else {
        deny(Reason::ResourceChanged)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use postern_domain::{Actor, GatewayId, OrganizationId, Port};
    use std::collections::{HashMap, HashSet};

    const NOW: Timestamp = Timestamp::from_unix_seconds(1_800_000_000);

    fn at(second: u64) -> Timestamp {
        Timestamp::from_unix_seconds(1_800_000_000 + second)
    }

    fn port(number: u16) -> Port {
        Port::new(number).unwrap()
    }

    struct World {
        grant: Grant,
        policy: Policy,
        ask: ResourceAuthority,
    }

    fn world() -> World {
        let (organization, gateway) = (OrganizationId::generate(NOW), GatewayId::generate(NOW));
        let (project, resource) = (ProjectId::generate(NOW), ResourceId::generate(NOW));
        let granted = GrantedResource {
            id: resource,
            host: "db.internal".parse().unwrap(),
            port: port(5432),
            protocol: Protocol::Postgres,
        };
        let approved = ApprovedResource {
            name: "db".parse().unwrap(),
            target: "db.internal:5432".parse().unwrap(),
            protocol: Protocol::Postgres,
            allowed_networks: vec!["10.0.0.0/8".parse().unwrap()],
        };
        World {
            grant: Grant {
                kind: GrantKind::Connect,
                organization,
                project: Some(project),
                gateway,
                actor: Actor::Platform,
                session: SessionId::generate(NOW),
                permission: Permission::Connect,
                resources: vec![granted],
                session_expires: at(3600),
            },
            policy: Policy {
                organization,
                gateway,
                projects: HashMap::from([(project, HashMap::from([(resource, approved)]))]),
                ended: HashSet::new(),
            },
            ask: ResourceAuthority {
                resource,
                port: port(5432),
            },
        }
    }

    impl World {
        fn approved(&mut self) -> &mut ApprovedResource {
            let project = self.policy.projects.values_mut().next().unwrap();
            project.values_mut().next().unwrap()
        }

        fn permit(&self) -> Result<Permit, Reason> {
            permit(&self.grant, &self.policy, self.ask, NOW).map_err(|d| d.reason)
        }

        fn admit(&self) -> Result<(), Reason> {
            admit(&self.grant, &self.policy, NOW).map_err(|d| d.reason)
        }
    }

    #[test]
    fn permits_what_grant_and_policy_both_name() {
        let world = world();
        let permit = world.permit().unwrap();
        assert_eq!(permit.target().to_string(), "db.internal:5432");
        assert_eq!(permit.allowed_networks().len(), 1);
        assert_eq!(permit.session(), world.grant.session);
        assert_eq!(permit.expires(), at(3600));
        assert_eq!(world.admit(), Ok(()));
    }

    #[test]
    fn refuses_what_the_grant_does_not_name() {
        let mut other = world();
        other.ask.resource = ResourceId::generate(NOW);
        assert_eq!(other.permit(), Err(Reason::ResourceNotGranted));

        let mut other_port = world();
        other_port.ask.port = port(22);
        assert_eq!(other_port.permit(), Err(Reason::ResourceNotGranted));
    }

    #[test]
    fn a_resource_that_exists_but_was_not_granted_is_answered_like_one_that_does_not() {
        let mut world = world();
        let extra = ResourceId::generate(NOW);
        let approved = world.approved().clone();
        world
            .policy
            .projects
            .values_mut()
            .next()
            .unwrap()
            .insert(extra, approved);
        world.ask.resource = extra;
        assert_eq!(world.permit(), Err(Reason::ResourceNotGranted));
    }

    #[test]
    fn refuses_another_organization_and_another_gateway() {
        let mut foreign = world();
        foreign.policy.organization = OrganizationId::generate(NOW);
        assert_eq!(foreign.permit(), Err(Reason::WrongOrganization));
        assert_eq!(foreign.admit(), Err(Reason::WrongOrganization));

        let mut elsewhere = world();
        elsewhere.policy.gateway = GatewayId::generate(NOW);
        assert_eq!(elsewhere.permit(), Err(Reason::WrongGateway));
        assert_eq!(elsewhere.admit(), Err(Reason::WrongGateway));
    }

    #[test]
    fn refuses_a_project_that_is_not_mapped() {
        let mut unmapped = world();
        unmapped.policy.projects.clear();
        assert_eq!(unmapped.permit(), Err(Reason::ProjectNotMapped));
        assert_eq!(unmapped.admit(), Err(Reason::ProjectNotMapped));

        let mut without = world();
        without.grant.project = None;
        assert_eq!(without.permit(), Err(Reason::ProjectNotMapped));
    }

    #[test]
    fn refuses_a_resource_approved_in_another_project_only() {
        let mut world = world();
        let approved = world.approved().clone();
        let resource = world.ask.resource;
        world.policy.projects.values_mut().next().unwrap().clear();
        let other = HashMap::from([(resource, approved)]);
        world.policy.projects.insert(ProjectId::generate(at(1)), other);
        assert_eq!(world.permit(), Err(Reason::ResourceNotApproved));
        assert_eq!(world.admit(), Err(Reason::ResourceNotApproved));
    }

    #[test]
    fn refuses_a_resource_that_is_no_longer_what_was_granted() {
        let mut host = world();
        host.approved().target.host = "other.internal".parse().unwrap();
        assert_eq!(host.permit(), Err(Reason::ResourceChanged));

        let mut moved = world();
        moved.approved().target.port = port(5433);
        assert_eq!(moved.permit(), Err(Reason::ResourceChanged));

        let mut protocol = world();
        protocol.approved().protocol = Protocol::Ssh;
        assert_eq!(protocol.permit(), Err(Reason::ResourceChanged));
        assert_eq!(protocol.admit(), Err(Reason::ResourceChanged));
    }

    #[test]
    fn refuses_an_ended_session_and_one_at_its_last_moment() {
        let mut ended = world();
        ended.policy.ended.insert(ended.grant.session);
        assert_eq!(ended.permit(), Err(Reason::SessionTerminated));
        assert_eq!(ended.admit(), Err(Reason::SessionTerminated));

        let mut expired = world();
        expired.grant.session_expires = NOW;
        assert_eq!(expired.permit(), Err(Reason::SessionExpired));
        expired.grant.session_expires = NOW.plus(std::time::Duration::from_millis(1));
        assert!(expired.permit().is_ok());
    }

    #[test]
    fn one_approved_resource_keeps_the_session() {
        let mut world = world();
        let mut gone = world.grant.resources[0].clone();
        gone.id = ResourceId::generate(at(1));
        world.grant.resources.insert(0, gone.clone());
        assert_eq!(world.admit(), Ok(()));
        world.ask.resource = gone.id;
        assert_eq!(world.permit(), Err(Reason::ResourceNotApproved));

        world.policy.projects.values_mut().next().unwrap().clear();
        assert_eq!(world.admit(), Err(Reason::ResourceNotApproved));
        world.grant.resources.clear();
        assert_eq!(world.admit(), Err(Reason::ResourceNotGranted));
    }

    #[test]
    fn a_probe_opens_nothing() {
        let mut world = world();
        world.grant.kind = GrantKind::Probe;
        assert_eq!(world.permit(), Err(Reason::ResourceNotGranted));
        world.grant.project = None;
        world.grant.resources.clear();
        assert_eq!(world.admit(), Ok(()));
    }
}
