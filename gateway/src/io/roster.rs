//! Looks at the roster of the week ahead, hourly and whenever it changes: a time for which nobody answers, nor anybody above, is a trouble alarm
//! of the root before it begins, and is over when it is filled. Whenever it changes the owners of open alarms are looked at, too.
//!
//! One alarm for each root, about its first hole. What an earlier run said is read back from the open alarms: its words hold the cell and the hour. Absent: gaps
//! that somebody above covers; those are for the list (`gridwarden vacancies`).

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use jiff::civil::DateTime;
use tokio::select;
use tokio::time::{MissedTickBehavior, interval};
use tokio_util::sync::CancellationToken;

use super::inlet::{Closed, Inlet};
use super::own_trouble;
use crate::clock::Clock;
use crate::grid::Registry;
use crate::grid::vacancy::{self, Gap};
use crate::health::Check;
use crate::model::{Action, AlarmState, CellIx, Deed, SignalClass};
use crate::store::alarms::Query;
use crate::store::{Store, StoreError};
use crate::units::{Millis, Timestamp, Zone};
use crate::world;

const LOOK_EVERY: Millis = Millis::from_secs(3600);
/// Whether it is time is asked this often, by the wall clock: it may be set at any moment.
const TICK: Duration = Duration::from_secs(1);
const BEGIN: &str = "无人值守 nobody answers for the cell `";
const MIDDLE: &str = "`, nor for one above it, from ";

pub struct RosterWatch {
    pub clock: Clock,
    pub store: Store,
    pub world: world::Shared,
    pub inlet: Inlet,
    pub check: Check,
}

/// An alarm that stands: what it says, and the hour it names.
#[derive(Clone, Debug, PartialEq)]
struct Told {
    text: String,
    from: Timestamp,
}

impl RosterWatch {
    pub async fn run(self, stop: CancellationToken) -> anyhow::Result<()> {
        let watched = async {
            let mut told = self.resume().await?;
            let mut seen: Option<Arc<Registry>> = None;
            let mut looked = Timestamp(0);
            let mut next_change = None;
            let mut tick = interval(TICK);
            tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
            loop {
                tick.tick().await;
                let (registry, now) = (self.world.load().registry.clone(), self.clock.now().wall);
                let same = seen.as_ref().is_some_and(|seen| Arc::ptr_eq(seen, &registry));
                let changed = next_change.is_some_and(|at| at <= now);
                let due = now < looked || looked + LOOK_EVERY <= now;
                if (same && !changed && !due) || !self.clock.trusted() {
                    continue;
                }
                if changed || seen.is_none() {
                    // What changed while the gateway was away, too.
                    let what = Deed::Roster;
                    if self.inlet.act(Action { who: own_trouble::WHO.to_owned(), what }).await.is_err() {
                        return std::future::pending().await; // The gateway is stopping.
                    }
                }
                let (gaps, next) = look(registry.clone(), now).await?;
                if self.tell(&mut told, &registry, &gaps, now).await.is_err() {
                    return std::future::pending().await; // The gateway is stopping.
                }
                (looked, next_change, seen) = (now, next, Some(registry));
            }
        };
        select! {
            () = stop.cancelled() => Ok(()),
            ended = watched => ended,
        }
    }

    /// What an earlier run said may still stand.
    async fn resume(&self) -> Result<BTreeMap<CellIx, Told>, StoreError> {
        let states = AlarmState::ALL.into_iter().filter(|state| *state != AlarmState::Closed).collect();
        let open = Query { states, classes: vec![SignalClass::Trouble], limit: u32::MAX, ..Query::default() };
        let registry = self.world.load().registry.clone();
        let standing = self.store.alarms(open).await?.into_iter().filter(|alarm| alarm.returned.is_none());
        Ok(standing.filter_map(|alarm| read(alarm.text, &registry)).collect())
    }

    async fn tell(
        &self,
        told: &mut BTreeMap<CellIx, Told>,
        registry: &Registry,
        gaps: &[Gap],
        now: Timestamp,
    ) -> Result<(), Closed> {
        let holes = vacancy::first_holes(registry, gaps);
        for (cell, over) in over(told, &holes, now) {
            tracing::info!(hole = over.text, "the roster is complete again");
            let _ = self.inlet.act(own_trouble::ends(cell, over.text)).await?; // Refused when a person closed it.
            told.remove(&cell);
        }
        for hole in &holes {
            if told.contains_key(&hole.cell) {
                continue;
            }
            let text = words(registry, hole);
            tracing::warn!(hole = text, "the roster has a hole");
            let _ = self.inlet.act(own_trouble::begins(hole.cell, text.clone())).await?; // Nothing refuses it.
            told.insert(hole.cell, Told { text, from: hole.from });
        }
        match told.values().next() {
            None => self.check.fine(),
            Some(first) => self.check.wrong(first.text.clone()),
        }
        Ok(())
    }
}

