//! How much one device may say: beyond its allowance its reports are thinned, and a report *about* the device says so.
//!
//! Pure: time comes in as `now`. It stands before the journal, so that one mad device wears out neither the disk nor the database. What it
//! lets through is journaled like any report, its own remarks too (`messages_per_minute`, `messages_thinned`), so a replay needs no limiter.
//!
//! Thinned does not mean stuck: the newest of each kind of report is held and goes on within [`HOLD`], so what is known of the device converges. A
//! fire flag that is set and was not set in what last went on is never held; everything held of the device goes on before it, in order.
//! A power cut may take what is held: it counts as thinned.

use std::collections::BTreeMap;

use crate::ahead::look_ahead;
use crate::config::rules::FloodLimits;
use crate::model::{DeviceIx, Freshness, Metric, Quality, Report, Value};
use crate::units::{Millis, Now, Steady};

/// How long the newest thinned reports wait at most.
const HOLD: Millis = Millis::from_secs(1);
/// Different kinds of reports (sets of metrics) held of one device; beyond it the oldest is thinned.
const HELD_MAX: usize = 16;
/// The first remark comes when so much was seen that the number means something.
const FIRST_REMARK_AFTER: Millis = Millis::from_secs(5);
const REMARK_EVERY: Millis = Millis::from_secs(60);

/// How often a device may report, and how many reports may come at once: what a broker kept for it through a long outage must fit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Allowance {
    pub per_minute: u32,
    pub at_once: u32,
}

impl Default for Allowance {
    fn default() -> Self {
        Self::from(&FloodLimits::default())
    }
}

impl From<&FloodLimits> for Allowance {
    fn from(limits: &FloodLimits) -> Self {
        Self {
            per_minute: *limits.reports_per_minute_max.get_ref(),
            at_once: *limits.reports_at_once_max.get_ref(),
        }
    }
}

impl Allowance {
    /// One report uses up so much time.
    fn interval_us(self) -> u64 {
        60_000_000 / u64::from(self.per_minute.max(1))
    }

    fn slack_us(self) -> u64 {
        self.interval_us() * u64::from(self.at_once.max(1) - 1)
    }
}

#[derive(Debug, Default)]
pub struct RateLimit {
    allowance: Allowance,
    /// By [`DeviceIx`]: until when, in microseconds of steady time, its allowance is used up.
    used_until_us: Vec<u64>,
    loud: BTreeMap<DeviceIx, Loud>,
    thinned: u64,
}

/// A device that was over its allowance a moment ago.
#[derive(Debug)]
struct Loud {
    /// The time that the next remark is about.
    since: Steady,
    remark_at: Steady,
    received: u64,
    beyond: u64,
    thinned: u64,
    /// The set fire flags of what last went on, live and not.
    fires: [u64; 2],
    held: Vec<Report>,
    release_at: Option<Steady>,
}

impl RateLimit {
    /// `loud` are devices whose alarm stands since before a restart: they get the remark that ends it.
    pub fn new(allowance: Allowance, loud: impl IntoIterator<Item = DeviceIx>, now: Now) -> Self {
        let mut limit = Self { allowance, ..Self::default() };
        for device in loud {
            limit.loud.insert(device, Loud::since(now.steady));
        }
        limit
    }

    pub fn set_allowance(&mut self, allowance: Allowance) {
        self.allowance = allowance;
    }

    /// These devices are taken next.
    pub fn look_ahead(&self, devices: &[DeviceIx]) {
        look_ahead(&self.used_until_us, devices, |until| *until);
    }

    /// What goes on now: nothing, the report, or the report after what was held before it. Nearly always it is the report.
    pub fn take(&mut self, report: Report, now: Now) -> impl Iterator<Item = Report> + use<> {
        let device = report.device;
        let within = self.spend(device, now.steady);
        let (before, itself) = match self.loud.get_mut(&device) {
            None if within => (Vec::new(), Some(report)),
            None => {
                let loud = self.loud.entry(device).or_insert_with(|| Loud::since(now.steady));
                loud.received = 1;
                loud.beyond(report, now.steady)
            }
            Some(loud) => {
                loud.received += 1;
                if within {
                    loud.supersede(&report);
                    loud.went_on(&report);
                    (Vec::new(), Some(report))
                } else {
                    loud.beyond(report, now.steady)
                }
            }
        };
        before.into_iter().chain(itself)
    }

