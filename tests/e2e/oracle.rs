//! The oracle of the crash runs is tried itself: every kind of loss is planted in a copy of what an honest run left, and it must complain of each.

use std::path::Path;

use gateway::model::{Batch, DeviceIx, Event};
use gateway::units::{Now, Steady, Timestamp};
use gateway::wire::journal::{decode, encode};
use rusqlite::{Connection, params};
use tests::crash::{Plan, run};

/// Changes the first batch with a report for which `change` says that it did.
fn rewrite(store: &Connection, change: impl Fn(&mut Batch) -> bool) {
    let mut statement = store.prepare("SELECT seq, wall, steady, bytes FROM journal ORDER BY seq").unwrap();
    let rows = statement.query_map((), |row| {
        let now = Now { wall: Timestamp(row.get(1)?), steady: Steady(row.get::<_, i64>(2)? as u64) };
        Ok((row.get::<_, i64>(0)?, now, row.get::<_, Vec<u8>>(3)?))
    });
    for row in rows.unwrap() {
        let (seq, now, bytes) = row.unwrap();
        let mut batch = decode(seq as u64, now, &bytes).unwrap();
        if batch.events.iter().any(|event| matches!(event, Event::Report(_))) && change(&mut batch) {
            store
                .execute("UPDATE journal SET bytes = ?2 WHERE seq = ?1", params![seq, encode(&batch)])
                .unwrap();
            return;
        }
    }
    panic!("no batch to change");
}

fn first_report(batch: &mut Batch) -> &mut gateway::model::Report {
    let report = batch.events.iter_mut().find_map(|event| match event {
        Event::Report(report) => Some(report),
        Event::Gone { .. } | Event::Action(_) => None,
    });
    report.expect("it has one")
}

/// What is done to the store, and a word of the complaint. A record without the ten characters of its checksum is taken for one of an older file.
type Planted = (&'static str, fn(&Connection), &'static str);

const PLANTED: &[Planted] = &[
    (
        "a reading is gone from the journal",
        |store| {
            rewrite(store, |batch| {
                let at = batch.events.iter().position(|event| matches!(event, Event::Report(_)));
                at.map(|at| batch.events.remove(at)).is_some()
            });
        },
        "not in the journal",
    ),
    (
        "a reading has another value",
        |store| {
            rewrite(store, |batch| {
                first_report(batch).values[0].value += 1.0;
                true
            })
        },
        "the journal has",
    ),
    (
        "a reading that nobody sent",
        |store| {
            rewrite(store, |batch| {
                let mut stranger = first_report(batch).clone();
                stranger.device = DeviceIx(0);
                stranger.device_time = Some(Timestamp(stranger.time().0 + 1_234_567));
                batch.events.push(Event::Report(stranger));
                true
            })
        },
        "that nobody sent",
    ),
    (
        "an alarm is gone",
        |store| one(store, "DELETE FROM alarms WHERE id = (SELECT min(id) FROM alarms)"),
        "lost, or another device's",
    ),
    (
        "an alarm too many",
        |store| {
            one(
                store,
                "INSERT INTO alarms SELECT 9000 + id, state, class, cell, device, json_set(substr(record, 1, length(record) - 10), '$.V1.id', 9000 + id) FROM alarms LIMIT 1",
            );
        },
        "raised for no fire",
    ),
    (
        "raised twice",
        |store| {
            one(
                store,
                "INSERT INTO entries (alarm, at, what, who, detail) SELECT alarm, at, what, who, detail FROM entries WHERE what = 'raised' LIMIT 1",
            );
        },
        "raised 2 times",
    ),
    (
        "a clear is gone",
        |store| {
            one(
                store,
                "DELETE FROM entries WHERE number = (SELECT min(number) FROM entries WHERE what = 'returned')",
            );
        },
        "returned 0 times",
    ),
    (
        "a person's action is gone",
        |store| {
            one(
                store,
                "UPDATE alarms SET record = replace(substr(record, 1, length(record) - 10), 'acknowledge-', 'forgotten-') WHERE id = (SELECT min(id) FROM alarms)",
            )
        },
        "was answered, and the alarm says",
    ),
    (
        "an alert is gone",
        |store| {
            one(
                store,
                "DELETE FROM outbox WHERE id = (SELECT min(id) FROM outbox WHERE state = 'delivered')",
            );
        },
        "was delivered and is not in the store",
    ),
    (
        "an alert is left over",
        |store| {
            one(store, "UPDATE outbox SET state = 'pending' WHERE id = (SELECT min(id) FROM outbox)");
        },
        "at the end",
    ),
];

fn one(store: &Connection, sql: &str) {
    assert_eq!(store.execute(sql, ()).unwrap(), 1, "{sql}");
}

fn copy(from: &Path, to: &Path) -> Connection {
    Connection::open(from).unwrap().execute("VACUUM INTO ?1", [to.to_str().unwrap()]).unwrap();
    Connection::open(to).unwrap()
}

#[tokio::test]
async fn the_oracle_complains_of_every_kind_of_planted_loss() {
    let plan = Plan { seed: 7, kills: 1, collectors: 1, smoke_detectors: 2, broker: false };
    let mut evidence = run(&plan).await.unwrap();
    let honest = evidence.store();
    let faults =
        async |evidence: &tests::crash::Evidence, store: &Path| evidence.judge(store).await.unwrap().faults;
    let folder = tempfile::tempdir().unwrap();
    let untouched = folder.path().join("untouched.db");
    drop(copy(&honest, &untouched));
    assert_eq!(faults(&evidence, &untouched).await, Vec::<String>::new(), "an honest run");

    for (number, (what, plant, complaint)) in PLANTED.iter().enumerate() {
        let path = folder.path().join(format!("{number}.db"));
        plant(&copy(&honest, &path));
        let found = faults(&evidence, &path).await;
        assert!(found.iter().any(|fault| fault.contains(complaint)), "{what}: {found:#?}");
    }

    let point = evidence.points.forget_one().unwrap();
    let found = faults(&evidence, &untouched).await;
    assert!(found.iter().any(|fault| fault.contains("not in InfluxDB")), "a point is gone: {found:#?}");
    evidence.points.take_back(point);

    let keys: std::collections::BTreeSet<_> =
        evidence.deliveries.iter().map(|delivery| delivery.headers["idempotency-key"].clone()).collect();
    let lost = keys.into_iter().next().expect("somebody was told");
    evidence.deliveries.retain(|delivery| delivery.headers["idempotency-key"] != lost);
    let found = faults(&evidence, &untouched).await;
    assert!(
        found.iter().any(|fault| fault.contains("is delivered, says the store")),
        "a page is gone: {found:#?}"
    );
}
