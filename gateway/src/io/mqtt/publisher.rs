//! Publishing to a broker, one message at a time, each confirmed before the next.
//!
//! rumqttc's own queue is no outbox: when the broker has lost the session it forgets what was queued, without an error. So the caller keeps the
//! message until [`Publisher::publish`] returns `Ok`, which is when the broker has sent its PUBACK.

use std::path::Path;
use std::pin::pin;
use std::time::Duration;

use tokio::select;
use tokio::sync::{mpsc, oneshot};
use tokio::time::{Instant, sleep, timeout};
use tokio_util::sync::CancellationToken;

use super::pauses::Pauses;
use super::{Options, lasted, v4, v5};
use crate::clock;
use crate::config::{self, MqttVersion};

/// Requests that may wait; the caller sends the next only after the last was confirmed, so more would be a mistake.
const QUEUE_MAX: usize = 16;
/// A broker that does not confirm for this long is treated as gone.
const CONFIRM_WITHIN: Duration = Duration::from_secs(10);

/// A handle; cheap to clone.
#[derive(Clone)]
pub struct Publisher {
    requests: mpsc::Sender<Request>,
}

struct Request {
    topic: String,
    payload: Vec<u8>,
    retain: bool,
    confirmed: oneshot::Sender<Result<(), String>>,
}

/// The task behind a [`Publisher`].
pub struct Connection {
    name: String,
    kind: Kind,
    requests: mpsc::Receiver<Request>,
}

enum Kind {
    V4(rumqttc::AsyncClient, Box<rumqttc::EventLoop>),
    V5(rumqttc::v5::AsyncClient, Box<rumqttc::v5::EventLoop>),
}

enum Happening {
    Connected,
    /// The broker's answer to the message in flight, or why it refuses it: that ends no connection.
    Answered(Result<(), String>),
    Other,
}

impl Publisher {
    /// Returns when the broker has confirmed; an error means that it may or may not have arrived.
    pub async fn publish(&self, topic: String, payload: Vec<u8>, retain: bool) -> anyhow::Result<()> {
        let (confirmed, answer) = oneshot::channel();
        self.requests
            .send(Request { topic, payload, retain, confirmed })
            .await
            .map_err(|_| anyhow::anyhow!("the gateway is stopping"))?;
        match answer.await {
            Ok(Ok(())) => Ok(()),
            Ok(Err(why)) => anyhow::bail!(why),
            Err(_) => anyhow::bail!("the gateway is stopping"),
        }
    }
}

impl Connection {
    /// A client of its own beside the [`super::Source`] of the same broker: its id is the broker's with `-out` behind it.
    pub fn new(broker: &config::Broker, folder: &Path) -> anyhow::Result<(Self, Publisher)> {
        let options = Options::read(broker, folder, format!("{}-out", broker.client_id.get_ref()))?;
        let kind = match broker.version {
            MqttVersion::V4 => {
                let (client, events) = v4::connect(&options);
                Kind::V4(client, Box::new(events))
            }
            MqttVersion::V5 => {
                let (client, events) = v5::connect(&options);
                Kind::V5(client, Box::new(events))
            }
        };
        let (sender, requests) = mpsc::channel(QUEUE_MAX);
        Ok((Self { name: broker.name.get_ref().clone(), kind, requests }, Publisher { requests: sender }))
    }

    pub async fn run(mut self, stop: CancellationToken) -> anyhow::Result<()> {
        let mut pauses = Pauses::default();
        loop {
            let mut connected = None;
            let fault = select! {
                () = stop.cancelled() => return Ok(()),
                fault = self.connection(&mut connected) => fault,
            };
            let Some(fault) = fault else { return Ok(()) };
            self.kind.forget();
            let pause = pauses.lost(connected.map(lasted), fastrand::f64());
            if pause.first {
                tracing::warn!(broker = %self.name, %fault, "cannot publish to the broker; trying again");
            }
            if pause.thrown_out {
                tracing::error!(broker = %self.name, %fault, "the broker accepts the publishing connection and soon ends it, again and again: another client most likely uses its client id, which is the broker's `client_id` with `-out` behind it");
            }
            let refuse = async {
                while let Some(request) = self.requests.recv().await {
                    let _ = request.confirmed.send(Err(format!("the broker is away: {fault}")));
                }
            };
            select! {
                () = stop.cancelled() => return Ok(()),
                () = sleep(pause.wait.as_duration()) => (),
                () = refuse => return Ok(()),
            }
        }
    }

