//! Two runs side by side: which alarms would come, go, be later or sooner. A fire that would be missed stands first.
//!
//! Two alarms are the same when they are of one rule, device and cell and were open at the same time. Left out is what people or their silence raise: it depends on
//! alarms, not on rules.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::run::{Identity, Raised, Was};
use crate::model::{SignalClass, Worth};
use crate::units::{Millis, Timestamp};

/// A shift of less is none: the driver's own pace.
const SHIFT_MIN: Millis = Millis(1_000);
/// Lines of each kind that are kept; the counts are of all.
pub const LINES_MAX: usize = 200;

/// Rules of the station itself that say something about people and not about what devices report.
const OF_PEOPLE: [&str; 5] = ["manual", "unanswered", "maintenance", "drill", "roll-call"];

/// From a moment up to, and without, another.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Span {
    pub from: Timestamp,
    pub to: Timestamp,
}

impl Span {
    pub fn has(&self, at: Timestamp) -> bool {
        self.from <= at && at < self.to
    }
}

/// One alarm that would be otherwise.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Line {
    pub rule: String,
    pub class: SignalClass,
    /// Id of the device; none for the failure of a cell or main.
    pub device: Option<String>,
    /// Code of the cell.
    pub cell: String,
    pub text: String,
    /// RFC 3339; when it is or would be raised first.
    #[schema(format = DateTime)]
    pub at: String,
    /// How much later or sooner, in milliseconds; 0 for what comes or goes.
    pub by_ms: u64,
    /// The alarm that was, such as A-17.
    pub alarm: Option<String>,
    pub worth: Worth,
}

/// What would be otherwise.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Difference {
    /// Alarms under the rules in force, and under the others.
    pub before: u32,
    pub after: u32,
    /// Raised both times at the same moment.
    pub same: u32,
    pub gone: u32,
    pub come: u32,
    pub later: u32,
    pub sooner: u32,
    /// Fires among those that would be gone or later. Anything but 0 is a reason to stop.
    pub fires_missed: u32,
    pub fires_later: u32,
    /// Alarms that were judged real and would be gone.
    pub real_gone: u32,
    /// Alarms for nothing (false, nuisance, a broken device) that would be gone.
    pub wolf_gone: u32,
    /// The worst first, not more than 200 of each kind.
    pub gone_lines: Vec<Line>,
    pub come_lines: Vec<Line>,
    pub later_lines: Vec<Line>,
    pub sooner_lines: Vec<Line>,
}

impl Difference {
    /// `before` and `after` are in the order in which they were raised; `were` is what the store has.
    pub fn of(before: &[Raised], after: &[Raised], were: &[Was], span: Span) -> Self {
        let (mut ones, others) = (by_identity(before), by_identity(after));
        let were = by_identity_of(were);
        let mut all = Self { before: count(before, span), after: count(after, span), ..Self::default() };
        let none = Vec::new();
        for (identity, theirs) in &others {
            let ours = ones.remove(identity).unwrap_or_default();
            all.compare(&ours, theirs, were.get(identity).unwrap_or(&none), span);
        }
        for (identity, ours) in ones {
            all.compare(&ours, &[], were.get(identity).unwrap_or(&none), span);
        }
        for lines in [&mut all.gone_lines, &mut all.come_lines, &mut all.later_lines, &mut all.sooner_lines] {
            lines.sort_by(|a, b| {
                (a.class, !a.worth.is_real(), &a.at).cmp(&(b.class, !b.worth.is_real(), &b.at))
            });
            lines.truncate(LINES_MAX);
        }
        all
    }

    /// Alarms of one identity: each is paired with the first of the other run that stood at the same time.
    fn compare(&mut self, ours: &[&Raised], theirs: &[&Raised], were: &[&Was], span: Span) {
        let mut free = theirs.iter().copied().peekable();
        for our in ours {
            while let Some(early) = free.next_if(|their| ended_before(their, our)) {
                self.comes(early, span);
            }
            match free.next_if(|their| !ended_before(our, their)) {
                Some(their) => self.pair(our, their, were, span),
                None => self.goes(our, were, span),
            }
        }
        free.for_each(|their| self.comes(their, span));
    }

