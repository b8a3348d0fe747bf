//! From a broker outside into a database over the InfluxDB API, beside Node-RED; and collectd, which takes values from a broker too.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use gateway::clock::instant;
use rumqttc::{AsyncClient, MqttOptions, QoS};
use tests::databases::{http, victoria_metrics};
use tests::neighbours::{Neighbour, free_port, mosquitto};
use tokio::task::JoinSet;

use super::figures::{RUNS, Section, Spread, number, ratio};
use super::peers::{collectd, node_red, rows};
use super::station::{Settings, Station, cpu_s, load, memory_kb};
use super::wait_for;

const MESSAGES: u64 = 40_000;
const DEVICES: usize = 10_000;
const BROKER: &str = "max_queued_messages 0\nmax_inflight_messages 1000\n";

/// No more rows come.
const QUIET: Duration = Duration::from_secs(4);
/// Until the first row comes.
const LONGEST: Duration = Duration::from_secs(60);

/// Messages a second, and CPU microseconds a message.
#[derive(Default)]
struct Runs {
    /// What a run makes of rows in the database, nearly; known after the first.
    rows: Option<u64>,
    per_s: Vec<f64>,
    cpu: Vec<f64>,
    memory: f64,
}

pub fn database() -> Section {
    let mut section = Section::new(
        "From a broker outside into a database",
        format!(
            "`firmware-sim load` publishes {} messages with QoS 1 to a Mosquitto; the subscriber writes them to a VictoriaMetrics of its own, batches of {} for {}, and ours also decodes, applies five rules and commits \
             before it acknowledges. The clock stops when 99 % of the rows have arrived. {} hears as many messages of one value each and passes them on as Graphite lines: it knows no JSON. CPU time is the \
             program's alone. Goal: at least 5 times {} per CPU second.",
            number(MESSAGES as f64),
            node_red::BATCH,
            node_red::NAME,
            collectd::NAME,
            node_red::NAME
        ),
    );
    let (ours, node_red, collectd) = wait_for(measure());
    let cpu = Spread::of(ours.cpu);
    let per_s = |spread: Spread| 1e6 / spread.median;
    section.row("the gateway", "messages/s", Spread::of(ours.per_s), "");
    let remark = format!("{} messages per CPU second", number(per_s(cpu)));
    section.row("the gateway, CPU", "µs a message", cpu, remark);
    for (name, found) in [(node_red::NAME, node_red), (collectd::NAME, collectd)] {
        rows(&mut section, name, |section| {
            let theirs = found?;
            let their_cpu = Spread::of(theirs.cpu);
            let memory = format!("{} MB of memory", number(theirs.memory));
            section.row(name, "messages/s", Spread::of(theirs.per_s), memory);
            let remark = format!("ours does {} times as much per CPU second", ratio(their_cpu, cpu));
            section.row(&format!("{name}, CPU"), "µs a message", their_cpu, remark);
            Ok(())
        });
    }
    section
}

async fn measure() -> (Runs, Result<Runs, String>, Result<Runs, String>) {
    let (street, database) = (mosquitto(BROKER).await.unwrap(), victoria_metrics().await.unwrap());
    let more = format!(
        "[[broker]]\nname = \"main\"\nhost = \"127.0.0.1\"\nport = {}\nclient_id = \"bench\"\nsubscribe = [\"#\"]\n\
         [influx]\nurl = \"http://127.0.0.1:{}\"\norg = \"o\"\nbucket = \"b\"\n",
        street.port, database.port
    );
    let station = Station::start(&Settings { devices: DEVICES, more_rules: 0, more: &more, list: None });
    let publish = |port: u16| {
        let (station, count) = (&station, MESSAGES.to_string());
        move || drop(load(&station.folder, port, &["--messages", &count, "--connections", "16"]))
    };
    let (their_street, their_database) =
        (mosquitto(BROKER).await.unwrap(), victoria_metrics().await.unwrap());
    let peer = node_red::into_database(their_street.port, their_database.port);
    let mut node_red = Ok(Runs::default());
    let mut ours = Runs::default();
    // Both must have subscribed.
    tokio::time::sleep(Duration::from_secs(3)).await;
    // The first run of each warms it up.
    for _ in 0..=RUNS {
        one_run(station.pid(), &database, "influx", publish(street.port), &mut ours).await.unwrap();
        if let (Ok(peer), Ok(runs)) = (&peer, &mut node_red)
            && let Err(why) =
                one_run(peer.pid(), &their_database, "influx", publish(their_street.port), runs).await
        {
            node_red = Err(why);
        }
    }
    let node_red = peer.and(node_red);
    assert_eq!(station.dead_letters(), 0, "the gateway understands the load");
    drop(station);
    (ours, node_red, their_values(&their_street).await)
}

