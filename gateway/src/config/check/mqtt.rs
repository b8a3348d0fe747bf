//! The listener, the brokers outside, and which decoder reads what.

use std::net::SocketAddr;
use std::path::Path;

use super::super::shape::Page;
use super::filters::{covers, invalid, meet};
use super::{names, range, secrets, station};
use crate::config::{Broker, Config, Listener};
use crate::decode::profile::{Profile, Profiles};
use crate::problem::instead;

/// MQTT's own limit of a packet, 256 MB.
const PACKET_KB_MAX: u32 = 262_144;

pub fn check(page: &mut Page<'_>, config: &Config, folder: &Path, profiles: &Profiles) {
    check_topics(page, config, profiles);
    if let Some(listener) = &config.listener {
        check_listener(page, config, listener, folder);
    }
    names(page, "broker", config.brokers.iter().map(|broker| &broker.name));
    for (i, broker) in config.brokers.iter().enumerate() {
        check_broker(page, config, broker, i, folder);
        let same = |other: &Broker| {
            (&other.host, other.port.get_ref(), other.client_id.get_ref())
                == (&broker.host, broker.port.get_ref(), broker.client_id.get_ref())
        };
        if let Some(other) = config.brokers[..i].iter().find(|other| same(other)) {
            page.wrong(broker.client_id.span(), format!("`{}` is also the client id of the broker `{}` at the same address, so the two would throw each other out; choose another", broker.client_id.get_ref(), other.name.get_ref()));
        }
    }
}

fn check_topics(page: &mut Page<'_>, config: &Config, profiles: &Profiles) {
    for (i, topic) in config.topics.iter().enumerate() {
        let filter = topic.filter.get_ref();
        match (&topic.decoder, &topic.profile) {
            (Some(_), None) => (),
            (None, Some(name)) if profiles.get(name.get_ref()).is_some_and(Profile::reads_topics) => (),
            (None, Some(name)) => {
                let known = profiles
                    .all()
                    .filter(|profile| profile.reads_topics())
                    .map(|profile| profile.name.as_str());
                let known: Vec<&str> = known.collect();
                page.wrong(
                    name.span(),
                    format!(
                        "there is no profile `{}` that reads topics; {}",
                        name.get_ref(),
                        instead(name.get_ref(), known)
                    ),
                );
            }
            (None, None) | (Some(_), Some(_)) => page.wrong(
                topic.filter.span(),
                format!("nothing says once who reads `{filter}`; give it a `decoder` or a `profile`"),
            ),
        }
        if let Some(bad) = invalid(filter) {
            page.wrong(topic.filter.span(), format!("the topic filter `{filter}` {bad}"));
            continue;
        }
        if let Some(earlier) =
            config.topics[..i].iter().find(|earlier| covers(earlier.filter.get_ref(), filter))
        {
            page.wrong(topic.filter.span(), format!("no message gets here, because `{}` above takes it; put the narrower filter first, or remove one", earlier.filter.get_ref()));
        }
        let subscribed = config.brokers.iter().flat_map(|broker| &broker.subscribe);
        if config.listener.is_none() && !subscribed.clone().any(|other| meet(other.get_ref(), filter)) {
            page.wrong(topic.filter.span(), format!("no message comes here, because no broker subscribes to `{filter}`; add it to `subscribe` of a `[[broker]]`, or remove it"));
        }
    }
}

fn check_listener(page: &mut Page<'_>, config: &Config, listener: &Listener, folder: &Path) {
    let address = station::bind(page, &listener.bind);
    if listener.users.is_empty() && address.is_some_and(|address: SocketAddr| !address.ip().is_loopback()) {
        page.wrong(listener.bind.span(), "anybody who reaches this address could send alarms; add `[[listener.user]]`s, or listen on 127.0.0.1");
    }
    if config.topics.is_empty() {
        page.wrong(
            page.at("listener"),
            "no decoder reads what the listener receives; add a `[[topic]]` with a filter and a decoder",
        );
    }
    range(page, "max_packet_kb", &listener.max_packet_kb, 1..=PACKET_KB_MAX);
    range(page, "max_connections", &listener.max_connections, 1..=1_000_000);
    range(page, "messages_per_s_max", &listener.messages_per_s_max, 1..=1_000_000);
    range(page, "idle_s_max", &listener.idle_s_max, 10..=86_400 * 7);
    let mut client_ca = false;
    if let Some(tls) = &listener.tls {
        secrets::pem(page, folder, "listener.tls.certificate", &tls.certificate, "CERTIFICATE");
        secrets::pem(page, folder, "listener.tls.key", &tls.key, "PRIVATE KEY");
        if let Some(ca) = &tls.client_ca {
            client_ca = true;
            secrets::pem(page, folder, "listener.tls.client_ca", ca, "CERTIFICATE");
        }
    }
    names(page, "user", listener.users.iter().map(|user| &user.name));
    for (i, user) in listener.users.iter().enumerate() {
        let name = user.name.get_ref();
        match &user.password {
            Some(password) => secrets::check(page, folder, &format!("listener.user.{i}.password"), password, 1),
            None if !client_ca => page.wrong(user.name.span(), format!("nothing proves that a client is `{name}`; add a `password`, or `client_ca` to `[listener.tls]` for client certificates")),
            None => (),
        }
        for filter in user.publish.iter().chain(&user.subscribe) {
            let plain = filter.get_ref().replace("%u", name).replace("%c", "+");
            if let Some(bad) = invalid(&plain) {
                page.wrong(filter.span(), format!("the topic filter `{}` {bad}", filter.get_ref()));
            }
        }
        for filter in &user.publish {
            let plain = filter.get_ref().replace("%u", name).replace("%c", "+");
            if invalid(&plain).is_none()
                && !config.topics.iter().any(|topic| meet(topic.filter.get_ref(), &plain))
            {
                page.wrong(filter.span(), format!("nobody decodes what `{name}` publishes to `{}`; add a `[[topic]]` for it, or correct the filter", filter.get_ref()));
            }
        }
    }
}

