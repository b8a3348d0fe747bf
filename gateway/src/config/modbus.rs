//! `[[modbus]]`: buses, the units on them, and registers of units that no profile describes.

use std::path::PathBuf;

use serde::Deserialize;
use serde_spanned::Spanned;

use super::defaults;

/// One Modbus line or connection: one request at a time.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Bus {
    pub name: Spanned<String>,
    /// Exactly one of these three.
    pub tcp: Option<Spanned<String>>,
    pub rtu_over_tcp: Option<Spanned<String>>,
    pub serial: Option<Serial>,
    #[serde(default = "defaults::modbus_timeout_ms")]
    pub timeout_ms: Spanned<u32>,
    /// Quiet time between two requests.
    #[serde(default)]
    pub pause_ms: u32,
    #[serde(default = "defaults::poll_every_ms")]
    pub poll_every_ms: Spanned<u32>,
    #[serde(rename = "unit")]
    pub units: Vec<Unit>,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Serial {
    pub path: PathBuf,
    #[serde(default = "defaults::baud")]
    pub baud: Spanned<u32>,
    #[serde(default)]
    pub parity: Parity,
    #[serde(default = "defaults::stop_bits")]
    pub stop_bits: Spanned<u8>,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Parity {
    #[default]
    None,
    Even,
    Odd,
}

/// One unit on a bus. Its address in the registry is `modbus:<bus>/<unit>`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Unit {
    pub unit: Spanned<u8>,
    /// A device profile `over = "modbus"`, such as `mpd-380`, `keller-x` or `sw-p300`, or leave out and list `register`s.
    pub map: Option<Spanned<String>>,
    #[serde(default, rename = "register")]
    pub registers: Vec<Register>,
    /// The most registers the unit answers in one read. KELLER wants 4.
    #[serde(default = "defaults::max_registers")]
    pub max_registers: Spanned<u16>,
    /// Quiet time this unit needs before each request. SW-P300 wants 2,000.
    #[serde(default)]
    pub pause_ms: u32,
    /// The unit in which the map's pressure counts, for a map that does not know it (`sw-p300`).
    pub pressure_unit: Option<Spanned<String>>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Table {
    /// Function code 1.
    Coils,
    /// Function code 2.
    DiscreteInputs,
    /// Function code 3.
    Holding,
    /// Function code 4.
    Input,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum NumberType {
    U16,
    I16,
    U32,
    I32,
    F32,
    F64,
    /// One bit of a register, or a coil or discrete input.
    Bit,
}

/// Order of the bytes of a number over its registers; ABCD is big-endian, as the Modbus specification says.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
pub enum WordOrder {
    #[default]
    ABCD,
    CDAB,
    BADC,
    DCBA,
}

/// A value in a unit's registers: value = (raw + offset_raw) ÷ 10^decimals × scale + offset, in `unit`, converted to the metric's unit.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Register {
    pub metric: Spanned<String>,
    pub table: Table,
    /// Address as in the protocol, from 0.
    pub address: Spanned<u16>,
    #[serde(rename = "type")]
    pub number_type: NumberType,
    #[serde(default)]
    pub order: WordOrder,
    /// For `type = "bit"` in a register: 0 (lowest) to 15.
    pub bit: Option<Spanned<u8>>,
    #[serde(default = "defaults::scale")]
    pub scale: f64,
    #[serde(default)]
    pub offset: f64,
    /// The unit the device counts in, when it is not the metric's: `bar`, `MPa`, `psi`, `degF` …
    pub unit: Option<Spanned<String>>,
    /// Outside this range, in the metric's unit, the value's quality is bad.
    pub min: Option<f64>,
    pub max: Option<f64>,
    /// Registers of the same table that say how `address` is to be read, fetched in the same request as far as the unit allows: how many of
    /// its digits are decimals; a code for its unit (0 MPa, 1 kPa, 2 Pa, 3 bar, 4 mbar, 5 kgf/cm2, 6 psi, 7 mH2O, 8 mmH2O); an i16 that is
    /// added to the raw number (`offset_raw` above).
    pub decimals_register: Option<Spanned<u16>>,
    pub unit_register: Option<Spanned<u16>>,
    pub offset_register: Option<Spanned<u16>>,
}
