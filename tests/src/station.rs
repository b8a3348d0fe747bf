//! A station without sources: store, world, live view and API on a free loopback port, and a driver that knows only how people act on alarms.
//!
//! For tests of the API, the page and the notifiers. The neighbourhood is a made-up one: one street, two communities, four cells, a few devices, three people.

use std::path::Path;
use std::sync::{Arc, Mutex};

use anyhow::Context;
use gateway::clock::Clock;
use gateway::config::Config;
use gateway::config::rules::FreshnessLimits;
use gateway::decode::Topics;
use gateway::engine::{Answer, Effect, Refusal};
use gateway::grid::{Cell, Device, Duty, Person, Registry, Role, Rows};
use gateway::health::Health;
use gateway::http::auth::Tokens;
use gateway::http::{Api, Own};
use gateway::io::inlet::{self, Inbound, Outlet, Safe};
use gateway::live::Live;
use gateway::metrics::Metrics;
use gateway::model::*;
use gateway::notify::alertmanager::Ends;
use gateway::notify::{Letterhead, Worker, open};
use gateway::store::{Commit, Limits, Store};
use gateway::units::{Millis, Timestamp};
use gateway::world::{self, World};
use tokio::net::TcpListener;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

/// Of the store behind a station of the tests.
pub const LIMITS: Limits = Limits {
    journal_bytes_max: 64 << 20,
    journal_days_max: 30,
    history_days_max: 30,
    dead_letters_max: 1_000,
    outbox_rows_max: 10_000,
    attachments: gateway::store::attachments::Limits { bytes_max: 64 << 20, days_max: 30 },
};

/// May look and act.
pub const TOKEN: &str = "test-token-of-the-duty-desk";
/// May only look.
pub const READER: &str = "test-token-of-the-wall-board";

/// The least that a station.toml must have.
const STATION: &str = "rules = \"rules.toml\"\n[station]\nid = \"xianlin-1\"\nname = \"x\"\n[store]\npath = \"store.db\"\n[http]\nbind = \"127.0.0.1:0\"\ntoken = []\n";

/// On every message.
pub fn letterhead() -> Letterhead {
    Letterhead { station: "xianlin-1".into(), public_url: Some("https://grid.example".into()) }
}

pub struct Station {
    pub store: Store,
    pub world: world::Shared,
    pub live: Arc<Live>,
    pub clock: Clock,
    pub health: Arc<Health>,
    pub stop: CancellationToken,
    /// Such as `http://127.0.0.1:41234`.
    pub url: String,
    pub client: reqwest::Client,
    driver: Arc<Driver>,
    tasks: JoinSet<anyhow::Result<()>>,
    _folder: Option<tempfile::TempDir>,
}

impl Station {
    pub async fn start() -> anyhow::Result<Self> {
        let folder = tempfile::tempdir()?;
        let file = folder.path().join("store.db");
        Self::start_on(&file, 0, Some(folder)).await
    }

    /// On a store that exists already, or at a fixed port; 0 is any.
    pub async fn start_on(file: &Path, port: u16, folder: Option<tempfile::TempDir>) -> anyhow::Result<Self> {
        Self::start_with(file, port, folder, "").await
    }

    /// With channels, as they stand in station.toml, whose workers run. Secrets come from files beside the store.
    pub async fn start_with_channels(channels: &str, secrets: &[(&str, &str)]) -> anyhow::Result<Self> {
        let folder = tempfile::tempdir()?;
        for (name, secret) in secrets {
            std::fs::write(folder.path().join(name), secret)?;
        }
        let file = folder.path().join("store.db");
        Self::start_with(&file, 0, Some(folder), channels).await
    }

