//! Channels: names, limits, secrets, addresses; and where `or_else` leads.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use serde_spanned::Spanned;

use super::super::shape::Page;
use super::{names, range, secrets, station};
use crate::config::channels::{Answer, Common, Limit, MailSecurity, Reports, Request};
use crate::config::{Config, Secret};
use crate::notify::{ntfy, template};
use crate::problem::instead;

/// The channel of `[alarm_mqtt]`.
const MQTT: &str = "mqtt";

pub fn check(page: &mut Page<'_>, config: &Config, folder: &Path) {
    let all = config.all_channels();
    names(page, "channel", all.iter().map(|(_, channel)| channel.name));
    for (_, channel) in &all {
        check_common(page, channel);
    }
    check_ways(page, config, &all);
    check_chat(page, config, folder);
    check_servers(page, config, folder);
    check_mail(page, config, folder);
    check_push(page, config);
    for (i, sms) in config.channels.sms.iter().enumerate() {
        check_template(page, folder, &format!("channel.sms.{i}"), &sms.request, &sms.answer);
        check_reports(page, folder, &format!("channel.sms.{i}.reports"), sms.reports.as_ref());
    }
    for (i, voice) in config.channels.voice.iter().enumerate() {
        check_template(page, folder, &format!("channel.voice.{i}"), &voice.request, &voice.answer);
        check_reports(page, folder, &format!("channel.voice.{i}.reports"), voice.reports.as_ref());
    }
}

fn check_common(page: &mut Page<'_>, channel: &Common<'_>) {
    if channel.name.get_ref() == MQTT {
        page.wrong(
            channel.name.span(),
            "`mqtt` is the channel of `[alarm_mqtt]`; give this one another name",
        );
    }
    if let Some(timeout) = channel.timeout_s {
        range(page, "timeout_s", timeout, 1..=60);
    }
    if let Some(dead_after) = channel.dead_after_s {
        range(page, "dead_after_s", dead_after, 5..=86_400);
    }
    if let Some(fifth) = channel.limits.and_then(|limits| limits.get(4)) {
        page.wrong(
            fifth.count.span(),
            "four limits are the most; leave out those that another one holds anyway",
        );
    }
    for Limit { count, per_s } in channel.limits.into_iter().flatten() {
        range(page, "count", count, 1..=10_000);
        range(page, "per_s", per_s, 1..=86_400);
    }
}

/// Every `or_else` names another channel, and none of them leads back.
fn check_ways(page: &mut Page<'_>, config: &Config, all: &[(String, Common<'_>)]) {
    let mut ways: BTreeMap<&str, Option<&Spanned<String>>> =
        all.iter().map(|(_, channel)| (channel.name.get_ref().as_str(), channel.or_else)).collect();
    if let Some(mqtt) = &config.alarm_mqtt {
        ways.insert(MQTT, mqtt.or_else.as_ref());
        if let Some(dead_after) = &mqtt.dead_after_s {
            range(page, "dead_after_s", dead_after, 5..=86_400);
        }
    }
    for (from, to) in &ways {
        let Some(to) = to else { continue };
        if !ways.contains_key(to.get_ref().as_str()) {
            let instead = instead(to.get_ref(), ways.keys().copied().filter(|name| name != from));
            page.wrong(to.span(), format!("there is no channel `{}`; {instead}", to.get_ref()));
            continue;
        }
        let (mut seen, mut at) = (BTreeSet::new(), Some(to.get_ref().as_str()));
        while let Some(name) = at.filter(|name| seen.insert(*name)) {
            at = ways.get(name).and_then(|next| next.map(|next| next.get_ref().as_str()));
        }
        if seen.contains(from) {
            page.wrong(
                to.span(),
                format!("this way leads back to `{from}`; leave `or_else` out where the way ends"),
            );
        }
    }
}

fn check_chat(page: &mut Page<'_>, config: &Config, folder: &Path) {
    let channels = &config.channels;
    for (i, robot) in channels.wecom_robot.iter().enumerate() {
        station::url(page, &robot.address, "https://qyapi.weixin.qq.com");
        secrets::check(page, folder, &format!("channel.wecom_robot.{i}.key"), &robot.key, 1);
    }
    for (i, app) in channels.wecom_app.iter().enumerate() {
        station::url(page, &app.address, "https://qyapi.weixin.qq.com");
        secrets::check(page, folder, &format!("channel.wecom_app.{i}.secret"), &app.secret, 1);
    }
    for (i, robot) in channels.dingtalk_robot.iter().enumerate() {
        station::url(page, &robot.address, "https://oapi.dingtalk.com");
        secrets::check(page, folder, &format!("channel.dingtalk_robot.{i}.token"), &robot.token, 1);
        check_secret(page, folder, format!("channel.dingtalk_robot.{i}.secret"), robot.secret.as_ref());
    }
    for (i, robot) in channels.feishu_robot.iter().enumerate() {
        station::url(page, &robot.address, "https://open.feishu.cn");
        secrets::check(page, folder, &format!("channel.feishu_robot.{i}.token"), &robot.token, 1);
        check_secret(page, folder, format!("channel.feishu_robot.{i}.secret"), robot.secret.as_ref());
    }
}

