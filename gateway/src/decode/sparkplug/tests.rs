//! Messages as edge nodes send them, through the host: order, aliases, deaths, and what becomes of values.

use proptest::prelude::*;

use super::payload::{REBIRTH, put_bytes, put_number};
use super::*;
use crate::decode::samples;
use crate::model::{Event, Freshness};

const NOW: i64 = 1_795_402_800_000;
const TIMEOUT: Millis = Millis(2_000);

/// Name, alias and value of a metric.
#[derive(Clone, Copy)]
enum V {
    Flag(bool),
    Double(f64),
    Whole(u64, u64),
    Text(&'static str),
    DataSet,
}

fn metric(name: Option<&str>, alias: Option<u64>, value: V, at: Option<i64>, historical: bool) -> Vec<u8> {
    let mut bytes = Vec::new();
    name.into_iter().for_each(|name| put_bytes(&mut bytes, 1, name.as_bytes()));
    alias.into_iter().for_each(|alias| put_number(&mut bytes, 2, alias));
    at.into_iter().for_each(|at| put_number(&mut bytes, 3, at as u64));
    put_number(&mut bytes, 5, u64::from(historical));
    match value {
        V::Flag(flag) => put_number(&mut bytes, 14, u64::from(flag)),
        V::Double(number) => {
            bytes.push(13 << 3 | 1);
            bytes.extend(number.to_le_bytes());
        }
        V::Whole(datatype, bits) => {
            put_number(&mut bytes, 4, datatype);
            put_number(&mut bytes, 10, bits);
        }
        V::Text(text) => put_bytes(&mut bytes, 15, text.as_bytes()),
        V::DataSet => put_bytes(&mut bytes, 17, &[]),
    }
    bytes
}

fn payload(seq: Option<u64>, metrics: &[Vec<u8>]) -> Vec<u8> {
    let mut bytes = Vec::new();
    put_number(&mut bytes, 1, NOW as u64);
    metrics.iter().for_each(|metric| put_bytes(&mut bytes, 2, metric));
    seq.into_iter().for_each(|seq| put_number(&mut bytes, 3, seq));
    bytes
}

/// A host, and what it was told.
struct Desk {
    host: Host,
    context: Context,
    now: Steady,
}

impl Desk {
    fn new() -> Self {
        let context = samples::context(&["sparkplug:G/E/SD-1", "sparkplug:G/E/HY-1"]);
        Self { host: Host::new(TIMEOUT), context, now: Steady(1_000_000) }
    }

    fn raw(&mut self, topic: &str, payload: &[u8]) -> Decoded {
        let message = Message { topic, payload, retained: false, dup: false, received: Timestamp(NOW) };
        let mut all = Decoded::default();
        self.host.hear(&message, self.now, &self.context, &mut |_, decoded| add(&mut all, decoded));
        all
    }

    fn due(&mut self) -> Decoded {
        let mut all = Decoded::default();
        self.host.due(self.now, Timestamp(NOW), &self.context, &mut |_, decoded| add(&mut all, decoded));
        all
    }

    fn hear(&mut self, kind: &str, device: &str, seq: Option<u64>, metrics: &[Vec<u8>]) -> Vec<String> {
        let device = if device.is_empty() { String::new() } else { format!("/{device}") };
        written(&self.raw(&format!("spBv1.0/G/{kind}/E{device}"), &payload(seq, metrics)))
    }

    fn born(&mut self) {
        let bd_seq = metric(Some("bdSeq"), None, V::Whole(4, 7), None, false);
        let rebirth = metric(Some(REBIRTH), None, V::Flag(false), None, false);
        assert_eq!(self.hear("NBIRTH", "", Some(0), &[bd_seq, rebirth]), Vec::<String>::new());
        let smoke = metric(Some("Detector/Smoke"), Some(1), V::Flag(false), None, false);
        let battery = metric(Some("Battery"), Some(2), V::Whole(3, 93), None, false);
        assert_eq!(self.hear("DBIRTH", "SD-1", Some(1), &[smoke, battery]), ["0 Live smoke=0 battery=93"]);
    }

