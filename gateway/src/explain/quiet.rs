//! Why it was quiet: what came from a device up to a moment, what every rule made of it, and what would have had to happen for an alarm.
//!
//! There is no second logic: the journal of the time before goes through the real engine as in a replay, and somebody looks on ([`crate::engine::watch`]). What alarms stood, were held or
//! folded is read from their histories, as they were written then. It is bounded: a day, so many bytes of journal, so many devices of a cell; where the look begins is part of the answer, and
//! the engine knows nothing of what was before. Rules and registry are those in force now.

use std::sync::Arc;

use anyhow::Context;
use serde::Serialize;
use utoipa::ToSchema;

use super::past::raised_by;
use super::reasons::{self, Facts};
use crate::engine::MAINTENANCE;
use crate::engine::rules::RuleBook;
use crate::engine::watch::{Outcome, Seen, Sighted, Stand, Standing, Watch};
use crate::grid::{Device, Registry};
use crate::learning::alarms_since;
use crate::model::{Alarm, CellIx, DeviceIx, Entry, Freshness, Hold, Quality, SignalClass, What};
use crate::replay::Rehearsal;
use crate::store::Store;
use crate::store::alarms::Query;
use crate::units::{Millis, Timestamp};

/// So far back is looked, and so much of the journal is read at the most.
const LOOK_BACK: Millis = Millis::from_secs(24 * 3600);
const JOURNAL_BYTES_MAX: u64 = 16 << 20;
const PIECE_BYTES: usize = 2 << 20;
/// Readings shown of a device that was asked for, and looked at of each device of a cell.
const READINGS_MAX: usize = 200;
const READINGS_OF_MANY_MAX: usize = 20;
/// Devices of a cell that are looked at.
pub const DEVICES_MAX: usize = 300;
const LETTERS_MAX: u32 = 20;

/// Why a device raised no alarm, or another than was expected, up to a moment.
#[derive(Debug, Serialize, ToSchema)]
pub struct DeviceQuiet {
    pub device: String,
    pub cell: Option<String>,
    #[schema(format = DateTime)]
    pub at: String,
    /// Where the look into the journal begins; none: it holds nothing of the day before.
    #[schema(format = DateTime)]
    pub looked_from: Option<String>,
    /// The reasons, the nearest first; each a sentence.
    pub because: Vec<String>,
    /// Every rule that looks at the device, and what would have had to happen.
    pub rules: Vec<RuleLine>,
    /// What came, oldest first, and what each rule made of it.
    pub readings: Vec<ReadingLine>,
    /// Older ones of that time.
    pub readings_left_out: u64,
    /// Alarms of the device that stood in that time, newest first.
    pub alarms: Vec<AlarmLine>,
    /// Messages that name the device and could not be used.
    pub unusable: Vec<LetterLine>,
}

/// The same for a cell and the cells below it.
#[derive(Debug, Serialize, ToSchema)]
pub struct CellQuiet {
    pub cell: String,
    #[schema(format = DateTime)]
    pub at: String,
    #[schema(format = DateTime)]
    pub looked_from: Option<String>,
    pub because: Vec<String>,
    pub devices: Vec<DeviceLine>,
    /// Beyond the 300 that are looked at; ask for a smaller cell.
    pub devices_left_out: usize,
    pub alarms: Vec<AlarmLine>,
}

#[derive(Debug, Serialize, ToSchema)]
pub struct DeviceLine {
    pub device: String,
    pub because: Vec<String>,
}

#[derive(Debug, Serialize, ToSchema)]
pub struct RuleLine {
    pub rule: String,
    pub class: SignalClass,
    #[schema(example = "`pressure` is below 140 kPa and stays so for 5 min")]
    pub raises_when: String,
    /// `normal`, `waits`, `active` or `clears`.
    pub state: &'static str,
    /// Until it changes by itself.
    pub left_s: Option<u64>,
}

#[derive(Debug, Serialize, ToSchema)]
pub struct ReadingLine {
    #[schema(format = DateTime)]
    pub at: String,
    /// None: a sign of life without a value, or a time that ran out.
    pub metric: Option<String>,
    pub value: Option<f64>,
    pub unit: Option<String>,
    pub quality: Option<Quality>,
    pub freshness: Option<Freshness>,
    /// When the device says it measured it.
    #[schema(format = DateTime)]
    pub time: Option<String>,
    /// That looked at it.
    pub rule: Option<String>,
    pub outcome: &'static str,
}

