//! Modbus registers → values, by a plan compiled once from station.toml.
//!
//! [`compile`] turns a bus of the configuration into a [`Plan`] or names every mistake in it; [`UnitPlan::values`] turns the answers of one poll
//! into values. Pure: asking is `io/modbus.rs`. A new device is a profile `over = "modbus"` in config/profiles, a new unit a line in `quantity.rs`. What cannot
//! be read as a number becomes a fault in words, never a value; what can, but must not be trusted, becomes a value of bad quality.

mod compile;
mod maps;
mod number;
pub mod quantity;
mod reads;

pub use compile::{Problem, compile};
pub use maps::Map;
pub use number::{is_suspiciously_small, number};
pub use quantity::Conversion;
pub use reads::{Read, count_max, table_name};

use crate::config::{NumberType, Table, WordOrder};
use crate::model::{Metric, Quality, Value};
use crate::units::Millis;

/// Everything about one bus that does not change while the station runs.
#[derive(Clone, Debug, PartialEq)]
pub struct Plan {
    pub bus: String,
    pub timeout: Millis,
    /// Quiet time between two requests.
    pub pause: Millis,
    pub poll_every: Millis,
    pub units: Vec<UnitPlan>,
}

#[derive(Clone, Debug, PartialEq)]
pub struct UnitPlan {
    pub unit: u8,
    /// Its address in the registry: `modbus:<bus>/<unit>`.
    pub address: String,
    /// Quiet time this unit needs before each request.
    pub pause: Millis,
    pub fields: Vec<Field>,
    /// The few merged reads to try first.
    pub together: Layout,
    /// For a unit that refuses those: every field on its own.
    pub apart: Layout,
}

/// One value of a unit.
#[derive(Clone, Debug, PartialEq)]
pub struct Field {
    pub metric: Metric,
    pub table: Table,
    pub address: u16,
    pub number_type: NumberType,
    pub order: WordOrder,
    /// Which bit of the register, for `NumberType::Bit` in a register.
    pub bit: Option<u8>,
    pub scale: f64,
    pub offset: f64,
    pub unit: DeviceUnit,
    pub decimals_register: Option<u16>,
    pub offset_register: Option<u16>,
    /// Outside, in the metric's unit, the quality is bad.
    pub min: f64,
    pub max: f64,
}

/// What the device counts in.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum DeviceUnit {
    Fixed(Conversion),
    /// This register holds a code of [`quantity::UNIT_CODES`]; somebody may change it at the device.
    Coded {
        register: u16,
    },
}

/// Reads, and where in their answers each field finds its registers.
#[derive(Clone, Debug, PartialEq)]
pub struct Layout {
    pub reads: Vec<Read>,
    /// A read whose answer cannot be taken for that of any of `reads`, because it is of another length.
    pub odd: Read,
    spots: Vec<Spots>,
}

#[derive(Clone, Copy, Debug, PartialEq)]
struct Spots {
    value: Spot,
    unit: Option<Spot>,
    decimals: Option<Spot>,
    offset: Option<Spot>,
}

/// Index of the read, and of the register in its answer.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Spot {
    read: usize,
    at: usize,
}

/// What one poll of a unit gave.
#[derive(Debug, Default, PartialEq)]
pub struct Poll {
    pub values: Vec<Value>,
    /// What the unit answered that is no number: a full sentence each. Reported when they change, not with every poll.
    pub faults: Vec<String>,
}

impl UnitPlan {
    /// What is read, and how it is put into requests.
    pub(super) fn new(
        unit: u8,
        address: String,
        pause: Millis,
        fields: Vec<Field>,
        max_registers: u16,
    ) -> Self {
        let groups: Vec<Vec<Read>> = fields.iter().map(Field::numbers).collect();
        Self {
            unit,
            address,
            pause,
            together: Layout::build(&fields, reads::together(&groups, max_registers), max_registers),
            apart: Layout::build(&fields, reads::apart(&groups, max_registers), max_registers),
            fields,
        }
    }

    /// The values in the answers to the reads of `layout`, in the same order; `None` for a read that was refused. A coil is a word of 0 or 1.
    pub fn values(&self, layout: &Layout, answers: &[Option<Vec<u16>>]) -> Poll {
        let mut poll = Poll::default();
        for (field, spots) in self.fields.iter().zip(&layout.spots) {
            match field.value(spots, answers) {
                Ok(Some(value)) => poll.values.push(value),
                Ok(None) => (),
                Err(fault) => poll.faults.push(format!("unit {}: {fault}", self.unit)),
            }
        }
        poll
    }
}

/// What one field makes of words that somebody read by hand.
#[derive(Clone, Debug, PartialEq)]
pub struct Made {
    pub metric: Metric,
    /// Where the number itself stands.
    pub at: Read,
    pub value: Result<Value, String>,
}

impl UnitPlan {
    /// For every field whose registers are all among those that were read.
    pub fn made_of(&self, read: Read, words: &[u16]) -> Vec<Made> {
        let whole = self.fields.iter().filter(|field| field.numbers().iter().all(|one| read.covers(*one)));
        let made = whole.filter_map(|field| {
            let layout = Layout::build(std::slice::from_ref(field), vec![read], read.count);
            let value = field.value(&layout.spots[0], &[Some(words.to_vec())]);
            Some(Made { metric: field.metric, at: field.numbers()[0], value: value.transpose()? })
        });
        made.collect()
    }
}

