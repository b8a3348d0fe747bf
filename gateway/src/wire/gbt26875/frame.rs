//! One packet: start, control unit, application data unit, checksum, end (clause 6.6).

use jiff::civil::DateTime;
use serde::{Serialize, Serializer};

/// Longest application data unit.
pub const UNIT_BYTES_MAX: usize = 1024;
/// Start to command byte.
pub const HEAD_BYTES: usize = 27;
/// A packet with an empty unit.
pub const FRAME_BYTES_MIN: usize = HEAD_BYTES + 3;
/// The longest packet.
pub const FRAME_BYTES_MAX: usize = FRAME_BYTES_MIN + UNIT_BYTES_MAX;

pub const START: [u8; 2] = *b"@@";
const END: [u8; 2] = *b"##";

/// Of a centre or a transmission device: 48 bits, written as a decimal number.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Address(u64);

impl Address {
    pub const MAX: u64 = (1 << 48) - 1;

    /// `None` when it needs more than 48 bits.
    pub fn new(number: u64) -> Option<Self> {
        (number <= Self::MAX).then_some(Self(number))
    }

    pub fn number(self) -> u64 {
        self.0
    }

    fn of(bytes: [u8; 6]) -> Self {
        Self(bytes.iter().rev().fold(0, |number, byte| number << 8 | u64::from(*byte)))
    }

    fn bytes(self) -> [u8; 6] {
        let [a, b, c, d, e, f, _, _] = self.0.to_le_bytes();
        [a, b, c, d, e, f]
    }
}

impl std::fmt::Display for Address {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}", self.0)
    }
}

/// A moment as it is sent: second, minute, hour, day, month, year of the century; perhaps one that never was.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Label(pub [u8; 6]);

impl Label {
    pub fn of(local: DateTime) -> Self {
        let [month, day, hour, minute, second] =
            [local.month(), local.day(), local.hour(), local.minute(), local.second()].map(|part| part as u8);
        Self([second, minute, hour, day, month, local.year().rem_euclid(100) as u8])
    }

    /// What the clock on the wall showed; `None` for a moment that never was.
    pub fn local(self) -> Option<DateTime> {
        let [second, minute, hour, day, month, year] = self.0.map(|part| i8::try_from(part).unwrap_or(-1));
        if !(0..100).contains(&year) {
            return None;
        }
        DateTime::new(2000 + i16::from(year), month, day, hour, minute, second, 0).ok()
    }
}

impl Serialize for Label {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self.local() {
            Some(local) => serializer.collect_str(&local),
            None => serializer.serialize_none(),
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Command {
    /// From the centre; confirmed.
    Control,
    /// Data from the device; confirmed.
    Send,
    Confirm,
    /// From the centre; answered.
    Request,
    Answer,
    Deny,
    /// 128 to 255: the maker's own.
    User(u8),
}

impl Command {
    fn of(byte: u8) -> Option<Self> {
        Some(match byte {
            1 => Self::Control,
            2 => Self::Send,
            3 => Self::Confirm,
            4 => Self::Request,
            5 => Self::Answer,
            6 => Self::Deny,
            128.. => Self::User(byte),
            0 | 7..=127 => return None,
        })
    }

