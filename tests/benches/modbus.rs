//! Polls of one Modbus TCP line, back to back, beside a loop that only asks.

use std::time::Duration;

use firmware_sim::hydrants::Pressures;
use firmware_sim::modbus::Hydrants;
use gateway::clock::instant;
use gateway::grid::{Device, Registry, Rows};
use gateway::io::inlet;
use gateway::io::modbus::Bus;
use gateway::model::{DeviceIx, DeviceKind, Event};
use gateway::world::World;
use std::sync::Arc;
use tokio::net::TcpListener;
use tokio::task::JoinSet;
use tokio_modbus::client::Reader;
use tokio_modbus::prelude::SlaveContext;
use tokio_modbus::slave::Slave;
use tokio_util::sync::CancellationToken;

use super::figures::{RUNS, Section, Spread, ratio};
use super::peers::{self, collectd, thingsboard};
use super::station::cpu_s;
use super::wait_for;

const UNITS: u8 = 50;
/// Of one read.
const REGISTERS: u16 = 13;
const LASTS: Duration = Duration::from_secs(2);

pub fn polls() -> Section {
    let mut section = Section::new(
        "Modbus",
        format!(
            "{UNITS} simulated hydrants behind one TCP line, each due every millisecond, more than the line can: polls are back to back. Counted where they arrive, for {} s. The baseline is a \
             loop of tokio-modbus on the same server that reads the same 13 registers of unit after unit and throws them away. Goals: at least 0.95 of it; 25,000 tags/s a core. The peers run by themselves on the \
             same server, every millisecond as well: {} with the 13 registers as one text, {} with one register a unit.",
            LASTS.as_secs(),
            thingsboard::NAME,
            collectd::NAME
        ),
    );
    let (mut ours, mut raw) = (Vec::new(), Vec::new());
    let (mut tags, mut theirs) = (Vec::new(), Vec::new());
    wait_for(async {
        let pressures = Pressures::default();
        (1..=UNITS).for_each(|unit| pressures.set(unit, 250.0));
        let hydrants = Hydrants::new(pressures);
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let stop = CancellationToken::new();
        let mut server = JoinSet::new();
        server.spawn(hydrants.clone().serve_tcp(listener, stop.clone()));
        let count = || (1..=UNITS).map(|unit| hydrants.requests(unit)).sum::<u64>() as f64;
        for _ in 0..RUNS {
            let (before, started) = (count(), instant());
            let values = poll_with_the_gateway(&address.to_string()).await;
            ours.push((count() - before) / started.elapsed().as_secs_f64());
            tags.push(values / started.elapsed().as_secs_f64());
            let (before, started) = (count(), instant());
            let mut line = tokio_modbus::client::tcp::connect(address).await.unwrap();
            while started.elapsed() < LASTS {
                for unit in 1..=UNITS {
                    line.set_slave(Slave(unit));
                    line.read_holding_registers(0, REGISTERS).await.unwrap().unwrap();
                }
            }
            raw.push((count() - before) / started.elapsed().as_secs_f64());
        }
        let broker = tests::neighbours::mosquitto("").await.unwrap();
        let (platform, line) = (broker.port, address.port());
        let starts: [(&str, Box<Start>); 2] = [
            (thingsboard::NAME, Box::new(move || thingsboard::poller(platform, line, UNITS, REGISTERS))),
            (collectd::NAME, Box::new(move || collectd::poller(line, UNITS))),
        ];
        for (name, start) in starts {
            theirs.push((name, their_polls(&start, &count)));
        }
        stop.cancel();
    });
    let (ours, raw) = (Spread::of(ours), Spread::of(raw));
    section.row(
        "the gateway's line",
        "polls/s",
        ours,
        format!("{} of the loop; goal: at least 0.95", ratio(ours, raw)),
    );
    section.row("the loop that only asks", "polls/s", raw, "the baseline");
    section.row(
        "values of it",
        "tags/s",
        Spread::of(tags),
        "goal: 25,000; not all of one core is the gateway's",
    );
    for (name, found) in theirs {
        peers::rows(&mut section, name, |section| {
            let (polls, cpu) = found?;
            let remark = format!("ours is {} of it", ratio(ours, polls));
            section.row(name, "polls/s", polls, remark);
            section.row(&format!("{name}, CPU"), "µs a poll", cpu, "");
            Ok(())
        });
    }
    section
}

type Start = dyn Fn() -> Result<peers::Program, String>;

/// Polls a second that reach the server, and what each costs the peer.
fn their_polls(start: &Start, count: &dyn Fn() -> f64) -> Result<(Spread, Spread), String> {
    let before = count();
    let mut peer = start()?;
    // Every unit in turn is polled by then.
    peer.until(|| before + 2.0 * f64::from(UNITS) < count())?;
    let (mut polls, mut cpus) = (Vec::new(), Vec::new());
    for _ in 0..RUNS {
        let (before, cpu, started) = (count(), cpu_s(peer.pid()), instant());
        std::thread::sleep(LASTS);
        let polled = count() - before;
        polls.push(polled / started.elapsed().as_secs_f64());
        cpus.push((cpu_s(peer.pid()) - cpu) * 1e6 / polled.max(1.0));
    }
    Ok((Spread::of(polls), Spread::of(cpus)))
}

/// How many values arrived.
async fn poll_with_the_gateway(address: &str) -> f64 {
    let mut text = format!("name = \"east\"\ntcp = \"{address}\"\npoll_every_ms = 1\n");
    for unit in 1..=UNITS {
        text.push_str(&format!("[[unit]]\nunit = {unit}\nmap = \"mpd-380\"\n"));
    }
    let device = |unit: u8| Device {
        id: format!("HY-{unit}"),
        ..Device::bare(DeviceIx(u32::from(unit) - 1), DeviceKind::Hydrant, format!("modbus:east/{unit}"))
    };
    let world = World {
        registry: Registry::build(Rows { devices: (1..=UNITS).map(device).collect(), ..Rows::default() }),
        rules: Arc::default(),
        rules_text: "".into(),
        topics: Arc::default(),
        freshness: Arc::default(),
        profiles: Arc::default(),
    };
    let (inlet, mut outlet) = inlet::channel();
    let stop = CancellationToken::new();
    let mut tasks = JoinSet::new();
    let bus = Bus::new(&toml::from_str(&text).unwrap(), &gateway::profiles::shipped()).unwrap();
    tasks.spawn(bus.run(world.share(), inlet, stop.clone()));
    let mut values = 0;
    let take = async {
        while let Some(inbound) = outlet.routine.recv().await {
            let of = |event: &Event| match event {
                Event::Report(report) => report.values.len(),
                Event::Gone { .. } | Event::Action(_) => 0,
            };
            values += inbound.events.iter().map(of).sum::<usize>();
        }
    };
    let _ = tokio::time::timeout(LASTS, take).await; // It goes on until the time is up.
    stop.cancel();
    while let Some(ended) = tasks.join_next().await {
        ended.unwrap().unwrap();
    }
    values as f64
}
