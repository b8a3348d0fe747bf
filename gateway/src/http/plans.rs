//! Floor plans and pictures of the ground: put in and taken away by the administrator, looked at by whoever may see the cell, or an alarm that hangs there.
//!
//! The body is the picture itself; what it is is told by its first bytes ([`crate::picture`]), never by what the request says. SVG is refused: it can carry script, and what a browser draws from it
//! is not bounded. What a plan may say is decided in [`crate::grid::plan`]; the station takes it over as it takes over an import, within two seconds.

use std::collections::HashMap;
use std::sync::Arc;

use axum::Json;
use axum::body::to_bytes;
use axum::extract::{Path, Request, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::Api;
use super::alarms::{allowed, parse};
use super::aside::aside;
use super::attachments::served;
use super::auth::{Actor, Caller};
use super::extract::{self, Body, Params};
use super::model::{Changed, Page};
use super::page::asks;
use super::problem::ApiError;
use super::registry::{TRIES, changed_meanwhile, newest};
use super::rights::Right;
use crate::grid::edit::Refused;
use crate::grid::plan::{Change, Picture, Pin, Plan, Shows, faults};
use crate::grid::{Registry, Rows};
use crate::picture;
use crate::store::Audit;

/// Of one picture.
pub const BYTES_MAX: usize = 4 << 20;
/// Of all together: a few hundred large buildings.
const ALL_BYTES_MAX: u64 = 512 << 20;
/// A phone must be able to draw it.
const PIXELS_MAX: u64 = 40_000_000;
const SIDE_MAX: u32 = 10_000;
const PAGE_MAX: u32 = 500;
/// On one plan.
const DEVICES_MAX: usize = 500;

#[derive(Debug, Serialize, ToSchema)]
pub struct PlanView {
    #[schema(example = "SY-1-01-1-2F")]
    pub code: String,
    /// Code of the cell that it belongs to.
    pub cell: String,
    /// Which part of the floor; may be empty.
    pub name: String,
    /// Of a floor plan: as the places of its devices begin.
    #[schema(example = "3栋")]
    pub building: Option<String>,
    /// Floors below the ground are negative.
    pub floor: Option<i16>,
    /// Of a picture of the ground: longitude and latitude of its upper left, upper right and lower left corner.
    pub corners: Option<[[f64; 2]; 3]>,
    pub width: u32,
    pub height: u32,
    pub bytes: u64,
    /// Where the picture is; another picture has another path.
    pub path: String,
    /// What hangs on it.
    pub devices: Vec<Hanging>,
}

#[derive(Debug, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Hanging {
    /// Id of the device.
    pub device: String,
    /// From the left and from the top, in parts of the picture: 0 to 1.
    pub at: [f64; 2],
}

impl PlanView {
    fn of(plan: &Plan, here: &[&Pin]) -> Self {
        let Plan { code, cell, name, shows, picture } = plan;
        let (building, floor, corners) = match shows {
            Shows::Floor { building, floor } => (Some(building.clone()), Some(*floor), None),
            Shows::Ground { corners } => (None, None, Some(*corners)),
        };
        Self {
            code: code.clone(),
            cell: cell.clone(),
            name: name.clone(),
            building,
            floor,
            corners,
            width: picture.width,
            height: picture.height,
            bytes: picture.bytes,
            path: format!("/api/v1/plans/{code}/picture?v={}", picture.number),
            devices: here.iter().map(|pin| Hanging { device: pin.device.clone(), at: pin.at }).collect(),
        }
    }
}

#[derive(Debug, Default, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct PlanFilter {
    /// Items on a page, 1 to 500.
    #[param(minimum = 1, maximum = 500, default = 50)]
    limit: Option<u32>,
    /// Only plans after this one: `next` of the page before.
    after: Option<String>,
}

/// List floor plans and pictures of the ground with what hangs on them, by code. The pictures are asked for one by one.
#[utoipa::path(get, path = "/api/v1/plans", tag = "grid", operation_id = "listPlans", params(PlanFilter),
    responses((status = 200, description = "A page", body = Page<PlanView>)))]
