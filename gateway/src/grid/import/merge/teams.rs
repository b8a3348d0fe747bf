//! Teams: the rows of a team replace its members and what it is for; `retired` ends it now.

use std::collections::{BTreeMap, HashMap};

use super::super::TeamRow;
use super::Merge;
use crate::grid::sound::About;
use crate::grid::{Member, Team, TeamKind};
use crate::problem::Spot;

impl Merge<'_> {
    pub(super) fn teams(&mut self, rows: &[TeamRow]) {
        let mut spots: HashMap<About, Vec<Spot>> = HashMap::new();
        let mut named: BTreeMap<&str, Vec<&TeamRow>> = BTreeMap::new();
        for row in rows {
            let (team, person) = (row.name.value.clone(), row.person.value.clone());
            spots.entry(About::Member { team, person }).or_default().push(row.person.at);
            named.entry(&row.name.value).or_default().push(row);
        }
        for (name, members) in named {
            let first = members[0];
            spots.entry(About::Team(name.to_owned())).or_default().push(first.name.at);
            let team = self.team(&members);
            let known = self.rows.teams.iter().position(|team| team.name == name);
            let ended = |team: &Team| team.until.is_some_and(|until| until <= self.now);
            match known {
                None => {
                    self.diff.add("team", name);
                    self.rows.teams.push(team);
                }
                Some(at) if first.retired && ended(&self.rows.teams[at]) => (),
                Some(at) if self.rows.teams[at] != team => {
                    let (was, is) = (ended(&self.rows.teams[at]), ended(&team));
                    self.diff.change("team", name, &["members, cells or time".into()], was, is);
                    self.rows.teams[at] = team;
                }
                Some(_) => (),
            }
            if first.kind == TeamKind::FiveInOne && members.len() != 5 && !first.retired {
                self.diff.hint(format!("the team `{name}` is five_in_one and has {} members", members.len()));
            }
        }
        self.settle(&spots);
    }

    fn team(&self, members: &[&TeamRow]) -> Team {
        let (first, zone) = (members[0], &self.rows.zone);
        let until = first.until.map(|until| until.at(zone));
        let member = |row: &&TeamRow| Member { person: row.person.value.clone(), part: row.part.clone() };
        let from = first.from.at(zone);
        Team {
            name: first.name.value.clone(),
            kind: first.kind,
            members: members.iter().map(member).collect(),
            cells: first.cells.clone(),
            devices: first.devices.clone(),
            flat: first.flat.clone(),
            from: if first.retired { from.min(self.now) } else { from },
            until: if first.retired {
                Some(until.map_or(self.now, |until| until.min(self.now)))
            } else {
                until
            },
        }
    }
}
