//! How MQTT comes in: `[listener]`, `[[broker]]`, `[[topic]]`, and `[sparkplug]` over one of the brokers.

use std::path::PathBuf;

use serde::Deserialize;
use serde_spanned::Spanned;

use super::{Secret, defaults};

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
