//! Orders to LoRaWAN devices ([`crate::orders`]): given by name of what a profile knows, or as bytes, and followed until the device confirms. Each is in the audit log with who gave it.

use std::sync::Arc;

use axum::Json;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::Api;
use super::auth::{Actor, Caller};
use super::extract::{self, Body, Params};
use super::model::Page;
use super::problem::ApiError;
use super::rights::Right;
use crate::accounts;
use crate::decode::bytes::{from_hex, hex};
use crate::decode::profile::order::{Number, Recipe};
use crate::decode::profile::{Profile, Profiles};
use crate::grid::Registry;
use crate::io::orders::SCHEME;
use crate::orders::{BYTES_MAX, OPEN_EACH_MAX, OPEN_MAX, Order, PORTS, Stage};
use crate::store::Audit;
use crate::store::orders::TooMany;
use crate::units::{Millis, Timestamp};

const PAGE_MAX: u32 = 500;
const CONFIRM_WITHIN_S: u32 = 24 * 3600;
const CONFIRM_WITHIN_S_MAX: u32 = 30 * 24 * 3600;

/// Either `order` of a `profile`, or `port` and `hex`.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewOrder {
    /// The device profile, as `gridwarden profile list` names it.
    #[schema(example = "milesight-em500-pp")]
    profile: Option<String>,
    /// What the profile's devices can be told.
    #[schema(example = "report_interval")]
    order: Option<String>,
    /// The number that it takes, if it takes one.
    #[schema(example = 1200)]
    value: Option<u32>,
    /// LoRaWAN's FPort, 1 to 223. For administrators.
    port: Option<u8>,
    /// The bytes, in hexadecimal. For administrators.
    hex: Option<String>,
    /// Not confirmed within this time, it is shown as unconfirmed; up to 30 days. A device that sleeps hears it only after it has spoken.
    #[schema(default = 86400)]
    confirm_within_s: Option<u32>,
}

#[derive(Debug, Serialize, ToSchema)]
pub struct OrderView {
    pub number: u64,
    /// Id of the device.
    #[schema(example = "HY-12")]
    pub device: String,
    #[schema(example = "report_interval 1200 s (milesight-em500-pp)")]
    pub what: String,
    pub port: u8,
    #[schema(example = "ff03b004")]
    pub hex: String,
    /// `waiting`: the network server has not got it. `handed`: it has. `sent`: a gateway has sent it. `confirmed`: the device has acknowledged it. `failed`: see `note`.
    /// `withdrawn`: it was taken back. `unconfirmed`: nothing of the last three by `until`.
    pub state: &'static str,
    /// When the state began.
    #[schema(format = DateTime)]
    pub since: String,
    /// Why it is not further.
    pub note: Option<String>,
    /// Who gave it.
    pub by: String,
    #[schema(format = DateTime)]
    pub at: String,
    #[schema(format = DateTime)]
    pub until: String,
}

impl OrderView {
    fn of(number: u64, order: &Order, registry: &Registry, now: Timestamp) -> Self {
        let state = order.state(now);
        let since = if state == order.stage.name() { order.since } else { order.until };
        Self {
            number,
            device: registry.device(order.device).map_or_else(String::new, |device| device.id.clone()),
            what: order.what.clone(),
            port: order.port,
            hex: hex(&order.bytes),
            state,
            since: since.rfc3339(),
            note: (!order.note.is_empty()).then(|| order.note.clone()),
            by: order.by.clone(),
            at: order.at.rfc3339(),
            until: order.until.rfc3339(),
        }
    }
}

/// Tell a LoRaWAN device something that it must confirm, such as how often it reports.
///
/// The network server gets it at once when the device was heard since the start, else when it is heard next. Recorded in the audit log.
#[utoipa::path(post, path = "/api/v1/devices/{id}/orders", tag = "devices", operation_id = "orderDevice",
    params(("id" = String, Path, description = "Id of the device")),
    request_body = NewOrder,
    responses((status = 202, description = "It waits, or goes", body = OrderView)))]
