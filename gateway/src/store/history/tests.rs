//! The history against a plain list: late points, duplicates, sealings, mergings and restarts anywhere change nothing, and retention takes only what is too old.

use std::collections::BTreeMap;

use proptest::prelude::*;
use rusqlite::{Connection, params};
use tokio_util::sync::CancellationToken;

use super::seal::Building;
use super::*;
use crate::model::{Freshness, Report, Value};
use crate::store::tests::{LIMITS, Place, fresh, moment};
use crate::store::{Commit, Limits, file, upkeep};
use crate::units::Now;
use crate::units::{Millis, Steady};

const METRIC: Metric = Metric::TEMPERATURE;
const DEVICES: u32 = 3;
const DAY: Millis = Millis::from_secs(24 * 3600);

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
    // Four a day, so that a limit of one day means something.
    let now = Now { steady: Steady(seq * DAY.0 / 4), ..moment(seq) };
    Batch { seq, now, events: told.iter().map(event).collect() }
}

async fn tell(store: &Store, told: &[Told]) {
    let seq = *store.newest().borrow() + 1;
    store.commit(&Commit { batch: Some(batch(seq, told)), ..Commit::default() }).await.unwrap();
}

/// What a plain list says.
#[derive(Default)]
struct Reference {
    /// Value, and number of the batch that told it.
    points: BTreeMap<(u32, i64), (f64, u64)>,
}

impl Reference {
    fn tell(&mut self, told: &[Told], seq: u64) {
        for &(device, time, hundredths, quality) in told {
            if quality != Quality::Bad {
                self.points.insert((device, time * 1000), (hundredths as f64 / 100.0, seq));
            }
        }
    }

    fn samples(&self, device: u32, from: i64, to: i64, points_max: u32) -> Vec<Sample> {
        let points: Vec<(i64, f64)> = self
            .points
            .range((device, from)..(device, to))
            .map(|(&(_, time), &(value, _))| (time, value))
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
    /// A part of the points is written as a run, then the power goes, or only the writing fails.
    CutInSealing {
        restart: bool,
    },
    Merge,
    /// The same while two runs become one.
    CutInMerging {
        restart: bool,
    },
    Restart,
    /// What is older than a day goes.
    Retain,
    Ask {
        device: u32,
        from: i64,
        length: i64,
        points_max: u32,
    },
}

fn told() -> impl Strategy<Value = Vec<Told>> {
    // Mostly forward in time, sometimes far back, and often the same second again.
    let time = prop_oneof![0i64..400, 300i64..2000];
    let quality = prop_oneof![
        8 => Just(Quality::Good),
        1 => Just(Quality::Uncertain),
        1 => Just(Quality::Bad)
    ];
    proptest::collection::vec((0..DEVICES, time, -500i64..500, quality), 0..150)
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        6 => told().prop_map(Step::Tell),
        4 => Just(Step::Seal),
        1 => any::<bool>().prop_map(|restart| Step::CutInSealing { restart }),
        2 => Just(Step::Merge),
        2 => any::<bool>().prop_map(|restart| Step::CutInMerging { restart }),
        1 => Just(Step::Restart),
        1 => Just(Step::Retain),
        4 => (0..DEVICES, -10i64..2000, 0i64..2100, 1u32..300).prop_map(|(device, from, length, points_max)| {
            Step::Ask { device, from: from * 1000, length: length * 1000 + 1, points_max }
        }),
    ]
}

fn open(place: &Place) -> Store {
    let store = place.open();
    store.merge_two_at_a_time();
    store
}

