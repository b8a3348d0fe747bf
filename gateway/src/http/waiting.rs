//! The waiting room ([`crate::waiting`]): what is heard or announced and not registered, placed in a cell or dismissed.
//!
//! To place a device is to import a file of one row, with the same rules and the same line in the audit log.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::Api;
use super::auth::{Actor, Caller};
use super::extract::{self, Body, Params, Switch};
use super::imports::{Imported, take_in};
use super::model::Page;
use super::problem::ApiError;
use crate::import::What;
use crate::io::inlet::Inbound;
use crate::model::DeviceKind;
use crate::store::{Audit, Commit};
use crate::waiting::{Change, Waiting};

const PAGE_MAX: u32 = 500;

/// A device that is not registered.
#[derive(Debug, Serialize, ToSchema)]
pub struct WaitingView {
    /// As the registry will have it.
    #[schema(example = "z2m:zigbee2mqtt/3栋/501/hall")]
    pub address: String,
    /// Which way it came: `listener`, `broker:main`, `push_in:aep`, `gbt26875`.
    pub source: String,
    /// Where it was heard or announced last.
    pub topic: String,
    #[schema(format = DateTime)]
    pub first_seen: String,
    #[schema(format = DateTime)]
    pub last_seen: String,
    /// Messages of its own; 0: a bridge announced it.
    pub messages: u64,
    /// Reports fire. A trouble alarm says so while it is not dismissed.
    pub burns: bool,
    pub dismissed: bool,
    /// What it most likely is.
    pub kind: Option<DeviceKind>,
    pub name: Option<String>,
    pub vendor: Option<String>,
    pub model: Option<String>,
    /// The device profile that reads it.
    pub profile: Option<String>,
    /// The newest value of each metric, as its decoder understands it.
    pub values: Vec<WaitingValue>,
    /// The beginning of its newest message.
    pub excerpt: String,
}

#[derive(Debug, Serialize, ToSchema)]
pub struct WaitingValue {
    #[schema(example = "battery")]
    pub metric: &'static str,
    pub value: f64,
    /// UCUM.
    pub unit: &'static str,
    /// 1 is yes, 0 is no.
    pub flag: bool,
}

impl WaitingView {
    fn of(one: &Waiting) -> Self {
        let value = |&(metric, value): &(crate::model::Metric, f64)| {
            let spec = metric.spec();
            WaitingValue { metric: spec.name, value, unit: spec.unit, flag: spec.flag }
        };
        Self {
            address: one.address.clone(),
            source: one.source.clone(),
            topic: one.topic.clone(),
            first_seen: one.first_seen.rfc3339(),
            last_seen: one.last_seen.rfc3339(),
            messages: one.count,
            burns: one.burns,
            dismissed: one.dismissed,
            kind: one.kind(),
            name: one.announced.name.clone(),
            vendor: one.announced.vendor.clone(),
            model: one.announced.model.clone(),
            profile: one.announced.profile.clone(),
            values: one.says.iter().map(value).collect(),
            excerpt: one.excerpt.clone(),
        }
    }
}

#[derive(Debug, Default, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct WaitingFilter {
    /// Those that were dismissed, instead of those that wait.
    #[param(value_type = Option<bool>)]
    dismissed: Option<Switch>,
    /// Items on a page, 1 to 500.
    #[param(minimum = 1, maximum = 500, default = 50)]
    limit: Option<u32>,
    /// Only devices after this address: `next` of the page before.
    after: Option<String>,
}

/// Devices that are heard, or announced by a bridge, and not registered; by address.
#[utoipa::path(get, path = "/api/v1/waiting", tag = "devices", operation_id = "listWaiting", params(WaitingFilter),
    responses((status = 200, description = "A page", body = Page<WaitingView>)))]
pub async fn list(
    State(api): State<Arc<Api>>,
    Params(filter): Params<WaitingFilter>,
    _caller: Caller,
) -> Result<Json<Page<WaitingView>>, ApiError> {
    let limit = extract::limit(filter.limit, PAGE_MAX)?;
    let dismissed = filter.dismissed == Some(Switch(true));
    let after = filter.after.unwrap_or_default();
    let room = api.waiting.lock();
    let found = room.all().filter(|one| one.dismissed == dismissed && after < one.address);
    let found = found.take(limit as usize + 1).map(WaitingView::of).collect();
    Ok(Json(Page::cut(found, limit, |one: &WaitingView| one.address.clone())))
}

