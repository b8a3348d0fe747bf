//! Meokon (铭控) wireless pressure and hydrant terminals, protocol V3.0: a binary frame, over MQTT as hexadecimal text on `GIOT-GW/UL/<id>`.
//!
//! A device's address is `meokon:` and the twelve letters of its number. A frame holds what is measured now, the device's own alarms, and up to 600 older records, each filed at its own
//! time: the last record was made at the frame's time, the others one interval apart before it. Over MQTT the maker wants no answer. Deliberately absent: TCP and UDP, where the
//! device repeats what is not answered within 5 s, because no description of that answer was at hand; and the pressure of types of which the unit is not known.

use super::bytes::{crc16_modbus, from_hex};
use super::outcome::Outcome;
use super::values::Values;
use super::{Context, Decoded, Message};
use crate::model::{DeviceIx, Metric, Quality};
use crate::units::{Millis, Timestamp};

const START: [u8; 2] = [0xA5, 0x5A];
const END: [u8; 2] = [0x55, 0xAA];
/// Start to alarm byte.
const HEAD_BYTES: usize = 25;
/// What follows it for one sensor of two bytes: limits, present value, time; then checksum and end.
const ONE_SENSOR_BYTES: usize = 4 + 2 + 4;
const TAIL_BYTES: usize = 2 + 2;

pub fn decode(message: &Message<'_>, context: &Context) -> Decoded {
    let mut outcome = Outcome::new(message, context);
    if let Err(fault) = read(message.payload, &mut outcome) {
        outcome.reject(format!("{}: {fault}", message.topic));
    }
    outcome.finish()
}

/// A sentence says what is wrong with the frame.
fn read(payload: &[u8], outcome: &mut Outcome<'_>) -> Result<(), String> {
    let bytes = match payload.starts_with(&START) {
        true => payload.to_owned(),
        false => std::str::from_utf8(payload).ok().and_then(from_hex).ok_or(
            "this is no hexadecimal text; a terminal of Meokon sends its frame so, beginning with A55A",
        )?,
    };
    let frame = Frame::of(&bytes)?;
    let Some(device) = outcome.device(&format!("meokon:{}", frame.id)) else { return Ok(()) };
    outcome.report(device, None, Quality::Good, frame.now());
    match pressure_step_kpa(frame.kind) {
        Some(step) => frame.pressures(step, device, outcome),
        None => match frame.kind {
            HYDRANT_TILT | HYDRANT => Ok(()),
            kind => Err(format!(
                "type {kind} is not known: of `{}` only battery, signal and the common alarms were used",
                frame.id
            )),
        },
    }
}

/// A fire hydrant with tilt sensor, and one that only measures pressure: the upper alarm bits have a meaning of their own.
const HYDRANT_TILT: u8 = 24;
const HYDRANT: u8 = 34;

/// kPa, MPa and bar, with one sensor of 16 bits.
fn pressure_step_kpa(kind: u8) -> Option<f64> {
    match kind {
        0 => Some(0.1),
        1 | 2 => Some(1.0),
        _ => None,
    }
}

struct Frame<'a> {
    id: &'a str,
    power: u8,
    rssi_dbm: i8,
    interval_s: u16,
    count: u16,
    kind: u8,
    alarms: u8,
    /// Between the alarm byte and the checksum.
    rest: &'a [u8],
}

impl<'a> Frame<'a> {
    fn of(bytes: &'a [u8]) -> Result<Self, String> {
        let [0xA5, 0x5A, command, length_1, length_2, ..] = *bytes else {
            return Err("this is no frame of a Meokon terminal; it begins with A55A".into());
        };
        let length = usize::from(u16::from_be_bytes([length_1, length_2]));
        if bytes.len() != length || length < HEAD_BYTES + TAIL_BYTES {
            return Err(format!("the frame says it has {length} bytes and has {}", bytes.len()));
        }
        let (body, tail) = bytes.split_at(length - TAIL_BYTES);
        if tail[2..] != END {
            return Err("the frame does not end with 55AA".into());
        }
        // High byte first, unlike on a Modbus line.
        let (said, found) = (u16::from_be_bytes([tail[0], tail[1]]), crc16_modbus(body));
        if said != found {
            return Err(format!("the checksum is {said:04x}, but the bytes give {found:04x}"));
        }
        if command != 0 {
            return Err(format!("command {command} is not known; 0 is data"));
        }
        let word = |at: usize| u16::from_be_bytes([body[at], body[at + 1]]);
        let id =
            std::str::from_utf8(&body[5..17]).ok().filter(|id| id.bytes().all(|c| c.is_ascii_alphanumeric()));
        Ok(Self {
            id: id.ok_or("the device's number is not made of letters and digits")?,
            power: body[17],
            rssi_dbm: body[18] as i8,
            interval_s: word(19),
            count: word(21),
            kind: body[23],
            alarms: body[24],
            rest: &body[HEAD_BYTES..],
        })
    }

    /// Battery, signal and alarms.
    fn now(&self) -> Values {
        let alarm = |bit: u8| self.alarms & 1 << bit != 0;
        let mut values = Values::new();
        // Bits 5 and 6: two supplies, battery only, mains only. In steps of 5 %.
        if self.power >> 5 & 3 != 2 {
            values.set(Metric::BATTERY, f64::from(self.power & 0x1f) * 5.0);
        }
        values.set(Metric::RSSI, f64::from(self.rssi_dbm));
        values.set_flag(Metric::PRESSURE_LOW, alarm(0));
        values.set_flag(Metric::PRESSURE_HIGH, alarm(1));
        values.set_flag(Metric::BATTERY_LOW, alarm(2));
        values.set_flag(Metric::FAULT, alarm(3) || alarm(4));
        if self.kind == HYDRANT_TILT {
            values.set_flag(Metric::SHOCK, alarm(5));
            values.set_flag(Metric::TILT, alarm(6));
        }
        if self.kind == HYDRANT_TILT || self.kind == HYDRANT {
            values.set_flag(Metric::WATER_DISCHARGE, alarm(7));
        }
        values
    }

    fn pressures(&self, step_kpa: f64, device: DeviceIx, outcome: &mut Outcome<'_>) -> Result<(), String> {
        let wanted = ONE_SENSOR_BYTES + 2 * usize::from(self.count);
        if self.rest.len() != wanted {
            return Err(format!(
                "{} records of one sensor take {wanted} bytes, and the frame has {}",
                self.count,
                self.rest.len()
            ));
        }
        let pressure = |raw: [u8; 2]| {
            let mut values = Values::new();
            values
                .set(Metric::PRESSURE, (f64::from(i16::from_be_bytes(raw)) * step_kpa * 10.0).round() / 10.0);
            values
        };
        let (head, records) = self.rest.split_at(ONE_SENSOR_BYTES);
        outcome.report(device, None, Quality::Good, pressure([head[4], head[5]]));
        let last = Timestamp(i64::from(u32::from_be_bytes([head[6], head[7], head[8], head[9]])) * 1_000);
        for (at, raw) in records.chunks_exact(2).enumerate() {
            let before = u64::from(self.count) - 1 - at as u64;
            let at = last - Millis::from_secs(before * u64::from(self.interval_s));
            outcome.report(device, Some(at), Quality::Good, pressure([raw[0], raw[1]]));
        }
        Ok(())
    }
}
