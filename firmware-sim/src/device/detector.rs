//! One battery detector (smoke, heat, gas, call point) that speaks MQTT as native JSON or as Zigbee2MQTT would for it.
//!
//! It sends a heartbeat with jitter, its battery runs down, and while it sees a fire it repeats its alarm frame every few seconds, as real ones do.
//! Some makes never report the end of an alarm: they only stop repeating it.

use serde_json::{Map, Value, json};

use super::{Frame, Moment, dice, hour_of_day, rfc3339};
use crate::faults::{Act, Chatter, Faults};

/// A pressed test button is held for as long.
const TEST_MS: i64 = 8_000;
/// Alarm frames are repeated this often.
const REPEAT_MS: i64 = 5_000;
/// A battery lasts about three years.
const DRAIN_PER_DAY: f64 = 0.09;
const BATTERY_LOW: f64 = 15.0;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Dialect {
    Native,
    Zigbee2mqtt,
}

#[derive(Debug)]
pub struct Detector {
    topic: String,
    dialect: Dialect,
    /// The metric that is its alarm, such as `smoke`.
    alarm: &'static str,
    /// Whether it tells when an alarm is over.
    reports_end: bool,
    heartbeat_ms: i64,
    next_heartbeat_ms: i64,
    fire: Option<Fire>,
    test_until_ms: Option<i64>,
    battery_percent: f64,
    drained_ms: i64,
    faults: Faults,
    dice: fastrand::Rng,
}

#[derive(Clone, Copy, Debug)]
struct Fire {
    since_ms: i64,
    next_frame_ms: i64,
}

impl Detector {
    /// `topic` is where it publishes; its first heartbeat comes within ten seconds.
    pub fn new(
        seed: u64,
        id: &str,
        topic: String,
        dialect: Dialect,
        alarm: &'static str,
        heartbeat_s: f64,
        now: Moment,
    ) -> Self {
        let mut dice = dice(seed, id);
        Self {
            topic,
            dialect,
            alarm,
            reports_end: dialect == Dialect::Zigbee2mqtt || dice.u8(0..4) != 0,
            heartbeat_ms: (heartbeat_s * 1000.0) as i64,
            next_heartbeat_ms: now.sim_ms + dice.i64(0..10_000),
            fire: None,
            test_until_ms: None,
            battery_percent: 60.0 + 40.0 * dice.f64(),
            drained_ms: now.sim_ms,
            faults: Faults::default(),
            dice,
        }
    }

    /// Do something to it; what it sends about that comes with the next step. `false`: it does not concern a detector.
    pub fn act(&mut self, act: Act, now: Moment) -> bool {
        let now_ms = now.sim_ms;
        match act {
            Act::Fire => self.fire = Some(Fire { since_ms: now_ms, next_frame_ms: now_ms }),
            Act::FireOut => {
                if self.fire.take().is_some() && self.reports_end {
                    self.next_heartbeat_ms = now_ms;
                }
            }
            Act::TestButton => {
                self.test_until_ms = Some(now_ms + TEST_MS);
                self.next_heartbeat_ms = now_ms;
            }
            Act::Battery { percent } => {
                self.battery_percent = percent;
                self.next_heartbeat_ms = now_ms;
            }
            Act::Chatter { every_s } => {
                let every_ms = ((every_s * 1000.0) as i64).max(100);
                self.faults.chatter = Some(Chatter { every_ms, next_ms: now_ms });
            }
            Act::Tamper => {
                self.faults.tampered = true;
                self.next_heartbeat_ms = now_ms;
            }
            Act::ClockSkew { seconds } => self.faults.clock_skew_ms = (seconds * 1000.0) as i64,
            Act::Silence => self.faults.silent = true,
            Act::Repair => {
                self.faults = Faults::default();
                self.fire = None;
                self.battery_percent = self.battery_percent.max(100.0);
                self.next_heartbeat_ms = now_ms;
            }
            Act::Blip { .. } | Act::Burst { .. } => return false,
        }
        true
    }

