//! Server-sent events: every change of an alarm, without gap or repeat, and on request readings as they come.
//!
//! An alarm event carries the row number of its history line as id. [`Live`](crate::live::Live) only says that something happened; whatever it
//! did not carry in unbroken order is read from the store, so a reader that was slow or away misses nothing. Readings and
//! presence have no id and are not repeated: after `lagged` fetch the devices again. Which registry is in force is told whenever it is another than the reader was told
//! last, however many were between. Streams end when the gateway stops.

use std::collections::VecDeque;
use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::response::sse::{Event, KeepAlive, Sse};
use futures::{Stream, StreamExt};
use serde::{Deserialize, Serialize};
use tokio::sync::{OwnedSemaphorePermit, broadcast};
use utoipa::{IntoParams, ToSchema};

use super::auth::Caller;
use super::extract::{Params, Switch};
use super::problem::ApiError;
use super::rights::{Area, Concern, Right};
use super::{Api, auth};
use crate::clock;
use crate::live::Change;
use crate::model::{Alarm, Entry, Freshness, Quality, Report};
use crate::view::AlarmChange;

/// Streams open at the same time; more are refused with 503.
pub const STREAMS_MAX: usize = 256;
/// History lines read from the store at once.
const PAGE: u32 = 128;
/// Whoever is further behind fetches the list instead.
const BEHIND_MAX: u64 = 5_000;
/// How soon a stream notices that a duty, a role or a session has ended.
const ASK_AGAIN: Duration = Duration::from_secs(5);
const ANSWER_WITHIN: Duration = Duration::from_secs(1);
const KEEP_ALIVE: Duration = Duration::from_secs(15);
const RETRY: Duration = Duration::from_secs(2);

#[derive(Debug, Default, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct Place {
    /// Begin after this event; the header `Last-Event-ID` wins. Without either, begin now.
    after: Option<u64>,
    /// Also readings and presence.
    #[param(value_type = Option<bool>)]
    readings: Option<Switch>,
}

/// First event of every stream: fetch the lists after it and nothing is missed.
#[derive(Debug, Serialize, ToSchema)]
pub struct Hello {
    /// Number of the newest history line.
    pub newest: u64,
    /// Where this stream begins.
    pub after: u64,
    /// Version of the registry in force.
    pub registry: u64,
}

/// Another registry is in force: cells, devices and people may have changed.
#[derive(Debug, Serialize, ToSchema)]
pub struct RegistryEvent {
    pub version: u64,
}

/// Events were left out: fetch the lists again.
#[derive(Debug, Serialize, ToSchema)]
pub struct Lagged {
    pub reason: String,
}

#[derive(Debug, Serialize, ToSchema)]
pub struct ReadingEvent {
    pub device: String,
    pub time: String,
    pub received: String,
    pub freshness: Freshness,
    pub values: Vec<ReadingValue>,
}

#[derive(Debug, Serialize, ToSchema)]
pub struct ReadingValue {
    pub metric: String,
    pub value: f64,
    pub unit: String,
    pub flag: bool,
    pub quality: Quality,
}

#[derive(Debug, Serialize, ToSchema)]
pub struct PresenceEvent {
    pub device: String,
    pub online: bool,
}

/// Follow what happens, as server-sent events.
///
/// Events: `hello` first; `alarm` (an AlarmChange; its id is `entry.number`, send it back as Last-Event-ID); `registry` when another version of it is in force; with
/// `readings=1` also `reading` and `presence`; these without id; `lagged` when events were left out. A comment comes every 15 seconds when nothing else does.
#[utoipa::path(get, path = "/api/v1/events", tag = "alarms", operation_id = "followEvents",
    params(Place, ("Last-Event-ID" = Option<u64>, Header, description = "Number of the last alarm event that was seen")),
    responses((status = 200, description = "The stream; the schemas are those of the `data` lines",
        content((Hello = "text/event-stream"), (AlarmChange = "text/event-stream")))))]
