//! Drills (演练) and roll-calls (查岗): begun by a person, called like the real thing, over as soon as something real calls.
//!
//! Both are alarms of class `test` with words that say so ([`Exercise`]); a drill climbs the ladder of the class it plays, a roll-call one of its own. A drill is never
//! begun where something real calls, and what is real in its cell, above or below ends it in the same step and tells everybody who was called. Nothing here holds,
//! folds or delays an alarm that is real.

use std::collections::BTreeSet;

use super::ladder;
use super::open::{New, Open, OpenAlarms};
use super::{Answer, Effect, Refusal, Turn};
use crate::model::{Alarm, AlarmId, Alert, CellIx, Exercise, Played, SignalClass, What};

/// Rule name of a drill.
pub(super) const DRILL: &str = "drill";

/// Rule name of the question whether one person is there.
pub(super) const ROLL_CALL: &str = "roll-call";

impl OpenAlarms {
    pub fn begin_drill(
        &mut self,
        turn: &mut Turn<'_>,
        who: &str,
        cell: CellIx,
        class: SignalClass,
        note: Option<&str>,
    ) -> Answer {
        let ladder = turn.rules.ladder_for(class).ok_or(Refusal::NoLadder(class.name()))?;
        if let Some(id) = self.drills.iter().find(|id| self.stands_near(**id, cell, turn)) {
            return Err(Refusal::DrillGoesOn(*id));
        }
        let calls = |alarm: &&Alarm| {
            let answered = alarm.acknowledged.is_some() && alarm.class != SignalClass::Fire;
            ends(alarm, class) && !answered && alarm.resolved.is_none() && near(alarm.cell, cell, turn)
        };
        if let Some(real) = self.open.values().map(|open| &open.alarm).find(calls) {
            return Err(Refusal::RealAlarm(real.id));
        }
        let exercise = Exercise::new(Played::Drill(class), who);
        let place = turn.registry.cell(cell).map_or("?", |cell| cell.name.as_str());
        let text = format!("{} {} drill, {place}", exercise.mark(), words(class));
        let new = self.of_class_test(DRILL, cell, worded(text, note), who);
        Ok(self.raise_exercise(turn, New { ladder: Some(ladder), ..new }, exercise))
    }

    /// One alarm for each person, all at the same moment; the answer is the first.
    pub fn call_roll(
        &mut self,
        turn: &mut Turn<'_>,
        who: &str,
        people: &[(CellIx, String)],
        note: Option<&str>,
    ) -> Answer {
        let ladder = turn.rules.roll_call().ok_or(Refusal::NoLadder("a roll-call"))?;
        let asked = self.open.values().filter_map(|open| open.alarm.asked().map(str::to_owned));
        let mut asked: BTreeSet<String> = asked.collect();
        let mut first = None;
        for (cell, person) in people {
            let known = turn.registry.person(person).filter(|person| !person.retired);
            let Some(name) = known.map(|person| person.name.clone()) else { continue };
            if !asked.insert(person.clone()) {
                continue;
            }
            let played =
                Played::RollCall { asked: person.clone(), first: first.unwrap_or(AlarmId(self.last() + 1)) };
            let exercise = Exercise::new(played, who);
            let text = format!("{} {name}，请应答 are you there?", exercise.mark());
            let new = self.of_class_test(ROLL_CALL, *cell, worded(text, note), who);
            let id = self.raise_exercise(turn, New { ladder: Some(ladder), ..new }, exercise);
            first.get_or_insert(id);
        }
        first.ok_or(Refusal::NobodyToAsk)
    }

    fn of_class_test(&self, rule: &str, cell: CellIx, text: String, who: &str) -> New {
        New {
            rule: rule.to_owned(),
            class: SignalClass::Test,
            text,
            cell,
            device: None,
            late: None,
            trigger: None,
            ladder: None,
            who: Some(who.to_owned()),
        }
    }

