//! Tables, and how an older file becomes a current one.
//!
//! `PRAGMA user_version` counts the steps a file has taken. A step is added at the end and never edited: files out there have taken it.
//! Signal classes are stored by their place in [`crate::model::SignalClass::ALL`] so that they sort worst first; times are milliseconds.

use rusqlite::{Connection, TransactionBehavior};

use super::chain;

/// Marks our files, so that no other program's database is ever taken for a store: "GrWa".
pub const APPLICATION_ID: i32 = 0x4772_5761;

pub const KNOWN: u32 = STEPS.len() as u32;

pub(super) const STEPS: &[&str] = &[
    // 1
    "
    -- `upto` is the size of all batches ever written, this one included, so sizes need no counting.
    CREATE TABLE journal (
        seq INTEGER PRIMARY KEY,
        wall INTEGER NOT NULL,
        steady INTEGER NOT NULL,
        readings INTEGER NOT NULL,
        upto INTEGER NOT NULL,
        bytes BLOB NOT NULL
    ) STRICT;
    CREATE TABLE cursors (
        consumer TEXT PRIMARY KEY,
        seq INTEGER NOT NULL,
        dropped INTEGER NOT NULL DEFAULT 0
    ) STRICT, WITHOUT ROWID;
    CREATE TABLE snapshots (
        seq INTEGER PRIMARY KEY,
        checksum INTEGER NOT NULL,
        bytes BLOB NOT NULL
    ) STRICT;
    CREATE TABLE dead_letters (
        number INTEGER PRIMARY KEY AUTOINCREMENT,
        received INTEGER NOT NULL,
        source TEXT NOT NULL,
        address TEXT NOT NULL,
        reason TEXT NOT NULL,
        payload BLOB NOT NULL
    ) STRICT;
    CREATE TABLE audit (
        number INTEGER PRIMARY KEY AUTOINCREMENT,
        at INTEGER NOT NULL,
        who TEXT NOT NULL,
        what TEXT NOT NULL,
        target TEXT NOT NULL,
        detail TEXT NOT NULL
    ) STRICT;

    -- The columns beside `record` are copies for searching.
    CREATE TABLE alarms (
        id INTEGER PRIMARY KEY,
        state TEXT NOT NULL,
        class INTEGER NOT NULL,
        cell TEXT NOT NULL,
        device INTEGER,
        record TEXT NOT NULL
    ) STRICT;
    CREATE INDEX alarms_open ON alarms (id) WHERE state <> 'closed';
    CREATE INDEX alarms_by_class ON alarms (class, id);
    CREATE INDEX alarms_by_cell ON alarms (cell, id);
    CREATE INDEX alarms_by_device ON alarms (device, id);
    CREATE TABLE entries (
        number INTEGER PRIMARY KEY AUTOINCREMENT,
        alarm INTEGER NOT NULL,
        at INTEGER NOT NULL,
        what TEXT NOT NULL,
        who TEXT,
        detail TEXT NOT NULL
    ) STRICT;
    CREATE INDEX entries_by_alarm ON entries (alarm);

    CREATE TABLE outbox (
        id INTEGER PRIMARY KEY AUTOINCREMENT,
        key TEXT NOT NULL UNIQUE,
        alarm INTEGER NOT NULL,
        class INTEGER NOT NULL,
        channel TEXT NOT NULL,
        person TEXT,
        step INTEGER NOT NULL,
        at INTEGER NOT NULL,
        state TEXT NOT NULL,
        attempts INTEGER NOT NULL DEFAULT 0,
        next_at INTEGER NOT NULL DEFAULT 0
    ) STRICT;
    CREATE INDEX outbox_pending ON outbox (channel, class, id, next_at) WHERE state = 'pending';
    CREATE INDEX outbox_waiting ON outbox (channel, next_at) WHERE state = 'pending';
    CREATE INDEX outbox_by_alarm ON outbox (alarm);
    CREATE TABLE attempts (
        id INTEGER PRIMARY KEY,
        row INTEGER NOT NULL,
        number INTEGER NOT NULL,
        at INTEGER NOT NULL,
        outcome TEXT NOT NULL,
        detail TEXT NOT NULL,
        next_at INTEGER
    ) STRICT;
    CREATE INDEX attempts_by_row ON attempts (row);

    CREATE TABLE registry (one INTEGER PRIMARY KEY CHECK (one = 1), version INTEGER NOT NULL) STRICT;
    INSERT INTO registry (one, version) VALUES (1, 0);
    CREATE TABLE cells (place INTEGER PRIMARY KEY, record TEXT NOT NULL) STRICT;
    CREATE TABLE devices (place INTEGER PRIMARY KEY, record TEXT NOT NULL) STRICT;
    CREATE TABLE people (place INTEGER PRIMARY KEY, record TEXT NOT NULL) STRICT;
    CREATE TABLE duties (place INTEGER PRIMARY KEY, record TEXT NOT NULL) STRICT;
    CREATE TABLE memo (name TEXT PRIMARY KEY, text TEXT NOT NULL) STRICT, WITHOUT ROWID;

    -- `series` is device << 16 | metric. `id` grows with arrival: of two points of one time the one in the higher chunk is valid.
    CREATE TABLE chunks (
        id INTEGER PRIMARY KEY AUTOINCREMENT,
        series INTEGER NOT NULL,
        first INTEGER NOT NULL,
        last INTEGER NOT NULL,
        points INTEGER NOT NULL,
        steady INTEGER NOT NULL,
        bytes BLOB NOT NULL
    ) STRICT;
    CREATE INDEX chunks_by_series ON chunks (series, id, first, last);
    CREATE INDEX chunks_by_age ON chunks (steady);
    ",
    // 2
    "
    CREATE TABLE absences (place INTEGER PRIMARY KEY, record TEXT NOT NULL) STRICT;
    CREATE TABLE teams (place INTEGER PRIMARY KEY, record TEXT NOT NULL) STRICT;
    ",
    // 3: who lives where, the card of each alarm, and what came of a device's alarms.
    "
    CREATE TABLE buildings (place INTEGER PRIMARY KEY, record TEXT NOT NULL) STRICT;
    CREATE TABLE households (place INTEGER PRIMARY KEY, record TEXT NOT NULL) STRICT;
    CREATE TABLE cards (alarm INTEGER PRIMARY KEY, record TEXT NOT NULL) STRICT;
    CREATE TABLE tallies (
        id INTEGER PRIMARY KEY,
        device INTEGER NOT NULL,
        rule TEXT NOT NULL,
        what TEXT NOT NULL,
        count INTEGER NOT NULL,
        UNIQUE (device, rule, what)
    ) STRICT;
    ",
    // 4: accounts, and a chain of hashes through audit and history; `chain.rs` fills the hashes of the rows that are there.
    "
    ALTER TABLE audit ADD COLUMN hash BLOB NOT NULL DEFAULT x'';
    ALTER TABLE entries ADD COLUMN hash BLOB NOT NULL DEFAULT x'';
    CREATE INDEX audit_by_at ON audit (at);
    CREATE INDEX entries_by_at ON entries (at);
    -- Where each chain begins: number and hash of the last row that was taken away, or 0 and nothing.
    CREATE TABLE anchors (chain TEXT PRIMARY KEY, number INTEGER NOT NULL, hash BLOB NOT NULL) STRICT, WITHOUT ROWID;
    CREATE TABLE accounts (name TEXT PRIMARY KEY, record TEXT NOT NULL) STRICT, WITHOUT ROWID;
    -- Sessions, personal tokens and invitations: `hash` is the SHA-256 of a secret that only its holder knows.
    CREATE TABLE passes (
        number INTEGER PRIMARY KEY AUTOINCREMENT,
        hash BLOB NOT NULL UNIQUE,
        kind TEXT NOT NULL,
        account TEXT NOT NULL,
        label TEXT NOT NULL,
        address TEXT NOT NULL,
        made INTEGER NOT NULL,
        seen INTEGER NOT NULL,
        idle INTEGER NOT NULL,
        ends INTEGER NOT NULL
    ) STRICT;
    CREATE INDEX passes_by_account ON passes (account, kind, number);
    ",
    // 5: channels: the provider's own id of a message, who took over, what the person has seen, and browsers that want to be told.
    "
    ALTER TABLE attempts ADD COLUMN provider_id TEXT;
    ALTER TABLE attempts ADD COLUMN handed_to TEXT;
    CREATE INDEX attempts_by_provider ON attempts (provider_id) WHERE provider_id IS NOT NULL;
    ALTER TABLE outbox ADD COLUMN shown_at INTEGER;
    ALTER TABLE outbox ADD COLUMN opened_at INTEGER;
    CREATE TABLE push_subscriptions (
        id INTEGER PRIMARY KEY AUTOINCREMENT,
        endpoint TEXT NOT NULL UNIQUE,
        person TEXT NOT NULL,
        p256dh BLOB NOT NULL,
        auth BLOB NOT NULL,
        at INTEGER NOT NULL
    ) STRICT;
    CREATE INDEX push_by_person ON push_subscriptions (person);
    ",
    // 6: answers to requests that may come twice, photos and voice notes, printed codes and who was there.
    "
    -- What a request with an Idempotency-Key came to; without a status its deed is done and its answer was lost.
    CREATE TABLE repeats (
        number INTEGER PRIMARY KEY AUTOINCREMENT,
        account TEXT NOT NULL,
        key TEXT NOT NULL,
        request BLOB NOT NULL,
        alarm INTEGER,
        status INTEGER,
        location TEXT,
        body BLOB,
        UNIQUE (account, key)
    ) STRICT;
    -- A photo comes in parts, so that no alarm waits behind a large one; it is there when `whole` is 1.
    CREATE TABLE attachments (
        number INTEGER PRIMARY KEY AUTOINCREMENT,
        alarm INTEGER NOT NULL,
        at INTEGER NOT NULL,
        steady INTEGER NOT NULL,
        who TEXT NOT NULL,
        kind TEXT NOT NULL,
        note TEXT NOT NULL,
        bytes INTEGER NOT NULL,
        hash BLOB NOT NULL,
        whole INTEGER NOT NULL
    ) STRICT;
    CREATE INDEX attachments_by_alarm ON attachments (alarm);
    CREATE TABLE attachment_parts (
        id INTEGER PRIMARY KEY,
        attachment INTEGER NOT NULL,
        place INTEGER NOT NULL,
        bytes BLOB NOT NULL,
        UNIQUE (attachment, place)
    ) STRICT;
    -- `code` is what is printed on a board or at a device.
    CREATE TABLE points (
        number INTEGER PRIMARY KEY AUTOINCREMENT,
        code TEXT NOT NULL UNIQUE,
        cell TEXT NOT NULL,
        device TEXT,
        made INTEGER NOT NULL,
        ended INTEGER
    ) STRICT;
    CREATE INDEX points_by_cell ON points (cell, device);
    CREATE TABLE visits (
        number INTEGER PRIMARY KEY AUTOINCREMENT,
        point INTEGER NOT NULL,
        person TEXT NOT NULL,
        at INTEGER NOT NULL,
        received INTEGER NOT NULL,
        metres INTEGER,
        note TEXT NOT NULL
    ) STRICT;
    CREATE INDEX visits_by_point ON visits (point, number);
    ",
    // 7: what came of the alarms of a cell, filled from those that are there; proposals; what residents say; alerts by time.
    "
    CREATE TABLE cell_tallies (
        id INTEGER PRIMARY KEY,
        cell TEXT NOT NULL,
        rule TEXT NOT NULL,
        what TEXT NOT NULL,
        count INTEGER NOT NULL,
        UNIQUE (cell, rule, what)
    ) STRICT;
    WITH texts AS (
        SELECT cell, state, CASE WHEN record LIKE '%}' THEN record ELSE substr(record, 1, length(record) - 10) END AS text
        FROM alarms
    ), whole AS (
        SELECT cell, state, CASE WHEN json_valid(text) THEN text END AS text FROM texts
    ), counted AS (
        SELECT cell, json_extract(text, '$.V1.rule') AS rule, 'raised' AS what FROM whole
        UNION ALL
        SELECT cell, json_extract(text, '$.V1.rule'), coalesce(
            'verdict_' || json_extract(text, '$.V1.handling.evaluated.verdict'),
            json_extract(text, '$.V1.resolved.disposition'),
            'unsaid'
        ) FROM whole WHERE state = 'closed'
    )
    INSERT INTO cell_tallies (cell, rule, what, count)
        SELECT cell, rule, what, count(*) FROM counted WHERE rule IS NOT NULL GROUP BY cell, rule, what;
    CREATE TABLE proposals (
        number INTEGER PRIMARY KEY AUTOINCREMENT,
        state TEXT NOT NULL,
        record TEXT NOT NULL
    ) STRICT;
    CREATE TABLE ratings (
        number INTEGER PRIMARY KEY AUTOINCREMENT,
        hash BLOB NOT NULL UNIQUE,
        alarm INTEGER NOT NULL,
        ends INTEGER NOT NULL,
        given INTEGER,
        stars INTEGER,
        comment TEXT
    ) STRICT;
    CREATE INDEX ratings_by_alarm ON ratings (alarm, given);
    CREATE INDEX outbox_by_at ON outbox (at);
    ",
    // 8: the history as sorted runs of blocks; `chunks` is read until the last of them is too old.
    "
    -- `state` is writing, whole or going; `upto` is the newest journal batch in it and says which of two runs is younger.
    CREATE TABLE history_runs (
        run INTEGER PRIMARY KEY AUTOINCREMENT,
        state TEXT NOT NULL,
        level INTEGER NOT NULL,
        upto INTEGER NOT NULL,
        began INTEGER NOT NULL,
        steady INTEGER NOT NULL,
        first INTEGER NOT NULL,
        last INTEGER NOT NULL,
        points INTEGER NOT NULL
    ) STRICT;
    -- `series` is metric << 32 | device. First and last point of the block, which holds all of its run between them.
    CREATE TABLE history_blocks (
        id INTEGER PRIMARY KEY,
        run INTEGER NOT NULL,
        last_series INTEGER NOT NULL,
        last_time INTEGER NOT NULL,
        first_series INTEGER NOT NULL,
        first_time INTEGER NOT NULL,
        bytes BLOB NOT NULL
    ) STRICT;
    CREATE INDEX history_blocks_by_key ON history_blocks (run, last_series, last_time, first_series, first_time);
    ",
    // 9: pictures of cameras' events, in parts like attachments.
    "
    CREATE TABLE stills (
        number INTEGER PRIMARY KEY AUTOINCREMENT,
        device INTEGER NOT NULL,
        at INTEGER NOT NULL,
        steady INTEGER NOT NULL,
        event TEXT NOT NULL,
        kind TEXT NOT NULL,
        bytes INTEGER NOT NULL,
        whole INTEGER NOT NULL
    ) STRICT;
    CREATE INDEX stills_by_device ON stills (device, number);
    CREATE TABLE still_parts (
        id INTEGER PRIMARY KEY,
        still INTEGER NOT NULL,
        place INTEGER NOT NULL,
        bytes BLOB NOT NULL,
        UNIQUE (still, place)
    ) STRICT;
    ",
    // 10: whose case an alarm is or was.
    CASES,
    // 11: devices that are heard and not registered.
    "
    CREATE TABLE waiting (address TEXT PRIMARY KEY, record TEXT NOT NULL) STRICT;
    ",
    // 12: floor plans and pictures of the ground, what hangs where on them, and their bytes in parts like attachments.
    "
    CREATE TABLE plans (place INTEGER PRIMARY KEY, record TEXT NOT NULL) STRICT;
    CREATE TABLE pins (place INTEGER PRIMARY KEY, record TEXT NOT NULL) STRICT;
    CREATE TABLE plan_pictures (
        number INTEGER PRIMARY KEY AUTOINCREMENT,
        bytes INTEGER NOT NULL,
        whole INTEGER NOT NULL
    ) STRICT;
    CREATE TABLE plan_parts (
        id INTEGER PRIMARY KEY,
        picture INTEGER NOT NULL,
        place INTEGER NOT NULL,
        bytes BLOB NOT NULL,
        UNIQUE (picture, place)
    ) STRICT;
    ",
    // 13: what devices are told, and how far that came.
    "
    CREATE TABLE orders (
        number INTEGER PRIMARY KEY AUTOINCREMENT,
        id TEXT NOT NULL UNIQUE,
        device INTEGER NOT NULL,
        stage TEXT NOT NULL,
        until INTEGER NOT NULL,
        record TEXT NOT NULL
    ) STRICT;
    CREATE INDEX orders_by_device ON orders (device, number);
    CREATE INDEX orders_waiting ON orders (until) WHERE stage = 'waiting';
    ",
    // 14: of which orders something may still come; whose case an alarm is, from the alarm's side.
    "
    ALTER TABLE orders ADD COLUMN open INTEGER NOT NULL DEFAULT 0;
    UPDATE orders SET open = 1 WHERE stage IN ('waiting', 'handed', 'sent');
    CREATE INDEX orders_open ON orders (until, device) WHERE open = 1;
    CREATE INDEX cases_by_alarm ON cases (alarm);
    ",
    // 15: an alert touches two indices fewer: only those that wait for another try are found by when that is, and alerts of a time by their numbers.
    "
    DROP INDEX outbox_by_at;
    DROP INDEX outbox_waiting;
    CREATE INDEX outbox_waiting ON outbox (channel, next_at) WHERE state = 'pending' AND next_at > 0;
    ",
];

