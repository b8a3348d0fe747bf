//! Files that people write: station.toml, rules.toml and every table that is imported. Every file is taken or complained about in words.

use std::path::{Path, PathBuf};
use std::sync::LazyLock;

use gateway::config;
use gateway::engine::rules::RuleBook;
use gateway::grid::import::{
    Parsed, Read, merge_all, parse_cells, parse_devices, parse_people, read_absences, read_buildings,
    read_households, read_teams,
};
use gateway::grid::{Registry, Rows};
use gateway::problem::Problems;
use gateway::units::Timestamp;
use tempfile::TempDir;

const NOW: Timestamp = Timestamp(1_795_402_801_000);

/// The right station of the tests of the configuration.
fn base() -> PathBuf {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    here.ancestors().map(|folder| folder.join("config/base")).find(|folder| folder.is_dir()).unwrap()
}

fn parsed(parse: fn(&str, &[u8]) -> Result<Parsed, Problems>, file: &str) -> Parsed {
    parse(file, &std::fs::read(base().join(file)).unwrap()).unwrap()
}

/// A registry of three cells, as in the tests of the configuration.
static ROWS: LazyLock<Rows> = LazyLock::new(|| {
    let files = [
        parsed(parse_cells, "cells.geojson"),
        parsed(parse_devices, "devices.csv"),
        parsed(parse_people, "people.csv"),
    ];
    merge_all(&Rows::default(), &files, NOW).unwrap().0
});

/// A folder with the base station in it, in memory where there is such a place.
static FOLDER: LazyLock<TempDir> = LazyLock::new(|| {
    let shared = Path::new("/dev/shm");
    let place = if shared.is_dir() { shared.to_owned() } else { std::env::temp_dir() };
    let folder = tempfile::Builder::new().prefix("gridwarden-fuzz").tempdir_in(place).unwrap();
    for entry in std::fs::read_dir(base()).unwrap() {
        let entry = entry.unwrap();
        std::fs::copy(entry.path(), folder.path().join(entry.file_name())).unwrap();
    }
    folder
});

pub fn station_toml(data: &[u8]) {
    load("fuzzed-station.toml", data, "fuzzed-station.toml");
}

/// The whole station with other rules; rules that are taken can be compiled.
pub fn rules_toml(data: &[u8]) {
    if let Some(loaded) = load("rules.toml", data, "station.toml") {
        let (_, problems) = RuleBook::compile(&loaded.rules, &Registry::build(ROWS.clone()));
        assert!(problems.iter().all(|problem| !problem.to_string().is_empty()));
    }
}

fn load(file: &str, data: &[u8], station: &str) -> Option<config::Loaded> {
    std::fs::write(FOLDER.path().join(file), data).unwrap();
    match config::load_whole(&FOLDER.path().join(station)) {
        Ok(whole) => Some(whole.loaded),
        Err(problems) => {
            complained(&problems);
            None
        }
    }
}

pub fn cells(data: &[u8]) {
    import(parse_cells("cells.geojson", data));
}

pub fn devices(data: &[u8]) {
    import(parse_devices("devices.csv", data));
}

pub fn people(data: &[u8]) {
    import(parse_people("people.csv", data));
}

pub fn absences(data: &[u8]) {
    import(read_absences("absences.csv", data).and_then(Read::whole));
}

pub fn teams(data: &[u8]) {
    import(read_teams("teams.csv", data).and_then(Read::whole));
}

pub fn buildings(data: &[u8]) {
    import(read_buildings("buildings.csv", data).and_then(Read::whole));
}

pub fn households(data: &[u8]) {
    import(read_households("households.csv", data).and_then(Read::whole));
}

/// What is taken can be imported, and a second time changes nothing.
fn import(parsed: Result<Parsed, Problems>) {
    let parsed = match parsed {
        Ok(parsed) => [parsed],
        Err(problems) => return complained(&problems),
    };
    match merge_all(&ROWS, &parsed, NOW) {
        Err(problems) => complained(&problems),
        Ok((rows, _)) => {
            let registry = Registry::build(rows.clone());
            for device in registry.devices() {
                let _ = registry.home(device.ix).map(|cell| registry.path(cell));
            }
            let (again, difference) = merge_all(&rows, &parsed, NOW).unwrap();
            assert_eq!(again.version, rows.version, "the second import changed {difference}");
        }
    }
}

fn complained(problems: &Problems) {
    let text = problems.to_string();
    assert!(!text.trim().is_empty(), "refused without a word");
}
