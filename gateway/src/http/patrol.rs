//! Boards and patrols: the code that hangs at a cell or device, what is printed around it, and who was there when.
//!
//! One code serves both: a resident who scans it can report ([`super::resident`]), a worker who scans or types it has been there. It is no proof of presence by itself, for it can be photographed; the phone's distance to the place is written
//! beside the visit for whoever judges it. A point that has never been printed has no visits.

use std::sync::Arc;

use axum::Json;
use axum::extract::{Path, State};
use axum::http::{HeaderMap, StatusCode};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::Api;
use super::accounts::{page, qr};
use super::alarms::cells_in;
use super::auth::{Actor, Caller};
use super::extract::{self, Body, Params};
use super::history::time;
use super::model::Page;
use super::people;
use super::positions::placed;
use super::problem::ApiError;
use super::rights::Right;
use crate::grid::nearest::metres;
use crate::grid::{Device, Registry, Role};
use crate::model::CellIx;
use crate::store::Audit;
use crate::store::points::{NewVisit, Place, Point, Visit, Wanted, code_of};
use crate::view::PersonRef;

const NOTE_CHARACTERS_MAX: usize = 200;
const PAGE_MAX: u32 = 500;

/// What is printed: 网格公示牌.
#[derive(Debug, Serialize, ToSchema)]
pub struct BoardView {
    pub cell: String,
    pub name: String,
    /// Names from the root of the scheme down to the cell.
    pub path: Vec<String>,
    pub people: Vec<BoardPerson>,
    /// Numbers that anybody may call.
    pub emergency: Vec<&'static str>,
    /// Where the code leads.
    pub link: String,
    /// The same to be typed.
    pub code: String,
    /// The link to be scanned: an SVG picture.
    pub qr_svg: String,
}

#[derive(Debug, Serialize, ToSchema)]
pub struct BoardPerson {
    pub name: String,
    pub role: Role,
    pub phone: String,
}

#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct BoardRequest {
    /// Id of a device in the cell at which the code is to hang; without one it is the cell's board.
    pub device: Option<String>,
    /// Make a new code; the one until now ends.
    #[serde(default)]
    pub anew: bool,
}

#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct CheckIn {
    /// As it was typed, or the whole text of the scanned code.
    #[schema(example = "8D3K-9QWX-2MTV")]
    pub code: String,
    pub lat: Option<f64>,
    pub lon: Option<f64>,
    /// When it was, for a phone that was out of reach; now, when left out.
    #[schema(format = DateTime)]
    pub at: Option<String>,
    /// Up to 200 characters.
    pub note: Option<String>,
}

#[derive(Debug, Serialize, ToSchema)]
pub struct VisitView {
    pub number: u64,
    pub cell: String,
    pub device: Option<String>,
    pub person: PersonRef,
    #[schema(format = DateTime)]
    pub at: String,
    #[schema(format = DateTime)]
    pub received: String,
    /// How far the phone was from the device, or from the cell's nearest known device; none when nobody knows.
    pub metres: Option<u32>,
    pub note: String,
}

#[derive(Debug, Serialize, ToSchema)]
pub struct CheckedIn {
    pub number: u64,
    pub cell: String,
    /// Name of the cell.
    pub name: String,
    pub device: Option<String>,
    pub metres: Option<u32>,
}

#[derive(Debug, Serialize, ToSchema)]
pub struct PointView {
    pub cell: String,
    pub device: Option<String>,
    #[schema(format = DateTime)]
    pub last: Option<String>,
    pub by: Option<PersonRef>,
}

#[derive(Debug, Serialize, ToSchema)]
pub struct PointList {
    pub items: Vec<PointView>,
}

/// What is printed for a cell, with its code as QR; the code is made when there is none. Recorded in the audit log.
#[utoipa::path(post, path = "/api/v1/cells/{code}/board", tag = "grid", operation_id = "makeBoard",
    params(("code" = String, Path, description = "Code of the cell")),
    request_body(content = Option<BoardRequest>, description = "May be left out"),
    responses((status = 200, description = "The board", body = BoardView)))]
