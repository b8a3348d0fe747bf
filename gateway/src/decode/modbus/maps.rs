//! Register maps of known devices. A new device is a new arm in [`built_in`].
//!
//! Only what a device is known to answer stands here; where a manual is silent about the unit, station.toml must say it. The prices of these
//! devices' quirks, a small limit per read or a pause, belong to the map, so that nobody has to know them.

use super::{Conversion, DeviceUnit, Field, quantity};
use crate::config::{NumberType, Table, WordOrder};
use crate::model::Metric;
use crate::units::Millis;

pub const MAP_NAMES: [&str; 3] = ["mpd-380", "keller-x", "sw-p300"];

pub(super) struct Map {
    pub fields: Vec<Field>,
    pub max_registers: u16,
    pub pause: Millis,
    /// Whether station.toml must name the unit of the pressure, because no document of the device does.
    pub asks_for_pressure_unit: bool,
}

/// The map of this name, with pressure in `pressure_unit` where the map does not know it.
pub(super) fn built_in(name: &str, pressure_unit: Option<Conversion>) -> Option<Map> {
    let bar = || DeviceUnit::Fixed(quantity::conversion("bar", Metric::PRESSURE).expect("bar is a pressure"));
    match name {
        // Unit, decimals, value and offset are neighbours; the first three can be changed at the device, so they are read with the value.
        "mpd-380" => Some(Map {
            fields: vec![Field {
                number_type: NumberType::I16,
                unit: DeviceUnit::Coded { register: 0x0002 },
                decimals_register: Some(0x0003),
                offset_register: Some(0x000C),
                ..holding(Metric::PRESSURE, 0x0004)
            }],
            max_registers: 125,
            pause: Millis(0),
            asks_for_pressure_unit: false,
        }),
        // P1 and the temperature of its sensor (TOB1). The channels between them are not fitted everywhere.
        "keller-x" => Some(Map {
            fields: vec![
                Field { unit: bar(), ..holding(Metric::PRESSURE, 0x0002) },
                holding(Metric::TEMPERATURE, 0x0008),
            ],
            max_registers: 4,
            pause: Millis(0),
            asks_for_pressure_unit: false,
        }),
        "sw-p300" => Some(Map {
            fields: vec![
                Field {
                    unit: DeviceUnit::Fixed(pressure_unit.unwrap_or(Conversion::NONE)),
                    ..holding(Metric::PRESSURE, 0x040A)
                },
                holding(Metric::TEMPERATURE, 0x040C),
            ],
            max_registers: 4,
            pause: Millis::from_secs(2),
            asks_for_pressure_unit: true,
        }),
        _ => None,
    }
}

/// A float32 ABCD in a holding register, in the metric's unit.
fn holding(metric: Metric, address: u16) -> Field {
    let (min, max) = quantity::plausible(metric);
    Field {
        metric,
        table: Table::Holding,
        address,
        number_type: NumberType::F32,
        order: WordOrder::ABCD,
        bit: None,
        scale: 1.0,
        offset: 0.0,
        unit: DeviceUnit::Fixed(Conversion::NONE),
        decimals_register: None,
        offset_register: None,
        min,
        max,
    }
}
