//! The loop: journal after the cursor → parcels → server → cursor.
//!
//! Three stages with room for one thing between them: while a request is out, the next one is read, encoded and compressed, and the cursor of the last one is
//! moved. It moves only after the server has confirmed, in the same transaction as the dead letters of what was refused. Memory
//! is three parcels and one read, however long an outage lasts. A crash repeats the last requests; InfluxDB takes a repeated point as the same point.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use anyhow::Context;
use bytes::Bytes;
use tokio::select;
use tokio::sync::mpsc;
use tokio::time::{Instant, sleep, sleep_until};
use tokio_util::sync::CancellationToken;
use tracing::{error, info, warn};

use super::Settings;
use super::delivery::{Delivery, GivenUp, Next, Pause};
use super::pace::Pace;
use super::parcel::{BYTES_MAX, Packer, Parcel};
use super::prepare::{Finding, Mark, prepare};
use super::sender::Sink;
use super::status::{State, Status};
use super::verdict::Verdict;
use crate::model::DeadLetter;
use crate::store::Store;
use crate::units::{Millis, Timestamp};
use crate::wire::line::Encoder;
use crate::{clock, world};

/// The cursor's name in the store.
pub const CONSUMER: &str = "influx";
/// How much of the journal is read at once.
const READ_BYTES: usize = 512 << 10;
/// However small a server's limit seems, requests are not cut below this: one huge line must not make all others travel alone.
const BYTES_MIN: usize = 16 << 10;
/// After reading and encoding, rest so many times as long: a backlog of days must not keep a fire from this core. Still hundreds of thousands of
/// points a second.
const REST: u32 = 1;
const REST_MAX: Duration = Duration::from_millis(500);
/// How long batches without lines may wait for the cursor to move past them.
const IDLE: Duration = Duration::from_secs(10);
/// At a stop, a request that is out may still be confirmed within this time.
const LAST_ANSWER: Duration = Duration::from_secs(2);
/// Of refused lines, this much is kept in one dead letter.
const PAYLOAD_MAX: usize = 64 << 10;

pub struct Task<S> {
    pub sink: S,
    pub settings: Settings,
    pub store: Store,
    pub world: world::Shared,
    pub status: Arc<Status>,
    pub pace: Pace,
    pub stop: CancellationToken,
}

/// A parcel ready to be sent.
struct Load {
    parcel: Parcel,
    delivery: Delivery,
    /// The body of the first request, which is usually the only one.
    body: Bytes,
}

/// What the server has taken, or given back as dead letters, up to the batch `seq`.
struct Confirmed {
    seq: u64,
    from: Option<(u64, Timestamp)>,
    dead: Vec<DeadLetter>,
}

impl<S: Sink> Task<S> {
    pub async fn run(self) -> anyhow::Result<()> {
        let cursor = self.store.cursor(CONSUMER).await?;
        if cursor == 0 {
            // Also what is dropped before the server was ever reached is counted.
            self.store.move_cursor(CONSUMER, 0, Vec::new()).await?;
        }
        self.status.update(|now| now.cursor = cursor);
        let bytes_max = AtomicUsize::new(BYTES_MAX);
        let (loads, ready) = mpsc::channel(1);
        let (confirm, confirmed) = mpsc::channel(1);
        tokio::try_join!(
            self.gather(cursor, &bytes_max, loads),
            self.send_all(&bytes_max, ready, confirm),
            self.keep(cursor, confirmed),
        )?;
        Ok(())
    }

