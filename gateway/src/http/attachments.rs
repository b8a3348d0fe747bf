//! Photos and voice notes of an alarm: added by whoever handles or checks it, looked at by the same, and each look is recorded.
//!
//! The body is the file itself; what it is is told by its first bytes, never by what the request says. A photo loses its metadata on the way in ([`crate::picture`]).

use std::sync::Arc;

use axum::Json;
use axum::body::to_bytes;
use axum::extract::{Path, Request, State};
use axum::http::{HeaderName, StatusCode, header};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use utoipa::{IntoParams, ToSchema};

use super::Api;
use super::alarms::{NOTE_CHARACTERS_MAX, allowed, no_alarm, parse};
use super::aside::aside;
use super::auth::{Actor, Caller};
use super::extract::{self, Params};
use super::problem::ApiError;
use super::rights::Right;
use crate::model::{Alarm, AlarmId};
use crate::picture::{self, Kind};
use crate::store::attachments::{Attachment, EACH_MAX, NewAttachment, Stored};
use crate::store::{Audit, Commit};
use crate::view::PersonRef;

/// How the path ends, for the layer that reads bodies.
pub const PATH_END: &str = "/attachments";
/// The app makes a photo smaller before it sends it; a minute of speech is a fifth of this.
pub const BYTES_MAX: usize = 3 << 20;
/// Uploads in memory at the same time; others wait.
pub const UPLOADS_MAX: usize = 8;

#[derive(Debug, Serialize, ToSchema)]
pub struct AttachmentView {
    pub number: u64,
    #[schema(format = DateTime)]
    pub at: String,
    pub who: PersonRef,
    /// Media type.
    #[schema(example = "image/jpeg")]
    pub kind: String,
    pub note: String,
    pub bytes: u64,
    /// Where the file is.
    pub path: String,
}

#[derive(Debug, Serialize, ToSchema)]
pub struct AttachmentList {
    pub items: Vec<AttachmentView>,
}

#[derive(Debug, Default, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct About {
    /// Up to 1,000 characters.
    note: Option<String>,
}

/// The alarm, if it stands where the caller may deal with its photos, or is his.
async fn may(api: &Api, caller: &Caller, id: AlarmId) -> Result<Alarm, ApiError> {
    allowed(api, caller, Right::Attachments, id).await
}

/// What is attached, oldest first. The files themselves are asked for one by one.
#[utoipa::path(get, path = "/api/v1/alarms/{id}/attachments", tag = "alarms", operation_id = "listAttachments",
    params(("id" = String, Path, description = "Such as A-17")),
    responses((status = 200, description = "All of them", body = AttachmentList)))]
pub async fn list(
    State(api): State<Arc<Api>>,
    Path(id): Path<String>,
    caller: Caller,
) -> Result<Json<AttachmentList>, ApiError> {
    let id = parse(&id)?;
    may(&api, &caller, id).await?;
    let found = api.store.attachments(id).await?;
    Ok(Json(AttachmentList { items: found.iter().map(|one| view(&api, one)).collect() }))
}

/// Attach a photo (JPEG, PNG, WebP) or a voice note (WebM, Ogg, MP4); the body is the file, at most 3 MiB.
///
/// What a camera writes beside the picture, such as where it was taken, is not kept. The same file again is the one that is there.
#[utoipa::path(post, path = "/api/v1/alarms/{id}/attachments", tag = "alarms", operation_id = "attach",
    params(("id" = String, Path, description = "Such as A-17"), About),
    request_body(content_type = "application/octet-stream", description = "The file"),
    responses((status = 201, description = "It is on disk", body = AttachmentView)))]