    fn comes(&mut self, their: &Raised, span: Span) {
        if span.has(their.at) {
            self.come += 1;
            self.come_lines.push(line(their, their.at, Millis(0), &[]));
        }
    }

    fn goes(&mut self, our: &Raised, were: &[&Was], span: Span) {
        if !span.has(our.at) {
            return;
        }
        let line = line(our, our.at, Millis(0), were);
        self.gone += 1;
        self.fires_missed += u32::from(our.class == SignalClass::Fire);
        self.real_gone += u32::from(line.worth.is_real());
        self.wolf_gone += u32::from(line.worth.is_wolf());
        self.gone_lines.push(line);
    }

    fn pair(&mut self, our: &Raised, their: &Raised, were: &[&Was], span: Span) {
        if !span.has(our.at) {
            return;
        }
        let (later, sooner) = (their.at.since(our.at), our.at.since(their.at));
        if SHIFT_MIN < later {
            self.later += 1;
            self.fires_later += u32::from(our.class == SignalClass::Fire);
            self.later_lines.push(line(our, our.at, later, were));
        } else if SHIFT_MIN < sooner {
            self.sooner += 1;
            self.sooner_lines.push(line(our, our.at, sooner, were));
        } else {
            self.same += 1;
        }
    }

    /// Nothing at all would be otherwise.
    pub fn is_none(&self) -> bool {
        self.gone == 0 && self.come == 0 && self.later == 0 && self.sooner == 0
    }
}

fn counts(identity: &Identity) -> bool {
    !OF_PEOPLE.contains(&identity.rule.as_str())
}

fn count(raised: &[Raised], span: Span) -> u32 {
    let inside = raised.iter().filter(|one| counts(&one.identity) && span.has(one.at)).count();
    u32::try_from(inside).unwrap_or(u32::MAX)
}

fn by_identity(raised: &[Raised]) -> BTreeMap<&Identity, Vec<&Raised>> {
    let mut found: BTreeMap<&Identity, Vec<&Raised>> = BTreeMap::new();
    for one in raised.iter().filter(|one| counts(&one.identity)) {
        found.entry(&one.identity).or_default().push(one);
    }
    found
}

fn by_identity_of(were: &[Was]) -> BTreeMap<&Identity, Vec<&Was>> {
    let mut found: BTreeMap<&Identity, Vec<&Was>> = BTreeMap::new();
    for was in were {
        found.entry(&was.identity).or_default().push(was);
    }
    found
}

fn ended_before(one: &Raised, other: &Raised) -> bool {
    end(one.at, one.closed) < other.at
}

/// Until when it stood. A clock that was set back meanwhile does not end what had not begun.
fn end(raised: Timestamp, closed: Option<Timestamp>) -> Timestamp {
    closed.map_or(Timestamp(i64::MAX), |closed| closed.max(raised))
}

