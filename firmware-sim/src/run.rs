//! One run: the town, its clock, its MQTT links and its Modbus servers.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use anyhow::{Context, bail};
use tokio::net::TcpListener;
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep_until, timeout};
use tokio_util::sync::CancellationToken;

use crate::device::Moment;
use crate::faults::Act;
use crate::modbus::Hydrants;
use crate::mqtt::{Broker, Counters, Link, ORDERS_MAX, Order};
use crate::neighbourhood::Row;
use crate::scenario::Scenario;
use crate::town::{Deed, Town};

/// Told a sentence whenever something happens that a person would want to know.
pub type Say = Arc<dyn Fn(&str) + Send + Sync>;

/// How long the end of a run may take.
const FAREWELL: Duration = Duration::from_secs(8);
/// Never sleep longer, whatever the town says.
const SLEEP_MAX: Duration = Duration::from_secs(3_600);

pub struct Options {
    /// Without a broker nothing is sent over MQTT.
    pub broker: Option<Broker>,
    pub rows: Vec<Row>,
    pub scenarios: Vec<Scenario>,
    pub seed: u64,
    /// How many times faster than the world: heartbeats, fires, batteries. Device clocks show the world's time all the same.
    pub speed: f64,
    /// How many MQTT connections native devices may have between them.
    pub connections_max: usize,
    /// Serve the hydrants here as Modbus TCP.
    pub modbus_tcp: Option<TcpListener>,
    /// Serve the hydrants on this serial port or pseudo-terminal, at this baud rate.
    pub modbus_rtu: Option<(PathBuf, u32)>,
    pub say: Say,
    /// What else is to be done, beside the scenarios: device id and act. For tests and the demo.
    pub acts: Option<mpsc::Receiver<(String, Act)>>,
}

