//! A device that behaves otherwise than it did: its values lie elsewhere all at once, as after a change of the unit, or it reports at another pace.
//!
//! Pure, and before the journal like the rate limit: what it finds becomes an action, which the journal keeps, so a replay needs none of this. Of each series the usual value and how
//! far values usually lie from it are followed slowly, and what lies far out does not move them; so slow drift is followed and nothing is said of it, while a jump that holds for several
//! readings is told once, with what it was and what it is. Then it is the usual, and learned anew. The pace is only judged of devices that keep one: a door contact has none.
//!
//! In bounded memory: [`DEVICES_MAX`]. What is learned is lost with a restart. Deliberately absent: flags, counters and what jumps by its nature (smoke, gas, flow, signal strength).

use super::hourly::Hourly;
use crate::ahead::look_ahead;
use crate::config::rules::BehaviourLimits;
use crate::model::{DeviceIx, Freshness, Metric, Report};
use crate::units::{Millis, Steady};

/// What is watched, and how far a value lies from the usual one without meaning anything, in the metric's unit.
const WATCHED: [(Metric, f32); 5] = [
    (Metric::PRESSURE, 20.0),
    (Metric::TEMPERATURE, 5.0),
    (Metric::HUMIDITY, 6.0),
    (Metric::LEVEL, 0.3),
    (Metric::BATTERY_VOLTAGE, 0.3),
];
/// Devices that are followed, the first of the table; about 20 MB. Further devices are not watched.
const DEVICES_MAX: usize = 200_000;
/// How fast the usual follows: the step of one reading.
const FOLLOW: f32 = 1.0 / 32.0;
/// Intervals that differ more than this from the usual one (as a power of two) are no pace.
const PACE_SPREAD_MAX: f32 = 1.0;
/// A slower pace shows after so many intervals, each of them long.
const SLOW_HOLD: u16 = 3;
/// Told one by one within an hour; one more speaks for all others: so many at once have one cause.
const TOLD_PER_HOUR: usize = 10;

/// When a change counts.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Limits {
    /// Readings from which the usual is learned; 0: nothing is watched.
    learn: u16,
    hold: u16,
    /// Further than so many times as far as values usually lie.
    spreads: f32,
    /// As a power of two.
    pace: f32,
}

impl Default for Limits {
    fn default() -> Self {
        Self::from(&BehaviourLimits::default())
    }
}

impl From<&BehaviourLimits> for Limits {
    fn from(limits: &BehaviourLimits) -> Self {
        let small = |number: u32| u16::try_from(number).unwrap_or(u16::MAX);
        Self {
            learn: small(*limits.learn_readings.get_ref()),
            hold: small(*limits.hold_readings.get_ref()),
            spreads: *limits.value_spreads.get_ref() as f32,
            pace: (*limits.pace_factor.get_ref() as f32).log2(),
        }
    }
}

/// What a device does otherwise.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Change {
    Value {
        metric: Metric,
        was: f64,
        is: f64,
    },
    /// Time between two reports.
    Pace {
        was: Millis,
        is: Millis,
    },
}

#[derive(Debug, Default)]
pub struct Behaviour {
    limits: Limits,
    /// By the device's place in the table: it is asked for every report.
    devices: Vec<Usuals>,
    told: Hourly<TOLD_PER_HOUR>,
}

/// What is usual of one device.
#[derive(Debug, Default)]
struct Usuals {
    pace: Option<Pace>,
    series: Vec<(Metric, Usual)>,
}

impl Usuals {
    fn of(&mut self, metric: Metric) -> &mut Usual {
        let at = self.series.iter().position(|(known, _)| *known == metric).unwrap_or_else(|| {
            self.series.reserve_exact(1); // Most devices have one or two.
            self.series.push((metric, Usual::default()));
            self.series.len() - 1
        });
        &mut self.series[at].1
    }
}

/// Whether a change is told by itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Told {
    Alone,
    /// Together with others: too many were told within the hour.
    WithOthers,
}