async fn try_out(old: Vec<Vec<Told>>, script: Vec<Step>) {
    let place = Place::new();
    let mut store = open(&place);
    let mut reference = Reference::default();
    for told in old {
        put_chunks(&place, &told);
        reference.tell(&told, 0);
    }
    for step in script {
        match step {
            Step::Tell(told) => {
                tell(&store, &told).await;
                reference.tell(&told, *store.newest().borrow());
            }
            Step::Seal => store.seal().await.unwrap(),
            Step::CutInSealing { restart } => {
                if let Some(sealing) = store.shared.signals.head.begin_sealing() {
                    let mut points = sealing.in_order().next(usize::MAX);
                    points.truncate(points.len() / 2);
                    Building::new(0).add(&store, points).await.unwrap();
                }
                if restart {
                    drop(store);
                    store = open(&place);
                }
            }
            Step::Merge => store.merge().await.unwrap(),
            Step::CutInMerging { restart } => {
                store.merge_a_slice().await.unwrap();
                if restart {
                    drop(store);
                    store = open(&place);
                } else {
                    store.shared.tending.forget_merging().await;
                }
            }
            Step::Restart => {
                drop(store);
                store = open(&place);
            }
            Step::Retain => retain(&place, &store, &mut reference).await,
            Step::Ask { device, from, length, points_max } => {
                check(&store, &reference, device, from, from + length, points_max).await;
            }
        }
    }
    check_all(&store, &reference).await;
    // And once everything is in as few runs as can be.
    store.seal().await.unwrap();
    store.merge().await.unwrap();
    check_all(&store, &reference).await;
}

/// What is a day old may go, what is younger must not; afterwards the list has what is left.
async fn retain(place: &Place, store: &Store, reference: &mut Reference) {
    clear(place, 1);
    let newest = *store.newest().borrow();
    for device in 0..DEVICES {
        let left = all(store, device).await;
        let left: BTreeMap<i64, f64> = left.iter().map(|sample| (sample.time.0, sample.last)).collect();
        reference.points.retain(|&(its, time), &mut (_, seq)| {
            let gone = its == device && !left.contains_key(&time);
            assert!(!gone || seq + 4 < newest, "a point of batch {seq} is gone at {newest}");
            !gone
        });
    }
    check_all(store, reference).await;
}

/// What the writer does between commits, until there is nothing more of it.
fn clear(place: &Place, history_days_max: u32) {
    let mut connection = Connection::open(place.path()).unwrap();
    while upkeep::step(&mut connection, &Limits { history_days_max, ..LIMITS }).unwrap() {}
    let left = |sql| connection.query_row(sql, (), |row| row.get::<_, u32>(0)).unwrap();
    assert_eq!(left("SELECT count(*) FROM history_runs WHERE state = 'going'"), 0);
    assert_eq!(
        left("SELECT count(*) FROM history_blocks WHERE run NOT IN (SELECT run FROM history_runs)"),
        0
    );
}

/// As they were stored before there were runs.
fn put_chunks(place: &Place, told: &[Told]) {
    let connection = Connection::open(place.path()).unwrap();
    for device in 0..DEVICES {
        let its = told.iter().filter(|told| told.0 == device && told.3 != Quality::Bad);
        let mut points: Vec<Point> = its
            .map(|&(_, time, hundredths, quality)| {
                let uncertain = quality == Quality::Uncertain;
                let dot = Dot { time: time * 1000, value: hundredths as f64 / 100.0, uncertain };
                Point { series: 0, dot }
            })
            .collect();
        settle(&mut points);
        let dots: Vec<Dot> = points.iter().map(|point| point.dot).collect();
        let [first, ..] = dots.as_slice() else { continue };
        let last = dots.last().unwrap_or(first);
        connection
            .execute(
                "INSERT INTO chunks (series, first, last, points, steady, bytes) VALUES (?1, ?2, ?3, ?4, 0, ?5)",
                params![device << 16 | u32::from(METRIC.number()), first.time, last.time, dots.len() as u32, chunk::tests::encode(&dots)],
            )
            .unwrap();
    }
}

async fn check_all(store: &Store, reference: &Reference) {
    for device in 0..DEVICES {
        check(store, reference, device, -1_000_000, 10_000_000, 1_000_000).await;
    }
}