    fn raise_exercise(&mut self, turn: &mut Turn<'_>, new: New, exercise: Exercise) -> AlarmId {
        let mut alarm = self.new_alarm(turn, &new);
        let id = alarm.id;
        let asked = match &exercise.what {
            Played::Drill(_) => None,
            Played::RollCall { asked, .. } => Some(asked.clone()),
        };
        alarm.handling.exercise = Some(Box::new(exercise));
        let mut open = Box::new(Open { alarm, key: None, run: ladder::Run::default() });
        let climb = if asked.is_some() {
            open.alarm.owner = asked;
            ladder::begin_with_owner(&mut open.alarm, &mut open.run, new.ladder, turn, "asked")
        } else {
            ladder::begin(&mut open.alarm, &mut open.run, new.ladder, turn);
            ladder::climb(&mut open.alarm, &mut open.run, turn)
        };
        turn.record_start(&open.alarm, What::Raised, new.who, String::new(), climb);
        self.put(open);
        id
    }

    /// What is real takes the place of every drill near it; who was called is told so, after what is real.
    pub(super) fn end_drills(&mut self, turn: &mut Turn<'_>, real: AlarmId) {
        let Some(real) = self.get(real).map(|open| &open.alarm).filter(|_| !self.drills.is_empty()) else {
            return;
        };
        let (id, cell, words) = (real.id, real.cell, real.text.clone());
        let over = |drill: &&AlarmId| {
            let class = self.get(**drill).and_then(|open| open.alarm.drill());
            class.is_some_and(|class| ends(real, class)) && self.stands_near(**drill, cell, turn)
        };
        let over: Vec<AlarmId> = self.drills.iter().filter(over).copied().collect();
        for drill in over {
            let Some(mut open) = self.take(drill) else { continue };
            let mut told = Vec::new();
            if let Some(exercise) = &mut open.alarm.handling.exercise {
                exercise.ended_by = Some(id);
                told.clone_from(&exercise.told);
                let mark = exercise.mark();
                open.alarm.text = format!("{mark} 演练中止，真实警情 {id} drill over, this is real: {words}");
            }
            self.end(&mut open, turn, &format!("{id} is real"));
            for told in told {
                let person = told.person.as_deref();
                let alerts = ladder::alerts(&open.alarm, Alert::OVER, person, &told.channels, turn);
                turn.effects.extend(alerts.into_iter().map(Effect::Tell));
            }
        }
    }

    fn stands_near(&self, alarm: AlarmId, cell: CellIx, turn: &Turn<'_>) -> bool {
        self.get(alarm).is_some_and(|open| near(open.alarm.cell, cell, turn))
    }

    /// Exercises that are open, for the snapshot.
    pub fn exercises(&self) -> impl Iterator<Item = (AlarmId, &Exercise)> {
        self.open.iter().filter_map(|(id, open)| Some((*id, open.alarm.exercise()?)))
    }
}

/// One of the cells is the other, or lies above it.
fn near(one: CellIx, other: CellIx, turn: &Turn<'_>) -> bool {
    turn.registry.is_in(one, other) || turn.registry.is_in(other, one)
}

/// Whether this alarm ends a drill of a class: a fire and whatever impairs the protection, and what is as grave as the drill plays. A dead battery calls nobody back.
fn ends(alarm: &Alarm, played: SignalClass) -> bool {
    alarm.exercise().is_none()
        && alarm.class <= played.max(SignalClass::Supervisory)
        && alarm.handling.held.is_none()
}

fn words(class: SignalClass) -> &'static str {
    match class {
        SignalClass::Fire => "火警演练 fire",
        SignalClass::Supervisory => "监管演练 supervisory",
        SignalClass::Trouble => "故障演练 trouble",
        SignalClass::Disabled => "屏蔽演练 disabled",
        SignalClass::Test => "测试演练 test",
    }
}

fn worded(text: String, note: Option<&str>) -> String {
    match note {
        Some(note) => format!("{text}: {note}"),
        None => text,
    }
}
