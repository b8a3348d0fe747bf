//! Polls of one Modbus TCP line, back to back, beside a loop that only asks.

use std::time::Duration;

use firmware_sim::hydrants::Pressures;
use firmware_sim::modbus::Hydrants;
use gateway::clock::instant;
use gateway::grid::{Device, Registry, Rows};
use gateway::io::inlet;
use gateway::io::modbus::Bus;
use gateway::model::{DeviceIx, DeviceKind};
use gateway::units::Timestamp;
use gateway::world::World;
use std::sync::Arc;
use tokio::net::TcpListener;
use tokio::task::JoinSet;
use tokio_modbus::client::Reader;
use tokio_modbus::prelude::SlaveContext;
use tokio_modbus::slave::Slave;
use tokio_util::sync::CancellationToken;

use super::figures::{RUNS, Section, Spread, ratio};
use super::wait_for;

const UNITS: u8 = 50;
const LASTS: Duration = Duration::from_secs(2);

pub fn polls() -> Section {
    let mut section = Section::new(
        "Modbus",
        format!(
            "{UNITS} simulated hydrants behind one TCP line, each due every millisecond, more than the line can: polls are back to back. Counted where they arrive, for {} s. The baseline is a \
             loop of tokio-modbus on the same server that reads the same 13 registers of unit after unit and throws them away. Goal: at least 0.95 of it.",
            LASTS.as_secs()
        ),
    );
    let (mut ours, mut raw) = (Vec::new(), Vec::new());
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
            poll_with_the_gateway(&address.to_string()).await;
            ours.push((count() - before) / started.elapsed().as_secs_f64());
            let (before, started) = (count(), instant());
            let mut line = tokio_modbus::client::tcp::connect(address).await.unwrap();
            while started.elapsed() < LASTS {
                for unit in 1..=UNITS {
                    line.set_slave(Slave(unit));
                    line.read_holding_registers(0, 13).await.unwrap().unwrap();
                }
            }
            raw.push((count() - before) / started.elapsed().as_secs_f64());
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
    section
}

async fn poll_with_the_gateway(address: &str) {
    let mut text = format!("name = \"east\"\ntcp = \"{address}\"\npoll_every_ms = 1\n");
    for unit in 1..=UNITS {
        text.push_str(&format!("[[unit]]\nunit = {unit}\nmap = \"mpd-380\"\n"));
    }
    let device = |unit: u8| Device {
        ix: DeviceIx(u32::from(unit) - 1),
        id: format!("HY-{unit}"),
        kind: DeviceKind::Hydrant,
        name: String::new(),
        address: format!("modbus:east/{unit}"),
        cells: Vec::new(),
        place: String::new(),
        position: None,
        silent_after: None,
        registered: Timestamp(0),
        retired: false,
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
    let take = async { while outlet.routine.recv().await.is_some() {} };
    let _ = tokio::time::timeout(LASTS, take).await; // It goes on until the time is up.
    stop.cancel();
    while let Some(ended) = tasks.join_next().await {
        ended.unwrap().unwrap();
    }
}
