//! Who asks to be enrolled, and what admits it: a ticket, or a machine identity.

use postern_api::EnrollRequest;
use postern_domain::{
    Actor, DaemonId, EnrollmentTokenId, GatewayId, Name, OrganizationId, Reason, RelayId, Scope, Timestamp,
};
use postern_pki::DaemonKind;

use crate::access::{self, AccessDecision, Action};
use crate::credential::{actor_of, digest, exists};
use crate::noun::gateway;
use crate::store::{Columns as _, Write, millis};
use crate::{Arrival, Error, Platform, RequestContext};

/// No ticket's secret is longer.
const LONGEST_SECRET: usize = 128;

/// What is to be enrolled.
#[derive(Debug)]
enum Target {
    /// The daemon that a ticket names.
    Ticket {
        id: EnrollmentTokenId,
        daemon: DaemonId,
        again: bool,
    },
    /// A gateway of the caller's organization, by name.
    Gateway {
        organization: OrganizationId,
        name: Name,
        relays: Vec<RelayId>,
        again: bool,
        create: bool,
    },
}

/// Whoever asks, admitted.
#[derive(Debug)]
pub(super) struct Applicant {
    target: Target,
    /// What it may do.
    pub(super) access: AccessDecision,
    /// The actor on whose account the daemon is enrolled: judged again whenever it asks for a token.
    pub(super) enrolled_by: Actor,
}

impl Applicant {
    /// Admits by the ticket in the request, or by the caller's role.
    ///
    /// # Errors
    /// See [`super::enroll`].
    pub(super) async fn admit(
        platform: &Platform,
        arrival: &Arrival,
        caller: Option<&RequestContext>,
        request: &EnrollRequest,
    ) -> Result<Self, Error> {
        match (&request.token, caller) {
            (Some(_), Some(_)) => Err(Error::invalid(
                "token: give a one-time token or a bearer token, not both",
            )),
            (None, None) => Err(Error::unauthenticated(Reason::Unauthenticated)),
            (Some(_), None) if request.name.is_some() || !request.relays.is_empty() => Err(Error::invalid(
                "name, relays: a one-time token names the daemon already",
            )),
            (Some(secret), None) => Self::by_ticket(platform, secret.expose(), arrival.now).await,
            (None, Some(caller)) => Self::by_identity(caller, request),
        }
    }

    async fn by_ticket(platform: &Platform, secret: &str, now: Timestamp) -> Result<Self, Error> {
        let unknown = || Error::unauthenticated(Reason::Unauthenticated);
        if secret.len() > LONGEST_SECRET {
            return Err(unknown());
        }
        let mut read = platform.store().read().await?;
        let row = sqlx::query(
            "SELECT id, scope, daemon, again, created_by, expires, consumed FROM enrollment_tokens WHERE hash = $1",
        )
        .bind(digest(secret))
        .fetch_optional(&mut *read)
        .await?
        .ok_or_else(unknown)?;
        if row.time_option("consumed")?.is_none() && row.time("expires")? <= now {
            return Err(Error::unauthenticated(Reason::CredentialExpired));
        }
        let enrolled_by = row.parsed("created_by")?;
        if !exists(&mut read, enrolled_by).await? {
            return Err(Error::unauthenticated(Reason::Revoked));
        }
        let daemon = row.parsed("daemon")?;
        Ok(Self {
            target: Target::Ticket {
                id: row.parsed("id")?,
                daemon,
                again: row.number("again")? == 1,
            },
            access: access::decide_for_ticket(actor_of(daemon), row.scope("scope")?),
            enrolled_by,
        })
    }

    fn by_identity(caller: &RequestContext, request: &EnrollRequest) -> Result<Self, Error> {
        let access = access::decide(caller, Action::EnrollGateway)?;
        let name = request.name.clone();
        Ok(Self {
            target: Target::Gateway {
                organization: access.organization()?,
                name: name.ok_or_else(|| Error::invalid("name: the gateway needs one"))?,
                relays: request.relays.clone(),
                again: access::decide(caller, Action::EnrollGatewayAgain).is_ok(),
                create: access::decide(caller, Action::CreateGateway).is_ok(),
            },
            access,
            enrolled_by: caller.actor,
        })
    }

    /// Returns the kind of daemon.
    pub(super) const fn kind(&self) -> DaemonKind {
        match self.target {
            Target::Ticket {
                daemon: DaemonId::Relay(_),
                ..
            } => DaemonKind::Relay,
            Target::Ticket {
                daemon: DaemonId::Gateway(_),
                ..
            }
            | Target::Gateway { .. } => DaemonKind::Gateway,
        }
    }

    /// Returns who asks, for the record: the identity, or the daemon that the ticket names.
    pub(super) const fn actor(&self) -> Actor {
        match self.target {
            Target::Ticket { daemon, .. } => actor_of(daemon),
            Target::Gateway { .. } => self.enrolled_by,
        }
    }

    /// Returns what the answer is kept under: the ticket, or the actor and what it asked for.
    pub(super) fn credential(&self) -> String {
        match &self.target {
            Target::Ticket { id, .. } => format!("token:{id}"),
            Target::Gateway { name, relays, .. } => {
                let relays: Vec<String> = relays.iter().map(ToString::to_string).collect();
                format!("{}/{name}/{}", self.enrolled_by, relays.join(","))
            }
        }
    }

    /// Returns whether a daemon that is enrolled already may be enrolled.
    pub(super) const fn may_enroll_again(&self) -> bool {
        match self.target {
            Target::Ticket { again, .. } | Target::Gateway { again, .. } => again,
        }
    }

    /// Takes the ticket, once. One that was taken passes only for a request that was begun with it.
    pub(super) async fn consume(&self, write: &mut Write, begun: bool, now: Timestamp) -> Result<(), Error> {
        let id = match &self.target {
            Target::Ticket { id, .. } if !begun => id,
            Target::Ticket { .. } | Target::Gateway { .. } => return Ok(()),
        };
        let taken = sqlx::query(
            "UPDATE enrollment_tokens SET consumed = $1 WHERE id = $2 AND consumed IS NULL AND expires > $1",
        )
        .bind(millis(now))
        .bind(id.to_string())
        .execute(&mut **write)
        .await?;
        if taken.rows_affected() == 1 {
            Ok(())
        } else {
            Err(Error::unauthenticated(Reason::Replayed))
        }
    }

    /// Returns the daemon to enroll; a gateway that does not exist is made.
    pub(super) async fn daemon(&self, write: &mut Write, now: Timestamp) -> Result<DaemonId, Error> {
        let (organization, name, relays, create) = match &self.target {
            Target::Ticket { daemon, .. } => return Ok(*daemon),
            Target::Gateway {
                organization,
                name,
                relays,
                create,
                ..
            } => (*organization, name, relays, *create),
        };
        let found: Option<String> =
            sqlx::query_scalar("SELECT id FROM gateways WHERE organization = $1 AND name = $2")
                .bind(organization.to_string())
                .bind(name.as_str())
                .fetch_optional(&mut **write)
                .await?;
        let id: GatewayId = match found {
            Some(id) => {
                let id = id.parse().map_err(Error::internal)?;
                if !relays.is_empty() {
                    gateway::set_relays(write, organization, id, relays.clone()).await?;
                }
                id
            }
            None if create => {
                let new = (name.clone(), relays.clone());
                gateway::insert(write, organization, new, now).await?.id
            }
            None => return Err(Error::forbidden()),
        };
        write.bump(Scope::Organization(organization)).await?;
        Ok(DaemonId::Gateway(id))
    }
}
