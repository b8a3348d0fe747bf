//! Which lines of an alarm's history the city's centre is told of, and how. Pure.
//!
//! A fire is told once when it is confirmed (or raised, as the station wants it) and once when it is closed, as the state of a component. What was told before follows from the
//! history alone, so nothing is remembered beside it.

use crate::config::gbt26875::Forward;
use crate::decode::gbt26875::Station;
use crate::grid::Registry;
use crate::io::own_trouble::WHO;
use crate::model::{Alarm, DeviceKind, Disposition, Entry, What};
use crate::wire::gbt26875::unit::ComponentState;
use crate::wire::gbt26875::{At, Content, Label, Place, System, Text};

/// Normal operation; and fire.
const NORMAL: u16 = 1;
const FIRE: u16 = NORMAL | 1 << 1;
/// Where an alarm stands that no device raised: its number is the point.
const BY_HAND_ZONE: u16 = u16::MAX;

/// Lines that can begin or end what is told, cheaply.
pub fn may_matter(entry: &Entry) -> bool {
    matches!(entry.what, What::Raised | What::Confirmed | What::Resolved | What::Closed)
}

/// Whether the line with this number says that the fire stands or is over; `None` when the centre need not hear of it.
pub fn stands(forward: Forward, number: u64, alarm: &Alarm, history: &[(u64, Entry)]) -> Option<bool> {
    let first = history.iter().find(|(_, entry)| begins(forward, alarm, entry)).map(|(number, _)| *number);
    let entry = history.iter().find(|(at, _)| *at == number).map(|(_, entry)| entry)?;
    if first == Some(number) {
        Some(true)
    } else {
        (entry.what == What::Closed && first.is_some_and(|first| first < number)).then_some(false)
    }
}

fn begins(forward: Forward, alarm: &Alarm, entry: &Entry) -> bool {
    match (forward, entry.what) {
        (Forward::Raised, What::Raised) => true,
        (Forward::Raised, _) => false,
        // By hand: somebody saw it.
        (Forward::Confirmed, What::Raised) => entry.who.as_deref().is_some_and(|who| who != WHO),
        (Forward::Confirmed, What::Confirmed) => true,
        (Forward::Confirmed, What::Resolved) => {
            alarm.resolved.as_ref().is_some_and(|resolved| resolved.disposition == Disposition::RealFire)
        }
        (Forward::Confirmed, _) => false,
    }
}

pub fn content(alarm: &Alarm, stands: bool, registry: &Registry) -> Content {
    let device = alarm.device.and_then(|device| registry.device(device));
    let station = device.and_then(|device| device.address.parse::<Station>().ok());
    let place = station.and_then(Station::place).unwrap_or_else(|| {
        let system = System { kind: 1, address: 1 };
        match alarm.device {
            Some(device) => {
                let [a, b, c, d] = device.0.to_be_bytes();
                Place { system, zone: u16::from_be_bytes([a, b]), point: u16::from_be_bytes([c, d]) }
            }
            None => Place { system, zone: BY_HAND_ZONE, point: alarm.id.0 as u16 },
        }
    });
    let note = match device {
        Some(device) if !device.place.is_empty() => &device.place,
        Some(device) => &device.name,
        None => &alarm.text,
    };
    let at = if stands { alarm.raised } else { alarm.closed.unwrap_or(alarm.raised) };
    let state = ComponentState {
        place,
        kind: device.map_or(0, |device| component_type(device.kind)),
        state: if stands { FIRE } else { NORMAL },
        note: Text::note(note),
    };
    Content::ComponentState(vec![At { body: state, at: Some(Label::of(registry.rows().zone.shown(at))) }])
}

