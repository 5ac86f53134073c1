//! Gateways, and the relays that they hold tunnels to.

use std::collections::{BTreeSet, HashMap};

use postern_api::{CreateGateway, Gateway, List};
use postern_domain::{DaemonId, GatewayId, Name, OrganizationId, ProjectId, RelayId, Scope, Timestamp};
use sqlx::SqliteConnection;
use sqlx::sqlite::SqliteRow;

use super::{Page, change, in_use, live, member_filter, next};
use crate::access::AccessDecision;
use crate::enroll;
use crate::error::OnConflict as _;
use crate::store::{Columns as _, Store, Write, millis, scope_text};
use crate::{Error, RequestContext};

/// The most relays that a gateway holds tunnels to.
const RELAYS: usize = 3;

/// What a gateway is tied to, by gateway.
#[derive(Default)]
struct Ties {
    relays: HashMap<GatewayId, Vec<RelayId>>,
    projects: HashMap<GatewayId, Vec<ProjectId>>,
}

fn read(row: &SqliteRow, ties: &mut Ties) -> Result<Gateway, Error> {
    let id = row.parsed("id")?;
    Ok(Gateway {
        id,
        name: row.parsed("name")?,
        relays: ties.relays.remove(&id).unwrap_or_default(),
        projects: ties.projects.remove(&id).unwrap_or_default(),
        enrolled: row.time_option("enrolled")?.is_some(),
        last_seen: row.time_option("last_seen")?,
        created: row.time("created")?,
    })
}

/// Makes a gateway.
///
/// # Errors
/// 422 if the relays do not exist, are too many or of several scopes, or if there is none to assign; a conflict,
/// if the organization has a gateway of this name.
pub(crate) async fn create(
    store: &Store,
    context: &RequestContext,
    access: &AccessDecision,
    request: CreateGateway,
) -> Result<Gateway, Error> {
    let organization = access.organization()?;
    let mut write = context.write(store).await?;
    let gateway = insert(
        &mut write,
        organization,
        (request.name, request.relays),
        context.now,
    )
    .await?;
    write.bump(Scope::Organization(organization)).await?;
    let event = change(context, access)
        .with_gateway(gateway.id)
        .with_detail(gateway.name.as_str());
    super::commit(write, event).await?;
    Ok(gateway)
}

/// Writes a new gateway with the relays that were chosen, or with one that is assigned.
///
/// # Errors
/// As [`create`].
pub(crate) async fn insert(
    write: &mut Write,
    organization: OrganizationId,
    (name, relays): (Name, Vec<RelayId>),
    now: Timestamp,
) -> Result<Gateway, Error> {
    let relays = match relays.as_slice() {
        [] => vec![assign(write, organization).await?],
        _ => chosen(write, organization, relays).await?,
    };
    let gateway = Gateway {
        id: GatewayId::generate(now),
        name,
        relays,
        projects: Vec::new(),
        enrolled: false,
        last_seen: None,
        created: now,
    };
    sqlx::query("INSERT INTO gateways (id, organization, name, created) VALUES ($1, $2, $3, $4)")
        .bind(gateway.id.to_string())
        .bind(organization.to_string())
        .bind(gateway.name.as_str())
        .bind(millis(now))
        .execute(&mut **write)
        .await
        .on_conflict(|| format!("a gateway named {} exists already", gateway.name))?;
    write_relays(write, organization, (gateway.id, &gateway.relays)).await?;
    Ok(gateway)
}

/// Gives a gateway other relays. Its certificates name the old ones until it is enrolled again.
///
/// # Errors
/// 422, as [`create`].
pub(crate) async fn set_relays(
    write: &mut Write,
    organization: OrganizationId,
    gateway: GatewayId,
    relays: Vec<RelayId>,
) -> Result<(), Error> {
    let relays = chosen(write, organization, relays).await?;
    sqlx::query("DELETE FROM gateway_relays WHERE organization = $1 AND gateway = $2")
        .bind(organization.to_string())
        .bind(gateway.to_string())
        .execute(&mut **write)
        .await?;
    write_relays(write, organization, (gateway, &relays)).await
}

