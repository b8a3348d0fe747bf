//! The wiring: every channel and every task, in one place, sources first.
//!
//! A start opens the store, brings the engine to where the journal ends ([`recovery`]), takes in changed files ([`reload`]), and binds every socket before
//! anything runs, so that a wrong address is an error and not a log line. A stop ends the sources; the driver ends when the last of them has dropped its inlet,
//! and everything accepted is on disk.

mod recovery;
mod reload;

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use tokio::net::TcpListener;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use crate::clock::Clock;
use crate::config::{self, Loaded};
use crate::engine::Engine;
use crate::grid::Registry;
use crate::health::{Check, Health};
use crate::http::{self, Api};
use crate::io::centre::Centre;
use crate::io::commands::Commands;
use crate::io::driver::Driver;
use crate::io::inlet::Inbound;
use crate::io::listener::Listener;
use crate::io::mqtt::sparkplug::Sparkplug;
use crate::io::onvif::PullPoint;
use crate::io::orders::Orders;
use crate::io::outlast::outlast;
use crate::io::own_trouble::OwnTrouble;
use crate::io::roll_call::RollCalls;
use crate::io::roster::RosterWatch;
use crate::io::self_watch::SelfWatch;
use crate::io::stills::Stills;
use crate::io::{camera, commands, gbt26875, influx, inlet, meokon, modbus, mqtt, own_trouble};
use crate::learning::preview::Trials;
use crate::learning::{Desk, Learning, RulesFile};
use crate::live::Live;
use crate::metrics::Metrics;
use crate::model::Event;
use crate::notify::alarm_mqtt::AlarmMqtt;
use crate::notify::mqtt::{Mqtt, Publisher};
use crate::notify::unrecorded::Unrecorded;
use crate::notify::{Channel, Letterhead, Terms, Worker, alertmanager, open};
use crate::service;
use crate::store::{Limits, Store, attachments, restore, stills};
use crate::supervise::Supervisor;
use crate::units::Now;
use crate::waiting::{Room, SharedRoom};
use crate::{account_command, world};

pub use crate::world::Reload;

/// How long a stop may take before what hangs is named and dropped.
const GRACE: Duration = Duration::from_secs(20);

/// Where the station can be reached; the ports that were asked for, or given for port 0.
#[derive(Clone, Copy, Debug)]
pub struct Addresses {
    pub http: SocketAddr,
    pub listener: Option<SocketAddr>,
    /// Where transmission devices are heard.
    pub gbt26875_tcp: Option<SocketAddr>,
    pub gbt26875_udp: Option<SocketAddr>,
    pub meokon_tcp: Option<SocketAddr>,
    pub meokon_udp: Option<SocketAddr>,
}

/// A station that is ready to run: everything is open and bound.
pub struct App {
    /// station.toml
    path: PathBuf,
    loaded: Loaded,
    store: Store,
    clock: Clock,
    live: Arc<Live>,
    health: Arc<Health>,
    configuration: Check,
    world: world::Shared,
    engine: Engine,
    seq: u64,
    http: TcpListener,
    listener: Option<Listener>,
    gbt26875: Option<gbt26875::Server>,
    meokon: Option<meokon::Server>,
    sources: Vec<mqtt::Source>,
    metrics: Metrics,
    reload: Reload,
    /// What the store lost; empty as a rule.
    damage: String,
}

impl App {
    /// `path` is the station.toml that was loaded; a reload reads it again.
    pub async fn start(path: &Path, loaded: Loaded) -> anyhow::Result<Self> {
        Self::start_by(Clock::continue_after, path, loaded).await
    }

