//! Alarms: list, one, raise by hand. What people do to an open one is in `deeds.rs`.
//!
//! An action goes the way of every event, through the driver into the journal; the answer is sent when it is on disk.

use std::sync::Arc;

use axum::Json;
use axum::extract::{Path, State};
use axum::http::{HeaderName, StatusCode, header};
use serde::Deserialize;
use utoipa::IntoParams;

use super::Api;
use super::auth::{Actor, Caller};
use super::extract::{self, Body, Params, Switch};
use super::model::{AlarmDetail, AttemptView, NewAlarm, Page, RatingView};
use super::people;
use super::problem::ApiError;
use super::rights::{Area, Concern, Reach, Right};
use crate::card::{Card, Still};
use crate::grid::Registry;
use crate::live::StillRef;
use crate::model::{Action, Alarm, AlarmId, AlarmState, Deed, SignalClass};
use crate::store::alarms::{Query, Seen};
use crate::units::{Millis, Timestamp};
use crate::view::{AlarmView, EntryView};

const PAGE_MAX: u32 = 200;
pub(super) const NOTE_CHARACTERS_MAX: usize = 1000;
const TEXT_CHARACTERS_MAX: usize = 200;
/// A picture so near an alarm of the same camera is of what raised it.
const STILL_WITHIN: Millis = Millis::from_secs(60);

#[derive(Debug, Default, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct Filter {
    /// States, separated by commas.
    #[param(example = "unacknowledged,acknowledged")]
    state: Option<String>,
    /// Signal classes, separated by commas.
    #[param(example = "fire,supervisory")]
    class: Option<String>,
    /// Code of a cell: alarms in it and in every cell below it.
    cell: Option<String>,
    /// Id of a device.
    device: Option<String>,
    /// Only open ones, or only closed ones.
    #[param(value_type = Option<bool>)]
    open: Option<Switch>,
    /// Items on a page, 1 to 200.
    #[param(minimum = 1, maximum = 200, default = 50)]
    limit: Option<u32>,
    /// Only alarms before this one: `next` of the page before.
    #[param(example = "A-17")]
    before: Option<String>,
}

impl Filter {
    /// `None`: nothing can match.
    fn query(&self, registry: &Registry) -> Result<Option<Query>, ApiError> {
        let known = AlarmState::ALL.map(AlarmState::name);
        let mut states = extract::words("state", self.state.as_deref(), AlarmState::from_name, &known)?;
        if let Some(Switch(open)) = self.open {
            let wanted = |state: &AlarmState| (*state != AlarmState::Closed) == open;
            let all = if states.is_empty() { AlarmState::ALL.to_vec() } else { states };
            states = all.into_iter().filter(wanted).collect();
            if states.is_empty() {
                return Ok(None);
            }
        }
        let known = SignalClass::ALL.map(SignalClass::name);
        let cells = match &self.cell {
            None => Vec::new(),
            Some(code) => cells_in(code, registry)?,
        };
        let device = match &self.device {
            None => None,
            Some(id) => {
                let device = registry.device_by_id(id);
                Some(
                    device.ok_or_else(|| ApiError::query("device", format!("there is no device `{id}`")))?.ix,
                )
            }
        };
        let before = self.before.as_deref().map(|text| {
            let wrong = || ApiError::query("before", "give the id of an alarm, such as A-17");
            text.parse::<AlarmId>().map_err(|()| wrong())
        });
        Ok(Some(Query {
            states,
            classes: extract::words("class", self.class.as_deref(), SignalClass::from_name, &known)?,
            cells,
            device,
            seen: None,
            before: before.transpose()?,
            limit: extract::limit(self.limit, PAGE_MAX)?,
        }))
    }
}

/// Codes of the cell and of every cell below it.
pub fn cells_in(code: &str, registry: &Registry) -> Result<Vec<String>, ApiError> {
    let top = registry
        .cell_by_code(code)
        .ok_or_else(|| ApiError::query("cell", format!("there is no cell `{code}`")))?
        .ix;
    Ok(registry.codes_in(top))
}

/// List alarms, newest first.
///
/// An alarm stands in the primary cell of its device.
#[utoipa::path(get, path = "/api/v1/alarms", tag = "alarms", operation_id = "listAlarms", params(Filter),
    responses((status = 200, description = "A page", body = Page<AlarmView>)))]