pub async fn list(
    State(api): State<Arc<Api>>,
    Params(filter): Params<PlanFilter>,
    caller: Caller,
) -> Result<Json<Page<PlanView>>, ApiError> {
    let registry = api.world.load().registry.clone();
    let limit = extract::limit(filter.limit, PAGE_MAX)?;
    let area = caller.area(Right::Cells, &registry, api.clock.now().wall);
    let mut pins: HashMap<&str, Vec<&Pin>> = HashMap::new();
    for pin in &registry.rows().pins {
        pins.entry(&pin.plan).or_default().push(pin);
    }
    let on = |plan: &Plan| pins.get(plan.code.as_str()).map(Vec::as_slice).unwrap_or_default();
    let plans = registry.rows().plans.iter();
    let found = plans
        .filter(|plan| filter.after.as_ref().is_none_or(|after| *after < plan.code))
        .filter(|plan| area.has_code(&plan.cell, &registry))
        .take(limit as usize + 1)
        .map(|plan| PlanView::of(plan, on(plan)))
        .collect();
    Ok(Json(Page::cut(found, limit, |plan: &PlanView| plan.code.clone())))
}

#[derive(Debug, Default, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct Look {
    /// Id of an alarm that hangs on the plan: whoever may see the alarm may see the plan.
    alarm: Option<String>,
    /// Ignored: it makes the address of another picture another one.
    v: Option<u64>,
}

/// The picture of a plan.
#[utoipa::path(get, path = "/api/v1/plans/{plan}/picture", tag = "grid", operation_id = "getPlanPicture",
    params(("plan" = String, Path, description = "Code of the plan"), Look),
    responses((status = 200, description = "The picture", content_type = "image/png"), (status = 304, description = "It is the one that you have")))]
pub async fn picture(
    State(api): State<Arc<Api>>,
    Path(code): Path<String>,
    Params(look): Params<Look>,
    caller: Caller,
    headers: HeaderMap,
) -> Result<Response, ApiError> {
    let registry = api.world.load().registry.clone();
    let unknown = || ApiError::not_found(format!("There is no plan `{code}`."));
    let plan = registry.plan(&code).ok_or_else(unknown)?;
    let area = caller.area(Right::Cells, &registry, api.clock.now().wall);
    let _ = look.v;
    if !area.has_code(&plan.cell, &registry) {
        let alarm = look.alarm.as_deref().ok_or_else(unknown)?;
        let alarm = allowed(&api, &caller, Right::Alarms, parse(alarm)?).await?;
        let device = alarm.device.and_then(|ix| registry.device(ix));
        let pin = device.and_then(|device| registry.pin(&device.id));
        if pin.is_none_or(|pin| pin.plan != code) {
            return Err(unknown());
        }
    }
    let tag = format!("\"plan-{}\"", plan.picture.number);
    let known = asks(&headers, header::IF_NONE_MATCH, &tag);
    // Kept by the browser and asked for again each time: whoever may no longer look gets nothing.
    let keep = [(header::ETAG, tag), (header::CACHE_CONTROL, "private, no-cache".into())];
    if known {
        return Ok((StatusCode::NOT_MODIFIED, keep).into_response());
    }
    let bytes = api.store.plan_picture(plan.picture.number).await?.ok_or_else(unknown)?;
    Ok((keep, served(&plan.picture.kind, bytes)).into_response())
}

#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct About {
    /// Code of the cell that the plan belongs to: whoever may see it may see the plan.
    cell: String,
    /// Which part of the floor, where one picture does not hold all of it.
    name: Option<String>,
    /// Of a floor plan: the building, as the places of its devices begin, such as `3栋`.
    building: Option<String>,
    /// Of a floor plan; the ground floor is 1, the first below it -1.
    floor: Option<i16>,
    /// Of a picture of the ground: longitude and latitude of its upper left, upper right and lower left corner, six numbers with commas.
    #[param(example = "118.918,32.104,118.932,32.104,118.918,32.095")]
    corners: Option<String>,
}

impl About {
    fn shows(&self) -> Result<Shows, ApiError> {
        match (&self.building, self.floor, &self.corners) {
            (Some(building), Some(floor), None) => {
                Ok(Shows::Floor { building: building.trim().to_owned(), floor })
            }
            (None, None, Some(corners)) => {
                let wrong = || {
                    ApiError::query(
                        "corners",
                        "give six numbers with commas: longitude and latitude of the upper left, the upper right and the lower left corner",
                    )
                };
                let numbers: Result<Vec<f64>, _> =
                    corners.split(',').map(|part| part.trim().parse()).collect();
                match numbers.map_err(|_| wrong())?[..] {
                    [a, b, c, d, e, f] => Ok(Shows::Ground { corners: [[a, b], [c, d], [e, f]] }),
                    _ => Err(wrong()),
                }
            }
            (Some(_), None, _) => Err(ApiError::query("floor", "say which floor of the building it shows")),
            (None, Some(_), _) => {
                Err(ApiError::query("building", "say of which building it shows this floor"))
            }
            (_, _, _) => Err(ApiError::query(
                "building",
                "give either building and floor, or the corners of a picture of the ground",
            )),
        }
    }
}

