//! `[[modbus]]` of station.toml → [`Plan`], or every mistake in it with its place in the file.

use std::collections::BTreeSet;
use std::ops::Range;

use serde_spanned::Spanned;

use super::{Conversion, DeviceUnit, Field, Plan, UnitPlan, count_max, quantity, table_name};
use crate::config::{Bus, NumberType, Register, Table, Unit};
use crate::decode::profile::Profiles;
use crate::model::Metric;
use crate::units::Millis;

/// A mistake: where in station.toml, and a full sentence with what to write instead.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    pub span: Range<usize>,
    pub text: String,
}

#[derive(Default)]
struct Problems(Vec<Problem>);

impl Problems {
    fn add(&mut self, span: Range<usize>, text: impl Into<String>) {
        self.0.push(Problem { span, text: text.into() });
    }

    fn check_range(&mut self, what: &str, value: &Spanned<u32>, allowed: std::ops::RangeInclusive<u32>) {
        if !allowed.contains(value.get_ref()) {
            let (low, high) = allowed.into_inner();
            self.add(value.span(), format!("{what} must be from {low} to {high}, not {}", value.get_ref()));
        }
    }
}

/// All of them at once, so that one run of `gridwarden check` shows them all.
pub fn compile(bus: &Bus, profiles: &Profiles) -> Result<Plan, Vec<Problem>> {
    let mut problems = Problems::default();
    check_line(bus, &mut problems);
    let name = bus.name.get_ref();
    let mut units = Vec::new();
    let mut seen = BTreeSet::new();
    for unit in &bus.units {
        let id = *unit.unit.get_ref();
        if !seen.insert(id) {
            problems.add(
                unit.unit.span(),
                format!("unit {id} stands twice on the bus `{name}`; every unit has a number of its own"),
            );
        }
        if bus.tcp.is_none() && !(1..=247).contains(&id) {
            problems.add(
                unit.unit.span(),
                format!("a unit on a serial line has a number from 1 to 247, not {id}"),
            );
        }
        units.extend(compile_unit(name, unit, profiles, &mut problems));
    }
    if !problems.0.is_empty() {
        return Err(problems.0);
    }
    Ok(Plan {
        bus: name.clone(),
        timeout: Millis(u64::from(*bus.timeout_ms.get_ref())),
        pause: Millis(u64::from(bus.pause_ms)),
        poll_every: Millis(u64::from(*bus.poll_every_ms.get_ref())),
        units,
    })
}

fn check_line(bus: &Bus, problems: &mut Problems) {
    let name = bus.name.get_ref();
    let is_plain = |c: char| c.is_alphanumeric() || c == '-' || c == '_';
    if name.is_empty() || !name.chars().all(is_plain) {
        problems.add(
            bus.name.span(),
            "a bus has a name of letters, digits, `-` and `_`, such as `hydrants-east`",
        );
    }
    let lines = [bus.tcp.is_some(), bus.rtu_over_tcp.is_some(), bus.serial.is_some()];
    if lines.iter().filter(|is| **is).count() != 1 {
        problems.add(
            bus.name.span(),
            format!("the bus `{name}` needs exactly one of `tcp = \"host:port\"`, `rtu_over_tcp = \"host:port\"` and `[modbus.serial]`"),
        );
    }
    for address in [&bus.tcp, &bus.rtu_over_tcp].into_iter().flatten() {
        let port = address.get_ref().rsplit_once(':').filter(|(host, _)| !host.is_empty());
        if !port.is_some_and(|(_, port)| port.parse::<u16>().is_ok_and(|port| port > 0)) {
            problems.add(
                address.span(),
                format!("`{}` is not host:port; write it like `10.0.8.20:502`", address.get_ref()),
            );
        }
    }
    if let Some(serial) = &bus.serial {
        problems.check_range("`baud`", &serial.baud, 300..=4_000_000);
        if !matches!(serial.stop_bits.get_ref(), 1 | 2) {
            problems.add(serial.stop_bits.span(), "`stop_bits` is 1 or 2");
        }
    }
    problems.check_range("`timeout_ms`", &bus.timeout_ms, 10..=60_000);
    problems.check_range("`poll_every_ms`", &bus.poll_every_ms, 1..=86_400_000);
    if bus.units.is_empty() {
        problems.add(
            bus.name.span(),
            format!("the bus `{name}` has no `[[modbus.unit]]`: add one for each device on it"),
        );
    }
}

