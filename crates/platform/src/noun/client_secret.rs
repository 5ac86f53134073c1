//! Client secrets of machine identities: shown once, stored as hashes.

use postern_api::{ClientSecret, CreatedClientSecret, List};
use postern_domain::{ClientSecretId, MachineIdentityId, OrganizationId, Timestamp};

use super::{Page, change, identity, next};
use crate::access::AccessDecision;
use crate::credential::{SecretKind, mint};
use crate::store::{Columns as _, Store, Write, millis};
use crate::{Error, RequestContext};

/// The most client secrets that one identity has.
const MOST: i64 = 20;

/// Makes a client secret.
///
/// # Errors
/// Not found, if there is no such identity; a conflict, if it has too many.
pub(crate) async fn create(
    store: &Store,
    context: &RequestContext,
    access: &AccessDecision,
    identity: MachineIdentityId,
) -> Result<CreatedClientSecret, Error> {
    let organization = access.organization()?;
    let mut write = context.write(store).await?;
    let owner = identity::find(&mut write, organization, identity).await?;
    let count: i64 =
        sqlx::query_scalar("SELECT COUNT(*) FROM client_secrets WHERE organization = $1 AND identity = $2")
            .bind(organization.to_string())
            .bind(identity.to_string())
            .fetch_one(&mut *write)
            .await?;
    if count >= MOST {
        return Err(Error::conflict(format!(
            "the identity has {MOST} client secrets already: delete one first"
        )));
    }
    let created = insert(&mut write, organization, (identity, owner.client_id), context.now).await?;
    let detail = format!("identity {} {identity}; client secret {}", owner.name, created.id);
    super::commit(write, change(context, access).with_detail(&detail)).await?;
    Ok(created)
}

/// Writes a new client secret.
pub(super) async fn insert(
    write: &mut Write,
    organization: OrganizationId,
    (identity, client_id): (MachineIdentityId, String),
    now: Timestamp,
) -> Result<CreatedClientSecret, Error> {
    let minted = mint(SecretKind::ClientSecret)?;
    let id = ClientSecretId::generate(now);
    sqlx::query(
        "INSERT INTO client_secrets (id, organization, identity, hash, prefix, created) \
         VALUES ($1, $2, $3, $4, $5, $6)",
    )
    .bind(id.to_string())
    .bind(organization.to_string())
    .bind(identity.to_string())
    .bind(minted.hash)
    .bind(minted.shown)
    .bind(millis(now))
    .execute(&mut **write)
    .await?;
    Ok(CreatedClientSecret {
        id,
        client_id,
        client_secret: minted.secret,
    })
}

/// Lists an identity's client secrets, without the secrets.
///
/// # Errors
/// Not found, if there is no such identity.
pub(crate) async fn list(
    store: &Store,
    access: &AccessDecision,
    identity: MachineIdentityId,
    page: Page<ClientSecretId>,
) -> Result<List<ClientSecret>, Error> {
    if page.name.is_some() {
        return Err(Error::invalid("name: client secrets have none"));
    }
    let organization = access.organization()?;
    let mut view = store.read().await?;
    identity::find(&mut view, organization, identity).await?;
    let rows = sqlx::query(
        "SELECT id, prefix, created FROM client_secrets \
         WHERE organization = $1 AND identity = $2 AND id > $3 ORDER BY id LIMIT $4",
    )
    .bind(organization.to_string())
    .bind(identity.to_string())
    .bind(page.after_text())
    .bind(page.fetch())
    .fetch_all(&mut *view)
    .await?;
    let items = rows
        .iter()
        .map(|row| {
            Ok(ClientSecret {
                id: row.parsed("id")?,
                prefix: row.text("prefix")?,
                created: row.time("created")?,
            })
        })
        .collect::<Result<Vec<_>, Error>>()?;
    Ok(next(items, page.limit, |secret| secret.id.to_string()))
}

/// Deletes a client secret, and with it every access token that was given for it.
///
/// # Errors
/// Not found.
pub(crate) async fn delete(
    store: &Store,
    context: &RequestContext,
    access: &AccessDecision,
    (identity, secret): (MachineIdentityId, ClientSecretId),
) -> Result<(), Error> {
    let mut write = context.write(store).await?;
    let deleted =
        sqlx::query("DELETE FROM client_secrets WHERE organization = $1 AND identity = $2 AND id = $3")
            .bind(access.organization()?.to_string())
            .bind(identity.to_string())
            .bind(secret.to_string())
            .execute(&mut *write)
            .await?;
    if deleted.rows_affected() == 0 {
        return Err(Error::not_found());
    }
    let detail = format!("identity {identity}; client secret {secret}");
    super::commit(write, change(context, access).with_detail(&detail)).await
}
