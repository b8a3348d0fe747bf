//! What people have done about an alarm, beside its ISA-18.2 state. How it changes is `engine/alarm.rs` and its neighbours.
//!
//! Stored with the alarm: fields are added at the end with a default, and make a new version of the engine's snapshot.

use serde::{Deserialize, Serialize};

use super::{Alarm, AlarmId, AlarmState, Disposition, Exercise, Signed};
use crate::units::{Steady, Timestamp};

#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Handling {
    /// Who acknowledged after the first, when a step of the ladder needs several people.
    #[serde(default)]
    pub joined: Vec<Signed>,
    /// So many must acknowledge before the ladder stops; 0 is 1.
    #[serde(default)]
    pub need: u32,
    #[serde(default)]
    pub on_the_way: Option<Signed>,
    #[serde(default)]
    pub on_site: Option<Signed>,
    /// Without progress until then the acknowledgement counts no more.
    #[serde(default)]
    pub progress_by: Option<Steady>,
    #[serde(default)]
    pub verified: Option<Signed>,
    /// The last time the verifier gave it back, and why.
    #[serde(default)]
    pub sent_back: Option<Signed>,
    #[serde(default)]
    pub evaluated: Option<Evaluation>,
    /// The last time it was handed over, and why.
    #[serde(default)]
    pub handed_over: Option<Signed>,
    /// Person id.
    #[serde(default)]
    pub handed_to: Option<String>,
    #[serde(default)]
    pub held: Option<Held>,
    /// The trouble alarm that says that nobody answered this one.
    #[serde(default)]
    pub unanswered: Option<AlarmId>,
    /// Everybody who ever acknowledged, went or resolved.
    #[serde(default)]
    pub handlers: Vec<String>,
    /// Of a confirmed fire, its first alarm, which may be this one; else the alarm of the failure that this one is or was part of.
    #[serde(default)]
    pub incident: Option<AlarmId>,
    /// Nothing has happened: people practise.
    #[serde(default, skip_serializing_if = "Option::is_none", with = "super::exercise::beside")]
    pub exercise: Option<Box<Exercise>>,
}

/// Not called for now, with the reason in the note.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Held {
    pub how: Hold,
    pub signed: Signed,
    pub until: Timestamp,
    /// When to look whether `until` has come.
    pub due: Steady,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Hold {
    /// 挂账: on the register of cases that cannot be settled now.
    Suspended,
    /// Quiet for a while, by name.
    Shelved,
    /// Raised while its place was out of service: the number of the window. Or part of a failure that calls for all: the number of that alarm.
    Suppressed(AlarmId),
    /// The window itself.
    OutOfService,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Evaluation {
    pub signed: Signed,
    pub verdict: Verdict,
}

/// What the alarm was worth.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, utoipa::ToSchema,
)]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    /// There was what it said.
    True,
    /// There was nothing.
    False,
    /// There was something, and it was no danger: cooking, steam.
    Nuisance,
    /// It came too late, or somebody had to raise it by hand.
    Missed,
}

/// What came of an alarm, from the verdict of who had no hand in it, else from what those said who handled it.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, utoipa::ToSchema,
)]
#[serde(rename_all = "snake_case")]
pub enum Worth {
    /// There was what it said.
    Real,
    /// There was, and it came too late.
    Missed,
    /// There was nothing.
    False,
    /// There was something, and it was no danger.
    Nuisance,
    Test,
    /// The device was broken.
    Fault,
    /// Nobody has said, or another house judges it.
    Unsaid,
}

impl Worth {
    pub const ALL: [Worth; 7] =
        [Self::Real, Self::Missed, Self::False, Self::Nuisance, Self::Test, Self::Fault, Self::Unsaid];

    /// Somebody had to come, and would have to come again.
    pub const fn is_real(self) -> bool {
        match self {
            Self::Real | Self::Missed => true,
            Self::False | Self::Nuisance | Self::Test | Self::Fault | Self::Unsaid => false,
        }
    }

