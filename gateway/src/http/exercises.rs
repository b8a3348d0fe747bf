//! Drills and roll-calls as they are listed: newest first, those that were asked together kept together, page by page.
//!
//! An exercise is one or more alarms of class `test`. Alarms of that class are few (what people practise and what detectors test), so they are read in pieces
//! and sorted out here; [`LOOKS_MAX`] bounds what one answer costs.

use serde::Deserialize;
use utoipa::IntoParams;

use super::Api;
use super::alarms::cells_in;
use super::auth::Caller;
use super::problem::ApiError;
use super::rights::Right;
use crate::model::{Alarm, AlarmId, Played, SignalClass};
use crate::store::Store;
use crate::store::alarms::Query;
use crate::units::Timestamp;

/// Alarms of class `test` that are looked at together, and how often at the most for one answer.
const LOOK: u32 = 200;
const LOOKS_MAX: usize = 50;

#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct ExerciseFilter {
    /// Code of a cell: those in it and in every cell below it.
    pub cell: Option<String>,
    /// Items on a page, 1 to 100.
    #[param(minimum = 1, maximum = 100, default = 50)]
    pub limit: Option<u32>,
    /// Only those before this one: `next` of the page before.
    #[param(example = "A-17")]
    pub before: Option<String>,
}

/// So many exercises that the caller may see and that are wanted, newest first, each with its alarms, oldest first; and where to go on.
pub(super) async fn page(
    api: &Api,
    caller: &Caller,
    filter: &ExerciseFilter,
    wanted: impl Fn(&Alarm) -> bool,
    most: usize,
) -> Result<(Vec<Vec<Alarm>>, Option<String>), ApiError> {
    let mut look = Look::of(api, caller, filter.cell.as_deref())?;
    look.before = match filter.before.as_deref().map(str::parse::<AlarmId>) {
        None => None,
        Some(Ok(id)) => Some(id),
        Some(Err(())) => return Err(ApiError::query("before", "give the id of an alarm, such as A-17")),
    };
    let mut together = Together::default();
    while let Some(alarms) = look.more().await? {
        for alarm in alarms.into_iter().filter(&wanted) {
            if !together.takes(alarm, most) {
                let next = together.last();
                return Ok(together.page(next));
            }
        }
    }
    let next = if look.at_end { None } else { together.leave_the_last().or(look.before) };
    Ok(together.page(next))
}

/// The exercises of an area, from the newest back.
pub(super) struct Look {
    store: Store,
    /// `None`: the caller may see none.
    cells: Option<Vec<String>>,
    before: Option<AlarmId>,
    looks: usize,
    /// There is nothing older.
    pub at_end: bool,
}

impl Look {
    pub fn of(api: &Api, caller: &Caller, cell: Option<&str>) -> Result<Self, ApiError> {
        let registry = api.world.load().registry.clone();
        let cells = cell.map(|code| cells_in(code, &registry)).transpose()?;
        let area = caller.area(Right::Exercise, &registry, api.clock.now().wall);
        let cells = area.codes(cells.unwrap_or_default(), &registry);
        Ok(Self { store: api.store.clone(), at_end: cells.is_none(), cells, before: None, looks: 0 })
    }

    /// Only those that had been raised by then.
    pub async fn back_from(&mut self, at: Timestamp) -> Result<(), ApiError> {
        self.before = Some(AlarmId(self.store.newest_by(at).await?.0 + 1));
        Ok(())
    }

    /// The next alarms; `None` when there are no more, or enough were looked at.
    pub async fn more(&mut self) -> Result<Option<Vec<Alarm>>, ApiError> {
        let Some(cells) = self.cells.clone().filter(|_| !self.at_end && self.looks < LOOKS_MAX) else {
            return Ok(None);
        };
        let classes = vec![SignalClass::Test];
        let query = Query { classes, cells, before: self.before, limit: LOOK, ..Query::default() };
        let mut alarms = self.store.alarms(query).await?;
        self.looks += 1;
        self.at_end = alarms.len() < LOOK as usize;
        self.before = alarms.last().map(|alarm| alarm.id).or(self.before);
        alarms.retain(|alarm| alarm.exercise().is_some());
        Ok(Some(alarms))
    }
}

/// By which an exercise is known: its first alarm.
pub(super) fn number(alarm: &Alarm) -> Option<AlarmId> {
    match alarm.exercise()?.what {
        Played::Drill(_) => Some(alarm.id),
        Played::RollCall { first, .. } => Some(first),
    }
}

/// Exercises, newest first, and so are the alarms of each: as they are read.
#[derive(Default)]
struct Together(Vec<(AlarmId, Vec<Alarm>)>);

