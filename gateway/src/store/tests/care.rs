//! Figures and backups.

use super::*;

#[tokio::test]
async fn figures_are_those_of_the_file() {
    let (_place, store) = fresh();
    let effects = vec![
        raised(1, SignalClass::Fire),
        Effect::Tell(alert(1, SignalClass::Fire, 1)),
        Effect::Tell(alert(1, SignalClass::Fire, 2)),
        Effect::Alarm(
            Box::new(Alarm { state: AlarmState::Closed, ..alarm(2, SignalClass::Test) }),
            entry(2, What::Closed),
        ),
    ];
    store.commit(&Commit { effects, ..commit(1) }).await.unwrap();
    store.commit(&commit(2)).await.unwrap();
    store.move_cursor("influx", 1, vec![letter(1)]).await.unwrap();
    let counts = store.counts().await.unwrap();
    assert_eq!((counts.oldest_seq, counts.newest_seq), (1, 2));
    assert_eq!((counts.dead_letters, counts.dead_letters_dropped), (1, 0));
    assert_eq!(counts.alarms_open, 1);
    assert_eq!(counts.outbox_pending.into_iter().collect::<Vec<_>>(), [(SignalClass::Fire, 2)]);
    assert_eq!(
        counts.cursors,
        [crate::store::care::Cursor { consumer: "influx".into(), seq: 1, dropped: 0 }]
    );
    assert!(counts.journal_bytes > 10 && counts.wal_bytes > 0 && counts.file_bytes > 0);
}

#[tokio::test]
async fn a_backup_opens_as_a_store_and_never_overwrites() {
    let place = Place::new();
    let store = place.open();
    store.commit(&commit(1)).await.unwrap();
    let to = place.folder.path().join("backup.db");
    store.backup(&to).await.unwrap();
    store.commit(&commit(2)).await.unwrap();
    let (copy, recovered) = Store::open(&to, LIMITS).unwrap();
    assert_eq!(recovered.last, Some((1, moment(1))));
    copy.commit(&commit(2)).await.unwrap();
    assert!(matches!(store.backup(&to).await, Err(StoreError::File { .. })));
}

#[tokio::test]
async fn a_backup_is_restored_and_what_was_there_is_kept() {
    let place = Place::new();
    let store = place.open();
    store.commit(&commit(1)).await.unwrap();
    let backup = place.folder.path().join("backup.db");
    store.backup(&backup).await.unwrap();
    store.commit(&commit(2)).await.unwrap();
    let now = Timestamp::parse_rfc3339("2026-11-23T05:00:00Z").unwrap();
    let error = restore::restore(&place.path(), &backup, now).unwrap_err();
    assert!(matches!(error, StoreError::InUse { .. }), "{error}");
    drop(store);

    let aside = restore::restore(&place.path(), &backup, now).unwrap().expect("there was a store");
    assert!(aside.to_string_lossy().ends_with(".before-20261123T050000.000Z"), "{}", aside.display());
    let (store, recovered) = place.recover(LIMITS);
    assert_eq!(recovered.last, Some((1, moment(1))));
    store.commit(&commit(2)).await.unwrap();
    drop(store);
    let (_, kept) = Store::open(&aside, LIMITS).unwrap();
    assert_eq!(kept.last, Some((2, moment(2))), "the newest commits too");

    // The same second again: what was set aside is not overwritten either.
    let error = restore::restore(&place.path(), &backup, now).unwrap_err();
    assert!(matches!(error, StoreError::File { .. }), "{error}");
    assert_eq!(place.recover(LIMITS).1.last, Some((2, moment(2))));
}

#[tokio::test]
async fn only_a_whole_backup_of_ours_is_restored() {
    let place = Place::new();
    let store = place.open();
    for seq in 1..200 {
        store.commit(&commit(seq)).await.unwrap();
    }
    let backup = place.folder.path().join("backup.db");
    store.backup(&backup).await.unwrap();
    drop(store);
    let refused = || restore::restore(&place.path(), &backup, Timestamp(0)).unwrap_err();

    let whole = std::fs::read(&backup).unwrap();
    std::fs::write(&backup, &whole[..whole.len() / 2]).unwrap();
    let error = refused();
    assert!(matches!(error, StoreError::Damaged(_) | StoreError::Open { .. }), "{error:?}");
    std::fs::write(&backup, "not a database, but long enough to look at it").unwrap();
    assert!(matches!(refused(), StoreError::Foreign { .. }));
    std::fs::write(&backup, "").unwrap();
    assert!(matches!(refused(), StoreError::Foreign { .. }));
    std::fs::write(&backup, &whole).unwrap();
    Connection::open(&backup).unwrap().execute_batch("PRAGMA user_version = 77").unwrap();
    assert!(matches!(refused(), StoreError::TooNew { found: 77, .. }));
    std::fs::remove_file(&backup).unwrap();
    assert!(matches!(refused(), StoreError::Open { .. }));
    assert_eq!(place.recover(LIMITS).1.last, Some((199, moment(199))), "the store was not touched");
}

/// Telephone numbers stand in it.
#[tokio::test]
async fn only_the_owner_can_read_the_store_its_wal_and_a_backup() {
    use std::os::unix::fs::PermissionsExt;
    let place = Place::new();
    let store = place.open();
    store.commit(&commit(1)).await.unwrap();
    let backup = place.folder.path().join("backup.db");
    store.backup(&backup).await.unwrap();
    for file in [place.path(), place.path().with_extension("db-wal"), backup] {
        let mode = std::fs::metadata(&file).unwrap().permissions().mode() & 0o777;
        assert_eq!(mode, 0o600, "{}: {mode:o}", file.display());
    }
}
