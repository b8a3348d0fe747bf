//! `gridwarden replay`: the journal through other rules, before they go live. Works beside a running station and changes nothing.

use std::fmt::Write;
use std::path::{Path, PathBuf};

use anyhow::{Context, anyhow};

use crate::config::{self, Loaded, rules::Rules};
use crate::engine::rules::RuleBook;
use crate::grid::Registry;
use crate::grid::import::Moment;
use crate::learning::{Pace, rehearse};
use crate::model::SignalClass;
use crate::replay::{Difference, Line, Rehearsal, Span, Trial};
use crate::store::Store;
use crate::units::{Millis, Timestamp, Zone};
use crate::world::RULES_MEMO;
use std::sync::Arc;

#[derive(clap::Args)]
pub struct ReplayArgs {
    #[arg(short, long, default_value = "config/station.toml")]
    config: PathBuf,
    /// The rules to try, in the form of rules.toml
    #[arg(long)]
    rules: PathBuf,
    /// Such as 2026-11-01 or 2026-11-01 08:00; the journal's beginning when left out
    #[arg(long)]
    from: Option<String>,
    /// As `--from`; a day counts to its end. Now when left out
    #[arg(long)]
    to: Option<String>,
}

impl ReplayArgs {
    pub fn config(&self) -> &Path {
        &self.config
    }
}

/// What it prints, and whether no fire would be missed or late.
pub async fn run(loaded: &Loaded, asked: &ReplayArgs) -> anyhow::Result<(String, bool)> {
    let text = std::fs::read_to_string(&asked.rules)
        .with_context(|| format!("cannot read {}", asked.rules.display()))?;
    let tried = config::load_with_rules(&asked.config, &asked.rules, &text)
        .map_err(|problems| anyhow!("these rules cannot be used:\n{problems}"))?;
    let store = Store::open_beside(&loaded.store_path())?;
    let registry = Registry::build(store.load_registry().await?);
    let zone = registry.rows().zone.clone();
    let span = Span {
        from: moment("--from", asked.from.as_deref(), false, &zone)?.unwrap_or(Timestamp(0)),
        to: moment("--to", asked.to.as_deref(), true, &zone)?.unwrap_or(crate::clock::wall()),
    };
    let in_force = in_force(&store, &loaded.rules, &registry).await?;
    let trial = Trial { rules: Arc::new(RuleBook::compile(&tried.rules, &registry).0), without: None };
    let rehearsal = rehearse(&store, &registry, in_force, vec![trial], span, Pace::Full).await?;
    let Some(rehearsal) = rehearsal else {
        return Ok(("The journal has nothing of that time.\n".into(), true));
    };
    let difference = rehearsal.differences(span).pop().context("there is one trial")?;
    let good = difference.fires_missed == 0 && difference.fires_later == 0;
    Ok((report(&rehearsal, &difference, span, &zone), good))
}

/// The rules that the engine works with; those of the file when it never ran.
pub async fn in_force(store: &Store, file: &Rules, registry: &Registry) -> anyhow::Result<Arc<RuleBook>> {
    let kept = store.recall(RULES_MEMO).await?.and_then(|text| Rules::read(&text).ok());
    Ok(Arc::new(RuleBook::compile(kept.as_ref().unwrap_or(file), registry).0))
}

fn moment(name: &str, text: Option<&str>, end: bool, zone: &Zone) -> anyhow::Result<Option<Timestamp>> {
    let Some(text) = text else { return Ok(None) };
    let wrong = || format!("{name}: `{text}` is no date; write 2026-11-01, 2026-11-01 08:00 or RFC 3339");
    Ok(Some(Moment::parse(text, end).with_context(wrong)?.at(zone)))
}

fn report(rehearsal: &Rehearsal, difference: &Difference, span: Span, zone: &Zone) -> String {
    let mut text = String::new();
    let _ = write_report(&mut text, rehearsal, difference, span, zone); // A String takes everything.
    text
}

fn write_report(
    text: &mut String,
    rehearsal: &Rehearsal,
    difference: &Difference,
    span: Span,
    zone: &Zone,
) -> std::fmt::Result {
    if difference.fires_missed + difference.fires_later > 0 {
        writeln!(
            text,
            "!!! FIRE: {} would be MISSED and {} would come LATER under these rules. Do not use them. !!!",
            difference.fires_missed, difference.fires_later
        )?;
    }
    writeln!(text, "{} batches with {} messages and deeds replayed.", rehearsal.batches, rehearsal.events)?;
    let was = rehearsal.against_what_was(span);
    match was.is_none() {
        true => writeln!(text, "The rules in force raise exactly the {} alarms that were.", was.before)?,
        false => writeln!(
            text,
            "The rules in force raise {} of the {} alarms that were at the same moment, {} later or sooner, {} not, and {} more: rules or registry have changed since.",
            was.same,
            was.before,
            was.later + was.sooner,
            was.gone,
            was.come
        )?,
    }
    let Difference { before, after, same, gone, come, later, sooner, real_gone, wolf_gone, .. } = difference;
    writeln!(
        text,
        "Alarms: {before} under the rules in force, {after} under those tried: {same} the same, {gone} gone ({real_gone} real, {wolf_gone} for nothing), {come} new, {later} later, {sooner} sooner."
    )?;
    for (title, lines, count) in [
        ("gone", &difference.gone_lines, gone),
        ("new", &difference.come_lines, come),
        ("later", &difference.later_lines, later),
        ("sooner", &difference.sooner_lines, sooner),
    ] {
        lines.iter().try_for_each(|line| writeln!(text, "{}", one(title, line, zone)))?;
        if lines.len() < *count as usize {
            writeln!(text, "  … and {} more that are {title}", *count as usize - lines.len())?;
        }
    }
    Ok(())
}

fn one(title: &str, line: &Line, zone: &Zone) -> String {
    let at = Timestamp::parse_rfc3339(&line.at).map_or(line.at.clone(), |at| zone.clock(at));
    let mark =
        if line.class == SignalClass::Fire && title != "new" && title != "sooner" { "!!" } else { "  " };
    let by = if line.by_ms == 0 { String::new() } else { format!(" by {}", Millis(line.by_ms)) };
    let worth = serde_json::to_value(line.worth).ok().and_then(|word| word.as_str().map(str::to_owned));
    let alarm = line.alarm.as_deref().map(|id| format!(" ({id}, {})", worth.unwrap_or_default()));
    format!(
        "{mark}{title}{by}  {at}  {} {}  {}{}",
        line.class.name(),
        line.rule,
        line.text,
        alarm.unwrap_or_default()
    )
}
