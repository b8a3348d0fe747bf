//! Frames out of bytes as they come, glued together, cut, or with damage between them.
//!
//! After damage the search goes on at the next `@@`. A cut packet does not hold up the next one: a whole packet behind it is found at once. What is kept is
//! never longer than one packet.

use super::frame::{Candidate, Fault, Frame, Header, START};

#[derive(Debug, Default)]
pub struct Stream {
    bytes: Vec<u8>,
}

/// The next thing in the stream.
#[derive(Debug, PartialEq, Eq)]
pub enum Piece {
    /// With its bytes.
    Frame(Frame, Vec<u8>),
    /// To be denied, with the bytes that are thrown away for it.
    Faulty { header: Header, fault: Fault, bytes: Vec<u8> },
    /// Bytes that are no packet.
    Noise(Vec<u8>),
}

impl Stream {
    pub fn push(&mut self, bytes: &[u8]) {
        self.bytes.extend(bytes);
    }

    /// `None`: nothing more before more bytes come.
    pub fn piece(&mut self) -> Option<Piece> {
        let start = self.start_after(0).unwrap_or_else(|| {
            // The last byte may be the first half of a start.
            self.bytes.len() - usize::from(self.bytes.last() == Some(&START[0]))
        });
        if 0 < start {
            return Some(Piece::Noise(self.cut(start)));
        }
        if !self.bytes.starts_with(&START) {
            return None;
        }
        match Frame::look(&self.bytes) {
            Candidate::Whole { frame, bytes } => Some(Piece::Frame(frame, self.cut(bytes))),
            Candidate::Faulty { header, fault, skip } => {
                Some(Piece::Faulty { header, fault, bytes: self.cut(skip) })
            }
            Candidate::Cut => self.whole_behind().map(|at| Piece::Noise(self.cut(at))),
        }
    }

    /// Where a packet with a start and an end begins behind the cut one at the front.
    fn whole_behind(&self) -> Option<usize> {
        let mut at = 1;
        loop {
            at = self.start_after(at)?;
            match Frame::look(&self.bytes[at..]) {
                Candidate::Whole { .. }
                | Candidate::Faulty { fault: Fault::Checksum { .. } | Fault::Command(_), .. } => {
                    return Some(at);
                }
                Candidate::Faulty { fault: Fault::TooLong(_) | Fault::End(_), .. } | Candidate::Cut => {
                    at += 1
                }
            }
        }
    }

    fn start_after(&self, at: usize) -> Option<usize> {
        let found = self.bytes.get(at..)?.windows(START.len()).position(|two| two == START)?;
        Some(at + found)
    }

    fn cut(&mut self, count: usize) -> Vec<u8> {
        let rest = self.bytes.split_off(count);
        std::mem::replace(&mut self.bytes, rest)
    }
}