    fn asked(&mut self) -> usize {
        self.host.asks().len()
    }
}

fn add(all: &mut Decoded, more: Decoded) {
    all.events.extend(more.events);
    all.rejects.extend(more.rejects);
    all.strangers.extend(more.strangers);
}

fn written(decoded: &Decoded) -> Vec<String> {
    let one = |event: &Event| match event {
        Event::Report(report) => {
            let values = report.values.iter().map(|value| {
                let mark = ["", "?", "!"][value.quality as usize];
                format!(" {}={}{mark}", value.metric.name(), value.value)
            });
            format!("{} {:?}{}", report.device.0, report.freshness, values.collect::<String>())
        }
        Event::Gone { device, .. } => format!("{} gone", device.0),
        Event::Action(action) => panic!("no decoder acts: {action:?}"),
    };
    decoded.events.iter().map(one).collect()
}

fn by_alias(alias: u64, value: V) -> Vec<Vec<u8>> {
    vec![metric(None, Some(alias), value, None, false)]
}

#[test]
fn births_explain_aliases_and_data_follows_them() {
    let mut desk = Desk::new();
    desk.born();
    assert_eq!(desk.hear("DDATA", "SD-1", Some(2), &by_alias(1, V::Flag(true))), ["0 Live smoke=1"]);
    assert_eq!(desk.hear("DDATA", "SD-1", Some(3), &by_alias(2, V::Whole(3, 90))), ["0 Live battery=90"]);
    assert_eq!(desk.asked(), 0, "nothing is missing");
}

#[test]
fn an_unknown_node_is_asked_for_its_births_and_what_it_says_by_name_counts_at_once() {
    let mut desk = Desk::new();
    let smoke = metric(Some("smoke"), None, V::Flag(true), None, false);
    assert_eq!(desk.hear("DDATA", "SD-1", Some(40), &[smoke]), ["0 Live smoke=1"]);
    let asks = desk.host.asks();
    assert_eq!(asks.iter().map(|ask| ask.topic.as_str()).collect::<Vec<_>>(), ["spBv1.0/G/NCMD/E"]);
    assert_eq!(asks[0].payload, rebirth_request(NOW as u64));
    for seq in 41..60 {
        desk.hear("DDATA", "SD-1", Some(seq), &by_alias(1, V::Flag(true)));
    }
    assert_eq!(desk.asked(), 0, "not with every message");
    desk.now = desk.now + Millis(5_000);
    desk.hear("DDATA", "SD-1", Some(60), &by_alias(1, V::Flag(true)));
    assert_eq!(desk.asked(), 1, "it did not answer");
    let told = desk.raw("spBv1.0/G/DDATA/E/SD-1", &payload(Some(61), &by_alias(1, V::Flag(true))));
    assert!(told.rejects[0].0.contains("1 metrics have an alias"), "{:?}", told.rejects);
}

#[test]
fn an_early_message_waits_and_is_read_in_order() {
    let mut desk = Desk::new();
    desk.born();
    assert_eq!(desk.hear("DDATA", "SD-1", Some(3), &by_alias(2, V::Whole(3, 80))), Vec::<String>::new());
    assert_eq!(desk.host.wake_at(), Some(desk.now + TIMEOUT));
    let both = desk.hear("DDATA", "SD-1", Some(2), &by_alias(2, V::Whole(3, 90)));
    assert_eq!(both, ["0 Live battery=90", "0 Live battery=80"]);
    assert_eq!((desk.host.wake_at(), desk.asked()), (None, 0), "the timer is stopped, nobody is asked");
    assert_eq!(desk.hear("DDATA", "SD-1", Some(4), &by_alias(2, V::Whole(3, 79))), ["0 Live battery=79"]);
}

/// The one that fills the gap does not lend it its time, its topic or its bytes.
#[test]
fn what_waited_is_a_message_of_its_own() {
    let mut desk = Desk::new();
    desk.born();
    let early = payload(Some(4), &by_alias(2, V::DataSet));
    let (filler, data) = (payload(Some(2), &by_alias(1, V::Flag(false))), "spBv1.0/G/DDATA/E/SD-1");
    let mut told = Vec::new();
    for (topic, payload, ms) in [
        (data, &early, 0),
        (
            "spBv1.0/G/DDATA/E/HY-1",
            &payload(Some(3), &[metric(Some("pressure"), None, V::Double(4.0), None, false)]),
            300,
        ),
        (data, &filler, 900),
    ] {
        let received = Timestamp(NOW + ms);
        let message = Message { topic, payload, retained: false, dup: false, received };
        desk.host.hear(&message, desk.now, &desk.context, &mut |message, decoded| {
            let received: Vec<_> = decoded.events.iter().map(received_at).collect();
            told.push((message.topic.to_owned(), message.payload == early, received, decoded.rejects.len()));
        });
    }
    let at = |ms| vec![Timestamp(NOW + ms)];
    assert_eq!(
        told,
        [
            (data.into(), false, at(900), 0),
            ("spBv1.0/G/DDATA/E/HY-1".into(), false, at(300), 0),
            (data.into(), true, at(0), 1),
        ]
    );
}

fn received_at(event: &Event) -> Timestamp {
    match event {
        Event::Report(report) => report.received,
        Event::Gone { received, .. } => *received,
        Event::Action(action) => panic!("no decoder acts: {action:?}"),
    }
}

#[test]
fn a_missing_message_is_given_up_and_births_are_asked_for() {
    let mut desk = Desk::new();
    desk.born();
    for seq in [5, 3] {
        desk.hear("DDATA", "SD-1", Some(seq), &by_alias(2, V::Whole(3, 70 + seq)));
    }
    desk.now = desk.now + TIMEOUT;
    assert_eq!(written(&desk.due()), ["0 Live battery=73", "0 Live battery=75"]);
    assert_eq!(desk.asked(), 1);
    assert_eq!(desk.host.wake_at(), None);
    desk.born();
    assert_eq!(desk.asked(), 0);
}

#[test]
fn a_fire_does_not_wait_for_a_missing_message_and_is_told_once() {
    let mut desk = Desk::new();
    desk.born();
    assert_eq!(desk.hear("DDATA", "SD-1", Some(3), &by_alias(1, V::Flag(true))), ["0 Live smoke=1"]);
    let later = desk.hear("DDATA", "SD-1", Some(2), &by_alias(2, V::Whole(3, 90)));
    assert_eq!(later, ["0 Live battery=90", "0 Live"], "the second is only a sign of life");
    assert_eq!(desk.hear("DDATA", "SD-1", Some(4), &by_alias(1, V::Flag(false))), ["0 Live smoke=0"]);
}

#[test]
fn deaths_take_the_devices_along_unless_the_will_is_of_an_earlier_connection() {
    let mut desk = Desk::new();
    desk.born();
    let will = |number| [metric(Some("bdSeq"), None, V::Whole(4, number), None, false)];
    assert_eq!(desk.hear("NDEATH", "", None, &will(6)), Vec::<String>::new(), "an older will");
    assert_eq!(desk.hear("DDATA", "SD-1", Some(2), &by_alias(2, V::Whole(3, 90))), ["0 Live battery=90"]);
    assert_eq!(desk.hear("DDEATH", "SD-1", Some(3), &[]), ["0 gone"]);
    assert_eq!(desk.hear("NDEATH", "", None, &will(7)), ["1 gone", "0 gone"]);
    assert_eq!(desk.asked(), 0, "the dead are not asked");
    desk.hear("DDATA", "SD-1", Some(5), &by_alias(2, V::Whole(3, 90)));
    assert_eq!(desk.asked(), 1, "a word after the death: births were missed");
}

#[test]
fn a_lost_connection_voids_what_is_known() {
    let mut desk = Desk::new();
    desk.born();
    desk.host.forget();
    assert_eq!(desk.hear("DDATA", "SD-1", Some(90), &by_alias(2, V::Whole(3, 90))), ["0 Live"]);
    assert_eq!(desk.asked(), 1);
}

#[test]
fn values_are_ours_by_name_type_unit_and_quality() {
    let mut desk = Desk::new();
    desk.born();
    let property = |field: u64, quality: u64, unit: &str| {
        let (mut number, mut text, mut set) = (Vec::new(), Vec::new(), Vec::new());
        put_number(&mut number, 3, quality);
        put_bytes(&mut text, 8, unit.as_bytes());
        put_bytes(&mut set, 1, b"Quality");
        put_bytes(&mut set, 1, b"engUnit");
        put_bytes(&mut set, 2, &number);
        put_bytes(&mut set, 2, &text);
        let mut bytes = metric(Some("Hydrant/Pressure"), None, V::Double(4.5), None, false);
        put_bytes(&mut bytes, field, &set);
        bytes
    };
    let named = |name, value| metric(Some(name), None, value, None, false);
    for (at, (metrics, wanted)) in [
        (vec![property(9, 192, "bar")], vec!["1 Live pressure=450"]),
        (vec![property(9, 500, "bar")], vec!["1 Live pressure=450?"]),
        (vec![property(9, 0, "kPa")], vec!["1 Live pressure=4.5!"]),
        (vec![property(9, 192, "furlong")], vec!["1 Live"]),
        (vec![named("Temperature", V::Whole(1, 0xFFFF_FFFE))], vec!["1 Live temperature=-2"]),
        (vec![named("contact", V::Flag(true))], vec!["1 Live door_open=0"]),
        (vec![named("smoke", V::Text("alarm"))], vec!["1 Live smoke=1"]),
        (vec![named("colour", V::Text("red")), named("pressure", V::DataSet)], vec!["1 Live"]),
    ]
    .into_iter()
    .enumerate()
    {
        assert_eq!(desk.hear("DDATA", "HY-1", Some(2 + at as u64), &metrics), wanted, "{at}");
    }
    let told = desk.raw("spBv1.0/G/DDATA/E/HY-1", &payload(Some(10), &[named("pressure", V::DataSet)]));
    assert!(told.rejects[0].0.contains("a DataSet, which is not read"), "{:?}", told.rejects);
}

#[test]
fn kept_values_are_filed_at_their_own_time_and_a_birth_is_of_now() {
    let mut desk = Desk::new();
    desk.born();
    let old = |value, at| metric(Some("pressure"), None, V::Double(value), Some(at), true);
    let now = metric(Some("pressure"), None, V::Double(400.0), Some(NOW), false);
    let told = desk.raw(
        "spBv1.0/G/DDATA/E/HY-1",
        &payload(Some(2), &[now, old(410.0, NOW - 3_600_000), old(420.0, NOW - 7_200_000)]),
    );
    let times: Vec<_> = told
        .events
        .iter()
        .map(|event| match event {
            Event::Report(report) => (report.device_time, report.freshness, report.values[0].value),
            Event::Gone { .. } | Event::Action(_) => panic!("{event:?}"),
        })
        .collect();
    assert_eq!(
        times,
        [
            (Some(Timestamp(NOW - 7_200_000)), Freshness::Backfill, 420.0),
            (Some(Timestamp(NOW - 3_600_000)), Freshness::Backfill, 410.0),
            (Some(Timestamp(NOW)), Freshness::Live, 400.0),
        ]
    );
    let since_morning = metric(Some("smoke"), None, V::Flag(false), Some(NOW - 30_000_000), false);
    assert_eq!(desk.hear("DBIRTH", "SD-1", Some(3), &[since_morning]), ["0 Live smoke=0"]);
}

#[test]
fn whoever_is_not_registered_waits_with_what_it_is() {
    let mut desk = Desk::new();
    desk.born();
    let metrics = [
        metric(Some("Properties/Hardware Make"), None, V::Text("Acme"), None, false),
        metric(Some("Properties/Hardware Model"), None, V::Text("S-1"), None, false),
        metric(Some("smoke"), None, V::Flag(true), None, false),
    ];
    let told = desk.raw("spBv1.0/G/DBIRTH/E/new", &payload(Some(2), &metrics));
    let [stranger] = told.strangers.as_slice() else { panic!("{told:?}") };
    assert_eq!((stranger.address.as_str(), stranger.burns()), ("sparkplug:G/E/new", Some(true)));
    assert_eq!(stranger.announced.model.as_deref(), Some("S-1"));
    assert_eq!(desk.raw("spBv1.0/STATE/scada", b"{}"), Decoded::default(), "another host");
    assert!(!desk.raw("spBv1.0/G/DDATA/E", &payload(Some(3), &[])).rejects.is_empty(), "no device");
    assert_eq!(desk.raw("spBv1.0/G/NCMD/E", &payload(None, &[])), Decoded::default(), "a command");
}

proptest! {
    #[test]
    fn random_bytes_and_numbers_never_panic_and_stay_bounded(
        messages in prop::collection::vec((0u8..6, 0u64..300, prop::collection::vec(any::<u8>(), 0..60), any::<bool>()), 0..80)
    ) {
        let mut desk = Desk::new();
        for (kind, seq, mut bytes, sound) in messages {
            let kind = ["NBIRTH", "NDEATH", "DBIRTH", "DDEATH", "NDATA", "DDATA"][usize::from(kind)];
            if sound {
                bytes = payload(Some(seq), &by_alias(seq, V::Flag(true)));
            }
            let device = if kind.starts_with('N') { "" } else { "/SD-1" };
            desk.raw(&format!("spBv1.0/G/{kind}/E{device}"), &bytes);
            desk.now = desk.now + Millis(300);
            desk.due();
        }
        desk.now = desk.now + TIMEOUT;
        desk.due();
        prop_assert_eq!(desk.host.wake_at(), None, "nothing waits for ever");
    }
}