async fn check(store: &Store, reference: &Reference, device: u32, from: i64, to: i64, points_max: u32) {
    let found =
        store.series(DeviceIx(device), METRIC, Timestamp(from), Timestamp(to), points_max).await.unwrap();
    assert_eq!(found, reference.samples(device, from, to, points_max));
    assert!(found.len() <= points_max as usize);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(60))]

    #[test]
    fn tells_the_same_as_a_plain_list(
        old in proptest::collection::vec(told(), 0..3),
        script in proptest::collection::vec(step(), 1..40),
    ) {
        tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .build()
            .expect("a runtime for the test")
            .block_on(try_out(old, script));
    }
}

async fn all(store: &Store, device: u32) -> Vec<Sample> {
    store.series(DeviceIx(device), METRIC, Timestamp(i64::MIN), Timestamp(i64::MAX), u32::MAX).await.unwrap()
}

/// Level and points of each run that counts, the oldest first.
fn runs_of(place: &Place) -> Vec<(u32, u64)> {
    let connection = Connection::open(place.path()).unwrap();
    runs::whole(&connection).unwrap().iter().map(|run| (run.level, run.points)).collect()
}

fn count(place: &Place, table: &str) -> u32 {
    let connection = Connection::open(place.path()).unwrap();
    connection.query_row(&format!("SELECT count(*) FROM {table}"), (), |row| row.get(0)).unwrap()
}

#[tokio::test]
async fn eight_runs_become_one_and_eight_of_those_again() {
    let (place, store) = fresh();
    let mut reference = Reference::default();
    for point in 0..64 {
        let told = [(1, point, point, Quality::Good), (2, 7, point, Quality::Good)];
        tell(&store, &told).await;
        reference.tell(&told, 1);
        store.seal().await.unwrap();
        store.merge().await.unwrap();
        let levels: Vec<u32> = runs_of(&place).iter().map(|run| run.0).collect();
        let sealed = point as usize + 1;
        let mut wanted = vec![2; sealed / 64];
        wanted.extend(vec![1; sealed % 64 / 8]);
        wanted.extend(vec![0; sealed % 8]);
        assert_eq!(levels, wanted, "after {sealed} sealings");
    }
    assert_eq!(runs_of(&place), [(2, 65)], "64 of one series, and of the other the one that came last");
    check_all(&store, &reference).await;
    clear(&place, 400);
    assert_eq!(count(&place, "history_blocks"), 1, "what was merged is taken away");
}

#[tokio::test]
async fn a_fast_series_is_cut_into_blocks_and_slices() {
    let (place, store) = fresh();
    let mut reference = Reference::default();
    // More than one transaction's worth, and the second half of it once more.
    for part in [0..70_000i64, 35_000..70_000] {
        let told: Vec<Told> = part.map(|second| (1, second, second % 700, Quality::Good)).collect();
        for told in told.chunks(10_000) {
            tell(&store, told).await;
            reference.tell(told, 1);
        }
        store.seal().await.unwrap();
    }
    assert_eq!(runs_of(&place), [(0, 70_000), (0, 35_000)]);
    assert_eq!(count(&place, "history_blocks"), 18 + 9);
    assert_eq!(store.cursor(CONSUMER).await.unwrap(), *store.newest().borrow());
    assert_eq!(store.shared.signals.head.len(), 0);
    check(&store, &reference, 1, 0, 100_000_000, 50).await;
    check(&store, &reference, 1, 12_345_678, 50_000_001, 100_000).await;
    store.merge_two_at_a_time();
    store.merge().await.unwrap();
    assert_eq!(runs_of(&place), [(1, 70_000)]);
    check(&store, &reference, 1, 0, 100_000_000, 50).await;
    check(&store, &reference, 1, 12_345_678, 50_000_001, 100_000).await;
}

