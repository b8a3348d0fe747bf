//! A message that could not be used, tried again: after its device was registered, or its topic given a decoder.
//!
//! It is read as it would be today, at the time when it came, as something sent again: history gets it, and an alarm in it says that it is late. The letter stays.

use std::sync::Arc;

use axum::Json;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use serde::Serialize;
use utoipa::ToSchema;

use super::Api;
use super::auth::Actor;
use super::problem::ApiError;
use crate::decode::Message;
use crate::io::inlet::Inbound;
use crate::io::intake::{KEPT_PAYLOAD_BYTES, intake};
use crate::store::{Audit, Commit};

/// What became of it.
#[derive(Debug, Serialize, ToSchema)]
pub struct TriedAgain {
    /// Reports and signs of life that were taken in.
    pub taken: usize,
    /// Why the rest, or all, still cannot be used.
    pub reasons: Vec<String>,
}

/// Read a message again that could not be used.
#[utoipa::path(post, path = "/api/v1/dead-letters/{number}/again", tag = "station", operation_id = "tryLetterAgain",
    params(("number" = u64, Path, description = "As listed")),
    responses((status = 200, description = "What became of it", body = TriedAgain)))]
pub async fn again(
    State(api): State<Arc<Api>>,
    Path(number): Path<String>,
    Actor(caller): Actor,
) -> Result<Json<TriedAgain>, ApiError> {
    let gone = || ApiError::not_found(format!("There is no dead letter {number}; old ones are taken away."));
    let wanted: u64 = number.parse().map_err(|_| gone())?;
    let found = api.store.dead_letters(wanted.checked_add(1), 1).await?.pop();
    let (_, letter) = found.filter(|(number, _)| *number == wanted).ok_or_else(gone)?;
    if KEPT_PAYLOAD_BYTES <= letter.payload.len() {
        let detail = format!(
            "Of a message this long only the first {KEPT_PAYLOAD_BYTES} bytes were kept; its device must send it again."
        );
        return Err(ApiError::named(StatusCode::CONFLICT, "letter-cut", "The message is not whole", detail));
    }
    let message = Message {
        topic: &letter.address,
        payload: &letter.payload,
        retained: false,
        dup: true,
        received: letter.received,
    };
    let (Inbound { events, dead, .. }, _) = intake(&letter.source, &message, &api.world.load());
    let tried =
        TriedAgain { taken: events.len(), reasons: dead.into_iter().map(|letter| letter.reason).collect() };
    let line = Audit {
        at: api.clock.now().wall,
        who: caller.who(),
        what: "letter.again".into(),
        target: format!("letter {wanted}"),
        detail: format!("{} taken, {} refused", tried.taken, tried.reasons.len()),
    };
    api.store.commit(&Commit { audit: vec![line], ..Commit::default() }).await?;
    if !events.is_empty() {
        api.inlet.send(Inbound { events, ..Inbound::default() }).await?;
    }
    Ok(Json(tried))
}
