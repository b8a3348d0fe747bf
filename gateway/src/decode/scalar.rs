//! One JSON value as devices send it: tolerant of numbers and flags written as text, never of nonsense.
//!
//! Borrowed from the message where possible, so that a heartbeat costs no allocation per field. Objects and arrays in the place of a value
//! are read over, not refused: firmware of every brand adds fields as it likes.

use std::borrow::Cow;
use std::fmt;

use serde::de::{Deserialize, Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde_json::de::Read;

use crate::units::Timestamp;

/// Below this a number is seconds since 1970, from here on milliseconds (1e11 ms is 1973, 1e11 s the year 5138).
const MILLISECONDS_FROM: f64 = 1e11;

#[derive(Clone, Debug, PartialEq)]
pub enum Scalar<'a> {
    /// `null`: the sender knows the field but not its value, which is normal.
    Null,
    Flag(bool),
    Number(f64),
    Text(Cow<'a, str>),
    /// An object or array, read over.
    Nested,
}

impl<'a> Scalar<'a> {
    pub fn of(value: &'a serde_json::Value) -> Self {
        match value {
            serde_json::Value::Null => Scalar::Null,
            serde_json::Value::Bool(flag) => Scalar::Flag(*flag),
            serde_json::Value::Number(number) => number.as_f64().map_or(Scalar::Null, Scalar::Number),
            serde_json::Value::String(text) => Scalar::Text(text.as_str().into()),
            serde_json::Value::Array(_) | serde_json::Value::Object(_) => Scalar::Nested,
        }
    }
}

impl Scalar<'_> {
    /// A finite number, also when it was written as text. A flag is no number.
    pub fn number(&self) -> Option<f64> {
        match self {
            Scalar::Number(number) => Some(*number),
            Scalar::Text(text) => text.trim().parse().ok(),
            Scalar::Null | Scalar::Flag(_) | Scalar::Nested => None,
        }
        .filter(|number| number.is_finite())
    }

    /// A flag: `true`, any number but zero, or one of the usual words.
    pub fn flag(&self) -> Option<bool> {
        const WORDS: [(&str, bool); 16] = [
            ("true", true),
            ("on", true),
            ("yes", true),
            ("1", true),
            ("alarm", true),
            ("detected", true),
            ("open", true),
            ("fault", true),
            ("false", false),
            ("off", false),
            ("no", false),
            ("0", false),
            ("normal", false),
            ("clear", false),
            ("closed", false),
            ("ok", false),
        ];
        match self {
            Scalar::Flag(flag) => Some(*flag),
            Scalar::Number(number) => Some(*number != 0.0),
            Scalar::Text(text) => {
                let text = text.trim();
                WORDS.iter().find(|(word, _)| word.eq_ignore_ascii_case(text)).map(|(_, flag)| *flag)
            }
            Scalar::Null | Scalar::Nested => None,
        }
    }

    /// A moment: RFC 3339 with an offset, or seconds or milliseconds since 1970.
    pub fn time(&self) -> Option<Timestamp> {
        if let Some(number) = self.number() {
            let seconds = if number.abs() < MILLISECONDS_FROM { number } else { number / 1000.0 };
            return Timestamp::from_unix_seconds(seconds);
        }
        match self {
            Scalar::Text(text) => Timestamp::parse_rfc3339(text.trim()),
            Scalar::Null | Scalar::Flag(_) | Scalar::Number(_) | Scalar::Nested => None,
        }
    }

    pub fn text(&self) -> Option<&str> {
        match self {
            Scalar::Text(text) => Some(text),
            Scalar::Null | Scalar::Flag(_) | Scalar::Number(_) | Scalar::Nested => None,
        }
    }
}

/// As it stood in the message, shortened for a sentence.
impl fmt::Display for Scalar<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Scalar::Null => f.write_str("null"),
            Scalar::Flag(flag) => write!(f, "{flag}"),
            Scalar::Number(number) => write!(f, "{number}"),
            Scalar::Text(text) => write!(f, "\"{}\"", shortened(text)),
            Scalar::Nested => f.write_str("an object or array"),
        }
    }
}

/// At most 64 characters, so that nobody fills the dead letters with one message, and without control characters.
pub fn shortened(text: &str) -> String {
    shortened_to(64, text)
}

pub fn shortened_to(length_max: usize, text: &str) -> String {
    let mut short: String =
        text.chars().take(length_max).map(|c| if c.is_control() { '\u{fffd}' } else { c }).collect();
    if text.chars().nth(length_max).is_some() {
        short.push('…');
    }
    short
}

/// The rest of a visitor that wants an object and must not let anything else end the whole message.
macro_rules! anything_else {
    ($visitor:ident => $told:expr) => {
        fn visit_bool<E>($visitor, _: bool) -> Result<(), E> {
            $told;
            Ok(())
        }

        fn visit_i64<E>($visitor, _: i64) -> Result<(), E> {
            $told;
            Ok(())
        }

        fn visit_u64<E>($visitor, _: u64) -> Result<(), E> {
            $told;
            Ok(())
        }

        fn visit_f64<E>($visitor, _: f64) -> Result<(), E> {
            $told;
            Ok(())
        }

        fn visit_str<E>($visitor, _: &str) -> Result<(), E> {
            $told;
            Ok(())
        }

        fn visit_unit<E>($visitor) -> Result<(), E> {
            $told;
            Ok(())
        }

        fn visit_seq<A: SeqAccess<'de>>($visitor, mut items: A) -> Result<(), A::Error> {
            $told;
            while items.next_element::<serde::de::IgnoredAny>()?.is_some() {}
            Ok(())
        }
    };
}
pub(super) use anything_else;

