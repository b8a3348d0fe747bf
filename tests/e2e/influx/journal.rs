//! The loop on a real store: nothing lost, nothing reordered, the cursor only behind what is confirmed. What a server may answer is [`answers`].

mod answers;

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use gateway::io::influx::pace::Pace;
use gateway::io::influx::task::{CONSUMER, Task};
use gateway::io::influx::{State, Status};
use gateway::model::DeadLetter;
use gateway::store::{Commit, Limits, Store};
use gateway::wire::line::{Encoder, Lines};
use gateway::world::World;
use tests::databases::http;
use tests::neighbours::eventually;
use tests::standin::{Asked, Reply, Standin};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use super::*;

/// InfluxDB 1 has no v2 write API before 1.8; this carries the requests over to its `/write`.
pub async fn v2_in_front_of(influx1: u16) -> Standin {
    Standin::start(0, move |asked: Asked| async move {
        let url = format!("http://127.0.0.1:{influx1}/write?db=gridwarden&precision=ms");
        let answer = http().unwrap().post(url).body(asked.body).send().await.unwrap();
        let status = answer.status().as_u16();
        Reply::json(status, answer.text().await.unwrap())
    })
    .await
    .unwrap()
}

/// A store with a station's registry, and what it was told.
pub struct Station {
    folder: tempfile::TempDir,
    pub store: Store,
    batches: Vec<Batch>,
}

impl Station {
    pub fn new() -> Self {
        Self::with_journal(1 << 30)
    }

    pub fn with_journal(bytes_max: u64) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let store = open(&folder, bytes_max);
        Self { folder, store, batches: Vec::new() }
    }

    /// Commits one batch of this many reports, all different.
    pub async fn commit(&mut self, reports: usize) {
        let seq = self.batches.len() as u64 + 1;
        let report = |n: usize| {
            let value = (seq as f64 * 1_000.0 + n as f64) / 1_000.0;
            report(
                n % NAMES.len(),
                (seq * 1_000) as i64 + n as i64,
                &[(Metric::TEMPERATURE, value, Quality::Good)],
            )
        };
        self.put(batch(seq, (0..reports).map(report).collect())).await;
    }

    pub async fn put(&mut self, batch: Batch) {
        self.store.commit(&Commit { batch: Some(batch.clone()), ..Commit::default() }).await.unwrap();
        self.batches.push(batch);
    }

    /// Every line, in order.
    pub fn lines(&self) -> Vec<String> {
        let mut lines = Lines::default();
        let mut encoder = Encoder::new("xl", false);
        for batch in &self.batches {
            encoder.encode(&registry(), batch, &mut lines);
        }
        lines.iter().map(|line| String::from_utf8_lossy(line).trim_end().to_owned()).collect()
    }

    async fn cursor(&self) -> u64 {
        self.store.cursor(CONSUMER).await.unwrap()
    }

    pub async fn cursor_reaches(&self, seq: u64) {
        eventually(&format!("cursor at {seq}"), 20, async || (self.cursor().await >= seq).then_some(()))
            .await;
    }

    async fn dead_letters(&self) -> Vec<DeadLetter> {
        let letters = self.store.dead_letters(None, 100).await.unwrap();
        letters.into_iter().map(|(_, letter)| letter).rev().collect()
    }
}

fn open(folder: &tempfile::TempDir, journal_bytes_max: u64) -> Store {
    let limits = Limits {
        journal_bytes_max,
        journal_days_max: 36_500,
        history_days_max: 36_500,
        dead_letters_max: 1_000,
        outbox_rows_max: 1_000,
        attachments: gateway::store::attachments::Limits { bytes_max: 64 << 20, days_max: 30 },
    };
    Store::open(&folder.path().join("store.db"), limits).unwrap().0
}

/// The task, running; dropped, it is gone.
pub struct Running {
    status: Arc<Status>,
    stop: CancellationToken,
    tasks: JoinSet<anyhow::Result<()>>,
}

impl Running {
    pub async fn stop(mut self) {
        self.stop.cancel();
        while let Some(ended) = self.tasks.join_next().await {
            ended.unwrap().unwrap();
        }
    }

    pub async fn is(&self, state: State) {
        eventually(state.name(), 20, async || (self.status.snapshot().state == state).then_some(())).await;
    }
}

/// Starts the loop with pauses a test can wait for.
fn start(station: &Station, settings: Settings) -> Running {
    start_with(station, Sender::new(&settings).unwrap(), settings)
}

