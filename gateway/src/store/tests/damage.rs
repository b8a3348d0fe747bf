//! Files torn, overwritten with zeros and with flipped bits after a kill: the store opens, and says what is lost.
//!
//! More of it: `GRIDWARDEN_DAMAGE_SEEDS=5000 cargo test -p gateway --lib store::tests::damage`.

use std::fs;
use std::path::Path;
use std::time::Duration;

use super::*;
use crate::grid::{Device, Rows};
use crate::model::DeviceKind;
use crate::store::alarms::Query;

const BATCHES: u64 = 60;

fn device(ix: u32) -> Device {
    Device {
        ix: DeviceIx(ix),
        id: format!("SD-{ix}"),
        kind: DeviceKind::SmokeDetector,
        name: format!("{ix} 号烟感"),
        address: format!("native:SD-{ix}"),
        cells: Arc::default(),
        place: format!("3栋2单元{ix}01 厨房"),
        position: None,
        silent_after: None,
        registered: Timestamp(0),
        retired: false,
    }
}

/// What a killed gateway leaves: registry, batches, alarms and alerts, a part of them only in the write-ahead log.
async fn left_behind() -> (TempDir, PathBuf) {
    let place = Place::new();
    let store = place.open();
    let rows = Rows { version: 1, devices: (0..60).map(device).collect(), ..Rows::default() };
    let audit = Audit {
        at: moment(0).wall,
        who: "test".into(),
        what: "registry.import".into(),
        target: String::new(),
        detail: String::new(),
    };
    assert!(store.save_registry(rows, audit).await.unwrap());
    let reader = Connection::open(place.path()).unwrap();
    for seq in 1..=BATCHES {
        let effects = vec![raised(seq, SignalClass::Fire), Effect::Tell(alert(seq, SignalClass::Fire, 1))];
        let snapshot = seq.is_multiple_of(20).then(|| vec![seq as u8; 5_000]);
        store.commit(&Commit { effects, snapshot, ..commit(seq) }).await.unwrap();
        if seq.is_multiple_of(2) {
            store.seal().await.unwrap();
            store.merge().await.unwrap();
        }
        if seq == BATCHES / 2 {
            // Not while another copy is being made.
            let all = "PRAGMA wal_checkpoint(TRUNCATE)";
            while reader.query_row(all, (), |row| row.get::<_, bool>(0)).unwrap() {
                tokio::task::yield_now().await;
            }
            // The rest is not copied into the database as long as somebody reads what there was.
            reader.execute_batch("BEGIN; SELECT count(*) FROM journal").unwrap();
        }
    }
    let copy = tempfile::tempdir().unwrap();
    for ending in ["", "-wal", "-mark"] {
        fs::copy(file::beside(&place.path(), ending), file::beside(&copy.path().join("s.db"), ending))
            .unwrap();
    }
    let path = copy.path().join("s.db");
    (copy, path)
}

/// Damages the file as the seed says; in words.
fn damage(bytes: &mut Vec<u8>, random: &mut fastrand::Rng) -> String {
    let at = random.usize(..bytes.len());
    match random.u8(..4) {
        0 => {
            bytes.truncate(at);
            format!("cut at {at}")
        }
        1 => {
            bytes[at..].fill(0);
            format!("zeros from {at}")
        }
        2 => {
            let to = bytes.len().min(at + 4096);
            bytes[at..to].fill(0);
            format!("zeros from {at} to {to}")
        }
        _ => {
            for _ in 0..=random.u8(..8) {
                let at = random.usize(..bytes.len());
                bytes[at] ^= 1 << random.u8(..8);
            }
            "flipped bits".to_owned()
        }
    }
}

/// What of everything acknowledged is still there: batches whole, alarms, alerts, devices.
async fn left(store: &Store) -> Result<[u64; 4], StoreError> {
    let batches = store.batches_after(0, usize::MAX).await?;
    let whole = batches.iter().filter(|found| **found == batch(found.seq)).count();
    let alarms = store.alarms(Query { limit: u32::MAX, ..Query::default() }).await?;
    let alarms = alarms.iter().filter(|found| **found == alarm(found.id.0, SignalClass::Fire)).count();
    let alerts = store.counts().await?.outbox_pending.values().sum();
    // A damaged block is a gap, logged and counted; a page of the list of runs is not.
    for device in 0..7 {
        let ends = (Timestamp(0), Timestamp(i64::MAX));
        store.series(DeviceIx(device), Metric::TEMPERATURE, ends.0, ends.1, 1_000).await?;
    }
    let devices = store.load_registry().await?.devices.iter().filter(|device| !device.retired).count();
    Ok([whole as u64, alarms as u64, alerts, devices as u64])
}

/// One more batch goes on top, and everything is read.
async fn works(store: &Store, recovered: &Recovered) -> Result<[u64; 4], StoreError> {
    let next = recovered.last.map_or(0, |(seq, _)| seq) + 1;
    assert!(next > BATCHES, "number {next} would be given twice");
    store.commit(&commit(next)).await?;
    left(store).await
}

