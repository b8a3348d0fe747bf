//! An engine from the open alarms alone, for a station whose snapshot is damaged or too new.
//!
//! The alarms in the store are what must not be lost: no second page, no alarm that nobody can end, no number used twice. What is lost is small:
//! conditions that were still waiting, rates, and when each device was heard last (silence counts from now).

use std::sync::Arc;

use super::condition::Condition;
use super::ladder::Run;
use super::open::{Open, OpenAlarms};
use super::rules::{Basis, RuleBook};
use super::{Engine, FireMark, Key};
use crate::grid::Registry;
use crate::model::{Alarm, AlarmId, AlarmState, SignalClass};
use crate::units::Now;

impl Engine {
    /// `open` are the alarms in the store that are not closed, `last` is the highest number ever given. Store a snapshot next.
    pub fn salvage(
        registry: Arc<Registry>,
        rules: Arc<RuleBook>,
        now: Now,
        last: AlarmId,
        open: Vec<Alarm>,
    ) -> Self {
        let mut engine = Self::new(registry, rules.clone(), now);
        let mut rows: Vec<Open> = Vec::with_capacity(open.len());
        for alarm in open.into_iter().filter(Alarm::is_open) {
            let key = key_of(&alarm, &rules).filter(|key| rows.iter().all(|row| row.key != Some(*key)));
            if let Some(key) = key {
                engine.remember(key, &alarm);
            }
            let run = run_of(&alarm, key, &rules);
            rows.push(Open { alarm, key, run });
        }
        let last = rows.iter().map(|row| row.alarm.id.0).fold(last.0, u64::max);
        engine.alarms = OpenAlarms::from_rows(last, rows);
        engine
    }

    /// The condition behind an open alarm.
    fn remember(&mut self, key: Key, alarm: &Alarm) {
        let rules = self.rules.clone();
        let basis = rules.rule(key.rule).basis;
        let place = (key.device, key.rule);
        if alarm.class == SignalClass::Fire && matches!(basis, Basis::State { .. }) {
            let time = alarm.trigger.as_ref().and_then(|trigger| trigger.device_time);
            let mark = self.fires.entry(place).or_default();
            *mark = FireMark { time: mark.time.max(time), since_clear: true };
        }
        let active = match alarm.state {
            AlarmState::Unacknowledged | AlarmState::Acknowledged => !key.late,
            AlarmState::ReturnedUnacknowledged | AlarmState::Returned | AlarmState::Closed => false,
        };
        if active {
            if matches!(basis, Basis::Presence { .. }) {
                self.presence.fell_silent(key.device);
            }
            let quiet_at = basis.quiet().map(|quiet| self.now.steady + quiet);
            self.conditions.put(place, Some(Condition::Active { quiet_at }));
        }
    }
}

fn key_of(alarm: &Alarm, rules: &RuleBook) -> Option<Key> {
    let (device, rule) = (alarm.device?, rules.rule_named(&alarm.rule)?);
    rules.selects(rule, device).then_some(Key { device, rule, late: alarm.late.is_some() })
}

/// Where in its ladder an alarm stands, from the steps it has taken since the foot of its rule's ladder.
fn run_of(alarm: &Alarm, key: Option<Key>, rules: &RuleBook) -> Run {
    let Some(position) = &alarm.ladder else { return Run::default() };
    let mut next_step = position.steps_taken;
    let mut ladder = match key {
        Some(key) => rules.rule(key.rule).ladder,
        None => rules.ladder_for(alarm.class),
    };
    while let Some(ix) = ladder.filter(|ix| rules.ladders(*ix).name != position.ladder) {
        // Which of its variants was taken is not known; the last is what most alarms have.
        let Some(passed) = rules.ladders(ix).variants.last() else { break };
        next_step = next_step.saturating_sub(passed.steps.len() as u32);
        ladder = passed.then;
    }
    let ladder = rules.ladder(&position.ladder, position.variant);
    let next = ladder.and_then(|ladder| ladder.steps.get(next_step as usize));
    Run::resumed(position, next_step, next.map(|step| step.after), alarm.raised_steady)
}