#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct AlarmLine {
    #[schema(example = "A-17")]
    pub id: String,
    pub rule: String,
    pub class: SignalClass,
    #[schema(format = DateTime)]
    pub raised: String,
    /// Whether it stood at that moment.
    pub stood: bool,
    /// What kept it from calling then, and who was not told by himself.
    pub guards: Vec<String>,
}

#[derive(Debug, Serialize, ToSchema)]
pub struct LetterLine {
    #[schema(format = DateTime)]
    pub at: String,
    pub source: String,
    pub reason: String,
}

/// What an explanation is made from.
#[derive(Clone)]
pub struct Desk {
    pub store: Store,
    pub registry: Arc<Registry>,
    /// Those in force.
    pub rules: Arc<RuleBook>,
}

/// What the engine knew of one device at the moment.
struct Looked {
    seen: Seen,
    standing: Vec<Standing>,
    heard: crate::engine::Seen,
}

impl Desk {
    pub async fn device(&self, device: DeviceIx, at: Timestamp) -> anyhow::Result<DeviceQuiet> {
        let known = self.registry.device(device).context("a registered device")?;
        let (begin, mut looked) = self.look(&[device], READINGS_MAX, at).await?;
        let looked = looked.pop().context("one device was looked at")?;
        let unusable = self.letters(&known.id, &known.address, at).await?;
        let alarms = self.alarms(Query { device: Some(device), ..Query::default() }, at).await?;
        let windows = self.windows(known, at).await?;
        let facts = Facts {
            device: known,
            homeless: self.registry.home(device).is_none(),
            begin,
            zone: &self.registry.rows().zone,
            seen: &looked.seen,
            standing: &looked.standing,
            last: looked.heard.last,
            alarms: &alarms,
            windows: &windows,
            unusable: unusable.len(),
        };
        let because = reasons::of_device(&facts);
        Ok(DeviceQuiet {
            device: known.id.clone(),
            cell: known.cells.first().cloned(),
            at: at.rfc3339(),
            looked_from: begin.map(Timestamp::rfc3339),
            because,
            rules: looked.standing.iter().map(RuleLine::of).collect(),
            readings: looked.seen.sights.iter().map(|sight| ReadingLine::of(sight.at, &sight.what)).collect(),
            readings_left_out: looked.seen.left_out,
            alarms,
            unusable,
        })
    }

    /// An id that is registered nowhere: all that can be known of it is in the messages that nobody could use.
    pub async fn stranger(&self, id: &str, at: Timestamp) -> anyhow::Result<Vec<LetterLine>> {
        self.letters(id, id, at).await
    }

    pub async fn cell(&self, cell: CellIx, at: Timestamp) -> anyhow::Result<CellQuiet> {
        let registry = &self.registry;
        let known = registry.cell(cell).context("a cell")?;
        let inside = |ix: DeviceIx| registry.home(ix).is_some_and(|home| registry.is_in(home, cell));
        let all = registry.devices().iter().filter(|device| !device.retired && inside(device.ix));
        let mut devices: Vec<&Device> = all.collect();
        let left_out = devices.len().saturating_sub(DEVICES_MAX);
        devices.truncate(DEVICES_MAX);
        let places: Vec<DeviceIx> = devices.iter().map(|device| device.ix).collect();
        let (begin, looked) = self.look(&places, READINGS_OF_MANY_MAX, at).await?;
        let alarms = self.alarms(Query { cells: registry.codes_in(cell), ..Query::default() }, at).await?;
        let zone = &registry.rows().zone;
        let mut lines = Vec::with_capacity(devices.len());
        for (device, looked) in devices.iter().zip(&looked) {
            let facts = Facts {
                device,
                homeless: false,
                begin,
                zone,
                seen: &looked.seen,
                standing: &looked.standing,
                last: looked.heard.last,
                alarms: &[],
                windows: &[],
                unusable: 0,
            };
            lines.push(DeviceLine { device: device.id.clone(), because: reasons::of_device(&facts) });
        }
        let silent = looked.iter().filter(|one| one.seen.sights.is_empty()).count();
        let answers = registry.responsible(cell, at).map(|person| person.name.as_str());
        let because = reasons::of_cell(devices.len() + left_out, silent, &alarms, answers);
        Ok(CellQuiet {
            cell: known.code.clone(),
            at: at.rfc3339(),
            looked_from: begin.map(Timestamp::rfc3339),
            because,
            devices: lines,
            devices_left_out: left_out,
            alarms,
        })
    }