/// Those whom an alarm was handed to, and those who were called for it. Taken again it adds those that are missing, as after a salvage.
pub(super) const CASES: &str = "
CREATE TABLE IF NOT EXISTS cases (
    number INTEGER PRIMARY KEY,
    person TEXT NOT NULL,
    alarm INTEGER NOT NULL,
    UNIQUE (person, alarm)
) STRICT;
INSERT OR IGNORE INTO cases (person, alarm) SELECT person, alarm FROM outbox WHERE person IS NOT NULL;
WITH texts AS (
    SELECT id, CASE WHEN record LIKE '%}' THEN record ELSE substr(record, 1, length(record) - 10) END AS text
    FROM alarms
), whole AS (
    SELECT id, CASE WHEN json_valid(text) THEN text END AS text FROM texts
), handed AS (
    SELECT id, json_extract(text, '$.V1.handling.handed_to') AS person FROM whole
)
INSERT OR IGNORE INTO cases (person, alarm) SELECT person, id FROM handed WHERE person IS NOT NULL;
";

/// How many steps the file has taken, and whether it is ours; a file without anything in it becomes ours.
pub fn inspect(connection: &Connection) -> rusqlite::Result<Found> {
    let application: i32 = connection.pragma_query_value(None, "application_id", |row| row.get(0))?;
    let version: u32 = connection.pragma_query_value(None, "user_version", |row| row.get(0))?;
    let tables: i64 = connection.query_row("SELECT count(*) FROM sqlite_schema", (), |row| row.get(0))?;
    Ok(match (application, tables) {
        (APPLICATION_ID, _) => Found::Ours { version },
        (0, 0) if version == 0 => Found::Empty,
        _ => Found::Foreign,
    })
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Found {
    Empty,
    Ours { version: u32 },
    Foreign,
}

/// Takes the steps that are missing: all of them or, after an error or a power cut, none.
pub fn migrate(connection: &mut Connection) -> rusqlite::Result<()> {
    take_steps(connection, STEPS)
}

pub(super) fn take_steps(connection: &mut Connection, steps: &[&str]) -> rusqlite::Result<()> {
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    // Asked again under the lock: another process may have just done it.
    let taken: u32 = transaction.pragma_query_value(None, "user_version", |row| row.get(0))?;
    for step in steps.iter().skip(taken as usize) {
        transaction.execute_batch(step)?;
    }
    chain::begin_all(&transaction)?;
    if (taken as usize) < steps.len() {
        transaction.pragma_update(None, "application_id", APPLICATION_ID)?;
        transaction.pragma_update(None, "user_version", steps.len() as u32)?;
    }
    transaction.commit()
}
