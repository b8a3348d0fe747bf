//! The only file that asks what time it is.
//!
//! [`Clock`] is handed to whoever needs `now`. The steady clock continues from where the journal left it, plus the
//! downtime the wall clock claims, bounded by [`DOWNTIME_MAX`]: a box without a battery-backed clock wakes in 1970 or next year, and
//! neither may fire every silence timer at once. It counts the time the box sleeps too. Whether the wall clock can be believed is judged by it: [`trust`].

pub mod trust;

use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant, SystemTime};

use rustix::time::{ClockId, clock_gettime};

use self::trust::Trust;
use crate::units::{Millis, Now, Steady, Timestamp};

/// The most downtime believed when the steady clock continues after a restart.
pub const DOWNTIME_MAX: Millis = Millis::from_secs(7 * 24 * 3600);
/// Nobody sleeps longer without looking at the clock: the runtime's timers stand still while the box sleeps, the steady clock does not.
const SLEEP_MAX: Millis = Millis::from_secs(5);

/// What three clocks say, in milliseconds.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Reading {
    wall: Timestamp,
    /// Since the box started; never steps, and goes on while the box sleeps.
    boot: u64,
    /// The same without the time in which the box slept.
    awake: u64,
}

/// Where readings come from.
#[derive(Clone, Copy, Debug)]
enum Source {
    System,
    /// The date begins at `wall`, which a test may step, and goes on with the runtime's clock, which a test can hold still; the box has slept for
    /// `asleep` milliseconds.
    Simulated {
        wall: &'static AtomicI64,
        began: tokio::time::Instant,
        asleep: &'static AtomicU64,
    },
    #[cfg(test)]
    Hand(&'static Mutex<Reading>),
}

#[derive(Clone, Copy, Debug)]
pub struct Clock {
    source: Source,
    started: u64,
    origin: Steady,
    /// Shared by all copies; one per station, for as long as the process lives.
    trust: &'static Mutex<Trust>,
}

impl Clock {
    /// A clock that continues after `last`, the newest moment in the journal, if there is one.
    pub fn continue_after(last: Option<Now>) -> Self {
        Self::on(Source::System, last)
    }

    /// The same for a simulation: the date begins at `wall`, in milliseconds, and goes on with the runtime's clock and the sleep of the box.
    pub fn simulated(last: Option<Now>, wall: &'static AtomicI64, asleep: &'static AtomicU64) -> Self {
        Self::on(Source::Simulated { wall, began: ticks(), asleep }, last)
    }

    fn on(source: Source, last: Option<Now>) -> Self {
        let begin = source.read();
        let origin = match last {
            Some(last) => last.steady + begin.wall.since(last.wall).min(DOWNTIME_MAX) + Millis(1),
            None => Steady(0),
        };
        let trust = Box::leak(Box::new(Mutex::new(Trust::default())));
        let clock = Self { source, started: begin.boot, origin, trust };
        clock.trusted();
        clock
    }

    pub fn now(&self) -> Now {
        let reading = self.source.read();
        Now { wall: reading.wall, steady: self.origin + Millis(reading.boot.saturating_sub(self.started)) }
    }

    /// How long the box has slept in all, since it started.
    pub fn slept(&self) -> Millis {
        let reading = self.source.read();
        Millis(reading.boot.saturating_sub(reading.awake))
    }

    /// Whether the wall clock can be believed now.
    pub fn trusted(&self) -> bool {
        let reading = self.source.read();
        self.trust.lock().unwrap_or_else(PoisonError::into_inner).look(reading.wall, reading.boot)
    }

