//! The engine's state as bytes, and back.
//!
//! One byte of version, eight bytes of SHA-256 over the rest, then postcard. Times are relative to the moment of the snapshot, so that a device costs about
//! 12 bytes. Rules are named, because positions change with every edit of rules.toml. A changed shape of anything in [`State`] is a new version
//! with a way to read the old one.

mod v1;

use std::collections::BTreeMap;
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::condition::{Condition, Conditions};
use super::flood::{FormerPages, Pages};
use super::ladder::Run;
use super::nearest::Question;
use super::open::{Open, OpenAlarms};
use super::presence::{Known, Presence, Silence};
use super::rate::{SAMPLES_MAX, Window};
use super::rules::{RuleBook, RuleIx};
use super::stillness::{Calm, Flats};
use super::{Engine, FireMark, Key, Place, SnapshotError};
use crate::grid::Registry;
use crate::model::{Alarm, AlarmId, DeviceIx, Exercise, Metric};
use crate::units::{Now, Steady};

const VERSION: u8 = 4;
const CHECK_BYTES: usize = 8;

/// `Open`: how an open alarm is written. [`Later`] follows it.
#[derive(Serialize, Deserialize)]
struct State<Open> {
    now: Now,
    busy: Steady,
    last_alarm: u64,
    /// Those that are referred to below.
    rules: Vec<RuleRef>,
    known: Vec<Row>,
    conditions: Vec<(At, Condition)>,
    rates: Vec<(At, Window)>,
    fires: Vec<(At, FireMark)>,
    alarms: Vec<Open>,
}

/// What versions from 4 on have behind [`State`]; version 3 had [`FormerPages`].
#[derive(Default, Serialize, Deserialize)]
struct Later {
    pages: Pages,
    /// Of the open alarms that are exercises.
    exercises: BTreeMap<AlarmId, Exercise>,
    questions: Vec<Question>,
    /// Of the flats that are watched.
    calm: Vec<(At, Calm)>,
    flags: Vec<(DeviceIx, Metric, bool)>,
}

#[derive(Serialize, Deserialize)]
struct RuleRef {
    name: String,
    basis: (u8, Option<Metric>),
}

/// A device, and a position in [`State::rules`].
#[derive(Clone, Copy, Serialize, Deserialize)]
struct At(DeviceIx, u32);

#[derive(Serialize, Deserialize)]
struct OpenRow {
    alarm: Alarm,
    /// With whether it is late.
    key: Option<(At, bool)>,
    run: Run,
}

/// One device. `None`: never.
#[derive(Serialize, Deserialize)]
struct Row {
    seen: Option<i64>,
    device_time: Option<i64>,
    clear_s: Option<i64>,
    deadline_s: Option<i64>,
    clear_flags: u8,
    silence: u8,
}

impl Row {
    fn of(known: &Known, now: Now) -> Self {
        let never = Known::default();
        let (wall_s, steady_s) = seconds(now);
        Self {
            seen: (known.seen != never.seen).then(|| known.seen.wrapping_sub(now.wall.0)),
            device_time: (known.device_time != never.device_time)
                .then(|| known.device_time.wrapping_sub(now.wall.0)),
            clear_s: (known.clear_s != 0).then(|| i64::from(known.clear_s) - wall_s),
            deadline_s: known.is_armed().then(|| i64::from(known.deadline_s) - steady_s),
            clear_flags: known.clear_flags,
            silence: match known.silence {
                Silence::No => 0,
                Silence::Gone => 1,
                Silence::Yes => 2,
            },
        }
    }