#[tokio::test]
async fn damaged_anywhere_it_opens_and_nothing_is_lost_in_silence() {
    let seeds = std::env::var("GRIDWARDEN_DAMAGE_SEEDS").map_or(150, |text| text.parse().unwrap());
    let (_folder, origin) = left_behind().await;
    let (mut lossless, mut told, mut salvaged, mut unreadable) = (0, 0, 0, 0);
    let mut saved = [0; 4];
    for seed in 0..seeds {
        let mut random = fastrand::Rng::with_seed(seed);
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("s.db");
        for ending in ["", "-wal", "-mark"] {
            fs::copy(file::beside(&origin, ending), file::beside(&path, ending)).unwrap();
        }
        let victim = file::beside(&path, if random.bool() { "" } else { "-wal" });
        let mut bytes = fs::read(&victim).unwrap();
        let what = format!("seed {seed}, {}: {}", victim.display(), damage(&mut bytes, &mut random));
        fs::write(&victim, bytes).unwrap();

        let (mut store, mut recovered) = Store::open(&path, LIMITS)
            .unwrap_or_else(|error| panic!("{what}: {:#}", anyhow::Error::from(error)));
        let found = match works(&store, &recovered).await {
            Ok(found) => found,
            // What is found broken only at work ends the gateway, and its next start mends it.
            Err(_) => {
                drop(store);
                unreadable += 1;
                (store, recovered) =
                    open_again(&path).await.unwrap_or_else(|error| panic!("{what}, again: {error:?}"));
                assert!(!recovered.findings.is_empty(), "{what}: mended in silence");
                works(&store, &recovered).await.unwrap_or_else(|error| panic!("{what}, again: {error:?}"))
            }
        };
        let lost = found[0] < BATCHES + 1 || found[1] < BATCHES || found[2] < BATCHES || found[3] < 60;
        let damaged_in_place =
            store.batches_after(0, usize::MAX).await.unwrap().iter().any(|batch| batch.events.is_empty()); // Logged and counted when it is read.
        if lost {
            assert!(
                !recovered.findings.is_empty() || damaged_in_place,
                "{what}: {found:?} left and nothing said"
            );
            told += 1;
        } else {
            lossless += 1;
        }
        salvaged += u64::from(recovered.salvaged);
        for (sum, one) in saved.iter_mut().zip(found) {
            *sum += one;
        }
        drop(store);
        // And once more, in peace.
        let (_store, recovered) =
            open_again(&path).await.unwrap_or_else(|error| panic!("{what}, later: {error:?}"));
        assert!(!recovered.salvaged, "{what}: salvaged twice");
    }
    println!(
        "{seeds} damages: {lossless} lost nothing, {told} lost something and said so, {salvaged} were moved aside and salvaged, \
         {unreadable} noticed only at work; saved on average: batches, alarms, alerts, devices: {:?}",
        saved.map(|sum| sum as f64 / seeds as f64)
    );
}

#[tokio::test]
async fn a_store_without_its_end_says_how_many_batches_are_missing() {
    let (_folder, path) = left_behind().await;
    fs::remove_file(file::wal(&path)).unwrap();
    let (store, recovered) = Store::open(&path, LIMITS).unwrap();
    assert_eq!(
        recovered.findings,
        ["the newest 30 batches (31 to 60) are missing although they were acknowledged"]
    );
    assert_eq!(recovered.last.unwrap().0, BATCHES, "their numbers are not given again");
    store.commit(&commit(BATCHES + 1)).await.unwrap();
}

#[tokio::test]
async fn a_first_page_that_makes_no_sense_costs_nothing_but_itself() {
    let (_folder, path) = left_behind().await;
    fs::remove_file(file::wal(&path)).unwrap();
    let mut bytes = fs::read(&path).unwrap();
    bytes[..4096].fill(0xA5);
    fs::write(&path, bytes).unwrap();
    let (store, recovered) = Store::open(&path, LIMITS).unwrap();
    assert!(recovered.salvaged);
    assert_eq!(left(&store).await.unwrap(), [BATCHES / 2, BATCHES / 2, BATCHES / 2, 60]);
    assert!(recovered.findings[0].contains("damaged"), "{:?}", recovered.findings);
    let aside = fs::read_dir(path.parent().unwrap()).unwrap().filter_map(Result::ok);
    assert!(aside.map(|file| file.file_name()).any(|name| name.to_string_lossy().contains(".damaged-")));
}

#[tokio::test]
async fn a_file_that_was_never_ours_is_left_alone() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("letter.txt");
    fs::write(&path, "Dear operator,\n".repeat(1000)).unwrap();
    assert!(matches!(Store::open(&path, LIMITS), Err(StoreError::Foreign { .. })));
    assert!(fs::read_to_string(&path).unwrap().starts_with("Dear operator"));
}

/// A reader that has just answered may hold the file for a moment after its store was dropped.
async fn open_again(path: &Path) -> Result<(Store, Recovered), StoreError> {
    let until = crate::clock::instant() + Duration::from_secs(20);
    loop {
        match Store::open(path, LIMITS) {
            Err(StoreError::InUse { .. }) if crate::clock::instant() < until => {
                tokio::task::yield_now().await
            }
            opened => return opened,
        }
    }
}
