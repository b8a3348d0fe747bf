//! An older file becomes a current one, whole or not at all.
//!
//! `store-1.sql`, `store-5.sql`, `store-7.sql` and `store-11.sql` are stores as these versions of the schema wrote them. They are never edited: files out there look like this. Made by
//! `GRIDWARDEN_WRITE_FIXTURE=store-N.sql cargo test -p gateway writes_the_fixture`, once per version.

use super::*;
use crate::grid::{Person, Rows};
use crate::units::Timestamp;

const VERSION_1: &str = include_str!("store-1.sql");
const VERSION_5: &str = include_str!("store-5.sql");
const VERSION_7: &str = include_str!("store-7.sql");
const VERSION_11: &str = include_str!("store-11.sql");

fn old(sql: &str) -> (Place, Connection) {
    let place = Place::new();
    std::fs::create_dir_all(file::folder(&place.path())).unwrap();
    let connection = Connection::open(place.path()).unwrap();
    connection.execute_batch(sql).unwrap();
    (place, connection)
}

fn people() -> Rows {
    let person = Person {
        id: "wang-li".into(),
        name: "王丽".into(),
        phone: "10000000001".into(),
        ..Person::default()
    };
    Rows { version: 1, people: vec![person], ..Rows::default() }
}

async fn fill(store: &Store) {
    let audit = Audit {
        at: Timestamp(1),
        who: "root".into(),
        what: "registry.import".into(),
        target: "people.csv".into(),
        detail: "one person".into(),
    };
    assert!(store.save_registry(people(), audit).await.unwrap());
    for seq in 1..=20 {
        store.commit(&commit(seq)).await.unwrap();
    }
    store.seal().await.unwrap();
    let effects = vec![raised(1, SignalClass::Fire), Effect::Tell(alert(1, SignalClass::Fire, 1))];
    let last = Commit { effects, dead: vec![letter(1)], snapshot: Some(vec![7; 9]), ..commit(21) };
    store.commit(&last).await.unwrap();
    store.move_cursor("influx", 12, Vec::new()).await.unwrap();
    store.remember("registry.file:people.csv", "abc").await.unwrap();
}

/// Everything that [`fill`] wrote, read back.
async fn check(store: &Store, recovered: &Recovered) {
    assert_eq!(recovered.last, Some((21, moment(21))));
    assert_eq!(recovered.snapshot, Some((21, vec![7; 9])));
    assert_eq!(store.batches_after(0, usize::MAX).await.unwrap(), (1..=21).map(batch).collect::<Vec<_>>());
    assert_eq!(store.load_registry().await.unwrap(), people());
    assert_eq!(store.alarm(AlarmId(1)).await.unwrap(), Some(alarm(1, SignalClass::Fire)));
    assert_eq!(store.entries(AlarmId(1)).await.unwrap().len(), 1);
    assert_eq!(
        store.due("hook", Steady(0), 9, |_: &str| false).await.unwrap().rows[0].alert,
        alert(1, SignalClass::Fire, 1)
    );
    assert!(store.is_case(vec!["wang-li".into()], AlarmId(1)).await.unwrap(), "he was called for it");
    assert_eq!(store.cursor("influx").await.unwrap(), 12);
    assert_eq!(store.dead_letters(None, 9).await.unwrap()[0].1, letter(1));
    assert_eq!(store.audit(None, 9).await.unwrap().len(), 1);
    assert_eq!(store.recall("registry.file:people.csv").await.unwrap().as_deref(), Some("abc"));
    let series = store.series(DeviceIx(3), Metric::TEMPERATURE, Timestamp(0), Timestamp(i64::MAX), 100).await;
    assert_eq!(series.unwrap().len(), 3, "batches 3, 10 and 17");
}

#[tokio::test]
async fn a_store_of_version_1_opens_with_all_that_is_in_it() {
    let (place, connection) = old(VERSION_1);
    drop(connection);
    let (store, recovered) = place.recover(LIMITS);
    check(&store, &recovered).await;
    let tallies = store.tallies(cards::By::Cell).await.unwrap();
    assert_eq!(tallies.len(), 1, "counted from the alarms that are there");
    assert_eq!((tallies[0].cell.is_some(), tallies[0].counts.raised), (true, 1));
    let heads = store.verify_chains().await.unwrap();
    assert!(
        heads.iter().all(|head| head.broken.is_none() && head.rows == 1),
        "the old rows are chained: {heads:?}"
    );
    store.commit(&commit(22)).await.unwrap();
    drop(store);
    let connection = Connection::open(place.path()).unwrap();
    assert_eq!(schema::inspect(&connection).unwrap(), schema::Found::Ours { version: schema::KNOWN });
}

#[tokio::test]
async fn stores_of_versions_5_7_and_11_open_with_all_that_is_in_them() {
    for (version, sql) in [(5, VERSION_5), (7, VERSION_7), (11, VERSION_11)] {
        let (place, connection) = old(sql);
        assert_eq!(schema::inspect(&connection).unwrap(), schema::Found::Ours { version });
        drop(connection);
        let (store, recovered) = place.recover(LIMITS);
        check(&store, &recovered).await;
        let heads = store.verify_chains().await.unwrap();
        assert!(heads.iter().all(|head| head.broken.is_none() && head.rows == 1), "{heads:?}");
        store.commit(&commit(22)).await.unwrap();
        // The sealed history goes on in its new form behind the old one.
        store.seal().await.unwrap();
        let ends = (Timestamp(0), Timestamp(i64::MAX));
        let series = store.series(DeviceIx(1), Metric::TEMPERATURE, ends.0, ends.1, 100).await.unwrap();
        let times: Vec<_> = series.iter().map(|sample| sample.time).collect();
        assert_eq!(times, [1, 8, 15, 22].map(|seq| moment(seq).wall));
    }
}