impl Behaviour {
    pub fn new(limits: Limits) -> Self {
        Self { limits, ..Self::default() }
    }

    pub fn set_limits(&mut self, limits: Limits) {
        self.limits = limits;
    }

    /// These devices are looked at next.
    pub fn look_ahead(&self, devices: &[DeviceIx]) {
        look_ahead(&self.devices, devices, |usuals| {
            usuals.series.first().map_or(0, |(_, usual)| usual.seen.into())
        });
    }

    /// What this report shows to have changed; none as a rule.
    pub fn look(&mut self, report: &Report, now: Steady) -> Vec<Change> {
        let at = report.device.at();
        if self.limits.learn == 0 || report.freshness != Freshness::Live || DEVICES_MAX <= at {
            return Vec::new();
        }
        if self.devices.len() <= at {
            self.devices.resize_with(at + 1, Usuals::default);
        }
        let usuals = &mut self.devices[at];
        let mut changes = Vec::new();
        for value in &report.values {
            let Some((_, floor)) = WATCHED.iter().find(|(metric, _)| *metric == value.metric) else {
                continue;
            };
            // Learned far beyond f32 nothing can be compared.
            let number = value.value.clamp(-1e30, 1e30) as f32;
            if let Some((was, is)) = usuals.of(value.metric).take(number, *floor, self.limits) {
                changes.push(Change::Value { metric: value.metric, was: was.into(), is: is.into() });
            }
        }
        if !report.values.is_empty() {
            let pace = usuals.pace.get_or_insert_with(|| Pace::since(now));
            changes.extend(pace.take(now, self.limits).map(|(was, is)| Change::Pace { was, is }));
        }
        changes
    }

    /// To be asked for each change that is told.
    pub fn tell(&mut self, now: Steady) -> Told {
        if self.told.take(now) { Told::Alone } else { Told::WithOthers }
    }
}

/// One series: where its values lie.
#[derive(Clone, Copy, Debug, Default)]
struct Usual {
    center: f32,
    /// How far values lie from it on average.
    spread: f32,
    seen: u16,
    /// Readings in a row that lie far out, and their mean.
    run: u16,
    run_mean: f32,
}

impl Usual {
    /// From where to where, when it has jumped.
    fn take(&mut self, value: f32, floor: f32, limits: Limits) -> Option<(f32, f32)> {
        let away = value - self.center;
        if self.seen < limits.learn {
            self.seen += 1;
            self.center += away / f32::from(self.seen);
            self.spread += ((value - self.center).abs() - self.spread) / f32::from(self.seen);
            return None;
        }
        let spread = self.spread.max(floor);
        if away.abs() <= limits.spreads * spread {
            self.run = 0;
            self.center += away.clamp(-2.0 * spread, 2.0 * spread) * FOLLOW;
            self.spread += (away.abs().min(4.0 * spread) - self.spread) * FOLLOW;
            return None;
        }
        self.run += 1;
        self.run_mean =
            if self.run == 1 { value } else { self.run_mean + (value - self.run_mean) / f32::from(self.run) };
        if self.run < limits.hold {
            return None;
        }
        let (was, is) = (self.center, self.run_mean);
        *self = Self { center: is, seen: 1, ..Self::default() };
        Some((was, is))
    }
}

/// How often a device reports: the interval as a power of two of milliseconds.
#[derive(Clone, Copy, Debug)]
struct Pace {
    last: Steady,
    usual: f32,
    spread: f32,
    seen: u16,
    /// Intervals in a row that are far too long (positive) or far too short (negative), and how long they took together.
    run: i32,
    run_ms: u64,
}

impl Pace {
    fn since(now: Steady) -> Self {
        Self { last: now, usual: 0.0, spread: 0.0, seen: 0, run: 0, run_ms: 0 }
    }

