//! Universal auth: a machine identity's client id and client secret.

use postern_api::{Token, UniversalLogin};
use postern_domain::{Actor, MachineIdentityId, OrganizationId, Reason, Scope};

use super::digest;
use super::token::{Grantee, grant};
use crate::record::{allowed_arrival, commit_recorded};
use crate::store::Columns as _;
use crate::{Arrival, Error, Platform};

/// No client id or secret of ours is longer.
const LONGEST: usize = 128;

/// Gives an access token for a client id and one of its client secrets. Records itself if it succeeds.
///
/// # Errors
/// Unauthenticated, alike for an unknown client id and a wrong secret.
pub async fn universal_login(
    platform: &Platform,
    arrival: &Arrival,
    login: UniversalLogin,
) -> Result<Token, Error> {
    let unknown = || Error::unauthenticated(Reason::Unauthenticated);
    if login.client_id.len() > LONGEST || login.client_secret.expose().len() > LONGEST {
        return Err(unknown());
    }
    // A stranger's attempt ends here, without taking the write lock.
    let hash = digest(login.client_secret.expose());
    let mut read = platform.store().read().await?;
    let found = sqlx::query(
        "SELECT s.id AS secret, i.id AS identity, i.organization AS organization \
         FROM client_secrets s JOIN identities i ON i.id = s.identity WHERE s.hash = $1 AND i.client_id = $2",
    )
    .bind(&hash)
    .bind(&login.client_id)
    .fetch_optional(&mut *read)
    .await?
    .ok_or_else(unknown)?;
    drop(read);
    let organization: OrganizationId = found.parsed("organization")?;
    let identity: MachineIdentityId = found.parsed("identity")?;
    let grantee = Grantee {
        actor: Actor::MachineIdentity(identity),
        scope: Scope::Organization(organization),
        client_secret: Some(found.parsed("secret")?),
    };

    let mut write = platform.store().write().await?;
    let still: Option<i64> = sqlx::query_scalar("SELECT 1 FROM client_secrets WHERE hash = $1")
        .bind(&hash)
        .fetch_optional(&mut *write)
        .await?;
    still.ok_or_else(unknown)?;
    let token = grant(
        &mut write,
        &grantee,
        platform.settings().access_token,
        arrival.now,
    )
    .await?;
    let event = allowed_arrival(arrival, "auth.universal")
        .with_actor(grantee.actor)
        .with_organization(organization);
    Ok(commit_recorded(write, token, event).await?.into_inner())
}
