//! The payload of a Sparkplug B message: protobuf, as far as a host needs it, read without a generated type for each message.
//!
//! Field numbers and data types are those of `sparkplug_b.proto` (Eclipse Sparkplug 3.0.0, chapter 6). Borrowed from the message and bounded: what is nested deeper than we look is
//! skipped unread. A field that is not known is normal. Written is only what a host says: a rebirth request.

/// More metrics than this are no device's.
pub const METRICS_MAX: usize = 10_000;

#[derive(Debug, Default, PartialEq)]
pub struct Payload<'a> {
    /// Milliseconds since 1970.
    pub timestamp: Option<u64>,
    pub seq: Option<u64>,
    pub metrics: Vec<Metric<'a>>,
}

#[derive(Debug, Default, PartialEq)]
pub struct Metric<'a> {
    pub name: Option<&'a str>,
    pub alias: Option<u64>,
    pub timestamp: Option<u64>,
    pub datatype: Option<u64>,
    pub historical: bool,
    pub null: bool,
    pub value: Option<Value<'a>>,
    /// Of its properties: 192 is good, 0 bad, 500 stale.
    pub quality: Option<u64>,
    pub unit: Option<&'a str>,
}

#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Value<'a> {
    /// As it is on the wire: two's complement of as many bits as the data type has.
    Whole(u64),
    Real(f64),
    Flag(bool),
    Text(&'a str),
    /// Why it is not read.
    Other(&'static str),
}

impl<'a> Value<'a> {
    /// A number or flag, as the data type says that it is meant.
    pub fn number(self, datatype: Option<u64>) -> Option<f64> {
        match (self, datatype) {
            (Self::Whole(bits), Some(1)) => Some(f64::from(bits as u8 as i8)),
            (Self::Whole(bits), Some(2)) => Some(f64::from(bits as u16 as i16)),
            (Self::Whole(bits), Some(3)) => Some(f64::from(bits as u32 as i32)),
            (Self::Whole(bits), Some(4)) => Some(bits as i64 as f64),
            (Self::Whole(bits), _) => Some(bits as f64),
            (Self::Real(number), _) => Some(number),
            (Self::Flag(flag), _) => Some(f64::from(u8::from(flag))),
            (Self::Text(text), _) => text.trim().parse().ok(),
            (Self::Other(_), _) => None,
        }
        .filter(|number: &f64| number.is_finite())
    }

    pub fn text(self) -> Option<&'a str> {
        match self {
            Self::Text(text) => Some(text),
            Self::Whole(_) | Self::Real(_) | Self::Flag(_) | Self::Other(_) => None,
        }
    }
}

/// A sentence says what is wrong with the bytes.
pub fn read(bytes: &[u8]) -> Result<Payload<'_>, String> {
    let mut payload = Payload::default();
    for field in Fields(bytes) {
        match field? {
            (1, Wire::Number(number)) => payload.timestamp = Some(number),
            (2, Wire::Bytes(bytes)) => {
                if METRICS_MAX <= payload.metrics.len() {
                    return Err(format!("it has more than {METRICS_MAX} metrics"));
                }
                payload.metrics.push(metric(bytes)?);
            }
            (3, Wire::Number(number)) => payload.seq = Some(number),
            _ => (),
        }
    }
    Ok(payload)
}

fn metric(bytes: &[u8]) -> Result<Metric<'_>, String> {
    let mut metric = Metric::default();
    for field in Fields(bytes) {
        match field? {
            (1, Wire::Bytes(name)) => metric.name = Some(text(name)?),
            (2, Wire::Number(number)) => metric.alias = Some(number),
            (3, Wire::Number(number)) => metric.timestamp = Some(number),
            (4, Wire::Number(number)) => metric.datatype = Some(number),
            (5, Wire::Number(flag)) => metric.historical = flag != 0,
            (7, Wire::Number(flag)) => metric.null = flag != 0,
            (9, Wire::Bytes(set)) => properties(set, &mut metric)?,
            (10 | 11, Wire::Number(number)) => metric.value = Some(Value::Whole(number)),
            (12, Wire::Four(bits)) => metric.value = Some(Value::Real(f64::from(f32::from_bits(bits)))),
            (13, Wire::Eight(bits)) => metric.value = Some(Value::Real(f64::from_bits(bits))),
            (14, Wire::Number(flag)) => metric.value = Some(Value::Flag(flag != 0)),
            (15, Wire::Bytes(bytes)) => metric.value = Some(Value::Text(text(bytes)?)),
            (16, Wire::Bytes(_)) => metric.value = Some(Value::Other("bytes")),
            (17, Wire::Bytes(_)) => metric.value = Some(Value::Other("a DataSet")),
            (18, Wire::Bytes(_)) => metric.value = Some(Value::Other("a Template")),
            (19, Wire::Bytes(_)) => metric.value = Some(Value::Other("an extension")),
            _ => (),
        }
    }
    Ok(metric)
}

/// Keys and values stand in two lists, in the same order.
fn properties<'a>(bytes: &'a [u8], metric: &mut Metric<'a>) -> Result<(), String> {
    let (mut keys, mut values) = (Vec::new(), Vec::new());
    for field in Fields(bytes) {
        match field? {
            (1, Wire::Bytes(key)) => keys.push(text(key)?),
            (2, Wire::Bytes(value)) => values.push(value),
            _ => (),
        }
    }
    for (key, value) in keys.into_iter().zip(values) {
        for field in Fields(value) {
            match (key, field?) {
                ("Quality" | "quality", (3 | 4, Wire::Number(number))) => metric.quality = Some(number),
                ("engUnit" | "Engineering Units" | "unit", (8, Wire::Bytes(unit))) => {
                    metric.unit = Some(text(unit)?);
                }
                _ => (),
            }
        }
    }
    Ok(())
}

