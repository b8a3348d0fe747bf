//! From the rows of a neighbourhood to machines and MQTT lines.
//!
//! A new kind of device, or a new way for one to speak, is one arm in [`Building::add`].

use std::collections::BTreeMap;

use anyhow::bail;

use super::{Device, Line, Machine, PRESSURE_MS};
use crate::device::camera::{self, Camera, Frigate};
use crate::device::detector::{self, Detector};
use crate::device::{Frame, Hydrant, Moment};
use crate::hydrants::Pressures;
use crate::neighbourhood::Row;

/// Native devices publish to `gridwarden/up/<id>`.
const NATIVE_TOPIC: &str = "gridwarden/up";
const HEARTBEAT_S: f64 = 60.0;

/// Turns rows into machines and lines.
pub(super) struct Building {
    seed: u64,
    now: Moment,
    pub(super) devices: Vec<Device>,
    pub(super) of_row: Vec<Option<usize>>,
    pub(super) lines: Vec<Line>,
    native_lines: Vec<usize>,
    natives: usize,
    connections_max: usize,
    /// One line for every server that speaks for many devices: a Zigbee2MQTT bridge or a Frigate, by its base topic.
    servers: BTreeMap<String, usize>,
    frigate_cameras: BTreeMap<String, Vec<String>>,
    pub(super) unknown: BTreeMap<String, usize>,
    pub(super) pressures: Pressures,
}

impl Building {
    pub(super) fn new(rows: &[Row], seed: u64, connections_max: usize, now: Moment) -> Self {
        let natives = rows.iter().filter(|row| row.family().0 == "native").count();
        Self {
            seed,
            now,
            devices: Vec::new(),
            of_row: Vec::new(),
            lines: Vec::new(),
            native_lines: Vec::new(),
            natives,
            connections_max: connections_max.max(1),
            servers: BTreeMap::new(),
            frigate_cameras: BTreeMap::new(),
            unknown: BTreeMap::new(),
            pressures: Pressures::default(),
        }
    }

    pub(super) fn add(&mut self, row: &Row) -> anyhow::Result<()> {
        let (family, rest) = row.family();
        let built = match (alarm_of(&row.kind), row.kind.as_str(), family) {
            (Some(alarm), _, "native") => {
                let (line, topic) = self.native_line(rest);
                Some((self.detector(row, topic, detector::Dialect::Native, alarm), Some(line)))
            }
            (Some(alarm), _, "z2m") => {
                let line = self.bridge_line(rest);
                Some((self.detector(row, rest.to_owned(), detector::Dialect::Zigbee2mqtt, alarm), Some(line)))
            }
            (None, "access_camera" | "camera", "native") => {
                let (line, topic) = self.native_line(rest);
                let camera = Camera::new(
                    self.seed,
                    &row.id,
                    rest.to_owned(),
                    topic,
                    camera::Dialect::Native,
                    self.now,
                );
                Some((Machine::Camera(Box::new(camera)), Some(line)))
            }
            (None, "access_camera" | "camera", "frigate") => {
                let base = "frigate".to_owned();
                let line = self.server_line(&base, &format!("{base}/available"), "online", "offline");
                self.frigate_cameras.entry(base.clone()).or_default().push(rest.to_owned());
                let camera = Camera::new(
                    self.seed,
                    &row.id,
                    rest.to_owned(),
                    base,
                    camera::Dialect::Frigate,
                    self.now,
                );
                Some((Machine::Camera(Box::new(camera)), Some(line)))
            }
            (None, "hydrant", "modbus") => {
                let unit = rest.rsplit('/').next().and_then(|unit| unit.parse().ok());
                let Some(unit @ 1..=247) = unit else {
                    bail!(
                        "device {}: `{}` must end with a Modbus unit from 1 to 247, such as modbus:east/3",
                        row.id,
                        row.address
                    );
                };
                if self.pressures.get(unit).is_some() {
                    bail!("device {}: Modbus unit {unit} stands twice; the simulator serves one bus", row.id);
                }
                let mut hydrant = Hydrant::new(self.seed, &row.id);
                self.pressures.set(unit, hydrant.step(self.now.sim_ms));
                let next_ms = self.now.sim_ms + PRESSURE_MS;
                Some((Machine::Hydrant { unit, hydrant, next_ms, silent: false }, None))
            }
            (_, kind, family) => {
                *self.unknown.entry(format!("{kind} by {family}")).or_default() += 1;
                None
            }
        };
        let at = built.map(|(machine, line)| self.push(machine, line));
        self.of_row.push(at);
        Ok(())
    }

