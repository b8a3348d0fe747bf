//! How each person did in drills and roll-calls over time, by month of the station's calendar, from the history of alarms.
//!
//! Pure: alarms and their histories come in, figures go out. Whoever was told counts, also where somebody else was first; what was for a channel without a person counts for nobody. No
//! indicator and no false-alarm rate knows of it (docs/decisions/0021-drills-and-roll-calls.md).

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::indicators::Times;
use crate::model::{Alarm, Entry, What};
use crate::units::{Millis, Timestamp, Zone};

/// In drills and roll-calls of one time.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Practice {
    pub drills: Drills,
    pub roll_calls: RollCalls,
}

#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Drills {
    /// He was called in so many.
    pub called: u32,
    /// Of these somebody else acknowledged, and he did not.
    pub others_were_first: u32,
    /// From the moment he was called until he acknowledged or was on site; `count` says how often he did.
    pub to_acknowledge: Times,
    pub to_arrive: Times,
}

#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct RollCalls {
    pub asked: u32,
    /// Until he answered himself; `count` says how often he did.
    pub to_answer: Times,
    pub answered_by_another: u32,
    /// Nobody answered up to the end of the ladder.
    pub unanswered: u32,
}

/// One person, over the whole time and month by month.
#[derive(Debug, Default)]
pub struct Person {
    all: Tally,
    months: BTreeMap<String, Tally>,
}

#[derive(Debug, Default)]
pub struct People(BTreeMap<String, Person>);

/// What one exercise showed of one person.
#[derive(Clone, Copy)]
enum Did {
    Drill {
        acknowledged: Option<Millis>,
        others_were_first: bool,
        arrived: Option<Millis>,
    },
    Answered(Millis),
    AnotherAnswered,
    NobodyAnswered,
    /// He still may.
    Asked,
}

impl People {
    /// One more exercise: its alarm and, of a drill, its history.
    pub fn add(&mut self, alarm: &Alarm, history: &[Entry], zone: &Zone) {
        let month = zone.shown(alarm.raised).strftime("%Y-%m").to_string();
        for (person, did) in results(alarm, history) {
            let person = self.0.entry(person).or_default();
            person.all.add(did);
            person.months.entry(month.clone()).or_default().add(did);
        }
    }

    /// By id: the whole time, and the months in which there was something, oldest first.
    pub fn practice(self) -> impl Iterator<Item = (String, Practice, Vec<(String, Practice)>)> {
        self.0.into_iter().map(|(id, person)| {
            let months = person.months.into_iter().map(|(month, tally)| (month, tally.practice()));
            (id, person.all.practice(), months.collect())
        })
    }
}

fn results(alarm: &Alarm, history: &[Entry]) -> Vec<(String, Did)> {
    if let Some(asked) = alarm.asked() {
        let did = match &alarm.acknowledged {
            Some(signed) if signed.by == asked => Did::Answered(signed.at.since(alarm.raised)),
            Some(_) => Did::AnotherAnswered,
            None if alarm.is_open() => Did::Asked,
            None => Did::NobodyAnswered,
        };
        return vec![(asked.to_owned(), did)];
    }
    let told = alarm.exercise().map(|exercise| exercise.told.as_slice()).unwrap_or_default();
    let of_person = told.iter().filter_map(|told| {
        let who = told.person.as_deref()?;
        let acknowledged = until(told.at, history, What::Acknowledged, Some(who));
        let by_anybody = until(told.at, history, What::Acknowledged, None);
        let did = Did::Drill {
            acknowledged,
            others_were_first: acknowledged.is_none() && by_anybody.is_some(),
            arrived: until(told.at, history, What::OnSite, Some(who)),
        };
        Some((who.to_owned(), did))
    });
    of_person.collect()
}

/// From a moment until the first such line, by this person or by anybody.
pub fn until(from: Timestamp, history: &[Entry], what: What, who: Option<&str>) -> Option<Millis> {
    let line = |entry: &&Entry| entry.what == what && (who.is_none() || entry.who.as_deref() == who);
    history.iter().find(line).map(|entry| entry.at.since(from))
}

#[derive(Debug, Default)]
struct Tally {
    called: u32,
    others_were_first: u32,
    acknowledged: Vec<Millis>,
    arrived: Vec<Millis>,
    asked: u32,
    answered: Vec<Millis>,
    answered_by_another: u32,
    unanswered: u32,
}

impl Tally {
    fn add(&mut self, did: Did) {
        match did {
            Did::Drill { acknowledged, others_were_first, arrived } => {
                self.called += 1;
                self.others_were_first += u32::from(others_were_first);
                self.acknowledged.extend(acknowledged);
                self.arrived.extend(arrived);
                return;
            }
            Did::Answered(after) => self.answered.push(after),
            Did::AnotherAnswered => self.answered_by_another += 1,
            Did::NobodyAnswered => self.unanswered += 1,
            Did::Asked => (),
        }
        self.asked += 1;
    }

