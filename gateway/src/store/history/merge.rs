//! Eight runs become one, so that a chart has few to look into.
//!
//! Only neighbours in age and of the same level are merged, and the new run takes their place: so of two runs it is always known which is younger. Each point
//! is rewritten once a level, four or five times in all. A run that has become large or long is left alone: retention takes whole runs, and the longer they are
//! the longer it keeps what is too old.

use rusqlite::Connection;

use super::ordered::{Ordered, Source};
use super::runs::{self, Run};
use super::seal::{Building, SLICE_POINTS};
use super::{Key, Point};
use crate::store::{Problem, Store, StoreError, readers};
use crate::units::Millis;

/// Which runs are merged.
#[derive(Clone, Copy, Debug)]
pub struct Plan {
    /// So many at once.
    pub runs: usize,
    /// The most points of a run.
    pub points_max: u64,
    /// The longest time between its first and its last batch.
    pub span_max: Millis,
}

impl Plan {
    pub fn new(history_days_max: u32) -> Self {
        const DAY: u64 = 24 * 3600;
        // So long may points be kept beyond the limit.
        let span = (u64::from(history_days_max) * DAY / 12).min(32 * DAY);
        Self { runs: 8, points_max: 1 << 28, span_max: Millis::from_secs(span) }
    }

    /// The runs to merge next; `whole` has the oldest first. The lowest level is the cheapest and comes first.
    fn choose<'a>(&self, whole: &'a [Run]) -> Option<&'a [Run]> {
        let fits = |runs: &&[Run]| {
            let [first, .., last] = runs else { return false };
            runs.iter().all(|run| run.level == first.level)
                && first.level < runs::LEVEL_TOP
                && runs.iter().map(|run| run.points).sum::<u64>() <= self.points_max
                && last.steady.since(first.began) <= self.span_max
        };
        whole.windows(self.runs).filter(fits).min_by_key(|runs| runs[0].level)
    }
}

/// What is being merged.
#[derive(Default)]
pub enum Merging {
    /// There may be something to merge.
    #[default]
    Unknown,
    /// Not until the next sealing.
    Nothing,
    Going(Merge),
}

pub struct Merge {
    /// The oldest first.
    from: Vec<Run>,
    ordered: Ordered,
    to: Building,
}

impl Merge {
    fn begin(connection: &Connection, plan: &Plan) -> Result<Option<Self>, Problem> {
        const ALL: (Key, Key) = ((0, i64::MIN), (u64::MAX, i64::MAX));
        let whole = runs::whole(connection)?;
        let Some(from) = plan.choose(&whole) else { return Ok(None) };
        let mut ordered = Ordered::default();
        runs::add_pieces(connection, from.iter().map(|run| run.number), ALL, &mut ordered)?;
        Ok(Some(Self { from: from.to_vec(), ordered, to: Building::new(from[0].level + 1) }))
    }

    fn next_points(&mut self, connection: &Connection) -> Result<Vec<Point>, Problem> {
        let mut load = |source| match source {
            Source::Block { id, .. } => runs::load(connection, id, None),
            Source::Chunk(_) | Source::Head => Ok(Vec::new()),
        };
        let mut points = Vec::with_capacity(SLICE_POINTS);
        while points.len() < SLICE_POINTS
            && let Some(point) = self.ordered.next(&mut load)?
        {
            points.push(point);
        }
        Ok(points)
    }
}

impl Store {
    /// Merges what there is to merge.
    pub async fn merge(&self) -> Result<(), StoreError> {
        while self.merge_a_slice().await? {}
        Ok(())
    }

    /// One step of a merging. Whether there may be more. After an error the merging begins anew.
    pub(super) async fn merge_a_slice(&self) -> Result<bool, StoreError> {
        let mut merging = self.shared.tending.merging.lock().await;
        let merge = match std::mem::replace(&mut *merging, Merging::Unknown) {
            Merging::Nothing => {
                *merging = Merging::Nothing;
                return Ok(false);
            }
            Merging::Unknown => None,
            Merging::Going(merge) => Some(merge),
        };
        let (store, plan) = (self.clone(), self.shared.tending.plan());
        let next = readers::blocking(move || {
            store.shared.readers.read_here(|connection| {
                let Some(mut merge) =
                    merge.map_or_else(|| Merge::begin(connection, &plan), |merge| Ok(Some(merge)))?
                else {
                    return Ok(None);
                };
                let points = merge.next_points(connection)?;
                Ok(Some((merge, points)))
            })
        });
        let Some((mut merge, points)) = next.await? else {
            *merging = Merging::Nothing;
            return Ok(false);
        };
        if points.is_empty() {
            self.end_merge(merge).await?;
        } else {
            merge.to.add(self, points).await?;
            *merging = Merging::Going(merge);
        }
        Ok(true)
    }

    /// The new run counts from the moment when the old ones no longer do.
    async fn end_merge(&self, merge: Merge) -> Result<(), StoreError> {
        let Merge { from, to, .. } = merge;
        let [first, .., last] = from.as_slice() else { return Ok(()) };
        // Without points, for all blocks were damaged, there is no new run.
        let run = to.whole(last.upto, first.began, last.steady);
        self.write(move |writing| {
            for run in &from {
                runs::give_up(writing.connection, run.number)?;
            }
            if let Some(run) = &run {
                runs::finish(writing.connection, run)?;
            }
            Ok(())
        })
        .await
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::units::Steady;

    fn runs(levels_and_points: &[(u32, u64)]) -> Vec<Run> {
        let run = |(number, &(level, points)): (i64, &(u32, u64))| Run {
            number,
            level,
            upto: number as u64 * 10,
            began: Steady(number as u64 * 1000),
            steady: Steady(number as u64 * 1000 + 999),
            first: 0,
            last: 0,
            points,
        };
        (1..).zip(levels_and_points).map(run).collect()
    }

    #[test]
    fn neighbours_of_one_level_are_merged_as_far_as_they_fit() {
        let plan = Plan { runs: 3, points_max: 100, span_max: Millis(3_500) };
        for (given, chosen) in [
            (&[(0, 1), (0, 1)][..], None),
            (&[(0, 1), (0, 1), (0, 1)], Some(1)),
            (&[(0, 1), (0, 1), (1, 1), (0, 1)], None),
            (&[(2, 1), (0, 1), (0, 1), (0, 1), (0, 1)], Some(2)),
            // The cheapest first.
            (&[(1, 9), (1, 9), (1, 9), (0, 1), (0, 1), (0, 1)], Some(4)),
            // Too many points together; later ones are fewer.
            (&[(0, 90), (0, 9), (0, 9), (0, 9)], Some(2)),
            (&[(1, 34), (1, 34), (1, 34)], None),
            (&[(runs::LEVEL_TOP, 1), (runs::LEVEL_TOP, 1), (runs::LEVEL_TOP, 1)], None),
        ] {
            let whole = runs(given);
            let found = plan.choose(&whole).map(|runs| (runs.len(), runs[0].number));
            assert_eq!(found, chosen.map(|number| (3, number)), "{given:?}");
        }
        let short = Plan { span_max: Millis(2_500), ..plan };
        assert_eq!(short.choose(&runs(&[(0, 1), (0, 1), (0, 1)])), None, "too long");
    }

    #[test]
    fn nothing_is_kept_much_beyond_the_limit() {
        let days = |limit| Plan::new(limit).span_max.0 / 3_600_000;
        assert_eq!((days(12), days(400), days(36_500)), (24, 32 * 24, 32 * 24));
    }
}