fn line(raised: &Raised, at: Timestamp, by: Millis, were: &[&Was]) -> Line {
    let was = were
        .iter()
        .find(|was| was.raised <= end(raised.at, raised.closed) && raised.at <= end(was.raised, was.closed));
    Line {
        rule: raised.identity.rule.clone(),
        class: raised.class,
        device: raised.device.clone(),
        cell: raised.cell.clone(),
        text: raised.text.clone(),
        at: at.rfc3339(),
        by_ms: by.0,
        alarm: was.map(|was| was.id.to_string()),
        worth: was.map_or(Worth::Unsaid, |was| was.worth),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{AlarmId, CellIx, DeviceIx};

    fn raised(class: SignalClass, device: u32, at: i64, closed: Option<i64>) -> Raised {
        let identity = Identity {
            rule: "low".into(),
            device: Some(DeviceIx(device)),
            cell: CellIx(1),
            late: false,
            text: None,
        };
        Raised {
            identity,
            class,
            text: "low".into(),
            device: Some(format!("D-{device}")),
            cell: "c".into(),
            at: Timestamp(at * 1000),
            closed: closed.map(|at| Timestamp(at * 1000)),
        }
    }

    fn was(raised: &Raised, worth: Worth) -> Was {
        Was {
            id: AlarmId(7),
            identity: raised.identity.clone(),
            class: raised.class,
            raised: raised.at,
            returned: raised.closed,
            closed: raised.closed,
            value: None,
            worth,
        }
    }

    const ALL: Span = Span { from: Timestamp(0), to: Timestamp(1_000_000) };

    /// gone, come, later, sooner, same
    fn numbers(difference: &Difference) -> [u32; 5] {
        let Difference { gone, come, later, sooner, same, .. } = difference;
        [*gone, *come, *later, *sooner, *same]
    }

    #[test]
    fn alarms_are_paired_when_they_stood_at_the_same_time() {
        let one = |at, closed| raised(SignalClass::Trouble, 1, at, closed);
        for (before, after, expected) in [
            (vec![one(10, Some(20))], vec![one(10, Some(20))], [0, 0, 0, 0, 1]),
            (vec![one(10, Some(20))], vec![], [1, 0, 0, 0, 0]),
            (vec![], vec![one(10, Some(20))], [0, 1, 0, 0, 0]),
            (vec![one(10, Some(40))], vec![one(15, Some(40))], [0, 0, 1, 0, 0]),
            (vec![one(10, Some(40))], vec![one(5, Some(40))], [0, 0, 0, 1, 0]),
            (vec![one(10, Some(20))], vec![one(30, Some(40))], [1, 1, 0, 0, 0]),
            (vec![one(10, Some(20)), one(30, Some(40))], vec![one(30, Some(40))], [1, 0, 0, 0, 1]),
            // One long alarm becomes three short ones, and back.
            (
                vec![one(10, Some(90))],
                vec![one(10, Some(20)), one(30, Some(40)), one(50, None)],
                [0, 2, 0, 0, 1],
            ),
            (vec![one(10, Some(20)), one(30, Some(40)), one(50, None)], vec![one(10, None)], [2, 0, 0, 0, 1]),
            // The clock was set back between its beginning and its end.
            (vec![one(30, Some(20))], vec![one(30, Some(20))], [0, 0, 0, 0, 1]),
            // The other device's does not count.
            (vec![one(10, None)], vec![raised(SignalClass::Trouble, 2, 10, None)], [1, 1, 0, 0, 0]),
        ] {
            assert_eq!(numbers(&Difference::of(&before, &after, &[], ALL)), expected, "{before:?} {after:?}");
        }
    }

    #[test]
    fn a_fire_that_goes_is_counted_apart_and_stands_first() {
        let trouble = raised(SignalClass::Trouble, 1, 10, Some(20));
        let fire = raised(SignalClass::Fire, 2, 500, Some(600));
        let difference =
            Difference::of(&[trouble.clone(), fire.clone()], &[], &[was(&fire, Worth::Real)], ALL);
        assert_eq!((difference.gone, difference.fires_missed, difference.real_gone), (2, 1, 1));
        assert_eq!(difference.gone_lines[0].class, SignalClass::Fire);
        assert_eq!(difference.gone_lines[0].alarm.as_deref(), Some("A-7"));
        let later = raised(SignalClass::Fire, 2, 505, Some(600));
        let difference = Difference::of(&[trouble.clone(), fire], &[trouble, later], &[], ALL);
        assert_eq!((difference.fires_missed, difference.fires_later, difference.same), (0, 1, 1));
        assert_eq!(difference.later_lines[0].by_ms, 5_000);
    }

    #[test]
    fn what_lies_outside_the_time_and_what_people_raise_is_left_out() {
        let outside = raised(SignalClass::Trouble, 1, 2_000, None);
        let mut manual = raised(SignalClass::Fire, 1, 10, None);
        manual.identity.rule = "manual".into();
        assert!(Difference::of(&[outside, manual], &[], &[], ALL).is_none());
    }
}
