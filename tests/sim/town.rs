//! The town of the simulation: its cells, people, devices and rules, and how all of them change while the gateway runs.

use std::sync::Arc;

use fastrand::Rng;
use gateway::config::rules::Rules;
use gateway::decode::{Family, Topics};
use gateway::engine::rules::RuleBook;
use gateway::grid::{Cell, Device, Duty, Person, Registry, Role, Rows};
use gateway::model::{CellIx, DeviceIx, DeviceKind};
use gateway::units::Timestamp;
use gateway::world::World;

/// Devices 0 to 4 detect smoke; the last of them stays silent until the faults have ended. 5 and 6 are hydrants.
pub const DETECTORS: u32 = 5;
pub const DEVICES: u32 = 7;
/// The detector that reports only at the end.
pub const FRESH: u32 = 4;

const RULES: &str = r#"
    [[rule]]
    name = "smoke"
    class = "fire"
    text = "Smoke: {device}, {place}"
    kinds = ["smoke_detector"]
    state = { flag = "smoke" }
    ladder = "fire"
    close = "verified"

    [[rule]]
    name = "low-pressure"
    class = "supervisory"
    text = "{device} has {value}"
    kinds = ["hydrant"]
    threshold = { metric = "pressure", below = 140.0, clear_above = 160.0 }
    raise_after_s = 30
    clear_after_s = 60
    ladder = "duty"
    close = "evaluated"

    [[rule]]
    name = "burst"
    class = "supervisory"
    text = "{device} fell to {value}"
    kinds = ["hydrant"]
    rate = { metric = "pressure", falls_by = 100.0, within_s = 60 }
    close = "returned"

    [[rule]]
    name = "silence"
    class = "trouble"
    text = "{device} silent for {value}"
    kinds = ["hydrant"]
    presence = { silent_after_s = 600, gone_after_s = 30 }
    ladder = "duty"
    close = "returned"

    [[ladder]]
    name = "fire"
    then = "city"
    step = [
        { after_s = 0, who = ["responsible", "lead"], channels = ["push", "sms"] },
        { after_s = 120, who = ["up:1"], channels = ["push"] },
    ]

    [[ladder]]
    name = "city"
    step = [{ after_s = CITY, who = ["person:mayor"], channels = ["voice"] }]

    [[ladder]]
    name = "duty"
    hours = "04:00-11:10"
    progress_within_s = 240
    unanswered_after_s = 120
    step = [{ after_s = 0, who = ["responsible"], channels = ["push"], need = 2 }, { after_s = 90, who = ["up:1"], channels = ["push"] }]

    [[ladder]]
    name = "duty"
    step = [{ after_s = 60, who = ["worker"], channels = ["push"] }, { after_s = 300, who = ["lead"], channels = ["push"] }]
"#;

pub struct Town {
    /// Every state of registry and rules, oldest first.
    pub worlds: Vec<World>,
}

impl Town {
    pub fn new() -> Self {
        let mut town = Self { worlds: Vec::new() };
        town.worlds.push(town.world(rows(), 600));
        town
    }

    /// Somebody imports: a device moves, a person goes or comes, the ladder changes.
    pub fn change(&mut self, rng: &mut Rng) -> World {
        let mut rows = self.worlds.last().unwrap().registry.rows().clone();
        rows.version += 1;
        let mut city = 600;
        match rng.u32(0..4) {
            0 => {
                let device = rng.usize(0..rows.devices.len());
                rows.devices[device].cells =
                    [(*rng.choice(&["b1", "b2", "park"]).unwrap()).to_owned()].into();
            }
            1 => rows.duties.retain(|_| rng.u32(0..4) != 0),
            2 => rows.duties = self.worlds[0].registry.rows().duties.clone(),
            _ => city = rng.u32(60..1200),
        }
        self.worlds.push(self.world(rows, city));
        self.worlds.last().unwrap().clone()
    }

    fn world(&self, rows: Rows, city: u32) -> World {
        let text = format!("# world {}\n{}", self.worlds.len(), RULES.replace("CITY", &city.to_string()));
        let rules: Rules = toml::from_str(&text).unwrap();
        let registry = Registry::build(rows);
        let (book, problems) = RuleBook::compile(&rules, &registry);
        assert_eq!(problems, []);
        World {
            registry,
            rules: Arc::new(book),
            rules_text: text.into(),
            topics: Arc::new(Topics(vec![("up/#".into(), Family::Native)])),
            freshness: Arc::new(rules.freshness.clone()),
            profiles: Arc::default(),
        }
    }
}

fn rows() -> Rows {
    let cell = |ix, code: &str, parent: Option<&str>| Cell {
        ix: CellIx(ix),
        code: code.into(),
        name: code.into(),
        scheme: "admin".into(),
        parent: parent.map(str::to_owned),
        kind: String::new(),
        polygons: Vec::new(),
        retired: false,
    };
    let device = |ix: u32| {
        let detector = ix < DETECTORS;
        Device {
            ix: DeviceIx(ix),
            id: format!("D-{ix}"),
            kind: if detector { DeviceKind::SmokeDetector } else { DeviceKind::Hydrant },
            name: String::new(),
            address: format!("native:D-{ix}"),
            cells: [["b1", "b2", "park"][ix as usize % 3].to_owned()].into(),
            place: "door".into(),
            position: None,
            silent_after: None,
            registered: Timestamp(0),
            retired: false,
        }
    };
    let duty = |person: &str, cell: &str, role| Duty {
        person: person.into(),
        cell: cell.into(),
        role,
        from: Timestamp(i64::MIN),
        until: None,
        hours: None,
    };
    let person = |id: &str| Person { id: id.into(), name: id.into(), ..Person::default() };
    Rows {
        version: 1,
        cells: vec![
            cell(0, "street", None),
            cell(1, "b1", Some("street")),
            cell(2, "b2", Some("street")),
            cell(3, "park", None),
        ],
        devices: (0..DEVICES).map(device).collect(),
        people: ["ann", "bob", "carl", "mayor"].map(person).to_vec(),
        duties: vec![
            duty("ann", "b1", Role::Lead),
            duty("bob", "b1", Role::Worker),
            duty("bob", "b2", Role::Worker),
            duty("carl", "street", Role::Lead),
        ],
        ..Rows::default()
    }
}
