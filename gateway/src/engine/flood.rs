//! How often one person is paged: so many times in a while at the most, and a fire always.
//!
//! A page is one step of one alarm told to one person, on however many channels. What is too much waits here and goes out as one summary as soon as
//! there is room for a page; what comes meanwhile joins it. The last place of a window is kept for a summary, so that the first of what is folded is said at
//! once. A fire takes a place and never asks for one. Nothing is held back but the page: owner, ladder and history go on as ever, and whoever
//! answers takes the alarm out of the summary. Part of the snapshot.
//!
//! An exercise goes only while there is room beside all that is real, takes no place from it, and never waits: whoever has enough to do is left out.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use serde::{Deserialize, Serialize};

use super::open::OpenAlarms;
use super::{Effect, Turn};
use crate::config::rules::FloodLimits;
use crate::model::{AlarmId, Alert, SignalClass, What};
use crate::units::{Millis, Steady};

/// Alarms in one summary; more wait for the next. A message holds as many.
const SUMMARY_ALARMS_MAX: usize = 100;

/// At most `pages` in any `within`, summaries and fires counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct PageLimit {
    pub pages: usize,
    pub within: Millis,
}

impl From<&FloodLimits> for PageLimit {
    fn from(limits: &FloodLimits) -> Self {
        Self {
            pages: *limits.pages_per_person_max.get_ref() as usize,
            within: Millis::from_secs(u64::from(*limits.pages_within_s.get_ref())),
        }
    }
}

impl Default for PageLimit {
    fn default() -> Self {
        Self::from(&FloodLimits::default())
    }
}

/// By person.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(super) struct Pages {
    /// The last pages, oldest first, as many as the limit counts.
    sent: BTreeMap<String, VecDeque<Steady>>,
    /// What the next summary tells, worst first. Bounded by the open alarms.
    waiting: BTreeMap<String, BTreeMap<Place, Alert>>,
    /// The last pages of exercises. They take no place from what is real.
    practice: BTreeMap<String, VecDeque<Steady>>,
}

/// As snapshots had it before there were exercises.
#[derive(Deserialize)]
pub(super) struct FormerPages {
    sent: BTreeMap<String, VecDeque<Steady>>,
    waiting: BTreeMap<String, BTreeMap<Place, Alert>>,
}

impl From<FormerPages> for Pages {
    fn from(FormerPages { sent, waiting }: FormerPages) -> Self {
        Self { sent, waiting, practice: BTreeMap::new() }
    }
}

/// Of an alert in a summary. One alarm is told once on each channel, whatever steps were taken.
type Place = (SignalClass, AlarmId, String);

impl Pages {
    /// Looks at everything that is to be told now, keeps back what is too much, and lets summaries go. `true` when something was kept or let go.
    pub fn pass(&mut self, turn: &mut Turn<'_>, alarms: &OpenAlarms) -> bool {
        let (limit, now) = (turn.rules.page_limit(), turn.now.steady);
        let (mut kept, mut left_out) = (BTreeSet::new(), BTreeSet::new());
        let mut last: Option<((AlarmId, u32, String), bool)> = None;
        for effect in std::mem::take(&mut turn.effects) {
            match effect {
                Effect::Tell(alert) => {
                    let person = alert.person.clone().filter(|_| alert.step != Alert::OVER);
                    let page = person.map(|person| (alert.alarm, alert.step, person));
                    let Some(page) = page else {
                        turn.effects.push(Effect::Tell(alert));
                        continue;
                    };
                    let practice = is_practice(&alert, alarms);
                    let goes = match &last {
                        Some((same, goes)) if *same == page => *goes,
                        Some(_) | None if practice => self.goes_in_practice(&page.2, limit, now),
                        Some(_) | None => self.goes(&page.2, alert.class, limit, now),
                    };
                    if goes {
                        turn.effects.push(Effect::Tell(alert));
                    } else if practice {
                        left_out.insert((alert.alarm, page.2.clone()));
                    } else {
                        kept.insert((alert.alarm, page.2.clone()));
                        let place = (alert.class, alert.alarm, alert.channel.clone());
                        self.waiting.entry(page.2.clone()).or_default().insert(place, alert);
                    }
                    last = Some((page, goes));
                }
                Effect::Withdraw(alarm) => {
                    self.forget(alarm);
                    turn.effects.push(Effect::Withdraw(alarm));
                }
                Effect::Alarm(..) => turn.effects.push(effect),
            }
        }
        let told = self.let_go(turn, alarms, limit);
        for (alarm, person) in &kept {
            let waits = self.waiting.get(person).is_some_and(|all| all.values().any(|a| a.alarm == *alarm));
            if let Some(open) = alarms.get(*alarm).filter(|_| waits) {
                let detail = format!("{person} is paged too often already: it goes into the next summary");
                turn.record(&open.alarm, What::Folded, None, detail);
            }
        }
        for (alarm, person) in &left_out {
            if let Some(open) = alarms.get(*alarm) {
                let detail = format!("{person} is paged too often already: left out of the exercise");
                turn.record(&open.alarm, What::NotTold, None, detail);
            }
        }
        told || !kept.is_empty() || !left_out.is_empty()
    }

