//! One kind of message of a device, compiled: which messages it reads, and what their fields mean. Nothing of the profile's text is looked at here.

use super::place::{Carrier, Path, Place};
use super::shape::{ChecksumKind, Order, Sort};
use super::{Reading, Record};
use crate::decode::bytes::crc16_modbus;
use crate::decode::modbus::Conversion;
use crate::decode::outcome::REPORTS_MAX;
use crate::decode::scalar::{Scalar, shortened};
use crate::decode::values::Values;
use crate::model::{Metric, Quality};
use crate::units::{Timestamp, Zone};

/// A clock that counts from its epoch for less than this was never set.
const JUST_STARTED_S: f64 = 86_400.0;

#[derive(Clone, Debug, Default)]
pub struct Frame {
    pub ports: Vec<u8>,
    pub length: Option<usize>,
    pub length_min: usize,
    pub when: Vec<(Place, Vec<Word>)>,
    pub checksum: Option<Checksum>,
    pub time: Option<Clock>,
    pub counter: Option<Place>,
    pub serial: Option<Place>,
    pub test_hides_fire: bool,
    pub fields: Vec<Field>,
    pub tags_at: usize,
    pub tags: Vec<Tag>,
    pub records: Option<Records>,
}

/// What a field can say, as text and, if it is one, as number.
#[derive(Clone, Debug)]
pub struct Word {
    pub text: Box<str>,
    pub number: Option<f64>,
}

#[derive(Clone, Debug)]
pub struct Field {
    pub place: Place,
    /// As the profile calls its place, for complaints.
    pub label: Box<str>,
    pub words: Vec<(Word, Vec<Setting>)>,
    pub meaning: Meaning,
}

#[derive(Clone, Debug)]
pub enum Meaning {
    /// Only its words; what any other says, or that it is a complaint.
    Words(Option<Vec<Setting>>),
    Flag {
        metric: Metric,
        inverted: bool,
    },
    Bits(Vec<(u8, Setting)>),
    Number(Box<Number>),
}

#[derive(Clone, Copy, Debug)]
pub struct Setting {
    pub metric: Metric,
    pub set: bool,
}

#[derive(Clone, Debug)]
pub struct Number {
    pub metric: Metric,
    pub scale: f64,
    pub offset: f64,
    pub times: Option<(Place, Vec<(Word, f64)>)>,
    pub current_loop: Option<super::shape::Loop>,
    pub conversion: Conversion,
    pub min: f64,
    pub max: f64,
}

#[derive(Clone, Debug)]
pub struct Clock {
    pub place: Place,
    pub epoch: Timestamp,
    /// Of one count.
    pub step_ms: f64,
    pub format: Option<Box<str>>,
    pub zone: Zone,
}

#[derive(Clone, Copy, Debug)]
pub struct Checksum {
    pub kind: ChecksumKind,
    pub from: usize,
    pub to: i32,
    pub at: i32,
    pub order: Order,
}

#[derive(Clone, Debug)]
pub struct Tag {
    pub tag: Vec<u8>,
    pub length: usize,
    pub time: Option<Clock>,
    pub fields: Vec<Field>,
}

#[derive(Clone, Debug)]
pub struct Records {
    pub at: usize,
    pub length: usize,
    pub count: Option<Place>,
    pub time: Clock,
    pub fields: Vec<Field>,
}

impl Word {
    fn is(&self, scalar: &Scalar<'_>) -> bool {
        match scalar {
            Scalar::Text(text) => self.text.eq_ignore_ascii_case(text.trim()),
            Scalar::Number(number) => self.number == Some(*number),
            Scalar::Flag(flag) => &*self.text == if *flag { "true" } else { "false" },
            Scalar::Null | Scalar::Nested => false,
        }
    }
}

impl Frame {
    /// Whether this is how to read the message.
    pub fn fits(&self, carrier: Carrier<'_>, port: Option<u8>) -> bool {
        let length = match carrier {
            Carrier::Bytes(bytes) => bytes.len(),
            Carrier::Text(text) => text.len(),
            Carrier::Json(_) => usize::MAX,
        };
        let port_fits = self.ports.is_empty() || port.is_none_or(|port| self.ports.contains(&port));
        port_fits
            && self.length.is_none_or(|wanted| wanted == length)
            && self.length_min <= length
            && self.when.iter().all(|(place, words)| {
                let found = place.take(carrier).filter(|scalar| *scalar != Scalar::Null);
                found.is_some_and(|scalar| words.is_empty() || words.iter().any(|word| word.is(&scalar)))
            })
    }

