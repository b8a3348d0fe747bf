//! The way from every source to the driver: two bounded queues, so that a fire waits behind no telemetry.
//!
//! When a queue is full the source waits, and so stops reading its socket: unacknowledged messages stay with the sender. Messages that a source
//! reads together may go together; what a queue holds is counted in messages all the same, until the driver has taken them up.

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};

use tokio::sync::{OwnedSemaphorePermit, Semaphore, TryAcquireError, mpsc, oneshot};

use super::acks::Ticket;
use super::orders::Ways;
use super::stills::Stills;
use crate::decode::camera::Still;
use crate::decode::downlink;
use crate::engine::Answer;
use crate::model::{Action, DeadLetter, DeviceIx, Event};
use crate::store::repeats::Repeatable;
use crate::units::Timestamp;
use crate::waiting::Sighting;

/// How many messages may wait in each queue.
pub const QUEUE_MAX: usize = 4096;

/// How many messages may go together at most. More would save nothing, and a fire would wait for more of them that go along with it.
pub const TOGETHER_MAX: usize = 64;

/// What one message from a source became, or several that were read together.
#[derive(Default)]
pub struct Inbound {
    pub events: Vec<Event>,
    pub dead: Vec<DeadLetter>,
    /// Who spoke and is not registered.
    pub strangers: Vec<Sighting>,
    /// What a network server says of an order, and when.
    pub orders: Vec<(downlink::Answer, Timestamp)>,
    pub safe: Safe,
    /// Given by a client that may send the same action again.
    pub repeatable: Option<Box<Repeatable>>,
    /// Its place in the order in which everything was sent; given by the inlet. What one device said stays in order by it, over both queues.
    pub place: u64,
    /// How many messages it is of, beside the first.
    pub further: usize,
    /// Its room in the queue; given by the inlet, free again when it is dropped.
    pub room: Option<OwnedSemaphorePermit>,
}

impl Inbound {
    /// There is nothing to keep.
    pub fn is_empty(&self) -> bool {
        self.events.is_empty() && self.dead.is_empty() && self.strangers.is_empty() && self.orders.is_empty()
    }

    pub fn messages(&self) -> usize {
        1 + self.further
    }

    /// The next message goes with it. Neither may be urgent or wait for an answer.
    pub fn append(&mut self, mut next: Inbound) {
        self.events.append(&mut next.events);
        self.dead.append(&mut next.dead);
        self.strangers.append(&mut next.strangers);
        self.orders.append(&mut next.orders);
        self.further += next.messages();
    }

    /// What it says of these devices, and the rest. Its sender is told with the rest, which comes later.
    pub fn split(mut self, devices: &BTreeSet<DeviceIx>) -> (Option<Inbound>, Option<Inbound>) {
        let is_of = |event: &mut Event| event.reporter().is_some_and(|device| devices.contains(&device));
        let events: Vec<Event> = self.events.extract_if(.., is_of).collect();
        match (events.is_empty(), self.is_empty()) {
            (true, _) => (None, Some(self)),
            (false, true) => (Some(Inbound { events, ..self }), None),
            (false, false) => (Some(Inbound { events, place: self.place, ..Inbound::default() }), Some(self)),
        }
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
    urgent: Queue,
    routine: Queue,
    sent: Arc<AtomicU64>,
    /// Where LoRaWAN devices were heard.
    pub ways: Arc<Ways>,
    /// Pictures never stand in the queues.
    stills: Arc<OnceLock<Stills>>,
}

/// One way in; it holds [`QUEUE_MAX`] messages.
#[derive(Clone)]
struct Queue {
    /// Never holds more than there is room for.
    sender: mpsc::UnboundedSender<Inbound>,
    room: Arc<Semaphore>,
}

/// The driver's end.
pub struct Outlet {
    pub urgent: mpsc::UnboundedReceiver<Inbound>,
    pub routine: mpsc::UnboundedReceiver<Inbound>,
}

/// The driver is gone; the source should end.
#[derive(Debug, thiserror::Error)]
#[error("the gateway is stopping")]
pub struct Closed;

/// Why [`Inlet::try_send`] did not take a message.
pub enum NotTaken {
    /// There is no room; the message comes back.
    Full(Box<Inbound>),
    /// The driver is gone; the source should end.
    Closed,
}

pub fn channel() -> (Inlet, Outlet) {
    let (urgent, urgent_out) = Queue::new();
    let (routine, routine_out) = Queue::new();
    (
        Inlet { urgent, routine, sent: Arc::default(), ways: Arc::default(), stills: Arc::default() },
        Outlet { urgent: urgent_out, routine: routine_out },
    )
}

impl Queue {
    fn new() -> (Self, mpsc::UnboundedReceiver<Inbound>) {
        let (sender, receiver) = mpsc::unbounded_channel();
        (Self { sender, room: Arc::new(Semaphore::new(QUEUE_MAX)) }, receiver)
    }