    /// When the next summary may go. Later than the last [`Pages::pass`].
    pub fn next_due(&self, limit: PageLimit) -> Option<Steady> {
        self.waiting.keys().map(|person| self.free_at(person, limit)).min()
    }

    /// People who were not paged for a while and for whom nothing waits.
    pub fn forget_quiet(&mut self, limit: PageLimit, now: Steady) {
        for pages in [&mut self.sent, &mut self.practice] {
            pages.retain(|_, sent| sent.back().is_some_and(|at| now < *at + limit.within));
        }
    }

    /// Whether this page goes by itself, and if so, takes its place.
    fn goes(&mut self, person: &str, class: SignalClass, limit: PageLimit, now: Steady) -> bool {
        let room = !self.waiting.contains_key(person) && self.within(person, limit, now) + 1 < limit.pages;
        let goes = class == SignalClass::Fire || room;
        if goes {
            self.take(person, limit, now);
        }
        goes
    }

    /// Whether a page of an exercise goes: when there is room beside all others, and none of what is real waits.
    fn goes_in_practice(&mut self, person: &str, limit: PageLimit, now: Steady) -> bool {
        let practised = within(&self.practice, person, limit, now);
        let room = self.within(person, limit, now) + practised + 1 < limit.pages;
        let goes = room && !self.waiting.contains_key(person);
        if goes {
            take(&mut self.practice, person, limit, now);
        }
        goes
    }

    fn take(&mut self, person: &str, limit: PageLimit, now: Steady) {
        take(&mut self.sent, person, limit, now);
    }

    fn within(&self, person: &str, limit: PageLimit, now: Steady) -> usize {
        within(&self.sent, person, limit, now)
    }

    /// When there is room for one page more, if nothing is told before.
    fn free_at(&self, person: &str, limit: PageLimit) -> Steady {
        let sent = self.sent.get(person);
        // With the oldest of the last `pages` out of the window one is free.
        let oldest = sent.and_then(|sent| sent.get(sent.len().checked_sub(limit.pages)?));
        oldest.map_or(Steady(0), |at| *at + limit.within)
    }

    fn forget(&mut self, alarm: AlarmId) {
        self.waiting.retain(|_, alerts| {
            alerts.retain(|_, alert| alert.alarm != alarm);
            !alerts.is_empty()
        });
    }

    /// Summaries for everybody who has room, of what is still open.
    fn let_go(&mut self, turn: &mut Turn<'_>, alarms: &OpenAlarms, limit: PageLimit) -> bool {
        let now = turn.now.steady;
        let mut any = false;
        while let Some(person) = self.waiting.keys().find(|person| self.free_at(person, limit) <= now) {
            let person = &person.clone();
            any = true;
            let mut alerts = self.waiting.remove(person).unwrap_or_default();
            alerts.retain(|_, alert| alarms.get(alert.alarm).is_some_and(|open| open.alarm.is_open()));
            let mut told = BTreeSet::new();
            let mut rest = BTreeMap::new();
            for (place, alert) in alerts {
                if told.len() < SUMMARY_ALARMS_MAX || told.contains(&alert.alarm) {
                    told.insert(alert.alarm);
                    turn.effects.push(Effect::Tell(Alert { step: Alert::SUMMARY, ..alert }));
                } else {
                    rest.insert(place, alert);
                }
            }
            if !rest.is_empty() {
                self.waiting.insert(person.clone(), rest);
            }
            if told.is_empty() {
                continue;
            }
            self.take(person, limit, now);
            for alarm in &told {
                if let Some(open) = alarms.get(*alarm) {
                    let detail = format!("{person} is told in a summary of {}", told.len());
                    turn.record(&open.alarm, What::Folded, None, detail);
                }
            }
        }
        any
    }
}

/// Of an exercise, which may have ended in the same batch.
fn is_practice(alert: &Alert, alarms: &OpenAlarms) -> bool {
    alert.class == SignalClass::Test
        && alarms.get(alert.alarm).is_none_or(|open| open.alarm.exercise().is_some())
}

fn take(pages: &mut BTreeMap<String, VecDeque<Steady>>, person: &str, limit: PageLimit, now: Steady) {
    let sent = pages.entry(person.to_owned()).or_default();
    sent.push_back(now);
    while limit.pages < sent.len() {
        sent.pop_front();
    }
}

fn within(pages: &BTreeMap<String, VecDeque<Steady>>, person: &str, limit: PageLimit, now: Steady) -> usize {
    let sent = pages.get(person).into_iter().flatten().rev();
    sent.take_while(|at| now < **at + limit.within).count()
}
