//! Frames that come again because their confirmation got lost.
//!
//! A sender repeats with the same serial number, three times within ten seconds each (6.5), and may put a new time into the head. Serial numbers alone prove nothing: a device that was
//! switched off begins at 0 again, and some never count. So the content must be the same, too, and soon after. After a restart of ours nothing is remembered: then the
//! frame is taken twice, which changes nothing that it says.

use std::collections::{BTreeMap, VecDeque};
use std::hash::{BuildHasher, RandomState};
use std::time::Duration;

use tokio::time::Instant;

use crate::wire::gbt26875::{Address, Command, Frame};

const WITHIN: Duration = Duration::from_secs(60);
/// Of each device.
const REMEMBERED_MAX: usize = 64;

/// Only registered devices are remembered, so the registry bounds it.
#[derive(Default)]
pub struct Duplicates {
    devices: BTreeMap<Address, VecDeque<Seen>>,
    hasher: RandomState,
}

struct Seen {
    serial: u16,
    content: u64,
    at: Instant,
    /// What was answered.
    answer: Command,
}

impl Duplicates {
    /// What was answered to the same frame before. Heartbeats are all the same and always new.
    pub fn answered(&mut self, frame: &Frame, now: Instant) -> Option<Command> {
        let content = self.hasher.hash_one(&frame.unit);
        let seen = self.devices.get_mut(&frame.header.from)?;
        seen.retain(|seen| now.saturating_duration_since(seen.at) < WITHIN);
        let same = |seen: &&Seen| seen.serial == frame.header.serial && seen.content == content;
        seen.iter().find(same).map(|seen| seen.answer)
    }

    pub fn remember(&mut self, frame: &Frame, answer: Command, now: Instant) {
        if frame.unit.is_empty() {
            return;
        }
        let content = self.hasher.hash_one(&frame.unit);
        let seen = self.devices.entry(frame.header.from).or_default();
        if seen.len() == REMEMBERED_MAX {
            seen.pop_front();
        }
        seen.push_back(Seen { serial: frame.header.serial, content, at: now, answer });
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock;
    use crate::wire::gbt26875::{Header, Label};

    fn frame(from: u64, serial: u16, second: u8, unit: &[u8]) -> Frame {
        let address = |number| Address::new(number).expect("48 bits");
        let sent = Label([second, 0, 0, 1, 1, 26]);
        let header = Header { serial, version: [1, 1], sent, from: address(from), to: address(1) };
        Frame { header, command: Command::Send, unit: unit.to_owned() }
    }

    #[tokio::test]
    async fn the_same_content_with_the_same_number_soon_after_is_the_same_frame() {
        let now = clock::ticks();
        for (what, again, after_s, answer) in [
            ("again", frame(889, 7, 0, b"fire"), 5, Some(Command::Confirm)),
            ("with a new time in the head", frame(889, 7, 30, b"fire"), 30, Some(Command::Confirm)),
            ("a minute later", frame(889, 7, 0, b"fire"), 60, None),
            ("the number again for something else", frame(889, 7, 0, b"over"), 5, None),
            ("another number", frame(889, 8, 0, b"fire"), 5, None),
            ("another device", frame(890, 7, 0, b"fire"), 5, None),
        ] {
            let mut duplicates = Duplicates::default();
            duplicates.remember(&frame(889, 7, 0, b"fire"), Command::Confirm, now);
            assert_eq!(duplicates.answered(&again, now + Duration::from_secs(after_s)), answer, "{what}");
        }
    }

    #[tokio::test]
    async fn a_heartbeat_is_always_new() {
        let (mut duplicates, now) = (Duplicates::default(), clock::ticks());
        duplicates.remember(&frame(889, 9, 0, b""), Command::Confirm, now);
        assert_eq!(duplicates.answered(&frame(889, 9, 0, b""), now), None);
    }
}
