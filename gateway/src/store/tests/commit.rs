//! Committing, opening again, and every way to be refused.

use std::time::Duration;

use rusqlite::ErrorCode;
use tokio::task::JoinSet;

use super::*;

#[tokio::test]
async fn what_was_answered_is_there_after_opening_again() {
    let place = Place::new();
    let store = place.open();
    for seq in 1..=3 {
        store.commit(&commit(seq)).await.unwrap();
    }
    store.commit(&Commit { snapshot: Some(vec![9; 40]), ..commit(4) }).await.unwrap();
    assert_eq!(*store.newest().borrow(), 4);
    drop(store);
    let (store, recovered) = place.recover(LIMITS);
    assert_eq!(recovered.last, Some((4, moment(4))));
    assert_eq!(recovered.snapshot, Some((4, vec![9; 40])));
    let expected: Vec<_> = (1..=4).map(batch).collect();
    assert_eq!(store.batches_after(0, 1 << 20).await.unwrap(), expected);
    assert_eq!(*store.newest().borrow(), 4);
}

#[tokio::test]
async fn one_transaction_holds_everything() {
    let place = Place::new();
    let store = place.open();
    let audit = Audit {
        at: moment(1).wall,
        who: "app".into(),
        what: "alarm.acknowledge".into(),
        target: "A-1".into(),
        detail: "".into(),
    };
    let whole = Commit {
        effects: vec![
            raised(1, SignalClass::Fire),
            Effect::Tell(alert(1, SignalClass::Fire, 1)),
            Effect::Alarm(Box::new(alarm(1, SignalClass::Fire)), entry(1, What::Repeated)),
        ],
        dead: vec![letter(1)],
        audit: vec![audit.clone()],
        ..commit(1)
    };
    assert_eq!(store.commit(&whole).await.unwrap().entries, [1, 2]);
    drop(store);
    let store = place.open();
    assert_eq!(store.alarm(AlarmId(1)).await.unwrap(), Some(alarm(1, SignalClass::Fire)));
    assert_eq!(store.entries(AlarmId(1)).await.unwrap().len(), 2);
    assert_eq!(store.due("hook", Steady(0), 9, |_: &str| false).await.unwrap().rows.len(), 1);
    assert_eq!(store.dead_letters(None, 9).await.unwrap(), [(1, letter(1))]);
    assert_eq!(store.audit(None, 9).await.unwrap(), [(1, audit)]);
}

/// Keeps the writer busy until it gets a word, so that what is asked for meanwhile shares the next transaction.
async fn busy(store: &Store) -> (JoinSet<Result<(), StoreError>>, std::sync::mpsc::Sender<()>) {
    let (release, held) = std::sync::mpsc::channel();
    let (begun, has_begun) = tokio::sync::oneshot::channel();
    let store = store.clone();
    let wait = move |_: &mut Writing<'_>| {
        begun.send(()).expect("somebody waits for it");
        held.recv().expect("released");
        Ok(())
    };
    let mut tasks = JoinSet::new();
    tasks.spawn(async move { store.write(wait).await });
    has_begun.await.expect("the writer runs");
    (tasks, release)
}

/// Writes something, then fails.
async fn fails_halfway(store: &Store) -> StoreError {
    let work = |writing: &mut Writing<'_>| -> Result<(), Problem> {
        writing.connection.execute("INSERT INTO memo VALUES ('half', 'done')", ())?;
        writing.news.outbox = true;
        Err(StoreError::Damaged("halfway".into()).into())
    };
    store.write(work).await.unwrap_err()
}

fn with_alarm(seq: u64) -> Commit {
    Commit { effects: vec![raised(seq, SignalClass::Fire)], ..commit(seq) }
}

#[tokio::test]
async fn a_failed_request_takes_nothing_of_the_others_along() {
    let (_place, store) = fresh();
    let (_busy, release) = busy(&store).await;
    let outbox = store.outbox_changed();
    let (first, wrong, halfway, second, _) = tokio::join!(
        async { store.commit(&with_alarm(1)).await },
        async { store.commit(&with_alarm(7)).await },
        fails_halfway(&store),
        async { store.commit(&with_alarm(2)).await },
        async { release.send(()) },
    );
    assert!(first.is_ok() && second.is_ok());
    let wrong = wrong.unwrap_err();
    assert!(matches!(wrong, StoreError::OutOfOrder { newest: 1, offered: 7 }), "{wrong}");
    assert!(matches!(halfway, StoreError::Damaged(_)), "{halfway}");
    assert_eq!(store.recall("half").await.unwrap(), None);
    assert_eq!(store.alarm(AlarmId(7)).await.unwrap(), None);
    assert!(store.alarm(AlarmId(2)).await.unwrap().is_some());
    assert_eq!(*store.newest().borrow(), 2);
    assert!(!outbox.has_changed().unwrap(), "what failed is not told");
}

