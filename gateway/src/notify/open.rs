//! From station.toml to channels: each with its terms, the provider's limits where the file names none.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use serde_spanned::Spanned;

use super::accepted::Accepted;
use super::alertmanager::Alertmanager;
use super::dingtalk::DingtalkRobot;
use super::feishu::FeishuRobot;
use super::gotify::Gotify;
use super::mail::{Mail, Server};
use super::ntfy::Ntfy;
use super::pace::Limits;
use super::post::Post;
use super::reports::Reporter;
use super::template::{self, Account, Body, ByTemplate, Reading, Template};
use super::web_push::vapid::Identity;
use super::web_push::{Settings, WebPush};
use super::webhook::Webhook;
use super::wecom_app::WecomApp;
use super::wecom_robot::WecomRobot;
use super::{Channel, Terms, dingtalk, feishu, ntfy, wecom_app, wecom_robot};
use crate::config::channels::{Answer, Common, Reports, Request};
use crate::config::{AlarmMqtt, Config, Secret};
use crate::store::Store;
use crate::units::Millis;

const TIMEOUT_S: u32 = 10;

/// All but `mqtt`, whose connection is the station's.
#[derive(Default)]
pub struct Opened {
    pub channels: Vec<(Arc<dyn Channel>, Terms)>,
    /// They are told the ends of alarms too.
    pub alertmanagers: Vec<Arc<Alertmanager>>,
    /// What browsers need to subscribe, when there is a channel for them.
    pub push: Option<Arc<Settings>>,
    /// Who may report what became of a message.
    pub reports: Vec<Reporter>,
}

impl Opened {
    fn add(&mut self, channel: impl Channel, common: &Common<'_>, limits: Limits) {
        self.channels.push((Arc::new(channel), terms(common, limits)));
    }
}

/// `folder` is where station.toml stands. The store keeps the key for Web Push and the browsers.
pub async fn open(config: &Config, folder: &Path, store: &Store) -> anyhow::Result<Opened> {
    let mut opened = Opened::default();
    for webhook in &config.webhooks {
        opened.add(Webhook::from_config(webhook, folder)?, &webhook.common(), Limits::NONE);
    }
    let channels = &config.channels;
    let read = |secret: &Secret| secret.read(folder).context("a secret of a channel");
    let maybe = |secret: &Option<Secret>| secret.as_ref().map(read).transpose();
    for ntfy in &channels.ntfy {
        let common = ntfy.common();
        let topic = ntfy.topic.as_ref().map(|topic| topic.get_ref().clone());
        let server = ntfy.server.get_ref();
        let channel = Ntfy::new(common.name.get_ref(), server, maybe(&ntfy.token)?, topic, post(&common)?)?;
        opened.add(channel, &common, ntfy::LIMITS);
    }
    for gotify in &channels.gotify {
        let common = gotify.common();
        let (name, server) = (common.name.get_ref(), gotify.server.get_ref());
        opened.add(Gotify::new(name, server, read(&gotify.token)?, post(&common)?)?, &common, Limits::NONE);
    }
    for robot in &channels.wecom_robot {
        let common = robot.common();
        let (name, address) = (common.name.get_ref(), robot.address.get_ref());
        let channel = WecomRobot::new(name, address, &read(&robot.key)?, post(&common)?)?;
        opened.add(channel, &common, wecom_robot::LIMITS);
    }
    for app in &channels.wecom_app {
        let common = app.common();
        let (name, address) = (common.name.get_ref(), app.address.get_ref());
        let secret = read(&app.secret)?;
        let channel = WecomApp::new(name, address, &app.corp_id, app.agent_id, secret, post(&common)?)?;
        opened.add(channel, &common, wecom_app::LIMITS);
    }
    for robot in &channels.dingtalk_robot {
        let common = robot.common();
        let (name, address) = (common.name.get_ref(), robot.address.get_ref());
        let (token, secret) = (read(&robot.token)?, maybe(&robot.secret)?);
        let channel = DingtalkRobot::new(name, address, &token, secret, post(&common)?)?;
        opened.add(channel, &common, dingtalk::LIMITS);
    }
    for robot in &channels.feishu_robot {
        let common = robot.common();
        let (name, address) = (common.name.get_ref(), robot.address.get_ref());
        let (token, secret) = (read(&robot.token)?, maybe(&robot.secret)?);
        let channel = FeishuRobot::new(name, address, &token, secret, post(&common)?)?;
        opened.add(channel, &common, feishu::LIMITS);
    }
    for sms in &channels.sms {
        let common = sms.common();
        let most = template::SMS_CHARACTERS_MAX;
        let channel = by_template(&common, &sms.request, &sms.answer, most, folder)?;
        opened.add(channel, &common, template::SMS_LIMITS);
        opened.reports.extend(reporter(&common, sms.reports.as_ref(), folder)?);
    }
    for voice in &channels.voice {
        let common = voice.common();
        let most = template::VOICE_CHARACTERS_MAX;
        let channel = by_template(&common, &voice.request, &voice.answer, most, folder)?;
        opened.add(channel, &common, template::VOICE_LIMITS);
        opened.reports.extend(reporter(&common, voice.reports.as_ref(), folder)?);
    }
    for mail in &channels.mail {
        let common = mail.common();
        let server = Server {
            host: mail.server.get_ref(),
            port: mail.port,
            security: mail.security,
            credentials: mail.user.clone().zip(maybe(&mail.password)?),
            timeout: timeout(&common),
        };
        let to = mail.to.as_ref().map(|to| to.get_ref().as_str());
        let channel = Mail::new(common.name.get_ref(), mail.from.get_ref(), to, server)?;
        opened.add(channel, &common, Limits::NONE);
    }
    for city in &channels.alertmanager {
        let common = city.common();
        let (name, server) = (common.name.get_ref(), city.server.get_ref());
        let channel = Arc::new(Alertmanager::new(name, server, maybe(&city.token)?, post(&common)?)?);
        opened.channels.push((channel.clone(), terms(&common, Limits::NONE)));
        opened.alertmanagers.push(channel);
    }
    for push in &channels.web_push {
        let common = push.common();
        let services = push.services.iter().map(|service| service.get_ref().parse());
        let settings = Arc::new(Settings {
            identity: Identity::of(store).await?,
            contact: push.contact.get_ref().clone(),
            services: services.collect::<Result<_, _>>().context("the push services")?,
        });
        opened.push = Some(settings.clone());
        let keep_s = *push.keep_s.get_ref();
        let channel = WebPush::new(common.name.get_ref(), settings, keep_s, store.clone(), post(&common)?);
        opened.add(channel, &common, Limits::NONE);
    }
    Ok(opened)
}

