//! A city's own Alertmanager: alarms as its alerts, so that the city keeps its own routing.
//!
//! `POST /api/v2/alerts` (prometheus.io, Alertmanager client API). The labels name the alarm and never change, or its end would be another alert. Told by
//! a ladder like every channel; [`Ends`] follows the history with a cursor of its own and says when an alarm that was told here is over. Alertmanager
//! drops an alert that nobody repeats; so one that stands has its end a year from now, and a gateway that is off lets none lapse.

use std::sync::Arc;

use futures::future::BoxFuture;
use reqwest::Url;
use serde_json::{Value, json};
use tokio_util::sync::CancellationToken;

use super::post::{Post, below};
use super::text::Text;
use super::{Channel, Notice, Sent, backoff};
use crate::live::Live;
use crate::model::{Alarm, SignalClass};
use crate::store::Store;
use crate::units::{Millis, Timestamp};
use crate::view::AlarmView;
use crate::world;

const STANDS_FOR: Millis = Millis::from_secs(365 * 86_400);
/// Lines of history read at once.
const PAGE: u32 = 64;

pub struct Alertmanager {
    name: String,
    url: Url,
    token: Option<String>,
    post: Post,
}

impl Alertmanager {
    pub fn new(name: &str, server: &str, token: Option<String>, post: Post) -> anyhow::Result<Self> {
        Ok(Self { name: name.to_owned(), url: below(server, "api/v2/alerts")?, token, post })
    }

    async fn tell(&self, alerts: Value) -> Sent {
        let mut request = self.post.to(&self.url).json(&alerts);
        if let Some(token) = &self.token {
            request = request.bearer_auth(token);
        }
        match self.post.ask(request).await {
            Ok(answer) => match answer.success() {
                Ok(()) => Sent::delivered(answer.said(), None),
                Err(sent) => sent,
            },
            Err(sent) => sent,
        }
    }
}

impl Channel for Alertmanager {
    fn name(&self) -> &str {
        &self.name
    }

    fn send<'a>(&'a self, notice: &'a Notice) -> BoxFuture<'a, Sent> {
        Box::pin(async move {
            let text = Text::of(notice);
            let now = Timestamp::parse_rfc3339(&notice.sent_at).unwrap_or_default();
            let until = Timestamp(now.0.saturating_add_unsigned(STANDS_FOR.0)).rfc3339();
            let mut alert = alert(&notice.station, &notice.alarm, &until);
            alert["annotations"]["description"] = text.body(4_096).into();
            if let Some(link) = &notice.link {
                alert["generatorURL"] = link.as_str().into();
            }
            self.tell(json!([alert])).await
        })
    }
}

/// `until` is when it ends.
fn alert(station: &str, alarm: &AlarmView, until: &str) -> Value {
    let severity = match alarm.class {
        SignalClass::Fire => "critical",
        SignalClass::Supervisory | SignalClass::Trouble => "warning",
        SignalClass::Disabled | SignalClass::Test => "info",
    };
    let mut labels = json!({
        "alertname": alarm.rule,
        "alarm": alarm.id,
        "class": alarm.class.name(),
        "severity": severity,
        "station": station,
        "cell": alarm.cell.code,
    });
    if let Some(device) = &alarm.device {
        labels["device"] = device.id.as_str().into();
    }
    if alarm.drill {
        labels["drill"] = "true".into();
    }
    json!({
        "labels": labels,
        "annotations": { "summary": alarm.text },
        "startsAt": alarm.raised,
        "endsAt": until,
    })
}

/// Says when an alarm is over, to the Alertmanager that was told it stands.
#[derive(Clone)]
pub struct Ends {
    pub channel: Arc<Alertmanager>,
    pub station: String,
    pub store: Store,
    pub world: world::Shared,
    pub live: Arc<Live>,
}

impl Ends {
    pub async fn run(self, stop: CancellationToken) -> anyhow::Result<()> {
        let memo = format!("alertmanager {}", self.channel.name);
        let mut changes = self.live.follow(); // Before the store is asked, so that nothing falls between.
        let newest = self.store.newest_entry().await?;
        let known = self.store.recall(&memo).await?.and_then(|text| text.parse().ok());
        let mut cursor: u64 = known.filter(|cursor| *cursor <= newest).unwrap_or(newest);
        self.store.remember(&memo, &cursor.to_string()).await?;
        let mut failures = 0;
        loop {
            let lines = self.store.entries_after(cursor, PAGE).await?;
            let mut refused = None;
            for (number, alarm, _) in &lines {
                if let Some(closed) = alarm.closed
                    && self.was_told(alarm).await?
                {
                    let view = AlarmView::of(alarm, &self.world.load().registry);
                    match self.channel.tell(json!([alert(&self.station, &view, &closed.rfc3339())])).await {
                        Sent::Delivered { .. } => (),
                        Sent::Retry { error, after } => {
                            refused = Some((error, after));
                            break;
                        }
                        Sent::GaveUp { error } => {
                            tracing::warn!(channel = self.channel.name, alarm = %alarm.id, error, "the end of an alarm was refused");
                        }
                    }
                }
                cursor = *number;
            }
            if !lines.is_empty() {
                self.store.remember(&memo, &cursor.to_string()).await?;
            }
            let wait = match refused {
                Some((error, after)) => {
                    failures += 1;
                    if failures == 1 {
                        tracing::warn!(
                            channel = self.channel.name,
                            error,
                            "the end of an alarm cannot be told and waits"
                        );
                    }
                    Some(backoff::wait(failures, SignalClass::Trouble, after, fastrand::f64()))
                }
                None => {
                    failures = 0;
                    None
                }
            };
            let more = lines.len() == PAGE as usize && wait.is_none();
            tokio::select! {
                () = stop.cancelled() => return Ok(()),
                () = super::alarm_mqtt::news(&mut changes), if wait.is_none() && !more => (),
                () = tokio::time::sleep(wait.unwrap_or_default().as_duration()), if wait.is_some() || more => (),
            }
        }
    }

    async fn was_told(&self, alarm: &Alarm) -> anyhow::Result<bool> {
        let attempts = self.store.attempts(alarm.id).await?;
        Ok(attempts.iter().any(|attempt| attempt.alert.channel == self.channel.name))
    }
}
