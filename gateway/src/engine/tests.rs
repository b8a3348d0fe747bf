//! One station and one way to try the engine: a script of what happens when, against the effects it must have.
//!
//! [`check`] drives the engine as the driver does: it wakes it when it asks to be woken. Every script runs twice, the second time with a
//! restart from a snapshot after every batch; both must have the same effects.

mod alarms;
mod conditions;
mod exercises;
mod failures;
mod flood;
mod handling;
mod holds;
mod incidents;
mod kept;
mod ladders;
mod late;
mod nearest;
mod owners;
mod pages;
mod presence;
mod properties;
mod reconfigure;
mod salvage;
mod selection;
mod snapshots;
mod stillness;
mod timeline;
mod variants;
mod watch;

use std::sync::Arc;

use super::rules::RuleBook;
use super::*;
use crate::grid::{Cell, Device, Duty, Person, Role, Rows};
use crate::model::{Action, CellIx, Deed, DeviceKind, Disposition, Freshness};

/// Wall-clock time at steady 0.
const START: i64 = 1_700_000_000_000;

pub const RULES: &str = r#"
    [[rule]]
    name = "smoke"
    class = "fire"
    text = "Smoke: {device}, {place}"
    kinds = ["smoke_detector"]
    state = { flag = "smoke" }
    ladder = "fire"

    [[rule]]
    name = "call-point"
    class = "fire"
    text = "Call point: {place}"
    kinds = ["manual_call_point"]
    state = { flag = "manual_alarm", latched_quiet_s = 600 }
    ladder = "fire"

    [[rule]]
    name = "test"
    class = "test"
    text = "Test: {device}"
    kinds = ["smoke_detector"]
    state = { flag = "test" }
    close = "returned"

    [[rule]]
    name = "tamper"
    class = "trouble"
    text = "Tampering: {device}"
    kinds = ["smoke_detector"]
    state = { flag = "tamper" }
    close = "acknowledged"

    [[rule]]
    name = "low-pressure"
    class = "supervisory"
    text = "{device} has {value}"
    kinds = ["hydrant"]
    threshold = { metric = "pressure", below = 140.0, clear_above = 160.0 }
    raise_after_s = 30
    clear_after_s = 60
    ladder = "duty"
    close = "acknowledged"

    [[rule]]
    name = "burst"
    class = "supervisory"
    text = "Burst main? {device} fell to {value}"
    kinds = ["pump"]
    rate = { metric = "pressure", falls_by = 100.0, within_s = 60 }
    close = "returned"

    [[rule]]
    name = "silence"
    class = "trouble"
    text = "{device} silent for {value}"
    kinds = ["smoke_detector", "hydrant"]
    presence = { silent_after_s = 3600, gone_after_s = 30 }
    close = "returned"

    [[ladder]]
    name = "fire"
    then = "city"
    step = [
        { after_s = 0, who = ["responsible", "lead"], channels = ["push", "sms"] },
        { after_s = 120, who = ["up:1"], channels = ["push"] },
        { after_s = 300, who = ["up:2", "person:chief"], channels = ["voice"] },
    ]

    [[ladder]]
    name = "city"
    step = [{ after_s = 600, who = ["person:mayor"], channels = ["voice"] }]

    [[ladder]]
    name = "duty"
    step = [{ after_s = 60, who = ["worker"], channels = ["push"] }]
"#;

/// Devices of the station, by position.
pub const KITCHEN: DeviceIx = DeviceIx(0);
pub const HALL: DeviceIx = DeviceIx(1);
pub const HYDRANT: DeviceIx = DeviceIx(2);
pub const CALL_POINT: DeviceIx = DeviceIx(3);
pub const PUMP: DeviceIx = DeviceIx(4);
pub const DOOR: DeviceIx = DeviceIx(5);
pub const LOST: DeviceIx = DeviceIx(6);