pub async fn list(
    State(api): State<Arc<Api>>,
    Params(filter): Params<Filter>,
    caller: Caller,
) -> Result<Json<Page<AlarmView>>, ApiError> {
    let world = api.world.load();
    let none = || Ok(Json(Page { items: Vec::new(), next: None }));
    let Some(mut query) = filter.query(&world.registry)? else { return none() };
    let Concern { area, people } = caller.concern(Right::Alarms, &world.registry, api.clock.now().wall);
    if area != Area::Everywhere {
        let cells = area.codes(query.cells.clone(), &world.registry).unwrap_or_default();
        query.seen = Some(Seen { cells, people });
    }
    let limit = query.limit;
    query.limit += 1;
    let page = Page::cut(api.store.alarms(query).await?, limit, |alarm| alarm.id.to_string());
    let items = page.items.iter().map(|alarm| AlarmView::of(alarm, &world.registry)).collect();
    Ok(Json(Page { items, next: page.next }))
}

/// One alarm with its history, every attempt to tell somebody, and its card.
///
/// Who lives there is shown to those who may handle alarms, and every look is recorded in the audit log.
#[utoipa::path(get, path = "/api/v1/alarms/{id}", tag = "alarms", operation_id = "getAlarm",
    params(("id" = String, Path, description = "Such as A-17")),
    responses((status = 200, description = "The alarm", body = AlarmDetail)))]
pub async fn one(
    State(api): State<Arc<Api>>,
    Path(id): Path<String>,
    caller: Caller,
) -> Result<Json<AlarmDetail>, ApiError> {
    let id = parse(&id)?;
    let alarm = seen(&api, &caller, id).await?;
    let (history, attempts, card) =
        tokio::try_join!(api.store.entries(id), api.store.attempts(id), api.store.card(id))?;
    let registry = api.world.load().registry.clone();
    let personal = caller.personal(Right::Handle, &registry, api.clock.now().wall);
    let card = match card {
        Some(card)
            if card.household.is_some() && !caller.read_only && personal.has(alarm.cell, &registry) =>
        {
            people::audit(&api, &caller, format!("card of {id}"), &[card.place.as_str()]).await?;
            Some(card)
        }
        Some(card) => Some(card.impersonal()),
        None => None,
    };
    let card = match card {
        Some(card) => Some(with_late_still(&api, &alarm, card).await?),
        None => None,
    };
    let ratings = api.store.ratings(id).await?;
    let world = api.world.load();
    Ok(Json(AlarmDetail {
        alarm: AlarmView::of(&alarm, &world.registry),
        history: history.iter().map(|(number, entry)| EntryView::of(*number, entry)).collect(),
        attempts: attempts.iter().map(|attempt| AttemptView::of(attempt, &alarm, &world.registry)).collect(),
        card: card.map(|card| card.on_newest_plan(&alarm, &world.registry)),
        ratings: ratings.into_iter().map(RatingView::from).collect(),
    }))
}

/// Many cameras send the picture after the event: the first that came within a minute stands on the card as if it had been there. The stored card stays as it was told.
async fn with_late_still(api: &Api, alarm: &Alarm, mut card: Card) -> Result<Card, ApiError> {
    let (Some(device), Some(camera)) = (alarm.device, &mut card.camera) else { return Ok(card) };
    let registry = api.world.load().registry.clone();
    if registry.device(device).is_none_or(|row| row.id != camera.id) {
        return Ok(card); // Another camera looks that way.
    }
    let shown = camera.still.as_ref().and_then(|still| Timestamp::parse_rfc3339(&still.at));
    if shown.is_some_and(|at| alarm.raised <= at + STILL_WITHIN) {
        return Ok(card);
    }
    let (from, to) = (alarm.raised - STILL_WITHIN, alarm.raised + STILL_WITHIN);
    if let Some(still) = api.store.first_still(device, from, to).await? {
        let id = StillRef { number: still.number, at: still.at }.id();
        camera.still = Some(Still { id, at: still.at.rfc3339() });
    }
    Ok(card)
}

/// Raise an alarm by hand, for what no device saw.
///
/// After a time-out look at the list before you repeat it: the alarm may have been raised.
#[utoipa::path(post, path = "/api/v1/alarms", tag = "alarms", operation_id = "raiseAlarm",
    request_body = NewAlarm,
    responses((status = 201, description = "The alarm", body = AlarmView,
        headers(("location" = String, description = "Where the alarm is")))))]
