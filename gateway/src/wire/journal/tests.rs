//! Every event survives the way to bytes and back; no bytes can hurt.

use proptest::prelude::*;

use super::*;
use crate::model::{AlarmId, CellIx, Deed, Disposition, HandTo, Reporter, SignalClass, Verdict};
use crate::units::Steady;

fn time() -> impl Strategy<Value = Timestamp> {
    prop_oneof![Just(0), 1_700_000_000_000i64..1_800_000_000_000, any::<i64>()].prop_map(Timestamp)
}

fn number() -> impl Strategy<Value = f64> {
    prop_oneof![
        Just(0.0),
        Just(1.0),
        (-50_000i64..50_000).prop_map(|n| n as f64 / 100.0),
        (-50_000i64..50_000).prop_map(|n| n as f64 * 0.01),
        any::<f64>().prop_filter("finite", |value| value.is_finite()),
    ]
}

fn value() -> impl Strategy<Value = Value> {
    let metric = proptest::sample::select(Metric::all().collect::<Vec<_>>());
    let quality = proptest::sample::select(vec![Quality::Good, Quality::Uncertain, Quality::Bad]);
    (metric, number(), quality).prop_map(|(metric, value, quality)| Value { metric, value, quality })
}

fn report() -> impl Strategy<Value = Report> {
    let freshness = proptest::sample::select(vec![
        Freshness::Live,
        Freshness::Retained,
        Freshness::Replayed,
        Freshness::Backfill,
    ]);
    let values = proptest::collection::vec(value(), 0..12);
    (any::<u32>(), time(), proptest::option::of(time()), freshness, values).prop_map(
        |(device, received, device_time, freshness, values)| Report {
            device: DeviceIx(device),
            received,
            device_time,
            freshness,
            values,
        },
    )
}

fn action() -> impl Strategy<Value = Action> {
    let note = || proptest::option::of("\\PC{0,20}");
    let deed = prop_oneof![
        (any::<u64>(), note()).prop_map(|(id, note)| Deed::Acknowledge { alarm: AlarmId(id), note }),
        (any::<u64>(), note()).prop_map(|(id, note)| Deed::Resolve {
            alarm: AlarmId(id),
            disposition: Disposition::HazardRemoved,
            cause: None,
            note,
        }),
        (any::<u64>(), "\\PC{0,12}", "\\PC{0,20}").prop_map(|(id, person, reason)| {
            Deed::HandOver { alarm: AlarmId(id), to: HandTo::Person(person), reason }
        }),
        (any::<u64>(), time(), "\\PC{0,20}").prop_map(|(id, until, reason)| Deed::Suspend {
            alarm: AlarmId(id),
            until,
            reason
        }),
        (any::<u64>(), note()).prop_map(|(id, note)| Deed::Evaluate {
            alarm: AlarmId(id),
            verdict: Verdict::Nuisance,
            note
        }),
        Just(Deed::Roster),
        (any::<u32>(), note()).prop_map(|(cell, note)| Deed::Drill {
            cell: CellIx(cell),
            class: SignalClass::Fire,
            note
        }),
        (proptest::collection::vec((any::<u32>().prop_map(CellIx), "\\PC{0,12}"), 0..4), note())
            .prop_map(|(people, note)| Deed::RollCall { people, note }),
        (any::<u32>(), any::<bool>(), "\\PC{0,20}").prop_map(|(cell, resident, text)| Deed::Report {
            cell: CellIx(cell),
            class: SignalClass::Supervisory,
            by: if resident { Reporter::Resident } else { Reporter::Worker },
            text
        }),
        (any::<u32>(), proptest::option::of(any::<u32>()), "\\PC{0,40}").prop_map(|(cell, device, text)| {
            Deed::Raise { cell: CellIx(cell), device: device.map(DeviceIx), class: SignalClass::Fire, text }
        }),
        (any::<u32>(), "\\PC{0,40}").prop_map(|(cell, text)| {
            Deed::End { cell: CellIx(cell), device: None, class: SignalClass::Trouble, text }
        }),
    ];
    ("\\PC{0,12}", deed).prop_map(|(who, what)| Action { who, what })
}

fn event() -> impl Strategy<Value = Event> {
    prop_oneof![
        8 => report().prop_map(Event::Report),
        1 => (any::<u32>(), time(), time())
            .prop_map(|(device, since, received)| Event::Gone { device: DeviceIx(device), since, received }),
        1 => action().prop_map(Event::Action),
    ]
}

fn batch() -> impl Strategy<Value = Batch> {
    (any::<u64>(), time(), any::<u64>(), proptest::collection::vec(event(), 0..20)).prop_map(
        |(seq, wall, steady, events)| Batch { seq, now: Now { wall, steady: Steady(steady) }, events },
    )
}

