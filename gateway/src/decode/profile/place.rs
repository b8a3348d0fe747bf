//! Where something stands in a message, and how it is taken from there: bytes, text or JSON. Never panics, whatever the message.

use std::borrow::Cow;

use serde_json::Value;

use super::shape::{Order, Sort};
use crate::decode::scalar::Scalar;

/// A message without its envelope.
#[derive(Clone, Copy, Debug)]
pub enum Carrier<'m> {
    Bytes(&'m [u8]),
    Text(&'m str),
    Json(&'m Value),
}

#[derive(Clone, Debug, PartialEq)]
pub enum Place {
    Number { at: usize, sort: Sort, order: Order, bits: Option<(u8, u8)> },
    Word { at: usize, length: usize, sort: Sort },
    Path(Path),
    Chars { from: usize, count: usize },
    Part { number: usize, separator: Box<str> },
}

impl Place {
    /// `None`: it is not there.
    pub fn take<'m>(&self, carrier: Carrier<'m>) -> Option<Scalar<'m>> {
        match (self, carrier) {
            (Self::Number { at, sort, order, bits }, Carrier::Bytes(bytes)) => {
                number(bytes, *at, *sort, *order, *bits).map(Scalar::Number)
            }
            (Self::Word { at, length, sort }, Carrier::Bytes(bytes)) => {
                word(bytes.get(*at..at + length)?, *sort).map(Scalar::Text)
            }
            (Self::Path(path), Carrier::Json(json)) => path.find(json).map(Scalar::of),
            (Self::Chars { from, count }, Carrier::Text(text)) => {
                text.get(*from..from + count).map(|part| Scalar::Text(part.into()))
            }
            (Self::Part { number, separator }, Carrier::Text(text)) => {
                text.split(&**separator).nth(*number).map(|part| Scalar::Text(part.into()))
            }
            // The compiler lets a profile look only into what it is read from.
            (
                Self::Number { .. }
                | Self::Word { .. }
                | Self::Path(_)
                | Self::Chars { .. }
                | Self::Part { .. },
                Carrier::Bytes(_) | Carrier::Text(_) | Carrier::Json(_),
            ) => None,
        }
    }
}

impl Sort {
    /// How many bytes a number fills; `None` for a text.
    pub const fn bytes(self) -> Option<usize> {
        match self {
            Self::U8 | Self::I8 => Some(1),
            Self::U16 | Self::I16 => Some(2),
            Self::U24 => Some(3),
            Self::U32 | Self::I32 | Self::F32 => Some(4),
            Self::F64 => Some(8),
            Self::Ascii | Self::Hex | Self::Bcd | Self::BcdSwapped => None,
        }
    }

    pub const fn is_float(self) -> bool {
        matches!(self, Self::F32 | Self::F64)
    }

    pub const fn is_unsigned(self) -> bool {
        matches!(self, Self::U8 | Self::U16 | Self::U24 | Self::U32)
    }
}

fn number(bytes: &[u8], at: usize, sort: Sort, order: Order, bits: Option<(u8, u8)>) -> Option<f64> {
    let size = sort.bytes()?;
    let bytes = bytes.get(at..at + size)?;
    let mut raw = 0u64;
    for place in 0..size {
        // Where the byte stands that comes next in order of significance.
        let from = match order {
            Order::Big => place,
            Order::Little => size - 1 - place,
            Order::BigSwapped => (size - 1 - place) ^ 1,
            Order::LittleSwapped => place ^ 1,
        };
        raw = raw << 8 | u64::from(*bytes.get(from)?);
    }
    if let Some((low, high)) = bits {
        raw = raw >> low & ((1u64 << (high - low + 1)) - 1);
        return Some(raw as f64);
    }
    Some(match sort {
        Sort::I8 => f64::from(raw as u8 as i8),
        Sort::I16 => f64::from(raw as u16 as i16),
        Sort::I32 => f64::from(raw as u32 as i32),
        Sort::F32 => f64::from(f32::from_bits(raw as u32)),
        Sort::F64 => f64::from_bits(raw),
        Sort::U8 | Sort::U16 | Sort::U24 | Sort::U32 => raw as f64,
        Sort::Ascii | Sort::Hex | Sort::Bcd | Sort::BcdSwapped => return None,
    })
}

fn word(bytes: &[u8], sort: Sort) -> Option<Cow<'_, str>> {
    let digits = |byte: &u8| [byte >> 4, byte & 15];
    let text = |digit: u8| char::from_digit(digit.into(), 16);
    match sort {
        Sort::Ascii => std::str::from_utf8(bytes).ok().map(|text| text.trim_end_matches('\0').into()),
        Sort::Hex | Sort::Bcd => {
            bytes.iter().flat_map(digits).map(text).collect::<Option<String>>().map(Cow::Owned)
        }
        Sort::BcdSwapped => {
            let swapped = bytes.iter().map(|byte| byte.rotate_left(4));
            swapped.flat_map(|byte| digits(&byte)).map(text).collect::<Option<String>>().map(Cow::Owned)
        }
        Sort::U8
        | Sort::I8
        | Sort::U16
        | Sort::I16
        | Sort::U24
        | Sort::U32
        | Sort::I32
        | Sort::F32
        | Sort::F64 => None,
    }
}

/// A way through JSON.
#[derive(Clone, Debug, PartialEq)]
pub struct Path(Vec<Step>);

#[derive(Clone, Debug, PartialEq)]
enum Step {
    Key(Box<str>),
    Index(usize),
    /// The entry of a list whose key has this text.
    Where(Box<str>, Box<str>),
    /// Every entry; only at the end of the path to records.
    Each,
}