async fn write_relays(
    write: &mut Write,
    organization: OrganizationId,
    (gateway, relays): (GatewayId, &[RelayId]),
) -> Result<(), Error> {
    for (relay, position) in relays.iter().zip(0_i64..) {
        sqlx::query(
            "INSERT INTO gateway_relays (organization, gateway, relay, position) VALUES ($1, $2, $3, $4)",
        )
        .bind(organization.to_string())
        .bind(gateway.to_string())
        .bind(relay.to_string())
        .bind(position)
        .execute(&mut **write)
        .await?;
    }
    Ok(())
}

/// Checks the relays that somebody chose.
async fn chosen(
    write: &mut Write,
    organization: OrganizationId,
    relays: Vec<RelayId>,
) -> Result<Vec<RelayId>, Error> {
    if relays.len() > RELAYS || relays.iter().collect::<BTreeSet<_>>().len() != relays.len() {
        return Err(Error::unprocessable(format!(
            "relays: one to {RELAYS} different ones"
        )));
    }
    let mut scopes = BTreeSet::new();
    for relay in &relays {
        let scope: Option<String> =
            sqlx::query_scalar("SELECT scope FROM relays WHERE id = $1 AND scope IN ($2, 'instance')")
                .bind(relay.to_string())
                .bind(scope_text(Scope::Organization(organization)))
                .fetch_optional(&mut **write)
                .await?;
        scopes.insert(scope.ok_or_else(|| Error::unprocessable(format!("there is no relay {relay}")))?);
    }
    if scopes.len() > 1 {
        return Err(Error::unprocessable(
            "relays: all must be the organization's own, or all the instance's",
        ));
    }
    Ok(relays)
}

/// Assigns a relay: the organization's own before the instance's, enrolled before not, then the one with the
/// fewest gateways.
async fn assign(write: &mut Write, organization: OrganizationId) -> Result<RelayId, Error> {
    let row = sqlx::query(
        "SELECT r.id FROM relays r WHERE r.scope IN ($1, 'instance') \
         ORDER BY CASE WHEN r.scope = $1 THEN 0 ELSE 1 END, \
                  CASE WHEN r.enrolled IS NULL THEN 1 ELSE 0 END, \
                  (SELECT COUNT(*) FROM gateway_relays g WHERE g.relay = r.id), r.id LIMIT 1",
    )
    .bind(scope_text(Scope::Organization(organization)))
    .fetch_optional(&mut **write)
    .await?;
    let row = row.ok_or_else(|| Error::unprocessable("there is no relay to assign: make one first"))?;
    row.parsed("id")
}

/// Lists the gateways that the actor sees.
///
/// # Errors
/// If the store cannot be read.
pub(crate) async fn list(
    store: &Store,
    access: &AccessDecision,
    page: Page<GatewayId>,
) -> Result<List<Gateway>, Error> {
    let mut view = store.read().await?;
    let rows = sqlx::query(
        "SELECT g.id, g.name, g.enrolled, g.last_seen, g.created FROM gateways g \
         WHERE g.organization = $1 AND g.id > $2 AND ($3 = '' OR g.name = $3) \
           AND ($4 = '' OR EXISTS (SELECT 1 FROM gateway_projects p JOIN members m \
               ON m.organization = p.organization AND m.project = p.project \
               WHERE p.organization = g.organization AND p.gateway = g.id AND m.identity = $4)) \
         ORDER BY g.id LIMIT $5",
    )
    .bind(access.organization()?.to_string())
    .bind(page.after_text())
    .bind(page.name_text())
    .bind(member_filter(access)?)
    .bind(page.fetch())
    .fetch_all(&mut *view)
    .await?;
    let (first, last) = match (rows.first(), rows.last()) {
        (Some(first), Some(last)) => (first.text("id")?, last.text("id")?),
        _ => {
            return Ok(List {
                items: Vec::new(),
                next: None,
            });
        }
    };
    let mut ties = ties(&mut view, access, (first, last)).await?;
    let items = rows
        .iter()
        .map(|row| read(row, &mut ties))
        .collect::<Result<Vec<_>, _>>()?;
    Ok(next(items, page.limit, |gateway| gateway.id.to_string()))
}

