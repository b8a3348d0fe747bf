//! Cells: the tree must hold, and cells of one level must not overlap.

use std::collections::{BTreeSet, HashMap};

use super::super::CellRow;
use super::{Merge, optional, text};
use crate::grid::Cell;
use crate::grid::locate::{Fault, Locator};
use crate::model::CellIx;
use crate::problem::{Spot, instead};

impl Merge<'_> {
    pub(super) fn cells(&mut self, rows: &[CellRow]) {
        let mut by_code: HashMap<String, usize> =
            self.rows.cells.iter().map(|cell| (cell.code.clone(), cell.ix.at())).collect();
        for row in rows {
            match by_code.get(&row.code.value) {
                Some(&at) => self.change_cell(at, row),
                None => {
                    let ix = CellIx(self.rows.cells.len() as u32);
                    by_code.insert(row.code.value.clone(), ix.at());
                    self.diff.add("cell", &row.code.value);
                    self.rows.cells.push(Cell {
                        ix,
                        code: row.code.value.clone(),
                        name: row.name.clone(),
                        scheme: row.scheme.clone(),
                        parent: row.parent.clone(),
                        kind: row.kind.clone(),
                        polygons: row.polygons.clone(),
                        retired: row.retired,
                    });
                }
            }
        }
        let spots: HashMap<CellIx, Spot> =
            rows.iter().map(|row| (CellIx(by_code[&row.code.value] as u32), row.code.at)).collect();
        self.check_tree(&by_code, &spots);
        if self.problems.is_empty() {
            self.check_shapes(&spots);
        }
    }

    fn change_cell(&mut self, at: usize, row: &CellRow) {
        let cell = &mut self.rows.cells[at];
        let (mut changes, was_retired) = (Vec::new(), cell.retired);
        set(&mut cell.name, row.name.clone(), "name", text, &mut changes);
        set(&mut cell.scheme, row.scheme.clone(), "scheme", text, &mut changes);
        set(&mut cell.parent, row.parent.clone(), "parent", optional, &mut changes);
        set(&mut cell.kind, row.kind.clone(), "kind", text, &mut changes);
        let points = |polygons: &Vec<Vec<Vec<[f64; 2]>>>| {
            format!("{} points", polygons.iter().flatten().map(Vec::len).sum::<usize>())
        };
        set(&mut cell.polygons, row.polygons.clone(), "shape", points, &mut changes);
        set(&mut cell.retired, row.retired, "retired", bool::to_string, &mut changes);
        self.diff.change("cell", &row.code.value, &changes, was_retired, row.retired);
    }

    /// Parents exist, are in the same scheme, in service, and lead to a root; what is retired is empty.
    fn check_tree(&mut self, by_code: &HashMap<String, usize>, spots: &HashMap<CellIx, Spot>) {
        let mut used: BTreeSet<&str> = self
            .rows
            .cells
            .iter()
            .filter(|cell| !cell.retired)
            .filter_map(|cell| cell.parent.as_deref())
            .collect();
        used.extend(
            self.rows.devices.iter().filter(|d| !d.retired).flat_map(|d| d.cells.iter().map(String::as_str)),
        );
        let mut wrong = Vec::new();
        for cell in &self.rows.cells {
            let Some(&at) = spots.get(&cell.ix) else { continue };
            let code = &cell.code;
            if cell.retired {
                if used.contains(code.as_str()) {
                    wrong.push((at, format!("the cell `{code}` is retired but still holds cells or devices; give these another cell first")));
                }
                continue;
            }
            let Some(parent) = &cell.parent else { continue };
            let Some(above) = by_code.get(parent).map(|&at| &self.rows.cells[at]) else {
                let codes = self.rows.cells.iter().map(|cell| cell.code.as_str());
                wrong.push((
                    at,
                    format!(
                        "the parent `{parent}` of the cell `{code}` does not exist; {}",
                        instead(parent, codes)
                    ),
                ));
                continue;
            };
            if above.scheme != cell.scheme {
                wrong.push((at, format!("the parent `{parent}` of the cell `{code}` is of the scheme `{}`; a parent is of the same scheme, here `{}`", above.scheme, cell.scheme)));
            }
            if above.retired {
                wrong.push((
                    at,
                    format!("the parent `{parent}` of the cell `{code}` is retired; name a cell in service"),
                ));
            }
            let mut up = std::iter::successors(Some(cell), |cell| {
                cell.parent.as_ref().and_then(|code| by_code.get(code)).map(|&at| &self.rows.cells[at])
            });
            if up.nth(self.rows.cells.len()).is_some() {
                wrong.push((at, format!("the parents of the cell `{code}` go round in a circle; leave the parent of the topmost cell empty")));
            }
        }
        wrong.into_iter().for_each(|(at, message)| self.wrong(at, message));
    }

    fn check_shapes(&mut self, spots: &HashMap<CellIx, Spot>) {
        let cells = std::mem::take(&mut self.rows.cells);
        let code = |ix: CellIx| cells[ix.at()].code.as_str();
        for fault in Locator::new(&cells).faults() {
            match fault {
                Fault::Overlap { first, second, m2 } => {
                    // What overlapped before this file is not its fault.
                    if let Some(&at) = spots.get(&second).or_else(|| spots.get(&first)) {
                        self.wrong(at, format!(
                            "the cells `{}` and `{}` overlap by {m2:.0} m²; draw their border through the same points",
                            code(first), code(second)
                        ));
                    }
                }
                Fault::Gap { parent, m2 } => {
                    self.diff.hint(format!(
                        "{m2:.0} m² of the cell `{}` lie in none of the cells below it",
                        code(parent)
                    ));
                }
                Fault::Outside { cell, parent, m2 } => {
                    self.diff.hint(format!(
                        "{m2:.0} m² of the cell `{}` lie outside its parent `{}`",
                        code(cell),
                        code(parent)
                    ));
                }
            }
        }
        self.rows.cells = cells;
    }
}

/// Sets `field` and remembers how it changed.
fn set<T: PartialEq>(
    field: &mut T,
    value: T,
    name: &str,
    show: impl Fn(&T) -> String,
    changes: &mut Vec<String>,
) {
    if *field != value {
        changes.push(format!("{name}: {} → {}", show(field), show(&value)));
        *field = value;
    }
}
