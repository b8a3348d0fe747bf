//! A profile's TOML file, typed and strict. What it means is decided in [`super::compile`].
//!
//! Every key is explained in docs/devices.md. A key is added here, its meaning there.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_spanned::Spanned;

use crate::config::Register;
use crate::model::DeviceKind;
use crate::units::Zone;

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct File {
    /// Maker, model and what it is, for people.
    pub title: String,
    pub kind: DeviceKind,
    pub over: Spanned<Over>,
    /// What network servers and bridges call the model.
    #[serde(default)]
    pub names: Vec<Spanned<String>>,
    /// How often it speaks when nothing happens: silence of three times that long is proposed as trouble.
    pub heartbeat_s: Option<Spanned<u32>>,
    pub evidence: Spanned<Vec<Evidence>>,
    /// Where the maker's paper and a sample, or two papers, say different things.
    #[serde(default)]
    pub deviations: Vec<String>,
    /// Over Zigbee2MQTT: what the model publishes, as its converter declares it.
    #[serde(default)]
    pub properties: Vec<Spanned<String>>,
    /// Of these nothing is taken: settings, and what has no metric.
    #[serde(default)]
    pub ignored: Vec<Spanned<String>>,
    /// How bytes are written when they come as a message of their own.
    pub encoding: Option<Spanned<Encoding>>,
    /// Address in the registry behind `mqtt:`, for messages on a topic.
    pub address: Option<Spanned<String>>,
    /// JSON: path of the parts of a message that are each a device's report.
    pub records: Option<Spanned<String>>,
    #[serde(default, rename = "frame")]
    pub frames: Vec<Frame>,
    pub modbus: Option<Modbus>,
    /// What the device can be told, over LoRaWAN.
    #[serde(default, rename = "order")]
    pub orders: Vec<Spanned<OrderShape>>,
    #[serde(default, rename = "sample")]
    pub samples: Vec<Spanned<Sample>>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Over {
    /// Read by the decoder `zigbee2mqtt`; the profile names the model, what it publishes and samples.
    Zigbee2mqtt,
    /// The bytes of a LoRaWAN uplink.
    Lorawan,
    Json,
    Bytes,
    Text,
    /// Polled: registers instead of frames.
    Modbus,
}

impl Over {
    pub const fn name(self) -> &'static str {
        match self {
            Self::Zigbee2mqtt => "zigbee2mqtt",
            Self::Lorawan => "lorawan",
            Self::Json => "json",
            Self::Bytes => "bytes",
            Self::Text => "text",
            Self::Modbus => "modbus",
        }
    }
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Evidence {
    pub kind: EvidenceKind,
    /// Where it can be read again.
    pub source: String,
}

/// How much a profile can be trusted, best first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum EvidenceKind {
    /// A message of a real device.
    Captured,
    /// An example in the maker's own paper.
    Vendor,
    Standard,
    /// The maker's own decoder, or a bridge's converter.
    Decoder,
    /// A description without an example; the samples are made by its layout.
    Paper,
}

impl EvidenceKind {
    pub const fn name(self) -> &'static str {
        match self {
            Self::Captured => "captured",
            Self::Vendor => "vendor's example",
            Self::Standard => "standard",
            Self::Decoder => "decoder",
            Self::Paper => "paper",
        }
    }
}

/// What is asked of the device, and what it bears.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Modbus {
    /// The most registers that it answers in one read.
    #[serde(default = "registers_max")]
    pub max_registers: u16,
    /// Quiet time that it needs before each request.
    #[serde(default)]
    pub pause_ms: u32,
    /// No document says in which unit it counts pressure: `pressure_unit` of the unit in station.toml does.
    #[serde(default)]
    pub asks_for_pressure_unit: bool,
    /// As in station.toml.
    #[serde(rename = "register")]
    pub registers: Vec<Register>,
}

