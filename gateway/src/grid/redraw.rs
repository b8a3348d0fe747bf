//! A cell is split along a line, or several cells become one; what stands on the ground goes with it.
//!
//! Pure: rows in, rows out, one version on, or why not. The first part of a split and the cell that takes others in keep their codes; a cell that was taken in stays in the registry out of
//! service, so that its alarms and whatever else names its code still find it. Devices follow by where they stand, households and buildings by the devices behind their doors, people and teams
//! by their cell: who answered for the ground yesterday answers today.

#[cfg(test)]
mod tests;

use std::collections::BTreeSet;
use std::sync::Arc;

use geo::{BooleanOps, BoundingRect, Contains, Coord, LineString, MultiPolygon, Point, Polygon};

use super::edit::{self, Refused};
use super::import::bad_code;
use super::locate::{SLIVER_M2, rings, shape, square_metres};
use super::plan::Shows;
use super::{Cell, Device, Duty, Role, Rows, dwellings};
use crate::model::CellIx;
use crate::units::Timestamp;

/// More are not put together at once.
pub const MERGED_MAX: usize = 20;
const NAME_CHARACTERS_MAX: usize = 100;
const LINES_MAX: usize = 200;

#[derive(Clone, Debug, PartialEq)]
pub enum Redraw {
    /// What lies to the right of the line, seen from its first point to its second, becomes a cell of its own. The line goes on in both directions.
    Split { cell: String, line: [[f64; 2]; 2], code: String, name: String },
    /// The others become part of this one.
    Merge { cell: String, others: Vec<String> },
}

/// Codes that were printed for a place of one cell now say another.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CodeMove {
    pub from: String,
    /// Id of the device at which the code hangs; `None`: every code of the cell.
    pub device: Option<String>,
    pub to: String,
}

#[derive(Clone, Debug, PartialEq)]
pub struct Redrawn {
    pub rows: Rows,
    /// Printed codes that hang in a cell and belong to another now.
    pub codes: Vec<CodeMove>,
    /// As of an import: `+ cell X`, `~ device SD-1: A → B`.
    pub lines: Vec<String>,
    pub more_lines: usize,
    /// Worth a look.
    pub hints: Vec<String>,
}

impl Redraw {
    /// Cells whose ground passes to another, wholly or in part: from, to.
    pub fn passes(&self) -> Vec<(&str, &str)> {
        match self {
            Self::Split { cell, code, .. } => vec![(cell, code)],
            Self::Merge { cell, others } => {
                others.iter().filter(|other| *other != cell).map(|other| (&**other, &**cell)).collect()
            }
        }
    }

    pub fn apply(&self, rows: &Rows, now: Timestamp) -> Result<Redrawn, Refused> {
        let mut drawn = Redrawn {
            rows: rows.clone(),
            codes: Vec::new(),
            lines: Vec::new(),
            more_lines: 0,
            hints: Vec::new(),
        };
        match self {
            Self::Split { cell, line, code, name } => split(&mut drawn, cell, *line, code, name, now)?,
            Self::Merge { cell, others } => merge(&mut drawn, cell, others, now)?,
        }
        edit::sort(&mut drawn.rows);
        drawn.rows.version += 1;
        drawn.more_lines = drawn.lines.len().saturating_sub(LINES_MAX);
        drawn.lines.truncate(LINES_MAX);
        Ok(drawn)
    }
}

