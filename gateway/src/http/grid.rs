//! Devices, cells, people, values over time, and the messages that could not be used.
//!
//! Whatever shows a telephone number writes a line to the audit log first, and shows nothing when it cannot.

use std::sync::Arc;

use axum::Json;
use axum::extract::{Path, State};
use serde::Deserialize;
use utoipa::IntoParams;

use super::Api;
use super::alarms::cells_in;
use super::auth::Caller;
use super::extract::{self, Params, Switch};
use super::model::{CellDetail, CellView, DeadLetterView, DeviceView, DutyView, Page, PersonView, Series};
use super::problem::ApiError;
use crate::model::{DeviceKind, Metric};
use crate::store::{Audit, Commit};
use crate::units::{Millis, Timestamp};

const PAGE_MAX: u32 = 500;
const POINTS_MAX: u32 = 5_000;
const DAY: Millis = Millis::from_secs(24 * 3600);

#[derive(Debug, Default, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct DeviceFilter {
    /// Code of a cell: devices in it and in every cell below it.
    cell: Option<String>,
    /// Kinds, separated by commas.
    #[param(example = "smoke_detector,hydrant")]
    kind: Option<String>,
    /// Only devices that are heard, or only silent ones.
    #[param(value_type = Option<bool>)]
    online: Option<Switch>,
    /// Also those taken out of service.
    #[param(value_type = Option<bool>)]
    retired: Option<Switch>,
    /// Items on a page, 1 to 500.
    #[param(minimum = 1, maximum = 500, default = 50)]
    limit: Option<u32>,
    /// Only devices after this one: `next` of the page before.
    after: Option<String>,
}

/// List devices in the order in which they were registered, each with its newest values.
#[utoipa::path(get, path = "/api/v1/devices", tag = "grid", operation_id = "listDevices", params(DeviceFilter),
    responses((status = 200, description = "A page", body = Page<DeviceView>)))]
pub async fn devices(
    State(api): State<Arc<Api>>,
    Params(filter): Params<DeviceFilter>,
) -> Result<Json<Page<DeviceView>>, ApiError> {
    let registry = api.world.load().registry.clone();
    let limit = extract::limit(filter.limit, PAGE_MAX)?;
    let known = DeviceKind::ALL.map(DeviceKind::name);
    let kinds = extract::words("kind", filter.kind.as_deref(), DeviceKind::from_name, &known)?;
    let cells = filter.cell.as_deref().map(|code| cells_in(code, &registry)).transpose()?;
    let first = match &filter.after {
        None => 0,
        Some(id) => {
            let unknown = || ApiError::query("after", format!("there is no device `{id}`"));
            registry.device_by_id(id).ok_or_else(unknown)?.ix.at() + 1
        }
    };
    let with_retired = filter.retired == Some(Switch(true));
    let found = registry.devices()[first..]
        .iter()
        .filter(|device| with_retired || !device.retired)
        .filter(|device| kinds.is_empty() || kinds.contains(&device.kind))
        .filter(|device| {
            cells.as_ref().is_none_or(|cells| device.cells.iter().any(|cell| cells.contains(cell)))
        })
        .map(|device| (device, api.live.device(device.ix)))
        .filter(|(_, now)| filter.online.is_none_or(|Switch(online)| now.online == Some(online)))
        .take(limit as usize + 1)
        .map(|(device, now)| DeviceView::of(device, &now))
        .collect();
    Ok(Json(Page::cut(found, limit, |device: &DeviceView| device.id.clone())))
}

/// One device with its newest values.
#[utoipa::path(get, path = "/api/v1/devices/{id}", tag = "grid", operation_id = "getDevice",
    params(("id" = String, Path, description = "Id of the device")),
    responses((status = 200, description = "The device", body = DeviceView)))]
pub async fn device(
    State(api): State<Arc<Api>>,
    Path(id): Path<String>,
) -> Result<Json<DeviceView>, ApiError> {
    let world = api.world.load();
    let unknown = || ApiError::not_found(format!("There is no device `{id}`."));
    let device = world.registry.device_by_id(&id).ok_or_else(unknown)?;
    Ok(Json(DeviceView::of(device, &api.live.device(device.ix))))
}

#[derive(Debug, Default, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct CellFilter {
    /// Name of a grid scheme.
    scheme: Option<String>,
    /// With the polygons.
    #[param(value_type = Option<bool>)]
    geometry: Option<Switch>,
    /// Also those that are no longer used.
    #[param(value_type = Option<bool>)]
    retired: Option<Switch>,
    /// Items on a page, 1 to 500.
    #[param(minimum = 1, maximum = 500, default = 50)]
    limit: Option<u32>,
    /// Only cells after this one: `next` of the page before.
    after: Option<String>,
}

