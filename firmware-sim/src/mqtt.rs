//! One MQTT connection of the simulation, kept alive: connect, publish with QoS 1, keep what is not acknowledged, send it again after a break.
//!
//! Every connection is a new client with a clean session; what must arrive waits in the link's own [`Outbox`], because rumqttc's queue forgets its
//! publishes when the session is gone. Dropping the event loop closes the socket without a farewell, which is how a will comes to be told.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use rumqttc::{AsyncClient, Event, EventLoop, LastWill, MqttOptions, Outgoing, Packet, QoS};
use tokio::sync::mpsc;
use tokio::time::{sleep, timeout};

use crate::Say;
use crate::device::Frame;
use crate::town::Line;

/// How many publishes of one connection may wait for their acknowledgement.
const WINDOW: usize = 20;
/// How many frames of one connection wait while it is broken; the oldest is given up for a new one.
const WAITING_MAX: usize = 1_000;
/// How many orders may wait for a link; the one who gives them counts what does not fit.
pub const ORDERS_MAX: usize = 256;
const KEEP_ALIVE: Duration = Duration::from_secs(15);
/// How long a link that is to end waits for its last acknowledgements.
const FAREWELL: Duration = Duration::from_secs(5);
const PAUSE_MAX: Duration = Duration::from_secs(10);

#[derive(Clone, Debug)]
pub struct Broker {
    pub host: String,
    pub port: u16,
    /// User and password.
    pub credentials: Option<(String, String)>,
}

#[derive(Debug)]
pub enum Order {
    Send(Frame),
    /// Break the connection without a farewell, and stay away.
    Cut,
    Mend,
}

/// Shared by all links of a run.
#[derive(Debug, Default)]
pub struct Counters {
    pub connected: AtomicUsize,
    pub acknowledged: AtomicU64,
    /// Given up because too much waited.
    pub lost: AtomicU64,
    /// Whether the trouble with the broker has been told.
    complained: AtomicBool,
}

pub struct Link {
    pub broker: Broker,
    pub line: Line,
    pub orders: mpsc::Receiver<Order>,
    pub counters: Arc<Counters>,
    pub say: Say,
}

/// What waits for its acknowledgement, oldest first; the first `in_flight` are published on this connection.
#[derive(Default)]
struct Outbox {
    waiting: VecDeque<Frame>,
    in_flight: usize,
    connected: bool,
    /// Told to stay away.
    cut: bool,
    /// No more will come: say farewell when all is acknowledged.
    closing: bool,
}

/// Why a connection ended.
enum End {
    Lost(String),
    Cut,
    Closed,
}

impl Link {
    /// Keeps the connection until the orders end, then says farewell.
    pub async fn run(mut self) {
        let outbox = Mutex::new(Outbox::default());
        let mut pause = Duration::ZERO;
        loop {
            let (client, events) = AsyncClient::new(self.options(), 2 * WINDOW);
            {
                let mut outbox = lock(&outbox);
                outbox.in_flight = 0;
                outbox.connected = false;
                // The newest birth is enough, and it comes before everything else.
                outbox.waiting.retain(|frame| !self.line.birth.contains(frame));
                for frame in self.line.birth.iter().rev() {
                    outbox.waiting.push_front(frame.clone());
                }
            }
            let counters = self.counters.clone();
            let watch = Watch { counters: &counters, say: &self.say, broker: &self.broker };
            let end = tokio::select! {
                end = poll(events, &client, &outbox, &watch) => end,
                end = obey(&mut self.orders, &client, &outbox, &counters) => end,
            };
            if lock(&outbox).connected {
                self.counters.connected.fetch_sub(1, Ordering::Relaxed);
                pause = Duration::ZERO;
            }
            match end {
                End::Closed => return,
                End::Lost(reason) => {
                    if !self.counters.complained.swap(true, Ordering::Relaxed) {
                        let Broker { host, port, .. } = &self.broker;
                        (self.say)(&format!("no connection to {host}:{port}: {reason}; trying again"));
                    }
                    pause = (pause * 2).clamp(Duration::from_millis(250), PAUSE_MAX);
                    let pause = pause.mul_f64(0.5 + 0.5 * fastrand::f64());
                    let gathered = timeout(pause, gather(&mut self.orders, &outbox, &self.counters)).await;
                    if matches!(gathered, Ok(None)) {
                        return;
                    }
                }
                End::Cut => lock(&outbox).cut = true,
            }
            let cut = lock(&outbox).cut;
            if cut && gather(&mut self.orders, &outbox, &self.counters).await.is_none() {
                return;
            }
        }
    }

