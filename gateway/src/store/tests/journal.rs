//! Batches, cursors, dead letters and what retention drops.

use super::*;

#[tokio::test]
async fn batches_come_in_order_and_in_portions() {
    let (_place, store) = fresh();
    for seq in 1..=10 {
        store.commit(&commit(seq)).await.unwrap();
    }
    let numbers = |batches: Vec<Batch>| batches.iter().map(|batch| batch.seq).collect::<Vec<_>>();
    assert_eq!(numbers(store.batches_after(0, 1).await.unwrap()), [1], "at least one");
    let portion = numbers(store.batches_after(3, 60).await.unwrap());
    assert!(portion.len() > 1 && portion.len() < 7 && portion[0] == 4, "{portion:?}");
    assert_eq!(numbers(store.batches_after(10, 60).await.unwrap()), [0; 0]);
}

#[tokio::test]
async fn consumers_are_woken_after_the_commit() {
    let (_place, store) = fresh();
    let mut newest = store.newest();
    store.commit(&commit(1)).await.unwrap();
    newest.changed().await.unwrap();
    assert_eq!(*newest.borrow_and_update(), 1);
    store.commit(&Commit { dead: vec![letter(1)], ..Commit::default() }).await.unwrap();
    assert!(!newest.has_changed().unwrap(), "no batch, no call");
}

#[tokio::test]
async fn a_cursor_never_moves_back() {
    let place = Place::new();
    let store = place.open();
    assert_eq!(store.cursor("influx").await.unwrap(), 0);
    store.move_cursor("influx", 5, vec![letter(1)]).await.unwrap();
    store.move_cursor("influx", 3, Vec::new()).await.unwrap();
    store.move_cursor("upstream", 1, Vec::new()).await.unwrap();
    drop(store);
    let store = place.open();
    assert_eq!(store.cursor("influx").await.unwrap(), 5);
    assert_eq!(store.cursor("upstream").await.unwrap(), 1);
    assert_eq!(store.dead_letters(None, 9).await.unwrap(), [(1, letter(1))]);
}

#[tokio::test]
async fn a_damaged_batch_is_passed_by() {
    let place = Place::new();
    let store = place.open();
    for seq in 1..=3 {
        store.commit(&commit(seq)).await.unwrap();
    }
    place.sql("UPDATE journal SET bytes = x'0102030405060708' WHERE seq = 2");
    let batches = store.batches_after(0, 1 << 20).await.unwrap();
    assert_eq!(batches[0], batch(1));
    assert_eq!(batches[1], Batch { seq: 2, now: moment(2), events: Vec::new() });
    assert_eq!(batches[2], batch(3));
}

#[tokio::test]
async fn dead_letters_have_a_limit_and_pages() {
    let (_place, store) = fresh();
    for number in 1..=150 {
        let dead = vec![DeadLetter { payload: vec![1; 20_000], ..letter(number) }];
        store.commit(&Commit { dead, ..Commit::default() }).await.unwrap();
    }
    let page = store.dead_letters(None, 30).await.unwrap();
    assert_eq!((page.len(), page[0].0, page[29].0), (30, 150, 121));
    assert_eq!(page[0].1.payload.len(), 16 << 10);
    assert!(page[0].1.reason.contains("20000"), "{}", page[0].1.reason);
    let rest = store.dead_letters(Some(121), 1000).await.unwrap();
    assert_eq!((rest.len(), rest[0].0, rest[69].0), (70, 120, 51));
    let counts = store.counts().await.unwrap();
    assert_eq!((counts.dead_letters, counts.dead_letters_dropped), (100, 50));
}

/// One step of upkeep at a time, as the writer does it, until there is nothing more to do.
fn tidy(store: &Store, limits: Limits) {
    let mut connection = Connection::open(&store.shared.path).unwrap();
    while upkeep::step(&mut connection, &limits).unwrap() {}
}

