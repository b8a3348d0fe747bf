//! Whose turn it is on a line, so that a dead unit costs the live ones nothing.
//!
//! Pure: time comes in as `now`. At the start every unit is asked once, briefly. From then on the live units come first in every cycle; the
//! dead are probed in what is left of it. A line so busy that
//! nothing is left spends at most [`PROBE_SHARE`] of its time on probes. A unit that wants a pause before its next request does not hold
//! up the others.

use std::time::{Duration, Instant};

use super::circuit::Circuit;

/// Part of the line's time that probes may take from live units when the cycle leaves no room.
const PROBE_SHARE: f64 = 0.04;
/// A probe so long overdue may use that part.
const OVERDUE_MAX: Duration = Duration::from_secs(5);
/// Kept free before a cycle begins.
const MARGIN: Duration = Duration::from_millis(5);

/// One unit as the schedule sees it.
#[derive(Clone, Debug)]
pub struct Slot {
    pub circuit: Circuit,
    /// It still has something to be asked: the rest of this cycle's poll, or of the first one after it answered a probe.
    pub pending: bool,
    /// Not to be asked before.
    pub ready_at: Instant,
    /// Something it was asked may still be answered: ask first what only a fresh answer fits.
    pub in_doubt: bool,
}

impl Slot {
    pub fn new(now: Instant) -> Self {
        Self { circuit: Circuit::new(now), pending: false, ready_at: now, in_doubt: true }
    }
}

#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Turn {
    /// Ask the next read of this unit's poll, and wait so long.
    Read(usize, Duration),
    /// Ask this unit, which is out of the cycle, and wait so long.
    Probe(usize, Duration),
    /// Nobody wants anything before.
    WaitUntil(Instant),
}

/// What probes may still take from the live units.
#[derive(Clone, Copy, Debug)]
pub struct Budget {
    left: Duration,
    refilled: Instant,
}

impl Budget {
    pub fn new(now: Instant) -> Self {
        Self { left: Duration::ZERO, refilled: now }
    }

    /// With all that it may ever hold.
    pub fn full(now: Instant) -> Self {
        Self { left: Duration::MAX, refilled: now }
    }

    pub fn spend(&mut self, spent: Duration) {
        self.left = self.left.saturating_sub(spent);
    }

    fn refill(&mut self, now: Instant, most: Duration) {
        let earned = now.saturating_duration_since(self.refilled).mul_f64(PROBE_SHARE);
        self.left = self.left.saturating_add(earned).min(most);
        self.refilled = now;
    }
}

/// `cycle_at` is when the next cycle begins, `patience` the full time-out, `cost` what an unanswered request of some patience costs the line.
pub fn turn(
    slots: &[Slot],
    now: Instant,
    cycle_at: Instant,
    patience: Duration,
    cost: impl Fn(Duration) -> Duration,
    budget: &mut Budget,
) -> Turn {
    budget.refill(now, cost(patience));
    let view = View::of(slots, now);
    let due = view.probe.filter(|(due, _)| *due <= now);
    let probe_patience = |at: usize| slots[at].circuit.probe_patience(patience, view.slowest);
    if let Some((since, at)) = due {
        let (least, wanted) = probe_patience(at);
        if slots[at].circuit.is_new() {
            return Turn::Probe(at, least);
        }
        if OVERDUE_MAX <= now.duration_since(since)
            && let Some(fitting) = longest_within(budget.left, least, wanted, &cost)
        {
            budget.left = budget.left.saturating_sub(cost(fitting));
            return Turn::Probe(at, fitting);
        }
    }
    if let Some(at) = view.ready {
        return Turn::Read(at, slots[at].circuit.poll_patience(patience));
    }
    let busy_at = view.next_read.map_or(cycle_at, |at| at.min(cycle_at));
    if let Some((_, at)) = due {
        let (least, wanted) = probe_patience(at);
        if !view.anyone_live {
            return Turn::Probe(at, wanted);
        }
        let room = busy_at.saturating_duration_since(now).saturating_sub(MARGIN);
        if let Some(fitting) = longest_within(room, least, wanted, &cost) {
            return Turn::Probe(at, fitting);
        }
    }
    let next_probe = view.probe.map(|(due, _)| due).filter(|due| now < *due);
    Turn::WaitUntil(next_probe.map_or(busy_at, |due| due.min(busy_at)))
}

