//! The Sparkplug host: a connection of its own to one broker, because it needs a clean session, a last will and its STATE there.
//!
//! What nodes say is read by [`Host`] and goes the way of all messages; what is to be asked of a node is published. The STATE of the host is retained, online while this runs and offline by the will
//! or, at a stop, by ourselves. Messages come with QoS 0 and are in nobody's hands while we are away: after every connect each node is asked for its births when it speaks.
//! The table of the specification's assertions is in docs/sparkplug.md.

use std::path::Path;
use std::pin::pin;
use std::time::Duration;

use anyhow::Context as _;
use rumqttc::{AsyncClient, Event, EventLoop, Incoming, LastWill, MqttOptions, QoS};
use rumqttc::{SubscribeFilter, TlsConfiguration, Transport};
use tokio::select;
use tokio::time::{Instant, sleep, timeout};
use tokio_util::sync::CancellationToken;

use super::pauses::Pauses;
use super::{Options, lasted};
use crate::clock::{self, Clock};
use crate::config;
use crate::decode::Message;
use crate::decode::sparkplug::Host;
use crate::io::inlet::Inlet;
use crate::io::intake::inbound;
use crate::units::{Millis, Timestamp};
use crate::world;

/// The name in dead letters.
const SOURCE: &str = "sparkplug";
/// Publishes that may wait in rumqttc: births that are asked for, and our STATE.
const REQUESTS_MAX: usize = 4_096;
/// For the broker to take our STATE at a stop.
const FAREWELL_WITHIN: Duration = Duration::from_secs(3);

/// Bound to no port; connects when it runs.
pub struct Sparkplug {
    client: AsyncClient,
    events: EventLoop,
    address: String,
    state_topic: String,
    filters: Vec<String>,
    keep_alive: Duration,
    reorder_timeout: Millis,
}

impl Sparkplug {
    /// `folder` is where station.toml stands.
    pub fn new(config: &config::Sparkplug, broker: &config::Broker, folder: &Path) -> anyhow::Result<Self> {
        let client_id = format!("{}-sparkplug", broker.client_id.get_ref());
        let options = Options::read(broker, folder, client_id).context("[sparkplug]")?;
        let mut mqtt = MqttOptions::new(&options.client_id, &broker.host, *broker.port.get_ref());
        mqtt.set_clean_session(true)
            .set_max_packet_size(options.max_packet_bytes as usize, options.max_packet_bytes as usize)
            .set_keep_alive(options.keep_alive);
        if let Some((user, password)) = &options.login {
            mqtt.set_credentials(user, password);
        }
        if let Some(tls) = &options.tls {
            mqtt.set_transport(Transport::tls_with_config(TlsConfiguration::Rustls(tls.clone())));
        }
        let (client, events) = AsyncClient::new(mqtt, REQUESTS_MAX);
        let state_topic = format!("spBv1.0/STATE/{}", config.host_id.get_ref());
        let groups = config.groups.iter().map(|group| format!("spBv1.0/{}/#", group.get_ref()));
        let groups: Vec<String> =
            if config.groups.is_empty() { vec!["spBv1.0/#".into()] } else { groups.collect() };
        Ok(Self {
            client,
            events,
            address: format!("{}:{}", broker.host, broker.port.get_ref()),
            filters: [vec![state_topic.clone()], groups].concat(),
            state_topic,
            keep_alive: options.keep_alive,
            reorder_timeout: Millis(u64::from(*config.reorder_timeout_ms.get_ref())),
        })
    }

    pub async fn run(
        mut self,
        world: world::Shared,
        inlet: Inlet,
        clock: Clock,
        stop: CancellationToken,
    ) -> anyhow::Result<()> {
        let mut host = Host::new(self.reorder_timeout);
        let mut pauses = Pauses::default();
        loop {
            let mut connected = None;
            let talk = self.connection(&mut host, &world, &inlet, clock, &mut connected);
            let fault = select! {
                biased;
                () = stop.cancelled() => None,
                fault = talk => fault,
            };
            let Some(fault) = fault else {
                if connected.is_some() {
                    self.say_goodbye().await;
                }
                return Ok(());
            };
            host.forget();
            super::v4::forget(&mut self.events);
            let pause = pauses.lost(connected.map(lasted), fastrand::f64());
            if connected.is_some() || pause.first {
                tracing::warn!(address = %self.address, %fault, "Sparkplug: the broker is away; connecting again");
            }
            select! {
                () = stop.cancelled() => return Ok(()),
                () = sleep(pause.wait.as_duration()) => (),
            }
        }
    }

