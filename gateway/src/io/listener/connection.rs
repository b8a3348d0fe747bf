//! One client, from CONNACK to its end.
//!
//! [`Connection::advance`] does everything that needs no waiting; [`Connection::carry`] waits for whichever comes first. Reading
//! pauses, so that TCP holds the sender back, while [`UNCOMMITTED_MAX`] messages wait for their commit, while the driver's queue is full, while
//! the sender is ahead of its pace, or while it does not read its answers. Such a pause never counts as the client's silence.
//! Exactly once (QoS 2) holds within one connection: packet ids are forgotten with it.

use std::collections::BTreeMap;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use futures::future::{BoxFuture, FutureExt, OptionFuture};
use rumqttc::mqttbytes::QoS;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::select;
use tokio::time::{Instant, sleep_until, timeout};

use super::answer::{self, Ack, Goodbye, Granted, Step};
use super::greeting::Session;
use super::hub::{SUBSCRIPTIONS_MAX, Why};
use super::outbound::Outbound;
use super::pace::Pace;
use super::packet::{self, Fault, Packet, Publish, Version, Wish};
use super::pipe::{Pipe, Turn};
use super::{Shared, UNCOMMITTED_MAX};
use crate::clock;
use crate::decode::Message;
use crate::io::acks::{AckLine, Ticket};
use crate::io::inlet::{Closed, Inbound, Safe, TrySend};
use crate::model::Event;
use crate::units::Timestamp;

/// While so much waits to be written nothing more is read.
const OUT_BYTES_MAX: usize = 64 * 1024;

pub struct Connection<S> {
    shared: Arc<Shared>,
    pipe: Pipe<S>,
    session: Session,
    line: AckLine<Ack>,
    /// QoS 2 packet ids between PUBLISH and PUBREL, and whether PUBREC was sent.
    exact: BTreeMap<u16, bool>,
    outbound: Option<Box<Outbound>>,
    pace: Pace,
    paced_until: Option<Instant>,
    /// A message the driver had no room for.
    blocked: Option<BoxFuture<'static, Result<(), Closed>>>,
    /// When the client was last known alive.
    heard: Timestamp,
    quiet_since: Instant,
    unwritten_since: Option<Instant>,
    was_reading: bool,
    /// Set by a stop of the gateway: only acknowledgements still go out, until then.
    stop_by: Option<Instant>,
    forbidden_said: bool,
    taken: u64,
}

/// Why a connection ends.
#[derive(Debug)]
enum End {
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
    pub fn new(shared: Arc<Shared>, pipe: Pipe<S>, session: Session) -> Box<Self> {
        let now = clock::ticks();
        Box::new(Self {
            pace: Pace::new(shared.messages_per_s_max, now),
            shared,
            pipe,
            session,
            line: AckLine::default(),
            exact: BTreeMap::new(),
            outbound: None,
            paced_until: None,
            blocked: None,
            heard: clock::wall(),
            quiet_since: now,
            unwritten_since: None,
            was_reading: false,
            stop_by: None,
            forbidden_said: false,
            taken: 0,
        })
    }

    pub async fn serve(mut self: Box<Self>) {
        let end = match self.carry().await {
            Ok(never) => match never {},
            Err(end) => end,
        };
        // Boxed, so that what only the end needs takes no memory before.
        Box::pin(self.finish(end)).await;
    }

    async fn carry(&mut self) -> Result<std::convert::Infallible, End> {
        let eviction = self.session.seat.eviction.clone();
        let evicted = eviction.wait();
        let timer = sleep_until(self.quiet_since + self.session.patience);
        tokio::pin!(evicted, timer);
        loop {
            self.advance()?;
            let reading = self.is_reading();
            if reading && !self.was_reading {
                self.quiet_since = clock::ticks();
            }
            self.was_reading = reading;
            let due = self.due(reading);
            if due < timer.deadline() || timer.is_elapsed() {
                timer.as_mut().reset(due);
            }
            let subscriber_ready = match &mut self.outbound {
                Some(outbound) if outbound.has_window() && self.pipe.out.len() < OUT_BYTES_MAX => {
                    Some(outbound.ready())
                }
                Some(_) | None => None,
            };
            let moves = reading || self.pipe.has_output();
            select! {
                biased;
                why = &mut evicted, if self.stop_by.is_none() => match why {
                    Why::TakenOver => return Err(End::TakenOver),
                    Why::SlowReader => return Err(End::NotReading),
                    Why::Stopping => self.stop_by = Some(clock::ticks() + self.shared.patience.stop),
                },
                turn = self.pipe.turn(reading), if moves => self.moved(turn.map_err(|error| End::Lost(Some(error)))?)?,
                () = self.line.ready(), if !self.line.is_empty() => (),
                Some(()) = OptionFuture::from(subscriber_ready) => (),
                Some(sent) = OptionFuture::from(self.blocked.as_mut()) => {
                    self.blocked = None;
                    sent.map_err(|Closed| End::Stopping)?;
                }
                () = &mut timer => self.check_time()?,
            }
        }
    }