/// How long to wait for the answer to a person's question now; `None`: there is no room for it. It stands back behind whatever `turn` has to do, but for its own share of a line that is
/// never idle.
pub fn question(
    turn: Turn,
    now: Instant,
    least: Duration,
    patience: Duration,
    cost: impl Fn(Duration) -> Duration,
    budget: &mut Budget,
) -> Option<Duration> {
    budget.refill(now, cost(patience));
    let room = match turn {
        Turn::WaitUntil(until) => {
            until.saturating_duration_since(now).saturating_sub(MARGIN).max(budget.left)
        }
        Turn::Read(..) | Turn::Probe(..) => budget.left,
    };
    longest_within(room, least, patience, &cost)
}

/// What one look over all units finds.
#[derive(Default)]
struct View {
    anyone_live: bool,
    /// The first unit that may be read now.
    ready: Option<usize>,
    /// When the first of those that are waiting out a pause may be read.
    next_read: Option<Instant>,
    /// The unit that is to be probed first, and when.
    probe: Option<(Instant, usize)>,
    /// How long the slowest unit that was ever heard took.
    slowest: Option<Duration>,
}

impl View {
    fn of(slots: &[Slot], now: Instant) -> Self {
        let mut view = Self::default();
        for (at, slot) in slots.iter().enumerate() {
            view.anyone_live |= slot.circuit.is_polled();
            view.slowest = view.slowest.max(slot.circuit.slowest());
            if slot.pending && slot.ready_at <= now {
                view.ready = view.ready.or(Some(at));
            } else if slot.pending {
                view.next_read = Some(view.next_read.map_or(slot.ready_at, |next| next.min(slot.ready_at)));
            } else if let Some(due) = slot.circuit.probe_due() {
                let probe = (due.max(slot.ready_at), at);
                view.probe = Some(view.probe.map_or(probe, |first| first.min(probe)));
            }
        }
        view
    }
}