#[tokio::test]
async fn when_the_transaction_is_lost_everybody_in_it_is_told() {
    let (_place, store) = fresh();
    // Ends the whole transaction from inside, as SQLite itself does after some I/O errors.
    let trap = "CREATE TEMP TRIGGER trap BEFORE INSERT ON memo BEGIN SELECT RAISE(ROLLBACK, 'the disk is gone'); END";
    store.write(move |writing| Ok(writing.connection.execute_batch(trap)?)).await.unwrap();
    let (_busy, release) = busy(&store).await;
    let (before, trapped, after, _) = tokio::join!(
        async { store.commit(&with_alarm(1)).await },
        store.remember("any", "thing"),
        async { store.commit(&with_alarm(2)).await },
        async { release.send(()) },
    );
    for error in [before.map(|_| ()), trapped, after.map(|_| ())].map(Result::unwrap_err) {
        let StoreError::Write(error) = error else { panic!("a write error, not {error}") };
        assert!(error.to_string().contains("the disk is gone"), "{error}");
    }
    assert_eq!(*store.newest().borrow(), 0);
    assert_eq!(store.alarm(AlarmId(1)).await.unwrap(), None);
    store.commit(&with_alarm(1)).await.unwrap();
}

#[tokio::test]
async fn many_callers_share_transactions_and_each_gets_its_answer() {
    let (_place, store) = fresh();
    let mut tasks = JoinSet::new();
    for id in 1..=600u64 {
        let store = store.clone();
        tasks.spawn(async move {
            let effects = vec![raised(id, SignalClass::Trouble)];
            store.commit(&Commit { effects, ..Commit::default() }).await.map(|done| (id, done.entries))
        });
    }
    while let Some(done) = tasks.join_next().await {
        let (id, entries) = done.unwrap().unwrap();
        let mine = store.entries(AlarmId(id)).await.unwrap();
        assert_eq!(mine.iter().map(|(number, _)| *number).collect::<Vec<_>>(), entries);
    }
}

#[tokio::test]
async fn a_full_disk_is_an_error_and_not_the_end() {
    let (_place, store) = fresh();
    store.commit(&commit(1)).await.unwrap();
    let pages =
        |pages: &'static str| store.write(move |writing| Ok(writing.connection.execute_batch(pages)?));
    pages("PRAGMA max_page_count = 1").await.unwrap(); // SQLite takes the present size instead.
    let large = || Commit {
        dead: (0..80).map(|_| DeadLetter { payload: vec![7; 9000], ..letter(1) }).collect(),
        ..commit(2)
    };
    let StoreError::Write(error) = store.commit(&large()).await.unwrap_err() else { panic!("a write error") };
    assert_eq!(error.sqlite_error_code(), Some(ErrorCode::DiskFull));
    assert_eq!(*store.newest().borrow(), 1);
    assert_eq!(store.batches_after(0, 1 << 20).await.unwrap().len(), 1);
    assert_eq!(store.dead_letters(None, 9).await.unwrap(), []);
    pages("PRAGMA max_page_count = 1000000").await.unwrap();
    store.commit(&large()).await.unwrap();
    assert_eq!(store.batches_after(0, 1 << 20).await.unwrap().len(), 2);
}

#[tokio::test]
async fn a_copy_taken_at_any_moment_holds_what_was_answered_before() {
    let place = Place::new();
    let store = place.open();
    for seq in 1..=20 {
        store.commit(&commit(seq)).await.unwrap();
        let torn = tempfile::tempdir().unwrap();
        let copy = torn.path().join("gridwarden.db");
        // As after a power cut: the files without a closing checkpoint, and garbage where the next write was going on.
        std::fs::copy(place.path(), &copy).unwrap();
        let mut wal = std::fs::read(file::wal(&place.path())).unwrap();
        wal.extend_from_slice(&[0xAA; 1000]);
        std::fs::write(file::wal(&copy), wal).unwrap();
        let (_, recovered) = Store::open(&copy, LIMITS).unwrap();
        assert_eq!(recovered.last, Some((seq, moment(seq))));
    }
}

