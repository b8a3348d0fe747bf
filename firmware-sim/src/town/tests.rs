//! Whole days of a small street in virtual time.

use super::*;
use crate::{neighbourhood, scenario};

pub const START: i64 = 1_795_402_800_000;

const STREET: &str = "id,kind,address,cell,place,lon,lat,silent_after_s
SD-1,smoke_detector,native:SD-1,A,3栋2单元501,118.9,32.1,
SD-2,smoke_detector,native:SD-2,A,3栋2单元502,118.9001,32.1,
SD-3,smoke_detector,z2m:zigbee2mqtt/hall,A,3栋门厅,118.95,32.1,
GD-1,gas_detector,z2m:zigbee2mqtt/kitchen/gas,A,4栋101,118.96,32.1,
HY-1,hydrant,modbus:east/1,A,东门,118.9,32.1,
HY-2,hydrant,modbus:east/2,A,西门,118.91,32.1,
CAM-1,access_camera,frigate:gate,A,东门,118.9,32.1,
CAM-2,access_camera,native:CAM-2,A,西门,118.9,32.1,
PU-1,pump,modbus:east/9,A,泵房,118.9,32.1,
";

fn town(scenarios: &[&str], seed: u64) -> Town {
    let rows = neighbourhood::read(STREET.as_bytes()).unwrap();
    let scenarios: Vec<_> = scenarios.iter().map(|name| scenario::find(name).unwrap()).collect();
    let (town, told) = Town::new(&rows, &scenarios, seed, 100, Moment::at(START)).unwrap();
    assert_eq!(told, ["1 devices are not simulated: pump by modbus"]);
    town
}

/// Everything until `seconds` after the start, with when it happened.
fn live(town: &mut Town, seconds: i64) -> Vec<(i64, Deed)> {
    let mut at = START;
    let mut deeds = Vec::new();
    while at <= START + seconds * 1000 {
        deeds.extend(town.step(Moment::at(at)).into_iter().map(|deed| (at - START, deed)));
        assert!(at < town.wake_at(), "it must not ask to be woken in the past");
        at = town.wake_at();
    }
    deeds
}

fn sent(deeds: &[(i64, Deed)], topic: &str) -> Vec<(i64, serde_json::Value)> {
    deeds
        .iter()
        .filter_map(|(at, deed)| match deed {
            Deed::Send { frame, .. } if frame.topic == topic => {
                Some((*at, serde_json::from_str(&frame.payload).unwrap()))
            }
            Deed::Send { .. } | Deed::Cut { .. } | Deed::Mend { .. } | Deed::Say(_) => None,
        })
        .collect()
}

#[test]
fn the_same_seed_lives_the_same_hour() {
    let hour = |seed| live(&mut town(&["kitchen-fire"], seed), 3_600);
    assert_eq!(hour(7), hour(7));
    assert_ne!(hour(7), hour(8));
}

#[test]
fn an_ordinary_hour_has_heartbeats_of_everybody_and_no_alarm() {
    let deeds = live(&mut town(&[], 1), 3_600);
    for topic in [
        "gridwarden/up/SD-1",
        "zigbee2mqtt/hall",
        "zigbee2mqtt/kitchen/gas",
        "gridwarden/up/CAM-2",
        "frigate/stats",
    ] {
        assert!(50 < sent(&deeds, topic).len(), "{topic}");
    }
    assert!(
        !deeds.iter().any(|(_, deed)| matches!(deed, Deed::Say(_) | Deed::Cut { .. })),
        "nothing happens"
    );
    assert!(sent(&deeds, "zigbee2mqtt/hall").iter().all(|(_, said)| said["smoke"] == false));
}

#[test]
fn a_fire_spreads_after_forty_seconds_and_both_flats_alarm_until_it_is_out() {
    let deeds = live(&mut town(&["kitchen-fire"], 3), 400);
    let mut first_alarms = Vec::new();
    for topic in ["gridwarden/up/SD-1", "gridwarden/up/SD-2", "zigbee2mqtt/hall"] {
        let frames = sent(&deeds, topic);
        let burning: Vec<_> = frames
            .iter()
            .filter(|(_, said)| said["smoke"] == true || said["values"]["smoke"] == true)
            .collect();
        if let Some(first) = burning.first() {
            first_alarms.push(first.0);
            assert!(30 < burning.len(), "{topic} repeats its alarm: {}", burning.len());
            assert!(burning.last().unwrap().0 <= 270_000);
        }
    }
    first_alarms.sort_unstable();
    assert_eq!(first_alarms, [20_000, 60_000]);
    let said: Vec<_> = deeds.iter().filter(|(_, deed)| matches!(deed, Deed::Say(_))).collect();
    assert_eq!(said.len(), 4);
}

#[test]
fn a_burst_main_shows_at_two_hydrants() {
    let mut town = town(&["burst-main"], 1);
    let pressures = town.pressures();
    let before = [1, 2].map(|unit| pressures.get(unit).unwrap());
    live(&mut town, 120);
    let after = [1, 2].map(|unit| pressures.get(unit).unwrap());
    assert!(
        before.iter().all(|kpa| 140.0 < *kpa) && after.iter().all(|kpa| *kpa < 100.0),
        "{before:?} {after:?}"
    );
}

#[test]
fn a_blip_cuts_the_line_and_mends_it() {
    let mut town = town(&["network-blip"], 1);
    let deeds = live(&mut town, 300);
    let at = |wanted: fn(&Deed) -> bool| {
        deeds.iter().filter(|(_, deed)| wanted(deed)).map(|(at, _)| *at).collect::<Vec<_>>()
    };
    assert_eq!(at(|deed| matches!(deed, Deed::Cut { .. })), [20_000]);
    assert_eq!(at(|deed| matches!(deed, Deed::Mend { .. })), [110_000]);
}

#[test]
fn every_native_device_has_its_own_will_until_connections_run_short() {
    let own = town(&[], 1);
    let names: Vec<_> = own.lines().iter().map(|line| line.client_id.as_str()).collect();
    assert_eq!(names, ["SD-1", "SD-2", "zigbee2mqtt", "frigate", "CAM-2"]);
    assert!(own.lines().iter().all(|line| line.will.is_some() && !line.birth.is_empty()));

    let rows = neighbourhood::read(STREET.as_bytes()).unwrap();
    let (shared, _) = Town::new(&rows, &[], 1, 2, Moment::at(START)).unwrap();
    let shared: Vec<_> =
        shared.lines().iter().map(|line| (line.client_id.as_str(), line.will.is_some())).collect();
    assert_eq!(shared, [("fleet-0", false), ("fleet-1", false), ("zigbee2mqtt", true), ("frigate", true)]);
}

#[test]
fn a_wrong_unit_is_named() {
    let rows = neighbourhood::read(b"id,kind,address\nHY-1,hydrant,modbus:east/300\n").unwrap();
    let error = Town::new(&rows, &[], 1, 1, Moment::at(START)).unwrap_err().to_string();
    assert!(error.contains("HY-1") && error.contains("1 to 247"), "{error}");
}
