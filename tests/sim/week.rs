//! A week of a whole city in virtual time: 14,756 hazards over 3,689 cells and 2,346 workers, with a storm on Wednesday evening and people who sleep, are ill and leave.
//!
//! The real engine under the shipped rules and ladders; the driver's part, waking it when it asks, is done here, and people are made up: how likely and how soon somebody answers stands in
//! [`Post`]. What must hold is checked at every step: nobody is paged more than ten times in ten minutes but for fires, a fire is told in the step that raises it, every open alarm has
//! an owner who has not left, and in the end every one is over. The table is printed: `cargo test -p tests --test sim a_week -- --nocapture`. `WEEK_SEED` makes another week,
//! `WEEK_HAZARDS` another number.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet, BinaryHeap, VecDeque};
use std::sync::Arc;

use fastrand::Rng;
use gateway::config::rules::Rules;
use gateway::engine::rules::RuleBook;
use gateway::engine::{Effect, Engine};
use gateway::grid::edit::Edit;
use gateway::grid::{Absence, Cell, Duty, Hours, Person, Registry, Role, Rows};
use gateway::model::{
    Action, Alarm, AlarmId, Alert, Batch, CellIx, Deed, DeviceIx, DeviceKind, Disposition, Event, Freshness,
    Metric, Quality, Report, Reporter, SignalClass, Value, What,
};
use gateway::units::{Millis, Now, Steady, Timestamp};
use tests::city::{CELLS, DEVICES, cell_of, city};
use tests::neighbours::root;

const WORKERS: u32 = 2_346;
const HAZARDS: u32 = 14_756;
const COMMUNITY_CELLS: u32 = 41;
const STREETS: u32 = 7;
const SECOND: u64 = 1_000;
const MINUTE: u64 = 60 * SECOND;
const HOUR: u64 = 60 * MINUTE;
const DAY: u64 = 24 * HOUR;
/// Monday, 2026-11-23 00:00 at the station.
const MONDAY: i64 = 1_795_363_200_000;
/// Wednesday from 18:00 on, for half an hour: so many of a thousand hazards, in two communities.
const STORM: (u64, u64) = (2 * DAY + 18 * HOUR, HOUR / 2);
const STORM_COMMUNITIES: u32 = 2;
const STORM_OF_1000: u32 = 60;
const PAGES_MAX: usize = 10;
const PAGES_WITHIN: u64 = 10 * MINUTE;

/// Where somebody stands, which is how he answers.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Post {
    Worker,
    Community,
    Street,
    City,
}

impl Post {
    fn of(person: &str) -> Self {
        match person.split('-').next() {
            Some("w") => Self::Worker,
            Some("m") => Self::Community,
            Some("s") => Self::Street,
            Some(_) | None => Self::City,
        }
    }

    /// How many pages of a hundred are answered, by day and by night.
    fn answers(self, night: bool) -> u32 {
        match (self, night) {
            (Self::Worker, false) => 80,
            (Self::Worker, true) => 35,
            (Self::Community, false) => 85,
            (Self::Community, true) => 60,
            (Self::Street, _) => 95,
            (Self::City, _) => 100,
        }
    }
}

/// What happens to the city.
enum Happens {
    Hazard,
    /// The condition behind an alarm of a device is gone.
    Over(DeviceIx, Metric, f64),
    /// Somebody who was told does this, if it still makes sense.
    Does(String, Deed),
    /// A shift, an absence, a person who leaves.
    Roster,
    /// Owners of all open alarms are looked at.
    Look,
}

#[derive(Default)]
struct Figures {
    pages: BTreeMap<String, u32>,
    most_in_ten_minutes: usize,
    fire_pages: u32,
    folded: u32,
    summaries: u32,
    /// From raised until the first acknowledgement, fires and others.
    to_acknowledge: [Vec<u64>; 2],
    /// By how many steps of the ladder had been taken.
    climbs: BTreeMap<u32, u32>,
    raised: [u32; 5],
    closed: u32,
    unanswered: u32,
    owners_changed: u32,
    batches: u64,
}

