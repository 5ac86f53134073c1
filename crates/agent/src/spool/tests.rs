//! Tests of the spool: on a real directory, and on disks that fill, fail and wait.

use std::io;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Condvar, Mutex};

use postern_audit::{Hop, Record, Recorder};
use postern_domain::{DaemonId, GatewayId};
use tokio::task::{JoinHandle, JoinSet};

use super::*;
use crate::spool::disk::Disk;

const NOW: Timestamp = Timestamp::from_unix_seconds(1_700_000_000);

fn event() -> Event {
    Event::allowed(Hop::GatewayInner, "session.open", NOW)
}

fn reporter() -> Reporter {
    Reporter::Daemon(DaemonId::Gateway(
        "01890a5d-ac96-774b-bcce-b302099a8057".parse().unwrap(),
    ))
}

/// A spool whose writer runs.
struct Running {
    spool: Spool,
    stop: oneshot::Sender<()>,
    writer: JoinHandle<()>,
}

impl Running {
    fn start((spool, writer): (Spool, SpoolWriter)) -> Self {
        let (stop, stopped) = oneshot::channel::<()>();
        let writer = tokio::spawn(async move { writer.run(async { drop(stopped.await) }).await.unwrap() });
        Self { spool, stop, writer }
    }

    fn open(state: &StateDir) -> Self {
        Self::start(Spool::open(state, reporter(), NOW).unwrap())
    }

    async fn end(self) {
        drop(self.stop);
        self.writer.await.unwrap();
    }

    async fn append(&self, durability: Durability) -> Result<u64, SinkError> {
        self.spool.append(event(), durability).await.map(|k| k.number)
    }
}

fn records(path: &Path) -> Vec<Record> {
    let bytes = fs::read(path).unwrap();
    assert!(bytes.is_empty() || bytes.ends_with(b"\n"));
    let lines = bytes.split(|&b| b == b'\n').filter(|l| !l.is_empty());
    lines.map(|l| Record::from_canonical(l).unwrap()).collect()
}

fn numbers(path: &Path) -> Vec<u64> {
    records(path).iter().map(|r| r.key.number).collect()
}

#[tokio::test]
async fn numbers_go_on_after_a_restart_in_the_same_epoch() {
    let dir = tempfile::tempdir().unwrap();
    let state = StateDir::open(dir.path()).unwrap();
    let first = Running::open(&state);
    let (epoch, path) = (first.spool.epoch(), first.spool.path().to_owned());
    assert_eq!(first.append(Durability::Synced).await.unwrap(), 1);
    assert_eq!(first.append(Durability::Soon).await.unwrap(), 2);
    first.end().await;
    let second = Running::open(&state);
    assert_eq!(second.spool.epoch(), epoch);
    assert_eq!(second.append(Durability::Soon).await.unwrap(), 3);
    second.end().await;
    assert_eq!(numbers(&path), [1, 2, 3]);
}

#[tokio::test]
async fn concurrent_records_get_gapless_numbers() {
    let dir = tempfile::tempdir().unwrap();
    let state = StateDir::open(dir.path()).unwrap();
    let running = Running::open(&state);
    let path = running.spool.path().to_owned();
    let mut tasks = JoinSet::new();
    for n in 0..500 {
        let recorder = Recorder::new(Arc::new(running.spool.clone()));
        let durability = if n % 3 == 0 {
            Durability::Synced
        } else {
            Durability::Soon
        };
        tasks.spawn(async move {
            recorder
                .record(n, event(), durability)
                .await
                .unwrap()
                .key()
                .number
        });
    }
    let mut given = tasks.join_all().await;
    given.sort_unstable();
    running.end().await;
    assert_eq!(given, (1..=500).collect::<Vec<_>>());
    assert_eq!(numbers(&path), given);
}