/// Put a floor plan or a picture of the ground in (PNG, JPEG, WebP), or replace the one of this code; what hangs on it stays where it is.
///
/// The body is the picture, at most 4 MiB and 40 million pixels; without a body the picture that is there stays. In force within two seconds. Recorded in the audit log.
#[utoipa::path(put, path = "/api/v1/plans/{plan}", tag = "grid", operation_id = "putPlan",
    params(("plan" = String, Path, description = "Code of the plan"), About),
    request_body(content_type = "application/octet-stream", description = "The picture"),
    responses((status = 200, description = "It is stored", body = Changed)))]
pub async fn put(
    State(api): State<Arc<Api>>,
    Path(code): Path<String>,
    Params(about): Params<About>,
    actor: Actor,
    request: Request,
) -> Result<Json<Changed>, ApiError> {
    let shows = about.shows()?;
    let _place = api.own.uploads.acquire().await.map_err(anyhow::Error::from).map_err(ApiError::Internal)?;
    let bytes = to_bytes(request.into_body(), BYTES_MAX).await.map_err(|_| {
        let detail = format!("A plan may have {} MiB; make the picture smaller.", BYTES_MAX >> 20);
        ApiError::status(StatusCode::PAYLOAD_TOO_LARGE, detail)
    })?;
    let taken = match bytes.is_empty() {
        true => None,
        false => Some(aside(move || take(&bytes)).await??),
    };
    // One at a time: whatever no plan names is cleared away.
    let _alone = api.own.plans.acquire().await.map_err(anyhow::Error::from).map_err(ApiError::Internal)?;
    let rows = newest(&api).await?;
    let plans = &rows.rows().plans;
    let picture = match taken {
        None => {
            let known = rows.plan(&code).map(|plan| plan.picture.clone());
            known.ok_or_else(|| {
                ApiError::not_found(format!("There is no plan `{code}` yet; send its picture."))
            })?
        }
        Some((picture, bytes)) => {
            let others = plans.iter().filter(|plan| plan.code != code);
            if ALL_BYTES_MAX < others.map(|plan| plan.picture.bytes).sum::<u64>() + picture.bytes {
                let detail = format!(
                    "All plans together may have {} MiB; make them smaller, or take some away.",
                    ALL_BYTES_MAX >> 20
                );
                return Err(ApiError::named(
                    StatusCode::CONFLICT,
                    "no-room",
                    "There is no room for it",
                    detail,
                ));
            }
            // What cannot be stored is refused before its picture is.
            let wrong = faults(&plan(&code, &about, shows.clone(), picture.clone()), rows.rows());
            if !wrong.is_empty() {
                return Err(unsound(&wrong));
            }
            let named: Vec<u64> = plans.iter().map(|plan| plan.picture.number).collect();
            Picture { number: api.store.keep_plan_picture(bytes, &named).await?, ..picture }
        }
    };
    let put = Change::Put(plan(&code, &about, shows, picture));
    change_of(rows, &api, &actor.0, put).await
}

fn plan(code: &str, about: &About, shows: Shows, picture: Picture) -> Plan {
    let name = about.name.as_deref().unwrap_or_default().trim().to_owned();
    Plan { code: code.to_owned(), cell: about.cell.clone(), name, shows, picture }
}

/// What is kept of the picture, without a number yet.
fn take(bytes: &[u8]) -> Result<(Picture, Vec<u8>), ApiError> {
    let unusable = |detail: String| ApiError::status(StatusCode::UNSUPPORTED_MEDIA_TYPE, detail);
    let head = String::from_utf8_lossy(&bytes[..bytes.len().min(1024)]).to_lowercase();
    if head.contains("<svg") {
        return Err(unusable("SVG is not taken, because it can carry script; save the plan as PNG.".into()));
    }
    let taken = picture::take(bytes).ok().filter(|(kind, _)| kind.is_photo());
    let (kind, bytes) = taken.ok_or_else(|| {
        unusable("The file is no whole picture (PNG, JPEG, WebP); save the plan as PNG.".into())
    })?;
    let size = picture::size(kind, &bytes);
    let (width, height) = size.ok_or_else(|| unusable("The picture does not say how large it is.".into()))?;
    if SIDE_MAX < width.max(height) || PIXELS_MAX < u64::from(width) * u64::from(height) {
        return Err(unusable(format!(
            "The picture has {width} × {height} pixels; {SIDE_MAX} on a side and {} million in all are the most.",
            PIXELS_MAX / 1_000_000
        )));
    }
    let kind = kind.media_type().to_owned();
    Ok((Picture { number: 0, kind, width, height, bytes: bytes.len() as u64 }, bytes))
}

