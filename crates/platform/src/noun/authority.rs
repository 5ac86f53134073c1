//! Authorities as they are listed: their public parts.

use postern_api::{Authority, List};
use postern_domain::{AuthorityId, AuthorityRole, Validity};
use sqlx::sqlite::SqliteRow;

use super::{Page, next};
use crate::Error;
use crate::access::AccessDecision;
use crate::authority::parse_kind;
use crate::store::{Columns as _, Store, scope_text};

fn read(row: &SqliteRow) -> Result<Authority, Error> {
    let owner = row.scope("scope")?;
    let role: AuthorityRole = row.parsed("role")?;
    let validity = match (row.time_option("not_before")?, row.time_option("not_after")?) {
        (Some(not_before), Some(not_after)) => Some(Validity {
            not_before,
            not_after,
        }),
        _ => None,
    };
    Ok(Authority {
        id: row.parsed("id")?,
        owner,
        role,
        title: postern_pki::profile::title(role, owner),
        kind: parse_kind(&row.text("kind")?)?,
        parent: row.parsed_option("parent")?,
        public: row.text("public")?,
        key: row.parsed("key")?,
        validity,
        created: row.time("created")?,
    })
}

/// Lists the authorities of the actor's scope.
///
/// # Errors
/// If the store cannot be read.
pub(crate) async fn list(
    store: &Store,
    access: &AccessDecision,
    page: Page<AuthorityId>,
) -> Result<List<Authority>, Error> {
    if page.name.is_some() {
        return Err(Error::invalid("name: authorities have none"));
    }
    let mut view = store.read().await?;
    let rows = sqlx::query("SELECT * FROM authorities WHERE scope = $1 AND id > $2 ORDER BY id LIMIT $3")
        .bind(scope_text(access.scope()))
        .bind(page.after_text())
        .bind(page.fetch())
        .fetch_all(&mut *view)
        .await?;
    let items = rows.iter().map(read).collect::<Result<Vec<_>, _>>()?;
    Ok(next(items, page.limit, |authority| authority.id.to_string()))
}

/// Shows an authority of the actor's scope.
///
/// # Errors
/// Not found.
pub(crate) async fn show(
    store: &Store,
    access: &AccessDecision,
    id: AuthorityId,
) -> Result<Authority, Error> {
    let mut view = store.read().await?;
    let row = sqlx::query("SELECT * FROM authorities WHERE scope = $1 AND id = $2")
        .bind(scope_text(access.scope()))
        .bind(id.to_string())
        .fetch_optional(&mut *view)
        .await?;
    read(&row.ok_or_else(Error::not_found)?)
}
