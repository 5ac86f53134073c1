//! Sessions, once they exist: listed, shown, ended. What opens them is in [`crate::session`].

use std::collections::HashMap;

use postern_api::{List, Session};
use postern_domain::{Actor, ResourceId, Scope, SessionId};
use sqlx::SqliteConnection;
use sqlx::sqlite::SqliteRow;

use super::{Page, change, live, next};
use crate::access::{AccessDecision, Reach};
use crate::store::{Columns as _, Store};
use crate::{Error, RequestContext};

/// Returns the actor whose sessions are seen; empty for everybody's.
fn actor_filter(access: &AccessDecision) -> Result<String, Error> {
    match access.reach() {
        Reach::Own => Ok(access.actor().to_string()),
        Reach::Scope | Reach::ScopeAndInstance => Ok(String::new()),
        Reach::Membership | Reach::Never => Err(Error::forbidden()),
    }
}

type Resources = HashMap<SessionId, Vec<ResourceId>>;

fn read(row: &SqliteRow, resources: &mut Resources) -> Result<Session, Error> {
    let id = row.parsed("id")?;
    Ok(Session {
        id,
        actor: row.parsed::<Actor>("actor")?,
        gateway: row.parsed("gateway")?,
        resources: resources.remove(&id).unwrap_or_default(),
        created: row.time("created")?,
        expires: row.time("expires")?,
        ended: row.time_option("ended")?,
    })
}

/// Lists the sessions that the actor sees.
///
/// # Errors
/// If the store cannot be read.
pub(crate) async fn list(
    store: &Store,
    access: &AccessDecision,
    page: Page<SessionId>,
) -> Result<List<Session>, Error> {
    if page.name.is_some() {
        return Err(Error::invalid("name: sessions have none"));
    }
    let organization = access.organization()?.to_string();
    let mut view = store.read().await?;
    let rows = sqlx::query(
        "SELECT id, actor, gateway, created, expires, ended FROM sessions \
         WHERE organization = $1 AND id > $2 AND ($3 = '' OR actor = $3) ORDER BY id LIMIT $4",
    )
    .bind(&organization)
    .bind(page.after_text())
    .bind(actor_filter(access)?)
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
    let mut resources = resources(&mut view, &organization, (first, last)).await?;
    let items = rows
        .iter()
        .map(|row| read(row, &mut resources))
        .collect::<Result<Vec<_>, _>>()?;
    Ok(next(items, page.limit, |session| session.id.to_string()))
}

async fn resources(
    connection: &mut SqliteConnection,
    organization: &str,
    (first, last): (String, String),
) -> Result<Resources, Error> {
    let rows = sqlx::query(
        "SELECT session, resource FROM session_resources \
         WHERE organization = $1 AND session >= $2 AND session <= $3 ORDER BY session, position",
    )
    .bind(organization)
    .bind(first)
    .bind(last)
    .fetch_all(connection)
    .await?;
    let mut resources = Resources::new();
    for row in &rows {
        resources
            .entry(row.parsed("session")?)
            .or_default()
            .push(row.parsed("resource")?);
    }
    Ok(resources)
}

/// Shows a session that the actor sees.
///
/// # Errors
/// Not found.
pub(crate) async fn show(store: &Store, access: &AccessDecision, id: SessionId) -> Result<Session, Error> {
    let mut view = store.read().await?;
    find(&mut view, access, id).await
}

async fn find(
    connection: &mut SqliteConnection,
    access: &AccessDecision,
    id: SessionId,
) -> Result<Session, Error> {
    let organization = access.organization()?.to_string();
    let row = sqlx::query(
        "SELECT id, actor, gateway, created, expires, ended FROM sessions \
         WHERE organization = $1 AND id = $2 AND ($3 = '' OR actor = $3)",
    )
    .bind(&organization)
    .bind(id.to_string())
    .bind(actor_filter(access)?)
    .fetch_optional(&mut *connection)
    .await?
    .ok_or_else(Error::not_found)?;
    let mut resources = resources(connection, &organization, (id.to_string(), id.to_string())).await?;
    read(&row, &mut resources)
}

/// Ends a session before its time; ending it again changes nothing.
///
/// # Errors
/// Not found.
pub(crate) async fn end(
    store: &Store,
    context: &RequestContext,
    access: &AccessDecision,
    id: SessionId,
) -> Result<(), Error> {
    let organization = access.organization()?;
    let mut write = context.write(store).await?;
    let session = find(&mut write, access, id).await?;
    if live::end_one(&mut write, organization, id, context.now).await? {
        write.bump(Scope::Organization(organization)).await?;
    }
    super::commit(
        write,
        change(context, access)
            .with_session(id)
            .with_gateway(session.gateway),
    )
    .await
}
