//! One engine over the journal, and the alarms it raises on the way.
//!
//! People's deeds stand in the journal under the numbers that alarms had; under other rules alarms have other numbers. So a deed is done to the alarm of the same
//! rule, device and cell that is open here at that moment; when there is none, it is refused. Pure.

use std::collections::BTreeMap;

use crate::engine::{Applied, DEAF_FROM, Effect, Engine};
use crate::model::{
    Action, Alarm, AlarmId, Batch, CellIx, Deed, DeviceIx, Event, Report, SignalClass, Trigger, What, Worth,
};
use crate::units::{Now, Timestamp};

/// The number of no alarm: a deed on it is refused, and that somebody did something stays an event.
const NOBODY: AlarmId = AlarmId(0);

/// What makes two alarms of two runs the same thing.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Identity {
    pub rule: String,
    pub device: Option<DeviceIx>,
    pub cell: CellIx,
    pub late: bool,
    /// The words, of what stands behind no rule and no device.
    pub text: Option<String>,
}

impl Identity {
    pub fn of(alarm: &Alarm) -> Self {
        Self {
            rule: alarm.rule.clone(),
            device: alarm.device,
            cell: alarm.cell,
            late: alarm.late.is_some(),
            text: alarm.trigger.is_none().then(|| alarm.text.clone()).filter(|_| alarm.device.is_none()),
        }
    }
}

/// An alarm that was: what the store knows of it, as far as a replay and a proposal need it.
#[derive(Clone, Debug, PartialEq)]
pub struct Was {
    pub id: AlarmId,
    pub identity: Identity,
    pub class: SignalClass,
    pub raised: Timestamp,
    /// When the condition was over.
    pub returned: Option<Timestamp>,
    pub closed: Option<Timestamp>,
    /// The value that raised it.
    pub value: Option<f64>,
    pub worth: Worth,
}

impl Was {
    pub fn of(alarm: &Alarm) -> Self {
        Self {
            id: alarm.id,
            identity: Identity::of(alarm),
            class: alarm.class,
            raised: alarm.raised,
            returned: alarm.returned,
            closed: alarm.closed,
            value: alarm.trigger.as_ref().map(|trigger: &Trigger| trigger.value),
            worth: alarm.worth(),
        }
    }
}

/// An alarm that a run raised.
#[derive(Clone, Debug, PartialEq)]
pub struct Raised {
    pub identity: Identity,
    pub class: SignalClass,
    pub text: String,
    pub device: Option<String>,
    pub cell: String,
    pub at: Timestamp,
    pub closed: Option<Timestamp>,
}

pub struct Run {
    engine: Engine,
    /// What this device measured is left out; that it lives is not.
    without: Option<DeviceIx>,
    raised: Vec<Raised>,
    /// Open ones: their number here and their place in `raised`.
    open: BTreeMap<Identity, (AlarmId, usize)>,
}

impl Run {
    pub fn new(engine: Engine, without: Option<DeviceIx>) -> Self {
        Self { engine, without, raised: Vec::new(), open: BTreeMap::new() }
    }

    pub fn raised(&self) -> &[Raised] {
        &self.raised
    }

    pub fn engine(&mut self) -> &mut Engine {
        &mut self.engine
    }

    /// One batch of the journal; `known` are the alarms that were, by number.
    pub fn step(&mut self, batch: &Batch, known: &BTreeMap<AlarmId, Was>) -> Applied {
        // What is due at this very moment goes before a deed, as in the engine: it may be what the deed is done to.
        if batch.events.iter().any(|event| matches!(event, Event::Action(_))) {
            self.apply(&Batch { seq: batch.seq, now: batch.now, events: Vec::new() });
        }
        let events = batch.events.iter().map(|event| self.event(event, batch.now.wall, known));
        let batch = Batch { seq: batch.seq, now: batch.now, events: events.collect() };
        self.apply(&batch)
    }

    /// Wakes the engine as the driver would have, up to a moment at which the journal goes on. What is due shortly before that moment is left to it, as the engine itself
    /// takes a short delay for nothing.
    pub fn wake_until(&mut self, seq: u64, before: Now, next: Now) {
        while let Some(due) = self.engine.wake_at().filter(|due| DEAF_FROM < next.steady.since(*due)) {
            let now = Now { wall: before.wall + due.since(before.steady), steady: due.max(before.steady) };
            self.apply(&Batch { seq, now, events: Vec::new() });
        }
    }

    fn apply(&mut self, batch: &Batch) -> Applied {
        let applied = self.engine.apply(batch);
        for effect in &applied.effects {
            match effect {
                Effect::Alarm(alarm, entry) if entry.what == What::Raised => self.begins(alarm),
                Effect::Alarm(alarm, entry) if entry.what == What::Closed => {
                    let identity = Identity::of(alarm);
                    if let Some((_, at)) = self.open.remove(&identity) {
                        self.raised[at].closed = Some(entry.at);
                    }
                }
                Effect::Alarm(..) | Effect::Tell(_) | Effect::Withdraw(_) => (),
            }
        }
        applied
    }

    fn begins(&mut self, alarm: &Alarm) {
        let identity = Identity::of(alarm);
        self.open.insert(identity.clone(), (alarm.id, self.raised.len()));
        self.raised.push(Raised {
            identity,
            class: alarm.class,
            text: alarm.text.clone(),
            device: alarm.device_id.clone(),
            cell: alarm.cell_code.clone(),
            at: alarm.raised,
            closed: None,
        });
    }

    /// The event as it concerns this run.
    fn event(&self, event: &Event, now: Timestamp, known: &BTreeMap<AlarmId, Was>) -> Event {
        match event {
            Event::Report(report) if Some(report.device) == self.without => {
                Event::Report(Report { values: Vec::new(), ..report.clone() })
            }
            Event::Report(_) | Event::Gone { .. } => event.clone(),
            Event::Action(action) => {
                let mut action: Action = action.clone();
                if let Some(about) = about(&mut action.what) {
                    // It must have stood then: what was refused is not done now.
                    let stood =
                        |was: &&Was| was.raised <= now && was.closed.is_none_or(|closed| now <= closed);
                    let here = known.get(about).filter(stood).and_then(|was| self.open.get(&was.identity));
                    *about = here.map_or(NOBODY, |(id, _)| *id);
                }
                Event::Action(action)
            }
        }
    }
}

/// The alarm that a deed is done to.
fn about(deed: &mut Deed) -> Option<&mut AlarmId> {
    match deed {
        Deed::Acknowledge { alarm, .. }
        | Deed::Resolve { alarm, .. }
        | Deed::OnTheWay { alarm, .. }
        | Deed::OnSite { alarm, .. }
        | Deed::Verify { alarm, .. }
        | Deed::SendBack { alarm, .. }
        | Deed::Evaluate { alarm, .. }
        | Deed::HandOver { alarm, .. }
        | Deed::Suspend { alarm, .. }
        | Deed::Resume { alarm, .. }
        | Deed::Shelve { alarm, .. }
        | Deed::Unshelve { alarm, .. }
        | Deed::Nearest { alarm, .. }
        | Deed::EndMaintenance { alarm, .. } => Some(alarm),
        Deed::Raise { .. }
        | Deed::Drill { .. }
        | Deed::RollCall { .. }
        | Deed::Report { .. }
        | Deed::End { .. }
        | Deed::BeginMaintenance { .. }
        | Deed::Roster => None,
    }
}
