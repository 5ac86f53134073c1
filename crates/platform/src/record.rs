//! The audit log in the store: records within the transaction of what they speak of, and a sink for all else.
//!
//! A change and its record are one transaction: [`insert`] writes the record into it, and
//! [`commit_recorded`] commits both and hands out the proof. What changes nothing goes through [`StoreSink`],
//! which commits in groups: the first writer syncs at once, later ones join the next group, without a timer or
//! a task.

use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};

use postern_audit::{
    Appending, Durability, Event, Hop, Record, RecordKey, Recorded, Recorder, Reporter, Sink, SinkError,
    Source,
};
use tokio::sync::oneshot;

use crate::access::Action;
use crate::store::{Store, Write, count, millis};
use crate::{Arrival, Error, RequestContext};

/// How many events may wait for their turn.
const MOST_WAITING: usize = 4096;
/// How many events one transaction takes.
const GROUP: usize = 256;

/// Says that a request was let through, as far as its context knows; the caller adds what it was about.
#[must_use]
pub fn allowed(context: &RequestContext, action: Action) -> Event {
    Event::allowed(Hop::Api, action.code(), context.now)
        .with_actor(context.actor)
        .with_organization(context.organization)
        .with_source(Source::folded(context.source))
}

/// Says that a request before authentication was let through.
#[must_use]
pub fn allowed_arrival(arrival: &Arrival, action: &'static str) -> Event {
    Event::allowed(Hop::Api, action, arrival.now).with_source(Source::folded(arrival.source))
}

/// Writes a record into a transaction and returns its key.
///
/// # Errors
/// If the store cannot be written; then the transaction must not be committed.
pub(crate) async fn insert(write: &mut Write, event: Event) -> Result<RecordKey, Error> {
    let (reporter, epoch) = (Reporter::Platform, write.spool_epoch());
    let last: Option<i64> = sqlx::query_scalar(
        "SELECT number FROM audit_records WHERE reporter = $1 AND epoch = $2 ORDER BY number DESC LIMIT 1",
    )
    .bind(reporter.to_string())
    .bind(epoch.to_string())
    .fetch_optional(&mut **write)
    .await?;
    let number = last.unwrap_or(0).saturating_add(1);
    let key = RecordKey {
        reporter,
        epoch,
        number: count(number),
    };
    let record = Record { key, event };
    let text = String::from_utf8(record.to_canonical()).map_err(Error::internal)?;
    sqlx::query(
        "INSERT INTO audit_records (reporter, epoch, number, organization, time, record) \
         VALUES ($1, $2, $3, $4, $5, $6)",
    )
    .bind(reporter.to_string())
    .bind(epoch.to_string())
    .bind(number)
    .bind(record.event.organization.map(|o| o.to_string()))
    .bind(millis(record.event.time))
    .bind(text)
    .execute(&mut **write)
    .await?;
    Ok(key)
}

/// Writes the record into the transaction, commits both, and returns `what` with the proof.
///
/// # Errors
/// If the store cannot be written; then nothing was done and `what` is dropped.
pub(crate) async fn commit_recorded<T>(write: Write, what: T, event: Event) -> Result<Recorded<T>, Error> {
    let recorder = Recorder::new(Arc::new(Once(Mutex::new(Some(write)))));
    let recorded = recorder.record(what, event, Durability::Synced).await;
    recorded.map_err(Error::not_recorded)
}

/// A sink that takes one event into a transaction and commits it.
#[derive(Debug)]
struct Once(Mutex<Option<Write>>);

impl Sink for Once {
    fn append(&self, event: Event, _: Durability) -> Appending<'_> {
        let write = self.0.lock().unwrap_or_else(PoisonError::into_inner).take();
        Box::pin(async move {
            let mut write = write.ok_or(SinkError::Closed)?;
            let failed = |error: Error| SinkError::Failed(Box::new(error));
            let key = insert(&mut write, event).await.map_err(failed)?;
            write.commit().await.map_err(failed)?;
            Ok(key)
        })
    }
}

type Answer = oneshot::Sender<RecordKey>;

/// The platform's sink. Every record is on disk before its append resolves, whatever durability was asked for.
pub struct StoreSink {
    store: Store,
    waiting: Mutex<Vec<(Event, Answer)>>,
    /// Whoever holds it writes for all that wait.
    turn: tokio::sync::Mutex<()>,
}

impl fmt::Debug for StoreSink {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("StoreSink")
    }
}

impl StoreSink {
    /// Makes a sink over a store.
    #[must_use]
    pub fn new(store: Store) -> Self {
        Self {
            store,
            waiting: Mutex::new(Vec::new()),
            turn: tokio::sync::Mutex::new(()),
        }
    }

