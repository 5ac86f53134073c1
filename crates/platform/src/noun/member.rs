//! Members: the identities that may open sessions in a project.

use postern_api::{List, Member};
use postern_domain::{Actor, MachineIdentityId, ProjectId, Scope};

use super::{Page, change, identity, live, next, project};
use crate::access::AccessDecision;
use crate::store::{Columns as _, Store, millis};
use crate::{Error, RequestContext};

/// Lists the members of a project.
///
/// # Errors
/// Not found, if there is no such project.
pub(crate) async fn list(
    store: &Store,
    access: &AccessDecision,
    project: ProjectId,
    page: Page<MachineIdentityId>,
) -> Result<List<Member>, Error> {
    let mut view = store.read().await?;
    project::find(&mut view, access, project).await?;
    let rows = sqlx::query(
        "SELECT i.id, i.name FROM members m \
         JOIN identities i ON i.organization = m.organization AND i.id = m.identity \
         WHERE m.organization = $1 AND m.project = $2 AND i.id > $3 AND ($4 = '' OR i.name = $4) \
         ORDER BY i.id LIMIT $5",
    )
    .bind(access.organization()?.to_string())
    .bind(project.to_string())
    .bind(page.after_text())
    .bind(page.name_text())
    .bind(page.fetch())
    .fetch_all(&mut *view)
    .await?;
    let items = rows
        .iter()
        .map(|row| {
            Ok(Member {
                identity: row.parsed("id")?,
                name: row.parsed("name")?,
            })
        })
        .collect::<Result<Vec<_>, Error>>()?;
    Ok(next(items, page.limit, |member| member.identity.to_string()))
}

/// Makes an identity a member of a project; doing it again changes nothing.
///
/// # Errors
/// Not found, if either does not exist.
pub(crate) async fn add(
    store: &Store,
    context: &RequestContext,
    access: &AccessDecision,
    (project, identity): (ProjectId, MachineIdentityId),
) -> Result<(), Error> {
    let organization = access.organization()?;
    let mut write = context.write(store).await?;
    project::find(&mut write, access, project).await?;
    let member = identity::find(&mut write, organization, identity).await?;
    sqlx::query(
        "INSERT INTO members (organization, project, identity, created) VALUES ($1, $2, $3, $4) \
         ON CONFLICT (project, identity) DO NOTHING",
    )
    .bind(organization.to_string())
    .bind(project.to_string())
    .bind(identity.to_string())
    .bind(millis(context.now))
    .execute(&mut *write)
    .await?;
    let detail = format!("identity {} {}", member.name, member.id);
    super::commit(
        write,
        change(context, access).with_project(project).with_detail(&detail),
    )
    .await
}

/// Takes an identity out of a project, and ends its sessions there.
///
/// # Errors
/// Not found, if it is no member.
pub(crate) async fn remove(
    store: &Store,
    context: &RequestContext,
    access: &AccessDecision,
    (project, identity): (ProjectId, MachineIdentityId),
) -> Result<(), Error> {
    let organization = access.organization()?;
    let mut write = context.write(store).await?;
    let removed =
        sqlx::query("DELETE FROM members WHERE organization = $1 AND project = $2 AND identity = $3")
            .bind(organization.to_string())
            .bind(project.to_string())
            .bind(identity.to_string())
            .execute(&mut *write)
            .await?;
    if removed.rows_affected() == 0 {
        return Err(Error::not_found());
    }
    let actor = Actor::MachineIdentity(identity);
    live::end_of_member(&mut write, organization, (project, actor), context.now).await?;
    write.bump(Scope::Organization(organization)).await?;
    let event = change(context, access)
        .with_project(project)
        .with_detail(&format!("identity {identity}"));
    super::commit(write, event).await
}
