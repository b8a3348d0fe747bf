//! A made-up city: as many cells as 369,000 households need at a hundred each, and 10,000 devices in them. For the map, and for a week of hazards.

use gateway::grid::{Cell, Device, Rows};
use gateway::model::{CellIx, DeviceIx, DeviceKind};
use gateway::units::{Millis, Timestamp};

pub const CELLS: u32 = 3_689;
pub const DEVICES: u32 = 10_000;
/// The device stands in the cell of this number.
pub fn cell_of(device: u32) -> u32 {
    (device * 2_657) % CELLS
}

/// Squares of 180 m, a bit bent, in communities of 41; detectors and every twentieth device a hydrant.
pub fn city() -> Rows {
    const ACROSS: u32 = 70;
    let begin = Timestamp::parse_rfc3339("2026-01-01T00:00:00Z").expect("valid");
    let corner = |column: u32, row: u32| {
        let bent = |seed: u32| f64::from((seed * 7919) % 97) / 97.0 * 0.0005;
        [
            118.60 + f64::from(column) * 0.002 + bent(column * 131 + row),
            32.00 + f64::from(row) * 0.0017 + bent(row * 173 + column),
        ]
    };
    let leaf = |number: u32| {
        let (column, row) = (number % ACROSS, number / ACROSS);
        let ring = [(0, 0), (1, 0), (1, 1), (0, 1), (0, 0)].map(|(x, y)| corner(column + x, row + y));
        Cell {
            ix: CellIx(number),
            code: format!("C-{number}"),
            name: format!("第{number}网格"),
            scheme: "service".into(),
            parent: None,
            kind: "residential".into(),
            polygons: vec![vec![ring.to_vec()]],
            retired: false,
        }
    };
    let device = |number: u32| {
        let cell = cell_of(number);
        let [x, y] = corner(cell % ACROSS, cell / ACROSS);
        let kind = if number.is_multiple_of(20) { DeviceKind::Hydrant } else { DeviceKind::SmokeDetector };
        let inside = |seed: u32| f64::from((number * seed) % 83) / 83.0 * 0.0012 + 0.0004;
        Device {
            ix: DeviceIx(number),
            id: format!("D-{number}"),
            kind,
            name: format!("{number}"),
            address: format!("native:D-{number}"),
            cells: [format!("C-{cell}")].into(),
            place: format!("{cell}格 {number}号"),
            position: Some([x + inside(31), y + inside(57)]),
            silent_after: Some(Millis::from_secs(3600)),
            registered: begin,
            retired: false,
        }
    };
    Rows {
        version: 2,
        cells: (0..CELLS).map(leaf).collect(),
        devices: (0..DEVICES).map(device).collect(),
        ..Rows::default()
    }
}