async fn numbers(store: &Store) -> (u64, u64) {
    let counts = store.counts().await.unwrap();
    (counts.oldest_seq, counts.newest_seq)
}

#[tokio::test]
async fn retention_by_size_keeps_what_a_restart_needs() {
    let place = Place::new();
    let store = place.open();
    for seq in 1..=1000 {
        let snapshot = (seq == 700 || seq == 900).then(|| vec![1]);
        store.commit(&Commit { snapshot, ..commit(seq) }).await.unwrap();
    }
    store.move_cursor("influx", 650, Vec::new()).await.unwrap();
    let before = store.counts().await.unwrap();
    let each = before.journal_bytes / 1000;
    tidy(&store, Limits { journal_bytes_max: before.journal_bytes - 250 * each, ..LIMITS });
    let (oldest, _) = numbers(&store).await;
    assert!((220..=270).contains(&oldest), "about 250 are dropped, not {oldest}");
    assert_eq!(store.dropped("influx").await.unwrap(), 0, "all of them were confirmed");

    tidy(&store, Limits { journal_bytes_max: 0, ..LIMITS });
    assert_eq!(numbers(&store).await, (701, 1000), "batches after the older snapshot stay");
    assert_eq!(store.dropped("influx").await.unwrap(), 50);
    assert_eq!(store.dropped("nobody").await.unwrap(), 0);
    assert_eq!(store.batches_after(5, 1).await.unwrap()[0].seq, 701, "the gap is skipped");
    let after = store.counts().await.unwrap();
    assert!(after.journal_bytes.abs_diff(300 * each) < 600, "{} for 300 × {each}", after.journal_bytes);
    drop(store);
    let (store, recovered) = place.recover(LIMITS);
    assert_eq!(recovered.last, Some((1000, moment(1000))));
    store.commit(&commit(1001)).await.unwrap();
}

#[tokio::test]
async fn retention_by_age_goes_by_the_steady_clock() {
    let (_place, store) = fresh();
    let day = Millis::from_secs(24 * 3600);
    for seq in 1..=10 {
        // The wall clock jumps about; the steady clock counts days.
        let wall = Timestamp(if seq % 2 == 0 { 0 } else { 4_000_000_000_000 });
        let now = Now { wall, steady: Steady(seq * day.0) };
        let batch = Batch { seq, now, events: Vec::new() };
        store
            .commit(&Commit { batch: Some(batch), snapshot: Some(vec![1]), ..Commit::default() })
            .await
            .unwrap();
    }
    tidy(&store, Limits { journal_days_max: 4, ..LIMITS });
    assert_eq!(numbers(&store).await, (6, 10));
    tidy(&store, Limits { journal_days_max: 0, ..LIMITS });
    assert_eq!(numbers(&store).await, (10, 10));
}

#[tokio::test]
async fn the_newest_batch_stays_whatever_the_limits() {
    let (place, store) = fresh();
    store.commit(&commit(1)).await.unwrap();
    store.commit(&Commit { snapshot: Some(vec![1]), ..commit(2) }).await.unwrap();
    tidy(&store, Limits { journal_bytes_max: 0, journal_days_max: 0, ..LIMITS });
    assert_eq!(numbers(&store).await, (2, 2), "it holds the number and the time to go on from");
    drop(store);
    assert_eq!(place.recover(LIMITS).1.last, Some((2, moment(2))));
}

#[tokio::test]
async fn the_writer_keeps_the_limits_by_itself() {
    let place = Place::new();
    let (store, _) = place.recover(Limits { journal_bytes_max: 2000, ..LIMITS });
    for seq in 1..=2000 {
        store.commit(&Commit { snapshot: (seq % 10 == 0).then(|| vec![1]), ..commit(seq) }).await.unwrap();
    }
    let counts = store.counts().await.unwrap();
    assert!(counts.journal_bytes < 20_000, "{} bytes are kept", counts.journal_bytes);
}
