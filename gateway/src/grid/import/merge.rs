//! Lays a parsed file over the registry: the new rows and what differs, or every reason why not.
//!
//! Pure and idempotent. Positions of new rows are the next free ones, so `cells[i].ix == i` stays true. The rows of a person for a cell replace what that
//! person had there; everything a file does not mention stays. [`Diff`] names changed fields, never telephone numbers.

mod absences;
mod cells;
mod devices;
mod diff;
mod people;
mod teams;
#[cfg(test)]
mod tests;

use std::collections::{BTreeSet, HashMap};
use std::fmt;

pub use diff::{Diff, LINES_MAX};

use super::{Parsed, ParsedRows};
use crate::grid::sound::{self, About};
use crate::grid::{Rows, edit};
use crate::problem::{Problems, Severity, Spot};
use crate::units::Timestamp;

/// The registry with the file laid over it. `version` is one higher when something changed, else the same.
pub fn merge(rows: &Rows, parsed: &Parsed, now: Timestamp) -> Result<(Rows, Diff), Problems> {
    let mut merge = Merge {
        rows: rows.clone(),
        file: &parsed.file,
        now,
        diff: Diff::default(),
        problems: Problems::default(),
    };
    match &parsed.rows {
        ParsedRows::Cells(cells) => merge.cells(cells),
        ParsedRows::Devices(devices) => merge.devices(devices),
        ParsedRows::People(people) => merge.people(people),
        ParsedRows::Absences(absences) => merge.absences(absences),
        ParsedRows::Teams(members) => merge.teams(members),
    }
    if !merge.problems.is_empty() {
        return Err(merge.problems.sorted());
    }
    if !merge.diff.is_empty() {
        merge.rows.version += 1;
    }
    Ok((merge.rows, merge.diff))
}

/// Several files, one after the other; all of them or none. `version` grows by at most one.
pub fn merge_all(rows: &Rows, files: &[Parsed], now: Timestamp) -> Result<(Rows, Diff), Problems> {
    let (mut merged, mut diff, mut problems) = (rows.clone(), Diff::default(), Problems::default());
    for parsed in files {
        match merge(&merged, parsed, now) {
            Ok((next, changes)) => {
                merged = next;
                diff.extend(changes);
            }
            Err(wrong) => {
                problems.extend(wrong);
                // Without its cells every other row would be wrong too.
                if matches!(parsed.rows, ParsedRows::Cells(_)) {
                    break;
                }
            }
        }
    }
    if !problems.is_empty() {
        return Err(problems.sorted());
    }
    merged.version = rows.version + u64::from(!diff.is_empty());
    Ok((merged, diff))
}

struct Merge<'a> {
    rows: Rows,
    file: &'a str,
    now: Timestamp,
    diff: Diff,
    problems: Problems,
}

#[expect(clippy::ptr_arg, reason = "shows a field of type String")]
fn text(text: &String) -> String {
    if text.is_empty() { "(empty)".into() } else { text.clone() }
}

fn optional<T: fmt::Debug>(value: &Option<T>) -> String {
    value.as_ref().map_or("(none)".into(), |value| format!("{value:?}").replace('"', ""))
}

impl Merge<'_> {
    fn wrong(&mut self, at: Spot, message: String) {
        self.problems.add(self.file, at, Severity::Error, message);
    }

    /// Sorts what is kept in order, and names what does not make sense together at every row of the file that is part of it.
    fn settle(&mut self, spots: &HashMap<About, Vec<Spot>>) {
        edit::sort(&mut self.rows);
        for fault in sound::faults(&self.rows, self.now) {
            let places = |whole_person: bool| -> BTreeSet<Spot> {
                let asked =
                    fault.about.iter().filter(|about| matches!(about, About::Person(_)) == whole_person);
                asked.filter_map(|about| spots.get(about)).flatten().copied().collect()
            };
            // The row of the person only where no row of the file says it closer.
            let places =
                Some(places(false)).filter(|found| !found.is_empty()).unwrap_or_else(|| places(true));
            for at in places {
                self.wrong(at, fault.message.clone());
            }
        }
    }
}
