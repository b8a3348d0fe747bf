//! `gridwarden explain`: why there is this alarm, who was chosen and told, and what became of every attempt; or why a device or a cell was quiet at a moment ([`quiet`]).
//! Works beside a running station.
//!
//! Reads what is on disk and decides nothing. The message that raised an alarm is shown as long as the journal holds it.

mod past;
pub mod quiet;
mod reasons;
mod text;

#[cfg(test)]
mod tests;

use std::fmt::Write;
use std::path::{Path, PathBuf};

use anyhow::{Context, bail};

use crate::card::Card;
use crate::config::Loaded;
use crate::grid::Registry;
use crate::grid::import::Moment;
use crate::model::{Alarm, AlarmId, Event, Report, Trigger};
use crate::problem::nearest;
use crate::replay_command::in_force;
use crate::store::Store;
use crate::store::outbox::{Attempt, Outcome};
use crate::units::Timestamp;

/// What is asked for: an alarm, or why it was quiet.
#[derive(clap::Args)]
#[command(group = clap::ArgGroup::new("what").required(true))]
pub struct ExplainArgs {
    /// Such as A-17
    #[arg(group = "what")]
    alarm: Option<String>,
    /// Why did this device raise no alarm?
    #[arg(long, group = "what")]
    device: Option<String>,
    /// Why was it quiet in this cell?
    #[arg(long, group = "what")]
    cell: Option<String>,
    /// The moment, such as 2026-11-23T03:00 in the station's time zone; now when left out
    #[arg(long)]
    at: Option<String>,
    #[arg(short, long, default_value = "config/station.toml")]
    config: PathBuf,
}

impl ExplainArgs {
    pub fn config(&self) -> &Path {
        &self.config
    }
}

/// What it prints.
pub async fn run(loaded: &Loaded, asked: &ExplainArgs) -> anyhow::Result<String> {
    if let Some(id) = &asked.alarm {
        return alarm(loaded, id).await;
    }
    let store = Store::open_beside(&loaded.store_path())?;
    let registry = Registry::build(store.load_registry().await?);
    let zone = registry.rows().zone.clone();
    let at = match &asked.at {
        None => crate::clock::wall(),
        Some(text) => {
            let wrong = || format!("--at: `{text}` is no moment; write one such as 2026-11-23T03:00");
            Moment::parse(text, false).with_context(wrong)?.at(&zone)
        }
    };
    let rules = in_force(&store, &loaded.rules, &registry).await?;
    let desk = quiet::Desk { store, registry: registry.clone(), rules };
    if let Some(id) = &asked.device {
        return match registry.device_by_id(id) {
            Some(device) => Ok(text::device(&desk.device(device.ix, at).await?, &zone)),
            None => {
                let letters = desk.stranger(id, at).await?;
                if letters.is_empty() {
                    let near = nearest(id, registry.devices().iter().map(|device| device.id.as_str()));
                    let near = near.map(|near| format!("; did you mean `{near}`?")).unwrap_or_default();
                    bail!("there is no device `{id}`, and no unusable message of that day names it{near}");
                }
                Ok(text::stranger(id, &letters, &zone))
            }
        };
    }
    let code = asked.cell.as_deref().unwrap_or_default();
    let cell = registry.cell_by_code(code).with_context(|| format!("there is no cell `{code}`"))?;
    Ok(text::cell(&desk.cell(cell.ix, at).await?, &zone))
}

async fn alarm(loaded: &Loaded, id: &str) -> anyhow::Result<String> {
    let id: AlarmId = id.parse().map_err(|()| anyhow::anyhow!("`{id}` is no alarm; write it as A-17"))?;
    let store = Store::open_beside(&loaded.store_path())?;
    let alarm = store.alarm(id).await?.with_context(|| format!("there is no alarm {id} in this store"))?;
    let registry = Registry::build(store.load_registry().await?);
    let report = match &alarm.trigger {
        Some(trigger) => report(&store, trigger).await?,
        None => None,
    };
    let mut story = Story { registry: &registry, text: String::new() };
    story.begin(&alarm, report.as_ref());
    story.line("what happened");
    for (_, entry) in store.entries(id).await? {
        let what = format!("{:?}", entry.what);
        let who = entry.who.as_deref().map(|who| format!(" by {who}")).unwrap_or_default();
        let detail = if entry.detail.is_empty() { String::new() } else { format!(": {}", entry.detail) };
        story.at(entry.at, &format!("{what}{who}{detail}"));
    }
    story.line("who was told");
    let attempts = store.attempts(id).await?;
    if attempts.is_empty() {
        story.line("  nobody");
    }
    attempts.iter().for_each(|attempt| story.attempt(attempt));
    if let Some(card) = store.card(id).await?.map(Card::impersonal) {
        story.line("what stood on its card");
        story.line(&format!("  {}", card.text(false, 1_000)));
    }
    Ok(story.text)
}

