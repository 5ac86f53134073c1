//! Relays: the instance's, shared by all organizations, and an organization's own.

use std::num::NonZeroU16;

use postern_api::{CreateRelay, List, Relay};
use postern_domain::{DaemonId, Port, RelayId, Scope};
use sqlx::SqliteConnection;
use sqlx::sqlite::SqliteRow;

use super::{Page, change, in_use, next};
use crate::access::AccessDecision;
use crate::enroll;
use crate::error::OnConflict as _;
use crate::store::{Columns as _, Store, millis, scope_text};
use crate::{Error, RequestContext};

const SSH_PORT: Port = match NonZeroU16::new(2222) {
    Some(port) => port,
    None => Port::MIN,
};
const TLS_PORT: Port = match NonZeroU16::new(8443) {
    Some(port) => port,
    None => Port::MIN,
};

/// Reads a relay.
///
/// # Errors
/// If the store is damaged.
pub(crate) fn read(row: &SqliteRow) -> Result<Relay, Error> {
    Ok(Relay {
        id: row.parsed("id")?,
        name: row.parsed("name")?,
        scope: row.scope("scope")?,
        host: row.parsed("host")?,
        ssh_port: row.port("ssh_port")?,
        tls_port: row.port("tls_port")?,
        enrolled: row.time_option("enrolled")?.is_some(),
        last_seen: row.time_option("last_seen")?,
        created: row.time("created")?,
    })
}

/// Makes a relay of the actor's scope.
///
/// # Errors
/// A conflict, if the scope has a relay of this name or at this address; 422 if both ports are the same.
pub(crate) async fn create(
    store: &Store,
    context: &RequestContext,
    access: &AccessDecision,
    request: CreateRelay,
) -> Result<Relay, Error> {
    let relay = Relay {
        id: RelayId::generate(context.now),
        name: request.name,
        scope: access.scope(),
        host: request.host,
        ssh_port: request.ssh_port.unwrap_or(SSH_PORT),
        tls_port: request.tls_port.unwrap_or(TLS_PORT),
        enrolled: false,
        last_seen: None,
        created: context.now,
    };
    if relay.ssh_port == relay.tls_port {
        return Err(Error::unprocessable("ssh_port and tls_port must differ"));
    }
    let mut write = context.write(store).await?;
    sqlx::query(
        "INSERT INTO relays (id, scope, name, host, ssh_port, tls_port, created) \
         VALUES ($1, $2, $3, $4, $5, $6, $7)",
    )
    .bind(relay.id.to_string())
    .bind(scope_text(relay.scope))
    .bind(relay.name.as_str())
    .bind(relay.host.to_string())
    .bind(i64::from(relay.ssh_port.get()))
    .bind(i64::from(relay.tls_port.get()))
    .bind(millis(context.now))
    .execute(&mut *write)
    .await
    .on_conflict(|| {
        let Relay {
            name,
            host,
            ssh_port,
            tls_port,
            ..
        } = &relay;
        format!("there is a relay named {name}, or at {host} with port {ssh_port} or {tls_port}, already")
    })?;
    write.bump(relay.scope).await?;
    let detail = format!(
        "{} {} {} {}",
        relay.name, relay.host, relay.ssh_port, relay.tls_port
    );
    super::commit(
        write,
        change(context, access).with_relay(relay.id).with_detail(&detail),
    )
    .await?;
    Ok(relay)
}

/// Returns the scopes whose relays the actor sees.
fn scopes(access: &AccessDecision) -> (String, &'static str) {
    (
        scope_text(access.scope()),
        if access.sees_instance() { "instance" } else { "" },
    )
}

/// Lists the relays that the actor sees.
///
/// # Errors
/// If the store cannot be read.
pub(crate) async fn list(
    store: &Store,
    access: &AccessDecision,
    page: Page<RelayId>,
) -> Result<List<Relay>, Error> {
    let (own, shared) = scopes(access);
    let mut view = store.read().await?;
    let rows = sqlx::query(
        "SELECT * FROM relays WHERE scope IN ($1, $2) AND id > $3 AND ($4 = '' OR name = $4) \
         ORDER BY id LIMIT $5",
    )
    .bind(own)
    .bind(shared)
    .bind(page.after_text())
    .bind(page.name_text())
    .bind(page.fetch())
    .fetch_all(&mut *view)
    .await?;
    let items = rows.iter().map(read).collect::<Result<Vec<_>, _>>()?;
    Ok(next(items, page.limit, |relay| relay.id.to_string()))
}

/// Shows a relay that the actor sees.
///
/// # Errors
/// Not found.
pub(crate) async fn show(store: &Store, access: &AccessDecision, id: RelayId) -> Result<Relay, Error> {
    let mut view = store.read().await?;
    find(&mut view, scopes(access), id).await
}

async fn find(
    connection: &mut SqliteConnection,
    (own, shared): (String, &str),
    id: RelayId,
) -> Result<Relay, Error> {
    let row = sqlx::query("SELECT * FROM relays WHERE scope IN ($1, $2) AND id = $3")
        .bind(own)
        .bind(shared.to_owned())
        .bind(id.to_string())
        .fetch_optional(connection)
        .await?;
    read(&row.ok_or_else(Error::not_found)?)
}

/// Returns a relay of the actor's own scope.
pub(super) async fn find_own(
    connection: &mut SqliteConnection,
    scope: Scope,
    id: RelayId,
) -> Result<Relay, Error> {
    find(connection, (scope_text(scope), ""), id).await
}

/// Deletes a relay that no gateway uses: its certificates and keys are revoked.
///
/// # Errors
/// Not found; a conflict that names the gateways, or their number if they are organizations' own.
pub(crate) async fn delete(
    store: &Store,
    context: &RequestContext,
    access: &AccessDecision,
    id: RelayId,
) -> Result<(), Error> {
    let mut write = context.write(store).await?;
    let relay = find_own(&mut write, access.scope(), id).await?;
    let key = id.to_string();
    match access.scope() {
        Scope::Organization(_) => {
            let sql = "SELECT g.name FROM gateway_relays r \
                       JOIN gateways g ON g.organization = r.organization AND g.id = r.gateway \
                       WHERE r.relay = $1 ORDER BY g.name LIMIT 6";
            in_use(&mut write, "relay", "gateway", sql, &[&key]).await?;
        }
        // What organizations call their gateways is not the instance's business.
        Scope::Instance => {
            let gateways: i64 = sqlx::query_scalar("SELECT COUNT(*) FROM gateway_relays WHERE relay = $1")
                .bind(&key)
                .fetch_one(&mut *write)
                .await?;
            if gateways > 0 {
                return Err(Error::conflict(format!(
                    "the relay is still in use by {gateways} gateways"
                )));
            }
        }
    }
    enroll::forget_daemon(&mut write, DaemonId::Relay(id), context.now).await?;
    sqlx::query("DELETE FROM relays WHERE scope = $1 AND id = $2")
        .bind(scope_text(relay.scope))
        .bind(key)
        .execute(&mut *write)
        .await?;
    write.bump(relay.scope).await?;
    super::commit(
        write,
        change(context, access)
            .with_relay(id)
            .with_detail(relay.name.as_str()),
    )
    .await
}