pub fn rows() -> Rows {
    let cell = |ix, code: &str, parent: Option<&str>, kind: &str| Cell {
        ix: CellIx(ix),
        code: code.into(),
        name: format!("cell {code}"),
        scheme: "admin".into(),
        parent: parent.map(str::to_owned),
        kind: kind.into(),
        polygons: Vec::new(),
        retired: false,
    };
    let device = |ix: u32, id: &str, kind, cells: &[&str]| Device {
        ix: DeviceIx(ix),
        id: id.into(),
        kind,
        name: String::new(),
        address: format!("native:{id}"),
        cells: cells.iter().map(|code| (*code).to_owned()).collect(),
        place: format!("door of {id}"),
        position: None,
        silent_after: None,
        registered: Timestamp(START),
        retired: false,
    };
    let duty = |person: &str, cell: &str, role| Duty {
        person: person.into(),
        cell: cell.into(),
        role,
        from: Timestamp(0),
        until: None,
        hours: None,
    };
    let person = |id: &str| Person { id: id.into(), name: id.to_uppercase(), ..Person::default() };
    Rows {
        version: 1,
        cells: vec![
            cell(0, "street", None, "street"),
            cell(1, "community", Some("street"), "community"),
            cell(2, "b1", Some("community"), "residential"),
            cell(3, "b2", Some("community"), "dense_crowd"),
            cell(4, "nobody", None, "park"),
        ],
        devices: vec![
            device(0, "kitchen", DeviceKind::SmokeDetector, &["b1"]),
            device(1, "hall", DeviceKind::SmokeDetector, &["b2"]),
            device(2, "hydrant", DeviceKind::Hydrant, &["b1"]),
            device(3, "call-point", DeviceKind::ManualCallPoint, &["b1"]),
            device(4, "pump", DeviceKind::Pump, &["community"]),
            device(5, "door", DeviceKind::DoorSensor, &["b1"]),
            device(6, "lost", DeviceKind::SmokeDetector, &["nobody"]),
        ],
        people: ["ann", "bob", "carl", "dora", "chief", "mayor"].map(person).to_vec(),
        duties: vec![
            duty("ann", "b1", Role::Lead),
            duty("bob", "b1", Role::Worker),
            duty("carl", "community", Role::Lead),
            duty("dora", "street", Role::Lead),
        ],
        ..Rows::default()
    }
}

pub fn book(rules: &str, registry: &Registry) -> Arc<RuleBook> {
    let (book, problems) = RuleBook::compile(&toml::from_str(rules).unwrap(), registry);
    assert_eq!(problems, [], "the rules of the test");
    Arc::new(book)
}

pub fn now(ms: u64) -> Now {
    Now { wall: Timestamp(START + ms as i64), steady: Steady(ms) }
}

pub fn engine() -> Engine {
    let registry = Registry::build(rows());
    let book = book(RULES, &registry);
    Engine::new(registry, book, now(0))
}

