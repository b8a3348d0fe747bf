//! Transmission devices of GB/T 26875.3: where they are heard, who may come; and the city's centre.

use std::collections::BTreeMap;

use serde_spanned::Spanned;

use super::super::shape::Page;
use super::{names, range, station};
use crate::config::Config;
use crate::config::gbt26875::{Centre, Gbt26875};
use crate::config::network::Network;
use crate::decode::gbt26875::compile;
use crate::grid::Registry;
use crate::problem::instead;
use crate::wire::gbt26875::Address;

pub fn check(page: &mut Page<'_>, config: &Config, registry: Option<&Registry>) {
    if let Some(gbt26875) = &config.gbt26875 {
        check_server(page, gbt26875);
    }
    if let Some(centre) = &config.centre {
        check_centre(page, centre);
    }
    let Some(registry) =
        registry.filter(|_| config.gbt26875.is_none() && !config.registry.devices.is_empty())
    else {
        return;
    };
    let files = page.at("registry.devices");
    if let Some(device) =
        registry.devices().iter().find(|device| !device.retired && device.address.starts_with("gbt26875:"))
    {
        page.warn(files, format!("the device `{}` has the address `{}`, but nobody listens to transmission devices; add [gbt26875], or correct the address", device.id, device.address));
    }
}

fn check_server(page: &mut Page<'_>, config: &Gbt26875) {
    let mut open = false;
    for bind in [&config.tcp, &config.udp].into_iter().flatten() {
        open |= station::bind(page, bind).is_some_and(|address| !address.ip().is_loopback());
    }
    if config.tcp.is_none() && config.udp.is_none() {
        page.wrong(
            page.at("gbt26875"),
            "nobody can reach it; add `tcp` or `udp` with an address to listen on, such as `10.0.8.1:26875`",
        );
    }
    if open && config.from.is_empty() {
        let span = page.at("gbt26875");
        page.wrong(span, "anybody who reaches this address could send alarms, because the protocol proves nothing; add `from = [\"10.0.8.0/24\"]` with the networks of the devices, or listen on 127.0.0.1");
    }
    for text in config.from.iter().chain(config.devices.iter().filter_map(|device| device.from.as_ref())) {
        if let Err(wrong) = text.get_ref().parse::<Network>() {
            page.wrong(text.span(), wrong);
        }
    }
    address(page, &config.address);
    range(page, "max_connections", &config.max_connections, 1..=100_000);
    // The standard's: not above 10 s.
    range(page, "timeout_s", &config.timeout_s, 1..=10);
    // GB 50440: at least every two hours.
    range(page, "patrol_s", &config.patrol_s, 10..=7_200);
    range(page, "clock_sync_h", &config.clock_sync_h, 0..=720);
    names(page, "dialect", config.dialects.iter().map(|dialect| &dialect.name));
    for dialect in &config.dialects {
        for (span, text) in compile(dialect).err().into_iter().flatten() {
            page.wrong(span, text);
        }
    }
    let mut seen = BTreeMap::new();
    for device in &config.devices {
        address(page, &device.address);
        if seen.insert(device.address.get_ref(), ()).is_some() {
            page.wrong(
                device.address.span(),
                format!(
                    "`{}` stands above already; say everything about a device in one place",
                    device.address.get_ref()
                ),
            );
        }
        let known = || config.dialects.iter().map(|dialect| dialect.name.get_ref().as_str());
        if let Some(name) = &device.dialect
            && !known().any(|one| one == name.get_ref())
        {
            let instead = instead(name.get_ref(), known().collect::<Vec<_>>());
            page.wrong(name.span(), format!("there is no dialect `{}`; {instead}", name.get_ref()));
        }
    }
}

fn check_centre(page: &mut Page<'_>, centre: &Centre) {
    match (&centre.tcp, &centre.udp) {
        (Some(_), Some(udp)) => {
            page.wrong(udp.span(), "the centre is reached by one of the two; remove `tcp` or `udp`")
        }
        (None, None) => page.wrong(
            page.at("centre"),
            "nobody is reached; add `tcp` or `udp` with the centre's host and port",
        ),
        (Some(place), None) | (None, Some(place)) => {
            let good = place.get_ref().rsplit_once(':').is_some_and(|(host, port)| {
                !host.is_empty() && port.parse::<u16>().is_ok_and(|port| 0 < port)
            });
            if !good {
                page.wrong(
                    place.span(),
                    format!(
                        "`{}` is no host and port; write them such as `fire.city.example:26875`",
                        place.get_ref()
                    ),
                );
            }
        }
    }
    address(page, &centre.address);
    address(page, &centre.own_address);
    range(page, "timeout_s", &centre.timeout_s, 1..=10);
    range(page, "heartbeat_s", &centre.heartbeat_s, 5..=7_200);
}

fn address(page: &mut Page<'_>, number: &Spanned<u64>) {
    if Address::new(*number.get_ref()).is_none() {
        page.wrong(
            number.span(),
            format!("`{}` is no address; it has 48 bits, so write 0 to {}", number.get_ref(), Address::MAX),
        );
    }
}
