//! What is told to the driver about one bus: values, and each complaint once per change.

use std::collections::BTreeSet;

use metrics::{Counter, counter};

use super::Progress;
use super::line::Failure;
use crate::clock::wall;
use crate::decode::modbus::{Layout, Plan, Poll, UnitPlan};
use crate::io::inlet::{Inbound, Inlet, NotTaken};
use crate::model::{DeadLetter, DeviceIx, Event, Freshness, Report};
use crate::world::Shared;

pub struct Reporter {
    source: String,
    world: Shared,
    inlet: Inlet,
    /// Per unit, the complaints that stand.
    complaints: Vec<BTreeSet<String>>,
    requests: Counter,
    reconnects: Counter,
    stray_bytes: Counter,
    late_cycles: Counter,
    polls: Counter,
    polls_skipped: Counter,
    silent: Counter,
    misfit: Counter,
    lost: Counter,
}

/// Whether to go on.
pub enum Sent {
    Done,
    DriverGone,
}

impl Reporter {
    pub fn new(plan: &Plan, world: Shared, inlet: Inlet) -> Self {
        let bus = || plan.bus.clone();
        let failures =
            |why: &'static str| counter!("gridwarden_modbus_failures_total", "bus" => bus(), "why" => why);
        Self {
            source: format!("modbus:{}", plan.bus),
            world,
            inlet,
            complaints: vec![BTreeSet::new(); plan.units.len()],
            requests: counter!("gridwarden_modbus_requests_total", "bus" => bus()),
            reconnects: counter!("gridwarden_modbus_connects_total", "bus" => bus()),
            stray_bytes: counter!("gridwarden_modbus_stray_bytes_total", "bus" => bus()),
            late_cycles: counter!("gridwarden_modbus_late_cycles_total", "bus" => bus()),
            polls: counter!("gridwarden_modbus_polls_total", "bus" => bus()),
            polls_skipped: counter!("gridwarden_modbus_polls_skipped_total", "bus" => bus()),
            silent: failures("silent"),
            misfit: failures("misfit"),
            lost: failures("lost"),
        }
    }

    pub fn asked(&self, connects: u64, stray_bytes: u64) {
        self.requests.increment(1);
        self.reconnects.increment(connects);
        self.stray_bytes.increment(stray_bytes);
    }

    pub fn failed(&self, failure: &Failure) {
        match failure {
            Failure::Silent(_) | Failure::Unreachable(_) => self.silent.increment(1),
            Failure::Misfit(_) => self.misfit.increment(1),
            Failure::Lost(_) => self.lost.increment(1),
            Failure::Down(_) => (),
        }
    }

    pub fn late_cycles(&self, cycles: u64) {
        self.late_cycles.increment(cycles);
    }

    /// The poll of a unit is over, whole or broken off: send what it gave.
    pub fn finish(&mut self, at: usize, unit: &UnitPlan, layout: &Layout, progress: &mut Progress) -> Sent {
        if progress.answers.is_empty() {
            return Sent::Done;
        }
        let Poll { values, faults } = unit.values(layout, &progress.answers);
        let mut complaints: BTreeSet<String> =
            faults.into_iter().chain(progress.refusals.drain(..)).collect();
        let device = self.world.load().registry.device_by_address(&unit.address);
        if device.is_none() {
            complaints.insert(format!(
                "no device in the registry has the address `{}`, so its values have nowhere to go: import a device with this address, or remove the unit from station.toml",
                unit.address
            ));
        }
        if progress.answers.len() < layout.reads.len() {
            complaints.extend(self.complaints[at].iter().cloned()); // Broken off: what was not asked has not healed.
        }
        let dead = self.new_complaints(at, unit, &complaints, &progress.answers);
        progress.answers.clear();
        let events: Vec<Event> =
            device.map(|device| Event::Report(report(device, values))).into_iter().collect();
        if events.is_empty() && dead.is_empty() {
            self.complaints[at] = complaints;
            return Sent::Done;
        }
        match self.inlet.try_send(Inbound { events, dead, ..Inbound::default() }) {
            Ok(()) => {
                self.polls.increment(1);
                self.complaints[at] = complaints;
                Sent::Done
            }
            Err(NotTaken::Full(_)) => {
                self.polls_skipped.increment(1);
                Sent::Done
            }
            Err(NotTaken::Closed) => Sent::DriverGone,
        }
    }

    fn new_complaints(
        &self,
        at: usize,
        unit: &UnitPlan,
        complaints: &BTreeSet<String>,
        answers: &[Option<Vec<u16>>],
    ) -> Vec<DeadLetter> {
        let payload: Vec<u8> =
            answers.iter().flatten().flatten().flat_map(|word| word.to_be_bytes()).collect();
        complaints
            .difference(&self.complaints[at])
            .map(|reason| {
                tracing::warn!(source = %self.source, unit = unit.unit, reason, "a unit's answer cannot be used");
                DeadLetter {
                    received: wall(),
                    source: self.source.clone(),
                    address: unit.address.clone(),
                    reason: reason.clone(),
                    payload: payload.clone(),
                }
            })
            .collect()
    }
}

fn report(device: DeviceIx, values: Vec<crate::model::Value>) -> Report {
    Report { device, received: wall(), device_time: None, freshness: Freshness::Live, values }
}