    fn practice(self) -> Practice {
        Practice {
            drills: Drills {
                called: self.called,
                others_were_first: self.others_were_first,
                to_acknowledge: Times::of(self.acknowledged),
                to_arrive: Times::of(self.arrived),
            },
            roll_calls: RollCalls {
                asked: self.asked,
                to_answer: Times::of(self.answered),
                answered_by_another: self.answered_by_another,
                unanswered: self.unanswered,
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{AlarmState, Exercise, Played, SignalClass, Signed};
    use crate::store::tests::{alarm, entry};

    fn at(text: &str) -> Timestamp {
        Timestamp::parse_rfc3339(text).expect("a moment")
    }

    fn exercise(what: Played, raised: Timestamp) -> Alarm {
        let mut alarm = alarm(1, SignalClass::Test);
        alarm.raised = raised;
        alarm.handling.exercise = Some(Box::new(Exercise::new(what, "duty")));
        alarm
    }

    /// Told after so many seconds each, and the history: who did what after so many.
    fn drill(
        raised: Timestamp,
        told: &[(&str, u64)],
        did: &[(&str, What, u64)],
        people: &mut People,
        zone: &Zone,
    ) {
        let mut alarm = exercise(Played::Drill(SignalClass::Fire), raised);
        let after = |seconds: u64| raised + Millis::from_secs(seconds);
        if let Some(exercise) = &mut alarm.handling.exercise {
            told.iter().for_each(|(who, late)| exercise.note_told(Some(who), &[], after(*late)));
            exercise.note_told(None, &["siren".to_owned()], raised);
        }
        let line = |&(who, what, late): &(&str, What, u64)| Entry {
            at: after(late),
            who: Some(who.to_owned()),
            ..entry(1, what)
        };
        people.add(&alarm, &did.iter().map(line).collect::<Vec<_>>(), zone);
    }

    fn asked(raised: Timestamp, by: Option<(&str, u64)>, open: bool) -> Alarm {
        let first = crate::model::AlarmId(1);
        let mut alarm = exercise(Played::RollCall { asked: "ann".into(), first }, raised);
        alarm.acknowledged = by.map(|(by, after)| Signed {
            by: by.to_owned(),
            at: raised + Millis::from_secs(after),
            note: None,
        });
        alarm.state = if open { AlarmState::Unacknowledged } else { AlarmState::Closed };
        alarm
    }

    #[test]
    fn each_person_month_by_month() {
        let (zone, mut people) = (Zone::default(), People::default());
        // The last evening of October in China is still the 31st in London.
        let (october, november) = (at("2026-10-31T23:30:00+08:00"), at("2026-11-01T00:30:00+08:00"));
        let told = [("ann", 0), ("bob", 60)];
        drill(
            october,
            &told,
            &[("bob", What::Acknowledged, 90), ("bob", What::OnSite, 300)],
            &mut people,
            &zone,
        );
        drill(november, &told[..1], &[("ann", What::Acknowledged, 20)], &mut people, &zone);
        drill(november, &told[..1], &[], &mut people, &zone);
        let answers = [(Some(("ann", 40)), false), (Some(("bob", 50)), false), (None, false), (None, true)];
        for (by, open) in answers {
            people.add(&asked(november, by, open), &[], &zone);
        }

        let found: Vec<_> = people.practice().collect();
        assert_eq!(found.iter().map(|(id, ..)| id.as_str()).collect::<Vec<_>>(), ["ann", "bob"]);
        let once = |seconds: u64| Times::of(vec![Millis::from_secs(seconds)]);
        let (_, ann, months) = &found[0];
        assert_eq!((ann.drills.called, ann.drills.others_were_first), (3, 1));
        assert_eq!((ann.drills.to_acknowledge, ann.drills.to_arrive.count), (once(20), 0));
        let roll_calls = RollCalls { asked: 4, to_answer: once(40), answered_by_another: 1, unanswered: 1 };
        assert_eq!(ann.roll_calls, roll_calls);
        let called: Vec<_> = months.iter().map(|(month, of)| (month.as_str(), of.drills.called)).collect();
        assert_eq!(called, [("2026-10", 1), ("2026-11", 2)]);
        let (_, bob, _) = &found[1];
        assert_eq!((bob.drills.to_acknowledge, bob.drills.to_arrive), (once(30), once(240)));
        assert_eq!(bob.roll_calls, RollCalls::default(), "that he answered for her is no result of his");
    }
}