    fn known(&self, now: Now) -> Result<Known, SnapshotError> {
        let nonsense = || SnapshotError::Nonsense("the row of a device");
        let (wall_s, steady_s) = seconds(now);
        let mut known = Known::default();
        known.clear_flags = self.clear_flags;
        if let Some(seen) = self.seen {
            known.seen = seen.wrapping_add(now.wall.0);
        }
        if let Some(time) = self.device_time {
            known.device_time = time.wrapping_add(now.wall.0);
        }
        if let Some(clear) = self.clear_s {
            known.clear_s = u32::try_from(clear.wrapping_add(wall_s)).map_err(|_| nonsense())?;
        }
        if let Some(deadline) = self.deadline_s {
            known.deadline_s = u32::try_from(deadline.wrapping_add(steady_s)).map_err(|_| nonsense())?;
        }
        known.silence = match self.silence {
            0 => Silence::No,
            1 => Silence::Gone,
            2 => Silence::Yes,
            _ => return Err(nonsense()),
        };
        Ok(known)
    }
}

/// Wall and steady time in whole seconds.
fn seconds(now: Now) -> (i64, i64) {
    (now.wall.0.div_euclid(1000), i64::try_from(now.steady.0 / 1000).unwrap_or(i64::MAX))
}

impl Engine {
    /// Everything needed to continue later, versioned.
    pub fn snapshot(&self) -> Vec<u8> {
        let mut refs = References { rules: &self.rules, list: Vec::new(), known: BTreeMap::new() };
        let conditions =
            self.conditions.iter().map(|(place, state)| (refs.at(place), state.clone())).collect();
        let rates = self.rates.iter().map(|(place, window)| (refs.at(*place), window.clone())).collect();
        let fires = self.fires.iter().map(|(place, mark)| (refs.at(*place), *mark)).collect();
        let calm = self.flats.rows().map(|(place, calm)| (refs.at(place), calm.clone())).collect();
        let alarms = self
            .alarms
            .iter()
            .map(|open| OpenRow {
                alarm: open.alarm.clone(),
                key: open.key.map(|key| (refs.at((key.device, key.rule)), key.late)),
                run: open.run,
            })
            .collect();
        let state = State {
            now: self.now,
            busy: self.busy,
            last_alarm: self.alarms.last(),
            rules: refs.list,
            known: self.presence.rows().iter().map(|known| Row::of(known, self.now)).collect(),
            conditions,
            rates,
            fires,
            alarms,
        };
        let exercises = self.alarms.exercises().map(|(id, exercise)| (id, exercise.clone())).collect();
        let later = Later {
            pages: self.pages.clone(),
            exercises,
            questions: self.alarms.questions.clone(),
            calm,
            flags: self.flats.flags(),
        };
        sealed(&postcard::to_stdvec(&(state, later)).expect("memory takes every byte"))
    }

    /// Continue from a snapshot, with the registry and rules it was taken under. When they have changed since, call [`Engine::reconfigure`]
    /// next: alarms of rules that are gone wait for it.
    pub fn restore(
        snapshot: &[u8],
        registry: Arc<Registry>,
        rules: Arc<RuleBook>,
    ) -> Result<Self, SnapshotError> {
        let (state, mut later) = read(snapshot)?;
        let positions: Vec<Option<RuleIx>> = state
            .rules
            .iter()
            .map(|known| {
                let found = rules.rule_named(&known.name)?;
                (rules.rule(found).basis.fingerprint() == known.basis).then_some(found)
            })
            .collect();
        let place = |At(device, rule): At| -> Result<Option<Place>, SnapshotError> {
            let rule = positions.get(rule as usize).ok_or(SnapshotError::Nonsense("the number of a rule"))?;
            Ok(rule.filter(|rule| rules.selects(*rule, device)).map(|rule| (device, rule)))
        };
        let mut conditions = Conditions::default();
        for (at, condition) in state.conditions {
            if let Some(place) = place(at)? {
                conditions.put(place, Some(condition));
            }
        }
        let mut rates = BTreeMap::new();
        for (at, window) in state.rates {
            if !window.is_sound() {
                return Err(SnapshotError::Nonsense("the samples of a rate"));
            }
            rates.extend(place(at)?.map(|place| (place, window)));
        }
        let mut fires = BTreeMap::new();
        for (at, mark) in state.fires {
            fires.extend(place(at)?.map(|place| (place, mark)));
        }
        let mut alarms = Vec::with_capacity(state.alarms.len());
        for OpenRow { mut alarm, key, run } in state.alarms {
            alarm.handling.exercise = later.exercises.remove(&alarm.id).map(Box::new);
            let key = match key {
                Some((at, late)) => place(at)?.map(|(device, rule)| Key { device, rule, late }),
                None => None,
            };
            alarms.push(Open { alarm, key, run });
        }
        let mut calm = Vec::with_capacity(later.calm.len());
        for (at, row) in later.calm {
            calm.extend(place(at)?.map(|place| (place, row)));
        }
        let known =
            state.known.iter().map(|row| row.known(state.now)).collect::<Result<Vec<_>, SnapshotError>>()?;
        let mut engine = Self {
            registry,
            rules,
            now: state.now,
            busy: state.busy,
            presence: Presence::from_rows(known),
            conditions,
            rates,
            fires,
            alarms: OpenAlarms::from_rows(state.last_alarm, alarms),
            pages: later.pages,
            flats: Flats::from_rows(calm, later.flags),
            watch: None,
        };
        engine.alarms.questions = later.questions;
        engine.arm_new_devices();
        engine.arm_new_flats();
        Ok(engine)
    }
}

