//! Ledgers against store, InfluxDB and webhook: what is missing, doubled or wrong.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::path::Path;

use gateway::model::{AlarmId, AlarmState, Event, What};
use gateway::store::alarms::Query;
use gateway::store::{Limits, Store};
use gateway::units::Timestamp;
use rusqlite::Connection;

use super::Figures;
use super::ledger::{Ledger, Reading};
use super::sink::Points;
use crate::site::Delivery;

const LIMITS: Limits = Limits {
    journal_bytes_max: 1 << 40,
    journal_days_max: 1_000,
    history_days_max: 1_000,
    dead_letters_max: 1_000_000,
    outbox_rows_max: 1_000_000,
    attachments: gateway::store::attachments::Limits { bytes_max: 64 << 20, days_max: 30 },
};

/// Fills in the figures and every fault.
pub async fn compare(
    path: &Path,
    ledger: &Ledger,
    points: &Points,
    deliveries: &[Delivery],
    figures: &mut Figures,
) -> anyhow::Result<()> {
    let (store, _) = Store::open(path, LIMITS)?;
    let readings = ledger.readings();
    figures.faults = ledger.faults();
    figures.faults.extend(points.contradictions());
    figures.readings_acknowledged = readings.len();
    figures.acknowledged_ms = ledger.acknowledged_ms();
    figures.points_repeated = points.repeated();
    compare_readings(&store, &readings, points, figures).await?;
    compare_alarms(&store, ledger, figures).await?;
    drop(store);
    compare_alerts(path, deliveries, figures)
}

async fn compare_readings(
    store: &Store,
    readings: &[Reading],
    points: &Points,
    figures: &mut Figures,
) -> anyhow::Result<()> {
    let rows = store.load_registry().await?;
    // Device, time, metric → values in the journal, in order.
    let mut journal: HashMap<(u32, i64, &str), Vec<f64>> = HashMap::new();
    let mut after = 0;
    loop {
        let batches = store.batches_after(after, 8 << 20).await?;
        let Some(last) = batches.last() else { break };
        after = last.seq;
        for event in batches.into_iter().flat_map(|batch| batch.events) {
            let Event::Report(report) = event else { continue };
            for value in &report.values {
                let key = (report.device.0, report.time().0, value.metric.name());
                journal.entry(key).or_default().push(value.value);
            }
        }
    }
    if !store.dead_letters(None, 1).await?.is_empty() {
        figures.faults.push("there are dead letters, and nothing wrong was sent".into());
    }
    let numbers: HashMap<_, _> = rows.devices.iter().map(|device| (device.id.as_str(), device.ix)).collect();
    let mut by_series: BTreeMap<(u32, &str), BTreeMap<i64, f64>> = BTreeMap::new();
    for reading in readings {
        let key = (numbers[reading.device.as_str()].0, reading.time, reading.metric);
        match journal.remove(&key).unwrap_or_default().as_slice() {
            [] => figures.faults.push(format!("not in the journal: {reading:?}")),
            [first, more @ ..] => {
                figures.readings_repeated += more.len();
                if [first].into_iter().chain(more).any(|value| *value != reading.value) {
                    figures.faults.push(format!("the journal has {first} {more:?} for {reading:?}"));
                }
            }
        }
        match points.value(reading) {
            None => figures.faults.push(format!("not in InfluxDB: {reading:?}")),
            Some(text) if as_number(&text) == Some(reading.value) => (),
            Some(text) => figures.faults.push(format!("InfluxDB has {text} for {reading:?}")),
        }
        by_series.entry((key.0, key.2)).or_default().insert(reading.time, reading.value);
    }
    if !journal.is_empty() {
        figures.faults.push(format!("{} readings are in the journal that nobody sent", journal.len()));
    }
    if points.count() != readings.len() {
        figures.faults.push(format!("InfluxDB has {} points, {} were sent", points.count(), readings.len()));
    }
    for ((device, metric), sent) in by_series {
        let metric = gateway::model::Metric::from_name(metric).expect("ours");
        let ends = (Timestamp(0), Timestamp(i64::MAX));
        let device = gateway::model::DeviceIx(device);
        let kept = store.series(device, metric, ends.0, ends.1, u32::MAX).await?.len();
        if kept != sent.len() {
            figures.faults.push(format!(
                "the history of device {} {} has {kept} points, {} were sent",
                device.0,
                metric.name(),
                sent.len()
            ));
        }
    }
    Ok(())
}

