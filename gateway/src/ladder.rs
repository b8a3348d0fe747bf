//! `gridwarden ladder show`: the whole timeline of a ladder as names and times, before it is needed.

use std::fmt::Write;

use anyhow::Context;
use jiff::civil::DateTime;

use crate::config::Loaded;
use crate::engine::rules::RuleBook;
use crate::engine::timeline::{Planned, PlannedWhat, timeline};
use crate::grid::Registry;
use crate::model::SignalClass;
use crate::problem::nearest;
use crate::store::Store;
use crate::units::Zone;

#[derive(clap::Args)]
pub struct LadderArgs {
    #[arg(short, long, default_value = "config/station.toml")]
    config: std::path::PathBuf,
    /// fire, supervisory, trouble, disabled or test
    #[arg(long)]
    alarm_class: String,
    /// Code of the cell
    #[arg(long)]
    cell: String,
    /// When, such as 2026-11-23T03:00 in the station's time zone; now when left out
    #[arg(long)]
    at: Option<String>,
}

impl LadderArgs {
    pub fn config(&self) -> &std::path::Path {
        &self.config
    }
}

/// What `show` prints.
pub async fn show(loaded: &Loaded, asked: &LadderArgs) -> anyhow::Result<String> {
    let class = SignalClass::from_name(&asked.alarm_class).with_context(|| {
        let known = SignalClass::ALL.map(SignalClass::name).join(", ");
        format!("`{}` is no class; write one of {known}", asked.alarm_class)
    })?;
    let registry = Registry::build(Store::open_beside(&loaded.store_path())?.load_registry().await?);
    let cell = registry.cell_by_code(&asked.cell).with_context(|| {
        let near = nearest(&asked.cell, registry.cells().iter().map(|cell| cell.code.as_str()));
        let instead = near.map_or("import the cells first".into(), |near| format!("did you mean `{near}`?"));
        format!("there is no cell `{}`; {instead}", asked.cell)
    })?;
    let (rules, problems) = RuleBook::compile(&loaded.rules, &registry);
    let at = match &asked.at {
        None => crate::clock::wall(),
        Some(text) => {
            let local: DateTime = text.parse().with_context(|| {
                format!("`{text}` is no moment; write one such as 2026-11-23T03:00, in the station's time")
            })?;
            rules.time_zone().first(local).context("that is too far ahead")?
        }
    };
    let mut text = String::new();
    for problem in problems {
        writeln!(text, "rules.toml: {problem}")?;
    }
    let lines = timeline(&rules, &registry, class, cell.ix, at);
    writeln!(text, "{} in {} {}, if nobody answers:", class.name(), cell.code, cell.name)?;
    match lines {
        None => writeln!(text, "nobody is called: no rule of this class has a ladder")?,
        Some(lines) => {
            lines.iter().try_for_each(|planned| writeln!(text, "{}", line(planned, rules.time_zone())))?
        }
    }
    Ok(text)
}

fn line(planned: &Planned, zone: &Zone) -> String {
    let local = zone.clock(planned.at);
    let head = format!("{local}  +{:>6} s  {}: ", planned.after.0 / 1000, planned.ladder);
    match &planned.what {
        PlannedWhat::Unanswered => head + "a trouble alarm says that nobody answered",
        PlannedWhat::Told { who, channels, need } => {
            let found = who.iter().map(|(who, people)| match people.is_empty() {
                true => format!("{who} NOBODY"),
                false => format!("{who} {}", people.join(", ")),
            });
            let several = if *need > 1 { format!(", until {need} have acknowledged") } else { String::new() };
            let gap =
                if planned.finds_nobody() { "  << finds nobody; the next step follows at once" } else { "" };
            format!("{head}{} by {}{several}{gap}", found.collect::<Vec<_>>().join("; "), channels.join(", "))
        }
    }
}
