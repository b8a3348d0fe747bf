//! Records that are stored whole, as JSON with a version and a checksum behind it: `{"V1":{…}} #1a2b3c4d`.
//!
//! The checksum tells a record that the disk has changed from one that was written so; records of older files have none.
//! JSON because such a record is rare, may be looked at with any SQLite tool, and can gain a field with a default. A change that a default
//! cannot bridge becomes `V2` here. serde_json's `float_roundtrip` is on, so floats come back exactly.

use rusqlite::types::ValueRef;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use super::StoreError;

#[derive(Serialize, Deserialize)]
enum OnDisk<T> {
    V1(T),
}

pub fn write<T: Serialize>(record: &T) -> String {
    let mut text =
        serde_json::to_string(&OnDisk::V1(record)).expect("records have text keys and finite numbers only");
    let checksum = crc32fast::hash(text.as_bytes());
    text.push_str(&format!(" #{checksum:08x}"));
    text
}

/// The JSON of a record; `None` when its checksum does not match.
fn json(text: &str) -> Option<&str> {
    if text.ends_with('}') {
        return Some(text); // Of an older file.
    }
    let (json, checksum) = text.rsplit_once(" #")?;
    (u32::from_str_radix(checksum, 16) == Ok(crc32fast::hash(json.as_bytes()))).then_some(json)
}

/// Whether it is as it was written, as far as that can be told without reading it.
pub fn is_whole(text: &str) -> bool {
    json(text).is_some()
}

/// The text of a record; empty, which is no record, when the disk has made something else of it.
pub fn text(value: ValueRef<'_>) -> &str {
    value.as_str().unwrap_or_default()
}

/// `what` names the record for the one who has to repair it.
pub fn read<T: DeserializeOwned>(text: &str, what: impl std::fmt::Display) -> Result<T, StoreError> {
    let Some(json) = json(text) else {
        return Err(StoreError::Damaged(format!("{what}: the checksum does not match")));
    };
    match serde_json::from_str(json) {
        Ok(OnDisk::V1(record)) => Ok(record),
        Err(error) => Err(StoreError::Damaged(format!("{what}: {error}"))),
    }
}

/// The one word by which serde names a variant without fields.
pub fn word<T: Serialize>(value: &T) -> String {
    match serde_json::to_value(value) {
        Ok(serde_json::Value::String(word)) => word,
        Ok(_) | Err(_) => unreachable!("only enums without fields are stored as a word"),
    }
}

pub fn from_word<T: DeserializeOwned>(word: String, what: impl std::fmt::Display) -> Result<T, StoreError> {
    serde_json::from_value(serde_json::Value::String(word))
        .map_err(|error| StoreError::Damaged(format!("{what}: {error}")))
}