    fn take(&mut self, now: Steady, limits: Limits) -> Option<(Millis, Millis)> {
        let gap = now.since(self.last).0.max(1);
        if now == self.last && self.seen == 0 {
            return None; // Its first report.
        }
        self.last = now;
        let away = (gap as f32).log2() - self.usual;
        if self.seen < limits.learn {
            self.seen += 1;
            self.usual += away / f32::from(self.seen);
            self.spread += (((gap as f32).log2() - self.usual).abs() - self.spread) / f32::from(self.seen);
            return None;
        }
        if away.abs() <= limits.pace {
            (self.run, self.run_ms) = (0, 0);
            self.usual += away.clamp(-1.0, 1.0) * FOLLOW;
            self.spread += (away.abs().min(4.0) - self.spread) * FOLLOW;
            return None;
        }
        if PACE_SPREAD_MAX < self.spread {
            return None; // It keeps no pace.
        }
        let slower = 0.0 < away;
        if slower != (0 < self.run) {
            (self.run, self.run_ms) = (0, 0);
        }
        self.run += if slower { 1 } else { -1 };
        self.run_ms += gap;
        let usual_ms = self.usual.exp2() as u64;
        let many = self.run.unsigned_abs();
        // What was kept through an outage comes all at once, and is over before the next report would be due.
        let holds = match slower {
            true => u32::from(SLOW_HOLD) <= many,
            false => u32::from(limits.hold) <= many && 2 * usual_ms <= self.run_ms,
        };
        if !holds {
            return None;
        }
        let is = Millis(self.run_ms / u64::from(many));
        *self = Self::since(now);
        Some((Millis(usual_ms), is))
    }
}

impl Change {
    /// It measures the same in another unit: nothing in the plant did that, so it is told whatever else stands.
    pub fn is_of_unit(&self) -> bool {
        match *self {
            Self::Value { was, is, .. } => factor(was, is).is_some(),
            Self::Pace { .. } => false,
        }
    }
}

impl std::fmt::Display for Change {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match *self {
            Self::Value { metric, was, is } => {
                let (name, unit) = (metric.name(), metric.spec().unit);
                write!(f, "{name} was about {} {unit} and is about {} {unit}", short(was), short(is))?;
                let Some(factor) = factor(was, is) else { return Ok(()) };
                write!(f, "; {factor} is the step between two units")
            }
            Self::Pace { was, is } => {
                write!(f, "it reported every {} and reports every {}", span(was), span(is))
            }
        }
    }
}

/// Three digits that count.
fn short(value: f64) -> String {
    let digits = if value == 0.0 { 0.0 } else { value.abs().log10().floor() };
    let places = (2.0 - digits).clamp(0.0, 4.0) as usize;
    let text = format!("{value:.places$}");
    match text.contains('.') {
        true => text.trim_end_matches('0').trim_end_matches('.').to_owned(),
        false => text,
    }
}

/// The factor between two units in which the same is measured, when it is one.
fn factor(was: f64, is: f64) -> Option<&'static str> {
    const FACTORS: [(f64, &str); 7] = [
        (10.0, "10"),
        (100.0, "100"),
        (1_000.0, "1000"),
        (1_000_000.0, "1000000"),
        (6.895, "6.895 (psi and kPa)"),
        (9.807, "9.807 (metres of water and kPa)"),
        (98.07, "98.07 (kgf/cm² and kPa)"),
    ];
    let ratio = if was == 0.0 || is == 0.0 { return None } else { (is / was).max(was / is) };
    // 98.07 and 100 are told apart by the closest.
    let near = |&&(factor, _): &&(f64, &str)| (ratio / factor).ln().abs();
    let closest = FACTORS.iter().min_by(|one, other| near(one).total_cmp(&near(other)))?;
    (near(&closest) < 0.03).then_some(closest.1)
}

