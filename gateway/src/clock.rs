//! The only file that asks what time it is.
//!
//! [`Clock`] is handed to whoever needs `now`. The steady clock continues from where the journal left it, plus the
//! downtime the wall clock claims, bounded by [`DOWNTIME_MAX`]: a box without a battery-backed clock wakes in 1970 or next year, and
//! neither may fire every silence timer at once.

use std::sync::atomic::{AtomicI64, Ordering};
use std::time::{Duration, Instant, SystemTime};

use crate::units::{Millis, Now, Steady, Timestamp};

/// The most downtime believed when the steady clock continues after a restart.
pub const DOWNTIME_MAX: Millis = Millis::from_secs(7 * 24 * 3600);

#[derive(Clone, Copy, Debug)]
pub struct Clock {
    started: tokio::time::Instant,
    origin: Steady,
    wall: Wall,
}

/// Where the date comes from.
#[derive(Clone, Copy, Debug)]
enum Wall {
    System,
    /// What the date was, in milliseconds, when the clock was made; a test may step it.
    Test(&'static AtomicI64),
}

impl Clock {
    /// A clock that continues after `last`, the newest moment in the journal, if there is one.
    pub fn continue_after(last: Option<Now>) -> Self {
        Self::from(Wall::System, last)
    }

    /// The same for a simulation: the date begins at `wall` and goes on with the runtime's clock, which a test can hold still.
    pub fn simulated(last: Option<Now>, wall: &'static AtomicI64) -> Self {
        Self::from(Wall::Test(wall), last)
    }

    fn from(wall: Wall, last: Option<Now>) -> Self {
        let mut clock = Self { started: ticks(), origin: Steady(0), wall };
        if let Some(last) = last {
            let downtime = clock.now().wall.since(last.wall).min(DOWNTIME_MAX);
            clock.origin = last.steady + downtime + Millis(1);
        }
        clock
    }

    pub fn now(&self) -> Now {
        let passed = Millis(ticks().duration_since(self.started).as_millis() as u64);
        let wall = match self.wall {
            Wall::System => wall(),
            Wall::Test(began) => Timestamp(began.load(Ordering::Relaxed)) + passed,
        };
        Now { wall, steady: self.origin + passed }
    }

    /// The instant to sleep until for something due at `at`; now, when it is already due.
    pub fn instant_of(&self, at: Steady) -> tokio::time::Instant {
        let wait = at.since(self.now().steady);
        ticks() + Duration::from_millis(wait.0)
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