    /// From connecting to the loss of the connection, with why; `None` when nobody can ask any more.
    async fn connection(&mut self, connected: &mut Option<Instant>) -> Option<String> {
        loop {
            let request = {
                let mut next = pin!(self.kind.next());
                select! {
                    biased;
                    happened = &mut next => {
                        match happened {
                            Ok(Happening::Connected) => *connected = Some(clock::ticks()),
                            Ok(Happening::Answered(_) | Happening::Other) => (),
                            Err(fault) => return Some(fault),
                        }
                        continue;
                    }
                    // Only between packets: rumqttc's poll is idle here, waiting for either side.
                    request = self.requests.recv(), if connected.is_some() => request?,
                }
            };
            let answered = match self.kind.publish(&request) {
                Ok(()) => timeout(CONFIRM_WITHIN, self.kind.answered())
                    .await
                    .unwrap_or_else(|_| Err(format!("no confirmation within {CONFIRM_WITHIN:?}"))),
                Err(fault) => Err(fault),
            };
            let fault = answered.as_ref().err().cloned();
            let _ = request.confirmed.send(answered.and_then(|answer| answer)); // The caller may have stopped waiting.
            if fault.is_some() {
                return fault;
            }
        }
    }
}

impl Kind {
    async fn next(&mut self) -> Result<Happening, String> {
        match self {
            Kind::V4(_, events) => {
                use rumqttc::{Event, Incoming};
                match events.poll().await.map_err(|fault| fault.to_string())? {
                    Event::Incoming(Incoming::ConnAck(_)) => Ok(Happening::Connected),
                    Event::Incoming(Incoming::PubAck(_)) => Ok(Happening::Answered(Ok(()))),
                    Event::Incoming(_) | Event::Outgoing(_) => Ok(Happening::Other),
                }
            }
            Kind::V5(_, events) => {
                use rumqttc::v5::Event;
                use rumqttc::v5::mqttbytes::v5::{Packet, PubAckReason};
                match events.poll().await.map_err(|fault| fault.to_string())? {
                    Event::Incoming(Packet::ConnAck(_)) => Ok(Happening::Connected),
                    Event::Incoming(Packet::PubAck(ack)) => Ok(Happening::Answered(match ack.reason {
                        PubAckReason::Success | PubAckReason::NoMatchingSubscribers => Ok(()),
                        PubAckReason::UnspecifiedError
                        | PubAckReason::ImplementationSpecificError
                        | PubAckReason::NotAuthorized
                        | PubAckReason::TopicNameInvalid
                        | PubAckReason::PacketIdentifierInUse
                        | PubAckReason::QuotaExceeded
                        | PubAckReason::PayloadFormatInvalid => {
                            Err(format!("the broker refuses the message: {:?}", ack.reason))
                        }
                    })),
                    Event::Incoming(_) | Event::Outgoing(_) => Ok(Happening::Other),
                }
            }
        }
    }

    fn publish(&self, request: &Request) -> Result<(), String> {
        let Request { topic, payload, retain, .. } = request;
        match self {
            Kind::V4(client, _) => client
                .try_publish(topic, rumqttc::QoS::AtLeastOnce, *retain, payload.clone())
                .map_err(|fault| fault.to_string()),
            Kind::V5(client, _) => client
                .try_publish(topic, rumqttc::v5::mqttbytes::QoS::AtLeastOnce, *retain, payload.clone())
                .map_err(|fault| fault.to_string()),
        }
    }

    /// The broker's answer to the one message in flight.
    async fn answered(&mut self) -> Result<Result<(), String>, String> {
        loop {
            match self.next().await? {
                Happening::Answered(answer) => return Ok(answer),
                Happening::Connected | Happening::Other => (),
            }
        }
    }

    fn forget(&mut self) {
        match self {
            Kind::V4(_, events) => v4::forget(events),
            Kind::V5(_, events) => v5::forget(events),
        }
    }
}
