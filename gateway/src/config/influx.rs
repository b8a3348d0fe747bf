//! `[influx]`, the server that gets the readings.

use serde::Deserialize;
use serde_spanned::Spanned;

use super::{Secret, defaults};

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum InfluxSender {
    /// Our own: keeps a base path, reads Retry-After, compresses.
    #[default]
    Gridwarden,
    /// The influxdb2 crate.
    Influxdb2,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Influx {
    /// With any base path, such as `https://proxy.example/influx`.
    pub url: Spanned<String>,
    pub org: String,
    pub bucket: String,
    pub token: Option<Secret>,
    #[serde(default)]
    pub sender: InfluxSender,
    /// Make the bucket when it is missing and the token may.
    #[serde(default)]
    pub create_bucket: bool,
    /// For a bucket we make; 0 keeps for ever.
    #[serde(default)]
    pub retention_days: u32,
    #[serde(default = "defaults::batch_lines")]
    pub batch_lines: Spanned<u32>,
    #[serde(default = "defaults::batch_ms")]
    pub batch_ms: Spanned<u32>,
    /// Left out: unless the server is on this machine, where it would cost both sides time and save nobody a wire.
    pub gzip: Option<bool>,
    #[serde(default = "defaults::influx_timeout_s")]
    pub timeout_s: Spanned<u32>,
    /// Also write each reading's id as a string field `reading`, to follow one reading through; costs space.
    #[serde(default)]
    pub reading_ids: bool,
}
