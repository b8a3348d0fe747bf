//! Walks over the objects of a data unit.

use super::{At, Operation, Place, System, Text, UnitFault};
use crate::wire::gbt26875::frame::Label;

pub struct Cursor<'a> {
    rest: &'a [u8],
    /// How many objects the unit says it has.
    said: u8,
    whole: usize,
    bytes: usize,
}

impl<'a> Cursor<'a> {
    pub fn new(rest: &'a [u8], said: u8) -> Self {
        Self { rest, said, whole: 0, bytes: rest.len() }
    }

    /// As many objects as are said, or as are whole.
    pub fn many<T>(&mut self, object: impl Fn(&mut Self) -> Option<T>) -> Vec<T> {
        let mut list = Vec::new();
        for _ in 0..self.said {
            let before = self.rest;
            match object(self) {
                Some(one) => list.push(one),
                None => {
                    self.rest = before;
                    break;
                }
            }
        }
        self.whole = list.len();
        list
    }

    /// Objects of a fixed length with a time behind each. Some devices leave all times out; then the length fits without.
    pub fn timed<T>(&mut self, bytes: usize, body: impl Fn(&mut Self) -> Option<T>) -> Vec<At<T>> {
        let without = self.rest.len() == usize::from(self.said) * bytes;
        self.many(|at| {
            let body = body(at)?;
            let at = if without { None } else { Some(at.label()?) };
            Some(At { body, at })
        })
    }

    pub fn one<T>(&mut self, object: impl Fn(&mut Self) -> Option<T>) -> Option<T> {
        self.many(object).into_iter().next()
    }

    pub fn all(&mut self) -> Vec<u8> {
        self.whole = usize::from(self.said);
        std::mem::take(&mut self.rest).to_owned()
    }

    /// Whether there were as many as it said, and nothing behind them.
    pub fn fault(&self, flag: u8) -> Option<UnitFault> {
        let good = self.whole == usize::from(self.said) && self.rest.is_empty() && 0 < self.said;
        let user = 128 <= flag;
        (!good && !user).then_some(UnitFault::Objects {
            flag,
            said: self.said,
            whole: self.whole,
            bytes: self.bytes,
        })
    }

    fn bytes<const N: usize>(&mut self) -> Option<[u8; N]> {
        let (bytes, rest) = self.rest.split_first_chunk()?;
        self.rest = rest;
        Some(*bytes)
    }

    pub fn u8(&mut self) -> Option<u8> {
        self.bytes().map(u8::from_le_bytes)
    }

    pub fn u16(&mut self) -> Option<u16> {
        self.bytes().map(u16::from_le_bytes)
    }

    pub fn label(&mut self) -> Option<Label> {
        self.bytes().map(Label)
    }

    pub fn version(&mut self) -> Option<[u8; 2]> {
        self.bytes()
    }

    pub fn text(&mut self, length: usize) -> Option<Text> {
        let (bytes, rest) = self.rest.split_at_checked(length)?;
        self.rest = rest;
        Some(Text(bytes.to_owned()))
    }

    pub fn system(&mut self) -> Option<System> {
        let [kind, address] = self.bytes()?;
        Some(System { kind, address })
    }

    pub fn operation(&mut self) -> Option<Operation> {
        let [operation, operator] = self.bytes()?;
        Some(Operation { operation, operator })
    }

    pub fn place(&mut self) -> Option<Place> {
        Some(Place { system: self.system()?, zone: self.u16()?, point: self.u16()? })
    }

    /// A component's place, with its type in the middle.
    pub fn component(&mut self) -> Option<(Place, u8)> {
        let (system, kind) = (self.system()?, self.u8()?);
        Some((Place { system, zone: self.u16()?, point: self.u16()? }, kind))
    }
}