    /// Reads what is committed and hands it on when there is enough of it or it has waited long enough.
    async fn gather(
        &self,
        cursor: u64,
        bytes_max: &AtomicUsize,
        loads: mpsc::Sender<Load>,
    ) -> anyhow::Result<()> {
        let settings = &self.settings;
        let encoder = Encoder::new(&settings.station, settings.reading_ids);
        let mut packer = Packer::new(encoder, settings.batch_lines, cursor);
        let mut newest = self.store.newest();
        let (mut read, mut handed_on) = (cursor, cursor);
        let mut due = None;
        loop {
            let newest_now = *newest.borrow_and_update();
            self.status.update(|now| now.newest = newest_now);
            let begun = Instant::now();
            let batches = self.store.batches_after(read, READ_BYTES).await?;
            let caught_up = batches.is_empty();
            let registry = self.world.load().registry.clone();
            let mut full = Vec::new();
            for batch in &batches {
                packer.add(&registry, batch, bytes_max.load(Ordering::Relaxed), |parcel| full.push(parcel));
                read = batch.seq;
                tokio::task::yield_now().await; // Encoding is work; an alarm may want this core.
            }
            // Waiting for the sender is rest as well.
            let rested_at = Instant::now() + (begun.elapsed() * REST).min(REST_MAX);
            if !full.is_empty() {
                due = None;
            }
            let patience = match packer.waiting() {
                0 if packer.confirms() == handed_on => None,
                0 => Some(IDLE),
                _ => Some(settings.batch_age),
            };
            let latest = patience.map(|patience| Instant::now() + patience);
            due = due.into_iter().chain(latest).min();
            if due.is_some_and(|due| due <= Instant::now()) {
                full.push(packer.take());
                due = None;
            }
            for parcel in full {
                handed_on = parcel.confirms;
                let load = self.load(parcel).await;
                select! {
                    sent = loads.send(load) => if sent.is_err() { return Ok(()) }, // The next stage says why.
                    () = self.stop.cancelled() => return Ok(()),
                }
            }
            if !caught_up {
                select! {
                    () = sleep_until(rested_at) => continue,
                    () = self.stop.cancelled() => return Ok(()),
                }
            }
            select! {
                changed = newest.changed() => changed.context("the store has stopped")?,
                () = clock::until(due) => (),
                () = self.stop.cancelled() => return Ok(()),
            }
        }
    }

    async fn load(&self, mut parcel: Parcel) -> Load {
        let delivery = Delivery::new(std::mem::take(&mut parcel.lines));
        let body = match delivery.next() {
            Next::Send { lines, .. } => self.sink.pack(lines).await,
            Next::Probe | Next::Done => Bytes::new(),
        };
        Load { parcel, delivery, body }
    }

    async fn send_all(
        &self,
        bytes_max: &AtomicUsize,
        mut ready: mpsc::Receiver<Load>,
        confirm: mpsc::Sender<Confirmed>,
    ) -> anyhow::Result<()> {
        let mut findings = Vec::new();
        self.prepare(&mut findings).await;
        while let Some(load) = ready.recv().await {
            let (from, seq) = (load.parcel.from, load.parcel.confirms);
            let mut dead: Vec<_> = self.unknown_devices(&load.parcel).into_iter().collect();
            let Some(given_up) = self.deliver(load, bytes_max, &mut findings).await else { return Ok(()) };
            dead.extend(given_up.into_iter().map(|lines| dead_letter(lines, from, seq)));
            if confirm.send(Confirmed { seq, from, dead }).await.is_err() {
                return Ok(()); // The store's error is told by the next stage.
            }
        }
        Ok(())
    }

    /// Moves the cursor over what the server has confirmed.
    async fn keep(&self, mut cursor: u64, mut confirmed: mpsc::Receiver<Confirmed>) -> anyhow::Result<()> {
        while let Some(Confirmed { seq, from, dead }) = confirmed.recv().await {
            if seq > cursor || !dead.is_empty() {
                self.store.move_cursor(CONSUMER, seq, dead).await?;
                cursor = seq;
            }
            self.status.update(|now| {
                now.cursor = cursor;
                now.behind = (cursor < now.newest).then(|| age(from));
            });
        }
        Ok(())
    }

    /// Returns when every line is stored or given up; `None` when the gateway stops first.
    async fn deliver(
        &self,
        load: Load,
        bytes_max: &AtomicUsize,
        findings: &mut Vec<Finding>,
    ) -> Option<Vec<GivenUp>> {
        let Load { parcel, mut delivery, body } = load;
        let total = delivery.lines_left();
        let mut whole = Some(body);
        let mut failures = 0;
        loop {
            let lines = match delivery.next() {
                Next::Done => break,
                Next::Probe => self.probe(),
                Next::Send { lines, .. } => lines,
            };
            let body = match whole.take() {
                Some(body) => body,
                None => self.sink.pack(lines).await,
            };
            let verdict = select! {
                verdict = self.sink.post(body) => verdict,
                () = self.out_of_time() => return None,
            };
            self.note(&verdict);
            let Some(pause) = delivery.answer(verdict) else {
                failures = 0;
                continue;
            };
            failures += 1;
            self.say(&pause, age(parcel.from));
            let wait = match pause.held {
                true => self.pace.held.mul_f64(0.75 + 0.5 * fastrand::f64()),
                false => self.pace.after_wish(pause.after, failures, fastrand::f64()),
            };
            select! {
                () = sleep(wait) => (),
                () = self.stop.cancelled() => return None,
            }
            if pause.held {
                self.prepare(findings).await;
            }
        }
        if let Some(size) = delivery.too_large() {
            let limit = (size / 2).max(BYTES_MIN);
            bytes_max.fetch_min(limit, Ordering::Relaxed);
            info!(bytes = limit, "InfluxDB refused a large request; requests stay below this from now on");
        }
        let given_up = delivery.given_up();
        let lost = given_up.iter().map(|lines| lines.count as u64).sum();
        let stored = (total as u64).saturating_sub(lost);
        metrics::counter!("gridwarden_influx_lines_total").increment(stored);
        metrics::counter!("gridwarden_influx_lines_given_up_total").increment(lost);
        self.status.update(|now| {
            now.lines_stored += stored;
            now.lines_given_up += lost;
        });
        for lines in &given_up {
            error!(
                lines = lines.count,
                reason = lines.reason,
                "InfluxDB refused lines for good; see the dead letters"
            );
        }
        Some(given_up)
    }

