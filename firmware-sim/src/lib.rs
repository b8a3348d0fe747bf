//! Simulated neighbourhood devices for Gridwarden.

pub mod device;

pub mod faults;

pub mod hydrants;

pub mod modbus;

pub mod neighbourhood;

pub mod scenario;

pub mod town;
