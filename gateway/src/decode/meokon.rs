//! Meokon (铭控) wireless pressure and hydrant terminals, protocol V3: what stands in a frame, whether it came over TCP, UDP or MQTT (there as hexadecimal text on `GIOT-GW/UL/<id>`).
//!
//! A device's address is `meokon:` and the twelve letters of its number. A frame holds what is measured now, the device's own alarms, and up to 600 older records, each filed at its own
//! time: the last record was made at the frame's time, the others one interval apart before it. That time is also the frame's counter: a frame that comes again, because the answer to it was
//! lost, proves only that the device lives. Types and units: the maker's paper for 0 to 2; for the others the table of a platform that reads them (`MkV3Type` of `com.zhian.gateway`, V3.3).
//! Deliberately absent: types that measure nothing of ours; of those battery, signal and the common alarms are used.

use super::bytes::from_hex;
use super::outcome::Outcome;
use super::values::Values;
use super::{Context, Decoded, Message};
use crate::model::{DeviceIx, Metric, Quality};
use crate::units::{Millis, Timestamp};
use crate::wire::meokon::{Frame, UPLOAD};

/// Battery to alarm byte.
const HEAD_BYTES: usize = 8;
const TIME_BYTES: usize = 4;
const DAY_S: u32 = 24 * 3600;

pub fn decode(message: &Message<'_>, context: &Context) -> Decoded {
    let mut outcome = Outcome::new(message, context);
    if let Err(fault) = read(message.payload, &mut outcome) {
        outcome.reject(format!("{}: {fault}", message.topic));
    }
    outcome.finish()
}

/// A sentence says what is wrong with the frame.
fn read(payload: &[u8], outcome: &mut Outcome<'_>) -> Result<(), String> {
    let bytes = match payload.first() {
        Some(0xA5) => payload.to_owned(),
        Some(_) | None => std::str::from_utf8(payload).ok().and_then(from_hex).ok_or(
            "this is no hexadecimal text; a terminal of Meokon sends its frame so, beginning with A55A",
        )?,
    };
    let frame = Frame::read(&bytes)?;
    if frame.command != UPLOAD {
        return Err(format!("command {} is not known; 0 is data", frame.command));
    }
    let upload = Upload::of(&frame)?;
    let Some(device) = outcome.device(&format!("meokon:{}", frame.id)) else { return Ok(()) };
    let (mut values, body) = (upload.now(), upload.body());
    if let Ok(body) = &body {
        body.read(body.present, &mut values);
        // A clock that was never set counts nothing.
        if DAY_S < body.time_s {
            values.set(Metric::FRAME_COUNTER, f64::from(body.time_s));
        }
    }
    outcome.report(device, None, Quality::Good, values);
    body.map(|body| upload.records(&body, device, outcome)).map_err(|fault| {
        format!("{fault}: of `{}` only battery, signal and the common alarms were used", frame.id)
    })
}

/// A fire hydrant with tilt sensor, one that only measures pressure, one with its caps watched, one that measures flow, and a level under a manhole cover: their upper
/// alarm bits have a meaning of their own.
const HYDRANT_TILT: u8 = 24;
const HYDRANT: u8 = 34;
const HYDRANT_CAPS: u8 = 36;
const MANHOLE: u8 = 40;
const HYDRANT_FLOW: u8 = 58;

/// What is measured: two bytes with sign, in such steps of the metric's unit. `None` is measured and of no use here.
type Channels = &'static [Option<(Metric, f64)>];

/// How many bytes the limits take, and what is measured.
fn layout(kind: u8) -> Option<(usize, Channels)> {
    const KPA: Option<(Metric, f64)> = Some((Metric::PRESSURE, 1.0));
    const METRE: Option<(Metric, f64)> = Some((Metric::LEVEL, 0.01));
    const CELSIUS: Option<(Metric, f64)> = Some((Metric::TEMPERATURE, 0.1));
    const HUMIDITY: Option<(Metric, f64)> = Some((Metric::HUMIDITY, 0.1));
    let (limit_bytes, channels): (usize, Channels) = match kind {
        0 => (4, &[Some((Metric::PRESSURE, 0.1))]),
        // MPa, and bar.
        1 | 2 => (4, &[KPA]),
        // Pounds per square inch.
        3 => (4, &[Some((Metric::PRESSURE, 0.689_475_7))]),
        // Pa, mbar, kgf/cm².
        4 => (4, &[Some((Metric::PRESSURE, 0.001))]),
        5 => (4, &[Some((Metric::PRESSURE, 0.1))]),
        6 => (4, &[Some((Metric::PRESSURE, 0.980_665))]),
        8 | 30 | MANHOLE => (4, &[METRE]),
        9 | 10 => (4, &[Some((Metric::LEVEL, 0.001))]),
        11 => (4, &[CELSIUS]),
        13 => (4, &[HUMIDITY]),
        17 => (8, &[KPA, CELSIUS]),
        18 => (8, &[HUMIDITY, CELSIUS]),
        // Tens of Pa.
        22 => (4, &[Some((Metric::PRESSURE, 0.01))]),
        // The second is the angle.
        HYDRANT_TILT => (8, &[KPA, None]),
        33 => (8, &[METRE, KPA]),
        HYDRANT => (4, &[KPA]),
        // What its contacts measure.
        HYDRANT_CAPS => (8, &[None, None]),
        38 => (8, &[METRE, CELSIUS]),
        // Pressure, angle, L/s, temperature.
        HYDRANT_FLOW => (4, &[KPA, None, Some((Metric::FLOW, 0.01)), CELSIUS]),
        61 => (4, &[Some((Metric::PRESSURE, 10.0))]),
        _ => return None,
    };
    Some((limit_bytes, channels))
}

