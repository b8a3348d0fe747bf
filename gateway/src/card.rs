//! The card: what somebody who goes to an alarm must know, in one piece.
//!
//! Made when the alarm is raised, from what is in memory, and stored in the same commit, so that nothing is asked while it burns. What
//! changes afterwards (pressures, alarms nearby) stands in it as it was then; the page shows the newest beside it. Pure: [`Card::of`] asks
//! its [`Sources`], [`Card::text`] makes the words for a message. The same shape is stored, shown and sent; fields are only added.

mod words;

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::grid::dwellings::{Building, Household};
use crate::grid::nearest::metres;
use crate::grid::plan::Shows;
use crate::grid::{Plan, Registry};
use crate::live::DeviceNow;
use crate::model::{Alarm, CellIx, DeviceIx, DeviceKind, Metric, SignalClass};
use crate::units::{Millis, Timestamp};

/// Hydrants, cameras and alarms further away than this do not help.
const NEAR_M: f64 = 500.0;
const HYDRANTS_MAX: usize = 3;
const NEARBY_MAX: usize = 5;
/// Of the newest open alarms so many are looked at for those nearby: a storm of thousands must not make every card slow.
const LOOKED_AT_MAX: usize = 300;
/// A pressure older than this is no longer the pressure.
const STALE: Millis = Millis::from_secs(900);
/// GB 50974-2014 7.2.8: a municipal hydrant has at least 0.14 MPa, and 0.10 MPa from the ground while it is used for fire-fighting.
const PRESSURE_LOW_KPA: f64 = 140.0;
const PRESSURE_VERY_LOW_KPA: f64 = 100.0;

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Card {
    /// Names of the cells from the street down to the cell.
    pub cells: Vec<String>,
    /// To the door.
    pub place: String,
    /// Longitude and latitude in degrees (WGS 84).
    pub position: Option<[f64; 2]>,
    pub building: Option<Building>,
    /// Personal: left out for those who may not see it.
    pub household: Option<Household>,
    /// Nearest first.
    pub hydrants: Vec<Hydrant>,
    pub camera: Option<Camera>,
    /// Where it hangs on the plan of its floor.
    #[serde(default)]
    pub plan: Option<OnPlan>,
    /// Other open alarms, newest first.
    pub nearby: Vec<Nearby>,
    /// What came of this device's alarms before.
    #[serde(default)]
    pub record: Record,
    pub to_do: Vec<ToDo>,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Hydrant {
    pub id: String,
    pub name: String,
    pub place: String,
    /// None: it stands in the same cell, and where exactly is not known.
    pub metres: Option<u32>,
    pub pressure_kpa: Option<f64>,
    /// Change per minute over the last minutes.
    pub trend_kpa_per_min: Option<f64>,
    pub mark: PressureMark,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum PressureMark {
    Good,
    /// Below 0.14 MPa.
    Low,
    /// Below 0.10 MPa: hardly any water.
    VeryLow,
    /// The last value is older than a quarter of an hour.
    Stale,
    /// It has not said a pressure.
    Unknown,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Camera {
    pub id: String,
    pub name: String,
    pub metres: Option<u32>,
    /// The newest picture of its events when the alarm was raised.
    #[serde(default)]
    pub still: Option<Still>,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Still {
    /// At `/api/v1/stills/{id}`.
    #[schema(example = "S-17")]
    pub id: String,
    #[schema(format = DateTime)]
    pub at: String,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct OnPlan {
    /// Code of the plan; its picture is at `/api/v1/plans/{plan}/picture?alarm={id}` for whoever may see the alarm.
    pub plan: String,
    #[schema(example = "3栋")]
    pub building: String,
    pub floor: i16,
    /// From the left and from the top, in parts of the picture.
    pub at: [f64; 2],
    /// Of the picture, in pixels.
    pub width: u32,
    pub height: u32,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Nearby {
    #[schema(example = "A-16")]
    pub alarm: String,
    pub class: SignalClass,
    pub text: String,
    pub metres: Option<u32>,
}

/// How the alarms of one device ended before this one.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Record {
    /// This one included.
    pub alarms: u32,
    pub real: u32,
    pub false_alarms: u32,
    pub tests: u32,
    pub faults: u32,
}

/// One thing to do, in order. The words are the page's and [`ToDo::zh`]'s.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum ToDo {
    Acknowledge,
    CallHousehold,
    Call119,
    HelpThoseWhoCannot,
    GoAndLook,
    KeepFireLaneOpen,
    CheckHydrant,
    ReportBurst,
    CheckPower,
    ReplaceBattery,
    SayWhatItWas,
}

/// What a card is made from.
pub struct Sources<'a> {
    pub registry: &'a Registry,
    pub now: Timestamp,
    /// The newest values of a device.
    pub live: &'a dyn Fn(DeviceIx) -> DeviceNow,
}

impl Card {
    /// `open`: the open alarms, newest first.
    pub fn of<'a>(alarm: &Alarm, sources: &Sources<'_>, open: impl Iterator<Item = &'a Alarm>) -> Self {
        let &Sources { registry, now, live } = sources;
        let device = alarm.device.and_then(|ix| registry.device(ix));
        let place = device.map(|device| device.place.clone()).unwrap_or_default();
        let spot = Spot { cell: alarm.cell, position: device.and_then(|device| device.position) };
        let household = registry.dwellings().household(&alarm.cell_code, &place).cloned();
        let hydrants = hydrants(spot, registry, now, live);
        let to_do = to_do(alarm, household.as_ref());
        Self {
            cells: registry.names_down_to(alarm.cell),
            building: registry.dwellings().building(&alarm.cell_code, &place).cloned(),
            household,
            hydrants,
            camera: camera(device, spot, registry, live),
            plan: on_plan(alarm, registry),
            nearby: nearby(alarm, spot, registry, open),
            record: Record::default(),
            to_do,
            position: spot.position,
            place,
        }
    }

    /// Where it hangs as it is known now: whoever put it on a plan after it began to burn helps, too.
    pub fn on_newest_plan(mut self, alarm: &Alarm, registry: &Registry) -> Self {
        self.plan = on_plan(alarm, registry).or(self.plan);
        self
    }

    /// For eyes that may not see who lives there.
    pub fn impersonal(mut self) -> Self {
        self.household = None;
        self
    }
}

/// Where the alarm is, as well as it is known.
#[derive(Clone, Copy)]
struct Spot {
    cell: CellIx,
    position: Option<[f64; 2]>,
}

impl Spot {
    /// Metres to a device; `Some(None)` when only the cell is shared; `None` when it is too far.
    fn near(self, device: &crate::grid::Device, registry: &Registry) -> Option<Option<u32>> {
        match (self.position, device.position) {
            (Some(here), Some(there)) => {
                let metres = metres(here, there);
                (metres <= NEAR_M).then_some(Some(metres.round() as u32))
            }
            (Some(_) | None, Some(_) | None) => (registry.home(device.ix) == Some(self.cell)).then_some(None),
        }
    }
}

/// Nearest first; those of unknown distance last.
fn nearest<'a>(
    spot: Spot,
    registry: &'a Registry,
    kinds: &[DeviceKind],
) -> Vec<(Option<u32>, &'a crate::grid::Device)> {
    let landmarks = registry.landmarks();
    let around = spot.position.into_iter().flat_map(|here| landmarks.around(here, NEAR_M));
    let in_cell = landmarks.in_cell(spot.cell).filter_map(|ix| registry.device(ix));
    // Where both positions are known the distance alone counts.
    let in_cell = in_cell.filter(|device| spot.position.is_none() || device.position.is_none());
    let mut found: Vec<_> = around
        .filter_map(|ix| registry.device(ix))
        .chain(in_cell)
        .filter(|device| kinds.contains(&device.kind))
        .filter_map(|device| Some((spot.near(device, registry)?, device)))
        .collect();
    found.sort_by_key(|(metres, device)| (metres.unwrap_or(u32::MAX), device.ix));
    found
}

fn hydrants(
    spot: Spot,
    registry: &Registry,
    now: Timestamp,
    live: &dyn Fn(DeviceIx) -> DeviceNow,
) -> Vec<Hydrant> {
    let found = nearest(spot, registry, &[DeviceKind::Hydrant]);
    let hydrant = |(metres, device): (Option<u32>, &crate::grid::Device)| {
        let seen = live(device.ix);
        let latest = seen.latest.iter().find(|latest| latest.metric == Metric::PRESSURE);
        let pressure = latest.map(|latest| latest.value);
        let mark = match latest {
            None => PressureMark::Unknown,
            Some(latest) if STALE < now.since(latest.received) => PressureMark::Stale,
            Some(latest) if latest.value < PRESSURE_VERY_LOW_KPA => PressureMark::VeryLow,
            Some(latest) if latest.value < PRESSURE_LOW_KPA => PressureMark::Low,
            Some(_) => PressureMark::Good,
        };
        let trend = latest.and_then(|latest| {
            seen.pressure.as_ref().and_then(|trend| trend.per_minute(latest.time, latest.value))
        });
        Hydrant {
            id: device.id.clone(),
            name: device.name.clone(),
            place: device.place.clone(),
            metres,
            pressure_kpa: pressure,
            trend_kpa_per_min: trend,
            mark,
        }
    };
    found.into_iter().take(HYDRANTS_MAX).map(hydrant).collect()
}

/// The one that raised the alarm, or else the nearest.
fn camera(
    own: Option<&crate::grid::Device>,
    spot: Spot,
    registry: &Registry,
    live: &dyn Fn(DeviceIx) -> DeviceNow,
) -> Option<Camera> {
    const KINDS: [DeviceKind; 2] = [DeviceKind::Camera, DeviceKind::AccessCamera];
    let own = own.filter(|device| KINDS.contains(&device.kind)).map(|device| (Some(0), device));
    let (metres, device) = own.or_else(|| nearest(spot, registry, &KINDS).first().copied())?;
    let still = live(device.ix).still.map(|still| Still { id: still.id(), at: still.at.rfc3339() });
    Some(Camera { id: device.id.clone(), name: device.name.clone(), metres, still })
}

/// On a picture of the ground the map shows it better.
fn on_plan(alarm: &Alarm, registry: &Registry) -> Option<OnPlan> {
    let pin = registry.pin(&registry.device(alarm.device?)?.id)?;
    let Plan { code, shows, picture, .. } = registry.plan(&pin.plan)?;
    let Shows::Floor { building, floor } = shows else { return None };
    let (building, width, height) = (building.clone(), picture.width, picture.height);
    Some(OnPlan { plan: code.clone(), building, floor: *floor, at: pin.at, width, height })
}

fn nearby<'a>(
    alarm: &Alarm,
    spot: Spot,
    registry: &Registry,
    open: impl Iterator<Item = &'a Alarm>,
) -> Vec<Nearby> {
    let near = |other: &Alarm| -> Option<Option<u32>> {
        match other.device.and_then(|ix| registry.device(ix)) {
            Some(device) => spot.near(device, registry),
            None => (other.cell == spot.cell).then_some(None),
        }
    };
    let real = |other: &&'a Alarm| other.id != alarm.id && other.exercise().is_none();
    let others = open.take(LOOKED_AT_MAX).filter(real);
    others
        .filter_map(|other| {
            Some(Nearby {
                alarm: other.id.to_string(),
                class: other.class,
                text: other.text.clone(),
                metres: near(other)?,
            })
        })
        .take(NEARBY_MAX)
        .collect()
}

