//! The engine: told what happened and when, it says what must be stored and who must be told.
//!
//! Pure: no clock, no I/O, no logging, no random numbers. [`Engine::apply`] is a function of the engine's state, the registry, the rules and one
//! [`Batch`]; replaying the journal from a snapshot therefore gives the same state and the same alarms, which is how a restart
//! works. What the engine knows is saved as one snapshot from time to time, not row by row.
//!
//! A message costs the same with ten devices as with 400,000: presence is a dense table, rules are found by (profile, metric),
//! and only conditions that are not normal are kept.

mod act;
mod alarm;
pub mod backoff;
pub mod behaviour;
mod condition;
mod deeds;
mod due;
mod exercise;
mod failure;
mod flood;
mod freshness;
mod hold;
pub mod hourly;
mod incident;
mod ladder;
mod nearest;
mod open;
mod owner;
mod presence;
mod rate;
pub mod rate_limit;
mod reconfigure;
mod record;
pub mod repetition;
mod review;
pub mod rules;
mod salvage;
mod snapshot;
mod stillness;
mod text;
pub mod timeline;
pub mod watch;

#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::sync::Arc;

use condition::{Change, Condition, Conditions, Place, Verdict};
use freshness::Weight;
pub use nearest::WhoIsNearest;
pub use open::MAINTENANCE;
use open::{Key, New, OpenAlarms};
use presence::{Presence, Silence};
pub use review::judge_closed;
use rules::{Basis, RuleBook, RuleIx};
use stillness::Flats;
use watch::{Outcome, Sighted, Watch};

use crate::ahead::reporters;
use crate::grid::Registry;
use crate::model::{
    Alarm, AlarmId, Alert, Batch, DeviceIx, Entry, Event, Late, Metric, Quality, ReadingId, Report,
    SignalClass, Trigger, Value,
};
use crate::units::{Millis, Now, Steady, Timestamp};

/// What must be stored, in order, in the same transaction as the batch that caused it.
#[derive(Clone, Debug, PartialEq)]
pub enum Effect {
    /// The alarm as it is now, and the line that this change adds to its history.
    Alarm(Box<Alarm>, Entry),
    /// One row for the outbox.
    Tell(Alert),
    /// Alerts about this alarm that have not been sent are no longer wanted, because somebody answered.
    Withdraw(AlarmId),
}

/// What became of an [`crate::model::Action`]: the alarm it was about; the newest one for an action that is about none.
pub type Answer = Result<AlarmId, Refusal>;