struct Week {
    rng: Rng,
    rows: Rows,
    rules: Rules,
    engine: Engine,
    seq: u64,
    at: u64,
    queue: BinaryHeap<Reverse<(u64, u64)>>,
    happens: BTreeMap<u64, Happens>,
    /// Pages of each person in the last ten minutes that were no fires.
    recent: BTreeMap<String, VecDeque<u64>>,
    gone: BTreeSet<String>,
    /// Alarms that somebody acknowledged already.
    acknowledged: BTreeSet<AlarmId>,
    figures: Figures,
}

fn now(at: u64) -> Now {
    Now { wall: Timestamp(MONDAY + at as i64), steady: Steady(at) }
}

/// The city with its communities, streets and people: a worker leads one cell or two from 06:00 to 22:00; at night the community answers.
fn rows() -> Rows {
    let mut rows = city();
    let communities = CELLS.div_ceil(COMMUNITY_CELLS);
    // Nobody sends heartbeats here: that would be four hundred million messages.
    rows.devices.iter_mut().for_each(|device| device.silent_after = None);
    for (number, cell) in (0..).zip(&mut rows.cells) {
        cell.parent = Some(format!("M-{}", number / COMMUNITY_CELLS));
    }
    let mut above = |code: String, kind: &str, parent: Option<String>| {
        let ix = CellIx(rows.cells.len() as u32);
        let (name, kind) = (code.clone(), kind.to_owned());
        rows.cells.push(Cell { ix, code, name, parent, kind, polygons: Vec::new(), ..rows.cells[0].clone() });
    };
    (0..communities).for_each(|m| above(format!("M-{m}"), "community", Some(format!("S-{}", m % STREETS))));
    (0..STREETS).for_each(|s| above(format!("S-{s}"), "street", Some("CITY".into())));
    above("CITY".into(), "district", None);
    let mut lead = |person: String, cell: String, role, hours: Option<&str>| {
        if rows.people.iter().all(|known| known.id != person) {
            rows.people.push(Person { id: person.clone(), name: person.clone(), ..Person::default() });
        }
        let hours = hours.map(|text| Hours::parse(text).unwrap());
        rows.duties.push(Duty { person, cell, role, from: Timestamp(0), until: None, hours });
    };
    for m in 0..communities {
        lead(format!("m-{m}"), format!("M-{m}"), Role::Lead, None);
    }
    for s in 0..STREETS {
        lead(format!("s-{s}"), format!("S-{s}"), Role::DutyOfficer, None);
    }
    lead("city".into(), "CITY".into(), Role::DutyOfficer, None);
    for worker in 0..WORKERS {
        let id = format!("w-{worker}");
        rows.people.push(Person { id: id.clone(), name: id.clone(), ..Person::default() });
        for cell in [worker, worker + WORKERS].into_iter().filter(|cell| *cell < CELLS) {
            let hours = Some(Hours::parse("06:00-22:00").unwrap());
            let (person, cell) = (id.clone(), format!("C-{cell}"));
            rows.duties.push(Duty { person, cell, role: Role::Lead, from: Timestamp(0), until: None, hours });
        }
    }
    rows
}

impl Week {
    fn new(seed: u64, hazards: u32) -> Self {
        let text = std::fs::read_to_string(root().join("config/rules.toml")).unwrap();
        let mut rules = Rules::read(&text).unwrap();
        rules.rules.retain(|rule| rule.presence.is_none());
        let rows = rows();
        let registry = Registry::build(rows.clone());
        let book = Arc::new(RuleBook::compile(&rules, &registry).0);
        let mut week = Self {
            rng: Rng::with_seed(seed),
            engine: Engine::new(registry, book, now(0)),
            rows,
            rules,
            seq: 0,
            at: 0,
            queue: BinaryHeap::new(),
            happens: BTreeMap::new(),
            recent: BTreeMap::new(),
            gone: BTreeSet::new(),
            acknowledged: BTreeSet::new(),
            figures: Figures::default(),
        };
        for _ in 0..hazards {
            let at = week.moment();
            week.then(at, Happens::Hazard);
        }
        for day in 0..7 {
            week.then(day * DAY + 6 * HOUR, Happens::Look);
            week.then(day * DAY + 9 * HOUR, Happens::Roster);
            week.then(day * DAY + 22 * HOUR, Happens::Look);
        }
        week
    }

