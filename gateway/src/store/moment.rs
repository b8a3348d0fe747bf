//! Where in the alarms a moment lies. Numbers are given in the order of raising, so it is found by halving.

use rusqlite::OptionalExtension;

use super::{Store, StoreError, alarms, int, record, unint};
use crate::model::AlarmId;
use crate::units::Timestamp;

impl Store {
    /// The newest alarm that had been raised by then; number 0 when there was none. One that cannot be read counts as raised.
    pub async fn newest_by(&self, at: Timestamp) -> Result<AlarmId, StoreError> {
        self.read(move |connection| {
            let newest = "SELECT id, record FROM alarms WHERE id <= ?1 ORDER BY id DESC LIMIT 1";
            let mut newest = connection.prepare_cached(newest)?;
            // The number of the newest up to this one, and whether it had been raised by then.
            let mut up_to = |number: u64| -> rusqlite::Result<Option<(u64, bool)>> {
                let look = |row: &rusqlite::Row<'_>| {
                    let id = AlarmId(unint(row.get(0)?));
                    let alarm = alarms::alarm(id, record::text(row.get_ref(1)?));
                    Ok((id.0, alarm.map_or(true, |alarm| alarm.raised <= at)))
                };
                newest.query_row([int(number)], look).optional()
            };
            // All up to `low` had been raised; none after `high`.
            let (mut low, mut high) = (0, up_to(i64::MAX as u64)?.map_or(0, |(id, _)| id));
            while low < high {
                let middle = high - (high - low) / 2;
                match up_to(middle)? {
                    Some((id, false)) => high = id - 1,
                    Some((_, true)) | None => low = middle,
                }
            }
            Ok(AlarmId(low))
        })
        .await
    }
}

#[cfg(test)]
mod tests {
    use crate::model::{AlarmId, SignalClass};
    use crate::store::Commit;
    use crate::store::tests::{fresh, moment, raised};

    /// 400 alarms, a second apart.
    #[tokio::test]
    async fn the_newest_alarm_of_a_moment_is_found() {
        let (_place, store) = fresh();
        assert_eq!(store.newest_by(moment(9).wall).await.unwrap(), AlarmId(0));
        let effects = (1..=400).map(|id| raised(id, SignalClass::Trouble)).collect();
        store.commit(&Commit { effects, ..Commit::default() }).await.unwrap();
        for (at, newest) in [(0, 0), (1, 1), (17, 17), (399, 399), (400, 400), (9_000, 400)] {
            assert_eq!(store.newest_by(moment(at).wall).await.unwrap(), AlarmId(newest), "at {at}");
        }
    }
}
