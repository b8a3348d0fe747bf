//! A backlog from the journal into VictoriaMetrics, beside posting the same lines from a plain file.

use std::io::{BufRead, BufReader, Seek, Write};
use std::sync::Arc;
use std::time::Duration;

use gateway::clock::instant;
use gateway::io::influx::pace::Pace;
use gateway::io::influx::sender::{Sender, Sink};
use gateway::io::influx::task::{CONSUMER, Task};
use gateway::io::influx::verdict::Verdict;
use gateway::io::influx::{Settings, Status};
use gateway::model::Batch;
use gateway::store::{Commit, Store};
use gateway::wire::line::{Encoder, Lines};
use gateway::world::World;
use tests::databases::victoria_metrics;
use tokio_util::sync::CancellationToken;

use super::disk::LIMITS;
use super::figures::{RUNS, Section, Spread, ratio};
use super::made_up::{batch, registry};
use super::wait_for;

const BATCHES: u64 = 300;
pub fn drain() -> Section {
    let mut section = Section::new(
        "After an outage of the database",
        format!(
            "{BATCHES} batches of 1,000 heartbeats wait in the journal; VictoriaMetrics comes back. Encoded, sent with the v2 API, the cursor moved on every answer. The baseline is the same \
             client posting the same lines, already encoded, from a file. A new VictoriaMetrics each time. Goal: at least 0.8."
        ),
    );
    let batches: Vec<Batch> = (1..=BATCHES).map(|seq| batch(seq, 1_000, 4_000)).collect();
    let registry = registry(4_000);
    let (mut ours, mut plain) = (Vec::new(), Vec::new());
    wait_for(async {
        let mut lines = Lines::default();
        let mut encoder = Encoder::new("xl", false);
        for batch in &batches {
            encoder.encode(&registry, batch, &mut lines);
        }
        let mut file = tempfile::tempfile().unwrap();
        file.write_all(lines.bytes()).unwrap();
        for _ in 0..RUNS {
            let victoria = victoria_metrics().await.unwrap();
            let settings = settings(victoria.port);
            file.rewind().unwrap();
            let sender = Sender::new(&settings).unwrap();
            let started = instant();
            let mut reader = BufReader::new(&file);
            loop {
                let mut chunk = Vec::new();
                for _ in 0..settings.batch_lines {
                    reader.read_until(b'\n', &mut chunk).unwrap();
                }
                if chunk.is_empty() {
                    break;
                }
                assert_eq!(sender.write(chunk.into()).await, Verdict::Stored);
            }
            plain.push(lines.len() as f64 / started.elapsed().as_secs_f64());

            let victoria = victoria_metrics().await.unwrap();
            let folder = tempfile::tempdir_in(".").unwrap();
            let (store, _) = Store::open(&folder.path().join("store.db"), LIMITS).unwrap();
            for batch in &batches {
                let commit = Commit { batch: Some(batch.clone()), ..Commit::default() };
                store.commit(&commit).await.unwrap();
            }
            let world = World {
                registry: registry.clone(),
                rules: Arc::default(),
                rules_text: "".into(),
                topics: Arc::default(),
                freshness: Arc::default(),
                profiles: Arc::default(),
            };
            let settings = self::settings(victoria.port);
            let stop = CancellationToken::new();
            let short = Duration::from_millis(20);
            let task = Task {
                sink: Sender::new(&settings).unwrap(),
                settings,
                store: store.clone(),
                world: world.share(),
                status: Arc::<Status>::default(),
                pace: Pace { first: short, longest: 4 * short, held: short },
                stop: stop.clone(),
            };
            let started = instant();
            let mut tasks = tokio::task::JoinSet::new();
            tasks.spawn(task.run());
            while store.cursor(CONSUMER).await.unwrap() < BATCHES {
                assert!(started.elapsed() < Duration::from_secs(60), "the cursor does not arrive");
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
            ours.push(lines.len() as f64 / started.elapsed().as_secs_f64());
            stop.cancel();
            tasks.join_all().await.into_iter().for_each(|ended| ended.unwrap());
        }
    });
    let (ours, plain) = (Spread::of(ours), Spread::of(plain));
    section.row(
        "from the journal",
        "lines/s",
        ours,
        format!("{} of the file; goal: at least 0.8", ratio(ours, plain)),
    );
    section.row("from a plain file", "lines/s", plain, "the baseline");
    section
}

fn settings(port: u16) -> Settings {
    Settings {
        token: Some("t0ken".into()),
        ..Settings::new("xl", &format!("http://127.0.0.1:{port}")).expect("a URL")
    }
}
