//! The whole neighbourhood as one pure machine: told the time, it says what is sent on which line, which lines break, and what there is to tell.
//!
//! Devices wait in a queue ordered by when they have something to do, so that a step costs only those that are due. A *line* is one MQTT
//! connection; hydrants have none, their pressure stands in [`Pressures`] for the Modbus servers.

mod building;

use std::cmp::Reverse;
use std::collections::{BTreeMap, BinaryHeap};

use building::Building;

use crate::device::{Camera, Detector, Frame, Frigate, Hydrant, Moment};
use crate::faults::Act;
use crate::hydrants::Pressures;
use crate::neighbourhood::Row;
use crate::scenario::{Cued, Scenario};

/// Hydrants are measured this often.
const PRESSURE_MS: i64 = 1_000;

/// What is to be done now.
#[derive(Clone, Debug, PartialEq)]
pub enum Deed {
    Send {
        line: usize,
        frame: Frame,
    },
    /// Break the connection without a farewell; it stays broken until mended.
    Cut {
        line: usize,
    },
    Mend {
        line: usize,
    },
    /// A sentence for whoever watches.
    Say(String),
}

/// One MQTT connection to keep.
#[derive(Clone, Debug, PartialEq)]
pub struct Line {
    pub client_id: String,
    pub will: Option<Frame>,
    /// What is published after every connect.
    pub birth: Vec<Frame>,
}

#[derive(Debug)]
enum Machine {
    Detector(Box<Detector>),
    Camera(Box<Camera>),
    Frigate(Frigate),
    Hydrant { unit: u8, hydrant: Hydrant, next_ms: i64, silent: bool },
}

#[derive(Debug)]
struct Device {
    machine: Machine,
    line: Option<usize>,
    /// When it is due; entries of the queue with another time are stale.
    due_ms: i64,
}

#[derive(Debug)]
pub struct Town {
    devices: Vec<Device>,
    /// Where each row of the neighbourhood lives in `devices`, if it is simulated.
    of_row: Vec<Option<usize>>,
    lines: Vec<Line>,
    queue: BinaryHeap<Reverse<(i64, usize)>>,
    /// Cues still to come, the last one first.
    cues: Vec<Cued>,
    /// Broken lines and when they are mended.
    cuts: BTreeMap<usize, i64>,
    pressures: Pressures,
}

impl Town {
    /// `connections_max` bounds the lines of native devices: more devices than that share lines, and a shared line has no will.
    pub fn new(
        rows: &[Row],
        scenarios: &[Scenario],
        seed: u64,
        connections_max: usize,
        now: Moment,
    ) -> anyhow::Result<(Self, Vec<String>)> {
        let mut building = Building::new(rows, seed, connections_max, now);
        for row in rows {
            building.add(row)?;
        }
        let Building { devices, of_row, lines, unknown, pressures, .. } = building.finish();
        let mut cues = Vec::new();
        for scenario in scenarios {
            cues.extend(
                scenario
                    .cast(rows, seed)?
                    .into_iter()
                    .map(|cue| Cued { at_ms: cue.at_ms + now.sim_ms, ..cue }),
            );
        }
        cues.sort_by_key(|cue| Reverse(cue.at_ms));
        let queue = devices.iter().enumerate().map(|(at, device)| Reverse((device.due_ms, at))).collect();
        let told = unknown
            .into_iter()
            .map(|(what, count)| format!("{count} devices are not simulated: {what}"))
            .collect();
        Ok((Self { devices, of_row, lines, queue, cues, cuts: BTreeMap::new(), pressures }, told))
    }

    pub fn lines(&self) -> &[Line] {
        &self.lines
    }

    /// What the Modbus servers show.
    pub fn pressures(&self) -> Pressures {
        self.pressures.clone()
    }

    /// How many devices are simulated.
    pub fn devices(&self) -> usize {
        self.of_row.iter().flatten().count()
    }