fn split(
    drawn: &mut Redrawn,
    code: &str,
    line: [[f64; 2]; 2],
    new: &str,
    name: &str,
    now: Timestamp,
) -> Result<(), Refused> {
    let old = leaf(&drawn.rows, code)?.clone();
    let name = name.trim();
    let mut wrong: Vec<String> = bad_code(new).map(|bad| format!("the code {bad}")).into_iter().collect();
    if new.is_empty() || drawn.rows.cells.iter().any(|cell| cell.code == new) {
        wrong.push(format!("there is a cell `{new}` already, or it is empty; choose another code"));
    }
    if name.is_empty() || NAME_CHARACTERS_MAX < name.chars().count() || name.chars().any(char::is_control) {
        wrong.push(format!(
            "the name is empty or longer than {NAME_CHARACTERS_MAX} characters; write it on one line"
        ));
    }
    let ground = shape(&old.polygons);
    let parts = right_of(&ground, line).map(|right| (ground.difference(&right), ground.intersection(&right)));
    let parts =
        parts.filter(|(left, right)| [left, right].iter().all(|part| SLIVER_M2 < square_metres(part)));
    if parts.is_none() {
        wrong.push("the line does not cut the cell in two; draw it from one side across to the other".into());
    }
    let Some((left, right)) = parts.filter(|_| wrong.is_empty()) else { return Err(Refused::Unsound(wrong)) };
    drawn.lines.push(format!(
        "~ cell {code}: {:.0} m² → {:.0} m²",
        square_metres(&ground),
        square_metres(&left)
    ));
    drawn.lines.push(format!("+ cell {new} {name}: {:.0} m²", square_metres(&right)));
    drawn.rows.cells[old.ix.at()].polygons = rings(&left);
    let ix = CellIx(drawn.rows.cells.len() as u32);
    let fresh = Cell { ix, code: new.into(), name: name.into(), polygons: rings(&right), ..old };
    drawn.rows.cells.push(fresh);
    devices_follow(drawn, code, new, &right);
    for team in drawn.rows.teams.iter_mut().filter(|team| team.cells.iter().any(|cell| cell == code)) {
        team.cells.push(new.into());
        drawn.lines.push(format!("~ team {}: also {new}", team.name));
    }
    let also: Vec<Duty> = drawn
        .rows
        .duties
        .iter()
        .filter(|duty| duty.cell == code && duty.until.is_none_or(|until| now < until))
        .map(|duty| Duty { cell: new.into(), from: duty.from.max(now), ..duty.clone() })
        .collect();
    for duty in &also {
        drawn.lines.push(format!("+ duty {} {} of {new}", duty.person, duty.role.name()));
    }
    drawn.rows.duties.extend(also);
    Ok(())
}

/// Devices by where they stand; one without a position stays. Then what lies behind the same doors.
fn devices_follow(drawn: &mut Redrawn, old: &str, new: &str, ground: &MultiPolygon) {
    let (mut gone, mut staying, mut nowhere) = (Vec::new(), Vec::new(), 0);
    for device in drawn.rows.devices.iter_mut().filter(|device| device.cells.iter().any(|cell| cell == old)) {
        let there = device.position.map(|[x, y]| ground.contains(&Point::new(x, y)));
        nowhere += u32::from(there.is_none() && !device.retired);
        if there == Some(true) {
            Arc::make_mut(&mut device.cells)
                .iter_mut()
                .filter(|cell| *cell == old)
                .for_each(|cell| *cell = new.into());
            drawn.lines.push(format!("~ device {}: {old} → {new}", device.id));
            let id = Some(device.id.clone());
            drawn.codes.push(CodeMove { from: old.into(), device: id, to: new.into() });
            gone.push(device.place.clone());
        } else {
            staying.push(device.place.clone());
        }
    }
    if nowhere > 0 {
        drawn.hints.push(format!("{nowhere} devices of {old} have no position and stay there"));
    }
    let behind = |places: &[String], door: &str| places.iter().any(|place| dwellings::lies_in(place, door));
    for household in drawn.rows.households.iter_mut().filter(|household| household.cell == old) {
        if behind(&gone, &household.place) && !behind(&staying, &household.place) {
            household.cell = new.into();
            drawn.lines.push("~ a household goes along".into());
        }
    }
    // A building that is cut is known on both sides.
    let mut both = Vec::new();
    for building in drawn.rows.buildings.iter_mut().filter(|building| building.cell == old) {
        match (behind(&gone, &building.name), behind(&staying, &building.name)) {
            (true, true) => both.push(dwellings::Building { cell: new.into(), ..building.clone() }),
            (true, false) => building.cell = new.into(),
            (false, _) => (),
        }
    }
    drawn.rows.buildings.extend(both);
    for plan in drawn.rows.plans.iter_mut().filter(|plan| plan.cell == old) {
        let Shows::Floor { building, .. } = &plan.shows else { continue }; // What shows the ground shows both sides.
        if behind(&gone, building) && !behind(&staying, building) {
            plan.cell = new.into();
            drawn.lines.push(format!("~ plan {}: {old} → {new}", plan.code));
        }
    }
    let undecided = drawn.rows.households.iter().filter(|household| household.cell == old).count();
    if undecided > 0 {
        drawn
            .hints
            .push(format!("{undecided} households stay with {old}: no device behind their door went along"));
    }
}

