//! The end of a connection: why, whether its will is taken as sent, and the last words.
//!
//! The will of a client that is merely gone is the sign that its device is offline. Our own stop says nothing of any device.

use std::io;

use tokio::io::{AsyncRead, AsyncWrite};
use tokio::time::timeout;

use super::super::answer::{self, Goodbye};
use super::super::greeting::Session;
use super::super::packet::Fault;
use super::Connection;
use crate::clock;
use crate::decode::Message;
use crate::model::Event;

/// Why a connection ends.
#[derive(Debug)]
pub(super) enum End {
    Disconnected {
        with_will: bool,
    },
    Lost(Option<io::Error>),
    Silent,
    NotReading,
    TakenOver,
    Fault(Fault),
    /// The gateway stops.
    Stopping,
}

impl<S: AsyncRead + AsyncWrite + Unpin> Connection<S> {
    pub(super) async fn finish(self: Box<Self>, end: End) {
        let Self { shared, mut pipe, session, heard, blocked, gathered, .. } = *self;
        let Session { version, client_id, will, seat, .. } = session;
        // At a stop the seat is kept to the end, because the listener waits for empty seats.
        let _seat = matches!(end, End::Stopping).then_some(seat);
        let (reason, will) = match &end {
            End::Disconnected { with_will: false } => ("disconnected", None),
            End::Disconnected { with_will: true } => ("disconnected", will),
            End::Stopping => ("stopping", None),
            End::Lost(_) => ("lost", will),
            End::Silent => ("silent", will),
            End::NotReading => ("not_reading", will),
            End::TakenOver => ("taken_over", will),
            End::Fault(_) => ("fault", will),
        };
        metrics::counter!("gridwarden_listener_closed_total", "reason" => reason).increment(1);
        // It said goodbye behind messages that were read together with that: they are not lost for want of room.
        if let (Some(blocked), End::Disconnected { .. }) = (blocked, &end) {
            let _ = blocked.await; // Closed: as below.
            if let Some(gathered) = gathered {
                let _ = shared.inlet.send(gathered).await;
            }
        }
        if let Some(will) = will {
            let message = Message {
                topic: &will.topic,
                payload: &will.payload,
                retained: false,
                dup: false,
                received: clock::wall(),
            };
            let mut inbound = (shared.intake)(&[])(&message);
            for event in &mut inbound.events {
                if let Event::Gone { since, .. } = event {
                    *since = heard;
                }
            }
            if !inbound.is_empty() {
                // Closed: the gateway stops, and its stop says nothing of the device.
                let _ = shared.inlet.send(inbound).await;
            }
        }
        match &end {
            End::Fault(fault) => {
                if shared.first_time("fault", &client_id) {
                    tracing::warn!(client_id, "an MQTT client was cut off; said once per client: {fault}");
                }
                answer::fault(&mut pipe.out, version, fault);
            }
            End::Silent => answer::goodbye(&mut pipe.out, version, Goodbye::KeepAlive),
            End::NotReading => answer::goodbye(&mut pipe.out, version, Goodbye::SlowReader),
            End::TakenOver => answer::goodbye(&mut pipe.out, version, Goodbye::TakenOver),
            End::Stopping => answer::goodbye(&mut pipe.out, version, Goodbye::Stopping),
            End::Lost(error) => {
                tracing::debug!(client_id, ?error, "an MQTT client was lost");
                return;
            }
            End::Disconnected { .. } => return,
        }
        tracing::debug!(client_id, reason, "an MQTT client was let go");
        let _ = timeout(shared.patience.last_words, pipe.close()).await; // It goes whether it listens or not.
    }
}
