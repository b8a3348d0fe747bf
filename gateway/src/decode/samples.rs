//! A registry of a few addresses, for the profiles' own samples and the decoders' tests.

use std::sync::Arc;

use super::Context;
use super::profile::Profiles;
use crate::config::rules::FreshnessLimits;
use crate::grid::{Device, Registry, Rows};
use crate::model::{DeviceIx, DeviceKind};
use crate::units::Timestamp;

/// With the profiles in the program.
#[cfg(test)]
pub fn context(addresses: &[&str]) -> Context {
    context_with(addresses, crate::profiles::shipped())
}

/// Devices with these addresses, in this order; the id is the address too.
pub fn context_with(addresses: &[&str], profiles: Arc<Profiles>) -> Context {
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
    Context { registry: Registry::build(rows), freshness: Arc::new(FreshnessLimits::default()), profiles }
}
