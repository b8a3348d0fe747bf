//! kill -9 of the gateway at random moments under load, and one oracle that counts what was lost.
//!
//! Collectors and smoke detectors publish with QoS 1 and keep a ledger of what was acknowledged; an operator acknowledges and resolves every alarm
//! over the API; the gateway is killed under load, while it starts, while it reloads (which takes a snapshot) and while it stops. At the end
//! everything drains, the gateway stops in order, and [`oracle`] compares ledgers, store, InfluxDB and webhook.

mod ledger;
mod oracle;
mod senders;
pub mod sink;
mod victim;

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use anyhow::{Context, ensure};
use tokio::task::JoinSet;

use self::ledger::Ledger;
use self::senders::Load;
pub use self::victim::{Moment, Victim};
use crate::neighbours::{free_port, mosquitto};
use crate::site::{Delivery, Receiver, Site};
use crate::standin::Standin;

/// What to do; the same plan and seed make the same choices.
#[derive(Clone, Debug)]
pub struct Plan {
    pub seed: u64,
    pub kills: u32,
    /// Connections with three hydrants each.
    pub collectors: usize,
    pub smoke_detectors: usize,
    /// Mosquitto stands between the devices and the gateway.
    pub broker: bool,
}

/// What came of it.
#[derive(Clone, Debug, Default)]
pub struct Figures {
    pub kills: [u32; Moment::ALL.len()],
    pub readings_acknowledged: usize,
    pub episodes: usize,
    pub actions: usize,
    pub alerts: usize,
    /// Stored or delivered more than once, which is allowed.
    pub readings_repeated: usize,
    pub points_repeated: usize,
    pub alerts_repeated: usize,
    pub withdrawn: usize,
    /// From publish to PUBACK on one connection, in milliseconds: of those that saw no kill.
    pub acknowledged_ms: Vec<f64>,
    /// From start of the program to ready, in milliseconds.
    pub ready_ms: Vec<f64>,
    pub peak_rss_kib: u64,
    /// One sentence for each thing lost, doubled or wrong. Nothing is what we want.
    pub faults: Vec<String>,
}

/// The value below which this share of the (sorted) values lies.
pub fn quantile(sorted: &[f64], share: f64) -> f64 {
    let at = ((sorted.len() as f64 * share).ceil() as usize).clamp(1, sorted.len().max(1)) - 1;
    sorted.get(at).copied().unwrap_or(f64::NAN)
}

/// What is left after a run, for the oracle; a test may take something away from it.
pub struct Evidence {
    /// Its folder has the store.
    pub site: Site,
    pub points: sink::Points,
    pub deliveries: Vec<Delivery>,
    ledger: Arc<Ledger>,
    figures: Figures,
}

impl Evidence {
    pub fn store(&self) -> PathBuf {
        self.site.file("data/station.db")
    }

    /// Compares what was promised with `store`.
    pub async fn judge(&self, store: &Path) -> anyhow::Result<Figures> {
        let mut figures = self.figures.clone();
        oracle::compare(store, &self.ledger, &self.points, &self.deliveries, &mut figures).await?;
        Ok(figures)
    }
}

/// Runs the plan to its end.
pub async fn torture(plan: &Plan) -> anyhow::Result<Figures> {
    let evidence = run(plan).await?;
    evidence.judge(&evidence.store()).await
}

/// The same, before the oracle has judged.
pub async fn run(plan: &Plan) -> anyhow::Result<Evidence> {
    let mut random = fastrand::Rng::with_seed(plan.seed);
    let receiver = Receiver::start().await;
    let points = sink::Points::default();
    let influx = Standin::start(0, points.clone().answer()).await?;
    let broker = match plan.broker {
        true => Some(mosquitto("max_queued_messages 0\nmax_inflight_messages 100\n").await?),
        false => None,
    };
    let (http, mqtt) = (free_port(), free_port());
    let site = site(plan, &receiver, &influx, broker.as_ref().map(|broker| broker.port), http, mqtt);
    let ledger = Arc::new(Ledger::default());
    let load = Load {
        mqtt: broker.as_ref().map_or(mqtt, |broker| broker.port),
        http,
        through_broker: plan.broker,
        ledger: ledger.clone(),
        receiver: receiver.clone(),
        enough: Arc::new(AtomicBool::new(false)),
    };

    let mut victim = Victim::new(site.file("station.toml"), site.file("log"), http);
    victim.start().await?;
    victim.ready().await?; // Subscribed, so that the broker keeps what comes.
    let mut senders = JoinSet::new();
    for number in 0..plan.collectors {
        senders.spawn(load.clone().collect(number, random.u64(..)));
    }
    for number in 0..plan.smoke_detectors {
        senders.spawn(load.clone().burn(number, random.u64(..)));
    }
    for _ in 0..plan.kills {
        let moment = Moment::choose(&mut random);
        tokio::select! {
            killed = victim.kill_at(moment, &mut random) => killed?,
            Some(ended) = senders.join_next() => anyhow::bail!("a sender ended too early: {ended:?}"),
        }
    }
    victim.ready().await?;
    load.enough.store(true, Ordering::Relaxed);
    let drained = async {
        while let Some(ended) = senders.join_next().await {
            ended??;
        }
        anyhow::Ok(())
    };
    tokio::time::timeout(Duration::from_secs(120), drained)
        .await
        .context("the senders are not done within 2 minutes")??;
    wait_for_sink(&ledger, &points).await;
    victim.stop_in_order().await?;
    ensure!(!victim.panicked(), "the gateway panicked: see its log:\n{}", victim.log());

    let mut figures = Figures { kills: victim.kills, ready_ms: victim.ready_ms, ..Figures::default() };
    figures.peak_rss_kib = victim.peak_rss_kib;
    figures.ready_ms.sort_by(f64::total_cmp);
    Ok(Evidence { site, points, deliveries: receiver.deliveries(), ledger, figures })
}

/// Until the sink has every acknowledged reading, or a minute is over; the oracle then says what is missing.
async fn wait_for_sink(ledger: &Ledger, points: &sink::Points) {
    let all = ledger.readings();
    for _ in 0..600 {
        if points.hold_all(&all) {
            return;
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}

fn site(
    plan: &Plan,
    receiver: &Receiver,
    influx: &Standin,
    broker: Option<u16>,
    http: u16,
    mqtt: u16,
) -> Site {
    let mut more = format!(
        "{}timeout_s = 5\n[influx]\nurl = \"{}\"\norg = \"o\"\nbucket = \"b\"\nbatch_ms = 50\n",
        receiver.config(),
        influx.url()
    );
    if let Some(port) = broker {
        more.push_str(&format!(
            "[[broker]]\nname = \"street\"\nhost = \"127.0.0.1\"\nport = {port}\nclient_id = \"gridwarden-crash\"\nsubscribe = [\"gridwarden/up/#\"]\n"
        ));
    }
    let site = Site::new(&more);
    site.fix_ports(http, mqtt);
    let mut devices = "id,kind,name,address,cell,place,lon,lat,silent_after_s\n".to_owned();
    for number in 0..plan.smoke_detectors {
        devices
            .push_str(&format!("SD-{number},smoke_detector,烟感,,S1-C1-G1,1栋{number}01,118.905,32.11,\n"));
    }
    for number in 0..plan.collectors * senders::HYDRANTS {
        devices.push_str(&format!("HY-{number},hydrant,消火栓,,S1-C1-G2,东门{number},118.919,32.11,\n"));
    }
    site.write("devices.csv", &devices);
    site
}