/// The bytes with a right checksum put after them, so that the content is what is tried.
fn sealed(seq: u64, now: Now, mut content: Vec<u8>) -> Vec<u8> {
    let checksum = checksum(seq, now, &content);
    content.extend_from_slice(&checksum.to_le_bytes());
    content
}

proptest! {
    #[test]
    fn every_batch_survives(batch in batch()) {
        prop_assert_eq!(decode(batch.seq, batch.now, &encode(&batch)), Ok(batch));
    }

    #[test]
    fn one_flipped_bit_is_noticed(batch in batch(), at: prop::sample::Index, bit in 0u8..8) {
        let mut bytes = encode(&batch);
        let at = at.index(bytes.len());
        bytes[at] ^= 1 << bit;
        prop_assert_eq!(decode(batch.seq, batch.now, &bytes), Err(Damaged::Checksum));
    }

    #[test]
    fn no_bytes_panic(bytes: Vec<u8>) {
        let _ = decode(1, Now::default(), &bytes);
        let mut versioned = vec![VERSION];
        versioned.extend_from_slice(&bytes);
        let _ = decode(1, Now::default(), &sealed(1, Now::default(), versioned));
    }
}

#[test]
fn another_number_or_an_unknown_form_is_refused() {
    let batch = Batch { seq: 7, now: Now::default(), events: Vec::new() };
    assert_eq!(decode(8, Now::default(), &encode(&batch)), Err(Damaged::Checksum));
    assert_eq!(decode(7, Now::default(), &sealed(7, Now::default(), vec![9])), Err(Damaged::Version(9)));
}

#[test]
fn a_value_that_is_no_number_does_not_panic() {
    let value = Value { metric: Metric::TEMPERATURE, value: f64::NAN, quality: Quality::Bad };
    let report = Report {
        device: DeviceIx(1),
        received: Timestamp(5),
        device_time: None,
        freshness: Freshness::Live,
        values: vec![value],
    };
    let batch = Batch { seq: 1, now: Now::default(), events: vec![Event::Report(report)] };
    let read = decode(1, Now::default(), &encode(&batch)).expect("intact");
    let Event::Report(report) = &read.events[0] else { panic!("a report was written") };
    assert!(report.values[0].value.is_nan());
}

#[test]
fn a_usual_reading_takes_few_bytes() {
    let wall = Timestamp(1_795_000_000_000);
    let event = |n: i64| {
        Event::Report(Report {
            device: DeviceIx((n * 7919 % 10_000) as u32),
            received: Timestamp(wall.0 - 200 + n / 10),
            device_time: Some(Timestamp(wall.0 - 900 + n / 10)),
            freshness: Freshness::Live,
            values: vec![Value {
                metric: Metric::TEMPERATURE,
                value: (2000 + n % 500) as f64 / 100.0,
                quality: Quality::Good,
            }],
        })
    };
    let batch =
        Batch { seq: 1, now: Now { wall, steady: Steady(9) }, events: (0..2000).map(event).collect() };
    let each = encode(&batch).len() as f64 / 2000.0;
    assert!(each <= 12.0, "{each} bytes per reading");
}

/// Bytes that a gateway wrote before alarms had steps of handling.
#[test]
fn actions_of_the_first_form_are_still_read() {
    let now = Now { wall: Timestamp(1_700_000_000_000 + 5000), steady: Steady(5000) };
    let batch = decode(12, now, include_bytes!("kept/actions-1.bin")).expect("it is whole");
    let note = |text: &str| Some(text.to_owned());
    let expected = [
        Deed::Acknowledge { alarm: AlarmId(17), note: None },
        Deed::Acknowledge { alarm: AlarmId(300), note: note("on my way") },
        Deed::Resolve {
            alarm: AlarmId(17),
            disposition: Disposition::FalseAlarm,
            cause: None,
            note: note("steam"),
        },
        Deed::Resolve { alarm: AlarmId(18), disposition: Disposition::HandedOver, cause: None, note: None },
        Deed::Raise {
            cell: CellIx(2),
            device: Some(DeviceIx(7)),
            class: SignalClass::Fire,
            text: "烟".into(),
        },
        Deed::Raise { cell: CellIx(2), device: None, class: SignalClass::Test, text: "drill".into() },
        Deed::End { cell: CellIx(0), device: None, class: SignalClass::Trouble, text: "disk".into() },
    ];
    let expected = expected.map(|what| Event::Action(Action { who: "ann".into(), what }));
    assert_eq!(batch.events, expected);
}
