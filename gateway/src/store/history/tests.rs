//! The history against a plain list: late points, duplicates, sealings and restarts anywhere change nothing.

use std::collections::BTreeMap;

use proptest::prelude::*;

use super::*;
use crate::model::{Freshness, Report, Value};
use crate::store::tests::{LIMITS, Place, fresh, moment};
use crate::store::{Commit, upkeep};
use crate::units::Now;
use crate::units::Steady;

const METRIC: Metric = Metric::TEMPERATURE;

/// device, time in seconds, value in hundredths, quality
type Told = (u32, i64, i64, Quality);

fn batch(seq: u64, told: &[Told]) -> Batch {
    let event = |&(device, time, hundredths, quality): &Told| {
        Event::Report(Report {
            device: DeviceIx(device),
            received: moment(seq).wall,
            device_time: Some(Timestamp(time * 1000)),
            freshness: Freshness::Backfill,
            values: vec![Value { metric: METRIC, value: hundredths as f64 / 100.0, quality }],
        })
    };
    Batch { seq, now: moment(seq), events: told.iter().map(event).collect() }
}

async fn tell(store: &Store, told: &[Told]) {
    let seq = *store.newest().borrow() + 1;
    store.commit(&Commit { batch: Some(batch(seq, told)), ..Commit::default() }).await.unwrap();
}

/// What a plain list says.
#[derive(Default)]
struct Reference {
    points: BTreeMap<(u32, i64), f64>,
}

impl Reference {
    fn tell(&mut self, told: &[Told]) {
        for &(device, time, hundredths, quality) in told {
            if quality != Quality::Bad {
                self.points.insert((device, time * 1000), hundredths as f64 / 100.0);
            }
        }
    }

    fn samples(&self, device: u32, from: i64, to: i64, points_max: u32) -> Vec<Sample> {
        let points: Vec<(i64, f64)> = self
            .points
            .range((device, from)..(device, to))
            .map(|(&(_, time), &value)| (time, value))
            .collect();
        let width = if points.len() <= points_max as usize {
            1
        } else {
            (to - from + i64::from(points_max) - 1) / i64::from(points_max)
        };
        let mut intervals: BTreeMap<i64, Vec<(i64, f64)>> = BTreeMap::new();
        for &(time, value) in &points {
            intervals.entry((time - from) / width).or_default().push((time, value));
        }
        intervals.into_values().map(|points| sample(&points)).collect()
    }
}

fn sample(points: &[(i64, f64)]) -> Sample {
    let values = || points.iter().map(|(_, value)| *value);
    let (min, max) = (values().fold(f64::INFINITY, f64::min), values().fold(f64::NEG_INFINITY, f64::max));
    Sample {
        time: Timestamp(points[0].0),
        min,
        max,
        mean: (values().sum::<f64>() / points.len() as f64).clamp(min, max),
        last: points[points.len() - 1].1,
        count: points.len() as u32,
    }
}

#[derive(Clone, Debug)]
enum Step {
    Tell(Vec<Told>),
    Seal,
    /// Some series are sealed, then the power goes.
    CutInSealing,
    Restart,
    Ask {
        device: u32,
        from: i64,
        length: i64,
        points_max: u32,
    },
}

fn step() -> impl Strategy<Value = Step> {
    // Mostly forward in time, sometimes far back, and often the same second again.
    let time = prop_oneof![0i64..400, 300i64..2000];
    let quality = prop_oneof![
        8 => Just(Quality::Good),
        1 => Just(Quality::Uncertain),
        1 => Just(Quality::Bad)
    ];
    let told = (0u32..3, time, -500i64..500, quality);
    prop_oneof![
        6 => proptest::collection::vec(told, 0..150).prop_map(Step::Tell),
        2 => Just(Step::Seal),
        1 => Just(Step::CutInSealing),
        1 => Just(Step::Restart),
        4 => (0u32..3, -10i64..2000, 0i64..2100, 1u32..300).prop_map(|(device, from, length, points_max)| {
            Step::Ask { device, from: from * 1000, length: length * 1000 + 1, points_max }
        }),
    ]
}