/// collectd with a database that speaks Graphite.
async fn their_values(street: &Neighbour) -> Result<Runs, String> {
    let (port, graphite, folder) = (free_port(), free_port(), tempfile::tempdir().unwrap());
    let arguments = [
        format!("-httpListenAddr=127.0.0.1:{port}"),
        format!("-graphiteListenAddr=127.0.0.1:{graphite}"),
        format!("-storageDataPath={}", folder.path().join("data").display()),
    ];
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let database = Neighbour::start("/usr/bin/victoria-metrics", port, folder, &arguments).await.unwrap();
    let peer = collectd::subscriber(street.port, graphite)?;
    let mut runs = Runs::default();
    tokio::time::sleep(Duration::from_secs(3)).await; // It must have subscribed.
    for _ in 0..=RUNS {
        let publish = || publish_values(street.port);
        one_run(peer.pid(), &database, "graphite", publish, &mut runs).await?;
    }
    Ok(runs)
}

/// Publishes a run's messages and waits for their rows. The first time, when it is not known how many they are, until no more arrive.
async fn one_run(
    pid: u32,
    database: &Neighbour,
    protocol: &str,
    publish: impl FnOnce() + Send,
    runs: &mut Runs,
) -> Result<(), String> {
    let (before, cpu, started) = (rows_of(database, protocol).await, cpu_s(pid), instant());
    std::thread::scope(|scope| scope.spawn(publish).join()).expect("the load is published");
    let enough = runs.rows.unwrap_or(u64::MAX);
    let (mut last, mut at) = (before, instant());
    while last - before < enough {
        tokio::time::sleep(Duration::from_millis(20)).await;
        let now = rows_of(database, protocol).await;
        let quiet = if last == before { LONGEST } else { QUIET };
        if now != last {
            (last, at) = (now, instant());
        } else if quiet < at.elapsed() {
            break;
        }
    }
    let rows = last - before;
    if rows < MESSAGES * 9 / 10 || (enough < u64::MAX && rows < enough) {
        return Err(format!("of {MESSAGES} messages {rows} rows arrived"));
    }
    if runs.rows.is_some() {
        runs.per_s.push(MESSAGES as f64 / (at - started).as_secs_f64());
        runs.cpu.push((cpu_s(pid) - cpu) * 1e6 / MESSAGES as f64);
        runs.memory = memory_kb(pid, "VmRSS") / 1000.0;
    }
    // The last few wait in a buffer of collectd's, and in Node-RED until a batch is full.
    runs.rows = Some(runs.rows.unwrap_or(rows * 99 / 100));
    Ok(())
}

/// How many rows VictoriaMetrics has taken.
async fn rows_of(database: &Neighbour, protocol: &str) -> u64 {
    let url = format!("http://127.0.0.1:{}/metrics", database.port);
    let text = http().unwrap().get(url).send().await.unwrap().text().await.unwrap();
    let name = format!("vm_rows_inserted_total{{type=\"{protocol}\"}} ");
    let line = text.lines().find_map(|line| line.strip_prefix(&name));
    line.map_or(0, |value| value.parse().unwrap())
}

/// As many values as others get messages, each a message of its own.
fn publish_values(port: u16) {
    wait_for(async {
        let mut options = MqttOptions::new("values", "127.0.0.1", port);
        options.set_inflight(1_000);
        let (client, mut events) = AsyncClient::new(options, 1_000);
        let acknowledged = Arc::new(AtomicU64::new(0));
        let mut connection = JoinSet::new();
        let counted = acknowledged.clone();
        connection.spawn(async move {
            while let Ok(event) = events.poll().await {
                if let rumqttc::Event::Incoming(rumqttc::Packet::PubAck(_)) = event {
                    counted.fetch_add(1, Ordering::Relaxed);
                }
            }
        });
        for message in 0..MESSAGES {
            let topic = format!("collectd/SD-{}/field/gauge-temperature", message % DEVICES as u64);
            let value = format!("N:{}", 18.0 + (message % 80) as f64 / 10.0);
            client.publish(topic, QoS::AtLeastOnce, false, value).await.unwrap();
        }
        while acknowledged.load(Ordering::Relaxed) < MESSAGES {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    });
}
