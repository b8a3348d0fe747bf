//! Ladders of one name: which of them is taken, by hour, cell and class.

use super::*;

/// 2023-11-15T06:13:20+08:00 is the script's zero; times of day are given in the station's time.
const LADDERS: &str = r#"
    [[rule]]
    name = "smoke"
    class = "fire"
    text = "Smoke"
    kinds = ["smoke_detector"]
    state = { flag = "smoke" }
    ladder = "call"

    [[ladder]]
    name = "call"
    hours = "22:00-06:30"
    cell_kinds = ["residential"]
    step = [{ after_s = 0, who = ["responsible"], channels = ["voice"] }]

    [[ladder]]
    name = "call"
    cell_kinds = ["community"]
    classes = ["trouble"]
    step = [{ after_s = 0, who = ["responsible"], channels = ["never"] }]

    [[ladder]]
    name = "call"
    step = [{ after_s = 0, who = ["responsible"], channels = ["push"] }, { after_s = 60, who = ["up:1"], channels = ["push"] }]
"#;

fn told_in(rows: Rows, device: DeviceIx, at_s: u64) -> Vec<String> {
    let registry = Registry::build(rows);
    let book = book(LADDERS, &registry);
    let mut engine = Engine::new(registry, book, now(0));
    let script = [(at_s, Does::Says(says(device, &[("smoke", 1.0)]))), (at_s + 61, Does::Waits)];
    let found = play(&mut engine, &script, true);
    found.into_iter().map(|(_, line)| line).filter(|line| line.starts_with("A-1/")).collect()
}

#[test]
fn by_hour_and_cell() {
    let until_half_past_six = 16 * 60 + 40;
    for (device, at_s, expected) in [
        (KITCHEN, 0, vec!["A-1/1/ann/voice"]),
        (KITCHEN, until_half_past_six - 1, vec!["A-1/1/ann/voice"]),
        (KITCHEN, until_half_past_six, vec!["A-1/1/ann/push", "A-1/2/carl/push"]),
        (HALL, 0, vec!["A-1/1/carl/push", "A-1/2/carl/push"]),
    ] {
        assert_eq!(told_in(rows(), device, at_s), expected, "{device:?} at {at_s} s");
    }
}

#[test]
fn in_the_time_zone_of_the_registry() {
    for (zone, expected) in [
        ("Europe/London", vec!["A-1/1/ann/voice"]),
        ("Pacific/Auckland", vec!["A-1/1/ann/push", "A-1/2/carl/push"]),
    ] {
        let rows = Rows { zone: crate::units::Zone::named(zone).unwrap(), ..rows() };
        assert_eq!(told_in(rows, KITCHEN, 0), expected, "22:13 the evening before, or 11:13");
    }
}

#[test]
fn the_ladder_it_began_on_is_kept_until_it_is_gone() {
    let registry = Registry::build(rows());
    let rules = book(LADDERS, &registry);
    let mut engine = Engine::new(registry.clone(), rules, now(0));
    play(&mut engine, &[(16 * 60 + 39, smoke(true))], true);
    let position = |engine: &Engine| engine.open_alarms().next().unwrap().ladder.clone().unwrap();
    assert_eq!(position(&engine).variant, 0);
    // The last two of the three are removed, and the first loses its conditions: it still stands on it.
    let one = LADDERS.split("[[ladder]]").take(2).collect::<Vec<_>>().join("[[ladder]]");
    let one = one.replace("hours = \"22:00-06:30\"\n    cell_kinds = [\"residential\"]", "");
    assert_eq!(engine.reconfigure(registry.clone(), book(&one, &registry), now(1_000_000)), []);
    // Begun on the third, which is then gone: the foot of what there is.
    let mut engine = Engine::new(registry.clone(), book(LADDERS, &registry), now(0));
    play(&mut engine, &[(5000, smoke(true))], true);
    assert_eq!(position(&engine).variant, 2);
    let effects = engine.reconfigure(registry.clone(), book(&one, &registry), now(5_010_000));
    assert_eq!(
        effects.iter().map(line).collect::<Vec<_>>(),
        ["A-1 Escalated Unacknowledged", "A-1/2/ann/voice"]
    );
}
