BEGIN;
CREATE TABLE journal (
        seq INTEGER PRIMARY KEY,
        wall INTEGER NOT NULL,
        steady INTEGER NOT NULL,
        readings INTEGER NOT NULL,
        upto INTEGER NOT NULL,
        bytes BLOB NOT NULL
    ) STRICT;
INSERT INTO journal VALUES (1,1795000001000,1000,1,10,X'012002003C11DA7E26E3');
INSERT INTO journal VALUES (2,1795000002000,2000,1,20,X'012004003C219FFED176');
INSERT INTO journal VALUES (3,1795000003000,3000,1,30,X'012006003C315577A814');
INSERT INTO journal VALUES (4,1795000004000,4000,1,40,X'012008003C4154F84F86');
INSERT INTO journal VALUES (5,1795000005000,5000,1,50,X'01200A003C519E112290');
INSERT INTO journal VALUES (6,1795000006000,6000,1,60,X'01200C003C61C0EBBC42');
INSERT INTO journal VALUES (7,1795000007000,7000,1,70,X'012000003C710FC1ED4B');
INSERT INTO journal VALUES (8,1795000008000,8000,1,81,X'012002003C810190CB28CB');
INSERT INTO journal VALUES (9,1795000009000,9000,1,92,X'012004003C910149C1664A');
INSERT INTO journal VALUES (10,1795000010000,10000,1,102,X'012006003C104BECFD10');
INSERT INTO journal VALUES (11,1795000011000,11000,1,113,X'012008003CB1015DDDD2C8');
INSERT INTO journal VALUES (12,1795000012000,12000,1,124,X'01200A003CC10145E7B77A');
INSERT INTO journal VALUES (13,1795000013000,13000,1,135,X'01200C003CD101C20790F4');
INSERT INTO journal VALUES (14,1795000014000,14000,1,146,X'012000003CE101B13F3277');
INSERT INTO journal VALUES (15,1795000015000,15000,1,157,X'012002003CF101DB0FD0C3');
INSERT INTO journal VALUES (16,1795000016000,16000,1,168,X'012004003C810221097D84');
INSERT INTO journal VALUES (17,1795000017000,17000,1,179,X'012006003C91021AF2BA71');
INSERT INTO journal VALUES (18,1795000018000,18000,1,190,X'012008003CA10244FBE947');
INSERT INTO journal VALUES (19,1795000019000,19000,1,201,X'01200A003CB10263A93A3C');
INSERT INTO journal VALUES (20,1795000020000,20000,1,211,X'01200C003C2000B779B6');
INSERT INTO journal VALUES (21,1795000021000,21000,1,222,X'012000003CD1029DCD48BF');
CREATE TABLE cursors (
        consumer TEXT PRIMARY KEY,
        seq INTEGER NOT NULL,
        dropped INTEGER NOT NULL DEFAULT 0
    ) STRICT, WITHOUT ROWID;
INSERT INTO cursors VALUES ('history',20,0);
INSERT INTO cursors VALUES ('influx',12,0);
CREATE TABLE snapshots (
        seq INTEGER PRIMARY KEY,
        checksum INTEGER NOT NULL,
        bytes BLOB NOT NULL
    ) STRICT;
INSERT INTO snapshots VALUES (21,2878508800,X'070707070707070707');
CREATE TABLE dead_letters (
        number INTEGER PRIMARY KEY AUTOINCREMENT,
        received INTEGER NOT NULL,
        source TEXT NOT NULL,
        address TEXT NOT NULL,
        reason TEXT NOT NULL,
        payload BLOB NOT NULL
    ) STRICT;
INSERT INTO dead_letters VALUES (1,1795000001000,'listener','topic/1','It is not JSON; send an object.',X'010101');
CREATE TABLE audit (
        number INTEGER PRIMARY KEY AUTOINCREMENT,
        at INTEGER NOT NULL,
        who TEXT NOT NULL,
        what TEXT NOT NULL,
        target TEXT NOT NULL,
        detail TEXT NOT NULL
    , hash BLOB NOT NULL DEFAULT x'') STRICT;
INSERT INTO audit VALUES (1,1,'root','registry.import','people.csv','one person',X'F53E211C88B378ECC17C928DA14474C4C3282439F7F6777D837ADA5CC2992D8A');
CREATE TABLE alarms (
        id INTEGER PRIMARY KEY,
        state TEXT NOT NULL,
        class INTEGER NOT NULL,
        cell TEXT NOT NULL,
        device INTEGER,
        record TEXT NOT NULL
    ) STRICT;
INSERT INTO alarms VALUES (1,'unacknowledged',0,'c-1',1,'{"V1":{"id":1,"rule":"smoke","class":"fire","text":"烟雾报警 1","cell":1,"cell_code":"c-1","device":1,"device_id":"SD-1","state":"unacknowledged","raised":1795000001000,"raised_steady":1000,"late":null,"trigger":null,"repeats":0,"owner":"wang-li","acknowledged":null,"returned":null,"resolved":null,"closed":null,"ladder":null,"handling":{"joined":[],"need":0,"on_the_way":null,"on_site":null,"progress_by":null,"verified":null,"sent_back":null,"evaluated":null,"handed_over":null,"handed_to":null,"held":null,"unanswered":null,"handlers":[],"incident":null}}} #e01a165b');
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
    , hash BLOB NOT NULL DEFAULT x'') STRICT;
