//! station.toml, typed and strict: how the station runs.
//!
//! Shape is checked by serde, meaning by [`check`], which collects every problem; after [`load`] nobody checks again. What is an alarm
//! stands in rules.toml ([`rules`]); cells, devices and people are data ([`crate::grid`]).

pub mod channels;
pub mod check;
pub mod difference;
pub mod gbt26875;
mod load;
pub mod network;
pub mod rules;
pub mod secret;
mod shape;

use std::path::PathBuf;

use serde::Deserialize;
use serde_spanned::Spanned;

pub use load::{FileMark, Loaded, RegistryFile, Whole, check_command, load, load_whole, load_with_rules};
pub use secret::Secret;
pub use shape::Page;

use self::channels::{Channels, Common, Limit};
use self::gbt26875::{Centre, Gbt26875};
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

/// Our own MQTT ingest listener: acknowledges after the commit.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Listener {
    pub bind: Spanned<String>,
    pub tls: Option<ServerTls>,
    /// Without any user, only loopback may connect.
    #[serde(default, rename = "user")]
    pub users: Vec<ListenerUser>,
    #[serde(default = "defaults::max_packet_kb")]
    pub max_packet_kb: Spanned<u32>,
    #[serde(default = "defaults::max_connections")]
    pub max_connections: Spanned<u32>,
    /// Publishes per second and connection, averaged; more is slowed down, never dropped.
    #[serde(default = "defaults::messages_per_s_max")]
    pub messages_per_s_max: Spanned<u32>,
    /// Longest time between packets for a client that asks for no keep-alive.
    #[serde(default = "defaults::idle_s_max")]
    pub idle_s_max: Spanned<u32>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ListenerUser {
    /// With TLS and a client certificate, the certificate's common name; else the MQTT user name.
    pub name: Spanned<String>,
    /// Not needed for a client certificate.
    pub password: Option<Secret>,
    /// Topic filters this user may publish to; `%u` is the user name, `%c` the client id.
    pub publish: Vec<Spanned<String>>,
    #[serde(default)]
    pub subscribe: Vec<Spanned<String>>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ServerTls {
    pub certificate: PathBuf,
    pub key: PathBuf,
    /// CA whose client certificates are asked for and accepted.
    pub client_ca: Option<PathBuf>,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
pub enum MqttVersion {
    #[default]
    #[serde(rename = "3.1.1")]
    V4,
    #[serde(rename = "5")]
    V5,
}

/// A broker outside, as client.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Broker {
    pub name: Spanned<String>,
    pub host: String,
    pub port: Spanned<u16>,
    #[serde(default)]
    pub version: MqttVersion,
    /// Stable and used by nobody else, or two clients throw each other out for ever.
    pub client_id: Spanned<String>,
    pub user: Option<String>,
    pub password: Option<Secret>,
    pub tls: Option<ClientTls>,
    /// Topic filters to subscribe to, with QoS 1.
    pub subscribe: Vec<Spanned<String>>,
    /// `$share/<group>/` in front of every filter, for several gateways on one broker.
    pub share_group: Option<Spanned<String>>,
    /// Open a second connection to command the devices that are heard from this broker.
    #[serde(default)]
    pub commands: bool,
    #[serde(default = "defaults::keep_alive_s")]
    pub keep_alive_s: Spanned<u32>,
    #[serde(default = "defaults::max_packet_kb")]
    pub max_packet_kb: Spanned<u32>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ClientTls {
    /// CA of the broker's certificate; PEM.
    pub ca: PathBuf,
    pub certificate: Option<PathBuf>,
    pub key: Option<PathBuf>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Topic {
    pub filter: Spanned<String>,
    /// This, or a profile.
    pub decoder: Option<Spanned<crate::decode::Family>>,
    /// Name of a device profile that reads messages on a topic.
    pub profile: Option<Spanned<String>>,
}

/// A host application of Sparkplug B, with a connection of its own to one broker.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Sparkplug {
    /// Name of a `[[broker]]`.
    pub broker: Spanned<String>,
    /// Used by no other host.
    pub host_id: Spanned<String>,
    /// Only these groups; none: all.
    #[serde(default)]
    pub groups: Vec<Spanned<String>>,
    /// So long a message is waited for that is missing between two others.
    #[serde(default = "defaults::reorder_timeout_ms")]
    pub reorder_timeout_ms: Spanned<u32>,
}

/// A door for what a platform pushes over HTTP: `POST /in/<secret>`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PushIn {
    pub name: Spanned<String>,
    pub sender: crate::decode::push::Sender,
    /// The last part of the address; platforms send no token of ours.
    pub secret: Secret,
    /// 64, or 4,096 for cameras, which send pictures.
    pub max_kb: Option<Spanned<u32>>,
    /// Averaged; more is refused with 429, except what is urgent.
    #[serde(default = "defaults::push_in_per_s")]
    pub messages_per_s_max: Spanned<u32>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum CameraMaker {
    /// `/ISAPI/Event/notification/alertStream`
    Hikvision,
    /// `/cgi-bin/eventManager.cgi?action=attach`
    Dahua,
}

/// A camera, recorder or door station whose events are asked for. Its address is `hikvision:<name>` or `dahua:<name>`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Camera {
    pub name: Spanned<String>,
    pub maker: CameraMaker,
    /// Such as `http://10.0.0.64`.
    pub url: Spanned<String>,
    pub user: Spanned<String>,
    pub password: Secret,
    /// Without any sign of life for so long the connection is made anew.
    #[serde(default = "defaults::camera_silent_s")]
    pub silent_s: Spanned<u32>,
    /// Ask for a picture when an event of safety comes without one.
    #[serde(default = "defaults::yes")]
    pub stills: bool,
}

/// A camera, recorder or door station whose ONVIF events are pulled. Its address is `onvif:<name>`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Onvif {
    pub name: Spanned<String>,
    /// Such as `http://10.0.0.64`; with a path where the device service has another than `/onvif/device_service`.
    pub url: Spanned<String>,
    /// Of an ONVIF user.
    pub user: Spanned<String>,
    pub password: Secret,
    /// Where the device shows what it sees now.
    pub snapshot_url: Option<Spanned<String>>,
}