    /// Makes what is missing and says what is wrong, each thing once.
    async fn prepare(&self, known: &mut Vec<Finding>) {
        let findings = select! {
            findings = prepare(&self.settings) => findings,
            () = self.stop.cancelled() => return,
        };
        for Finding { mark, text } in findings.iter().filter(|finding| !known.contains(finding)) {
            match mark {
                Mark::Good | Mark::Unchecked => info!("InfluxDB: {text}"),
                Mark::Problem => warn!("InfluxDB: {text}"),
            }
        }
        *known = findings;
    }

    fn note(&self, verdict: &Verdict) {
        let (result, something_stored) = match verdict {
            Verdict::Stored => ("stored", true),
            Verdict::Partial(_) => ("partial", true),
            Verdict::Malformed(_) => ("malformed", false),
            Verdict::TooLarge(_) => ("too_large", false),
            Verdict::Held(_) => ("held", false),
            Verdict::Later { .. } => ("later", false),
        };
        metrics::counter!("gridwarden_influx_requests_total", "result" => result).increment(1);
        if something_stored {
            let now = clock::wall();
            if self.status.enter(State::Flowing, None, now) {
                info!("InfluxDB takes lines");
            }
            self.status.update(|status| status.last_stored = Some(now));
        }
    }

    fn say(&self, pause: &Pause, behind: Millis) {
        let (now, newest) = (clock::wall(), *self.store.newest().borrow()); // The first stage may be waiting for us.
        self.status.update(|status| {
            status.behind = Some(behind);
            status.newest = newest;
        });
        match pause.held {
            true if self.status.enter(State::Held, Some(&pause.reason), now) => {
                error!("InfluxDB is not written to until somebody acts: {}. Readings are kept", pause.reason);
            }
            false if self.status.enter(State::Waiting, Some(&pause.reason), now) => {
                warn!(
                    "InfluxDB cannot be written to now: {}. Readings are kept and sent later",
                    pause.reason
                );
            }
            true | false => (),
        }
    }

    /// A line that any server takes, to tell a wrong request from wrong lines.
    fn probe(&self) -> Bytes {
        let now = clock::wall().0;
        format!("gridwarden_write_probe,station={} ok=true {now}\n", self.settings.station).into()
    }

    fn unknown_devices(&self, parcel: &Parcel) -> Option<DeadLetter> {
        if parcel.unknown.is_empty() {
            return None;
        }
        let numbers: std::collections::BTreeSet<_> = parcel.unknown.iter().map(|device| device.0).collect();
        let reason = format!(
            "{} reports are from devices that are not in the registry (numbers {numbers:?}); they stay in the local history",
            parcel.unknown.len()
        );
        let lines = GivenUp { reason, lines: Vec::new(), count: parcel.unknown.len() };
        Some(dead_letter(lines, parcel.from, parcel.confirms))
    }

    async fn out_of_time(&self) {
        self.stop.cancelled().await;
        sleep(LAST_ANSWER).await;
    }
}

fn age(from: Option<(u64, Timestamp)>) -> Millis {
    from.map(|(_, at)| clock::wall().since(at)).unwrap_or_default()
}

fn dead_letter(lines: GivenUp, from: Option<(u64, Timestamp)>, confirms: u64) -> DeadLetter {
    let first = from.map_or(confirms, |(seq, _)| seq);
    let mut payload = Vec::new();
    for line in &lines.lines {
        if payload.len() + line.len() > PAYLOAD_MAX && !payload.is_empty() {
            break;
        }
        payload.extend_from_slice(line);
    }
    payload.truncate(PAYLOAD_MAX);
    DeadLetter {
        received: clock::wall(),
        source: CONSUMER.into(),
        address: format!("journal {first} to {}", confirms.max(first)),
        reason: format!("{} of our lines: {}", lines.count, lines.reason),
        payload,
    }
}
