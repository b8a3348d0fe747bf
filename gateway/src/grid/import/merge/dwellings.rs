//! Buildings and households: a row replaces what stands for the same door; `retired` takes it away, for nothing of a person is kept longer than needed.

use std::collections::{HashMap, HashSet};

use super::super::{BuildingRow, HouseholdRow, Placed};
use super::Merge;
use crate::grid::dwellings::{Household, Leave};

impl Merge<'_> {
    pub(super) fn buildings(&mut self, rows: &[BuildingRow]) {
        self.cells_exist(rows.iter().map(|row| &row.cell));
        for BuildingRow { building, retired, .. } in rows {
            let name = format!("{} {}", building.cell, building.name);
            let found = self
                .rows
                .buildings
                .iter()
                .position(|known| (&known.cell, &known.name) == (&building.cell, &building.name));
            match (found, retired) {
                (None, true) => (),
                (None, false) => {
                    self.diff.add("building", &name);
                    self.rows.buildings.push(building.clone());
                }
                (Some(at), true) => {
                    self.diff.change("building", &name, &["retired".into()], false, true);
                    self.rows.buildings.remove(at);
                }
                (Some(at), false) if self.rows.buildings[at] != *building => {
                    self.diff.change("building", &name, &["what is known of it".into()], false, false);
                    self.rows.buildings[at] = building.clone();
                }
                (Some(_), false) => (),
            }
        }
    }

    pub(super) fn households(&mut self, rows: &[HouseholdRow]) {
        let mut known: HashMap<(String, String), usize> = self
            .rows
            .households
            .iter()
            .enumerate()
            .map(|(at, known)| ((known.cell.clone(), known.place.clone()), at))
            .collect();
        let mut leaving = HashSet::new();
        self.cells_exist(rows.iter().map(|row| &row.cell));
        for HouseholdRow { household, leave, retired, .. } in rows {
            let name = format!("{} {}", household.cell, household.place);
            let key = (household.cell.clone(), household.place.clone());
            let before = known.get(&key).and_then(|&at| self.rows.households[at].leave);
            let zone = &self.rows.zone;
            let leave = leave.map_or(before, |told| {
                told.map(|(from, until)| Leave {
                    from: from.at(zone),
                    until: until.map(|until| until.at(zone)),
                })
            });
            let household = &Household { leave, ..household.clone() };
            match (known.get(&key).copied(), retired) {
                (None, true) => (),
                (None, false) => {
                    self.diff.add("household", &name);
                    known.insert(key, self.rows.households.len());
                    self.rows.households.push(household.clone());
                }
                (Some(at), true) => {
                    self.diff.change("household", &name, &["retired".into()], false, true);
                    leaving.insert(at);
                }
                (Some(at), false) if self.rows.households[at] != *household => {
                    self.diff.change("household", &name, &["who lives there".into()], false, false);
                    self.rows.households[at] = household.clone();
                }
                (Some(_), false) => (),
            }
        }
        let mut at = 0;
        self.rows.households.retain(|_| {
            at += 1;
            !leaving.contains(&(at - 1))
        });
    }

    /// Names every row whose cell is not there.
    fn cells_exist<'a>(&mut self, named: impl Iterator<Item = &'a Placed<String>>) {
        let in_service = self.rows.cells.iter().filter(|cell| !cell.retired);
        let known: HashSet<&str> = in_service.map(|cell| cell.code.as_str()).collect();
        let missing: Vec<_> = named.filter(|cell| !known.contains(cell.value.as_str())).collect();
        for cell in missing {
            self.wrong(cell.at, format!("there is no cell `{}`; import the cells first", cell.value));
        }
    }
}
