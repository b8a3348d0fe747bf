//! MQTT payloads and Modbus registers: whatever a device sends becomes events that make sense, or a reason.

use std::fmt::Write as _;
use std::sync::{Arc, LazyLock};

use gateway::config::Bus;
use gateway::decode::modbus::{Plan, compile};
use gateway::decode::samples::context_with;
use gateway::decode::{Context, Family, Message, REPORTS_MAX, VALUES_MAX, decode};
use gateway::model::{Batch, Event};
use gateway::units::{Now, Steady, Timestamp};
use gateway::wire;

/// 2026-11-23T03:00:01Z, as in the golden samples.
const RECEIVED: Timestamp = Timestamp(1_795_402_801_000);

/// The devices of the golden samples.
pub fn context() -> Context {
    const ADDRESSES: &[&str] = &[
        "native:SD-1",
        "native:SD-2",
        "native:HY-1",
        "z2m:zigbee2mqtt/kitchen",
        "z2m:zigbee2mqtt/block 3/501/hall",
        "lora:a84041ffff1c2d3e",
        "frigate:gate-east",
        "frigate:lift-2",
        "meokon:SHMK19060013",
        "meokon:SHMK21060001",
    ];
    context_with(ADDRESSES, Arc::default())
}

static CONTEXT: LazyLock<Context> = LazyLock::new(context);

pub fn native(data: &[u8]) {
    message(Family::Native, data);
}

pub fn zigbee2mqtt(data: &[u8]) {
    message(Family::Zigbee2mqtt, data);
}

pub fn chirpstack(data: &[u8]) {
    message(Family::Chirpstack, data);
}

pub fn frigate(data: &[u8]) {
    message(Family::Frigate, data);
}

pub fn meokon(data: &[u8]) {
    message(Family::Meokon, data);
}

/// First byte: bit 0 retained, bit 1 DUP. Then the topic up to a line break, then the payload.
fn message(family: Family, data: &[u8]) {
    let Some((&flags, rest)) = data.split_first() else { return };
    let (topic, payload) = super::split(rest, b'\n');
    let topic = String::from_utf8_lossy(topic);
    let (retained, dup) = (flags & 1 != 0, flags & 2 != 0);
    let decoded =
        decode(family, &Message { topic: &topic, payload, retained, dup, received: RECEIVED }, &CONTEXT);

    assert!(decoded.events.len() <= REPORTS_MAX, "{} events", decoded.events.len());
    assert!(decoded.rejects.len() <= REPORTS_MAX + 1, "{} rejects", decoded.rejects.len());
    for reject in &decoded.rejects {
        assert!(!reject.0.is_empty() && reject.0.len() < 2_000, "no sentence: {}", reject.0);
    }
    let devices = CONTEXT.registry.devices().len();
    for event in &decoded.events {
        match event {
            Event::Report(report) => {
                assert!(report.device.at() < devices);
                assert_eq!(report.received, RECEIVED);
                assert!(report.values.len() <= VALUES_MAX, "{} values", report.values.len());
                assert!(report.values.iter().all(|value| value.value.is_finite()), "{report:?}");
            }
            Event::Gone { device, .. } => assert!(device.at() < devices),
            Event::Action(action) => panic!("no decoder acts: {action:?}"),
        }
    }
    // What is accepted can be kept.
    let now = Now { wall: RECEIVED, steady: Steady(7) };
    let batch = Batch { seq: 1, now, events: decoded.events };
    assert_eq!(wire::journal::decode(1, now, &wire::journal::encode(&batch)).as_ref(), Ok(&batch));
}

/// Every type in every order, scaled and not, beside the built-in maps.
static PLAN: LazyLock<Plan> = LazyLock::new(|| {
    let mut text = String::from("name = \"bus\"\ntcp = \"127.0.0.1:502\"\n");
    for (unit, map) in [(1, "mpd-380"), (2, "keller-x"), (3, "sw-p300")] {
        let counts_in = if map == "sw-p300" { "pressure_unit = \"bar\"\n" } else { "" };
        let _ = write!(text, "[[unit]]\nunit = {unit}\nmap = \"{map}\"\n{counts_in}");
    }
    let mut number = 10;
    for kind in ["u16", "i16", "u32", "i32", "f32", "f64"] {
        for order in ["ABCD", "CDAB", "BADC", "DCBA"] {
            let _ = write!(
                text,
                "[[unit]]\nunit = {number}\n[[unit.register]]\nmetric = \"pressure\"\ntable = \"holding\"\naddress = 3\n\
                 type = \"{kind}\"\norder = \"{order}\"\nunit = \"bar\"\nscale = 0.01\nmin = 0.0\nmax = 2000.0\ndecimals_register = 1\n"
            );
            number += 1;
        }
    }
    let bus: Bus = toml::from_str(&text).unwrap();
    compile(&bus, &gateway::profiles::shipped()).unwrap()
});

/// First byte: which unit. Second: bit `n` refuses read `n`. Then the registers, big-endian; what is missing is missing in the answers too.
pub fn modbus(data: &[u8]) {
    let [unit, refused, words @ ..] = data else { return };
    let unit = &PLAN.units[usize::from(*unit) % PLAN.units.len()];
    for layout in [&unit.together, &unit.apart] {
        let mut words = words.chunks_exact(2).map(|word| u16::from_be_bytes([word[0], word[1]]));
        let answers: Vec<_> = layout
            .reads
            .iter()
            .enumerate()
            .map(|(at, read)| {
                let answer = words.by_ref().take(usize::from(read.count)).collect();
                (at > 7 || refused >> at & 1 == 0).then_some(answer)
            })
            .collect();
        let poll = unit.values(layout, &answers);
        assert!(poll.values.len() + poll.faults.len() <= unit.fields.len());
        assert!(poll.values.iter().all(|value| value.value.is_finite()), "{poll:?}");
        assert!(poll.faults.iter().all(|fault| fault.starts_with("unit ")), "{poll:?}");
    }
}