pub async fn follow(
    State(api): State<Arc<Api>>,
    headers: HeaderMap,
    Params(place): Params<Place>,
    caller: Caller,
) -> Result<Sse<impl Stream<Item = Result<Event, Infallible>>>, ApiError> {
    let permit = api.own.streams.clone().try_acquire_owned().map_err(|_| {
        let detail = format!("{STREAMS_MAX} event streams are open; close one, or try again later.");
        ApiError::status(StatusCode::SERVICE_UNAVAILABLE, detail)
    })?;
    let after = match headers
        .get("last-event-id")
        .map(|value| value.to_str().ok().and_then(|text| text.parse().ok()))
    {
        None => place.after,
        Some(Some(number)) => Some(number),
        Some(None) => return Err(ApiError::query("Last-Event-ID", "give the number of an event")),
    };
    let readings = place.readings == Some(Switch(true));
    let feed = Feed::begin(api.clone(), permit, caller, after, readings).await?;
    let events = futures::stream::unfold(feed, |mut feed| async move {
        let event = feed.next().await?;
        Some((Ok(event), feed))
    });
    let until_stop = events.take_until(api.stop.clone().cancelled_owned());
    Ok(Sse::new(until_stop).keep_alive(KeepAlive::new().interval(KEEP_ALIVE)))
}

/// One reader's place in the stream.
struct Feed {
    api: Arc<Api>,
    sight: Sight,
    changes: broadcast::Receiver<Change>,
    /// Number of the last alarm event in `ready` or before it.
    last: u64,
    /// The store may have lines after `last`.
    behind: bool,
    /// Version of the registry that the reader was told last.
    registry: u64,
    readings: bool,
    ready: VecDeque<Event>,
    _permit: Open,
}

/// What the reader may see, and for how long that is taken as known.
struct Sight {
    caller: Caller,
    alarms: Concern,
    devices: Area,
    asked: tokio::time::Instant,
}

impl Sight {
    fn of(api: &Api, caller: Caller) -> Self {
        let (registry, now) = (&api.world.load().registry, api.clock.now().wall);
        let alarms = caller.concern(Right::Alarms, registry, now);
        let devices = caller.area(Right::Devices, registry, now);
        Self { caller, alarms, devices, asked: clock::ticks() }
    }

    /// Asks again when it is time; `None` when the reader may no longer see anything. While the store cannot be asked the stream goes on: alarms must get through.
    async fn renew(&mut self, api: &Api) -> Option<()> {
        if clock::ticks().duration_since(self.asked) < ASK_AGAIN {
            return Some(());
        }
        let caller = match tokio::time::timeout(ANSWER_WITHIN, auth::again(api, &self.caller)).await {
            Ok(Ok(caller)) => caller?,
            Ok(Err(_)) | Err(_) => self.caller.clone(),
        };
        *self = Self::of(api, caller);
        Some(())
    }
}

/// Counts an open stream.
struct Open {
    _permit: OwnedSemaphorePermit,
}

impl Open {
    fn count(permit: OwnedSemaphorePermit) -> Self {
        metrics::gauge!("gridwarden_http_streams").increment(1.0);
        Self { _permit: permit }
    }
}

impl Drop for Open {
    fn drop(&mut self) {
        metrics::gauge!("gridwarden_http_streams").decrement(1.0);
    }
}

impl Feed {
    async fn begin(
        api: Arc<Api>,
        permit: OwnedSemaphorePermit,
        caller: Caller,
        after: Option<u64>,
        readings: bool,
    ) -> Result<Self, ApiError> {
        // Followed before the store is asked, or what happens between would be missed.
        let changes = api.live.follow();
        let newest = api.store.newest_entry().await?;
        let (last, lagged) = match after {
            None => (newest, None),
            Some(after) if newest < after => {
                (newest, Some("the numbers of this store are lower: it was replaced"))
            }
            Some(after) if BEHIND_MAX < newest - after => (newest, Some("too many changes since then")),
            Some(after) => (after, None),
        };
        let mut ready = VecDeque::new();
        let registry = api.world.load().registry.version();
        ready.extend(
            event("hello", &Hello { newest, after: last, registry })
                .map(|event| event.id(last.to_string()).retry(RETRY)),
        );
        if let Some(reason) = lagged {
            ready.extend(event("lagged", &Lagged { reason: reason.into() }));
        }
        let behind = last < newest;
        let sight = Sight::of(&api, caller);
        let _permit = Open::count(permit);
        Ok(Self { api, sight, changes, last, behind, registry, readings, ready, _permit })
    }

