//! Packets of GB/T 26875.3 as a transmission device writes and reads them.

use anyhow::{Context, ensure};

pub const CONTROL: u8 = 1;
pub const SEND: u8 = 2;
pub const CONFIRM: u8 = 3;
pub const REQUEST: u8 = 4;
pub const ANSWER: u8 = 5;
pub const DENY: u8 = 6;

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Packet {
    pub serial: u16,
    /// Second, minute, hour, day, month, year of the century.
    pub sent: [u8; 6],
    pub from: u64,
    pub to: u64,
    pub command: u8,
    pub unit: Vec<u8>,
}

impl Packet {
    pub fn bytes(&self) -> Vec<u8> {
        let mut middle = Vec::new();
        middle.extend(self.serial.to_le_bytes());
        middle.extend([1, 1]);
        middle.extend(self.sent);
        middle.extend(&self.from.to_le_bytes()[..6]);
        middle.extend(&self.to.to_le_bytes()[..6]);
        middle.extend((self.unit.len() as u16).to_le_bytes());
        middle.push(self.command);
        middle.extend(&self.unit);
        let sum = middle.iter().fold(0u8, |sum, byte| sum.wrapping_add(*byte));
        [b"@@".as_slice(), &middle, &[sum], b"##"].concat()
    }

    /// The text of the first component in a report of states (type 2).
    pub fn note(unit: &[u8]) -> String {
        let bytes = unit.get(11..42).unwrap_or_default();
        let bytes = bytes.split(|byte| *byte == 0).next().unwrap_or_default();
        let (text, _, _) = encoding_rs::GB18030.decode(bytes);
        text.trim().to_owned()
    }

    /// The packet at the front of the buffer, taken out of it. A centre sends nothing else, so anything else is an error.
    pub fn take(buffer: &mut Vec<u8>) -> anyhow::Result<Option<Self>> {
        let Some(head) = buffer.first_chunk::<27>() else { return Ok(None) };
        ensure!(head.starts_with(b"@@"), "{buffer:02x?} is no packet");
        let length = usize::from(u16::from_le_bytes([head[24], head[25]]));
        let six = |at: usize| {
            let mut eight = [0; 8];
            eight[..6].copy_from_slice(&head[at..at + 6]);
            u64::from_le_bytes(eight)
        };
        let (from, to, serial) = (six(12), six(18), u16::from_le_bytes([head[2], head[3]]));
        let (command, sent) = (head[26], [head[6], head[7], head[8], head[9], head[10], head[11]]);
        if buffer.len() < 30 + length {
            return Ok(None);
        }
        let bytes: Vec<u8> = buffer.drain(..30 + length).collect();
        let [middle @ .., sum, b'#', b'#'] = &bytes[2..] else { anyhow::bail!("{bytes:02x?} has no end") };
        let found = middle.iter().fold(0u8, |sum, byte| sum.wrapping_add(*byte));
        ensure!(found == *sum, "{bytes:02x?} has a wrong checksum");
        let unit = middle.get(25..).context("the head was there")?.to_owned();
        Ok(Some(Self { serial, sent, from, to, command, unit }))
    }
}