fn span(time: Millis) -> String {
    match time.0 {
        ms if ms < 10_000 => format!("{} s", short(ms as f64 / 1_000.0)),
        ms if ms < 120_000 => format!("{} s", (ms + 500) / 1_000),
        ms if ms < 7_200_000 => format!("{} min", (ms + 30_000) / 60_000),
        ms => format!("{} h", short(ms as f64 / 3_600_000.0)),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::model::{DeviceIx, Quality, Value};
    use crate::units::Timestamp;

    const MINUTE: u64 = 60_000;
    const HOUR: Millis = Millis::from_secs(3600);

    fn report(metric: Metric, value: f64, freshness: Freshness) -> Report {
        Report {
            device: DeviceIx(3),
            received: Timestamp(0),
            device_time: None,
            freshness,
            values: vec![Value { metric, value, quality: Quality::Good }],
        }
    }

    /// What is said, with the number of the reading.
    fn told(metric: Metric, readings: impl IntoIterator<Item = (u64, f64)>) -> Vec<(usize, String)> {
        let mut behaviour = Behaviour::default();
        let mut told = Vec::new();
        for (at, (ms, value)) in readings.into_iter().enumerate() {
            let found = behaviour.look(&report(metric, value, Freshness::Live), Steady(ms));
            told.extend(found.into_iter().map(|change| (at, change.to_string())));
        }
        told
    }

    #[test]
    fn memory_is_bounded_by_the_place_in_the_table() {
        let mut behaviour = Behaviour::default();
        for (device, known) in [(7, 8), (u32::MAX, 8)] {
            let report =
                Report { device: DeviceIx(device), ..report(Metric::PRESSURE, 400.0, Freshness::Live) };
            assert_eq!(behaviour.look(&report, Steady(0)), []);
            assert_eq!(behaviour.devices.len(), known, "after device {device}");
        }
    }

    fn every_minute(values: impl IntoIterator<Item = f64>) -> Vec<(u64, f64)> {
        values.into_iter().enumerate().map(|(at, value)| (at as u64 * MINUTE, value)).collect()
    }

    fn steps(parts: &[(usize, f64)]) -> Vec<(u64, f64)> {
        every_minute(parts.iter().flat_map(|&(many, value)| std::iter::repeat_n(value, many)))
    }

    #[test]
    fn another_unit_is_told_once_with_both_values_and_its_factor() {
        for (metric, parts, words) in [
            (
                Metric::PRESSURE,
                [(100, 402.0), (60, 0.402)],
                "pressure was about 402 kPa and is about 0.402 kPa; 1000 is the step between two units",
            ),
            (
                Metric::PRESSURE,
                [(100, 4.1), (60, 402.0)],
                "pressure was about 4.1 kPa and is about 402 kPa; 98.07 (kgf/cm² and kPa) is the step between two units",
            ),
            (
                Metric::TEMPERATURE,
                [(100, 20.5), (60, 68.9)],
                "temperature was about 20.5 Cel and is about 68.9 Cel",
            ),
            (
                Metric::LEVEL,
                [(100, 1.8), (60, 1800.0)],
                "level was about 1.8 m and is about 1800 m; 1000 is the step between two units",
            ),
        ] {
            let said = told(metric, steps(&parts));
            assert_eq!(said, [(109, words.to_owned())], "after ten readings, and never again");
        }
    }

    #[test]
    fn a_short_excursion_a_drift_and_what_jumps_by_nature_say_nothing() {
        assert_eq!(told(Metric::PRESSURE, steps(&[(100, 402.0), (9, 0.0), (60, 402.0)])), []);
        // Twenty degrees in a morning, 200 kPa in a day.
        assert_eq!(told(Metric::TEMPERATURE, every_minute((0..600).map(|n| f64::from(n) / 30.0))), []);
        assert_eq!(told(Metric::PRESSURE, every_minute((0..1440).map(|n| 400.0 - f64::from(n) / 7.0))), []);
        assert_eq!(told(Metric::FLOW, steps(&[(100, 0.0), (60, 900.0)])), []);
    }

    #[test]
    fn another_pace_is_told_and_a_backlog_is_none() {
        let regular = |many: u64, every: u64, from: u64| (1..=many).map(move |n| (from + n * every, 20.0));
        let faster = regular(60, 10 * MINUTE, 0).chain(regular(300, 5_000, 600 * MINUTE));
        let said = told(Metric::TEMPERATURE, faster);
        assert_eq!(said.len(), 1, "{said:?}");
        assert_eq!(said[0].1, "it reported every 10 min and reports every 5 s");
        assert!(
            (290..=310).contains(&said[0].0),
            "when it has lasted for two of the former intervals: {said:?}"
        );
        let slower = regular(60, 10 * MINUTE, 0).chain(regular(60, 6 * 60 * MINUTE, 600 * MINUTE));
        assert_eq!(
            told(Metric::TEMPERATURE, slower),
            [(62, "it reported every 10 min and reports every 6 h".to_owned())]
        );
        // Six hours away, then all of it at once, then as before.
        let backlog = regular(60, 10 * MINUTE, 0).chain(regular(36, 20, 960 * MINUTE)).chain(regular(
            60,
            10 * MINUTE,
            961 * MINUTE,
        ));
        assert_eq!(told(Metric::TEMPERATURE, backlog), []);
        // A door has no pace.
        let door = (0..200u64).map(|n| ((n / 2) * 60 * MINUTE + (n % 2) * 3_000, 20.0));
        let busy = (0..200u64).map(|n| (6_000 * MINUTE + n * 4_000, 20.0));
        assert_eq!(told(Metric::TEMPERATURE, door.chain(busy)), []);
    }

    #[test]
    fn what_was_kept_or_comes_again_is_not_looked_at_and_a_switch_turns_it_off() {
        let mut off = Behaviour::new(Limits { learn: 0, ..Limits::default() });
        let mut on = Behaviour::default();
        for (ms, value) in steps(&[(100, 402.0), (60, 0.402)]) {
            assert_eq!(off.look(&report(Metric::PRESSURE, value, Freshness::Live), Steady(ms)), []);
            for freshness in [Freshness::Backfill, Freshness::Replayed, Freshness::Retained] {
                assert_eq!(on.look(&report(Metric::PRESSURE, value, freshness), Steady(ms)), []);
            }
        }
    }

    #[test]
    fn ten_an_hour_are_told_alone() {
        let mut behaviour = Behaviour::default();
        let mut tell = |ms| behaviour.tell(Steady(ms));
        let told: Vec<Told> = (0..20).map(&mut tell).collect();
        assert_eq!(told.iter().filter(|told| **told == Told::Alone).count(), TOLD_PER_HOUR);
        assert_eq!(tell(HOUR.0), Told::Alone, "an hour later");
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]

        /// Whatever its level, noise and pace: a device that stays as it is never raises it.
        #[test]
        fn a_steady_device_is_never_told(
            metric in prop::sample::select(WATCHED.map(|(metric, _)| metric).to_vec()),
            level in -500.0..2_000.0f64,
            noise in 0.0..200.0f64,
            every_ms in 20u64..86_400_000,
            seeds in prop::collection::vec((0.0..1.0f64, 0.5..2.0f64), 400),
        ) {
            let mut ms = 0;
            let readings = seeds.into_iter().map(|(value, pace)| {
                ms += (every_ms as f64 * pace) as u64;
                (ms, level + (value - 0.5) * noise)
            });
            prop_assert_eq!(told(metric, readings.collect::<Vec<_>>()), []);
        }

        /// Slow drift, up to what a reading may lie apart without meaning anything over 32 readings.
        #[test]
        fn slow_drift_is_never_told(start in 0.0..500.0f64, share in -1.0..1.0f64, at in 0usize..WATCHED.len()) {
            let (metric, floor) = WATCHED[at];
            let step = share * f64::from(floor) * f64::from(FOLLOW) * 2.0;
            prop_assert_eq!(told(metric, every_minute((0..2_000).map(|n| start + f64::from(n) * step))), []);
        }
    }
}