/// One variant per thing the person would do something different about.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    #[error("there is no open alarm {0}; it may have been closed")]
    NoSuchAlarm(AlarmId),
    #[error("alarm {0} was already acknowledged by {1}")]
    AlreadyAcknowledged(AlarmId, String),
    #[error("alarm {0} must be acknowledged first")]
    NotAcknowledged(AlarmId),
    #[error("alarm {0} was already resolved by {1}")]
    AlreadyResolved(AlarmId, String),
    #[error("nothing is raised with these words")]
    NotRaised,
    #[error("{1} has said before that he is {2}, for alarm {0}")]
    AlreadySaid(AlarmId, String, &'static str),
    #[error("alarm {0} must be resolved first")]
    NotResolved(AlarmId),
    #[error("alarm {0} was already verified by {1}")]
    AlreadyVerified(AlarmId, String),
    #[error("{1} had a hand in alarm {0}; somebody else must look at it")]
    OwnWork(AlarmId, String),
    #[error("alarm {0} cannot be handed over: {1}")]
    NobodyThere(AlarmId, String),
    #[error("alarm {0} belongs to {1} already")]
    AlreadyTheirs(AlarmId, String),
    #[error("alarm {0} is a fire, and a fire is not put off")]
    Fire(AlarmId),
    #[error("the end must lie ahead, by {} hours at most", .0.0 / 3_600_000)]
    BadUntil(Millis),
    #[error("alarm {0} is not {1}")]
    NotHeld(AlarmId, &'static str),
    #[error("{0} is a time out of service; it can only be ended")]
    IsMaintenance(AlarmId),
    #[error("there is no time out of service {0}; it may be over")]
    NoMaintenance(AlarmId),
    #[error("it is out of service already: {0}")]
    AlreadyOutOfService(AlarmId),
    #[error("there is a drill already, or one above or below: {0}")]
    DrillGoesOn(AlarmId),
    #[error("{0} is real and calls people there")]
    RealAlarm(AlarmId),
    #[error("rules.toml has no ladder for {0}")]
    NoLadder(&'static str),
    #[error("none of these people can be asked: they have left, or are being asked already")]
    NobodyToAsk,
}

/// What one batch led to.
#[derive(Debug, Default, PartialEq)]
pub struct Applied {
    pub effects: Vec<Effect>,
    /// For each event that was an action, its place in the batch and what became of it.
    pub answers: Vec<(usize, Answer)>,
    /// The batch had no events and changed nothing: it may be left out of the journal, and its number given to the next.
    pub idle: bool,
}

/// Whether a device is heard of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Seen {
    pub last: Option<Timestamp>,
    /// `None` while it has not been heard yet and its time has not run out.
    pub online: Option<bool>,
}

#[derive(Debug, thiserror::Error)]
pub enum SnapshotError {
    #[error("the engine snapshot is of version {0}, which this gateway does not know")]
    Version(u8),
    #[error("the engine snapshot is damaged")]
    Damaged(#[from] postcard::Error),
    #[error("the engine snapshot is damaged: {0}")]
    Nonsense(&'static str),
}

/// When the engine is woken later than it asked by more than this, the gateway was not running, and heard nobody.
pub const DEAF_FROM: Millis = Millis::from_secs(5);

/// What every rule knows of the newest late fire of one device: it must not be raised twice.
#[derive(Clone, Copy, Debug, Default, PartialEq, serde::Serialize, serde::Deserialize)]
struct FireMark {
    /// Newest device time at which this fire was reported, late or live.
    time: Option<Timestamp>,
    /// Reported, late or live, since the last live report that had the flag clear.
    since_clear: bool,
}

pub struct Engine {
    registry: Arc<Registry>,
    rules: Arc<RuleBook>,
    now: Now,
    /// When the last batch came that was not idle.
    busy: Steady,
    presence: Presence,
    conditions: Conditions,
    rates: BTreeMap<Place, rate::Window>,
    fires: BTreeMap<Place, FireMark>,
    alarms: OpenAlarms,
    pages: flood::Pages,
    flats: Flats,
    watch: Option<Box<Watch>>,
}

/// What the clock does next. At the same moment in this order.
enum Due {
    Silence(DeviceIx),
    Condition(Place),
    Step(AlarmId),
    Calm(Place),
}

/// What one call works with, and what it led to so far.
struct Turn<'a> {
    registry: &'a Registry,
    rules: &'a RuleBook,
    now: Now,
    effects: Vec<Effect>,
    /// Put by steps of ladders.
    questions: Vec<nearest::Question>,
    watch: Option<Box<Watch>>,
}

impl Engine {
    /// An engine that knows nothing yet; presence of every registered device is armed from `now`.
    pub fn new(registry: Arc<Registry>, rules: Arc<RuleBook>, now: Now) -> Self {
        let mut engine = Self {
            registry,
            rules,
            now,
            busy: now.steady,
            presence: Presence::default(),
            conditions: Conditions::default(),
            rates: BTreeMap::new(),
            fires: BTreeMap::new(),
            alarms: OpenAlarms::default(),
            pages: flood::Pages::default(),
            flats: Flats::default(),
            watch: None,
        };
        engine.arm_new_devices();
        engine.arm_new_flats();
        engine
    }

    /// All behaviour starts here: first what the clock makes due, in order, then the events, in order.
    pub fn apply(&mut self, batch: &Batch) -> Applied {
        let (registry, rules) = (self.registry.clone(), self.rules.clone());
        let now = Now { wall: batch.now.wall, steady: batch.now.steady.max(self.now.steady) };
        let watch = self.watch.take();
        let mut turn = Turn {
            registry: &registry,
            rules: &rules,
            now,
            effects: Vec::new(),
            questions: Vec::new(),
            watch,
        };
        let forgave = self.forgive_own_absence(now.steady);
        let before = std::mem::replace(&mut self.now, now);
        let matured = self.advance(&mut turn);
        let devices = reporters(&batch.events);
        self.presence.look_ahead(&devices);
        rules.look_ahead(&devices);
        let mut answers = Vec::new();
        for (at, event) in batch.events.iter().enumerate() {
            match event {
                Event::Report(report) => self.report(&mut turn, report, (batch.seq, at as u32)),
                Event::Gone { device, since, received: _ } => {
                    self.presence.gone(*device, *since, now.steady, rules.gone_after_s(*device));
                }
                Event::Action(action) => answers.push((at, self.act(&mut turn, action))),
            }
        }
        self.advance(&mut turn); // What the events made due at once.
        self.alarms.ask(std::mem::take(&mut turn.questions));
        let folded = self.pages.pass(&mut turn, &self.alarms);
        let idle = batch.events.is_empty() && !matured && !forgave && !folded;
        self.watch = turn.watch;
        if idle {
            // It is not in the journal: a snapshot must not be of a later moment than the clock knows after a restart without a date.
            self.now = before;
        } else {
            self.busy = now.steady;
        }
        Applied { effects: turn.effects, answers, idle }
    }

    /// When to call [`Engine::apply`] with a batch without events, if nothing else happens before. Never in the past of the last batch;
    /// sometimes early, and then that batch is idle.
    pub fn wake_at(&self) -> Option<Steady> {
        let condition = self.conditions.next_due().map(|(at, _)| at);
        let step = self.alarms.next_due().map(|(at, _)| at);
        let summary = self.pages.next_due(self.rules.page_limit());
        let calm = self.flats.next_due().map(|(at, _)| at);
        [self.presence.wake_at(), condition, step, summary, calm].into_iter().flatten().min()
    }

    /// Open alarms, oldest first.
    pub fn open_alarms(&self) -> impl DoubleEndedIterator<Item = &Alarm> {
        self.alarms.iter().map(|open| &open.alarm)
    }

    pub fn rules(&self) -> &RuleBook {
        &self.rules
    }

    /// The moment of the newest batch.
    pub fn last(&self) -> Steady {
        self.now.steady
    }

    /// The gateway heard nobody from `since` until `now`, because it did not run or the box slept: that is nobody's silence, also not when it would
    /// have been due a little later. No time passed for what waits on further values; alarms go on up their ladders.
    ///
    /// The journal does not tell this to a replay, so a snapshot must be stored before anything else is.
    pub fn was_away(&mut self, since: Steady, now: Now) {
        self.put_off(now.steady.since(since));
        self.now = Now { wall: now.wall, steady: now.steady.max(self.now.steady) };
        self.busy = self.now.steady;
    }

    /// Whether something was due so long ago that the gateway cannot have been running since.
    pub fn finds_itself_away(&mut self, now: Steady) -> bool {
        self.next_due(now).is_some_and(|(at, _)| DEAF_FROM < now.since(at))
    }

    /// Devices with an open alarm because they say too much.
    pub fn loud_devices(&self) -> Vec<DeviceIx> {
        let loud = self.open_alarms().filter(|alarm| {
            alarm.trigger.as_ref().is_some_and(|trigger| trigger.metric == Metric::MESSAGES_PER_MINUTE)
        });
        loud.filter_map(|alarm| alarm.device).collect()
    }

    pub fn seen(&self, device: DeviceIx) -> Seen {
        self.presence.row(device).map_or(Seen { last: None, online: None }, |known| known.seen())
    }

    /// When something was due long ago, the gateway itself was away: nobody is blamed for what it could not hear. Alarms that stand go
    /// on up their ladders all the same.
    fn forgive_own_absence(&mut self, now: Steady) -> bool {
        let absent = self.finds_itself_away(now);
        if absent {
            self.put_off(now.since(self.busy)); // Not since `self.now`: an idle batch need not be in the journal.
        }
        absent
    }

    /// For so long nobody was heard: no time passed for whatever waits to hear something.
    fn put_off(&mut self, deaf: Millis) {
        self.presence.put_off(deaf);
        self.conditions.put_off(deaf);
        self.flats.put_off(deaf);
    }

    /// What is due first, if anything is by now.
    fn next_due(&mut self, now: Steady) -> Option<(Steady, Due)> {
        let silence = self.presence.next_due(now).map(|(at, device)| (at, Due::Silence(device)));
        let condition = self.conditions.next_due().map(|(at, place)| (at, Due::Condition(place)));
        let step = self.alarms.next_due().map(|(at, alarm)| (at, Due::Step(alarm)));
        let calm = self.flats.next_due().map(|(at, place)| (at, Due::Calm(place)));
        let first = [silence, condition, step, calm].into_iter().flatten().min_by_key(|(at, _)| *at);
        first.filter(|(at, _)| *at <= now)
    }

    /// Everything that is due, oldest first. `true` when something was, even if nobody can see what came of it: a replay that does not
    /// come by at this moment would find it overdue, and believe that the gateway had been away.
    fn advance(&mut self, turn: &mut Turn<'_>) -> bool {
        let now = turn.now.steady;
        let mut matured = false;
        while let Some((_, due)) = self.next_due(now) {
            matured = true;
            match due {
                Due::Silence(device) => self.fall_silent(turn, device),
                Due::Condition(place) => self.ripen(turn, place),
                Due::Step(alarm) => self.alarms.ripen(turn, alarm),
                Due::Calm(place) => self.nobody_there(turn, place),
            }
        }
        matured
    }

    /// The time of a condition has come.
    fn ripen(&mut self, turn: &mut Turn<'_>, place: Place) {
        let Some(state) = self.conditions.take(place) else { return };
        let (state, change) = state.ripened(turn.rules.rule(place.1), turn.now.steady);
        self.conditions.put(place, state);
        if let Some(outcome) = self.follow(turn, place, change) {
            turn.see_time(place.0, Some(place.1), outcome);
        }
    }

    fn fall_silent(&mut self, turn: &mut Turn<'_>, device: DeviceIx) {
        self.presence.fell_silent(device);
        for alarm in self.alarms.resolved_of(device) {
            self.alarms.returned(turn, alarm, "resolved, and the device is silent");
        }
        let rule = turn.rules.presence(device);
        let outcome = match rule {
            Some(rule) => self.judge(turn, (device, rule), Verdict::Abnormal, None),
            None => Outcome::SilentUnwatched,
        };
        turn.see_time(device, rule, outcome);
    }

    fn report(&mut self, turn: &mut Turn<'_>, report: &Report, (seq, event): (u64, u32)) {
        let device = report.device;
        let Some(known) = self.presence.row_mut(device) else { return };
        let weight = freshness::weigh(report, known.newest_device_time(), turn.rules.live_within());
        if weight == Weight::Live {
            known.note_clear_flags(report);
        }
        if freshness::proves_life(report.freshness) {
            known.device_time = known.device_time.max(report.device_time.map_or(i64::MIN, |time| time.0));
            let silent_after_s = turn.rules.silent_after_s(device);
            let before = self.presence.heard(device, report.received, turn.now.steady, silent_after_s);
            if before == Silence::Yes
                && let Some(rule) = turn.rules.presence(device)
            {
                self.judge(turn, (device, rule), Verdict::Normal, None);
            }
        }
        if report.values.is_empty() {
            turn.see(device, || Sighted::SignOfLife { freshness: report.freshness });
        }
        let rules = turn.rules;
        let saw = |value: &Value, rule: Option<RuleIx>, outcome| Sighted::Value {
            metric: value.metric,
            value: value.value,
            quality: value.quality,
            freshness: report.freshness,
            device_time: report.device_time,
            rule: rule.map(|rule| rules.rule(rule).name.clone()),
            outcome,
        };
        if weight == Weight::Repetition {
            for value in &report.values {
                turn.see(device, || saw(value, None, Outcome::Repetition));
            }
            return;
        }
        if weight == Weight::Live {
            self.somebody_there(turn, report);
        }
        let tested = || report.values.iter().any(|value| value.metric == Metric::TEST && value.value != 0.0);
        for (at, value) in report.values.iter().enumerate() {
            let watching = rules.watching(device, value.metric);
            if watching.is_empty() {
                turn.see(device, || saw(value, None, Outcome::NoRule));
            }
            for &rule in watching {
                let trigger = || Trigger {
                    reading: ReadingId { seq, event, value: at as u32 },
                    metric: value.metric,
                    value: value.value,
                    device_time: report.device_time,
                    received: report.received,
                    freshness: report.freshness,
                };
                let outcome = self.value(turn, (device, rule), value, weight, trigger, &tested);
                turn.see(device, || saw(value, Some(rule), outcome));
            }
        }
    }

    /// One value under one rule.
    fn value(
        &mut self,
        turn: &mut Turn<'_>,
        place: Place,
        value: &Value,
        weight: Weight,
        trigger: impl Fn() -> Trigger,
        tested: &impl Fn() -> bool,
    ) -> Outcome {
        let Some(verdict) = self.verdict(turn, place, value, weight) else {
            return Outcome::unjudged(weight);
        };
        let fire = is_fire_flag(turn, place.1);
        if fire && verdict == Verdict::Abnormal && tested() {
            return Outcome::TestPress; // It does not page as fire; a rule for the flag `test` records it.
        }
        match weight {
            Weight::Live => {
                let trigger = trigger();
                if fire {
                    self.mark_fire(turn, place, verdict, trigger.device_time);
                }
                let trigger = (verdict == Verdict::Abnormal).then_some(trigger);
                self.judge(turn, place, verdict, trigger)
            }
            Weight::Late { age } if fire && verdict == Verdict::Abnormal => {
                self.late_fire(turn, place, age, trigger())
            }
            Weight::Late { .. } | Weight::Repetition => Outcome::TooOld,
        }
    }

    /// What a value says under a rule; `None` when it must not be judged. Of bad quality, only a fire counts.
    fn verdict(&mut self, turn: &Turn<'_>, place: Place, value: &Value, weight: Weight) -> Option<Verdict> {
        let rule = turn.rules.rule(place.1);
        let verdict = match rule.basis {
            Basis::Rate { rising, by, within, .. } => {
                if weight != Weight::Live || value.quality == Quality::Bad {
                    return None;
                }
                let window = self.rates.entry(place).or_default();
                window.take(value.value, rising, by, within, turn.now.steady)
            }
            Basis::State { .. }
            | Basis::Threshold { .. }
            | Basis::Presence { .. }
            | Basis::Stillness { .. } => rule.basis.verdict(value.value)?,
        };
        let counts =
            value.quality != Quality::Bad || (verdict == Verdict::Abnormal && is_fire_flag(turn, place.1));
        counts.then_some(verdict)
    }

    fn judge(
        &mut self,
        turn: &mut Turn<'_>,
        place: Place,
        verdict: Verdict,
        trigger: Option<Trigger>,
    ) -> Outcome {
        if verdict != Verdict::Abnormal && self.conditions.get(place).is_none() {
            return Outcome::of_nothing(false, None, verdict, turn.now.steady);
        }
        let rule = turn.rules.rule(place.1);
        let state = self.conditions.take(place);
        let had = state.is_some();
        let (state, change) = Condition::judged(state, rule, verdict, trigger, turn.now.steady);
        let unchanged = Outcome::of_nothing(had, state.as_ref(), verdict, turn.now.steady);
        self.conditions.put(place, state);
        self.follow(turn, place, change).unwrap_or(unchanged)
    }

    /// What a change of a condition means for its alarm; `None`: nothing has changed.
    fn follow(&mut self, turn: &mut Turn<'_>, place: Place, change: Change) -> Option<Outcome> {
        let open = self.alarms.find(Key { device: place.0, rule: place.1, late: false });
        let latched = turn.rules.rule(place.1).basis.quiet().is_some();
        Some(match (change, open) {
            (Change::Nothing, _) => return None,
            (Change::Began(_), Some(alarm)) if latched => {
                self.alarms.again(turn, alarm, "a new episode after quiet");
                Outcome::Stands
            }
            (Change::Began(_), Some(alarm)) => {
                self.alarms.again(turn, alarm, "");
                Outcome::Stands
            }
            (Change::Repeated(_), Some(alarm)) => {
                self.alarms.repeated(turn, alarm);
                Outcome::Stands
            }
            // Somebody resolved it while the detector stays latched: still the same episode.
            (Change::Repeated(_), None) if latched => Outcome::SameEpisode,
            // For a repeated one: resolved while the device was silent; it is back and still reports it.
            (Change::Began(trigger) | Change::Repeated(trigger), None) => {
                self.raise(turn, place, None, trigger);
                Outcome::Raised
            }
            (Change::Ended, open) => {
                if let Some(alarm) = open {
                    self.alarms.returned(turn, alarm, if latched { "quiet" } else { "" });
                }
                Outcome::Ended
            }
        })
    }

    fn raise(&mut self, turn: &mut Turn<'_>, place: Place, late: Option<Late>, trigger: Option<Trigger>) {
        let (device, ix) = place;
        let rule = turn.rules.rule(ix);
        let value = text::value(rule, trigger.as_ref(), turn.rules.silent_after_s(device));
        let text = text::line(rule, turn.registry.device(device), turn.registry, &value, late);
        let new = New {
            rule: rule.name.clone(),
            class: rule.class,
            text,
            cell: turn.registry.home(device).unwrap_or(open::NOWHERE),
            device: Some(device),
            late,
            trigger,
            ladder: rule.ladder,
            who: None,
        };
        self.alarms.raise(turn, Some(Key { device, rule: ix, late: late.is_some() }), new);
    }

    /// Remembers what late reports of this fire are compared with; a live clear is also the end of a late fire.
    fn mark_fire(&mut self, turn: &mut Turn<'_>, place: Place, verdict: Verdict, time: Option<Timestamp>) {
        match verdict {
            Verdict::Abnormal => {
                let mark = self.fires.entry(place).or_default();
                *mark = FireMark { time: mark.time.max(time), since_clear: true };
            }
            Verdict::Between => (),
            Verdict::Normal => {
                let Some(mark) = self.fires.get_mut(&place) else { return };
                mark.since_clear = false;
                if mark.time.is_none() {
                    self.fires.remove(&place);
                }
                if let Some(late) = self.alarms.find(Key { device: place.0, rule: place.1, late: true }) {
                    self.alarms.returned(turn, late, "");
                }
            }
        }
    }

    /// A fire flag in a late report; the table in `freshness.rs` line by line.
    fn late_fire(
        &mut self,
        turn: &mut Turn<'_>,
        place: Place,
        age: Option<Millis>,
        trigger: Trigger,
    ) -> Outcome {
        if self.conditions.get(place).is_some() {
            return Outcome::Stands;
        }
        let mark = self.fires.get(&place).copied().unwrap_or_default();
        let newer = match trigger.device_time {
            Some(time) => {
                let known = self.presence.row(place.0);
                mark.time < Some(time)
                    && !known.is_some_and(|known| known.cleared_since(trigger.metric, time))
            }
            None => !mark.since_clear,
        };
        let open = self.alarms.find(Key { device: place.0, rule: place.1, late: true });
        if newer || open.is_some() {
            let time = mark.time.max(trigger.device_time);
            self.fires.insert(place, FireMark { time, since_clear: true });
        }
        match open {
            Some(alarm) if newer => self.alarms.again(turn, alarm, "reported again, late"),
            Some(alarm) => self.alarms.repeated(turn, alarm),
            None if newer => {
                self.raise(turn, place, Some(Late { age }), Some(trigger));
                return Outcome::Raised;
            }
            None => return Outcome::LateAndKnown,
        }
        Outcome::Stands
    }
}

/// Whether the rule makes a fire of a flag, whatever its quality and however late.
fn is_fire_flag(turn: &Turn<'_>, rule: RuleIx) -> bool {
    let rule = turn.rules.rule(rule);
    rule.class == SignalClass::Fire && matches!(rule.basis, Basis::State { .. })
}