    fn then(&mut self, at: u64, happens: Happens) {
        let number = self.happens.last_key_value().map_or(0, |(last, _)| last + 1).max(self.seq);
        self.happens.insert(number, happens);
        self.queue.push(Reverse((at, number)));
    }

    /// Most by day.
    fn moment(&mut self) -> u64 {
        if self.rng.u32(0..1_000) < STORM_OF_1000 {
            return STORM.0 + self.rng.u64(0..STORM.1);
        }
        loop {
            let at = self.rng.u64(0..7 * DAY);
            let by_day = (7 * HOUR..21 * HOUR).contains(&(at % DAY));
            if by_day || self.rng.u32(0..4) == 0 {
                return at;
            }
        }
    }

    fn in_storm(&self) -> bool {
        (STORM.0..STORM.0 + STORM.1).contains(&self.at)
    }

    fn is_night(&self) -> bool {
        !(7 * HOUR..21 * HOUR).contains(&(self.at % DAY))
    }

    fn is_stormy(cell: u32) -> bool {
        cell / COMMUNITY_CELLS < STORM_COMMUNITIES
    }

    /// A device of this kind; in the storm one of there.
    fn device(&mut self, kind: DeviceKind) -> DeviceIx {
        loop {
            let device = self.rng.u32(0..DEVICES);
            let here = !self.in_storm() || Self::is_stormy(cell_of(device));
            if here && self.rows.devices[device as usize].kind == kind {
                return DeviceIx(device);
            }
        }
    }

    fn cell(&mut self) -> CellIx {
        loop {
            let cell = self.rng.u32(0..CELLS);
            if !self.in_storm() || Self::is_stormy(cell) {
                return CellIx(cell);
            }
        }
    }

    /// One of the city's hazards.
    fn hazard(&mut self) -> Event {
        let kind = self.rng.u32(0..1_000);
        let number = self.seq;
        let said = |cell, class, by| {
            let text = format!("隐患 {number}");
            let who = if by == Reporter::Worker { "city" } else { "resident" };
            Event::Action(Action { who: who.into(), what: Deed::Report { cell, class, by, text } })
        };
        let (device, metric, value, normal) = match kind {
            0..=7 => (self.device(DeviceKind::SmokeDetector), Metric::SMOKE, 1.0, 0.0),
            8..=107 => (self.device(DeviceKind::Hydrant), Metric::PRESSURE, 90.0, 300.0),
            108..=307 => (self.device(DeviceKind::SmokeDetector), Metric::FAULT, 1.0, 0.0),
            308..=857 => return said(self.cell(), SignalClass::Supervisory, Reporter::Worker),
            _ => return said(self.cell(), SignalClass::Trouble, Reporter::Resident),
        };
        let over = self.at + self.rng.u64(20 * MINUTE..3 * HOUR);
        self.then(over, Happens::Over(device, metric, normal));
        report(device, metric, value, self.at)
    }

