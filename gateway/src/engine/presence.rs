//! What is known of every device: when it was heard, when its silence becomes an alarm, what a late report must be newer than.
//!
//! One row of 32 bytes per device by [`DeviceIx`], and 8 bytes in a heap of deadlines. A report moves the deadline in the row and leaves the heap
//! alone; only when an entry comes up early is it put back at the true deadline, so a report costs the same however many devices
//! there are. Deadlines are kept in whole seconds of steady time, rounded up: silence is never called too early.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

use super::Seen;
use crate::ahead::look_ahead;
use crate::model::{DeviceIx, Metric, Quality, Report};
use crate::units::{Millis, Steady, Timestamp};

const NEVER: i64 = i64::MIN;
const UNARMED: u32 = u32::MAX;

#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Known {
    /// Receipt of the last proof of life, in milliseconds; or [`NEVER`].
    pub seen: i64,
    /// Newest device time of a report that was not retained, in milliseconds; or [`NEVER`].
    pub device_time: i64,
    /// Time of the newest live report that had the fire flags of `clear_flags` clear, in seconds, rounded down.
    pub clear_s: u32,
    /// When its silence becomes an alarm, in seconds of steady time; or [`UNARMED`].
    pub deadline_s: u32,
    /// Where its valid entry stands in the heap; or [`UNARMED`] without one.
    queued_s: u32,
    /// Bit `n` for the metric with number `n`, of which there are fewer than eight that mean fire.
    pub clear_flags: u8,
    pub silence: Silence,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Silence {
    #[default]
    No,
    /// A last will or `offline` stands, and no sign of life came after it.
    Gone,
    /// The deadline has passed.
    Yes,
}

impl Default for Known {
    fn default() -> Self {
        Self {
            seen: NEVER,
            device_time: NEVER,
            clear_s: 0,
            deadline_s: UNARMED,
            queued_s: UNARMED,
            clear_flags: 0,
            silence: Silence::No,
        }
    }
}

impl Known {
    pub fn newest_device_time(&self) -> Option<Timestamp> {
        (self.device_time != NEVER).then_some(Timestamp(self.device_time))
    }

    pub fn seen(&self) -> Seen {
        let last = (self.seen != NEVER).then_some(Timestamp(self.seen));
        let online = match self.silence == Silence::No {
            true => last.map(|_| true),
            false => Some(false),
        };
        Seen { last, online }
    }

    /// How long until its silence becomes an alarm, if nothing is heard; `None`: never, or it is silent.
    pub fn silent_in(&self, now: Steady) -> Option<Millis> {
        self.is_armed().then(|| due(self.deadline_s).since(now))
    }

    pub fn is_armed(&self) -> bool {
        self.deadline_s != UNARMED
    }

    /// Remembers which fire flags a live report had clear.
    pub fn note_clear_flags(&mut self, report: &Report) {
        let clear = report
            .values
            .iter()
            .filter(|value| value.value == 0.0 && value.quality != Quality::Bad)
            .filter_map(|value| fire_bit(value.metric))
            .fold(0, |all, bit| all | bit);
        let at = u32::try_from(report.time().0.div_euclid(1000)).unwrap_or(0);
        if clear != 0 && self.clear_s <= at {
            (self.clear_s, self.clear_flags) = (at, clear);
        }
    }

    /// Whether a live report, not older than `time`, had this flag clear.
    pub fn cleared_since(&self, flag: Metric, time: Timestamp) -> bool {
        fire_bit(flag).is_some_and(|bit| self.clear_flags & bit != 0)
            && time.0 <= i64::from(self.clear_s) * 1000
    }
}

fn fire_bit(metric: Metric) -> Option<u8> {
    // The first five are their own numbers; these bits are in snapshots.
    let bit = if metric == Metric::FIRE_ALARM { 5 } else { metric.number() };
    (metric.spec().fire && bit < 8).then(|| 1 << bit)
}

#[derive(Debug, Default)]
pub(super) struct Presence {
    known: Vec<Known>,
    /// Deadline in seconds, device. An entry is valid while its device's row says so; each device has at most one.
    heap: BinaryHeap<Reverse<(u32, u32)>>,
}

/// Rounded up, so that nothing is due too early.
pub(super) fn whole_seconds(at: Steady) -> u32 {
    u32::try_from(at.0.div_ceil(1000)).unwrap_or(UNARMED - 1).min(UNARMED - 1)
}

impl Presence {
    pub fn from_rows(known: Vec<Known>) -> Self {
        let mut presence = Self { known, heap: BinaryHeap::new() };
        presence.rebuild_heap();
        presence
    }

    pub fn rows(&self) -> &[Known] {
        &self.known
    }

    /// These devices are heard next.
    pub fn look_ahead(&self, devices: &[DeviceIx]) {
        look_ahead(&self.known, devices, |known| known.seen as u64);
    }

    pub fn row(&self, device: DeviceIx) -> Option<&Known> {
        self.known.get(device.at())
    }

    pub fn row_mut(&mut self, device: DeviceIx) -> Option<&mut Known> {
        self.known.get_mut(device.at())
    }

    pub fn extend_to(&mut self, devices: usize) {
        if self.known.len() < devices {
            self.known.resize(devices, Known::default());
        }
    }

