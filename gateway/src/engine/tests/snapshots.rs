//! Bytes and back; what is damaged is refused, never believed and never a panic.

use proptest::prelude::*;

use super::*;

fn full() -> Engine {
    let mut engine = engine();
    let script = [
        (0, smoke(true)),
        (1, Does::Says(says(CALL_POINT, &[("manual_alarm", 1.0)]))),
        (2, Does::Says(says(HYDRANT, &[("pressure", 1.0)]))),
        (3, Does::Says(says(PUMP, &[("pressure", 400.0)]).at(2.5))),
        (4, Does::Says(says(HALL, &[("smoke", 1.0)]).how(Freshness::Retained))),
        (5, Does::Gone { device: HALL, since: 4.0 }),
        (6, ack(1)),
        (7, raise(2, SignalClass::Fire, "smoke seen")),
    ];
    play(&mut engine, &script, false);
    engine
}

fn restore(bytes: &[u8]) -> Result<Engine, SnapshotError> {
    let engine = engine();
    Engine::restore(bytes, engine.registry, engine.rules)
}

#[test]
fn comes_back_the_same() {
    let engine = full();
    let bytes = engine.snapshot();
    let back = restore(&bytes).unwrap();
    assert_eq!(back.snapshot(), bytes);
    assert_eq!(back.open_alarms().collect::<Vec<_>>(), engine.open_alarms().collect::<Vec<_>>());
    assert_eq!(back.wake_at(), engine.wake_at());
    for device in 0..8 {
        assert_eq!(back.seen(DeviceIx(device)), engine.seen(DeviceIx(device)));
    }
}

#[test]
fn refuses_what_is_not_whole() {
    let bytes = full().snapshot();
    for cut in 0..bytes.len() {
        assert!(restore(&bytes[..cut]).is_err(), "cut at {cut}");
    }
    for at in 0..bytes.len() {
        let mut bytes = bytes.clone();
        bytes[at] ^= 1 << (at % 8);
        assert!(restore(&bytes).is_err(), "flipped in byte {at}");
    }
    let mut newer = bytes.clone();
    newer[0] = 99;
    assert!(matches!(restore(&newer), Err(SnapshotError::Version(99))));
}

proptest! {
    /// Behind a right checksum: a bug of a former version, or somebody's edit.
    #[test]
    fn survives_any_bytes(noise in prop::collection::vec(any::<u8>(), 0..400), at in 0usize..2000) {
        let mut edited = full().snapshot();
        let start = 9 + at % (edited.len() - 9);
        for (byte, noise) in edited[start..].iter_mut().zip(&noise) {
            *byte = *noise;
        }
        for body in [&noise[..], &edited[9..]] {
            if let Ok(mut engine) = restore(&crate::engine::snapshot::sealed(body)) {
                let now = Now { wall: Timestamp(START), steady: Steady(engine.now.steady.0.saturating_add(10_000)) };
                let batch = Batch { seq: 1, now, events: Vec::new() };
                engine.apply(&batch);
                engine.snapshot();
            }
        }
    }
}

#[test]
fn a_device_costs_few_bytes() {
    let mut rows = rows();
    let kitchen = rows.devices[0].clone();
    rows.devices = (0..10_000)
        .map(|ix| Device {
            ix: DeviceIx(ix),
            id: format!("d{ix}"),
            address: format!("a{ix}"),
            ..kitchen.clone()
        })
        .collect();
    let registry = Registry::build(rows);
    let book = book(RULES, &registry);
    let mut engine = Engine::new(registry, book, now(0));
    for device in 0..10_000 {
        let heartbeat = Does::Says(says(DeviceIx(device), &[("smoke", 0.0)]).at(f64::from(device) / 200.0));
        let moment = now(u64::from(device) * 6);
        let events = heartbeat.event(moment.wall).into_iter().collect();
        engine.apply(&Batch { seq: u64::from(device) + 1, now: moment, events });
    }
    let bytes = engine.snapshot().len();
    assert!(bytes < 16 * 10_000, "{bytes} bytes for 10,000 devices");
}

/// Version 2 had nothing behind the state, version 3 only pages.
#[test]
fn a_snapshot_of_a_former_version_goes_on() {
    let mut engine = engine();
    play(&mut engine, &[(10, smoke(true)), (20, ack(1))], false);
    engine.pages = Default::default();
    let snapshot = engine.snapshot();
    for (version, empty_maps) in [(2, 7), (3, 5)] {
        let body = &snapshot[9..snapshot.len() - empty_maps]; // Behind version and checksum.
        let mut former = crate::engine::snapshot::sealed(body);
        former[0] = version;
        let again = Engine::restore(&former, engine.registry.clone(), engine.rules.clone()).unwrap();
        assert_eq!(again.snapshot(), snapshot, "version {version}");
    }
}