#[tokio::test]
async fn the_log_is_copied_beside_the_writer_and_begins_anew() {
    let place = Place::new();
    let store = place.open();
    let log = file::wal(&place.path());
    // Some three megabytes at once: more than calls for a copy, and less than the writer copies itself.
    let large = || (0..200).map(|_| DeadLetter { payload: vec![7; 16_000], ..letter(1) }).collect();
    for seq in 1..=4 {
        store.commit(&Commit { dead: large(), ..commit(seq) }).await.unwrap();
    }
    let mut seq = 4;
    // Until SQLite has counted that it began anew.
    while std::fs::read(&log).unwrap()[12..16] == [0; 4] {
        let bytes = std::fs::metadata(&log).unwrap().len();
        assert!(bytes < 30 << 20, "nobody has copied it: {bytes}");
        tokio::time::sleep(Duration::from_millis(10)).await;
        seq += 1;
        store.commit(&commit(seq)).await.unwrap();
    }
    drop(store);
    assert_eq!(place.recover(LIMITS).1.last, Some((seq, moment(seq))));
}

#[tokio::test]
async fn the_log_has_one_length_at_every_start() {
    let place = Place::new();
    let length = || std::fs::metadata(file::wal(&place.path())).unwrap().len();
    let store = place.open();
    let room = length();
    let large = (0..400).map(|_| DeadLetter { payload: vec![7; 16_000], ..letter(1) }).collect();
    store.commit(&Commit { dead: large, ..commit(1) }).await.unwrap();
    assert!(room < length());
    // A reader that is still there keeps the log from going with its store.
    let reader = Connection::open(place.path()).unwrap();
    drop(store);
    let (_store, recovered) = place.recover(LIMITS);
    assert_eq!((length(), recovered.last), (room, Some((1, moment(1)))));
    drop(reader);
}

#[tokio::test]
async fn a_second_gateway_is_refused_and_a_helper_is_not() {
    let place = Place::new();
    let first = place.open();
    let error = Store::open(&place.path(), LIMITS).err().unwrap();
    assert!(matches!(error, StoreError::InUse { .. }), "{error}");
    assert!(error.to_string().contains("store.path"));
    let helper = Store::open_beside(&place.path()).unwrap();
    helper.remember("cells.geojson", "abc").await.unwrap();
    assert_eq!(first.recall("cells.geojson").await.unwrap().as_deref(), Some("abc"));
    drop(first);
    let again = place.open();
    again.commit(&commit(1)).await.unwrap();
}

#[tokio::test]
async fn a_newer_file_is_refused_and_left_alone() {
    let place = Place::new();
    drop(place.open());
    place.sql("PRAGMA user_version = 77");
    let error = Store::open(&place.path(), LIMITS).err().unwrap();
    assert!(matches!(error, StoreError::TooNew { found: 77, known: schema::KNOWN, .. }), "{error}");
    let error = Store::open_beside(&place.path()).err().unwrap();
    assert!(matches!(error, StoreError::TooNew { .. }), "{error}");
}

#[test]
fn a_helper_does_not_change_the_tables_under_an_older_gateway() {
    let place = Place::new();
    let running = place.open();
    place.sql("PRAGMA user_version = 0");
    let error = Store::open_beside(&place.path()).err().unwrap();
    assert!(matches!(error, StoreError::OlderGateway { .. }), "{error}");
    drop(running);
}

#[test]
fn another_programs_file_is_refused_and_left_alone() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("other.db");
    let other = Connection::open(&path).unwrap();
    other.execute_batch("CREATE TABLE theirs (x); INSERT INTO theirs VALUES (1)").unwrap();
    drop(other);
    let before = std::fs::read(&path).unwrap();
    let error = Store::open(&path, LIMITS).err().unwrap();
    assert!(matches!(error, StoreError::Foreign { .. }), "{error}");
    assert_eq!(std::fs::read(&path).unwrap(), before);

    std::fs::write(&path, "station = \"no database at all\"\n".repeat(100)).unwrap();
    let error = Store::open(&path, LIMITS).err().unwrap();
    assert!(matches!(error, StoreError::Foreign { .. }), "{error}");
}

#[tokio::test]
async fn a_damaged_snapshot_gives_way_to_the_one_before() {
    let place = Place::new();
    let store = place.open();
    for seq in 1..=3 {
        store.commit(&Commit { snapshot: Some(vec![seq as u8; 9]), ..commit(seq) }).await.unwrap();
    }
    drop(store);
    place.sql("UPDATE snapshots SET bytes = x'00' WHERE seq = 3");
    let (_, recovered) = place.recover(LIMITS);
    assert_eq!(recovered.snapshot, Some((2, vec![2; 9])));
}
