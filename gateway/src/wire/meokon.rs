//! Meokon (铭控) wireless terminals, protocol V3: the frames of both directions, and how they are found in bytes that come in pieces.
//!
//! `A5 5A`, a command, the length of the whole frame, the terminal's number, what the command is about, CRC-16/MODBUS, `55 AA`; every number with its high byte first. A terminal sends
//! [`UPLOAD`] and wants an [`answer`] within five seconds, else it keeps its records and sends them again. What stands in an upload is read by `decode/meokon.rs`; who is answered, and when,
//! is decided in `io/meokon.rs`.
//!
//! No paper at hand shows the answer. Its form is that of two platforms that were written independently of one another: an answer word for word in liyouxina/siot,
//! `cmd/mingkong/main.go` (in the tests below), and the method `buildAck` of `MkV3Protocol` (`com.zhian.gateway`, 2026). They agree in every byte.

use crate::decode::bytes::crc16_modbus;
use crate::units::Timestamp;

const START: [u8; 2] = [0xA5, 0x5A];
const END: [u8; 2] = [0x55, 0xAA];
/// Start, command, length.
const LEAD_BYTES: usize = 5;
const ID_BYTES: usize = 12;
/// Checksum and end.
const TAIL_BYTES: usize = 4;
const FRAME_BYTES_MIN: usize = LEAD_BYTES + ID_BYTES + TAIL_BYTES;
/// Room for 600 records of the terminals with the most channels.
pub const FRAME_BYTES_MAX: usize = 16 * 1024;

/// The command of what a terminal has measured.
pub const UPLOAD: u8 = 0x00;
/// The command of a platform's answer.
const ANSWER: u8 = 0xFF;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Frame<'a> {
    pub command: u8,
    /// Twelve letters and digits.
    pub id: &'a str,
    /// Between the number and the checksum.
    pub rest: &'a [u8],
}

impl<'a> Frame<'a> {
    /// A sentence says what is wrong.
    pub fn read(bytes: &'a [u8]) -> Result<Self, String> {
        let [0xA5, 0x5A, command, length_1, length_2, ..] = *bytes else {
            return Err("this is no frame of a Meokon terminal; it begins with A55A".into());
        };
        let length = usize::from(u16::from_be_bytes([length_1, length_2]));
        if bytes.len() != length || length < FRAME_BYTES_MIN {
            return Err(format!("the frame says it has {length} bytes and has {}", bytes.len()));
        }
        let (body, tail) = bytes.split_at(length - TAIL_BYTES);
        if tail[2..] != END {
            return Err("the frame does not end with 55AA".into());
        }
        // High byte first, unlike on a Modbus line.
        let (said, found) = (u16::from_be_bytes([tail[0], tail[1]]), crc16_modbus(body));
        if said != found {
            return Err(format!("the checksum is {said:04x}, but the bytes give {found:04x}"));
        }
        let (id, rest) = body[LEAD_BYTES..].split_at(ID_BYTES);
        let id = std::str::from_utf8(id).ok().filter(|id| id.bytes().all(|c| c.is_ascii_alphanumeric()));
        Ok(Self { command, id: id.ok_or("the device's number is not made of letters and digits")?, rest })
    }

    pub fn encode(&self) -> Vec<u8> {
        let length = (FRAME_BYTES_MIN + self.rest.len()) as u16;
        let mut bytes = START.to_vec();
        bytes.push(self.command);
        bytes.extend(length.to_be_bytes());
        bytes.extend(self.id.as_bytes());
        bytes.extend(self.rest);
        bytes.extend(crc16_modbus(&bytes).to_be_bytes());
        bytes.extend(END);
        bytes
    }
}

/// What a terminal wants to hear when its frame is safe: it forgets what it sent and sets its clock to `now`. What the last two bytes say is not known; they are 0.
pub fn answer(id: &str, now: Timestamp) -> Vec<u8> {
    let seconds = u32::try_from(now.0 / 1_000).unwrap_or(0);
    let [a, b, c, d] = seconds.to_be_bytes();
    Frame { command: ANSWER, id, rest: &[a, b, c, d, 0, 0] }.encode()
}

/// Finds frames by start, length and end; what is in them is checked by who reads them. Keeps no more than one frame.
#[derive(Debug, Default)]
pub struct Stream {
    bytes: Vec<u8>,
}

#[derive(Debug, PartialEq, Eq)]
pub enum Piece {
    Frame(Vec<u8>),
    /// Bytes that are no frame.
    Noise(Vec<u8>),
}

impl Stream {
    pub fn push(&mut self, bytes: &[u8]) {
        self.bytes.extend(bytes);
    }

    /// `None`: nothing more before more bytes come.
    pub fn piece(&mut self) -> Option<Piece> {
        let start = self.bytes.windows(START.len()).position(|two| two == START).unwrap_or_else(|| {
            // The last byte may be the first half of a start.
            self.bytes.len() - usize::from(self.bytes.last() == Some(&START[0]))
        });
        if 0 < start {
            return Some(Piece::Noise(self.cut(start)));
        }
        let length = self.bytes.get(..LEAD_BYTES)?;
        let length = usize::from(u16::from_be_bytes([length[3], length[4]]));
        if !(FRAME_BYTES_MIN..=FRAME_BYTES_MAX).contains(&length) {
            return Some(Piece::Noise(self.cut(START.len())));
        }
        let frame = self.bytes.get(..length)?;
        Some(match frame.ends_with(&END) {
            true => Piece::Frame(self.cut(length)),
            false => Piece::Noise(self.cut(START.len())),
        })
    }

