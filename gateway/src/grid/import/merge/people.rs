//! People and duties: one lead per cell at a time, no duty twice.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use super::super::PersonRow;
use super::Merge;
use crate::grid::{Duty, Person, Role};
use crate::problem::{Spot, nearest};

impl Merge<'_> {
    pub(super) fn people(&mut self, rows: &[PersonRow]) {
        let mut by_id: HashMap<String, usize> =
            self.rows.people.iter().enumerate().map(|(at, person)| (person.id.clone(), at)).collect();
        let mut changes: BTreeMap<&str, Vec<String>> = BTreeMap::new();
        let mut added: BTreeSet<&str> = BTreeSet::new();
        let mut retired: BTreeSet<&str> = BTreeSet::new();
        for row in rows {
            let id = row.id.value.as_str();
            let contacts = by_id.get(id).map(|&at| self.rows.people[at].contacts.clone()).unwrap_or_default();
            let person =
                Person { id: id.to_owned(), name: row.name.clone(), phone: row.phone.clone(), contacts };
            match by_id.get(id) {
                None => {
                    by_id.insert(id.to_owned(), self.rows.people.len());
                    added.insert(id);
                    self.rows.people.push(person);
                }
                Some(&at) if self.rows.people[at] != person => {
                    changes.entry(id).or_default().push("name or telephone".into());
                    self.rows.people[at] = person;
                }
                Some(_) => (),
            }
            if row.retired {
                retired.insert(id);
            }
        }
        let before = self.rows.duties.clone();
        self.replace_duties(rows, &retired);
        for id in rows.iter().map(|row| row.id.value.as_str()).collect::<BTreeSet<_>>() {
            let of = |duties: &[Duty]| -> Vec<Duty> {
                duties.iter().filter(|duty| duty.person == id).cloned().collect()
            };
            let (old, new) = (of(&before), of(&self.rows.duties));
            let had_duty = old.iter().any(|duty| duty.until.is_none_or(|until| self.now < until));
            let ended = retired.contains(id) && had_duty && !added.contains(id);
            let changes = changes.entry(id).or_default();
            if old != new {
                changes.push(format!("duties: {} → {}", duties_text(&old), duties_text(&new)));
            }
            if added.contains(id) {
                self.diff.add("person", id);
            } else {
                self.diff.change("person", id, changes, !ended, ended);
            }
        }
    }

    fn replace_duties(&mut self, rows: &[PersonRow], retired: &BTreeSet<&str>) {
        let codes: BTreeSet<&str> =
            self.rows.cells.iter().filter(|cell| !cell.retired).map(|cell| cell.code.as_str()).collect();
        let mut named: BTreeMap<(&str, &str), Vec<(Duty, Spot)>> = BTreeMap::new();
        let mut wrong = Vec::new();
        for row in rows.iter().filter(|row| !retired.contains(row.id.value.as_str())) {
            let Some(duty) = &row.duty else { continue };
            let cell = &duty.cell.value;
            if !codes.contains(cell.as_str()) {
                let near = nearest(cell, codes.iter().copied());
                let instead = near.map_or("import the cells first, or correct the code".into(), |near| {
                    format!("did you mean `{near}`?")
                });
                wrong.push((duty.cell.at, format!("there is no cell `{cell}` in service; {instead}")));
                continue;
            }
            let person = row.id.value.clone();
            let found =
                Duty { person, cell: cell.clone(), role: duty.role, from: duty.from, until: duty.until };
            named.entry((&row.id.value, cell)).or_default().push((found, duty.cell.at));
        }
        let now = self.now;
        let replaced = |duty: &Duty| named.contains_key(&(duty.person.as_str(), duty.cell.as_str()));
        let mut duties: Vec<Duty> = self.rows.duties.iter().filter(|duty| !replaced(duty)).cloned().collect();
        duties.retain(|duty| !(retired.contains(duty.person.as_str()) && now <= duty.from));
        for duty in duties.iter_mut().filter(|duty| retired.contains(duty.person.as_str())) {
            duty.until = Some(duty.until.map_or(now, |until| until.min(now)));
        }
        let spots: HashMap<(&str, &str), Spot> =
            named.iter().map(|(key, duties)| (*key, duties[0].1)).collect();
        duties.extend(named.values().flatten().map(|(duty, _)| duty.clone()));
        let spot = |duty: &Duty| spots.get(&(duty.person.as_str(), duty.cell.as_str())).copied();
        let alike = |a: &Duty, b: &Duty| {
            a.cell == b.cell && a.role == b.role && a.until.is_none_or(|until| b.from < until)
        };
        duties
            .sort_by(|a, b| (&a.person, &a.cell, a.role, a.from).cmp(&(&b.person, &b.cell, b.role, b.from)));
        for (first, second) in duties.iter().zip(duties.iter().skip(1)) {
            if let Some(at) = spot(second).filter(|_| alike(first, second) && first.person == second.person) {
                wrong.push((
                    at,
                    format!(
                        "`{}` has the role {} for the cell `{}` twice at the same time; keep one row",
                        first.person,
                        first.role.name(),
                        first.cell
                    ),
                ));
            }
        }
        duties
            .sort_by(|a, b| (&a.cell, a.role, a.from, &a.person).cmp(&(&b.cell, b.role, b.from, &b.person)));
        for (first, second) in duties.iter().zip(duties.iter().skip(1)) {
            let two_leads = alike(first, second) && first.role == Role::Lead && first.person != second.person;
            if let Some(at) = spot(second).or(spot(first)).filter(|_| two_leads) {
                wrong.push((at, format!("`{}` and `{}` both lead the cell `{}` at the same time; a cell has one lead, so end one duty with `until` (its last day) or write deputy", first.person, second.person, first.cell)));
            }
        }
        self.rows.duties = duties;
        wrong.into_iter().for_each(|(at, message)| self.wrong(at, message));
    }
}

fn duties_text(duties: &[Duty]) -> String {
    let until = |duty: &Duty| duty.until.map_or(String::new(), |until| format!(" until {until}"));
    let each: Vec<_> =
        duties.iter().map(|duty| format!("{} of {}{}", duty.role.name(), duty.cell, until(duty))).collect();
    if each.is_empty() { "(none)".into() } else { each.join("; ") }
}
