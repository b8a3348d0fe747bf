//! GB/T 26875.3-2011: the packets between user information transmission devices and a monitoring centre, in both directions.
//!
//! A [`frame`] carries one application data unit; [`stream`] finds frames in bytes that may be damaged; [`unit`] is what stands in the data unit. Numbers are
//! little-endian, texts GB 18030, times local without a zone. What the content *means* for us is `decode/gbt26875.rs`; who is answered, and when, `io/gbt26875.rs`.
//! Clauses in comments are the standard's.

pub mod frame;
pub mod stream;
pub mod unit;

#[cfg(test)]
mod tests;

pub use frame::{Address, Command, Fault, Frame, Header, Label};
pub use stream::{Piece, Stream};
pub use unit::{At, Content, Operation, Place, System, Text};
