//! The way from every source to the driver: two bounded queues, so that a fire waits behind no telemetry.
//!
//! When a queue is full the source waits, and so stops reading its socket: unacknowledged messages stay with the sender.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};

use tokio::sync::{mpsc, oneshot};

use super::acks::Ticket;
use super::orders::Ways;
use super::stills::Stills;
use crate::decode::camera::Still;
use crate::decode::downlink;
use crate::engine::Answer;
use crate::model::{Action, DeadLetter, Event};
use crate::store::repeats::Repeatable;
use crate::units::Timestamp;
use crate::waiting::Sighting;

/// How many messages may wait in each queue.
pub const QUEUE_MAX: usize = 4096;

/// What one message from a source became.
#[derive(Default)]
pub struct Inbound {
    pub events: Vec<Event>,
    pub dead: Vec<DeadLetter>,
    /// Who spoke and is not registered.
    pub strangers: Vec<Sighting>,
    /// What a network server says of an order, and when.
    pub order: Option<Box<(downlink::Answer, Timestamp)>>,
    pub safe: Safe,
    /// Given by a client that may send the same action again.
    pub repeatable: Option<Box<Repeatable>>,
    /// Its place in the order in which everything was sent; given by the inlet. What one device said stays in order by it, over both queues.
    pub place: u64,
}

impl Inbound {
    /// There is nothing to keep.
    pub fn is_empty(&self) -> bool {
        self.events.is_empty() && self.dead.is_empty() && self.strangers.is_empty() && self.order.is_none()
    }

    /// Whether it must overtake telemetry: something in it reports fire, or a person acts.
    pub fn is_urgent(&self) -> bool {
        let burns = |sighting: &Sighting| sighting.stranger.burns() == Some(true);
        self.events.iter().any(Event::is_urgent) || self.strangers.iter().any(burns)
    }
}

/// Whom to tell that it is on disk.
#[derive(Default)]
pub enum Safe {
    /// Nobody: the source cannot repeat it.
    #[default]
    Nobody,
    Ticket(Ticket),
    /// The one who acted, with what became of the one action in `events`. Dropped unused when the store failed.
    Answer(oneshot::Sender<Answer>),
}

#[derive(Clone)]
pub struct Inlet {
    urgent: mpsc::Sender<Inbound>,
    routine: mpsc::Sender<Inbound>,
    sent: Arc<AtomicU64>,
    /// Where LoRaWAN devices were heard.
    pub ways: Arc<Ways>,
    /// Pictures never stand in the queues.
    stills: Arc<OnceLock<Stills>>,
}

/// The driver's end.
pub struct Outlet {
    pub urgent: mpsc::Receiver<Inbound>,
    pub routine: mpsc::Receiver<Inbound>,
}

/// The driver is gone; the source should end.
#[derive(Debug, thiserror::Error)]
#[error("the gateway is stopping")]
pub struct Closed;

/// Why [`Inlet::try_send`] did not take a message.
pub enum NotTaken {
    /// There is no room; the message comes back.
    Full(Inbound),
    /// The driver is gone; the source should end.
    Closed,
}

pub fn channel() -> (Inlet, Outlet) {
    let (urgent, urgent_out) = mpsc::channel(QUEUE_MAX);
    let (routine, routine_out) = mpsc::channel(QUEUE_MAX);
    (
        Inlet { urgent, routine, sent: Arc::default(), ways: Arc::default(), stills: Arc::default() },
        Outlet { urgent: urgent_out, routine: routine_out },
    )
}

impl Inlet {
    /// Waits while the queue is full.
    pub async fn send(&self, inbound: Inbound) -> Result<(), Closed> {
        let inbound = self.placed(inbound);
        self.queue(&inbound).send(inbound).await.map_err(|_| Closed)
    }

    /// For a source that must not wait: one that keeps its own time, such as a poll, or serves many at once.
    pub fn try_send(&self, inbound: Inbound) -> Result<(), NotTaken> {
        let inbound = self.placed(inbound);
        self.queue(&inbound).try_send(inbound).map_err(|refused| match refused {
            mpsc::error::TrySendError::Full(inbound) => NotTaken::Full(inbound),
            mpsc::error::TrySendError::Closed(_) => NotTaken::Closed,
        })
    }

    fn placed(&self, inbound: Inbound) -> Inbound {
        Inbound { place: self.sent.fetch_add(1, Ordering::Relaxed), ..inbound }
    }

    fn queue(&self, inbound: &Inbound) -> &mpsc::Sender<Inbound> {
        if inbound.is_urgent() { &self.urgent } else { &self.routine }
    }

    /// Where pictures that come over MQTT are kept; before that they are dropped.
    pub fn keep_stills_in(&self, stills: Stills) {
        let _ = self.stills.set(stills); // There is one keeper.
    }

    /// What of a message on `topic` goes another way than to the driver, and waits for nothing.
    pub fn aside(&self, topic: &str, events: &[Event], stills: Vec<Still>) {
        self.ways.hear(topic, events);
        if let Some(keeper) = self.stills.get() {
            keeper.keep_beside(stills);
        }
    }

    /// A person's action; returns what became of it after it is on disk.
    pub async fn act(&self, action: Action) -> Result<Answer, Closed> {
        self.act_once(action, None).await
    }

    /// The same for an action that may come again: that it is done is stored with it.
    pub async fn act_once(&self, action: Action, repeatable: Option<Repeatable>) -> Result<Answer, Closed> {
        let (answer, answered) = oneshot::channel();
        self.send(Inbound {
            events: vec![Event::Action(action)],
            safe: Safe::Answer(answer),
            repeatable: repeatable.map(Box::new),
            ..Inbound::default()
        })
        .await?;
        answered.await.map_err(|_| Closed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_full_queue_refuses_and_a_closed_one_says_so() {
        let (inlet, outlet) = channel();
        for _ in 0..QUEUE_MAX {
            assert!(inlet.try_send(Inbound::default()).is_ok(), "there is room");
        }
        assert!(matches!(inlet.try_send(Inbound::default()), Err(NotTaken::Full(_))));
        drop(outlet);
        assert!(matches!(inlet.try_send(Inbound::default()), Err(NotTaken::Closed)));
    }
}
