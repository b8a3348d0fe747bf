//! The Sparkplug host: its broker, and names that can stand in topics.

use super::super::shape::Page;
use super::range;
use crate::config::Config;
use crate::grid::Registry;
use crate::problem::instead;

pub fn check(page: &mut Page<'_>, config: &Config, registry: Option<&Registry>) {
    let Some(sparkplug) = &config.sparkplug else {
        let behind = registry.filter(|_| !config.registry.devices.is_empty()).and_then(|registry| {
            registry
                .devices()
                .iter()
                .find(|device| !device.retired && device.address.starts_with("sparkplug:"))
        });
        if let Some(device) = behind {
            page.warn(page.at("registry.devices"), format!("the device `{}` has the address `{}`, but nobody follows edge nodes; add [sparkplug], or correct the address", device.id, device.address));
        }
        return;
    };
    let broker = sparkplug.broker.get_ref();
    let known: Vec<&str> = config.brokers.iter().map(|broker| broker.name.get_ref().as_str()).collect();
    if !known.contains(&broker.as_str()) {
        let text = format!("there is no [[broker]] `{broker}`; {}", instead(broker, known));
        page.wrong(sparkplug.broker.span(), text);
    }
    for name in sparkplug.groups.iter().chain([&sparkplug.host_id]) {
        let text = name.get_ref();
        if text.is_empty() || text.contains(['/', '+', '#']) {
            page.wrong(
                name.span(),
                format!("`{text}` cannot be a level of a topic; write it without `/`, `+` and `#`"),
            );
        }
    }
    range(page, "reorder_timeout_ms", &sparkplug.reorder_timeout_ms, 100..=60_000);
}