fn text(bytes: &[u8]) -> Result<&str, String> {
    std::str::from_utf8(bytes).map_err(|_| "a text in it is not UTF-8".to_owned())
}

/// What stands behind the number of a field.
#[derive(Debug, PartialEq)]
enum Wire<'a> {
    Number(u64),
    Eight(u64),
    Four(u32),
    Bytes(&'a [u8]),
}

struct Fields<'a>(&'a [u8]);

impl<'a> Iterator for Fields<'a> {
    type Item = Result<(u64, Wire<'a>), String>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.0.is_empty() {
            return None;
        }
        let field = self.field();
        if field.is_none() {
            self.0 = &[]; // An error is the end.
        }
        Some(field.ok_or_else(|| "the bytes are no protobuf of Sparkplug B".to_owned()))
    }
}

impl<'a> Fields<'a> {
    fn field(&mut self) -> Option<(u64, Wire<'a>)> {
        let tag = self.varint()?;
        let wire = match tag & 7 {
            0 => Wire::Number(self.varint()?),
            1 => Wire::Eight(u64::from_le_bytes(self.bytes(8)?.try_into().ok()?)),
            2 => {
                let length = usize::try_from(self.varint()?).ok()?;
                Wire::Bytes(self.bytes(length)?)
            }
            5 => Wire::Four(u32::from_le_bytes(self.bytes(4)?.try_into().ok()?)),
            _ => return None,
        };
        Some((tag >> 3, wire))
    }

    fn bytes(&mut self, length: usize) -> Option<&'a [u8]> {
        let (bytes, rest) = self.0.split_at_checked(length)?;
        self.0 = rest;
        Some(bytes)
    }

    fn varint(&mut self) -> Option<u64> {
        let mut number = 0u64;
        for (at, byte) in self.0.iter().take(10).enumerate() {
            number |= u64::from(byte & 0x7f).checked_shl(7 * at as u32)?;
            if byte & 0x80 == 0 {
                self.0 = &self.0[at + 1..];
                return Some(number);
            }
        }
        None
    }
}

/// The name of the metric by which a node is asked for its births.
pub const REBIRTH: &str = "Node Control/Rebirth";
const BOOLEAN: u64 = 11;

/// Asks a node for its births. A command has no sequence number.
pub fn rebirth_request(timestamp_ms: u64) -> Vec<u8> {
    let mut metric = Vec::new();
    put_bytes(&mut metric, 1, REBIRTH.as_bytes());
    put_number(&mut metric, 3, timestamp_ms);
    put_number(&mut metric, 4, BOOLEAN);
    put_number(&mut metric, 14, 1);
    let mut payload = Vec::new();
    put_number(&mut payload, 1, timestamp_ms);
    put_bytes(&mut payload, 2, &metric);
    payload
}

pub(super) fn put_number(into: &mut Vec<u8>, field: u64, number: u64) {
    put_varint(into, field << 3);
    put_varint(into, number);
}

pub(super) fn put_bytes(into: &mut Vec<u8>, field: u64, bytes: &[u8]) {
    put_varint(into, field << 3 | 2);
    put_varint(into, bytes.len() as u64);
    into.extend_from_slice(bytes);
}

fn put_varint(into: &mut Vec<u8>, mut number: u64) {
    while 0x80 <= number {
        into.push(number as u8 | 0x80);
        number >>= 7;
    }
    into.push(number as u8);
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_rebirth_request_is_what_the_specification_says() {
        let bytes = rebirth_request(1_795_402_800_000);
        let payload = read(&bytes).expect("our own");
        assert_eq!((payload.timestamp, payload.seq), (Some(1_795_402_800_000), None));
        let [metric] = payload.metrics.as_slice() else { panic!("{payload:?}") };
        assert_eq!((metric.name, metric.datatype), (Some("Node Control/Rebirth"), Some(11)));
        assert_eq!(metric.value, Some(Value::Flag(true)));
    }

    #[test]
    fn numbers_have_the_sign_of_their_type() {
        let minus_two = Value::Whole(0xFFFF_FFFE);
        for (value, datatype, number) in [
            (minus_two, 1, -2.0),
            (minus_two, 2, -2.0),
            (minus_two, 3, -2.0),
            (Value::Whole(0xFE), 1, -2.0),
            (minus_two, 7, 4_294_967_294.0),
            (Value::Whole(u64::MAX - 1), 4, -2.0),
            (Value::Real(1.5), 10, 1.5),
            (Value::Flag(true), 11, 1.0),
            (Value::Text("2.5"), 12, 2.5),
        ] {
            assert_eq!(value.number(Some(datatype)), Some(number), "{value:?} as {datatype}");
        }
        assert_eq!(Value::Real(f64::NAN).number(Some(10)), None);
        assert_eq!(Value::Other("bytes").number(Some(17)), None);
    }

    #[test]
    fn quality_and_unit_are_properties() {
        let mut property = Vec::new();
        put_number(&mut property, 3, 500);
        let mut unit = Vec::new();
        put_bytes(&mut unit, 8, b"bar");
        let mut set = Vec::new();
        for key in ["Quality", "engUnit"] {
            put_bytes(&mut set, 1, key.as_bytes());
        }
        for value in [&property, &unit] {
            put_bytes(&mut set, 2, value);
        }
        let mut metric = Vec::new();
        put_bytes(&mut metric, 9, &set);
        let mut payload = Vec::new();
        put_bytes(&mut payload, 2, &metric);
        let read = read(&payload).expect("well-formed");
        assert_eq!((read.metrics[0].quality, read.metrics[0].unit), (Some(500), Some("bar")));
    }

    proptest! {
        #[test]
        fn random_bytes_never_panic(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
            let _ = read(&bytes);
        }
    }
}
