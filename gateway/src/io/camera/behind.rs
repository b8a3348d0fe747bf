//! The camera, or the recorder with all its cameras: whatever can only be heard over one connection is gone with it, and back with it.

use super::Ends;
use crate::decode::REPORTS_MAX;
use crate::io::inlet::{Closed, Inbound};
use crate::model::{DeviceIx, Event, Freshness, Report};
use crate::units::Timestamp;

pub struct Behind {
    address: String,
    gone: Vec<DeviceIx>,
}

impl Behind {
    pub fn new(address: String) -> Self {
        Self { address, gone: Vec::new() }
    }

    pub async fn gone(&mut self, since: Timestamp, ends: &Ends) {
        self.gone = ends.world.load().registry.at_or_behind(&self.address).take(REPORTS_MAX).collect();
        let received = ends.clock.now().wall;
        let gone = |&device: &DeviceIx| Event::Gone { device, since, received };
        let _ = tell(self.gone.iter().map(gone).collect(), ends).await; // Else everything ends.
    }

    /// A recorder's camera may have nothing to say for days. One that lost its picture is told by the recorder, again and again.
    pub async fn back(&mut self, ends: &Ends) -> Result<(), Closed> {
        let received = ends.clock.now().wall;
        let alive = |device| {
            let freshness = Freshness::Live;
            Event::Report(Report { device, received, device_time: None, freshness, values: Vec::new() })
        };
        let events = self.gone.drain(..).map(alive).collect();
        tell(events, ends).await
    }
}

async fn tell(events: Vec<Event>, ends: &Ends) -> Result<(), Closed> {
    if events.is_empty() {
        return Ok(());
    }
    ends.inlet.send(Inbound { events, ..Inbound::default() }).await
}
