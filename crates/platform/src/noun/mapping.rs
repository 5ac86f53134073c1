//! Mappings: the projects that a gateway serves.

use postern_api::{List, Project};
use postern_domain::{GatewayId, ProjectId, Scope};

use super::{Page, change, gateway, member_filter, next, project};
use crate::access::AccessDecision;
use crate::store::{Columns as _, Store, millis};
use crate::{Error, RequestContext};

/// Lists the projects that a gateway is mapped to.
///
/// # Errors
/// Not found, if there is no such gateway.
pub(crate) async fn list(
    store: &Store,
    access: &AccessDecision,
    gateway: GatewayId,
    page: Page<ProjectId>,
) -> Result<List<Project>, Error> {
    let mut view = store.read().await?;
    gateway::find(&mut view, access, gateway).await?;
    let rows = sqlx::query(
        "SELECT p.id, p.name, p.created FROM gateway_projects g \
         JOIN projects p ON p.organization = g.organization AND p.id = g.project \
         WHERE g.organization = $1 AND g.gateway = $2 AND p.id > $3 AND ($4 = '' OR p.name = $4) \
           AND ($5 = '' OR EXISTS (SELECT 1 FROM members m WHERE m.organization = p.organization \
               AND m.project = p.id AND m.identity = $5)) \
         ORDER BY p.id LIMIT $6",
    )
    .bind(access.organization()?.to_string())
    .bind(gateway.to_string())
    .bind(page.after_text())
    .bind(page.name_text())
    .bind(member_filter(access)?)
    .bind(page.fetch())
    .fetch_all(&mut *view)
    .await?;
    let items = rows
        .iter()
        .map(|row| {
            Ok(Project {
                id: row.parsed("id")?,
                name: row.parsed("name")?,
                created: row.time("created")?,
            })
        })
        .collect::<Result<Vec<_>, Error>>()?;
    Ok(next(items, page.limit, |project| project.id.to_string()))
}

/// Maps a gateway to a project; doing it again changes nothing.
///
/// # Errors
/// Not found, if either does not exist.
pub(crate) async fn add(
    store: &Store,
    context: &RequestContext,
    access: &AccessDecision,
    (gateway, project): (GatewayId, ProjectId),
) -> Result<(), Error> {
    let organization = access.organization()?;
    let mut write = context.write(store).await?;
    gateway::find(&mut write, access, gateway).await?;
    project::find(&mut write, access, project).await?;
    sqlx::query(
        "INSERT INTO gateway_projects (organization, gateway, project, created) VALUES ($1, $2, $3, $4) \
         ON CONFLICT (gateway, project) DO NOTHING",
    )
    .bind(organization.to_string())
    .bind(gateway.to_string())
    .bind(project.to_string())
    .bind(millis(context.now))
    .execute(&mut *write)
    .await?;
    write.bump(Scope::Organization(organization)).await?;
    super::commit(
        write,
        change(context, access)
            .with_gateway(gateway)
            .with_project(project),
    )
    .await
}

/// Unmaps a gateway from a project. Its resources there stay, and cannot be reached.
///
/// # Errors
/// Not found, if it is not mapped.
pub(crate) async fn remove(
    store: &Store,
    context: &RequestContext,
    access: &AccessDecision,
    (gateway, project): (GatewayId, ProjectId),
) -> Result<(), Error> {
    let organization = access.organization()?;
    let mut write = context.write(store).await?;
    let removed =
        sqlx::query("DELETE FROM gateway_projects WHERE organization = $1 AND gateway = $2 AND project = $3")
            .bind(organization.to_string())
            .bind(gateway.to_string())
            .bind(project.to_string())
            .execute(&mut *write)
            .await?;
    if removed.rows_affected() == 0 {
        return Err(Error::not_found());
    }
    write.bump(Scope::Organization(organization)).await?;
    super::commit(
        write,
        change(context, access)
            .with_gateway(gateway)
            .with_project(project),
    )
    .await
}
