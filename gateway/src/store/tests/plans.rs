//! Plans with what hangs on them, and the bytes of their pictures; the leave of a flat.

use super::*;
use crate::grid::dwellings::{Household, Leave};
use crate::grid::plan::{Picture, Shows};
use crate::grid::{Pin, Plan, Rows};

fn audit() -> Audit {
    let text = String::new;
    Audit { at: Timestamp(1), who: text(), what: text(), target: text(), detail: text() }
}

fn rows(version: u64, plans: &[(&str, u64)]) -> Rows {
    let plan = |&(code, number): &(&str, u64)| Plan {
        code: code.into(),
        cell: "C".into(),
        name: "东半".into(),
        shows: Shows::Floor { building: "3栋".into(), floor: -1 },
        picture: Picture { number, kind: "image/png".into(), width: 8, height: 9, bytes: 10 },
    };
    let pins = vec![Pin { device: "SD-1".into(), plan: "A".into(), at: [0.1, 0.7] }];
    Rows { version, plans: plans.iter().map(plan).collect(), pins, ..Rows::default() }
}

#[tokio::test]
async fn plans_come_back_and_leave_the_rest_of_the_registry_alone() {
    let (place, store) = fresh();
    assert!(store.save_registry(rows(1, &[("A", 1)]), audit()).await.unwrap());
    let mut next = rows(2, &[("A", 1), ("B", 2)]);
    next.plans[1].shows = Shows::Ground { corners: [[118.9, 32.1], [118.91, 32.1], [118.9, 32.09]] };
    assert!(store.save_plans(&next, audit()).await.unwrap());
    assert!(!store.save_plans(&next, audit()).await.unwrap(), "somebody else was faster");
    drop(store);
    assert_eq!(place.open().load_registry().await.unwrap(), next);
}

#[tokio::test]
async fn a_picture_is_whole_and_goes_when_no_plan_names_it() {
    let (place, store) = fresh();
    let first = store.keep_plan_picture(vec![7; 150_000], &[]).await.unwrap();
    let second = store.keep_plan_picture(vec![8; 10], &[first]).await.unwrap();
    drop(store);
    let store = place.open();
    assert_eq!(store.plan_picture(first).await.unwrap(), Some(vec![7; 150_000]));
    let third = store.keep_plan_picture(vec![9; 10], &[first]).await.unwrap();
    assert_eq!(store.plan_picture(second).await.unwrap(), None, "nobody named it");
    place.sql(&format!("UPDATE plan_pictures SET whole = 0 WHERE number = {third}"));
    assert_eq!(store.plan_picture(third).await.unwrap(), None, "half a picture is none");
    place.sql(&format!("DELETE FROM plan_parts WHERE picture = {first} AND place = 1"));
    assert!(matches!(store.plan_picture(first).await, Err(StoreError::Damaged(_))));
    store.keep_plan_picture(vec![1], &[]).await.unwrap();
    let left: i64 = Connection::open(place.path())
        .unwrap()
        .query_row("SELECT count(*) FROM plan_parts", (), |row| row.get(0))
        .unwrap();
    assert_eq!(left, 1, "and its parts are gone with it");
}

/// One call about one flat, in a city of them.
#[tokio::test]
async fn the_leave_of_a_flat_touches_no_other_row() {
    let flat =
        |place: &str| Household { cell: "C".into(), place: place.into(), people: 1, ..Household::default() };
    let (place, store) = fresh();
    let mut rows = Rows { version: 1, households: vec![flat("1"), flat("2"), flat("3")], ..Rows::default() };
    assert!(store.save_registry(rows.clone(), audit()).await.unwrap());
    rows.version = 2;
    rows.households[1].leave = Some(Leave { from: Timestamp(1), until: None });
    let not_meant =
        Rows { households: vec![flat("x"), rows.households[1].clone(), flat("x")], ..rows.clone() };
    assert!(store.save_household(&not_meant, 1, audit()).await.unwrap());
    assert!(!store.save_household(&not_meant, 1, audit()).await.unwrap(), "somebody else was faster");
    let beyond = Rows { version: 3, ..rows.clone() };
    assert!(store.save_household(&beyond, 3, audit()).await.is_err(), "there is no such row");
    assert_eq!(store.audit(None, 9).await.unwrap().len(), 2);
    drop(store);
    assert_eq!(place.open().load_registry().await.unwrap(), rows);
}
