//! Access cameras: people and cars that come and go, as a Frigate server reports them or as a camera that speaks native JSON.

use serde_json::{Map, json};

use super::{Frame, Moment, dice, hour_of_day, rfc3339};

/// How long an idle camera waits before it says that it lives (native), and how often Frigate publishes its statistics.
const HEARTBEAT_MS: i64 = 60_000;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Dialect {
    Native,
    Frigate,
}

#[derive(Debug)]
pub struct Camera {
    name: String,
    /// Base topic of Frigate, or the camera's own topic.
    topic: String,
    dialect: Dialect,
    visit: Option<Visit>,
    next_visit_ms: i64,
    next_heartbeat_ms: i64,
    entries: u64,
    dice: fastrand::Rng,
}

/// Somebody in front of the camera.
#[derive(Clone, Debug)]
struct Visit {
    id: String,
    label: &'static str,
    since_wall_ms: i64,
    until_ms: i64,
    score: f64,
}

impl Camera {
    pub fn new(seed: u64, id: &str, name: String, topic: String, dialect: Dialect, now: Moment) -> Self {
        let mut dice = dice(seed, id);
        let next_visit_ms = now.sim_ms + dice.i64(1_000..30_000);
        let next_heartbeat_ms = now.sim_ms + dice.i64(0..10_000);
        Self { name, topic, dialect, visit: None, next_visit_ms, next_heartbeat_ms, entries: 0, dice }
    }

    pub fn step(&mut self, now: Moment) -> Vec<Frame> {
        let mut frames = Vec::new();
        if self.visit.as_ref().is_some_and(|visit| visit.until_ms <= now.sim_ms)
            && let Some(visit) = self.visit.take()
        {
            let pause = -(1.0 - self.dice.f64()).ln() * mean_pause_ms(now.sim_ms);
            self.next_visit_ms = now.sim_ms + (pause as i64).clamp(2_000, 3_600_000);
            self.tell("end", &visit, now, &mut frames);
        }
        if self.visit.is_none() && self.next_visit_ms <= now.sim_ms {
            let visit = Visit {
                id: format!("{}.{:06}-{}", now.wall_ms / 1000, now.wall_ms % 1000 * 1000, self.letters()),
                label: if self.dice.u8(0..4) == 0 { "car" } else { "person" },
                since_wall_ms: now.wall_ms,
                until_ms: now.sim_ms + self.dice.i64(4_000..40_000),
                score: (700.0 + 290.0 * self.dice.f64()).round() / 1000.0,
            };
            self.entries += u64::from(visit.label == "person");
            self.tell("new", &visit, now, &mut frames);
            self.visit = Some(visit);
        }
        if self.dialect == Dialect::Native && self.next_heartbeat_ms <= now.sim_ms {
            frames.push(self.count(now));
        }
        frames
    }

    pub fn wake_at(&self) -> i64 {
        let visit = self.visit.as_ref().map_or(self.next_visit_ms, |visit| visit.until_ms);
        match self.dialect {
            Dialect::Native => visit.min(self.next_heartbeat_ms),
            Dialect::Frigate => visit,
        }
    }

    fn tell(&mut self, kind: &str, visit: &Visit, now: Moment, frames: &mut Vec<Frame>) {
        let ended = kind == "end";
        if self.dialect == Dialect::Native {
            let persons = f64::from(u8::from(!ended && visit.label == "person"));
            let values =
                json!({"detection": !ended, "score": visit.score, "persons": persons, "entry": self.entries});
            frames.push(Frame::new(&self.topic, &json!({"time": rfc3339(now.wall_ms), "values": values})));
            self.next_heartbeat_ms = now.sim_ms + HEARTBEAT_MS;
            return;
        }
        let seconds = |ms: i64| ms as f64 / 1000.0;
        let object = json!({
            "id": visit.id, "camera": self.name, "label": visit.label, "sub_label": null,
            "frame_time": seconds(now.wall_ms), "start_time": seconds(visit.since_wall_ms),
            "end_time": ended.then(|| seconds(now.wall_ms)),
            "top_score": visit.score, "score": visit.score, "false_positive": false,
            "current_zones": [], "entered_zones": ["entrance"], "stationary": false,
        });
        let event = json!({"type": kind, "before": object, "after": object});
        frames.push(Frame::new(format!("{}/events", self.topic), &event));
        let count = format!("{}/{}/{}", self.topic, self.name, visit.label);
        frames.push(Frame { topic: count, payload: u8::from(!ended).to_string(), retain: false });
    }

