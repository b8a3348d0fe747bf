//! A load of heartbeats and pressures at a rate, as a whole city sends them, and how long each waited for its acknowledgement.
//!
//! Open loop: message k is due at a moment fixed beforehand and its latency counts from that moment, so a stall of the other side shows in
//! every message that was due meanwhile. Without a rate it is a closed loop that keeps each connection's window full, to find the most
//! the other side takes. Only the sending costs matter here, so packets are written by hand: MQTT 3.1.1, QoS 0 or 1.

mod payload;

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use anyhow::{Context, bail, ensure};
use bytes::{Buf, BytesMut};
use hdrhistogram::Histogram;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::select;
use tokio::sync::Barrier;
use tokio::task::JoinSet;
use tokio::time::{Instant, interval, sleep_until};

use self::payload::Speaker;
use crate::Say;
use crate::neighbourhood::Row;

/// So much is written to a socket at once.
const WRITE_BYTES: usize = 64 * 1024;
/// Packet ids end here.
const WINDOW_MAX: usize = 65_535;
/// Latencies are kept with three digits up to this.
const LATENCY_MAX_US: u64 = 600_000_000;

/// What to send where.
pub struct Load {
    /// `host:port`
    pub address: String,
    pub devices: Vec<Row>,
    pub connections: usize,
    /// Messages a second on all connections together; `None` is as fast as acknowledgements come.
    pub per_s: Option<f64>,
    pub messages: u64,
    /// 1, or 0: then what counts as the acknowledgement is that the socket took it.
    pub qos: u8,
    /// Messages of one connection that may wait for their acknowledgement.
    pub window: usize,
    pub seed: u64,
    pub says: Says,
}

/// What every detector says.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Says {
    #[default]
    AllIsWell,
    /// For a storm of alarms that are never folded.
    Smoke,
    /// For a storm of alarms that may be.
    TamperedWith,
}

/// What came of it. Latencies in microseconds from the moment a message was due.
pub struct Outcome {
    pub sent: u64,
    /// Of all payloads together.
    pub payload_bytes: u64,
    pub took: Duration,
    pub latency: Histogram<u64>,
}

impl Outcome {
    pub fn per_s(&self) -> f64 {
        self.sent as f64 / self.took.as_secs_f64()
    }

    /// Latency in milliseconds below which this part of the messages lies.
    pub fn ms(&self, part: f64) -> f64 {
        self.latency.value_at_quantile(part) as f64 / 1000.0
    }
}

/// Sends it all; returns when everything is acknowledged. Says every second how far it is.
pub async fn run(load: Load, say: Say) -> anyhow::Result<Outcome> {
    ensure!((1..=WINDOW_MAX).contains(&load.window), "the window must be 1 to {WINDOW_MAX}");
    ensure!(load.qos <= 1, "QoS must be 0 or 1");
    let mut speakers: Vec<Speaker> = load.devices.iter().filter_map(Speaker::of).collect();
    ensure!(!speakers.is_empty(), "the neighbourhood has no device that speaks native or zigbee2mqtt");
    // Neighbours in a list do not speak one after the other.
    fastrand::Rng::with_seed(load.seed).shuffle(&mut speakers);
    let connections = load.connections.clamp(1, speakers.len());
    say(&format!("{} devices on {connections} connections to {}", speakers.len(), load.address));

    let mut shares: Vec<Vec<Speaker>> = (0..connections).map(|_| Vec::new()).collect();
    for (at, speaker) in speakers.into_iter().enumerate() {
        shares[at % connections].push(speaker);
    }
    let (all_open, done) = (Arc::new(Barrier::new(connections + 1)), Arc::new(AtomicU64::new(0)));
    let payload_bytes = Arc::new(AtomicU64::new(0));
    let mut tasks = JoinSet::new();
    for (number, speakers) in shares.into_iter().enumerate() {
        let own = load.messages / connections as u64
            + u64::from((number as u64) < load.messages % connections as u64);
        let link = Link {
            client_id: format!("load-{}-{number}", load.seed),
            speakers,
            messages: own,
            qos: load.qos,
            says: load.says,
            payload_bytes: payload_bytes.clone(),
            first_us: load.per_s.map_or(0.0, |per_s| number as f64 * 1e6 / per_s),
            every_us: load.per_s.map(|per_s| connections as f64 * 1e6 / per_s),
            slots: vec![None; load.window],
            random: fastrand::Rng::with_seed(load.seed.wrapping_add(number as u64)),
            done: done.clone(),
            latency: Histogram::new_with_max(LATENCY_MAX_US, 3)?,
        };
        let (address, all_open) = (load.address.clone(), all_open.clone());
        tasks.spawn(async move { link.run(&address, &all_open).await });
    }
    let opened = async {
        select! {
            biased; // A connection with little to send may have ended by the time somebody looks here.
            _ = all_open.wait() => Ok(()),
            Some(ended) = tasks.join_next() => match ended.context("a connection broke")? {
                Err(error) => Err(error),
                Ok(_) => bail!("a connection ended before all were open"),
            },
        }
    };
    opened.await?;
    let started = Instant::now();
    let mut latency = Histogram::new_with_max(LATENCY_MAX_US, 3)?;
    let mut every_second = interval(Duration::from_secs(1));
    every_second.tick().await;
    let mut before = 0;
    loop {
        select! {
            ended = tasks.join_next() => match ended {
                Some(ended) => latency.add(ended.context("a connection broke")??)?,
                None => break,
            },
            _ = every_second.tick() => {
                let now = done.load(Ordering::Relaxed);
                say(&format!("{now} of {} messages, {}/s", load.messages, now - before));
                before = now;
            }
        }
    }
    let payload_bytes = payload_bytes.load(Ordering::Relaxed);
    Ok(Outcome { sent: latency.len(), payload_bytes, took: started.elapsed(), latency })
}