pub fn start_with(station: &Station, sink: impl Sink + 'static, settings: Settings) -> Running {
    let short = Duration::from_millis(20);
    let pace = Pace { first: short, longest: 4 * short, held: short };
    let (task, status, stop) = task(station, sink, settings, pace);
    let mut tasks = JoinSet::new();
    tasks.spawn(task.run());
    Running { status, stop, tasks }
}

pub fn task<S: Sink>(
    station: &Station,
    sink: S,
    settings: Settings,
    pace: Pace,
) -> (Task<S>, Arc<Status>, CancellationToken) {
    let world = World {
        registry: registry(),
        rules: Arc::default(),
        rules_text: "".into(),
        topics: Arc::default(),
        freshness: Arc::default(),
        profiles: Arc::default(),
    };
    let (status, stop): (Arc<Status>, _) = (Arc::default(), CancellationToken::new());
    let (store, world) = (station.store.clone(), world.share());
    let task = Task { sink, settings, store, world, status: status.clone(), pace, stop: stop.clone() };
    (task, status, stop)
}

fn small(port: u16) -> Settings {
    Settings { batch_lines: 40, batch_age: Duration::from_millis(20), ..settings(port) }
}

/// The lines of every write with content, in order.
fn written(asked: &[Asked]) -> Vec<Vec<String>> {
    let writes = asked.iter().filter(|asked| asked.uri.path() == "/api/v2/write" && !asked.body.is_empty());
    writes.map(|asked| asked.text().lines().map(str::to_owned).collect()).collect()
}

/// A server that judges each write by its lines, keeps what it stores, and has nothing else.
async fn server(
    port: u16,
    judge: impl Fn(&[String]) -> Reply + Clone + Send + Sync + 'static,
) -> (Standin, impl Fn() -> Vec<String>) {
    let stored: Arc<std::sync::Mutex<Vec<String>>> = Arc::default();
    let keep = stored.clone();
    let standin = Standin::start(port, move |asked: Asked| {
        let reply = match asked.uri.path() {
            "/api/v2/write" if asked.body.is_empty() => Reply::status(204),
            "/api/v2/write" => {
                let lines: Vec<_> = asked.text().lines().map(str::to_owned).collect();
                let reply = judge(&lines);
                if reply.status == 204 {
                    keep.lock().unwrap().extend(lines);
                }
                reply
            }
            _ => Reply::status(404),
        };
        std::future::ready(reply)
    });
    (standin.await.unwrap(), move || stored.lock().unwrap().clone())
}

async fn accepts_all(port: u16) -> (Standin, impl Fn() -> Vec<String>) {
    server(port, |_| Reply::status(204)).await
}

#[tokio::test]
async fn everything_arrives_once_in_order_and_in_requests_of_the_right_size() {
    let mut station = Station::new();
    for n in 0..30 {
        station.commit(n * 7 % 100).await;
    }
    let (influx, stored) = accepts_all(0).await;
    let running = start(&station, small(influx.port));
    station.cursor_reaches(30).await;
    station.commit(3).await; // And what comes later, without being asked.
    station.commit(0).await;
    station.commit(1).await;
    station.cursor_reaches(33).await;
    assert_eq!(stored(), station.lines());
    let sizes: Vec<_> = written(&influx.asked()).iter().map(Vec::len).collect();
    let backlog = station.lines().len() - 4;
    assert!(
        sizes[..backlog / 40].iter().all(|&size| size == 40),
        "a backlog goes in full requests: {sizes:?}"
    );
    let status = running.status.clone();
    let now =
        eventually("status at 33", 5, async || Some(status.snapshot()).filter(|now| now.cursor == 33)).await;
    assert_eq!((now.state, now.lines_stored as usize, now.behind), (State::Flowing, backlog + 4, None));
    assert!(station.dead_letters().await.is_empty());
    running.stop().await;
}

#[tokio::test]
async fn both_senders_drain_the_same() {
    let mut station = Station::new();
    for _ in 0..10 {
        station.commit(33).await;
    }
    let (influx, stored) = accepts_all(0).await;
    let settings = small(influx.port);
    let running = start_with(&station, CrateSender::new(&settings).unwrap(), settings);
    station.cursor_reaches(10).await;
    assert_eq!(stored(), station.lines());
    running.stop().await;
}