pub async fn add(
    State(api): State<Arc<Api>>,
    Path(id): Path<String>,
    actor: Actor,
    Params(about): Params<About>,
    request: Request,
) -> Result<(StatusCode, Json<AttachmentView>), ApiError> {
    let id = parse(&id)?;
    may(&api, &actor.0, id).await?;
    let note = about.note.filter(|note| !note.trim().is_empty());
    let note = note.map(|note| extract::text("note", &note, NOTE_CHARACTERS_MAX)).transpose()?;
    let _place = api.own.uploads.acquire().await.map_err(anyhow::Error::from).map_err(ApiError::Internal)?;
    let bytes = to_bytes(request.into_body(), BYTES_MAX).await.map_err(|_| {
        let detail = format!("A photo or voice note may have {} MiB; make it smaller.", BYTES_MAX >> 20);
        ApiError::status(StatusCode::PAYLOAD_TOO_LARGE, detail)
    })?;
    let (kind, bytes) = aside(move || picture::take(&bytes)).await?.map_err(|why| {
        ApiError::status(StatusCode::UNSUPPORTED_MEDIA_TYPE, format!("The file cannot be used: {why}."))
    })?;
    let (now, hash) = (api.clock.now(), Sha256::digest(&bytes).into());
    let new = NewAttachment {
        alarm: id,
        who: actor.0.who(),
        kind: kind.media_type(),
        note: note.unwrap_or_default(),
        bytes,
        hash,
    };
    let full =
        |detail: String| ApiError::named(StatusCode::CONFLICT, "no-room", "There is no room for it", detail);
    let number = match api.store.attach(new, now).await? {
        Stored::New(number) | Stored::Before(number) => number,
        Stored::TooMany => return Err(full(format!("{id} has {EACH_MAX} attachments already."))),
        Stored::Full => {
            let detail = "The room for photos is used up by open alarms: close some, or raise attachments_max_mb in station.toml.";
            return Err(full(detail.into()));
        }
    };
    let stored = api.store.attachments(id).await?.into_iter().find(|one| one.number == number);
    let stored =
        stored.ok_or_else(|| ApiError::Internal(anyhow::anyhow!("attachment {number} is not there")))?;
    Ok((StatusCode::CREATED, Json(view(&api, &stored))))
}

/// One photo or voice note. Recorded in the audit log before it is shown.
#[utoipa::path(get, path = "/api/v1/alarms/{id}/attachments/{number}", tag = "alarms", operation_id = "getAttachment",
    params(("id" = String, Path, description = "Such as A-17"), ("number" = u64, Path, description = "As listed")),
    responses((status = 200, description = "The file", content_type = "application/octet-stream")))]
pub async fn one(
    State(api): State<Arc<Api>>,
    Path((id, number)): Path<(String, String)>,
    caller: Caller,
) -> Result<([(HeaderName, &'static str); 2], Vec<u8>), ApiError> {
    let id = parse(&id)?;
    may(&api, &caller, id).await?;
    let number: Option<u64> = number.parse().ok();
    let found = match number {
        Some(number) => api.store.attachment(number).await?.filter(|(about, _)| about.alarm == id),
        None => None,
    };
    let (about, bytes) = found.ok_or_else(|| no_alarm(&format!("{id}, attachment")))?;
    let line = Audit {
        at: api.clock.now().wall,
        who: caller.who(),
        what: "attachment.read".into(),
        target: format!("alarm {id}"),
        detail: format!("attachment {}", about.number),
    };
    api.store.commit(&Commit { audit: vec![line], ..Commit::default() }).await?;
    Ok(served(&about.kind, bytes))
}

/// As a file of its kind, or of none that a browser would run.
pub(super) fn served(kind: &str, bytes: Vec<u8>) -> ([(HeaderName, &'static str); 2], Vec<u8>) {
    let kind = Kind::ALL.into_iter().map(Kind::media_type).find(|known| *known == kind);
    let as_file = (header::CONTENT_DISPOSITION, "inline");
    ([(header::CONTENT_TYPE, kind.unwrap_or("application/octet-stream")), as_file], bytes)
}

fn view(api: &Api, one: &Attachment) -> AttachmentView {
    AttachmentView {
        number: one.number,
        at: one.at.rfc3339(),
        who: PersonRef::of(&one.who, &api.world.load().registry),
        kind: one.kind.clone(),
        note: one.note.clone(),
        bytes: one.bytes,
        path: format!("/api/v1/alarms/{}{PATH_END}/{}", one.alarm, one.number),
    }
}