    /// The same by a clock of one's own, which continues after the newest moment in the journal.
    pub async fn start_by(
        clock: impl FnOnce(Option<Now>) -> Clock,
        path: &Path,
        loaded: Loaded,
    ) -> anyhow::Result<Self> {
        let folder = loaded.folder.clone();
        let (store, recovered) = Store::open(&loaded.store_path(), limits(&loaded.config.store))?;
        let damage = recovered.findings.join("; ");
        for finding in &recovered.findings {
            tracing::error!(finding, "the store was damaged");
        }
        match account_command::first(&store).await {
            // Not through the logger: its lines are collected and kept.
            Ok(text) => eprint!("{}", text.unwrap_or_default()),
            // A station without a disk still alarms.
            Err(error) => {
                tracing::error!(error = format!("{error:#}"), "the first account could not be made")
            }
        }
        let clock = clock(recovered.last.map(|(_, now)| now));
        // First the past under the registry and rules it had, then what was edited or imported since: the driver begins by taking that over.
        let before = Registry::build(store.load_registry().await?);
        let live = Arc::new(Live::default());
        let (engine, seq) =
            recovery::recover(&store, recovered, before.clone(), &loaded.rules, &clock, &live).await?;
        let health = Arc::<Health>::default();
        let configuration = health.informative("configuration");
        let loaded = reload::take_in_files(&store, path, loaded, &configuration).await?;
        let world = reload::make_world(&loaded, &store, before).await?;
        for device in world.registry.devices() {
            live.seen(device.ix, engine.seen(device.ix));
        }

        let bind = loaded.config.http.bind.get_ref();
        let http =
            TcpListener::bind(bind).await.with_context(|| format!("[http] cannot listen on {bind}"))?;
        let listener = match &loaded.config.listener {
            Some(listener) => Some(Listener::bind(listener, &folder).await?),
            None => None,
        };
        let gbt26875 = match &loaded.config.gbt26875 {
            Some(config) => Some(gbt26875::Server::bind(config).await?),
            None => None,
        };
        let meokon = match &loaded.config.meokon {
            Some(config) => Some(meokon::Server::bind(config).await?),
            None => None,
        };
        let heard = loaded.config.brokers.iter().filter(|broker| !broker.subscribe.is_empty());
        let sources = heard.map(|broker| mqtt::Source::new(broker, &folder));
        Ok(Self {
            path: path.to_owned(),
            sources: sources.collect::<Result<_, _>>()?,
            metrics: Metrics::of_this_process()?,
            store,
            clock,
            live,
            health,
            configuration,
            world: world.share(),
            engine,
            seq,
            http,
            listener,
            gbt26875,
            meokon,
            reload: Reload::default(),
            damage,
            loaded,
        })
    }

    pub fn addresses(&self) -> Addresses {
        let (gbt26875_tcp, gbt26875_udp) =
            self.gbt26875.as_ref().map_or((None, None), |server| server.local_addrs());
        let (meokon_tcp, meokon_udp) =
            self.meokon.as_ref().map_or((None, None), |server| server.local_addrs());
        Addresses {
            gbt26875_tcp,
            gbt26875_udp,
            meokon_tcp,
            meokon_udp,
            http: self.http.local_addr().expect("it is bound"),
            listener: self.listener.as_ref().map(|listener| listener.local_addr().expect("it is bound")),
        }
    }

    pub fn reload(&self) -> Reload {
        self.reload.clone()
    }