pub async fn board(
    State(api): State<Arc<Api>>,
    Path(code): Path<String>,
    headers: HeaderMap,
    actor: Actor,
    Body(body): Body<BoardRequest>,
) -> Result<Json<BoardView>, ApiError> {
    let (registry, now) = (api.world.load().registry.clone(), api.clock.now().wall);
    let cell = registry.cell_by_code(&code).filter(|cell| !cell.retired);
    let cell = cell.ok_or_else(|| ApiError::not_found(format!("There is no cell `{code}`.")))?;
    let device = match &body.device {
        None => None,
        Some(id) => {
            let device = registry.device_by_id(id).filter(|one| !one.retired && one.cells.contains(&code));
            let missing = || ApiError::body("device", format!("there is no device `{id}` in this cell"));
            Some(device.ok_or_else(missing)?.id.clone())
        }
    };
    let on_duty = registry.on_duty(cell.ix, now);
    let shown: Vec<_> = on_duty.iter().map(|(_, person)| person.id.as_str()).collect();
    people::audit(&api, &actor.0, format!("board of {code}"), &shown).await?;
    let line = Audit {
        at: now,
        who: actor.0.who(),
        what: "board.code".into(),
        target: format!("cell {code}"),
        detail: device.clone().unwrap_or_default(),
    };
    let point = api.store.point_of(Place { cell: code.clone(), device }, body.anew, line).await?;
    let link = format!("{}/report/{}", page(&headers), point.code);
    let person = |(role, person): (Role, &crate::grid::Person)| BoardPerson {
        name: person.name.clone(),
        role,
        phone: person.phone.clone(),
    };
    Ok(Json(BoardView {
        cell: code,
        name: cell.name.clone(),
        path: registry.names_down_to(cell.ix),
        people: on_duty.into_iter().map(person).collect(),
        emergency: vec!["119", "110", "120"],
        qr_svg: qr(&link)?,
        code: grouped(&point.code),
        link,
    }))
}

/// In groups of four, as it is typed.
fn grouped(code: &str) -> String {
    let letters: Vec<char> = code.chars().collect();
    letters.chunks(4).map(|group| group.iter().collect::<String>()).collect::<Vec<_>>().join("-")
}

/// Say that you are at a point of the patrol: its code, scanned or typed.
#[utoipa::path(post, path = "/api/v1/patrol", tag = "patrol", operation_id = "checkIn", request_body = CheckIn,
    responses((status = 201, description = "It is on disk", body = CheckedIn)))]
pub async fn check_in(
    State(api): State<Arc<Api>>,
    actor: Actor,
    Body(body): Body<CheckIn>,
) -> Result<(StatusCode, Json<CheckedIn>), ApiError> {
    let now = api.clock.now().wall;
    let wrong = || ApiError::body("code", "no point has this code; look at it again");
    let code = code_of(&body.code).ok_or_else(wrong)?;
    let point = api.store.point(&code).await?.ok_or_else(wrong)?;
    let registry = api.world.load().registry.clone();
    let cell = registry.cell_by_code(&point.place.cell).ok_or_else(wrong)?;
    actor.0.may(Right::Patrol, cell.ix, &registry, now)?;
    let here = body.lat.zip(body.lon).map(|(lat, lon)| placed(lat, lon)).transpose()?;
    let metres = here.and_then(|here| distance(&point, cell.ix, here, &registry));
    let at = body.at.as_deref().map(|text| extract::moment("at", text)).transpose()?;
    let note = body.note.filter(|note| !note.trim().is_empty());
    let note = note.map(|note| extract::text("note", &note, NOTE_CHARACTERS_MAX)).transpose()?;
    let new = NewVisit {
        point: point.number,
        person: actor.0.who(),
        at: at.unwrap_or(now).min(now),
        received: now,
        metres,
        note: note.unwrap_or_default(),
    };
    let number = api.store.visit(new).await?;
    let Place { cell: code, device } = point.place;
    Ok((StatusCode::CREATED, Json(CheckedIn { number, cell: code, name: cell.name.clone(), device, metres })))
}