    fn byte(self) -> u8 {
        match self {
            Self::Control => 1,
            Self::Send => 2,
            Self::Confirm => 3,
            Self::Request => 4,
            Self::Answer => 5,
            Self::Deny => 6,
            Self::User(byte) => byte,
        }
    }
}

/// What stands before the length: enough to answer a packet that cannot be used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Header {
    pub serial: u16,
    /// Main version, which is 1, and the user's version.
    pub version: [u8; 2],
    pub sent: Label,
    pub from: Address,
    pub to: Address,
}

impl Header {
    /// The answer's head: the same serial number, the other direction.
    pub fn answer(&self, sent: Label) -> Self {
        Self { sent, from: self.to, to: self.from, ..*self }
    }
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Frame {
    pub header: Header,
    pub command: Command,
    /// The application data unit; empty in heartbeats, confirmations and denials.
    pub unit: Vec<u8>,
}

/// Why bytes that begin like a packet are none (clause 6.5.3). Each is denied.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Fault {
    #[error("the checksum is {said:#04x}, but the bytes sum up to {found:#04x}")]
    Checksum { said: u8, found: u8 },
    #[error("{0} is no command; the standard has 1 to 6 and 128 to 255")]
    Command(u8),
    #[error("its length says {0} bytes; {UNIT_BYTES_MAX} is the most")]
    TooLong(u16),
    #[error("it ends with {0:02x?} instead of `##` where its length says")]
    End([u8; 2]),
}

/// Bytes that begin like a packet.
pub enum Candidate {
    Whole {
        frame: Frame,
        bytes: usize,
    },
    /// Resume the search after so many bytes.
    Faulty {
        header: Header,
        fault: Fault,
        skip: usize,
    },
    /// More bytes are needed.
    Cut,
}

impl Frame {
    /// Looks at bytes that begin with [`START`].
    pub fn look(bytes: &[u8]) -> Candidate {
        let Some(head) = bytes.first_chunk::<HEAD_BYTES>() else { return Candidate::Cut };
        let header = header(head);
        let length = u16::from_le_bytes([head[24], head[25]]);
        let faulty = |fault, skip| Candidate::Faulty { header, fault, skip };
        if UNIT_BYTES_MAX < usize::from(length) {
            return faulty(Fault::TooLong(length), 1); // The second `@` may be the first of a start.
        }
        let unit_end = HEAD_BYTES + usize::from(length);
        let Some(&[said, end_1, end_2]) = bytes.get(unit_end..unit_end + 3) else { return Candidate::Cut };
        if [end_1, end_2] != END {
            return faulty(Fault::End([end_1, end_2]), 1);
        }
        let whole = unit_end + 3;
        let found = sum(&bytes[START.len()..unit_end]);
        if found != said {
            return faulty(Fault::Checksum { said, found }, whole);
        }
        match Command::of(head[26]) {
            None => faulty(Fault::Command(head[26]), whole),
            Some(command) => {
                let frame = Frame { header, command, unit: bytes[HEAD_BYTES..unit_end].to_owned() };
                Candidate::Whole { frame, bytes: whole }
            }
        }
    }

    /// A unit longer than [`UNIT_BYTES_MAX`] cannot be sent; whoever builds one keeps to the objects' limits.
    pub fn encode(&self) -> Vec<u8> {
        debug_assert!(self.unit.len() <= UNIT_BYTES_MAX);
        let Header { serial, version, sent, from, to } = self.header;
        let mut bytes = Vec::with_capacity(FRAME_BYTES_MIN + self.unit.len());
        bytes.extend(START);
        bytes.extend(serial.to_le_bytes());
        bytes.extend(version);
        bytes.extend(sent.0);
        bytes.extend(from.bytes());
        bytes.extend(to.bytes());
        bytes.extend((self.unit.len() as u16).to_le_bytes());
        bytes.push(self.command.byte());
        bytes.extend(&self.unit);
        bytes.push(sum(&bytes[START.len()..]));
        bytes.extend(END);
        bytes
    }
}

fn header(head: &[u8; HEAD_BYTES]) -> Header {
    let six = |at: usize| [head[at], head[at + 1], head[at + 2], head[at + 3], head[at + 4], head[at + 5]];
    Header {
        serial: u16::from_le_bytes([head[2], head[3]]),
        version: [head[4], head[5]],
        sent: Label(six(6)),
        from: Address::of(six(12)),
        to: Address::of(six(18)),
    }
}

fn sum(bytes: &[u8]) -> u8 {
    bytes.iter().fold(0, |sum, byte| sum.wrapping_add(*byte))
}