fn to_do(alarm: &Alarm, household: Option<&Household>) -> Vec<ToDo> {
    let metric = alarm.trigger.as_ref().map(|trigger| trigger.metric);
    let middle: &[ToDo] = match alarm.class {
        SignalClass::Fire => &[ToDo::GoAndLook, ToDo::Call119, ToDo::KeepFireLaneOpen],
        SignalClass::Supervisory if metric == Some(Metric::PRESSURE) => {
            &[ToDo::CheckHydrant, ToDo::ReportBurst]
        }
        SignalClass::Supervisory => &[ToDo::GoAndLook],
        SignalClass::Trouble if matches!(metric, Some(Metric::BATTERY | Metric::BATTERY_LOW)) => {
            &[ToDo::ReplaceBattery]
        }
        SignalClass::Trouble => &[ToDo::CheckPower, ToDo::GoAndLook],
        SignalClass::Disabled | SignalClass::Test => &[],
    };
    let fire = alarm.class == SignalClass::Fire;
    let call = fire && household.is_some_and(|household| !household.phone.is_empty());
    let help = fire && household.is_some_and(|household| !household.help.is_empty());
    let first = [ToDo::Acknowledge].into_iter();
    first
        .chain(call.then_some(ToDo::CallHousehold))
        .chain(help.then_some(ToDo::HelpThoseWhoCannot))
        .chain(middle.iter().copied())
        .chain([ToDo::SayWhatItWas])
        .collect()
}

#[cfg(test)]
mod tests;