/// Reads what the gateways of a page are tied to, as far as the actor sees it.
async fn ties(
    connection: &mut SqliteConnection,
    access: &AccessDecision,
    (first, last): (String, String),
) -> Result<Ties, Error> {
    let organization = access.organization()?.to_string();
    let mut ties = Ties::default();
    let relays = sqlx::query(
        "SELECT gateway, relay FROM gateway_relays \
         WHERE organization = $1 AND gateway >= $2 AND gateway <= $3 ORDER BY gateway, position",
    )
    .bind(&organization)
    .bind(&first)
    .bind(&last)
    .fetch_all(&mut *connection)
    .await?;
    for row in &relays {
        ties.relays
            .entry(row.parsed("gateway")?)
            .or_default()
            .push(row.parsed("relay")?);
    }
    let projects = sqlx::query(
        "SELECT g.gateway, g.project FROM gateway_projects g \
         WHERE g.organization = $1 AND g.gateway >= $2 AND g.gateway <= $3 \
           AND ($4 = '' OR EXISTS (SELECT 1 FROM members m WHERE m.organization = g.organization \
               AND m.project = g.project AND m.identity = $4)) \
         ORDER BY g.gateway, g.project",
    )
    .bind(&organization)
    .bind(&first)
    .bind(&last)
    .bind(member_filter(access)?)
    .fetch_all(connection)
    .await?;
    for row in &projects {
        ties.projects
            .entry(row.parsed("gateway")?)
            .or_default()
            .push(row.parsed("project")?);
    }
    Ok(ties)
}

/// Shows a gateway that the actor sees.
///
/// # Errors
/// Not found.
pub(crate) async fn show(store: &Store, access: &AccessDecision, id: GatewayId) -> Result<Gateway, Error> {
    let mut view = store.read().await?;
    find(&mut view, access, id).await
}

/// Returns a gateway that the actor sees.
pub(super) async fn find(
    connection: &mut SqliteConnection,
    access: &AccessDecision,
    id: GatewayId,
) -> Result<Gateway, Error> {
    let row = sqlx::query(
        "SELECT g.id, g.name, g.enrolled, g.last_seen, g.created FROM gateways g \
         WHERE g.organization = $1 AND g.id = $2 \
           AND ($3 = '' OR EXISTS (SELECT 1 FROM gateway_projects p JOIN members m \
               ON m.organization = p.organization AND m.project = p.project \
               WHERE p.organization = g.organization AND p.gateway = g.id AND m.identity = $3))",
    )
    .bind(access.organization()?.to_string())
    .bind(id.to_string())
    .bind(member_filter(access)?)
    .fetch_optional(&mut *connection)
    .await?
    .ok_or_else(Error::not_found)?;
    let mut ties = ties(connection, access, (id.to_string(), id.to_string())).await?;
    read(&row, &mut ties)
}

/// Deletes a gateway that no resource lies behind: its certificates and keys are revoked, its sessions end.
///
/// # Errors
/// Not found; a conflict that names what uses it.
pub(crate) async fn delete(
    store: &Store,
    context: &RequestContext,
    access: &AccessDecision,
    id: GatewayId,
) -> Result<(), Error> {
    let organization = access.organization()?;
    let mut write = context.write(store).await?;
    let gateway = find(&mut write, access, id).await?;
    let keys = [organization.to_string(), id.to_string()];
    let resources =
        "SELECT name FROM resources WHERE organization = $1 AND gateway = $2 ORDER BY name LIMIT 6";
    in_use(
        &mut write,
        "gateway",
        "resource",
        resources,
        &keys.each_ref().map(String::as_str),
    )
    .await?;
    live::end_of_gateway(&mut write, organization, id, context.now).await?;
    enroll::forget_daemon(&mut write, DaemonId::Gateway(id), context.now).await?;
    sqlx::query("DELETE FROM gateways WHERE organization = $1 AND id = $2")
        .bind(organization.to_string())
        .bind(id.to_string())
        .execute(&mut *write)
        .await?;
    write.bump(Scope::Organization(organization)).await?;
    let event = change(context, access)
        .with_gateway(id)
        .with_detail(gateway.name.as_str());
    super::commit(write, event).await
}
