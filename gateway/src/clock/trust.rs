//! Whether the wall clock can be believed, judged by the clock that cannot step.
//!
//! Pure. A clock before [`RELEASED`] was never set: the box has no battery, and the network's time has not come yet. A clock that steps while we look on was
//! wrong before or is wrong now; nobody can tell which, so it is doubted until it steps back or has stood for [`ACCEPTED_AFTER`]. Slewing and leap
//! seconds are no steps.

use crate::units::{Millis, Timestamp};

/// 2026-01-01: no station has ever run before.
pub const RELEASED: Timestamp = Timestamp(1_767_225_600_000);
/// A larger difference between two looks is a step.
const STEP_MIN_MS: u64 = 60_000;
pub const ACCEPTED_AFTER: Millis = Millis::from_secs(3600);

#[derive(Clone, Copy, Debug, Default)]
pub struct Trust {
    /// Wall clock minus steady clock at the last look; `None` before the clock was ever right.
    offset: Option<i64>,
    stepped: Option<Step>,
}

#[derive(Clone, Copy, Debug)]
struct Step {
    at: u64,
    offset_before: i64,
}

impl Trust {
    /// `steady` counts milliseconds since the box started, also those it slept.
    pub fn look(&mut self, wall: Timestamp, steady: u64) -> bool {
        let offset = wall.0 - i64::try_from(steady).unwrap_or(i64::MAX);
        let far = |other: i64| STEP_MIN_MS < offset.abs_diff(other);
        if let Some(before) = self.offset {
            let offset_before = self.stepped.map_or(before, |step| step.offset_before);
            if !far(offset_before) {
                self.stepped = None; // Never stepped, or back.
            } else if far(before) {
                self.stepped = Some(Step { at: steady, offset_before });
            }
        }
        if wall < RELEASED {
            return false;
        }
        self.offset = Some(offset);
        if self.stepped.is_some_and(|step| ACCEPTED_AFTER.0 <= steady.saturating_sub(step.at)) {
            self.stepped = None;
        }
        self.stepped.is_none()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: i64 = 1_795_402_800_000;
    const YEAR: i64 = 365 * 24 * 3_600_000;

    /// Wall clock and steady clock, and whether the wall clock is believed then.
    fn check(looks: &[(i64, u64, bool)]) {
        let mut trust = Trust::default();
        for (at, &(wall, steady, believed)) in looks.iter().enumerate() {
            assert_eq!(trust.look(Timestamp(wall), steady), believed, "look {at}");
        }
    }

    #[test]
    fn a_box_without_a_battery_is_believed_once_the_network_has_told_the_time() {
        check(&[
            (0, 5_000, false),
            (60_000, 65_000, false),
            (NOW, 70_000, true),
            (NOW + 5_000, 75_000, true),
        ]);
    }

    #[test]
    fn a_step_either_way_is_doubted_until_it_is_taken_back() {
        for step in [YEAR, -YEAR / 2, 61_000] {
            check(&[
                (NOW, 1_000, true),
                (NOW + 1_000 + step, 2_000, false),
                (NOW + 9_000 + step, 10_000, false),
                (NOW + 10_000, 11_000, true),
            ]);
        }
    }

    #[test]
    fn a_step_that_stands_for_an_hour_is_accepted() {
        let hour = 3_600_000;
        check(&[
            (NOW, 0, true),
            (NOW + YEAR, 1, false),
            (NOW + YEAR + hour - 2, hour as u64 - 1, false),
            (NOW + YEAR + hour, hour as u64 + 1, true),
        ]);
    }

    #[test]
    fn back_to_1970_and_home_again() {
        check(&[(NOW, 0, true), (1_000, 1_000, false), (NOW + 2_000, 2_000, true)]);
    }

    #[test]
    fn leap_seconds_slewing_and_sleep_are_no_steps() {
        let night = 8 * 3_600_000;
        check(&[
            (NOW, 0, true),
            (NOW + 500, 1_500, true),
            (NOW + 1_500, 1_500, true),
            (NOW + 40_000, 10_000, true),
            (NOW + 40_000 + night, 10_000 + night as u64, true),
        ]);
    }
}
