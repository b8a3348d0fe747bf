//! How long a fire takes from the detector's publish to the webhook while the station is under pressure, and what the pressure does to its memory.
//!
//! Used short by `make test` and long by `make torture`. Every fire is of another detector, so each is an alarm of its own.

use std::fmt::Write as _;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::StatusCode;
use axum::routing::post;
use serde_json::Value;
use tokio::sync::mpsc;
use tokio::task::JoinSet;

use crate::mad::{Mad, publish};
use crate::neighbours::eventually;
use crate::process::Process;
use crate::site::Site;

/// How much of everything.
#[derive(Clone, Copy, Debug)]
pub struct Scale {
    /// Fires per situation.
    pub fires: usize,
    pub flood: Duration,
    pub supervisory: usize,
    /// Points that gather while InfluxDB is away.
    pub backlog_points: usize,
    pub unknown_devices: usize,
}

/// The station's limits that matter under pressure.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    pub reports_at_once_max: u32,
    pub reports_per_minute_max: u32,
    pub journal_max_mb: u32,
    /// Detectors that can burn, each once.
    pub detectors: usize,
}

/// What one situation came to.
#[derive(Clone, Debug)]
pub struct Finding {
    pub situation: &'static str,
    /// Publish to webhook, sorted.
    pub latencies: Vec<Duration>,
    pub rss_mb: u64,
    pub note: String,
}

impl Finding {
    pub fn at(&self, share: f64) -> Duration {
        let last = self.latencies.len().saturating_sub(1);
        self.latencies[(last as f64 * share).round() as usize]
    }

    pub fn row(&self) -> String {
        let ms = |d: Duration| format!("{:.1}", d.as_secs_f64() * 1000.0);
        format!(
            "| {} | {} | {} | {} | {} | {} | {} |",
            self.situation,
            self.latencies.len(),
            ms(self.at(0.5)),
            ms(self.at(0.99)),
            ms(self.at(1.0)),
            self.rss_mb,
            self.note
        )
    }
}

pub fn table(findings: &[Finding]) -> String {
    let mut text =
        "| situation | fires | p50 ms | p99 ms | max ms | memory MB | |\n|---|---|---|---|---|---|---|\n"
            .to_owned();
    for finding in findings {
        let _ = writeln!(text, "{}", finding.row());
    }
    text
}

pub fn now() -> Instant {
    #[expect(clippy::disallowed_methods, reason = "the test measures")]
    Instant::now()
}

/// Points in one message of [`Bench::telemetry`].
pub const POINTS_A_MESSAGE: usize = 10;

/// Some of them wander as measurements do, the others hardly ever change.
fn ten_values(n: usize) -> String {
    let wander = |period: usize, width: usize| (n / period % width) as f64 / 10.0;
    format!(
        "{{\"values\":{{\"temperature\":{:.1},\"humidity\":{:.1},\"battery\":90,\"rssi\":{},\"snr\":7,\"co\":1,\"current\":{:.1},\"voltage\":{:.1},\"link_quality\":80,\"smoke_density\":0.1}}}}",
        18.0 + wander(7, 80),
        40.0 + wander(3, 170),
        -60 - (n % 7) as i64,
        3.0 + wander(1, 9),
        220.0 + wander(2, 90)
    )
}

/// A receiver of alerts that is slow for everything but fire, and an InfluxDB that can be away.
struct World {
    alerts: mpsc::UnboundedSender<(String, String, Instant)>,
    away: AtomicBool,
    points: AtomicU64,
}

pub struct Bench {
    pub process: Process,
    site: Site,
    world: Arc<World>,
    alerts: mpsc::UnboundedReceiver<(String, String, Instant)>,
    fires_used: usize,
    fires_per_situation: usize,
    _servers: JoinSet<()>,
}

