//! Records that are stored whole, as JSON with a version: `{"V1":{…}}`.
//!
//! JSON because such a record is rare, may be looked at with any SQLite tool, and can gain a field with a default. A change that a default
//! cannot bridge becomes `V2` here. serde_json's `float_roundtrip` is on, so floats come back exactly.

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use super::StoreError;

#[derive(Serialize, Deserialize)]
enum OnDisk<T> {
    V1(T),
}

pub fn write<T: Serialize>(record: &T) -> String {
    serde_json::to_string(&OnDisk::V1(record)).expect("records have text keys and finite numbers only")
}

/// `what` names the record for the one who has to repair it.
pub fn read<T: DeserializeOwned>(text: &str, what: impl std::fmt::Display) -> Result<T, StoreError> {
    match serde_json::from_str(text) {
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