fn as_number(field: &str) -> Option<f64> {
    match field {
        "true" => Some(1.0),
        "false" => Some(0.0),
        number => number.parse().ok(),
    }
}

/// One alarm for each episode and no other; every action in its history, once.
async fn compare_alarms(store: &Store, ledger: &Ledger, figures: &mut Figures) -> anyhow::Result<()> {
    let episodes = ledger.episodes();
    let deeds = ledger.deeds();
    (figures.episodes, figures.actions) = (episodes.len(), deeds.len());
    let alarms = store.alarms(Query { limit: u32::MAX, ..Query::default() }).await?;
    let expected: BTreeSet<_> = episodes.iter().map(|episode| episode.alarm.clone()).collect();
    if expected.len() != episodes.len() {
        figures.faults.push(format!("{} fires share {} alarms", episodes.len(), expected.len()));
    }
    for alarm in &alarms {
        let id = alarm.id.to_string();
        if !expected.contains(&id) {
            figures.faults.push(format!("{id} was raised for no fire: {alarm:?}"));
        }
        if alarm.state != AlarmState::Closed {
            figures.faults.push(format!("{id} was resolved and is {:?}", alarm.state));
        }
    }
    let there: BTreeSet<_> =
        alarms.iter().map(|alarm| (alarm.id.to_string(), alarm.device_id.clone())).collect();
    for episode in &episodes {
        if !there.contains(&(episode.alarm.clone(), Some(episode.device.clone()))) {
            figures.faults.push(format!("lost, or another device's: {episode:?}"));
        }
    }
    if alarms.len() < episodes.len() {
        figures.faults.push(format!("{} fires, {} alarms", episodes.len(), alarms.len()));
    }
    for alarm in &alarms {
        let entries = store.entries(alarm.id).await?;
        let times = |what: What| entries.iter().filter(|(_, entry)| entry.what == what).count();
        for (what, name) in [
            (What::Raised, "raised"),
            (What::Acknowledged, "acknowledged"),
            (What::Returned, "returned"),
            (What::Resolved, "resolved"),
            (What::Closed, "closed"),
        ] {
            if times(what) != 1 {
                figures.faults.push(format!("{} was {name} {} times", alarm.id, times(what)));
            }
        }
    }
    for deed in &deeds {
        let id = deed.alarm.trim_start_matches("A-").parse().map(AlarmId)?;
        let alarm = store.alarm(id).await?;
        let kept = alarm.and_then(|alarm| match deed.what {
            "acknowledged" => alarm.acknowledged?.note,
            _ => alarm.resolved?.signed.note,
        });
        if kept.as_ref() != Some(&deed.note) {
            figures.faults.push(format!("{deed:?} was answered, and the alarm says {kept:?}"));
        }
    }
    Ok(())
}

/// Every alert that is done as delivered came to the receiver, with its key; none is left over.
fn compare_alerts(path: &Path, deliveries: &[Delivery], figures: &mut Figures) -> anyhow::Result<()> {
    let mut keys: BTreeMap<String, usize> = BTreeMap::new();
    for delivery in deliveries {
        let key = delivery.headers["idempotency-key"].to_str()?.to_owned();
        if delivery.json["id"] != key.as_str() {
            figures.faults.push(format!("the body of {key} carries the id {}", delivery.json["id"]));
        }
        *keys.entry(key).or_default() += 1;
    }
    figures.alerts = keys.len();
    figures.alerts_repeated = deliveries.len() - keys.len();
    let connection = Connection::open(path)?;
    let mut statement = connection.prepare("SELECT key, state FROM outbox")?;
    let rows = statement.query_map((), |row| Ok((row.get::<_, String>(0)?, row.get::<_, String>(1)?)))?;
    for row in rows {
        let (key, state) = row?;
        let times = keys.remove(&key).unwrap_or(0);
        match state.as_str() {
            "delivered" if times == 0 => figures.faults.push(format!("{key} is delivered, says the store")),
            "delivered" => (),
            // The operator was faster than the webhook.
            "withdrawn" => figures.withdrawn += 1,
            other => figures.faults.push(format!("{key} is {other} at the end")),
        }
    }
    figures.faults.extend(keys.into_keys().map(|key| format!("{key} was delivered and is not in the store")));
    Ok(())
}
