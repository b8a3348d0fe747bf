//! One hydrant: its pressure over a day, with noise, and what a burst main does to it.

use super::{dice, hour_of_day};

/// After a burst the pressure falls to a third of the way in this time.
const FALL_MS: f64 = 20_000.0;
const RECOVERY_MS: f64 = 90_000.0;

#[derive(Debug)]
pub struct Hydrant {
    /// What it stands at in the quiet of the night, kPa.
    at_night_kpa: f64,
    dice: fastrand::Rng,
    change: Change,
}

/// What last happened to the main that feeds it.
#[derive(Clone, Copy, Debug)]
enum Change {
    None,
    Burst { since_ms: i64, residual_kpa: f64 },
    Repaired { since_ms: i64, from_kpa: f64 },
}

impl Hydrant {
    pub fn new(seed: u64, name: &str) -> Self {
        let mut dice = dice(seed, name);
        let at_night_kpa = 290.0 + 60.0 * dice.f64();
        Self { at_night_kpa, dice, change: Change::None }
    }

    /// The main breaks: from now on the pressure falls towards `residual_kpa`.
    pub fn burst(&mut self, now_ms: i64, residual_kpa: f64) {
        self.change = Change::Burst { since_ms: now_ms, residual_kpa };
    }

    /// The main is closed and mended: the pressure comes back.
    pub fn repair(&mut self, now_ms: i64) {
        self.change = Change::Repaired { since_ms: now_ms, from_kpa: self.quiet(now_ms) };
    }

    /// The pressure now, in kPa, as a transmitter with 0.5 kPa of noise sees it.
    pub fn step(&mut self, now_ms: i64) -> f64 {
        let noise = self.dice.f64() + self.dice.f64() - 1.0;
        (self.quiet(now_ms) + noise).max(0.0)
    }

    /// Without noise.
    fn quiet(&self, now_ms: i64) -> f64 {
        let whole = self.at_night_kpa - draw(now_ms);
        match self.change {
            Change::None => whole,
            Change::Burst { since_ms, residual_kpa } => {
                residual_kpa + (whole - residual_kpa) * left(now_ms - since_ms, FALL_MS)
            }
            Change::Repaired { since_ms, from_kpa } => {
                whole + (from_kpa - whole) * left(now_ms - since_ms, RECOVERY_MS)
            }
        }
    }
}

/// How much of a difference is left after a while.
fn left(after_ms: i64, time_ms: f64) -> f64 {
    (-(after_ms.max(0) as f64) / time_ms).exp()
}

/// What people drawing water cost in pressure at this time of day, kPa: little at night, most at breakfast and supper.
fn draw(now_ms: i64) -> f64 {
    let hour = hour_of_day(now_ms);
    let peak = |at: f64, width: f64| (-((hour - at) / width).powi(2)).exp();
    15.0 * peak(13.0, 5.0) + 45.0 * peak(7.5, 1.2) + 55.0 * peak(19.0, 1.8)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// 2026-11-23 at this hour in Beijing.
    fn at(hour: f64) -> i64 {
        1_795_363_200_000 + (hour * 3_600_000.0) as i64
    }

    #[test]
    fn pressure_is_lower_at_supper_than_at_night_and_never_alarming() {
        let mut hydrant = Hydrant::new(1, "HY-01");
        let (night, supper) = (hydrant.step(at(3.0)), hydrant.step(at(19.0)));
        assert!(supper + 30.0 < night, "{supper} at supper, {night} at night");
        assert!(supper > 140.0, "an ordinary day raises no alarm: {supper} kPa");
    }

    #[test]
    fn a_burst_takes_the_pressure_away_and_a_repair_brings_it_back() {
        let mut hydrant = Hydrant::new(1, "HY-01");
        let before = hydrant.step(at(3.0));
        hydrant.burst(at(3.0), 40.0);
        assert!((hydrant.step(at(3.0)) - before).abs() < 3.0, "it falls, it does not jump");
        assert!(hydrant.step(at(3.0) + 60_000) < 100.0);
        hydrant.repair(at(3.1));
        assert!(hydrant.step(at(3.1)) < 100.0, "it rises, it does not jump");
        assert!((hydrant.step(at(3.5)) - before).abs() < 5.0);
    }

    #[test]
    fn the_same_seed_gives_the_same_day_and_another_hydrant_another() {
        let day = |seed, name| {
            let mut hydrant = Hydrant::new(seed, name);
            (0..24).map(|hour| hydrant.step(at(f64::from(hour)))).collect::<Vec<_>>()
        };
        assert_eq!(day(7, "HY-01"), day(7, "HY-01"));
        assert_ne!(day(7, "HY-01"), day(7, "HY-02"));
    }
}
