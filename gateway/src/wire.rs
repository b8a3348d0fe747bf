//! How readings and events are written for others, and packets that others define for both directions.

pub mod gbt26875;
pub mod journal;
pub mod line;
pub mod meokon;