    /// Somebody leaves, some are ill and have a stand-in or none: what the office enters in the morning.
    fn roster(&mut self) {
        let wall = now(self.at).wall;
        for case in 0..6 {
            let worker = format!("w-{}", self.rng.u32(0..WORKERS));
            if self.gone.contains(&worker) {
                continue;
            }
            let edit = if case == 0 {
                self.gone.insert(worker.clone());
                Edit::Leave { person: worker }
            } else {
                let other = format!("w-{}", self.rng.u32(0..WORKERS));
                let stand_in = (case != 1 && other != worker && !self.gone.contains(&other)).then_some(other);
                let until = Some(wall + Millis(2 * DAY));
                Edit::Absent(Absence { person: worker, from: wall, until, stand_in, reason: String::new() })
            };
            if let Ok(Some(rows)) = edit.apply(&self.rows, wall) {
                self.rows = rows;
            }
        }
        let registry = Registry::build(self.rows.clone());
        let book = Arc::new(RuleBook::compile(&self.rules, &registry).0);
        let effects = self.engine.reconfigure(registry, book, now(self.at));
        self.check(&effects);
    }

    /// Until nothing is left to happen, or for so many days.
    fn live(&mut self, days: u64) {
        loop {
            let due = self.queue.peek().map(|Reverse((at, _))| *at);
            let wake = self.engine.wake_at().map(|at| at.0);
            let Some(next) = [due, wake].into_iter().flatten().min() else { return };
            if days * DAY < next {
                return;
            }
            self.at = self.at.max(next);
            let mut events = Vec::new();
            if due.is_some_and(|due| due <= self.at)
                && let Some(Reverse((_, number))) = self.queue.pop()
                && let Some(happens) = self.happens.remove(&number)
            {
                match happens {
                    Happens::Hazard => events.push(self.hazard()),
                    Happens::Over(device, metric, value) => {
                        events.push(report(device, metric, value, self.at))
                    }
                    Happens::Does(who, what) => events.push(Event::Action(Action { who, what })),
                    Happens::Look => {
                        events.push(Event::Action(Action { who: "gateway".into(), what: Deed::Roster }));
                    }
                    Happens::Roster => self.roster(),
                }
            }
            self.seq += 1;
            self.figures.batches += 1;
            let applied = self.engine.apply(&Batch { seq: self.seq, now: now(self.at), events });
            self.check(&applied.effects);
        }
    }

    /// What must hold of one step, and what people make of it.
    fn check(&mut self, effects: &[Effect]) {
        let mut pages: BTreeMap<(&str, AlarmId, u32), SignalClass> = BTreeMap::new();
        let told: BTreeSet<AlarmId> = effects
            .iter()
            .filter_map(|effect| match effect {
                Effect::Tell(alert) if alert.step != Alert::SUMMARY => Some(alert.alarm),
                Effect::Tell(_) | Effect::Alarm(..) | Effect::Withdraw(_) => None,
            })
            .collect();
        for effect in effects {
            match effect {
                Effect::Alarm(alarm, entry) => self.looks_right(alarm, entry.what, &entry.detail, &told),
                Effect::Tell(alert) => {
                    let person = alert.person.as_deref().expect("everybody up the tree answers");
                    let alarm = if alert.step == Alert::SUMMARY { AlarmId(0) } else { alert.alarm };
                    let class = pages.entry((person, alarm, alert.step)).or_insert(alert.class);
                    *class = if alert.step == Alert::SUMMARY { SignalClass::Test } else { alert.class };
                    self.is_told(alert, person);
                }
                Effect::Withdraw(_) => (),
            }
        }
        for ((person, alarm, _), class) in pages {
            *self.figures.pages.entry(person.to_owned()).or_default() += 1;
            self.figures.summaries += u32::from(alarm == AlarmId(0));
            if class == SignalClass::Fire {
                self.figures.fire_pages += 1;
                continue;
            }
            let recent = self.recent.entry(person.to_owned()).or_default();
            while recent.front().is_some_and(|at| at + PAGES_WITHIN <= self.at) {
                recent.pop_front();
            }
            recent.push_back(self.at);
            assert!(recent.len() <= PAGES_MAX, "{person} was paged {} times in ten minutes", recent.len());
            self.figures.most_in_ten_minutes = self.figures.most_in_ten_minutes.max(recent.len());
        }
    }