    async fn start_with(
        file: &Path,
        port: u16,
        folder: Option<tempfile::TempDir>,
        channels: &str,
    ) -> anyhow::Result<Self> {
        let _ = rustls::crypto::ring::default_provider().install_default();
        let (store, recovered) = Store::open(file, LIMITS)?;
        let clock = Clock::continue_after(recovered.last.map(|(_, now)| now));
        let world = World {
            registry: Registry::build(neighbourhood()),
            rules: Arc::default(),
            rules_text: "".into(),
            topics: Arc::new(Topics::default()),
            freshness: Arc::new(FreshnessLimits::default()),
            profiles: Arc::default(),
        }
        .share();
        let (live, health, stop) =
            (Arc::new(Live::default()), Arc::new(Health::default()), CancellationToken::new());
        let (inlet, outlet) = inlet::channel();
        let mut tokens = Tokens::default();
        tokens.add("desk", TOKEN, false);
        tokens.add("board", READER, true);
        let config: Config = toml::from_str(&format!("{STATION}{channels}"))?;
        let beside = file.parent().context("a folder")?;
        let opened = open::open(&config, beside, &store).await?;
        let listener = TcpListener::bind(("127.0.0.1", port)).await?;
        let url = format!("http://{}", listener.local_addr()?);
        let api = Arc::new(Api {
            store: store.clone(),
            world: world.clone(),
            live: live.clone(),
            inlet,
            waiting: Arc::default(),
            commands: Arc::default(),
            clock,
            tokens,
            push: opened.push.clone(),
            reports: opened.reports,
            push_in: gateway::http::push_in::Doors::open(&config.push_in, beside)?,
            health: health.clone(),
            metrics: Metrics::of_this_process()?,
            stop: stop.clone(),
            desk: Default::default(),
            own: Own::default(),
        });
        let driver = Arc::new(Driver {
            store: store.clone(),
            live: live.clone(),
            clock,
            alarms: Mutex::new(Vec::new()),
        });
        let mut tasks = JoinSet::new();
        tasks.spawn(driver.clone().run(outlet));
        tasks.spawn(gateway::http::serve(listener, api, stop.clone()));
        for (channel, terms) in opened.channels {
            let worker = Worker {
                terms,
                letterhead: letterhead(),
                store: store.clone(),
                world: world.clone(),
                live: live.clone(),
                clock,
                check: health.informative(format!("channel:{}", channel.name())),
                channel,
                unrecorded: Arc::default(),
            };
            tasks.spawn(worker.run(stop.clone()));
        }
        for channel in opened.alertmanagers {
            let ends = Ends {
                channel,
                station: letterhead().station,
                store: store.clone(),
                world: world.clone(),
                live: live.clone(),
            };
            tasks.spawn(ends.run(stop.clone()));
        }
        let client = reqwest::Client::builder().no_proxy().build()?;
        Ok(Self { store, world, live, clock, health, stop, url, client, driver, tasks, _folder: folder })
    }

    pub fn get(&self, path: &str) -> reqwest::RequestBuilder {
        self.client.get(format!("{}{path}", self.url)).bearer_auth(TOKEN)
    }

    pub fn post(&self, path: &str, body: &serde_json::Value) -> reqwest::RequestBuilder {
        self.client.post(format!("{}{path}", self.url)).bearer_auth(TOKEN).json(body)
    }

    /// Commits a new alarm, tells the live view, and returns it.
    pub async fn raise(&self, class: SignalClass, device: &str, text: &str) -> anyhow::Result<Alarm> {
        let registry = self.world.load().registry.clone();
        let device = registry.device_by_id(device).context("no such device")?;
        let cell = registry.home(device.ix).context("no such cell")?;
        self.driver.raise(class, cell, Some(device), text, "rule", &registry).await
    }

    /// A new alarm that is handed to this person at once.
    pub async fn raise_handed(
        &self,
        class: SignalClass,
        device: &str,
        person: &str,
    ) -> anyhow::Result<Alarm> {
        let mut alarm = self.raise(class, device, "handed over").await?;
        (alarm.owner, alarm.handling.handed_to) = (Some(person.to_owned()), Some(person.to_owned()));
        self.driver.commit(alarm.clone(), What::HandedOver, None, Vec::new()).await?;
        Ok(alarm)
    }