/// One connection and what it has to send.
struct Link {
    client_id: String,
    speakers: Vec<Speaker>,
    messages: u64,
    qos: u8,
    says: Says,
    payload_bytes: Arc<AtomicU64>,
    first_us: f64,
    /// `None`: whenever there is room.
    every_us: Option<f64>,
    /// When the message with packet id slot + 1 was due; `None` is free.
    slots: Vec<Option<u64>>,
    random: fastrand::Rng,
    done: Arc<AtomicU64>,
    latency: Histogram<u64>,
}

impl Link {
    async fn run(mut self, address: &str, all_open: &Barrier) -> anyhow::Result<Histogram<u64>> {
        let mut stream =
            TcpStream::connect(address).await.with_context(|| format!("cannot connect to {address}"))?;
        stream.set_nodelay(true)?;
        stream.write_all(&connect(&self.client_id)).await?;
        let mut answer = [0; 4];
        stream.read_exact(&mut answer).await.context("the other side closed instead of CONNACK")?;
        ensure!(answer[0] == 0x20 && answer[3] == 0, "the other side refused the connection: {answer:?}");
        all_open.wait().await;
        self.send_all(stream, Instant::now()).await?;
        Ok(self.latency)
    }

    async fn send_all(&mut self, mut stream: TcpStream, started: Instant) -> anyhow::Result<()> {
        let (mut reading, mut writing) = stream.split();
        let (mut out, mut read) =
            (BytesMut::with_capacity(2 * WRITE_BYTES), BytesMut::with_capacity(16 * 1024));
        let (mut sent, mut acknowledged, mut bytes) = (0u64, 0u64, 0u64);
        let mut text = String::new();
        while acknowledged < self.messages {
            let now = started.elapsed().as_micros() as u64;
            let stamp = payload::now();
            while sent < self.messages && out.len() < WRITE_BYTES {
                let due = self.due(sent).unwrap_or(now);
                let slot = (sent % self.slots.len() as u64) as usize;
                if now < due || self.slots[slot].is_some() {
                    break;
                }
                let speaker = &self.speakers[(sent % self.speakers.len() as u64) as usize];
                text.clear();
                speaker.say(&mut text, &stamp, self.says, &mut self.random);
                bytes += text.len() as u64;
                publish(
                    &mut out,
                    speaker.topic(),
                    (self.qos == 1).then_some(slot as u16 + 1),
                    text.as_bytes(),
                );
                sent += 1;
                match self.qos {
                    0 => {
                        acknowledged += 1;
                        self.note(now - due);
                    }
                    _ => self.slots[slot] = Some(due),
                }
            }
            let next = self.due(sent).filter(|_| sent < self.messages && out.len() < WRITE_BYTES);
            // With a full window only an acknowledgement helps.
            let free = self.slots[(sent % self.slots.len() as u64) as usize].is_none();
            select! {
                wrote = writing.write_buf(&mut out), if !out.is_empty() => { wrote?; }
                count = reading.read_buf(&mut read) => {
                    ensure!(count? > 0, "the other side closed after {acknowledged} of {sent} messages");
                    acknowledged += self.take_acks(&mut read, started)?;
                }
                () = sleep_until(started + Duration::from_micros(next.unwrap_or(0))), if next.is_some() && free => (),
            }
        }
        writing.write_all(&out).await?;
        writing.write_all(&[0xE0, 0]).await?; // DISCONNECT
        self.payload_bytes.fetch_add(bytes, Ordering::Relaxed);
        Ok(())
    }

    /// Microseconds from the start at which message `number` of this connection is due.
    fn due(&self, number: u64) -> Option<u64> {
        self.every_us.map(|every| (self.first_us + number as f64 * every) as u64)
    }

