//! Alarms and their history, for the API.

use super::{Store, StoreError};
use crate::model::{Alarm, AlarmId, AlarmState, DeviceIx, Entry, SignalClass};

/// Which alarms to list; empty lists mean all.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Query {
    pub states: Vec<AlarmState>,
    pub classes: Vec<SignalClass>,
    /// Cell codes; an alarm matches when its cell is one of them. The caller adds the cells below.
    pub cells: Vec<String>,
    pub device: Option<DeviceIx>,
    /// Only alarms with a smaller number: the last one of the page before.
    pub before: Option<AlarmId>,
    pub limit: u32,
}

impl Store {
    /// Newest first.
    pub async fn alarms(&self, query: Query) -> Result<Vec<Alarm>, StoreError> {
        let _ = query;
        todo!()
    }

    pub async fn alarm(&self, id: AlarmId) -> Result<Option<Alarm>, StoreError> {
        let _ = id;
        todo!()
    }

    /// Oldest first, with row numbers.
    pub async fn entries(&self, alarm: AlarmId) -> Result<Vec<(u64, Entry)>, StoreError> {
        let _ = alarm;
        todo!()
    }

    /// History lines of all alarms after row `number`, oldest first, each with its alarm as it is now.
    pub async fn entries_after(
        &self,
        number: u64,
        limit: u32,
    ) -> Result<Vec<(u64, Alarm, Entry)>, StoreError> {
        let _ = (number, limit);
        todo!()
    }

    /// Row number of the newest history line; 0 when there is none.
    pub async fn newest_entry(&self) -> Result<u64, StoreError> {
        todo!()
    }
}