    /// Until `stop`, or until a task fails.
    pub async fn run(self, stop: CancellationToken) -> anyhow::Result<()> {
        let Self { loaded, store, clock, live, health, world, engine, seq, .. } = self;
        let config = &loaded.config;
        let folder = loaded.folder.as_path();
        let station = config.station.id.get_ref().clone();
        let (inlet, outlet) = inlet::channel();
        let (new_worlds, worlds) = mpsc::channel(1);
        let mut tasks = Supervisor::new(stop.clone());
        let unrecorded = Arc::<Unrecorded>::default();
        let waiting = Arc::new(SharedRoom::new(Room::resume(store.waiting().await?)));

        // Consumers first, so that nothing a source brings waits for them.
        let mut driver = Driver::new(
            engine,
            store.clone(),
            live.clone(),
            clock,
            outlet,
            world.clone(),
            worlds,
            config.store.commit_interval(),
            seq,
            unrecorded.clone(),
            health.essential("disk"),
        );
        driver.strangers = waiting.clone();
        tasks.spawn("driver", driver.run(stop.child_token()));
        tasks.spawn("history", store.clone().keep_history(stop.clone()));
        if let Some(influx) = &config.influx {
            let settings = influx::Settings::from_config(influx, &station, folder)?;
            let status = Arc::new(influx::Status::reporting_to(health.informative("influx")));
            let (store, world, stop) = (store.clone(), world.clone(), stop.clone());
            tasks.spawn(
                "influx",
                outlast("influx", stop.clone(), move || {
                    influx::run(settings.clone(), store.clone(), world.clone(), status.clone(), stop.clone())
                }),
            );
        }
        let public_url = config.http.public_url.as_ref().map(|url| url.get_ref().clone());
        let letterhead = Letterhead { station: station.clone(), public_url };
        let worker = |channel: Arc<dyn Channel>, terms: Terms| Worker {
            terms,
            letterhead: letterhead.clone(),
            store: store.clone(),
            world: world.clone(),
            live: live.clone(),
            clock,
            check: health.informative(format!("channel:{}", channel.name())),
            channel,
            unrecorded: unrecorded.clone(),
        };
        let opened = open::open(config, folder, &store).await?;
        for (channel, terms) in opened.channels {
            tasks.spawn("channel", worker(channel, terms).run(stop.clone()));
        }
        for channel in opened.alertmanagers {
            let ends = alertmanager::Ends {
                channel,
                station: station.clone(),
                store: store.clone(),
                world: world.clone(),
                live: live.clone(),
            };
            let ended = stop.clone();
            tasks.spawn(
                "ends of alarms",
                outlast("ends of alarms", stop.clone(), move || ends.clone().run(ended.clone())),
            );
        }

        let whole = health.informative("store damage");
        whole.fine();
        if !self.damage.is_empty() {
            whole.wrong(self.damage);
            let action = Event::Action(own_trouble::DAMAGE.begins(&world.load().registry));
            inlet.send(Inbound { events: vec![action], ..Inbound::default() }).await?;
        }

        let resume = |trouble| OwnTrouble::resume(trouble, inlet.clone(), world.clone(), &store);
        let watch = SelfWatch {
            clock,
            store: store.clone(),
            written_per_day_max: u64::from(*config.store.written_mb_per_day_max.get_ref()) << 20,
            sends_to_influx: config.influx.is_some(),
            clock_check: health.informative("clock"),
            wear_check: health.informative("wear"),
            journal_check: health.informative("journal"),
            clock_trouble: resume(own_trouble::CLOCK).await?,
            wear_trouble: resume(own_trouble::WEAR).await?,
            loss_trouble: resume(own_trouble::LOSS).await?,
        };
        tasks.spawn("self watch", watch.run(stop.clone()));
        let roster = RosterWatch {
            clock,
            store: store.clone(),
            world: world.clone(),
            inlet: inlet.clone(),
            check: health.informative("roster"),
        };
        tasks.spawn("roster", roster.run(stop.clone()));
        let roll_calls = RollCalls { clock, world: world.clone(), inlet: inlet.clone() };
        tasks.spawn("roll-calls", roll_calls.run(stop.clone()));

        let stills = Stills::new(store.clone(), live.clone(), clock, still_limits(&config.store));
        stills.show_newest().await;
        inlet.keep_stills_in(stills.clone());
        tasks.spawn("stills", stills.clone().run(stop.clone()));

        // Sources.
        let mut publisher: Option<Arc<dyn Publisher>> = None;
        let mut commands = Commands::default();
        if let Some(listener) = self.listener {
            publisher = Some(Arc::new(listener.handle()));
            commands.listener = Some(listener.handle());
            tasks.spawn("listener", listener.run(world.clone(), inlet.clone(), stop.clone()));
        }
        if let Some(server) = self.gbt26875 {
            commands.gbt26875 = Some(server.handle());
            tasks
                .spawn("transmission devices", server.run(world.clone(), inlet.clone(), clock, stop.clone()));
        }
        if let Some(server) = self.meokon {
            tasks.spawn("terminals of Meokon", server.run(world.clone(), inlet.clone(), clock, stop.clone()));
        }
        for source in self.sources {
            tasks.spawn("broker", source.run(world.clone(), inlet.clone(), stop.clone()));
        }
        let ends = |check: String| camera::Ends {
            world: world.clone(),
            inlet: inlet.clone(),
            clock,
            stills: stills.clone(),
            check: health.informative(check),
        };
        for camera in &config.cameras {
            let ends = ends(format!("camera:{}", camera.name.get_ref()));
            tasks.spawn("camera", camera::Camera::new(camera, folder, ends)?.run(stop.clone()));
        }
        for device in &config.onvif {
            let ends = ends(format!("onvif:{}", device.name.get_ref()));
            tasks.spawn("onvif", PullPoint::new(device, folder, ends)?.run(stop.clone()));
        }
        if let Some(sparkplug) = &config.sparkplug {
            let name = sparkplug.broker.get_ref();
            let broker = config.brokers.iter().find(|broker| broker.name.get_ref() == name);
            let host = Sparkplug::new(sparkplug, broker.context("[sparkplug] names no [[broker]]")?, folder)?;
            tasks.spawn("sparkplug", host.run(world.clone(), inlet.clone(), clock, stop.clone()));
        }
        for bus in &config.buses {
            let bus = modbus::Bus::new(bus, &loaded.profiles)?;
            commands.buses.push(bus.handle());
            tasks.spawn("modbus", bus.run(world.clone(), inlet.clone(), stop.clone()));
        }

        // One publishing connection for each broker that needs one.
        let alarms_go_to = config.alarm_mqtt.as_ref().and_then(|settings| settings.broker.as_ref());
        for broker in &config.brokers {
            let alarms = alarms_go_to.is_some_and(|name| name.get_ref() == broker.name.get_ref());
            if !alarms && !broker.commands {
                continue;
            }
            let (connection, to_broker) = mqtt::publisher::Connection::new(broker, folder)?;
            tasks.spawn("publisher", connection.run(stop.clone()));
            if alarms {
                publisher = Some(Arc::new(to_broker.clone()));
            }
            if broker.commands {
                commands.brokers.push(commands::Broker {
                    name: broker.name.get_ref().clone(),
                    filters: broker.subscribe.iter().map(|filter| filter.get_ref().clone()).collect(),
                    publisher: to_broker,
                });
            }
        }
        let commands = Arc::new(commands);
        let orders = Orders {
            ways: inlet.ways.clone(),
            commands: commands.clone(),
            store: store.clone(),
            world: world.clone(),
            clock,
        };
        tasks.spawn("orders", orders.run(stop.clone()));
        if let Some(settings) = &config.alarm_mqtt {
            let publisher = publisher.context("[alarm_mqtt] needs a [listener] or the name of a broker")?;
            tasks.spawn(
                "mqtt channel",
                worker(Arc::new(Mqtt { publisher: publisher.clone() }), open::mqtt_terms(settings))
                    .run(stop.clone()),
            );
            let changes = AlarmMqtt {
                publisher,
                topic: settings.topic.get_ref().clone(),
                station: station.clone(),
                store: store.clone(),
                world: world.clone(),
                live: live.clone(),
                check: health.informative("alarm_mqtt"),
            };
            let ended = stop.clone();
            tasks.spawn(
                "alarm changes",
                outlast("alarm changes", stop.clone(), move || changes.clone().run(ended.clone())),
            );
        }

        let desk = Desk::new(RulesFile {
            station: self.path.clone(),
            rules: folder.join(config.rules.get_ref()),
            reload: self.reload.clone(),
        });
        let learning = Learning { store: store.clone(), world: world.clone(), clock, desk: desk.clone() };
        tasks.spawn("learning", learning.run(stop.clone()));
        let trials =
            Trials { store: store.clone(), world: world.clone(), clock, previews: desk.previews.clone() };
        tasks.spawn("rule previews", trials.run(stop.clone()));
        if let Some(config) = &config.centre {
            let centre = Centre::new(
                config,
                &station,
                store.clone(),
                world.clone(),
                live.clone(),
                health.informative("centre"),
            )?;
            let ended = stop.clone();
            tasks.spawn("centre", outlast("centre", stop.clone(), move || centre.clone().run(ended.clone())));
        }

        tasks.spawn("systemd", service::tell_systemd(inlet.clone(), store.clone(), stop.clone()));
        let api = Api {
            store: store.clone(),
            world: world.clone(),
            live,
            inlet,
            waiting,
            commands,
            clock,
            tokens: http::auth::Tokens::read(&config.http, folder)?,
            push: opened.push,
            reports: opened.reports,
            push_in: http::push_in::Doors::open(&config.push_in, folder)?.with_stills(stills),
            stop: stop.clone(),
            health,
            metrics: self.metrics.clone(),
            desk,
            own: http::Own::default(),
        };
        tasks.spawn("metrics", self.metrics.run(stop.clone()));
        tasks.spawn("http", http::serve(self.http, Arc::new(api), stop.clone()));
        let keeper = reload::Keeper {
            path: self.path,
            loaded,
            store,
            world,
            new_worlds,
            reload: self.reload,
            check: self.configuration,
        };
        tasks.spawn("registry", keeper.run(stop));
        Ok(tasks.run(GRACE).await?)
    }
}

