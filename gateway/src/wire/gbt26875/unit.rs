//! The application data unit: a type flag, how many objects, the objects (clause 8).
//!
//! Every type of the standard in both directions. A unit that is shorter or longer than it says gives the objects that are whole, and the complaint. Devices that leave
//! out the objects' times are understood, because the length tells.

mod cursor;

use serde::{Serialize, Serializer};

use self::cursor::Cursor;
use super::frame::Label;

/// Length of a component's text.
pub const NOTE_BYTES: usize = 31;

/// GB 18030 as it came, with what fills it up.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Text(pub Vec<u8>);

impl Text {
    /// Without the blanks and zeros that fill it up. What cannot be read becomes U+FFFD.
    pub fn read(&self, charset: &'static encoding_rs::Encoding) -> String {
        let end = self.0.iter().position(|byte| *byte == 0).unwrap_or(self.0.len());
        let (text, _) = charset.decode_without_bom_handling(&self.0[..end]);
        text.trim().to_owned()
    }

    /// As the standard's examples fill a component's text: blanks, and a zero at the end if there is room. Cut between two characters.
    pub fn note(text: &str) -> Self {
        let mut bytes = Vec::with_capacity(NOTE_BYTES);
        for character in text.chars() {
            let mut one = [0; 4];
            let (coded, _, _) = encoding_rs::GB18030.encode(character.encode_utf8(&mut one));
            if NOTE_BYTES < bytes.len() + coded.len() {
                break;
            }
            bytes.extend_from_slice(&coded);
        }
        if bytes.len() < NOTE_BYTES {
            bytes.resize(NOTE_BYTES - 1, b' ');
            bytes.push(0);
        }
        Self(bytes)
    }
}

impl Serialize for Text {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.read(encoding_rs::GB18030))
    }
}

/// An object and when it happened, if that was said.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct At<T> {
    #[serde(flatten)]
    pub body: T,
    pub at: Option<Label>,
}

/// One fire protection system of a building (tables 4 and 5).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct System {
    #[serde(rename = "system_type")]
    pub kind: u8,
    #[serde(rename = "system")]
    pub address: u8,
}