    /// The journal up to the moment, with eyes on some devices; and where it begins.
    async fn look(
        &self,
        devices: &[DeviceIx],
        keep: usize,
        at: Timestamp,
    ) -> anyhow::Result<(Option<Timestamp>, Vec<Looked>)> {
        let store = &self.store;
        let last = store.batch_before(at + Millis(1)).await?;
        let day = store.batch_before(at - LOOK_BACK).await?;
        let mut read = day.max(store.so_much_before(last, JOURNAL_BYTES_MAX).await?);
        let first = if read < last { store.batches_after(read, 1).await? } else { Vec::new() };
        let now = first.first().map(|batch| batch.now);
        let begin = now.map(|now| now.wall);
        let were = match begin {
            Some(begin) => alarms_since(store, begin).await?,
            None => Vec::new(),
        };
        let now = now.unwrap_or_default();
        let mut rehearsal = Rehearsal::new(&self.registry, self.rules.clone(), Vec::new(), were, now);
        rehearsal.in_force().watch(Watch::new(devices.iter().copied(), now.wall, keep));
        let mut newest = now;
        while read < last {
            let batches = store.batches_after(read, PIECE_BYTES).await?;
            let Some(end) = batches.iter().rfind(|batch| batch.seq <= last) else { break };
            (read, newest) = (batches.last().map_or(last, |batch| batch.seq), end.now);
            let work = move || {
                batches.iter().filter(|batch| batch.seq <= last).for_each(|batch| rehearsal.step(batch));
                rehearsal
            };
            rehearsal = tokio::task::spawn_blocking(work).await.context("the look into the journal")?;
        }
        let engine = rehearsal.in_force();
        let then = newest.steady + at.since(newest.wall);
        let looked = devices.iter().map(|&device| Looked {
            seen: engine.watched(device),
            standing: engine.standing(device, then),
            heard: engine.seen(device),
        });
        Ok((begin, looked.collect()))
    }

    /// Those that stood in the day before, newest first.
    async fn alarms(&self, query: Query, at: Timestamp) -> anyhow::Result<Vec<AlarmLine>> {
        let from = at - LOOK_BACK;
        let stood =
            |alarm: &Alarm| alarm.rule != MAINTENANCE && alarm.closed.is_none_or(|closed| from <= closed);
        let mut lines = Vec::new();
        for alarm in raised_by(&self.store, query, at, stood).await? {
            let entries = self.store.entries(alarm.id).await?;
            lines.push(AlarmLine::of(&alarm, entries.into_iter().map(|(_, entry)| entry), at));
        }
        Ok(lines)
    }

    /// Times out of service over the place of a device at the moment: number and reason.
    async fn windows(&self, device: &Device, at: Timestamp) -> anyhow::Result<Vec<String>> {
        let Some(home) = self.registry.home(device.ix) else { return Ok(Vec::new()) };
        let cells = self.registry.down_to(home).map(|cell| cell.code.clone()).collect();
        let query = Query { classes: vec![SignalClass::Disabled], cells, ..Query::default() };
        let over_it = |alarm: &Alarm| {
            alarm.rule == MAINTENANCE
                && alarm.device.is_none_or(|other| other == device.ix)
                && stood(alarm, at)
        };
        let found = raised_by(&self.store, query, at, over_it).await?;
        Ok(found.iter().map(|alarm| format!("{}: {}", alarm.id, alarm.text)).collect())
    }

    async fn letters(&self, id: &str, address: &str, at: Timestamp) -> anyhow::Result<Vec<LetterLine>> {
        let bare = address.split_once(':').map_or(address, |(_, rest)| rest);
        let words = [id, bare].iter().filter(|word| !word.is_empty()).map(ToString::to_string).collect();
        let letters = self.store.dead_letters_naming(words, at - LOOK_BACK, at, LETTERS_MAX).await?;
        Ok(letters
            .into_iter()
            .map(|(_, letter)| LetterLine {
                at: letter.received.rfc3339(),
                source: letter.source,
                reason: letter.reason,
            })
            .collect())
    }
}

fn stood(alarm: &Alarm, at: Timestamp) -> bool {
    alarm.raised <= at && alarm.closed.is_none_or(|closed| at < closed)
}

