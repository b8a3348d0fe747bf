//! Commands to devices. Each is in the audit log before it is sent.

use std::sync::Arc;

use axum::Json;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::Api;
use super::auth::Actor;
use super::extract::Body;
use super::problem::ApiError;
use super::rights::Right;
use crate::decode::gbt26875::Station;
use crate::io::commands::{NotSent, Topics};
use crate::io::gbt26875::{Answer, NotAnswered, question};
use crate::store::{Audit, Commit};
use crate::wire::gbt26875::Content;

#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Command {
    /// What the device gets, as it is; for a Zigbee siren such as `{"warning": {"mode": "fire"}}`. For a transmission device of GB/T 26875.3 and what is behind
    /// it, a question: `{"ask": "roll_call", "minutes": 10}`, `state`, `analog`, `version`, `description`, `time`, `operations`, `initialise` or `set_clock`.
    #[schema(value_type = Object)]
    payload: serde_json::Map<String, serde_json::Value>,
}

#[derive(Debug, Serialize, ToSchema)]
pub struct Commanded {
    /// Where it was published.
    #[schema(example = "gridwarden/down/SD-0312")]
    pub topic: String,
    /// `listener`, the broker's name, or `gbt26875`.
    pub by: String,
    /// What a transmission device answered; `confirmed` when it does what it was asked.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<Object>)]
    pub answer: Option<serde_json::Value>,
}

/// Send a command to a device. It is told, which does not mean that it obeys: its next reading shows that.
///
/// Recorded in the audit log. 409 when nobody listens now; nothing is kept for later.
#[utoipa::path(post, path = "/api/v1/devices/{id}/command", tag = "grid", operation_id = "commandDevice",
    params(("id" = String, Path, description = "Id of the device")),
    request_body = Command,
    responses((status = 202, description = "Handed over, or answered by a transmission device", body = Commanded)))]
pub async fn command(
    State(api): State<Arc<Api>>,
    Path(id): Path<String>,
    Actor(caller): Actor,
    Body(body): Body<Command>,
) -> Result<(StatusCode, Json<Commanded>), ApiError> {
    let registry = api.world.load().registry.clone();
    let now = api.clock.now().wall;
    let area = caller.area(Right::Command, &registry, now);
    let device = registry
        .device_by_id(&id)
        .filter(|device| !device.retired && area.has_device(device, &registry))
        .ok_or_else(|| ApiError::not_found(format!("There is no device `{id}` in service.")))?;
    let cannot =
        |detail| ApiError::named(StatusCode::CONFLICT, "cannot-command", "It cannot be commanded", detail);
    let way = match (device.address.parse::<Station>(), Topics::of(&device.address)) {
        (Ok(station), _) => Way::Asked(station, question(&body.payload, station).map_err(cannot)?),
        (Err(()), Some(topics)) => Way::Published(topics),
        (Err(()), None) => {
            return Err(cannot(format!(
                "the device's address is `{}`; only devices with `native:`, `z2m:` and `gbt26875:` addresses take commands",
                device.address
            )));
        }
    };
    let payload = serde_json::Value::Object(body.payload).to_string();
    let line = Audit {
        at: now,
        who: caller.who(),
        what: "device.command".into(),
        target: format!("device {id}"),
        detail: payload.clone(),
    };
    api.store.commit(&Commit { audit: vec![line], ..Commit::default() }).await?;
    let topics = match way {
        Way::Published(topics) => topics,
        Way::Asked(station, content) => return ask(&api, station, content).await,
    };
    match api.commands.send(&topics, payload.into_bytes()).await {
        Ok(by) => Ok((StatusCode::ACCEPTED, Json(Commanded { topic: topics.down, by, answer: None }))),
        Err(fault @ (NotSent::NobodyListens(_) | NotSent::Refused(_))) => Err(cannot(fault.to_string())),
        Err(fault @ NotSent::Unconfirmed(..)) => {
            Err(ApiError::status(StatusCode::SERVICE_UNAVAILABLE, fault.to_string()))
        }
    }
}

/// How a device is reached.
enum Way {
    Published(Topics),
    Asked(Station, Content),
}

/// Waits for the device's own answer, through all tries.
async fn ask(
    api: &Api,
    station: Station,
    content: Content,
) -> Result<(StatusCode, Json<Commanded>), ApiError> {
    let cannot = |fault: NotAnswered| {
        ApiError::named(StatusCode::CONFLICT, "cannot-command", "It cannot be commanded", format!("{fault}."))
    };
    let handle = api.commands.gbt26875.as_ref().ok_or_else(|| cannot(NotAnswered::NotConnected))?;
    match handle.ask(station.device(), content).await {
        Ok(answer) => {
            let answer = match answer {
                Answer::Confirmed => "confirmed".into(),
                Answer::Said(content) => serde_json::to_value(content).unwrap_or_default(),
            };
            let said = Commanded { topic: station.to_string(), by: "gbt26875".into(), answer: Some(answer) };
            Ok((StatusCode::ACCEPTED, Json(said)))
        }
        Err(fault @ (NotAnswered::NotConnected | NotAnswered::Busy)) => Err(cannot(fault)),
        Err(fault @ (NotAnswered::Silent | NotAnswered::Denied | NotAnswered::Gone)) => {
            Err(ApiError::status(StatusCode::SERVICE_UNAVAILABLE, format!("{fault}.")))
        }
    }
}