    /// The instant to sleep until for something due at `at`; now, when it is already due. Sometimes earlier: look again then.
    pub fn instant_of(&self, at: Steady) -> tokio::time::Instant {
        let wait = at.since(self.now().steady).min(SLEEP_MAX);
        ticks() + Duration::from_millis(wait.0)
    }
}

impl Source {
    fn read(self) -> Reading {
        match self {
            Self::System => {
                let millis = |clock| {
                    let time = clock_gettime(clock);
                    time.tv_sec as u64 * 1000 + time.tv_nsec as u64 / 1_000_000
                };
                Reading { wall: wall(), boot: millis(ClockId::Boottime), awake: millis(ClockId::Monotonic) }
            }
            Self::Simulated { wall, began, asleep } => {
                let passed = ticks().duration_since(began).as_millis() as u64;
                let slept = asleep.load(Ordering::Relaxed);
                let wall = Timestamp(wall.load(Ordering::Relaxed)) + Millis(passed + slept);
                Reading { wall, boot: passed + slept, awake: passed }
            }
            #[cfg(test)]
            Self::Hand(hand) => *hand.lock().unwrap_or_else(PoisonError::into_inner),
        }
    }
}

/// Wall-clock time, for stamps of receipt.
pub fn wall() -> Timestamp {
    #[expect(clippy::disallowed_methods, reason = "this is the file that may ask")]
    let now = SystemTime::now();
    match now.duration_since(SystemTime::UNIX_EPOCH) {
        Ok(since) => Timestamp(since.as_millis() as i64),
        Err(before) => Timestamp(-(before.duration().as_millis() as i64)),
    }
}

/// A monotonic instant, for measuring how long something took.
pub fn instant() -> Instant {
    #[expect(clippy::disallowed_methods, reason = "this is the file that may ask")]
    Instant::now()
}

/// A monotonic instant of the runtime, which a test can hold still: for deadlines.
pub fn ticks() -> tokio::time::Instant {
    tokio::time::Instant::now()
}

/// Waits for that instant, or for ever when there is none. Cancel-safe.
pub async fn until(instant: Option<tokio::time::Instant>) {
    match instant {
        Some(instant) => tokio::time::sleep_until(instant).await,
        None => std::future::pending().await,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: i64 = 1_795_402_800_000;
    const HOUR: u64 = 3_600_000;

    fn by_hand(wall: i64, last: Option<Now>) -> (Clock, &'static Mutex<Reading>) {
        let hand =
            Box::leak(Box::new(Mutex::new(Reading { wall: Timestamp(wall), boot: 9_000, awake: 9_000 })));
        (Clock::on(Source::Hand(hand), last), hand)
    }

    fn set(hand: &Mutex<Reading>, wall: i64, boot: u64) {
        let awake = hand.lock().expect("no panic").awake;
        *hand.lock().expect("no panic") = Reading { wall: Timestamp(wall), boot, awake };
    }

    #[test]
    fn the_steady_clock_follows_no_step_of_the_wall_clock() {
        let (clock, hand) = by_hand(NOW, None);
        for (wall, boot) in [(NOW + 365 * 24 * HOUR as i64, 10_000), (0, 11_000), (NOW, 12_000)] {
            set(hand, wall, boot);
            assert_eq!(clock.now(), Now { wall: Timestamp(wall), steady: Steady(boot - 9_000) });
        }
    }

    #[test]
    fn a_restart_continues_with_the_downtime_the_wall_clock_claims_within_reason() {
        let last = Now { wall: Timestamp(NOW), steady: Steady(500) };
        let origin = |wall| by_hand(wall, Some(last)).0.now().steady;
        assert_eq!(origin(NOW + 60_000), Steady(60_501), "a minute");
        assert_eq!(origin(0), Steady(501), "in 1970");
        assert_eq!(origin(NOW + 365 * 24 * HOUR as i64), Steady(501) + DOWNTIME_MAX, "next year");
    }

    #[test]
    fn after_a_sleep_what_was_due_meanwhile_is_due_at_once() {
        let (clock, hand) = by_hand(NOW, None);
        let due = clock.now().steady + Millis(HOUR);
        let wait = clock.instant_of(due) - ticks();
        assert!(wait <= SLEEP_MAX.as_duration(), "it looks again in {wait:?}");
        set(hand, NOW + 2 * HOUR as i64, 9_000 + 2 * HOUR);
        assert!(clock.instant_of(due) <= ticks());
        assert!(clock.trusted(), "sleep is no step");
        assert_eq!(clock.slept(), Millis(2 * HOUR));
    }

    #[test]
    fn a_box_in_1970_is_not_believed() {
        let (clock, hand) = by_hand(20_000, None);
        assert!(!clock.trusted());
        set(hand, NOW, 10_000);
        assert!(clock.trusted());
    }
}
