//! Two cells side by side of 0.002°, with devices, people and doors, redrawn.

use super::*;
use crate::grid::dwellings::{Building, Household};
use crate::grid::plan::{Picture, Plan};
use crate::grid::{Device, Team, TeamKind};
use crate::model::{DeviceIx, DeviceKind};
use crate::units::Zone;

const NOW: Timestamp = Timestamp(1_000_000);

fn cell(ix: u32, code: &str, west: f64) -> Cell {
    let at = |x: f64, y: f64| [118.9 + x / 1000.0, 32.1 + y / 1000.0];
    let ring = vec![at(west, 0.), at(west + 2., 0.), at(west + 2., 2.), at(west, 2.), at(west, 0.)];
    Cell {
        ix: CellIx(ix),
        code: code.into(),
        name: code.into(),
        scheme: "admin".into(),
        parent: None,
        kind: "residential".into(),
        polygons: vec![vec![ring]],
        retired: false,
    }
}

fn device(ix: u32, cell: &str, place: &str, position: Option<[f64; 2]>) -> Device {
    Device {
        ix: DeviceIx(ix),
        id: format!("D-{ix}"),
        kind: DeviceKind::SmokeDetector,
        name: String::new(),
        address: format!("native:D-{ix}"),
        cells: [cell.into(), "OTHER".into()].into(),
        place: place.into(),
        position: position.map(|[x, y]| [118.9 + x / 1000.0, 32.1 + y / 1000.0]),
        silent_after: None,
        registered: Timestamp(0),
        retired: false,
    }
}

fn duty(person: &str, cell: &str, role: Role, until: Option<i64>) -> Duty {
    let until = until.map(Timestamp);
    Duty { person: person.into(), cell: cell.into(), role, from: Timestamp(0), until, hours: None }
}

fn plan(code: &str, cell: &str, building: Option<&str>) -> Plan {
    let shows = match building {
        Some(building) => Shows::Floor { building: building.into(), floor: 1 },
        None => Shows::Ground { corners: [[118.9, 32.1], [118.91, 32.1], [118.9, 32.09]] },
    };
    Plan { code: code.into(), cell: cell.into(), name: String::new(), shows, picture: Picture::default() }
}

/// Code and cell of each.
fn plans(rows: &Rows) -> Vec<(&str, &str)> {
    rows.plans.iter().map(|plan| (plan.code.as_str(), plan.cell.as_str())).collect()
}

fn rows() -> Rows {
    let door = |cell: &str, place: &str| Household {
        cell: cell.into(),
        place: place.into(),
        people: 2,
        ..Household::default()
    };
    let building =
        |cell: &str, name: &str| Building { cell: cell.into(), name: name.into(), ..Building::default() };
    Rows {
        version: 7,
        cells: vec![cell(0, "A", 0.), cell(1, "B", 2.)],
        devices: vec![
            device(0, "A", "1栋1单元101", Some([0.5, 1.0])),
            device(1, "A", "2栋1单元101", Some([1.5, 1.0])),
            device(2, "A", "2栋1单元201", None),
            device(3, "B", "1栋1单元101", Some([3.0, 1.0])),
        ],
        duties: vec![
            duty("wang", "A", Role::Lead, None),
            duty("gone", "A", Role::Worker, Some(5)),
            duty("li", "B", Role::Lead, None),
            duty("wang", "B", Role::Worker, None),
        ],
        households: vec![
            door("A", "1栋1单元101"),
            door("A", "2栋1单元101"),
            door("B", "1栋1单元101"),
            door("B", "9栋"),
        ],
        buildings: vec![building("A", "1栋"), building("A", "2栋"), building("B", "1栋")],
        teams: vec![Team {
            name: "t".into(),
            kind: TeamKind::Response,
            members: Vec::new(),
            cells: vec!["B".into()],
            devices: Vec::new(),
            flat: None,
            from: Timestamp(0),
            until: None,
        }],
        zone: Zone::default(),
        plans: vec![
            plan("A-1", "A", Some("1栋")),
            plan("A-2", "A", Some("2栋")),
            plan("B-1", "B", Some("1栋")),
            plan("G", "B", None),
        ],
        ..Rows::default()
    }
}

/// Straight up the middle of A: the east is to the right.
fn cut(code: &str) -> Redraw {
    let line = [[118.901, 32.09], [118.901, 32.11]];
    Redraw::Split { cell: "A".into(), line, code: code.into(), name: "东格".into() }
}

