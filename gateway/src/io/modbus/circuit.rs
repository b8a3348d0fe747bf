//! One unit on a line: whether it is polled with the others, or probed now and then.
//!
//! Pure: time comes in as `now`. A unit that fails twice running, or four times of eight, is taken out of the cycle, so that it costs the
//! others nothing; it is probed until a whole poll of it succeeds, and then polled on trial: if the next poll fails it is out again, for longer. A unit that has
//! not yet been heard begins outside the cycle, due at once, so that ten dead units at the start do not delay the live one.

use std::time::{Duration, Instant};

const FAILURES_MAX: u32 = 2;
const FAILURES_OF_EIGHT_MAX: u32 = 4;
const PROBE_FIRST: Duration = Duration::from_secs(2);
const PROBE_LONGEST: Duration = Duration::from_secs(5);
/// A unit that answers a probe but never a whole poll costs the others a full time-out each time, so it is asked less and less often.
const RELAPSE_LONGEST: Duration = Duration::from_secs(30);
/// Shortest time given to a unit to answer a probe.
const PATIENCE_MIN: Duration = Duration::from_millis(50);
/// One probe of so many has the full time-out, for a unit that became slow.
const PATIENT_PROBE_EVERY: u32 = 4;

#[derive(Clone, Debug)]
pub struct Circuit {
    state: State,
    /// One bit per attempt, the newest lowest; set: failed.
    history: u8,
    /// Slowest answer of this unit; `None`: never heard.
    slowest: Option<Duration>,
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum State {
    /// `trial` holds the interval to go on with after a relapse.
    Polled {
        failures: u32,
        trial: Option<Duration>,
    },
    Probed {
        due: Instant,
        interval: Duration,
        probes: u32,
    },
}

/// What changed, to be logged once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Change {
    TakenOut,
    TakenIn,
}

impl Circuit {
    pub fn new(now: Instant) -> Self {
        let state = State::Probed { due: now, interval: PROBE_FIRST, probes: 0 };
        Self { state, history: 0, slowest: None }
    }

    pub fn is_polled(&self) -> bool {
        matches!(self.state, State::Polled { .. })
    }

    /// When the next probe is due; `None` while it is polled.
    pub fn probe_due(&self) -> Option<Instant> {
        match self.state {
            State::Polled { .. } => None,
            State::Probed { due, .. } => Some(due),
        }
    }

    /// Neither heard nor asked yet.
    pub fn is_new(&self) -> bool {
        self.slowest.is_none() && matches!(self.state, State::Probed { probes: 0, .. })
    }

    /// How long it takes to answer; `None`: never heard.
    pub fn slowest(&self) -> Option<Duration> {
        self.slowest
    }

    /// How long to wait for the answer to a probe: the least worth trying, and what is wanted. `others` is how long the others on the line take,
    /// the best guess for one that was never heard.
    pub fn probe_patience(&self, full: Duration, others: Option<Duration>) -> (Duration, Duration) {
        let least = match self.slowest.or(others) {
            Some(slowest) => (slowest * 3).max(PATIENCE_MIN),
            // At the start all are asked quickly once, to find those that live.
            None if self.is_new() => (full / 10).max(PATIENCE_MIN),
            None => (full / 4).max(PATIENCE_MIN),
        };
        let least = least.min(full);
        let patient = match self.state {
            State::Probed { probes, .. } => probes % PATIENT_PROBE_EVERY == PATIENT_PROBE_EVERY - 1,
            State::Polled { .. } => true,
        };
        (least, if patient { full } else { least })
    }

    /// How long to wait for a read of the poll. On trial the unit has shown how long it takes, and may not cost the others more than that.
    pub fn poll_patience(&self, full: Duration) -> Duration {
        match self.state {
            State::Polled { trial: Some(_), .. } => self.probe_patience(full, None).0,
            State::Polled { trial: None, .. } | State::Probed { .. } => full,
        }
    }

    /// The unit answered a request, be it with a refusal. If it was out, the rest of its poll may follow at once.
    pub fn answered(&mut self, took: Duration, now: Instant) {
        self.slowest = Some(self.slowest.map_or(took, |slowest| took.max(slowest.mul_f64(0.98))));
        match &mut self.state {
            State::Polled { .. } => (),
            State::Probed { due, .. } => *due = now,
        }
    }

    /// The unit answered everything that a poll asks.
    pub fn completed(&mut self) -> Option<Change> {
        self.history <<= 1;
        match &mut self.state {
            State::Polled { failures, trial } => {
                (*failures, *trial) = (0, None);
                None
            }
            State::Probed { interval, .. } => {
                self.state = State::Polled { failures: 0, trial: Some(*interval) };
                self.history = 0;
                Some(Change::TakenIn)
            }
        }
    }