pub async fn give(
    State(api): State<Arc<Api>>,
    Path(id): Path<String>,
    Actor(caller): Actor,
    Body(body): Body<NewOrder>,
) -> Result<(StatusCode, Json<OrderView>), ApiError> {
    let world = api.world.load_full();
    let now = api.clock.now().wall;
    let raw = body.hex.is_some() || body.port.is_some();
    let area = caller.area(if raw { Right::Registry } else { Right::Command }, &world.registry, now);
    let device = world
        .registry
        .device_by_id(&id)
        .filter(|device| !device.retired && area.has_device(device, &world.registry));
    let device =
        device.ok_or_else(|| ApiError::not_found(format!("There is no device `{id}` in service.")))?;
    let cannot = |detail| ApiError::named(StatusCode::CONFLICT, "cannot-order", "It takes no orders", detail);
    if !device.address.starts_with(SCHEME) {
        return Err(cannot(format!(
            "The device's address is `{}`; only LoRaWAN devices, `{SCHEME}…`, take orders.",
            device.address
        )));
    }
    let within = body.confirm_within_s.unwrap_or(CONFIRM_WITHIN_S);
    if !(1..=CONFIRM_WITHIN_S_MAX).contains(&within) {
        return Err(ApiError::body("confirm_within_s", format!("give 1 to {CONFIRM_WITHIN_S_MAX}")));
    }
    let (what, port, bytes) = wanted(&body, &world.profiles)?;
    let order = Order {
        id: uuid(accounts::random()),
        device: device.ix,
        what,
        port,
        bytes,
        by: caller.who(),
        at: now,
        until: now + Millis::from_secs(u64::from(within)),
        stage: Stage::Waiting,
        since: now,
        note: String::new(),
    };
    let line = Audit {
        at: now,
        who: caller.who(),
        what: "device.order".into(),
        target: format!("device {id}"),
        detail: format!("{}; port {port}, {}", order.what, hex(&order.bytes)),
    };
    let number = api.store.give_order(order.clone(), line).await?.map_err(|too_many| {
        cannot(match too_many {
            TooMany::OfTheDevice => {
                format!("{OPEN_EACH_MAX} orders to this device are not confirmed: is it heard at all?")
            }
            TooMany::OfAll => format!("{OPEN_MAX} orders are not confirmed: is the network server there?"),
        })
    })?;
    api.inlet.ways.ring(order.device);
    Ok((StatusCode::ACCEPTED, Json(OrderView::of(number, &order, &world.registry, now))))
}

/// What is told, in words, on which port, and as bytes.
fn wanted(body: &NewOrder, profiles: &Profiles) -> Result<(String, u8, Vec<u8>), ApiError> {
    match (&body.profile, &body.order, body.port, &body.hex) {
        (Some(profile), Some(order), None, None) => {
            let known = profiles.get(profile);
            let known =
                known.ok_or_else(|| ApiError::body("profile", format!("there is no profile `{profile}`")))?;
            let recipe = known.orders.iter().find(|recipe| recipe.name == *order).ok_or_else(|| {
                let all: Vec<&str> = known.orders.iter().map(|recipe| recipe.name.as_str()).collect();
                let all = if all.is_empty() { "nothing".into() } else { all.join(", ") };
                ApiError::body("order", format!("`{profile}` can be told {all}"))
            })?;
            let bytes = recipe.bytes(body.value).map_err(|why| ApiError::body("value", why))?;
            Ok((format!("{} ({profile})", recipe.words(body.value)), recipe.port, bytes))
        }
        (None, None, Some(port), Some(text)) if body.value.is_none() => {
            if !PORTS.contains(&port) {
                return Err(ApiError::body("port", format!("give {} to {}", PORTS.start(), PORTS.end())));
            }
            let bytes = from_hex(text).filter(|bytes| (1..=BYTES_MAX).contains(&bytes.len()));
            let wrong = || {
                ApiError::body("hex", format!("give 1 to {BYTES_MAX} bytes in hexadecimal, such as ff10ff"))
            };
            Ok(("bytes".into(), port, bytes.ok_or_else(wrong)?))
        }
        _ => Err(ApiError::body(
            "order",
            "give `profile` and `order`, with `value` when it takes one; or `port` and `hex`",
        )),
    }
}

#[derive(Debug, Serialize, ToSchema)]
pub struct KnownOrder {
    #[schema(example = "milesight-em500-pp")]
    pub profile: String,
    #[schema(example = "report_interval")]
    pub order: String,
    /// The number that it takes; none when it takes none.
    pub value: Option<NumberTaken>,
}

#[derive(Debug, Serialize, ToSchema)]
pub struct NumberTaken {
    #[schema(example = "s")]
    pub unit: String,
    pub min: u32,
    pub max: u32,
}

/// What devices can be told by name, profile by profile.
#[utoipa::path(get, path = "/api/v1/orders/known", tag = "devices", operation_id = "listKnownOrders",
    responses((status = 200, description = "All of them", body = Page<KnownOrder>)))]
pub async fn known(State(api): State<Arc<Api>>) -> Json<Page<KnownOrder>> {
    let world = api.world.load();
    let of = |profile: &Profile| {
        let known = |recipe: &Recipe| KnownOrder {
            profile: profile.name.clone(),
            order: recipe.name.clone(),
            value: recipe.number.as_ref().map(|Number { unit, min, max, .. }| NumberTaken {
                unit: unit.clone(),
                min: *min,
                max: *max,
            }),
        };
        profile.orders.iter().map(known).collect::<Vec<_>>()
    };
    Json(Page { items: world.profiles.all().flat_map(of).collect(), next: None })
}

