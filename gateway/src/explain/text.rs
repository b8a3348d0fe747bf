//! An explanation as text, for the one who stands before the box. The same facts as in the API.

use std::fmt::Write;

use super::quiet::{CellQuiet, DeviceQuiet, LetterLine, ReadingLine};
use crate::units::{Timestamp, Zone};

/// Readings that are printed; the API has more.
const READINGS_MAX: usize = 40;

pub(super) fn device(quiet: &DeviceQuiet, zone: &Zone) -> String {
    let mut text = String::new();
    let cell = quiet.cell.as_deref().unwrap_or("no cell");
    head(&mut text, &format!("{} in {cell}", quiet.device), &quiet.at, quiet.looked_from.as_deref(), zone);
    section(&mut text, "why", &quiet.because);
    let rules = quiet.rules.iter().map(|rule| {
        let left = rule.left_s.map(|left| format!(", {left} s left")).unwrap_or_default();
        format!(
            "{} `{}`: an alarm when {} [{}{left}]",
            rule.class.name(),
            rule.rule,
            rule.raises_when,
            rule.state
        )
    });
    section(&mut text, "what would have raised one", &rules.collect::<Vec<_>>());
    let from = quiet.readings.len().saturating_sub(READINGS_MAX);
    let readings: Vec<_> = quiet.readings[from..].iter().map(|line| reading(line, zone)).collect();
    section(&mut text, "what came, oldest first", &readings);
    let older = from as u64 + quiet.readings_left_out;
    if 0 < older {
        let _ = writeln!(text, "  … and {older} before");
    }
    section(&mut text, "what could not be used", &letters(&quiet.unusable, zone));
    text
}

pub(super) fn stranger(id: &str, unusable: &[LetterLine], zone: &Zone) -> String {
    let mut text = format!("There is no device `{id}`; these messages name it and could not be used:\n");
    letters(unusable, zone).iter().for_each(|line| {
        let _ = writeln!(text, "  {line}"); // A String takes everything.
    });
    text
}

pub(super) fn cell(quiet: &CellQuiet, zone: &Zone) -> String {
    let mut text = String::new();
    head(&mut text, &quiet.cell, &quiet.at, quiet.looked_from.as_deref(), zone);
    section(&mut text, "why", &quiet.because);
    let devices = quiet.devices.iter().map(|one| format!("{}: {}", one.device, one.because.join(" ")));
    section(&mut text, "device by device", &devices.collect::<Vec<_>>());
    if 0 < quiet.devices_left_out {
        let _ = writeln!(text, "  … and {} more; ask for a smaller cell", quiet.devices_left_out);
    }
    text
}

fn head(text: &mut String, about: &str, at: &str, from: Option<&str>, zone: &Zone) {
    let from = match from {
        Some(from) => format!("looked at from {} on, under the rules in force now", local(from, zone)),
        None => "the journal holds nothing of the day before".into(),
    };
    let _ = writeln!(text, "{about}, at {}: {from}", local(at, zone));
}

fn section(text: &mut String, title: &str, lines: &[String]) {
    if lines.is_empty() {
        return;
    }
    let _ = writeln!(text, "{title}");
    for line in lines {
        let _ = writeln!(text, "  {line}");
    }
}

fn reading(line: &ReadingLine, zone: &Zone) -> String {
    let at = local(&line.at, zone);
    let rule = line.rule.as_deref().map(|rule| format!(" `{rule}`")).unwrap_or_default();
    let outcome = line.outcome;
    match (&line.metric, line.value) {
        (Some(metric), Some(value)) => {
            let unit = line.unit.as_deref().unwrap_or_default();
            let (quality, freshness) = (line.quality.unwrap_or_default(), line.freshness.unwrap_or_default());
            format!("{at}  {metric} = {value} {unit} ({quality:?}, {freshness:?}){rule}: {outcome}")
        }
        (_, _) => format!("{at} {rule} {outcome}"),
    }
}

fn letters(letters: &[LetterLine], zone: &Zone) -> Vec<String> {
    let one =
        |letter: &LetterLine| format!("{}  {}: {}", local(&letter.at, zone), letter.source, letter.reason);
    letters.iter().map(one).collect()
}

/// As the clock on the wall showed it.
fn local(at: &str, zone: &Zone) -> String {
    Timestamp::parse_rfc3339(at).map_or(at.to_owned(), |at| zone.clock(at))
}
