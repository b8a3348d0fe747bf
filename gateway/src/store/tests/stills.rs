//! Pictures of cameras' events: whole or not there, and within their limits.

use super::*;
use crate::store::stills::{Limits as StillLimits, NewStill};

const ROOM: StillLimits = StillLimits { bytes_max: 400_000, days_max: 30 };
const DAY_S: u64 = 24 * 3600;

fn picture(device: u32, fill: u8, bytes: usize) -> NewStill {
    NewStill {
        device: DeviceIx(device),
        at: Timestamp(1_000),
        event: Metric::FLAME,
        kind: "image/jpeg",
        bytes: vec![fill; bytes],
    }
}

#[tokio::test]
async fn a_picture_is_whole_and_there_after_a_restart() {
    let (place, store) = fresh();
    let first = store.keep_still(picture(1, 7, 150_000), moment(1), ROOM).await.unwrap().unwrap();
    let second = store.keep_still(picture(1, 8, 10), moment(2), ROOM).await.unwrap().unwrap();
    let other = store.keep_still(picture(2, 9, 10), moment(2), ROOM).await.unwrap().unwrap();
    drop(store);
    let store = place.open();
    assert_eq!(store.still_bytes(first).await.unwrap(), Some(vec![7; 150_000]));
    let listed: Vec<_> = store.stills(DeviceIx(1), 9).await.unwrap().iter().map(|one| one.number).collect();
    assert_eq!(listed, [second, first], "newest first");
    let newest: Vec<_> = store.newest_stills().await.unwrap().iter().map(|one| one.number).collect();
    assert_eq!(newest, [second, other]);
    place.sql(&format!("UPDATE stills SET whole = 0 WHERE number = {second}"));
    assert_eq!(store.still(second).await.unwrap(), None, "half a picture is none");
    place.sql(&format!("DELETE FROM still_parts WHERE still = {first} AND place = 1"));
    assert!(matches!(store.still_bytes(first).await, Err(StoreError::Damaged(_))));
}

#[tokio::test]
async fn pictures_go_when_they_are_old_or_there_are_too_many() {
    let (_place, store) = fresh();
    let keep = |device, bytes, at| store.keep_still(picture(device, 1, bytes), moment(at), ROOM);
    let numbers = async |store: &Store| {
        let found = store.stills(DeviceIx(1), 9).await.unwrap();
        found.iter().map(|one| one.number).collect::<Vec<_>>()
    };
    assert_eq!(keep(1, 400_001, 1).await.unwrap(), None, "larger than all the room");
    let first = keep(1, 200_000, 1).await.unwrap().unwrap();
    let second = keep(1, 200_000, 10 * DAY_S).await.unwrap().unwrap();
    assert_eq!(numbers(&store).await, [second, first], "just full");
    let third = keep(1, 1, 11 * DAY_S).await.unwrap().unwrap();
    assert_eq!(numbers(&store).await, [third, second], "the oldest makes room");
    assert_eq!(store.still_bytes(first).await.unwrap(), None);
    let large = keep(1, 399_999, 10 * DAY_S).await.unwrap().unwrap();
    assert_eq!(numbers(&store).await, [large, third], "as many as it needs, and no more");
    let third = keep(1, 1, 11 * DAY_S).await.unwrap().unwrap();
    let second = large;
    assert_eq!(numbers(&store).await, [third, second]);
    assert!(!store.clear_stills(moment(40 * DAY_S), ROOM).await.unwrap());
    assert_eq!(numbers(&store).await, [third, second], "thirty days are not over");
    store.clear_stills(moment(40 * DAY_S + 1), ROOM).await.unwrap();
    assert_eq!(numbers(&store).await, [third]);
}
