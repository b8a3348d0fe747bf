//! End to end: the gateway's parts, and the whole gateway, against real neighbours.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a failed step is a failed test")]

mod accounts;
mod cameras;
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
mod grafana;
mod handling;
mod http;
mod influx;
mod learning;
mod listener;
mod modbus;
mod mqtt;
mod nearest;
mod neighbours;
mod notify;
mod oracle;
mod page;
mod path;
mod people;
mod phone;
mod positions;
mod push_in;
mod reload;
mod rights;
mod service;
mod simulator;
mod stop;
mod time;
mod web;
