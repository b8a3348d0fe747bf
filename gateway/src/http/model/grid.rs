//! Devices, cells with who is on duty there, and values over time, as the API shows them.

use serde::Serialize;
use utoipa::ToSchema;

use crate::grid::{Cell, Device, Person, Pin, Registry, Role};
use crate::live::{DeviceNow, Latest};
use crate::model::{CellIx, DeviceKind, Freshness, Metric, Quality};
use crate::store::history::Sample;
use crate::units::Timestamp;
use crate::view::PersonRef;

/// One value with its metric.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct ValueView {
    #[schema(example = "pressure")]
    pub metric: String,
    /// Flags are 0 or 1.
    pub value: f64,
    /// UCUM code; empty for flags and counts.
    #[schema(example = "kPa")]
    pub unit: String,
    /// Whether the value is a flag.
    pub flag: bool,
    pub quality: Quality,
    /// When it was measured.
    #[schema(format = DateTime)]
    pub time: String,
    #[schema(format = DateTime)]
    pub received: String,
    pub freshness: Freshness,
}

impl ValueView {
    pub fn of(latest: &Latest) -> Self {
        let spec = latest.metric.spec();
        Self {
            metric: spec.name.to_owned(),
            value: latest.value,
            unit: spec.unit.to_owned(),
            flag: spec.flag,
            quality: latest.quality,
            time: latest.time.rfc3339(),
            received: latest.received.rfc3339(),
            freshness: latest.freshness,
        }
    }
}

#[derive(Debug, Serialize, ToSchema)]
pub struct DeviceView {
    #[schema(example = "SD-0312")]
    pub id: String,
    pub kind: DeviceKind,
    pub name: String,
    pub place: String,
    /// Where its messages come from.
    #[schema(example = "native:SD-0312")]
    pub address: String,
    /// Codes of its cells, the primary one first.
    pub cells: Vec<String>,
    /// Longitude and latitude in degrees (WGS 84).
    pub position: Option<[f64; 2]>,
    /// Where it is on a plan.
    pub pin: Option<PinView>,
    /// None: not watched, or too early to say.
    pub online: Option<bool>,
    #[schema(format = DateTime)]
    pub last_seen: Option<String>,
    pub silent_after_s: Option<f64>,
    #[schema(format = DateTime)]
    pub registered: String,
    pub retired: bool,
    /// The newest value of each metric; after a restart as far as the end of the journal (16 MB) tells.
    pub values: Vec<ValueView>,
}

impl DeviceView {
    pub fn of(device: &Device, registry: &Registry, now: &DeviceNow) -> Self {
        let mut values: Vec<_> = now.latest.iter().map(ValueView::of).collect();
        values.sort_by(|a, b| a.metric.cmp(&b.metric));
        Self {
            id: device.id.clone(),
            kind: device.kind,
            name: device.name.clone(),
            place: device.place.clone(),
            address: device.address.clone(),
            cells: device.cells.to_vec(),
            position: device.position,
            pin: registry.pin(&device.id).map(PinView::of),
            online: now.online,
            last_seen: now.last_seen.map(Timestamp::rfc3339),
            silent_after_s: device.silent_after.map(|after| after.as_secs_f64()),
            registered: device.registered.rfc3339(),
            retired: device.retired,
            values,
        }
    }
}

#[derive(Debug, Serialize, ToSchema)]
pub struct PinView {
    /// Code of the plan.
    pub plan: String,
    /// From the left and from the top, in parts of the picture.
    pub at: [f64; 2],
}

impl PinView {
    fn of(pin: &Pin) -> Self {
        Self { plan: pin.plan.clone(), at: pin.at }
    }
}

/// A GeoJSON geometry (RFC 7946).
#[derive(Debug, Serialize, ToSchema)]
pub struct Geometry {
    #[serde(rename = "type")]
    #[schema(example = "MultiPolygon")]
    pub kind: String,
    /// Polygons, each its rings, each its points as longitude and latitude; the outer ring first.
    pub coordinates: Vec<Vec<Vec<[f64; 2]>>>,
}

