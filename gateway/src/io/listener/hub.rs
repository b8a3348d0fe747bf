//! Who is connected: seats, take-over, subscriptions, and the gateway's own publications to subscribers.
//!
//! A seat belongs to a user and a client id together, so that no user can throw out another's device. Messages go from the gateway to
//! subscribers only; there is no way from device to device. Nothing here waits.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};

use bytes::Bytes;
use rumqttc::mqttbytes::QoS;
use tokio::sync::mpsc::error::TrySendError;
use tokio::sync::{Notify, mpsc};

use super::answer::Denial;
use super::outbound::Outbound;
use super::packet::{SendRetained, Wish};
use super::retained::Retained;
use crate::decode::filter_matches;

/// How many messages wait for one subscriber. When full, QoS 0 is dropped and for QoS 1 the subscriber is cut off: it will
/// connect again and find the retained state, which is better than a gap it does not know of.
pub const QUEUE_MAX: usize = 256;

/// How many filters one connection may subscribe to.
pub const SUBSCRIPTIONS_MAX: usize = 100;

/// A message of the gateway, shared by all who get it.
#[derive(Debug, PartialEq, Eq)]
pub struct Publication {
    pub topic: String,
    pub payload: Bytes,
}

/// A message on its way to one subscriber.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Delivery {
    pub publication: Arc<Publication>,
    pub qos: QoS,
    pub retain: bool,
}

pub struct Hub {
    seats_max: usize,
    inner: Mutex<Inner>,
    retained_full_said: AtomicBool,
}

#[derive(Default)]
struct Inner {
    stopping: bool,
    next: u64,
    seats: HashMap<SeatName, (u64, Arc<Eviction>)>,
    subscribers: HashMap<u64, Subscriber>,
    retained: Retained,
}

struct Subscriber {
    wishes: Vec<Wish>,
    queue: mpsc::Sender<Delivery>,
    eviction: Arc<Eviction>,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct SeatName {
    user: Arc<str>,
    client_id: Arc<str>,
}

/// Why the hub wants a connection to end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Why {
    TakenOver,
    SlowReader,
    Stopping,
}

#[derive(Default)]
pub struct Eviction {
    why: OnceLock<Why>,
    wake: Notify,
}

impl Eviction {
    fn evict(&self, why: Why) {
        if self.why.set(why).is_ok() {
            self.wake.notify_one();
        }
    }

    pub async fn wait(&self) -> Why {
        loop {
            if let Some(why) = self.why.get() {
                return *why;
            }
            self.wake.notified().await;
        }
    }
}

/// A place among the connections; free again when dropped.
pub struct Seat {
    hub: Arc<Hub>,
    name: SeatName,
    number: u64,
    pub eviction: Arc<Eviction>,
}

impl Hub {
    pub fn new(seats_max: usize) -> Self {
        Self { seats_max, inner: Mutex::default(), retained_full_said: AtomicBool::new(false) }
    }

    /// Takes a seat. Whoever sits there already is evicted.
    pub fn enter(self: &Arc<Self>, user: &Arc<str>, client_id: &str) -> Result<Seat, Denial> {
        let name = SeatName { user: user.clone(), client_id: Arc::from(client_id) };
        let eviction = Arc::new(Eviction::default());
        let mut inner = self.lock();
        if inner.stopping {
            return Err(Denial::Stopping);
        }
        if inner.seats.len() >= self.seats_max && !inner.seats.contains_key(&name) {
            return Err(Denial::Full);
        }
        inner.next += 1;
        let number = inner.next;
        if let Some((old, evicted)) = inner.seats.insert(name.clone(), (number, eviction.clone())) {
            inner.subscribers.remove(&old);
            evicted.evict(Why::TakenOver);
        }
        metrics::gauge!("gridwarden_listener_connections").set(inner.seats.len() as f64);
        Ok(Seat { hub: self.clone(), name, number, eviction })
    }

    pub fn seats(&self) -> usize {
        self.lock().seats.len()
    }

    /// Evicts all and lets nobody in any more.
    pub fn stop(&self) {
        let mut inner = self.lock();
        inner.stopping = true;
        for (_, eviction) in inner.seats.values() {
            eviction.evict(Why::Stopping);
        }
    }

