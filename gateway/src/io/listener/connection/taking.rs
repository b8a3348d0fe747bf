//! What is done about each packet. Nothing here waits: what the driver has no room for is left in [`Connection::blocked`].
//!
//! Messages that are read together go to the driver together. One that is urgent goes alone, behind those before it.

use futures::future::FutureExt;
use rumqttc::mqttbytes::QoS;

use super::super::OneByOne;
use super::super::answer::{self, Ack, Granted, Step};
use super::super::greeting::Session;
use super::super::hub::SUBSCRIPTIONS_MAX;
use super::super::packet::{self, Fault, Packet, Publish, Version, Wish};
use super::{Connection, End};
use crate::decode::Message;
use crate::io::inlet::{Inbound, NotTaken, Safe, TOGETHER_MAX};

impl<S> Connection<S> {
    pub(super) fn take(&mut self, packet: Packet<'_>, read: &OneByOne) -> Result<(), End> {
        let version = self.session.version;
        match packet {
            Packet::Publish(publish) => self.take_publish(publish, read),
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

    fn take_publish(&mut self, publish: Publish<'_>, read: &OneByOne) -> Result<(), End> {
        self.pace.spend();
        self.taken += 1;
        let forbidden = !self.session.grant.may_publish(publish.topic);
        if forbidden {
            self.say_forbidden(publish.topic);
            // 3.1.1 cannot refuse one message, and an acknowledgement would be a lie.
            if self.session.version == Version::V4 {
                return Err(End::Fault(Fault::Forbidden(publish.topic.to_owned())));
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
        let inbound = if forbidden { Inbound::default() } else { read(&self.message(&publish)) };
        let urgent = inbound.is_urgent();
        if urgent {
            self.hand_over()?;
        }
        if let Some(step) = step {
            self.line.add(Ack { id: publish.id, step, forbidden });
        }
        match &mut self.gathered {
            Some(gathered) => gathered.append(inbound),
            none => *none = Some(inbound),
        }
        let full = self.gathered.as_ref().is_some_and(|gathered| TOGETHER_MAX <= gathered.messages());
        if urgent || full { self.hand_over() } else { Ok(()) }
    }

    fn message<'a>(&self, publish: &Publish<'a>) -> Message<'a> {
        Message {
            topic: publish.topic,
            payload: publish.payload,
            retained: false,
            dup: publish.dup,
            received: self.heard,
        }
    }

    /// What was gathered goes to the driver, unless something before it still waits for room there.
    pub(super) fn hand_over(&mut self) -> Result<(), End> {
        if self.blocked.is_some() {
            return Ok(());
        }
        let Some(inbound) = self.gathered.take() else { return Ok(()) };
        let ticket = self.line.ticket();
        if inbound.is_empty() {
            if let Some(ticket) = ticket {
                ticket.done(); // There is nothing to keep.
            }
            return Ok(());
        }
        let safe = ticket.map_or(Safe::Nobody, Safe::Ticket);
        match self.shared.inlet.try_send(Inbound { safe, ..inbound }) {
            Ok(()) => Ok(()),
            Err(NotTaken::Full(inbound)) => {
                let inlet = self.shared.inlet.clone();
                self.blocked = Some(async move { inlet.send(*inbound).await }.boxed());
                Ok(())
            }
            Err(NotTaken::Closed) => Err(End::Stopping),
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
}
