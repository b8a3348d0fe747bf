//! The register map of a device, as its profile has it: what it answers, and what it bears.
//!
//! Only what a device is known to answer stands in a map; where a manual is silent about the unit, station.toml must say it. The prices of a device's quirks, a small limit per read or
//! a pause, belong to the map, so that nobody has to know them.

use super::compile::{Problem, fields_of};
use super::{Conversion, DeviceUnit, Field};
use crate::config::Register;
use crate::model::Metric;
use crate::units::Millis;

#[derive(Clone, Debug, PartialEq)]
pub struct Map {
    pub fields: Vec<Field>,
    pub max_registers: u16,
    pub pause: Millis,
    /// Whether station.toml must name the unit of the pressure, because no document of the device does.
    pub asks_for_pressure_unit: bool,
}

impl Map {
    /// Or every mistake in it, by its place in the profile's file.
    pub fn compile(
        registers: &[Register],
        max_registers: u16,
        pause: Millis,
        asks_for_pressure_unit: bool,
    ) -> Result<Self, Vec<Problem>> {
        let fields = fields_of(registers, max_registers)?;
        Ok(Self { fields, max_registers, pause, asks_for_pressure_unit })
    }

    /// With pressure in `unit`, where the map does not know it.
    pub fn fields_in(&self, unit: Option<Conversion>) -> Vec<Field> {
        let mut fields = self.fields.clone();
        if let Some(unit) = unit.filter(|_| self.asks_for_pressure_unit) {
            let pressures = fields.iter_mut().filter(|field| field.metric == Metric::PRESSURE);
            pressures.for_each(|field| field.unit = DeviceUnit::Fixed(unit));
        }
        fields
    }
}
