//! From what was seen to the sentences that people read.

use super::quiet::AlarmLine;
use super::reasons::{Facts, of_cell, of_device};
use crate::engine::watch::{Outcome, Seen, Sight, Sighted, Stand, Standing};
use crate::grid::Device;
use crate::model::{DeviceIx, DeviceKind, Freshness, Metric, Quality, SignalClass};
use crate::units::{Millis, Timestamp, Zone};

fn device() -> Device {
    Device {
        ix: DeviceIx(0),
        id: "HY-1".into(),
        kind: DeviceKind::Hydrant,
        name: String::new(),
        address: "native:HY-1".into(),
        cells: ["c".into()].into(),
        place: String::new(),
        position: None,
        silent_after: None,
        registered: Timestamp(0),
        retired: false,
    }
}

fn value(at_s: i64, metric: Metric, value: f64, rule: Option<&str>, outcome: Outcome) -> Sight {
    Sight {
        at: Timestamp(at_s * 1000),
        what: Sighted::Value {
            metric,
            value,
            quality: Quality::Good,
            freshness: Freshness::Live,
            device_time: None,
            rule: rule.map(str::to_owned),
            outcome,
        },
    }
}

fn low(state: Stand) -> Vec<Standing> {
    vec![Standing {
        rule: "low".into(),
        class: SignalClass::Supervisory,
        metric: Some(Metric::PRESSURE),
        raises_when: "`pressure` is below 140 kPa".into(),
        state,
    }]
}

/// The reasons for these sights under one rule.
fn because(sights: Vec<Sight>, state: Stand) -> String {
    said(sights, state, Some(Timestamp(0)), &[], &[])
}

fn said(
    sights: Vec<Sight>,
    state: Stand,
    begin: Option<Timestamp>,
    alarms: &[AlarmLine],
    windows: &[String],
) -> String {
    let (device, standing) = (device(), low(state));
    let zone: Zone = serde_json::from_str("\"UTC\"").expect("a zone");
    let seen = Seen { sights: sights.into(), left_out: 0 };
    of_device(&Facts {
        device: &device,
        homeless: false,
        begin,
        zone: &zone,
        seen: &seen,
        standing: &standing,
        last: Some(Timestamp(50_000)),
        alarms,
        windows,
        unusable: 2 * alarms.len(),
    })
    .join(" ")
}

#[test]
fn each_reason_in_words() {
    let pressure = |at, kpa, outcome| value(at, Metric::PRESSURE, kpa, Some("low"), outcome);
    let normal = || vec![pressure(50, 210.0, Outcome::Normal)];
    for (sights, state, words) in [
        (
            Vec::new(),
            Stand::Normal,
            "Nothing was heard of it from 1970-01-01 00:00:00 on (last at 1970-01-01 00:00:50).",
        ),
        (normal(), Stand::Normal, "no value was beyond the limit of a rule"),
        (
            vec![pressure(90, 120.0, Outcome::Waits(Millis(30_000)))],
            Stand::Waits(Millis(20_000)),
            "`low` waits: the alarm comes if it stays so for 20 s more.",
        ),
        (
            vec![pressure(40, 120.0, Outcome::Waits(Millis(30_000))), pressure(50, 210.0, Outcome::TooShort)],
            Stand::Normal,
            "`low` saw it abnormal for too short, once, last until 1970-01-01 00:00:50.",
        ),
        (
            vec![pressure(50, 150.0, Outcome::Between)],
            Stand::Normal,
            "`low` left things as they were, once, last at 1970-01-01 00:00:50 (the last: pressure = 150 kPa): between",
        ),
        (
            vec![pressure(40, 1.0, Outcome::BadQuality), pressure(50, 2.0, Outcome::BadQuality)],
            Stand::Normal,
            "`low` did not judge values of bad quality, 2 times, last at 1970-01-01 00:00:50 (the last: pressure = 2 kPa)",
        ),
        (
            vec![value(50, Metric::MESSAGES_THINNED, 37.0, None, Outcome::NoRule)],
            Stand::Normal,
            "It said too much: 37 of its messages were thinned",
        ),
        (
            vec![value(50, Metric::TAMPER, 1.0, None, Outcome::NoRule)],
            Stand::Normal,
            "No rule looks at what it reported set: tamper.",
        ),
    ] {
        let said = because(sights, state);
        assert!(said.contains(words), "`{words}` is missing in `{said}`");
    }
}

#[test]
fn what_stands_or_hides_comes_before_the_readings() {
    let shelved = AlarmLine {
        id: "A-12".into(),
        rule: "low".into(),
        class: SignalClass::Supervisory,
        raised: "1970-01-01T00:00:10.000Z".into(),
        stood: true,
        guards: vec!["it called nobody: until noon: works".into()],
    };
    let alarms = [shelved];
    let windows = ["A-9: flushing".to_owned()];
    let text = said(Vec::new(), Stand::Active, Some(Timestamp(0)), &alarms, &windows);
    assert!(text.starts_with("A-12 (rule `low`) stood already"), "{text}");
    for words in
        ["it called nobody: until noon: works", "2 messages that name it", "out of service (A-9: flushing)"]
    {
        assert!(text.contains(words), "{text}");
    }
    let gone = said(Vec::new(), Stand::Normal, None, &[], &[]);
    assert_eq!(gone, "The journal holds nothing of the day before.");
    let cell = of_cell(3, 1, &alarms, None).join(" ");
    assert!(
        cell.contains("Of 3 devices 1 were not heard.") && cell.ends_with("nor for a cell above it."),
        "{cell}"
    );
}
