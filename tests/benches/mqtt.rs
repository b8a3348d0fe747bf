//! Messages from the field until they are on disk: through our own listener, and from a broker outside.

use std::io::{BufRead, BufReader, Write};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::Duration;

use gateway::clock::{Clock, instant};
use gateway::engine::Engine;
use gateway::health::Health;
use gateway::io::driver::Driver;
use gateway::io::inlet::{self, Inbound};
use gateway::io::listener::{Intake, Listener};
use gateway::live::Live;
use gateway::model::Event;
use gateway::store::{Limits, Store};
use gateway::units::Millis;
use gateway::world::World;
use rumqttc::{AsyncClient, MqttOptions, Packet, QoS};
use tests::neighbours::mosquitto;
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use super::figures::{RUNS, Section, Spread, ratio};
use super::made_up::{heartbeat, registry};
use super::station::{Settings, Station, cpu_s, load};
use super::wait_for;

/// The word that makes this program a baseline.
pub const BARE: &str = "as-baseline";

const MESSAGES: u64 = 200_000;
const DEVICES: usize = 10_000;

pub fn be_a_baseline(arguments: &[String]) {
    match arguments {
        [kind, folder] if kind == "listener" => wait_for(bare_listener(folder)),
        [kind, port] if kind == "subscriber" => wait_for(bare_subscriber(port.parse().unwrap())),
        _ => panic!("no baseline {arguments:?}"),
    }
}

/// This program again, as a baseline; killed when dropped.
struct Baseline {
    child: Child,
    said: BufReader<std::process::ChildStdout>,
}

impl Baseline {
    fn start(kind: &str, argument: &str) -> Self {
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args([BARE, kind, argument])
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let said = BufReader::new(child.stdout.take().unwrap());
        Self { child, said }
    }

    /// The number on its next line.
    fn number(&mut self) -> u64 {
        let mut line = String::new();
        self.said.read_line(&mut line).unwrap();
        line.trim().parse().unwrap_or_else(|_| panic!("the baseline said {line:?}"))
    }
}

impl Drop for Baseline {
    fn drop(&mut self) {
        let _ = self.child.kill(); // It may have ended.
        let _ = self.child.wait();
    }
}

fn say(number: u64) {
    println!("{number}");
    std::io::stdout().flush().unwrap();
}

/// The listener, and behind it only the commit: every message is the same four values, no decoder, no rule.
async fn bare_listener(folder: &str) {
    let limits = Limits {
        journal_bytes_max: 4 << 30,
        journal_days_max: 30,
        history_days_max: 30,
        dead_letters_max: 10,
        outbox_rows_max: 10,
        attachments: gateway::store::attachments::Limits { bytes_max: 64 << 20, days_max: 30 },
    };
    let (store, _) = Store::open(&std::path::Path::new(folder).join("store.db"), limits).unwrap();
    let registry = registry(1);
    let rules = Arc::default();
    let clock = Clock::continue_after(None);
    let engine = Engine::new(registry.clone(), Arc::clone(&rules), clock.now());
    let world = World {
        registry,
        rules,
        rules_text: "".into(),
        topics: Arc::default(),
        freshness: Arc::default(),
        profiles: Arc::default(),
    };
    let (inlet, outlet) = inlet::channel();
    let (_worlds, new_worlds) = mpsc::channel(1);
    let stop = CancellationToken::new();
    let mut tasks = JoinSet::new();
    let driver = Driver::new(
        engine,
        store,
        Arc::new(Live::default()),
        clock,
        outlet,
        world.share(),
        new_worlds,
        Millis(200),
        0,
        Arc::default(),
        Arc::<Health>::default().essential("disk"),
    );
    tasks.spawn(driver.run(stop.clone()));
    let settings = toml::from_str("bind = '127.0.0.1:0'\nmessages_per_s_max = 100000000").unwrap();
    let listener = Listener::bind(&settings, std::path::Path::new(".")).await.unwrap();
    say(listener.local_addr().unwrap().port().into());
    let intake: Intake = Arc::new(|_| {
        Box::new(|message| Inbound {
            events: vec![Event::Report(heartbeat(0, message.received))],
            ..Inbound::default()
        })
    });
    listener.run_with(intake, inlet, stop).await.unwrap();
}

pub fn listener() -> Section {
    let mut section = Section::new(
        "Through our own listener",
        format!(
            "`firmware-sim load` sends {MESSAGES} messages with QoS 1 from {DEVICES} devices on 16 connections as fast as acknowledgements come; an acknowledgement means: \
             decoded, through five rules, on disk. The baseline is the same listener, driver and store with a decoder that looks at nothing and no rules. \
             Goals: 150,000 messages/s on two cores beside the generator; CPU per message at most 2 times the baseline's."
        ),
    );
    let station = Station::start(&Settings { devices: DEVICES, more_rules: 0, more: "", list: None });
    let folder = tempfile::tempdir_in(tests::neighbours::root().join("target")).unwrap();
    let mut baseline = Baseline::start("listener", folder.path().to_str().unwrap());
    let bare_port = baseline.number() as u16;
    let mut runs: [Vec<f64>; 5] = Default::default();
    let count = MESSAGES.to_string();
    let fast = ["--messages", &count, "--connections", "16"];
    for _ in 0..RUNS {
        let before = cpu_s(station.pid());
        let ours = load(&station.folder, station.mqtt, &fast);
        runs[0].push(ours.per_s);
        runs[1].push((cpu_s(station.pid()) - before) * 1e6 / MESSAGES as f64);
        runs[2].push(ours.ms("p99"));
        let before = cpu_s(baseline.child.id());
        let bare = load(&station.folder, bare_port, &fast);
        runs[3].push(bare.per_s);
        runs[4].push((cpu_s(baseline.child.id()) - before) * 1e6 / MESSAGES as f64);
    }
    assert_eq!(station.dead_letters(), 0, "the gateway understands the load");
    let [rate, cpu, p99, bare_rate, bare_cpu] = runs.map(Spread::of);
    section.row(
        "the whole way",
        "messages/s",
        rate,
        format!("{} of the bare listener; goal: 150,000", ratio(rate, bare_rate)),
    );
    section.row(
        "CPU of the gateway",
        "µs a message",
        cpu,
        format!("{} of the bare listener; goal: at most 2", ratio(cpu, bare_cpu)),
    );
    section.row(
        "publish to acknowledgement, p99, flat out",
        "ms",
        p99,
        "with up to 1,000 waiting on each connection",
    );
    section.row("bare listener that only commits", "messages/s", bare_rate, "the baseline");
    section.row("CPU of the bare listener", "µs a message", bare_cpu, "the baseline");
    section
}

