//! Journal batches ↔ bytes: compact, versioned, with a checksum. Pure.
//!
//! A batch's number and moment stand in columns of their own beside the bytes and are covered by the checksum, so bytes that got under
//! another number are noticed. Times are differences from the batch's wall time, devices from the device before, so a usual reading
//! takes six to nine bytes. The journal outlives upgrades: a new form gets a new version number, and every old one stays readable.

pub mod number;
mod v1;

use serde::{Deserialize, Serialize};

use self::number::{Broken, Reader, put_float, put_signed, put_unsigned};
use crate::model::{Action, Batch, DeviceIx, Event, Freshness, Metric, Quality, Report, Value};
use crate::units::{Now, Timestamp};

/// First byte of what [`encode`] writes.
const VERSION: u8 = 1;
const CHECKSUM_BYTES: usize = 4;

/// Why bytes are not the batch they should be.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Damaged {
    #[error("the checksum does not match")]
    Checksum,
    #[error("it has form {0}, which this gateway does not know")]
    Version(u8),
    #[error("its checksum is right but its content makes no sense; was it written by a newer gateway?")]
    Content,
}

impl From<Broken> for Damaged {
    fn from(_: Broken) -> Self {
        Damaged::Content
    }
}

/// Actions are rare and hold texts: stored by postcard, in a form that can grow.
#[derive(Serialize, Deserialize)]
enum OnDisk<Former, Present> {
    V1(Former),
    V2(Present),
}

// The head byte of an event: kind in bits 0–1, freshness in 2–3, "has a device time" in 4, number of values in 5–7 (7: a count follows).
const REPORT: u8 = 0;
const GONE: u8 = 1;
const ACTION: u8 = 2;
const HAS_DEVICE_TIME: u8 = 1 << 4;
const COUNT_FOLLOWS: u8 = 7;

/// What the next event is written as a difference from.
struct Before {
    device: i64,
    received: i64,
}

pub fn encode(batch: &Batch) -> Vec<u8> {
    let mut out = Vec::with_capacity(8 + batch.events.len() * 10);
    out.push(VERSION);
    let mut before = Before { device: 0, received: batch.now.wall.0 };
    for event in &batch.events {
        match event {
            Event::Report(report) => put_report(&mut out, &mut before, report),
            Event::Gone { device, since, received } => {
                out.push(GONE);
                put_device(&mut out, &mut before, *device);
                put_received(&mut out, &mut before, *received);
                put_signed(&mut out, since.0.wrapping_sub(received.0));
            }
            Event::Action(action) => {
                out.push(ACTION);
                let bytes = postcard::to_stdvec(&OnDisk::<(), _>::V2(action))
                    .expect("texts and numbers always serialize into memory");
                put_unsigned(&mut out, bytes.len() as u64);
                out.extend_from_slice(&bytes);
            }
        }
    }
    let checksum = checksum(batch.seq, batch.now, &out);
    out.extend_from_slice(&checksum.to_le_bytes());
    out
}

/// The batch that was stored as `bytes` under this number and moment.
pub fn decode(seq: u64, now: Now, bytes: &[u8]) -> Result<Batch, Damaged> {
    let (content, stored) = bytes.split_last_chunk::<CHECKSUM_BYTES>().ok_or(Damaged::Checksum)?;
    if checksum(seq, now, content) != u32::from_le_bytes(*stored) {
        return Err(Damaged::Checksum);
    }
    let mut reader = Reader::new(content);
    match reader.byte()? {
        VERSION => (),
        other => return Err(Damaged::Version(other)),
    }
    let mut before = Before { device: 0, received: now.wall.0 };
    let mut events = Vec::new();
    while !reader.is_empty() {
        let head = reader.byte()?;
        events.push(match head & 3 {
            REPORT => Event::Report(report(&mut reader, &mut before, head)?),
            GONE => {
                let (device, received) =
                    (device(&mut reader, &mut before)?, received(&mut reader, &mut before)?);
                let since = Timestamp(received.0.wrapping_add(reader.signed()?));
                Event::Gone { device, since, received }
            }
            ACTION => {
                let length = reader.unsigned()?;
                Event::Action(action(reader.bytes(length)?)?)
            }
            _ => return Err(Damaged::Content),
        });
    }
    Ok(Batch { seq, now, events })
}

