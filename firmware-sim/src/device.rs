//! Devices as real ones behave, each a small pure machine: told the time, it says what it sends.
//!
//! No clock, no sockets. All randomness comes from one generator per device, seeded from the run's seed and the device's name, so that
//! the same seed gives the same days. What can be wrong with a device is `faults.rs`; what happens to it is `scenario.rs`.

pub mod camera;
pub mod detector;
pub mod hydrant;

pub use camera::{Camera, Frigate};
pub use detector::{Detector, Dialect};
pub use hydrant::Hydrant;

/// One moment of a run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Moment {
    /// On the simulation's clock, which may run faster than the world's; all behaviour follows it. Milliseconds since 1970.
    pub sim_ms: i64,
    /// What a right clock on the wall shows, and so what devices write into their messages. Milliseconds since 1970.
    pub wall_ms: i64,
}

impl Moment {
    /// A moment of a run at the world's own speed.
    pub fn at(ms: i64) -> Self {
        Self { sim_ms: ms, wall_ms: ms }
    }
}

/// One MQTT message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Frame {
    pub topic: String,
    pub payload: String,
    pub retain: bool,
}

impl Frame {
    pub fn new(topic: impl Into<String>, payload: &serde_json::Value) -> Self {
        Self { topic: topic.into(), payload: payload.to_string(), retain: false }
    }

    pub fn retained(topic: impl Into<String>, payload: impl Into<String>) -> Self {
        Self { topic: topic.into(), payload: payload.into(), retain: true }
    }
}

/// A generator of its own for every device, the same in every run with this seed.
pub fn dice(seed: u64, name: &str) -> fastrand::Rng {
    // FNV-1a: stable across Rust versions, unlike the standard library's hasher.
    let hash = name.bytes().fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3)
    });
    fastrand::Rng::with_seed(seed ^ hash)
}

/// As devices with a clock write it.
pub fn rfc3339(ms: i64) -> String {
    match jiff::Timestamp::from_millisecond(ms) {
        Ok(at) => format!("{at:.3}"),
        Err(_) => "1970-01-01T00:00:00.000Z".into(), // A clock run out of its range starts again.
    }
}

/// The hour of the day from 0 to 24 where these neighbourhoods stand, on Beijing time.
pub fn hour_of_day(sim_ms: i64) -> f64 {
    const ZONE_MS: i64 = 8 * 3_600_000;
    (sim_ms + ZONE_MS).rem_euclid(86_400_000) as f64 / 3_600_000.0
}