#[tokio::test]
async fn runs_inside_a_long_one_are_merged_with_it() {
    let (place, store) = fresh();
    let mut reference = Reference::default();
    // A device that was away sends a long stretch late; two short ones lie inside it, apart from each other.
    for (first, every) in [(0, 25), (1000, 1), (5000, 1)] {
        let told: Vec<Told> = (0..400).map(|n| (1, first + n * every, first + n, Quality::Good)).collect();
        tell(&store, &told).await;
        reference.tell(&told, 1);
        store.seal().await.unwrap();
    }
    assert_eq!(runs_of(&place), [(0, 400), (0, 400), (0, 400)]);
    tell(&store, &[(1, 5010, 42, Quality::Good)]).await;
    reference.tell(&[(1, 5010, 42, Quality::Good)], 1);
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
    store.tend_history(&CancellationToken::new()).await.unwrap();
    assert_eq!(all(&store, 1).await.len(), 120);
    assert!(store.shared.signals.head.len() <= 50);
    tell(&store, &[(1, 120, 1, Quality::Good)]).await;
    assert_eq!(all(&store, 1).await.len(), 121);
}

#[tokio::test]
async fn the_keeper_seals_after_an_hour_and_ends_when_asked() {
    let (_place, store) = fresh();
    let stop = CancellationToken::new();
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
async fn a_damaged_block_is_a_gap_and_old_runs_go_as_a_whole() {
    let (place, store) = fresh();
    for part in 0..3 {
        let told: Vec<Told> = (0..400).map(|second| (1, part * 1000 + second, 1, Quality::Good)).collect();
        tell(&store, &told).await;
        store.seal().await.unwrap();
    }
    put_chunks(&place, &[(1, 9_000, 5, Quality::Good)]);
    place.sql("UPDATE history_blocks SET bytes = x'02ff' WHERE id = 2");
    assert_eq!(all(&store, 1).await.len(), 801);
    store.merge_two_at_a_time();
    store.merge().await.unwrap();
    assert_eq!(runs_of(&place), [(1, 400), (0, 400)], "a damaged block does not stop the merging");

    // The merged run has points of half a day, the other of three quarters of a day.
    let late = Now { steady: Steady(10 * DAY.0), ..moment(4) };
    let last = Batch { now: late, ..batch(4, &[]) };
    store.commit(&Commit { batch: Some(last), ..Commit::default() }).await.unwrap();
    clear(&place, 10);
    assert_eq!((runs_of(&place).len(), count(&place, "chunks")), (2, 1));
    let later = Now { steady: Steady(10 * DAY.0 + DAY.0 * 5 / 8), ..moment(5) };
    let last = Batch { now: later, ..batch(5, &[]) };
    store.commit(&Commit { batch: Some(last), ..Commit::default() }).await.unwrap();
    clear(&place, 10);
    assert_eq!((runs_of(&place), count(&place, "chunks")), (vec![(0, 400)], 0));
    clear(&place, 9);
    assert_eq!((runs_of(&place), count(&place, "history_blocks")), (vec![], 0));
    assert_eq!(all(&store, 1).await.len(), 0);
}

#[tokio::test]
async fn a_lost_list_of_runs_is_put_together_from_their_blocks() {
    let (place, store) = fresh();
    let mut reference = Reference::default();
    for part in 0..3 {
        let told: Vec<Told> = (0..200).map(|second| (1, part * 100 + second, part, Quality::Good)).collect();
        tell(&store, &told).await;
        reference.tell(&told, 1);
        store.seal().await.unwrap();
    }
    drop(store);
    place.sql("DELETE FROM history_runs");
    file::note_broken(&place.path(), "a page of it is lost");
    let (store, recovered) = place.recover(LIMITS);
    assert!(recovered.findings.iter().any(|finding| finding.contains("3 runs")), "{:?}", recovered.findings);
    check_all(&store, &reference).await;
    let told = [(1, 150, 77, Quality::Good)];
    tell(&store, &told).await;
    reference.tell(&told, 1);
    store.seal().await.unwrap();
    store.merge().await.unwrap();
    check_all(&store, &reference).await;
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