    fn take_acks(&mut self, read: &mut BytesMut, started: Instant) -> anyhow::Result<u64> {
        let now = started.elapsed().as_micros() as u64;
        let mut count = 0;
        while read.len() >= 4 {
            ensure!(read[0] == 0x40 && read[1] == 2, "the other side sent {:02x?}, no PUBACK", &read[..4]);
            let slot = usize::from(u16::from_be_bytes([read[2], read[3]])).wrapping_sub(1);
            let due = self.slots.get_mut(slot).and_then(Option::take);
            let due = due.with_context(|| format!("PUBACK for {slot}, which was not sent"))?;
            self.note(now.saturating_sub(due));
            read.advance(4);
            count += 1;
        }
        Ok(count)
    }

    fn note(&mut self, latency_us: u64) {
        self.latency.saturating_record(latency_us);
        self.done.fetch_add(1, Ordering::Relaxed);
    }
}

/// CONNECT with a clean session and no keep-alive.
fn connect(client_id: &str) -> Vec<u8> {
    let mut packet = vec![0x10, 12 + client_id.len() as u8];
    packet.extend_from_slice(b"\x00\x04MQTT\x04\x02\x00\x00");
    packet.extend_from_slice(&(client_id.len() as u16).to_be_bytes());
    packet.extend_from_slice(client_id.as_bytes());
    packet
}

/// PUBLISH, with QoS 1 when there is a packet id.
fn publish(out: &mut BytesMut, topic: &str, id: Option<u16>, payload: &[u8]) {
    let mut length = 2 + topic.len() + id.map_or(0, |_| 2) + payload.len();
    out.extend_from_slice(&[if id.is_some() { 0x32 } else { 0x30 }]);
    while length >= 128 {
        out.extend_from_slice(&[length as u8 | 128]);
        length >>= 7;
    }
    out.extend_from_slice(&[length as u8]);
    out.extend_from_slice(&(topic.len() as u16).to_be_bytes());
    out.extend_from_slice(topic.as_bytes());
    if let Some(id) = id {
        out.extend_from_slice(&id.to_be_bytes());
    }
    out.extend_from_slice(payload);
}

#[cfg(test)]
mod tests {
    use rumqttc::mqttbytes::v4;

    use super::*;

    #[test]
    fn a_long_publish_is_read_as_it_was_meant() {
        let mut out = BytesMut::new();
        publish(&mut out, "gridwarden/up/SD-1", Some(7), &[b'x'; 300]);
        let read = v4::Packet::read(&mut out, 10_000).unwrap();
        let v4::Packet::Publish(read) = read else { panic!("{read:?}") };
        assert_eq!((read.topic.as_str(), read.pkid, read.payload.len()), ("gridwarden/up/SD-1", 7, 300));
        assert!(out.is_empty());
    }

    /// The other side holds its acknowledgements back for a while: every message that was due meanwhile shows it.
    #[tokio::test]
    async fn a_stall_shows_in_every_message_that_was_due_meanwhile() {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let mut server = JoinSet::new();
        server.spawn(async move {
            let (mut stream, _) = listener.accept().await.unwrap();
            let (mut read, mut counted) = (BytesMut::new(), 0);
            loop {
                if stream.read_buf(&mut read).await.unwrap() == 0 {
                    return counted;
                }
                while let Ok(packet) = v4::Packet::read(&mut read, 10_000) {
                    if let v4::Packet::Connect(_) = packet {
                        stream.write_all(&[0x20, 2, 0, 0]).await.unwrap();
                    } else if let v4::Packet::Publish(publish) = packet {
                        counted += 1;
                        if counted == 100 {
                            tokio::time::sleep(Duration::from_millis(200)).await;
                        }
                        let [high, low] = publish.pkid.to_be_bytes();
                        stream.write_all(&[0x40, 2, high, low]).await.unwrap();
                    }
                }
            }
        });
        let row = |n: u32| Row {
            id: format!("SD-{n}"),
            kind: "smoke_detector".into(),
            address: format!("native:SD-{n}"),
            ..Row::default()
        };
        let load = Load {
            address,
            devices: (0..10).map(row).collect(),
            connections: 1,
            per_s: Some(1_000.0),
            messages: 400,
            qos: 1,
            window: 1_000,
            seed: 1,
            says: Says::AllIsWell,
        };
        let outcome = run(load, Arc::new(|_| ())).await.unwrap();
        assert_eq!((outcome.sent, server.join_next().await.unwrap().unwrap()), (400, 400));
        let slow = outcome.latency.iter_recorded().filter(|slot| slot.value_iterated_to() > 50_000);
        let slow: u64 = slow.map(|slot| slot.count_at_value()).sum();
        assert!(slow >= 120, "only {slow} messages show the stall of 200 ms at 1,000 a second");
    }
}
