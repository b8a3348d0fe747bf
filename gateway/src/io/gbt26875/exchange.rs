//! Our own questions on one connection: numbered, repeated when nobody answers, given up after three tries (6.5.4, 6.5.5).

use std::net::SocketAddr;
use std::time::Duration;

use tokio::sync::oneshot;
use tokio::time::Instant;

use crate::wire::gbt26875::{Address, Command, Content, Frame, Header, Label};

const TRIES: u32 = 3;

/// A question on its way to a device.
pub struct Asked {
    pub device: Address,
    pub peer: SocketAddr,
    pub content: Content,
    pub asker: Asker,
}

pub type Asker = oneshot::Sender<Result<Answer, NotAnswered>>;

#[derive(Clone, Debug, PartialEq)]
pub enum Answer {
    /// The device does it.
    Confirmed,
    Said(Content),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NotAnswered {
    #[error("the transmission device is not connected")]
    NotConnected,
    #[error("too many questions wait for this transmission device already")]
    Busy,
    #[error("the transmission device did not answer, {TRIES} times")]
    Silent,
    #[error("the transmission device refused, {TRIES} times")]
    Denied,
    #[error("the connection of the transmission device ended before it answered")]
    Gone,
}

/// Like a device, but its asker is any type: tests need no channel.
pub struct Question<A> {
    pub device: Address,
    pub peer: SocketAddr,
    pub content: Content,
    pub asker: A,
    serial: u16,
    tries: u32,
    due: Instant,
    denied: bool,
}

pub struct Exchange<A> {
    own: Address,
    timeout: Duration,
    serial: u16,
    waiting: Vec<Question<A>>,
}

/// What is to be sent, and to whom.
pub type Sending = (SocketAddr, Frame);

impl<A> Exchange<A> {
    pub fn new(own: Address, timeout: Duration) -> Self {
        Self { own, timeout, serial: 0, waiting: Vec::new() }
    }

    pub fn len(&self) -> usize {
        self.waiting.len()
    }

    /// `shown` is what the device's clock should show now.
    pub fn ask(
        &mut self,
        device: Address,
        peer: SocketAddr,
        content: Content,
        asker: A,
        now: Instant,
        shown: Label,
    ) -> Sending {
        let serial = self.serial;
        self.serial = serial.wrapping_add(1);
        let question = Question {
            device,
            peer,
            content,
            asker,
            serial,
            tries: 1,
            due: now + self.timeout,
            denied: false,
        };
        let sending = (peer, question.frame(self.own, shown));
        self.waiting.push(question);
        sending
    }

    /// A confirmation, an answer or a denial; the question that is settled by it.
    pub fn heard(&mut self, frame: &Frame, now: Instant) -> Option<Question<A>> {
        let at = self.waiting.iter().position(|question| {
            question.serial == frame.header.serial && question.device == frame.header.from
        })?;
        match frame.command {
            Command::Deny => {
                // As if nothing had come: again, at once.
                let question = &mut self.waiting[at];
                (question.denied, question.due) = (true, now);
                None
            }
            Command::Confirm if is_control(&self.waiting[at].content) => Some(self.waiting.swap_remove(at)),
            Command::Answer if !is_control(&self.waiting[at].content) => Some(self.waiting.swap_remove(at)),
            Command::Confirm
            | Command::Answer
            | Command::Control
            | Command::Send
            | Command::Request
            | Command::User(_) => None,
        }
    }

    pub fn wake_at(&self) -> Option<Instant> {
        self.waiting.iter().map(|question| question.due).min()
    }

