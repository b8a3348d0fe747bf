//! Modbus buses: what one bus says is checked where it is compiled, [`crate::decode::modbus`]; here what lies between buses and the registry.

use std::collections::BTreeMap;
use std::ops::Range;

use super::super::shape::Page;
use super::names;
use crate::config::{Bus, Config};
use crate::decode::modbus;
use crate::decode::profile::Profiles;
use crate::grid::Registry;
use crate::model::Metric;
use crate::problem::instead;

pub fn check(page: &mut Page<'_>, config: &Config, profiles: &Profiles, registry: Option<&Registry>) {
    names(page, "bus", config.buses.iter().map(|bus| &bus.name));
    let mut lines: BTreeMap<String, &str> = BTreeMap::new();
    for (i, bus) in config.buses.iter().enumerate() {
        let name = bus.name.get_ref().as_str();
        let unknown = unknown_metrics(page, bus);
        for problem in modbus::compile(bus, profiles).err().into_iter().flatten() {
            if !unknown.contains(&problem.span) {
                page.wrong(problem.span, problem.text);
            }
        }
        let line = match (&bus.tcp, &bus.rtu_over_tcp, &bus.serial) {
            (Some(address), ..) | (None, Some(address), _) => {
                Some((address.get_ref().clone(), address.span()))
            }
            (None, None, Some(serial)) => {
                Some((serial.path.display().to_string(), page.at(&format!("modbus.{i}.serial.path"))))
            }
            (None, None, None) => None,
        };
        if let Some((line, span)) = line
            && let Some(other) = lines.insert(line.clone(), name)
        {
            page.wrong(span, format!("`{line}` is the line of the bus `{other}` already, and a line carries one request at a time; put all units of a line on one bus"));
        }
    }
    if let Some(registry) = registry.filter(|_| !config.registry.devices.is_empty()) {
        check_devices(page, config, registry);
    }
}

/// Names them with the nearest known one, and gives their places.
fn unknown_metrics(page: &mut Page<'_>, bus: &Bus) -> Vec<Range<usize>> {
    let metrics = bus.units.iter().flat_map(|unit| &unit.registers).map(|register| &register.metric);
    let unknown: Vec<_> = metrics.filter(|metric| Metric::from_name(metric.get_ref()).is_none()).collect();
    for metric in &unknown {
        let known: Vec<&str> = Metric::all().map(Metric::name).collect();
        page.wrong(
            metric.span(),
            format!("there is no metric `{}`; {}", metric.get_ref(), instead(metric.get_ref(), known)),
        );
    }
    unknown.into_iter().map(|metric| metric.span()).collect()
}

/// A unit that is no device is read for nothing; a device that is no unit is never read.
fn check_devices(page: &mut Page<'_>, config: &Config, registry: &Registry) {
    let mut polled = Vec::new();
    for bus in &config.buses {
        for unit in &bus.units {
            let address = format!("modbus:{}/{}", bus.name.get_ref(), unit.unit.get_ref());
            if registry.device_by_address(&address).is_none() {
                page.warn(
                    unit.unit.span(),
                    format!(
                        "no device has the address `{address}`; register one with it, or remove the unit"
                    ),
                );
            }
            polled.push(address);
        }
    }
    let files = page.at("registry.devices");
    for device in registry.devices().iter().filter(|device| !device.retired) {
        if device.address.starts_with("modbus:") && !polled.contains(&device.address) {
            page.warn(files.clone(), format!("the device `{}` has the address `{}`, which no bus polls; add the unit to a `[[modbus]]` bus, or correct the address", device.id, device.address));
        }
    }
}