fn read(snapshot: &[u8]) -> Result<(State<OpenRow>, Later), SnapshotError> {
    let Some((&version, rest)) = snapshot.split_first() else {
        return Err(SnapshotError::Nonsense("it is empty"));
    };
    if !(1..=VERSION).contains(&version) {
        return Err(SnapshotError::Version(version));
    }
    let bytes = match rest.split_at_checked(CHECK_BYTES) {
        Some((expected, bytes)) if expected == check(bytes) => bytes,
        Some(_) => return Err(SnapshotError::Nonsense("its checksum is wrong")),
        None => return Err(SnapshotError::Nonsense("it is cut off")),
    };
    if version == 1 {
        let former: State<v1::OpenRow> = postcard::from_bytes(bytes)?;
        return Ok((former.with(OpenRow::from), Later::default()));
    }
    if version == 2 {
        let (former, rest) = postcard::take_from_bytes(bytes)?;
        // Else the byte of its version is damaged.
        let whole = rest.is_empty().then(|| (former, Later::default()));
        return whole.ok_or(SnapshotError::Nonsense("something follows it"));
    }
    if version == 3 {
        let (former, pages): (_, FormerPages) = postcard::from_bytes(bytes)?;
        let later = Later { pages: pages.into(), ..Later::default() };
        return Ok((former, later));
    }
    Ok(postcard::from_bytes(bytes)?)
}

impl<Open> State<Open> {
    /// The same with open alarms written in another way.
    fn with<Other>(self, convert: impl FnMut(Open) -> Other) -> State<Other> {
        let Self { now, busy, last_alarm, rules, known, conditions, rates, fires, alarms } = self;
        let alarms = alarms.into_iter().map(convert).collect();
        State { now, busy, last_alarm, rules, known, conditions, rates, fires, alarms }
    }
}

/// With version and checksum in front.
pub(super) fn sealed(body: &[u8]) -> Vec<u8> {
    [&[VERSION], check(body).as_slice(), body].concat()
}

fn check(bytes: &[u8]) -> [u8; CHECK_BYTES] {
    let mut check = [0; CHECK_BYTES];
    check.copy_from_slice(&Sha256::digest(bytes)[..CHECK_BYTES]);
    check
}

impl Window {
    fn is_sound(&self) -> bool {
        self.len() <= SAMPLES_MAX
    }
}

/// Gives the rules that are referred to small numbers.
struct References<'a> {
    rules: &'a RuleBook,
    list: Vec<RuleRef>,
    known: BTreeMap<RuleIx, u32>,
}

impl References<'_> {
    fn at(&mut self, (device, rule): Place) -> At {
        let number = *self.known.entry(rule).or_insert_with(|| {
            let found = self.rules.rule(rule);
            self.list.push(RuleRef { name: found.name.clone(), basis: found.basis.fingerprint() });
            (self.list.len() - 1) as u32
        });
        At(device, number)
    }
}