pub async fn raise(
    State(api): State<Arc<Api>>,
    actor: Actor,
    Body(body): Body<NewAlarm>,
) -> Result<(StatusCode, [(HeaderName, String); 1], Json<AlarmView>), ApiError> {
    let deed = {
        let registry = &api.world.load().registry;
        let cell = registry
            .cell_by_code(&body.cell)
            .filter(|cell| !cell.retired)
            .ok_or_else(|| ApiError::body("cell", format!("there is no cell `{}`", body.cell)))?
            .ix;
        actor.0.may(Right::Raise, cell, registry, api.clock.now().wall)?;
        let device = body.device.as_ref().map(|id| {
            let device = registry.device_by_id(id).filter(|device| !device.retired);
            device.ok_or_else(|| ApiError::body("device", format!("there is no device `{id}` in service")))
        });
        let device = device.transpose()?;
        if let Some(device) = device
            && !device.cells.contains(&body.cell)
        {
            let detail = format!("the device stands in {}, not in `{}`", device.cells.join(", "), body.cell);
            return Err(ApiError::body("device", detail));
        }
        let text = extract::text("text", &body.text, TEXT_CHARACTERS_MAX)?;
        Deed::Raise { cell, device: device.map(|device| device.ix), class: body.class, text }
    };
    let alarm = act(&api, &actor.0, deed).await?;
    let place = format!("/api/v1/alarms/{}", alarm.id);
    Ok((StatusCode::CREATED, [(header::LOCATION, place)], Json(alarm)))
}

/// Returns the alarm after the action is on disk.
pub(super) async fn act(api: &Api, caller: &Caller, what: Deed) -> Result<AlarmView, ApiError> {
    let repeatable = caller.repeatable.as_deref().cloned();
    let id = api.inlet.act_once(Action { who: caller.who(), what }, repeatable).await??;
    let alarm = api.store.alarm(id).await?.ok_or_else(|| no_alarm(&id.to_string()))?;
    Ok(AlarmView::of(&alarm, &api.world.load().registry))
}

/// The alarm, if the caller may see it: it stands in his cells, or is his case.
pub(super) async fn seen(api: &Api, caller: &Caller, id: AlarmId) -> Result<Alarm, ApiError> {
    let alarm = api.store.alarm(id).await?.ok_or_else(|| no_alarm(&id.to_string()))?;
    match concerns(api, caller, Right::Alarms, &alarm).await? {
        true => Ok(alarm),
        false => Err(no_alarm(&id.to_string())),
    }
}

/// Whether the right holds for this alarm: where it stands, or because it is his case.
async fn concerns(api: &Api, caller: &Caller, right: Right, alarm: &Alarm) -> Result<bool, ApiError> {
    let registry = api.world.load().registry.clone();
    let concern = caller.concern(right, &registry, api.clock.now().wall);
    Ok(concern.has(alarm, &registry) || api.store.is_case(concern.people, alarm.id).await?)
}

/// The alarm, if the caller has this right on it; as if it were not there when he may not even see it.
pub(super) async fn allowed(
    api: &Api,
    caller: &Caller,
    right: Right,
    id: AlarmId,
) -> Result<Alarm, ApiError> {
    let alarm = api.store.alarm(id).await?.ok_or_else(|| no_alarm(&id.to_string()))?;
    if concerns(api, caller, right, &alarm).await? {
        return Ok(alarm);
    }
    if !concerns(api, caller, Right::Alarms, &alarm).await? {
        return Err(no_alarm(&id.to_string()));
    }
    caller.may(right, alarm.cell, &api.world.load().registry, api.clock.now().wall)?;
    Ok(alarm)
}

/// A deed on an alarm, by somebody with the right to it there. Who has it everywhere is not held up by a look into the store: an alarm too new to stand
/// there is refused by the engine or handled.
pub(super) async fn act_on(
    api: &Api,
    caller: &Caller,
    right: Right,
    id: AlarmId,
    what: Deed,
) -> Result<AlarmView, ApiError> {
    if caller.reach(right) != Reach::Everywhere {
        allowed(api, caller, right, id).await?;
    }
    act(api, caller, what).await
}

pub(super) fn parse(id: &str) -> Result<AlarmId, ApiError> {
    id.parse().map_err(|()| no_alarm(id))
}

pub(super) fn no_alarm(id: &str) -> ApiError {
    ApiError::not_found(format!("There is no alarm `{id}`."))
}

pub(super) fn note(note: Option<String>) -> Result<Option<String>, ApiError> {
    let given = note.filter(|note| !note.trim().is_empty());
    given.map(|note| extract::text("note", &note, NOTE_CHARACTERS_MAX)).transpose()
}