#[test]
fn what_stands_on_the_ground_goes_with_it() {
    let drawn = cut("A2").apply(&rows(), NOW).expect("it is cut");
    let Rows { version, cells, devices, duties, households, buildings, .. } = &drawn.rows;
    assert_eq!((*version, cells.len(), cells[2].code.as_str(), cells[2].name.as_str()), (8, 3, "A2", "东格"));
    assert_eq!(cells[2].ix, CellIx(2));
    let sizes: Vec<f64> = [0, 2].map(|at: usize| square_metres(&shape(&cells[at].polygons))).into();
    assert!((sizes[0] / sizes[1] - 1.0).abs() < 0.01, "{sizes:?}");
    let at = |ix: usize| devices[ix].cells.to_vec();
    assert_eq!(
        [at(0), at(1), at(2)],
        [["A", "OTHER"], ["A2", "OTHER"], ["A", "OTHER"]],
        "without a position it stays"
    );
    // 2栋 is known on both sides, for a device of it has no position; its first flat has a detector that went.
    let of = |place: &str| {
        households.iter().filter(|one| one.place == place).map(|one| one.cell.as_str()).collect::<Vec<_>>()
    };
    assert_eq!((of("2栋1单元101"), of("1栋1单元101")), (vec!["A2"], vec!["A", "B"]));
    let known: Vec<_> =
        buildings.iter().filter(|one| one.name == "2栋").map(|one| one.cell.as_str()).collect();
    assert_eq!(known, ["A", "A2"]);
    assert_eq!(
        plans(&drawn.rows),
        [("A-1", "A"), ("A-2", "A"), ("B-1", "B"), ("G", "B")],
        "on both sides: it stays"
    );
    let mut all_moved = rows();
    all_moved.devices[2].position = Some([1.5, 1.0]).map(|[x, y]| [118.9 + x * 0.001, 32.1 + y * 0.001]);
    let moved = cut("A2").apply(&all_moved, NOW).expect("it is cut").rows;
    assert_eq!(plans(&moved)[1], ("A-2", "A2"), "with all devices of its building");
    let new: Vec<_> = duties.iter().filter(|duty| duty.cell == "A2").collect();
    assert_eq!((new.len(), new[0].person.as_str(), new[0].role, new[0].from), (1, "wang", Role::Lead, NOW));
    assert!(drawn.lines.contains(&"~ device D-1: A → A2".to_owned()), "{:?}", drawn.lines);
    let with_it = CodeMove { from: "A".into(), device: Some("D-1".into()), to: "A2".into() };
    assert_eq!(drawn.codes, [with_it], "a code that hangs at the device goes along, the cell's board stays");
    assert!(crate::grid::sound::faults(&drawn.rows, NOW).iter().all(|fault| !fault.message.contains("lead")));
    assert_eq!(crate::grid::locate::Locator::new(cells).faults(), [], "no overlap, no gap");
}

#[test]
fn the_cell_that_goes_is_still_found_and_its_people_stay_responsible() {
    let merged = Redraw::Merge { cell: "A".into(), others: vec!["B".into()] };
    let drawn = merged.apply(&rows(), NOW).expect("they touch");
    let Rows { cells, devices, duties, households, teams, .. } = &drawn.rows;
    assert_eq!((cells[0].polygons.len(), cells[0].retired, cells[1].retired), (1, false, true), "one piece");
    assert!(!cells[1].polygons.is_empty(), "an old alarm still finds its place");
    assert_eq!(*devices[3].cells, ["A", "OTHER"]);
    assert!(plans(&drawn.rows).iter().all(|(_, cell)| *cell == "A"), "{:?}", drawn.rows.plans);
    let of_a: Vec<_> = duties
        .iter()
        .filter(|duty| duty.cell == "A" && duty.until.is_none())
        .map(|duty| (duty.person.as_str(), duty.role))
        .collect();
    assert_eq!(of_a, [("wang", Role::Lead), ("li", Role::Deputy), ("wang", Role::Worker)]);
    assert!(
        duties.iter().filter(|duty| duty.cell == "B").all(|duty| duty.until == Some(NOW)),
        "what was stays on record"
    );
    assert_eq!(households.iter().filter(|one| one.cell == "A").count(), 3, "one door stood on both sides");
    assert_eq!(teams[0].cells, ["A"]);
    assert_eq!(drawn.codes, [CodeMove { from: "B".into(), device: None, to: "A".into() }]);
    assert_eq!(drawn.hints.len(), 1, "{:?}", drawn.hints);
    // Split again along the old border: the same ground.
    let line = [[118.902, 32.09], [118.902, 32.11]];
    let again = Redraw::Split { cell: "A".into(), line, code: "B2".into(), name: "B".into() };
    let again = again.apply(&drawn.rows, NOW).expect("it is cut");
    assert_eq!(again.rows.devices[3].cells[0], "B2");
}

#[test]
fn what_cannot_be_redrawn_is_said() {
    let split = |cell: &str, line, code: &str, name: &str| Redraw::Split {
        cell: cell.into(),
        line,
        code: code.into(),
        name: name.into(),
    };
    let (through, beside) = ([[118.901, 32.0], [118.901, 33.0]], [[119.5, 32.0], [119.5, 33.0]]);
    let merge = |cell: &str, others: &[&str]| Redraw::Merge {
        cell: cell.into(),
        others: others.iter().map(ToString::to_string).collect(),
    };
    let mut below = rows();
    below.cells.push(Cell { parent: Some("B".into()), ..cell(2, "B-1", 2.) });
    below.cells.push(Cell { scheme: "service".into(), ..cell(3, "S", 2.) });
    below.cells.push(Cell { kind: "dense_crowd".into(), ..cell(4, "C", 2.) });
    for (redraw, words) in [
        (split("X", through, "A2", "x"), "no cell `X`"),
        (split("A", beside, "A2", "x"), "does not cut"),
        (split("A", [[118.901, 32.1]; 2], "A2", "x"), "does not cut"),
        (split("A", [[f64::NAN, 32.1], [118.9, 32.2]], "A2", "x"), "does not cut"),
        (split("A", through, "B", "x"), "already"),
        (split("A", through, "A 2", "x"), "the code"),
        (split("A", through, "A2", " "), "the name"),
        (split("B", through, "A2", "x"), "cells below"),
        (merge("A", &["A"]), "1 to 20"),
        (merge("A", &["B"]), "cells below"),
        (merge("A", &["S"]), "another scheme"),
        (merge("A", &["C"]), "of the kind dense_crowd"),
        (merge("A", &["NO"]), "no cell `NO`"),
    ] {
        let said = match redraw.apply(&below, NOW) {
            Err(Refused::Unknown(what)) => what,
            Err(Refused::Unsound(wrong)) => wrong.join("; "),
            Ok(_) => panic!("{redraw:?} is done"),
        };
        assert!(said.contains(words), "{redraw:?}: {said}");
    }
}
