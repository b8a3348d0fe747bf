//! Simulated neighbourhood devices for Gridwarden.

pub mod device;

pub mod hydrants;

pub mod modbus;
