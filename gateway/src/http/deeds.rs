//! What people do to an open alarm: take it in hand, go, resolve, verify, hand over, put off.
//!
//! Each is one deed; the engine says what is allowed. The answer is the alarm, sent when the deed is on disk.

use std::sync::Arc;

use axum::Json;
use axum::extract::{Path, State};

use super::Api;
use super::alarms::{NOTE_CHARACTERS_MAX, act_on, allowed, note, parse, seen};
use super::auth::Actor;
use super::extract::{self, Body};
use super::model::{Because, EvaluationRequest, HandOverRequest, Noted, PutOff, ResolutionRequest};
use super::problem::ApiError;
use super::rights::Right;
use crate::model::{AlarmId, Deed, Disposition, Signed};
use crate::view::AlarmView;

/// Take an alarm in hand.
///
/// Stops the ladder when enough people have: alerts not yet sent are withdrawn.
#[utoipa::path(post, path = "/api/v1/alarms/{id}/acknowledge", tag = "alarms", operation_id = "acknowledgeAlarm",
    params(("id" = String, Path, description = "Such as A-17")),
    request_body(content = Option<Noted>, description = "May be left out"),
    responses((status = 200, description = "The alarm as it is now", body = AlarmView)))]
pub async fn acknowledge(
    State(api): State<Arc<Api>>,
    Path(id): Path<String>,
    actor: Actor,
    Body(body): Body<Noted>,
) -> Result<Json<AlarmView>, ApiError> {
    noted(&api, &actor, Right::Handle, &id, body, |alarm, note| Deed::Acknowledge { alarm, note }).await
}

/// Say that you are going there.
///
/// Acknowledges, too, when nobody has.
#[utoipa::path(post, path = "/api/v1/alarms/{id}/on_the_way", tag = "alarms", operation_id = "onTheWay",
    params(("id" = String, Path, description = "Such as A-17")),
    request_body(content = Option<Noted>, description = "May be left out"),
    responses((status = 200, description = "The alarm as it is now", body = AlarmView)))]
pub async fn on_the_way(
    State(api): State<Arc<Api>>,
    Path(id): Path<String>,
    actor: Actor,
    Body(body): Body<Noted>,
) -> Result<Json<AlarmView>, ApiError> {
    noted(&api, &actor, Right::Handle, &id, body, |alarm, note| Deed::OnTheWay { alarm, note }).await
}

/// Say that you are there.
///
/// Acknowledges, too, when nobody has.
#[utoipa::path(post, path = "/api/v1/alarms/{id}/on_site", tag = "alarms", operation_id = "onSite",
    params(("id" = String, Path, description = "Such as A-17")),
    request_body(content = Option<Noted>, description = "May be left out"),
    responses((status = 200, description = "The alarm as it is now", body = AlarmView)))]
pub async fn on_site(
    State(api): State<Arc<Api>>,
    Path(id): Path<String>,
    actor: Actor,
    Body(body): Body<Noted>,
) -> Result<Json<AlarmView>, ApiError> {
    noted(&api, &actor, Right::Handle, &id, body, |alarm, note| Deed::OnSite { alarm, note }).await
}

/// Say what it turned out to be.
///
/// The alarm must be acknowledged first.
#[utoipa::path(post, path = "/api/v1/alarms/{id}/resolve", tag = "alarms", operation_id = "resolveAlarm",
    params(("id" = String, Path, description = "Such as A-17")),
    request_body = ResolutionRequest,
    responses((status = 200, description = "The alarm as it is now", body = AlarmView)))]
pub async fn resolve(
    State(api): State<Arc<Api>>,
    Path(id): Path<String>,
    actor: Actor,
    Body(body): Body<ResolutionRequest>,
) -> Result<Json<AlarmView>, ApiError> {
    let alarm = parse(&id)?;
    let (disposition, cause) = (body.disposition, body.cause);
    if cause.is_some() && disposition != Disposition::FalseAlarm {
        return Err(ApiError::body("cause", "only a false alarm has one; leave it out"));
    }
    let note = note(body.note)?;
    act_on(&api, &actor.0, Right::Handle, alarm, Deed::Resolve { alarm, disposition, cause, note })
        .await
        .map(Json)
}

