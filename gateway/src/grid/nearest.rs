//! Who is nearest to a place, of those who may handle an alarm there.
//!
//! Where people are is told by the caller and not kept. Distances are on the sphere, and rounded up to [`STEP_M`]: enough to know whom to send, too coarse to say afterwards
//! where somebody was.

use super::{Registry, Role};
use crate::model::{CellIx, DeviceIx};
use crate::units::Timestamp;

/// What distances are rounded up to, in metres.
const STEP_M: u32 = 50;
/// Mean radius of the earth (IUGG).
const EARTH_M: f64 = 6_371_009.0;

impl Registry {
    /// On duty in the cell or above it (who has a duty in a cell may handle what is below), nearest first, with metres; without the people of `besides`. None when
    /// nobody knows where the alarm is. The device's own place counts, else the middle of the cell.
    pub fn nearest(
        &self,
        (cell, device): (CellIx, Option<DeviceIx>),
        at: Timestamp,
        where_is: &dyn Fn(&str) -> Option<[f64; 2]>,
        besides: &[String],
    ) -> Vec<(String, u32)> {
        let place = device.and_then(|device| self.device(device)?.position);
        let Some(place) = place.or_else(|| self.middle(cell)) else { return Vec::new() };
        let mut found: Vec<(u32, String)> = Vec::new();
        for (role, person) in self.up_from(cell).flat_map(|cell| self.on_duty(cell, at)) {
            let known = || found.iter().any(|(_, id)| *id == person.id);
            if role == Role::Department || besides.contains(&person.id) || known() {
                continue;
            }
            if let Some(here) = where_is(&person.id) {
                found.push((rounded(metres(here, place)), person.id.clone()));
            }
        }
        found.sort_by_key(|(metres, _)| *metres); // Stable: of two at one distance the one who answers first.
        found.into_iter().map(|(metres, id)| (id, metres)).collect()
    }

    /// Of the box around the cell.
    fn middle(&self, cell: CellIx) -> Option<[f64; 2]> {
        let points = || self.cell(cell).into_iter().flat_map(|cell| cell.polygons.iter().flatten().flatten());
        let middle = |axis: usize| {
            let (low, high) = points().fold((f64::INFINITY, f64::NEG_INFINITY), |(low, high), point| {
                (low.min(point[axis]), high.max(point[axis]))
            });
            (low + high) / 2.0
        };
        points().next().map(|_| [middle(0), middle(1)])
    }
}

/// Between two points given as longitude and latitude in degrees: the haversine formula.
pub fn metres([lon, lat]: [f64; 2], [other_lon, other_lat]: [f64; 2]) -> f64 {
    let half = |from: f64, to: f64| ((to - from).to_radians() / 2.0).sin().powi(2);
    let across = lat.to_radians().cos() * other_lat.to_radians().cos();
    let chord = half(lat, other_lat) + across * half(lon, other_lon);
    2.0 * EARTH_M * chord.sqrt().min(1.0).asin()
}

fn rounded(metres: f64) -> u32 {
    ((metres / f64::from(STEP_M)).ceil() as u32).saturating_mul(STEP_M)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::grid::{Cell, Duty, Person, Rows};

    #[test]
    fn distances_are_those_of_the_sphere() {
        for (one, other, expected) in [
            ([118.9, 32.1], [118.9, 32.1], 0.0),
            ([118.9, 32.1], [118.9, 32.101], 111.2), // A thousandth of a degree north …
            ([118.9, 32.1], [118.901, 32.1], 94.2),  // … and east, at this latitude.
            ([179.9995, 0.0], [-179.9995, 0.0], 111.2),
            ([0.0, 90.0], [180.0, -90.0], 20_015_115.0),
            ([118.78, 32.06], [121.47, 31.23], 270_600.0), // Nanjing to Shanghai.
        ] {
            let found = metres(one, other);
            assert!((found - expected).abs() <= 0.002 * expected.max(1.0), "{one:?} {other:?}: {found}");
        }
        assert_eq!([0.0, 0.1, 50.0, 51.0].map(rounded), [0, 50, 50, 100]);
    }

    #[test]
    fn the_nearest_of_those_who_may_come() {
        let cell = |ix, code: &str, parent: Option<&str>, polygons| Cell {
            ix: CellIx(ix),
            code: code.into(),
            name: code.into(),
            scheme: "admin".into(),
            parent: parent.map(str::to_owned),
            kind: "residential".into(),
            polygons,
            retired: false,
        };
        let square = vec![vec![vec![[0.0, 0.0], [0.01, 0.0], [0.01, 0.01], [0.0, 0.01], [0.0, 0.0]]]];
        let duty = |person: &str, cell: &str, role| Duty {
            person: person.into(),
            cell: cell.into(),
            role,
            from: Timestamp(0),
            until: None,
            hours: None,
        };
        let people = ["ann", "bob", "carl", "office", "next", "lost"];
        let person = |id: &str| Person { id: id.into(), name: id.into(), ..Person::default() };
        let rows = Rows {
            cells: vec![
                cell(0, "top", None, Vec::new()),
                cell(1, "b1", Some("top"), square),
                cell(2, "b2", Some("top"), Vec::new()),
            ],
            people: people.map(person).to_vec(),
            duties: vec![
                duty("ann", "b1", Role::Lead),
                duty("bob", "b1", Role::Worker),
                duty("carl", "top", Role::Officer),
                duty("office", "b1", Role::Department),
                duty("next", "b2", Role::Lead),
                duty("lost", "b1", Role::Worker),
                duty("ann", "top", Role::Deputy),
            ],
            ..Rows::default()
        };
        let registry = Registry::build(rows);
        let where_is = |id: &str| match id {
            "ann" => Some([0.005, 0.007]),
            "bob" => Some([0.005, 0.0055]),
            "carl" | "office" | "next" => Some([0.005, 0.005]),
            _ => None,
        };
        let nearest = |cell, besides: &[&str]| {
            let besides: Vec<String> = besides.iter().map(ToString::to_string).collect();
            registry.nearest((CellIx(cell), None), Timestamp(1), &where_is, &besides)
        };
        let named = |found: &[(&str, u32)]| -> Vec<(String, u32)> {
            found.iter().map(|(id, metres)| ((*id).to_owned(), *metres)).collect()
        };
        assert_eq!(nearest(1, &[]), named(&[("carl", 0), ("bob", 100), ("ann", 250)]));
        assert_eq!(nearest(1, &["carl"]), named(&[("bob", 100), ("ann", 250)]));
        assert_eq!(nearest(2, &[]), [], "nobody knows where the cell is");
    }
}