#[tokio::test]
async fn a_torn_last_line_is_cut_and_its_number_used_again() {
    for torn in [&b"{\"action\":\"sess"[..], b"\0\0\0\0\0\0", b"{}\n\0\0\n"] {
        let dir = tempfile::tempdir().unwrap();
        let state = StateDir::open(dir.path()).unwrap();
        let first = Running::open(&state);
        let path = first.spool.path().to_owned();
        first.append(Durability::Synced).await.unwrap();
        first.end().await;
        let mut bytes = fs::read(&path).unwrap();
        bytes.extend_from_slice(torn);
        fs::write(&path, bytes).unwrap();
        let second = Running::open(&state);
        assert_eq!(second.append(Durability::Synced).await.unwrap(), 2);
        second.end().await;
        assert_eq!(numbers(&path), [1, 2]);
    }
}

#[tokio::test]
async fn a_file_damaged_before_its_end_is_kept_and_a_new_epoch_begins() {
    let dir = tempfile::tempdir().unwrap();
    let state = StateDir::open(dir.path()).unwrap();
    let first = Running::open(&state);
    let path = first.spool.path().to_owned();
    for _ in 0..3 {
        first.append(Durability::Soon).await.unwrap();
    }
    first.end().await;
    let mut bytes = fs::read(&path).unwrap();
    let place = bytes.len() / 2;
    bytes[place] = 0;
    fs::write(&path, &bytes).unwrap();
    let second =
        Running::start(Spool::open(&state, reporter(), NOW.plus(std::time::Duration::from_secs(1))).unwrap());
    assert_ne!(second.spool.path(), path);
    assert_eq!(second.append(Durability::Soon).await.unwrap(), 1);
    second.end().await;
    assert_eq!(fs::read(&path).unwrap(), bytes);
}

#[tokio::test]
async fn another_reporters_spool_is_not_gone_on_with() {
    let dir = tempfile::tempdir().unwrap();
    let state = StateDir::open(dir.path()).unwrap();
    let first = Running::open(&state);
    first.append(Durability::Soon).await.unwrap();
    let epoch = first.spool.epoch();
    first.end().await;
    let other = Reporter::Daemon(DaemonId::Gateway(GatewayId::generate(NOW)));
    let later = NOW.plus(std::time::Duration::from_secs(1));
    assert_ne!(Spool::open(&state, other, later).unwrap().0.epoch(), epoch);
}

#[tokio::test]
async fn a_stopped_spool_has_written_what_it_took_and_takes_no_more() {
    let dir = tempfile::tempdir().unwrap();
    let state = StateDir::open(dir.path()).unwrap();
    let running = Running::open(&state);
    let spool = running.spool.clone();
    running.append(Durability::Soon).await.unwrap();
    running.end().await;
    assert_eq!(numbers(spool.path()), [1]);
    assert!(matches!(
        spool.append(event(), Durability::Soon).await,
        Err(SinkError::Closed)
    ));
}

/// A disk in memory that fills, fails and waits as told.
#[derive(Default)]
struct Fake {
    bytes: Mutex<Vec<u8>>,
    capacity: AtomicUsize,
    syncs: AtomicUsize,
    failing: AtomicBool,
    held: Mutex<bool>,
    released: Condvar,
}

impl Disk for Arc<Fake> {
    fn write_at(&self, bytes: &[u8], place: u64) -> io::Result<()> {
        let mut held = self.bytes.lock().unwrap();
        held.truncate(usize::try_from(place).unwrap());
        let room = self.capacity.load(Ordering::SeqCst) - held.len();
        held.extend_from_slice(&bytes[..bytes.len().min(room)]);
        if room < bytes.len() {
            Err(io::ErrorKind::StorageFull.into())
        } else {
            Ok(())
        }
    }

    fn cut(&self, length: u64) -> io::Result<()> {
        self.bytes
            .lock()
            .unwrap()
            .truncate(usize::try_from(length).unwrap());
        Ok(())
    }

    fn sync(&self) -> io::Result<()> {
        self.syncs.fetch_add(1, Ordering::SeqCst);
        let held = self.held.lock().unwrap();
        drop(self.released.wait_while(held, |held| *held).unwrap());
        if self.failing.load(Ordering::SeqCst) {
            Err(io::Error::other("the disk is gone"))
        } else {
            Ok(())
        }
    }
}

