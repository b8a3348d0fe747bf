//! The nouns that all other modules share: devices, readings, signal classes, events, alarms.
//!
//! Plain data, no behaviour beyond what a value knows of itself. [`Event`], [`Batch`] and [`Alarm`] are stored on disk:
//! fields are added at the end with a migration in `store/`, never reordered.

mod alarm;
mod exercise;
mod handling;
mod metric;
pub mod names;

pub use alarm::*;
pub use exercise::{ASKED_MAX, Exercise, Played, Told};
pub use handling::*;
pub use metric::*;

use serde::{Deserialize, Serialize};

use crate::units::{Now, Timestamp};

/// Row number of a device in the registry: dense from 0, given by the store, never reused. Indexes the engine's tables.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct DeviceIx(pub u32);

/// Row number of a cell in the registry: dense from 0, given by the store, never reused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct CellIx(pub u32);

impl DeviceIx {
    pub fn at(self) -> usize {
        self.0 as usize
    }
}

impl CellIx {
    pub fn at(self) -> usize {
        self.0 as usize
    }
}

/// What a device is. Decides its measurement in InfluxDB and which rules may select it.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, utoipa::ToSchema,
)]
#[serde(rename_all = "snake_case")]
pub enum DeviceKind {
    SmokeDetector,
    HeatDetector,
    GasDetector,
    ManualCallPoint,
    Hydrant,
    WaterTank,
    Pump,
    AccessCamera,
    Camera,
    DoorSensor,
    MotionSensor,
    Panel,
    Gateway,
    Other,
}

impl DeviceKind {
    pub const ALL: [DeviceKind; 14] = [
        Self::SmokeDetector,
        Self::HeatDetector,
        Self::GasDetector,
        Self::ManualCallPoint,
        Self::Hydrant,
        Self::WaterTank,
        Self::Pump,
        Self::AccessCamera,
        Self::Camera,
        Self::DoorSensor,
        Self::MotionSensor,
        Self::Panel,
        Self::Gateway,
        Self::Other,
    ];

    /// The name used in CSV, TOML, the API and as InfluxDB measurement.
    pub const fn name(self) -> &'static str {
        match self {
            Self::SmokeDetector => "smoke_detector",
            Self::HeatDetector => "heat_detector",
            Self::GasDetector => "gas_detector",
            Self::ManualCallPoint => "manual_call_point",
            Self::Hydrant => "hydrant",
            Self::WaterTank => "water_tank",
            Self::Pump => "pump",
            Self::AccessCamera => "access_camera",
            Self::Camera => "camera",
            Self::DoorSensor => "door_sensor",
            Self::MotionSensor => "motion_sensor",
            Self::Panel => "panel",
            Self::Gateway => "gateway",
            Self::Other => "other",
        }
    }

    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.name() == name)
    }
}

/// How much a value can be trusted.
#[derive(
    Clone,
    Copy,
    Debug,
    Default,
    PartialEq,
    Eq,
    PartialOrd,
    Ord,
    Hash,
    Serialize,
    Deserialize,
    utoipa::ToSchema,
)]
#[serde(rename_all = "snake_case")]
pub enum Quality {
    #[default]
    Good,
    /// Usable with care: the device clock is wrong, the sensor warms up, a substitute value.
    Uncertain,
    /// Out of range or reported faulty by the device. Recorded, never judged by a threshold rule.
    Bad,
}

/// How a message reached us, which decides whether it may page.
#[derive(
    Clone,
    Copy,
    Debug,
    Default,
    PartialEq,
    Eq,
    PartialOrd,
    Ord,
    Hash,
    Serialize,
    Deserialize,
    utoipa::ToSchema,
)]
#[serde(rename_all = "snake_case")]
pub enum Freshness {
    /// Sent just now, as far as anyone can tell.
    #[default]
    Live,
    /// A broker's retained message, of unknown age.
    Retained,
    /// Delivered again after a reconnect (MQTT DUP).
    Replayed,
    /// The device says it measured this long ago (NB-IoT batch, LoRaWAN store-and-forward).
    Backfill,
}

/// Signal classes of a fire-alarm system, worst first (GB 4717, EN 54-2): the order decides who overtakes whom.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, utoipa::ToSchema,
)]
#[serde(rename_all = "snake_case")]
pub enum SignalClass {
    Fire,
    /// 监管: the protection is impaired or an extinguishing system needs attention, such as low hydrant pressure.
    Supervisory,
    /// 故障: a device or a path does not work: silence, low battery, wiring.
    Trouble,
    /// 屏蔽: taken out of service on purpose.
    Disabled,
    Test,
}

impl SignalClass {
    pub const ALL: [SignalClass; 5] =
        [Self::Fire, Self::Supervisory, Self::Trouble, Self::Disabled, Self::Test];

    pub const fn name(self) -> &'static str {
        match self {
            Self::Fire => "fire",
            Self::Supervisory => "supervisory",
            Self::Trouble => "trouble",
            Self::Disabled => "disabled",
            Self::Test => "test",
        }
    }

    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|class| class.name() == name)
    }
}

/// One value inside a [`Report`]. Flags are 0.0 or 1.0; the unit is the metric's.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Value {
    pub metric: Metric,
    /// Always finite.
    pub value: f64,
    pub quality: Quality,
}

/// What one device said at one time. With no values it only proves that the device lives.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Report {
    pub device: DeviceIx,
    /// When the gateway received it.
    pub received: Timestamp,
    /// When the device says it measured it.
    pub device_time: Option<Timestamp>,
    pub freshness: Freshness,
    pub values: Vec<Value>,
}

