//! What makes an alarm an exercise: a drill (演练) or a roll-call (查岗). How it goes is `engine/exercise.rs`.
//!
//! An exercise is of class `test`, so whatever looks for a fire looks past it: queues, limits, the city's centre, statistics. What it plays stands here and
//! decides its ladder only. Its words begin with a mark ([`Exercise::mark`]), which is stored with the alarm and so stands on every channel.

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::{Alarm, AlarmId, SignalClass};
use crate::units::Timestamp;

/// People who are asked together in one roll-call.
pub const ASKED_MAX: usize = 500;

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Exercise {
    pub what: Played,
    /// Account or person that asked for it.
    pub by: String,
    /// Whom its steps called, each once, in order.
    pub told: Vec<Told>,
    /// The real alarm that ended it.
    pub ended_by: Option<AlarmId>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Played {
    /// An alarm of this class.
    Drill(SignalClass),
    /// Whether this person (id) is there.
    RollCall {
        asked: String,
        /// The first alarm of those that were asked together.
        first: AlarmId,
    },
}

/// That somebody was called.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Told {
    /// `None`: a channel was told without a person.
    pub person: Option<String>,
    /// When first.
    pub at: Timestamp,
    pub channels: Vec<String>,
}

impl Exercise {
    pub fn new(what: Played, by: &str) -> Self {
        Self { what, by: by.to_owned(), told: Vec::new(), ended_by: None }
    }

    /// What every text about it begins with.
    pub const fn mark(&self) -> &'static str {
        match self.what {
            Played::Drill(_) => "【演练】[DRILL]",
            Played::RollCall { .. } => "【查岗】[ROLL CALL]",
        }
    }

    pub fn note_told(&mut self, person: Option<&str>, channels: &[String], at: Timestamp) {
        match self.told.iter_mut().find(|told| told.person.as_deref() == person) {
            Some(told) => {
                let new = channels.iter().filter(|channel| !told.channels.contains(channel)).cloned();
                let new: Vec<_> = new.collect();
                told.channels.extend(new);
            }
            None => {
                self.told.push(Told { person: person.map(str::to_owned), at, channels: channels.to_vec() });
            }
        }
    }
}

impl Alarm {
    pub fn exercise(&self) -> Option<&Exercise> {
        self.handling.exercise.as_deref()
    }

    /// What it plays, if it is a drill.
    pub fn drill(&self) -> Option<SignalClass> {
        match self.exercise()?.what {
            Played::Drill(class) => Some(class),
            Played::RollCall { .. } => None,
        }
    }

    /// Who is asked, if it is a roll-call.
    pub fn asked(&self) -> Option<&str> {
        match &self.exercise()?.what {
            Played::Drill(_) => None,
            Played::RollCall { asked, .. } => Some(asked),
        }
    }

    /// The class as which it calls people: a drill calls as the real thing would.
    pub fn calls_as(&self) -> SignalClass {
        self.drill().unwrap_or(self.class)
    }
}

/// Absent from the engine's snapshot, which keeps exercises beside its alarms, so that what older gateways wrote stays readable.
pub(super) mod beside {
    use super::*;

    pub fn serialize<S: Serializer>(one: &Option<Box<Exercise>>, to: S) -> Result<S::Ok, S::Error> {
        if to.is_human_readable() { one.serialize(to) } else { ().serialize(to) }
    }

    pub fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Option<Box<Exercise>>, D::Error> {
        if from.is_human_readable() {
            return Option::deserialize(from);
        }
        <()>::deserialize(from).map(|()| None)
    }
}