impl Fake {
    fn start(capacity: usize) -> (Arc<Self>, Running) {
        let fake = Arc::new(Self::default());
        fake.capacity.store(capacity, Ordering::SeqCst);
        let running = Running::start(on(Arc::new(Arc::clone(&fake))));
        (fake, running)
    }

    fn hold(&self, held: bool) {
        *self.held.lock().unwrap() = held;
        self.released.notify_all();
    }

    fn numbers(&self) -> Vec<u64> {
        let bytes = self.bytes.lock().unwrap();
        let lines = bytes.split_inclusive(|&b| b == b'\n');
        lines
            .map(|l| {
                Record::from_canonical(l.strip_suffix(b"\n").unwrap())
                    .unwrap()
                    .key
                    .number
            })
            .collect()
    }
}

fn on(disk: Arc<dyn Disk>) -> (Spool, SpoolWriter) {
    let (queue, orders) = mpsc::channel(QUEUE);
    let epoch = SpoolEpoch::generate(NOW);
    let file = SpoolFile {
        orders,
        disk,
        reporter: reporter(),
        epoch,
        length: 0,
        next: 1,
    };
    let stop = queue.clone();
    let path = Path::new("memory").into();
    let spool = Spool {
        queue,
        reporter: reporter(),
        epoch,
        path,
    };
    (spool, SpoolWriter { stop, file })
}

#[tokio::test]
async fn a_full_disk_refuses_leaves_no_part_behind_and_ends_with_the_space() {
    let (fake, running) = Fake::start(400);
    assert_eq!(running.append(Durability::Synced).await.unwrap(), 1);
    for durability in [Durability::Soon, Durability::Synced] {
        assert!(matches!(running.append(durability).await, Err(SinkError::Full)));
    }
    assert_eq!(fake.numbers(), [1]);
    fake.capacity.store(10_000, Ordering::SeqCst);
    assert_eq!(running.append(Durability::Synced).await.unwrap(), 2);
    assert_eq!(fake.numbers(), [1, 2]);
    running.end().await;
}

#[tokio::test]
async fn a_device_without_space_refuses() {
    let full = fs::OpenOptions::new().write(true).open("/dev/full").unwrap();
    let running = Running::start(on(Arc::new(full)));
    assert!(matches!(
        running.append(Durability::Soon).await,
        Err(SinkError::Full)
    ));
    running.end().await;
}

#[tokio::test]
async fn those_who_come_during_a_sync_share_the_next_one() {
    let (fake, running) = Fake::start(100_000);
    fake.hold(true);
    let mut waiting = JoinSet::new();
    let spool = running.spool.clone();
    waiting.spawn(async move { spool.append(event(), Durability::Synced).await.unwrap().number });
    while fake.syncs.load(Ordering::SeqCst) == 0 {
        tokio::task::yield_now().await;
    }
    for _ in 0..5 {
        let spool = running.spool.clone();
        waiting.spawn(async move { spool.append(event(), Durability::Synced).await.unwrap().number });
    }
    // These five reach the queue before this one does, and this one needs no sync to resolve.
    tokio::task::yield_now().await;
    assert_eq!(running.append(Durability::Soon).await.unwrap(), 7);
    fake.hold(false);
    let mut given = waiting.join_all().await;
    given.sort_unstable();
    assert_eq!(given, [1, 2, 3, 4, 5, 6]);
    running.end().await;
    let syncs = fake.syncs.load(Ordering::SeqCst);
    assert!((2..=3).contains(&syncs), "{syncs} syncs for 7 records");
}

#[tokio::test]
async fn nothing_is_acknowledged_after_a_failed_sync() {
    let (fake, running) = Fake::start(100_000);
    fake.failing.store(true, Ordering::SeqCst);
    assert!(matches!(
        running.append(Durability::Synced).await,
        Err(SinkError::Failed(_))
    ));
    fake.failing.store(false, Ordering::SeqCst);
    for durability in [Durability::Soon, Durability::Synced] {
        assert!(matches!(
            running.append(durability).await,
            Err(SinkError::Failed(_))
        ));
    }
    running.end().await;
}