    /// What it sends now.
    pub fn step(&mut self, now: Moment) -> Option<Frame> {
        let now_ms = now.sim_ms;
        let days = (now_ms - self.drained_ms).max(0) as f64 / 86_400_000.0;
        self.battery_percent = (self.battery_percent - days * DRAIN_PER_DAY).max(0.0);
        self.drained_ms = now_ms;
        let mut sends = self.faults.step(now_ms);
        if self.test_until_ms.is_some_and(|until| until <= now_ms) {
            self.test_until_ms = None;
            sends = true;
        }
        if let Some(fire) = &mut self.fire
            && fire.next_frame_ms <= now_ms
        {
            fire.next_frame_ms = now_ms + REPEAT_MS;
            sends = true;
        }
        if self.next_heartbeat_ms <= now_ms {
            let jitter = 0.9 + 0.2 * self.dice.f64();
            self.next_heartbeat_ms = now_ms + (self.heartbeat_ms as f64 * jitter) as i64;
            sends = true;
        }
        // A flat battery says nothing either.
        (sends && !self.faults.silent && 0.0 < self.battery_percent).then(|| self.frame(now))
    }

    /// When [`Detector::step`] has something to do again.
    pub fn wake_at(&self) -> i64 {
        let others = [self.fire.map(|fire| fire.next_frame_ms), self.test_until_ms, self.faults.wake_at()];
        others.into_iter().flatten().fold(self.next_heartbeat_ms, i64::min)
    }

    fn frame(&mut self, now: Moment) -> Frame {
        let in_test = self.test_until_ms.is_some();
        let warming = self.fire.map_or(0.0, |fire| ((now.sim_ms - fire.since_ms) as f64 / 6_000.0).min(45.0));
        let day = 3.0 * ((hour_of_day(now.sim_ms) - 15.0) / 24.0 * std::f64::consts::TAU).cos();
        let temperature = tenths(21.0 + day + warming + 0.6 * (self.dice.f64() - 0.5));
        let battery = tenths(self.battery_percent);
        let volts = 2.4 + 0.6 * self.battery_percent / 100.0;
        let mut said = Map::new();
        let mut say = |name: &str, value: Value| said.insert(name.to_owned(), value);
        say("battery", json!(battery));
        say("battery_low", json!(self.battery_percent < BATTERY_LOW));
        say("tamper", json!(self.faults.tampered));
        say("temperature", json!(temperature));
        match self.dialect {
            Dialect::Native => {
                // A make that never reports the end does not say `false` either.
                if self.fire.is_some() || self.reports_end {
                    say(self.alarm, json!(self.fire.is_some()));
                }
                say("test", json!(in_test));
                say("battery_voltage", json!((volts * 100.0).round() / 100.0));
                let time = rfc3339(now.wall_ms + self.faults.clock_skew_ms);
                Frame::new(&self.topic, &json!({ "time": time, "values": said }))
            }
            Dialect::Zigbee2mqtt => {
                // The zone status of Zigbee detectors shows the alarm while the test button is held.
                say(self.alarm, json!(self.fire.is_some() || in_test));
                say("test", json!(in_test));
                say("voltage", json!((volts * 1000.0).round()));
                say("linkquality", json!(self.dice.u8(40..180)));
                say("last_seen", json!(rfc3339(now.wall_ms)));
                Frame::new(&self.topic, &Value::Object(said))
            }
        }
    }
}

fn tenths(value: f64) -> f64 {
    (value * 10.0).round() / 10.0
}

#[cfg(test)]
mod tests {
    use super::*;

    const START: i64 = 1_795_402_800_000;

    fn detector(dialect: Dialect) -> Detector {
        let mut detector = Detector::new(1, "SD-1", "t".into(), dialect, "smoke", 60.0, Moment::at(START));
        detector.reports_end = true;
        detector
    }

    /// Every frame up to `seconds` from the start, with when it came.
    fn frames(detector: &mut Detector, from_s: i64, to_s: i64) -> Vec<(i64, Value)> {
        let (mut at, end) = (START + from_s * 1000, START + to_s * 1000);
        let mut frames = Vec::new();
        while at < end {
            if let Some(frame) = detector.step(Moment::at(at)) {
                frames.push(((at - START) / 1000, serde_json::from_str(&frame.payload).unwrap()));
            }
            assert!(at < detector.wake_at(), "it must not ask to be woken in the past");
            at = detector.wake_at();
        }
        frames
    }