    /// When [`RateLimit::due`] has something.
    pub fn wake_at(&self) -> Option<Steady> {
        self.loud.values().map(|loud| loud.release_at.unwrap_or(loud.remark_at).min(loud.remark_at)).min()
    }

    /// Held reports whose time has come, and remarks about devices.
    pub fn due(&mut self, now: Now) -> Vec<Report> {
        let mut reports = Vec::new();
        let max = f64::from(self.allowance.per_minute);
        self.loud.retain(|&device, loud| {
            if loud.release_at.is_some_and(|at| at <= now.steady) {
                reports.extend(loud.release());
            }
            if now.steady < loud.remark_at {
                return true;
            }
            let minutes = now.steady.since(loud.since).as_secs_f64() / 60.0;
            let rate = (loud.received as f64 / minutes).round();
            let calm = loud.beyond == 0;
            // A remark is the start or the end of an alarm: never between.
            let rate = if calm { rate.min(max) } else { rate.max(max + 1.0) };
            reports.push(remark(device, rate, loud.thinned, now));
            (loud.since, loud.remark_at) = (now.steady, now.steady + REMARK_EVERY);
            self.thinned += loud.thinned;
            (loud.received, loud.beyond, loud.thinned) = (0, 0, 0);
            !calm || loud.release_at.is_some()
        });
        reports
    }

    /// How many were thinned, as far as there was a remark about them, since this was last asked.
    pub fn take_thinned(&mut self) -> u64 {
        std::mem::take(&mut self.thinned)
    }

    /// Uses the device's allowance for one report; `false` when there is none left.
    fn spend(&mut self, device: DeviceIx, now: Steady) -> bool {
        let now_us = now.0.saturating_mul(1000);
        if self.used_until_us.len() <= device.at() {
            self.used_until_us.resize(device.at() + 1, 0);
        }
        let used_until = self.used_until_us[device.at()].max(now_us);
        let within = used_until - now_us <= self.allowance.slack_us();
        if within {
            self.used_until_us[device.at()] = used_until + self.allowance.interval_us();
        }
        within
    }
}

impl Loud {
    fn since(now: Steady) -> Self {
        Self {
            since: now,
            remark_at: now + FIRST_REMARK_AFTER,
            received: 0,
            beyond: 0,
            thinned: 0,
            fires: [0; 2],
            held: Vec::new(),
            release_at: None,
        }
    }

    /// A report for which there is no allowance: what was held before it goes on, and it does itself, or neither.
    fn beyond(&mut self, report: Report, now: Steady) -> (Vec<Report>, Option<Report>) {
        if set_fires(&report) & !self.fires[usize::from(is_live(&report))] != 0 {
            let held = self.release();
            self.went_on(&report);
            return (held, Some(report));
        }
        self.beyond += 1;
        self.supersede(&report);
        if self.held.len() == HELD_MAX {
            self.held.remove(0);
            self.thinned += 1;
        }
        self.held.push(report);
        self.release_at.get_or_insert(now + HOLD);
        (Vec::new(), None)
    }

    /// What is held goes on, oldest first.
    fn release(&mut self) -> Vec<Report> {
        self.release_at = None;
        let held = std::mem::take(&mut self.held);
        held.iter().for_each(|report| self.went_on(report));
        held
    }

    /// Drops what says nothing that the newer report does not say.
    fn supersede(&mut self, newer: &Report) {
        let before = self.held.len();
        self.held.retain(|held| {
            let says = |value: &Value| newer.values.iter().any(|other| other.metric == value.metric);
            is_live(held) != is_live(newer) || !held.values.iter().all(says)
        });
        self.thinned += (before - self.held.len()) as u64;
        if self.held.is_empty() {
            self.release_at = None;
        }
    }

