//! Simulated neighbourhood devices for Gridwarden.

pub mod hydrants;

pub mod modbus;
