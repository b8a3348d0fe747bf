//! MQTT 3.1.1 by rumqttc.

use rumqttc::{AsyncClient, ConnectionError, Error, Event, EventLoop, Incoming, MqttOptions, Publish, QoS};
use rumqttc::{StateError, SubscribeFilter, SubscribeReasonCode, TlsConfiguration, Transport};

use super::{Happening, Link, Options, REQUESTS_MAX, too_large};

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
}

impl Link for V4 {
    type Ack = Publish;

    async fn next(&mut self) -> Result<Happening<Publish>, String> {
        let event = self.events.poll().await.map_err(reason)?;
        let Event::Incoming(packet) = event else { return Ok(Happening::Other) };
        Ok(match packet {
            Incoming::ConnAck(ack) => Happening::Connected { session_present: ack.session_present },
            Incoming::SubAck(ack) => {
                let refused = |code| match code {
                    SubscribeReasonCode::Success(_) => None,
                    SubscribeReasonCode::Failure => Some("not allowed".to_owned()),
                };
                Happening::Subscribed(ack.return_codes.into_iter().map(refused).collect())
            }
            Incoming::Publish(publish) => Happening::Message {
                topic: publish.topic.clone(),
                payload: publish.payload.clone(),
                retained: publish.retain,
                dup: publish.dup,
                ack: (publish.qos != QoS::AtMostOnce).then_some(publish),
            },
            Incoming::Disconnect => return Err("the broker closed the connection".into()),
            Incoming::Connect(_)
            | Incoming::PubAck(_)
            | Incoming::PubRec(_)
            | Incoming::PubRel(_)
            | Incoming::PubComp(_)
            | Incoming::Subscribe(_)
            | Incoming::Unsubscribe(_)
            | Incoming::UnsubAck(_)
            | Incoming::PingReq
            | Incoming::PingResp => Happening::Other,
        })
    }

    fn acker(&self) -> impl Fn(&Publish) -> Result<(), String> + Send + 'static {
        let client = self.client.clone();
        move |publish| client.try_ack(publish).map_err(|fault| fault.to_string())
    }

    fn subscribe(&self, filters: &[String]) -> Result<(), String> {
        let filters = filters.iter().map(|filter| SubscribeFilter::new(filter.clone(), QoS::AtLeastOnce));
        self.client.try_subscribe_many(filters).map_err(|fault| fault.to_string())
    }

    fn forget(&mut self) {
        forget(&mut self.events);
    }
}