    pub fn step(&mut self, now: Moment) -> Vec<Deed> {
        let mut deeds = Vec::new();
        while self.cues.last().is_some_and(|cue| cue.at_ms <= now.sim_ms)
            && let Some(cue) = self.cues.pop()
        {
            deeds.push(Deed::Say(cue.say));
            self.act(cue.row, cue.act, now, &mut deeds);
        }
        let mended: Vec<usize> =
            self.cuts.iter().filter(|(_, until)| **until <= now.sim_ms).map(|(line, _)| *line).collect();
        for line in mended {
            self.cuts.remove(&line);
            deeds.push(Deed::Say(format!("{} is connected again", self.lines[line].client_id)));
            deeds.push(Deed::Mend { line });
        }
        while let Some(&Reverse((due_ms, at))) = self.queue.peek()
            && due_ms <= now.sim_ms
        {
            self.queue.pop();
            if self.devices[at].due_ms != due_ms {
                continue; // Something was done to it since, and it stands in the queue again.
            }
            let device = &mut self.devices[at];
            let frames = device.machine.step(now, &self.pressures);
            device.due_ms = device.machine.wake_at().max(now.sim_ms + 1);
            self.queue.push(Reverse((device.due_ms, at)));
            if let Some(line) = device.line {
                deeds.extend(frames.into_iter().map(|frame| Deed::Send { line, frame }));
            }
        }
        deeds
    }

    /// When [`Town::step`] has something to do again, on the simulation's clock.
    pub fn wake_at(&self) -> i64 {
        let device = self.queue.peek().map(|Reverse((due_ms, _))| *due_ms);
        let cue = self.cues.last().map(|cue| cue.at_ms);
        let cut = self.cuts.values().min().copied();
        [device, cue, cut].into_iter().flatten().min().unwrap_or(i64::MAX)
    }

    /// Do something to the device in this row of the neighbourhood, now.
    pub fn act(&mut self, row: usize, act: Act, now: Moment, deeds: &mut Vec<Deed>) {
        let Some(at) = self.of_row.get(row).copied().flatten() else {
            deeds.push(Deed::Say("that device is not simulated".into()));
            return;
        };
        let device = &mut self.devices[at];
        if let (Act::Blip { seconds }, Some(line)) = (act, device.line) {
            self.cuts.insert(line, now.sim_ms + (seconds * 1000.0) as i64);
            deeds.push(Deed::Cut { line });
            return;
        }
        if !device.machine.act(act, now, &self.pressures) {
            deeds.push(Deed::Say(format!("{act:?} does nothing to a device of this kind")));
        }
        device.due_ms = device.machine.wake_at();
        self.queue.push(Reverse((device.due_ms, at)));
    }
}

impl Machine {
    fn step(&mut self, now: Moment, pressures: &Pressures) -> Vec<Frame> {
        match self {
            Self::Detector(detector) => detector.step(now).into_iter().collect(),
            Self::Camera(camera) => camera.step(now),
            Self::Frigate(frigate) => frigate.step(now).into_iter().collect(),
            Self::Hydrant { unit, hydrant, next_ms, silent } => {
                *next_ms = now.sim_ms + PRESSURE_MS;
                let kpa = hydrant.step(now.sim_ms);
                if !*silent {
                    pressures.set(*unit, kpa);
                }
                Vec::new()
            }
        }
    }

    fn wake_at(&self) -> i64 {
        match self {
            Self::Detector(detector) => detector.wake_at(),
            Self::Camera(camera) => camera.wake_at(),
            Self::Frigate(frigate) => frigate.wake_at(),
            Self::Hydrant { next_ms, .. } => *next_ms,
        }
    }

    /// `false`: this does nothing to a device of this kind.
    fn act(&mut self, act: Act, now: Moment, pressures: &Pressures) -> bool {
        match self {
            Self::Detector(detector) => detector.act(act, now),
            Self::Camera(_) | Self::Frigate(_) => false,
            Self::Hydrant { unit, hydrant, silent, .. } => {
                match act {
                    Act::Burst { residual_kpa } => hydrant.burst(now.sim_ms, residual_kpa),
                    Act::Silence => {
                        *silent = true;
                        pressures.remove(*unit);
                    }
                    Act::Repair => {
                        *silent = false;
                        hydrant.repair(now.sim_ms);
                    }
                    Act::Fire
                    | Act::FireOut
                    | Act::TestButton
                    | Act::Battery { .. }
                    | Act::Chatter { .. }
                    | Act::Tamper
                    | Act::ClockSkew { .. }
                    | Act::Blip { .. } => return false,
                }
                true
            }
        }
    }
}

#[cfg(test)]
mod tests;
