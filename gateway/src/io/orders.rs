//! Hands orders to the network server: at once when the device was heard, else when it is heard next. What becomes of them comes back as messages, through the driver.
//!
//! An order is handed over at least once: after a power cut at the wrong moment the device is told twice, which for a setting is the same as once.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::select;
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;

use super::commands::{Commands, Topics};
use crate::clock::Clock;
use crate::decode::downlink::Way;
use crate::model::{DeviceIx, Event};
use crate::orders::{Order, Stage};
use crate::store::Store;
use crate::world;

/// The scheme of addresses of LoRaWAN devices.
pub const SCHEME: &str = "lora:";

/// Where LoRaWAN devices were heard last, since the start. As many as the registry has.
#[derive(Default)]
pub struct Ways {
    known: Mutex<Known>,
    bell: Notify,
}

#[derive(Default)]
struct Known {
    heard: BTreeMap<DeviceIx, Way>,
    /// Devices for which an order waits.
    wanted: BTreeSet<DeviceIx>,
    /// Those of them that were heard since they were tried last, or have a new order.
    ready: BTreeSet<DeviceIx>,
}

impl Ways {
    fn known(&self) -> MutexGuard<'_, Known> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A message on `topic` became these events.
    pub fn hear(&self, topic: &str, events: &[Event]) {
        let Some(Event::Report(report)) = events.first() else { return };
        if !topic.ends_with("/up") {
            return;
        }
        let mut known = self.known();
        if !known.heard.get(&report.device).is_some_and(|way| way.is_of(topic)) {
            let Some(way) = Way::heard(topic) else { return };
            known.heard.insert(report.device, way);
        }
        if known.wanted.contains(&report.device) {
            known.ready.insert(report.device);
            self.bell.notify_one();
        }
    }

    /// There is a new order for this device.
    pub fn ring(&self, device: DeviceIx) {
        self.known().ready.insert(device);
        self.bell.notify_one();
    }
}

pub struct Orders {
    pub ways: Arc<Ways>,
    pub commands: Arc<Commands>,
    pub store: Store,
    pub world: world::Shared,
    pub clock: Clock,
}

impl Orders {
    pub async fn run(self, stop: CancellationToken) -> anyhow::Result<()> {
        loop {
            select! {
                () = stop.cancelled() => return Ok(()),
                handed = self.hand_over() => handed?,
            }
            select! {
                () = stop.cancelled() => return Ok(()),
                () = self.ways.bell.notified() => (),
            }
        }
    }

    /// The orders that wait for devices that are ready; one that fails waits until its device is heard again.
    async fn hand_over(&self) -> anyhow::Result<()> {
        let ready = std::mem::take(&mut self.ways.known().ready);
        let waiting = self.store.orders_waiting(self.clock.now().wall).await?;
        self.ways.known().wanted = waiting.iter().map(|(_, order)| order.device).collect();
        for (number, order) in waiting.into_iter().filter(|(_, order)| ready.contains(&order.device)) {
            let way = self.ways.known().heard.get(&order.device).cloned();
            let Some(way) = way else { continue };
            // Sending takes its time: it may have been taken back while others went.
            let is_here = self.store.order(number).await?.is_some_and(|order| order.stage == Stage::Waiting);
            if !is_here {
                continue;
            }
            let handed = self.send(&order, &way).await;
            match &handed {
                Ok(()) => tracing::info!(number, "the network server has the order"),
                Err(why) => tracing::warn!(number, why, "the order waits until the device is heard again"),
            }
            self.store.order_handed(order.id, handed, self.clock.now().wall).await?;
        }
        Ok(())
    }

    async fn send(&self, order: &Order, way: &Way) -> Result<(), String> {
        let registry = self.world.load().registry.clone();
        let device = registry.device(order.device).filter(|device| !device.retired);
        let Some(eui) = device.and_then(|device| device.address.strip_prefix(SCHEME)) else {
            return Err("the device is no LoRaWAN device in service any more".into());
        };
        let message = way.message(&order.id, eui, order.port, &order.bytes);
        let topics = Topics { up: way.up(), down: way.down() };
        self.commands.send(&topics, message.into_bytes()).await.map(drop).map_err(|fault| fault.to_string())
    }
}
