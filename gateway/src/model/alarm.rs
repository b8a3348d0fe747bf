//! An alarm as it is stored, shown and sent. How it changes is `engine/alarm.rs`.

use serde::{Deserialize, Serialize};

use super::{CellIx, DeviceIx, FalseCause, Freshness, Handling, Metric, ReadingId, SignalClass};
use crate::units::{Millis, Steady, Timestamp};

/// Counts from 1 in the order in which alarms were raised. Written `A-17`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct AlarmId(pub u64);

impl std::fmt::Display for AlarmId {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "A-{}", self.0)
    }
}

impl std::str::FromStr for AlarmId {
    type Err = ();
    /// Accepts `A-17` and `17`.
    fn from_str(text: &str) -> Result<Self, ()> {
        text.strip_prefix("A-").unwrap_or(text).parse().map(AlarmId).map_err(|_| ())
    }
}

/// Alarm states of ISA-18.2 / IEC 62682 that a raised alarm can be in.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, utoipa::ToSchema,
)]
#[serde(rename_all = "snake_case")]
pub enum AlarmState {
    /// Active and nobody has answered.
    Unacknowledged,
    /// Active, somebody has it in hand.
    Acknowledged,
    /// The condition is gone, but nobody has answered.
    ReturnedUnacknowledged,
    /// Acknowledged and the condition is gone; waits for somebody to say what it was.
    Returned,
    Closed,
}

impl AlarmState {
    pub const ALL: [AlarmState; 5] = [
        Self::Unacknowledged,
        Self::Acknowledged,
        Self::ReturnedUnacknowledged,
        Self::Returned,
        Self::Closed,
    ];

    pub const fn name(self) -> &'static str {
        match self {
            Self::Unacknowledged => "unacknowledged",
            Self::Acknowledged => "acknowledged",
            Self::ReturnedUnacknowledged => "returned_unacknowledged",
            Self::Returned => "returned",
            Self::Closed => "closed",
        }
    }

    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|state| state.name() == name)
    }
}

/// What it turned out to be.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, utoipa::ToSchema,
)]
#[serde(rename_all = "snake_case")]
pub enum Disposition {
    RealFire,
    FalseAlarm,
    Test,
    DeviceFault,
    HazardRemoved,
    HandedOver,
}

/// The reading that raised the alarm, kept beside every later human edit.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Trigger {
    pub reading: ReadingId,
    pub metric: Metric,
    pub value: f64,
    pub device_time: Option<Timestamp>,
    pub received: Timestamp,
    pub freshness: Freshness,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Signed {
    pub by: String,
    pub at: Timestamp,
    pub note: Option<String>,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Resolution {
    pub signed: Signed,
    pub disposition: Disposition,
    /// Of a false alarm, when somebody knows.
    #[serde(default)]
    pub cause: Option<FalseCause>,
}

/// Where the ladder stands.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct LadderPosition {
    pub ladder: String,
    /// How many steps have been taken.
    pub steps_taken: u32,
    /// When the next step is due, the last of which is to say that nobody answered; `None` after that, after an acknowledgement and after
    /// the end.
    pub next_at: Option<Steady>,
    /// Which of the ladders of this name, from 0 in the order of rules.toml.
    #[serde(default)]
    pub variant: u32,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Alarm {
    pub id: AlarmId,
    /// Name of the rule in rules.toml; `manual` when raised by hand.
    pub rule: String,
    pub class: SignalClass,
    /// One line for a person, such as `烟雾报警 smoke at 3栋2单元501`.
    pub text: String,
    pub cell: CellIx,
    /// The cell's code when the alarm was raised.
    pub cell_code: String,
    pub device: Option<DeviceIx>,
    pub device_id: Option<String>,
    pub state: AlarmState,
    pub raised: Timestamp,
    pub raised_steady: Steady,
    /// A signal that reached us late is an alarm of its own kind: `Some` with its age where the age is known.
    pub late: Option<Late>,
    pub trigger: Option<Trigger>,
    /// How often the condition was reported again while the alarm stood.
    pub repeats: u32,
    /// The person (id) who answers for it now; `None` only when nobody up the tree answers for the cell.
    pub owner: Option<String>,
    pub acknowledged: Option<Signed>,
    pub returned: Option<Timestamp>,
    pub resolved: Option<Resolution>,
    pub closed: Option<Timestamp>,
    pub ladder: Option<LadderPosition>,
    #[serde(default)]
    pub handling: Handling,
}

#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Late {
    pub age: Option<Millis>,
}

impl Alarm {
    pub fn is_open(&self) -> bool {
        self.state != AlarmState::Closed
    }
}

/// One line in an alarm's history.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Entry {
    pub alarm: AlarmId,
    pub at: Timestamp,
    pub what: What,
    /// Person id or account; `None` for the gateway itself.
    pub who: Option<String>,
    /// A sentence, or empty.
    pub detail: String,
}

#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, utoipa::ToSchema,
)]
#[serde(rename_all = "snake_case")]
pub enum What {
    Raised,
    Repeated,
    Told,
    Escalated,
    Acknowledged,
    Returned,
    ActiveAgain,
    Resolved,
    Closed,
    NobodyToTell,
    /// An alert was given up without having been delivered.
    NotTold,
    OnTheWay,
    OnSite,
    Verified,
    SentBack,
    Evaluated,
    HandedOver,
    /// Another answers for it, because of the roster.
    OwnerChanged,
    Suspended,
    Shelved,
    Suppressed,
    Resumed,
    /// Acknowledged, and then nothing happened in time.
    NoProgress,
    /// The ladder has come to its end.
    Unanswered,
    /// Another device of the cell reports fire, too.
    Confirmed,
    /// Somebody who has been paged often enough is told of it together with others.
    Folded,
}

/// Something to tell one person on one channel. Becomes one row of the outbox.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Alert {
    /// The same for every attempt, so that a receiver can drop repeats: `A-17/2/p-lead/webhook@1795402800000`, at the end the moment the alarm was raised.
    pub key: String,
    pub alarm: AlarmId,
    pub class: SignalClass,
    /// Name of the channel in station.toml.
    pub channel: String,
    /// Person id.
    pub person: Option<String>,
    /// Which step of the ladder this is, from 1; or [`Alert::SUMMARY`], for what goes out in one message with others; or [`Alert::OVER`].
    pub step: u32,
    pub at: Timestamp,
}

impl Alert {
    /// In the place of a step.
    pub const SUMMARY: u32 = 0;
    /// In the place of a step: says to those who were called that the exercise is over. Sent although its alarm is closed.
    pub const OVER: u32 = u32::MAX;
}