/// Confirm what was done about a resolved alarm.
///
/// Not by anybody who had a hand in it.
#[utoipa::path(post, path = "/api/v1/alarms/{id}/verify", tag = "alarms", operation_id = "verifyAlarm",
    params(("id" = String, Path, description = "Such as A-17")),
    request_body(content = Option<Noted>, description = "May be left out"),
    responses((status = 200, description = "The alarm as it is now", body = AlarmView)))]
pub async fn verify(
    State(api): State<Arc<Api>>,
    Path(id): Path<String>,
    actor: Actor,
    Body(body): Body<Noted>,
) -> Result<Json<AlarmView>, ApiError> {
    noted(&api, &actor, Right::Verify, &id, body, |alarm, note| Deed::Verify { alarm, note }).await
}

/// 打回: send a resolved alarm back to be handled again.
///
/// Not by anybody who had a hand in it. The ladder begins anew.
#[utoipa::path(post, path = "/api/v1/alarms/{id}/return", tag = "alarms", operation_id = "sendAlarmBack",
    params(("id" = String, Path, description = "Such as A-17")),
    request_body = Because,
    responses((status = 200, description = "The alarm as it is now", body = AlarmView)))]
pub async fn send_back(
    State(api): State<Arc<Api>>,
    Path(id): Path<String>,
    actor: Actor,
    Body(body): Body<Because>,
) -> Result<Json<AlarmView>, ApiError> {
    let alarm = parse(&id)?;
    let reason = reason(&body.reason)?;
    act_on(&api, &actor.0, Right::Verify, alarm, Deed::SendBack { alarm, reason }).await.map(Json)
}

/// Judge what a resolved or closed alarm was worth.
///
/// Not by anybody who had a hand in it. A later verdict takes the place of an earlier one.
#[utoipa::path(post, path = "/api/v1/alarms/{id}/evaluate", tag = "alarms", operation_id = "evaluateAlarm",
    params(("id" = String, Path, description = "Such as A-17")),
    request_body = EvaluationRequest,
    responses((status = 200, description = "The alarm as it is now", body = AlarmView)))]
pub async fn evaluate(
    State(api): State<Arc<Api>>,
    Path(id): Path<String>,
    actor: Actor,
    Body(body): Body<EvaluationRequest>,
) -> Result<Json<AlarmView>, ApiError> {
    let alarm = parse(&id)?;
    let verdict = body.verdict;
    let note = note(body.note)?;
    if seen(&api, &actor.0, alarm).await?.is_open() {
        return act_on(&api, &actor.0, Right::Verify, alarm, Deed::Evaluate { alarm, verdict, note })
            .await
            .map(Json);
    }
    // The engine has forgotten it; the store has not.
    let now = api.clock.now().wall;
    allowed(&api, &actor.0, Right::Verify, alarm).await?;
    let signed = Signed { by: actor.0.who(), at: now, note };
    let (number, alarm, entry) = api.store.judge_closed(alarm, signed, verdict).await??;
    let view = AlarmView::of(&alarm, &api.world.load().registry);
    api.live.alarm(number, alarm, entry);
    Ok(Json(view))
}

/// Hand it to another, who owns it from now on and is called first.
///
/// Exactly one of `up`, `person` and `role`.
#[utoipa::path(post, path = "/api/v1/alarms/{id}/hand_over", tag = "alarms", operation_id = "handAlarmOver",
    params(("id" = String, Path, description = "Such as A-17")),
    request_body = HandOverRequest,
    responses((status = 200, description = "The alarm as it is now", body = AlarmView)))]
pub async fn hand_over(
    State(api): State<Arc<Api>>,
    Path(id): Path<String>,
    actor: Actor,
    Body(body): Body<HandOverRequest>,
) -> Result<Json<AlarmView>, ApiError> {
    let alarm = parse(&id)?;
    let reason = reason(&body.reason)?;
    let to = body.to()?;
    act_on(&api, &actor.0, Right::Handle, alarm, Deed::HandOver { alarm, to, reason }).await.map(Json)
}