impl Options {
    /// Everything off, seed 1, at the world's speed.
    pub fn new(rows: Vec<Row>) -> Self {
        Self {
            broker: None,
            rows,
            scenarios: Vec::new(),
            seed: 1,
            speed: 1.0,
            connections_max: 500,
            modbus_tcp: None,
            modbus_rtu: None,
            say: Arc::new(|_| ()),
            acts: None,
        }
    }
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Summary {
    /// Messages given to the links.
    pub sent: u64,
    /// Messages (births and repeats included) that the broker acknowledged.
    pub acknowledged: u64,
    /// Messages given up because too many waited.
    pub lost: u64,
}

/// Runs until `stop`, or until a Modbus server fails. Trouble with the broker is told and waited out.
pub async fn run(options: Options, stop: CancellationToken) -> anyhow::Result<Summary> {
    let Options {
        broker,
        rows,
        scenarios,
        seed,
        speed,
        connections_max,
        modbus_tcp,
        modbus_rtu,
        say,
        mut acts,
    } = options;
    if !(0.01..=10_000.0).contains(&speed) {
        bail!("the speed must be between 0.01 and 10,000, not {speed}");
    }
    let clock = Clock::start(speed);
    let (mut town, told) = Town::new(&rows, &scenarios, seed, connections_max, clock.now())?;
    told.iter().for_each(|sentence| say(sentence));

    let mut tasks = JoinSet::new();
    if let Some(listener) = modbus_tcp {
        let address = listener.local_addr()?;
        say(&format!("{} hydrants answer Modbus TCP on {address}", town.pressures().units().len()));
        let server = Hydrants::new(town.pressures());
        tasks.spawn(server.serve_tcp(listener, stop.clone()));
    }
    if let Some((port, baud)) = modbus_rtu {
        say(&format!("{} hydrants answer Modbus RTU on {}", town.pressures().units().len(), port.display()));
        let server = Hydrants::new(town.pressures());
        let stop = stop.clone();
        tasks.spawn(async move { server.serve_rtu(&port, baud, stop).await });
    }
    let counters = Arc::new(Counters::default());
    let mut links = Vec::new();
    if let Some(broker) = broker {
        say(&format!(
            "{} devices on {} connections to {}:{}, seed {seed}",
            town.devices(),
            town.lines().len(),
            broker.host,
            broker.port
        ));
        for line in town.lines() {
            let (orders, orders_out) = mpsc::channel(ORDERS_MAX);
            links.push(orders);
            let link = Link {
                broker: broker.clone(),
                line: line.clone(),
                orders: orders_out,
                counters: counters.clone(),
                say: say.clone(),
            };
            tasks.spawn(async move {
                link.run().await;
                Ok(())
            });
        }
    }
    for scenario in &scenarios {
        say(&format!("scenario {}: {}", scenario.name, scenario.about));
    }

    let mut sent = 0;
    loop {
        let now = clock.now();
        carry_out(town.step(now), &links, &counters, &say, &mut sent);
        let wake = clock.instant_of(town.wake_at());
        tokio::select! {
            biased; // A task that ends because of `stop` must not look as if it ended on its own.
            () = stop.cancelled() => break,
            Some(ended) = tasks.join_next() => {
                ended.context("a task of the simulation broke")??;
                bail!("a part of the simulation ended without being asked");
            }
            Some((id, act)) = next(&mut acts) => {
                let mut deeds = Vec::new();
                match rows.iter().position(|row| row.id == id) {
                    Some(row) => town.act(row, act, clock.now(), &mut deeds),
                    None => say(&format!("there is no device {id}")),
                }
                carry_out(deeds, &links, &counters, &say, &mut sent);
            }
            () = sleep_until(wake) => (),
        }
    }
    drop(links); // The links send what waits, say farewell and end.
    let farewell = async {
        while let Some(ended) = tasks.join_next().await {
            ended.context("a task of the simulation broke")??;
        }
        anyhow::Ok(())
    };
    match timeout(FAREWELL, farewell).await {
        Ok(ended) => ended?,
        Err(_) => say("some connections did not end in time"), // Dropping the set ends them.
    }
    Ok(Summary {
        sent,
        acknowledged: counters.acknowledged.load(Ordering::Relaxed),
        lost: counters.lost.load(Ordering::Relaxed),
    })
}

/// Waits for ever when nobody can give acts any more.
async fn next(acts: &mut Option<mpsc::Receiver<(String, Act)>>) -> Option<(String, Act)> {
    let act = match acts {
        Some(acts) => acts.recv().await,
        None => None,
    };
    match act {
        Some(act) => Some(act),
        None => std::future::pending().await,
    }
}

fn carry_out(
    deeds: Vec<Deed>,
    links: &[mpsc::Sender<Order>],
    counters: &Counters,
    say: &Say,
    sent: &mut u64,
) {
    for deed in deeds {
        let (line, order) = match deed {
            Deed::Say(sentence) => {
                say(&sentence);
                continue;
            }
            Deed::Send { line, frame } => {
                *sent += 1;
                (line, Order::Send(frame))
            }
            Deed::Cut { line } => (line, Order::Cut),
            Deed::Mend { line } => (line, Order::Mend),
        };
        // A link takes orders whenever it is connected or told to stay away, so this fills only while a broker does not answer.
        if let Some(link) = links.get(line)
            && link.try_send(order).is_err()
        {
            counters.lost.fetch_add(1, Ordering::Relaxed);
        }
    }
}

struct Clock {
    started: Instant,
    started_ms: i64,
    speed: f64,
}

impl Clock {
    fn start(speed: f64) -> Self {
        #[expect(clippy::disallowed_methods, reason = "the only place here that asks; the town is told")]
        let now = SystemTime::now();
        let since = now.duration_since(UNIX_EPOCH).unwrap_or_default();
        Self { started: Instant::now(), started_ms: since.as_millis() as i64, speed }
    }

    fn now(&self) -> Moment {
        let ms = self.started.elapsed().as_secs_f64() * 1000.0;
        Moment { sim_ms: self.started_ms + (ms * self.speed) as i64, wall_ms: self.started_ms + ms as i64 }
    }

    /// When the simulation's clock will show `sim_ms`.
    fn instant_of(&self, sim_ms: i64) -> Instant {
        let ms = sim_ms.saturating_sub(self.started_ms).max(0) as f64 / self.speed;
        let wait = Duration::from_secs_f64((ms / 1000.0).min(1e9)) + Duration::from_millis(1);
        (self.started + wait).min(Instant::now() + SLEEP_MAX)
    }
}