/// A random UUID (RFC 9562, version 4).
fn uuid(mut bytes: [u8; 16]) -> String {
    bytes[6] = bytes[6] & 0x0f | 0x40;
    bytes[8] = bytes[8] & 0x3f | 0x80;
    let text = hex(&bytes);
    [&text[..8], &text[8..12], &text[12..16], &text[16..20], &text[20..]].join("-")
}

#[derive(Debug, Default, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct OrderFilter {
    /// Id of a device.
    device: Option<String>,
    /// Items on a page, 1 to 500.
    #[param(minimum = 1, maximum = 500, default = 50)]
    limit: Option<u32>,
    /// Only orders before this one: `next` of the page before.
    before: Option<u64>,
}

/// Orders to devices and how far each came, newest first.
#[utoipa::path(get, path = "/api/v1/orders", tag = "devices", operation_id = "listOrders", params(OrderFilter),
    responses((status = 200, description = "A page", body = Page<OrderView>)))]
pub async fn list(
    State(api): State<Arc<Api>>,
    Params(filter): Params<OrderFilter>,
    caller: Caller,
) -> Result<Json<Page<OrderView>>, ApiError> {
    let limit = extract::limit(filter.limit, PAGE_MAX)?;
    let registry = api.world.load().registry.clone();
    let now = api.clock.now().wall;
    let area = caller.area(Right::Command, &registry, now);
    let device = match &filter.device {
        None => None,
        Some(id) => {
            let device = registry.device_by_id(id).filter(|device| area.has_device(device, &registry));
            Some(device.ok_or_else(|| ApiError::query("device", format!("there is no device `{id}`")))?.ix)
        }
    };
    let known = registry.clone();
    let mine = move |ix| known.device(ix).is_some_and(|device| area.has_device(device, &known));
    let found = api.store.orders(device, filter.before, limit + 1, mine).await?;
    let items = found.iter().map(|(number, order)| OrderView::of(*number, order, &registry, now)).collect();
    Ok(Json(Page::cut(items, limit, |one: &OrderView| one.number.to_string())))
}

/// Take an order back that the network server has not got.
///
/// Of what the network server has queued nobody can take anything back from here: then the answer is 409 and says so. Taken back again it stays as it is. Recorded in the audit log.
#[utoipa::path(post, path = "/api/v1/orders/{number}/withdraw", tag = "devices", operation_id = "withdrawOrder",
    params(("number" = u64, Path, description = "Number of the order")),
    responses((status = 200, description = "It is taken back", body = OrderView)))]
pub async fn withdraw(
    State(api): State<Arc<Api>>,
    Path(number): Path<u64>,
    Actor(caller): Actor,
) -> Result<Json<OrderView>, ApiError> {
    let registry = api.world.load().registry.clone();
    let now = api.clock.now().wall;
    let area = caller.area(Right::Command, &registry, now);
    let unknown = || ApiError::not_found(format!("There is no order {number}."));
    let order = api.store.order(number).await?.ok_or_else(unknown)?;
    let device = registry.device(order.device).filter(|device| area.has_device(device, &registry));
    let line = Audit {
        at: now,
        who: caller.who(),
        what: "device.order.withdraw".into(),
        target: format!("device {}", device.ok_or_else(unknown)?.id),
        detail: format!("order {number}: {}", order.what),
    };
    let order = api.store.withdraw_order(order.id, caller.who(), now, line).await?.ok_or_else(unknown)?;
    let why = match order.stage {
        Stage::Withdrawn => return Ok(Json(OrderView::of(number, &order, &registry, now))),
        Stage::Waiting | Stage::Handed | Stage::Sent => {
            "the network server has it, and gives nothing back to us. As long as its own page shows it in the queue of the device it can be deleted there; else give another order that undoes it"
        }
        Stage::Confirmed => "the device has acknowledged it; give another order that undoes it",
        Stage::Failed => "it has failed already",
    };
    let detail = format!("Order {number} is {}: {why}.", order.stage.name());
    Err(ApiError::named(StatusCode::CONFLICT, "too-late-to-withdraw", "It cannot be taken back", detail))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_order_has_a_number_as_network_servers_write_it() {
        assert_eq!(uuid([0xff; 16]), "ffffffff-ffff-4fff-bfff-ffffffffffff");
        assert_eq!(uuid([0; 16]), "00000000-0000-4000-8000-000000000000");
    }
}
