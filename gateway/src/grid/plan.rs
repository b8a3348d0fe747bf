//! Pictures of where things are: the floors of buildings with what hangs where, and the ground of a neighbourhood from above.
//!
//! Pure: rows in, rows out, one version on, or why not. A plan belongs to a cell, and whoever may see the cell may see it. The picture's bytes lie in the store under a number
//! ([`crate::store::plans`]); here is only what it shows and where on it the devices are, in parts of its width and height, so that a better picture of the same floor moves nothing.
//! A device has one pin at the most.

use std::collections::HashSet;

use serde::{Deserialize, Serialize};

use super::Rows;
use super::edit::Refused;
use super::import::bad_code;

/// Of the whole station.
pub const PLANS_MAX: usize = 2_000;
pub const TEXT_CHARACTERS_MAX: usize = 60;
/// The deepest cellar and the highest floor that are believed.
const FLOORS: std::ops::RangeInclusive<i16> = -20..=200;

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Plan {
    /// Unique within the station, such as `SY-1-01-3-5F`.
    pub code: String,
    /// Code of the cell that it belongs to.
    pub cell: String,
    /// Which part of the floor, where one picture does not hold all of it. May be empty.
    pub name: String,
    pub shows: Shows,
    pub picture: Picture,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum Shows {
    /// One floor; `building` as the places of its devices begin, such as `3栋`. Floors below the ground are negative.
    Floor { building: String, floor: i16 },
    /// The ground from above: longitude and latitude of the picture's upper left, upper right and lower left corner. It may be turned.
    Ground { corners: [[f64; 2]; 3] },
}

/// What is stored under a number.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Picture {
    pub number: u64,
    /// Media type.
    pub kind: String,
    /// As it is seen, in pixels.
    pub width: u32,
    pub height: u32,
    pub bytes: u64,
}

/// Where a device is on a plan.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Pin {
    pub device: String,
    /// Code of the plan; its picture may follow.
    pub plan: String,
    /// From the left and from the top, in parts of the picture: 0 to 1.
    pub at: [f64; 2],
}

impl Pin {
    /// As exact as anybody points: a ten-thousandth. `None`: it lies outside the picture.
    pub fn rounded(at: [f64; 2]) -> Option<[f64; 2]> {
        let inside = at.iter().all(|part| (0.0..=1.0).contains(part));
        inside.then(|| at.map(|part| (part * 10_000.0).round() / 10_000.0))
    }
}

#[derive(Clone, Debug, PartialEq)]
pub enum Change {
    /// Adds the plan, or replaces the one of this code; its pins stay.
    Put(Plan),
    /// Takes the plan away, and the pins with it.
    Take { code: String },
    /// What is on the plan: these devices and no others. A device that was on another plan leaves it.
    Hang { code: String, devices: Vec<(String, [f64; 2])> },
}

impl Change {
    /// The rows after it, one version on; `None`: it changes nothing.
    pub fn apply(&self, rows: &Rows) -> Result<Option<Rows>, Refused> {
        let mut next = rows.clone();
        let known = |code: &str| {
            let there = rows.plans.iter().any(|plan| plan.code == *code);
            if there { Ok(()) } else { Err(Refused::Unknown(format!("There is no plan `{code}`."))) }
        };
        match self {
            Self::Put(plan) => {
                let wrong = faults(plan, rows);
                if !wrong.is_empty() {
                    return Err(Refused::Unsound(wrong));
                }
                match next.plans.iter_mut().find(|other| other.code == plan.code) {
                    Some(other) => *other = plan.clone(),
                    None => next.plans.push(plan.clone()),
                }
            }
            Self::Take { code } => {
                known(code)?;
                next.plans.retain(|plan| plan.code != *code);
                next.pins.retain(|pin| pin.plan != *code);
            }
            Self::Hang { code, devices } => {
                known(code)?;
                let asked: HashSet<&str> = devices.iter().map(|(device, _)| device.as_str()).collect();
                next.pins.retain(|pin| pin.plan != *code && !asked.contains(pin.device.as_str()));
                let ids = rows.devices.iter().map(|device| device.id.as_str());
                let known: HashSet<&str> = ids.filter(|id| asked.contains(id)).collect();
                let mut wrong = Vec::new();
                for (device, at) in devices {
                    if !known.contains(device.as_str()) {
                        wrong.push(format!("there is no device `{device}`"));
                    }
                    match Pin::rounded(*at) {
                        Some(at) => next.pins.push(Pin { device: device.clone(), plan: code.clone(), at }),
                        None => wrong.push(format!(
                            "`{device}` lies outside the picture; give parts of its width and height, 0 to 1"
                        )),
                    }
                }
                if !wrong.is_empty() {
                    return Err(Refused::Unsound(wrong));
                }
            }
        }
        sort(&mut next);
        if next.pins.windows(2).any(|pair| pair[0].device == pair[1].device) {
            return Err(Refused::Unsound(vec!["a device stands in the list twice".into()]));
        }
        if next == *rows {
            return Ok(None);
        }
        next.version += 1;
        Ok(Some(next))
    }
}