    fn went_on(&mut self, report: &Report) {
        let fires = &mut self.fires[usize::from(is_live(report))];
        for value in report.values.iter().filter(|value| value.metric.spec().fire) {
            *fires &= !(1 << value.metric.number());
        }
        *fires |= set_fires(report);
    }
}

fn is_live(report: &Report) -> bool {
    match report.freshness {
        Freshness::Live => true,
        Freshness::Replayed | Freshness::Backfill | Freshness::Retained => false,
    }
}

/// A bit per fire flag that is set; a test press is no fire.
fn set_fires(report: &Report) -> u64 {
    let is_set = |value: &&Value| value.value != 0.0;
    if report.values.iter().filter(is_set).any(|value| value.metric == Metric::TEST) {
        return 0;
    }
    let fires = report.values.iter().filter(is_set).filter(|value| value.metric.spec().fire);
    fires.fold(0, |fires, value| fires | 1 << value.metric.number())
}

fn remark(device: DeviceIx, rate: f64, thinned: u64, now: Now) -> Report {
    let value = |metric, value| Value { metric, value, quality: Quality::Good };
    Report {
        device,
        received: now.wall,
        device_time: None,
        freshness: Freshness::Live,
        values: vec![
            value(Metric::MESSAGES_THINNED, thinned as f64),
            value(Metric::MESSAGES_PER_MINUTE, rate),
        ],
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::units::Timestamp;

    const ALLOWED: Allowance = Allowance { per_minute: 60, at_once: 10 };

    fn at(ms: u64) -> Now {
        Now { wall: Timestamp(1_000_000 + ms as i64), steady: Steady(ms) }
    }

    fn report(device: u32, values: &[(Metric, f64)]) -> Report {
        let values = values.iter().map(|&(metric, value)| Value { metric, value, quality: Quality::Good });
        Report {
            device: DeviceIx(device),
            received: Timestamp(0),
            device_time: None,
            freshness: Freshness::Live,
            values: values.collect(),
        }
    }

    fn limit() -> RateLimit {
        RateLimit::new(ALLOWED, [], at(0))
    }

    fn number(report: &Report, metric: Metric) -> Option<f64> {
        report.values.iter().find(|value| value.metric == metric).map(|value| value.value)
    }

    /// Uses up what may come at once.
    fn exhaust(limit: &mut RateLimit, device: u32, ms: u64) {
        for n in 0..10 {
            let report = report(device, &[(Metric::TEMPERATURE, f64::from(n))]);
            assert_eq!(limit.take(report, at(ms)).count(), 1, "report {n} is within the allowance");
        }
    }

    #[test]
    fn a_mad_device_is_thinned_named_and_forgiven() {
        let mut limit = limit();
        let (mut passed, mut remarks) = (0, Vec::new());
        for ms in 0..30_000 {
            for _ in 0..10 {
                passed +=
                    limit.take(report(0, &[(Metric::TEMPERATURE, f64::from(ms as u32))]), at(ms)).count();
            }
            assert_eq!(
                limit.take(report(1, &[]), at(ms)).count(),
                usize::from(ms < 10 || ms % 1000 == 0),
                "{ms}"
            );
            remarks.extend(limit.due(at(ms)));
        }
        assert!((38..=41).contains(&passed), "10 at once and one a second: {passed}");
        let remarks: Vec<_> = remarks
            .iter()
            .filter(|report| report.device == DeviceIx(0))
            .filter(|r| number(r, Metric::MESSAGES_PER_MINUTE).is_some())
            .collect();
        assert_eq!(remarks.len(), 1, "after five seconds");
        let rate = number(remarks[0], Metric::MESSAGES_PER_MINUTE).expect("a rate");
        assert!((599_000.0..=601_000.0).contains(&rate), "{rate}");
        // It calms: the newest reading goes on, then the end is said, then it is forgotten.
        let held = limit.due(at(31_000));
        let newest = held.iter().find_map(|report| number(report, Metric::TEMPERATURE));
        assert_eq!(newest, Some(29_999.0), "the newest was held");
        let mut end = Vec::new();
        while let Some(wake) = limit.wake_at() {
            end.extend(limit.due(at(wake.0)));
        }
        let end = end.iter().rfind(|report| report.device == DeviceIx(0)).expect("a last remark");
        assert!(number(end, Metric::MESSAGES_PER_MINUTE).is_some_and(|rate| rate <= 60.0));
        assert!(limit.take_thinned() > 299_000);
    }

    #[test]
    fn a_fire_of_a_mad_device_goes_on_at_once_and_in_order() {
        let mut limit = limit();
        exhaust(&mut limit, 0, 0);
        assert!(limit.take(report(0, &[(Metric::SMOKE, 0.0)]), at(1)).next().is_none(), "held");
        assert!(limit.take(report(0, &[(Metric::BATTERY, 5.0)]), at(2)).next().is_none(), "held");
        let gone: Vec<_> = limit.take(report(0, &[(Metric::SMOKE, 1.0)]), at(3)).collect();
        assert_eq!(gone.len(), 3, "the fire after what was said before it");
        assert_eq!(number(&gone[2], Metric::SMOKE), Some(1.0));
        for ms in 4..900 {
            assert!(
                limit.take(report(0, &[(Metric::SMOKE, 1.0)]), at(ms)).next().is_none(),
                "the same frame is folded"
            );
        }
        assert_eq!(
            limit.take(report(0, &[(Metric::HEAT_ALARM, 1.0)]), at(901)).count(),
            2,
            "another fire is news"
        );
        assert!(limit.take(report(0, &[(Metric::SMOKE, 0.0)]), at(902)).next().is_none());
        assert_eq!(limit.take(report(0, &[(Metric::GAS_ALARM, 1.0)]), at(903)).count(), 2);
        assert_eq!(
            limit.take(report(0, &[(Metric::SMOKE, 1.0)]), at(904)).count(),
            1,
            "a fire after its clear"
        );
    }

    #[test]
    fn a_clear_is_late_by_a_second_at_most() {
        let mut limit = limit();
        exhaust(&mut limit, 0, 0);
        assert_eq!(limit.take(report(0, &[(Metric::SMOKE, 1.0)]), at(1)).count(), 1);
        assert!(limit.take(report(0, &[(Metric::SMOKE, 0.0)]), at(2)).next().is_none());
        assert_eq!(limit.wake_at(), Some(Steady(1_002)));
        let gone = limit.due(at(1_002));
        assert_eq!(gone.iter().find_map(|report| number(report, Metric::SMOKE)), Some(0.0));
    }

    #[test]
    fn a_test_press_does_not_hide_the_fire_after_it() {
        let mut limit = limit();
        exhaust(&mut limit, 0, 0);
        assert!(limit.take(report(0, &[(Metric::SMOKE, 1.0), (Metric::TEST, 1.0)]), at(1)).next().is_none());
        assert_eq!(limit.take(report(0, &[(Metric::SMOKE, 1.0)]), at(2)).count(), 2);
    }

    #[test]
    fn every_kind_of_report_is_held_once_and_in_bounded_number() {
        let mut limit = limit();
        exhaust(&mut limit, 0, 0);
        for n in 0..1_000 {
            for metric in Metric::all().filter(|metric| !metric.spec().fire) {
                limit.take(report(0, &[(metric, f64::from(n))]), at(1)).for_each(drop);
            }
        }
        let gone = limit.due(at(1_001));
        assert_eq!(gone.len(), HELD_MAX);
        assert!(gone.iter().all(|report| report.values[0].value == 999.0), "the newest of each");
    }

    #[test]
    fn what_was_loud_before_a_restart_is_told_calm() {
        let mut limit = RateLimit::new(ALLOWED, [DeviceIx(7)], at(0));
        let wake = limit.wake_at().expect("a remark");
        let said = limit.due(at(wake.0));
        assert_eq!(number(&said[0], Metric::MESSAGES_PER_MINUTE), Some(0.0));
        assert_eq!(limit.wake_at(), None);
    }
}
