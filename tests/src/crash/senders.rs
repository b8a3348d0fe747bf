//! The devices and the operator: they send until acknowledged, over however many connections that takes, and write down what they were promised.

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context, bail, ensure};
use reqwest::StatusCode;
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::TcpStream;
use tokio::time::{sleep, timeout};

use super::ledger::{Deed, Episode, Ledger, Reading};
use super::victim::now;
use crate::site::{Receiver, TOKEN};

/// Of each collector.
pub const HYDRANTS: usize = 3;
/// Readings a collector sends before it waits for acknowledgements.
const WINDOW: usize = 16;
const PATIENCE: Duration = Duration::from_secs(60);

/// What the senders share.
#[derive(Clone)]
pub struct Load {
    pub mqtt: u16,
    pub http: u16,
    pub through_broker: bool,
    pub ledger: Arc<Ledger>,
    pub receiver: Receiver,
    /// Finish what was begun and end.
    pub enough: Arc<AtomicBool>,
}

struct Waiting {
    id: u16,
    topic: String,
    payload: String,
    reading: Reading,
    at: Instant,
    /// Sent before, on another connection.
    again: bool,
}

/// One device's connection, made again when it breaks, and what waits for its acknowledgement.
struct Line {
    port: u16,
    client: String,
    stream: Option<BufReader<TcpStream>>,
    waiting: VecDeque<Waiting>,
    last_id: u16,
    random: fastrand::Rng,
    ledger: Arc<Ledger>,
}

impl Line {
    /// Never fails for good: a gateway that is away comes back.
    async fn send(&mut self, topic: String, payload: String, reading: Reading) {
        self.last_id = self.last_id % u16::MAX + 1;
        self.waiting.push_back(Waiting {
            id: self.last_id,
            topic,
            payload,
            reading,
            at: now(),
            again: false,
        });
        if self.stream.is_some() {
            let newest = self.waiting.back().expect("just added");
            let bytes = publish(newest, false);
            self.write(&bytes).await;
        }
    }

    /// Until at most so many wait.
    async fn settle(&mut self, most: usize) {
        while self.waiting.len() > most {
            if self.stream.is_none() {
                self.connect().await;
            } else if self.take().await.is_err() {
                self.stream = None;
            }
        }
    }

    async fn write(&mut self, bytes: &[u8]) {
        if let Some(stream) = &mut self.stream
            && stream.write_all(bytes).await.is_err()
        {
            self.stream = None;
        }
    }

    /// Connects, and sends everything that waits once more: sometimes marked as sent again, sometimes as a device that has just started would.
    async fn connect(&mut self) {
        let Ok(stream) = TcpStream::connect(("127.0.0.1", self.port)).await else {
            return sleep(Duration::from_millis(5)).await;
        };
        let mut stream = BufReader::new(stream);
        let mut hello = vec![0x10, (12 + self.client.len()) as u8, 0, 4];
        hello.extend(b"MQTT\x04\x02\x00\x3c\x00");
        hello.push(self.client.len() as u8);
        hello.extend(self.client.as_bytes());
        let mut answer = [0; 4];
        let greeted = async {
            stream.write_all(&hello).await?;
            stream.read_exact(&mut answer).await
        };
        if !matches!(timeout(Duration::from_secs(5), greeted).await, Ok(Ok(_))) || answer != [0x20, 2, 0, 0] {
            return sleep(Duration::from_millis(5)).await;
        }
        let mut bytes = Vec::new();
        let marked = self.random.bool();
        for waiting in &mut self.waiting {
            bytes.extend(publish(waiting, marked && waiting.again));
            waiting.again = true;
        }
        self.stream = Some(stream);
        self.write(&bytes).await;
    }

    /// One PUBACK, which must be that of the oldest message.
    async fn take(&mut self) -> anyhow::Result<()> {
        let stream = self.stream.as_mut().context("connected")?;
        let mut packet = [0; 4];
        timeout(Duration::from_secs(20), stream.read_exact(&mut packet)).await??;
        ensure!(packet[..2] == [0x40, 2], "a PUBACK, not {packet:?}");
        let id = u16::from_be_bytes([packet[2], packet[3]]);
        let oldest = self.waiting.pop_front().context("a PUBACK for nothing")?;
        if id != oldest.id {
            self.ledger.fault(format!("PUBACK {id} came where {} was due", oldest.id));
        }
        let took = (!oldest.again).then(|| oldest.at.elapsed().as_secs_f64() * 1e3);
        self.ledger.acknowledged(oldest.reading, took);
        Ok(())
    }
}