    fn looks_right(&mut self, alarm: &Alarm, what: What, detail: &str, told: &BTreeSet<AlarmId>) {
        if alarm.is_open() {
            let owner =
                alarm.owner.as_ref().unwrap_or_else(|| panic!("{} has no owner at {}", alarm.id, self.at));
            let under_way = alarm.handling.on_the_way.is_some();
            assert!(under_way || !self.gone.contains(owner), "{owner} has left and owns {}", alarm.id);
        }
        let fire = alarm.class == SignalClass::Fire;
        match what {
            What::Raised => {
                self.figures.raised[alarm.class as usize] += 1;
                assert!(!fire || told.contains(&alarm.id), "the fire {} waits", alarm.id);
                assert!(!fire || alarm.handling.held.is_none(), "the fire {} is held", alarm.id);
            }
            What::Acknowledged | What::OnTheWay if self.acknowledged.insert(alarm.id) => {
                let after = now(self.at).wall.since(alarm.raised).0;
                self.figures.to_acknowledge[usize::from(!fire)].push(after);
                let steps = alarm.ladder.as_ref().map_or(0, |position| position.steps_taken);
                *self.figures.climbs.entry(steps).or_default() += 1;
            }
            What::Folded => self.figures.folded += u32::from(detail.contains("goes into the next summary")),
            What::Closed => self.figures.closed += 1,
            What::Unanswered => self.figures.unanswered += 1,
            What::OwnerChanged => self.figures.owners_changed += 1,
            What::Acknowledged
            | What::OnTheWay
            | What::Repeated
            | What::Told
            | What::Escalated
            | What::Returned
            | What::ActiveAgain
            | What::Resolved
            | What::NobodyToTell
            | What::NotTold
            | What::OnSite
            | What::Verified
            | What::SentBack
            | What::Evaluated
            | What::HandedOver
            | What::Suspended
            | What::Shelved
            | What::Suppressed
            | What::Resumed
            | What::NoProgress
            | What::Confirmed => (),
        }
    }

    /// Perhaps he answers, goes, and settles it; sometimes it is beyond him.
    fn is_told(&mut self, alert: &Alert, person: &str) {
        let post = Post::of(person);
        if self.rng.u32(0..100) >= post.answers(self.is_night()) {
            return;
        }
        let fire = alert.class == SignalClass::Fire;
        let soon = if fire { 10 * SECOND..3 * MINUTE } else { MINUTE..25 * MINUTE };
        // Whoever hears that nobody answered takes that one in hand.
        let unanswered = |one: &&Alarm| one.handling.unanswered == Some(alert.alarm);
        let about = self.engine.open_alarms().find(unanswered).map_or(alert.alarm, |one| one.id);
        let (who, alarm) = (person.to_owned(), about);
        let mut at = self.at + self.rng.u64(soon);
        let mut does = |week: &mut Self, after: u64, what: Deed| {
            at += after;
            week.then(at, Happens::Does(who.clone(), what));
        };
        does(self, 0, Deed::Acknowledge { alarm, note: None });
        if self.rng.u32(0..100) < 3 && post == Post::Worker && !fire {
            let to = gateway::model::HandTo::Up;
            return does(self, MINUTE, Deed::HandOver { alarm, to, reason: "beyond me".into() });
        }
        let way = self.rng.u64(MINUTE..15 * MINUTE);
        does(self, way, Deed::OnTheWay { alarm, note: None });
        let way = self.rng.u64(2 * MINUTE..15 * MINUTE);
        does(self, way, Deed::OnSite { alarm, note: None });
        let work = self.rng.u64(10 * MINUTE..2 * HOUR);
        let disposition = if fire { Disposition::FalseAlarm } else { Disposition::HazardRemoved };
        does(self, work, Deed::Resolve { alarm, disposition, cause: None, note: None });
    }