/// The protocol's own limit.
fn registers_max() -> u16 {
    125
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Encoding {
    Raw,
    Hex,
    Base64,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Frame {
    /// What kind of message this is, for people.
    pub name: Option<String>,
    /// LoRaWAN ports; none: any.
    #[serde(default)]
    pub ports: Vec<u8>,
    /// Exactly so long, in bytes.
    pub length: Option<Spanned<u16>>,
    pub length_min: Option<Spanned<u16>>,
    #[serde(default)]
    pub when: Vec<Condition>,
    pub checksum: Option<Checksum>,
    /// Text: what stands between the parts.
    pub separator: Option<Spanned<String>>,
    pub time: Option<Clock>,
    /// The device's own count of messages, by which one that comes twice is recognised.
    pub counter: Option<Source>,
    /// The device's own number, for `{serial}` in the address.
    pub serial: Option<Source>,
    /// While `test` is set, a set fire flag of the same message is none.
    #[serde(default)]
    pub test_hides_fire: bool,
    #[serde(default, rename = "field")]
    pub fields: Vec<Field>,
    /// Where the tags begin.
    #[serde(default)]
    pub tags_at: u16,
    #[serde(default, rename = "tag")]
    pub tags: Vec<Tag>,
    pub records: Option<Records>,
}

/// Where something stands in a message.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Source {
    /// Bytes: from 0.
    pub at: Option<Spanned<u16>>,
    #[serde(rename = "type")]
    pub sort: Option<Spanned<Sort>>,
    #[serde(default)]
    pub order: Order,
    /// Lowest and highest bit of the number.
    pub bits: Option<Spanned<[u8; 2]>>,
    /// Of a text within bytes.
    pub length: Option<Spanned<u16>>,
    /// JSON: keys with dots between; `[2]` an index, `[code=smoke]` the entry with this key and value.
    pub path: Option<Spanned<String>>,
    /// Text: from which character, how many.
    pub chars: Option<Spanned<[u16; 2]>>,
    /// Text: which part, from 0.
    pub part: Option<Spanned<u16>>,
}

/// What stands in the bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Sort {
    #[default]
    U8,
    I8,
    U16,
    I16,
    U24,
    U32,
    I32,
    F32,
    F64,
    Ascii,
    Hex,
    /// Two digits a byte.
    Bcd,
    /// The same with the digits of each byte swapped, as telephone networks write numbers.
    BcdSwapped,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Order {
    /// The most significant byte first.
    #[default]
    Big,
    Little,
    /// Big, with the words of two bytes reversed: CDAB.
    BigSwapped,
    /// Little, with the words of two bytes reversed: BADC.
    LittleSwapped,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Condition {
    pub from: Source,
    /// One of these; none: it only has to be there.
    #[serde(default)]
    pub is: Vec<Literal>,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(untagged)]
pub enum Literal {
    Flag(bool),
    Whole(i64),
    Number(f64),
    Text(String),
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Checksum {
    pub kind: ChecksumKind,
    /// The first byte it covers.
    #[serde(default)]
    pub from: u16,
    /// The first byte it does not cover; negative counts from the end.
    pub to: Option<i16>,
    /// Where it stands; negative counts from the end. Not for `zero_sum8`, where the whole frame sums up to 0.
    pub at: Option<Spanned<i16>>,
    #[serde(default)]
    pub order: Order,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ChecksumKind {
    Sum8,
    ZeroSum8,
    Xor8,
    Crc16Modbus,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Clock {
    pub from: Source,
    /// What the device counts from; else 1970.
    pub epoch: Option<Spanned<String>>,
    #[serde(default)]
    pub unit: ClockUnit,
    /// How a text is written, as strftime; else RFC 3339.
    pub format: Option<Spanned<String>>,
    /// In which zone it is, when the text does not say.
    pub zone: Option<Zone>,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
pub enum ClockUnit {
    #[default]
    #[serde(rename = "s")]
    Seconds,
    #[serde(rename = "ms")]
    Milliseconds,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Field {
    pub from: Spanned<Source>,
    pub metric: Option<Spanned<String>>,
    /// A flag that is set when the field is not.
    #[serde(default)]
    pub inverted: bool,
    /// value = (raw × scale + offset) in `unit`, converted to the metric's.
    pub scale: Option<Spanned<f64>>,
    pub offset: Option<f64>,
    pub unit: Option<Spanned<String>>,
    /// In the metric's unit; outside, the quality is bad.
    pub min: Option<Spanned<f64>>,
    pub max: Option<f64>,
    pub times: Option<Times>,
    pub current_loop: Option<Loop>,
    /// What a code or word says: flags that it sets, with `!` those it clears; an empty list says nothing.
    #[serde(default)]
    pub values: BTreeMap<String, Spanned<Vec<String>>>,
    /// What any other code says; without it, another code is a complaint.
    pub otherwise: Option<Spanned<Vec<String>>>,
    /// Bit number → flag; with `!` the flag is set when the bit is not.
    #[serde(default)]
    pub flags: BTreeMap<String, Spanned<String>>,
}

/// A factor that another field chooses, such as the range of the sensor head.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Times {
    pub from: Source,
    pub values: BTreeMap<String, f64>,
}

/// The number is the current of a 4–20 mA loop: what is outside says that the loop is broken or the sensor at its end, not what it measures.
#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Loop {
    pub broken_below_ma: f64,
    pub over_above_ma: f64,
    /// Subtracted before `times`.
    pub zero_ma: f64,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Tag {
    /// In hexadecimal.
    pub tag: Spanned<String>,
    /// How many bytes follow it.
    pub length: u16,
    /// With a time of its own it is a report of its own.
    pub time: Option<Clock>,
    #[serde(default, rename = "field")]
    pub fields: Vec<Field>,
}

/// Measurements kept by the device, each with its time.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Records {
    pub at: u16,
    pub length: Spanned<u16>,
    /// How many there are; without it, as many as fit.
    pub count: Option<Source>,
    pub time: Clock,
    #[serde(rename = "field")]
    pub fields: Vec<Field>,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Sample {
    pub name: String,
    pub port: Option<u8>,
    pub hex: Option<String>,
    pub base64: Option<String>,
    pub text: Option<String>,
    pub json: Option<String>,
    /// Modbus: what stands in the registers, by the address of the first.
    pub registers: Option<BTreeMap<String, Vec<u16>>>,
    /// As in station.toml.
    pub pressure_unit: Option<String>,
    pub topic: Option<String>,
    pub received: Option<String>,
    /// A line for each report.
    pub expect: Vec<String>,
    /// Words of each complaint.
    #[serde(default)]
    pub complaints: Vec<String>,
}

/// Something that the device can be told: these bytes, and a number behind them.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct OrderShape {
    pub name: String,
    pub port: u8,
    pub hex: String,
    pub value: Option<OrderValue>,
    #[serde(default, rename = "sample")]
    pub samples: Vec<OrderSample>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct OrderValue {
    #[serde(rename = "type")]
    pub sort: Sort,
    #[serde(default)]
    pub order: Order,
    pub unit: String,
    pub min: u32,
    pub max: u32,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct OrderSample {
    pub value: Option<u32>,
    pub hex: String,
}