fn publish(message: &Waiting, marked: bool) -> Vec<u8> {
    let length = 2 + message.topic.len() + 2 + message.payload.len();
    let mut bytes =
        vec![if marked { 0x3a } else { 0x32 }, (length % 128) as u8 | 0x80, (length / 128) as u8, 0];
    bytes.push(message.topic.len() as u8);
    bytes.extend(message.topic.as_bytes());
    bytes.extend(message.id.to_be_bytes());
    bytes.extend(message.payload.as_bytes());
    bytes
}

impl Load {
    fn line(&self, client: String, seed: u64) -> Line {
        Line {
            port: self.mqtt,
            client,
            stream: None,
            waiting: VecDeque::new(),
            last_id: 0,
            random: fastrand::Rng::with_seed(seed),
            ledger: self.ledger.clone(),
        }
    }

    /// A collector with several hydrants: one reading after the other.
    pub async fn collect(self, number: usize, seed: u64) -> anyhow::Result<()> {
        let mut line = self.line(format!("collector-{number}"), seed);
        let mut times = [0; HYDRANTS];
        let mut sent = 0_u32;
        while !self.enough.load(Ordering::Relaxed) {
            let hydrant = sent as usize % HYDRANTS;
            let device = format!("HY-{}", number * HYDRANTS + hydrant);
            let time = next_time(&mut times[hydrant]);
            let value = 200.0 + f64::from(sent % 80_000) / 100.0;
            let payload = json!({ "time": time, "values": { "pressure": value } }).to_string();
            let reading = Reading { device: device.clone(), metric: "pressure", time, value };
            line.send(format!("gridwarden/up/{device}"), payload, reading).await;
            line.settle(WINDOW).await;
            sent += 1;
            sleep(Duration::from_millis(line.random.u64(2..8))).await;
        }
        line.settle(0).await;
        Ok(())
    }

    /// A smoke detector and the operator who answers its alarms.
    pub async fn burn(self, number: usize, seed: u64) -> anyhow::Result<()> {
        let device = format!("SD-{number}");
        let mut line = self.line(format!("smoke-{number}"), seed);
        let mut time = 0;
        let client = reqwest::Client::builder().timeout(Duration::from_secs(10)).no_proxy().build()?;
        let operator = Operator { load: &self, client, device: &device };
        while !self.enough.load(Ordering::Relaxed) {
            for _ in 0..line.random.u32(1..4) {
                operator.report(&mut line, &mut time, true).await;
            }
            let alarm = operator.the_alarm().await?;
            self.ledger.episode(Episode { device: device.clone(), alarm: alarm.clone() });
            if line.random.bool() {
                operator.wait_until_told(&alarm).await?;
            }
            if line.random.bool() {
                operator.act(&alarm, "acknowledge", line.random.u64(..)).await?;
                operator.report(&mut line, &mut time, false).await;
                operator.must_be(&alarm, "returned").await?;
            } else {
                operator.report(&mut line, &mut time, false).await;
                operator.must_have_returned(&alarm).await?;
                operator.act(&alarm, "acknowledge", line.random.u64(..)).await?;
            }
            operator.act(&alarm, "resolve", line.random.u64(..)).await?;
            operator.must_be(&alarm, "closed").await?;
            sleep(Duration::from_millis(line.random.u64(0..60))).await;
        }
        Ok(())
    }
}

/// Different for every reading of a device.
fn next_time(last: &mut i64) -> i64 {
    *last = gateway::clock::wall().0.max(*last + 1);
    *last
}

struct Operator<'a> {
    load: &'a Load,
    client: reqwest::Client,
    device: &'a str,
}

