//! GB/T 26875.3 from user information transmission devices: what their frames say of the devices in the registry.
//!
//! A transmission device is `gbt26875:<its address>`, a system behind it `…/<system type>.<system>`, a component `…/<zone>.<point>` behind that. Three rules are ours
//! and not the standard's. Fire is fire whatever bit 0 (normal or test) says: real fires come with `0x0002`, and only our own maintenance puts a device into test.
//! What is not registered cannot say anything but fire, which is then the transmission device's own, and only begins there. And old records that we asked for are no news.
//! The way in which a maker departs from the standard is data: [`Dialect`].

mod dialect;
mod station;

use super::outcome::Outcome;
use super::stranger::Announced;
use super::values::Values;
use super::{Context, Decoded, Message};
use crate::model::{DeviceIx, DeviceKind, Metric, Quality};
use crate::units::Timestamp;
use crate::wire::gbt26875::unit::{Analog, ComponentState, SystemState, UnitFault};
use crate::wire::gbt26875::{Address, At, Command, Content, Frame, Label, Operation, Place};

pub use dialect::{Dialect, compile};
pub use station::Station;

/// What one frame of a transmission device comes to.
pub struct Told {
    pub decoded: Decoded,
    /// `None` for a heartbeat, and for what cannot be read.
    pub content: Option<Content>,
    /// The frame is to be denied; what was whole in it is in `decoded`.
    pub fault: Option<UnitFault>,
}

/// `device` is the transmission device that sent it; with every frame it proves that it lives. `None`: one that is not registered, of which only a stranger comes out.
pub fn decode(
    frame: &Frame,
    device: Option<DeviceIx>,
    dialect: &Dialect,
    message: &Message<'_>,
    context: &Context,
) -> Told {
    let mut outcome = Outcome::new(message, context);
    let device = device.or_else(|| outcome.stranger(&Station::Device(frame.header.from).to_string()));
    let Some(device) = device else {
        return Told { decoded: outcome.finish(), content: None, fault: None };
    };
    let mut reader = Reader { outcome, from: frame.header.from, device, dialect };
    reader.outcome.alive(device);
    let (mut content, mut fault) = (None, None);
    if !frame.unit.is_empty() {
        let read = Content::read(&frame.unit);
        let records = matches!(
            &read.content,
            Some(Content::SystemOperation(_) | Content::DeviceOperation(_) | Content::ComponentText(_))
        );
        if let Some(content) = &read.content
            && !(records && frame.command == Command::Answer)
        {
            reader.content(content);
        }
        if let Some(fault) = &read.fault {
            reader.outcome.reject(format!("transmission device {}: {fault}", frame.header.from));
        }
        (content, fault) = (read.content, read.fault);
    }
    Told { decoded: reader.outcome.finish(), content, fault }
}

struct Reader<'a> {
    outcome: Outcome<'a>,
    from: Address,
    device: DeviceIx,
    dialect: &'a Dialect,
}

/// Bits of a system's and a component's state.
mod bit {
    pub const FIRE: u16 = 1 << 1;
    pub const FAULT: u16 = 1 << 2;
    pub const DISABLED: u16 = 1 << 3;
    pub const SUPERVISORY: u16 = 1 << 4;
    pub const STARTED: u16 = 1 << 5;
    pub const MAINS: u16 = 1 << 8;
    pub const BACKUP: u16 = 1 << 9;
    pub const BUS: u16 = 1 << 10;
    pub const BY_HAND: u16 = 1 << 11;
    pub const RESET: u16 = 1 << 13;
}

/// Component types from here on act (modules, pumps, valves, doors, fans) and have something to be started.
const ACTORS_FROM: u8 = 81;

