//! Who is nearest: a question that the engine puts, because it knows no positions, and that the driver answers with a deed in its next batch.
//!
//! The deed names people and rounded distances: a replay chooses the same, and no position gets into the journal. A step tells the others whom it means without waiting for
//! the answer. When nobody has said where he is, the lead of the cell is told instead.

use serde::{Deserialize, Serialize};

use super::ladder;
use super::open::OpenAlarms;
use super::rules::Who;
use super::{Answer, Effect, Engine, Turn};
use crate::model::{AlarmId, CellIx, DeviceIx, What};

/// What a step of an alarm's ladder wants to know.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct Question {
    pub alarm: AlarmId,
    /// Number of the step.
    pub step: u32,
    pub count: u32,
    pub channels: Vec<String>,
    /// Whom the step told at once.
    pub told: Vec<String>,
}

/// A question that stands.
#[derive(Clone, Debug, PartialEq)]
pub struct WhoIsNearest {
    pub alarm: AlarmId,
    pub cell: CellIx,
    pub device: Option<DeviceIx>,
    pub step: u32,
    pub count: usize,
    /// Whom not to name.
    pub besides: Vec<String>,
}

impl Engine {
    /// To be answered by a deed in the next batch.
    pub fn questions(&self) -> impl Iterator<Item = WhoIsNearest> {
        self.alarms.questions.iter().filter_map(|question| {
            let alarm = &self.alarms.get(question.alarm)?.alarm;
            Some(WhoIsNearest {
                alarm: question.alarm,
                cell: alarm.cell,
                device: alarm.device,
                step: question.step,
                count: question.count as usize,
                besides: question.told.clone(),
            })
        })
    }
}

impl OpenAlarms {
    /// At the end of a turn: what was asked in it, and of all that is asked only what is about an open alarm.
    pub(super) fn ask(&mut self, new: Vec<Question>) {
        let Self { questions, open, .. } = self;
        questions.extend(new);
        questions.retain(|question| open.contains_key(&question.alarm));
    }

    /// Tells those who are nearest. An answer to what nobody asks any more comes to nothing.
    pub fn tell_nearest(
        &mut self,
        turn: &mut Turn<'_>,
        id: AlarmId,
        step: u32,
        people: &[(String, u32)],
    ) -> Answer {
        let asked = |question: &Question| question.alarm == id && question.step == step;
        let Some(at) = self.questions.iter().position(asked) else { return Ok(id) };
        let question = self.questions.remove(at);
        let Some(mut open) = self.take(id) else { return Ok(id) };
        let alarm = &mut open.alarm;
        if alarm.is_answered() || alarm.handling.held.is_some() {
            self.put(open);
            return Ok(id);
        }
        let channels = question.channels.join(", ");
        let is_new = |person: &&str| !question.told.iter().any(|told| told == person);
        let near = people.iter().take(question.count as usize);
        let words: Vec<_> =
            near.clone().map(|(person, metres)| format!("{person} within {metres} m")).collect();
        let mut found: Vec<&str> = near.map(|(person, _)| person.as_str()).filter(is_new).collect();
        let mut detail = format!("step {step}, the nearest: {} by {channels}", words.join(", "));
        if found.is_empty() {
            let leads = ladder::find(
                &Who::Nearest(question.count),
                (alarm.cell, alarm.device),
                turn.registry,
                turn.now.wall,
            );
            found = leads.into_iter().map(|person| person.id.as_str()).filter(is_new).collect();
            detail = format!("step {step}, nobody has said where he is: {} by {channels}", found.join(", "));
        }
        let mut alerts = Vec::new();
        for person in &found {
            alerts.extend(ladder::call(alarm, step, Some(person), &question.channels, turn));
        }
        if found.is_empty() {
            let detail = format!("step {step}: nobody has said where he is, and the cell has no other lead");
            turn.record(&open.alarm, What::NobodyToTell, None, detail);
            if question.told.is_empty() {
                let climb = ladder::hurry(&mut open.alarm, &mut open.run, turn);
                let unanswered = climb.unanswered;
                turn.record_climb(&open.alarm, climb);
                if unanswered {
                    self.say_unanswered(&mut open, turn);
                }
            }
        } else {
            turn.record(&open.alarm, What::Escalated, None, detail);
            turn.effects.extend(alerts.into_iter().map(Effect::Tell));
        }
        self.put(open);
        Ok(id)
    }
}