    async fn send(&self, inbound: Inbound) -> Result<(), Closed> {
        let room = self.room.clone().acquire_many_owned(inbound.messages() as u32).await;
        let room = Some(room.map_err(|_| Closed)?);
        self.sender.send(Inbound { room, ..inbound }).map_err(|_| Closed)
    }

    fn try_send(&self, inbound: Inbound) -> Result<(), NotTaken> {
        if self.sender.is_closed() {
            return Err(NotTaken::Closed);
        }
        match self.room.clone().try_acquire_many_owned(inbound.messages() as u32) {
            Ok(room) => {
                let inbound = Inbound { room: Some(room), ..inbound };
                self.sender.send(inbound).map_err(|_| NotTaken::Closed)
            }
            Err(TryAcquireError::NoPermits) => Err(NotTaken::Full(Box::new(inbound))),
            Err(TryAcquireError::Closed) => Err(NotTaken::Closed),
        }
    }
}

impl Inlet {
    /// Waits while the queue is full.
    pub async fn send(&self, inbound: Inbound) -> Result<(), Closed> {
        let inbound = self.placed(inbound);
        self.queue(&inbound).send(inbound).await
    }

    /// For a source that must not wait: one that keeps its own time, such as a poll, or serves many at once.
    pub fn try_send(&self, inbound: Inbound) -> Result<(), NotTaken> {
        let inbound = self.placed(inbound);
        self.queue(&inbound).try_send(inbound)
    }

    fn placed(&self, inbound: Inbound) -> Inbound {
        Inbound { place: self.sent.fetch_add(1, Ordering::Relaxed), ..inbound }
    }

    fn queue(&self, inbound: &Inbound) -> &Queue {
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
    use crate::io::acks::AckLine;

    fn report(device: u32) -> Inbound {
        let device = DeviceIx(device);
        let gone = Event::Gone { device, since: Timestamp(0), received: Timestamp(0) };
        Inbound { events: vec![gone], ..Inbound::default() }
    }

    fn together(messages: usize) -> Inbound {
        let mut all = report(0);
        (1..messages as u32).for_each(|device| all.append(report(device)));
        all
    }

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

    #[tokio::test]
    async fn messages_are_counted_however_they_come_and_until_they_are_taken_up() {
        let (inlet, mut outlet) = channel();
        for _ in 0..QUEUE_MAX / TOGETHER_MAX {
            assert!(inlet.try_send(together(TOGETHER_MAX)).is_ok(), "there is room");
        }
        assert!(matches!(inlet.try_send(Inbound::default()), Err(NotTaken::Full(_))));
        let taken = outlet.routine.try_recv().expect("the first");
        assert_eq!((taken.messages(), taken.events.len()), (TOGETHER_MAX, TOGETHER_MAX));
        assert!(
            matches!(inlet.try_send(Inbound::default()), Err(NotTaken::Full(_))),
            "the driver has it in its hand"
        );
        drop(taken);
        assert!(inlet.try_send(together(TOGETHER_MAX)).is_ok());
        let waits = inlet.send(Inbound::default());
        tokio::pin!(waits);
        assert!(futures::poll!(&mut waits).is_pending());
        drop(outlet);
        assert!(waits.await.is_err(), "the driver is gone");
    }

    #[test]
    fn what_is_said_of_some_devices_is_taken_out_in_order() {
        let devices = |inbound: Option<Inbound>| -> Vec<u32> {
            let events = inbound.map_or_else(Vec::new, |inbound| inbound.events);
            events.iter().filter_map(Event::reporter).map(|device| device.0).collect()
        };
        for (wanted, theirs, others) in [
            (&[9][..], vec![], vec![0, 1, 2, 3]),
            (&[3, 1, 9], vec![1, 3], vec![0, 2]),
            (&[0, 1, 2, 3], vec![0, 1, 2, 3], vec![]),
        ] {
            let mut line = AckLine::default();
            let wanted = wanted.iter().copied().map(DeviceIx).collect();
            let safe = Safe::Ticket(line.issue(()));
            let (taken, rest) = Inbound { safe, ..together(4) }.split(&wanted);
            let last = rest.as_ref().or(taken.as_ref()).map(|last| &last.safe);
            assert!(matches!(last, Some(Safe::Ticket(_))), "its sender is told when all of it is on disk");
            assert_eq!((devices(taken), devices(rest)), (theirs, others));
        }
    }
}