impl Reader<'_> {
    fn content(&mut self, content: &Content) {
        match content {
            Content::SystemState(list) => list.iter().for_each(|one| self.system(one)),
            Content::ComponentState(list) => list.iter().for_each(|one| self.component(one)),
            Content::Analog(list) => list.iter().for_each(|one| self.analog(one)),
            Content::SystemOperation(list) => {
                for one in list {
                    let station = Station::System(self.from, one.body.system);
                    match self.find(station, "") {
                        Some(device) => self.operation(device, one.body.done, one.at),
                        None if one.body.done.operation & 1 << 2 != 0 => self.fire_behind(one.at),
                        None => (),
                    }
                }
            }
            Content::DeviceState(list) => list.iter().for_each(|one| self.own_state(one.body.state, one.at)),
            Content::DeviceOperation(list) => {
                list.iter().for_each(|one| self.operation(self.device, one.body, one.at));
            }
            Content::ComponentText(list) => {
                for one in list {
                    let note = format!(" (type {}, `{}`)", one.kind, one.note.read(self.dialect.charset));
                    self.find(self.place(one.place), &note);
                }
            }
            Content::User { flag, .. } => self.outcome.reject(format!(
                "transmission device {}: type flag {flag} is its maker's own and means nothing to us; the frame is kept here",
                self.from
            )),
            Content::ReadSystemState(_)
            | Content::ReadComponentState(_)
            | Content::ReadAnalog(_)
            | Content::ReadSystemOperation { .. }
            | Content::ReadSystemVersion(_)
            | Content::ReadSystemText(_)
            | Content::ReadComponentText(_)
            | Content::ReadSystemClock(_)
            | Content::ReadDeviceState
            | Content::ReadDeviceOperation { .. }
            | Content::ReadDeviceVersion
            | Content::ReadDeviceText
            | Content::ReadDeviceClock
            | Content::Initialise
            | Content::SetClock(_)
            | Content::RollCall { .. } => self.outcome.reject(format!(
                "transmission device {}: type flag {} is for a centre to send, not for a device",
                self.from,
                content.flag()
            )),
            Content::SystemVersion { .. }
            | Content::SystemText(_)
            | Content::SystemClock { .. }
            | Content::DeviceVersion(_)
            | Content::DeviceText(_)
            | Content::DeviceClock(_) => (),
        }
    }

    fn component(&mut self, one: &At<ComponentState>) {
        let state = one.body.state;
        let note = format!(" (type {}, `{}`)", one.body.kind, one.body.note.read(self.dialect.charset));
        let Some(device) = self.find(self.place(one.body.place), &note) else {
            return if state & bit::FIRE != 0 {
                self.fire_behind(one.at)
            };
        };
        let kind = self.kind(device);
        let mains = matches!(kind, DeviceKind::Panel | DeviceKind::Pump | DeviceKind::Gateway);
        let mut values = Values::new();
        values.set_flag(fire_of(kind), state & bit::FIRE != 0);
        values.set_flag(Metric::FAULT, state & bit::FAULT != 0 || (!mains && state & bit::MAINS != 0));
        values.set_flag(Metric::DISABLED, state & bit::DISABLED != 0);
        values.set_flag(Metric::SUPERVISORY, state & bit::SUPERVISORY != 0);
        if mains {
            values.set_flag(Metric::MAINS_LOST, state & bit::MAINS != 0);
        }
        if ACTORS_FROM <= one.body.kind {
            values.set_flag(Metric::RUNNING, state & bit::STARTED != 0);
        }
        self.report(device, one.at, Quality::Good, values);
    }

    fn system(&mut self, one: &At<SystemState>) {
        let state = one.body.state;
        let Some(device) = self.find(Station::System(self.from, one.body.system), "") else {
            return if state & bit::FIRE != 0 {
                self.fire_behind(one.at)
            };
        };
        let mut values = Values::new();
        values.set_flag(Metric::FIRE_ALARM, state & bit::FIRE != 0);
        values.set_flag(Metric::FAULT, state & (bit::FAULT | bit::BACKUP | bit::BUS) != 0);
        values.set_flag(Metric::DISABLED, state & bit::DISABLED != 0);
        values.set_flag(Metric::SUPERVISORY, state & bit::SUPERVISORY != 0);
        values.set_flag(Metric::MAINS_LOST, state & bit::MAINS != 0);
        values.set_flag(Metric::MANUAL_MODE, state & bit::BY_HAND != 0);
        if state & bit::RESET != 0 {
            values.set_flag(Metric::MANUAL_ALARM, false);
        }
        self.report(device, one.at, Quality::Good, values);
    }

    /// Of the transmission device: 1 fire, 2 fault, 3 mains, 4 backup supply, 5 channel to the centre, 6 line to the panel.
    fn own_state(&mut self, state: u8, at: Option<Label>) {
        let mut values = Values::new();
        values.set_flag(Metric::FIRE_ALARM, state & 1 << 1 != 0);
        values.set_flag(Metric::FAULT, state & (1 << 2 | 1 << 4 | 1 << 5 | 1 << 6) != 0);
        values.set_flag(Metric::MAINS_LOST, state & 1 << 3 != 0);
        self.report(self.device, at, Quality::Good, values);
    }

    /// What was pressed: 0 reset, 1 silence, 2 manual alarm, 3 alarm cleared, 4 self-test, 5 answer to a roll-call (of a system: confirm), 6 test.
    fn operation(&mut self, device: DeviceIx, done: Operation, at: Option<Label>) {
        let pressed = |bit: u8| done.operation & 1 << bit != 0;
        let mut values = Values::new();
        if pressed(0) || pressed(3) {
            values.set_flag(Metric::FIRE_ALARM, false);
            values.set_flag(Metric::MANUAL_ALARM, false);
        }
        if pressed(0) || pressed(1) {
            values.set_flag(Metric::SILENCED, pressed(1));
        }
        if pressed(2) {
            values.set_flag(Metric::MANUAL_ALARM, true);
        }
        if pressed(4) || pressed(6) {
            values.set_flag(Metric::TEST, true);
        }
        self.report(device, at, Quality::Good, values);
        if pressed(5) && device == self.device {
            // By our clock, as the call: by a clock that is behind, the answer would be older than the call.
            let mut values = Values::new();
            values.set_flag(Metric::ROLL_CALL, false);
            self.report(device, None, Quality::Good, values);
        }
    }

    fn analog(&mut self, one: &At<Analog>) {
        let Analog { place, kind, quantity, raw } = one.body;
        let Some(device) = self.find(self.place(place), &format!(" (type {kind})")) else { return };
        let Some((metric, step)) = self.dialect.quantity(quantity) else { return };
        let mut values = Values::new();
        values.set(metric, (f64::from(raw) * step * 1e6).round() / 1e6); // 138.4, not 138.40000000000001.
        self.report(device, one.at, self.dialect.trust(quantity), values);
    }

    /// Something that is not registered burns.
    fn fire_behind(&mut self, at: Option<Label>) {
        let mut values = Values::new();
        values.set_flag(Metric::FIRE_ALARM, true);
        self.report(self.device, at, Quality::Good, values);
    }

    fn place(&self, place: Place) -> Station {
        Station::Component(self.from, self.dialect.place(place))
    }

    /// A reject when nobody has registered it; `note` is what else is known of it.
    fn find(&mut self, station: Station, note: &str) -> Option<DeviceIx> {
        let address = station.to_string();
        let found = self.outcome.find(&address);
        if found.is_none() {
            self.outcome.reject(format!(
                "`{address}`{note} is not registered: only a fire there is taken, as the transmission device's own; place it from the waiting room, or add a row with this address to the devices file and run `gridwarden import devices FILE`"
            ));
            if let Some(stranger) = self.outcome.stranger(&address) {
                self.outcome.introduce(stranger, Announced::named(note.trim()));
            }
        }
        found
    }

    fn kind(&self, device: DeviceIx) -> DeviceKind {
        self.outcome.registry().device(device).map_or(DeviceKind::Other, |device| device.kind)
    }

    fn report(&mut self, device: DeviceIx, at: Option<Label>, quality: Quality, values: Values) {
        let said = at.and_then(|at| self.moment(at));
        self.outcome.report(device, said, quality, values);
    }

    fn moment(&self, label: Label) -> Option<Timestamp> {
        let zone = self.dialect.clock.as_ref().unwrap_or(&self.outcome.registry().rows().zone);
        zone.first(label.local()?)
    }
}

/// The fire flag that the rules know of such a device.
pub fn fire_of(kind: DeviceKind) -> Metric {
    match kind {
        DeviceKind::SmokeDetector => Metric::SMOKE,
        DeviceKind::HeatDetector => Metric::HEAT_ALARM,
        DeviceKind::GasDetector => Metric::GAS_ALARM,
        DeviceKind::ManualCallPoint => Metric::MANUAL_ALARM,
        DeviceKind::Hydrant
        | DeviceKind::WaterTank
        | DeviceKind::Pump
        | DeviceKind::AccessCamera
        | DeviceKind::Camera
        | DeviceKind::DoorSensor
        | DeviceKind::MotionSensor
        | DeviceKind::Panel
        | DeviceKind::Gateway
        | DeviceKind::Other => Metric::FIRE_ALARM,
    }
}