/// 挂账: put an acknowledged case on the register until a date.
///
/// At that date it calls again. Not while a fire is active.
#[utoipa::path(post, path = "/api/v1/alarms/{id}/suspend", tag = "alarms", operation_id = "suspendAlarm",
    params(("id" = String, Path, description = "Such as A-17")),
    request_body = PutOff,
    responses((status = 200, description = "The alarm as it is now", body = AlarmView)))]
pub async fn suspend(
    State(api): State<Arc<Api>>,
    Path(id): Path<String>,
    actor: Actor,
    Body(body): Body<PutOff>,
) -> Result<Json<AlarmView>, ApiError> {
    let alarm = parse(&id)?;
    let reason = reason(&body.reason)?;
    let until = body.until()?;
    act_on(&api, &actor.0, Right::Handle, alarm, Deed::Suspend { alarm, until, reason }).await.map(Json)
}

/// Take a case from the register before its date.
///
/// It calls again.
#[utoipa::path(post, path = "/api/v1/alarms/{id}/resume", tag = "alarms", operation_id = "resumeAlarm",
    params(("id" = String, Path, description = "Such as A-17")),
    request_body(content = Option<Noted>, description = "May be left out"),
    responses((status = 200, description = "The alarm as it is now", body = AlarmView)))]
pub async fn resume(
    State(api): State<Arc<Api>>,
    Path(id): Path<String>,
    actor: Actor,
    Body(body): Body<Noted>,
) -> Result<Json<AlarmView>, ApiError> {
    noted(&api, &actor, Right::Handle, &id, body, |alarm, note| Deed::Resume { alarm, note }).await
}

/// Keep an alarm quiet for at most 24 hours. Never a fire.
#[utoipa::path(post, path = "/api/v1/alarms/{id}/shelve", tag = "alarms", operation_id = "shelveAlarm",
    params(("id" = String, Path, description = "Such as A-17")),
    request_body = PutOff,
    responses((status = 200, description = "The alarm as it is now", body = AlarmView)))]
pub async fn shelve(
    State(api): State<Arc<Api>>,
    Path(id): Path<String>,
    actor: Actor,
    Body(body): Body<PutOff>,
) -> Result<Json<AlarmView>, ApiError> {
    let alarm = parse(&id)?;
    let reason = reason(&body.reason)?;
    let until = body.until()?;
    act_on(&api, &actor.0, Right::Handle, alarm, Deed::Shelve { alarm, until, reason }).await.map(Json)
}

/// End the quiet before its time.
///
/// It calls again when nobody has acknowledged it.
#[utoipa::path(post, path = "/api/v1/alarms/{id}/unshelve", tag = "alarms", operation_id = "unshelveAlarm",
    params(("id" = String, Path, description = "Such as A-17")),
    request_body(content = Option<Noted>, description = "May be left out"),
    responses((status = 200, description = "The alarm as it is now", body = AlarmView)))]
pub async fn unshelve(
    State(api): State<Arc<Api>>,
    Path(id): Path<String>,
    actor: Actor,
    Body(body): Body<Noted>,
) -> Result<Json<AlarmView>, ApiError> {
    noted(&api, &actor, Right::Handle, &id, body, |alarm, note| Deed::Unshelve { alarm, note }).await
}

/// A deed that takes nothing but a note.
pub(super) async fn noted(
    api: &Api,
    actor: &Actor,
    right: Right,
    id: &str,
    body: Noted,
    deed: impl FnOnce(AlarmId, Option<String>) -> Deed,
) -> Result<Json<AlarmView>, ApiError> {
    let alarm = parse(id)?;
    let note = note(body.note)?;
    act_on(api, &actor.0, right, alarm, deed(alarm, note)).await.map(Json)
}

/// Why; never empty.
pub(super) fn reason(text: &str) -> Result<String, ApiError> {
    extract::text("reason", text, NOTE_CHARACTERS_MAX)
}