/// A city's week is some work; it must not hold up what else runs here.
async fn look(registry: Arc<Registry>, now: Timestamp) -> anyhow::Result<(Vec<Gap>, Option<Timestamp>)> {
    let work = move || (vacancy::gaps(&registry, now, now + vacancy::AHEAD), registry.next_change(now));
    tokio::task::spawn_blocking(work).await.context("looking at the roster")
}

/// Alarms that are not about the first hole of their cell any more. A hole that has begun is the same however much of it is over.
fn over(told: &BTreeMap<CellIx, Told>, holes: &[Gap], now: Timestamp) -> Vec<(CellIx, Told)> {
    let stands = |cell: &CellIx, told: &Told| {
        holes.iter().any(|hole| {
            let same_minute = hole.from.0 / 60_000 == told.from.0 / 60_000;
            hole.cell == *cell && (same_minute || (hole.from <= now && told.from <= now))
        })
    };
    told.iter().filter(|(cell, told)| !stands(cell, told)).map(|(cell, told)| (*cell, told.clone())).collect()
}

fn words(registry: &Registry, hole: &Gap) -> String {
    let code = registry.cell(hole.cell).map_or("?", |cell| cell.code.as_str());
    format!("{BEGIN}{code}{MIDDLE}{}", registry.rows().zone.text(hole.from))
}

/// The way back from [`words`]; `None`: another alarm.
fn read(text: String, registry: &Registry) -> Option<(CellIx, Told)> {
    let (code, from) = text.strip_prefix(BEGIN)?.split_once(MIDDLE)?;
    let cell = registry.cell_by_code(code)?.ix;
    let from = hour(from, &registry.rows().zone)?;
    Some((cell, Told { text, from }))
}

fn hour(text: &str, zone: &Zone) -> Option<Timestamp> {
    zone.first(DateTime::strptime("%Y-%m-%d %H:%M", text).ok()?)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::grid::{Cell, Rows};

    const HOUR: u64 = 3_600_000;

    fn registry() -> Arc<Registry> {
        let cell = Cell {
            ix: CellIx(0),
            code: "S-1".into(),
            name: "S".into(),
            scheme: "admin".into(),
            parent: None,
            kind: "street".into(),
            polygons: Vec::new(),
            retired: false,
        };
        Registry::build(Rows { cells: vec![cell], ..Rows::default() })
    }

    fn hole(from: Timestamp) -> Gap {
        Gap { cell: CellIx(0), from, until: from + Millis(HOUR), covered_by: None }
    }

    #[test]
    fn what_was_said_is_found_again_by_its_words() {
        let registry = registry();
        let from = Timestamp::parse_rfc3339("2026-11-28T12:00:00Z").expect("valid");
        let text = words(&registry, &hole(from));
        assert_eq!(
            text,
            "无人值守 nobody answers for the cell `S-1`, nor for one above it, from 2026-11-28 20:00"
        );
        assert_eq!(read(text.clone(), &registry), Some((CellIx(0), Told { text, from })));
        for other in [
            "the desk is empty",
            "无人值守 nobody answers for the cell `X`, nor for one above it, from 2026-11-28 20:00",
        ] {
            assert_eq!(read(other.into(), &registry), None);
        }
    }

    #[test]
    fn an_alarm_stands_while_its_hole_is_the_first() {
        let now = Timestamp(1_795_000_000_000);
        let at = |hours: i64| Timestamp(now.0 + hours * HOUR as i64);
        for (told, first, stands) in [
            (at(5), Some(at(5)), true),
            (at(5), Some(at(3)), false), // An earlier one came: the alarm must name that.
            (at(5), Some(at(30)), false),
            (at(-5), Some(now), true), // It has begun, and is seen from now on only.
            (at(-5), Some(at(1)), false),
            (at(5), None, false),
        ] {
            let told = BTreeMap::from([(CellIx(0), Told { text: String::new(), from: told })]);
            let holes: Vec<Gap> = first.map(hole).into_iter().collect();
            assert_eq!(over(&told, &holes, now).is_empty(), stands, "{told:?} {first:?}");
        }
    }
}
