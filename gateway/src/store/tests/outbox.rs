//! Who is told next, what stays on record, and what gives way when there is too much.

use super::*;
use crate::store::outbox::{Attempt, Line, Outcome, ToRecord};

async fn tell(store: &Store, alerts: impl IntoIterator<Item = Alert>) {
    let mut effects = Vec::new();
    for alert in alerts {
        effects.push(raised(alert.alarm.0, alert.class));
        effects.push(Effect::Tell(alert));
    }
    store.commit(&Commit { effects, ..Commit::default() }).await.unwrap();
}

async fn due(store: &Store, now: u64) -> Vec<String> {
    let rows = store.due("hook", Steady(now), 1000, |_: &str| false).await.unwrap().rows;
    rows.into_iter().map(|row| row.alert.key).collect()
}

/// One attempt, made in the second `n`.
async fn attempted(store: &Store, key: &str, n: u64, outcome: Outcome) -> Result<Line, String> {
    let attempt = ToRecord { key: key.to_owned(), at: moment(n).wall, outcome };
    store.attempted(vec![attempt]).await.unwrap().remove(0)
}

#[tokio::test]
async fn fire_first_then_the_oldest() {
    let place = Place::new();
    let store = place.open();
    use SignalClass::*;
    tell(&store, [alert(1, Trouble, 1), alert(2, Fire, 1), alert(3, Supervisory, 1), alert(4, Fire, 1)])
        .await;
    tell(&store, [Alert { channel: "other".into(), ..alert(5, Fire, 1) }]).await;
    drop(store);
    let store = place.open();
    let order = due(&store, 0).await;
    assert_eq!(order, [2, 4, 3, 1].map(|id| format!("A-{id}/1/wang-li/hook")));
    let row = &store.due("hook", Steady(0), 1, |_: &str| false).await.unwrap().rows[0];
    assert_eq!((&row.alert, &*row.alarm, row.attempts), (&alert(2, Fire, 1), &alarm(2, Fire), 0));
}

#[tokio::test]
async fn the_same_key_is_the_same_alert() {
    let (_place, store) = fresh();
    let mut changed = store.outbox_changed();
    tell(&store, [alert(1, SignalClass::Fire, 1)]).await;
    changed.changed().await.unwrap();
    tell(&store, [alert(1, SignalClass::Fire, 1)]).await;
    assert_eq!(due(&store, 0).await.len(), 1);
    let row = store.due("hook", Steady(0), 1, |_: &str| false).await.unwrap().rows.remove(0);
    attempted(&store, &row.alert.key, 2, Outcome::Delivered { receipt: "204".into(), id: None })
        .await
        .unwrap();
    tell(&store, [alert(1, SignalClass::Fire, 1)]).await;
    assert_eq!(due(&store, u64::MAX >> 1).await.len(), 0, "delivered once is enough");
}

#[tokio::test]
async fn every_attempt_is_kept() {
    let place = Place::new();
    let store = place.open();
    tell(&store, [alert(1, SignalClass::Fire, 1)]).await;
    let row = store.due("hook", Steady(5), 1, |_: &str| false).await.unwrap().rows.remove(0);
    let retry = Outcome::Retry { error: "connection refused".into(), next_at: Steady(500) };
    assert_eq!(attempted(&store, &row.alert.key, 2, retry.clone()).await, Ok(None));
    let waiting = store.due("hook", Steady(499), 9, |_: &str| false).await.unwrap();
    assert_eq!((waiting.rows.len(), waiting.next_at), (0, Some(Steady(500))));
    let due = store.due("hook", Steady(500), 9, |_: &str| false).await.unwrap();
    assert_eq!((due.rows[0].attempts, due.next_at), (1, None));

    let delivered = Outcome::Delivered { receipt: "204 No Content".into(), id: None };
    let (number, line) =
        attempted(&store, &row.alert.key, 3, delivered.clone()).await.unwrap().expect("a line");
    assert_eq!((line.what, line.detail.as_str()), (What::Told, "wang-li by hook: 204 No Content"));
    assert_eq!(store.entries(AlarmId(1)).await.unwrap().last(), Some(&(number, line.clone())));
    let with_alarms =
        store.with_alarms(vec![(number, line.clone()), (9, entry(9, What::Told))]).await.unwrap();
    assert_eq!(with_alarms, [(number, alarm(1, SignalClass::Fire), line)], "there is no alarm 9");
    drop(store);
    let store = place.open();
    let attempt = |number, at, outcome| Attempt {
        receipts: Default::default(),
        alert: alert(1, SignalClass::Fire, 1),
        number,
        at: moment(at).wall,
        outcome,
    };
    let expected = [attempt(1, 2, retry), attempt(2, 3, delivered)];
    assert_eq!(store.attempts(AlarmId(1)).await.unwrap(), expected);
}