/// The message behind a reading; `None` when the journal has dropped it.
async fn report(store: &Store, trigger: &Trigger) -> anyhow::Result<Option<Report>> {
    let seq = trigger.reading.seq;
    let batches = store.batches_after(seq.saturating_sub(1), 1).await?;
    let event = batches
        .into_iter()
        .find(|batch| batch.seq == seq)
        .and_then(|batch| batch.events.into_iter().nth(trigger.reading.event as usize));
    Ok(match event {
        Some(Event::Report(report)) => Some(report),
        Some(Event::Gone { .. } | Event::Action(_)) | None => None,
    })
}

struct Story<'a> {
    registry: &'a Registry,
    text: String,
}

impl Story<'_> {
    fn line(&mut self, line: &str) {
        self.text.push_str(line);
        self.text.push('\n');
    }

    fn at(&mut self, at: Timestamp, line: &str) {
        let at = self.registry.rows().zone.clock(at);
        self.line(&format!("  {at}  {line}"));
    }

    fn begin(&mut self, alarm: &Alarm, report: Option<&Report>) {
        let class = alarm.class.name();
        self.line(&format!(
            "{}: {} ({class}, rule `{}`, {})",
            alarm.id,
            alarm.text,
            alarm.rule,
            alarm.state.name()
        ));
        let owner = alarm.owner.as_deref().unwrap_or("nobody: nobody up the tree answers for the cell");
        self.line(&format!("cell {}, owner {owner}", alarm.cell_code));
        self.line("why");
        let device = alarm.device_id.as_deref().unwrap_or("no device");
        match &alarm.trigger {
            None => self
                .at(alarm.raised, "raised without a reading: by hand, by silence, or by the station itself"),
            Some(trigger) => {
                let unit = trigger.metric.spec().unit;
                self.at(
                    trigger.received,
                    format!(
                        "{device} said {} = {} {unit} ({:?}, reading {})",
                        trigger.metric.name(),
                        trigger.value,
                        trigger.freshness,
                        trigger.reading
                    )
                    .as_str(),
                );
                if let Some(measured) = trigger.device_time {
                    self.at(measured, "is when the device says it measured that");
                }
            }
        }
        match report {
            Some(report) => {
                let mut values = String::new();
                for value in &report.values {
                    let (name, quality) = (value.metric.name(), value.quality);
                    let _ = write!(values, " {name}={} ({quality:?})", value.value);
                }
                self.line(&format!("  the whole message:{values}"));
            }
            None if alarm.trigger.is_some() => self.line("  the message itself is no longer in the journal"),
            None => (),
        }
        if 0 < alarm.repeats {
            self.line(&format!("  reported again {} times while it stood", alarm.repeats));
        }
    }

    fn attempt(&mut self, attempt: &Attempt) {
        let person = attempt.alert.person.as_deref().unwrap_or("nobody by name");
        let outcome = match &attempt.outcome {
            Outcome::Delivered { receipt, id } => {
                let id = id.as_deref().map(|id| format!(" as {id}")).unwrap_or_default();
                format!("taken{id}: {receipt}")
            }
            Outcome::Retry { error, .. } => format!("failed, tried again: {error}"),
            Outcome::GaveUp { error } => format!("given up: {error}"),
            Outcome::HandedOn { error, to } => format!("given up, told by `{to}` instead: {error}"),
        };
        let channel = &attempt.alert.channel;
        let step = attempt.alert.step;
        self.at(
            attempt.at,
            &format!("step {step}, {person} by `{channel}`, try {}: {outcome}", attempt.number),
        );
        for (at, what) in [(attempt.receipts.shown, "shown"), (attempt.receipts.opened, "opened")] {
            if let Some(at) = at {
                self.at(at, &format!("{what} to {person}"));
            }
        }
    }
}