/// A camera's event that means one of our flags.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CameraEvent {
    /// The maker's name for it, such as `fielddetection`.
    pub event: Spanned<String>,
    pub flag: Spanned<String>,
    /// Ids of the devices it holds for; all when left out.
    #[serde(default)]
    pub devices: Vec<Spanned<String>>,
}

impl PushIn {
    pub fn bytes_max(&self) -> usize {
        let usual = if self.sender.is_camera() { 4_096 } else { 64 };
        self.max_kb.as_ref().map_or(usual, |max| *max.get_ref()) as usize * 1024
    }
}

/// One Modbus line or connection: one request at a time.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Bus {
    pub name: Spanned<String>,
    /// Exactly one of these three.
    pub tcp: Option<Spanned<String>>,
    pub rtu_over_tcp: Option<Spanned<String>>,
    pub serial: Option<Serial>,
    #[serde(default = "defaults::modbus_timeout_ms")]
    pub timeout_ms: Spanned<u32>,
    /// Quiet time between two requests.
    #[serde(default)]
    pub pause_ms: u32,
    #[serde(default = "defaults::poll_every_ms")]
    pub poll_every_ms: Spanned<u32>,
    #[serde(rename = "unit")]
    pub units: Vec<Unit>,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Serial {
    pub path: PathBuf,
    #[serde(default = "defaults::baud")]
    pub baud: Spanned<u32>,
    #[serde(default)]
    pub parity: Parity,
    #[serde(default = "defaults::stop_bits")]
    pub stop_bits: Spanned<u8>,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Parity {
    #[default]
    None,
    Even,
    Odd,
}

/// One unit on a bus. Its address in the registry is `modbus:<bus>/<unit>`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Unit {
    pub unit: Spanned<u8>,
    /// A device profile `over = "modbus"`, such as `mpd-380`, `keller-x` or `sw-p300`, or leave out and list `register`s.
    pub map: Option<Spanned<String>>,
    #[serde(default, rename = "register")]
    pub registers: Vec<Register>,
    /// The most registers the unit answers in one read. KELLER wants 4.
    #[serde(default = "defaults::max_registers")]
    pub max_registers: Spanned<u16>,
    /// Quiet time this unit needs before each request. SW-P300 wants 2,000.
    #[serde(default)]
    pub pause_ms: u32,
    /// The unit in which the map's pressure counts, for a map that does not know it (`sw-p300`).
    pub pressure_unit: Option<Spanned<String>>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Table {
    /// Function code 1.
    Coils,
    /// Function code 2.
    DiscreteInputs,
    /// Function code 3.
    Holding,
    /// Function code 4.
    Input,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum NumberType {
    U16,
    I16,
    U32,
    I32,
    F32,
    F64,
    /// One bit of a register, or a coil or discrete input.
    Bit,
}

/// Order of the bytes of a number over its registers; ABCD is big-endian, as the Modbus specification says.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
pub enum WordOrder {
    #[default]
    ABCD,
    CDAB,
    BADC,
    DCBA,
}

/// A value in a unit's registers: value = (raw + offset_raw) ÷ 10^decimals × scale + offset, in `unit`, converted to the metric's unit.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Register {
    pub metric: Spanned<String>,
    pub table: Table,
    /// Address as in the protocol, from 0.
    pub address: Spanned<u16>,
    #[serde(rename = "type")]
    pub number_type: NumberType,
    #[serde(default)]
    pub order: WordOrder,
    /// For `type = "bit"` in a register: 0 (lowest) to 15.
    pub bit: Option<Spanned<u8>>,
    #[serde(default = "defaults::scale")]
    pub scale: f64,
    #[serde(default)]
    pub offset: f64,
    /// The unit the device counts in, when it is not the metric's: `bar`, `MPa`, `psi`, `degF` …
    pub unit: Option<Spanned<String>>,
    /// Outside this range, in the metric's unit, the value's quality is bad.
    pub min: Option<f64>,
    pub max: Option<f64>,
    /// Registers of the same table that say how `address` is to be read, fetched in the same request as far as the unit allows: how many of
    /// its digits are decimals; a code for its unit (0 MPa, 1 kPa, 2 Pa, 3 bar, 4 mbar, 5 kgf/cm2, 6 psi, 7 mH2O, 8 mmH2O); an i16 that is
    /// added to the raw number (`offset_raw` above).
    pub decimals_register: Option<Spanned<u16>>,
    pub unit_register: Option<Spanned<u16>>,
    pub offset_register: Option<Spanned<u16>>,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum InfluxSender {
    /// Our own: keeps a base path, reads Retry-After, compresses.
    #[default]
    Gridwarden,
    /// The influxdb2 crate.
    Influxdb2,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Influx {
    /// With any base path, such as `https://proxy.example/influx`.
    pub url: Spanned<String>,
    pub org: String,
    pub bucket: String,
    pub token: Option<Secret>,
    #[serde(default)]
    pub sender: InfluxSender,
    /// Make the bucket when it is missing and the token may.
    #[serde(default)]
    pub create_bucket: bool,
    /// For a bucket we make; 0 keeps for ever.
    #[serde(default)]
    pub retention_days: u32,
    #[serde(default = "defaults::batch_lines")]
    pub batch_lines: Spanned<u32>,
    #[serde(default = "defaults::batch_ms")]
    pub batch_ms: Spanned<u32>,
    #[serde(default = "defaults::yes")]
    pub gzip: bool,
    #[serde(default = "defaults::influx_timeout_s")]
    pub timeout_s: Spanned<u32>,
    /// Also write each reading's id as a string field `reading`, to follow one reading through; costs space.
    #[serde(default)]
    pub reading_ids: bool,
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
        commit_interval_ms: u32 = 200;
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