    /// Everything that can be done without waiting.
    fn advance(&mut self) -> Result<(), End> {
        for ack in self.line.take_ready() {
            if ack.step == Step::PubRec && !ack.forbidden {
                self.exact.insert(ack.id, true);
            }
            answer::ack(&mut self.pipe.out, ack);
        }
        while self.may_take() {
            let next = packet::next(&mut self.pipe.read, self.session.version, self.shared.packet_max);
            let Some(packet) = next.map_err(End::Fault)? else { break };
            self.take(packet)?;
        }
        if self.taken > 0 {
            metrics::counter!("gridwarden_listener_messages_total")
                .increment(std::mem::take(&mut self.taken));
        }
        if let Some(outbound) = &mut self.outbound {
            let (version, packet_max) = (self.session.version, self.session.packet_max);
            outbound.write(&mut self.pipe.out, OUT_BYTES_MAX, version, packet_max);
        }
        let waiting = !self.line.is_empty() || self.blocked.is_some() || self.pipe.has_output();
        if self.stop_by.is_some() && !waiting { Err(End::Stopping) } else { Ok(()) }
    }

    fn may_take(&mut self) -> bool {
        let room = self.has_room();
        if room && !self.pipe.read.is_empty() {
            self.paced_until = self.pace.wait_until(clock::ticks());
        }
        room && self.paced_until.is_none()
    }

    fn has_room(&self) -> bool {
        self.stop_by.is_none()
            && self.blocked.is_none()
            && self.line.len() < UNCOMMITTED_MAX
            && self.pipe.out.len() < OUT_BYTES_MAX
    }

    fn is_reading(&self) -> bool {
        self.has_room() && self.paced_until.is_none()
    }

    fn moved(&mut self, turn: Turn) -> Result<(), End> {
        if turn.read {
            self.heard = clock::wall();
            self.quiet_since = clock::ticks();
        }
        match (turn.wrote, self.pipe.has_output()) {
            (_, false) => self.unwritten_since = None,
            (true, true) => self.unwritten_since = Some(clock::ticks()),
            (false, true) => (),
        }
        if turn.ended { Err(End::Lost(None)) } else { Ok(()) }
    }

    /// When [`Connection::check_time`] has to look next, at the latest.
    fn due(&mut self, reading: bool) -> Instant {
        if self.pipe.has_output() && self.unwritten_since.is_none() {
            self.unwritten_since = Some(clock::ticks());
        }
        let silent = reading.then(|| self.quiet_since + self.session.patience);
        let not_reading = self.unwritten_since.map(|since| since + self.shared.patience.write);
        let dues = [silent, not_reading, self.paced_until, self.stop_by];
        dues.into_iter().flatten().min().unwrap_or_else(|| clock::ticks() + Duration::from_secs(3600))
    }

    fn check_time(&mut self) -> Result<(), End> {
        let now = clock::ticks();
        let passed = |due: Option<Instant>| due.is_some_and(|due| due <= now);
        if passed(self.stop_by) {
            return Err(End::Stopping);
        }
        if passed(self.unwritten_since.map(|since| since + self.shared.patience.write)) {
            return Err(End::NotReading);
        }
        if self.is_reading() && passed(Some(self.quiet_since + self.session.patience)) {
            return Err(End::Silent);
        }
        if passed(self.paced_until) {
            self.paced_until = None;
        }
        Ok(())
    }

    fn take(&mut self, packet: Packet) -> Result<(), End> {
        let version = self.session.version;
        match packet {
            Packet::Publish(publish) => self.take_publish(publish),
            Packet::PubRel(id) => match self.exact.get(&id) {
                Some(false) => {
                    Err(End::Fault(Fault::Protocol("PUBREL for a message that was not acknowledged yet")))
                }
                known @ (Some(true) | None) => {
                    answer::complete(&mut self.pipe.out, version, id, known.is_some());
                    self.exact.remove(&id);
                    Ok(())
                }
            },
            Packet::PubAck(id) => {
                if let Some(outbound) = &mut self.outbound {
                    outbound.acknowledged(id);
                }
                Ok(())
            }
            Packet::Subscribe { id, wishes, numbered } => self.subscribe(id, wishes, numbered),
            Packet::Unsubscribe { id, filters } => {
                let seat = &self.session.seat;
                let existed: Vec<bool> = filters.iter().map(|filter| seat.unsubscribe(filter)).collect();
                answer::unsubscribed(&mut self.pipe.out, version, id, &existed);
                Ok(())
            }
            Packet::Ping => {
                answer::pong(&mut self.pipe.out);
                Ok(())
            }
            Packet::Disconnect { with_will } => Err(End::Disconnected { with_will }),
        }
    }

