//! The plan of a ladder is what happens when nobody answers.

use super::*;
use crate::engine::timeline::{PlannedWhat, timeline};

#[test]
fn as_the_ladder_then_climbs() {
    for (device, cell) in [(KITCHEN, CellIx(2)), (HALL, CellIx(3)), (LOST, CellIx(4))] {
        let mut engine = engine();
        let (registry, rules) = (engine.registry.clone(), engine.rules.clone());
        let plan = timeline(&rules, &registry, SignalClass::Fire, cell, timestamp(0.0)).unwrap();
        let script = [(0, Does::Says(says(device, &[("smoke", 1.0)]))), (3000, Does::Waits)];
        let found = play(&mut engine, &script, false);
        let mut expected: Vec<(u64, String)> = Vec::new();
        for (number, planned) in plan.iter().enumerate() {
            let at = planned.after.0 / 1000;
            match &planned.what {
                PlannedWhat::Told { who, channels, .. } => {
                    let mut people: Vec<String> = who
                        .iter()
                        .flat_map(|(_, people)| people.iter().map(|name| name.to_lowercase()))
                        .collect();
                    people.dedup();
                    if people.is_empty() {
                        people.push("-".into());
                    }
                    for person in people {
                        let key = |channel| format!("A-1/{}/{person}/{channel}", number + 1);
                        expected.extend(channels.iter().map(|channel| (at, key(channel))));
                    }
                }
                PlannedWhat::Unanswered => expected.push((at, "A-1 Unanswered Unacknowledged".into())),
            }
        }
        let told: Vec<_> = found
            .into_iter()
            .filter(|(_, line)| line.starts_with("A-1/") || line.contains("Unanswered "))
            .collect();
        assert_eq!(told, expected, "{device:?}");
        assert_eq!(plan.iter().any(|planned| planned.finds_nobody()), device == LOST);
    }
    let engine = engine();
    assert_eq!(timeline(&engine.rules, &engine.registry, SignalClass::Test, CellIx(2), timestamp(0.0)), None);
}