    fn options(&self) -> MqttOptions {
        let mut options = MqttOptions::new(&self.line.client_id, &self.broker.host, self.broker.port);
        options.set_keep_alive(KEEP_ALIVE).set_clean_session(true).set_inflight(2 * WINDOW as u16);
        options.set_max_packet_size(256 * 1024, 256 * 1024);
        if let Some((user, password)) = &self.broker.credentials {
            options.set_credentials(user, password);
        }
        if let Some(will) = &self.line.will {
            options.set_last_will(LastWill::new(
                &will.topic,
                will.payload.clone(),
                QoS::AtLeastOnce,
                will.retain,
            ));
        }
        options
    }
}

/// Takes orders without a connection until a cut one is mended. `None`: the run ends.
async fn gather(
    orders: &mut mpsc::Receiver<Order>,
    outbox: &Mutex<Outbox>,
    counters: &Counters,
) -> Option<()> {
    loop {
        let order = orders.recv().await?;
        let mut outbox = lock(outbox);
        match order {
            Order::Send(frame) => outbox.put(frame, counters),
            Order::Cut => outbox.cut = true,
            Order::Mend => {
                if std::mem::take(&mut outbox.cut) {
                    return Some(());
                }
            }
        }
    }
}

struct Watch<'w> {
    counters: &'w Counters,
    say: &'w Say,
    broker: &'w Broker,
}

/// Drives one connection until it ends.
async fn poll(mut events: EventLoop, client: &AsyncClient, outbox: &Mutex<Outbox>, watch: &Watch<'_>) -> End {
    loop {
        match events.poll().await {
            Ok(Event::Incoming(Packet::ConnAck(_))) => {
                lock(outbox).connected = true;
                watch.counters.connected.fetch_add(1, Ordering::Relaxed);
                if watch.counters.complained.swap(false, Ordering::Relaxed) {
                    (watch.say)(&format!("connected to {}:{} again", watch.broker.host, watch.broker.port));
                }
            }
            Ok(Event::Incoming(Packet::PubAck(_))) => {
                let mut outbox = lock(outbox);
                if 0 < outbox.in_flight && outbox.waiting.pop_front().is_some() {
                    outbox.in_flight -= 1;
                    watch.counters.acknowledged.fetch_add(1, Ordering::Relaxed);
                }
            }
            Ok(Event::Outgoing(Outgoing::Disconnect)) => return End::Closed,
            Ok(Event::Incoming(_) | Event::Outgoing(_)) => (),
            Err(error) => return End::Lost(error.to_string()),
        }
        lock(outbox).pump(client);
    }
}

/// Takes orders until one ends the connection.
async fn obey(
    orders: &mut mpsc::Receiver<Order>,
    client: &AsyncClient,
    outbox: &Mutex<Outbox>,
    counters: &Counters,
) -> End {
    loop {
        match orders.recv().await {
            Some(Order::Send(frame)) => {
                let mut outbox = lock(outbox);
                outbox.put(frame, counters);
                outbox.pump(client);
            }
            Some(Order::Cut) => return End::Cut,
            Some(Order::Mend) => (),
            None => {
                {
                    let mut outbox = lock(outbox);
                    outbox.closing = true;
                    if !outbox.connected {
                        return End::Closed;
                    }
                    outbox.pump(client);
                }
                sleep(FAREWELL).await;
                return End::Closed;
            }
        }
    }
}

impl Outbox {
    fn put(&mut self, frame: Frame, counters: &Counters) {
        if WAITING_MAX <= self.waiting.len() {
            // Those in flight are numbered by their place; the oldest behind them goes.
            self.waiting.remove(self.in_flight);
            counters.lost.fetch_add(1, Ordering::Relaxed);
        }
        self.waiting.push_back(frame);
    }

    /// Publishes what fits into the window.
    fn pump(&mut self, client: &AsyncClient) {
        while self.connected && self.in_flight < WINDOW {
            let Some(frame) = self.waiting.get(self.in_flight) else { break };
            let sent =
                client.try_publish(&frame.topic, QoS::AtLeastOnce, frame.retain, frame.payload.clone());
            if sent.is_err() {
                return; // Its queue is full; the next event pumps again.
            }
            self.in_flight += 1;
        }
        if self.closing && self.waiting.is_empty() {
            let _ = client.try_disconnect(); // Tried again after the next event.
        }
    }
}

fn lock(outbox: &Mutex<Outbox>) -> MutexGuard<'_, Outbox> {
    outbox.lock().unwrap_or_else(PoisonError::into_inner)
}