impl Layout {
    fn build(fields: &[Field], reads: Vec<Read>, max_registers: u16) -> Self {
        let spot = |table: Table, address: u16, count: u16| {
            let wanted = Read { table, start: address, count };
            let read =
                reads.iter().position(|read| read.covers(wanted)).expect("the planner covers every field");
            Spot { read, at: usize::from(address - reads[read].start) }
        };
        let spots = fields.iter().map(|field| {
            let helper = |register: Option<u16>| register.map(|address| spot(field.table, address, 1));
            let unit = match field.unit {
                DeviceUnit::Coded { register } => Some(register),
                DeviceUnit::Fixed(_) => None,
            };
            Spots {
                value: spot(field.table, field.address, field.number_type.registers()),
                unit: helper(unit),
                decimals: helper(field.decimals_register),
                offset: helper(field.offset_register),
            }
        });
        Self { spots: spots.collect(), odd: reads::odd(&reads, max_registers), reads }
    }
}

impl Field {
    /// The numbers this field needs, its own first.
    fn numbers(&self) -> Vec<Read> {
        let unit = match self.unit {
            DeviceUnit::Coded { register } => Some(register),
            DeviceUnit::Fixed(_) => None,
        };
        let helpers = [unit, self.decimals_register, self.offset_register].into_iter().flatten();
        let own = Read { table: self.table, start: self.address, count: self.number_type.registers() };
        std::iter::once(own).chain(helpers.map(|start| Read { table: self.table, start, count: 1 })).collect()
    }

    /// `Ok(None)` when a register it needs was refused, which the caller knows already.
    fn value(&self, spots: &Spots, answers: &[Option<Vec<u16>>]) -> Result<Option<Value>, String> {
        let at = |spot: Spot| answers.get(spot.read)?.as_ref()?.get(spot.at..);
        let helper = |spot: Option<Spot>| match spot {
            Some(spot) => at(spot).and_then(|words| words.first().copied()).map(Some).ok_or(()),
            None => Ok(None),
        };
        let Some(words) = at(spots.value) else { return Ok(None) };
        let (Ok(unit), Ok(decimals), Ok(offset_raw)) =
            (helper(spots.unit), helper(spots.decimals), helper(spots.offset))
        else {
            return Ok(None);
        };
        let Some(raw) = number(words, self.number_type, self.order) else { return Ok(None) };
        if !raw.is_finite() {
            return Err(format!(
                "{} at {} is {raw}, no number: the sensor reports a fault, or `type` or `order` is wrong; `gridwarden probe` shows every reading of the register",
                self.metric.name(),
                self.numbers()[0],
            ));
        }
        if self.number_type == NumberType::Bit {
            let set = match self.bit {
                Some(bit) => raw as u16 >> bit & 1 == 1,
                None => raw != 0.0,
            };
            let value = f64::from(u8::from(set)) * self.scale + self.offset;
            return Ok(Some(Value { metric: self.metric, value, quality: Quality::Good }));
        }
        let shifted = raw + offset_raw.map_or(0.0, |offset| f64::from(offset as i16));
        let decimals = match decimals {
            Some(decimals @ 0..=6) => i32::from(decimals),
            Some(decimals) => {
                return Err(format!(
                    "the register for the decimals of {} holds {decimals} instead of 0 to 6: is `decimals_register` the right address?",
                    self.metric.name()
                ));
            }
            None => 0,
        };
        let conversion = self.conversion(unit)?;
        let value = conversion.apply(shifted / 10f64.powi(decimals) * self.scale + self.offset);
        if !value.is_finite() {
            return Err(format!("{} is too large to be a number: is `scale` right?", self.metric.name()));
        }
        let bad = self.is_out_of_range_mark(raw)
            || is_suspiciously_small(raw, self.number_type)
            || !(self.min..=self.max).contains(&value);
        let quality = if bad { Quality::Bad } else { Quality::Good };
        Ok(Some(Value { metric: self.metric, value, quality }))
    }

    fn conversion(&self, code: Option<u16>) -> Result<Conversion, String> {
        match (self.unit, code) {
            (DeviceUnit::Fixed(conversion), _) => Ok(conversion),
            (DeviceUnit::Coded { .. }, code) => {
                let code = code.unwrap_or(u16::MAX);
                let name = quantity::UNIT_CODES.get(usize::from(code));
                name.and_then(|name| quantity::conversion(name, self.metric)).ok_or_else(|| {
                    format!(
                        "the register for the unit of {} holds the code {code}, which is no unit we know for it (0 MPa, 1 kPa, 2 Pa, 3 bar, 4 mbar, 5 kgf/cm2, 6 psi, 7 mH2O, 8 mmH2O): set the device to one of them",
                        self.metric.name()
                    )
                })
            }
        }
    }

    /// Many transmitters answer 0x7FFF above their range and 0x8000 below it.
    fn is_out_of_range_mark(&self, raw: f64) -> bool {
        self.number_type == NumberType::I16
            && !self.metric.spec().unit.is_empty()
            && (raw == f64::from(i16::MAX) || raw == f64::from(i16::MIN))
    }
}

#[cfg(test)]
mod tests;
