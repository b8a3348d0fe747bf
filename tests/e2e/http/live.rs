//! The event stream: every change of an alarm once and in order, readings as far as the reader keeps up.

use std::time::Duration;

use gateway::engine::Seen;
use gateway::grid::{Registry, Rows};
use gateway::model::{DeviceIx, Metric, SignalClass};
use gateway::store::outbox::{Outcome, ToRecord};
use gateway::world::World;
use serde_json::{Value as Json, json};
use tests::station::Station;

/// A reader of the event stream.
struct Reader {
    response: reqwest::Response,
    /// A chunk may end within a character.
    rest: Vec<u8>,
}

#[derive(Debug, PartialEq)]
struct Event {
    kind: String,
    id: Option<u64>,
    data: Json,
}

impl Reader {
    async fn open(station: &Station, query: &str, last: Option<u64>) -> Self {
        let mut request = station.get(&format!("/api/v1/events{query}"));
        if let Some(last) = last {
            request = request.header("Last-Event-ID", last);
        }
        let response = request.send().await.unwrap();
        assert_eq!(response.status(), 200);
        assert_eq!(response.headers()["content-type"], "text/event-stream");
        Self { response, rest: Vec::new() }
    }

    /// `None` when the stream has ended.
    async fn next(&mut self) -> Option<Event> {
        loop {
            if let Some(end) = self.rest.windows(2).position(|pair| pair == b"\n\n") {
                let block: Vec<u8> = self.rest.drain(..end + 2).collect();
                let block = std::str::from_utf8(&block).unwrap();
                let field = |name: &str| {
                    let lines = block.lines().filter_map(|line| line.strip_prefix(name)?.strip_prefix(':'));
                    lines.map(str::trim_start).next_back().map(ToOwned::to_owned)
                };
                let event = field("data").map(|data| Event {
                    kind: field("event").unwrap_or_default(),
                    id: field("id").map(|id| id.parse().unwrap()),
                    data: serde_json::from_str(&data).unwrap(),
                });
                if event.is_some() {
                    return event;
                }
                continue;
            }
            let chunk = tokio::time::timeout(Duration::from_secs(20), self.response.chunk()).await;
            match chunk.expect("an event within 20 s") {
                Ok(Some(chunk)) => self.rest.extend_from_slice(&chunk),
                Ok(None) | Err(_) => return None,
            }
        }
    }
}

#[tokio::test]
async fn a_reader_who_comes_and_goes_sees_every_change_once_and_in_order() {
    let station = Station::start().await.unwrap();
    station.raise(SignalClass::Test, "SD-0001", "before").await.unwrap();
    let mut reader = Reader::open(&station, "", None).await;
    let hello = reader.next().await.unwrap();
    assert_eq!(hello.kind, "hello");
    let first = hello.id.unwrap();
    assert_eq!(
        hello.data,
        json!({ "newest": first, "after": first, "registry": station.world.load().registry.version() }),
        "what was before is in the list, not here"
    );

    const CHANGES: usize = 400;
    let writing = async {
        for number in 0..CHANGES {
            station.raise(SignalClass::Trouble, "SD-0002", &format!("t{number}")).await.unwrap();
        }
    };
    let reading = async {
        let (mut texts, mut last, mut seen_here) = (Vec::new(), first, 0);
        while texts.len() < CHANGES {
            let event = reader.next().await.expect("a living stream");
            if event.kind == "hello" {
                assert_eq!(event.data["after"], last);
                continue;
            }
            assert_eq!(event.kind, "alarm");
            assert!(last < event.id.unwrap(), "numbers rise");
            assert_eq!(event.data["entry"]["number"], event.id.unwrap());
            last = event.id.unwrap();
            texts.push(event.data["alarm"]["text"].as_str().unwrap().to_owned());
            seen_here += 1;
            if seen_here % 37 == 0 {
                reader = match texts.len() % 2 {
                    0 => Reader::open(&station, "", Some(last)).await,
                    _ => Reader::open(&station, &format!("?after={last}"), None).await,
                };
            }
        }
        texts
    };
    let ((), texts) = tokio::join!(writing, reading);
    assert_eq!(texts, (0..CHANGES).map(|number| format!("t{number}")).collect::<Vec<_>>());
    station.end().await.unwrap();
}

