//! Terminals of Meokon: where they are heard, and who may come.

use super::super::shape::Page;
use super::{range, station};
use crate::config::Config;
use crate::config::network::Network;

pub fn check(page: &mut Page<'_>, config: &Config) {
    let Some(meokon) = &config.meokon else { return };
    let mut open = false;
    for bind in [&meokon.tcp, &meokon.udp].into_iter().flatten() {
        open |= station::bind(page, bind).is_some_and(|address| !address.ip().is_loopback());
    }
    if meokon.tcp.is_none() && meokon.udp.is_none() {
        let span = page.at("meokon");
        page.wrong(
            span,
            "no terminal can reach it; add `tcp` or `udp` with an address to listen on, such as `10.0.8.1:9210`",
        );
    }
    if open && meokon.from.is_empty() {
        let span = page.at("meokon");
        page.wrong(span, "anybody who reaches this address could send alarms, because the protocol proves nothing; add `from = [\"10.0.8.0/24\"]` with the networks of the terminals, or listen on 127.0.0.1");
    }
    for text in &meokon.from {
        if let Err(wrong) = text.get_ref().parse::<Network>() {
            page.wrong(text.span(), wrong);
        }
    }
    range(page, "max_connections", &meokon.max_connections, 1..=100_000);
}
