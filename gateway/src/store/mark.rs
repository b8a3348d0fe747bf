//! The mark: a small file beside the store that says how far it had come, so that a store which lost its end can be told from one that never had it.
//!
//! Written after every commit and never synced: it costs no wait, and survives whatever the process does not. A power cut may leave it behind the store, which
//! says nothing; a mark *ahead* of the store means that batches are missing which were acknowledged. That the mark is there also says that the file was ours.

use std::fs::File;
use std::os::unix::fs::FileExt;
use std::path::Path;

use super::file::beside;
use crate::units::{Now, Steady, Timestamp};

const MAGIC: &[u8; 8] = b"GrWaMrk1";
const BYTES: usize = 8 + 3 * 8 + 4;

pub struct Mark {
    file: Option<File>,
}

impl Mark {
    /// How far the store at `path` had come.
    pub fn read(path: &Path) -> Option<(u64, Now)> {
        let bytes = std::fs::read(beside(path, "-mark")).ok()?;
        let bytes: &[u8; BYTES] = bytes.get(..BYTES)?.try_into().ok()?;
        let number = |at: usize| u64::from_le_bytes(bytes[at..at + 8].try_into().expect("eight bytes"));
        let checksum = u32::from_le_bytes(bytes[BYTES - 4..].try_into().expect("four bytes"));
        let good = bytes.starts_with(MAGIC) && crc32fast::hash(&bytes[..BYTES - 4]) == checksum;
        let now = Now { wall: Timestamp(number(16) as i64), steady: Steady(number(24)) };
        good.then(|| (number(8), now))
    }

    pub fn open(path: &Path) -> Self {
        let path = beside(path, "-mark");
        Self { file: File::options().create(true).write(true).truncate(false).open(path).ok() }
    }

    /// Without a mark the store works as well, so a failure is nobody's business.
    pub fn set(&self, seq: u64, now: Now) {
        let Some(file) = &self.file else { return };
        let mut bytes = Vec::with_capacity(BYTES);
        bytes.extend(MAGIC);
        bytes.extend(seq.to_le_bytes());
        bytes.extend(now.wall.0.to_le_bytes());
        bytes.extend(now.steady.0.to_le_bytes());
        bytes.extend(crc32fast::hash(&bytes).to_le_bytes());
        let _ = file.write_all_at(&bytes, 0);
    }
}