#[tokio::test]
async fn a_slow_reader_loses_readings_but_no_alarm() {
    let station = Station::start().await.unwrap();
    let mut reader = Reader::open(&station, "?readings=1", None).await;
    assert_eq!(reader.next().await.unwrap().kind, "hello");
    // Much more than the sockets and the broadcast hold, while the reader does not read.
    for round in 0..60 {
        station.raise(SignalClass::Fire, "SD-0001", &format!("fire {round}")).await.unwrap();
        for step in 0..500 {
            station
                .report("HY-0001", &[(Metric::PRESSURE, f64::from(step)), (Metric::FLOW, f64::from(round))]);
        }
    }
    let (mut fires, mut lagged, mut readings) = (Vec::new(), 0, 0);
    while fires.len() < 60 {
        let event = reader.next().await.expect("a living stream");
        match event.kind.as_str() {
            "alarm" => fires.push(event.data["alarm"]["text"].as_str().unwrap().to_owned()),
            "lagged" => lagged += 1,
            "reading" => {
                assert_eq!(event.id, None);
                assert_eq!(event.data["device"], "HY-0001");
                readings += 1;
            }
            "presence" => assert_eq!(event.data["device"], "HY-0001", "its first report shows that it lives"),
            other => panic!("unexpected {other}"),
        }
    }
    assert_eq!(fires, (0..60).map(|round| format!("fire {round}")).collect::<Vec<_>>());
    assert!(0 < lagged, "the reader was told that it missed readings ({readings} seen)");
    assert!(readings < 30_000);
    station.end().await.unwrap();
}

#[tokio::test]
async fn a_stream_tells_presence_and_receipts_and_ends_with_the_gateway() {
    let station = Station::start().await.unwrap();
    let alarm = station.raise(SignalClass::Fire, "SD-0001", "fire").await.unwrap();
    let mut reader = Reader::open(&station, "?readings=1", None).await;
    let hello = reader.next().await.unwrap();
    station.live.seen(DeviceIx(0), Seen { last: None, online: Some(false) });
    let event = reader.next().await.unwrap();
    assert_eq!(
        (&*event.kind, event.id, event.data),
        ("presence", None, json!({ "device": "SD-0001", "online": false }))
    );

    // Told once for what is in force now, however often it was replaced.
    let old = World::clone(&station.world.load());
    let rows = Rows { version: old.registry.version() + 2, ..old.registry.rows().clone() };
    station.world.store(std::sync::Arc::new(World { registry: Registry::build(rows.clone()), ..old }));
    station.live.registry();
    station.live.registry();
    let event = reader.next().await.unwrap();
    assert_eq!((&*event.kind, event.id, event.data), ("registry", None, json!({ "version": rows.version })));

    // A line that comes from the outbox and not from the driver.
    station.tell(&alarm, "duty-app", "wang-li").await.unwrap();
    let now = station.clock.now();
    let due = station.store.due("duty-app", now.steady, 1, |_: &str| false).await.unwrap();
    let outcome = Outcome::Delivered { receipt: "200".into(), id: None };
    let attempt = ToRecord { key: due.rows[0].alert.key.clone(), at: now.wall, outcome };
    let lines = station.store.attempted(vec![attempt]).await.unwrap().into_iter().map(Result::unwrap);
    let lines = station.store.with_alarms(lines.flatten().collect()).await.unwrap();
    let [(number, alarm, entry)] = <[_; 1]>::try_from(lines).expect("a final outcome has a line");
    station.live.alarm(number, alarm, entry);
    let event = reader.next().await.unwrap();
    assert_eq!((&*event.kind, &event.data["entry"]["what"]), ("alarm", &json!("told")));
    assert!(hello.id < event.id);

    let ahead = Reader::open(&station, "", Some(1_000_000)).await.next().await.unwrap();
    assert_eq!((&*ahead.kind, ahead.id), ("hello", event.id), "a number from another store");
    let mut other = Reader::open(&station, "", Some(1_000_000)).await;
    assert_eq!([other.next().await.unwrap().kind, other.next().await.unwrap().kind], ["hello", "lagged"]);

    let begun = std::time::Duration::from_secs(4);
    tokio::time::timeout(begun, station.end()).await.expect("open streams do not hold up the end").unwrap();
    assert_eq!(reader.next().await, None);
}