fn compile_unit(bus: &str, unit: &Unit, profiles: &Profiles, problems: &mut Problems) -> Option<UnitPlan> {
    let before = problems.0.len();
    let id = *unit.unit.get_ref();
    if *unit.max_registers.get_ref() == 0 {
        problems.add(
            unit.max_registers.span(),
            "`max_registers` is at least 1; leave it out when the device has no limit of its own",
        );
    }
    let mut max_registers = *unit.max_registers.get_ref();
    let mut pause = Millis(u64::from(unit.pause_ms));
    let fields = match &unit.map {
        Some(name) if unit.registers.is_empty() => {
            let pressure_unit =
                unit.pressure_unit.as_ref().and_then(|name| device_unit(name, Metric::PRESSURE, problems));
            match profiles.map(name.get_ref()) {
                Some(map) => {
                    check_pressure_unit(unit, name, map.asks_for_pressure_unit, problems);
                    max_registers = max_registers.min(map.max_registers);
                    pause = pause.max(map.pause);
                    map.fields_in(pressure_unit)
                }
                None => {
                    problems.add(name.span(), format!("there is no map `{}`; the profiles of Modbus devices are {}; for another device write one, or list its registers as `[[modbus.unit.register]]`", name.get_ref(), profiles.maps().join(", ")));
                    Vec::new()
                }
            }
        }
        Some(name) => {
            problems
                .add(name.span(), format!("unit {id} has both a `map` and `register`s; keep one of the two"));
            Vec::new()
        }
        None if unit.registers.is_empty() => {
            problems.add(unit.unit.span(), format!("unit {id} has neither a `map` ({}) nor a `[[modbus.unit.register]]`; `gridwarden probe` helps to find the registers", profiles.maps().join(", ")));
            Vec::new()
        }
        None => {
            check_overlaps(&unit.registers, problems);
            unit.registers
                .iter()
                .filter_map(|register| compile_register(register, max_registers, problems))
                .collect()
        }
    };
    if problems.0.len() > before {
        return None;
    }
    Some(UnitPlan::new(id, format!("modbus:{bus}/{id}"), pause, fields, max_registers))
}

/// The registers of a map.
pub(super) fn fields_of(registers: &[Register], max_registers: u16) -> Result<Vec<Field>, Vec<Problem>> {
    let mut problems = Problems::default();
    check_overlaps(registers, &mut problems);
    let each = registers.iter().map(|register| compile_register(register, max_registers, &mut problems));
    let fields: Vec<Field> = each.collect::<Vec<_>>().into_iter().flatten().collect();
    if problems.0.is_empty() { Ok(fields) } else { Err(problems.0) }
}

fn check_pressure_unit(unit: &Unit, map: &Spanned<String>, wanted: bool, problems: &mut Problems) {
    match (&unit.pressure_unit, wanted) {
        (None, true) => problems.add(
            map.span(),
            format!("nothing says in which unit a device with the map `{}` counts; add `pressure_unit = \"bar\"` or what its label says", map.get_ref()),
        ),
        (Some(given), false) => problems.add(
            given.span(),
            format!("the map `{}` knows its unit; remove `pressure_unit`", map.get_ref()),
        ),
        (None, false) | (Some(_), true) => (),
    }
}

fn device_unit(name: &Spanned<String>, metric: Metric, problems: &mut Problems) -> Option<Conversion> {
    let conversion = quantity::conversion(name.get_ref(), metric);
    if conversion.is_none() {
        let known = quantity::known_units(metric).join(", ");
        let instead = if known.is_empty() {
            "it has no unit; remove the key".into()
        } else {
            format!("write one of {known}")
        };
        problems
            .add(name.span(), format!("`{}` is no unit for {}: {instead}", name.get_ref(), metric.name()));
    }
    conversion
}

fn compile_register(register: &Register, max_registers: u16, problems: &mut Problems) -> Option<Field> {
    let before = problems.0.len();
    let name = register.metric.get_ref();
    let Some(metric) = Metric::from_name(name) else {
        let known: Vec<_> = Metric::all().map(Metric::name).collect();
        problems.add(
            register.metric.span(),
            format!("there is no metric `{name}`; write one of {}", known.join(", ")),
        );
        return None;
    };
    check_number(register, metric, max_registers, problems);
    let unit = match (&register.unit, &register.unit_register) {
        (Some(unit), Some(_)) => {
            problems.add(
                unit.span(),
                "`unit` and `unit_register` exclude each other: the register says the unit",
            );
            return None;
        }
        (Some(unit), None) => DeviceUnit::Fixed(device_unit(unit, metric, problems)?),
        (None, Some(code)) if metric == Metric::PRESSURE => DeviceUnit::Coded { register: *code.get_ref() },
        (None, Some(code)) => {
            problems.add(
                code.span(),
                format!("unit codes are known for pressure only; write the `unit` of {name} instead"),
            );
            return None;
        }
        (None, None) => DeviceUnit::Fixed(Conversion::NONE),
    };
    let (plausible_min, plausible_max) = quantity::plausible(metric);
    let (min, max) = (register.min.unwrap_or(plausible_min), register.max.unwrap_or(plausible_max));
    if min.is_nan() || max.is_nan() || max <= min {
        problems.add(
            register.metric.span(),
            format!("`min` ({min}) of {name} must be lower than its `max` ({max})"),
        );
    }
    (problems.0.len() == before).then(|| Field {
        metric,
        table: register.table,
        address: *register.address.get_ref(),
        number_type: register.number_type,
        order: register.order,
        bit: register.bit.as_ref().map(|bit| *bit.get_ref()),
        scale: register.scale,
        offset: register.offset,
        unit,
        decimals_register: register.decimals_register.as_ref().map(|at| *at.get_ref()),
        offset_register: register.offset_register.as_ref().map(|at| *at.get_ref()),
        min,
        max,
    })
}

