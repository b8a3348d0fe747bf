//! What must be true of the alarms, said a second time and much more simply: the fires of the journal, report by report.

use gateway::engine::Engine;
use gateway::model::{Alarm, AlarmId, AlarmState, Deed, Event, Freshness, Report};
use gateway::units::{Millis, Now, Steady, Timestamp};

use crate::disk::Platter;
use crate::town::{DETECTORS, Town};

/// One fire of one detector.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Fire {
    acknowledged: bool,
    returned: bool,
    resolved: bool,
    verified: bool,
    closed: bool,
}

impl Fire {
    fn of(alarm: &Alarm) -> Self {
        Self {
            acknowledged: alarm.acknowledged.is_some(),
            returned: alarm.returned.is_some(),
            resolved: alarm.resolved.is_some(),
            verified: alarm.handling.verified.is_some(),
            closed: alarm.state == AlarmState::Closed,
        }
    }

    /// It must be answered anew.
    fn unanswer(&mut self) {
        (self.acknowledged, self.resolved, self.verified) = (false, false, false);
    }

    fn settle(&mut self) {
        self.closed |= self.acknowledged && self.returned && self.resolved && self.verified;
    }
}

/// Whether a report is news: live, or sent again but newer than anything known and fresh.
fn is_news(report: &Report, newest: &mut Option<Timestamp>) -> bool {
    let fresh = |time: Timestamp| report.received.since(time) <= Millis::from_secs(120);
    let news = match (report.freshness, report.device_time) {
        (Freshness::Live, _) | (Freshness::Replayed, None) => true,
        (Freshness::Replayed, Some(time)) => newest.is_none_or(|newest| newest < time) && fresh(time),
        (Freshness::Retained | Freshness::Backfill, _) => false,
    };
    *newest = (*newest).max(report.device_time);
    news
}

/// The fires that the journal tells of are the fires in the alarm table.
pub fn fires_are_what_the_journal_says(platter: &Platter) {
    for device in 0..DETECTORS {
        let table: Vec<&Alarm> = platter
            .alarms
            .values()
            .filter(|alarm| {
                alarm.rule == "smoke" && alarm.late.is_none() && alarm.device.is_some_and(|ix| ix.0 == device)
            })
            .collect();
        let (mut fires, mut burning, mut newest): (Vec<Fire>, bool, Option<Timestamp>) =
            (Vec::new(), false, None);
        let number = |id: AlarmId| table.iter().position(|alarm| alarm.id == id);
        for event in platter.batches.iter().flat_map(|batch| &batch.events) {
            match event {
                Event::Report(report) if report.device.0 == device => {
                    if !is_news(report, &mut newest) {
                        continue;
                    }
                    let Some(flag) = report.values.iter().find(|value| value.metric.name() == "smoke") else {
                        continue;
                    };
                    let on = flag.value != 0.0;
                    match fires.last_mut().filter(|fire| !fire.closed) {
                        None if on && !burning => fires.push(Fire::default()),
                        None => (),
                        Some(fire) if on => {
                            if fire.returned {
                                fire.unanswer();
                            }
                            fire.returned = false;
                        }
                        Some(fire) => fire.returned = true,
                    }
                    burning = on;
                }
                // Everybody here acts once, so nobody supervises himself.
                Event::Action(action) => match &action.what {
                    Deed::Acknowledge { alarm, .. }
                    | Deed::OnTheWay { alarm, .. }
                    | Deed::OnSite { alarm, .. } => {
                        if let Some(fire) = number(*alarm).and_then(|at| fires.get_mut(at)) {
                            fire.acknowledged = true;
                        }
                    }
                    Deed::Resolve { alarm, .. } => {
                        if let Some(fire) = number(*alarm).and_then(|at| fires.get_mut(at)) {
                            fire.resolved |= fire.acknowledged;
                        }
                    }
                    Deed::Verify { alarm, .. } => {
                        if let Some(fire) = number(*alarm).and_then(|at| fires.get_mut(at)) {
                            fire.verified |= fire.resolved;
                        }
                    }
                    Deed::SendBack { alarm, .. } => {
                        if let Some(fire) = number(*alarm).and_then(|at| fires.get_mut(at))
                            && fire.resolved
                            && !fire.closed
                        {
                            fire.unanswer();
                        }
                    }
                    Deed::Raise { .. }
                    | Deed::End { .. }
                    | Deed::Evaluate { .. }
                    | Deed::HandOver { .. }
                    | Deed::Suspend { .. }
                    | Deed::Resume { .. }
                    | Deed::Shelve { .. }
                    | Deed::Unshelve { .. }
                    | Deed::BeginMaintenance { .. }
                    | Deed::EndMaintenance { .. }
                    | Deed::Report { .. }
                    | Deed::Drill { .. }
                    | Deed::RollCall { .. }
                    | Deed::Nearest { .. }
                    | Deed::Roster => (),
                },
                Event::Report(_) | Event::Gone { .. } => (),
            }
            fires.iter_mut().for_each(Fire::settle);
        }
        let found: Vec<Fire> = table.iter().map(|alarm| Fire::of(alarm)).collect();
        assert_eq!(found, fires, "the fires of detector {device}: found, and what the journal says");
    }
}

/// A gateway that never stopped would have done the same at every batch.
pub fn as_if_it_had_never_stopped(platter: &Platter, town: &Town, first: Now) {
    let mut engine = Engine::new(town.worlds[0].registry.clone(), town.worlds[0].rules.clone(), first);
    let mut sleeps = platter.sleeps.iter().peekable();
    for (batch, effects) in platter.batches.iter().zip(&platter.effects) {
        let expected = match platter.worlds.get(&batch.seq) {
            Some(&world) => {
                let world = &town.worlds[world];
                let starts = platter.starts.iter().filter(|first| **first <= batch.seq).count();
                let mut slept = 0;
                while let Some(sleep) = sleeps.next_if(|sleep| {
                    sleep.starts < starts || (sleep.starts == starts && sleep.awake <= batch.now.steady)
                }) {
                    if sleep.starts == starts {
                        slept += sleep.awake.since(sleep.asleep).0;
                    }
                }
                if platter.starts.contains(&batch.seq) {
                    engine.was_away(engine.last(), batch.now);
                } else if 1_000 <= slept {
                    engine.was_away(Steady(batch.now.steady.0 - slept), batch.now);
                }
                engine.reconfigure(world.registry.clone(), world.rules.clone(), batch.now)
            }
            None => engine.apply(batch).effects,
        };
        if *effects != expected {
            let before = &platter.batches[(batch.seq as usize).saturating_sub(4)..batch.seq as usize];
            panic!(
                "batch {} did something else than without the cuts.\nfound    {effects:#?}\nexpected {expected:#?}\nafter {before:#?}\nstarts at {:?}",
                batch.seq, platter.worlds
            );
        }
    }
}
