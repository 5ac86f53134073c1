//! Machine identities.

use postern_api::{CreateIdentity, Identity, List, Role};
use postern_domain::{Actor, MachineIdentityId, Name, OrganizationId, Scope, Timestamp};
use sqlx::SqliteConnection;
use sqlx::sqlite::SqliteRow;

use super::{Page, change, live, next};
use crate::access::AccessDecision;
use crate::credential;
use crate::error::OnConflict as _;
use crate::store::{Columns as _, Store, Write, millis};
use crate::{Error, RequestContext};

fn read(row: &SqliteRow) -> Result<Identity, Error> {
    Ok(Identity {
        id: row.parsed("id")?,
        name: row.parsed("name")?,
        role: credential::parse_role(&row.text("role")?)?,
        client_id: row.text("client_id")?,
        created: row.time("created")?,
    })
}

/// Makes a machine identity.
///
/// # Errors
/// 422 if no identity can have the role; a conflict, if the organization has an identity of this name.
pub(crate) async fn create(
    store: &Store,
    context: &RequestContext,
    access: &AccessDecision,
    request: CreateIdentity,
) -> Result<Identity, Error> {
    match request.role {
        Role::Owner | Role::Enroller | Role::Connector => {}
        Role::Administrator | Role::Gateway | Role::Relay => {
            return Err(Error::unprocessable(
                "role: an identity is owner, enroller or connector",
            ));
        }
    }
    let mut write = context.write(store).await?;
    let organization = access.organization()?;
    let identity = insert(
        &mut write,
        organization,
        (request.name, request.role),
        context.now,
    )
    .await?;
    let detail = format!(
        "identity {} {} {}",
        identity.name,
        identity.id,
        identity.role.as_str()
    );
    super::commit(write, change(context, access).with_detail(&detail)).await?;
    Ok(identity)
}

/// Writes a new identity.
pub(super) async fn insert(
    write: &mut Write,
    organization: OrganizationId,
    (name, role): (Name, Role),
    now: Timestamp,
) -> Result<Identity, Error> {
    let id = MachineIdentityId::generate(now);
    let identity = Identity {
        id,
        name,
        role,
        client_id: credential::client_id(id),
        created: now,
    };
    sqlx::query(
        "INSERT INTO identities (id, organization, name, role, client_id, created) \
         VALUES ($1, $2, $3, $4, $5, $6)",
    )
    .bind(id.to_string())
    .bind(organization.to_string())
    .bind(identity.name.as_str())
    .bind(role.as_str())
    .bind(&identity.client_id)
    .bind(millis(now))
    .execute(&mut **write)
    .await
    .on_conflict(|| format!("an identity named {} exists already", identity.name))?;
    Ok(identity)
}

/// Lists the organization's identities.
///
/// # Errors
/// If the store cannot be read.
pub(crate) async fn list(
    store: &Store,
    access: &AccessDecision,
    page: Page<MachineIdentityId>,
) -> Result<List<Identity>, Error> {
    let mut view = store.read().await?;
    let rows = sqlx::query(
        "SELECT id, name, role, client_id, created FROM identities \
         WHERE organization = $1 AND id > $2 AND ($3 = '' OR name = $3) ORDER BY id LIMIT $4",
    )
    .bind(access.organization()?.to_string())
    .bind(page.after_text())
    .bind(page.name_text())
    .bind(page.fetch())
    .fetch_all(&mut *view)
    .await?;
    let items = rows.iter().map(read).collect::<Result<Vec<_>, _>>()?;
    Ok(next(items, page.limit, |identity| identity.id.to_string()))
}

/// Shows an identity.
///
/// # Errors
/// Not found.
pub(crate) async fn show(
    store: &Store,
    access: &AccessDecision,
    id: MachineIdentityId,
) -> Result<Identity, Error> {
    let mut view = store.read().await?;
    find(&mut view, access.organization()?, id).await
}

/// Returns an identity of the organization.
pub(super) async fn find(
    connection: &mut SqliteConnection,
    organization: OrganizationId,
    id: MachineIdentityId,
) -> Result<Identity, Error> {
    let row = sqlx::query(
        "SELECT id, name, role, client_id, created FROM identities WHERE organization = $1 AND id = $2",
    )
    .bind(organization.to_string())
    .bind(id.to_string())
    .fetch_optional(connection)
    .await?;
    read(&row.ok_or_else(Error::not_found)?)
}

/// Deletes an identity: its secrets and tokens are refused from then on, and its sessions end.
///
/// # Errors
/// Not found; a conflict, if the organization would be left without an owner.
pub(crate) async fn delete(
    store: &Store,
    context: &RequestContext,
    access: &AccessDecision,
    id: MachineIdentityId,
) -> Result<(), Error> {
    let organization = access.organization()?;
    let mut write = context.write(store).await?;
    let identity = find(&mut write, organization, id).await?;
    if identity.role == Role::Owner {
        let owners: i64 = sqlx::query_scalar(
            "SELECT COUNT(*) FROM identities WHERE organization = $1 AND role = 'owner' AND id <> $2",
        )
        .bind(organization.to_string())
        .bind(id.to_string())
        .fetch_one(&mut *write)
        .await?;
        if owners == 0 {
            return Err(Error::conflict(
                "this is the organization's last owner: make another one first",
            ));
        }
    }
    let actor = Actor::MachineIdentity(id);
    live::end_of_actor(&mut write, organization, actor, context.now).await?;
    sqlx::query("DELETE FROM access_tokens WHERE actor = $1")
        .bind(actor.to_string())
        .execute(&mut *write)
        .await?;
    sqlx::query("DELETE FROM identities WHERE organization = $1 AND id = $2")
        .bind(organization.to_string())
        .bind(id.to_string())
        .execute(&mut *write)
        .await?;
    write.bump(Scope::Organization(organization)).await?;
    let event = change(context, access).with_detail(&format!("identity {} {id}", identity.name));
    super::commit(write, event).await
}