/// Everything for which it cannot be put in.
pub fn faults(plan: &Plan, rows: &Rows) -> Vec<String> {
    let mut wrong = Vec::new();
    if plan.code.is_empty() {
        wrong.push("the code is empty".into());
    }
    wrong.extend(bad_code(&plan.code).map(|bad| format!("the code {bad}")));
    if !rows.cells.iter().any(|cell| cell.code == plan.cell && !cell.retired) {
        wrong.push(format!(
            "there is no cell `{}` in service; name the cell that the plan belongs to",
            plan.cell
        ));
    }
    let long = |text: &str| TEXT_CHARACTERS_MAX < text.chars().count() || text.chars().any(char::is_control);
    if long(&plan.name) {
        wrong.push(format!("the name is longer than {TEXT_CHARACTERS_MAX} characters, or not on one line"));
    }
    match &plan.shows {
        Shows::Floor { building, floor } => {
            if building.trim().is_empty() || long(building) {
                wrong.push(format!("name the building as the places of its devices begin, such as `3栋`, in {TEXT_CHARACTERS_MAX} characters"));
            }
            if !FLOORS.contains(floor) || *floor == 0 {
                wrong
                    .push(format!("there is no floor {floor}; the ground floor is 1, the first below it -1"));
            }
        }
        Shows::Ground { corners } => {
            let [[x, y], right, down] = *corners;
            let inside = corners.iter().all(|[x, y]| x.abs() <= 180.0 && y.abs() <= 90.0);
            let area = (right[0] - x) * (down[1] - y) - (right[1] - y) * (down[0] - x);
            if !inside || area.abs() < f64::EPSILON {
                wrong.push(
                    "the corners must be three different places in degrees: upper left, upper right, lower left"
                        .into(),
                );
            }
        }
    }
    let others = rows.plans.iter().filter(|other| other.code != plan.code);
    if PLANS_MAX <= others.count() {
        wrong.push(format!("there are {PLANS_MAX} plans already; take away what is no longer true"));
    }
    wrong
}

