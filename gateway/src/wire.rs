//! Readings → bytes for others. Pure.

pub mod journal;
pub mod line;