    /// `None` ends the stream; the reader comes back with its Last-Event-ID.
    async fn next(&mut self) -> Option<Event> {
        loop {
            if let Some(event) = self.ready.pop_front() {
                return Some(event);
            }
            // Before anything more is taken in.
            self.sight.renew(&self.api).await?;
            let version = self.api.world.load().registry.version();
            if version != self.registry {
                self.registry = version;
                self.ready.extend(event("registry", &RegistryEvent { version }));
                continue;
            }
            if self.behind {
                self.catch_up().await?;
                continue;
            }
            match self.changes.recv().await {
                Ok(change) => {
                    self.sight.renew(&self.api).await?;
                    self.take(change).await;
                }
                Err(broadcast::error::RecvError::Lagged(missed)) => {
                    self.behind = true;
                    if self.readings {
                        let reason = format!("this reader was too slow for {missed} changes");
                        self.ready.extend(event("lagged", &Lagged { reason }));
                    }
                }
                Err(broadcast::error::RecvError::Closed) => return None,
            }
        }
    }

    async fn catch_up(&mut self) -> Option<()> {
        match self.api.store.entries_after(self.last, PAGE).await {
            Ok(lines) => {
                self.behind = lines.len() == PAGE as usize;
                for (number, alarm, entry) in lines {
                    self.push(number, &alarm, &entry).await;
                }
                Some(())
            }
            Err(error) => {
                tracing::error!(error = %anyhow::Error::from(error), "an event stream ends: the history cannot be read");
                None
            }
        }
    }

    async fn take(&mut self, change: Change) {
        match change {
            Change::Alarm { number, .. } if number <= self.last => (),
            Change::Alarm { number, alarm, entry } if number == self.last + 1 => {
                self.push(number, &alarm, &entry).await;
            }
            Change::Alarm { .. } => self.behind = true,
            Change::Report(report) if self.readings => self.ready.extend(self.reading(&report)),
            Change::Presence { device, online } if self.readings => {
                let world = self.api.world.load();
                let device = world.registry.device(device);
                let device = device.filter(|device| self.sight.devices.has_device(device, &world.registry));
                self.ready.extend(
                    device
                        .map(|device| device.id.clone())
                        .and_then(|device| event("presence", &PresenceEvent { device, online })),
                );
            }
            // The registry is looked at before each change.
            Change::Report(_) | Change::Presence { .. } | Change::Registry => (),
        }
    }

    async fn push(&mut self, number: u64, alarm: &Alarm, entry: &Entry) {
        self.last = number;
        let world = self.api.world.load_full();
        let alarms = &self.sight.alarms;
        // A department was perhaps only called for it.
        let called = || self.api.own.called.any(&alarms.people, number, self.api.store.called(alarm.id));
        let seen = alarms.has(alarm, &world.registry)
            || match tokio::time::timeout(ANSWER_WITHIN, called()).await {
                Ok(Ok(case)) => case,
                Ok(Err(_)) | Err(_) => {
                    tracing::warn!(alarm = %alarm.id, "an event is not shown to somebody who may have been called: the store does not answer");
                    false
                }
            };
        if !seen {
            return;
        }
        let change = AlarmChange::of(number, alarm, entry, &world.registry);
        self.ready.extend(event("alarm", &change).map(|event| event.id(number.to_string())));
    }

    fn reading(&self, report: &Report) -> Option<Event> {
        if report.values.is_empty() {
            return None;
        }
        let world = self.api.world.load();
        let device = world.registry.device(report.device)?;
        if !self.sight.devices.has_device(device, &world.registry) {
            return None;
        }
        let values = report.values.iter().map(|value| ReadingValue {
            metric: value.metric.name().into(),
            value: value.value,
            unit: value.metric.spec().unit.into(),
            flag: value.metric.spec().flag,
            quality: value.quality,
        });
        let reading = ReadingEvent {
            device: device.id.clone(),
            time: report.time().rfc3339(),
            received: report.received.rfc3339(),
            freshness: report.freshness,
            values: values.collect(),
        };
        event("reading", &reading)
    }
}

/// `None` cannot happen for plain structs; should it ever, the event is left out and logged.
fn event(name: &str, data: &impl Serialize) -> Option<Event> {
    match Event::default().event(name).json_data(data) {
        Ok(event) => Some(event),
        Err(error) => {
            tracing::error!(name, %error, "an event cannot be written as JSON");
            None
        }
    }
}
