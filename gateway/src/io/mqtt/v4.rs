//! MQTT 3.1.1 by rumqttc.

use rumqttc::{AsyncClient, ConnectionError, Error, Event, EventLoop, Incoming, MqttOptions, Packet, PubAck};
use rumqttc::{QoS, StateError, SubscribeFilter, SubscribeReasonCode, TlsConfiguration, Transport};
use tokio::select;

use super::{AckLine, Happening, Link, Options, REQUESTS_MAX, too_large};

pub(super) struct V4 {
    client: AsyncClient,
    events: EventLoop,
}

/// A client with a persistent session and acknowledgements by hand, and its event loop.
pub(super) fn connect(options: &Options<'_>) -> (AsyncClient, EventLoop) {
    let broker = options.broker;
    let mut mqtt = MqttOptions::new(&options.client_id, &broker.host, *broker.port.get_ref());
    mqtt.set_clean_session(false)
        .set_manual_acks(true)
        .set_max_packet_size(options.max_packet_bytes as usize, options.max_packet_bytes as usize)
        .set_keep_alive(options.keep_alive);
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
    events.state.collision = None;
}

fn reason(fault: ConnectionError) -> String {
    if let ConnectionError::MqttState(StateError::Deserialization(Error::PayloadSizeLimitExceeded(bytes))) =
        fault
    {
        return too_large(bytes);
    }
    fault.to_string()
}

impl V4 {
    pub(super) fn new(options: &Options<'_>) -> Self {
        let (client, events) = connect(options);
        Self { client, events }
    }

    /// All in one write, and past rumqttc's queue, of which each request is written alone: that was nearly all system calls of a message.
    async fn acknowledge(&mut self, identifiers: Vec<u16>) -> Result<(), String> {
        let network = self.events.network.as_mut().ok_or("the connection is gone")?;
        for identifier in identifiers {
            let packet = Packet::PubAck(PubAck::new(identifier));
            network.write(packet).await.map_err(|fault| fault.to_string())?;
        }
        network.flush().await.map_err(|fault| fault.to_string())
    }
}

impl Link for V4 {
    /// The packet identifier.
    type Ack = u16;

    async fn next(&mut self, acks: &mut AckLine<u16>) -> Result<Vec<Happening<u16>>, String> {
        let event = loop {
            select! {
                biased;
                () = acks.ready() => self.acknowledge(acks.take_ready()).await?,
                // Nothing of ours is lost when this is dropped: it only waits then, for a packet or to write on what is buffered.
                event = self.events.poll() => break event.map_err(reason)?,
            }
        };
        let read_with_it = self.events.state.events.drain(..);
        Ok(std::iter::once(event).chain(read_with_it).filter_map(happening).collect())
    }

    fn subscribe(&self, filters: &[String]) -> Result<(), String> {
        let filters = filters.iter().map(|filter| SubscribeFilter::new(filter.clone(), QoS::AtLeastOnce));
        self.client.try_subscribe_many(filters).map_err(|fault| fault.to_string())
    }

    fn forget(&mut self) {
        forget(&mut self.events);
    }
}

/// What it means to us; `None` for what rumqttc deals with itself.
fn happening(event: Event) -> Option<Happening<u16>> {
    let Event::Incoming(packet) = event else { return None };
    Some(match packet {
        Incoming::ConnAck(ack) => Happening::Connected { session_present: ack.session_present },
        Incoming::SubAck(ack) => {
            let refused = |code| match code {
                SubscribeReasonCode::Success(_) => None,
                SubscribeReasonCode::Failure => Some("not allowed".to_owned()),
            };
            Happening::Subscribed(ack.return_codes.into_iter().map(refused).collect())
        }
        Incoming::Publish(publish) => Happening::Message {
            ack: (publish.qos != QoS::AtMostOnce).then_some(publish.pkid),
            topic: publish.topic,
            payload: publish.payload,
            retained: publish.retain,
            dup: publish.dup,
        },
        Incoming::Disconnect => Happening::Ended("the broker closed the connection".into()),
        Incoming::Connect(_)
        | Incoming::PubAck(_)
        | Incoming::PubRec(_)
        | Incoming::PubRel(_)
        | Incoming::PubComp(_)
        | Incoming::Subscribe(_)
        | Incoming::Unsubscribe(_)
        | Incoming::UnsubAck(_)
        | Incoming::PingReq
        | Incoming::PingResp => return None,
    })
}