    /// `in_poll`: it had answered the first question, then not the poll itself, which had the full time-out.
    pub fn failed(&mut self, now: Instant, in_poll: bool) -> Option<Change> {
        self.history = self.history << 1 | 1;
        match &mut self.state {
            State::Polled { failures, trial } => {
                *failures += 1;
                let out = trial.is_some()
                    || FAILURES_MAX <= *failures
                    || FAILURES_OF_EIGHT_MAX <= self.history.count_ones();
                if !out {
                    return None;
                }
                let interval = trial.map_or(PROBE_FIRST, |before| before.mul_f64(1.5).min(PROBE_LONGEST));
                self.state = State::Probed { due: now + interval, interval, probes: 0 };
                Some(Change::TakenOut)
            }
            State::Probed { due, interval, probes } => {
                *interval = match in_poll {
                    true => (*interval * 2).min(RELAPSE_LONGEST),
                    false => interval.mul_f64(1.5).min(PROBE_LONGEST.max(*interval)),
                };
                *due = now + *interval;
                *probes += 1;
                None
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::instant;

    const FULL: Duration = Duration::from_secs(1);

    /// `.` is a whole poll with answers in 10 ms, `x` a failure; returns what the unit is after each.
    fn after(script: &str) -> String {
        let now = instant();
        let mut circuit = Circuit::new(now);
        let step = |event| {
            match event {
                '.' => {
                    circuit.answered(Duration::from_millis(10), now);
                    circuit.completed()
                }
                _ => circuit.failed(now, false),
            };
            if circuit.is_polled() { 'p' } else { '-' }
        };
        script.chars().map(step).collect()
    }

    #[test]
    fn two_failures_running_or_four_of_eight_take_a_unit_out() {
        for (script, expected) in [
            ("xxx.", "---p"),
            ("..x.x..", "ppppppp"),
            ("..xx", "ppp-"),
            ("..x.x.x.x", "pppppppp-"),
            (".x", "p-"),                           // on trial
            ("..xx.x.", "ppp-p-p"),                 // and again
            ("..x.......x.x.x", "ppppppppppppppp"), // the old failure is forgotten
        ] {
            assert_eq!(after(script), expected, "{script}");
        }
    }

    #[test]
    fn a_first_answer_is_not_yet_a_poll() {
        let now = instant();
        let mut circuit = Circuit::new(now);
        circuit.answered(Duration::from_millis(1), now);
        assert!(!circuit.is_polled());
        assert_eq!(circuit.probe_due(), Some(now), "the rest follows at once");
        assert_eq!(circuit.completed(), Some(Change::TakenIn));
    }

    #[test]
    fn a_unit_that_comes_and_goes_costs_little_until_it_is_trusted_again() {
        let now = instant();
        let mut circuit = Circuit::new(now);
        let mut waits = Vec::new();
        for _ in 0..4 {
            circuit.answered(Duration::from_millis(20), now);
            circuit.completed();
            assert_eq!(circuit.poll_patience(FULL).as_millis(), 60);
            circuit.failed(now, false);
            waits.push(circuit.probe_due().expect("out").duration_since(now).as_millis());
        }
        assert_eq!(waits, [3_000, 4_500, 5_000, 5_000]);
        circuit.completed();
        circuit.completed();
        assert_eq!(circuit.poll_patience(FULL), FULL);
        circuit.failed(now, false);
        circuit.failed(now, false);
        assert_eq!(circuit.probe_due(), Some(now + PROBE_FIRST), "two whole polls earn trust");
    }

    #[test]
    fn a_unit_that_never_completes_a_poll_is_asked_less_and_less_often() {
        let now = instant();
        let mut circuit = Circuit::new(now);
        let waits = [(); 5].map(|()| {
            circuit.answered(Duration::from_millis(20), now);
            assert_eq!(circuit.poll_patience(FULL), FULL);
            circuit.failed(now, true);
            circuit.probe_due().expect("out").duration_since(now).as_secs()
        });
        assert_eq!(waits, [4, 8, 16, 30, 30]);
    }

    #[test]
    fn probes_grow_apart_to_five_seconds() {
        let mut now = instant();
        let mut circuit = Circuit::new(now);
        let mut waits = Vec::new();
        for _ in 0..5 {
            circuit.failed(now, false);
            let due = circuit.probe_due().expect("it is probed");
            waits.push(due.duration_since(now).as_millis());
            now = due;
        }
        assert_eq!(waits, [3_000, 4_500, 5_000, 5_000, 5_000]);
    }

    #[test]
    fn a_probe_waits_as_long_as_the_unit_is_known_to_need() {
        let now = instant();
        let mut circuit = Circuit::new(now);
        assert_eq!(circuit.probe_patience(FULL, None), (FULL / 10, FULL / 10), "never heard");
        let others = Duration::from_millis(70);
        assert_eq!(circuit.probe_patience(FULL, Some(others)).0, others * 3, "as the others");
        circuit.answered(Duration::from_millis(100), now);
        let known = Duration::from_millis(300);
        assert_eq!(circuit.probe_patience(FULL, None), (known, known));
        for _ in 0..3 {
            circuit.failed(now, false);
        }
        assert_eq!(circuit.probe_patience(FULL, None), (known, FULL), "every fourth is patient");
        let short = Duration::from_millis(40);
        assert_eq!(circuit.probe_patience(short, None).0, short);
    }
}
