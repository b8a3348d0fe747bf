//! Rules compiled for looking up: which rules a value of a device meets, in one step.
//!
//! `rules.toml` as typed by [`crate::config::rules`] becomes a [`RuleBook`]. Devices that the same rules select share a profile;
//! the rules of a (profile, metric) are a short list found by index.

/// The compiled rules.
#[derive(Debug, Default)]
pub struct RuleBook {}