#[tokio::test]
async fn an_attempt_that_cannot_be_recorded_keeps_none_of_the_others_back() {
    let place = Place::new();
    let store = place.open();
    let alerts =
        [alert(1, SignalClass::Fire, 1), alert(2, SignalClass::Fire, 1), alert(3, SignalClass::Fire, 1)];
    tell(&store, alerts.clone()).await;
    let delivered = |key: &str| ToRecord {
        key: key.into(),
        at: moment(3).wall,
        outcome: Outcome::Delivered { receipt: "200".into(), id: None },
    };
    let attempts = vec![delivered(&alerts[0].key), delivered("A-99"), delivered(&alerts[2].key)];
    let recorded = store.attempted(attempts).await.unwrap();
    let [Ok(Some((first, _))), Err(damage), Ok(Some((second, _)))] = &recorded[..] else {
        panic!("{recorded:?}")
    };
    assert!(damage.contains("`A-99`") && *second == first + 1, "{damage}; lines {first} and {second}");
    assert_eq!(due(&store, 0).await, [alerts[1].key.as_str()]);
    let verdicts = store.verify_chains().await.unwrap();
    assert!(verdicts.iter().all(|verdict| verdict.broken.is_none()), "{verdicts:?}");
}

#[tokio::test]
async fn what_is_in_hand_is_passed_over_and_does_not_count() {
    let (_place, store) = fresh();
    tell(&store, (1..=4).map(|id| alert(id, SignalClass::Fire, 1))).await;
    let in_hand = [alert(1, SignalClass::Fire, 1).key, alert(3, SignalClass::Fire, 1).key];
    for (limit, more) in [(1, true), (2, false), (3, false)] {
        let in_hand = in_hand.clone();
        let page = store.due("hook", Steady(0), limit, move |key| in_hand.iter().any(|one| one == key)).await;
        let page = page.unwrap();
        let found: Vec<u64> = page.rows.iter().map(|row| row.alert.alarm.0).collect();
        assert_eq!((found, page.more), ([2, 4][..limit.min(2)].to_vec(), more), "{limit}");
    }
}

#[tokio::test]
async fn an_answer_withdraws_what_is_not_sent_yet() {
    let (_place, store) = fresh();
    tell(
        &store,
        [alert(1, SignalClass::Fire, 1), alert(1, SignalClass::Fire, 2), alert(2, SignalClass::Fire, 1)],
    )
    .await;
    let sending = store.due("hook", Steady(0), 1, |_: &str| false).await.unwrap().rows.remove(0);
    store.commit(&Commit { effects: vec![Effect::Withdraw(AlarmId(1))], ..Commit::default() }).await.unwrap();
    assert_eq!(due(&store, 0).await, ["A-2/1/wang-li/hook"]);
    // The one being sent comes back as failed: it is not tried again.
    let retry = Outcome::Retry { error: "time-out".into(), next_at: Steady(1) };
    attempted(&store, &sending.alert.key, 2, retry).await.unwrap();
    assert_eq!(due(&store, 9).await, ["A-2/1/wang-li/hook"]);
    assert_eq!(store.attempts(AlarmId(1)).await.unwrap().len(), 1);
}

#[tokio::test]
async fn a_full_outbox_gives_up_the_least_important_and_never_fire() {
    let (_place, store) = fresh();
    use SignalClass::*;
    tell(&store, (1..=40).map(|id| alert(id, Trouble, 1))).await;
    tell(&store, (41..=60).map(|id| alert(id, Test, 1))).await;
    tell(&store, (101..=140).map(|id| alert(id, Fire, 1))).await;
    assert_eq!(due(&store, 0).await.len(), 100, "the limit is kept, not passed");
    tell(&store, (141..=170).map(|id| alert(id, Fire, 1))).await;
    let left = due(&store, 0).await;
    let fires =
        |keys: &[String]| keys.iter().filter(|key| key.as_str() >= "A-101" && key.len() == 20).count();
    assert_eq!(fires(&left), 70);
    assert_eq!(left.len(), 99, "one hundredth of room is made");
    assert_eq!(left[70], "A-12/1/wang-li/hook", "all tests and the eleven oldest troubles had to go");
    let given_up = store.attempts(AlarmId(11)).await.unwrap();
    let Outcome::GaveUp { error } = &given_up[0].outcome else { panic!("given up, not {given_up:?}") };
    assert!(error.contains("outbox was full"), "{error}");
    assert_eq!(store.entries(AlarmId(11)).await.unwrap().last().unwrap().1.what, What::NotTold);

    tell(&store, (171..=250).map(|id| alert(id, Fire, 1))).await;
    let left = due(&store, 0).await;
    assert_eq!((fires(&left), left.len()), (150, 150), "only fire is left, and all of it");
}
