//! A registry for the decoders' tests.

use std::sync::Arc;

use super::Context;
use crate::config::rules::FreshnessLimits;
use crate::grid::{Device, Registry, Rows};
use crate::model::{DeviceIx, DeviceKind};
use crate::units::Timestamp;

/// Devices with these addresses, in this order; the id is the address too.
pub fn context(addresses: &[&str]) -> Context {
    let devices = addresses.iter().enumerate().map(|(at, address)| Device {
        ix: DeviceIx(at as u32),
        id: (*address).to_owned(),
        kind: DeviceKind::Other,
        name: String::new(),
        address: (*address).to_owned(),
        cells: Vec::new(),
        place: String::new(),
        position: None,
        silent_after: None,
        registered: Timestamp(0),
        retired: false,
    });
    let rows = Rows { devices: devices.collect(), ..Rows::default() };
    Context {
        registry: Registry::build(rows),
        freshness: Arc::new(FreshnessLimits::default()),
        profiles: crate::profiles::shipped(),
    }
}
