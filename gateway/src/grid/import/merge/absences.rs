//! Absences: a row replaces the absence of the same person and start; `cancelled` takes it away.

use std::collections::HashMap;

use super::super::AbsenceRow;
use super::Merge;
use crate::grid::Absence;
use crate::grid::sound::About;
use crate::problem::Spot;

impl Merge<'_> {
    pub(super) fn absences(&mut self, rows: &[AbsenceRow]) {
        let mut spots: HashMap<About, Vec<Spot>> = HashMap::new();
        for row in rows {
            let from = row.from.value.at(&self.rows.zone);
            let person = row.person.value.clone();
            let name = format!("{person} from {}", self.rows.zone.text(from));
            let known = self.rows.absences.iter().position(|a| a.person == person && a.from == from);
            if row.cancelled {
                if let Some(at) = known {
                    self.rows.absences.remove(at);
                    self.diff.change("absence", &name, &[], false, true);
                }
                continue;
            }
            spots.entry(About::Absence { person: person.clone(), from }).or_default().push(row.person.at);
            let absence = Absence {
                person,
                from,
                until: row.until.map(|until| until.at(&self.rows.zone)),
                stand_in: row.stand_in.clone(),
                reason: row.reason.clone(),
            };
            match known {
                None => {
                    self.diff.add("absence", &name);
                    self.rows.absences.push(absence);
                }
                Some(at) if self.rows.absences[at] != absence => {
                    self.diff.change("absence", &name, &["end, stand-in or reason".into()], false, false);
                    self.rows.absences[at] = absence;
                }
                Some(_) => (),
            }
        }
        self.settle(&spots);
    }
}
