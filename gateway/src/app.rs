//! The wiring: every channel and every task, in one place, sources first.
//!
//! A start opens the store, brings the engine to where the journal ends, and binds every socket before anything runs, so that a wrong address is an error and not
//! a log line. A stop ends the sources; the driver ends when the last of them has dropped its inlet, and everything accepted is on disk.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use tokio::net::TcpListener;
use tokio::select;
use tokio::sync::{Notify, mpsc};
use tokio::time::{MissedTickBehavior, interval};
use tokio_util::sync::CancellationToken;

use crate::clock::Clock;
use crate::config::rules::Rules;
use crate::config::{self, Loaded, difference};
use crate::decode::Topics;
use crate::engine::Engine;
use crate::engine::rules::RuleBook;
use crate::grid::Registry;
use crate::health::Health;
use crate::http::{self, Api};
use crate::import::import_parsed;
use crate::io::commands::Commands;
use crate::io::driver::Driver;
use crate::io::inlet::Inbound;
use crate::io::listener::Listener;
use crate::io::outlast::outlast;
use crate::io::own_trouble::OwnTrouble;
use crate::io::self_watch::SelfWatch;
use crate::io::{commands, influx, inlet, modbus, mqtt, own_trouble};
use crate::live::Live;
use crate::metrics::Metrics;
use crate::model::{AlarmId, AlarmState, Batch, Event, Report};
use crate::notify::alarm_mqtt::AlarmMqtt;
use crate::notify::mqtt::{Mqtt, Publisher};
use crate::notify::unrecorded::Unrecorded;
use crate::notify::webhook::Webhook;
use crate::notify::{Channel, Worker};
use crate::service;
use crate::store::alarms::Query;
use crate::store::{Limits, Recovered, Store, restore};
use crate::supervise::Supervisor;
use crate::world::{self, World};

/// How long a stop may take before what hangs is named and dropped.
const GRACE: Duration = Duration::from_secs(20);
/// Replay reads the journal in pieces of this size.
const REPLAY_BYTES: usize = 4 << 20;
/// The live view begins with what this much of the journal's end says.
const LIVE_BYTES: u64 = 16 << 20;
/// How often the registry is looked at for an import by another process.
const REGISTRY_LOOK: Duration = Duration::from_secs(2);

/// Where the station can be reached; the ports that were asked for, or given for port 0.
#[derive(Clone, Copy, Debug)]
pub struct Addresses {
    pub http: SocketAddr,
    pub listener: Option<SocketAddr>,
}

/// Asks for the configuration to be read again.
#[derive(Clone)]
pub struct Reload(Arc<Notify>);

impl Reload {
    pub fn ask(&self) {
        self.0.notify_one();
    }
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
    world: world::Shared,
    engine: Engine,
    seq: u64,
    http: TcpListener,
    listener: Option<Listener>,
    sources: Vec<mqtt::Source>,
    metrics: Metrics,
    reload: Reload,
    /// What the store lost; empty as a rule.
    damage: String,
}

impl App {
    /// `path` is the station.toml that was loaded; a reload reads it again.
    pub async fn start(path: &Path, loaded: Loaded) -> anyhow::Result<Self> {
        for remark in loaded.remarks.iter() {
            tracing::warn!("{remark}");
        }
        let folder = loaded.folder.clone();
        let (store, recovered) = Store::open(&loaded.store_path(), limits(&loaded.config.store))?;
        let damage = recovered.findings.join("; ");
        for finding in &recovered.findings {
            tracing::error!(finding, "the store was damaged");
        }
        let clock = Clock::continue_after(recovered.last.map(|(_, now)| now));
        import_changed_files(&store, &loaded).await?;

        let world = make_world(&loaded, &store).await?;
        let live = Arc::new(Live::default());
        fill_live_view(&store, &live).await?;
        let (engine, seq) = recover(&store, recovered, &world, &clock, &live).await?;
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
        let sources = loaded.config.brokers.iter().map(|broker| mqtt::Source::new(broker, &folder));
        Ok(Self {
            path: path.to_owned(),
            sources: sources.collect::<Result<_, _>>()?,
            metrics: Metrics::of_this_process()?,
            store,
            clock,
            live,
            health: Arc::default(),
            world: world.share(),
            engine,
            seq,
            http,
            listener,
            reload: Reload(Arc::default()),
            damage,
            loaded,
        })
    }

