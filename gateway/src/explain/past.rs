//! Alarms of a moment in the past: those that had been raised by then, however many came after.
//!
//! Numbers are given in the order of raising, so the search begins near the moment and goes back from there; nothing that came later is read. It is bounded: [`LOOKS_MAX`].

use crate::model::{Alarm, AlarmId};
use crate::store::Store;
use crate::store::alarms::Query;
use crate::units::Timestamp;

/// So many are found at the most.
pub const ALARMS_MAX: usize = 50;
/// Alarms that are looked at together, and how often at the most.
const LOOK: u32 = 200;
const LOOKS_MAX: usize = 50;

/// The newest alarms of a query that had been raised by then and are wanted, newest first.
pub async fn raised_by(
    store: &Store,
    query: Query,
    at: Timestamp,
    wanted: impl Fn(&Alarm) -> bool,
) -> anyhow::Result<Vec<Alarm>> {
    let mut found = Vec::new();
    let mut before = Some(AlarmId(store.newest_by(at).await?.0 + 1));
    for _ in 0..LOOKS_MAX {
        let page = store.alarms(Query { before, limit: LOOK, ..query.clone() }).await?;
        let at_end = page.len() < LOOK as usize;
        before = page.last().map(|alarm| alarm.id);
        found.extend(page.into_iter().filter(|alarm| alarm.raised <= at && wanted(alarm)));
        if at_end || ALARMS_MAX <= found.len() {
            break;
        }
    }
    found.truncate(ALARMS_MAX);
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{DeviceIx, SignalClass};
    use crate::store::Commit;
    use crate::store::tests::{fresh, moment, raised};

    /// 400 alarms, a second apart, of five devices in turn.
    #[tokio::test]
    async fn what_came_later_hides_nothing() {
        let (_place, store) = fresh();
        let effects = (1..=400).map(|id| raised(id, SignalClass::Trouble)).collect();
        store.commit(&Commit { effects, ..Commit::default() }).await.expect("on disk");
        let of_device = || Query { device: Some(DeviceIx(0)), ..Query::default() };
        for (at, found) in [(0, vec![]), (4, vec![]), (12, vec![10, 5]), (15, vec![15, 10, 5])] {
            let alarms = raised_by(&store, of_device(), moment(at).wall, |_| true).await.expect("found");
            assert_eq!(alarms.iter().map(|alarm| alarm.id.0).collect::<Vec<_>>(), found, "at {at}");
        }
        let the_first = |alarm: &Alarm| alarm.id == AlarmId(3);
        let alarms = raised_by(&store, Query::default(), moment(390).wall, the_first).await.expect("found");
        assert_eq!(alarms.len(), 1, "however far back");
        let all = raised_by(&store, Query::default(), moment(900).wall, |_| true).await.expect("found");
        assert_eq!((all.len(), all[0].id), (ALARMS_MAX, AlarmId(400)));
    }
}
