//! Resources: approved targets.

use postern_api::{CreateResource, List, Resource};
use postern_domain::{GatewayId, Host, OrganizationId, ProjectId, ResourceId, Scope};
use postern_session::Network;
use sqlx::SqliteConnection;
use sqlx::sqlite::SqliteRow;

use super::{Page, change, member_filter, next};
use crate::access::AccessDecision;
use crate::error::OnConflict as _;
use crate::store::{Columns as _, Store, Write, millis};
use crate::{Error, RequestContext};

/// The most networks that a resource may name.
const NETWORKS: usize = 32;

fn read(row: &SqliteRow) -> Result<Resource, Error> {
    Ok(Resource {
        id: row.parsed("id")?,
        name: row.parsed("name")?,
        project: row.parsed("project")?,
        gateway: row.parsed("gateway")?,
        host: row.parsed("host")?,
        port: row.port("port")?,
        protocol: row.parsed("protocol")?,
        allowed_networks: serde_json::from_str(&row.text("allowed_networks")?).map_err(Error::internal)?,
        created: row.time("created")?,
    })
}

/// Approves a resource. Its gateway must be mapped to its project.
///
/// # Errors
/// 422 if project or gateway do not exist, or are not mapped; a conflict, if the project has a resource of this
/// name.
pub(crate) async fn create(
    store: &Store,
    context: &RequestContext,
    access: &AccessDecision,
    request: CreateResource,
) -> Result<Resource, Error> {
    let organization = access.organization()?;
    let resource = Resource {
        id: ResourceId::generate(context.now),
        allowed_networks: networks(&request.host, &request.allowed_networks)?,
        name: request.name,
        project: request.project,
        gateway: request.gateway,
        host: request.host,
        port: request.port,
        protocol: request.protocol,
        created: context.now,
    };
    let mut write = context.write(store).await?;
    demand_mapping(&mut write, organization, (resource.gateway, resource.project)).await?;
    sqlx::query(
        "INSERT INTO resources (id, organization, project, gateway, name, host, port, protocol, \
             allowed_networks, created) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)",
    )
    .bind(resource.id.to_string())
    .bind(organization.to_string())
    .bind(resource.project.to_string())
    .bind(resource.gateway.to_string())
    .bind(resource.name.as_str())
    .bind(resource.host.to_string())
    .bind(i64::from(resource.port.get()))
    .bind(resource.protocol.as_str())
    .bind(serde_json::to_string(&resource.allowed_networks).map_err(Error::internal)?)
    .bind(millis(context.now))
    .execute(&mut *write)
    .await
    .on_conflict(|| format!("the project has a resource named {} already", resource.name))?;
    write.bump(Scope::Organization(organization)).await?;
    let detail = format!(
        "{} {}:{} {}",
        resource.name, resource.host, resource.port, resource.protocol
    );
    let event = change(context, access)
        .with_project(resource.project)
        .with_gateway(resource.gateway)
        .with_resource(resource.id)
        .with_detail(&detail);
    super::commit(write, event).await?;
    Ok(resource)
}

/// Reads the networks into their one form.
fn networks(host: &Host, texts: &[String]) -> Result<Vec<String>, Error> {
    if texts.len() > NETWORKS {
        return Err(Error::invalid(format!("allowed_networks: at most {NETWORKS}")));
    }
    let parse = |text: &String| text.parse::<Network>();
    let networks = texts.iter().map(parse).collect::<Result<Vec<_>, _>>();
    let networks = networks.map_err(|e| Error::invalid(format!("allowed_networks: {e}")))?;
    match host {
        Host::Address(address) if !networks.is_empty() && !networks.iter().any(|n| n.contains(*address)) => {
            Err(Error::unprocessable(
                "allowed_networks: none of them contains the host itself",
            ))
        }
        Host::Address(_) | Host::Name(_) => Ok(networks.iter().map(ToString::to_string).collect()),
    }
}

