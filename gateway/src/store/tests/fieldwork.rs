//! Photos in parts: whole or not there, once, within their limits; and what may come twice, once.

use super::*;
use crate::store::attachments::{EACH_MAX, NewAttachment, RESIDENT, Stored, clear};
use crate::store::parts::PART_BYTES;
use crate::store::repeats::{Answered, Done, KEPT_EACH, Repeatable};

fn photo(alarm: u64, fill: u8, bytes: usize) -> NewAttachment {
    NewAttachment {
        alarm: AlarmId(alarm),
        who: "wang-li".into(),
        kind: "image/jpeg",
        note: String::new(),
        bytes: vec![fill; bytes],
        hash: [fill; 32],
    }
}

#[tokio::test]
async fn a_photo_is_whole_once_and_there_after_a_restart() {
    let (place, store) = fresh();
    let large = 3 * PART_BYTES + 5;
    let Stored::New(number) = store.attach(photo(1, 7, large), moment(1)).await.unwrap() else { panic!() };
    assert_eq!(store.attach(photo(1, 7, large), moment(2)).await.unwrap(), Stored::Before(number));
    assert!(
        matches!(store.attach(photo(2, 7, 9), moment(2)).await.unwrap(), Stored::New(_)),
        "another alarm's"
    );
    drop(store);
    let store = place.open();
    let (about, bytes) = store.attachment(number).await.unwrap().unwrap();
    assert_eq!((about.alarm, about.bytes, bytes), (AlarmId(1), large as u64, vec![7; large]));
    for fill in 10..10 + EACH_MAX as u8 - 1 {
        store.attach(photo(1, fill, 1), moment(3)).await.unwrap();
    }
    assert_eq!(store.attach(photo(1, 200, 1), moment(3)).await.unwrap(), Stored::TooMany);
}

#[tokio::test]
async fn half_a_photo_is_none_and_goes_and_a_lost_part_is_noticed() {
    let (place, store) = fresh();
    let Stored::New(number) = store.attach(photo(1, 7, 2 * PART_BYTES), moment(1)).await.unwrap() else {
        panic!()
    };
    place.sql(&format!("UPDATE attachments SET whole = 0 WHERE number = {number}"));
    assert!(store.attachment(number).await.unwrap().is_none());
    assert!(store.attachments(AlarmId(1)).await.unwrap().is_empty());
    let connection = Connection::open(place.path()).unwrap();
    assert_eq!(clear(&connection, moment(3_600), LIMITS.attachments).unwrap(), 0, "it may still be coming");
    assert_eq!(clear(&connection, moment(3_602), LIMITS.attachments).unwrap(), 1);
    let left: i64 =
        connection.query_row("SELECT count(*) FROM attachment_parts", (), |row| row.get(0)).unwrap();
    assert_eq!(left, 0);
    drop(connection);
    let Stored::New(number) = store.attach(photo(1, 8, 2 * PART_BYTES), moment(1)).await.unwrap() else {
        panic!()
    };
    place.sql(&format!("DELETE FROM attachment_parts WHERE attachment = {number} AND place = 1"));
    assert!(matches!(store.attachment(number).await, Err(StoreError::Damaged(_))));
}

#[tokio::test]
async fn closed_alarms_make_room_and_open_ones_do_not() {
    let place = Place::new();
    let bounds = attachments::Limits { bytes_max: 100, days_max: 30 };
    let (store, _) = place.recover(Limits { attachments: bounds, ..LIMITS });
    let effects = vec![raised(1, SignalClass::Fire), raised(2, SignalClass::Fire)];
    store.commit(&Commit { effects, ..Commit::default() }).await.unwrap();
    let Stored::New(first) = store.attach(photo(1, 1, 60), moment(1)).await.unwrap() else { panic!() };
    assert_eq!(store.attach(photo(2, 2, 60), moment(2)).await.unwrap(), Stored::Full);
    place.sql("UPDATE alarms SET state = 'closed' WHERE id = 1");
    assert!(matches!(store.attach(photo(2, 2, 60), moment(3)).await.unwrap(), Stored::New(_)));
    assert!(store.attachment(first).await.unwrap().is_none(), "the oldest of a closed alarm went");
    let connection = Connection::open(place.path()).unwrap();
    let later = moment(40 * 24 * 3600);
    assert_eq!(clear(&connection, later, bounds).unwrap(), 0, "of an open alarm none goes by age");
}

#[tokio::test]
async fn residents_share_a_part_of_the_room_and_take_none_of_the_workers() {
    let place = Place::new();
    let bounds = attachments::Limits { bytes_max: 400, days_max: 30 };
    let (store, _) = place.recover(Limits { attachments: bounds, ..LIMITS });
    let effects = vec![raised(1, SignalClass::Supervisory), raised(2, SignalClass::Supervisory)];
    store.commit(&Commit { effects, ..Commit::default() }).await.unwrap();
    let of_resident = |alarm, fill| NewAttachment { who: RESIDENT.into(), ..photo(alarm, fill, 60) };
    store.attach(photo(1, 9, 60), moment(1)).await.unwrap();
    assert!(matches!(store.attach(of_resident(1, 1), moment(1)).await.unwrap(), Stored::New(_)));
    assert_eq!(store.attach(of_resident(2, 2), moment(2)).await.unwrap(), Stored::Full, "a quarter");
    assert!(matches!(store.attach(photo(2, 3, 60), moment(2)).await.unwrap(), Stored::New(_)));
    place.sql("UPDATE alarms SET state = 'closed' WHERE id = 1");
    assert!(matches!(store.attach(of_resident(2, 2), moment(3)).await.unwrap(), Stored::New(_)));
    let left = store.attachments(AlarmId(1)).await.unwrap();
    assert_eq!(left.iter().map(|one| one.who.as_str()).collect::<Vec<_>>(), ["wang-li"], "its own went");
}

fn request(key: u32) -> Repeatable {
    Repeatable { account: "wang".into(), key: format!("k-{key}"), request: [key as u8; 32] }
}

#[tokio::test]
async fn a_deed_is_known_before_its_answer_and_the_first_answer_stays() {
    let (place, store) = fresh();
    let done = vec![Done { what: request(1), alarm: AlarmId(7) }];
    store.commit(&Commit { done, ..commit(1) }).await.unwrap();
    drop(store); // Killed before it could answer.
    let store = place.open();
    let known = store.repeat("wang", "k-1").await.unwrap().unwrap();
    assert_eq!((known.request, known.alarm, known.answered), ([1; 32], Some(AlarmId(7)), None));
    let answer = |status| Answered { status, location: Some("/x".into()), body: b"{}".to_vec() };
    store.answered(request(1), answer(200)).await.unwrap();
    store.answered(request(1), answer(409)).await.unwrap();
    assert_eq!(store.repeat("wang", "k-1").await.unwrap().unwrap().answered, Some(answer(200)));
    assert_eq!(store.repeat("li", "k-1").await.unwrap(), None, "another account's key is another key");
    for key in 2..KEPT_EACH + 2 {
        store.answered(request(key), answer(200)).await.unwrap();
    }
    assert_eq!(store.repeat("wang", "k-1").await.unwrap(), None, "the oldest went");
    assert!(store.repeat("wang", "k-2").await.unwrap().is_some());
}
