//! The MQTT ingest listener against real clients; the driver is a stand-in whose commits a test can hold.

mod clients;
mod commands;
mod limits;
mod promises;
mod secure;
mod station;
