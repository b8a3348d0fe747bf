//! MQTT 5 by rumqttc.

use std::pin::pin;

use rumqttc::v5::mqttbytes::v5::{Filter, Packet, Publish, SubscribeReasonCode};
use rumqttc::v5::mqttbytes::{Error, QoS};
use rumqttc::v5::{AsyncClient, ConnectionError, Event, EventLoop, MqttOptions, StateError};
use rumqttc::{TlsConfiguration, Transport};
use tokio::select;

use super::{AckLine, Happening, Link, Options, REQUESTS_MAX, too_large};

/// How long the broker keeps our session while we are away.
const SESSION_EXPIRY_S: u32 = 7 * 24 * 3600;
/// Messages the broker may send ahead of our acknowledgements.
const RECEIVE_MAX: u16 = 1000;
/// rumqttc makes room for this many publishes; its default of 65,535 costs 13 MB.
const OUTGOING_MAX: u16 = 100;

pub(super) struct V5 {
    client: AsyncClient,
    events: EventLoop,
}

/// A client with a persistent session and acknowledgements by hand, and its event loop. Topic aliases stay off: rumqttc hands
/// events out before it has looked an alias up, so the topic would be empty.
pub(super) fn connect(options: &Options<'_>) -> (AsyncClient, EventLoop) {
    let broker = options.broker;
    let mut mqtt = MqttOptions::new(&options.client_id, &broker.host, *broker.port.get_ref());
    mqtt.set_clean_start(false)
        .set_session_expiry_interval(Some(SESSION_EXPIRY_S))
        .set_receive_maximum(Some(RECEIVE_MAX))
        .set_outgoing_inflight_upper_limit(OUTGOING_MAX)
        .set_max_packet_size(Some(options.max_packet_bytes))
        .set_keep_alive(options.keep_alive)
        .set_manual_acks(true);
    if let Some((user, password)) = &options.login {
        mqtt.set_credentials(user, password);
    }
    if let Some(tls) = &options.tls {
        mqtt.set_transport(Transport::tls_with_config(TlsConfiguration::Rustls(tls.clone())));
    }
    AsyncClient::new(mqtt, REQUESTS_MAX)
}

/// Drops the connection, what was read from it and what was to be sent on it.
pub(super) fn forget(events: &mut EventLoop) {
    events.clean();
    events.pending.clear();
    events.state.events.clear();
}

fn reason(fault: ConnectionError) -> String {
    if let ConnectionError::MqttState(
        StateError::Deserialization(Error::PayloadSizeLimitExceeded { pkt_size: bytes, .. })
        | StateError::IncomingPacketTooLarge { pkt_size: bytes, .. },
    ) = fault
    {
        return too_large(bytes);
    }
    fault.to_string()
}

impl V5 {
    pub(super) fn new(options: &Options<'_>) -> Self {
        let (client, events) = connect(options);
        Self { client, events }
    }
}

impl Link for V5 {
    /// Without topic and payload.
    type Ack = Publish;

    async fn next(&mut self, acks: &mut AckLine<Publish>) -> Result<Vec<Happening<Publish>>, String> {
        let event = {
            // Never dropped half-way: rumqttc's poll may have taken an acknowledgement out of its queue and be about to write it.
            let mut poll = pin!(self.events.poll());
            loop {
                select! {
                    biased;
                    () = acks.ready() => for ack in acks.take_ready() {
                        self.client.try_ack(&ack).map_err(|fault| fault.to_string())?;
                    },
                    event = &mut poll => break event.map_err(reason)?,
                }
            }
        };
        let read_with_it = self.events.state.events.drain(..);
        Ok(std::iter::once(event).chain(read_with_it).filter_map(happening).collect())
    }

    fn subscribe(&self, filters: &[String]) -> Result<(), String> {
        let filters = filters.iter().map(|filter| Filter::new(filter, QoS::AtLeastOnce));
        self.client.try_subscribe_many(filters).map_err(|fault| fault.to_string())
    }

    fn forget(&mut self) {
        forget(&mut self.events);
    }
}

/// What it means to us; `None` for what rumqttc deals with itself.
fn happening(event: Event) -> Option<Happening<Publish>> {
    let Event::Incoming(packet) = event else { return None };
    Some(match packet {
        Packet::ConnAck(ack) => Happening::Connected { session_present: ack.session_present },
        Packet::SubAck(ack) => {
            let refused = |code: SubscribeReasonCode| match code {
                SubscribeReasonCode::Success(_) => None,
                SubscribeReasonCode::Failure
                | SubscribeReasonCode::Unspecified
                | SubscribeReasonCode::ImplementationSpecific
                | SubscribeReasonCode::NotAuthorized
                | SubscribeReasonCode::TopicFilterInvalid
                | SubscribeReasonCode::PkidInUse
                | SubscribeReasonCode::QuotaExceeded
                | SubscribeReasonCode::SharedSubscriptionsNotSupported
                | SubscribeReasonCode::SubscriptionIdNotSupported
                | SubscribeReasonCode::WildcardSubscriptionsNotSupported => Some(format!("{code:?}")),
            };
            Happening::Subscribed(ack.return_codes.into_iter().map(refused).collect())
        }
        Packet::Publish(publish) => Happening::Message {
            topic: String::from_utf8_lossy(&publish.topic).into_owned(),
            retained: publish.retain,
            dup: publish.dup,
            ack: (publish.qos != QoS::AtMostOnce).then(|| Publish {
                qos: publish.qos,
                pkid: publish.pkid,
                ..Publish::default()
            }),
            payload: publish.payload,
        },
        Packet::Disconnect(why) => {
            Happening::Ended(format!("the broker closed the connection: {:?}", why.reason_code))
        }
        Packet::Connect(..)
        | Packet::PubAck(_)
        | Packet::PubRec(_)
        | Packet::PubRel(_)
        | Packet::PubComp(_)
        | Packet::Subscribe(_)
        | Packet::Unsubscribe(_)
        | Packet::UnsubAck(_)
        | Packet::PingReq(_)
        | Packet::PingResp(_)
        | Packet::Auth(_) => return None,
    })
}
