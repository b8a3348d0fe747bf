//! Rows that are wanted next, fetched into the processor's caches together.
//!
//! In a city every report is of a device that was not heard for a minute, so its row in each table by device is a miss of the caches. Reports are worked off one after the other, and each would wait
//! for its own misses. Reading one word of all their rows before, in a loop of which no step waits for another, lets the processor fetch many at once. What is read is thrown away.

use std::hint::black_box;

use crate::model::{DeviceIx, Event};

/// Whose rows are wanted.
pub fn reporters<'a>(events: impl IntoIterator<Item = &'a Event>) -> Vec<DeviceIx> {
    events.into_iter().filter_map(Event::reporter).collect()
}

/// `word` reads what stands in a row, and what the row points to.
pub fn look_ahead<T>(rows: &[T], devices: &[DeviceIx], word: impl Fn(&T) -> u64) {
    let rows = devices.iter().filter_map(|device| rows.get(device.at()));
    black_box(rows.fold(0, |all, row| all ^ word(row)));
}