impl Report {
    /// The time to file the values under: the device's own, else the time of receipt.
    pub fn time(&self) -> Timestamp {
        self.device_time.unwrap_or(self.received)
    }

    /// Whether some flag is set, which may raise an alarm.
    pub fn sets_flag(&self) -> bool {
        self.values.iter().any(|value| value.metric.spec().flag && value.value != 0.0)
    }

    /// Whether this report must overtake telemetry: some fire-class flag is set.
    pub fn is_urgent(&self) -> bool {
        self.values.iter().any(|value| value.metric.spec().fire && value.value != 0.0)
    }
}

/// Everything the engine may be told, apart from the passing of time. Journaled, so that a replay tells it again.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum Event {
    Report(Report),
    /// The path says that the device is gone: an MQTT last will, a bridge's `offline`. `since` is when the connection that
    /// promised it was last known alive; a report received later beats it.
    Gone {
        device: DeviceIx,
        since: Timestamp,
        received: Timestamp,
    },
    /// A person did something to an alarm, or raised one by hand; or the roster changed.
    Action(Action),
}

impl Event {
    /// The device that it is of; a person's action is of none.
    pub fn reporter(&self) -> Option<DeviceIx> {
        match self {
            Event::Report(report) => Some(report.device),
            Event::Gone { device, .. } => Some(*device),
            Event::Action(_) => None,
        }
    }

    /// Whether this event must overtake telemetry at every queue.
    pub fn is_urgent(&self) -> bool {
        match self {
            Event::Report(report) => report.is_urgent(),
            Event::Gone { .. } => false,
            Event::Action(_) => true,
        }
    }
}

/// What a person asks for. `who` is the id of the person to whom the authenticated account belongs, else the account's name.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Action {
    pub who: String,
    pub what: Deed,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum Deed {
    Acknowledge {
        alarm: AlarmId,
        note: Option<String>,
    },
    Resolve {
        alarm: AlarmId,
        disposition: Disposition,
        cause: Option<FalseCause>,
        note: Option<String>,
    },
    Raise {
        cell: CellIx,
        device: Option<DeviceIx>,
        class: SignalClass,
        text: String,
    },
    /// What was raised with the same words is over.
    End {
        cell: CellIx,
        device: Option<DeviceIx>,
        class: SignalClass,
        text: String,
    },
    OnTheWay {
        alarm: AlarmId,
        note: Option<String>,
    },
    OnSite {
        alarm: AlarmId,
        note: Option<String>,
    },
    /// Somebody who did not handle it has looked at what was done.
    Verify {
        alarm: AlarmId,
        note: Option<String>,
    },
    /// 打回: the verifier is not content.
    SendBack {
        alarm: AlarmId,
        reason: String,
    },
    Evaluate {
        alarm: AlarmId,
        verdict: Verdict,
        note: Option<String>,
    },
    HandOver {
        alarm: AlarmId,
        to: HandTo,
        reason: String,
    },
    /// 挂账
    Suspend {
        alarm: AlarmId,
        until: Timestamp,
        reason: String,
    },
    /// Back from suspension.
    Resume {
        alarm: AlarmId,
        note: Option<String>,
    },
    Shelve {
        alarm: AlarmId,
        until: Timestamp,
        reason: String,
    },
    Unshelve {
        alarm: AlarmId,
        note: Option<String>,
    },
    /// A device, or a cell and all below it, is out of service: nothing but fire calls anybody from there.
    BeginMaintenance {
        cell: CellIx,
        device: Option<DeviceIx>,
        until: Timestamp,
        reason: String,
    },
    EndMaintenance {
        alarm: AlarmId,
        note: Option<String>,
    },
    /// Somebody's duty, shift or absence began or ended: owners are looked at again.
    Roster,
    /// A hazard that a person saw, or says to have seen. Never of class fire: what burns is raised by hand, or called in to 119.
    Report {
        cell: CellIx,
        class: SignalClass,
        by: Reporter,
        text: String,
    },
    /// 演练: as if there were an alarm of this class, the whole way.
    Drill {
        cell: CellIx,
        class: SignalClass,
        note: Option<String>,
    },
    /// 查岗: each of these people (ids), each in a cell of his, is asked whether he is there.
    RollCall {
        people: Vec<(CellIx, String)>,
        note: Option<String>,
    },
    /// To the question of a step of an alarm's ladder: who was nearest (ids), within so many metres, nearest first. Where they were is not said.
    Nearest {
        alarm: AlarmId,
        step: u32,
        people: Vec<(String, u32)>,
    },
}

/// Who reports a hazard, and so how far it is believed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Reporter {
    /// Somebody with an account.
    Worker,
    /// Anybody who stood before the board of the cell. Nobody has checked it.
    Resident,
}

/// The unit of the journal and of the engine's work: what was committed together, and when. A batch without events records that time passed
/// and something became due. `seq` counts from 1 without gaps.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Batch {
    pub seq: u64,
    pub now: Now,
    pub events: Vec<Event>,
}

/// Where a reading stands in the journal: batch, event in the batch, value in the report. Written `r-12-0-3`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct ReadingId {
    pub seq: u64,
    pub event: u32,
    pub value: u32,
}

impl std::fmt::Display for ReadingId {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "r-{}-{}-{}", self.seq, self.event, self.value)
    }
}

/// A message that could not be used: kept with the reason, acknowledged, and never in the way of the next one.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct DeadLetter {
    pub received: Timestamp,
    /// Where it came from: `listener`, `broker:main`, `modbus:east`, `influx`.
    pub source: String,
    /// MQTT topic, Modbus unit and register, or journal position.
    pub address: String,
    /// A full sentence: what is wrong, where, what to send instead.
    pub reason: String,
    pub payload: Vec<u8>,
}
