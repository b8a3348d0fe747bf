//! A frame that comes twice, recognised by the device's own counter: two network servers heard it, a bridge sent it again, somebody replays it.
//!
//! Pure. It stands before the journal, like the rate limit. Only what has the same number *and* says the same is a repetition: a counter starts again after a new battery or wraps, and
//! then a fire under an old number must count. A device that also says which number it gave to the frame before ([`Metric::FRAME_BEFORE`]) shows how many were lost on the way. Signal strength differs from gateway to gateway and is left aside. What is known here is lost with a restart; then a repetition counts once more.

use std::collections::HashMap;
use std::hash::{BuildHasher, RandomState};

use crate::model::{DeviceIx, Freshness, Metric, Quality, Report, Value};

/// How many frames of a device are remembered.
const REMEMBERED: usize = 8;

#[derive(Debug, Default)]
pub struct Repetitions {
    /// What was said last, newest last; only of devices that count, which are all registered.
    known: HashMap<DeviceIx, Vec<u64>>,
    /// The number of the newest frame, of devices that say the one before.
    newest: HashMap<DeviceIx, f64>,
    hasher: RandomState,
    found: u64,
}

impl Repetitions {
    /// Of a repetition only the sign of life is left.
    pub fn mark(&mut self, report: &mut Report) {
        if !report.values.iter().any(|value| value.metric == Metric::FRAME_COUNTER) {
            return;
        }
        let heard = |metric: Metric| {
            metric == Metric::RSSI || metric == Metric::SNR || metric == Metric::LINK_QUALITY
        };
        let said = report.values.iter().filter(|value| !heard(value.metric));
        let said: Vec<_> = said.map(|value| (value.metric, value.value.to_bits())).collect();
        // A device with a clock of its own says with each frame when it was.
        let frame = self.hasher.hash_one((said, report.device_time));
        let known = self.known.entry(report.device).or_default();
        if known.contains(&frame) {
            report.values.clear();
            self.found += 1;
            return;
        }
        if known.len() == REMEMBERED {
            known.remove(0);
        }
        known.push(frame);
        self.count_missed(report);
    }

    /// What a frame says of the one before it becomes how many are missing between the two that came.
    fn count_missed(&mut self, report: &mut Report) {
        let number = |wanted: Metric| move |value: &Value| (value.metric == wanted).then_some(value.value);
        let Some(before) = report.values.iter().find_map(number(Metric::FRAME_BEFORE)) else { return };
        report.values.retain(|value| value.metric != Metric::FRAME_BEFORE);
        let Some(count) = report.values.iter().find_map(number(Metric::FRAME_COUNTER)) else { return };
        if report.freshness != Freshness::Live {
            return; // What it tells of the past comes in any order.
        }
        // Fewer than before: it counts anew, and nobody knows from where.
        if let Some(newest) = self.newest.insert(report.device, count)
            && newest < count
        {
            let value = (before - newest).max(0.0);
            report.values.push(Value { metric: Metric::FRAMES_MISSED, value, quality: Quality::Good });
        }
    }

    /// How many were found since this was last asked.
    pub fn take_found(&mut self) -> u64 {
        std::mem::take(&mut self.found)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::units::Timestamp;

    fn report(device: u32, counter: Option<f64>, smoke: f64, rssi: f64) -> Report {
        let value = |metric, value| Value { metric, value, quality: Quality::Good };
        let mut values = vec![value(Metric::SMOKE, smoke), value(Metric::RSSI, rssi)];
        values.extend(counter.map(|count| value(Metric::FRAME_COUNTER, count)));
        let received = Timestamp(1_795_402_800_000);
        Report { device: DeviceIx(device), received, device_time: None, freshness: Freshness::Live, values }
    }

    fn kept(frames: &[(u32, Option<f64>, f64, f64)]) -> Vec<bool> {
        let mut repetitions = Repetitions::default();
        let mark = |&(device, counter, smoke, rssi): &(u32, Option<f64>, f64, f64)| {
            let mut report = report(device, counter, smoke, rssi);
            repetitions.mark(&mut report);
            !report.values.is_empty()
        };
        frames.iter().map(mark).collect()
    }

    #[test]
    fn only_the_same_number_with_the_same_words_is_a_repetition() {
        assert_eq!(
            kept(&[(1, Some(7.0), 1.0, -90.0), (1, Some(7.0), 1.0, -101.0)]),
            [true, false],
            "another gateway heard it"
        );
        assert_eq!(
            kept(&[(1, Some(7.0), 0.0, -90.0), (1, Some(7.0), 1.0, -90.0)]),
            [true, true],
            "a fire under an old number"
        );
        assert_eq!(
            kept(&[(1, Some(7.0), 1.0, -90.0), (1, Some(8.0), 1.0, -90.0)]),
            [true, true],
            "said again"
        );
        assert_eq!(
            kept(&[(1, Some(7.0), 1.0, -90.0), (2, Some(7.0), 1.0, -90.0)]),
            [true, true],
            "another device"
        );
        assert_eq!(
            kept(&[(1, None, 1.0, -90.0), (1, None, 1.0, -90.0)]),
            [true, true],
            "a device that does not count"
        );
    }

    #[test]
    fn what_was_lost_between_two_frames_is_counted() {
        let mut repetitions = Repetitions::default();
        let mut missed = |before: f64, count: f64, freshness: Freshness| {
            let mut report = report(1, Some(count), 0.0, -90.0);
            report.freshness = freshness;
            report.values.push(Value { metric: Metric::FRAME_BEFORE, value: before, quality: Quality::Good });
            repetitions.mark(&mut report);
            assert!(report.values.iter().all(|value| value.metric != Metric::FRAME_BEFORE));
            report.values.iter().find(|value| value.metric == Metric::FRAMES_MISSED).map(|value| value.value)
        };
        use Freshness::{Backfill, Live};
        for (before, count, freshness, wanted) in [
            (256.0, 257.0, Live, None),
            (257.0, 258.0, Live, Some(0.0)),
            (260.0, 261.0, Live, Some(2.0)),
            (258.0, 259.0, Backfill, None),
            (261.0, 262.0, Live, Some(0.0)),
            (0.0, 1.0, Live, None),
            (1.0, 2.0, Live, Some(0.0)),
        ] {
            assert_eq!(missed(before, count, freshness), wanted, "{before} {count} {freshness:?}");
        }
    }

    #[test]
    fn it_remembers_a_few_and_no_more() {
        let mut frames: Vec<_> = (0..20).map(|count| (1, Some(f64::from(count)), 0.0, -90.0)).collect();
        frames.extend([(1, Some(13.0), 0.0, -90.0), (1, Some(0.0), 0.0, -90.0)]);
        let kept = kept(&frames);
        assert_eq!(kept[20..], [false, true]);
    }
}
