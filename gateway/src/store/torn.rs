//! The end of the write-ahead log after a crash: how much of it SQLite is going to cut off.
//!
//! SQLite takes the log up to the last commit before the first frame that does not fit, and silently forgets the rest. After a plain power cut that is the one
//! transaction nobody was told is safe. More than that is damage, and the operator must hear of it. Only read here, never changed.

use std::fs::File;
use std::io::{BufReader, Read};
use std::path::Path;

use super::checkpoint::FILLER;

/// What stands behind the last commit that can be read.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Torn {
    pub bytes: u64,
    /// Frames of this log's own generation that do not fit; frames of an older one are no loss.
    pub frames: u64,
    /// How many of them say that they end a transaction.
    pub commits: u64,
}

const HEADER: usize = 32;
const FRAME: usize = 24;

/// `None` when there is no log, or nothing in it is torn.
pub fn look(wal: &Path) -> Option<Torn> {
    let file = File::open(wal).ok()?;
    let length = file.metadata().ok()?.len();
    let mut log = BufReader::with_capacity(1 << 20, file);
    let mut header = [0; HEADER];
    log.read_exact(&mut header).ok()?;
    if header.iter().all(|&byte| byte == FILLER) {
        return None; // Nothing was ever written to it.
    }
    let big_endian = word(&header, 0) & 1 == 1;
    let page = word(&header, 8) as usize;
    let mut sum = checksum((0, 0), &header[..24], big_endian);
    let good_header = word(&header, 0) & !1 == 0x377f_0682 && sum == (word(&header, 24), word(&header, 28));
    if !good_header || !page.is_power_of_two() || !(512..=65_536).contains(&page) {
        return (length > HEADER as u64).then_some(Torn { bytes: length, ..Torn::default() });
    }
    let salts = &header[16..24];
    let mut frame = vec![0; FRAME + page];
    let (mut torn, mut fits) = (Torn::default(), true);
    while log.read_exact(&mut frame).is_ok() {
        let own = &frame[8..16] == salts;
        if fits {
            sum = checksum(sum, &frame[..8], big_endian);
            sum = checksum(sum, &frame[FRAME..], big_endian);
            fits = own && sum == (word(&frame, 16), word(&frame, 20));
            if fits {
                continue;
            }
        }
        // A frame of zeros was never written, or written and lost; an older generation's is whole and merely old.
        if own || frame.iter().all(|&byte| byte == 0) {
            torn.frames += 1;
            torn.bytes += frame.len() as u64;
            torn.commits += u64::from(own && word(&frame, 4) != 0);
        }
    }
    (torn != Torn::default()).then_some(torn)
}

fn word(bytes: &[u8], at: usize) -> u32 {
    u32::from_be_bytes(bytes[at..at + 4].try_into().expect("four bytes"))
}

/// The running checksum of SQLite's file format, section 4.2.
fn checksum((mut a, mut b): (u32, u32), bytes: &[u8], big_endian: bool) -> (u32, u32) {
    let read = |at: &[u8]| {
        let four = at.try_into().expect("four bytes");
        if big_endian { u32::from_be_bytes(four) } else { u32::from_le_bytes(four) }
    };
    for pair in bytes.chunks_exact(8) {
        a = a.wrapping_add(read(&pair[..4])).wrapping_add(b);
        b = b.wrapping_add(read(&pair[4..])).wrapping_add(a);
    }
    (a, b)
}