fn merge(drawn: &mut Redrawn, code: &str, others: &[String], now: Timestamp) -> Result<(), Refused> {
    let into = leaf(&drawn.rows, code)?.clone();
    let others: BTreeSet<&str> = others.iter().map(String::as_str).filter(|other| *other != code).collect();
    if others.is_empty() || MERGED_MAX < others.len() {
        return Err(Refused::Unsound(vec![format!("name 1 to {MERGED_MAX} other cells to take in")]));
    }
    let mut wrong = Vec::new();
    let mut ground = shape(&into.polygons);
    let before = square_metres(&ground);
    for &other in &others {
        let cell = leaf(&drawn.rows, other)?;
        if cell.scheme != into.scheme || cell.parent != into.parent {
            wrong.push(format!(
                "`{other}` has another scheme or parent than `{code}`; give them the same parent first"
            ));
        }
        // Rules and ladders may be for one kind only.
        if cell.kind != into.kind {
            wrong.push(format!(
                "`{other}` is of the kind {} and `{code}` of {}; give both the same kind first",
                cell.kind, into.kind
            ));
        }
        ground = ground.union(&shape(&cell.polygons));
    }
    if !wrong.is_empty() {
        return Err(Refused::Unsound(wrong));
    }
    if ground.0.len() > into.polygons.len() {
        drawn.hints.push(format!("the ground of {code} is in {} pieces that do not touch", ground.0.len()));
    }
    drawn.lines.push(format!("~ cell {code}: {before:.0} m² → {:.0} m²", square_metres(&ground)));
    drawn.rows.cells[into.ix.at()].polygons = rings(&ground);
    for cell in drawn.rows.cells.iter_mut().filter(|cell| others.contains(cell.code.as_str())) {
        cell.retired = true;
        drawn.lines.push(format!("- cell {}", cell.code));
        drawn.codes.push(CodeMove { from: cell.code.clone(), device: None, to: code.into() });
    }
    let goes = |device: &&mut Device| device.cells.iter().any(|cell| others.contains(cell.as_str()));
    for device in drawn.rows.devices.iter_mut().filter(goes) {
        for at in Arc::make_mut(&mut device.cells).iter_mut().filter(|cell| others.contains(cell.as_str())) {
            drawn.lines.push(format!("~ device {}: {at} → {code}", device.id));
            *at = code.into();
        }
    }
    dwellings_merge(drawn, code, &others);
    for plan in drawn.rows.plans.iter_mut().filter(|plan| others.contains(plan.cell.as_str())) {
        drawn.lines.push(format!("~ plan {}: {} → {code}", plan.code, plan.cell));
        plan.cell = code.into();
    }
    for team in &mut drawn.rows.teams {
        let before = team.cells.len();
        team.cells.retain(|cell| !others.contains(cell.as_str()));
        if team.cells.len() < before && !team.cells.iter().any(|cell| cell == code) {
            team.cells.push(code.into());
        }
    }
    duties_merge(drawn, code, &others, now);
    Ok(())
}

