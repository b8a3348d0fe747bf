//! Plans with what hangs on them, and the bytes of their pictures.

use super::*;
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
