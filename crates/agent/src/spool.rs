//! The audit spool: records on the disk, `spool/<epoch>.jsonl`, one canonical record per line.
//!
//! Whatever is acknowledged is written, and with [`Durability::Synced`] it is on the disk. Numbers are gapless
//! from 1 within an epoch, which lives as long as its file. One thread writes and another syncs: the first record
//! that waits is synced at once, and those that arrive meanwhile share the next sync; no timer delays anybody.
//! A full disk refuses the records that do not fit, leaves no part of them behind, and ends with the space;
//! a failed sync refuses everything until the daemon starts again, for nobody can say what the disk then holds.
//!
//! Only records that were synced may leave this daemon: after a crash, the number of one that was not may be
//! used again.

mod disk;
mod recover;
mod writer;

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use postern_audit::{Appending, Durability, Event, RecordKey, Reporter, Sink, SinkError};
use postern_domain::{SpoolEpoch, Timestamp};
use tokio::sync::{mpsc, oneshot};

use crate::state::{StateDir, StateError, private_file, sync_directory};
use recover::Recovered;
use writer::SpoolFile;
pub use writer::SpoolWriter;

/// How many records wait for the writer; whoever comes then waits for a place.
const QUEUE: usize = 1024;
/// More than `Event::with_detail` ever keeps, so that every record stays below the longest that decodes.
const LONGEST_DETAIL: usize = 1024;
const EXTENSION: &str = ".jsonl";

/// One record on its way to the disk.
#[derive(Debug)]
struct Entry {
    event: Event,
    durability: Durability,
    done: oneshot::Sender<Result<RecordKey, SinkError>>,
}

/// What the writer is sent: a record, or nothing more.
type Order = Option<Entry>;

/// The sink of a daemon's audit records. Clones append to the same file.
#[derive(Debug, Clone)]
pub struct Spool {
    queue: mpsc::Sender<Order>,
    reporter: Reporter,
    epoch: SpoolEpoch,
    path: Arc<Path>,
}

impl Spool {
    /// Opens the newest epoch of the state directory, cutting what a crash left half-written, or begins an epoch
    /// if there is none, or the newest is another reporter's or is damaged beyond its end.
    ///
    /// The spool takes records once [`SpoolWriter::run`] runs.
    ///
    /// # Errors
    /// If the system refuses.
    pub fn open(
        state: &StateDir,
        reporter: Reporter,
        now: Timestamp,
    ) -> Result<(Self, SpoolWriter), StateError> {
        let directory = state.directory("spool")?;
        let (epoch, path, recovered, file) = match newest(&directory)? {
            Some((epoch, path)) => {
                let file = private_file(&path, false).map_err(StateError::io("open", &path))?;
                match recover::recover(&file, reporter, epoch).map_err(StateError::io("read", &path))? {
                    Ok(recovered) => (epoch, path, recovered, file),
                    Err(why) => {
                        tracing::warn!(file = %path.display(), why, "the spool is left as it is, and a new epoch begins");
                        begin(&directory, now)?
                    }
                }
            }
            None => begin(&directory, now)?,
        };
        if recovered.cut > 0 {
            tracing::warn!(file = %path.display(), bytes = recovered.cut, "cut what a crash left half-written");
            file.set_len(recovered.length)
                .and_then(|()| file.sync_all())
                .map_err(StateError::io("cut", &path))?;
        }
        let (queue, orders) = mpsc::channel(QUEUE);
        let writer = SpoolWriter {
            stop: queue.clone(),
            file: SpoolFile {
                orders,
                disk: Arc::new(file),
                reporter,
                epoch,
                length: recovered.length,
                next: recovered.next,
            },
        };
        let path = path.into();
        let spool = Self {
            queue,
            reporter,
            epoch,
            path,
        };
        Ok((spool, writer))
    }

    /// Returns who reports.
    #[must_use]
    pub const fn reporter(&self) -> Reporter {
        self.reporter
    }

    /// Returns the epoch that is written.
    #[must_use]
    pub const fn epoch(&self) -> SpoolEpoch {
        self.epoch
    }

    /// Returns the file that is written.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }
}

impl Sink for Spool {
    fn append(&self, event: Event, durability: Durability) -> Appending<'_> {
        Box::pin(async move {
            if event.detail.as_ref().is_some_and(|d| d.len() > LONGEST_DETAIL) {
                return Err(SinkError::Failed("the record's detail is too long".into()));
            }
            let (done, answer) = oneshot::channel();
            let order = Some(Entry {
                event,
                durability,
                done,
            });
            self.queue.send(order).await.map_err(|_| SinkError::Closed)?;
            answer.await.map_err(|_| SinkError::Closed)?
        })
    }
}

/// Finds the newest epoch: ids sort by time.
fn newest(directory: &Path) -> Result<Option<(SpoolEpoch, PathBuf)>, StateError> {
    let mut newest = None;
    for entry in fs::read_dir(directory).map_err(StateError::io("list", directory))? {
        let name = entry.map_err(StateError::io("list", directory))?.file_name();
        let epoch = name
            .to_str()
            .and_then(|n| n.strip_suffix(EXTENSION))
            .and_then(|n| n.parse().ok());
        newest = newest.max(epoch);
    }
    Ok(newest.map(|epoch: SpoolEpoch| (epoch, directory.join(format!("{epoch}{EXTENSION}")))))
}

type Begun = (SpoolEpoch, PathBuf, Recovered, fs::File);

fn begin(directory: &Path, now: Timestamp) -> Result<Begun, StateError> {
    let epoch = SpoolEpoch::generate(now);
    let path = directory.join(format!("{epoch}{EXTENSION}"));
    let file = private_file(&path, true).map_err(StateError::io("make", &path))?;
    sync_directory(directory)?;
    Ok((epoch, path, Recovered::EMPTY, file))
}

#[cfg(test)]
mod tests;
