//! Gridwarden (网格哨): the gateway of a neighbourhood station.
//!
//! The modules in reading order. Imports go one way: `units, model, grid` ← `engine, decode, wire` ← `store, io, notify, http` ← `app` ← `main`.
//! `engine`, `decode` and `wire` know no tokio, no clock, no files; `tests/` checks that. Deliberately absent: a general MQTT broker, a
//! general time-series database, a scripting language.

pub mod units;

pub mod problem;

pub mod model;

pub mod ahead;

pub mod grid;

pub mod accounts;

pub mod config;

pub mod engine;

pub mod decode;

pub mod wire;

pub mod waiting;

pub mod orders;

pub mod profiles;

pub mod world;

pub mod clock;

pub mod live;

pub mod card;

pub mod picture;

pub mod health;

pub mod metrics;

pub mod view;

pub mod replay;

pub mod proposal;

pub mod indicators;

pub mod practice;

pub mod store;

pub mod learning;

pub mod io;

pub mod notify;

pub mod http;

pub mod probe;

pub mod supervise;

pub mod service;

/// Try a channel by hand.
pub mod channel_test;
pub mod import;

pub mod ladder;

pub mod explain;

pub mod vacancies;

pub mod account_command;

pub mod audit_command;

pub mod replay_command;

pub mod drill_command;

pub mod app;
