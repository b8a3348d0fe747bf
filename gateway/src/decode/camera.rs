//! What cameras and door stations tell of, whoever made them → our flags; which pictures are worth keeping.
//!
//! A maker's decoder ([`super::hikvision`], [`super::dahua`]) reads the few fields that are needed and nothing else: who passed a door, faces, plates and cards are never read, so they cannot reach the
//! journal. What a maker's name for an event means stands in that maker's table; a station adds to it, for all cameras or for some, with `[[camera_event]]`: only the station knows that the field before
//! camera 7 is the fire lane. A picture is kept when the event it belongs to is one of safety ([`KEPT`]).

use super::outcome::Outcome;
use super::parts::Part;
use super::scalar::shortened;
use super::values::Values;
use crate::model::{DeviceIx, Metric, Quality};
use crate::units::Timestamp;

/// Events whose picture is kept. Whoever passes a door or shows his face is none.
const KEPT: &[Metric] = &[
    Metric::FLAME,
    Metric::SMOKE_SEEN,
    Metric::FIRE_ALARM,
    Metric::MANUAL_ALARM,
    Metric::FIRE_LANE_BLOCKED,
    Metric::EBIKE_IN_LIFT,
    Metric::DOOR_FORCED,
    Metric::DOOR_HELD,
    Metric::TAMPER,
    Metric::CROWD,
];
/// A picture of a camera is smaller.
pub const PICTURE_BYTES_MAX: usize = 2 << 20;

/// What a name for an event means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Meaning {
    /// Set while it lasts.
    Flag(Metric),
    /// The picture of the camera is lost while it lasts.
    Lost,
    /// Nothing but that the camera lives.
    Alive,
}

/// What events mean at this station beyond the makers' tables.
#[derive(Debug, Default)]
pub struct Meanings(pub Vec<Named>);

/// One `[[camera_event]]`.
#[derive(Debug)]
pub struct Named {
    pub event: String,
    /// Ids; empty: every camera.
    pub devices: Vec<String>,
    pub flag: Metric,
}

impl Meanings {
    /// Of a camera's own before those of all.
    fn of(&self, event: &str, device: &str) -> Option<Metric> {
        let named = |own: bool| {
            self.0.iter().find(|one| {
                one.event.eq_ignore_ascii_case(event)
                    && if own { one.devices.iter().any(|id| id == device) } else { one.devices.is_empty() }
            })
        };
        named(true).or_else(|| named(false)).map(|one| one.flag)
    }
}

/// A maker's names, in any mixture of small and large letters.
pub fn meaning_in(table: &[(&str, Meaning)], event: &str) -> Option<Meaning> {
    table.iter().find(|(name, _)| name.eq_ignore_ascii_case(event)).map(|(_, meaning)| *meaning)
}

/// One thing a camera told of.
pub struct Told<'a> {
    pub event: &'a str,
    pub meaning: Option<Meaning>,
    pub begins: bool,
    pub at: Option<Timestamp>,
}

/// A picture that is worth keeping.
#[derive(Clone, PartialEq, Eq)]
pub struct Still {
    pub device: DeviceIx,
    pub event: Metric,
    pub at: Timestamp,
    pub bytes: Vec<u8>,
}

impl std::fmt::Debug for Still {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} bytes of {:?} for {}", self.bytes.len(), self.device, self.event.name())
    }
}

/// Which picture is waited for: that of the event before it.
pub type Wanted = Option<(DeviceIx, Metric, Timestamp)>;

/// What the station says that this event of the device means.
pub fn named(event: &str, device: DeviceIx, outcome: &Outcome<'_>) -> Option<Metric> {
    let id = outcome.registry().device(device).map_or("", |device| device.id.as_str());
    outcome.meanings().of(event, id)
}

/// Report it; says which picture belongs to it.
pub fn tell(told: &Told<'_>, device: DeviceIx, address: &str, outcome: &mut Outcome<'_>) -> Wanted {
    let meaning = named(told.event, device, outcome).map(Meaning::Flag).or(told.meaning);
    match meaning {
        Some(Meaning::Flag(flag)) => {
            let mut values = Values::new();
            values.set_flag(flag, told.begins);
            outcome.report(device, told.at, Quality::Good, values);
            wanted(flag, told.begins, device, told.at, outcome)
        }
        Some(Meaning::Lost) if told.begins => {
            outcome.gone(device);
            None
        }
        Some(Meaning::Lost | Meaning::Alive) => {
            outcome.alive(device);
            None
        }
        None => {
            outcome.alive(device);
            outcome.reject(format!(
                "{}: the event `{}` means nothing here; say with a `[[camera_event]]` in station.toml what it means, or switch it off in the camera",
                shortened(address),
                shortened(told.event)
            ));
            None
        }
    }
}

/// The picture of an event of safety that has begun.
pub fn wanted(
    flag: Metric,
    begins: bool,
    device: DeviceIx,
    at: Option<Timestamp>,
    outcome: &Outcome<'_>,
) -> Wanted {
    outcome.registry().device(device)?; // A stranger's is nobody's.
    (begins && KEPT.contains(&flag)).then(|| (device, flag, at.unwrap_or(outcome.received())))
}

/// The first picture after its event; any other is dropped here.
pub fn take_picture(part: Part, wanted: &mut Wanted, outcome: &mut Outcome<'_>) {
    if let Some((device, event, at)) = wanted.take() {
        outcome.keep_still(Still { device, event, at, bytes: part.bytes });
    }
}