/// List cells in the order in which they were entered.
#[utoipa::path(get, path = "/api/v1/cells", tag = "grid", operation_id = "listCells", params(CellFilter),
    responses((status = 200, description = "A page", body = Page<CellView>)))]
pub async fn cells(
    State(api): State<Arc<Api>>,
    Params(filter): Params<CellFilter>,
) -> Result<Json<Page<CellView>>, ApiError> {
    let registry = api.world.load().registry.clone();
    let limit = extract::limit(filter.limit, PAGE_MAX)?;
    let first = match &filter.after {
        None => 0,
        Some(code) => {
            let unknown = || ApiError::query("after", format!("there is no cell `{code}`"));
            registry.cell_by_code(code).ok_or_else(unknown)?.ix.at() + 1
        }
    };
    let now = api.clock.now().wall;
    let geometry = filter.geometry == Some(Switch(true));
    let with_retired = filter.retired == Some(Switch(true));
    let found = registry.cells()[first..]
        .iter()
        .filter(|cell| with_retired || !cell.retired)
        .filter(|cell| filter.scheme.as_ref().is_none_or(|scheme| *scheme == cell.scheme))
        .take(limit as usize + 1)
        .map(|cell| CellView::of(cell, &registry, now, geometry))
        .collect();
    Ok(Json(Page::cut(found, limit, |cell: &CellView| cell.code.clone())))
}

/// One cell with its polygon and the people who answer for it. Recorded in the audit log.
#[utoipa::path(get, path = "/api/v1/cells/{code}", tag = "grid", operation_id = "getCell",
    params(("code" = String, Path, description = "Code of the cell")),
    responses((status = 200, description = "The cell", body = CellDetail)))]
pub async fn cell(
    State(api): State<Arc<Api>>,
    Path(code): Path<String>,
    caller: Caller,
) -> Result<Json<CellDetail>, ApiError> {
    let registry = api.world.load().registry.clone();
    let unknown = || ApiError::not_found(format!("There is no cell `{code}`."));
    let cell = registry.cell_by_code(&code).ok_or_else(unknown)?;
    let detail = CellDetail::of(cell, &registry, api.clock.now().wall);
    let mut shown: Vec<_> = detail.on_duty.iter().map(|duty| duty.person.id.as_str()).collect();
    shown.extend(detail.responsible.iter().map(|person| person.id.as_str()));
    shown.sort_unstable();
    shown.dedup();
    audit(&api, &caller, format!("cell {code}"), &shown).await?;
    Ok(Json(detail))
}

#[derive(Debug, Default, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct PeopleFilter {
    /// Items on a page, 1 to 500.
    #[param(minimum = 1, maximum = 500, default = 50)]
    limit: Option<u32>,
    /// Only people after this one: `next` of the page before.
    after: Option<String>,
}

/// List people with their telephone numbers and duties. Recorded in the audit log.
#[utoipa::path(get, path = "/api/v1/people", tag = "grid", operation_id = "listPeople", params(PeopleFilter),
    responses((status = 200, description = "A page", body = Page<PersonView>)))]
pub async fn people(
    State(api): State<Arc<Api>>,
    Params(filter): Params<PeopleFilter>,
    caller: Caller,
) -> Result<Json<Page<PersonView>>, ApiError> {
    let registry = api.world.load().registry.clone();
    let limit = extract::limit(filter.limit, PAGE_MAX)?;
    let all = registry.people();
    let first = match &filter.after {
        None => 0,
        Some(id) => {
            let unknown = || ApiError::query("after", format!("there is no person `{id}`"));
            all.iter().position(|person| person.id == *id).ok_or_else(unknown)? + 1
        }
    };
    let now = api.clock.now().wall;
    let view = |person: &crate::grid::Person| PersonView {
        id: person.id.clone(),
        name: person.name.clone(),
        phone: person.phone.clone(),
        duties: registry
            .rows()
            .duties
            .iter()
            .filter(|duty| duty.person == person.id)
            .map(|duty| DutyView {
                cell: duty.cell.clone(),
                role: duty.role,
                from: duty.from.rfc3339(),
                until: duty.until.map(Timestamp::rfc3339),
                now: duty.covers(now),
            })
            .collect(),
    };
    let found: Vec<_> = all[first..].iter().take(limit as usize + 1).map(view).collect();
    let page = Page::cut(found, limit, |person| person.id.clone());
    let shown: Vec<_> = page.items.iter().map(|person| person.id.as_str()).collect();
    audit(&api, &caller, "people".into(), &shown).await?;
    Ok(Json(page))
}