    pub fn read(&self, carrier: Carrier<'_>) -> Result<Reading, String> {
        if let (Some(checksum), Carrier::Bytes(bytes)) = (&self.checksum, carrier)
            && !checksum.holds(bytes)
        {
            return Err("the checksum is wrong: the message was changed on its way".into());
        }
        let mut reading = Reading::default();
        let mut own = Record::default();
        let take = |fields: &[Field], carrier, record: &mut Record, complaints: &mut Vec<String>| {
            fields.iter().for_each(|field| field.take(carrier, &mut record.values, complaints));
            if self.test_hides_fire && record.values.is_set(Metric::TEST) {
                record.values.drop_set_fire_flags();
            }
        };
        own.tell_time(self.time.as_ref(), carrier);
        if let Some(count) = self.counter.as_ref().and_then(|place| place.take(carrier)?.number()) {
            own.values.set(Metric::FRAME_COUNTER, count);
        }
        own.serial = self.serial.as_ref().and_then(|place| place.take(carrier)?.text().map(str::to_owned));
        take(&self.fields, carrier, &mut own, &mut reading.complaints);
        if let Carrier::Bytes(bytes) = carrier {
            let mut at = self.tags_at;
            while !self.tags.is_empty() && at < bytes.len() && reading.records.len() < REPORTS_MAX {
                let rest = &bytes[at..];
                let Some(tag) = self.tags.iter().find(|tag| rest.starts_with(&tag.tag)) else {
                    reading.complaints.push(format!("byte {at} begins a part that the profile does not know; it and what follows were not read"));
                    break;
                };
                let from = tag.tag.len();
                let Some(part) = rest.get(from..from + tag.length) else {
                    reading.complaints.push(format!("the part at byte {at} is cut off"));
                    break;
                };
                if tag.time.is_some() {
                    let mut record = Record { serial: own.serial.clone(), ..Record::default() };
                    record.tell_time(tag.time.as_ref(), Carrier::Bytes(part));
                    take(&tag.fields, Carrier::Bytes(part), &mut record, &mut reading.complaints);
                    reading.records.push(record);
                } else {
                    take(&tag.fields, Carrier::Bytes(part), &mut own, &mut reading.complaints);
                }
                at += from + tag.length;
            }
            if let Some(records) = &self.records {
                let fit = bytes.len().saturating_sub(records.at) / records.length;
                let said = records.count.as_ref().and_then(|place| place.take(carrier)?.number());
                let count = said.map_or(fit, |said| said as usize);
                if fit < count {
                    reading
                        .complaints
                        .push(format!("it says that it holds {count} measurements, and holds {fit}"));
                }
                for part in bytes
                    .get(records.at..)
                    .unwrap_or_default()
                    .chunks_exact(records.length)
                    .take(count.min(REPORTS_MAX - 1))
                {
                    let mut record = Record { serial: own.serial.clone(), ..Record::default() };
                    record.tell_time(Some(&records.time), Carrier::Bytes(part));
                    take(&records.fields, Carrier::Bytes(part), &mut record, &mut reading.complaints);
                    reading.records.push(record);
                }
            }
        }
        // Kept measurements first: what holds now is told last.
        if reading.records.is_empty() || !own.values.is_empty() {
            reading.records.push(own);
        }
        Ok(reading)
    }
}

impl Record {
    fn tell_time(&mut self, clock: Option<&Clock>, carrier: Carrier<'_>) {
        let Some(clock) = clock else { return };
        let Some(scalar) = clock.place.take(carrier).filter(|scalar| *scalar != Scalar::Null) else { return };
        self.at = clock.read(&scalar);
        if self.at.is_none() {
            self.quality = Quality::Uncertain;
        }
    }
}

impl Clock {
    /// `None`: the clock was never set, or what stands there is no time.
    fn read(&self, scalar: &Scalar<'_>) -> Option<Timestamp> {
        if let Some(format) = &self.format {
            let local = jiff::civil::DateTime::strptime(&**format, scalar.text()?.trim()).ok()?;
            return self.zone.first(local);
        }
        match scalar.number() {
            Some(count) if JUST_STARTED_S * 1000.0 <= count * self.step_ms => {
                Timestamp::from_unix_seconds((self.epoch.0 as f64 + count * self.step_ms) / 1000.0)
            }
            Some(_) => None,
            None => scalar.time(),
        }
    }
}

