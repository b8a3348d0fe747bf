//! Devices and cells.

use std::sync::Arc;

use axum::Json;
use axum::extract::{Path, State};
use serde::Deserialize;
use utoipa::IntoParams;

use super::Api;
use super::alarms::cells_in;
use super::auth::Caller;
use super::extract::{self, Params, Switch};
use super::model::{CellView, DeviceView, Page};
use super::problem::ApiError;
use super::rights::Right;
use crate::model::DeviceKind;

const PAGE_MAX: u32 = 500;

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
    caller: Caller,
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
    let area = caller.area(Right::Devices, &registry, api.clock.now().wall);
    let found = registry.devices()[first..]
        .iter()
        .filter(|device| area.has_device(device, &registry))
        .filter(|device| with_retired || !device.retired)
        .filter(|device| kinds.is_empty() || kinds.contains(&device.kind))
        .filter(|device| {
            cells.as_ref().is_none_or(|cells| device.cells.iter().any(|cell| cells.contains(cell)))
        })
        .map(|device| (device, api.live.device(device.ix)))
        .filter(|(_, now)| filter.online.is_none_or(|Switch(online)| now.online == Some(online)))
        .take(limit as usize + 1)
        .map(|(device, now)| DeviceView::of(device, &registry, &now))
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
    caller: Caller,
) -> Result<Json<DeviceView>, ApiError> {
    let world = api.world.load();
    let unknown = || ApiError::not_found(format!("There is no device `{id}`."));
    let area = caller.area(Right::Devices, &world.registry, api.clock.now().wall);
    let device = world.registry.device_by_id(&id).filter(|device| area.has_device(device, &world.registry));
    let device = device.ok_or_else(unknown)?;
    Ok(Json(DeviceView::of(device, &world.registry, &api.live.device(device.ix))))
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
    caller: Caller,
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
    let area = caller.area(Right::Cells, &registry, now);
    let found = registry.cells()[first..]
        .iter()
        .filter(|cell| area.has(cell.ix, &registry))
        .filter(|cell| with_retired || !cell.retired)
        .filter(|cell| filter.scheme.as_ref().is_none_or(|scheme| *scheme == cell.scheme))
        .take(limit as usize + 1)
        .map(|cell| CellView::of(cell, &registry, now, geometry))
        .collect();
    Ok(Json(Page::cut(found, limit, |cell: &CellView| cell.code.clone())))
}