/// Counts what comes and says how many there are whenever a whole run is in.
async fn bare_subscriber(port: u16) {
    let mut options = MqttOptions::new("counts", "127.0.0.1", port);
    options.set_max_packet_size(256 * 1024, 256 * 1024);
    let (client, mut events) = AsyncClient::new(options, 4_096);
    client.subscribe("#", QoS::AtLeastOnce).await.unwrap();
    let mut count = 0;
    loop {
        match events.poll().await.unwrap() {
            rumqttc::Event::Incoming(Packet::SubAck(_)) => say(0),
            rumqttc::Event::Incoming(Packet::Publish(_)) => {
                count += 1;
                if count % MESSAGES == 0 {
                    say(count);
                }
            }
            rumqttc::Event::Incoming(_) | rumqttc::Event::Outgoing(_) => (),
        }
    }
}

pub fn broker() -> Section {
    let mut section = Section::new(
        "From a broker outside",
        format!(
            "Mosquitto with 1,000 messages in flight and no limit on its queue; `firmware-sim load` publishes {MESSAGES} messages with QoS 1 on 16 connections. The clock stops when \
             the subscriber has all. The baseline is a rumqttc client that counts and acknowledges at once; ours decodes, applies five rules, commits, and acknowledges \
             after that. Each has a broker of its own. Goal: at least 0.9 of the baseline."
        ),
    );
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
    let settings = "max_queued_messages 0\nmax_inflight_messages 1000\n";
    let ours = runtime.block_on(mosquitto(settings)).unwrap();
    let theirs = runtime.block_on(mosquitto(settings)).unwrap();
    let more = format!(
        "[[broker]]\nname = \"main\"\nhost = \"127.0.0.1\"\nport = {}\nclient_id = \"bench\"\nsubscribe = [\"#\"]\n",
        ours.port
    );
    let station = Station::start(&Settings { devices: DEVICES, more_rules: 0, more: &more, list: None });
    let mut baseline = Baseline::start("subscriber", &theirs.port.to_string());
    assert_eq!(baseline.number(), 0, "it has subscribed");
    let count = MESSAGES.to_string();
    let fast = ["--messages", &count, "--connections", "16"];
    // What is sent before the gateway's client has subscribed is lost to it.
    wait_until(|| {
        load(&station.folder, ours.port, &["--messages", "1", "--connections", "1"]);
        station.readings() > 0
    });
    // Every run sends the same messages: so many readings are one run.
    let before = settled(&station);
    load(&station.folder, ours.port, &fast);
    let one_run = settled(&station) - before;
    load(&station.folder, theirs.port, &fast);
    baseline.number();
    let mut runs: [Vec<f64>; 4] = Default::default();
    for _ in 0..RUNS {
        let (before, cpu, started) = (station.readings(), cpu_s(station.pid()), instant());
        load(&station.folder, ours.port, &fast);
        wait_until(|| station.readings() >= before + one_run);
        runs[0].push(MESSAGES as f64 / started.elapsed().as_secs_f64());
        runs[1].push((cpu_s(station.pid()) - cpu) * 1e6 / MESSAGES as f64);
        let (cpu, started) = (cpu_s(baseline.child.id()), instant());
        load(&station.folder, theirs.port, &fast);
        baseline.number();
        runs[2].push(MESSAGES as f64 / started.elapsed().as_secs_f64());
        runs[3].push((cpu_s(baseline.child.id()) - cpu) * 1e6 / MESSAGES as f64);
    }
    let [rate, cpu, bare_rate, bare_cpu] = runs.map(Spread::of);
    section.row(
        "the whole way",
        "messages/s",
        rate,
        format!("{} of the bare subscriber; goal: at least 0.9", ratio(rate, bare_rate)),
    );
    section.row(
        "CPU of the gateway",
        "µs a message",
        cpu,
        format!("{} of the bare subscriber", ratio(cpu, bare_cpu)),
    );
    section.row("bare subscriber that only counts", "messages/s", bare_rate, "the baseline");
    section.row("CPU of the bare subscriber", "µs a message", bare_cpu, "the baseline");
    section
}

/// Readings in the journal when no more come.
fn settled(station: &Station) -> u64 {
    let mut seen = (station.readings(), instant());
    while seen.1.elapsed() < Duration::from_secs(2) {
        std::thread::sleep(Duration::from_millis(50));
        let now = station.readings();
        if now != seen.0 {
            seen = (now, instant());
        }
    }
    seen.0
}

fn wait_until(mut done: impl FnMut() -> bool) {
    let started = instant();
    while !done() {
        assert!(started.elapsed() < Duration::from_secs(120), "it does not come to an end");
        std::thread::sleep(Duration::from_millis(20));
    }
}