/// One report to be, received when the script says.
#[derive(Clone, Debug)]
pub struct Says {
    device: DeviceIx,
    values: Vec<(&'static str, f64, Quality)>,
    freshness: Freshness,
    /// Seconds on the script's clock.
    device_time: Option<f64>,
}

pub fn says(device: DeviceIx, values: &[(&'static str, f64)]) -> Says {
    Says {
        device,
        values: values.iter().map(|&(metric, value)| (metric, value, Quality::Good)).collect(),
        freshness: Freshness::Live,
        device_time: None,
    }
}

impl Says {
    pub fn at(mut self, seconds: f64) -> Self {
        self.device_time = Some(seconds);
        self
    }

    pub fn how(mut self, freshness: Freshness) -> Self {
        self.freshness = freshness;
        self
    }

    pub fn bad(mut self) -> Self {
        self.values.iter_mut().for_each(|value| value.2 = Quality::Bad);
        self
    }
}

/// What happens in a script.
#[derive(Clone, Debug)]
pub enum Does {
    Says(Says),
    Gone {
        device: DeviceIx,
        since: f64,
    },
    Acts(&'static str, Deed),
    /// Nothing happens; the clock is looked at.
    Waits,
    /// The gateway was down until now: nobody woke the engine.
    WasDown,
}

pub fn timestamp(seconds: f64) -> Timestamp {
    Timestamp(START + (seconds * 1000.0) as i64)
}

impl Does {
    fn event(self, received: Timestamp) -> Option<Event> {
        match self {
            Does::Says(says) => Some(Event::Report(Report {
                device: says.device,
                received,
                device_time: says.device_time.map(timestamp),
                freshness: says.freshness,
                values: says
                    .values
                    .into_iter()
                    .map(|(metric, value, quality)| Value {
                        metric: Metric::from_name(metric).expect(metric),
                        value,
                        quality,
                    })
                    .collect(),
            })),
            Does::Gone { device, since } => Some(Event::Gone { device, since: timestamp(since), received }),
            Does::Acts(who, what) => Some(Event::Action(Action { who: who.into(), what })),
            Does::Waits | Does::WasDown => None,
        }
    }
}

pub fn smoke(on: bool) -> Does {
    Does::Says(says(KITCHEN, &[("smoke", f64::from(u8::from(on)))]))
}

pub fn ack(alarm: u64) -> Does {
    Does::Acts("ann", Deed::Acknowledge { alarm: AlarmId(alarm), note: None })
}

pub fn resolve(alarm: u64) -> Does {
    let disposition = Disposition::FalseAlarm;
    Does::Acts("ann", Deed::Resolve { alarm: AlarmId(alarm), disposition, cause: None, note: None })
}

pub fn raise(cell: u32, class: SignalClass, text: &str) -> Does {
    Does::Acts("bob", Deed::Raise { cell: CellIx(cell), device: None, class, text: text.into() })
}

/// An effect in one line: `A-1 Raised Unacknowledged`, the key of an alert without its moment, `withdraw A-1`.
pub fn line(effect: &Effect) -> String {
    match effect {
        Effect::Alarm(alarm, entry) => format!("{} {:?} {:?}", alarm.id, entry.what, alarm.state),
        Effect::Tell(alert) => alert.key.split('@').next().unwrap_or_default().to_owned(),
        Effect::Withdraw(alarm) => format!("withdraw {alarm}"),
    }
}

/// Runs a script as the driver would, and returns every effect and answer with its time in seconds.
pub fn play(engine: &mut Engine, script: &[(u64, Does)], restarts: bool) -> Vec<(u64, String)> {
    let mut lines = Vec::new();
    let mut seq = 0;
    for (at, does) in script {
        let mut step = |engine: &mut Engine, ms: u64, does: Does| {
            seq += 1;
            let now = now(ms);
            let events = does.event(now.wall).into_iter().collect();
            let applied = engine.apply(&Batch { seq, now, events });
            assert!(engine.wake_at().is_none_or(|at| now.steady < at), "it would spin at {ms} ms");
            lines.extend(applied.effects.iter().map(|effect| (ms / 1000, line(effect))));
            let refused = applied.answers.into_iter().filter_map(|(_, answer)| answer.err());
            lines.extend(refused.map(|refusal| (ms / 1000, refusal.to_string())));
            if restarts {
                let (registry, rules) = (engine.registry.clone(), engine.rules.clone());
                *engine = Engine::restore(&engine.snapshot(), registry, rules).unwrap();
            }
        };
        let ms = at * 1000;
        if !matches!(does, Does::WasDown) {
            while let Some(wake) = engine.wake_at().filter(|wake| wake.0 < ms) {
                step(engine, wake.0, Does::Waits);
            }
        }
        step(engine, ms, does.clone());
    }
    lines
}

/// The script must have exactly these effects, with and without restarts.
pub fn check(script: &[(u64, Does)], expected: &[(u64, &str)]) {
    for restarts in [false, true] {
        let found = play(&mut engine(), script, restarts);
        let found: Vec<_> = found.iter().map(|(at, line)| (*at, line.as_str())).collect();
        assert!(
            found == expected,
            "restarts: {restarts}\n   found {}\nexpected {}",
            lined(&found),
            lined(expected)
        );
    }
}

fn lined(lines: &[(u64, &str)]) -> String {
    lines.iter().map(|(at, line)| format!("{at:>6} {line}")).collect::<Vec<_>>().join("\n         ")
}
