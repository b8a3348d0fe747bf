//! What the station says of itself: a trouble alarm that stands while something of its own does not work.
//!
//! It is an alarm as a person raises one, by `gridwarden`, in the topmost cell. Its words never change, so that after a restart the same trouble is
//! found again instead of raised twice; figures belong into the log and `/readyz`. When the trouble is over the alarm returns to normal, and waits for somebody to
//! say what it was.

use super::inlet::{Closed, Inlet};
use crate::grid::Registry;
use crate::model::{Action, AlarmState, CellIx, Deed, SignalClass};
use crate::store::alarms::Query;
use crate::store::{Store, StoreError};
use crate::world;

/// Who raises it.
pub const WHO: &str = "gridwarden";

/// One kind of trouble, told apart by its words.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Trouble(pub &'static str);

pub const DISK: Trouble = Trouble("网关无法写盘 the station cannot write to its disk");
pub const DAMAGE: Trouble =
    Trouble("网关数据受损 the station's store was damaged and something in it is lost");
pub const WEAR: Trouble = Trouble("存储写入超限 the station writes more to its disk than allowed per day");
pub const LOSS: Trouble =
    Trouble("未上传的数据被丢弃 the journal is full: readings are dropped before InfluxDB has taken them");
pub const CLOCK: Trouble = Trouble("网关时钟不可信 the station's clock cannot be trusted");

impl Trouble {
    pub fn begins(self, registry: &Registry) -> Action {
        begins(top(registry), self.0.to_owned())
    }

    pub fn ends(self, registry: &Registry) -> Action {
        ends(top(registry), self.0.to_owned())
    }
}

/// A trouble of one cell.
pub fn begins(cell: CellIx, text: String) -> Action {
    let what = Deed::Raise { cell, device: None, class: SignalClass::Trouble, text };
    Action { who: WHO.to_owned(), what }
}

/// The same words as when it began.
pub fn ends(cell: CellIx, text: String) -> Action {
    let what = Deed::End { cell, device: None, class: SignalClass::Trouble, text };
    Action { who: WHO.to_owned(), what }
}

/// The first cell without a parent.
pub fn top(registry: &Registry) -> CellIx {
    let top = registry.cells().iter().find(|cell| cell.parent.is_none() && !cell.retired);
    top.map_or(CellIx(u32::MAX), |cell| cell.ix)
}

/// Says it once per change.
pub struct OwnTrouble {
    trouble: Trouble,
    inlet: Inlet,
    world: world::Shared,
    stands: bool,
}

impl OwnTrouble {
    /// What an earlier run said may still stand.
    pub async fn resume(
        trouble: Trouble,
        inlet: Inlet,
        world: world::Shared,
        store: &Store,
    ) -> Result<Self, StoreError> {
        let standing = Query {
            states: vec![AlarmState::Unacknowledged, AlarmState::Acknowledged],
            classes: vec![SignalClass::Trouble],
            limit: u32::MAX,
            ..Query::default()
        };
        let stands = store.alarms(standing).await?.iter().any(|alarm| alarm.text == trouble.0);
        Ok(Self { trouble, inlet, world, stands })
    }

    /// Returns when it is on disk.
    pub async fn say(&mut self, stands: bool) -> Result<(), Closed> {
        if self.stands != stands {
            let registry = self.world.load().registry.clone();
            let action = if stands { self.trouble.begins(&registry) } else { self.trouble.ends(&registry) };
            let _ = self.inlet.act(action).await?; // Refused only when there is nothing to end.
            self.stands = stands;
        }
        Ok(())
    }
}
