//! The same answer for the same request: replies get lost, and a ticket can be taken only once.

use std::time::Duration;

use postern_api::Enrolled;
use postern_domain::{DaemonId, Scope, Timestamp};
use sqlx::SqliteConnection;
use sqlx::sqlite::SqliteRow;

use super::applicant::Applicant;
use super::proof::Proof;
use crate::store::{Columns as _, Write, millis, scope_text};
use crate::{Error, Platform};

/// How long an answer is kept.
const WINDOW: Duration = Duration::from_secs(10 * 60);

/// Returns the answer that this very request got within the last ten minutes, if its daemon still is what it
/// was then.
pub(super) async fn answer(
    platform: &Platform,
    applicant: &Applicant,
    proof: &Proof,
    now: Timestamp,
) -> Result<Option<Enrolled>, Error> {
    let mut read = platform.store().read().await?;
    let answer: Option<String> = match find(&mut read, applicant, proof, now).await? {
        Some(row) => row.parsed_option("answer")?,
        None => None,
    };
    answer
        .map(|text| serde_json::from_str(&text).map_err(Error::internal))
        .transpose()
}

/// Returns the daemon of a request that was begun within the last ten minutes and whose answer was never kept.
pub(super) async fn begun(
    write: &mut Write,
    applicant: &Applicant,
    proof: &Proof,
    now: Timestamp,
) -> Result<Option<DaemonId>, Error> {
    let row = find(write, applicant, proof, now).await?;
    row.map(|row| row.parsed("daemon")).transpose()
}

async fn find(
    connection: &mut SqliteConnection,
    applicant: &Applicant,
    proof: &Proof,
    now: Timestamp,
) -> Result<Option<SqliteRow>, Error> {
    let row = sqlx::query(
        "SELECT daemon, answer FROM enrollments WHERE credential = $1 AND fingerprint = $2 AND created > $3",
    )
    .bind(applicant.credential())
    .bind(&proof.fingerprint)
    .bind(millis(now.minus(WINDOW)))
    .fetch_optional(connection)
    .await?;
    Ok(row)
}

/// Notes that a request was begun.
pub(super) async fn begin(
    write: &mut Write,
    applicant: &Applicant,
    proof: &Proof,
    (daemon, scope): (DaemonId, Scope),
    now: Timestamp,
) -> Result<(), Error> {
    sqlx::query("DELETE FROM enrollments WHERE created <= $1")
        .bind(millis(now.minus(WINDOW)))
        .execute(&mut **write)
        .await?;
    sqlx::query(
        "INSERT INTO enrollments (credential, fingerprint, scope, daemon, created) VALUES ($1, $2, $3, $4, $5) \
         ON CONFLICT (credential, fingerprint) DO UPDATE SET daemon = $4, created = $5, answer = NULL",
    )
    .bind(applicant.credential())
    .bind(&proof.fingerprint)
    .bind(scope_text(scope))
    .bind(daemon.to_string())
    .bind(millis(now))
    .execute(&mut **write)
    .await?;
    Ok(())
}

/// Keeps the answer. It holds certificates and policy, and no secret.
pub(super) async fn keep(
    platform: &Platform,
    applicant: &Applicant,
    proof: &Proof,
    answer: &Enrolled,
) -> Result<(), Error> {
    let text = serde_json::to_string(answer).map_err(Error::internal)?;
    let mut write = platform.store().write().await?;
    sqlx::query(
        "UPDATE enrollments SET answer = $1 WHERE credential = $2 AND fingerprint = $3 AND daemon = $4",
    )
    .bind(text)
    .bind(applicant.credential())
    .bind(&proof.fingerprint)
    .bind(answer.daemon.to_string())
    .execute(&mut *write)
    .await?;
    write.commit().await
}