    fn enqueue(&self, event: Event) -> Result<oneshot::Receiver<RecordKey>, SinkError> {
        let (answer, receiver) = oneshot::channel();
        let mut waiting = self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
        if waiting.len() >= MOST_WAITING {
            return Err(SinkError::Full);
        }
        waiting.push((event, answer));
        Ok(receiver)
    }

    fn take_group(&self) -> Group<'_> {
        let mut waiting = self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
        let size = waiting.len().min(GROUP);
        Group {
            sink: self,
            events: waiting.drain(..size).collect(),
        }
    }

    /// Writes one group for all that wait.
    async fn write_group(&self) -> Result<(), SinkError> {
        let failed = |error: Error| SinkError::Failed(Box::new(error));
        let mut write = self.store.write().await.map_err(failed)?;
        let mut group = self.take_group();
        let mut keys = Vec::with_capacity(group.events.len());
        for (event, _) in &group.events {
            keys.push(insert(&mut write, event.clone()).await.map_err(failed)?);
        }
        write.commit().await.map_err(failed)?;
        for ((_, answer), key) in group.events.drain(..).zip(keys) {
            // Whoever asked may have gone; the record stands.
            answer.send(key).ok();
        }
        Ok(())
    }
}

/// Events under way. Dropped before they are written, they wait again: the writer's request may end at any time.
struct Group<'a> {
    sink: &'a StoreSink,
    events: Vec<(Event, Answer)>,
}

impl Drop for Group<'_> {
    fn drop(&mut self) {
        if !self.events.is_empty() {
            let mut waiting = self.sink.waiting.lock().unwrap_or_else(PoisonError::into_inner);
            self.events.append(&mut waiting);
            std::mem::swap(&mut self.events, &mut waiting);
        }
    }
}

impl Sink for StoreSink {
    fn append(&self, event: Event, _: Durability) -> Appending<'_> {
        Box::pin(async move {
            let mut receiver = self.enqueue(event)?;
            loop {
                tokio::select! {
                    biased;
                    key = &mut receiver => return key.map_err(|_| SinkError::Closed),
                    _turn = self.turn.lock() => self.write_group().await?,
                }
            }
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use postern_domain::{Reason, Timestamp};

    fn now() -> Timestamp {
        Timestamp::from_unix_seconds(1_800_000_000)
    }

    fn event() -> Event {
        Event::refused(Hop::Api, "auth.universal", Reason::Unauthenticated, now())
    }

    async fn store(dir: &tempfile::TempDir) -> Store {
        Store::create(&dir.path().join("store.db"), now()).await.unwrap()
    }

    async fn records(store: &Store) -> Vec<Record> {
        let mut read = store.read().await.unwrap();
        let texts: Vec<String> = sqlx::query_scalar("SELECT record FROM audit_records ORDER BY number")
            .fetch_all(&mut *read)
            .await
            .unwrap();
        texts
            .iter()
            .map(|t| Record::from_canonical(t.as_bytes()).unwrap())
            .collect()
    }

    #[tokio::test]
    async fn many_writers_share_groups_and_each_gets_its_own_key() {
        let dir = tempfile::tempdir().unwrap();
        let store = store(&dir).await;
        let sink = Arc::new(StoreSink::new(store.clone()));
        let tasks: Vec<_> = (0..300)
            .map(|_| {
                let sink = Arc::clone(&sink);
                tokio::spawn(async move { sink.append(event(), Durability::Soon).await.unwrap().number })
            })
            .collect();
        let mut numbers = Vec::new();
        for task in tasks {
            numbers.push(task.await.unwrap());
        }
        numbers.sort_unstable();
        assert_eq!(numbers, (1..=300).collect::<Vec<_>>());
        assert_eq!(records(&store).await.len(), 300);
    }

    #[tokio::test]
    async fn a_writer_that_goes_away_takes_no_record_with_it() {
        let dir = tempfile::tempdir().unwrap();
        let store = store(&dir).await;
        let sink = StoreSink::new(store.clone());
        let held = store.write().await.unwrap();
        let gone = sink.append(event(), Durability::Soon);
        tokio::select! {
            biased;
            _ = gone => panic!("nobody else can write now"),
            () = tokio::task::yield_now() => {}
        }
        drop(held);
        sink.append(event(), Durability::Soon).await.unwrap();
        assert_eq!(records(&store).await.len(), 2);
    }

    #[tokio::test]
    async fn an_undone_transaction_leaves_no_record_and_no_gap() {
        let dir = tempfile::tempdir().unwrap();
        let store = store(&dir).await;
        let mut write = store.write().await.unwrap();
        insert(&mut write, event()).await.unwrap();
        drop(write);
        let write = store.write().await.unwrap();
        let recorded = commit_recorded(write, "done", event()).await.unwrap();
        assert_eq!((recorded.key().number, *recorded.get()), (1, "done"));
        assert_eq!(records(&store).await.len(), 1);
    }
}