impl<'de: 'a, 'a> Deserialize<'de> for Scalar<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(ScalarVisitor)
    }
}

struct ScalarVisitor;

impl<'de> Visitor<'de> for ScalarVisitor {
    type Value = Scalar<'de>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("any value")
    }

    fn visit_bool<E>(self, flag: bool) -> Result<Self::Value, E> {
        Ok(Scalar::Flag(flag))
    }

    fn visit_i64<E>(self, number: i64) -> Result<Self::Value, E> {
        Ok(Scalar::Number(number as f64))
    }

    fn visit_u64<E>(self, number: u64) -> Result<Self::Value, E> {
        Ok(Scalar::Number(number as f64))
    }

    fn visit_f64<E>(self, number: f64) -> Result<Self::Value, E> {
        Ok(Scalar::Number(number))
    }

    fn visit_borrowed_str<E>(self, text: &'de str) -> Result<Self::Value, E> {
        Ok(Scalar::Text(Cow::Borrowed(text)))
    }

    fn visit_str<E>(self, text: &str) -> Result<Self::Value, E> {
        Ok(Scalar::Text(Cow::Owned(text.to_owned())))
    }

    fn visit_unit<E>(self) -> Result<Self::Value, E> {
        Ok(Scalar::Null)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Self::Value, A::Error> {
        while items.next_element::<IgnoredAny>()?.is_some() {}
        Ok(Scalar::Nested)
    }

    fn visit_map<A: MapAccess<'de>>(self, mut fields: A) -> Result<Self::Value, A::Error> {
        while fields.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {}
        Ok(Scalar::Nested)
    }
}

/// A field's name; borrowed unless it holds escapes.
pub struct Name<'a>(pub Cow<'a, str>);

impl<'de: 'a, 'a> Deserialize<'de> for Name<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct NameVisitor;
        impl<'de> Visitor<'de> for NameVisitor {
            type Value = Name<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a name")
            }

            fn visit_borrowed_str<E>(self, text: &'de str) -> Result<Self::Value, E> {
                Ok(Name(Cow::Borrowed(text)))
            }

            fn visit_str<E>(self, text: &str) -> Result<Self::Value, E> {
                Ok(Name(Cow::Owned(text.to_owned())))
            }
        }
        deserializer.deserialize_str(NameVisitor)
    }
}

/// Reads a payload that is one JSON value. If all of it is UTF-8, this is checked once and not for every text in it; if it is not, what can be read is read all the same.
pub fn whole_json<'de, V: Visitor<'de>>(payload: &'de [u8], visitor: V) -> serde_json::Result<V::Value> {
    fn whole<'de, R: Read<'de>, V: Visitor<'de>>(
        mut json: serde_json::Deserializer<R>,
        visitor: V,
    ) -> serde_json::Result<V::Value> {
        let value = json.deserialize_any(visitor)?;
        json.end().map(|()| value)
    }
    match std::str::from_utf8(payload) {
        Ok(text) => whole(serde_json::Deserializer::from_str(text), visitor),
        Err(_) => whole(serde_json::Deserializer::from_slice(payload), visitor),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn scalar(json: &str) -> Scalar<'_> {
        serde_json::from_str(json).unwrap()
    }

    #[test]
    fn numbers_may_stand_in_text_but_must_be_finite() {
        for (json, number) in [
            ("21.5", Some(21.5)),
            ("\"21.5\"", Some(21.5)),
            ("\" -3 \"", Some(-3.0)),
            ("\"NaN\"", None),
            ("\"inf\"", None),
            ("\"warm\"", None),
            ("true", None),
            ("null", None),
            ("[1]", None),
            ("{\"a\":1}", None),
        ] {
            assert_eq!(scalar(json).number(), number, "{json}");
        }
    }

    #[test]
    fn flags_come_in_many_words() {
        for (json, flag) in [
            ("true", Some(true)),
            ("0", Some(false)),
            ("2", Some(true)),
            ("\"ON\"", Some(true)),
            ("\"Normal\"", Some(false)),
            ("\"perhaps\"", None),
            ("null", None),
        ] {
            assert_eq!(scalar(json).flag(), flag, "{json}");
        }
    }

    #[test]
    fn times_are_text_seconds_or_milliseconds() {
        let at = Timestamp(1_795_402_800_000);
        for json in [
            "1795402800",
            "1795402800000",
            "\"1795402800\"",
            "\"2026-11-23T03:00:00Z\"",
            "\"2026-11-23T11:00:00+08:00\"",
        ] {
            assert_eq!(scalar(json).time(), Some(at), "{json}");
        }
        assert_eq!(scalar("\"yesterday\"").time(), None);
        assert_eq!(scalar("1e300").time(), None);
    }

    #[test]
    fn long_texts_are_shortened_between_characters() {
        assert_eq!(shortened(&"烟".repeat(100)).chars().count(), 65);
        assert_eq!(shortened("a\u{1b}[31m"), "a\u{fffd}[31m");
    }
}
