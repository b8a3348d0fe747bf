//! The listener with a stand-in for the driver, whose commits a test can hold back.

use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use gateway::config;
use gateway::decode::{Decoded, Message};
use gateway::io::acks::Ticket;
use gateway::io::inlet::{self, Inbound, Outlet, Safe};
use gateway::io::intake::{inbound, refused};
use gateway::io::listener::{Intake, Listener, ListenerHandle, Patience};
use gateway::model::{DeviceIx, Event, Freshness, Metric, Quality, Report, Value};
use gateway::units::Timestamp;
use tests::neighbours::eventually;
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

/// One message as the driver got it.
#[derive(Clone, Debug, PartialEq)]
pub struct Seen {
    pub topic: String,
    pub payload: String,
    pub dup: bool,
    /// `since` and `received` of the Gone that it became.
    pub gone: Option<(Timestamp, Timestamp)>,
}

/// What the stand-in does with the commits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Commits {
    AtOnce,
    Held,
    /// Those held before are done now, newest first.
    ReleasedBackwards,
    /// Nothing is even taken from the queue.
    Stalled,
}

pub struct Station {
    pub port: u16,
    pub handle: ListenerHandle,
    seen: Arc<Mutex<Vec<Seen>>>,
    commits: watch::Sender<Commits>,
    stop: CancellationToken,
    tasks: JoinSet<()>,
}

pub const QUICK: Patience = Patience {
    connect: Duration::from_millis(400),
    write: Duration::from_millis(500),
    stop: Duration::from_secs(5),
    denial: Duration::from_millis(10),
    last_words: Duration::from_millis(500),
};

impl Station {
    pub async fn open(settings: &str) -> Self {
        Self::open_in(Path::new("."), settings, QUICK).await
    }

    pub async fn open_in(folder: &Path, settings: &str, patience: Patience) -> Self {
        let config: config::Listener =
            toml::from_str(&format!("bind = '127.0.0.1:0'\n{settings}")).expect("the settings of the test");
        let listener = Listener::bind(&config, folder).await.expect("a free port").with_patience(patience);
        let port = listener.local_addr().unwrap().port();
        let handle = listener.handle();
        let (inlet, outlet) = inlet::channel();
        let (stop, seen) = (CancellationToken::new(), Arc::default());
        let commits = watch::Sender::new(Commits::AtOnce);
        let mut tasks = JoinSet::new();
        tasks.spawn(commit(outlet, Arc::clone(&seen), commits.subscribe()));
        let (intake, stopped): (Intake, _) = (Arc::new(|_| Box::new(intake)), stop.clone());
        tasks.spawn(async move { listener.run_with(intake, inlet, stopped).await.unwrap() });
        Self { port, handle, seen, commits, stop, tasks }
    }

    pub fn commits(&self, commits: Commits) {
        self.commits.send_replace(commits);
    }

    pub fn seen(&self) -> Vec<Seen> {
        self.seen.lock().unwrap().clone()
    }

    pub fn payloads(&self) -> Vec<String> {
        self.seen().into_iter().map(|seen| seen.payload).collect()
    }

    pub async fn wait_for(&self, what: &str, found: impl Fn(&[Seen]) -> bool) -> Vec<Seen> {
        eventually(what, 20, async || Some(self.seen()).filter(|seen| found(seen))).await
    }

    pub async fn wait_for_connections(&self, count: usize) {
        eventually("connections", 20, async || (self.handle.connections() == count).then_some(())).await;
    }

    pub fn begin_stop(&self) {
        self.stop.cancel();
    }

    /// Stops, and waits until listener and driver are down.
    pub async fn stop(mut self) -> Vec<Seen> {
        self.stop.cancel();
        while let Some(ended) = self.tasks.join_next().await {
            ended.unwrap();
        }
        self.seen()
    }
}

/// Every message becomes a dead letter that carries it, except a `fire` and the `offline` of a will.
fn intake(message: &Message<'_>) -> Inbound {
    let mut events = Vec::new();
    if message.payload == b"fire" {
        events.push(Event::Report(Report {
            device: DeviceIx(0),
            received: message.received,
            device_time: None,
            freshness: Freshness::Live,
            values: vec![Value { metric: Metric::SMOKE, value: 1.0, quality: Quality::Good }],
        }));
    }
    if message.payload == b"offline" || message.payload == br#"{"state":"offline"}"# {
        events.push(Event::Gone { device: DeviceIx(0), since: message.received, received: message.received });
    }
    let dup = if message.dup { "dup" } else { "" };
    inbound("listener", message, Decoded { events, ..refused(dup.into()) })
}

async fn commit(mut outlet: Outlet, seen: Arc<Mutex<Vec<Seen>>>, mut commits: watch::Receiver<Commits>) {
    let mut held = Vec::new();
    loop {
        if commits.wait_for(|commits| *commits != Commits::Stalled).await.is_err() {
            return;
        }
        match *commits.borrow() {
            Commits::Held | Commits::Stalled => (),
            Commits::AtOnce => held.drain(..).for_each(Ticket::done),
            Commits::ReleasedBackwards => held.drain(..).rev().for_each(Ticket::done),
        }
        let inbound = tokio::select! {
            biased;
            changed = commits.changed() => {
                if changed.is_err() { return }
                None
            }
            // Both queues close together, when the listener is down.
            Some(inbound) = outlet.urgent.recv() => Some(inbound),
            inbound = outlet.routine.recv() => match inbound {
                Some(inbound) => Some(inbound),
                None => return,
            },
        };
        if let Some(inbound) = inbound {
            let gone = inbound.events.iter().find_map(|event| match event {
                Event::Gone { since, received, .. } => Some((*since, *received)),
                Event::Report(_) | Event::Action(_) => None,
            });
            seen.lock().unwrap().extend(inbound.dead.into_iter().map(|letter| Seen {
                topic: letter.address,
                payload: String::from_utf8_lossy(&letter.payload).into_owned(),
                dup: letter.reason == "dup",
                gone,
            }));
            if let Safe::Ticket(ticket) = inbound.safe {
                held.push(ticket);
            }
        }
    }
}
