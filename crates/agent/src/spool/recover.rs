//! What a spool file holds after a crash, and where its good part ends.
//!
//! The last moments before a crash may be missing, in part or as a whole, and blocks of zeros may stand for them:
//! everything from the first line that is not the next record on is cut, unless a good record follows it. Then the
//! file was damaged otherwise, and nothing is cut: it stays as evidence, and the spool begins a new epoch.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt as _;

use postern_audit::{Record, Reporter};
use postern_domain::SpoolEpoch;

/// How much of the end is read: more than is ever written without a sync, many times over.
const TAIL: u64 = 16 << 20;

/// The good part of a spool file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Recovered {
    /// Its length in bytes.
    pub(super) length: u64,
    /// The number that the next record gets.
    pub(super) next: u64,
    /// How many bytes beyond it are to be cut.
    pub(super) cut: u64,
}

impl Recovered {
    pub(super) const EMPTY: Self = Self {
        length: 0,
        next: 1,
        cut: 0,
    };
}

/// Reads the end of a spool file. The inner error says why this file cannot be gone on with.
pub(super) fn recover(
    file: &File,
    reporter: Reporter,
    epoch: SpoolEpoch,
) -> io::Result<Result<Recovered, &'static str>> {
    let whole = file.metadata()?.len();
    let start = whole.saturating_sub(TAIL);
    let mut tail = vec![0; usize::try_from(whole - start).unwrap_or_default()];
    file.read_exact_at(&mut tail, start)?;
    Ok(judge(&tail, start, reporter, epoch))
}

fn judge(tail: &[u8], start: u64, reporter: Reporter, epoch: SpoolEpoch) -> Result<Recovered, &'static str> {
    let mut place = start;
    // In a long file the first line is likely to be cut by the window; it was synced long ago.
    let mut lines = tail.split_inclusive(|&b| b == b'\n');
    if start > 0 {
        place += lines.next().map_or(0, <[u8]>::len) as u64;
    }
    let mut next = (start == 0).then_some(1);
    let mut good = place;
    let mut bad = false;
    for line in lines {
        let record = line
            .strip_suffix(b"\n")
            .and_then(|l| Record::from_canonical(l).ok());
        match record {
            Some(record) if record.key.reporter != reporter => return Err("it is another reporter's"),
            Some(record) if record.key.epoch != epoch => return Err("a record is of another epoch"),
            Some(_) if bad => return Err("it is damaged before its end"),
            Some(record) if next.is_none_or(|n| n == record.key.number) => {
                next = record.key.number.checked_add(1);
                place += line.len() as u64;
                good = place;
            }
            Some(_) => return Err("its numbers have a gap"),
            None => bad = true,
        }
    }
    Ok(Recovered {
        length: good,
        next: next.ok_or("it has no record that can be read")?,
        cut: start + tail.len() as u64 - good,
    })
}