    /// Commits an alert of an alarm to the outbox.
    pub async fn tell(&self, alarm: &Alarm, channel: &str, person: &str) -> anyhow::Result<Alert> {
        let alert = Alert {
            key: format!("{}/1/{person}/{channel}", alarm.id),
            alarm: alarm.id,
            class: alarm.class,
            channel: channel.into(),
            person: Some(person.into()),
            step: 1,
            at: self.clock.now().wall,
        };
        self.store
            .commit(&Commit { effects: vec![Effect::Tell(alert.clone())], ..Commit::default() })
            .await?;
        Ok(alert)
    }

    pub async fn withdraw(&self, alarm: AlarmId) -> anyhow::Result<()> {
        self.store.commit(&Commit { effects: vec![Effect::Withdraw(alarm)], ..Commit::default() }).await?;
        Ok(())
    }

    /// The live view hears values of a device.
    pub fn report(&self, device: &str, values: &[(Metric, f64)]) {
        let device = self.world.load().registry.device_by_id(device).expect("a device").ix;
        let values = values.iter().map(|&(metric, value)| Value { metric, value, quality: Quality::Good });
        self.live.reports([Report {
            device,
            received: self.clock.now().wall,
            device_time: None,
            freshness: Freshness::Live,
            values: values.collect(),
        }]);
    }

    /// Asks all tasks to end and waits for them.
    pub async fn end(mut self) -> anyhow::Result<()> {
        self.stop.cancel();
        while let Some(ended) = self.tasks.join_next().await {
            ended??;
        }
        Ok(())
    }
}

struct Driver {
    store: Store,
    live: Arc<Live>,
    clock: Clock,
    alarms: Mutex<Vec<Alarm>>,
}

impl Driver {
    /// Ends when the API has dropped its inlet.
    async fn run(self: Arc<Self>, mut outlet: Outlet) -> anyhow::Result<()> {
        loop {
            let inbound = tokio::select! {
                Some(inbound) = outlet.urgent.recv() => inbound,
                Some(inbound) = outlet.routine.recv() => inbound,
                else => return Ok(()),
            };
            let Inbound { events, safe, .. } = inbound;
            let mut answer = None;
            for event in events {
                if let Event::Action(action) = event {
                    answer = Some(self.act(action).await?);
                }
            }
            match safe {
                Safe::Nobody => (),
                Safe::Ticket(ticket) => ticket.done(),
                Safe::Answer(to) => {
                    let _ = to.send(answer.context("an action")?);
                }
            }
        }
    }

