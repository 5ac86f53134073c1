//! What the spool asks of its file, so that tests can fill a disk, tear a write and hold a sync.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt as _;

/// A file that is written at its end.
pub(super) trait Disk: Send + Sync + 'static {
    /// Writes all bytes at a place; on an error some of them may be there.
    fn write_at(&self, bytes: &[u8], place: u64) -> io::Result<()>;
    /// Cuts the file to a length.
    fn cut(&self, length: u64) -> io::Result<()>;
    /// Returns once the content is on the disk (fdatasync).
    fn sync(&self) -> io::Result<()>;
}

impl Disk for File {
    fn write_at(&self, bytes: &[u8], place: u64) -> io::Result<()> {
        self.write_all_at(bytes, place)
    }

    fn cut(&self, length: u64) -> io::Result<()> {
        self.set_len(length)
    }

    fn sync(&self) -> io::Result<()> {
        self.sync_data()
    }
}
