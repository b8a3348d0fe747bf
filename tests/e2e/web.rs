//! The pages as people use them: every page at three sizes and in both languages, with keys alone, with a thousand alarms, and the map of a whole city. The scripts in
//! tests/web/ drive Chromium by Playwright against a gateway started here.

use std::process::Stdio;

use gateway::grid::{Cell, Device, Registry, Rows};
use gateway::model::*;
use gateway::units::{Millis, Timestamp};
use gateway::world::World;
use tests::neighbours::root;
use tests::station::{Station, TOKEN};
use tokio::process::Command;

/// The grid of a city: as many cells as 369,000 households need at a hundred each.
const CELLS: u32 = 3_689;
const DEVICES: u32 = 10_000;

/// Runs a script of tests/web/ against the station; fails with what it said.
async fn run(station: &Station, script: &[&str], more: &[(&str, String)]) -> String {
    let mut node = Command::new("node");
    node.args(script).current_dir(root().join("tests/web")).stdin(Stdio::null());
    node.env("GRIDWARDEN_URL", &station.url).env("GRIDWARDEN_TOKEN", TOKEN).envs(more.iter().cloned());
    let done = node.kill_on_drop(true).output().await.unwrap();
    let said = format!("{}{}", String::from_utf8_lossy(&done.stdout), String::from_utf8_lossy(&done.stderr));
    assert!(done.status.success(), "{said}");
    said
}

/// Squares of 180 m, a bit bent, in communities of 41; detectors and every twentieth device a hydrant.
fn city() -> Rows {
    const ACROSS: u32 = 70;
    let begin = Timestamp::parse_rfc3339("2026-01-01T00:00:00Z").expect("valid");
    let corner = |column: u32, row: u32| {
        let bent = |seed: u32| f64::from((seed * 7919) % 97) / 97.0 * 0.0005;
        [118.60 + f64::from(column) * 0.002 + bent(column * 131 + row), 32.00 + f64::from(row) * 0.0017 + bent(row * 173 + column)]
    };
    let leaf = |number: u32| {
        let (column, row) = (number % ACROSS, number / ACROSS);
        let ring = [(0, 0), (1, 0), (1, 1), (0, 1), (0, 0)].map(|(x, y)| corner(column + x, row + y));
        Cell {
            ix: CellIx(number),
            code: format!("C-{number}"),
            name: format!("第{number}网格"),
            scheme: "service".into(),
            parent: None,
            kind: "residential".into(),
            polygons: vec![vec![ring.to_vec()]],
            retired: false,
        }
    };
    let device = |number: u32| {
        let cell = (number * 7) % CELLS;
        let [x, y] = corner(cell % ACROSS, cell / ACROSS);
        let kind = if number.is_multiple_of(20) { DeviceKind::Hydrant } else { DeviceKind::SmokeDetector };
        let inside = |seed: u32| f64::from((number * seed) % 83) / 83.0 * 0.0012 + 0.0004;
        Device {
            ix: DeviceIx(number),
            id: format!("D-{number}"),
            kind,
            name: format!("{number}"),
            address: format!("native:D-{number}"),
            cells: vec![format!("C-{cell}")],
            place: format!("{cell}格 {number}号"),
            position: Some([x + inside(31), y + inside(57)]),
            silent_after: Some(Millis::from_secs(3600)),
            registered: begin,
            retired: false,
        }
    };
    Rows { version: 2, cells: (0..CELLS).map(leaf).collect(), devices: (0..DEVICES).map(device).collect(), ..Rows::default() }
}

async fn city_station() -> Station {
    let station = Station::start().await.unwrap();
    let old = World::clone(&station.world.load());
    station.world.store(std::sync::Arc::new(World { registry: Registry::build(city()), ..old }));
    station
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_map_of_a_city_is_drawn_and_moved() {
    let station = city_station().await;
    for number in 0..40 {
        let class = [SignalClass::Trouble, SignalClass::Supervisory, SignalClass::Trouble][number % 3];
        station.raise(class, &format!("D-{}", number * 211 + 1), "设备故障").await.unwrap();
    }
    station.raise(SignalClass::Fire, "D-4321", "烟雾报警").await.unwrap();
    let pictures = std::env::var("GRIDWARDEN_PICTURES").map(|folder| ("GRIDWARDEN_PICTURES", folder)).ok();
    let more: Vec<_> = [("CELLS", CELLS.to_string())].into_iter().chain(pictures).collect();
    let said = run(&station, &["frames.mjs"], &more).await;
    println!("{said}");
    assert!(said.contains("zoom:"), "{said}");
    station.end().await.unwrap();
}
