//! Which cell a point lies in, and whether the cells of a scheme overlap or leave gaps.
//!
//! A point on a shared border belongs to both cells; the one with the lowest position in the registry gets it, so that no device falls between
//! two cells and the answer never changes by itself. Areas are taken in square metres on a local plane, good for a district, not for a continent.

use std::collections::BTreeMap;

use geo::{
    Area, BooleanOps, BoundingRect, Coord, Intersects, LineString, MapCoords, MultiPolygon, Point, Polygon,
    Rect, Validation,
};

use super::Cell;
use crate::model::CellIx;

/// Overlaps and gaps smaller than this come from rounding, not from drawing.
pub const SLIVER_M2: f64 = 10.0;

type Rings = Vec<Vec<[f64; 2]>>;

/// Why these polygons are not a valid shape, if they are not.
pub fn invalid(polygons: &[Rings]) -> Option<String> {
    shape(polygons).check_validation().err().map(|error| error.to_string())
}

/// Written back as they are kept.
pub(super) fn rings(area: &MultiPolygon) -> Vec<Rings> {
    let ring = |line: &LineString| -> Vec<[f64; 2]> { line.coords().map(|at| [at.x, at.y]).collect() };
    let polygon = |polygon: &Polygon| {
        std::iter::once(polygon.exterior()).chain(polygon.interiors()).map(ring).collect::<Rings>()
    };
    area.iter().map(polygon).collect()
}

pub(super) fn square_metres(area: &MultiPolygon) -> f64 {
    let origin = area.bounding_rect().map_or(Coord::zero(), |bounds| bounds.min());
    in_metres(area, origin).unsigned_area()
}

pub(super) fn shape(polygons: &[Rings]) -> MultiPolygon {
    let ring =
        |ring: &Vec<[f64; 2]>| -> LineString { ring.iter().map(|[x, y]| Coord { x: *x, y: *y }).collect() };
    let polygon = |rings: &Rings| {
        let mut rings = rings.iter().map(ring);
        Polygon::new(rings.next().unwrap_or(LineString::new(Vec::new())), rings.collect())
    };
    MultiPolygon::new(polygons.iter().map(polygon).collect())
}

struct Shape<'a> {
    cell: &'a Cell,
    depth: usize,
    area: MultiPolygon,
    bounds: Rect,
}

fn overlaps(a: &Rect, b: &Rect) -> bool {
    a.min().x <= b.max().x && b.min().x <= a.max().x && a.min().y <= b.max().y && b.min().y <= a.max().y
}

/// The shapes of all cells in service, ready for asking.
pub struct Locator<'a> {
    /// In the order of [`CellIx`].
    shapes: Vec<Shape<'a>>,
    /// Names of the schemes, in the order of their first cells.
    schemes: Vec<&'a str>,
    buckets: Buckets,
}

/// A raster over all shapes: which of them may hold a point, without asking each of them.
struct Buckets {
    origin: Coord,
    step: Coord,
    shapes: Vec<Vec<u32>>,
}

/// Buckets per side; 4,096 in all keep a few cells each even in a whole city.
const SIDE: usize = 64;

impl Buckets {
    fn new(shapes: &[Shape<'_>]) -> Self {
        let (mut min, mut max) = (Coord { x: 180.0_f64, y: 90.0_f64 }, Coord { x: -180.0_f64, y: -90.0_f64 });
        for shape in shapes {
            min = Coord { x: min.x.min(shape.bounds.min().x), y: min.y.min(shape.bounds.min().y) };
            max = Coord { x: max.x.max(shape.bounds.max().x), y: max.y.max(shape.bounds.max().y) };
        }
        let step = |length: f64| (length / SIDE as f64).max(1e-9);
        let step = Coord { x: step(max.x - min.x), y: step(max.y - min.y) };
        let mut buckets = Self { origin: min, step, shapes: vec![Vec::new(); SIDE * SIDE] };
        for (at, shape) in shapes.iter().enumerate() {
            let [west, south] = buckets.place(shape.bounds.min());
            let [east, north] = buckets.place(shape.bounds.max());
            for row in south..=north {
                for column in west..=east {
                    buckets.shapes[row * SIDE + column].push(at as u32);
                }
            }
        }
        buckets
    }

    /// Column and row; a point outside counts to the nearest bucket, whose shapes will say no.
    fn place(&self, at: Coord) -> [usize; 2] {
        let place = |distance: f64, step: f64| ((distance / step).max(0.0) as usize).min(SIDE - 1);
        [place(at.x - self.origin.x, self.step.x), place(at.y - self.origin.y, self.step.y)]
    }

    fn near(&self, at: Coord) -> &[u32] {
        let [column, row] = self.place(at);
        &self.shapes[row * SIDE + column]
    }
}

/// Something about the shapes that a person should look at.
#[derive(Clone, Debug, PartialEq)]
pub enum Fault {
    /// Two cells of the same level of a scheme cover the same ground.
    Overlap { first: CellIx, second: CellIx, m2: f64 },
    /// The cells below this one leave some of it uncovered.
    Gap { parent: CellIx, m2: f64 },
    /// A cell reaches out of its parent.
    Outside { cell: CellIx, parent: CellIx, m2: f64 },
}

impl<'a> Locator<'a> {
    pub fn new(cells: &'a [Cell]) -> Self {
        let by_code: BTreeMap<&str, &Cell> = cells.iter().map(|cell| (cell.code.as_str(), cell)).collect();
        let parent = |cell: &Cell| cell.parent.as_deref().and_then(|code| by_code.get(code).copied());
        let mut schemes: Vec<&str> = Vec::new();
        let mut shapes = Vec::new();
        for cell in cells.iter().filter(|cell| !cell.retired) {
            if !schemes.contains(&cell.scheme.as_str()) {
                schemes.push(&cell.scheme);
            }
            let area = shape(&cell.polygons);
            if let Some(bounds) = area.bounding_rect() {
                let depth =
                    std::iter::successors(parent(cell), |cell| parent(cell)).take(cells.len()).count();
                shapes.push(Shape { cell, depth, area, bounds });
            }
        }
        let buckets = Buckets::new(&shapes);
        Self { shapes, schemes, buckets }
    }