impl Bench {
    pub async fn start(program: &Path, scale: Scale) -> Self {
        let limits = Limits {
            reports_at_once_max: 2_000,
            reports_per_minute_max: 6_000,
            journal_max_mb: 2_048,
            detectors: scale.fires * 6,
        };
        Self::start_with(program, scale, limits).await
    }

    pub async fn start_with(program: &Path, scale: Scale, limits: Limits) -> Self {
        #[expect(clippy::disallowed_methods, reason = "as many as there are fires in the test")]
        let (sender, alerts) = mpsc::unbounded_channel();
        let world =
            Arc::new(World { alerts: sender, away: AtomicBool::new(false), points: AtomicU64::new(0) });
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("loopback");
        let url = format!("http://{}", listener.local_addr().expect("bound"));
        let router = Router::new()
            .route("/alert", post(alert))
            .route("/api/v2/write", post(write))
            .layer(axum::extract::DefaultBodyLimit::disable())
            .with_state(world.clone());
        let mut servers = JoinSet::new();
        servers.spawn(async move { axum::serve(listener, router).await.expect("it serves") });
        let site = Site::new(&format!(
            "[[webhook]]\nname = \"duty\"\nurl = \"{url}/alert\"\n[influx]\nurl = \"{url}\"\norg = \"o\"\nbucket = \"b\"\n"
        ));
        let station = std::fs::read_to_string(site.file("station.toml")).expect("written");
        let station = station.replacen("[listener]\n", "[listener]\nmessages_per_s_max = 1000000\n", 1);
        site.write(
            "station.toml",
            &station.replacen(
                "commit_interval_ms = 20",
                &format!(
                    "commit_interval_ms = 200\njournal_max_mb = {}\nwritten_mb_per_day_max = 0",
                    limits.journal_max_mb
                ),
                1,
            ),
        );
        let rules = std::fs::read_to_string(site.file("rules.toml")).expect("written");
        site.write(
            "rules.toml",
            &format!(
                "[flood]\nreports_at_once_max = {}\nreports_per_minute_max = {}\n{rules}",
                limits.reports_at_once_max, limits.reports_per_minute_max
            ),
        );
        site.write("devices.csv", &devices(scale, limits.detectors));
        let process = Process::start(program, &site).await;
        Self {
            process,
            site,
            world,
            alerts,
            fires_used: 0,
            fires_per_situation: scale.fires,
            _servers: servers,
        }
    }