impl Operator<'_> {
    async fn report(&self, line: &mut Line, time: &mut i64, smoke: bool) {
        let time = next_time(time);
        let payload = json!({ "time": time, "values": { "smoke": smoke } }).to_string();
        let reading = Reading {
            device: self.device.to_owned(),
            metric: "smoke",
            time,
            value: f64::from(u8::from(smoke)),
        };
        line.send(format!("gridwarden/up/{}", self.device), payload, reading).await;
        line.settle(0).await;
    }

    /// What the gateway answers, when it is there.
    async fn ask(&self, path: &str, body: Option<&Value>) -> anyhow::Result<(StatusCode, Value)> {
        let url = format!("http://127.0.0.1:{}{path}", self.load.http);
        let trying = async {
            loop {
                let request = match body {
                    None => self.client.get(&url),
                    Some(body) => self.client.post(&url).json(body),
                };
                if let Ok(answer) = request.bearer_auth(TOKEN).send().await {
                    let status = answer.status();
                    if status.as_u16() < 500
                        && let Ok(body) = answer.json().await
                    {
                        return (status, body);
                    }
                }
                sleep(Duration::from_millis(5)).await;
            }
        };
        timeout(PATIENCE, trying).await.with_context(|| format!("{path} is not answered"))
    }

    /// Asks until the answer is right. Without a broker in between, the first answer must be: the reading was acknowledged.
    async fn see<T>(&self, path: &str, what: &str, right: impl Fn(&Value) -> Option<T>) -> anyhow::Result<T> {
        let started = now();
        loop {
            let (status, answer) = self.ask(path, None).await?;
            ensure!(status.is_success(), "GET {path}: {status} {answer}");
            match right(&answer) {
                Some(found) => return Ok(found),
                None if self.load.through_broker && started.elapsed() < PATIENCE => {
                    sleep(Duration::from_millis(10)).await;
                }
                None => bail!("{}: {what}, but the gateway says {answer}", self.device),
            }
        }
    }

    /// The one alarm of the fire that was acknowledged.
    async fn the_alarm(&self) -> anyhow::Result<String> {
        let path = format!("/api/v1/alarms?open=true&device={}", self.device);
        self.see(&path, "one alarm must be open", |answer| match answer["items"].as_array()?.as_slice() {
            [alarm] => alarm["id"].as_str().map(ToOwned::to_owned),
            [] | [_, ..] => None,
        })
        .await
    }

    async fn must_be(&self, alarm: &str, state: &str) -> anyhow::Result<()> {
        let path = format!("/api/v1/alarms/{alarm}");
        self.see(&path, &format!("{alarm} must be {state}"), |answer| {
            (answer["alarm"]["state"] == state).then_some(())
        })
        .await
    }

    async fn must_have_returned(&self, alarm: &str) -> anyhow::Result<()> {
        let path = format!("/api/v1/alarms/{alarm}");
        self.see(&path, &format!("{alarm} must have returned to normal"), |answer| {
            (!answer["alarm"]["returned"].is_null()).then_some(())
        })
        .await
    }

    /// An action until it is answered. Answered 409 after an answer was lost, it was done the time before.
    async fn act(&self, alarm: &str, verb: &str, token: u64) -> anyhow::Result<()> {
        let note = format!("{verb}-{token:016x}");
        let (body, what) = match verb {
            "acknowledge" => (json!({ "note": note }), "acknowledged"),
            _ => (json!({ "note": note, "disposition": "false_alarm" }), "resolved"),
        };
        let (status, answer) = self.ask(&format!("/api/v1/alarms/{alarm}/{verb}"), Some(&body)).await?;
        let done_before = status == StatusCode::CONFLICT || status == StatusCode::NOT_FOUND;
        ensure!(status.is_success() || done_before, "{verb} {alarm}: {status} {answer}");
        self.load.ledger.deed(Deed { alarm: alarm.to_owned(), what, note });
        Ok(())
    }

    /// A receiver that answers at once hears of a fire, kills or not.
    async fn wait_until_told(&self, alarm: &str) -> anyhow::Result<()> {
        let started = now();
        while started.elapsed() < PATIENCE {
            if self.load.receiver.heard_of(alarm) {
                return Ok(());
            }
            sleep(Duration::from_millis(10)).await;
        }
        bail!("nobody was told of {alarm} within {PATIENCE:?}")
    }
}