    /// No more is to come of what looks like the beginning of a frame: it is none, and there may be whole ones behind it.
    pub fn give_up(&mut self) -> Option<Piece> {
        let begun = self.bytes.len().min(START.len());
        (0 < begun).then(|| Piece::Noise(self.cut(begun)))
    }

    pub fn is_empty(&self) -> bool {
        self.bytes.is_empty()
    }

    fn cut(&mut self, count: usize) -> Vec<u8> {
        let rest = self.bytes.split_off(count);
        std::mem::replace(&mut self.bytes, rest)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::decode::bytes::{from_hex, hex};

    fn all(stream: &mut Stream) -> Vec<Piece> {
        std::iter::from_fn(|| stream.piece()).collect()
    }

    fn frames(pieces: Vec<Piece>) -> Vec<Vec<u8>> {
        let frame = |piece| match piece {
            Piece::Frame(bytes) => Some(bytes),
            Piece::Noise(_) => None,
        };
        pieces.into_iter().filter_map(frame).collect()
    }

    /// As it stands in liyouxina/siot.
    #[test]
    fn the_answer_is_the_one_that_a_platform_sends() {
        let answered = "a55aff001b4a53534831393035303030355d19bbde0000a32b55aa";
        assert_eq!(hex(&answer("JSSH19050005", Timestamp(0x5d19_bbde * 1_000 + 999))), answered);
        let bytes = from_hex(answered).expect("hexadecimal");
        let frame = Frame::read(&bytes).expect("whole");
        assert_eq!((frame.command, frame.id, frame.rest.len()), (ANSWER, "JSSH19050005", 6));
    }

    #[test]
    fn what_only_begins_like_a_frame_holds_nothing_up_for_ever() {
        let good = Frame { command: UPLOAD, id: "SHMK21060001", rest: b"1" }.encode();
        let mut stream = Stream::default();
        // Says it has 8 KiB.
        stream.push(&[0xA5, 0x5A, 0, 0x20, 0]);
        stream.push(&good);
        assert_eq!(stream.piece(), None, "it may still come");
        assert_eq!(stream.give_up(), Some(Piece::Noise(START.to_vec())));
        assert_eq!(frames(all(&mut stream)), std::slice::from_ref(&good));
        assert!(stream.is_empty() && stream.give_up().is_none());
        // One that is longer than any, one without an end, one that has nothing in it.
        for wrong in
            [&[0xA5, 0x5A, 0, 0x40, 1][..], &[0xA5, 0x5A, 0, 0, 22, 7, 7, 7, 7], &[0xA5, 0x5A, 0, 0, 20]]
        {
            stream.push(wrong);
            stream.push(&good);
            assert_eq!(frames(all(&mut stream)), std::slice::from_ref(&good), "behind {wrong:x?}");
        }
    }

    proptest! {
        #[test]
        fn a_frame_is_read_as_it_was_written(command: u8, id in "[0-9A-Za-z]{12}", rest in prop::collection::vec(any::<u8>(), 0..2_000)) {
            let frame = Frame { command, id: &id, rest: &rest };
            let bytes = frame.encode();
            prop_assert_eq!(Frame::read(&bytes), Ok(frame));
            // Any byte that is another is noticed.
            let mut damaged = bytes.clone();
            let at = rest.len() * 7 % bytes.len();
            damaged[at] ^= 1 << (command % 8);
            prop_assert!(Frame::read(&damaged).is_err());
        }

        #[test]
        fn frames_are_found_however_they_are_cut(lengths in prop::collection::vec(0..400_usize, 1..6), noise in prop::collection::vec(0..0xA5_u8, 0..20), step in 1..300_usize) {
            let rests: Vec<_> = lengths.iter().map(|length| vec![7; *length]).collect();
            let sent: Vec<_> = rests.iter().map(|rest| Frame { command: UPLOAD, id: "SHMK21060001", rest }.encode()).collect();
            let line: Vec<u8> = sent.iter().flat_map(|frame| [noise.as_slice(), frame].concat()).collect();
            let mut stream = Stream::default();
            let mut found = Vec::new();
            for some in line.chunks(step) {
                stream.push(some);
                found.extend(frames(all(&mut stream)));
            }
            prop_assert_eq!(found, sent);
            prop_assert!(stream.is_empty());
        }

        #[test]
        fn any_bytes_are_taken_whole_and_none_twice(bytes in prop::collection::vec(prop::sample::select(vec![0xA5, 0x5A, 0x55, 0xAA, 0, 21, 40]), 0..600), step in 1..50_usize) {
            let mut stream = Stream::default();
            let mut taken = Vec::new();
            let mut take = |piece: Piece| match piece {
                Piece::Frame(bytes) | Piece::Noise(bytes) => taken.extend(bytes),
            };
            for some in bytes.chunks(step) {
                stream.push(some);
                all(&mut stream).into_iter().for_each(&mut take);
            }
            while let Some(piece) = stream.give_up() {
                take(piece);
                all(&mut stream).into_iter().for_each(&mut take);
            }
            prop_assert_eq!(taken, bytes);
        }
    }
}