fn checksum(seq: u64, now: Now, content: &[u8]) -> u32 {
    let mut hasher = crc32fast::Hasher::new();
    hasher.update(&seq.to_le_bytes());
    hasher.update(&now.wall.0.to_le_bytes());
    hasher.update(&now.steady.0.to_le_bytes());
    hasher.update(content);
    hasher.finalize()
}

fn put_report(out: &mut Vec<u8>, before: &mut Before, report: &Report) {
    let count = report.values.len();
    let short_count = u8::try_from(count).map_or(COUNT_FOLLOWS, |count| count.min(COUNT_FOLLOWS));
    let has_device_time = if report.device_time.is_some() { HAS_DEVICE_TIME } else { 0 };
    out.push(REPORT | freshness_number(report.freshness) << 2 | has_device_time | short_count << 5);
    if short_count == COUNT_FOLLOWS {
        put_unsigned(out, count as u64);
    }
    put_device(out, before, report.device);
    put_received(out, before, report.received);
    if let Some(device_time) = report.device_time {
        put_signed(out, device_time.0.wrapping_sub(report.received.0));
    }
    for value in &report.values {
        put_unsigned(out, u64::from(value.metric.number()) << 2 | u64::from(quality_number(value.quality)));
        put_float(out, value.value);
    }
}

fn report(reader: &mut Reader<'_>, before: &mut Before, head: u8) -> Result<Report, Damaged> {
    let count = match head >> 5 {
        COUNT_FOLLOWS => reader.unsigned()?,
        short => u64::from(short),
    };
    let device = device(reader, before)?;
    let received = received(reader, before)?;
    let device_time = match head & HAS_DEVICE_TIME {
        0 => None,
        _ => Some(Timestamp(received.0.wrapping_add(reader.signed()?))),
    };
    let mut values = Vec::with_capacity(count.min(u64::from(COUNT_FOLLOWS)) as usize);
    for _ in 0..count {
        let coded = reader.unsigned()?;
        let number = u16::try_from(coded >> 2).map_err(|_| Damaged::Content)?;
        values.push(Value {
            metric: Metric::try_from(number).map_err(|_| Damaged::Content)?,
            quality: quality(coded & 3)?,
            value: reader.float()?,
        });
    }
    let freshness = freshness(head >> 2 & 3);
    Ok(Report { device, received, device_time, freshness, values })
}

fn action(bytes: &[u8]) -> Result<Action, Damaged> {
    let known: OnDisk<v1::Action, Action> = postcard::from_bytes(bytes).map_err(|_| Damaged::Content)?;
    Ok(match known {
        OnDisk::V1(former) => former.into(),
        OnDisk::V2(action) => action,
    })
}

fn put_device(out: &mut Vec<u8>, before: &mut Before, device: DeviceIx) {
    put_signed(out, i64::from(device.0) - before.device);
    before.device = i64::from(device.0);
}

fn device(reader: &mut Reader<'_>, before: &mut Before) -> Result<DeviceIx, Damaged> {
    let device = before.device.wrapping_add(reader.signed()?);
    before.device = device;
    u32::try_from(device).map(DeviceIx).map_err(|_| Damaged::Content)
}

fn put_received(out: &mut Vec<u8>, before: &mut Before, received: Timestamp) {
    put_signed(out, received.0.wrapping_sub(before.received));
    before.received = received.0;
}

fn received(reader: &mut Reader<'_>, before: &mut Before) -> Result<Timestamp, Damaged> {
    before.received = before.received.wrapping_add(reader.signed()?);
    Ok(Timestamp(before.received))
}

fn freshness_number(freshness: Freshness) -> u8 {
    match freshness {
        Freshness::Live => 0,
        Freshness::Retained => 1,
        Freshness::Replayed => 2,
        Freshness::Backfill => 3,
    }
}

fn freshness(number: u8) -> Freshness {
    match number {
        0 => Freshness::Live,
        1 => Freshness::Retained,
        2 => Freshness::Replayed,
        _ => Freshness::Backfill,
    }
}

fn quality_number(quality: Quality) -> u8 {
    match quality {
        Quality::Good => 0,
        Quality::Uncertain => 1,
        Quality::Bad => 2,
    }
}

fn quality(number: u64) -> Result<Quality, Damaged> {
    match number {
        0 => Ok(Quality::Good),
        1 => Ok(Quality::Uncertain),
        2 => Ok(Quality::Bad),
        _ => Err(Damaged::Content),
    }
}

#[cfg(test)]
mod tests;