    /// Fires, one every 40 ms, while `pressure` runs; it is stopped after the last was told.
    pub async fn fires(
        &mut self,
        situation: &'static str,
        pressure: impl Future<Output = String>,
    ) -> Finding {
        let from = self.fires_used;
        self.fires_used += self.fires_per_situation;
        let port = self.process.mqtt_port;
        let many = self.fires_per_situation;
        let process = &self.process;
        let alerts = &mut self.alerts;
        let detect = async move {
            let mut detector = Mad::connect(port, situation).await.expect("the listener is open");
            let mut begun = std::collections::BTreeMap::new();
            for n in from..from + many {
                tokio::time::sleep(Duration::from_millis(40)).await;
                begun.insert(format!("F-{n}"), now());
                let topic = format!("gridwarden/up/F-{n}");
                detector.publish_safe(&topic, br#"{"values":{"smoke":true}}"#).await.expect("acknowledged");
            }
            let (mut latencies, mut rss) = (Vec::new(), 0);
            while latencies.len() < many {
                let next = tokio::time::timeout(Duration::from_secs(60), alerts.recv()).await;
                let (class, device, at) = next.expect("every fire is told").expect("the receiver runs");
                if class == "fire"
                    && let Some(begun) = begun.remove(&device)
                {
                    latencies.push(at.duration_since(begun));
                }
                rss = rss.max(process.rss_mb());
            }
            latencies.sort();
            (latencies, rss)
        };
        let mut note = String::new();
        let ((latencies, rss_mb), ()) = tokio::join!(detect, async { note = pressure.await });
        let rss_mb = rss_mb.max(self.process.rss_mb());
        Finding { situation, latencies, rss_mb, note }
    }

    /// One device sends as fast as the socket takes it.
    pub fn flood(&self, length: Duration) -> impl Future<Output = String> + use<> {
        let port = self.process.mqtt_port;
        async move {
            let mut mad = Mad::connect(port, "mad").await.expect("the listener is open");
            let block = publish(b"gridwarden/up/MAD", br#"{"values":{"temperature":21.5}}"#).repeat(200);
            let begun = now();
            let mut sent = 0u64;
            while begun.elapsed() < length {
                mad.write(&block).await.expect("it is read");
                sent += 200;
            }
            format!("{:.0} messages/s taken from one device", sent as f64 / begun.elapsed().as_secs_f64())
        }
    }

    /// So many messages of devices that nobody knows, as fast as the socket takes them.
    pub fn unknown(&self, many: usize) -> impl Future<Output = String> + use<> {
        let port = self.process.mqtt_port;
        async move {
            let mut mad = Mad::connect(port, "unknown").await.expect("the listener is open");
            let begun = now();
            for n in 0..many {
                let topic = format!("gridwarden/up/NO-{n}");
                mad.publish(topic.as_bytes(), br#"{"values":{"smoke":true}}"#).await.expect("it is read");
            }
            let safe = mad.publish_safe("gridwarden/up/MAD", br#"{"values":{}}"#).await;
            safe.expect("all before it is taken");
            format!("{many} unknown devices, {:.0} messages/s", many as f64 / begun.elapsed().as_secs_f64())
        }
    }

    /// Every hydrant flaps below its limit; each is told to somebody whose service is slow.
    pub fn supervisory(&self, many: usize) -> impl Future<Output = String> + use<> {
        let port = self.process.mqtt_port;
        async move {
            let mut mad = Mad::connect(port, "hydrants").await.expect("the listener is open");
            for pressure in [100, 160, 100] {
                for n in 0..many {
                    let payload = format!(r#"{{"values":{{"pressure":{pressure}}}}}"#);
                    let topic = format!("gridwarden/up/H-{n}");
                    mad.publish(topic.as_bytes(), payload.as_bytes()).await.expect("it is read");
                }
            }
            format!("{many} hydrants flap, each an alarm in the outbox of a slow receiver")
        }
    }

    /// Telemetry of ten values a message while InfluxDB is away; returns the worst memory.
    pub async fn outage(&self, points: usize) -> u64 {
        self.away(true);
        self.telemetry(0..points / POINTS_A_MESSAGE).await
    }

    pub fn away(&self, away: bool) {
        self.world.away.store(away, Ordering::Relaxed);
    }

    /// How many points InfluxDB has.
    pub fn points_arrived(&self) -> u64 {
        self.world.points.load(Ordering::Relaxed)
    }

    /// As fast as the station takes it, until it has all of it; returns the worst memory.
    pub async fn telemetry(&self, messages: std::ops::Range<usize>) -> u64 {
        let mut senders: Vec<Mad> = Vec::new();
        for n in 0..4 {
            senders.push(Mad::connect(self.process.mqtt_port, &format!("t-{n}")).await.expect("open"));
        }
        let mut worst = 0;
        for n in messages {
            let topic = format!("gridwarden/up/H-{}", n % 500);
            senders[n % 4].publish(topic.as_bytes(), ten_values(n).as_bytes()).await.expect("it is read");
            if n % 1000 == 0 {
                worst = worst.max(self.process.rss_mb());
            }
        }
        for sender in &mut senders {
            sender.publish_safe("gridwarden/up/MAD", br#"{"values":{}}"#).await.expect("taken");
        }
        worst.max(self.process.rss_mb())
    }

    /// InfluxDB is back; until it has this many points.
    pub fn drain(&self, points: usize) -> impl Future<Output = String> + use<> {
        let world = self.world.clone();
        async move {
            let before = world.points.load(Ordering::Relaxed);
            world.away.store(false, Ordering::Relaxed);
            let begun = now();
            let world = &world;
            eventually("the backlog is in the database", 300, || async move {
                (before + points as u64 <= world.points.load(Ordering::Relaxed)).then_some(())
            })
            .await;
            // The first answer comes at the end of a pause; the rate is that of the draining itself.
            format!("{points} points in {:.1} s with the pause before", begun.elapsed().as_secs_f64())
        }
    }

    /// Rows of the table, read beside the running gateway.
    pub fn dead_letters(&self) -> u64 {
        self.number("SELECT count(*), 0 FROM dead_letters").0
    }

    /// Readings in the journal, and their bytes.
    pub fn journal(&self) -> (u64, u64) {
        self.number("SELECT sum(readings), sum(length(bytes)) FROM journal")
    }

    /// Readings that retention dropped before InfluxDB had them.
    pub fn dropped(&self) -> u64 {
        self.number("SELECT coalesce(max(dropped), 0), 0 FROM cursors WHERE consumer = 'influx'").0
    }

    fn number(&self, sql: &str) -> (u64, u64) {
        let store = rusqlite::Connection::open(self.site.file("data/station.db")).expect("it is there");
        let row = |row: &rusqlite::Row<'_>| Ok((row.get::<_, i64>(0)? as u64, row.get::<_, i64>(1)? as u64));
        store.query_row(sql, (), row).expect("it can be read")
    }

    pub fn database_bytes(&self) -> u64 {
        let size = |name: &str| std::fs::metadata(self.site.file(name)).map_or(0, |data| data.len());
        size("data/station.db") + size("data/station.db-wal")
    }
}

async fn alert(State(world): State<Arc<World>>, body: Bytes) -> StatusCode {
    let at = now();
    let json: Value = serde_json::from_slice(&body).expect("JSON");
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let (class, device) = (text(&json["alarm"]["class"]), text(&json["alarm"]["device"]["id"]));
    let slow = class != "fire";
    let _ = world.alerts.send((class, device, at)); // The test may be over.
    if slow {
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    StatusCode::OK
}

async fn write(State(world): State<Arc<World>>, headers: axum::http::HeaderMap, body: Bytes) -> StatusCode {
    if world.away.load(Ordering::Relaxed) {
        return StatusCode::SERVICE_UNAVAILABLE;
    }
    let plain = if headers.get("content-encoding").is_some_and(|encoding| encoding == "gzip") {
        use std::io::Read;
        let mut plain = Vec::new();
        flate2::read::GzDecoder::new(&body[..]).read_to_end(&mut plain).expect("gzip");
        plain
    } else {
        body.to_vec()
    };
    // Ten fields make a line of an outage's message; a line's fields are counted by their commas.
    let fields = plain.split(|&b| b == b'\n').filter(|line| !line.is_empty()).map(|line| {
        let from = line.iter().position(|&b| b == b' ').map_or(0, |at| at + 1);
        1 + line[from..].iter().filter(|&&b| b == b',').count() as u64
    });
    world.points.fetch_add(fields.sum(), Ordering::Relaxed);
    StatusCode::NO_CONTENT
}

fn devices(scale: Scale, detectors: usize) -> String {
    let mut text = "id,kind,name,address,cell,place,lon,lat,silent_after_s\nMAD,smoke_detector,疯了的烟感,,S1-C1-G1,1栋,118.905,32.11,\n".to_owned();
    for n in 0..detectors {
        let _ = writeln!(text, "F-{n},smoke_detector,烟感,,S1-C1-G1,1栋,118.905,32.11,");
    }
    for n in 0..scale.supervisory.max(500) {
        let _ = writeln!(text, "H-{n},hydrant,消火栓,,S1-C1-G2,东门,118.919,32.11,");
    }
    text
}