    /// The deepest cell of each scheme that holds the point, in the order of the schemes.
    pub fn cells_at(&self, [lon, lat]: [f64; 2]) -> Vec<&'a Cell> {
        let point = Point::new(lon, lat);
        let mut found: BTreeMap<&str, &Shape<'a>> = BTreeMap::new();
        for &at in self.buckets.near(point.0) {
            let shape = &self.shapes[at as usize];
            let near = shape.bounds.min().x <= lon
                && lon <= shape.bounds.max().x
                && shape.bounds.min().y <= lat
                && lat <= shape.bounds.max().y;
            let deeper = found.get(shape.cell.scheme.as_str()).is_none_or(|best| best.depth < shape.depth);
            if near && deeper && shape.area.intersects(&point) {
                found.insert(&shape.cell.scheme, shape);
            }
        }
        self.schemes.iter().filter_map(|scheme| found.get(scheme).map(|shape| shape.cell)).collect()
    }

    /// Overlaps, gaps and cells outside their parent, each larger than [`SLIVER_M2`].
    pub fn faults(&self) -> Vec<Fault> {
        let plane: Vec<MultiPolygon> = self.shapes.iter().map(|shape| self.in_metres(&shape.area)).collect();
        let mut faults = Vec::new();
        for (i, one) in self.shapes.iter().enumerate() {
            for (j, other) in self.shapes.iter().enumerate().skip(i + 1) {
                let same_level = one.cell.scheme == other.cell.scheme && one.depth == other.depth;
                if !same_level || !overlaps(&one.bounds, &other.bounds) {
                    continue;
                }
                let m2 = plane[i].intersection(&plane[j]).unsigned_area();
                if m2 > SLIVER_M2 {
                    faults.push(Fault::Overlap { first: one.cell.ix, second: other.cell.ix, m2 });
                }
            }
            self.faults_below(i, &plane, &mut faults);
        }
        faults
    }

    fn faults_below(&self, parent: usize, plane: &[MultiPolygon], faults: &mut Vec<Fault>) {
        let above = self.shapes[parent].cell;
        let mut uncovered = plane[parent].clone();
        let mut children = false;
        for (shape, area) in self.shapes.iter().zip(plane) {
            if shape.cell.parent.as_deref() != Some(above.code.as_str()) || shape.cell.scheme != above.scheme
            {
                continue;
            }
            children = true;
            uncovered = uncovered.difference(area);
            let m2 = area.difference(&plane[parent]).unsigned_area();
            if m2 > SLIVER_M2 {
                faults.push(Fault::Outside { cell: shape.cell.ix, parent: above.ix, m2 });
            }
        }
        let m2 = uncovered.unsigned_area();
        if children && m2 > SLIVER_M2 {
            faults.push(Fault::Gap { parent: above.ix, m2 });
        }
    }

    /// Metres east and north of the first shape's corner.
    fn in_metres(&self, area: &MultiPolygon) -> MultiPolygon {
        let origin = self.shapes.first().map_or(Coord::zero(), |shape| shape.bounds.min());
        in_metres(area, origin)
    }
}

/// Of latitude, and of longitude at the equator.
pub(super) const DEGREE_M: f64 = 111_320.0;