impl Checksum {
    fn holds(&self, bytes: &[u8]) -> bool {
        let place = |at: i32| {
            if at < 0 { bytes.len().checked_sub(at.unsigned_abs() as usize) } else { Some(at as usize) }
        };
        let end = if self.to == 0 { Some(bytes.len()) } else { place(self.to) };
        let Some(covered) = end.and_then(|end| bytes.get(self.from..end)) else { return false };
        let stands = |sort| {
            place(self.at).and_then(|at| {
                Place::Number { at, sort, order: self.order, bits: None }
                    .take(Carrier::Bytes(bytes))?
                    .number()
            })
        };
        let sum = || covered.iter().fold(0u8, |sum, byte| sum.wrapping_add(*byte));
        match self.kind {
            ChecksumKind::ZeroSum8 => sum() == 0,
            ChecksumKind::Sum8 => stands(Sort::U8) == Some(f64::from(sum())),
            ChecksumKind::Xor8 => {
                stands(Sort::U8) == Some(f64::from(covered.iter().fold(0, |sum, byte| sum ^ byte)))
            }
            ChecksumKind::Crc16Modbus => stands(Sort::U16) == Some(f64::from(crc16_modbus(covered))),
        }
    }
}

impl Field {
    fn take(&self, carrier: Carrier<'_>, values: &mut Values, complaints: &mut Vec<String>) {
        let Some(scalar) =
            self.place.take(carrier).filter(|scalar| !matches!(scalar, Scalar::Null | Scalar::Nested))
        else {
            // A missing key is normal; bytes that end too early are not.
            if !matches!(carrier, Carrier::Json(_)) {
                complaints.push(format!("the message ends before `{}`", self.label));
            }
            return;
        };
        let mut set = |settings: &[Setting]| {
            settings.iter().for_each(|setting| values.set_flag(setting.metric, setting.set))
        };
        if let Some((_, settings)) = self.words.iter().find(|(word, _)| word.is(&scalar)) {
            return set(settings);
        }
        let wanted = match &self.meaning {
            Meaning::Words(Some(settings)) => return set(settings),
            Meaning::Words(None) => "a code of the profile",
            Meaning::Flag { metric, inverted } => match scalar.flag() {
                Some(flag) => return values.set_flag(*metric, flag != *inverted),
                None => "true or false",
            },
            Meaning::Bits(bits) => match scalar.number() {
                Some(number) => {
                    let number = number as u64;
                    for (bit, setting) in bits {
                        values.set_flag(setting.metric, (number >> bit & 1 == 1) == setting.set);
                    }
                    return;
                }
                None => "a number",
            },
            Meaning::Number(number) => match scalar.number() {
                Some(raw) => return number.take(raw, carrier, values, complaints),
                None => "a number",
            },
        };
        complaints.push(format!("`{}` is {scalar}, which is not {wanted}; the rest was used", self.label));
    }
}

impl Number {
    fn take(&self, raw: f64, carrier: Carrier<'_>, values: &mut Values, complaints: &mut Vec<String>) {
        let mut value = raw * self.scale + self.offset;
        if let Some(limits) = &self.current_loop {
            let broken = value < limits.broken_below_ma || limits.over_above_ma < value;
            values.set_flag(Metric::FAULT, broken);
            if broken {
                return; // The head says nothing; zero pressure would be a lie.
            }
            value -= limits.zero_ma;
        }
        if let Some((place, factors)) = &self.times {
            let chosen = place.take(carrier);
            let factor = chosen.as_ref().and_then(|chosen| factors.iter().find(|(word, _)| word.is(chosen)));
            let Some((_, factor)) = factor else {
                let chosen = chosen.map_or("missing".into(), |chosen| shortened(&chosen.to_string()));
                complaints.push(format!(
                    "the range of {} is {chosen}, which the profile does not know",
                    self.metric.name()
                ));
                return;
            };
            value *= factor;
        }
        let value = self.conversion.apply(value);
        if value.is_finite() {
            values.set_within(self.metric, value, (self.min..=self.max).contains(&value));
        }
    }
}

/// What a path finds, as text.
pub fn text_at(path: &Path, json: &serde_json::Value) -> Option<String> {
    match Scalar::of(path.find(json)?) {
        Scalar::Text(text) => Some(text.into_owned()),
        number @ Scalar::Number(_) => Some(number.to_string()),
        Scalar::Null | Scalar::Flag(_) | Scalar::Nested => None,
    }
}