    #[test]
    fn a_heartbeat_a_minute_more_or_less() {
        let times: Vec<_> =
            frames(&mut detector(Dialect::Native), 0, 6_000).into_iter().map(|frame| frame.0).collect();
        assert!(times[0] < 10, "the first one comes soon");
        assert!((95..=105).contains(&times.len()), "{}", times.len());
        assert!(times.windows(2).all(|pair| (53..=67).contains(&(pair[1] - pair[0]))));
        let gaps: std::collections::BTreeSet<_> = times.windows(2).map(|pair| pair[1] - pair[0]).collect();
        assert!(3 < gaps.len(), "with jitter: {gaps:?}");
    }

    #[test]
    fn an_alarm_is_repeated_until_the_fire_is_out() {
        let mut detector = detector(Dialect::Native);
        frames(&mut detector, 0, 100);
        detector.act(Act::Fire, Moment::at(START + 100_000));
        let burning = frames(&mut detector, 100, 130);
        assert!(5 < burning.len(), "{burning:?}");
        assert_eq!(burning[0].0, 100, "the first frame comes at once");
        assert!(burning.iter().all(|(_, said)| said["values"]["smoke"] == json!(true)));
        detector.act(Act::FireOut, Moment::at(START + 130_000));
        let after = frames(&mut detector, 130, 200);
        assert!(
            after.len() <= 3 && after.iter().all(|(_, said)| said["values"]["smoke"] == json!(false)),
            "{after:?}"
        );
    }

    #[test]
    fn a_latched_make_never_says_that_it_is_over() {
        let mut detector = detector(Dialect::Native);
        detector.reports_end = false;
        detector.act(Act::Fire, Moment::at(START));
        assert!(frames(&mut detector, 0, 30).iter().all(|(_, said)| said["values"]["smoke"] == json!(true)));
        detector.act(Act::FireOut, Moment::at(START + 30_000));
        assert!(frames(&mut detector, 30, 300).iter().all(|(_, said)| said["values"].get("smoke").is_none()));
    }

    #[test]
    fn a_held_test_button_looks_like_smoke_with_the_test_flag_on_zigbee() {
        let mut detector = detector(Dialect::Zigbee2mqtt);
        detector.act(Act::TestButton, Moment::at(START));
        let said = frames(&mut detector, 0, 20);
        assert_eq!((&said[0].1["smoke"], &said[0].1["test"]), (&json!(true), &json!(true)));
        let last = &said.last().unwrap().1;
        assert_eq!((&last["smoke"], &last["test"]), (&json!(false), &json!(false)));
    }

    #[test]
    fn faults_show_and_a_repair_ends_them() {
        let mut detector = detector(Dialect::Native);
        for act in [
            Act::Battery { percent: 8.0 },
            Act::Chatter { every_s: 2.0 },
            Act::ClockSkew { seconds: 7_200.0 },
        ] {
            assert!(detector.act(act, Moment::at(START)));
        }
        let said = frames(&mut detector, 0, 60);
        assert!(25 < said.len(), "the contact chatters: {}", said.len());
        assert_eq!(said[0].1["values"]["battery_low"], json!(true));
        assert_eq!(said[0].1["time"], json!("2026-11-23T05:00:00.000Z"));
        assert_ne!(said[0].1["values"]["tamper"], said[1].1["values"]["tamper"]);
        detector.act(Act::Silence, Moment::at(START + 60_000));
        assert_eq!(frames(&mut detector, 60, 600), []);
        detector.act(Act::Repair, Moment::at(START + 600_000));
        let said = frames(&mut detector, 600, 620);
        assert_eq!((&said[0].1["values"]["battery_low"], said.len()), (&json!(false), 1));
    }

    #[test]
    fn a_battery_lasts_years_and_then_says_nothing() {
        let mut detector = detector(Dialect::Native);
        let day = |days: i64| Moment::at(START + days * 86_400_000);
        assert!(detector.step(day(600)).is_some());
        assert!(detector.step(day(1_500)).is_none());
    }
}
