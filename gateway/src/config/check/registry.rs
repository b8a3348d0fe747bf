//! Coverage: every device in a cell, every cell with somebody who answers for it through the week ahead.

use super::super::shape::Page;
use crate::config::{CameraMaker, Config};
use crate::decode::Family;
use crate::decode::push::Sender;
use crate::grid::{Registry, vacancy};
use crate::units::Timestamp;

pub fn check(page: &mut Page<'_>, config: &Config, registry: &Registry, now: Timestamp) {
    let files = &config.registry;
    if files.cells.is_empty() {
        return;
    }
    if !files.people.is_empty() {
        let span = page.at("registry.people");
        let gaps = vacancy::gaps(registry, now, now + vacancy::AHEAD);
        // A parent without anybody would repeat itself for every cell below it: what nobody answers for, nobody answers for up to the root.
        for hole in vacancy::first_holes(registry, &gaps) {
            let (code, zone) = (&registry.cells()[hole.cell.at()].code, &registry.rows().zone);
            let when =
                if hole.from <= now { "today".into() } else { format!("from {}", zone.text(hole.from)) };
            page.warn(span.clone(), format!("nobody answers for the cell `{code}` {when}, nor for a cell above it; give somebody the role lead, deputy, worker, officer or duty_officer there"));
        }
    }
    let homeless =
        registry.devices().iter().filter(|device| !device.retired && registry.home(device.ix).is_none());
    for device in homeless {
        page.warn(
            page.at("registry.devices"),
            format!("the device `{}` stands in no cell; fill in `cell`, or `lon` and `lat`", device.id),
        );
    }
    let decoded = |family| {
        config
            .topics
            .iter()
            .any(|topic| topic.decoder.as_ref().is_some_and(|decoder| *decoder.get_ref() == family))
    };
    let lora =
        registry.devices().iter().find(|device| !device.retired && device.address.starts_with("lora:"));
    if let Some(device) = lora.filter(|_| !decoded(Family::Chirpstack) && !decoded(Family::Ttn)) {
        page.warn(page.at("registry.devices"), format!("the device `{}` has the address `{}`, but no `[[topic]]` uses the decoder `chirpstack` or `ttn`; add one, or correct the address", device.id, device.address));
    }
    let pushed = ["imei:", "ctwing:", "huawei:"];
    let nb = registry
        .devices()
        .iter()
        .find(|device| !device.retired && pushed.iter().any(|prefix| device.address.starts_with(prefix)));
    if let Some(device) = nb.filter(|_| config.push_in.is_empty()) {
        page.warn(page.at("registry.devices"), format!("the device `{}` has the address `{}`, but no platform pushes here; add a `[[push_in]]`, or correct the address", device.id, device.address));
    }
    let heard = |device: &&crate::grid::Device| {
        let named = |maker: CameraMaker, sender: Sender, name: &str| {
            let name = name.split('/').next().unwrap_or_default();
            config.cameras.iter().any(|camera| camera.maker == maker && camera.name.get_ref() == name)
                || config.push_in.iter().any(|door| door.sender == sender)
        };
        match device.address.split_once(':') {
            Some(("hikvision", name)) => named(CameraMaker::Hikvision, Sender::Hikvision, name),
            Some(("dahua", name)) => named(CameraMaker::Dahua, Sender::Dahua, name),
            Some(("onvif", name)) => {
                let name = name.split('/').next().unwrap_or_default();
                config.onvif.iter().any(|device| device.name.get_ref() == name)
            }
            Some(_) | None => true,
        }
    };
    if let Some(device) = registry.devices().iter().find(|device| !device.retired && !heard(device)) {
        page.warn(page.at("registry.devices"), format!("the device `{}` has the address `{}`, but nobody asks it and nobody pushes here; add a `[[camera]]` or `[[onvif]]` of this name, or a `[[push_in]]`, or correct the address", device.id, device.address));
    }
    for (prefix, family, word) in [
        ("native:", Family::Native, "native"),
        ("z2m:", Family::Zigbee2mqtt, "zigbee2mqtt"),
        ("frigate:", Family::Frigate, "frigate"),
        ("meokon:", Family::Meokon, "meokon"),
    ] {
        let first =
            registry.devices().iter().find(|device| !device.retired && device.address.starts_with(prefix));
        let heard = decoded(family) || family == Family::Meokon && config.meokon.is_some();
        let or = if family == Family::Meokon { " or `[meokon]`" } else { "" };
        if let Some(device) = first.filter(|_| !heard) {
            page.warn(page.at("registry.devices"), format!("the device `{}` has the address `{}`, but no `[[topic]]` uses the decoder `{word}`; add one{or}, or correct the address", device.id, device.address));
        }
    }
}