    pub fn addresses(&self) -> Addresses {
        Addresses {
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

        // Consumers first, so that nothing a source brings waits for them.
        let driver = Driver::new(
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
        // The engine takes over what was imported or edited while it was away.
        new_worlds.send(World::clone(&world.load())).await.expect("the driver holds the other end");
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
        let worker = |channel: Arc<dyn Channel>| Worker {
            station: station.clone(),
            store: store.clone(),
            world: world.clone(),
            live: live.clone(),
            clock,
            check: health.informative(format!("channel:{}", channel.name())),
            channel,
            unrecorded: unrecorded.clone(),
        };
        for webhook in &config.webhooks {
            let channel = Arc::new(Webhook::from_config(webhook, folder)?);
            tasks.spawn("webhook", worker(channel).run(stop.clone()));
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

        // Sources.
        let mut publisher: Option<Arc<dyn Publisher>> = None;
        let mut commands = Commands::default();
        if let Some(listener) = self.listener {
            publisher = Some(Arc::new(listener.handle()));
            commands.listener = Some(listener.handle());
            tasks.spawn("listener", listener.run(world.clone(), inlet.clone(), stop.clone()));
        }
        for source in self.sources {
            tasks.spawn("broker", source.run(world.clone(), inlet.clone(), stop.clone()));
        }
        for bus in &config.buses {
            let bus = modbus::Bus::new(bus)?;
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
        if let Some(settings) = &config.alarm_mqtt {
            let publisher = publisher.context("[alarm_mqtt] needs a [listener] or the name of a broker")?;
            tasks.spawn(
                "mqtt channel",
                worker(Arc::new(Mqtt { publisher: publisher.clone() })).run(stop.clone()),
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

        tasks.spawn("systemd", service::tell_systemd(inlet.clone(), store.clone(), stop.clone()));
        let api = Api {
            store: store.clone(),
            world: world.clone(),
            live,
            inlet,
            commands,
            clock,
            tokens: http::auth::Tokens::read(&config.http, folder)?,
            stop: stop.clone(),
            health,
            metrics: self.metrics.clone(),
            own: http::Own::default(),
        };
        tasks.spawn("metrics", self.metrics.run(stop.clone()));
        tasks.spawn("http", http::serve(self.http, Arc::new(api), stop.clone()));
        tasks.spawn("registry", keep_world(self.path, loaded, store, world, new_worlds, self.reload, stop));
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
    }
}

/// Imports the files of `[registry]` when one of them is not what was imported last; all of them or none.
async fn import_changed_files(store: &Store, loaded: &Loaded) -> anyhow::Result<()> {
    let Some(files) = &loaded.registry else {
        // A duty that ended yesterday must not keep a station with a registry from coming back after a power cut.
        let empty = store.registry_version().await? == 0;
        anyhow::ensure!(
            !empty,
            "a file of [registry] is wrong and the store has no registry yet; see the remarks above"
        );
        tracing::error!(
            "a file of [registry] is wrong: none is imported, the registry stays as it is in the store"
        );
        return Ok(());
    };
    let memo = |name: &str| format!("registry.file:{name}");
    let mut changed = false;
    for file in files {
        changed |= store.recall(&memo(&file.name)).await?.as_ref() != Some(&file.sha256);
    }
    if !changed {
        return Ok(());
    }
    let parsed: Vec<_> = files.iter().map(|file| file.parsed.clone()).collect();
    let difference = import_parsed(store, &parsed, "[registry]", false).await?;
    tracing::info!("imported the files of [registry]: {}", difference.lines().next().unwrap_or("no change"));
    for file in files {
        store.remember(&memo(&file.name), &file.sha256).await?;
    }
    Ok(())
}

async fn make_world(loaded: &Loaded, store: &Store) -> anyhow::Result<World> {
    let registry = Registry::build(store.load_registry().await?);
    let rules = compile(&loaded.rules, &registry);
    let topics = loaded.config.topics.iter();
    let topics = topics.map(|topic| (topic.filter.get_ref().clone(), *topic.decoder.get_ref())).collect();
    Ok(World {
        registry,
        rules,
        rules_text: loaded.rules_text.as_str().into(),
        topics: Arc::new(Topics(topics)),
        freshness: Arc::new(loaded.rules.freshness.clone()),
    })
}

fn compile(rules: &Rules, registry: &Registry) -> Arc<RuleBook> {
    let (book, problems) = RuleBook::compile(rules, registry);
    for problem in problems {
        tracing::warn!("rules.toml: {problem}");
    }
    Arc::new(book)
}

/// Brings the engine to where the journal ends, under the rules it had then; [`Driver`] gives it the new ones. Effects of replayed batches are dropped: they were
/// committed with them.
async fn recover(
    store: &Store,
    recovered: Recovered,
    world: &World,
    clock: &Clock,
    live: &Live,
) -> anyhow::Result<(Engine, u64)> {
    let registry = world.registry.clone();
    let rules = match store.recall(world::RULES_MEMO).await?.map(|text| toml::from_str::<Rules>(&text)) {
        Some(Ok(rules)) => compile(&rules, &registry),
        Some(Err(_)) | None => world.rules.clone(),
    };
    let started = crate::clock::instant();
    if recovered.salvaged {
        let last = recovered.last.map_or(0, |(seq, _)| seq);
        return Ok((salvage(store, registry, rules, clock).await?, last));
    }
    let (mut engine, mut seq) = match recovered.snapshot {
        None => (Engine::new(registry, rules, clock.now()), 0),
        Some((seq, snapshot)) => match Engine::restore(&snapshot, registry.clone(), rules.clone()) {
            Ok(engine) => (engine, seq),
            Err(fault) => {
                tracing::error!(%fault, "the engine's snapshot cannot be used: open alarms are taken from the store, and presence of every device is armed anew");
                let last = recovered.last.map_or(0, |(seq, _)| seq);
                return Ok((salvage(store, registry, rules, clock).await?, last));
            }
        },
    };
    let mut events = 0;
    loop {
        let batches = store.batches_after(seq, REPLAY_BYTES).await?;
        let Some(last) = batches.last() else { break };
        seq = last.seq;
        for batch in batches {
            engine.apply(&batch);
            events += batch.events.len();
            live.reports(reports(batch));
        }
    }
    tracing::info!(
        batches_to = seq,
        events_replayed = events,
        open_alarms = engine.open_alarms().count(),
        took = ?started.elapsed(),
        "the engine is where the journal ends"
    );
    Ok((engine, seq))
}

/// The engine's snapshot holds no values; without this, pages would be empty after every restart until each device has spoken.
async fn fill_live_view(store: &Store, live: &Live) -> anyhow::Result<()> {
    let mut seq = store.before_the_last(LIVE_BYTES).await?;
    loop {
        let batches = store.batches_after(seq, REPLAY_BYTES).await?;
        let Some(last) = batches.last() else { return Ok(()) };
        seq = last.seq;
        batches.into_iter().for_each(|batch| live.reports(reports(batch)));
    }
}

fn reports(batch: Batch) -> impl Iterator<Item = Report> {
    batch.events.into_iter().filter_map(|event| match event {
        Event::Report(report) => Some(report),
        Event::Gone { .. } | Event::Action(_) => None,
    })
}

/// Without a snapshot that can be read: what the alarm table knows.
async fn salvage(
    store: &Store,
    registry: Arc<Registry>,
    rules: Arc<RuleBook>,
    clock: &Clock,
) -> anyhow::Result<Engine> {
    let newest = store.alarms(Query { limit: 1, ..Query::default() }).await?;
    let last = newest.first().map_or(AlarmId(0), |alarm| alarm.id);
    let states = AlarmState::ALL.into_iter().filter(|&state| state != AlarmState::Closed).collect();
    let open = store.alarms(Query { states, limit: u32::MAX, ..Query::default() }).await?;
    Ok(Engine::salvage(registry, rules, clock.now(), last, open))
}

/// Notices imports by other processes and reads the configuration again when asked; a bad file is refused and the station runs on.
async fn keep_world(
    path: PathBuf,
    mut loaded: Loaded,
    store: Store,
    world: world::Shared,
    new_worlds: mpsc::Sender<World>,
    reload: Reload,
    stop: CancellationToken,
) -> anyhow::Result<()> {
    let mut look = interval(REGISTRY_LOOK);
    look.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut missed = false;
    loop {
        let changed = select! {
            () = stop.cancelled() => return Ok(()),
            _ = look.tick() => match store.registry_version().await {
                Ok(version) => version != world.load().registry.version(),
                Err(fault) => {
                    tracing::warn!(%fault, "cannot look at the registry");
                    false
                }
            },
            () = reload.0.notified() => match config::load(&path) {
                Ok(new) => match import_changed_files(&store, &new).await {
                    Ok(()) => {
                        let difference = difference::of_rules(&loaded.rules_text, &new.rules_text);
                        tracing::info!(difference, "the configuration was read again; rules and registry are taken over now, sources and addresses at the next start");
                        loaded = new;
                        true
                    }
                    Err(fault) => {
                        tracing::error!("the configuration is refused, the old one stays in force: {fault:#}");
                        false
                    }
                },
                Err(problems) => {
                    tracing::error!("the configuration is refused, the old one stays in force:\n{problems}");
                    false
                }
            },
        };
        if changed || missed {
            let new = match make_world(&loaded, &store).await {
                Ok(new) => new,
                Err(fault) => {
                    tracing::error!(
                        fault = format!("{fault:#}"),
                        "registry and rules cannot be taken over yet; trying again"
                    );
                    missed = true;
                    continue;
                }
            };
            missed = false;
            tracing::info!(version = new.registry.version(), "registry and rules are taken over");
            if new_worlds.send(new).await.is_err() {
                return Ok(()); // The driver has ended; so does everything else.
            }
        }
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