    async fn act(&self, action: Action) -> anyhow::Result<Answer> {
        let at = self.clock.now().wall;
        let signed = |note: Option<String>| Signed { by: action.who.clone(), at, note };
        let of =
            |id: AlarmId| self.alarms.lock().expect("no panic").iter().find(|alarm| alarm.id == id).cloned();
        let (mut alarm, what) = match action.what.clone() {
            Deed::Raise { cell, device, class, text } => {
                let registry = Registry::build(neighbourhood());
                let device = device.and_then(|ix| registry.device(ix));
                let alarm = self.raise(class, cell, device, &text, "manual", &registry).await?;
                return Ok(Ok(alarm.id));
            }
            Deed::Report { cell, class, by, text } => {
                let rule = if by == Reporter::Worker { "hazard" } else { "reported" };
                let registry = Registry::build(neighbourhood());
                let alarm = self.raise(class, cell, None, &text, rule, &registry).await?;
                return Ok(Ok(alarm.id));
            }
            Deed::OnTheWay { alarm, .. }
            | Deed::OnSite { alarm, .. }
            | Deed::Verify { alarm, .. }
            | Deed::SendBack { alarm, .. }
            | Deed::Evaluate { alarm, .. }
            | Deed::HandOver { alarm, .. }
            | Deed::Suspend { alarm, .. }
            | Deed::Resume { alarm, .. }
            | Deed::Shelve { alarm, .. }
            | Deed::Unshelve { alarm, .. }
            | Deed::Nearest { alarm, .. } => {
                let missing = of(alarm).is_none();
                let why = if missing { Refusal::NoSuchAlarm(alarm) } else { Refusal::NotAcknowledged(alarm) };
                return Ok(Err(why));
            }
            Deed::EndMaintenance { alarm, .. } => return Ok(Err(Refusal::NoMaintenance(alarm))),
            Deed::Drill { .. } | Deed::RollCall { .. } => return Ok(Err(Refusal::NobodyToAsk)),
            Deed::End { .. } | Deed::BeginMaintenance { .. } | Deed::Roster => {
                return Ok(Err(Refusal::NotRaised));
            }
            Deed::Acknowledge { alarm: id, note } => match of(id) {
                None => return Ok(Err(Refusal::NoSuchAlarm(id))),
                Some(Alarm { acknowledged: Some(by), .. }) => {
                    return Ok(Err(Refusal::AlreadyAcknowledged(id, by.by)));
                }
                Some(mut alarm) => {
                    (alarm.acknowledged, alarm.state) = (Some(signed(note)), AlarmState::Acknowledged);
                    (alarm, What::Acknowledged)
                }
            },
            Deed::Resolve { alarm: id, disposition, cause, note } => match of(id) {
                None => return Ok(Err(Refusal::NoSuchAlarm(id))),
                Some(Alarm { acknowledged: None, .. }) => return Ok(Err(Refusal::NotAcknowledged(id))),
                Some(Alarm { resolved: Some(by), .. }) => {
                    return Ok(Err(Refusal::AlreadyResolved(id, by.signed.by)));
                }
                Some(mut alarm) => {
                    alarm.resolved = Some(Resolution { signed: signed(note), disposition, cause });
                    (alarm.state, alarm.closed) = (AlarmState::Closed, Some(at));
                    (alarm, What::Resolved)
                }
            },
        };
        alarm.ladder = None;
        let id = alarm.id;
        let withdraw = Effect::Withdraw(id);
        self.commit(alarm, what, Some(action.who.clone()), vec![withdraw]).await?;
        Ok(Ok(id))
    }

    async fn raise(
        &self,
        class: SignalClass,
        cell: CellIx,
        device: Option<&Device>,
        text: &str,
        rule: &str,
        registry: &Registry,
    ) -> anyhow::Result<Alarm> {
        let now = self.clock.now();
        let number = self.alarms.lock().expect("no panic").last().map_or(1, |alarm| alarm.id.0 + 1);
        let alarm = Alarm {
            id: AlarmId(number),
            rule: rule.into(),
            class,
            text: text.into(),
            cell,
            cell_code: registry.cell(cell).context("no such cell")?.code.clone(),
            device: device.map(|device| device.ix),
            device_id: device.map(|device| device.id.clone()),
            state: AlarmState::Unacknowledged,
            raised: now.wall,
            raised_steady: now.steady,
            late: None,
            trigger: None,
            repeats: 0,
            owner: registry.responsible(cell, now.wall).map(|person| person.id.clone()),
            acknowledged: None,
            returned: None,
            resolved: None,
            closed: None,
            ladder: None,
            handling: Default::default(),
        };
        self.commit(alarm.clone(), What::Raised, None, Vec::new()).await?;
        Ok(alarm)
    }

    async fn commit(
        &self,
        alarm: Alarm,
        what: What,
        who: Option<String>,
        more: Vec<Effect>,
    ) -> anyhow::Result<()> {
        let entry = Entry { alarm: alarm.id, at: self.clock.now().wall, what, who, detail: String::new() };
        let mut effects = vec![Effect::Alarm(Box::new(alarm.clone()), entry.clone())];
        effects.extend(more);
        let committed = self.store.commit(&Commit { effects, ..Commit::default() }).await?;
        {
            let mut alarms = self.alarms.lock().expect("no panic");
            alarms.retain(|old| old.id != alarm.id);
            alarms.push(alarm.clone());
            alarms.sort_by_key(|alarm| alarm.id);
        }
        self.live.alarm(committed.entries[0], alarm, entry);
        Ok(())
    }
}

