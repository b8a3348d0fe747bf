//! Measurements, run by hand in a release build: `cargo test --release -p gateway --lib store::tests::speed -- --ignored --nocapture`.

use std::time::Duration;

use tokio::task::JoinSet;

use super::*;
use crate::clock;

fn bytes_written() -> u64 {
    let text = std::fs::read_to_string("/proc/self/io").expect("Linux");
    let line = text.lines().find_map(|line| line.strip_prefix("write_bytes: ")).expect("listed");
    line.parse().expect("a number")
}

/// 2,000 series, each with a value every ten seconds that moves by hundredths.
fn tick(seq: u64, random: &mut fastrand::Rng, values: &mut [i64]) -> Batch {
    let wall = Timestamp(1_795_000_000_000 + seq as i64 * 10_000);
    let mut events = Vec::with_capacity(values.len());
    for (device, value) in values.iter_mut().enumerate() {
        *value += random.i64(-2..=2);
        let at = Timestamp(wall.0 - random.i64(0..200));
        events.push(reading(device as u32, at, *value as f64 / 100.0));
    }
    Batch { seq, now: Now { wall, steady: Steady(seq * 10_000) }, events }
}

fn per_second(count: u64, took: Duration) -> f64 {
    count as f64 / took.as_secs_f64()
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "a measurement"]
async fn readings_in_batches_of_2000() {
    const TICKS: u64 = 1000;
    let (place, store) = fresh();
    let stop = tokio_util::sync::CancellationToken::new();
    let mut tasks = JoinSet::new();
    tasks.spawn(store.clone().keep_history(stop.clone()));
    let mut random = fastrand::Rng::with_seed(1);
    let mut values = vec![2000; 2000];
    let ticks: Vec<_> = (1..=TICKS).map(|seq| tick(seq, &mut random, &mut values)).collect();
    let (written, started) = (bytes_written(), clock::instant());
    for (seq, tick) in (1..).zip(ticks) {
        let snapshot = (seq % 100 == 0).then(|| vec![0; 100_000]);
        store.commit(&Commit { batch: Some(tick), snapshot, ..Commit::default() }).await.unwrap();
    }
    let took = started.elapsed();
    while store.cursor("history").await.unwrap() < TICKS {
        store.tend_history().await.unwrap();
        store.seal().await.unwrap();
    }
    let sealed = started.elapsed();
    let readings = TICKS * 2000;
    println!(
        "{:.0} readings/s through commit, {:.1} s until all is sealed",
        per_second(readings, took),
        sealed.as_secs_f64()
    );
    println!("{:.1} bytes written per reading", (bytes_written() - written) as f64 / readings as f64);
    let journal = store.counts().await.unwrap().journal_bytes;
    println!("{:.2} bytes per reading in the journal", journal as f64 / readings as f64);
    let chunks: (i64, i64, i64) = Connection::open(place.path())
        .unwrap()
        .query_row("SELECT sum(points), sum(length(bytes)), count(*) FROM chunks", (), |row| {
            Ok((row.get(0)?, row.get(1)?, row.get(2)?))
        })
        .unwrap();
    println!("{:.2} bytes per sealed point in {} chunks", chunks.1 as f64 / chunks.0 as f64, chunks.2);
    assert_eq!(chunks.0 as u64, readings);
    let started = clock::instant();
    for device in 0..200 {
        let ends = (Timestamp(1_795_005_000_000), Timestamp(1_795_008_600_000));
        let hour = store.series(DeviceIx(device), Metric::TEMPERATURE, ends.0, ends.1, 1000).await.unwrap();
        assert!(hour.len() >= 359);
    }
    println!("{:.2} ms for an hour of one series", started.elapsed().as_secs_f64() * 1000.0 / 200.0);
    stop.cancel();
    tasks.join_all().await.into_iter().collect::<anyhow::Result<()>>().unwrap();
    drop(store);
    let started = clock::instant();
    let _store = place.open();
    println!("{:.0} ms to open it again", started.elapsed().as_secs_f64() * 1000.0);
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "a measurement"]
async fn commits_one_by_one_and_many_at_once() {
    let (_place, store) = fresh();
    let started = clock::instant();
    for seq in 1..=2000 {
        store.commit(&commit(seq)).await.unwrap();
    }
    println!("{:.0} commits/s one by one", per_second(2000, started.elapsed()));
    let started = clock::instant();
    let mut tasks = JoinSet::new();
    for caller in 0..64u64 {
        let store = store.clone();
        tasks.spawn(async move {
            for n in 0..300 {
                let effects = vec![raised(1 + caller * 300 + n, SignalClass::Trouble)];
                store.commit(&Commit { effects, ..Commit::default() }).await.unwrap();
            }
        });
    }
    while let Some(done) = tasks.join_next().await {
        done.unwrap();
    }
    println!("{:.0} commits/s from 64 callers at once", per_second(64 * 300, started.elapsed()));
    assert_eq!(store.counts().await.unwrap().alarms_open, 64 * 300);
}

/// 100,000 series with few points each: the worst case for sealing, while single alarms are committed beside the telemetry.
#[tokio::test(flavor = "multi_thread")]
#[ignore = "a measurement"]
async fn an_alarm_while_many_slow_series_are_sealed() {
    const BATCHES: u64 = 900;
    let (_place, store) = fresh();
    let stop = tokio_util::sync::CancellationToken::new();
    let mut tasks = JoinSet::new();
    tasks.spawn(store.clone().keep_history(stop.clone()));
    let telemetry = store.clone();
    let mut feed = JoinSet::new();
    feed.spawn(async move {
        for seq in 1..=BATCHES {
            let now = moment(seq);
            let first = seq as u32 * 2000;
            let events =
                (first..first + 2000).map(|n| reading(n % 100_000, now.wall, f64::from(n % 700) / 10.0));
            let batch = Batch { seq, now, events: events.collect() };
            telemetry.commit(&Commit { batch: Some(batch), ..Commit::default() }).await.unwrap();
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    });
    let mut waits = Vec::new();
    let mut id = 0;
    while store.cursor("history").await.unwrap() < BATCHES {
        if feed.try_join_next().is_some() {
            tasks.spawn({
                let store = store.clone();
                async move {
                    while store.cursor("history").await? < BATCHES {
                        store.tend_history().await?;
                        store.seal().await?;
                    }
                    Ok(())
                }
            });
        }
        id += 1;
        let started = clock::instant();
        let effects = vec![raised(id, SignalClass::Fire), Effect::Tell(alert(id, SignalClass::Fire, 1))];
        store.commit(&Commit { effects, ..Commit::default() }).await.unwrap();
        waits.push(started.elapsed());
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
    waits.sort();
    let at = |part: f64| waits[((waits.len() - 1) as f64 * part) as usize].as_secs_f64() * 1000.0;
    println!(
        "{} alarms: median {:.1} ms, 99 % {:.1} ms, longest {:.1} ms",
        waits.len(),
        at(0.5),
        at(0.99),
        at(1.0)
    );
    let status = std::fs::read_to_string("/proc/self/status").expect("Linux");
    println!("{}", status.lines().find(|line| line.starts_with("VmHWM")).expect("listed"));
    stop.cancel();
    assert!(waits.len() > 100);
}