/// Doors and buildings of the same name on both sides keep the record of the cell that stays.
fn dwellings_merge(drawn: &mut Redrawn, code: &str, others: &BTreeSet<&str>) {
    let Redrawn { rows, hints, .. } = drawn;
    let mut doors: BTreeSet<String> =
        rows.households.iter().filter(|one| one.cell == code).map(|one| one.place.clone()).collect();
    let mut names: BTreeSet<String> =
        rows.buildings.iter().filter(|one| one.cell == code).map(|one| one.name.clone()).collect();
    let mut twice = 0;
    rows.households.retain_mut(|one| {
        let moves = others.contains(one.cell.as_str());
        let kept = !moves || doors.insert(one.place.clone());
        if moves {
            one.cell = code.into();
        }
        twice += usize::from(!kept);
        kept
    });
    rows.buildings.retain_mut(|one| {
        let moves = others.contains(one.cell.as_str());
        let kept = !moves || names.insert(one.name.clone());
        if moves {
            one.cell = code.into();
        }
        twice += usize::from(!kept);
        kept
    });
    if twice > 0 {
        hints.push(format!(
            "{twice} doors or buildings have the same name on both sides: the record of {code} is kept"
        ));
    }
}

/// Duties end in the cells that go, and begin in the one that stays. It has one lead: the others become deputies.
fn duties_merge(drawn: &mut Redrawn, code: &str, others: &BTreeSet<&str>, now: Timestamp) {
    let Redrawn { rows, lines, .. } = drawn;
    let mut come: Vec<Duty> = Vec::new();
    rows.duties.retain_mut(|duty| {
        if !others.contains(duty.cell.as_str()) || duty.until.is_some_and(|until| until <= now) {
            return true;
        }
        come.push(Duty { cell: code.into(), from: duty.from.max(now), ..duty.clone() });
        duty.until = Some(now);
        duty.from < now
    });
    for mut duty in come {
        if duty.role == Role::Lead {
            let led = rows.duties.iter().any(|other| {
                other.cell == code
                    && other.role == Role::Lead
                    && other.person != duty.person
                    && other.meets(&duty)
            });
            duty.role = if led { Role::Deputy } else { Role::Lead };
        }
        let has = |other: &Duty| {
            other.cell == code
                && other.person == duty.person
                && other.role == duty.role
                && other.until.is_none_or(|until| duty.from < until)
        };
        if !rows.duties.iter().any(has) {
            lines.push(format!("~ duty {} {} of {code}", duty.person, duty.role.name()));
            rows.duties.push(duty);
        }
    }
}

/// A cell in service, with ground, without cells below it.
fn leaf<'a>(rows: &'a Rows, code: &str) -> Result<&'a Cell, Refused> {
    let cell = rows.cells.iter().find(|cell| cell.code == code && !cell.retired);
    let cell = cell.ok_or_else(|| Refused::Unknown(format!("There is no cell `{code}` in service.")))?;
    if cell.polygons.is_empty() {
        return Err(Refused::Unsound(vec![format!("the cell `{code}` has no outline; draw one first")]));
    }
    if rows.cells.iter().any(|other| other.parent.as_deref() == Some(code) && !other.retired) {
        return Err(Refused::Unsound(vec![format!("the cell `{code}` has cells below it; redraw those")]));
    }
    Ok(cell)
}

/// All that lies to the right of the line, as far as the ground reaches. `None`: the two points are one.
fn right_of(ground: &MultiPolygon, [from, to]: [[f64; 2]; 2]) -> Option<MultiPolygon> {
    let bounds = ground.bounding_rect()?;
    let (dx, dy) = (to[0] - from[0], to[1] - from[1]);
    let length = dx.hypot(dy);
    let far =
        4.0 * (bounds.width() + bounds.height() + (from[0] - bounds.min().x).hypot(from[1] - bounds.min().y));
    let (x, y) = (dx / length * far, dy / length * far);
    if !(x.is_finite() && y.is_finite()) {
        return None;
    }
    let at = |ahead: f64, right: f64| Coord {
        x: from[0] + x * ahead + y * right,
        y: from[1] + y * ahead - x * right,
    };
    let ring: LineString =
        [at(-1.0, 0.0), at(-1.0, 1.0), at(1.0, 1.0), at(1.0, 0.0), at(-1.0, 0.0)].into_iter().collect();
    Some(MultiPolygon::new(vec![Polygon::new(ring, Vec::new())]))
}