    fn table(&mut self) -> String {
        let Figures { pages, to_acknowledge, climbs, raised, .. } = &mut self.figures;
        let mut loads: Vec<u64> = (0..WORKERS)
            .map(|worker| pages.get(&format!("w-{worker}")).copied().map_or(0, u64::from))
            .collect();
        let mut officers: Vec<u64> = pages
            .iter()
            .filter(|(person, _)| Post::of(person) != Post::Worker)
            .map(|(_, count)| u64::from(*count))
            .collect();
        let of = |sorted: &mut Vec<u64>, share: f64| {
            sorted.sort_unstable();
            let last = sorted.len().saturating_sub(1);
            sorted.get((last as f64 * share).round() as usize).copied().unwrap_or(0)
        };
        let minutes =
            |times: &mut Vec<u64>, share: f64| format!("{:.1} min", of(times, share) as f64 / 60_000.0);
        let row =
            |name: &str, [half, most, all]: [String; 3]| format!("| {name} | {half} | {most} | {all} |\n");
        let mut text = String::from("| | median | nine of ten | most |\n|---|---|---|---|\n");
        let shares = [0.5, 0.9, 1.0];
        text += &row("pages of a worker in the week", shares.map(|share| of(&mut loads, share).to_string()));
        text +=
            &row("pages of an officer in the week", shares.map(|share| of(&mut officers, share).to_string()));
        let [fires, others] = to_acknowledge;
        text += &row("a fire until it is acknowledged", shares.map(|share| minutes(fires, share)));
        text += &row("any other", shares.map(|share| minutes(others, share)));
        let at_first = climbs.range(..=1).map(|(_, count)| count).sum::<u32>();
        let climbed: u32 = climbs.range(2..).map(|(_, count)| count).sum();
        let summed: u32 = raised.iter().sum();
        let figures = [
            ("alarms raised, of these fires", format!("{summed}, {}", raised[SignalClass::Fire as usize])),
            (
                "acknowledged at the first step of the ladder, at a later one",
                format!("{at_first}, {climbed}"),
            ),
            ("said to be unanswered", self.figures.unanswered.to_string()),
            (
                "most pages of one person in ten minutes, fires left aside",
                self.figures.most_in_ten_minutes.to_string(),
            ),
            (
                "pages folded, and the summaries they went into",
                format!("{}, {}", self.figures.folded, self.figures.summaries),
            ),
            ("pages of fires, none of them late", self.figures.fire_pages.to_string()),
            ("owners changed by shifts, illness and leaving", self.figures.owners_changed.to_string()),
            (
                "alarms closed, still open",
                format!("{}, {}", self.figures.closed, self.engine.open_alarms().count()),
            ),
        ];
        text += "\n| | |\n|---|---|\n";
        text.extend(figures.map(|(name, value)| format!("| {name} | {value} |\n")));
        text
    }
}

fn report(device: DeviceIx, metric: Metric, value: f64, at: u64) -> Event {
    let values = vec![Value { metric, value, quality: Quality::Good }];
    let received = now(at).wall;
    Event::Report(Report { device, received, device_time: None, freshness: Freshness::Live, values })
}

#[test]
fn a_week_of_a_city_is_answered_and_ends() {
    let seed = super::variable("WEEK_SEED").unwrap_or(1);
    let hazards = super::variable("WEEK_HAZARDS").map_or(HAZARDS, |count| count as u32);
    let begun = gateway::clock::instant();
    let mut week = Week::new(seed, hazards);
    week.live(30);
    let left: Vec<_> =
        week.engine.open_alarms().map(|alarm| (alarm.id, alarm.rule.clone(), alarm.state)).collect();
    println!("WEEK_SEED={seed}: {hazards} hazards, {} steps in {:?}", week.figures.batches, begun.elapsed());
    println!("{}", week.table());
    assert!(left.is_empty(), "{} are not over: {:?}", left.len(), &left[..left.len().min(5)]);
    let figures = &week.figures;
    assert_eq!(figures.raised.iter().sum::<u32>(), figures.closed, "each ends once");
    assert!(0 < figures.folded && 0 < figures.summaries, "the storm has lost its point");
    assert!(0 < figures.raised[SignalClass::Fire as usize] && 0 < figures.owners_changed);
}