    fn push(&mut self, machine: Machine, line: Option<usize>) -> usize {
        let due_ms = machine.wake_at();
        self.devices.push(Device { machine, line, due_ms });
        self.devices.len() - 1
    }

    fn detector(&self, row: &Row, topic: String, dialect: detector::Dialect, alarm: &'static str) -> Machine {
        // Whoever is missed after a short time must speak more often.
        let heartbeat_s =
            row.silent_after_s.map_or(HEARTBEAT_S, |silent| (silent / 3.0).clamp(1.0, HEARTBEAT_S));
        Machine::Detector(Box::new(Detector::new(
            self.seed,
            &row.id,
            topic,
            dialect,
            alarm,
            heartbeat_s,
            self.now,
        )))
    }

    fn native_line(&mut self, name: &str) -> (usize, String) {
        let topic = format!("{NATIVE_TOPIC}/{name}");
        if self.natives <= self.connections_max {
            let status =
                |word: &str| Frame::retained(format!("{topic}/status"), format!("{{\"status\":\"{word}\"}}"));
            self.lines.push(Line {
                client_id: name.to_owned(),
                will: Some(status("offline")),
                birth: vec![status("online")],
            });
            return (self.lines.len() - 1, topic);
        }
        if self.native_lines.len() < self.connections_max {
            let client_id = format!("fleet-{}", self.native_lines.len());
            self.lines.push(Line { client_id, will: None, birth: Vec::new() });
            self.native_lines.push(self.lines.len() - 1);
            return (self.lines.len() - 1, topic);
        }
        let turn = self.devices.len() % self.native_lines.len();
        (self.native_lines[turn], topic)
    }

    /// The bridge publishes for its devices, and vouches for each when it starts.
    fn bridge_line(&mut self, topic: &str) -> usize {
        let base = topic.split('/').next().unwrap_or(topic).to_owned();
        let (online, offline) = ("{\"state\":\"online\"}", "{\"state\":\"offline\"}");
        let line = self.server_line(&base, &format!("{base}/bridge/state"), online, offline);
        self.lines[line].birth.push(Frame::retained(format!("{topic}/availability"), online));
        line
    }

    fn server_line(&mut self, base: &str, state: &str, online: &str, offline: &str) -> usize {
        if let Some(line) = self.servers.get(base) {
            return *line;
        }
        self.lines.push(Line {
            client_id: base.to_owned(),
            will: Some(Frame::retained(state, offline)),
            birth: vec![Frame::retained(state, online)],
        });
        self.servers.insert(base.to_owned(), self.lines.len() - 1);
        self.lines.len() - 1
    }

    pub(super) fn finish(mut self) -> Self {
        for (base, cameras) in std::mem::take(&mut self.frigate_cameras) {
            let line = self.servers.get(&base).copied();
            let frigate = Frigate::new(base, cameras, self.now);
            self.push(Machine::Frigate(frigate), line);
        }
        self
    }
}

/// The alarm that a detector of this kind gives.
fn alarm_of(kind: &str) -> Option<&'static str> {
    match kind {
        "smoke_detector" => Some("smoke"),
        "heat_detector" => Some("heat_alarm"),
        "gas_detector" => Some("gas_alarm"),
        "manual_call_point" => Some("manual_alarm"),
        _ => None,
    }
}