struct Upload<'a> {
    power: u8,
    rssi_dbm: i8,
    interval_s: u16,
    count: u16,
    kind: u8,
    alarms: u8,
    /// Behind the alarm byte.
    rest: &'a [u8],
}

/// What a type whose layout is known says behind its alarms.
struct Body<'a> {
    channels: Channels,
    present: &'a [u8],
    time_s: u32,
    records: &'a [u8],
}

impl<'a> Upload<'a> {
    fn of(frame: &Frame<'a>) -> Result<Self, String> {
        let Some((&[power, rssi, interval_1, interval_2, count_1, count_2, kind, alarms], rest)) =
            frame.rest.split_first_chunk::<HEAD_BYTES>()
        else {
            return Err(format!("the frame of `{}` ends before its alarms", frame.id));
        };
        Ok(Self {
            power,
            rssi_dbm: rssi as i8,
            interval_s: u16::from_be_bytes([interval_1, interval_2]),
            count: u16::from_be_bytes([count_1, count_2]),
            kind,
            alarms,
            rest,
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
        if self.kind != HYDRANT_CAPS {
            values.set_flag(Metric::PRESSURE_HIGH, alarm(1));
        }
        values.set_flag(Metric::BATTERY_LOW, alarm(2));
        values.set_flag(Metric::FAULT, alarm(3) || alarm(4));
        if matches!(self.kind, HYDRANT_TILT | HYDRANT_FLOW | HYDRANT_CAPS) {
            values.set_flag(Metric::SHOCK, alarm(5));
        }
        if matches!(self.kind, HYDRANT_TILT | HYDRANT_FLOW) {
            values.set_flag(Metric::TILT, alarm(6));
        }
        if matches!(self.kind, HYDRANT_TILT | HYDRANT | HYDRANT_FLOW) {
            values.set_flag(Metric::WATER_DISCHARGE, alarm(7));
        }
        if let HYDRANT_CAPS | MANHOLE = self.kind {
            values.set_flag(Metric::COVER_OPEN, alarm(if self.kind == MANHOLE { 7 } else { 6 }));
        }
        values
    }

    fn body(&self) -> Result<Body<'a>, String> {
        let Some((limit_bytes, channels)) = layout(self.kind) else {
            return Err(format!("type {} is not known", self.kind));
        };
        let record_bytes = 2 * channels.len();
        let wanted = limit_bytes + record_bytes + TIME_BYTES + record_bytes * usize::from(self.count);
        if self.rest.len() != wanted {
            return Err(format!(
                "{} records of type {} take {wanted} bytes behind the alarms, and the frame has {}",
                self.count,
                self.kind,
                self.rest.len()
            ));
        }
        let (present, behind) = self.rest[limit_bytes..].split_at(record_bytes);
        let (time, records) = behind.split_at(TIME_BYTES);
        let time_s = u32::from_be_bytes([time[0], time[1], time[2], time[3]]);
        Ok(Body { channels, present, time_s, records })
    }

    fn records(&self, body: &Body<'_>, device: DeviceIx, outcome: &mut Outcome<'_>) {
        if body.channels.iter().all(Option::is_none) {
            return;
        }
        let last = Timestamp(i64::from(body.time_s) * 1_000);
        for (at, record) in body.records.chunks_exact(2 * body.channels.len()).enumerate() {
            let before = u64::from(self.count) - 1 - at as u64;
            let mut values = Values::new();
            body.read(record, &mut values);
            let at = last - Millis::from_secs(before * u64::from(self.interval_s));
            outcome.report(device, Some(at), Quality::Good, values);
        }
    }
}

impl Body<'_> {
    fn read(&self, record: &[u8], values: &mut Values) {
        for (channel, raw) in self.channels.iter().zip(record.chunks_exact(2)) {
            if let Some((metric, step)) = *channel {
                let value = f64::from(i16::from_be_bytes([raw[0], raw[1]])) * step;
                // What the step leaves behind the digits that are meant.
                values.set(metric, (value * 1e4).round() / 1e4);
            }
        }
    }
}
