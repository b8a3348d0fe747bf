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
use crate::io::commands::{NotSent, Topics};
use crate::store::{Audit, Commit};

#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Command {
    /// What the device gets, as it is; for a Zigbee siren such as `{"warning": {"mode": "fire"}}`.
    #[schema(value_type = Object)]
    payload: serde_json::Map<String, serde_json::Value>,
}

#[derive(Debug, Serialize, ToSchema)]
pub struct Commanded {
    /// Where it was published.
    #[schema(example = "gridwarden/down/SD-0312")]
    pub topic: String,
    /// `listener`, or the broker's name.
    pub by: String,
}

/// Send a command to a device. It is told, which does not mean that it obeys: its next reading shows that.
///
/// Recorded in the audit log. 409 when nobody listens now; nothing is kept for later.
#[utoipa::path(post, path = "/api/v1/devices/{id}/command", tag = "grid", operation_id = "commandDevice",
    params(("id" = String, Path, description = "Id of the device")),
    request_body = Command,
    responses((status = 202, description = "Handed over", body = Commanded)))]
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
    let topics = Topics::of(&device.address).ok_or_else(|| {
        cannot(format!(
            "the device's address is `{}`; only devices with `native:` and `z2m:` addresses take commands",
            device.address
        ))
    })?;
    let payload = serde_json::Value::Object(body.payload).to_string();
    let line = Audit {
        at: now,
        who: caller.who(),
        what: "device.command".into(),
        target: format!("device {id}"),
        detail: payload.clone(),
    };
    api.store.commit(&Commit { audit: vec![line], ..Commit::default() }).await?;
    match api.commands.send(&topics, payload.into_bytes()).await {
        Ok(by) => Ok((StatusCode::ACCEPTED, Json(Commanded { topic: topics.down, by }))),
        Err(fault @ (NotSent::NobodyListens(_) | NotSent::Refused(_))) => Err(cannot(fault.to_string())),
        Err(fault @ NotSent::Unconfirmed(..)) => {
            Err(ApiError::status(StatusCode::SERVICE_UNAVAILABLE, fault.to_string()))
        }
    }
}