    /// From connecting to the loss of the connection, with why; `None` when the gateway stops.
    async fn connection(
        &mut self,
        host: &mut Host,
        world: &world::Shared,
        inlet: &Inlet,
        clock: Clock,
        connected: &mut Option<Instant>,
    ) -> Option<String> {
        // Will and birth of one connection carry the same moment, so that nobody takes an old will for a new death.
        let since = clock::wall();
        let will = LastWill::new(&self.state_topic, state(false, since), QoS::AtLeastOnce, true);
        self.events.mqtt_options.set_last_will(will);
        loop {
            let due = clock::until(host.wake_at().map(|at| clock.instant_of(at)));
            let event = {
                let next = pin!(timeout(self.keep_alive * 3, self.events.poll()));
                select! {
                    biased;
                    happened = next => Some(happened),
                    () = due => None,
                }
            };
            let mut inbounds = Vec::new();
            let mut told = |message: &Message<'_>, decoded| inbounds.push(inbound(SOURCE, message, decoded));
            match event {
                None => host.due(clock.now().steady, clock::wall(), &world.load().decoding(), &mut told),
                Some(Err(_)) => return Some(format!("nothing heard for {:?}", self.keep_alive * 3)),
                Some(Ok(Err(fault))) => return Some(fault.to_string()),
                Some(Ok(Ok(Event::Outgoing(_)))) => continue,
                Some(Ok(Ok(Event::Incoming(incoming)))) => match incoming {
                    Incoming::ConnAck(_) => {
                        tracing::info!(address = %self.address, topic = self.state_topic, "Sparkplug: connected");
                        *connected = Some(clock::ticks());
                        let filters = self.filters.iter();
                        let filters =
                            filters.map(|filter| SubscribeFilter::new(filter.clone(), QoS::AtLeastOnce));
                        if let Err(fault) = self.client.try_subscribe_many(filters) {
                            return Some(fault.to_string());
                        }
                        continue;
                    }
                    // Subscribed, so that no answer to our birth is missed.
                    Incoming::SubAck(_) => {
                        if let Err(fault) = self.say(true, since) {
                            return Some(fault);
                        }
                        continue;
                    }
                    Incoming::Publish(publish) if publish.topic == self.state_topic => {
                        // The will of a connection before this one, which the broker noticed late.
                        if !publish.retain
                            && !is_online(&publish.payload)
                            && let Err(fault) = self.say(true, since)
                        {
                            return Some(fault);
                        }
                        continue;
                    }
                    Incoming::Publish(publish) => {
                        let message = Message {
                            topic: &publish.topic,
                            payload: &publish.payload,
                            retained: publish.retain,
                            dup: false,
                            received: clock::wall(),
                        };
                        host.hear(&message, clock.now().steady, &world.load().decoding(), &mut told);
                    }
                    Incoming::Disconnect => return Some("the broker closed the connection".into()),
                    Incoming::Connect(_)
                    | Incoming::PubAck(_)
                    | Incoming::PubRec(_)
                    | Incoming::PubRel(_)
                    | Incoming::PubComp(_)
                    | Incoming::Subscribe(_)
                    | Incoming::Unsubscribe(_)
                    | Incoming::UnsubAck(_)
                    | Incoming::PingReq
                    | Incoming::PingResp => continue,
                },
            }
            for ask in host.asks() {
                metrics::counter!("gridwarden_sparkplug_rebirths_total").increment(1);
                if let Err(fault) = self.client.try_publish(ask.topic, QoS::AtMostOnce, false, ask.payload) {
                    return Some(fault.to_string());
                }
            }
            for inbound in inbounds {
                if !inbound.is_empty() && inlet.send(inbound).await.is_err() {
                    return None; // The driver is gone: so are we.
                }
            }
        }
    }

    fn say(&self, online: bool, at: Timestamp) -> Result<(), String> {
        let state = state(online, at);
        self.client
            .try_publish(&self.state_topic, QoS::AtLeastOnce, true, state)
            .map_err(|fault| fault.to_string())
    }

    /// Offline, and then the end of the connection: a clean end sends no will.
    async fn say_goodbye(&mut self) {
        if self.say(false, clock::wall()).is_err() {
            return;
        }
        let farewell = async {
            while !matches!(self.events.poll().await?, Event::Incoming(Incoming::PubAck(_))) {}
            let _ = self.client.try_disconnect(); // The broker has our word already.
            while self.events.poll().await.is_ok() {}
            Ok::<_, rumqttc::ConnectionError>(())
        };
        let _ = timeout(FAREWELL_WITHIN, farewell).await; // Else the will says it.
    }
}

fn state(online: bool, at: Timestamp) -> Vec<u8> {
    serde_json::json!({ "online": online, "timestamp": at.0 }).to_string().into_bytes()
}

fn is_online(payload: &[u8]) -> bool {
    let state: Option<serde_json::Value> = serde_json::from_slice(payload).ok();
    state.is_some_and(|state| state["online"] == true)
}
