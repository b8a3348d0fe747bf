//! What is suggested for which evidence, and what never is.

use super::*;
use crate::grid::{Device, Rows};
use crate::model::{CellIx, DeviceKind};
use crate::replay::Identity;

const RULES: &str = r#"
    [[rule]]
    name = "low"
    class = "supervisory"
    text = "low"
    kinds = ["hydrant"]
    threshold = { metric = "pressure", below = 140.0, clear_above = 150.0 }
    raise_after_s = 10

    [[rule]]
    name = "smoke"
    class = "fire"
    text = "smoke"
    kinds = ["smoke_detector"]
    state = { flag = "smoke" }
"#;

fn rules() -> Rules {
    toml::from_str(RULES).expect("rules")
}

fn registry() -> std::sync::Arc<Registry> {
    let device = |ix: u32| Device {
        id: format!("D-{ix}"),
        ..Device::bare(DeviceIx(ix), DeviceKind::Hydrant, format!("native:D-{ix}"))
    };
    Registry::build(Rows { version: 1, devices: (0..9).map(device).collect(), ..Rows::default() })
}

/// Rule, device, what came of it, the value that raised it, for how many seconds it stood.
fn case(rule: &str, device: u32, worth: Worth, value: f64, lasted_s: i64) -> Was {
    Was {
        id: AlarmId(1),
        identity: Identity {
            rule: rule.into(),
            device: Some(DeviceIx(device)),
            cell: CellIx(0),
            late: false,
            text: None,
        },
        class: if rule == "smoke" { SignalClass::Fire } else { SignalClass::Supervisory },
        raised: Timestamp(0),
        returned: Some(Timestamp(lasted_s * 1000)),
        closed: None,
        value: Some(value),
        worth,
    }
}

fn changes(cases: &[Was]) -> Vec<Change> {
    suggest(cases, &rules(), &registry()).into_iter().map(|suggestion| suggestion.change).collect()
}

fn limit(to: f64) -> Change {
    Change::Threshold { rule: "low".into(), from: 140.0, to }
}

fn delay(to_s: u32) -> Change {
    Change::Delay { rule: "low".into(), from_s: 10, to_s }
}

#[test]
fn a_rule_that_cries_wolf_is_to_wait_longer_or_ask_for_more() {
    use Worth::{False, Nuisance, Real};
    let wolf = |device, value, lasted| case("low", device, False, value, lasted);
    let cases = vec![
        wolf(0, 138.0, 5),
        wolf(1, 136.5, 8),
        wolf(2, 137.2, 15),
        case("low", 3, Nuisance, 135.0, 200),
        case("low", 4, Real, 90.0, 900),
    ];
    assert_eq!(changes(&cases), [delay(30), limit(136.0)]);
    // A real one that was as short, and one that was as mild, stand against it.
    let mut short = cases.clone();
    short.push(case("low", 5, Real, 80.0, 3));
    assert_eq!(changes(&short), [limit(136.0)]);
    let mut mild = cases;
    mild.push(case("low", 5, Real, 137.0, 900));
    assert_eq!(changes(&mild), [delay(30)]);
}

#[test]
fn little_evidence_and_good_rules_change_nothing() {
    let few: Vec<Was> = (0..4).map(|at| case("low", at, Worth::False, 139.0, 5)).collect();
    assert_eq!(changes(&few), []);
    let mut good: Vec<Was> = (0..8).map(|at| case("low", at, Worth::Real, 90.0, 500)).collect();
    good.extend((0..2).map(|at| case("low", at, Worth::False, 139.0, 5)));
    assert_eq!(changes(&good), []);
    let unjudged: Vec<Was> = (0..20).map(|at| case("low", at % 9, Worth::Unsaid, 139.0, 5)).collect();
    assert_eq!(changes(&unjudged), []);
}

#[test]
fn what_came_too_late_is_to_come_sooner() {
    let cases: Vec<Was> = (0..3).map(|at| case("low", at, Worth::Missed, 100.0, 500)).collect();
    assert_eq!(changes(&cases), [delay(5), limit(145.0)]);
}

/// However often it cries wolf: for fire only the device is to be looked at.
#[test]
fn a_fire_rule_is_never_made_less_sensitive() {
    let cases: Vec<Was> = (0..30).map(|at| case("smoke", at % 2, Worth::Nuisance, 1.0, 5)).collect();
    let exchange = |device: &str| Change::Exchange { device: device.into() };
    assert_eq!(changes(&cases), [exchange("D-0"), exchange("D-1")]);
    let mut real = cases;
    real.push(case("smoke", 1, Worth::Real, 1.0, 500));
    assert_eq!(changes(&real), [exchange("D-0")], "a detector that was right once is not the culprit");
}

#[test]
fn a_change_that_loses_anything_real_is_not_offered() {
    let good = Difference { wolf_gone: 3, gone: 3, ..Difference::default() };
    assert!(is_good(&delay(30), &good));
    for bad in [
        Difference { fires_missed: 1, ..good.clone() },
        Difference { fires_later: 1, ..good.clone() },
        Difference { real_gone: 1, ..good.clone() },
        Difference { wolf_gone: 0, ..good.clone() },
    ] {
        assert!(!is_good(&delay(30), &bad), "{bad:?}");
    }
    assert!(is_good(&delay(5), &Difference { sooner: 2, ..Difference::default() }));
}

#[test]
fn weaker_fire_rules_are_found() {
    let with = |old: &str, new: &str| toml::from_str::<Rules>(&RULES.replace(old, new)).expect("rules");
    let name = "state = { flag = \"smoke\" }";
    assert_eq!(weaker_fire_rule(&rules(), &rules()), None);
    assert_eq!(weaker_fire_rule(&rules(), &with("140.0", "90.0")), None, "not for fire");
    let slower = with(name, "state = { flag = \"smoke\" }\nraise_after_s = 9");
    assert_eq!(weaker_fire_rule(&rules(), &slower).as_deref(), Some("smoke"));
    assert_eq!(weaker_fire_rule(&slower, &rules()), None, "quicker is not weaker");
    assert_eq!(weaker_fire_rule(&rules(), &with("\"fire\"", "\"trouble\"")).as_deref(), Some("smoke"));
    assert_eq!(
        weaker_fire_rule(&rules(), &with("name = \"smoke\"", "name = \"x\"")).as_deref(),
        Some("smoke")
    );
}
