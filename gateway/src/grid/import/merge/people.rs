//! People and duties. The rows of a person for a cell replace what that person had there; whether it all makes sense together is
//! [`crate::grid::sound`]'s.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use super::super::PersonRow;
use super::Merge;
use crate::grid::edit::leave;
use crate::grid::sound::About;
use crate::grid::{Duty, Person};
use crate::problem::Spot;
use crate::units::Zone;

impl Merge<'_> {
    pub(super) fn people(&mut self, rows: &[PersonRow]) {
        let before = self.rows.clone();
        let by_id: HashMap<&str, &Person> = before.people.iter().map(|p| (p.id.as_str(), p)).collect();
        let mut places: HashMap<&str, usize> =
            before.people.iter().enumerate().map(|(at, person)| (person.id.as_str(), at)).collect();
        for row in rows {
            let id = row.id.value.as_str();
            let person = told(row, by_id.get(id).copied(), &self.rows.zone);
            match places.get(id) {
                Some(&at) => self.rows.people[at] = person,
                None => {
                    places.insert(id, self.rows.people.len());
                    self.rows.people.push(person);
                }
            }
        }
        let leaving: BTreeSet<&str> =
            rows.iter().filter(|row| row.retired).map(|row| row.id.value.as_str()).collect();
        for id in &leaving {
            leave(&mut self.rows, id, self.now);
        }
        let spots = self.replace_duties(rows, &leaving);
        self.settle(&spots);

        let ids: BTreeSet<&str> = places.keys().copied().collect();
        let (old, new) = (duties_by_person(&before.duties), duties_by_person(&self.rows.duties));
        let none = Vec::new();
        for id in rows
            .iter()
            .map(|row| row.id.value.as_str())
            .filter(|id| ids.contains(id))
            .collect::<BTreeSet<_>>()
        {
            let now = &self.rows.people[places[id]];
            let Some(was) = by_id.get(id) else {
                self.diff.add("person", id);
                continue;
            };
            let mut changes: Vec<String> = Vec::new();
            for (differs, what) in [
                ((&was.name, &was.phone) != (&now.name, &now.phone), "name or telephone"),
                (was.contacts != now.contacts, "contacts"),
                (was.trained_until != now.trained_until, "training"),
                (was.retired && !now.retired, "came back"),
            ] {
                changes.extend(differs.then(|| what.to_owned()));
            }
            let (old, new) = (old.get(id).unwrap_or(&none), new.get(id).unwrap_or(&none));
            if old != new {
                changes.push(format!("duties: {} → {}", duties_text(old), duties_text(new)));
            }
            self.diff.change("person", id, &changes, was.retired, now.retired);
        }
    }

    /// Where the rows of the file stand, for what may be wrong with them.
    fn replace_duties(&mut self, rows: &[PersonRow], leaving: &BTreeSet<&str>) -> HashMap<About, Vec<Spot>> {
        let mut spots: HashMap<About, Vec<Spot>> = HashMap::new();
        let mut named: BTreeMap<(&str, &str), Vec<Duty>> = BTreeMap::new();
        for row in rows.iter().filter(|row| !leaving.contains(row.id.value.as_str())) {
            let person = row.id.value.clone();
            let Some(duty) = &row.duty else { continue };
            let cell = duty.cell.value.clone();
            let about = About::Duty { person: person.clone(), cell: cell.clone() };
            spots.entry(about).or_default().push(duty.cell.at);
            let zone = &self.rows.zone;
            named.entry((&row.id.value, &duty.cell.value)).or_default().push(Duty {
                person,
                cell,
                role: duty.role,
                from: duty.from.at(zone),
                until: duty.until.map(|until| until.at(zone)),
                hours: duty.hours.clone(),
            });
        }
        // A row with a new end of training may contradict duties that no row names.
        for row in rows.iter().filter(|row| row.trained_until.is_some()) {
            spots.entry(About::Person(row.id.value.clone())).or_default().push(row.id.at);
        }
        self.rows.duties.retain(|duty| !named.contains_key(&(duty.person.as_str(), duty.cell.as_str())));
        self.rows.duties.extend(named.into_values().flatten());
        spots
    }
}

/// What the row says of the person; what it does not say stays.
fn told(row: &PersonRow, known: Option<&Person>, zone: &Zone) -> Person {
    let mut contacts = known.map(|known| known.contacts.clone()).unwrap_or_default();
    for (channel, address) in &row.contacts {
        if address.is_empty() {
            contacts.remove(channel);
        } else {
            contacts.insert(channel.clone(), address.clone());
        }
    }
    Person {
        id: row.id.value.clone(),
        name: row.name.clone(),
        phone: row.phone.clone(),
        contacts,
        trained_until: match row.trained_until {
            Some(told) => told.map(|until| until.at(zone)),
            None => known.and_then(|known| known.trained_until),
        },
        retired: row.retired,
    }
}

fn duties_by_person(duties: &[Duty]) -> HashMap<&str, Vec<&Duty>> {
    let mut found: HashMap<&str, Vec<&Duty>> = HashMap::new();
    for duty in duties {
        found.entry(&duty.person).or_default().push(duty);
    }
    found
}

fn duties_text(duties: &[&Duty]) -> String {
    let until = |duty: &Duty| duty.until.map_or(String::new(), |until| format!(" until {until}"));
    let hours =
        |duty: &Duty| duty.hours.as_ref().map_or(String::new(), |hours| format!(" ({})", hours.text()));
    let each = duties
        .iter()
        .map(|duty| format!("{} of {}{}{}", duty.role.name(), duty.cell, hours(duty), until(duty)));
    let each: Vec<_> = each.collect();
    if each.is_empty() { "(none)".into() } else { each.join("; ") }
}
