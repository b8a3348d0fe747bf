//! A registry of a few addresses, for the profiles' own samples and the decoders' tests.

use std::sync::Arc;

use super::Context;
use super::profile::Profiles;
use crate::config::rules::FreshnessLimits;
use crate::grid::{Device, Registry, Rows};
use crate::model::{DeviceIx, DeviceKind};

/// With the profiles in the program.
#[cfg(test)]
pub fn context(addresses: &[&str]) -> Context {
    context_with(addresses, crate::profiles::shipped())
}

/// Devices with these addresses, in this order; the id is the address too.
pub fn context_with(addresses: &[&str], profiles: Arc<Profiles>) -> Context {
    context_of(addresses.iter().map(|address| (*address, DeviceKind::Other)), profiles)
}

/// The same with kinds, for decoders that ask for it.
pub fn context_of<'a>(
    devices: impl IntoIterator<Item = (&'a str, DeviceKind)>,
    profiles: Arc<Profiles>,
) -> Context {
    let device = |(at, (address, kind)): (u32, _)| Device::bare(DeviceIx(at), kind, address);
    let rows = Rows { devices: (0..).zip(devices).map(device).collect(), ..Rows::default() };
    Context { registry: Registry::build(rows), freshness: Arc::new(FreshnessLimits::default()), profiles }
}
