//! Taking over a changed registry or changed rules while alarms stand.
//!
//! What is remembered moves to the rule of the same name, if that still looks at the same thing and still selects the device. Alarms whose rule
//! was removed are closed with a line that says so. A fire whose rule was only changed, or whose device was retired, is never closed by
//! an import: it stays until a person resolves it.

use std::collections::HashMap;
use std::sync::Arc;

use super::open::{Open, OpenAlarms};
use super::presence::{Silence, whole_seconds};
use super::rules::{RuleBook, RuleIx};
use super::{Effect, Engine, Place, Turn};
use crate::config::rules::OWN_NAMES;
use crate::grid::Registry;
use crate::model::{AlarmId, DeviceIx, SignalClass};
use crate::units::Now;

impl Engine {
    /// Take over a changed registry or changed rules: arm new devices, disarm retired ones, end conditions whose rule is gone.
    ///
    /// The journal does not tell this to a replay, so a snapshot must be stored together with the effects. Without a change of either,
    /// nothing changes.
    pub fn reconfigure(&mut self, registry: Arc<Registry>, rules: Arc<RuleBook>, now: Now) -> Vec<Effect> {
        let now = Now { wall: now.wall, steady: now.steady.max(self.now.steady) };
        let before = std::mem::replace(&mut self.rules, rules.clone());
        self.registry = registry.clone();
        self.now = now;
        let mut turn = Turn {
            registry: &registry,
            rules: &rules,
            now,
            effects: Vec::new(),
            questions: Vec::new(),
            watch: None,
        };

        let moved = positions(&before, &rules);
        let place = |(device, rule): Place| -> Option<Place> {
            let rule = *moved.get(&rule)?;
            rules.selects(rule, device).then_some((device, rule))
        };
        for (old, state) in self.conditions.drain() {
            if let Some(new) = place(old) {
                self.conditions.put(new, Some(state));
            }
        }
        self.rates = std::mem::take(&mut self.rates)
            .into_iter()
            .filter_map(|(old, window)| Some((place(old)?, window)))
            .collect();
        self.fires = std::mem::take(&mut self.fires)
            .into_iter()
            .filter_map(|(old, mark)| Some((place(old)?, mark)))
            .collect();
        for (alarm, why) in self.move_alarms(&rules, place) {
            self.alarms.close(&mut turn, alarm, why);
        }
        for alarm in self.alarms.ids() {
            let position = self.alarms.get(alarm).and_then(|open| open.alarm.ladder.as_ref());
            let lost = position.is_some_and(|position| {
                position.next_at.is_some() && rules.ladder(&position.ladder, position.variant).is_none()
            });
            if lost {
                self.alarms.start_ladder_anew(&mut turn, alarm);
            }
        }
        self.move_flats(&mut turn, &before, place);
        self.alarms.look_at_failures(&mut turn);
        self.alarms.look_at_owners(&mut turn);
        self.rearm(&before);
        self.alarms.ask(std::mem::take(&mut turn.questions));
        self.pages.forget_quiet(rules.page_limit(), now.steady);
        self.pages.pass(&mut turn, &self.alarms);
        turn.effects
    }

    /// Gives every open alarm its place under the new rules; returns those that must end, and why.
    fn move_alarms(
        &mut self,
        rules: &RuleBook,
        place: impl Fn(Place) -> Option<Place>,
    ) -> Vec<(AlarmId, &'static str)> {
        let old = std::mem::take(&mut self.alarms);
        let mut ending = Vec::new();
        let rows: Vec<Open> = old
            .iter()
            .map(|open| {
                let mut open = open.clone();
                let new = open.key.and_then(|key| Some((key, place((key.device, key.rule))?)));
                open.key = new.map(|(key, (_, rule))| super::Key { rule, ..key });
                if open.key.is_none() && !OWN_NAMES.contains(&open.alarm.rule.as_str()) {
                    if rules.rule_named(&open.alarm.rule).is_none() {
                        ending.push((open.alarm.id, "its rule was removed"));
                    } else if open.alarm.class != SignalClass::Fire {
                        ending.push((open.alarm.id, "its rule no longer applies to this device"));
                    }
                }
                open
            })
            .collect();
        self.alarms = OpenAlarms::from_rows(old.last(), rows);
        self.alarms.questions = old.questions;
        ending
    }

    /// Presence under the new rules and devices.
    fn rearm(&mut self, before: &RuleBook) {
        self.presence.extend_to(self.registry.devices().len());
        let now_s = whole_seconds(self.now.steady);
        for at in 0..self.presence.rows().len() {
            let device = DeviceIx(at as u32);
            let known = self.presence.rows()[at];
            let (old, new) = (before.silent_after_s(device), self.rules.silent_after_s(device));
            match (old, new) {
                (_, None) => self.presence.disarm(device),
                (Some(old), Some(new)) if known.is_armed() && old != new => {
                    let deadline = (known.deadline_s.saturating_sub(old)).saturating_add(new);
                    self.presence.set_deadline(device, deadline.max(now_s));
                }
                (_, Some(_)) => (),
            }
        }
        self.arm_new_devices();
    }

    /// Arms every device whose silence is an alarm but that is not watched yet.
    pub(super) fn arm_new_devices(&mut self) {
        self.presence.extend_to(self.registry.devices().len());
        for at in 0..self.presence.rows().len() {
            let device = DeviceIx(at as u32);
            let Some(silent_after_s) = self.rules.silent_after_s(device) else { continue };
            let known = self.presence.rows()[at];
            let place = self.rules.presence(device).map(|rule| (device, rule));
            let stands = place.is_some_and(|place| self.conditions.get(place).is_some());
            if known.is_armed() || (known.silence == Silence::Yes && stands) {
                continue;
            }
            self.presence.disarm(device);
            self.presence.arm(device, self.now.steady, silent_after_s);
        }
    }
}

/// Where each old rule stands in the new book, if it still looks at the same thing.
fn positions(before: &RuleBook, after: &RuleBook) -> HashMap<RuleIx, RuleIx> {
    let by_name: HashMap<&str, RuleIx> = after.names().collect();
    before
        .names()
        .filter_map(|(name, old)| {
            let new = *by_name.get(name)?;
            let same = before.rule(old).basis.fingerprint() == after.rule(new).basis.fingerprint();
            same.then_some((old, new))
        })
        .collect()
}
