//! The pressure at every hydrant right now: scenarios change it, the Modbus servers show it.
//!
//! Shared between the simulation, which writes, and any number of servers, which read. A unit that is absent does not exist on the bus.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// Pressure in kPa by Modbus unit number. Clones share the same state.
#[derive(Clone, Debug, Default)]
pub struct Pressures(Arc<Mutex<BTreeMap<u8, f64>>>);

impl Pressures {
    pub fn get(&self, unit: u8) -> Option<f64> {
        self.lock().get(&unit).copied()
    }

    pub fn set(&self, unit: u8, kpa: f64) {
        self.lock().insert(unit, kpa);
    }

    /// From now on this unit does not answer.
    pub fn remove(&self, unit: u8) {
        self.lock().remove(&unit);
    }

    /// The units that answer, in order.
    pub fn units(&self) -> Vec<u8> {
        self.lock().keys().copied().collect()
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<u8, f64>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn clones_share_one_state() {
        let (writer, reader) = (Pressures::default(), Pressures::default());
        let shared = writer.clone();
        writer.set(3, 251.5);
        assert_eq!(shared.get(3), Some(251.5));
        assert_eq!(reader.get(3), None, "another bank is another bank");
        shared.remove(3);
        assert_eq!(writer.units(), Vec::<u8>::new());
    }
}