/// Who looked at whom; on disk before it is shown.
async fn audit(api: &Api, caller: &Caller, target: String, shown: &[&str]) -> Result<(), ApiError> {
    if shown.is_empty() {
        return Ok(());
    }
    let line = Audit {
        at: api.clock.now().wall,
        who: caller.name.to_string(),
        what: "people.read".into(),
        target,
        detail: shown.join(" "),
    };
    api.store.commit(Commit { audit: vec![line], ..Commit::default() }).await?;
    Ok(())
}

#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct SeriesFilter {
    /// Id of a device.
    device: String,
    /// Name of a metric.
    #[param(example = "pressure")]
    metric: String,
    /// RFC 3339; without it, one day before `to`.
    #[param(value_type = Option<String>, format = DateTime)]
    from: Option<String>,
    /// RFC 3339, not included; without it, now.
    #[param(value_type = Option<String>, format = DateTime)]
    to: Option<String>,
    /// The most items to answer with, 1 to 5,000.
    #[param(minimum = 1, maximum = 5000, default = 500)]
    points: Option<u32>,
}

/// Values of one device and metric over time, from the local history.
#[utoipa::path(get, path = "/api/v1/series", tag = "grid", operation_id = "getSeries", params(SeriesFilter),
    responses((status = 200, description = "In order of time", body = Series)))]
pub async fn series(
    State(api): State<Arc<Api>>,
    Params(filter): Params<SeriesFilter>,
) -> Result<Json<Series>, ApiError> {
    let unknown = |field: &str, text: &str| ApiError::query(field, format!("there is no {field} `{text}`"));
    let metric = Metric::from_name(&filter.metric).ok_or_else(|| unknown("metric", &filter.metric))?;
    let device = {
        let world = api.world.load();
        let device = world.registry.device_by_id(&filter.device);
        device.ok_or_else(|| unknown("device", &filter.device))?.ix
    };
    let to = time("to", filter.to.as_deref())?.unwrap_or(api.clock.now().wall + Millis(1));
    let from = time("from", filter.from.as_deref())?.unwrap_or(to - DAY);
    if to <= from {
        return Err(ApiError::query("from", "it must be before `to`"));
    }
    let points = match filter.points {
        None => 500,
        Some(points) if (1..=POINTS_MAX).contains(&points) => points,
        Some(_) => return Err(ApiError::query("points", format!("give 1 to {POINTS_MAX}"))),
    };
    let samples = api.store.series(device, metric, from, to, points).await?;
    Ok(Json(Series::of(&filter.device, metric, from, to, &samples)))
}

fn time(field: &str, text: Option<&str>) -> Result<Option<Timestamp>, ApiError> {
    let Some(text) = text else { return Ok(None) };
    let wrong = "give RFC 3339 with an offset, such as 2026-11-23T03:00:00Z (in an address, write + as %2B)";
    Timestamp::parse_rfc3339(text).map(Some).ok_or_else(|| ApiError::query(field, wrong))
}

#[derive(Debug, Default, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct DeadLetterFilter {
    /// Items on a page, 1 to 200.
    #[param(minimum = 1, maximum = 200, default = 50)]
    limit: Option<u32>,
    /// Only letters before this number: `next` of the page before.
    before: Option<u64>,
}

/// Messages that could not be used, newest first, each with the reason.
#[utoipa::path(get, path = "/api/v1/dead-letters", tag = "station", operation_id = "listDeadLetters",
    params(DeadLetterFilter),
    responses((status = 200, description = "A page", body = Page<DeadLetterView>)))]
pub async fn dead_letters(
    State(api): State<Arc<Api>>,
    Params(filter): Params<DeadLetterFilter>,
) -> Result<Json<Page<DeadLetterView>>, ApiError> {
    let limit = extract::limit(filter.limit, 200)?;
    let letters = api.store.dead_letters(filter.before, limit + 1).await?;
    let views = letters.iter().map(|(number, letter)| DeadLetterView::of(*number, letter)).collect();
    Ok(Json(Page::cut(views, limit, |letter: &DeadLetterView| letter.number.to_string())))
}
