//! Devices as real ones behave, each a small pure machine: told the time, it says what it sends.
//!
//! No clock, no sockets. All randomness comes from one generator per device, seeded from the run's seed and the device's name, so that
//! the same seed gives the same days. What goes wrong with a device is `faults.rs`; what happens to it is `scenario.rs`.

pub mod hydrant;

pub use hydrant::Hydrant;

/// A generator of its own for every device, the same in every run with this seed.
pub fn dice(seed: u64, name: &str) -> fastrand::Rng {
    // FNV-1a: stable across Rust versions, unlike the standard library's hasher.
    let hash = name.bytes().fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3)
    });
    fastrand::Rng::with_seed(seed ^ hash)
}