fn check_servers(page: &mut Page<'_>, config: &Config, folder: &Path) {
    let channels = &config.channels;
    for (i, ntfy) in channels.ntfy.iter().enumerate() {
        station::url(page, &ntfy.server, "https://ntfy.example");
        check_secret(page, folder, format!("channel.ntfy.{i}.token"), ntfy.token.as_ref());
        if let Some(topic) = &ntfy.topic
            && !ntfy::is_topic(topic.get_ref())
        {
            page.wrong(topic.span(), "this is no topic; write up to 64 letters, digits, `-` and `_`");
        }
    }
    for (i, gotify) in channels.gotify.iter().enumerate() {
        station::url(page, &gotify.server, "https://gotify.example");
        secrets::check(page, folder, &format!("channel.gotify.{i}.token"), &gotify.token, 1);
    }
    for (i, city) in channels.alertmanager.iter().enumerate() {
        station::url(page, &city.server, "http://alertmanager.example:9093");
        check_secret(page, folder, format!("channel.alertmanager.{i}.token"), city.token.as_ref());
    }
}

fn check_mail(page: &mut Page<'_>, config: &Config, folder: &Path) {
    for (i, mail) in config.channels.mail.iter().enumerate() {
        for address in [Some(&mail.from), mail.to.as_ref()].into_iter().flatten() {
            if address.get_ref().parse::<lettre::message::Mailbox>().is_err() {
                page.wrong(
                    address.span(),
                    "this is no mail address; write one such as `grid@street.example`",
                );
            }
        }
        let path = format!("channel.mail.{i}");
        if mail.user.is_some() != mail.password.is_some() {
            page.wrong(
                page.at(&path),
                "`user` and `password` belong together; write both, or neither for a server that asks for none",
            );
        }
        if mail.password.is_some() && mail.security == MailSecurity::None {
            page.wrong(
                page.at(&format!("{path}.security")),
                "the password would travel readable for all; write security = \"tls\" or \"starttls\"",
            );
        }
        check_secret(page, folder, format!("{path}.password"), mail.password.as_ref());
    }
}

fn check_push(page: &mut Page<'_>, config: &Config) {
    for (i, push) in config.channels.web_push.iter().enumerate() {
        if 0 < i {
            page.wrong(
                push.name.span(),
                "there is a `[[channel.web_push]]` already; one serves every browser",
            );
        }
        let contact = push.contact.get_ref();
        let mail =
            contact.strip_prefix("mailto:").is_some_and(|mail| mail.parse::<lettre::Address>().is_ok());
        if (!mail && !contact.starts_with("https://")) || contact.ends_with("@localhost") {
            page.wrong(
                push.contact.span(),
                "push services refuse this contact; write a real one such as `mailto:duty@street.example`",
            );
        }
        for service in &push.services {
            station::url(page, service, "https://updates.push.services.mozilla.com");
        }
        range(page, "keep_s", &push.keep_s, 0..=86_400);
    }
}

fn check_template(page: &mut Page<'_>, folder: &Path, path: &str, request: &Request, answer: &Answer) {
    station::url(page, &request.url, "https://sms.example/send");
    check_secret(page, folder, format!("{path}.request.secret"), request.secret.as_ref());
    let values = request.query.values().chain(request.headers.values()).chain(request.form.values());
    for value in values.chain(request.json.as_ref()) {
        if let Err(unknown) = template::Template::new(value.get_ref()) {
            let instead = instead(&unknown, template::PLACEHOLDERS.iter().copied());
            page.wrong(value.span(), format!("there is no `{{{unknown}}}` to fill in; {instead}"));
        }
    }
    if let Some(json) = &request.json {
        if !template::is_json(json.get_ref()) {
            page.wrong(json.span(), "this is no JSON; write an object, such as `{\"to\": \"{phone}\"}`");
        }
        if !request.form.is_empty() {
            page.wrong(json.span(), "there is a `form` already; a request has one body");
        }
    }
    if let Some(aliyun) = &request.aliyun {
        let path = format!("{path}.request.aliyun.key_secret");
        secrets::check(page, folder, &path, &aliyun.key_secret, 1);
    }
    if let Some(most) = &request.text_characters_max {
        range(page, "text_characters_max", most, 20..=2_000);
    }
    station::check_accepted(page, &answer.accepted_when);
}

fn check_reports(page: &mut Page<'_>, folder: &Path, path: &str, reports: Option<&Reports>) {
    let Some(reports) = reports else { return };
    secrets::check(page, folder, &format!("{path}.secret"), &reports.secret, station::TOKEN_LETTERS_MIN);
    station::check_accepted(page, &reports.arrived_when);
    if let Some(answer) = &reports.answer
        && serde_json::from_str::<serde_json::Value>(answer.get_ref()).is_err()
    {
        page.wrong(
            answer.span(),
            "this is no JSON; write what the provider wants to hear, such as `{\"code\": 0}`",
        );
    }
}

fn check_secret(page: &mut Page<'_>, folder: &Path, path: String, secret: Option<&Secret>) {
    if let Some(secret) = secret {
        secrets::check(page, folder, &path, secret, 1);
    }
}