/// What an older file has not got is not taken for damage.
#[tokio::test]
async fn a_damaged_store_of_version_1_is_salvaged_with_its_log() {
    let (place, connection) = old(VERSION_1);
    drop(connection);
    let told = salvage::salvage(&place.path(), "for a test").unwrap();
    assert_eq!(told.len(), 1, "nothing was lost: {told:?}");
    let (store, recovered) = place.recover(LIMITS);
    check(&store, &recovered).await;
    let heads = store.verify_chains().await.unwrap();
    assert!(heads.iter().all(|head| head.broken.is_none() && head.rows == 1), "{heads:?}");
}

/// The step that does not exist yet, on a file that is full.
#[test]
fn a_later_step_keeps_the_rows_and_is_taken_once() {
    let (_place, mut connection) = old(VERSION_1);
    let later =
        [schema::STEPS, &["ALTER TABLE dead_letters ADD COLUMN seen INTEGER NOT NULL DEFAULT 0;"]].concat();
    schema::take_steps(&mut connection, &later).unwrap();
    schema::take_steps(&mut connection, &later).unwrap();
    let found: (i64, i64) = connection
        .query_row("SELECT number, seen FROM dead_letters", (), |row| Ok((row.get(0)?, row.get(1)?)))
        .unwrap();
    assert_eq!(found, (1, 0));
    let version = later.len() as u32;
    assert_eq!(schema::inspect(&connection).unwrap(), schema::Found::Ours { version });
}

#[test]
fn a_step_that_fails_leaves_the_file_as_it_was() {
    let (_place, mut connection) = old(VERSION_1);
    let broken =
        [schema::STEPS, &["DELETE FROM journal; CREATE TABLE extra (a INTEGER);", "SELECT nonsense;"]]
            .concat();
    schema::take_steps(&mut connection, &broken).unwrap_err();
    assert_eq!(schema::inspect(&connection).unwrap(), schema::Found::Ours { version: 1 });
    let batches: i64 = connection.query_row("SELECT count(*) FROM journal", (), |row| row.get(0)).unwrap();
    assert_eq!(batches, 21);
}

/// Writes a new fixture when asked to, and checks that what it writes can be read.
#[tokio::test]
async fn writes_the_fixture() {
    let place = Place::new();
    let store = place.open();
    fill(&store).await;
    drop(store);
    let (store, recovered) = place.recover(LIMITS);
    check(&store, &recovered).await;
    drop(store);
    let Ok(name) = std::env::var("GRIDWARDEN_WRITE_FIXTURE") else { return };
    let to = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/store/tests").join(name);
    std::fs::write(to, dump(&Connection::open(place.path()).unwrap())).unwrap();
}

/// The database as SQL text.
fn dump(connection: &Connection) -> String {
    let mut text = String::from("BEGIN;\n");
    let mut tables = connection
        .prepare("SELECT name, sql FROM sqlite_schema WHERE sql IS NOT NULL AND name NOT LIKE 'sqlite_%' ORDER BY rootpage")
        .unwrap();
    let tables: Vec<(String, String)> =
        tables.query_map((), |row| Ok((row.get(0)?, row.get(1)?))).unwrap().map(Result::unwrap).collect();
    for (name, sql) in &tables {
        text.push_str(&format!("{sql};\n"));
        if !sql.starts_with("CREATE TABLE") {
            continue;
        }
        let mut columns =
            connection.prepare(&format!("SELECT name FROM pragma_table_info('{name}')")).unwrap();
        let columns: Vec<String> = columns
            .query_map((), |row| Ok(format!("quote(\"{}\")", row.get::<_, String>(0)?)))
            .unwrap()
            .map(Result::unwrap)
            .collect();
        let mut rows =
            connection.prepare(&format!("SELECT {} FROM {name}", columns.join("||','||"))).unwrap();
        for row in rows.query_map((), |row| row.get::<_, String>(0)).unwrap() {
            text.push_str(&format!("INSERT INTO {name} VALUES ({});\n", row.unwrap()));
        }
    }
    text.push_str(&format!(
        "PRAGMA application_id = {};\nPRAGMA user_version = {};\nCOMMIT;\n",
        schema::APPLICATION_ID,
        schema::KNOWN
    ));
    text
}

/// Records of people as they were before shifts, training and contacts, and roles as they are spelt since.
#[tokio::test]
async fn people_and_duties_of_version_1_mean_what_they_meant() {
    let (place, connection) = old(VERSION_1);
    for (table, record) in [
        ("people", r#"{"V1":{"id":"li","name":"李四","phone":"10000000002"}}"#),
        ("duties", r#"{"V1":{"person":"li","cell":"S","role":"deputy","from":0,"until":null}}"#),
    ] {
        connection.execute(&format!("INSERT INTO {table} (place, record) VALUES (7, ?1)"), [record]).unwrap();
    }
    drop(connection);
    let rows = place.open().load_registry().await.unwrap();
    let li = rows.people.last().unwrap();
    assert_eq!((li.contacts.len(), li.trained_until, li.retired), (0, None, false));
    assert_eq!((rows.duties[0].role, rows.duties[0].hours.is_none()), (crate::grid::Role::Deputy, true));
    assert_eq!((rows.absences.len(), rows.teams.len(), rows.zone.name()), (0, 0, "Asia/Shanghai"));
}