/// Take a plan away; what hangs on it is no longer on a plan.
#[utoipa::path(delete, path = "/api/v1/plans/{plan}", tag = "grid", operation_id = "deletePlan",
    params(("plan" = String, Path, description = "Code of the plan")),
    responses((status = 200, description = "It is stored", body = Changed)))]
pub async fn delete(
    State(api): State<Arc<Api>>,
    Path(code): Path<String>,
    actor: Actor,
) -> Result<Json<Changed>, ApiError> {
    change(&api, &actor.0, Change::Take { code }).await
}

#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct OnIt {
    /// All of them, 500 at the most.
    devices: Vec<Hanging>,
}

/// Say what hangs on a plan and where: these devices and no others. A device that was on another plan leaves it.
///
/// In force within two seconds. Recorded in the audit log.
#[utoipa::path(put, path = "/api/v1/plans/{plan}/devices", tag = "grid", operation_id = "putPlanDevices", request_body = OnIt,
    params(("plan" = String, Path, description = "Code of the plan")),
    responses((status = 200, description = "It is stored", body = Changed)))]
pub async fn hang(
    State(api): State<Arc<Api>>,
    Path(code): Path<String>,
    actor: Actor,
    Body(body): Body<OnIt>,
) -> Result<Json<Changed>, ApiError> {
    if DEVICES_MAX < body.devices.len() {
        return Err(ApiError::body("devices", format!("a plan may have {DEVICES_MAX}")));
    }
    let devices = body.devices.into_iter().map(|one| (one.device, one.at)).collect();
    change(&api, &actor.0, Change::Hang { code, devices }).await
}

async fn change(api: &Api, caller: &Caller, change: Change) -> Result<Json<Changed>, ApiError> {
    change_of(newest(api).await?, api, caller, change).await
}

/// The same of rows that are likely the newest.
async fn change_of(
    mut rows: Arc<Registry>,
    api: &Api,
    caller: &Caller,
    change: Change,
) -> Result<Json<Changed>, ApiError> {
    for _ in 0..TRIES {
        let before = rows.version();
        let asked = change.clone();
        // A city's rows are copied for it.
        let known = rows.clone();
        let Some(next) = sound(aside(move || asked.apply(known.rows())).await?)? else {
            return Ok(Json(Changed { version: before, changed: false }));
        };
        if api.store.save_plans(&next, audit(api, caller, &change, &next)).await? {
            return Ok(Json(Changed { version: next.version, changed: true }));
        }
        rows = newest(api).await?;
    }
    Err(changed_meanwhile())
}

fn sound(applied: Result<Option<Rows>, Refused>) -> Result<Option<Rows>, ApiError> {
    applied.map_err(|refused| match refused {
        Refused::Unknown(what) => ApiError::not_found(what),
        Refused::Unsound(wrong) => unsound(&wrong),
    })
}

fn unsound(wrong: &[String]) -> ApiError {
    let status = StatusCode::UNPROCESSABLE_ENTITY;
    ApiError::named(status, "unsound-plan", "The plan cannot be so", wrong.join(". "))
}

fn audit(api: &Api, caller: &Caller, change: &Change, rows: &Rows) -> Audit {
    let (what, code, detail) = match change {
        Change::Put(plan) => {
            let shows = match &plan.shows {
                Shows::Floor { building, floor } => format!("{building}, floor {floor}"),
                Shows::Ground { corners } => format!("the ground, {corners:?}"),
            };
            let Picture { number, width, height, .. } = &plan.picture;
            (
                "plan.put",
                &plan.code,
                format!("{}: {shows}; picture {number}, {width} × {height}; ", plan.cell),
            )
        }
        Change::Take { code } => ("plan.take", code, String::new()),
        Change::Hang { code, devices } => ("plan.hang", code, format!("{} devices; ", devices.len())),
    };
    Audit {
        at: api.clock.now().wall,
        who: caller.who(),
        what: what.into(),
        target: format!("plan {code}"),
        detail: format!("{detail}registry {}", rows.version),
    }
}