impl Path {
    /// From a text such as `status[code=smoke_sensor_status].value`; what is wrong with it otherwise.
    pub fn parse(text: &str) -> Result<Self, String> {
        let mut steps = Vec::new();
        for part in text.split('.') {
            let (key, mut rest) = part.split_at(part.find('[').unwrap_or(part.len()));
            match key {
                "*" => steps.push(Step::Each),
                "" if rest.is_empty() => {
                    return Err(format!("`{text}` has an empty key; write keys with single dots between"));
                }
                "" => (),
                key => steps.push(Step::Key(key.into())),
            }
            while let Some(inner) = rest.strip_prefix('[') {
                let Some((inner, after)) = inner.split_once(']') else {
                    return Err(format!("`{text}` has a `[` without its `]`"));
                };
                steps.push(match (inner.split_once('='), inner.parse()) {
                    (Some((key, value)), _) => Step::Where(key.into(), value.into()),
                    (None, Ok(index)) => Step::Index(index),
                    (None, Err(_)) => {
                        return Err(format!("`[{inner}]` in `{text}` is neither a number nor `key=text`"));
                    }
                });
                rest = after;
            }
            if !rest.is_empty() {
                return Err(format!("`{rest}` in `{text}` stands behind a `]`; put a dot between"));
            }
        }
        Ok(Self(steps))
    }

    pub fn ends_with_each(&self) -> bool {
        let each = |step: &&Step| **step == Step::Each;
        self.0.iter().filter(each).count() == 1 && self.0.last().as_ref().is_some_and(each)
    }

    pub fn has_each(&self) -> bool {
        self.0.contains(&Step::Each)
    }

    pub fn find<'v>(&self, json: &'v Value) -> Option<&'v Value> {
        self.0.iter().try_fold(json, |value, step| match step {
            Step::Key(key) => value.get(&**key),
            Step::Index(index) => value.get(index),
            Step::Where(key, text) => {
                let is = |entry: &&Value| entry.get(&**key).and_then(Value::as_str) == Some(text);
                value.as_array()?.iter().find(is)
            }
            Step::Each => None,
        })
    }

    /// Every entry at the end of the path, with its key.
    pub fn each<'v>(&self, json: &'v Value) -> Vec<(&'v str, &'v Value)> {
        let (last, before) = match self.0.split_last() {
            Some((Step::Each, before)) => (true, before),
            Some(_) | None => (false, self.0.as_slice()),
        };
        let Some(found) = Path(before.to_vec()).find(json) else { return Vec::new() };
        match found {
            Value::Object(entries) if last => {
                entries.iter().map(|(key, value)| (key.as_str(), value)).collect()
            }
            Value::Array(entries) if last => entries.iter().map(|value| ("", value)).collect(),
            Value::Null
            | Value::Bool(_)
            | Value::Number(_)
            | Value::String(_)
            | Value::Array(_)
            | Value::Object(_) => {
                if last {
                    Vec::new()
                } else {
                    vec![("", found)]
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_number_in_every_order() {
        use Order::{Big, BigSwapped, Little, LittleSwapped};
        for (bytes, sort, order, expected) in [
            (&[0x3E, 0x0F, 0x5C, 0x29][..], Sort::F32, Big, f64::from(0.14f32)),
            (&[0x29, 0x5C, 0x0F, 0x3E], Sort::F32, Little, f64::from(0.14f32)),
            (&[0x5C, 0x29, 0x3E, 0x0F], Sort::F32, BigSwapped, f64::from(0.14f32)),
            (&[0x0F, 0x3E, 0x29, 0x5C], Sort::F32, LittleSwapped, f64::from(0.14f32)),
            (&[0xFF, 0xFE], Sort::I16, Big, -2.0),
            (&[0xFE, 0xFF], Sort::I16, Little, -2.0),
            (&[0x80], Sort::I8, Big, -128.0),
            (&[1, 2, 3], Sort::U24, Big, 66_051.0),
            (&[3, 2, 1], Sort::U24, Little, 66_051.0),
        ] {
            assert_eq!(number(bytes, 0, sort, order, None), Some(expected), "{bytes:x?} {order:?}");
        }
        assert_eq!(number(&[0x22], 0, Sort::U8, Big, Some((4, 7))), Some(2.0));
        assert_eq!(number(&[1], 0, Sort::U16, Big, None), None, "too short");
        assert_eq!(number(&[1], 9, Sort::U8, Big, None), None, "beyond the end");
    }

    #[test]
    fn a_number_of_a_telephone_network() {
        let imei = [0x68, 0x80, 0x30, 0x30, 0x71, 0x54, 0x79, 0x05];
        assert_eq!(word(&imei, Sort::BcdSwapped).as_deref(), Some("8608030317459750"));
        assert_eq!(word(b"SHMK\0\0", Sort::Ascii).as_deref(), Some("SHMK"));
    }

    #[test]
    fn paths_lead_through_keys_indexes_and_lists_of_pairs() {
        let json = serde_json::json!({"a": {"b": [1, {"c": 2}]}, "status": [{"code": "x", "value": 7}], "each": {"k": 1, "l": 2}});
        for (path, found) in [
            ("a.b[0]", Some(1)),
            ("a.b[1].c", Some(2)),
            ("status[code=x].value", Some(7)),
            ("a.c", None),
            ("a.b[9]", None),
        ] {
            let value = Path::parse(path).unwrap().find(&json).and_then(Value::as_i64);
            assert_eq!(value, found, "{path}");
        }
        let each = Path::parse("each.*").unwrap();
        assert_eq!(each.each(&json).iter().map(|(key, _)| *key).collect::<Vec<_>>(), ["k", "l"]);
        for wrong in ["a..b", "a[1", "a[x]", "a[1]b"] {
            assert!(Path::parse(wrong).is_err(), "{wrong}");
        }
    }
}
