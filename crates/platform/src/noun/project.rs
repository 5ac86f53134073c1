//! Projects.

use postern_api::{CreateProject, List, Project};
use postern_domain::ProjectId;
use sqlx::SqliteConnection;
use sqlx::sqlite::SqliteRow;

use super::{Page, change, in_use, member_filter, next};
use crate::access::AccessDecision;
use crate::error::OnConflict as _;
use crate::store::{Columns as _, Store, millis};
use crate::{Error, RequestContext};

fn read(row: &SqliteRow) -> Result<Project, Error> {
    Ok(Project {
        id: row.parsed("id")?,
        name: row.parsed("name")?,
        created: row.time("created")?,
    })
}

/// Makes a project.
///
/// # Errors
/// A conflict, if the organization has one of this name.
pub(crate) async fn create(
    store: &Store,
    context: &RequestContext,
    access: &AccessDecision,
    request: CreateProject,
) -> Result<Project, Error> {
    let organization = access.organization()?;
    let project = Project {
        id: ProjectId::generate(context.now),
        name: request.name,
        created: context.now,
    };
    let mut write = context.write(store).await?;
    sqlx::query("INSERT INTO projects (id, organization, name, created) VALUES ($1, $2, $3, $4)")
        .bind(project.id.to_string())
        .bind(organization.to_string())
        .bind(project.name.as_str())
        .bind(millis(context.now))
        .execute(&mut *write)
        .await
        .on_conflict(|| format!("a project named {} exists already", project.name))?;
    let event = change(context, access)
        .with_project(project.id)
        .with_detail(project.name.as_str());
    super::commit(write, event).await?;
    Ok(project)
}

/// Lists the projects that the actor sees.
///
/// # Errors
/// If the store cannot be read.
pub(crate) async fn list(
    store: &Store,
    access: &AccessDecision,
    page: Page<ProjectId>,
) -> Result<List<Project>, Error> {
    let mut read_view = store.read().await?;
    let rows = sqlx::query(
        "SELECT p.id, p.name, p.created FROM projects p \
         WHERE p.organization = $1 AND p.id > $2 AND ($3 = '' OR p.name = $3) \
           AND ($4 = '' OR EXISTS (SELECT 1 FROM members m WHERE m.organization = p.organization \
               AND m.project = p.id AND m.identity = $4)) \
         ORDER BY p.id LIMIT $5",
    )
    .bind(access.organization()?.to_string())
    .bind(page.after_text())
    .bind(page.name_text())
    .bind(member_filter(access)?)
    .bind(page.fetch())
    .fetch_all(&mut *read_view)
    .await?;
    let items = rows.iter().map(read).collect::<Result<Vec<_>, _>>()?;
    Ok(next(items, page.limit, |project| project.id.to_string()))
}

/// Shows a project that the actor sees.
///
/// # Errors
/// Not found.
pub(crate) async fn show(store: &Store, access: &AccessDecision, id: ProjectId) -> Result<Project, Error> {
    let mut view = store.read().await?;
    find(&mut view, access, id).await
}

/// Returns a project that the actor sees.
pub(super) async fn find(
    connection: &mut SqliteConnection,
    access: &AccessDecision,
    id: ProjectId,
) -> Result<Project, Error> {
    let row = sqlx::query(
        "SELECT p.id, p.name, p.created FROM projects p WHERE p.organization = $1 AND p.id = $2 \
           AND ($3 = '' OR EXISTS (SELECT 1 FROM members m WHERE m.organization = p.organization \
               AND m.project = p.id AND m.identity = $3))",
    )
    .bind(access.organization()?.to_string())
    .bind(id.to_string())
    .bind(member_filter(access)?)
    .fetch_optional(connection)
    .await?;
    read(&row.ok_or_else(Error::not_found)?)
}

/// Deletes a project that holds no resource and that no gateway is mapped to.
///
/// # Errors
/// Not found; a conflict that names what uses it.
pub(crate) async fn delete(
    store: &Store,
    context: &RequestContext,
    access: &AccessDecision,
    id: ProjectId,
) -> Result<(), Error> {
    let organization = access.organization()?.to_string();
    let mut write = context.write(store).await?;
    let project = find(&mut write, access, id).await?;
    let keys = [organization.as_str(), &id.to_string()];
    let resources =
        "SELECT name FROM resources WHERE organization = $1 AND project = $2 ORDER BY name LIMIT 6";
    in_use(&mut write, "project", "resource", resources, &keys).await?;
    let gateways = "SELECT g.name FROM gateway_projects m \
                    JOIN gateways g ON g.organization = m.organization AND g.id = m.gateway \
                    WHERE m.organization = $1 AND m.project = $2 ORDER BY g.name LIMIT 6";
    in_use(&mut write, "project", "mapped gateway", gateways, &keys).await?;
    sqlx::query("DELETE FROM projects WHERE organization = $1 AND id = $2")
        .bind(organization)
        .bind(id.to_string())
        .execute(&mut *write)
        .await?;
    let event = change(context, access)
        .with_project(id)
        .with_detail(project.name.as_str());
    super::commit(write, event).await
}
