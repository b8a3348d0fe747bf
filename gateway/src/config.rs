//! station.toml, typed and strict: how the station runs.
//!
//! Shape is checked by serde, meaning by [`check`], which collects every problem; after [`load`] nobody checks again. What is an alarm
//! stands in rules.toml ([`rules`]); cells, devices and people are data ([`crate::grid`]). Here are the station's own tables and the list of all;
//! each way in and out has a file of its own, and what holds when a key is left out stands in `defaults`.

mod cameras;
pub mod channels;
pub mod check;
pub mod difference;
pub mod gbt26875;
mod influx;
mod load;
pub mod meokon;
mod modbus;
mod mqtt;
pub mod network;
mod push_in;
pub mod rules;
pub mod secret;
mod shape;

use std::path::PathBuf;

use serde::Deserialize;
use serde_spanned::Spanned;

pub use cameras::{Camera, CameraEvent, CameraLogin, CameraMaker, Onvif};
pub use influx::{Influx, InfluxSender};
pub use load::{FileMark, Loaded, RegistryFile, Whole, check_command, load, load_whole, load_with_rules};
pub use modbus::{Bus, NumberType, Parity, Register, Serial, Table, Unit, WordOrder};
pub use mqtt::{Broker, ClientTls, Listener, ListenerUser, MqttVersion, ServerTls, Sparkplug, Topic};
pub use push_in::PushIn;
pub use secret::Secret;
pub use shape::Page;