INSERT INTO entries VALUES (1,1,1795000001000,'raised',NULL,'',X'97F1D0EE6E3C520E74067F069BB643965AB47D82BEFAD5D6C98D7B616EA06A2F');
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
    , shown_at INTEGER, opened_at INTEGER) STRICT;
INSERT INTO outbox VALUES (1,'A-1/1/wang-li/hook',1,0,'hook','wang-li',1,1795000001000,'pending',0,0,NULL,NULL);
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
    , provider_id TEXT, handed_to TEXT) STRICT;
CREATE INDEX attempts_by_row ON attempts (row);
CREATE TABLE registry (one INTEGER PRIMARY KEY CHECK (one = 1), version INTEGER NOT NULL) STRICT;
INSERT INTO registry VALUES (1,1);
CREATE TABLE cells (place INTEGER PRIMARY KEY, record TEXT NOT NULL) STRICT;
CREATE TABLE devices (place INTEGER PRIMARY KEY, record TEXT NOT NULL) STRICT;
CREATE TABLE people (place INTEGER PRIMARY KEY, record TEXT NOT NULL) STRICT;
INSERT INTO people VALUES (0,'{"V1":{"id":"wang-li","name":"王丽","phone":"10000000001"}} #274a8209');
CREATE TABLE duties (place INTEGER PRIMARY KEY, record TEXT NOT NULL) STRICT;
CREATE TABLE memo (name TEXT PRIMARY KEY, text TEXT NOT NULL) STRICT, WITHOUT ROWID;
INSERT INTO memo VALUES ('registry.file:people.csv','abc');
INSERT INTO memo VALUES ('registry.time_zone','Asia/Shanghai');
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
CREATE TABLE absences (place INTEGER PRIMARY KEY, record TEXT NOT NULL) STRICT;
CREATE TABLE teams (place INTEGER PRIMARY KEY, record TEXT NOT NULL) STRICT;
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
INSERT INTO tallies VALUES (1,1,'smoke','raised',1);
CREATE INDEX audit_by_at ON audit (at);
CREATE INDEX entries_by_at ON entries (at);
CREATE TABLE anchors (chain TEXT PRIMARY KEY, number INTEGER NOT NULL, hash BLOB NOT NULL) STRICT, WITHOUT ROWID;
INSERT INTO anchors VALUES ('audit',0,X'');
INSERT INTO anchors VALUES ('entries',0,X'');
CREATE TABLE accounts (name TEXT PRIMARY KEY, record TEXT NOT NULL) STRICT, WITHOUT ROWID;
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
CREATE INDEX attempts_by_provider ON attempts (provider_id) WHERE provider_id IS NOT NULL;
CREATE TABLE push_subscriptions (
        id INTEGER PRIMARY KEY AUTOINCREMENT,
        endpoint TEXT NOT NULL UNIQUE,
        person TEXT NOT NULL,
        p256dh BLOB NOT NULL,
        auth BLOB NOT NULL,
        at INTEGER NOT NULL
    ) STRICT;
CREATE INDEX push_by_person ON push_subscriptions (person);
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
CREATE TABLE cell_tallies (
        id INTEGER PRIMARY KEY,
        cell TEXT NOT NULL,
        rule TEXT NOT NULL,
        what TEXT NOT NULL,
        count INTEGER NOT NULL,
        UNIQUE (cell, rule, what)
    ) STRICT;
INSERT INTO cell_tallies VALUES (1,'c-1','smoke','raised',1);
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
INSERT INTO history_runs VALUES (1,'whole',0,20,1000,20000,1795000001000,1795000020000,20);
CREATE TABLE history_blocks (
        id INTEGER PRIMARY KEY,
        run INTEGER NOT NULL,
        last_series INTEGER NOT NULL,
        last_time INTEGER NOT NULL,
        first_series INTEGER NOT NULL,
        first_time INTEGER NOT NULL,
        bytes BLOB NOT NULL
    ) STRICT;
INSERT INTO history_blocks VALUES (1,1,64424509446,1795000020000,64424509440,1795000007000,X'0114D087B3E5BD68072870636F210300C20104010206000000230070000000000000000000000000000F00000000930201001970636F210300C2010401010600000010001000000008007E003770636F21030004050401021300000025005000000000000000000D8AB501000000000000003FF800E600E02E00401FD00777813EC409002470636F210300040504010413000000100008000000000000001C0036ECD8B267D3AE0D00F5DF08E6');
CREATE INDEX history_blocks_by_key ON history_blocks (run, last_series, last_time, first_series, first_time);
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
CREATE TABLE cases (
    number INTEGER PRIMARY KEY,
    person TEXT NOT NULL,
    alarm INTEGER NOT NULL,
    UNIQUE (person, alarm)
) STRICT;
INSERT INTO cases VALUES (1,'wang-li',1);
CREATE TABLE waiting (address TEXT PRIMARY KEY, record TEXT NOT NULL) STRICT;
PRAGMA application_id = 1198675809;
PRAGMA user_version = 11;
COMMIT;