fn reporter(
    common: &Common<'_>,
    reports: Option<&Reports>,
    folder: &Path,
) -> anyhow::Result<Option<Reporter>> {
    let Some(reports) = reports else { return Ok(None) };
    let arrived = &reports.arrived_when;
    Ok(Some(Reporter {
        channel: common.name.get_ref().clone(),
        secret: reports.secret.read(folder)?,
        id: reports.id.clone(),
        arrived: Accepted::new(arrived.path.get_ref(), arrived.equals.get_ref())?,
        answer: reports.answer.as_ref().map_or("{}".into(), |answer| answer.get_ref().clone()),
    }))
}

fn by_template(
    common: &Common<'_>,
    request: &Request,
    answer: &Answer,
    text_characters_max: usize,
    folder: &Path,
) -> anyhow::Result<ByTemplate> {
    let template = |text: &str| {
        Template::new(text).map_err(|unknown| anyhow::anyhow!("there is no `{{{unknown}}}` to fill in"))
    };
    let pairs = |pairs: &BTreeMap<String, Spanned<String>>| -> anyhow::Result<Vec<_>> {
        pairs.iter().map(|(key, value)| Ok((key.clone(), template(value.get_ref())?))).collect()
    };
    let body = match &request.json {
        Some(json) => Body::Json(template(json.get_ref())?),
        None if request.form.is_empty() => Body::None,
        None => Body::Form(pairs(&request.form)?),
    };
    let account = request.aliyun.as_ref().map(|aliyun| {
        Ok::<_, anyhow::Error>(Account {
            key_id: aliyun.key_id.clone(),
            key_secret: aliyun.key_secret.read(folder)?,
            action: aliyun.action.clone(),
            version: aliyun.version.clone(),
        })
    });
    let accepted = &answer.accepted_when;
    Ok(ByTemplate {
        name: common.name.get_ref().clone(),
        method: request.method,
        url: request.url.get_ref().parse().context("the address of a channel")?,
        query: pairs(&request.query)?,
        headers: pairs(&request.headers)?,
        body,
        secret: request.secret.as_ref().map(|secret| secret.read(folder)).transpose()?,
        account: account.transpose()?,
        text_characters_max: request
            .text_characters_max
            .as_ref()
            .map_or(text_characters_max, |most| *most.get_ref() as usize),
        reading: Reading {
            accepted: Accepted::new(accepted.path.get_ref(), accepted.equals.get_ref())?,
            id: answer.id.clone(),
            never: answer.never.clone(),
            wait_s: answer.wait_s.clone(),
        },
        post: post(common)?,
    })
}

fn post(common: &Common<'_>) -> anyhow::Result<Post> {
    Post::new(timeout(common))
}

fn timeout(common: &Common<'_>) -> Duration {
    Duration::from_secs(u64::from(common.timeout_s.map_or(TIMEOUT_S, |seconds| *seconds.get_ref())))
}

/// `provider` is what holds when the file names no limits.
fn terms(common: &Common<'_>, provider: Limits) -> Terms {
    let own = common.limits.map(|limits| {
        let pairs: Vec<_> =
            limits.iter().map(|limit| (*limit.count.get_ref(), u64::from(*limit.per_s.get_ref()))).collect();
        Limits::of(provider.each, &pairs)
    });
    Terms { limits: own.unwrap_or(provider), ..ways(common.or_else, common.dead_after_s) }
}

/// The terms of the channel `mqtt`.
pub fn mqtt_terms(mqtt: &AlarmMqtt) -> Terms {
    ways(mqtt.or_else.as_ref(), mqtt.dead_after_s.as_ref())
}

fn ways(or_else: Option<&Spanned<String>>, dead_after_s: Option<&Spanned<u32>>) -> Terms {
    let usual = Terms::default();
    let dead_after = dead_after_s.map(|seconds| Millis::from_secs(u64::from(*seconds.get_ref())));
    Terms {
        or_else: or_else.map(|to| to.get_ref().clone()),
        dead_after: dead_after.unwrap_or(usual.dead_after),
        ..usual
    }
}