/// The order in which the store keeps them; [`super::Registry`] looks them up by it.
pub(super) fn sort(rows: &mut Rows) {
    rows.plans.sort_by(|a, b| a.code.cmp(&b.code));
    rows.pins.sort_by(|a, b| a.device.cmp(&b.device));
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::grid::{Cell, Device};
    use crate::model::{CellIx, DeviceIx, DeviceKind};

    fn rows() -> Rows {
        let cell = Cell {
            ix: CellIx(0),
            code: "C".into(),
            name: "C".into(),
            scheme: "admin".into(),
            parent: None,
            kind: "residential".into(),
            polygons: Vec::new(),
            retired: false,
        };
        let device = |ix: u32| Device::bare(DeviceIx(ix), DeviceKind::SmokeDetector, format!("D-{ix}"));
        Rows { version: 1, cells: vec![cell], devices: (0..3).map(device).collect(), ..Rows::default() }
    }

    fn floor(code: &str) -> Plan {
        let shows = Shows::Floor { building: "3栋".into(), floor: 5 };
        Plan { code: code.into(), cell: "C".into(), name: String::new(), shows, picture: Picture::default() }
    }

    fn done(rows: &Rows, change: Change) -> Rows {
        change.apply(rows).expect("sound").expect("a change")
    }

    fn hang(code: &str, devices: &[(&str, [f64; 2])]) -> Change {
        let devices = devices.iter().map(|(device, at)| (device.to_string(), *at)).collect();
        Change::Hang { code: code.into(), devices }
    }

    #[test]
    fn a_device_hangs_in_one_place_and_leaves_with_its_plan() {
        let rows = done(&done(&rows(), Change::Put(floor("B"))), Change::Put(floor("A")));
        assert_eq!(rows.plans.iter().map(|plan| plan.code.as_str()).collect::<Vec<_>>(), ["A", "B"]);
        let rows = done(&rows, hang("A", &[("D-1", [0.25, 1.0]), ("D-0", [0.123_449, 0.5])]));
        assert_eq!(rows.pins[0], Pin { device: "D-0".into(), plan: "A".into(), at: [0.1234, 0.5] });
        assert_eq!(hang("A", &[("D-0", [0.1234, 0.5]), ("D-1", [0.25, 1.0])]).apply(&rows), Ok(None));
        let rows = done(&rows, hang("B", &[("D-1", [0.0, 0.0])]));
        let places: Vec<_> = rows.pins.iter().map(|pin| (pin.device.as_str(), pin.plan.as_str())).collect();
        assert_eq!(places, [("D-0", "A"), ("D-1", "B")]);
        let rows = done(&rows, Change::Take { code: "A".into() });
        assert_eq!((rows.plans.len(), rows.pins.len(), rows.version), (1, 1, 6));
        assert_eq!(
            Change::Take { code: "A".into() }.apply(&rows),
            Err(Refused::Unknown("There is no plan `A`.".into()))
        );
    }

    #[test]
    fn what_makes_no_sense_is_refused_with_every_reason() {
        let rows = done(&rows(), Change::Put(floor("A")));
        let refused = |change: Change| match change.apply(&rows) {
            Err(Refused::Unsound(wrong)) => wrong.join("; "),
            other => panic!("{other:?}"),
        };
        let strange = Plan {
            code: "a b".into(),
            cell: "X".into(),
            name: "n".repeat(61),
            shows: Shows::Floor { building: " ".into(), floor: 0 },
            picture: Picture::default(),
        };
        let said = refused(Change::Put(strange));
        for part in ["the code", "no cell `X`", "the name is longer", "name the building", "no floor 0"] {
            assert!(said.contains(part), "{part}: {said}");
        }
        let flat = Shows::Ground { corners: [[118.0, 32.0], [118.1, 32.0], [118.2, 32.0]] };
        assert!(refused(Change::Put(Plan { shows: flat, ..floor("G") })).contains("three different places"));
        let said = refused(hang("A", &[("D-9", [0.5, 0.5]), ("D-1", [1.01, 0.5]), ("D-2", [f64::NAN, 0.0])]));
        assert!(said.contains("no device `D-9`") && said.contains("`D-1` lies outside"), "{said}");
        assert!(said.contains("`D-2` lies outside"), "{said}");
        assert!(refused(hang("A", &[("D-1", [0.5, 0.5]), ("D-1", [0.6, 0.5])])).contains("twice"));
    }

    proptest! {
        /// Whatever is done in whatever order: a device has one pin, on a plan that is there.
        #[test]
        fn spots_stay_sound(deeds in prop::collection::vec((0..3usize, 0..3usize, prop::collection::vec(0..3u32, 0..3)), 1..20)) {
            let mut rows = rows();
            for (what, which, devices) in deeds {
                let code = ["A", "B", "C"][which];
                let change = match what {
                    0 => Change::Put(floor(code)),
                    1 => Change::Take { code: code.into() },
                    _ => hang(code, &devices.iter().map(|ix| (["D-0", "D-1", "D-2"][*ix as usize], [0.5, 0.5])).collect::<Vec<_>>()),
                };
                if let Ok(Some(next)) = change.apply(&rows) {
                    prop_assert_eq!(next.version, rows.version + 1);
                    rows = next;
                }
                prop_assert!(rows.pins.windows(2).all(|pair| pair[0].device < pair[1].device));
                prop_assert!(rows.pins.iter().all(|pin| rows.plans.iter().any(|plan| plan.code == pin.plan)));
            }
        }
    }
}