async fn demand_mapping(
    write: &mut Write,
    organization: OrganizationId,
    (gateway, project): (GatewayId, ProjectId),
) -> Result<(), Error> {
    let row: (i64, i64, i64) = sqlx::query_as(
        "SELECT (SELECT COUNT(*) FROM projects WHERE organization = $1 AND id = $2), \
                (SELECT COUNT(*) FROM gateways WHERE organization = $1 AND id = $3), \
                (SELECT COUNT(*) FROM gateway_projects WHERE organization = $1 AND project = $2 AND gateway = $3)",
    )
    .bind(organization.to_string())
    .bind(project.to_string())
    .bind(gateway.to_string())
    .fetch_one(&mut **write)
    .await?;
    match row {
        (0, _, _) => Err(Error::unprocessable(format!("there is no project {project}"))),
        (_, 0, _) => Err(Error::unprocessable(format!("there is no gateway {gateway}"))),
        (_, _, 0) => Err(Error::unprocessable(
            "the gateway is not mapped to the project: map it first, then approve resources behind it",
        )),
        _ => Ok(()),
    }
}

/// Lists the resources that the actor sees.
///
/// # Errors
/// If the store cannot be read.
pub(crate) async fn list(
    store: &Store,
    access: &AccessDecision,
    page: Page<ResourceId>,
) -> Result<List<Resource>, Error> {
    let mut view = store.read().await?;
    let rows = sqlx::query(
        "SELECT r.* FROM resources r \
         WHERE r.organization = $1 AND r.id > $2 AND ($3 = '' OR r.name = $3) \
           AND ($4 = '' OR EXISTS (SELECT 1 FROM members m WHERE m.organization = r.organization \
               AND m.project = r.project AND m.identity = $4)) \
         ORDER BY r.id LIMIT $5",
    )
    .bind(access.organization()?.to_string())
    .bind(page.after_text())
    .bind(page.name_text())
    .bind(member_filter(access)?)
    .bind(page.fetch())
    .fetch_all(&mut *view)
    .await?;
    let items = rows.iter().map(read).collect::<Result<Vec<_>, _>>()?;
    Ok(next(items, page.limit, |resource| resource.id.to_string()))
}

/// Shows a resource that the actor sees.
///
/// # Errors
/// Not found.
pub(crate) async fn show(store: &Store, access: &AccessDecision, id: ResourceId) -> Result<Resource, Error> {
    let mut view = store.read().await?;
    find(&mut view, access, id).await
}

async fn find(
    connection: &mut SqliteConnection,
    access: &AccessDecision,
    id: ResourceId,
) -> Result<Resource, Error> {
    let row = sqlx::query(
        "SELECT r.* FROM resources r WHERE r.organization = $1 AND r.id = $2 \
           AND ($3 = '' OR EXISTS (SELECT 1 FROM members m WHERE m.organization = r.organization \
               AND m.project = r.project AND m.identity = $3))",
    )
    .bind(access.organization()?.to_string())
    .bind(id.to_string())
    .bind(member_filter(access)?)
    .fetch_optional(connection)
    .await?;
    read(&row.ok_or_else(Error::not_found)?)
}

/// Deletes a resource; its gateway refuses it from then on, and cuts what is open.
///
/// # Errors
/// Not found.
pub(crate) async fn delete(
    store: &Store,
    context: &RequestContext,
    access: &AccessDecision,
    id: ResourceId,
) -> Result<(), Error> {
    let organization = access.organization()?;
    let mut write = context.write(store).await?;
    let resource = find(&mut write, access, id).await?;
    sqlx::query("DELETE FROM resources WHERE organization = $1 AND id = $2")
        .bind(organization.to_string())
        .bind(id.to_string())
        .execute(&mut *write)
        .await?;
    write.bump(Scope::Organization(organization)).await?;
    let event = change(context, access)
        .with_project(resource.project)
        .with_gateway(resource.gateway)
        .with_resource(id)
        .with_detail(resource.name.as_str());
    super::commit(write, event).await
}
