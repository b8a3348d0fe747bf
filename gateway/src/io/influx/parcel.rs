//! Cuts the journal into parcels: as many lines as one request may carry, and how far the cursor may move when they are stored.
//!
//! Pure. A journal batch with more lines than fit is spread over several parcels; only the one with its last line confirms it.

use std::sync::Arc;

use crate::grid::Registry;
use crate::model::{Batch, DeviceIx};
use crate::units::Timestamp;
use crate::wire::line::{Encoder, Lines};

/// The most that one request carries, before compression.
pub const BYTES_MAX: usize = 4 << 20;

#[derive(Debug, Default, PartialEq)]
pub struct Parcel {
    pub lines: Lines,
    /// Number and time of the batch that the first line is from.
    pub from: Option<(u64, Timestamp)>,
    /// Number of the newest batch that is complete with this parcel.
    pub confirms: u64,
    /// Devices that had something to say but are not in the registry.
    pub unknown: Vec<DeviceIx>,
}

pub struct Packer {
    encoder: Encoder,
    lines_max: usize,
    parcel: Parcel,
}

impl Packer {
    /// `confirmed` is where the cursor stands.
    pub fn new(encoder: Encoder, lines_max: usize, confirmed: u64) -> Self {
        let parcel = Parcel { confirms: confirmed, ..Parcel::default() };
        Self { encoder, lines_max: lines_max.max(1), parcel }
    }

    /// Adds a batch; calls `full` with every parcel that is full, none larger than `bytes_max` unless a single line is.
    pub fn add(
        &mut self,
        registry: &Arc<Registry>,
        batch: &Batch,
        bytes_max: usize,
        mut full: impl FnMut(Parcel),
    ) {
        let begins = Some((batch.seq, batch.now.wall));
        let mut held = self.parcel.lines.len();
        self.parcel.unknown.extend(self.encoder.encode(registry, batch, &mut self.parcel.lines));
        if held == 0 && !self.parcel.lines.is_empty() {
            self.parcel.from = begins;
        }
        loop {
            let lines = &mut self.parcel.lines;
            // What was held before goes in any case: its batches are confirmed with it. So does a single line.
            let fit = lines.within(bytes_max).min(self.lines_max).max(held).max(1);
            if lines.len() <= fit {
                break;
            }
            let rest = lines.split_off(fit);
            let next =
                Parcel { lines: rest, from: begins, confirms: self.parcel.confirms, ..Parcel::default() };
            full(std::mem::replace(&mut self.parcel, next));
            held = 0;
        }
        self.parcel.confirms = batch.seq;
        if self.parcel.lines.len() == self.lines_max {
            full(self.take());
        }
    }

    /// Lines that wait for more.
    pub fn waiting(&self) -> usize {
        self.parcel.lines.len()
    }

    /// The newest batch that was added whole.
    pub fn confirms(&self) -> u64 {
        self.parcel.confirms
    }

    /// What there is, full or not.
    pub fn take(&mut self) -> Parcel {
        let next = Parcel { confirms: self.parcel.confirms, ..Parcel::default() };
        std::mem::replace(&mut self.parcel, next)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::grid::{Device, Rows};
    use crate::model::{DeviceKind, Event, Freshness, Metric, Quality, Report, Value};
    use crate::units::Now;

    fn registry() -> Arc<Registry> {
        let device = Device { id: "H".into(), ..Device::bare(DeviceIx(0), DeviceKind::Hydrant, "a") };
        Registry::build(Rows { devices: vec![device], ..Rows::default() })
    }

    fn batch(seq: u64, reports: usize) -> Batch {
        let report = |n| Report {
            device: DeviceIx(0),
            received: Timestamp((seq * 1000) as i64 + n as i64),
            device_time: None,
            freshness: Freshness::Live,
            values: vec![Value { metric: Metric::FLOW, value: n as f64, quality: Quality::Good }],
        };
        Batch { seq, now: Now::default(), events: (0..reports).map(|n| Event::Report(report(n))).collect() }
    }

    fn pack(sizes: &[usize], lines_max: usize, bytes_max: usize) -> Vec<(usize, u64)> {
        let (mut packer, registry) = (Packer::new(Encoder::new("s", false), lines_max, 0), registry());
        let mut parcels = Vec::new();
        for (n, &size) in sizes.iter().enumerate() {
            packer.add(&registry, &batch(n as u64 + 1, size), bytes_max, |parcel| parcels.push(parcel));
        }
        parcels.push(packer.take());
        parcels.iter().map(|parcel| (parcel.lines.len(), parcel.confirms)).collect()
    }

    #[test]
    fn the_cursor_moves_past_a_batch_only_with_its_last_line() {
        let pack = |sizes: &[usize], lines_max| pack(sizes, lines_max, BYTES_MAX);
        assert_eq!(pack(&[2, 2], 10), [(4, 2)]);
        assert_eq!(pack(&[2, 2], 4), [(4, 2), (0, 2)]);
        assert_eq!(pack(&[3, 7], 4), [(4, 1), (4, 1), (2, 2)]);
        assert_eq!(pack(&[0, 0, 0], 4), [(0, 3)]);
        assert_eq!(pack(&[9, 0], 4), [(4, 0), (4, 0), (1, 2)]);
    }

    #[test]
    fn bytes_are_a_limit_too_but_a_single_line_always_goes() {
        assert_eq!(pack(&[3], 10, 1), [(1, 0), (1, 0), (1, 1)]);
    }

    proptest! {
        #[test]
        fn nothing_is_lost_reordered_or_confirmed_too_early(
            sizes in prop::collection::vec((0usize..30, 30usize..2_000), 1..20), lines_max in 1usize..20,
        ) {
            let (mut packer, registry) = (Packer::new(Encoder::new("s", false), lines_max, 0), registry());
            let (mut parcels, mut whole) = (Vec::new(), Lines::default());
            let mut ends = vec![(0, 0)];
            let mut largest = 0;
            for (n, &(size, bytes_max)) in sizes.iter().enumerate() {
                let batch = batch(n as u64 + 1, size);
                Encoder::new("s", false).encode(&registry, &batch, &mut whole);
                ends.push((batch.seq, whole.len()));
                packer.add(&registry, &batch, bytes_max, |parcel| parcels.push(parcel));
                largest = largest.max(bytes_max);
            }
            parcels.push(packer.take());
            let mut together = Lines::default();
            for parcel in &parcels {
                prop_assert!(parcel.lines.len() <= lines_max);
                prop_assert!(parcel.lines.len() <= 1 || parcel.lines.bytes().len() <= largest);
                parcel.lines.iter().for_each(|line| together.push(line));
                let (_, lines) = ends[parcel.confirms as usize];
                prop_assert!(lines <= together.len(), "confirmed a line that is still to be sent");
            }
            prop_assert_eq!(together, whole);
            prop_assert_eq!(parcels.last().map(|parcel| parcel.confirms), Some(sizes.len() as u64));
        }
    }
}
