//! The store on real files: what is answered is on disk, what failed is not, and no limit is passed.

mod accounts;
mod audit;
mod care;
mod commit;
mod damage;
mod fieldwork;
mod journal;
mod kill;
mod outbox;
mod people;
mod plans;
mod stills;
mod upgrade;

use std::path::PathBuf;

use tempfile::TempDir;

use super::*;
use crate::model::{
    Alarm, AlarmId, AlarmState, Alert, CellIx, DeviceIx, Entry, Event, Freshness, Metric, Quality, Report,
    SignalClass, Value, What,
};
use crate::units::{Millis, Steady};

pub const LIMITS: Limits = Limits {
    journal_bytes_max: 1 << 30,
    journal_days_max: 30,
    history_days_max: 400,
    dead_letters_max: 100,
    outbox_rows_max: 100,
    attachments: crate::store::attachments::Limits { bytes_max: 64 << 20, days_max: 30 },
};

/// A store in a folder of its own that can be closed and opened again.
pub struct Place {
    folder: TempDir,
}

impl Place {
    pub fn new() -> Self {
        Self { folder: tempfile::tempdir().expect("a folder for the test") }
    }

    pub fn path(&self) -> PathBuf {
        self.folder.path().join("made/on/demand/gridwarden.db")
    }

    pub fn open(&self) -> Store {
        self.recover(LIMITS).0
    }

    pub fn recover(&self, limits: Limits) -> (Store, Recovered) {
        Store::open(&self.path(), limits).expect("opens")
    }

    /// Behind the store's back.
    pub fn sql(&self, sql: &str) {
        let connection = Connection::open(self.path()).expect("opens");
        connection.execute_batch(sql).expect("runs");
    }
}

/// A new store; the folder goes when the place is dropped.
pub fn fresh() -> (Place, Store) {
    let place = Place::new();
    let store = place.open();
    (place, store)
}

/// `seq` seconds after the start on both clocks.
pub fn moment(seq: u64) -> Now {
    Now { wall: Timestamp(1_795_000_000_000 + seq as i64 * 1000), steady: Steady(seq * 1000) }
}

pub fn reading(device: u32, at: Timestamp, value: f64) -> Event {
    Event::Report(Report {
        device: DeviceIx(device),
        received: at,
        device_time: None,
        freshness: Freshness::Live,
        values: vec![Value { metric: Metric::TEMPERATURE, value, quality: Quality::Good }],
    })
}

pub fn batch(seq: u64) -> Batch {
    Batch {
        seq,
        now: moment(seq),
        events: vec![reading(seq as u32 % 7, moment(seq).wall, seq as f64 / 10.0)],
    }
}

pub fn commit(seq: u64) -> Commit {
    Commit { batch: Some(batch(seq)), ..Commit::default() }
}

pub fn letter(number: u64) -> DeadLetter {
    DeadLetter {
        received: moment(number).wall,
        source: "listener".into(),
        address: format!("topic/{number}"),
        reason: "It is not JSON; send an object.".into(),
        payload: vec![number as u8; 3],
    }
}

pub fn alarm(id: u64, class: SignalClass) -> Alarm {
    Alarm {
        id: AlarmId(id),
        rule: "smoke".into(),
        class,
        text: format!("烟雾报警 {id}"),
        cell: CellIx(id as u32 % 3),
        cell_code: format!("c-{}", id % 3),
        device: Some(DeviceIx(id as u32 % 5)),
        device_id: Some(format!("SD-{}", id % 5)),
        state: AlarmState::Unacknowledged,
        raised: moment(id).wall,
        raised_steady: moment(id).steady,
        late: None,
        trigger: None,
        repeats: 0,
        owner: Some("wang-li".into()),
        acknowledged: None,
        returned: None,
        resolved: None,
        closed: None,
        ladder: None,
        handling: Default::default(),
    }
}

pub fn entry(alarm: u64, what: What) -> Entry {
    Entry { alarm: AlarmId(alarm), at: moment(alarm).wall, what, who: None, detail: String::new() }
}

pub fn raised(id: u64, class: SignalClass) -> Effect {
    Effect::Alarm(Box::new(alarm(id, class)), entry(id, What::Raised))
}

pub fn alert(alarm: u64, class: SignalClass, step: u32) -> Alert {
    Alert {
        key: format!("A-{alarm}/{step}/wang-li/hook"),
        alarm: AlarmId(alarm),
        class,
        channel: "hook".into(),
        person: Some("wang-li".into()),
        step,
        at: moment(alarm).wall,
    }
}