    /// Somebody came for nothing.
    pub const fn is_wolf(self) -> bool {
        match self {
            Self::False | Self::Nuisance | Self::Fault => true,
            Self::Real | Self::Missed | Self::Test | Self::Unsaid => false,
        }
    }
}

impl From<Verdict> for Worth {
    fn from(verdict: Verdict) -> Self {
        match verdict {
            Verdict::True => Self::Real,
            Verdict::Missed => Self::Missed,
            Verdict::False => Self::False,
            Verdict::Nuisance => Self::Nuisance,
        }
    }
}

impl From<Disposition> for Worth {
    fn from(disposition: Disposition) -> Self {
        match disposition {
            Disposition::RealFire | Disposition::HazardRemoved => Self::Real,
            Disposition::FalseAlarm => Self::False,
            Disposition::Test => Self::Test,
            Disposition::DeviceFault => Self::Fault,
            Disposition::HandedOver => Self::Unsaid,
        }
    }
}

/// Why a detector was wrong.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, utoipa::ToSchema,
)]
#[serde(rename_all = "snake_case")]
pub enum FalseCause {
    Cooking,
    Steam,
    Dust,
    Insects,
    Smoking,
    Other,
}

/// To whom an alarm is handed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum HandTo {
    /// 上报: whoever answers for the next cell up the tree.
    Up,
    /// Id of a person.
    Person(String),
    /// Name of a role, such as `department`: the nearest up the tree.
    Role(String),
}

/// How far the people have come with it.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, utoipa::ToSchema,
)]
#[serde(rename_all = "snake_case")]
pub enum Stage {
    /// Recorded; nobody has been told.
    Raised,
    /// Somebody has been told, and the clock runs.
    Dispatched,
    Acknowledged,
    OnTheWay,
    OnSite,
    Resolved,
    Verified,
    Evaluated,
    Closed,
}

impl Handling {
    /// Somebody has a hand in it.
    pub fn note_hand(&mut self, who: &str) {
        if !self.handlers.iter().any(|known| known == who) {
            self.handlers.push(who.to_owned());
        }
    }
}

impl Alarm {
    pub fn stage(&self) -> Stage {
        let Handling { evaluated, verified, on_site, on_the_way, .. } = &self.handling;
        let told = self.ladder.as_ref().is_some_and(|position| 0 < position.steps_taken);
        let reached = [
            (self.state == AlarmState::Closed, Stage::Closed),
            (evaluated.is_some(), Stage::Evaluated),
            (verified.is_some(), Stage::Verified),
            (self.resolved.is_some(), Stage::Resolved),
            (on_site.is_some(), Stage::OnSite),
            (on_the_way.is_some(), Stage::OnTheWay),
            (self.acknowledged.is_some(), Stage::Acknowledged),
            (told, Stage::Dispatched),
        ];
        reached.into_iter().find(|(is, _)| *is).map_or(Stage::Raised, |(_, stage)| stage)
    }

    pub fn worth(&self) -> Worth {
        match (&self.handling.evaluated, &self.resolved) {
            (Some(evaluation), _) => evaluation.verdict.into(),
            (None, Some(resolution)) => resolution.disposition.into(),
            (None, None) => Worth::Unsaid,
        }
    }

    /// Whether this person or account has had a hand in it, and so may not supervise.
    pub fn was_handled_by(&self, who: &str) -> bool {
        let acknowledged = self.acknowledged.as_ref().is_some_and(|signed| signed.by == who);
        let resolved = self.resolved.as_ref().is_some_and(|resolution| resolution.signed.by == who);
        acknowledged || resolved || self.handling.handlers.iter().any(|known| known == who)
    }

    /// Whether it is in this person's hands, or was.
    pub fn is_case_of(&self, who: &str) -> bool {
        self.owner.as_deref() == Some(who)
            || self.handling.handed_to.as_deref() == Some(who)
            || self.was_handled_by(who)
    }

    /// Whether as many have acknowledged as the ladder asks for.
    pub fn is_answered(&self) -> bool {
        let joined = u32::try_from(self.handling.joined.len()).unwrap_or(u32::MAX);
        self.acknowledged.is_some() && self.handling.need.saturating_sub(1) <= joined
    }
}
