//! Bytes that a gateway wrote before alarms had steps of handling: its snapshot, and the same alarms as rows of the store.

use super::*;

const SNAPSHOT: &[u8] = include_bytes!("kept/snapshot-1.bin");
const ROWS: &str = include_str!("kept/alarms-1.txt");

/// `{"V1":{…}} #checksum`, without what stands around it.
fn alarm(row: &str) -> Alarm {
    let (json, _) = row.rsplit_once(" #").unwrap();
    let value: serde_json::Value = serde_json::from_str(json).unwrap();
    serde_json::from_value(value["V1"].clone()).unwrap()
}

#[test]
fn a_snapshot_of_the_first_form_goes_on_where_it_was() {
    let new = engine();
    let mut engine = Engine::restore(SNAPSHOT, new.registry, new.rules).unwrap();
    let rows: Vec<Alarm> = ROWS.lines().map(alarm).collect();
    assert_eq!(engine.open_alarms().cloned().collect::<Vec<_>>(), rows, "rows and snapshot are read alike");
    assert!(4 < rows.len() && rows.iter().any(|alarm| alarm.resolved.is_some()));

    let found = play(&mut engine, &[(122, Does::Waits), (123, smoke(false)), (124, ack(2))], true);
    let found: Vec<_> = found.iter().map(|(at, line)| (*at, line.as_str())).collect();
    for expected in [
        (121, "A-2/2/carl/push"),   // The ladder climbs on.
        (123, "A-1 Closed Closed"), // What was answered and resolved stays so.
        (124, "A-2 Acknowledged Acknowledged"),
    ] {
        assert!(found.contains(&expected), "{expected:?} in {found:?}");
    }
}

#[test]
fn rows_without_handling_are_read() {
    let alarm = alarm(ROWS.lines().next().unwrap());
    assert_eq!(alarm.handling, crate::model::Handling::default());
    assert!(alarm.was_handled_by("ann") && !alarm.was_handled_by("bob"));
}
