//! What is said on one connection, or with all devices of the UDP port: what is taken in, confirmed, denied, asked. Nothing here waits or moves bytes.

use std::net::SocketAddr;
use std::sync::Arc;

use tokio::sync::mpsc;
use tokio::time::Instant;

use super::desk::{Desk, Taken};
use super::exchange::{Answer, Asked, Asker, Exchange, NotAnswered, Question};
use super::{QUESTIONS_MAX, UNCOMMITTED_MAX};
use crate::clock;
use crate::io::acks::AckLine;
use crate::io::inlet::{Inbound, Safe};
use crate::model::Event;
use crate::units::Timestamp;
use crate::wire::gbt26875::{Command, Content, Frame, Header, Piece};

/// So many faulty pieces without a good frame between are no device's.
const FAULTY_MAX: u32 = 100;

pub struct Talk {
    pub desk: Arc<Desk>,
    pub line: AckLine<Reply>,
    exchange: Exchange<Asker>,
    /// By this the connection is known.
    to_us: mpsc::Sender<Asked>,
    pub asked: mpsc::Receiver<Asked>,
    /// To be written.
    pub out: Vec<(SocketAddr, Vec<u8>)>,
    faulty: u32,
}

pub struct Reply {
    header: Header,
    command: Command,
    peer: SocketAddr,
}

impl Talk {
    pub fn new(desk: Arc<Desk>) -> Self {
        let (to_us, asked) = mpsc::channel(QUESTIONS_MAX);
        let exchange = Exchange::new(desk.settings.own, desk.settings.timeout);
        Self { desk, line: AckLine::default(), exchange, to_us, asked, out: Vec::new(), faulty: 0 }
    }

    pub fn may_read(&self) -> bool {
        self.line.len() < UNCOMMITTED_MAX
    }

    pub fn may_ask(&self) -> bool {
        self.exchange.len() < QUESTIONS_MAX
    }

    /// Whether what comes is not the protocol at all.
    pub fn is_noise(&self) -> bool {
        FAULTY_MAX < self.faulty
    }

    /// What goes to the driver.
    pub fn hear(&mut self, piece: Piece, peer: SocketAddr) -> Option<Inbound> {
        let received = clock::wall();
        match piece {
            Piece::Frame(frame, bytes) => {
                self.faulty = 0;
                self.frame(&frame, &bytes, peer, received)
            }
            Piece::Faulty { header, fault, bytes } => {
                self.faulty += 1;
                metrics::counter!("gridwarden_gbt26875_denied_total").increment(1);
                if !self.is_noise() {
                    self.reply(header, Command::Deny, peer);
                }
                let reason = format!("{peer} sends a packet that is denied: {fault}");
                Some(self.desk.faulty(header.from, &bytes, reason, received))
            }
            Piece::Noise(bytes) => {
                metrics::counter!("gridwarden_gbt26875_noise_bytes_total").increment(bytes.len() as u64);
                None
            }
        }
    }

    fn frame(
        &mut self,
        frame: &Frame,
        bytes: &[u8],
        peer: SocketAddr,
        received: Timestamp,
    ) -> Option<Inbound> {
        let Taken { mut inbound, answer, content, known } = self.desk.take(frame, bytes, peer, received);
        if known {
            self.desk.routes.heard(frame.header.from, &self.to_us, peer, clock::ticks());
            if let Some(question) = self.exchange.heard(frame, clock::ticks()) {
                inbound.events.extend(self.settled(question, content, received));
            }
            self.repeat(); // A denial makes a question due at once.
        }
        let safe = match answer {
            Some(command) if known => {
                if command == Command::Deny {
                    metrics::counter!("gridwarden_gbt26875_denied_total").increment(1);
                }
                Safe::Ticket(self.line.issue(Reply { header: frame.header, command, peer }))
            }
            Some(command) => {
                metrics::counter!("gridwarden_gbt26875_denied_total").increment(1);
                self.reply(frame.header, command, peer);
                Safe::Nobody
            }
            None => Safe::Nobody,
        };
        Some(Inbound { safe, ..inbound })
    }

    fn settled(
        &self,
        question: Question<Asker>,
        content: Option<Content>,
        received: Timestamp,
    ) -> Option<Event> {
        let called = matches!(question.content, Content::RollCall { .. });
        let answer = match content {
            Some(content) => Ok(Answer::Said(content)),
            None => Ok(Answer::Confirmed),
        };
        let _ = question.asker.send(answer); // Whoever asked may have hung up.
        called.then(|| self.desk.roll_call_begins(question.device, received)).flatten()
    }

    /// What is on disk now is confirmed.
    pub fn confirm(&mut self) {
        for reply in self.line.take_ready() {
            self.reply(reply.header, reply.command, reply.peer);
        }
    }

    fn reply(&mut self, header: Header, command: Command, peer: SocketAddr) {
        let header = header.answer(self.desk.shown(header.from));
        self.out.push((peer, Frame { header, command, unit: Vec::new() }.encode()));
    }

    pub fn ask(&mut self, asked: Asked) {
        let Asked { device, peer, content, asker } = asked;
        metrics::counter!("gridwarden_gbt26875_questions_total").increment(1);
        let (shown, content) = (self.desk.shown(device), self.desk.in_its_dialect(device, content));
        let (peer, frame) = self.exchange.ask(device, peer, content, asker, clock::ticks(), shown);
        self.out.push((peer, frame.encode()));
    }

    pub fn wake_at(&self) -> Option<Instant> {
        self.exchange.wake_at()
    }

    /// Asks again, and gives up what nobody answers; whether something was given up because of silence.
    pub fn repeat(&mut self) -> bool {
        let (again, given_up) = self.exchange.due(clock::ticks(), |device| self.desk.shown(device));
        self.out.extend(again.into_iter().map(|(peer, frame)| (peer, frame.encode())));
        let silent = given_up.iter().any(|(_, why)| *why == NotAnswered::Silent);
        for (question, why) in given_up {
            metrics::counter!("gridwarden_gbt26875_unanswered_total").increment(1);
            let _ = question.asker.send(Err(why)); // Whoever asked may have hung up.
        }
        silent
    }

    /// The connection is over: nobody is reached by it any more, and its devices are gone until they are heard again.
    pub fn end(&self, alive: Timestamp) -> Inbound {
        let gone = self.desk.routes.ended(&self.to_us);
        let received = clock::wall();
        let devices = gone.into_iter().filter_map(|device| self.desk.device(device));
        let events = devices.map(|device| Event::Gone { device, since: alive, received }).collect();
        Inbound { events, ..Inbound::default() }
    }
}