/// Where a component stands in its system: zone (区号) and point (位号).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct Place {
    #[serde(flatten)]
    pub system: System,
    pub zone: u16,
    pub point: u16,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct SystemState {
    #[serde(flatten)]
    pub system: System,
    pub state: u16,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct ComponentState {
    #[serde(flatten)]
    pub place: Place,
    #[serde(rename = "component_type")]
    pub kind: u8,
    pub state: u16,
    pub note: Text,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Analog {
    #[serde(flatten)]
    pub place: Place,
    #[serde(rename = "component_type")]
    pub kind: u8,
    /// What is measured (table 6).
    pub quantity: u8,
    pub raw: i16,
}

/// What was pressed at a system or at the device itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Operation {
    pub operation: u8,
    pub operator: u8,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct SystemOperation {
    #[serde(flatten)]
    pub system: System,
    #[serde(flatten)]
    pub done: Operation,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct DeviceState {
    pub state: u8,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct SystemText {
    #[serde(flatten)]
    pub system: System,
    pub text: Text,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct ComponentText {
    #[serde(flatten)]
    pub place: Place,
    #[serde(rename = "component_type")]
    pub kind: u8,
    pub note: Text,
}

/// The content of a data unit. Numbers behind the variants are the type flags of table 3.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Content {
    /// 1
    SystemState(Vec<At<SystemState>>),
    /// 2
    ComponentState(Vec<At<ComponentState>>),
    /// 3
    Analog(Vec<At<Analog>>),
    /// 4
    SystemOperation(Vec<At<SystemOperation>>),
    /// 5
    SystemVersion { system: System, version: [u8; 2] },
    /// 6
    SystemText(Vec<SystemText>),
    /// 7
    ComponentText(Vec<ComponentText>),
    /// 8
    SystemClock { system: System, at: Label },
    /// 21
    DeviceState(Vec<At<DeviceState>>),
    /// 24
    DeviceOperation(Vec<At<Operation>>),
    /// 25
    DeviceVersion([u8; 2]),
    /// 26
    DeviceText(Text),
    /// 28
    DeviceClock(Label),
    /// 61
    ReadSystemState(Vec<System>),
    /// 62
    ReadComponentState(Vec<Place>),
    /// 63
    ReadAnalog(Vec<Place>),
    /// 64
    ReadSystemOperation { system: System, count: u8, since: Label },
    /// 65
    ReadSystemVersion(System),
    /// 66
    ReadSystemText(Vec<System>),
    /// 67
    ReadComponentText(Vec<Place>),
    /// 68
    ReadSystemClock(System),
    /// 81
    ReadDeviceState,
    /// 84
    ReadDeviceOperation { count: u8, since: Label },
    /// 85
    ReadDeviceVersion,
    /// 86
    ReadDeviceText,
    /// 88
    ReadDeviceClock,
    /// 89
    Initialise,
    /// 90
    SetClock(Label),
    /// 91. The standard reserves the byte; in its own example it holds the minutes to answer in.
    RollCall { minutes: u8 },
    /// 128 to 254: the maker's own.
    User { flag: u8, count: u8, bytes: Vec<u8> },
}

/// What stands in a unit, and what is wrong with it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Read {
    /// What is whole of it; `None` when the type is none of the standard's.
    pub content: Option<Content>,
    pub fault: Option<UnitFault>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum UnitFault {
    #[error("the data unit has {0} bytes; a type flag and a number of objects are the least")]
    Short(usize),
    #[error("{0} is no type flag of the standard, nor one of 128 to 254 for the maker's own")]
    Flag(u8),
    #[error("{said} objects of type {flag} do not fit {bytes} bytes; {whole} of them are whole")]
    Objects { flag: u8, said: u8, whole: usize, bytes: usize },
}

impl Content {
    pub fn flag(&self) -> u8 {
        match self {
            Self::SystemState(_) => 1,
            Self::ComponentState(_) => 2,
            Self::Analog(_) => 3,
            Self::SystemOperation(_) => 4,
            Self::SystemVersion { .. } => 5,
            Self::SystemText(_) => 6,
            Self::ComponentText(_) => 7,
            Self::SystemClock { .. } => 8,
            Self::DeviceState(_) => 21,
            Self::DeviceOperation(_) => 24,
            Self::DeviceVersion(_) => 25,
            Self::DeviceText(_) => 26,
            Self::DeviceClock(_) => 28,
            Self::ReadSystemState(_) => 61,
            Self::ReadComponentState(_) => 62,
            Self::ReadAnalog(_) => 63,
            Self::ReadSystemOperation { .. } => 64,
            Self::ReadSystemVersion(_) => 65,
            Self::ReadSystemText(_) => 66,
            Self::ReadComponentText(_) => 67,
            Self::ReadSystemClock(_) => 68,
            Self::ReadDeviceState => 81,
            Self::ReadDeviceOperation { .. } => 84,
            Self::ReadDeviceVersion => 85,
            Self::ReadDeviceText => 86,
            Self::ReadDeviceClock => 88,
            Self::Initialise => 89,
            Self::SetClock(_) => 90,
            Self::RollCall { .. } => 91,
            Self::User { flag, .. } => *flag,
        }
    }

    pub fn encode(&self) -> Vec<u8> {
        let mut out = Vec::new();
        let count = match self {
            Self::SystemState(list) => timed(list, &mut out, |one, out| {
                system(one.system, out);
                out.extend(one.state.to_le_bytes());
            }),
            Self::ComponentState(list) => timed(list, &mut out, |one, out| {
                component(one.place, one.kind, out);
                out.extend(one.state.to_le_bytes());
                note(&one.note, out);
            }),
            Self::Analog(list) => timed(list, &mut out, |one, out| {
                component(one.place, one.kind, out);
                out.push(one.quantity);
                out.extend(one.raw.to_le_bytes());
            }),
            Self::SystemOperation(list) => timed(list, &mut out, |one, out| {
                system(one.system, out);
                out.extend([one.done.operation, one.done.operator]);
            }),
            Self::SystemVersion { system: of, version } => {
                system(*of, &mut out);
                out.extend(version);
                1
            }
            Self::SystemText(list) => many(list, &mut out, |one, out| {
                system(one.system, out);
                text(&one.text, out);
            }),
            Self::ComponentText(list) => many(list, &mut out, |one, out| {
                component(one.place, one.kind, out);
                note(&one.note, out);
            }),
            Self::SystemClock { system: of, at } => {
                system(*of, &mut out);
                out.extend(at.0);
                1
            }
            Self::DeviceState(list) => timed(list, &mut out, |one, out| out.push(one.state)),
            Self::DeviceOperation(list) => {
                timed(list, &mut out, |one, out| out.extend([one.operation, one.operator]))
            }
            Self::DeviceVersion(version) => {
                out.extend(version);
                1
            }
            Self::DeviceText(what) => {
                text(what, &mut out);
                1
            }
            Self::DeviceClock(at) | Self::SetClock(at) => {
                out.extend(at.0);
                1
            }
            Self::ReadSystemState(list) | Self::ReadSystemText(list) => {
                many(list, &mut out, |one, out| system(*one, out))
            }
            Self::ReadComponentState(list) | Self::ReadAnalog(list) | Self::ReadComponentText(list) => {
                many(list, &mut out, |one, out| {
                    system(one.system, out);
                    place(*one, out);
                })
            }
            Self::ReadSystemOperation { system: of, count, since } => {
                system(*of, &mut out);
                out.push(*count);
                out.extend(since.0);
                1
            }
            Self::ReadSystemVersion(of) | Self::ReadSystemClock(of) => {
                system(*of, &mut out);
                1
            }
            Self::ReadDeviceOperation { count, since } => {
                out.push(*count);
                out.extend(since.0);
                1
            }
            Self::ReadDeviceState
            | Self::ReadDeviceVersion
            | Self::ReadDeviceText
            | Self::ReadDeviceClock
            | Self::Initialise => {
                out.push(0);
                1
            }
            Self::RollCall { minutes } => {
                out.push(*minutes);
                1
            }
            Self::User { count, bytes, .. } => {
                out.extend(bytes);
                *count
            }
        };
        let mut unit = vec![self.flag(), count];
        unit.append(&mut out);
        unit
    }

    pub fn read(unit: &[u8]) -> Read {
        let [flag, count, rest @ ..] = unit else {
            return Read { content: None, fault: Some(UnitFault::Short(unit.len())) };
        };
        let mut objects = Cursor::new(rest, *count);
        let content = match flag {
            1 => Self::SystemState(
                objects.timed(4, |at| Some(SystemState { system: at.system()?, state: at.u16()? })),
            ),
            2 => Self::ComponentState(objects.timed(40, |at| {
                let (place, kind) = at.component()?;
                Some(ComponentState { place, kind, state: at.u16()?, note: at.text(NOTE_BYTES)? })
            })),
            3 => Self::Analog(objects.timed(10, |at| {
                let (place, kind) = at.component()?;
                Some(Analog { place, kind, quantity: at.u8()?, raw: at.u16()? as i16 })
            })),
            4 => Self::SystemOperation(
                objects.timed(4, |at| Some(SystemOperation { system: at.system()?, done: at.operation()? })),
            ),
            6 => Self::SystemText(objects.many(|at| {
                let (system, length) = (at.system()?, at.u8()?);
                Some(SystemText { system, text: at.text(length.into())? })
            })),
            7 => Self::ComponentText(objects.many(|at| {
                let (place, kind) = at.component()?;
                Some(ComponentText { place, kind, note: at.text(NOTE_BYTES)? })
            })),
            21 => Self::DeviceState(objects.timed(1, |at| Some(DeviceState { state: at.u8()? }))),
            24 => Self::DeviceOperation(objects.timed(2, |at| at.operation())),
            61 => Self::ReadSystemState(objects.many(|at| at.system())),
            66 => Self::ReadSystemText(objects.many(|at| at.system())),
            62 => Self::ReadComponentState(objects.many(|at| at.place())),
            63 => Self::ReadAnalog(objects.many(|at| at.place())),
            67 => Self::ReadComponentText(objects.many(|at| at.place())),
            128..=254 => Self::User { flag: *flag, count: *count, bytes: objects.all() },
            _ => return Self::read_single(*flag, objects),
        };
        Read { content: Some(content), fault: objects.fault(*flag) }
    }

    /// The types of which there is always one object.
    fn read_single(flag: u8, mut objects: Cursor<'_>) -> Read {
        let content = match flag {
            5 => objects.one(|at| Some(Self::SystemVersion { system: at.system()?, version: at.version()? })),
            8 => objects.one(|at| Some(Self::SystemClock { system: at.system()?, at: at.label()? })),
            25 => objects.one(|at| at.version().map(Self::DeviceVersion)),
            26 => objects.one(|at| {
                let length = at.u8()?;
                at.text(length.into()).map(Self::DeviceText)
            }),
            28 => objects.one(|at| at.label().map(Self::DeviceClock)),
            64 => objects.one(|at| {
                Some(Self::ReadSystemOperation { system: at.system()?, count: at.u8()?, since: at.label()? })
            }),
            65 => objects.one(|at| at.system().map(Self::ReadSystemVersion)),
            68 => objects.one(|at| at.system().map(Self::ReadSystemClock)),
            81 => objects.one(|at| at.u8().map(|_| Self::ReadDeviceState)),
            84 => objects.one(|at| Some(Self::ReadDeviceOperation { count: at.u8()?, since: at.label()? })),
            85 => objects.one(|at| at.u8().map(|_| Self::ReadDeviceVersion)),
            86 => objects.one(|at| at.u8().map(|_| Self::ReadDeviceText)),
            88 => objects.one(|at| at.u8().map(|_| Self::ReadDeviceClock)),
            89 => objects.one(|at| at.u8().map(|_| Self::Initialise)),
            90 => objects.one(|at| at.label().map(Self::SetClock)),
            91 => objects.one(|at| at.u8().map(|minutes| Self::RollCall { minutes })),
            _ => return Read { content: None, fault: Some(UnitFault::Flag(flag)) },
        };
        Read { content, fault: objects.fault(flag) }
    }
}

fn timed<T>(list: &[At<T>], out: &mut Vec<u8>, body: impl Fn(&T, &mut Vec<u8>)) -> u8 {
    many(list, out, |one, out| {
        body(&one.body, out);
        out.extend(one.at.into_iter().flat_map(|at| at.0));
    })
}

fn many<T>(list: &[T], out: &mut Vec<u8>, body: impl Fn(&T, &mut Vec<u8>)) -> u8 {
    list.iter().for_each(|one| body(one, out));
    u8::try_from(list.len()).unwrap_or(u8::MAX)
}

fn system(of: System, out: &mut Vec<u8>) {
    out.extend([of.kind, of.address]);
}

fn place(at: Place, out: &mut Vec<u8>) {
    out.extend(at.zone.to_le_bytes());
    out.extend(at.point.to_le_bytes());
}

fn component(at: Place, kind: u8, out: &mut Vec<u8>) {
    system(at.system, out);
    out.push(kind);
    place(at, out);
}

fn note(text: &Text, out: &mut Vec<u8>) {
    let mut bytes = text.0.clone();
    bytes.resize(NOTE_BYTES, 0);
    out.extend(bytes);
}

fn text(text: &Text, out: &mut Vec<u8>) {
    let length = text.0.len().min(usize::from(u8::MAX));
    out.push(length as u8);
    out.extend(&text.0[..length]);
}
