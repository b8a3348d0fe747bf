//! One client, from CONNACK to its end.
//!
//! [`Connection::advance`] does everything that needs no waiting; [`Connection::carry`] waits for whichever comes first. Reading
//! pauses, so that TCP holds the sender back, while [`UNCOMMITTED_MAX`] messages wait for their commit, while the driver's queue is full, while
//! the sender is ahead of its pace, or while it does not read its answers. Such a pause never counts as the client's silence.
//! Exactly once (QoS 2) holds within one connection: packet ids are forgotten with it.

mod ending;
mod taking;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use bytes::{Buf, BytesMut};
use futures::future::{BoxFuture, OptionFuture};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::select;
use tokio::time::{Instant, sleep_until};

use self::ending::End;
use super::answer::{self, Ack, Step};
use super::greeting::Session;
use super::hub::Why;
use super::outbound::Outbound;
use super::pace::Pace;
use super::packet;
use super::pipe::{Pipe, Turn};
use super::{Shared, UNCOMMITTED_MAX};
use crate::clock;
use crate::io::acks::AckLine;
use crate::io::inlet::{Closed, Inbound, TOGETHER_MAX};
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
    /// Messages that go to the driver together, the next time that there is nothing more to take.
    gathered: Option<Inbound>,
    /// Messages the driver had no room for.
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
            gathered: None,
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
        self.hand_over()?; // What waited for room.
        let taken = self.take_all();
        self.hand_over()?;
        taken?;
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

    /// Everything that was read, as far as it may be taken now.
    fn take_all(&mut self) -> Result<(), End> {
        let mut read = std::mem::take(&mut self.pipe.read);
        let taken = self.take_from(&mut read);
        self.pipe.read = read;
        taken
    }

    fn take_from(&mut self, read: &mut BytesMut) -> Result<(), End> {
        let now = clock::ticks();
        while !read.is_empty() && self.may_take(now) {
            // Cut out first and done after: so their devices are looked up together, before the first is read.
            let (version, packet_max) = (self.session.version, self.shared.packet_max);
            let packets = packet::together(read, version, packet_max, TOGETHER_MAX).map_err(End::Fault)?;
            if packets.is_empty() {
                break;
            }
            let topics = packets.iter().filter_map(|(packet, _)| packet.topic());
            let topics: Vec<&str> = topics.collect();
            let one_by_one = (self.shared.intake)(&topics);
            let mut taken = 0;
            for (packet, length) in packets {
                if !self.may_take(now) {
                    break;
                }
                self.take(packet, &one_by_one)?;
                taken += length;
            }
            read.advance(taken);
        }
        Ok(())
    }

    fn may_take(&mut self, now: Instant) -> bool {
        let room = self.has_room();
        if room {
            self.paced_until = self.pace.wait_until(now);
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
}