use self::channels::{Channels, Common, Limit};
use self::gbt26875::{Centre, Gbt26875};
use self::meokon::Meokon;
use crate::units::{Millis, Zone};

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Config {
    pub station: Station,
    pub store: Store,
    /// rules.toml, relative to the folder of station.toml like every path here.
    pub rules: Spanned<PathBuf>,
    /// A folder of device profiles of the station's own; one with the name of a shipped one replaces it.
    pub profiles: Option<Spanned<PathBuf>>,
    #[serde(default)]
    pub registry: RegistryFiles,
    pub listener: Option<Listener>,
    #[serde(default, rename = "broker")]
    pub brokers: Vec<Broker>,
    /// Which decoder reads which topics, for the listener and every broker; the first match wins.
    #[serde(default, rename = "topic")]
    pub topics: Vec<Topic>,
    /// Where operators' platforms push to.
    #[serde(default)]
    pub push_in: Vec<PushIn>,
    /// Cameras whose events are asked for.
    #[serde(default, rename = "camera")]
    pub cameras: Vec<Camera>,
    /// Devices whose ONVIF events are pulled.
    #[serde(default)]
    pub onvif: Vec<Onvif>,
    /// What events of cameras mean here.
    #[serde(default, rename = "camera_event")]
    pub camera_events: Vec<CameraEvent>,
    #[serde(default, rename = "modbus")]
    pub buses: Vec<Bus>,
    /// A host of Sparkplug edge nodes.
    pub sparkplug: Option<Sparkplug>,
    /// Where user information transmission devices report.
    pub gbt26875: Option<Gbt26875>,
    /// Where wireless terminals of Meokon report.
    pub meokon: Option<Meokon>,
    /// The city's centre, which is told of fires.
    pub centre: Option<Centre>,
    pub influx: Option<Influx>,
    pub http: Http,
    #[serde(default, rename = "webhook")]
    pub webhooks: Vec<Webhook>,
    /// Every other way to tell people.
    #[serde(default, rename = "channel")]
    pub channels: Channels,
    /// Publish every change of an alarm to a broker.
    pub alarm_mqtt: Option<AlarmMqtt>,
    #[serde(default)]
    pub log: Log,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Station {
    /// Tag `station` in InfluxDB and part of topics: letters, digits, `-` and `_`.
    pub id: Spanned<String>,
    pub name: String,
    /// In which days and hours of people and rules are meant; a name of the IANA database.
    #[serde(default)]
    pub time_zone: Zone,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Store {
    /// The one SQLite file; its folder is made when missing.
    pub path: PathBuf,
    /// Routine telemetry may wait this long to be committed together, to spare the flash; alarms never wait. 0 to 10,000.
    #[serde(default = "defaults::commit_interval_ms")]
    pub commit_interval_ms: Spanned<u32>,
    #[serde(default = "defaults::journal_max_mb")]
    pub journal_max_mb: Spanned<u32>,
    #[serde(default = "defaults::journal_max_days")]
    pub journal_max_days: Spanned<u32>,
    #[serde(default = "defaults::history_max_days")]
    pub history_max_days: Spanned<u32>,
    #[serde(default = "defaults::dead_letters_max")]
    pub dead_letters_max: Spanned<u32>,
    #[serde(default = "defaults::outbox_max")]
    pub outbox_max: Spanned<u32>,
    /// Photos and voice notes of alarms.
    #[serde(default = "defaults::attachments_max_mb")]
    pub attachments_max_mb: Spanned<u32>,
    #[serde(default = "defaults::attachments_max_days")]
    pub attachments_max_days: Spanned<u32>,
    /// Pictures of cameras' events.
    #[serde(default = "defaults::stills_max_mb")]
    pub stills_max_mb: Spanned<u32>,
    #[serde(default = "defaults::stills_max_days")]
    pub stills_max_days: Spanned<u32>,
    /// More than this written to the disk in 24 hours raises a trouble alarm; 0: no limit.
    #[serde(default = "defaults::written_mb_per_day_max")]
    pub written_mb_per_day_max: Spanned<u32>,
}

/// Files imported at start when they changed since. Leave out to keep the registry by `gridwarden import` or in the app.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RegistryFiles {
    #[serde(default)]
    pub cells: Vec<Spanned<PathBuf>>,
    #[serde(default)]
    pub devices: Vec<Spanned<PathBuf>>,
    #[serde(default)]
    pub people: Vec<Spanned<PathBuf>>,
    #[serde(default)]
    pub absences: Vec<Spanned<PathBuf>>,
    #[serde(default)]
    pub teams: Vec<Spanned<PathBuf>>,
    #[serde(default)]
    pub buildings: Vec<Spanned<PathBuf>>,
    #[serde(default)]
    pub households: Vec<Spanned<PathBuf>>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Http {
    pub bind: Spanned<String>,
    /// Where people reach the page, such as `https://grid.example`: alerts carry a link to it.
    pub public_url: Option<Spanned<String>>,
    #[serde(rename = "token")]
    pub tokens: Vec<Token>,
}

/// A bearer token. What is done with it is recorded under its name.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Token {
    pub name: Spanned<String>,
    pub secret: Secret,
    /// May only look.
    #[serde(default)]
    pub read_only: bool,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Webhook {
    /// The channel's name in the ladders of rules.toml.
    pub name: Spanned<String>,
    pub url: Spanned<String>,
    /// Signs `<timestamp>.<body>` with HMAC-SHA256.
    pub secret: Option<Secret>,
    #[serde(default = "defaults::webhook_timeout_s")]
    pub timeout_s: Spanned<u32>,
    /// For a receiver that answers 2xx and puts its refusal into the body; without it every 2xx is a receipt.
    pub accepted_when: Option<AcceptedWhen>,
    pub or_else: Option<Spanned<String>>,
    pub dead_after_s: Option<Spanned<u32>>,
    pub limits: Option<Vec<Limit>>,
}

impl Webhook {
    pub fn common(&self) -> Common<'_> {
        Common {
            name: &self.name,
            or_else: self.or_else.as_ref(),
            dead_after_s: self.dead_after_s.as_ref(),
            limits: self.limits.as_deref(),
            timeout_s: Some(&self.timeout_s),
        }
    }
}

/// The one value in an answer's JSON that means accepted.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AcceptedWhen {
    /// Keys from the top with dots between, such as `errcode` or `result.status`.
    pub path: Spanned<String>,
    /// Text, a whole number, `true` or `false`.
    pub equals: Spanned<toml::Value>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AlarmMqtt {
    /// Name of a `[[broker]]`; leave out to publish to the clients of the listener.
    pub broker: Option<Spanned<String>>,
    /// `{station}`, `{cell}` and `{alarm}` are filled in.
    #[serde(default = "defaults::alarm_topic")]
    pub topic: Spanned<String>,
    /// Of the channel `mqtt`, as of any other.
    pub or_else: Option<Spanned<String>>,
    pub dead_after_s: Option<Spanned<u32>>,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum LogFormat {
    #[default]
    Text,
    Json,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Log {
    #[serde(default)]
    pub format: LogFormat,
    /// As in `RUST_LOG`, which wins over it: `info,gateway::io::modbus=debug`.
    pub filter: Option<String>,
}

impl Config {
    /// Every channel that a ladder may name, with the path of its table.
    pub fn all_channels(&self) -> Vec<(String, Common<'_>)> {
        let webhooks = self.webhooks.iter().enumerate();
        let mut all: Vec<_> =
            webhooks.map(|(i, webhook)| (format!("webhook.{i}"), webhook.common())).collect();
        all.extend(self.channels.all());
        all
    }
}

impl Store {
    pub fn commit_interval(&self) -> Millis {
        Millis(u64::from(*self.commit_interval_ms.get_ref()))
    }
}

/// What holds when a key is left out. No default for anything that can hurt.
mod defaults {
    use serde_spanned::Spanned;

    fn at_no_place<T>(value: T) -> Spanned<T> {
        Spanned::new(0..0, value)
    }

    macro_rules! spanned {
        ($($name:ident: $type:ty = $value:expr;)*) => {
            $(pub fn $name() -> Spanned<$type> { at_no_place($value) })*
        };
    }

    spanned! {
        commit_interval_ms: u32 = 300;
        journal_max_mb: u32 = 2048;
        journal_max_days: u32 = 30;
        history_max_days: u32 = 400;
        dead_letters_max: u32 = 10_000;
        outbox_max: u32 = 100_000;
        attachments_max_mb: u32 = 1024;
        attachments_max_days: u32 = 366;
        stills_max_mb: u32 = 512;
        stills_max_days: u32 = 30;
        written_mb_per_day_max: u32 = 10_000;
        max_packet_kb: u32 = 256;
        max_connections: u32 = 20_000;
        messages_per_s_max: u32 = 2_000;
        idle_s_max: u32 = 3_600;
        keep_alive_s: u32 = 15;
        reorder_timeout_ms: u32 = 2_000;
        push_in_per_s: u32 = 200;
        camera_silent_s: u32 = 60;
        modbus_timeout_ms: u32 = 1_000;
        poll_every_ms: u32 = 1_000;
        baud: u32 = 9_600;
        stop_bits: u8 = 1;
        max_registers: u16 = 125;
        gbt26875_connections: u32 = 2_000;
        meokon_connections: u32 = 2_000;
        gbt26875_timeout_s: u32 = 5;
        patrol_s: u32 = 120;
        clock_sync_h: u32 = 24;
        heartbeat_s: u32 = 25;
        batch_lines: u32 = 5_000;
        batch_ms: u32 = 1_000;
        influx_timeout_s: u32 = 10;
        webhook_timeout_s: u32 = 5;
        alarm_topic: String = "gridwarden/{station}/alarms/{alarm}".into();
    }

    pub fn scale() -> f64 {
        1.0
    }

    pub fn yes() -> bool {
        true
    }
}