/// Table 5.
fn component_type(kind: DeviceKind) -> u8 {
    match kind {
        DeviceKind::SmokeDetector => 40,
        DeviceKind::HeatDetector => 30,
        DeviceKind::GasDetector => 10,
        DeviceKind::ManualCallPoint => 23,
        DeviceKind::Hydrant => 24,
        DeviceKind::WaterTank => 92,
        DeviceKind::Pump => 91,
        DeviceKind::Panel => 1,
        DeviceKind::AccessCamera | DeviceKind::Camera => 78,
        DeviceKind::DoorSensor => 118,
        DeviceKind::MotionSensor | DeviceKind::Gateway | DeviceKind::Other => 0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{AlarmId, AlarmState, CellIx, Handling, Resolution, SignalClass, Signed};
    use crate::units::{Steady, Timestamp};

    fn alarm(found: Option<Disposition>) -> Alarm {
        let signed = Signed { by: "wang-li".into(), at: Timestamp(3), note: None };
        Alarm {
            id: AlarmId(7),
            rule: "smoke".into(),
            class: SignalClass::Fire,
            text: "烟雾报警".into(),
            cell: CellIx(0),
            cell_code: "C".into(),
            device: None,
            device_id: None,
            state: AlarmState::Closed,
            raised: Timestamp(1_795_402_800_000),
            raised_steady: Steady(0),
            late: None,
            trigger: None,
            repeats: 0,
            owner: None,
            acknowledged: None,
            returned: None,
            resolved: found.map(|disposition| Resolution { signed, disposition, cause: None }),
            closed: Some(Timestamp(1_795_402_860_000)),
            ladder: None,
            handling: Handling::default(),
        }
    }

    /// The numbers of the lines that are told, and what they say.
    fn told(
        forward: Forward,
        found: Option<Disposition>,
        lines: &[(What, Option<&str>)],
    ) -> Vec<(u64, bool)> {
        let alarm = alarm(found);
        let entry = |what, who: Option<&str>| Entry {
            alarm: alarm.id,
            at: Timestamp(0),
            what,
            who: who.map(str::to_owned),
            detail: String::new(),
        };
        let history: Vec<_> = (1..).zip(lines.iter().map(|(what, who)| entry(*what, *who))).collect();
        let matters = history.iter().filter(|(_, entry)| may_matter(entry));
        matters
            .filter_map(|(number, _)| Some((*number, stands(forward, *number, &alarm, &history)?)))
            .collect()
    }

    #[test]
    fn a_fire_is_told_once_and_its_end_once() {
        use Disposition::{FalseAlarm, RealFire};
        use What::{Acknowledged, Closed, Confirmed, Raised, Resolved, Told};
        let quiet = [
            (Raised, None),
            (Told, None),
            (Acknowledged, Some("wang-li")),
            (Resolved, Some("wang-li")),
            (Closed, None),
        ];
        let second = [
            (Raised, None),
            (Confirmed, None),
            (Confirmed, None),
            (Resolved, Some("wang-li")),
            (Closed, None),
        ];
        let by_hand = [(Raised, Some("li")), (Resolved, Some("li")), (Closed, None)];
        let ours = [(Raised, Some(WHO)), (Closed, None)];
        for (forward, found, lines, expected) in [
            (Forward::Raised, FalseAlarm, &quiet[..], vec![(1, true), (5, false)]),
            (Forward::Confirmed, FalseAlarm, &quiet, vec![]),
            (Forward::Confirmed, RealFire, &quiet, vec![(4, true), (5, false)]),
            (Forward::Confirmed, RealFire, &second, vec![(2, true), (5, false)]),
            (Forward::Raised, RealFire, &second, vec![(1, true), (5, false)]),
            (Forward::Confirmed, RealFire, &by_hand, vec![(1, true), (3, false)]),
            (Forward::Confirmed, FalseAlarm, &ours, vec![]),
        ] {
            assert_eq!(told(forward, Some(found), lines), expected, "{forward:?} {found:?} {lines:?}");
        }
    }

    #[test]
    fn what_a_person_saw_is_a_place_of_its_own() {
        let registry = Registry::build(crate::grid::Rows::default());
        let Content::ComponentState(states) = content(&alarm(None), true, &registry) else {
            panic!("a state")
        };
        let state = &states[0].body;
        assert_eq!((state.place.zone, state.place.point, state.state), (BY_HAND_ZONE, 7, FIRE));
        assert_eq!(state.note.read(encoding_rs::GB18030), "烟雾报警");
    }
}