#[tokio::test]
async fn the_cursor_waits_for_the_last_line_of_a_batch() {
    let mut station = Station::new();
    station.commit(10).await;
    station.commit(100).await;
    let left = Arc::new(AtomicUsize::new(2));
    let (influx, stored) = server(0, move |_| {
        let more = left.fetch_update(Ordering::SeqCst, Ordering::SeqCst, |left| left.checked_sub(1)).is_ok();
        Reply::status(if more { 204 } else { 503 })
    })
    .await;
    let running = start(&station, small(influx.port));
    running.is(State::Waiting).await;
    assert_eq!(stored().len(), 80);
    assert_eq!(station.cursor().await, 1, "the second batch is not complete");
    running.stop().await;

    let (influx, again) = accepts_all(0).await;
    let running = start(&station, small(influx.port));
    station.cursor_reaches(2).await;
    assert_eq!(again(), station.lines()[10..], "after a restart the whole batch goes again");
    running.stop().await;
}

#[tokio::test]
async fn after_an_outage_nothing_is_lost_or_reordered() {
    let mut station = Station::new();
    station.commit(50).await;
    let (influx, before) = accepts_all(0).await;
    let port = influx.port;
    let running = start(&station, small(port));
    station.cursor_reaches(1).await;
    influx.close().await;
    for _ in 0..100 {
        station.commit(20).await;
    }
    running.is(State::Waiting).await;
    assert_eq!(station.cursor().await, 1);
    let now = running.status.snapshot();
    assert!(now.error.is_some_and(|error| error.contains("refused")));
    assert!(now.behind.is_some());

    let (_influx, after) = accepts_all(port).await;
    station.cursor_reaches(101).await;
    let all: Vec<_> = before().into_iter().chain(after()).collect();
    assert_eq!(all, station.lines());
    running.is(State::Flowing).await;
    running.stop().await;
}

#[tokio::test]
async fn a_server_killed_and_started_again_has_everything() {
    let mut station = Station::new();
    let mut victoria = tests::databases::victoria_metrics().await.unwrap();
    let running = start(&station, small(victoria.port));
    for round in 0..3 {
        for _ in 0..20 {
            station.commit(15).await;
        }
        if round == 1 {
            victoria.kill().await.unwrap();
        }
    }
    running.is(State::Waiting).await;
    let reached = station.cursor().await as usize;
    let port = victoria.port;
    let victoria = tests::databases::victoria_metrics_on(port).await.unwrap();
    station.cursor_reaches(60).await;
    running.stop().await;

    // It was killed with what it had, also the first lines of the batch that was under way; everything after that must be there.
    let expected: BTreeSet<_> = station.batches[reached + 1..]
        .iter()
        .flat_map(|batch| batch.events.iter())
        .filter_map(|event| if let Event::Report(report) = event { Some(report) } else { None })
        .map(|report| (report.time().0, report.values[0].value.to_bits()))
        .collect();
    assert!(expected.len() >= 250, "{} of 60 batches went before the kill", reached);
    eventually("every point read back", 20, async || {
        let series = tests::databases::exported(victoria.port).await.unwrap();
        let points: BTreeSet<_> = series
            .iter()
            .flat_map(|series| {
                series.timestamps.iter().copied().zip(series.values.iter().map(|value| value.to_bits()))
            })
            .collect();
        expected.is_subset(&points).then_some(())
    })
    .await;
}

#[tokio::test]
async fn a_stop_during_an_outage_is_prompt_and_a_restart_goes_on() {
    let mut station = Station::new();
    station.commit(5).await;
    let running = start(&station, small(tests::neighbours::free_port()));
    running.is(State::Waiting).await;
    tokio::time::timeout(Duration::from_secs(3), running.stop()).await.expect("it stops at once");
    let Station { folder, store, batches } = station;
    drop(store); // One process, one handle per file.
    let station = Station { store: open(&folder, 1 << 30), folder, batches };
    let (influx, stored) = accepts_all(0).await;
    let running = start(&station, small(influx.port));
    station.cursor_reaches(1).await;
    assert_eq!(stored(), station.lines());
    running.stop().await;
}

#[tokio::test]
async fn batches_without_lines_are_confirmed_without_a_request() {
    let mut station = Station::new();
    for _ in 0..5 {
        station.commit(0).await;
    }
    station.commit(1).await;
    let (influx, _) = accepts_all(0).await;
    let running = start(&station, small(influx.port));
    station.cursor_reaches(6).await;
    assert_eq!(written(&influx.asked()).len(), 1);
    running.stop().await;
}