    /// Queues a message of the gateway for every subscriber, and says for how many.
    pub fn publish(&self, publication: Publication, qos: QoS, retain: bool) -> usize {
        let publication = Arc::new(publication);
        let mut inner = self.lock();
        if retain && !inner.retained.keep(&publication, qos) {
            metrics::counter!("gridwarden_listener_retained_full_total").increment(1);
            if !self.retained_full_said.swap(true, Ordering::Relaxed) {
                tracing::warn!(
                    topic = publication.topic,
                    "too many retained topics; later subscribers will not see new ones"
                );
            }
        }
        let mut queued = 0;
        inner.subscribers.retain(|_, subscriber| {
            let Some((granted, keep_flag)) = subscriber.wants(&publication.topic) else { return true };
            let qos = if granted < qos { granted } else { qos };
            let delivery = Delivery { publication: publication.clone(), qos, retain: retain && keep_flag };
            match subscriber.queue.try_send(delivery) {
                Ok(()) => queued += 1,
                Err(TrySendError::Full(_)) if qos == QoS::AtMostOnce => {
                    metrics::counter!("gridwarden_listener_dropped_total").increment(1);
                }
                Err(TrySendError::Full(_)) => {
                    subscriber.eviction.evict(Why::SlowReader);
                    return false;
                }
                Err(TrySendError::Closed(_)) => return false,
            }
            true
        });
        queued
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Subscriber {
    /// The best QoS among the filters that match, as MQTT wants one delivery for several of them.
    fn wants(&self, topic: &str) -> Option<(QoS, bool)> {
        let matching = self.wishes.iter().filter(|wish| filter_matches(&wish.filter, topic));
        matching.fold(None, |best, wish| {
            let (qos, keep_flag) = best.unwrap_or((wish.qos, false));
            Some((if qos < wish.qos { wish.qos } else { qos }, keep_flag || wish.keep_flag))
        })
    }
}

impl Seat {
    /// Subscribes and puts the retained messages into `outbound`, before anything that is published from now on. `None` when there are
    /// too many subscriptions.
    pub fn subscribe(&self, wish: Wish, outbound: &mut Option<Box<Outbound>>, window: usize) -> Option<()> {
        let inner = &mut *self.hub.lock();
        let subscriber = match inner.subscribers.get_mut(&self.number) {
            Some(subscriber) => subscriber,
            None => {
                let (queue, receiver) = mpsc::channel(QUEUE_MAX);
                *outbound = Some(Box::new(Outbound::new(receiver, window)));
                let subscriber = Subscriber { wishes: Vec::new(), queue, eviction: self.eviction.clone() };
                inner.subscribers.entry(self.number).or_insert(subscriber)
            }
        };
        let outbound = outbound.as_deref_mut()?;
        let place = subscriber.wishes.iter().position(|old| old.filter == wish.filter);
        if place.is_none() && subscriber.wishes.len() >= SUBSCRIPTIONS_MAX {
            return None;
        }
        let send_retained = match wish.retained {
            SendRetained::Always => true,
            SendRetained::IfNew => place.is_none(),
            SendRetained::Never => false,
        };
        if send_retained {
            // What was published before this moment goes out before the retained state, or an old state would come last.
            outbound.gather();
            for (publication, qos) in inner.retained.matching(&wish.filter) {
                let qos = if wish.qos < *qos { wish.qos } else { *qos };
                outbound.push(Delivery { publication: publication.clone(), qos, retain: true });
            }
        }
        match place {
            Some(place) => subscriber.wishes[place] = wish,
            None => subscriber.wishes.push(wish),
        }
        Some(())
    }

    /// `false` when there was no such subscription.
    pub fn unsubscribe(&self, filter: &str) -> bool {
        let mut inner = self.hub.lock();
        let Some(subscriber) = inner.subscribers.get_mut(&self.number) else { return false };
        let before = subscriber.wishes.len();
        subscriber.wishes.retain(|wish| wish.filter != filter);
        subscriber.wishes.len() < before
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        let mut inner = self.hub.lock();
        inner.subscribers.remove(&self.number);
        // After a take-over the seat is the new connection's.
        if inner.seats.get(&self.name).is_some_and(|(number, _)| *number == self.number) {
            inner.seats.remove(&self.name);
        }
        metrics::gauge!("gridwarden_listener_connections").set(inner.seats.len() as f64);
    }
}

#[cfg(test)]
mod tests;