    fn count(&mut self, now: Moment) -> Frame {
        self.next_heartbeat_ms = now.sim_ms + HEARTBEAT_MS;
        let values = json!({"detection": self.visit.is_some(), "entry": self.entries});
        Frame::new(&self.topic, &json!({"time": rfc3339(now.wall_ms), "values": values}))
    }

    fn letters(&mut self) -> String {
        (0..6).map(|_| self.dice.lowercase()).collect()
    }
}

/// Much comes and goes in the morning and evening, little at night.
fn mean_pause_ms(sim_ms: i64) -> f64 {
    match hour_of_day(sim_ms) as u8 {
        0..=6 => 900_000.0,
        7 | 8 | 17..=19 => 30_000.0,
        _ => 120_000.0,
    }
}

/// The Frigate server: statistics that show which cameras deliver frames.
#[derive(Debug)]
pub struct Frigate {
    topic: String,
    cameras: Vec<String>,
    next_ms: i64,
    started_ms: i64,
}

impl Frigate {
    pub fn new(topic: String, cameras: Vec<String>, now: Moment) -> Self {
        Self { topic, cameras, next_ms: now.sim_ms + 2_000, started_ms: now.sim_ms }
    }

    pub fn step(&mut self, now: Moment) -> Option<Frame> {
        if now.sim_ms < self.next_ms {
            return None;
        }
        self.next_ms = now.sim_ms + HEARTBEAT_MS;
        let cameras: Map<_, _> = self
            .cameras
            .iter()
            .map(|name| {
                (
                    name.clone(),
                    json!({"camera_fps": 5.1, "process_fps": 5.1, "skipped_fps": 0.0, "detection_fps": 0.4}),
                )
            })
            .collect();
        let uptime = (now.sim_ms - self.started_ms) / 1000;
        Some(Frame::new(
            format!("{}/stats", self.topic),
            &json!({"cameras": cameras, "service": {"uptime": uptime}}),
        ))
    }

    pub fn wake_at(&self) -> i64 {
        self.next_ms
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const START: i64 = 1_795_402_800_000;

    #[test]
    fn whoever_comes_goes_again() {
        let mut camera =
            Camera::new(1, "CAM-1", "gate".into(), "frigate".into(), Dialect::Frigate, Moment::at(START));
        let mut at = START;
        let mut inside = std::collections::BTreeSet::new();
        let mut visits = 0;
        while at < START + 86_400_000 {
            for frame in camera.step(Moment::at(at)).iter().filter(|frame| frame.topic == "frigate/events") {
                let event: serde_json::Value = serde_json::from_str(&frame.payload).unwrap();
                let id = event["after"]["id"].as_str().unwrap().to_owned();
                match event["type"].as_str().unwrap() {
                    "new" => assert!(inside.insert(id), "an id is used once"),
                    "end" => assert!(inside.remove(&id), "who goes has come"),
                    other => panic!("{other}"),
                }
                visits += 1;
            }
            assert!(at < camera.wake_at());
            at = camera.wake_at();
        }
        assert!(inside.len() <= 1);
        assert!((400..6_000).contains(&visits), "{visits} in a day");
    }

    #[test]
    fn frigate_tells_every_minute_which_cameras_live() {
        let mut frigate =
            Frigate::new("frigate".into(), vec!["gate".into(), "yard".into()], Moment::at(START));
        assert_eq!(frigate.step(Moment::at(START)), None);
        let frame = frigate.step(Moment::at(START + 2_000)).unwrap();
        assert!(frame.payload.contains("\"gate\"") && frame.payload.contains("\"yard\""));
        assert_eq!(frigate.wake_at(), START + 62_000);
    }
}