    fn take_publish(&mut self, publish: Publish) -> Result<(), End> {
        self.pace.spend();
        self.taken += 1;
        let forbidden = !self.session.grant.may_publish(&publish.topic);
        if forbidden {
            self.say_forbidden(&publish.topic);
            // 3.1.1 cannot refuse one message, and an acknowledgement would be a lie.
            if self.session.version == Version::V4 {
                return Err(End::Fault(Fault::Forbidden(publish.topic)));
            }
        }
        let step = match publish.qos {
            QoS::AtMostOnce => None,
            QoS::AtLeastOnce => Some(Step::PubAck),
            QoS::ExactlyOnce => match self.exact.get(&publish.id) {
                Some(true) => {
                    // Sent again although we have it: say so again, take nothing.
                    let again = Ack { id: publish.id, step: Step::PubRec, forbidden: false };
                    answer::ack(&mut self.pipe.out, again);
                    return Ok(());
                }
                Some(false) => return Ok(()),
                None => Some(Step::PubRec),
            },
        };
        if step == Some(Step::PubRec) && !forbidden {
            self.exact.insert(publish.id, false);
        }
        let ticket = step.map(|step| self.line.issue(Ack { id: publish.id, step, forbidden }));
        match (forbidden, ticket) {
            (false, ticket) => self.deliver(&publish, ticket),
            (true, Some(ticket)) => {
                ticket.done();
                Ok(())
            }
            (true, None) => Ok(()),
        }
    }

    fn deliver(&mut self, publish: &Publish, ticket: Option<Ticket>) -> Result<(), End> {
        let message = Message {
            topic: &publish.topic,
            payload: &publish.payload,
            retained: false,
            dup: publish.dup,
            received: self.heard,
        };
        let (events, dead) = (self.shared.intake)(&message);
        if events.is_empty() && dead.is_empty() {
            ticket.map(Ticket::done); // Nothing to keep.
            return Ok(());
        }
        let safe = ticket.map_or(Safe::Nobody, Safe::Ticket);
        match self.shared.inlet.try_send(Inbound { events, dead, safe }) {
            Ok(()) => Ok(()),
            Err(TrySend::Full(inbound)) => {
                let inlet = self.shared.inlet.clone();
                self.blocked = Some(async move { inlet.send(inbound).await }.boxed());
                Ok(())
            }
            Err(TrySend::Closed) => Err(End::Stopping),
        }
    }

    fn subscribe(&mut self, id: u16, wishes: Vec<Wish>, numbered: bool) -> Result<(), End> {
        let mut granted = Vec::with_capacity(wishes.len());
        for mut wish in wishes {
            granted.push(if wish.filter.starts_with("$share/") {
                Granted::Shared
            } else if !packet::is_filter(&wish.filter) {
                Granted::NotAFilter
            } else if numbered {
                Granted::Numbered
            } else if !self.session.grant.may_subscribe(&wish.filter) {
                self.say_forbidden(&wish.filter);
                Granted::Forbidden
            } else {
                if wish.qos == QoS::ExactlyOnce {
                    wish.qos = QoS::AtLeastOnce;
                }
                let (qos, window) = (wish.qos, usize::from(self.session.receive_max));
                let seat = &self.session.seat;
                seat.subscribe(wish, &mut self.outbound, window)
                    .ok_or(End::Fault(Fault::Quota(SUBSCRIPTIONS_MAX)))?;
                Granted::Yes(qos)
            });
        }
        answer::subscribed(&mut self.pipe.out, self.session.version, id, &granted);
        match &self.outbound {
            Some(outbound) if outbound.is_overfull() => Err(End::NotReading),
            Some(_) | None => Ok(()),
        }
    }

    fn say_forbidden(&mut self, topic: &str) {
        metrics::counter!("gridwarden_listener_forbidden_total").increment(1);
        let Session { grant, client_id, .. } = &self.session;
        if !std::mem::replace(&mut self.forbidden_said, true)
            && self.shared.first_time("forbidden", client_id)
        {
            tracing::warn!(user = %grant.user, client_id, topic, "not allowed; said once per client");
        }
    }

    async fn finish(self: Box<Self>, end: End) {
        let Self { shared, mut pipe, session, heard, .. } = *self;
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
        if let Some(will) = will {
            let message = Message {
                topic: &will.topic,
                payload: &will.payload,
                retained: false,
                dup: false,
                received: clock::wall(),
            };
            let (mut events, dead) = (shared.intake)(&message);
            for event in &mut events {
                if let Event::Gone { since, .. } = event {
                    *since = heard;
                }
            }
            if !events.is_empty() || !dead.is_empty() {
                // Closed: the gateway stops, and its stop says nothing of the device.
                let _ = shared.inlet.send(Inbound { events, dead, safe: Safe::Nobody }).await;
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
