//! The spool's two threads: one numbers and writes, one syncs.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc as threads;

use postern_audit::{Durability, RecordKey, Reporter, SinkError, canonical};
use postern_domain::SpoolEpoch;
use tokio::sync::{mpsc, oneshot};
use tokio::task::{JoinError, spawn_blocking};

use super::disk::Disk;
use super::{Entry, Order};

/// How many records are written with one write.
const BATCH: usize = 256;
/// How many writes wait for one sync; with [`BATCH`] and the longest record this bounds what a crash can take.
const UNSYNCED: usize = 8;

type Done = oneshot::Sender<Result<RecordKey, SinkError>>;

/// What was written by one write and is to be acknowledged after the next sync.
type Written = Vec<(Done, RecordKey)>;

/// The other half of a [`super::Spool`]: writes what it takes, while it runs.
pub struct SpoolWriter {
    pub(super) stop: mpsc::Sender<Order>,
    pub(super) file: SpoolFile,
}

/// The file as it is now, and what is to be written to it.
pub(super) struct SpoolFile {
    pub(super) orders: mpsc::Receiver<Order>,
    pub(super) disk: Arc<dyn Disk>,
    pub(super) reporter: Reporter,
    pub(super) epoch: SpoolEpoch,
    pub(super) length: u64,
    pub(super) next: u64,
}

impl std::fmt::Debug for SpoolWriter {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let SpoolFile { epoch, next, .. } = &self.file;
        write!(f, "SpoolWriter({epoch}, next {next})")
    }
}

impl SpoolWriter {
    /// Writes until `stop` resolves, then takes no more, writes and syncs what was taken, and returns. The daemon
    /// lets it stop after everything that records.
    ///
    /// # Errors
    /// If a thread of it panicked.
    pub async fn run(self, stop: impl Future<Output = ()>) -> Result<(), JoinError> {
        let Self { stop: end, file } = self;
        let broken = Arc::new(AtomicBool::new(false));
        let (written, unsynced) = threads::sync_channel(UNSYNCED);
        let syncing = {
            let (disk, broken) = (Arc::clone(&file.disk), Arc::clone(&broken));
            spawn_blocking(move || sync_loop(&*disk, &unsynced, &broken))
        };
        let mut writing = spawn_blocking(move || file.write_loop(&written, &broken));
        tokio::select! {
            ended = &mut writing => ended?,
            () = stop => {
                // If the writer is gone already, there is nobody to stop.
                drop(end.send(None).await);
                writing.await?;
            }
        }
        syncing.await
    }
}

impl SpoolFile {
    fn write_loop(mut self, written: &threads::SyncSender<Written>, broken: &AtomicBool) {
        let mut orders = Vec::with_capacity(BATCH);
        let mut bytes = Vec::new();
        while self.orders.blocking_recv_many(&mut orders, BATCH) > 0 {
            let mut entries = Vec::with_capacity(orders.len());
            for order in orders.drain(..) {
                match order {
                    Some(entry) => entries.push(entry),
                    // What is queued still gets written: the loop ends when the closed queue is empty.
                    None => self.orders.close(),
                }
            }
            if entries.is_empty() {
                continue;
            }
            if broken.load(Ordering::Acquire) {
                refuse(entries, || {
                    SinkError::Failed("an earlier write or sync failed".into())
                });
            } else if let Err(error) = self.write(&entries, &mut bytes) {
                tracing::error!(%error, records = entries.len(), "the audit spool cannot be written");
                if let Err(error) = self.disk.cut(self.length) {
                    tracing::error!(%error, "the audit spool cannot be cut: it refuses every record from now on");
                    broken.store(true, Ordering::Release);
                }
                refuse(entries, || sink_error(&error));
            } else {
                self.length += bytes.len() as u64;
                let waiting = self.acknowledge(entries);
                if written.send(waiting).is_err() {
                    return;
                }
            }
        }
    }

    /// Writes the entries under the next numbers, without counting them yet.
    fn write(&self, entries: &[Entry], bytes: &mut Vec<u8>) -> io::Result<()> {
        bytes.clear();
        for (number, entry) in (self.next..).zip(entries) {
            canonical::encode(&self.key(number), &entry.event, bytes);
            bytes.push(b'\n');
        }
        self.disk.write_at(bytes, self.length)
    }

    /// Counts the entries, answers those that need no sync, and returns the others.
    fn acknowledge(&mut self, entries: Vec<Entry>) -> Written {
        let mut waiting = Vec::new();
        for entry in entries {
            let key = self.key(self.next);
            self.next += 1;
            match entry.durability {
                Durability::Synced => waiting.push((entry.done, key)),
                // Whoever has stopped waiting needs no answer, here and below.
                Durability::Soon => drop(entry.done.send(Ok(key))),
            }
        }
        waiting
    }

    const fn key(&self, number: u64) -> RecordKey {
        RecordKey {
            reporter: self.reporter,
            epoch: self.epoch,
            number,
        }
    }
}

/// Syncs at once when something was written, for everything that was written until then.
fn sync_loop(disk: &dyn Disk, unsynced: &threads::Receiver<Written>, broken: &AtomicBool) {
    while let Ok(mut group) = unsynced.recv() {
        group.extend(unsynced.try_iter().flatten());
        if let Err(error) = disk.sync() {
            tracing::error!(%error, "the audit spool cannot be synced: it refuses every record from now on");
            broken.store(true, Ordering::Release);
        }
        for (done, key) in group {
            let answer = if broken.load(Ordering::Acquire) {
                Err(SinkError::Failed("the record could not be synced".into()))
            } else {
                Ok(key)
            };
            drop(done.send(answer));
        }
    }
}

fn refuse(entries: Vec<Entry>, why: impl Fn() -> SinkError) {
    for entry in entries {
        drop(entry.done.send(Err(why())));
    }
}

fn sink_error(error: &io::Error) -> SinkError {
    use io::ErrorKind::{FileTooLarge, QuotaExceeded, StorageFull};
    if matches!(error.kind(), StorageFull | QuotaExceeded | FileTooLarge) {
        SinkError::Full
    } else {
        SinkError::Failed(error.to_string().into())
    }
}