#[derive(Debug, Serialize, ToSchema)]
pub struct CellView {
    #[schema(example = "320113-XL-01-03")]
    pub code: String,
    pub name: String,
    pub scheme: String,
    #[schema(example = "community")]
    pub kind: String,
    /// Code of the parent cell.
    pub parent: Option<String>,
    /// Codes from the root down to this cell.
    pub path: Vec<String>,
    /// Who answers for it now: the first on duty whose role answers, else whoever answers for the parent.
    pub responsible: Option<PersonRef>,
    pub retired: bool,
    /// Only when asked for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub geometry: Option<Geometry>,
}

impl CellView {
    pub fn of(cell: &Cell, registry: &Registry, at: Timestamp, geometry: bool) -> Self {
        let path = registry.down_to(cell.ix).map(|cell| cell.code.clone()).collect();
        let shape = || Geometry { kind: "MultiPolygon".into(), coordinates: cell.polygons.clone() };
        Self {
            code: cell.code.clone(),
            name: cell.name.clone(),
            scheme: cell.scheme.clone(),
            kind: cell.kind.clone(),
            parent: cell.parent.clone(),
            path,
            responsible: registry
                .responsible(cell.ix, at)
                .map(|person| PersonRef { id: person.id.clone(), name: person.name.clone() }),
            retired: cell.retired,
            geometry: (geometry && !cell.polygons.is_empty()).then(shape),
        }
    }
}

/// A cell with its polygon and the people on duty. Looking at it is recorded, because it shows telephone numbers.
#[derive(Debug, Serialize, ToSchema)]
pub struct CellDetail {
    pub cell: CellView,
    pub responsible: Option<PersonContact>,
    /// On duty in this very cell now, in order of role.
    pub on_duty: Vec<OnDuty>,
    /// Codes of the cells directly below.
    pub children: Vec<String>,
    /// Devices in service in this very cell.
    pub devices: usize,
}

#[derive(Debug, Serialize, ToSchema)]
pub struct PersonContact {
    pub id: String,
    pub name: String,
    pub phone: String,
}

#[derive(Debug, Serialize, ToSchema)]
pub struct OnDuty {
    pub role: Role,
    pub person: PersonContact,
}

impl CellDetail {
    pub fn of(cell: &Cell, registry: &Registry, at: Timestamp) -> Self {
        let below = |ix: CellIx| registry.parent(ix) == Some(cell.ix);
        Self {
            cell: CellView::of(cell, registry, at, true),
            responsible: registry.responsible(cell.ix, at).map(PersonContact::of),
            on_duty: registry
                .on_duty(cell.ix, at)
                .into_iter()
                .map(|(role, person)| OnDuty { role, person: PersonContact::of(person) })
                .collect(),
            children: registry
                .cells()
                .iter()
                .filter(|other| below(other.ix) && !other.retired)
                .map(|other| other.code.clone())
                .collect(),
            devices: registry
                .devices()
                .iter()
                .filter(|device| !device.retired && device.cells.contains(&cell.code))
                .count(),
        }
    }
}

impl PersonContact {
    pub fn of(person: &Person) -> Self {
        Self { id: person.id.clone(), name: person.name.clone(), phone: person.phone.clone() }
    }
}

/// Values of one series, down-sampled when there are more than was asked for.
#[derive(Debug, Serialize, ToSchema)]
pub struct Series {
    pub device: String,
    pub metric: String,
    pub unit: String,
    #[schema(format = DateTime)]
    pub from: String,
    #[schema(format = DateTime)]
    pub to: String,
    pub items: Vec<SampleView>,
}

/// The points of one interval, or one point.
#[derive(Debug, Serialize, ToSchema)]
pub struct SampleView {
    /// Time of the first point in it.
    #[schema(format = DateTime)]
    pub time: String,
    pub min: f64,
    pub max: f64,
    pub mean: f64,
    pub last: f64,
    pub count: u32,
}

impl Series {
    pub fn of(device: &str, metric: Metric, from: Timestamp, to: Timestamp, samples: &[Sample]) -> Self {
        let view = |sample: &Sample| SampleView {
            time: sample.time.rfc3339(),
            min: sample.min,
            max: sample.max,
            mean: sample.mean,
            last: sample.last,
            count: sample.count,
        };
        Self {
            device: device.to_owned(),
            metric: metric.name().to_owned(),
            unit: metric.spec().unit.to_owned(),
            from: from.rfc3339(),
            to: to.rfc3339(),
            items: samples.iter().map(view).collect(),
        }
    }
}