/// Where a device goes.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Placing {
    /// Of the device that waits.
    pub address: String,
    /// The id it gets.
    #[schema(example = "SD-0312")]
    pub id: String,
    /// What it is; left out, what the waiting room takes it for.
    pub kind: Option<DeviceKind>,
    pub name: String,
    /// Code of its cell; not needed when the position lies in one.
    pub cell: Option<String>,
    /// To the door.
    #[serde(default)]
    pub place: String,
    /// Longitude and latitude in degrees (WGS 84).
    pub position: Option<[f64; 2]>,
    pub silent_after_s: Option<u32>,
    /// It takes the place of the device that has this id already: one that was exchanged.
    #[serde(default)]
    pub replace: bool,
}

/// Place a device that waits: it is registered, in force within two seconds.
#[utoipa::path(post, path = "/api/v1/waiting/place", tag = "devices", operation_id = "placeWaiting", request_body = Placing,
    responses((status = 200, description = "What it changes in the registry, or what is wrong with it", body = Imported)))]
pub async fn place(
    State(api): State<Arc<Api>>,
    Actor(caller): Actor,
    Body(body): Body<Placing>,
) -> Result<Json<Imported>, ApiError> {
    let kind = api.waiting.lock().get(&body.address).map(Waiting::kind);
    let guessed = kind.ok_or_else(|| nobody(&body.address))?;
    let unknown = || ApiError::body("kind", "nobody can tell what it is by what it says; name its kind");
    let kind = body.kind.or(guessed).ok_or_else(unknown)?;
    if !body.replace && api.world.load().registry.device_by_id(&body.id).is_some() {
        return Err(ApiError::named(
            StatusCode::CONFLICT,
            "device-there",
            "There is a device with this id",
            format!(
                "`{}` is registered; give another id, or `replace` when it was exchanged for this one.",
                body.id
            ),
        ));
    }
    let [lon, lat] = body.position.map_or([String::new(), String::new()], |at| at.map(|one| one.to_string()));
    let mut columns = vec![
        ("id", body.id),
        ("kind", kind.name().to_owned()),
        ("name", body.name),
        ("address", body.address.clone()),
    ];
    // A column that is not there leaves what an exchanged device had.
    columns.extend(Some(("place", body.place)).filter(|(_, place)| !place.is_empty()));
    columns.extend(body.cell.map(|cell| ("cell", cell)));
    if body.position.is_some() {
        columns.extend([("lon", lon), ("lat", lat)]);
    }
    columns.extend(body.silent_after_s.map(|seconds| ("silent_after_s", seconds.to_string())));
    let header: Vec<_> = columns.iter().map(|(name, _)| *name).collect();
    let row: Vec<_> = columns.iter().map(|(_, text)| quoted(text)).collect();
    let file = format!("{}\n{}\n", header.join(","), row.join(","));
    let name = format!("of one device that waited: {}", body.address);
    take_in(&api, &caller, What::Devices, &name, file.into(), false).await.map(Json)
}

/// A field of a table, whatever is in it.
fn quoted(text: &str) -> String {
    let line: String = text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
    format!("\"{}\"", line.replace('"', "\"\""))
}

/// A device that is none of ours.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Dismissal {
    pub address: String,
}

/// Say that a device that waits is none of ours. It is listed no more, and raises no alarm whatever it reports; it can still be placed.
#[utoipa::path(post, path = "/api/v1/waiting/dismiss", tag = "devices", operation_id = "dismissWaiting", request_body = Dismissal,
    responses((status = 200, description = "As it is now", body = WaitingView)))]
pub async fn dismiss(
    State(api): State<Arc<Api>>,
    Actor(caller): Actor,
    Body(body): Body<Dismissal>,
) -> Result<Json<WaitingView>, ApiError> {
    let now = api.clock.now();
    let dismissed = api.waiting.lock().dismiss(&body.address, now.steady);
    let dismissed = dismissed.ok_or_else(|| nobody(&body.address))?;
    let line = Audit {
        at: now.wall,
        who: caller.who(),
        what: "waiting.dismiss".into(),
        target: format!("device {}", body.address),
        detail: format!("{} messages, burns: {}", dismissed.count, dismissed.burns),
    };
    let waiting = vec![Change::Keep(Box::new(dismissed.clone()))];
    api.store.commit(&Commit { waiting, audit: vec![line], ..Commit::default() }).await?;
    api.inlet.send(Inbound::default()).await?; // The driver ends the alarm about it.
    Ok(Json(WaitingView::of(&dismissed)))
}

fn nobody(address: &str) -> ApiError {
    let shown: String = address.chars().take(120).collect();
    ApiError::not_found(format!("No device with the address `{shown}` waits to be placed."))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_field_stays_one_field() {
        assert_eq!(quoted("3栋, \"east\"\nroof"), "\"3栋, \"\"east\"\" roof\"");
    }
}
