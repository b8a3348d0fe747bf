//! `gridwarden vacancies`: holes in the roster of the week ahead, for a person to read. Works beside a running station.

use std::fmt::Write;

use crate::clock;
use crate::config::Loaded;
use crate::grid::Registry;
use crate::grid::vacancy::{self, Gap};
use crate::store::Store;
use crate::units::Timestamp;

/// The list, and whether somebody answers for every cell at every hour.
pub async fn list(loaded: &Loaded) -> anyhow::Result<(String, bool)> {
    let store = Store::open_beside(&loaded.store_path())?;
    let registry = Registry::build(store.load_registry().await?);
    Ok(describe(&registry, clock::wall()))
}

fn describe(registry: &Registry, now: Timestamp) -> (String, bool) {
    let gaps = vacancy::gaps(registry, now, now + vacancy::AHEAD);
    let (holes, covered): (Vec<Gap>, Vec<Gap>) = gaps.into_iter().partition(|gap| gap.covered_by.is_none());
    let mut text = String::new();
    let mut lines = |title: &str, gaps: &[Gap]| {
        if gaps.is_empty() {
            return;
        }
        let _ = writeln!(text, "{title}");
        for gap in gaps {
            let zone = &registry.rows().zone;
            let code = |cell| registry.cell(cell).map_or("?", |cell| cell.code.as_str());
            let above = gap.covered_by.map_or(String::new(), |by| format!("  covered by {}", code(by)));
            let (from, until) = (zone.text(gap.from), zone.text(gap.until));
            let _ = writeln!(text, "  {}  {from} – {until}{above}", code(gap.cell));
        }
    };
    lines("Nobody answers, nor anybody above:", &holes);
    lines("Nobody of the cell's own answers:", &covered);
    let training = vacancy::training_runs_out(registry, now);
    if !training.is_empty() {
        let _ = writeln!(text, "Training runs out:");
    }
    for (person, end) in training {
        let _ = writeln!(text, "  {}  {}", person.id, registry.rows().zone.text(end));
    }
    if text.is_empty() {
        text.push_str("Every cell has somebody of its own at every hour of the week ahead.\n");
    }
    (text, holes.is_empty())
}
