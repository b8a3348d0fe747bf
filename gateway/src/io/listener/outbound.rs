//! What waits for one subscriber, and which packet ids it has not acknowledged. Made at the first SUBSCRIBE only, because most devices never do.

use std::collections::{BTreeSet, VecDeque};

use bytes::BytesMut;
use rumqttc::mqttbytes::QoS;
use tokio::sync::mpsc;

use super::answer;
use super::hub::Delivery;
use super::packet::Version;

/// How many QoS 1 messages one subscriber may leave unacknowledged, if it does not ask for fewer.
pub const WINDOW_MAX: usize = 100;

/// How much of the retained store may wait for one connection; a client that subscribes again and again without reading is cut off.
pub const BACKLOG_MAX: usize = 2 * super::retained::TOPICS_MAX;

pub struct Outbound {
    /// Goes out before `queue`.
    backlog: VecDeque<Delivery>,
    queue: mpsc::Receiver<Delivery>,
    unacknowledged: BTreeSet<u16>,
    last_id: u16,
    window: usize,
}

impl Outbound {
    pub fn new(queue: mpsc::Receiver<Delivery>, window: usize) -> Self {
        let window = window.clamp(1, WINDOW_MAX);
        Self { backlog: VecDeque::new(), queue, unacknowledged: BTreeSet::new(), last_id: 0, window }
    }

    pub fn push(&mut self, delivery: Delivery) {
        self.backlog.push_back(delivery);
    }

    /// Moves what is queued behind what is in the backlog.
    pub fn gather(&mut self) {
        while let Ok(delivery) = self.queue.try_recv() {
            self.backlog.push_back(delivery);
        }
    }

    pub fn is_overfull(&self) -> bool {
        self.backlog.len() > BACKLOG_MAX
    }

    pub fn acknowledged(&mut self, id: u16) {
        self.unacknowledged.remove(&id);
    }

    /// Writes what may go out now, until `out` holds `out_max` bytes.
    pub fn write(&mut self, out: &mut BytesMut, out_max: usize, version: Version, packet_max: Option<u32>) {
        while self.has_window() && out.len() < out_max {
            let Some(next) = self.backlog.pop_front().or_else(|| self.queue.try_recv().ok()) else { return };
            let id = if next.qos == QoS::AtMostOnce { 0 } else { self.free_id() };
            if answer::delivery(out, version, &next, id, packet_max) && id != 0 {
                self.unacknowledged.insert(id);
            }
        }
    }

    /// Waits until [`Outbound::write`] has something new. Cancel-safe.
    pub async fn ready(&mut self) {
        match self.queue.recv().await {
            Some(delivery) => self.backlog.push_back(delivery),
            None => std::future::pending().await, // The hub let go of us; the eviction says why.
        }
    }

    pub fn has_window(&self) -> bool {
        self.unacknowledged.len() < self.window
    }

    fn free_id(&mut self) -> u16 {
        loop {
            self.last_id = self.last_id.checked_add(1).unwrap_or(1);
            if !self.unacknowledged.contains(&self.last_id) {
                return self.last_id;
            }
        }
    }
}
