//! Every rule that spans several keys or files. Collects all problems, so that one run shows them all.
//!
//! One file per theme. Shape is checked before ([`super::shape`]), so a theme is skipped when its file has the wrong shape.

mod cameras;
mod channels;
pub mod filters;
mod gbt26875;
mod ladders;
mod meokon;
mod modbus;
mod mqtt;
mod push_in;
mod registry;
mod rules;
mod secrets;
mod sparkplug;
mod station;

use std::collections::BTreeMap;
use std::path::Path;

use serde_spanned::Spanned;

use super::Config;
use super::rules::Rules;
use super::shape::Page;
use crate::decode::profile::Profiles;
use crate::grid::Registry;
use crate::units::Timestamp;

/// What is checked, and against what.
pub struct Inputs<'a, 'page> {
    pub station: &'a mut Page<'page>,
    pub rules_page: &'a mut Page<'page>,
    /// `None` when its shape is wrong.
    pub config: Option<&'a Config>,
    pub rules: Option<&'a Rules>,
    pub folder: &'a Path,
    pub profiles: &'a Profiles,
    /// From the files of `[registry]`; `None` when one of them is wrong.
    pub registry: Option<&'a Registry>,
    pub now: Timestamp,
}

pub fn check(inputs: &mut Inputs<'_, '_>) {
    if let Some(config) = inputs.config {
        station::check(inputs.station, config, inputs.folder);
        channels::check(inputs.station, config, inputs.folder);
        mqtt::check(inputs.station, config, inputs.folder, inputs.profiles);
        push_in::check(inputs.station, config, inputs.folder);
        cameras::check(inputs.station, config, inputs.folder);
        sparkplug::check(inputs.station, config, inputs.registry);
        modbus::check(inputs.station, config, inputs.profiles, inputs.registry);
        gbt26875::check(inputs.station, config, inputs.registry);
        meokon::check(inputs.station, config);
        if let Some(registry) = inputs.registry {
            registry::check(inputs.station, config, registry, inputs.now);
        }
    }
    if let Some(rules) = inputs.rules {
        rules::check(inputs.rules_page, rules, inputs.registry);
        ladders::check(inputs.rules_page, rules, inputs.config, inputs.registry);
    }
}

/// Names must be unique and fit into topics, addresses and logs.
fn names<'a>(page: &mut Page<'_>, what: &str, names: impl Iterator<Item = &'a Spanned<String>>) {
    let mut seen: BTreeMap<&str, &Spanned<String>> = BTreeMap::new();
    for name in names {
        let text = name.get_ref().as_str();
        if text.is_empty() || !text.chars().all(|c| c.is_alphanumeric() || "-_.".contains(c)) {
            page.wrong(
                name.span(),
                format!("`{text}` is no name for {what}; use letters, digits, `-`, `_` and `.`"),
            );
        } else if seen.insert(text, name).is_some() {
            page.wrong(
                name.span(),
                format!("`{text}` names another {what} already; every {what} needs its own name"),
            );
        }
    }
}

/// A number that must lie in a range.
fn range(page: &mut Page<'_>, key: &str, value: &Spanned<u32>, allowed: std::ops::RangeInclusive<u32>) {
    if !allowed.contains(value.get_ref()) {
        let (low, high) = allowed.into_inner();
        page.wrong(value.span(), format!("`{key}` is {}; write {low} to {high}", value.get_ref()));
    }
}
