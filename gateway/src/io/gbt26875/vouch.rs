//! A transmission device vouches for what is behind it.
//!
//! A panel watches its own detectors and tells of a change, so a detector that has nothing to say is silent for months, and must not be taken for dead while its panel lives. When the
//! transmission device is silent nobody vouches any more.

use std::collections::BTreeMap;
use std::time::Duration;

use tokio::time::Instant;

use crate::decode::gbt26875::Station;
use crate::grid::Registry;
use crate::model::{DeviceIx, Event, Freshness, Report};
use crate::units::Timestamp;
use crate::wire::gbt26875::Address;

/// Shorter than the shortest silence that the shipped rules allow behind a panel, 300 s for a hydrant.
const EVERY: Duration = Duration::from_secs(240);

#[derive(Default)]
pub struct Vouching {
    /// Of the registry from which `behind` was made.
    version: Option<u64>,
    behind: BTreeMap<Address, Vec<DeviceIx>>,
    last: BTreeMap<Address, Instant>,
}

impl Vouching {
    /// That everything behind the device lives, when it is time to say so again.
    pub fn due(
        &mut self,
        device: Address,
        registry: &Registry,
        now: Instant,
        received: Timestamp,
    ) -> Vec<Event> {
        if self.last.get(&device).is_some_and(|last| now.saturating_duration_since(*last) < EVERY) {
            return Vec::new();
        }
        self.last.insert(device, now);
        if self.version != Some(registry.version()) {
            self.version = Some(registry.version());
            self.behind = behind(registry);
        }
        let alive = |&device: &DeviceIx| {
            let freshness = Freshness::Live;
            Event::Report(Report { device, received, device_time: None, freshness, values: Vec::new() })
        };
        self.behind.get(&device).into_iter().flatten().map(alive).collect()
    }
}

fn behind(registry: &Registry) -> BTreeMap<Address, Vec<DeviceIx>> {
    let mut behind: BTreeMap<Address, Vec<DeviceIx>> = BTreeMap::new();
    for device in registry.devices().iter().filter(|device| !device.retired) {
        match device.address.parse() {
            Ok(station @ (Station::System(..) | Station::Component(..))) => {
                behind.entry(station.device()).or_default().push(device.ix);
            }
            Ok(Station::Device(_)) | Err(()) => (),
        }
    }
    behind
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::clock;
    use crate::decode::samples::context_with;

    #[tokio::test]
    async fn what_is_behind_a_device_lives_with_it() {
        let addresses = [
            "gbt26875:889",
            "gbt26875:889/1.1",
            "gbt26875:889/1.1/10.2",
            "gbt26875:890/1.1/10.2",
            "native:X",
        ];
        let registry = context_with(&addresses, Arc::default()).registry;
        let device = Address::new(889).expect("48 bits");
        let (mut vouching, now) = (Vouching::default(), clock::ticks());
        let mut alive = |s| -> Vec<u32> {
            let events = vouching.due(device, &registry, now + Duration::from_secs(s), Timestamp(7));
            let ix = |event| match event {
                Event::Report(report) if report.values.is_empty() => report.device.0,
                Event::Report(_) | Event::Gone { .. } | Event::Action(_) => panic!("only signs of life"),
            };
            events.into_iter().map(ix).collect()
        };
        assert_eq!(alive(0), [1, 2]);
        assert_eq!(alive(239), [] as [u32; 0]);
        assert_eq!(alive(240), [1, 2]);
    }
}
