//! `gridwarden channel test`: one message that is plainly a test, sent past the outbox, and what the provider said.
//!
//! No alarm, no attempt and no receipt comes of it. It may run beside the station, whose limits do not know of it.

use std::sync::Arc;

use anyhow::Context;

use crate::clock;
use crate::config::Loaded;
use crate::grid::Registry;
use crate::model::{Alarm, AlarmId, AlarmState, CellIx, Handling, SignalClass};
use crate::notify::mqtt::{Mqtt, Publisher};
use crate::notify::{Channel, Contact, Notice, Sent, Telling, open};
use crate::store::Store;
use crate::units::{Steady, Timestamp};
use crate::view::AlarmView;
use tokio_util::sync::CancellationToken;

/// What was said, and whether the message was taken.
pub async fn run(loaded: &Loaded, name: &str, person: Option<&str>) -> anyhow::Result<(String, bool)> {
    let store = Store::open_beside(&loaded.store_path())?;
    let registry = Registry::build(store.load_registry().await?);
    let contact = match person {
        None => None,
        Some(id) => {
            registry.person(id).with_context(|| format!("the registry has no person `{id}`"))?;
            Some(Contact::of(id, name, &registry))
        }
    };
    let stop = CancellationToken::new();
    let (channel, connection) = if name == "mqtt" {
        let (channel, connection) = mqtt(loaded)?;
        (channel, Some(connection))
    } else {
        let opened = open::open(&loaded.config, &loaded.folder, &store).await?;
        let names: Vec<_> = opened.channels.iter().map(|(channel, _)| channel.name().to_owned()).collect();
        let found = opened.channels.into_iter().find(|(channel, _)| channel.name() == name);
        let (channel, _) = found
            .with_context(|| format!("station.toml has no channel `{name}`; it has {}", names.join(", ")))?;
        (channel, None)
    };
    let notice = notice(loaded, contact);
    let sent = match connection {
        None => channel.send(&notice).await,
        Some(connection) => tokio::select! {
            sent = channel.send(&notice) => sent,
            ended = connection.run(stop) => {
                ended?;
                anyhow::bail!("the connection to the broker has ended")
            }
        },
    };
    Ok(match sent {
        Sent::Delivered { receipt, id } => {
            let id = id.map(|id| format!("\nIts id there: {id}")).unwrap_or_default();
            (format!("`{name}` took the message: {receipt}{id}"), true)
        }
        Sent::Retry { error, after } => {
            let after =
                after.map(|wait| format!(" It wants a pause of {} s.", wait.0 / 1000)).unwrap_or_default();
            (format!("`{name}` did not take it now, an alert would be tried again: {error}.{after}"), false)
        }
        Sent::GaveUp { error } => {
            (format!("`{name}` refused it, an alert would be given up: {error}"), false)
        }
    })
}

/// With a connection of its own to the broker.
fn mqtt(loaded: &Loaded) -> anyhow::Result<(Arc<dyn Channel>, crate::io::mqtt::publisher::Connection)> {
    let settings = loaded.config.alarm_mqtt.as_ref().context("station.toml has no [alarm_mqtt]")?;
    let broker = settings.broker.as_ref().context(
        "alerts go to clients of the station's own listener, which only the running station can reach; subscribe there and look",
    )?;
    let mut brokers = loaded.config.brokers.iter();
    let broker = brokers
        .find(|known| known.name.get_ref() == broker.get_ref())
        .with_context(|| format!("station.toml has no broker `{}`", broker.get_ref()))?;
    let (connection, publisher) = crate::io::mqtt::publisher::Connection::new(broker, &loaded.folder)?;
    let publisher: Arc<dyn Publisher> = Arc::new(publisher);
    Ok((Arc::new(Mqtt { publisher }), connection))
}

fn notice(loaded: &Loaded, person: Option<Contact>) -> Notice {
    let station = loaded.config.station.id.get_ref().clone();
    let now = clock::wall();
    let key = format!("test/{station}@{}", now.0);
    let at = now.rfc3339();
    Notice {
        id: key.clone(),
        station,
        sent_at: at.clone(),
        attempt: 1,
        alert: Telling { key, step: 1, at: at.clone(), person },
        alarm: AlarmView::of(&nothing(now), &Registry::default()),
        card: None,
        acknowledge: String::new(),
        link: loaded.config.http.public_url.as_ref().map(|url| url.get_ref().clone()),
        also: Vec::new(),
        test: true,
        minutes: 0,
    }
}

/// An alarm that never was.
pub(crate) fn nothing(now: Timestamp) -> Alarm {
    Alarm {
        id: AlarmId(0),
        rule: "test".into(),
        class: SignalClass::Test,
        text: "测试 test".into(),
        cell: CellIx(u32::MAX),
        cell_code: String::new(),
        device: None,
        device_id: None,
        state: AlarmState::Closed,
        raised: now,
        raised_steady: Steady(0),
        late: None,
        trigger: None,
        repeats: 0,
        owner: None,
        acknowledged: None,
        returned: None,
        resolved: None,
        closed: Some(now),
        ladder: None,
        handling: Handling::default(),
    }
}