/// To the device at which the code hangs; of a board, to the nearest device of its cell.
fn distance(point: &Point, cell: CellIx, here: [f64; 2], registry: &Registry) -> Option<u32> {
    let to = |device: &Device| device.position.map(|there| metres(here, there));
    let nearest = match &point.place.device {
        Some(id) => registry.device_by_id(id).and_then(to),
        None => {
            let inside = registry.devices().iter().filter(|device| registry.home(device.ix) == Some(cell));
            inside.filter_map(to).min_by(f64::total_cmp)
        }
    };
    nearest.map(|metres| metres.round() as u32)
}

#[derive(Debug, Default, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct VisitFilter {
    /// Code of a cell: visits in it and in every cell below it.
    cell: Option<String>,
    /// Id of a person.
    person: Option<String>,
    /// Only from this moment on.
    #[param(example = "2026-11-24T00:00:00+08:00")]
    from: Option<String>,
    /// Items on a page, 1 to 500.
    #[param(minimum = 1, maximum = 500, default = 50)]
    limit: Option<u32>,
    /// Only visits before this one: `next` of the page before.
    before: Option<u64>,
}

/// Who was where, newest first.
#[utoipa::path(get, path = "/api/v1/patrol", tag = "patrol", operation_id = "listVisits", params(VisitFilter),
    responses((status = 200, description = "A page", body = Page<VisitView>)))]
pub async fn visits(
    State(api): State<Arc<Api>>,
    Params(filter): Params<VisitFilter>,
    caller: Caller,
) -> Result<Json<Page<VisitView>>, ApiError> {
    let registry = api.world.load().registry.clone();
    let limit = extract::limit(filter.limit, PAGE_MAX)?;
    let cells = filter.cell.as_deref().map(|code| cells_in(code, &registry)).transpose()?;
    let from = time("from", filter.from.as_deref())?;
    let area = caller.area(Right::Patrol, &registry, api.clock.now().wall);
    let Some(cells) = area.codes(cells.unwrap_or_default(), &registry) else {
        return Ok(Json(Page { items: Vec::new(), next: None }));
    };
    let wanted = Wanted { cells, person: filter.person, from, before: filter.before, limit: limit + 1 };
    let found = api.store.visits(wanted).await?;
    let view = |visit: &Visit| VisitView {
        number: visit.number,
        cell: visit.place.cell.clone(),
        device: visit.place.device.clone(),
        person: PersonRef::of(&visit.person, &registry),
        at: visit.at.rfc3339(),
        received: visit.received.rfc3339(),
        metres: visit.metres,
        note: visit.note.clone(),
    };
    let items = found.iter().map(view).collect();
    Ok(Json(Page::cut(items, limit, |visit: &VisitView| visit.number.to_string())))
}

/// Every point that has been printed, and when it was last visited.
#[utoipa::path(get, path = "/api/v1/patrol/points", tag = "patrol", operation_id = "listPoints",
    responses((status = 200, description = "All of them, by cell", body = PointList)))]
pub async fn points(State(api): State<Arc<Api>>, caller: Caller) -> Result<Json<PointList>, ApiError> {
    let registry = api.world.load().registry.clone();
    let area = caller.area(Right::Patrol, &registry, api.clock.now().wall);
    let found = api.store.points().await?.into_iter();
    let found = found.filter(|(point, _)| area.has_code(&point.place.cell, &registry));
    let items = found.map(|(point, last)| PointView {
        cell: point.place.cell,
        device: point.place.device,
        by: last.as_ref().map(|(_, who)| PersonRef::of(who, &registry)),
        last: last.map(|(at, _)| at.rfc3339()),
    });
    Ok(Json(PointList { items: items.collect() }))
}