fn check_number(register: &Register, metric: Metric, max_registers: u16, problems: &mut Problems) {
    let (name, at, number_type) = (metric.name(), register.address.span(), register.number_type);
    let holds_bits = matches!(register.table, Table::Coils | Table::DiscreteInputs);
    let is_bit = number_type == NumberType::Bit;
    match (holds_bits, is_bit, &register.bit) {
        (true, false, _) => problems
            .add(at.clone(), format!("a {} is one bit: write `type = \"bit\"`", table_name(register.table))),
        (true, true, Some(bit)) => {
            problems.add(bit.span(), format!("a {} is one bit: remove `bit`", table_name(register.table)))
        }
        (false, true, None) => {
            problems.add(at.clone(), "say which bit of the register: `bit = 0` (lowest) to `bit = 15`")
        }
        (false, true, Some(bit)) if 15 < *bit.get_ref() => {
            problems.add(bit.span(), "a register has the bits 0 to 15")
        }
        (false, false, Some(bit)) => problems
            .add(bit.span(), format!("`bit` goes with `type = \"bit\"`, not with `{}`", number_type.name())),
        (true, true, None) | (false, true, Some(_)) | (false, false, None) => (),
    }
    if metric.spec().flag && !is_bit {
        problems.add(at.clone(), format!("{name} is a flag, on or off: write `type = \"bit\"`"));
    }
    let last = u32::from(*register.address.get_ref()) + u32::from(number_type.registers()) - 1;
    if u32::from(u16::MAX) < last {
        problems.add(
            at.clone(),
            format!(
                "a {} at {} goes past the last address, 65535",
                number_type.name(),
                register.address.get_ref()
            ),
        );
    }
    if count_max(register.table, max_registers) < number_type.registers() {
        problems.add(
            at.clone(),
            format!(
                "a {} fills {} registers, but `max_registers` of the unit is {max_registers}",
                number_type.name(),
                number_type.registers()
            ),
        );
    }
    if !register.scale.is_finite() || register.scale == 0.0 || !register.offset.is_finite() {
        problems.add(at, format!("`scale` and `offset` of {name} must be finite, and `scale` not 0"));
    }
    let helpers = [&register.decimals_register, &register.unit_register, &register.offset_register];
    if let (true, Some(helper)) = (is_bit, helpers.into_iter().flatten().next()) {
        problems.add(helper.span(), "a bit has no decimals, unit or offset register");
    }
}

/// Two numbers that share a register, or one metric twice: one of the two addresses is a slip.
fn check_overlaps(registers: &[Register], problems: &mut Problems) {
    let reach = |register: &Register| {
        let start = u32::from(*register.address.get_ref());
        (start, start + u32::from(register.number_type.registers()))
    };
    for (position, register) in registers.iter().enumerate() {
        let name = register.metric.get_ref();
        for earlier in &registers[..position] {
            if earlier.metric.get_ref() == name {
                problems.add(
                    register.metric.span(),
                    format!("{name} stands twice in this unit; a unit reports each metric once"),
                );
            }
            let ((start, end), (other_start, other_end)) = (reach(register), reach(earlier));
            let both_bits = register.number_type == NumberType::Bit && earlier.number_type == NumberType::Bit;
            let other_bit = register.bit.as_ref().map(|bit| *bit.get_ref())
                != earlier.bit.as_ref().map(|bit| *bit.get_ref());
            let shares = register.table == earlier.table && start < other_end && other_start < end;
            if shares && !(both_bits && other_bit) {
                problems.add(
                    register.address.span(),
                    format!(
                        "{name} ({} {start} to {}) overlaps {} at {other_start}: a {} fills {} register(s)",
                        table_name(register.table),
                        end - 1,
                        earlier.metric.get_ref(),
                        earlier.number_type.name(),
                        earlier.number_type.registers(),
                    ),
                );
            }
        }
    }
}