fn in_metres(area: &MultiPolygon, origin: Coord) -> MultiPolygon {
    let east = DEGREE_M * origin.y.to_radians().cos();
    area.map_coords(|at| Coord { x: (at.x - origin.x) * east, y: (at.y - origin.y) * DEGREE_M })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A rectangle of 0.001° steps east and north of Nanjing.
    fn cell(ix: u32, code: &str, parent: Option<&str>, [west, south, east, north]: [f64; 4]) -> Cell {
        let at = |x: f64, y: f64| [118.9 + x / 1000.0, 32.1 + y / 1000.0];
        let ring = vec![at(west, south), at(east, south), at(east, north), at(west, north), at(west, south)];
        Cell {
            ix: CellIx(ix),
            code: code.into(),
            name: code.into(),
            scheme: "admin".into(),
            parent: parent.map(str::to_owned),
            kind: "cell".into(),
            polygons: vec![vec![ring]],
            retired: false,
        }
    }

    fn codes(cells: &[Cell], x: f64, y: f64) -> Vec<String> {
        let locator = Locator::new(cells);
        locator
            .cells_at([118.9 + x / 1000.0, 32.1 + y / 1000.0])
            .iter()
            .map(|cell| cell.code.clone())
            .collect()
    }

    fn street() -> Vec<Cell> {
        vec![
            cell(0, "S", None, [0., 0., 4., 2.]),
            cell(1, "S-1", Some("S"), [0., 0., 2., 2.]),
            cell(2, "S-2", Some("S"), [2., 0., 4., 2.]),
        ]
    }

    #[test]
    fn the_deepest_cell_is_found_and_a_border_goes_to_the_first() {
        let cells = street();
        for (x, y, wanted) in [
            (1., 1., vec!["S-1"]),
            (3., 1., vec!["S-2"]),
            (2., 1., vec!["S-1"]),
            (0., 0., vec!["S-1"]),
            (5., 1., vec![]),
        ] {
            assert_eq!(codes(&cells, x, y), wanted, "{x} {y}");
        }
    }

    /// The raster must never hide a cell.
    #[test]
    fn the_raster_finds_what_asking_every_cell_finds() {
        let mut cells = vec![cell(0, "S", None, [0., 0., 30., 10.])];
        for i in 0..300_u32 {
            let (x, y) = (f64::from(i % 30), f64::from(i / 30));
            cells.push(cell(i + 1, &format!("S-{i}"), Some("S"), [x, y, x + 1.0, y + 1.0]));
        }
        let locator = Locator::new(&cells);
        for i in 0..5_000 {
            let (x, y) = (-1.0 + f64::from(i % 100) * 0.325, -1.0 + f64::from(i / 100) * 0.25);
            let point = [118.9 + x / 1000.0, 32.1 + y / 1000.0];
            let all = locator.shapes.iter().filter(|shape| shape.area.intersects(&Point::from(point)));
            let wanted = all.max_by_key(|shape| (shape.depth, std::cmp::Reverse(shape.cell.ix)));
            let found = locator.cells_at(point).first().map(|cell| cell.ix);
            assert_eq!(found, wanted.map(|shape| shape.cell.ix), "{x} {y}");
        }
    }

    #[test]
    fn every_scheme_gives_one_cell() {
        let mut cells = street();
        cells.push(Cell { scheme: "service".into(), ..cell(3, "V", None, [1., 0., 3., 2.]) });
        assert_eq!(codes(&cells, 1.5, 1.), ["S-1", "V"]);
        assert_eq!(codes(&cells, 0.5, 1.), ["S-1"]);
    }

    #[test]
    fn a_retired_cell_holds_nothing() {
        let mut cells = street();
        cells[1].retired = true;
        assert_eq!(codes(&cells, 1., 1.), ["S"]);
    }

    #[test]
    fn cells_that_share_their_corners_have_no_fault() {
        assert_eq!(Locator::new(&street()).faults(), []);
    }

    #[test]
    fn overlaps_gaps_and_overhangs_are_found_with_their_area() {
        let mut cells = street();
        cells[1] = cell(1, "S-1", Some("S"), [-1., 0., 1.5, 2.]);
        cells[2] = cell(2, "S-2", Some("S"), [1., 0., 3.5, 2.]);
        let faults = Locator::new(&cells).faults();
        // One step is 111.32 m north and 94.3 m east here.
        let close = |m2: f64, steps: f64| (m2 / (111.32 * 94.3) / steps - 1.0).abs() < 0.01;
        assert!(
            matches!(faults[..], [
            Fault::Outside { cell: CellIx(1), parent: CellIx(0), m2: outside },
            Fault::Gap { parent: CellIx(0), m2: gap },
            Fault::Overlap { first: CellIx(1), second: CellIx(2), m2: overlap },
        ] if close(outside, 2.0) && close(gap, 1.0) && close(overlap, 1.0)),
            "{faults:?}"
        );
    }

    #[test]
    fn a_bow_tie_is_not_a_polygon() {
        let tie = vec![vec![vec![[0., 0.], [1., 1.], [1., 0.], [0., 1.], [0., 0.]]]];
        assert!(invalid(&tie).is_some());
        assert_eq!(invalid(&street()[0].polygons), None);
        assert_eq!(invalid(&[]), None);
    }
}
