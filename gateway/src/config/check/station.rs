//! The station itself, its store, its API, and where it sends to.

use std::net::SocketAddr;
use std::path::Path;

use serde_spanned::Spanned;
use toml::Value;

use super::super::shape::Page;
use super::{names, range, secrets};
use crate::config::{AcceptedWhen, Config, Http, Influx, InfluxSender, Listener};
use crate::decode::filter_matches;
use crate::problem::instead;

/// A token shorter than this can be guessed.
pub const TOKEN_LETTERS_MIN: usize = 16;

pub fn check(page: &mut Page<'_>, config: &Config, folder: &Path) {
    let id = &config.station.id;
    if id.get_ref().is_empty() || !id.get_ref().chars().all(|c| c.is_ascii_alphanumeric() || "-_".contains(c))
    {
        page.wrong(
            id.span(),
            format!("`{}` is no station id; use letters, digits, `-` and `_`", id.get_ref()),
        );
    }
    check_store(page, config);
    if let Some(filter) = &config.log.filter
        && tracing_subscriber::EnvFilter::try_new(filter).is_err()
    {
        page.wrong(
            page.at("log.filter"),
            "this is no log filter; write one such as `info,gateway::io=debug`",
        );
    }
    check_http(page, &config.http, folder);
    if let Some(listener) = &config.listener {
        check_ports(page, listener, &config.http);
    }
    if let Some(influx) = &config.influx {
        check_influx(page, influx, folder);
    }
    check_webhooks(page, config, folder);
    check_alarm_mqtt(page, config);
    if config.listener.is_none()
        && config.brokers.is_empty()
        && config.buses.is_empty()
        && config.push_in.is_empty()
        && config.cameras.is_empty()
        && config.onvif.is_empty()
        && config.gbt26875.is_none()
        && config.meokon.is_none()
    {
        page.wrong(
            page.at("station"),
            "nothing is listened to; add `[listener]`, a `[[broker]]`, a `[[modbus]]` bus, a `[[push_in]]`, a `[[camera]]`, an `[[onvif]]`, `[gbt26875]` or `[meokon]`",
        );
    }
}

fn check_store(page: &mut Page<'_>, config: &Config) {
    let store = &config.store;
    range(page, "commit_interval_ms", &store.commit_interval_ms, 0..=10_000);
    range(page, "journal_max_mb", &store.journal_max_mb, 16..=1_000_000);
    range(page, "journal_max_days", &store.journal_max_days, 1..=3_650);
    range(page, "history_max_days", &store.history_max_days, 1..=36_500);
    range(page, "dead_letters_max", &store.dead_letters_max, 1..=10_000_000);
    range(page, "written_mb_per_day_max", &store.written_mb_per_day_max, 0..=10_000_000);
    range(page, "outbox_max", &store.outbox_max, 1_000..=100_000_000);
    range(page, "attachments_max_mb", &store.attachments_max_mb, 16..=1_000_000);
    range(page, "attachments_max_days", &store.attachments_max_days, 1..=36_500);
    range(page, "stills_max_mb", &store.stills_max_mb, 16..=1_000_000);
    range(page, "stills_max_days", &store.stills_max_days, 1..=3_650);
    if store.path.as_os_str().is_empty() || store.path.ends_with("/") {
        page.wrong(
            page.at("store.path"),
            "this is no file; write a path such as `/var/lib/gridwarden/station.db`",
        );
    }
}

/// An address to listen on.
pub fn bind(page: &mut Page<'_>, bind: &Spanned<String>) -> Option<SocketAddr> {
    let address = bind.get_ref().parse().ok();
    if address.is_none() {
        page.wrong(bind.span(), format!("`{}` is no address to listen on; write an IP address and a port, such as `127.0.0.1:8080` or `0.0.0.0:8080`", bind.get_ref()));
    }
    address
}

fn check_http(page: &mut Page<'_>, http: &Http, folder: &Path) {
    bind(page, &http.bind);
    if let Some(public) = &http.public_url {
        url(page, public, "https://grid.example");
    }
    if http.tokens.is_empty() {
        page.wrong(
            page.at("http.token"),
            "nobody may use the API; add a `[[http.token]]` with a name and a secret",
        );
    }
    names(page, "token", http.tokens.iter().map(|token| &token.name));
    for (i, token) in http.tokens.iter().enumerate() {
        secrets::check(page, folder, &format!("http.token.{i}.secret"), &token.secret, TOKEN_LETTERS_MIN);
    }
}

fn check_ports(page: &mut Page<'_>, listener: &Listener, http: &Http) {
    let parsed = |text: &Spanned<String>| text.get_ref().parse::<SocketAddr>().ok();
    let (Some(mqtt), Some(web)) = (parsed(&listener.bind), parsed(&http.bind)) else { return };
    let same_place = mqtt.ip() == web.ip() || mqtt.ip().is_unspecified() || web.ip().is_unspecified();
    if mqtt.port() == web.port() && mqtt.port() != 0 && same_place {
        page.wrong(
            http.bind.span(),
            format!("port {} is the listener's already; give the API another port", web.port()),
        );
    }
}

