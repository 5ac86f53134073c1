//! Audit records, read where daemons and platform keep them.

use std::path::Path;
use std::time::Duration;

use anyhow::{Context as _, bail};
use postern_audit::Record;
use tokio::time::Instant;

/// How long a record may take to be readable.
const PATIENCE: Duration = Duration::from_secs(10);

/// Reads every record of a daemon's spool, in order.
///
/// # Errors
/// A line is not a record. A line that is still being written is left out.
pub fn read_spool(directory: &Path) -> anyhow::Result<Vec<Record>> {
    let mut records = Vec::new();
    let Ok(files) = std::fs::read_dir(directory) else {
        return Ok(records);
    };
    for file in files {
        let text = std::fs::read_to_string(file?.path())?;
        let Some((whole, _)) = text.rsplit_once('\n') else {
            continue;
        };
        for line in whole.lines() {
            records.push(
                Record::from_canonical(line.as_bytes()).with_context(|| format!("not a record: {line}"))?,
            );
        }
    }
    Ok(records)
}

/// Waits until a spool holds a record that `found` accepts, and returns it.
///
/// # Errors
/// There is none in time; the message lists what there is.
pub async fn wait_for_record(directory: &Path, found: impl Fn(&Record) -> bool) -> anyhow::Result<Record> {
    let deadline = Instant::now() + PATIENCE;
    let mut looks = tokio::time::interval(Duration::from_millis(20));
    loop {
        looks.tick().await;
        let records = read_spool(directory)?;
        if let Some(record) = records.iter().rev().find(|record| found(record)) {
            return Ok(record.clone());
        }
        if Instant::now() >= deadline {
            bail!("no such record among {records:#?}");
        }
    }
}
