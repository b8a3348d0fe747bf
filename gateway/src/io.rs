//! Tasks that touch the world: sources bring messages in, the driver commits them, senders carry them on.

pub mod acks;
pub mod camera;
pub mod centre;
pub mod commands;
pub mod driver;
pub mod gbt26875;
pub mod influx;
pub mod inlet;
pub mod intake;
pub mod letters;
pub mod listener;
pub mod losses;
pub mod meokon;
pub mod modbus;
pub mod mqtt;
pub mod onvif;
pub mod orders;
pub mod outlast;
pub mod own_trouble;
mod ports;
pub mod roll_call;
pub mod roster;
pub mod self_watch;
pub mod stills;
pub mod tls;
pub mod wear;