fn limits(store: &config::Store) -> Limits {
    Limits {
        journal_bytes_max: u64::from(*store.journal_max_mb.get_ref()) << 20,
        journal_days_max: *store.journal_max_days.get_ref(),
        history_days_max: *store.history_max_days.get_ref(),
        dead_letters_max: *store.dead_letters_max.get_ref(),
        outbox_rows_max: *store.outbox_max.get_ref(),
        attachments: attachments::Limits {
            bytes_max: u64::from(*store.attachments_max_mb.get_ref()) << 20,
            days_max: *store.attachments_max_days.get_ref(),
        },
    }
}

fn still_limits(store: &config::Store) -> stills::Limits {
    stills::Limits {
        bytes_max: u64::from(*store.stills_max_mb.get_ref()) << 20,
        days_max: *store.stills_max_days.get_ref(),
    }
}

/// Copies the store of a station, running or not.
pub async fn backup(loaded: &Loaded, to: &Path) -> anyhow::Result<()> {
    anyhow::ensure!(!to.exists(), "{} exists; name a new file", to.display());
    Ok(Store::open_beside(&loaded.store_path())?.backup(to).await?)
}

/// Makes a backup the store again; says what became of the store that was there.
pub fn restore(loaded: &Loaded, backup: &Path) -> anyhow::Result<String> {
    let path = loaded.store_path();
    let aside = restore::restore(&path, backup, crate::clock::wall())?;
    let kept = match aside {
        None => String::new(),
        Some(aside) => format!(" What was there before is now {}.", aside.display()),
    };
    Ok(format!("{} is a copy of {}.{kept}", path.display(), backup.display()))
}