    /// Starts the time of silence anew.
    pub fn arm(&mut self, device: DeviceIx, now: Steady, silent_after_s: u32) {
        self.set_deadline(device, whole_seconds(now).saturating_add(silent_after_s).min(UNARMED - 1));
    }

    pub fn disarm(&mut self, device: DeviceIx) {
        if let Some(known) = self.known.get_mut(device.at()) {
            known.deadline_s = UNARMED;
            known.silence = Silence::No;
        }
    }

    pub fn set_deadline(&mut self, device: DeviceIx, at: u32) {
        let Some(known) = self.known.get_mut(device.at()) else { return };
        known.deadline_s = at;
        if at < known.queued_s {
            known.queued_s = at;
            self.heap.push(Reverse((at, device.0)));
            if 2 * self.known.len() + 64 < self.heap.len() {
                self.heap.retain(|Reverse((at, ix))| self.known[*ix as usize].queued_s == *at);
            }
        }
    }

    /// A sign of life. Returns what its silence was until now.
    pub fn heard(
        &mut self,
        device: DeviceIx,
        received: Timestamp,
        now: Steady,
        silent_after_s: Option<u32>,
    ) -> Silence {
        let Some(known) = self.known.get_mut(device.at()) else { return Silence::No };
        known.seen = received.0;
        let before = std::mem::take(&mut known.silence);
        if let Some(silent_after_s) = silent_after_s {
            self.arm(device, now, silent_after_s);
        }
        before
    }

    /// The path says that the device is gone; `since` is when it was last known alive. What was received later beats it.
    pub fn gone(&mut self, device: DeviceIx, since: Timestamp, now: Steady, gone_after_s: Option<u32>) {
        let Some(known) = self.known.get_mut(device.at()) else { return };
        if since.0 < known.seen || known.silence != Silence::No {
            return;
        }
        known.silence = Silence::Gone;
        let deadline = known.deadline_s;
        if let (true, Some(gone_after_s)) = (known.is_armed(), gone_after_s) {
            let at = whole_seconds(now).saturating_add(gone_after_s);
            self.set_deadline(device, deadline.min(at));
        }
    }

    /// The device whose time of silence ran out first. Call [`Presence::fell_silent`] before asking again.
    pub fn next_due(&mut self, now: Steady) -> Option<(Steady, DeviceIx)> {
        while let Some(&Reverse((at, ix))) = self.heap.peek() {
            if now < due(at) {
                return None;
            }
            let known = &mut self.known[ix as usize];
            if known.queued_s == at && known.deadline_s == at {
                return Some((due(at), DeviceIx(ix)));
            }
            self.heap.pop();
            if known.queued_s == at {
                known.queued_s = known.deadline_s;
                if known.is_armed() {
                    self.heap.push(Reverse((known.deadline_s, ix)));
                }
            }
        }
        None
    }

    pub fn fell_silent(&mut self, device: DeviceIx) {
        if let Some(known) = self.known.get_mut(device.at()) {
            known.silence = Silence::Yes;
            known.deadline_s = UNARMED;
        }
    }

    /// Not later than the next deadline; may be earlier, because a report does not touch the heap.
    pub fn wake_at(&self) -> Option<Steady> {
        self.heap.peek().map(|Reverse((at, _))| due(*at))
    }

    /// The gateway was deaf for so long: that is nobody's silence.
    pub fn put_off(&mut self, deaf: Millis) {
        let seconds = u32::try_from(deaf.0.div_ceil(1000)).unwrap_or(UNARMED);
        for known in self.known.iter_mut().filter(|known| known.is_armed()) {
            known.deadline_s = known.deadline_s.saturating_add(seconds).min(UNARMED - 1);
        }
        self.rebuild_heap();
    }

    fn rebuild_heap(&mut self) {
        for known in &mut self.known {
            known.queued_s = known.deadline_s;
        }
        self.heap = self
            .known
            .iter()
            .enumerate()
            .filter(|(_, known)| known.is_armed())
            .map(|(ix, known)| Reverse((known.deadline_s, ix as u32)))
            .collect();
    }
}

fn due(at_s: u32) -> Steady {
    Steady(u64::from(at_s) * 1000)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_row_is_small() {
        assert_eq!(size_of::<Known>(), 32);
        assert_eq!(size_of::<Reverse<(u32, u32)>>(), 8);
    }

    #[test]
    fn every_fire_flag_has_a_bit() {
        assert!(Metric::all().filter(|metric| metric.spec().fire).all(|metric| fire_bit(metric).is_some()));
    }

    /// Wills and signs of life in turn must not pile up entries.
    #[test]
    fn the_heap_stays_bounded() {
        let mut presence = Presence::default();
        presence.extend_to(10);
        for round in 0..10_000u32 {
            let now = Steady(u64::from(round) * 40_000);
            let device = DeviceIx(round % 10);
            while let Some((_, due)) = presence.next_due(now) {
                presence.fell_silent(due);
            }
            presence.heard(device, Timestamp(now.0 as i64), now, Some(86_400));
            presence.gone(device, Timestamp(now.0 as i64), now, Some(30));
            assert!(presence.heap.len() <= 84 + 1, "{}", presence.heap.len());
        }
    }
}