impl AlarmLine {
    /// As it was at the moment, by what stands in its history.
    fn of(alarm: &Alarm, entries: impl Iterator<Item = Entry>, at: Timestamp) -> Self {
        let (mut held, mut answered, mut folded) = (None, None, None);
        for entry in entries.filter(|entry| entry.at <= at) {
            let who = entry.who.unwrap_or_default();
            match entry.what {
                What::Suppressed | What::Shelved | What::Suspended => held = Some(entry.detail),
                What::Resumed | What::Closed => held = None,
                What::Acknowledged | What::OnTheWay | What::OnSite => {
                    (held, answered) = (None, Some(format!("{who} has it in hand since {}", entry.at)));
                }
                What::NoProgress | What::SentBack | What::HandedOver => answered = None,
                What::Folded => folded = Some(entry.detail),
                What::Raised
                | What::Repeated
                | What::Told
                | What::Escalated
                | What::Returned
                | What::ActiveAgain
                | What::Resolved
                | What::NobodyToTell
                | What::NotTold
                | What::Verified
                | What::Evaluated
                | What::OwnerChanged
                | What::Unanswered
                | What::Confirmed => (),
            }
        }
        // A shelved alarm keeps its reason in its record only while it is shelved; the history has it for ever.
        let held = held.map(|detail| format!("it called nobody: {detail}"));
        let part = alarm.handling.held.as_ref().and_then(|held| match held.how {
            Hold::Suppressed(of) if held.signed.at <= at => Some(format!("{of} calls for it")),
            Hold::Suppressed(_) | Hold::Suspended | Hold::Shelved | Hold::OutOfService => None,
        });
        let part = part.filter(|_| held.is_none());
        Self {
            id: alarm.id.to_string(),
            rule: alarm.rule.clone(),
            class: alarm.class,
            raised: alarm.raised.rfc3339(),
            stood: stood(alarm, at),
            guards: [held, part, answered, folded].into_iter().flatten().collect(),
        }
    }
}

impl RuleLine {
    fn of(standing: &Standing) -> Self {
        let (state, left) = match standing.state {
            Stand::Normal => ("normal", None),
            Stand::Waits(left) => ("waits", Some(left)),
            Stand::Active => ("active", None),
            Stand::Clears(left) => ("clears", Some(left)),
        };
        Self {
            rule: standing.rule.clone(),
            class: standing.class,
            raises_when: standing.raises_when.clone(),
            state,
            left_s: left.map(|left| left.0 / 1000),
        }
    }
}

impl ReadingLine {
    fn of(at: Timestamp, what: &Sighted) -> Self {
        let bare = Self {
            at: at.rfc3339(),
            metric: None,
            value: None,
            unit: None,
            quality: None,
            freshness: None,
            time: None,
            rule: None,
            outcome: "sign_of_life",
        };
        match what {
            Sighted::SignOfLife { freshness } => Self { freshness: Some(*freshness), ..bare },
            Sighted::Value { metric, value, quality, freshness, device_time, rule, outcome } => Self {
                metric: Some(metric.name().to_owned()),
                value: Some(*value),
                unit: Some(metric.spec().unit.to_owned()),
                quality: Some(*quality),
                freshness: Some(*freshness),
                time: device_time.map(Timestamp::rfc3339),
                rule: rule.clone(),
                outcome: word(*outcome),
                ..bare
            },
            Sighted::Time { rule, outcome } => Self { rule: rule.clone(), outcome: word(*outcome), ..bare },
        }
    }
}

/// As in the API.
fn word(outcome: Outcome) -> &'static str {
    match outcome {
        Outcome::NoRule => "no_rule",
        Outcome::BadQuality => "bad_quality",
        Outcome::TestPress => "test_press",
        Outcome::Repetition => "repetition",
        Outcome::TooOld => "too_old",
        Outcome::LateAndKnown => "late_and_known",
        Outcome::Normal => "normal",
        Outcome::Between => "between",
        Outcome::Waits(_) => "waits",
        Outcome::TooShort => "too_short",
        Outcome::Raised => "raised",
        Outcome::Stands => "stands",
        Outcome::SameEpisode => "same_episode",
        Outcome::Clears(_) => "clears",
        Outcome::Ended => "ended",
        Outcome::SilentUnwatched => "silent_unwatched",
    }
}
