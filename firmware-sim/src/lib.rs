//! Simulated neighbourhood devices for Gridwarden (网格哨): smoke detectors, hydrants and access cameras as real ones behave.
//!
//! In reading order: one device ([`device`]), what can be wrong with it ([`faults`]), which devices there are ([`neighbourhood`]), what happens
//! to them ([`scenario`]), all of them together ([`town`], still pure: told the time, it says what to send), and the two ways out, [`mqtt`] and
//! [`modbus`] (which shows [`hydrants`]). [`transmitter`] is a fire panel's way to a centre (GB/T 26875.3). [`load`] is a whole city's worth of messages, to measure with. [`run()`] connects them to the world; tests call it as the command line does. Deliberately absent: any knowledge of
//! the gateway's code, so that both sides can be wrong only separately.

pub mod device;

pub mod faults;

pub mod hydrants;

pub mod modbus;

pub mod load;

pub mod mqtt;

pub mod neighbourhood;

pub mod phone;

pub mod scenario;

pub mod town;

pub mod transmitter;

mod run;

pub use run::{Options, Say, Summary, run};