async fn try_out(script: Vec<Step>) {
    let (place, mut store) = fresh();
    let mut reference = Reference::default();
    for step in script {
        match step {
            Step::Tell(told) => {
                tell(&store, &told).await;
                reference.tell(&told);
            }
            Step::Seal => store.seal().await.unwrap(),
            Step::CutInSealing => {
                if let Some(sealing) = store.shared.signals.head.begin_sealing() {
                    let slice = store.prepare_slice(&sealing.series[..sealing.series.len() / 2]).unwrap();
                    let steady = sealing.steady;
                    let work = move |writing: &mut crate::store::Writing<'_>| {
                        seal::store_slice(writing.connection, steady, slice)
                    };
                    store.write(work).await.unwrap();
                }
                drop(store);
                store = place.open();
            }
            Step::Restart => {
                drop(store);
                store = place.open();
            }
            Step::Ask { device, from, length, points_max } => {
                check(&store, &reference, device, from, from + length, points_max).await;
            }
        }
    }
    for device in 0..3 {
        check(&store, &reference, device, -1_000_000, 10_000_000, 1_000_000).await;
    }
}

async fn check(store: &Store, reference: &Reference, device: u32, from: i64, to: i64, points_max: u32) {
    let found =
        store.series(DeviceIx(device), METRIC, Timestamp(from), Timestamp(to), points_max).await.unwrap();
    assert_eq!(found, reference.samples(device, from, to, points_max));
    assert!(found.len() <= points_max as usize);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(40))]

    #[test]
    fn tells_the_same_as_a_plain_list(script in proptest::collection::vec(step(), 1..25)) {
        tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .build()
            .expect("a runtime for the test")
            .block_on(try_out(script));
    }
}

async fn all(store: &Store, device: u32) -> Vec<Sample> {
    store.series(DeviceIx(device), METRIC, Timestamp(i64::MIN), Timestamp(i64::MAX), u32::MAX).await.unwrap()
}

fn chunks(place: &Place) -> Vec<u32> {
    let connection = rusqlite::Connection::open(place.path()).unwrap();
    let mut statement = connection.prepare("SELECT points FROM chunks ORDER BY id").unwrap();
    let rows = statement.query_map((), |row| row.get(0)).unwrap();
    rows.collect::<Result<_, _>>().unwrap()
}

#[tokio::test]
async fn a_slow_series_does_not_become_thousands_of_chunks() {
    let (place, store) = fresh();
    for point in 0..1000 {
        tell(&store, &[(1, point, point, Quality::Good)]).await;
        store.seal().await.unwrap();
    }
    let chunks = chunks(&place);
    assert_eq!(chunks.iter().sum::<u32>(), 1000);
    assert!(chunks.len() < 12, "{chunks:?}");
    assert_eq!(all(&store, 1).await.len(), 1000);
}

#[tokio::test]
async fn a_fast_series_is_cut_into_chunks_of_bounded_size() {
    let (place, store) = fresh();
    let told: Vec<Told> = (0..10_000).map(|second| (1, second, second % 700, Quality::Good)).collect();
    tell(&store, &told).await;
    store.seal().await.unwrap();
    assert_eq!(chunks(&place), [4096, 4096, 1808]);
    assert_eq!(store.cursor(CONSUMER).await.unwrap(), 1);
    assert_eq!(store.shared.signals.head.points(), 0);
    let mut reference = Reference::default();
    reference.tell(&told);
    check(&store, &reference, 1, 0, 10_000_000, 50).await;
}

#[tokio::test]
async fn chunks_inside_a_long_one_are_merged_with_it() {
    let (place, store) = fresh();
    let mut reference = Reference::default();
    // A device that was away sends a long stretch late; two short ones lie inside it, apart from each other.
    for (first, every) in [(0, 25), (1000, 1), (5000, 1)] {
        let told: Vec<Told> = (0..400).map(|n| (1, first + n * every, first + n, Quality::Good)).collect();
        tell(&store, &told).await;
        reference.tell(&told);
        store.seal().await.unwrap();
    }
    assert_eq!(chunks(&place), [400, 400, 400]);
    tell(&store, &[(1, 5010, 42, Quality::Good)]).await;
    reference.tell(&[(1, 5010, 42, Quality::Good)]);
    check(&store, &reference, 1, 0, 20_000_000, 100_000).await;
    check(&store, &reference, 1, 4_000_000, 6_000_000, 7).await;
}

