//! `[gbt26875]`, where user information transmission devices (GB/T 26875.3) report, and `[centre]`, to whom we report by the same standard.

use serde::Deserialize;
use serde_spanned::Spanned;

use super::defaults;

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Gbt26875 {
    /// One of these two, or both.
    pub tcp: Option<Spanned<String>>,
    pub udp: Option<Spanned<String>>,
    /// Our own address as a centre, up to 48 bits.
    pub address: Spanned<u64>,
    /// Networks from which devices may come. The protocol proves nothing, so only this machine may without any.
    #[serde(default)]
    pub from: Vec<Spanned<String>>,
    #[serde(default = "defaults::gbt26875_connections")]
    pub max_connections: Spanned<u32>,
    /// For an answer to what we ask; three tries.
    #[serde(default = "defaults::gbt26875_timeout_s")]
    pub timeout_s: Spanned<u32>,
    /// A device that is silent for so long is asked for its state.
    #[serde(default = "defaults::patrol_s")]
    pub patrol_s: Spanned<u32>,
    /// How often a device's clock is set; 0: never.
    #[serde(default = "defaults::clock_sync_h")]
    pub clock_sync_h: Spanned<u32>,
    /// Devices of which there is more to say than that they are registered.
    #[serde(default, rename = "device")]
    pub devices: Vec<Device>,
    #[serde(default, rename = "dialect")]
    pub dialects: Vec<Dialect>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Device {
    pub address: Spanned<u64>,
    /// The only network from which it comes.
    pub from: Option<Spanned<String>>,
    /// Name of a `[[gbt26875.dialect]]`.
    pub dialect: Option<Spanned<String>>,
}

/// What is left out is as the standard says.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Dialect {
    pub name: Spanned<String>,
    #[serde(default)]
    pub text: Charset,
    /// The zone of its clock, where that is not the station's.
    pub clock: Option<Spanned<String>>,
    /// The two halves of a component's address are the other way round.
    #[serde(default)]
    pub point_first: bool,
    #[serde(default, rename = "quantity")]
    pub quantities: Vec<Quantity>,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Charset {
    #[default]
    Gb18030,
    Utf8,
}

/// An analog type that counts in other steps, or that the standard does not have.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Quantity {
    pub number: u8,
    pub metric: Spanned<String>,
    /// In the metric's unit.
    pub step: Spanned<f64>,
}

/// The city's centre.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Centre {
    /// Exactly one of these two: host:port.
    pub tcp: Option<Spanned<String>>,
    pub udp: Option<Spanned<String>>,
    /// The centre's address, and ours as its transmission device.
    pub address: Spanned<u64>,
    pub own_address: Spanned<u64>,
    pub forward: Forward,
    #[serde(default = "defaults::gbt26875_timeout_s")]
    pub timeout_s: Spanned<u32>,
    #[serde(default = "defaults::heartbeat_s")]
    pub heartbeat_s: Spanned<u32>,
}

/// Which fires the centre is told of.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Forward {
    /// Every one, as soon as it is recorded.
    Raised,
    /// Confirmed by a second device, raised or found real by a person.
    Confirmed,
}
