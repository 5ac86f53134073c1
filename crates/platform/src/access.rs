//! Who may do what: one table of roles and actions, and the decision that every service asks for.
//!
//! Authorization comes before look-up: whoever may not do a thing learns nothing about whether it exists, and
//! what belongs to another organization answers exactly as what does not exist. An [`AccessDecision`] can be
//! made nowhere but here.

mod table;

use postern_api::Role;
use postern_domain::{Actor, OrganizationId, Scope};

use crate::{Error, RequestContext};

pub use table::{Action, Reach};

/// The proof that an actor may do an action in a scope, and how far that reaches.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AccessDecision {
    actor: Actor,
    action: Action,
    scope: Scope,
    reach: Reach,
}

impl AccessDecision {
    /// Returns who may.
    #[must_use]
    pub const fn actor(&self) -> Actor {
        self.actor
    }

    /// Returns what may be done.
    #[must_use]
    pub const fn action(&self) -> Action {
        self.action
    }

    /// Returns where: everything that is read or written under this decision belongs to this scope.
    #[must_use]
    pub const fn scope(&self) -> Scope {
        self.scope
    }

    /// Returns how far within the scope.
    #[must_use]
    pub const fn reach(&self) -> Reach {
        self.reach
    }

    /// Returns the organization.
    ///
    /// # Errors
    /// Forbidden, if the decision is about the instance.
    pub fn organization(&self) -> Result<OrganizationId, Error> {
        self.scope.organization().ok_or_else(Error::forbidden)
    }

    /// Returns whether the actor sees what belongs to the instance as well as what is its organization's.
    #[must_use]
    pub fn sees_instance(&self) -> bool {
        self.scope == Scope::Instance || self.reach == Reach::ScopeAndInstance
    }
}

/// Decides whether the actor may do this within its own scope: its organization, or the instance for whoever
/// belongs to none.
///
/// # Errors
/// Forbidden.
pub fn decide(context: &RequestContext, action: Action) -> Result<AccessDecision, Error> {
    decide_on(context, action, context.scope())
}

/// Decides whether the actor may do this in a scope that the request names.
///
/// # Errors
/// Forbidden if its role may never do it; not found if the scope is not its own.
pub fn decide_on(context: &RequestContext, action: Action, scope: Scope) -> Result<AccessDecision, Error> {
    let reach = table::reach(context.role, action);
    let own = scope == context.scope();
    let placed = (context.role == Role::Administrator) == context.organization.is_none()
        || context.role == Role::Relay;
    match reach {
        Reach::Never => Err(Error::forbidden()),
        _ if !placed => Err(Error::forbidden()),
        Reach::ScopeAndInstance if own || scope == Scope::Instance => {
            Ok(decision(context.actor, action, scope, reach))
        }
        Reach::Scope | Reach::Membership | Reach::Own if own => {
            Ok(decision(context.actor, action, scope, reach))
        }
        Reach::Scope | Reach::ScopeAndInstance | Reach::Membership | Reach::Own => Err(Error::not_found()),
    }
}

/// Decides for the platform itself, which may do very little: certify its own HTTPS key and make the
/// authorities of an owner that is just being made.
///
/// # Errors
/// Forbidden for every other action.
pub(crate) fn decide_for_platform(action: Action, scope: Scope) -> Result<AccessDecision, Error> {
    if matches!(action, Action::CertifyPlatform | Action::CreateAuthorities) {
        Ok(decision(Actor::Platform, action, scope, Reach::Scope))
    } else {
        Err(Error::forbidden())
    }
}

/// Decides for whoever showed a one-time token that names a daemon: it may enroll that daemon.
pub(crate) fn decide_for_ticket(daemon: Actor, scope: Scope) -> AccessDecision {
    decision(daemon, Action::EnrollByTicket, scope, Reach::Own)
}

const fn decision(actor: Actor, action: Action, scope: Scope, reach: Reach) -> AccessDecision {
    AccessDecision {
        actor,
        action,
        scope,
        reach,
    }
}

#[cfg(test)]
mod tests;
