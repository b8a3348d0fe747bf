//! End to end: the gateway's parts, and the whole gateway, against real neighbours.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a failed step is a failed test")]

mod accounts;
mod behaviour;
mod card;
mod centre;
mod channels;
mod commands;
mod crash;
mod crowd;
mod disk;
mod exercises;
mod field;
mod fieldwork;
mod flood;
mod gbt26875;
mod handling;
mod http;
mod influx;
mod learning;
mod listener;
mod modbus;
mod mqtt;
mod neighbours;
mod notify;
mod oracle;
mod page;
mod path;
mod people;
mod positions;
mod push_in;
mod reload;
mod rights;
mod service;
mod simulator;
mod sparkplug;
mod stop;
mod time;
mod waiting;
mod web;