/// The longest patience from `least` to `wanted` whose cost fits into `room`.
fn longest_within(
    room: Duration,
    least: Duration,
    wanted: Duration,
    cost: &impl Fn(Duration) -> Duration,
) -> Option<Duration> {
    if cost(wanted) <= room {
        return Some(wanted);
    }
    // The cost grows with the patience at most twofold, on top of a fixed part.
    let fixed = cost(Duration::ZERO);
    let slope = if cost(wanted) <= fixed + wanted { 1 } else { 2 };
    let fitting = room.saturating_sub(fixed) / slope;
    (least <= fitting && cost(fitting) <= room).then_some(fitting)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::instant;

    const MS: Duration = Duration::from_millis(1);
    const FULL: Duration = Duration::from_secs(1);

    /// Runs the schedule in virtual time: a live unit answers in `answer`, a dead one never. Returns polls per live unit, probes per dead unit,
    /// and the longest time a unit dead from the start waited for a probe.
    struct Trial {
        live: usize,
        dead: usize,
        answer: Duration,
        period: Duration,
        half_duplex: bool,
    }

    impl Trial {
        fn run(&self, length: Duration) -> (Vec<u32>, Vec<u32>, Duration) {
            let start = instant();
            let mut now = start;
            let units = self.live + self.dead;
            let mut slots = vec![Slot::new(now); units];
            let mut asked = vec![0; units];
            let mut last_probe = vec![now; units];
            let mut longest = Duration::ZERO;
            let (mut cycle_at, mut budget) = (now, Budget::new(now));
            let cost = |patience: Duration| if self.half_duplex { patience * 2 } else { patience };
            while now < start + length {
                if cycle_at <= now && !slots.iter().any(|slot| slot.pending) {
                    for slot in &mut slots {
                        slot.pending = slot.circuit.is_polled();
                    }
                    while cycle_at <= now {
                        cycle_at += self.period;
                    }
                }
                match turn(&slots, now, cycle_at, FULL, cost, &mut budget) {
                    Turn::Read(at, _) => {
                        asked[at] += 1;
                        slots[at].pending = false;
                        now += self.answer;
                        slots[at].circuit.answered(self.answer, now);
                        slots[at].circuit.completed();
                    }
                    Turn::Probe(at, _) if self.dead <= at => {
                        now += self.answer;
                        slots[at].circuit.answered(self.answer, now);
                        (slots[at].in_doubt, slots[at].pending) = (false, true);
                    }
                    Turn::Probe(at, patience) => {
                        asked[at] += 1;
                        longest = longest.max(now.duration_since(last_probe[at]));
                        last_probe[at] = now;
                        now += cost(patience);
                        slots[at].circuit.failed(now, false);
                    }
                    Turn::WaitUntil(until) => {
                        assert!(now < until, "the schedule spins");
                        now = until;
                    }
                }
            }
            (asked.split_off(self.dead), asked, longest)
        }
    }

    /// The promise of this file: at least 95 in 100 of the polls a healthy line would make.
    #[test]
    fn dead_units_do_not_slow_the_live_ones() {
        for (period, answer, half_duplex) in [
            (1_000, 5, false),
            (1_000, 40, true),
            (2_000, 5, false),
            (100, 3, false),
            (100, 3, true),
            (1_000, 95, true), // The ten fill the line.
            (20, 10, false),   // More than it can do.
        ] {
            let trial =
                |dead| Trial { live: 10 - dead, dead, answer: answer * MS, period: period * MS, half_duplex };
            let length = Duration::from_secs(120);
            for dead in [1, 5, 9] {
                let (polls, probes, longest) = trial(dead).run(length);
                // What the same live units would get on a line without the dead.
                let (alone, ..) = Trial { dead: 0, ..Trial { live: 10 - dead, ..trial(dead) } }.run(length);
                let (slowest, healthy) = (polls.iter().min().copied().unwrap_or(0), alone[0]);
                let share = f64::from(slowest) / f64::from(healthy);
                assert!(
                    0.95 <= share,
                    "{dead} of 10 dead, period {period} ms, answers in {answer} ms: {slowest} of {healthy} polls"
                );
                assert!(
                    probes.iter().all(|probes| 1 < *probes),
                    "each dead unit is probed again: {probes:?}"
                );
                let roomy = answer * 10 * 4 < period;
                assert!(
                    !roomy || longest <= Duration::from_secs(12),
                    "{dead} dead, period {period}: a probe came after {longest:?}"
                );
            }
        }
    }

    #[test]
    fn a_question_takes_a_gap_or_its_small_share_of_a_busy_line() {
        let now = instant();
        let cost = |patience: Duration| patience * 2;
        let ask = |turn, now, budget: &mut Budget| question(turn, now, 100 * MS, FULL, cost, budget);
        let mut budget = Budget::full(now);
        assert_eq!(ask(Turn::Read(0, FULL), now, &mut budget), Some(FULL), "the first is not kept waiting");
        budget.spend(2 * FULL);
        assert_eq!(ask(Turn::Read(0, FULL), now, &mut budget), None);
        assert_eq!(ask(Turn::WaitUntil(now + 100 * MS), now, &mut budget), None, "the gap is too small");
        let fitting = ask(Turn::WaitUntil(now + 505 * MS), now, &mut budget);
        assert_eq!(fitting, Some(250 * MS), "the gap, less the margin, there and back");
        assert_eq!(ask(Turn::WaitUntil(now + 3 * FULL), now, &mut budget), Some(FULL));
        // Its share: 4 hundredths of the line's time.
        let later = now + 10 * FULL;
        assert_eq!(ask(Turn::Read(0, FULL), later, &mut budget), Some(200 * MS));
        // A person who asks without a pause costs a line without a gap no more than that.
        let (mut at, mut spent) = (later, Duration::ZERO);
        budget.spend(4 * FULL);
        while at < later + 1_000 * FULL {
            if let Some(patience) = ask(Turn::Read(0, FULL), at, &mut budget) {
                budget.spend(cost(patience));
                (at, spent) = (at + cost(patience), spent + cost(patience));
            }
            at += 10 * MS;
        }
        assert!(FULL * 30 < spent && spent <= FULL * 42, "{spent:?}");
    }

    #[test]
    fn a_unit_that_wants_a_pause_holds_up_nobody() {
        let now = instant();
        let mut circuit = Circuit::new(now);
        circuit.answered(5 * MS, now);
        circuit.completed();
        let quick = Slot { circuit, pending: true, ready_at: now, in_doubt: false };
        let slow = Slot { ready_at: now + 2 * FULL, ..quick.clone() };
        let mut budget = Budget::new(now);
        let cost = |patience| patience;
        let mut slots = [slow, quick];
        assert_eq!(turn(&slots, now, now + FULL, FULL, cost, &mut budget), Turn::Read(1, 50 * MS));
        slots[1].pending = false;
        assert_eq!(turn(&slots, now, now + FULL, FULL, cost, &mut budget), Turn::WaitUntil(now + FULL));
        assert_eq!(
            turn(&slots, now, now + 3 * FULL, FULL, cost, &mut budget),
            Turn::WaitUntil(now + 2 * FULL)
        );
    }
}