/// An http or https address with a host.
pub fn url(page: &mut Page<'_>, url: &Spanned<String>, example: &str) {
    let good = reqwest::Url::parse(url.get_ref())
        .is_ok_and(|url| matches!(url.scheme(), "http" | "https") && url.has_host());
    if !good {
        page.wrong(url.span(), format!("this is no http or https address; write one such as `{example}`"));
    } else if reqwest::Url::parse(url.get_ref()).is_ok_and(|url| url.password().is_some()) {
        page.wrong(
            url.span(),
            "a password stands in this address; use the key for the token or secret instead",
        );
    }
}

fn check_influx(page: &mut Page<'_>, influx: &Influx, folder: &Path) {
    url(page, &influx.url, "http://127.0.0.1:8086");
    for (key, value) in [("org", &influx.org), ("bucket", &influx.bucket)] {
        if value.is_empty() {
            page.wrong(
                page.at(&format!("influx.{key}")),
                format!("`{key}` is empty; write the name as InfluxDB shows it"),
            );
        }
    }
    let path = reqwest::Url::parse(influx.url.get_ref()).map_or("/".into(), |url| url.path().to_owned());
    match influx.sender {
        InfluxSender::Influxdb2 if path != "/" => page.wrong(
            influx.url.span(),
            format!("the sender `influxdb2` cannot keep the path `{path}`; write sender = \"gridwarden\", or an address without a path"),
        ),
        InfluxSender::Influxdb2 | InfluxSender::Gridwarden => (),
    }
    if let Some(token) = &influx.token {
        secrets::check(page, folder, "influx.token", token, 1);
    }
    range(page, "batch_lines", &influx.batch_lines, 1..=50_000);
    range(page, "batch_ms", &influx.batch_ms, 1..=60_000);
    range(page, "timeout_s", &influx.timeout_s, 1..=300);
}

fn check_webhooks(page: &mut Page<'_>, config: &Config, folder: &Path) {
    for (i, webhook) in config.webhooks.iter().enumerate() {
        url(page, &webhook.url, "https://duty.example/alerts");
        if let Some(secret) = &webhook.secret {
            secrets::check(page, folder, &format!("webhook.{i}.secret"), secret, TOKEN_LETTERS_MIN);
        }
        if let Some(accepted) = &webhook.accepted_when {
            check_accepted(page, accepted);
        }
    }
}

pub fn check_accepted(page: &mut Page<'_>, accepted: &AcceptedWhen) {
    let AcceptedWhen { path, equals } = accepted;
    if path.get_ref().split('.').any(str::is_empty) {
        page.wrong(
            path.span(),
            format!("`{}` is no place in an answer; write its keys with dots between, such as `errcode` or `result.status`", path.get_ref()),
        );
    }
    match equals.get_ref() {
        Value::String(_) | Value::Integer(_) | Value::Boolean(_) => (),
        Value::Float(_) | Value::Datetime(_) | Value::Array(_) | Value::Table(_) => page.wrong(
            equals.span(),
            "an answer cannot be compared with this; write text, a whole number, `true` or `false`",
        ),
    }
}

fn check_alarm_mqtt(page: &mut Page<'_>, config: &Config) {
    let Some(alarms) = &config.alarm_mqtt else { return };
    match &alarms.broker {
        Some(broker) => {
            let known = || config.brokers.iter().map(|broker| broker.name.get_ref().as_str());
            if !known().any(|name| name == broker.get_ref()) {
                let instead = instead(broker.get_ref(), known().collect::<Vec<_>>());
                page.wrong(broker.span(), format!("there is no broker `{}`; {instead}", broker.get_ref()));
            }
        }
        None if config.listener.is_none() => {
            page.wrong(page.at("alarm_mqtt"), "alarms have nowhere to go; name a `broker`, or add `[listener]` so that its clients get them");
        }
        None => (),
    }
    let topic = alarms.topic.get_ref();
    let mut rest = topic.clone();
    for name in ["{station}", "{cell}", "{alarm}"] {
        rest = rest.replace(name, "x");
    }
    if rest.is_empty() || rest.contains(['+', '#', '{', '}']) {
        page.wrong(alarms.topic.span(), "this is no topic to publish to; only `{station}`, `{cell}` and `{alarm}` are filled in, and `+` and `#` cannot stand here");
    }
    let example = topic
        .replace("{station}", config.station.id.get_ref())
        .replace("{cell}", "C-1")
        .replace("{alarm}", "A-1");
    if let Some(read) = config.topics.iter().find(|read| filter_matches(read.filter.get_ref(), &example)) {
        page.wrong(alarms.topic.span(), format!("our own alarms would be read as device messages by the topic filter `{}`; publish them to another topic", read.filter.get_ref()));
    }
}