#[tokio::test]
async fn a_full_head_lags_and_catches_up() {
    let (_place, store) = fresh();
    store.shared.signals.head.set_points_max(50);
    for point in 0..120 {
        tell(&store, &[(1, point, point, Quality::Good)]).await;
    }
    assert_eq!(all(&store, 1).await.len(), 50, "the head takes no more than it may");
    store.tend_history().await.unwrap();
    assert_eq!(all(&store, 1).await.len(), 120);
    assert!(store.shared.signals.head.points() <= 50);
    tell(&store, &[(1, 120, 1, Quality::Good)]).await;
    assert_eq!(all(&store, 1).await.len(), 121);
}

#[tokio::test]
async fn the_keeper_seals_after_an_hour_and_ends_when_asked() {
    let (_place, store) = fresh();
    let stop = tokio_util::sync::CancellationToken::new();
    let mut tasks = tokio::task::JoinSet::new();
    tasks.spawn(store.clone().keep_history(stop.clone()));
    let hour = |hours: u64| Now { steady: Steady(hours * 3_600_000), ..moment(hours) };
    for seq in 1..=2 {
        let batch = Batch { now: hour(seq), ..batch(seq, &[(1, seq as i64, 5, Quality::Good)]) };
        store.commit(&Commit { batch: Some(batch), ..Commit::default() }).await.unwrap();
    }
    let sealed = async {
        while store.cursor(CONSUMER).await.unwrap() < 2 {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(std::time::Duration::from_secs(20), sealed).await.expect("it is sealed");
    stop.cancel();
    tasks.join_next().await.unwrap().unwrap().unwrap();
}

#[tokio::test]
async fn a_damaged_chunk_is_a_gap_and_old_chunks_go() {
    let (place, store) = fresh();
    for part in 0..3 {
        let told: Vec<Told> = (0..400).map(|second| (1, part * 1000 + second, 1, Quality::Good)).collect();
        tell(&store, &told).await;
        store.seal().await.unwrap();
    }
    place.sql("UPDATE chunks SET bytes = x'02ff' WHERE id = 2");
    assert_eq!(all(&store, 1).await.len(), 800);

    let day = 24 * 3_600_000;
    let late = Batch { now: Now { steady: Steady(10 * day), ..moment(4) }, ..batch(4, &[]) };
    store.commit(&Commit { batch: Some(late), ..Commit::default() }).await.unwrap();
    let mut connection = rusqlite::Connection::open(place.path()).unwrap();
    upkeep::step(&mut connection, &crate::store::Limits { history_days_max: 11, ..LIMITS }).unwrap();
    assert_eq!(chunks(&place).len(), 3);
    upkeep::step(&mut connection, &crate::store::Limits { history_days_max: 9, ..LIMITS }).unwrap();
    assert_eq!(chunks(&place).len(), 0);
}

#[tokio::test]
async fn ranges_at_the_ends_of_time_do_not_overflow() {
    let (_place, store) = fresh();
    tell(&store, &[(1, 0, 100, Quality::Good), (1, 1, 200, Quality::Good), (1, 2, 600, Quality::Good)]).await;
    let ask = |from, to, max| store.series(DeviceIx(1), METRIC, Timestamp(from), Timestamp(to), max);
    let whole = ask(i64::MIN, i64::MAX, 1).await.unwrap();
    assert_eq!(whole.len(), 1);
    assert_eq!(
        (whole[0].min, whole[0].max, whole[0].mean, whole[0].last, whole[0].count),
        (1.0, 6.0, 3.0, 6.0, 3)
    );
    assert_eq!(ask(5, 5, 10).await.unwrap(), []);
    assert_eq!(ask(9, 5, 10).await.unwrap(), []);
    assert_eq!(ask(0, 2000, 10).await.unwrap().len(), 2, "the end is not part of the range");
    assert_eq!(ask(0, 3000, 0).await.unwrap().len(), 1);
}
