//! Organizations: made with all their authorities and a first owner, and gone with all that was theirs.

use postern_api::{CreateOrganization, CreatedOrganization, List, Organization, OwnerCredential, Role};
use postern_domain::{Name, OrganizationId, Scope, Timestamp};
use sqlx::SqliteConnection;
use sqlx::sqlite::SqliteRow;

use super::{Page, change, client_secret, identity, next};
use crate::access::AccessDecision;
use crate::error::OnConflict as _;
use crate::store::{Columns as _, Store, Write, millis, scope_text};
use crate::{Error, Platform, RequestContext, authority};

/// The name of the first owner.
const OWNER: &str = "owner";

/// What must be gone before an organization can be deleted, as the conflict says it.
const IN_USE: [(&str, &str); 3] = [
    (
        "projects",
        "SELECT COUNT(*) FROM projects WHERE organization = $1",
    ),
    (
        "gateways",
        "SELECT COUNT(*) FROM gateways WHERE organization = $1",
    ),
    ("relays", "SELECT COUNT(*) FROM relays WHERE scope = $1"),
];

/// What goes with an organization and does not refer to its row, in this order. Certificates, revocations and
/// audit records stay: they are history.
const GOES_WITH: [&str; 6] = [
    "DELETE FROM access_tokens WHERE scope = $1",
    "DELETE FROM enrollment_tokens WHERE scope = $1",
    "DELETE FROM sealed_keys WHERE scope = $1",
    "DELETE FROM data_keys WHERE scope = $1",
    "DELETE FROM authorities WHERE scope = $1 AND parent IS NOT NULL",
    "DELETE FROM authorities WHERE scope = $1",
];

fn read(row: &SqliteRow) -> Result<Organization, Error> {
    Ok(Organization {
        id: row.parsed("id")?,
        name: row.parsed("name")?,
        created: row.time("created")?,
    })
}

/// Makes an organization with all its authorities and its first owner, whose credential is shown this once.
///
/// # Errors
/// A conflict, if there is one of this name.
pub(crate) async fn create(
    platform: &Platform,
    context: &RequestContext,
    access: &AccessDecision,
    request: CreateOrganization,
) -> Result<CreatedOrganization, Error> {
    let now = context.now;
    let id = OrganizationId::generate(now);
    let scope = Scope::Organization(id);
    let organization = Organization {
        id,
        name: request.name,
        created: now,
    };
    let mut write = context.write(platform.store()).await?;
    sqlx::query("INSERT INTO organizations (id, name, created) VALUES ($1, $2, $3)")
        .bind(id.to_string())
        .bind(organization.name.as_str())
        .bind(millis(now))
        .execute(&mut *write)
        .await
        .on_conflict(|| format!("an organization named {} exists already", organization.name))?;
    let made = fill(platform, &mut write, access, id, now).await;
    let owner = match made {
        Ok(owner) => owner,
        Err(error) => {
            platform.keys().forget(scope);
            return Err(error);
        }
    };
    write.bump(scope).await?;
    let event = change(context, access).with_detail(&format!("organization {} {id}", organization.name));
    if let Err(error) = super::commit(write, event).await {
        platform.keys().forget(scope);
        return Err(error);
    }
    Ok(CreatedOrganization { organization, owner })
}

/// Makes what an organization begins with.
async fn fill(
    platform: &Platform,
    write: &mut Write,
    access: &AccessDecision,
    id: OrganizationId,
    now: Timestamp,
) -> Result<OwnerCredential, Error> {
    let instance = platform.instance().id;
    authority::create(
        write,
        platform.keys(),
        access,
        instance,
        Scope::Organization(id),
        now,
    )
    .await?;
    let name: Name = OWNER.parse().map_err(Error::internal)?;
    let owner = identity::insert(write, id, (name, Role::Owner), now).await?;
    let secret = client_secret::insert(write, id, (owner.id, owner.client_id), now).await?;
    Ok(OwnerCredential {
        identity: owner.id,
        client_id: secret.client_id,
        client_secret: secret.client_secret,
    })
}

/// Lists organizations.
///
/// # Errors
/// If the store cannot be read.
pub(crate) async fn list(
    store: &Store,
    _: &AccessDecision,
    page: Page<OrganizationId>,
) -> Result<List<Organization>, Error> {
    let mut view = store.read().await?;
    let rows = sqlx::query(
        "SELECT id, name, created FROM organizations WHERE id > $1 AND ($2 = '' OR name = $2) \
         ORDER BY id LIMIT $3",
    )
    .bind(page.after_text())
    .bind(page.name_text())
    .bind(page.fetch())
    .fetch_all(&mut *view)
    .await?;
    let items = rows.iter().map(read).collect::<Result<Vec<_>, _>>()?;
    Ok(next(items, page.limit, |organization| {
        organization.id.to_string()
    }))
}

/// Shows an organization.
///
/// # Errors
/// Not found.
pub(crate) async fn show(
    store: &Store,
    _: &AccessDecision,
    id: OrganizationId,
) -> Result<Organization, Error> {
    let mut view = store.read().await?;
    find(&mut view, id).await
}

async fn find(connection: &mut SqliteConnection, id: OrganizationId) -> Result<Organization, Error> {
    let row = sqlx::query("SELECT id, name, created FROM organizations WHERE id = $1")
        .bind(id.to_string())
        .fetch_optional(connection)
        .await?;
    read(&row.ok_or_else(Error::not_found)?)
}

/// Deletes an organization that has no projects, gateways or relays left, with its identities, keys and
/// authorities.
///
/// # Errors
/// Not found; a conflict that says what is left.
pub(crate) async fn delete(
    platform: &Platform,
    context: &RequestContext,
    access: &AccessDecision,
    id: OrganizationId,
) -> Result<(), Error> {
    let scope = Scope::Organization(id);
    let mut write = context.write(platform.store()).await?;
    let organization = find(&mut write, id).await?;
    let mut left = Vec::new();
    for (what, sql) in IN_USE {
        let count: i64 = sqlx::query_scalar(sql)
            .bind(scope_text(scope))
            .fetch_one(&mut *write)
            .await?;
        if count > 0 {
            left.push(format!("{count} {what}"));
        }
    }
    if !left.is_empty() {
        return Err(Error::conflict(format!(
            "the organization still has {}",
            left.join(", ")
        )));
    }
    for sql in GOES_WITH {
        sqlx::query(sql)
            .bind(scope_text(scope))
            .execute(&mut *write)
            .await?;
    }
    sqlx::query("DELETE FROM organizations WHERE id = $1")
        .bind(id.to_string())
        .execute(&mut *write)
        .await?;
    let event = change(context, access).with_detail(&format!("organization {} {id}", organization.name));
    super::commit(write, event).await?;
    platform.keys().forget(scope);
    Ok(())
}
