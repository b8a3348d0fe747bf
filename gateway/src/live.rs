//! What the pages and the API see of now: the newest value of every series, and a stream of changes.
//!
//! Filled by the driver after each commit. A reader that is too slow loses its place in the stream and fetches a fresh snapshot.

pub mod positions;
pub mod trend;

use std::sync::{Arc, PoisonError, RwLock};

use tokio::sync::broadcast;

use crate::ahead::look_ahead;
use crate::engine::Seen;
use crate::model::{Alarm, DeviceIx, Entry, Freshness, Metric, Quality, Report, Value};
use crate::units::Timestamp;
use positions::Positions;
use trend::Trend;

/// How many changes a slow reader may lag behind.
pub const LAG_MAX: usize = 1024;

#[derive(Clone, Debug)]
pub enum Change {
    /// `number` is the row of the entry in the store and the SSE event id.
    Alarm {
        number: u64,
        alarm: Arc<Alarm>,
        entry: Arc<Entry>,
    },
    Report(Arc<Report>),
    /// A device was heard again, or is silent.
    Presence {
        device: DeviceIx,
        online: bool,
    },
    /// Another registry is in force.
    Registry,
}

/// The newest value of one series. A city has two million of them: 32 bytes, with no [`Value`] in it, which has gaps of its own.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Latest {
    pub metric: Metric,
    pub quality: Quality,
    pub freshness: Freshness,
    pub value: f64,
    pub time: Timestamp,
    pub received: Timestamp,
}

#[derive(Clone, Default, Debug)]
pub struct DeviceNow {
    pub latest: Vec<Latest>,
    pub last_seen: Option<Timestamp>,
    /// `None` until the engine has an opinion.
    pub online: Option<bool>,
    /// Of its pressure, for a device that measures one.
    pub pressure: Option<Box<Trend>>,
    /// The newest picture that is kept of it; only cameras have one.
    pub still: Option<Box<StillRef>>,
}

/// A picture in the store.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StillRef {
    pub number: u64,
    pub at: Timestamp,
}

impl StillRef {
    /// As the API names it.
    pub fn id(self) -> String {
        format!("S-{}", self.number)
    }
}

impl DeviceNow {
    /// Older values never replace newer ones. `true`: it was not known to be online before.
    pub fn take(&mut self, report: &Report) -> bool {
        self.last_seen = self.last_seen.max(Some(report.received));
        if self.latest.is_empty() {
            self.latest.reserve_exact(report.values.len()); // It mostly goes on as it begins, and there are hundreds of thousands.
        }
        let (time, received, freshness) = (report.time(), report.received, report.freshness);
        for &Value { metric, value, quality } in &report.values {
            if metric == Metric::PRESSURE && quality != Quality::Bad {
                self.pressure.get_or_insert_default().take(time, value);
            }
            let new = Latest { metric, quality, freshness, value, time, received };
            match self.latest.iter_mut().find(|latest| latest.metric == metric) {
                Some(old) if new.time < old.time => (),
                Some(old) => *old = new,
                None => self.latest.push(new),
            }
        }
        // A retained message proves nothing about now.
        report.freshness != Freshness::Retained && self.online.replace(true) != Some(true)
    }
}

pub struct Live {
    /// Where the people on duty are.
    pub positions: Positions,
    devices: RwLock<Vec<DeviceNow>>,
    changes: broadcast::Sender<Change>,
}

impl Default for Live {
    fn default() -> Self {
        Self {
            positions: Positions::default(),
            devices: RwLock::default(),
            changes: broadcast::channel(LAG_MAX).0,
        }
    }
}

impl Live {
    /// Changes from now on.
    pub fn follow(&self) -> broadcast::Receiver<Change> {
        self.changes.subscribe()
    }

    /// What nobody follows need not be fetched.
    pub fn is_followed(&self) -> bool {
        self.changes.receiver_count() > 0
    }

    pub fn device(&self, device: DeviceIx) -> DeviceNow {
        let devices = self.devices.read().unwrap_or_else(PoisonError::into_inner);
        devices.get(device.at()).cloned().unwrap_or_default()
    }

    /// Reports of these devices come next.
    pub fn look_ahead(&self, devices: &[DeviceIx]) {
        let rows = self.devices.read().unwrap_or_else(PoisonError::into_inner);
        look_ahead(&rows, devices, |now| now.latest.first().map_or(0, |latest| latest.value.to_bits()));
    }

    /// Take over committed reports. Older values never replace newer ones.
    pub fn reports(&self, reports: impl IntoIterator<Item = Report>) {
        let mut devices = self.devices.write().unwrap_or_else(PoisonError::into_inner);
        for report in reports {
            let at = report.device.at();
            if devices.len() <= at {
                devices.resize_with(at + 1, DeviceNow::default);
            }
            let came_online = devices[at].take(&report);
            if came_online {
                let _ = self.changes.send(Change::Presence { device: report.device, online: true });
            }
            if self.changes.receiver_count() > 0 {
                let _ = self.changes.send(Change::Report(Arc::new(report))); // Nobody may be looking.
            }
        }
    }

    pub fn seen(&self, device: DeviceIx, seen: Seen) {
        let mut devices = self.devices.write().unwrap_or_else(PoisonError::into_inner);
        if devices.len() <= device.at() {
            devices.resize_with(device.at() + 1, DeviceNow::default);
        }
        let now = &mut devices[device.at()];
        now.last_seen = now.last_seen.max(seen.last);
        if let Some(online) = seen.online
            && now.online.replace(online) != Some(online)
        {
            let _ = self.changes.send(Change::Presence { device, online });
        }
    }

    /// A picture is on disk. An older one never replaces a newer.
    pub fn still(&self, device: DeviceIx, still: StillRef) {
        let mut devices = self.devices.write().unwrap_or_else(PoisonError::into_inner);
        if devices.len() <= device.at() {
            devices.resize_with(device.at() + 1, DeviceNow::default);
        }
        let now = &mut devices[device.at()].still;
        if now.as_ref().is_none_or(|known| known.number < still.number) {
            *now = Some(Box::new(still));
        }
    }

    /// After the world was replaced: whoever hears it finds the new one.
    pub fn registry(&self) {
        let _ = self.changes.send(Change::Registry);
    }

    pub fn alarm(&self, number: u64, alarm: Alarm, entry: Entry) {
        crate::metrics::alarms::count(&alarm, &entry);
        let _ = self.changes.send(Change::Alarm { number, alarm: Arc::new(alarm), entry: Arc::new(entry) });
    }
}