impl Together {
    /// `false`: it belongs to one more than so many.
    fn takes(&mut self, alarm: Alarm, most: usize) -> bool {
        let Some(number) = number(&alarm) else { return true };
        let full = self.0.len() == most;
        match self.0.last_mut().filter(|(last, _)| *last == number) {
            Some((_, alarms)) => alarms.push(alarm),
            None if full => return false,
            None => self.0.push((number, vec![alarm])),
        }
        true
    }

    fn last(&self) -> Option<AlarmId> {
        self.0.last().map(|(number, _)| *number)
    }

    /// It may be cut, where the look ended: the next page begins with it. Unless it is all there is: then the next page has the rest.
    fn leave_the_last(&mut self) -> Option<AlarmId> {
        let (_, alarms) = if 1 < self.0.len() { self.0.pop()? } else { return None };
        alarms.first().map(|newest| AlarmId(newest.id.0 + 1))
    }

    fn page(self, next: Option<AlarmId>) -> (Vec<Vec<Alarm>>, Option<String>) {
        let oldest_first = |(_, mut alarms): (AlarmId, Vec<Alarm>)| {
            alarms.reverse();
            alarms
        };
        (self.0.into_iter().map(oldest_first).collect(), next.map(|id| id.to_string()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::Exercise;
    use crate::store::Commit;
    use crate::store::tests::{alarm, fresh, moment, raised};

    fn asked(id: u64, first: u64) -> Alarm {
        let played = Played::RollCall { asked: format!("p{id}"), first: AlarmId(first) };
        let mut alarm = alarm(id, SignalClass::Test);
        alarm.handling.exercise = Some(Box::new(Exercise::new(played, "duty")));
        alarm
    }

    fn drill(id: u64) -> Alarm {
        let mut alarm = alarm(id, SignalClass::Test);
        let played = Played::Drill(SignalClass::Fire);
        alarm.handling.exercise = Some(Box::new(Exercise::new(played, "duty")));
        alarm
    }

    fn ids(page: &[Vec<Alarm>]) -> Vec<Vec<u64>> {
        page.iter().map(|alarms| alarms.iter().map(|alarm| alarm.id.0).collect()).collect()
    }

    /// Two calls of three, and two drills.
    fn read() -> Vec<Alarm> {
        vec![asked(9, 7), asked(8, 7), asked(7, 7), drill(6), asked(4, 2), asked(3, 2), asked(2, 2), drill(1)]
    }

    #[test]
    fn those_that_were_asked_together_stay_together() {
        for (most, expected, full) in [
            (1, vec![vec![7, 8, 9]], true),
            (3, vec![vec![7, 8, 9], vec![6], vec![2, 3, 4]], true),
            (4, vec![vec![7, 8, 9], vec![6], vec![2, 3, 4], vec![1]], false),
        ] {
            let mut together = Together::default();
            let refused = read().into_iter().find(|alarm| !together.takes(alarm.clone(), most));
            assert_eq!(refused.is_some(), full, "{most}");
            let next = together.last();
            assert_eq!(next.map(|id| id.0), expected.last().and_then(|last| last.first().copied()));
            assert_eq!(ids(&together.page(next).0), expected);
        }
    }

    #[tokio::test]
    async fn a_look_back_from_a_moment_reads_nothing_that_came_later() {
        let (_place, store) = fresh();
        let effects = (1..=400).map(|id| raised(id, SignalClass::Test)).collect();
        store.commit(&Commit { effects, ..Commit::default() }).await.unwrap();
        let mut look = Look { store, cells: Some(Vec::new()), before: None, looks: 0, at_end: false };
        look.back_from(moment(150).wall).await.unwrap();
        assert_eq!(look.before, Some(AlarmId(151)));
        look.more().await.unwrap();
        assert!(look.at_end, "150 are left");
    }

    #[test]
    fn where_the_look_ends_the_last_is_left_to_the_next_page() {
        let after = |alarms: Vec<Alarm>| {
            let mut together = Together::default();
            alarms.into_iter().for_each(|alarm| assert!(together.takes(alarm, 50)));
            let next = together.leave_the_last();
            let (page, next) = together.page(next);
            (ids(&page), next)
        };
        let cut = read().into_iter().take(5).collect();
        assert_eq!(after(cut), (vec![vec![7, 8, 9], vec![6]], Some("A-5".to_owned())));
        let all_there_is = read().into_iter().take(2).collect();
        assert_eq!(after(all_there_is), (vec![vec![8, 9]], None), "the look goes on where it ended");
        assert_eq!(after(Vec::new()), (vec![], None));
    }
}