/// One street, two communities with two cells each.
pub fn neighbourhood() -> Rows {
    let begin = Timestamp::parse_rfc3339("2026-01-01T00:00:00Z").expect("valid");
    let square = |x: f64, y: f64, w: f64, h: f64| {
        let (x, y) = (118.80 + x * 0.002, 32.06 + y * 0.002);
        let (e, n) = (x + w * 0.002, y + h * 0.002);
        vec![vec![vec![[x, y], [e, y], [e, n], [x, n], [x, y]]]]
    };
    let cell = |ix: u32, code: &str, name: &str, kind: &str, parent: Option<&str>, polygons| Cell {
        ix: CellIx(ix),
        code: code.into(),
        name: name.into(),
        scheme: "admin".into(),
        parent: parent.map(Into::into),
        kind: kind.into(),
        polygons,
        retired: false,
    };
    let device = |ix: u32, id: &str, kind: DeviceKind, cell: &str, place: &str| Device {
        ix: DeviceIx(ix),
        id: id.into(),
        kind,
        name: format!("{id} 号设备"),
        address: format!("native:{id}"),
        cells: [cell.into()].into(),
        place: place.into(),
        position: None,
        silent_after: Some(Millis::from_secs(3600)),
        registered: begin,
        retired: false,
    };
    let person = |id: &str, name: &str, phone: &str| {
        let contacts = [
            ("mail", format!("{id}@street.example")),
            ("wecom", id.replace('-', "")),
            ("ntfy", format!("grid-{id}")),
        ];
        let contacts = contacts.map(|(channel, address)| (channel.to_owned(), address)).into();
        Person { id: id.into(), name: name.into(), phone: phone.into(), contacts, ..Person::default() }
    };
    let duty = |person: &str, cell: &str, role| Duty {
        person: person.into(),
        cell: cell.into(),
        role,
        from: begin,
        until: None,
        hours: None,
    };
    Rows {
        version: 1,
        cells: vec![
            cell(0, "XL", "仙林街道", "street", None, square(0.0, 0.0, 4.0, 2.0)),
            cell(1, "XL-01", "杉湖社区", "community", Some("XL"), square(0.0, 0.0, 2.0, 2.0)),
            cell(2, "XL-02", "亚东社区", "community", Some("XL"), square(2.0, 0.0, 2.0, 2.0)),
            cell(3, "XL-01-01", "杉湖一格", "residential", Some("XL-01"), square(0.0, 0.0, 1.0, 2.0)),
            cell(4, "XL-01-02", "杉湖二格", "residential", Some("XL-01"), square(1.0, 0.0, 1.0, 2.0)),
            cell(5, "XL-02-01", "亚东一格", "market", Some("XL-02"), square(2.0, 0.0, 2.0, 1.0)),
            cell(6, "XL-02-02", "亚东二格", "residential", Some("XL-02"), square(2.0, 1.0, 2.0, 1.0)),
        ],
        devices: vec![
            device(0, "SD-0001", DeviceKind::SmokeDetector, "XL-01-01", "3栋2单元501 厨房"),
            device(1, "SD-0002", DeviceKind::SmokeDetector, "XL-01-02", "5栋1单元302 卧室"),
            device(2, "HY-0001", DeviceKind::Hydrant, "XL-02-01", "市场东门"),
            device(3, "CAM-001", DeviceKind::AccessCamera, "XL-02-02", "西门"),
        ],
        people: vec![
            person("wang-li", "王丽", "13800000001"),
            person("zhao-qiang", "赵强", "13800000002"),
            person("chen-jie", "陈洁", "13800000003"),
        ],
        duties: vec![
            duty("wang-li", "XL-01-01", Role::Lead),
            duty("zhao-qiang", "XL-02", Role::Lead),
            duty("chen-jie", "XL", Role::Lead),
        ],
        ..Rows::default()
    }
}