fn check_broker(page: &mut Page<'_>, config: &Config, broker: &Broker, i: usize, folder: &Path) {
    let at = |key: &str| format!("broker.{i}.{key}");
    if broker.host.is_empty()
        || broker.host.contains(['/', ' '])
        || (broker.host.contains(':') && broker.host.parse::<std::net::Ipv6Addr>().is_err())
    {
        page.wrong(
            page.at(&at("host")),
            format!("`{}` is no host; write a name or an IP address, and the port in `port`", broker.host),
        );
    }
    if *broker.port.get_ref() == 0 {
        page.wrong(broker.port.span(), "0 is no port; write 1883, or 8883 with TLS");
    }
    if broker.client_id.get_ref().is_empty() {
        page.wrong(broker.client_id.span(), "the client id is empty, so the broker could not keep our session; write a name that nobody else uses");
    }
    match (&broker.user, &broker.password) {
        (None, Some(_)) => page.wrong(page.at(&at("password")), "a password without a user; add `user`"),
        (_, Some(password)) => secrets::check(page, folder, &at("password"), password, 1),
        (_, None) => (),
    }
    if let Some(tls) = &broker.tls {
        secrets::pem(page, folder, &at("tls.ca"), &tls.ca, "CERTIFICATE");
        match (&tls.certificate, &tls.key) {
            (Some(certificate), Some(key)) => {
                secrets::pem(page, folder, &at("tls.certificate"), certificate, "CERTIFICATE");
                secrets::pem(page, folder, &at("tls.key"), key, "PRIVATE KEY");
            }
            (Some(_), None) => {
                page.wrong(page.at(&at("tls.certificate")), "a client certificate without its key; add `key`")
            }
            (None, Some(_)) => {
                page.wrong(page.at(&at("tls.key")), "a key without its client certificate; add `certificate`")
            }
            (None, None) => (),
        }
    }
    range(page, "keep_alive_s", &broker.keep_alive_s, 5..=65_535);
    range(page, "max_packet_kb", &broker.max_packet_kb, 1..=PACKET_KB_MAX);
    if let Some(group) = broker
        .share_group
        .as_ref()
        .filter(|group| group.get_ref().is_empty() || group.get_ref().contains(['/', '+', '#']))
    {
        page.wrong(
            group.span(),
            format!("`{}` is no share group; write a name without `/`, `+` and `#`", group.get_ref()),
        );
    }
    let sparkplug =
        config.sparkplug.as_ref().is_some_and(|host| host.broker.get_ref() == broker.name.get_ref());
    if broker.subscribe.is_empty() && !sparkplug {
        page.wrong(
            page.at(&at("subscribe")),
            "nothing is subscribed to; write at least one topic filter, or remove the broker",
        );
    }
    for filter in &broker.subscribe {
        let text = filter.get_ref();
        if text.starts_with("$share/") {
            page.wrong(
                filter.span(),
                "the share group stands in the filter; write it as `share_group` and the filter without it",
            );
        } else if let Some(bad) = invalid(text) {
            page.wrong(filter.span(), format!("the topic filter `{text}` {bad}"));
        } else if !config.topics.iter().any(|topic| covers(topic.filter.get_ref(), text)) {
            let some = config.topics.iter().any(|topic| meet(topic.filter.get_ref(), text));
            let what = if some { "not everything that arrives on" } else { "nothing that arrives on" };
            let message = format!(
                "{what} `{text}` is decoded; add a `[[topic]]` whose filter covers it, or subscribe to less"
            );
            // One filter may be served by several narrower topics.
            if some { page.hint(filter.span(), message) } else { page.wrong(filter.span(), message) }
        }
    }
}