    /// What goes out again, and which questions are given up. `shown` is what a device's clock should show now.
    pub fn due(
        &mut self,
        now: Instant,
        shown: impl Fn(Address) -> Label,
    ) -> (Vec<Sending>, Vec<(Question<A>, NotAnswered)>) {
        let (mut again, mut given_up) = (Vec::new(), Vec::new());
        for mut question in std::mem::take(&mut self.waiting) {
            if now < question.due {
                self.waiting.push(question);
            } else if question.tries == TRIES {
                let why = if question.denied { NotAnswered::Denied } else { NotAnswered::Silent };
                given_up.push((question, why));
            } else {
                question.tries += 1;
                question.due = now + self.timeout;
                question.denied = false;
                again.push((question.peer, question.frame(self.own, shown(question.device))));
                self.waiting.push(question);
            }
        }
        (again, given_up)
    }
}

impl<A> Question<A> {
    fn frame(&self, own: Address, shown: Label) -> Frame {
        let header = Header { serial: self.serial, version: [1, 0], sent: shown, from: own, to: self.device };
        let command = if is_control(&self.content) { Command::Control } else { Command::Request };
        // A clock that is set late is set wrong.
        let is_clock = matches!(self.content, Content::SetClock(_));
        let unit = if is_clock { Content::SetClock(shown).encode() } else { self.content.encode() };
        Frame { header, command, unit }
    }
}

/// Whether it is to be done and confirmed, not to be answered.
fn is_control(content: &Content) -> bool {
    matches!(content, Content::Initialise | Content::SetClock(_) | Content::RollCall { .. })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock;

    const SHOWN: Label = Label([1, 2, 3, 4, 5, 26]);

    fn address(number: u64) -> Address {
        Address::new(number).expect("48 bits")
    }

    fn exchange() -> (Exchange<&'static str>, SocketAddr, Instant) {
        (
            Exchange::new(address(1), Duration::from_secs(5)),
            SocketAddr::from(([127, 0, 0, 1], 9)),
            clock::ticks(),
        )
    }

    fn reply(to: &Frame, command: Command, from: Address) -> Frame {
        let header = Header { from, to: to.header.from, ..to.header };
        Frame { header, command, unit: Vec::new() }
    }

    #[tokio::test]
    async fn three_tries_and_then_it_is_given_up() {
        let (mut exchange, peer, now) = exchange();
        let (_, first) = exchange.ask(address(889), peer, Content::ReadDeviceState, "who", now, SHOWN);
        assert_eq!((first.command, first.unit.as_slice()), (Command::Request, &[81, 1, 0][..]));
        for (s, again, over) in [(4, 0, 0), (5, 1, 0), (9, 0, 0), (10, 1, 0), (14, 0, 0), (15, 0, 1)] {
            let (sent, given_up) = exchange.due(now + Duration::from_secs(s), |_| SHOWN);
            assert_eq!((sent.len(), given_up.len()), (again, over), "after {s} s");
            assert!(sent.iter().all(|(_, frame)| frame.header.serial == first.header.serial));
            assert!(
                given_up.iter().all(|(question, why)| question.asker == "who" && *why == NotAnswered::Silent)
            );
        }
        assert_eq!(exchange.wake_at(), None);
    }

    #[tokio::test]
    async fn a_denial_is_asked_again_at_once_and_told_at_the_end() {
        let (mut exchange, peer, now) = exchange();
        let (_, frame) = exchange.ask(address(889), peer, Content::Initialise, "who", now, SHOWN);
        let denial = reply(&frame, Command::Deny, address(889));
        for _ in 0..2 {
            assert!(exchange.heard(&denial, now).is_none());
            assert_eq!(exchange.due(now, |_| SHOWN).0.len(), 1);
        }
        assert!(exchange.heard(&denial, now).is_none());
        let (_, given_up) = exchange.due(now, |_| SHOWN);
        assert_eq!(given_up[0].1, NotAnswered::Denied);
    }

    #[tokio::test]
    async fn only_the_right_answer_of_the_right_device_settles_a_question() {
        let (mut exchange, peer, now) = exchange();
        let (_, read) = exchange.ask(address(889), peer, Content::ReadDeviceState, "read", now, SHOWN);
        let (_, call) =
            exchange.ask(address(889), peer, Content::RollCall { minutes: 10 }, "call", now, SHOWN);
        assert_ne!(read.header.serial, call.header.serial);
        for (what, frame) in [
            ("another device", reply(&read, Command::Answer, address(890))),
            ("a confirmation is no answer", reply(&read, Command::Confirm, address(889))),
            ("an answer is no confirmation", reply(&call, Command::Answer, address(889))),
        ] {
            assert!(exchange.heard(&frame, now).is_none(), "{what}");
        }
        let settled =
            |exchange: &mut Exchange<_>, frame| exchange.heard(&frame, now).map(|question| question.asker);
        assert_eq!(settled(&mut exchange, reply(&call, Command::Confirm, address(889))), Some("call"));
        assert_eq!(settled(&mut exchange, reply(&read, Command::Answer, address(889))), Some("read"));
        assert_eq!(settled(&mut exchange, reply(&read, Command::Answer, address(889))), None, "once");
    }

    #[tokio::test]
    async fn a_clock_is_set_to_the_time_of_the_try() {
        let (mut exchange, peer, now) = exchange();
        exchange.ask(address(889), peer, Content::SetClock(SHOWN), "who", now, SHOWN);
        let later = Label([6, 2, 3, 4, 5, 26]);
        let (again, _) = exchange.due(now + Duration::from_secs(5), |_| later);
        assert_eq!(again[0].1.unit, Content::SetClock(later).encode());
    }
}
