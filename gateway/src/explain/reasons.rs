//! From what was seen to sentences: why there was no alarm, the nearest reason first.
//!
//! Pure. Each guard that can hold an alarm back has one sentence, which says what it is and when it held.

use std::collections::BTreeMap;

use super::quiet::AlarmLine;
use crate::engine::watch::{Outcome, Seen, Sighted, Stand, Standing};
use crate::grid::Device;
use crate::model::Metric;
use crate::units::{Timestamp, Zone};

/// What is known of one device at a moment.
pub(super) struct Facts<'a> {
    pub device: &'a Device,
    /// It stands in no cell.
    pub homeless: bool,
    /// Where the look begins.
    pub begin: Option<Timestamp>,
    pub zone: &'a Zone,
    pub seen: &'a Seen,
    pub standing: &'a [Standing],
    /// When it was last heard.
    pub last: Option<Timestamp>,
    pub alarms: &'a [AlarmLine],
    /// Times out of service over its place.
    pub windows: &'a [String],
    /// Messages that name it and could not be used.
    pub unusable: usize,
}

/// One way in which readings came to nothing under one rule.
#[derive(Clone, Copy)]
struct Often {
    count: u32,
    newest: Timestamp,
    metric: Option<Metric>,
    value: f64,
}

pub(super) fn of_device(facts: &Facts<'_>) -> Vec<String> {
    let mut said = Vec::new();
    let when = |at: Timestamp| facts.zone.clock(at);
    if facts.device.retired {
        said.push("It is retired: no rule looks at it.".to_owned());
    }
    for alarm in facts.alarms.iter().filter(|alarm| alarm.stood) {
        let guards =
            if alarm.guards.is_empty() { String::new() } else { format!("; {}", alarm.guards.join("; ")) };
        said.push(format!(
            "{} (rule `{}`) stood already, raised {}: what is reported again is counted there{guards}.",
            alarm.id, alarm.rule, alarm.raised
        ));
    }
    let Some(begin) = facts.begin else {
        said.push("The journal holds nothing of the day before.".to_owned());
        said.extend(unusable(facts));
        return said;
    };
    let heard = facts.seen.sights.iter().any(|sight| !matches!(sight.what, Sighted::Time { .. }));
    if !heard {
        let before = facts.last.map_or("never before".to_owned(), |last| format!("last at {}", when(last)));
        said.push(format!("Nothing was heard of it from {} on ({before}).", when(begin)));
    }
    said.extend(unusable(facts));
    let found = counted(facts.seen);
    let mut guards: Vec<(&(Option<&str>, Outcome), &Often)> = found.iter().collect();
    guards.sort_by_key(|(_, often)| std::cmp::Reverse(often.newest));
    for ((rule, outcome), often) in guards {
        said.extend(sentence(*rule, *outcome, often, &when(often.newest)));
    }
    for standing in facts.standing {
        let rule = &standing.rule;
        match (standing.state, standing.metric) {
            (Stand::Waits(left), Some(_)) => {
                said.push(format!("`{rule}` waits: the alarm comes if it stays so for {left} more."));
            }
            (Stand::Waits(left), None) if !heard => {
                said.push(format!("`{rule}` waits: its silence is an alarm in {left}."));
            }
            (Stand::Clears(left), _) => {
                said.push(format!(
                    "`{rule}` waits for the end: normal, and over if it stays so for {left} more."
                ));
            }
            (Stand::Normal | Stand::Active | Stand::Waits(_), _) => (),
        }
    }
    if facts.homeless {
        said.push(
            "It stands in no cell: nobody answers for it, and no time out of service covers it.".to_owned(),
        );
    }
    for window in facts.windows {
        said.push(format!(
            "Its place was out of service ({window}): but for a fire, what is raised there calls nobody."
        ));
    }
    said.extend(unwatched(facts));
    if said.is_empty() {
        said.push(format!(
            "It was heard, and no value was beyond the limit of a rule from {} on.",
            when(begin)
        ));
    }
    said
}

fn unusable(facts: &Facts<'_>) -> Option<String> {
    let count = facts.unusable;
    (0 < count).then(|| format!("{count} messages that name it could not be used; the reasons stand below."))
}

/// What came of the readings, by rule and outcome.
fn counted(seen: &Seen) -> BTreeMap<(Option<&str>, Outcome), Often> {
    let mut found: BTreeMap<(Option<&str>, Outcome), Often> = BTreeMap::new();
    for sight in &seen.sights {
        let (rule, outcome, metric, value) = match &sight.what {
            Sighted::SignOfLife { .. } => continue,
            Sighted::Value { metric, value, rule, outcome, .. } => {
                let thinned = *metric == Metric::MESSAGES_THINNED && *value <= 0.0;
                if (*outcome == Outcome::NoRule && *metric != Metric::MESSAGES_THINNED) || thinned {
                    continue;
                }
                (rule.as_deref(), *outcome, Some(*metric), *value)
            }
            Sighted::Time { rule, outcome } => (rule.as_deref(), *outcome, None, 0.0),
        };
        if matches!(outcome, Outcome::Waits(_) | Outcome::Clears(_)) {
            continue; // How it stands now is told by its rule.
        }
        let often =
            found.entry((rule, outcome)).or_insert(Often { count: 0, newest: sight.at, metric, value });
        *often = Often { count: often.count + 1, newest: sight.at, metric, value };
    }
    found
}

fn sentence(rule: Option<&str>, outcome: Outcome, often: &Often, when: &str) -> Option<String> {
    let rule = rule.unwrap_or("no rule");
    let Often { count, metric, value, .. } = *often;
    let last = metric.map_or_else(String::new, |metric| {
        format!(" (the last: {} = {value} {})", metric.name(), metric.spec().unit)
    });
    let times = if count == 1 { "once".to_owned() } else { format!("{count} times") };
    let said = match outcome {
        Outcome::NoRule => format!(
            "It said too much: {value} of its messages were thinned, told {when}; the newest of each kind and every fire went on."
        ),
        Outcome::BadQuality => format!(
            "`{rule}` did not judge values of bad quality, {times}, last at {when}{last}: only a fire counts then."
        ),
        Outcome::TestPress => format!(
            "`{rule}` took it for a press of the test button, {times}, last at {when}: that pages nobody as fire."
        ),
        Outcome::Repetition => format!(
            "Values that were not newer than what was known came again, {times}, last at {when}: a replay is no news."
        ),
        Outcome::TooOld => format!(
            "`{rule}` did not judge values that came late, {times}, last at {when}{last}: only a fire is told late."
        ),
        Outcome::LateAndKnown => format!(
            "`{rule}` knew of this fire, or that it is over: it was reported late, {times}, last at {when}."
        ),
        Outcome::Between => format!(
            "`{rule}` left things as they were, {times}, last at {when}{last}: between the limit that raises and the one that clears."
        ),
        Outcome::TooShort => format!("`{rule}` saw it abnormal for too short, {times}, last until {when}."),
        Outcome::Raised => format!("`{rule}` raised an alarm, {times}, last at {when}{last}."),
        Outcome::Stands => {
            format!("`{rule}` counted it on the alarm that stood, {times}, last at {when}{last}.")
        }
        Outcome::SameEpisode => format!(
            "`{rule}` saw the same episode go on, {times}, last at {when}: somebody has resolved it, and the detector stays latched."
        ),
        Outcome::Ended => format!("`{rule}` saw its end, {times}, last at {when}."),
        Outcome::SilentUnwatched => format!("It fell silent at {when}, and no rule looks at its silence."),
        Outcome::Normal | Outcome::Waits(_) | Outcome::Clears(_) => return None,
    };
    Some(said)
}

/// What came that no rule looks at.
fn unwatched(facts: &Facts<'_>) -> Option<String> {
    if facts.device.retired {
        return None;
    }
    if facts.standing.is_empty() {
        return Some(
            "No rule of rules.toml looks at this device: neither its kind nor its cell is named by one."
                .to_owned(),
        );
    }
    let mut metrics: Vec<&str> = Vec::new();
    for sight in &facts.seen.sights {
        if let Sighted::Value { metric, outcome: Outcome::NoRule, value, .. } = &sight.what
            && (metric.spec().flag && *value != 0.0)
            && !metrics.contains(&metric.name())
        {
            metrics.push(metric.name());
        }
    }
    (!metrics.is_empty()).then(|| format!("No rule looks at what it reported set: {}.", metrics.join(", ")))
}

pub(super) fn of_cell(
    devices: usize,
    silent: usize,
    alarms: &[AlarmLine],
    answers: Option<&str>,
) -> Vec<String> {
    let mut said = Vec::new();
    for alarm in alarms.iter().filter(|alarm| alarm.stood) {
        let guards =
            if alarm.guards.is_empty() { String::new() } else { format!(": {}", alarm.guards.join("; ")) };
        said.push(format!("{} (rule `{}`) stood{guards}.", alarm.id, alarm.rule));
    }
    match (devices, silent) {
        (0, _) => said.push("No device in service stands here.".to_owned()),
        (_, 0) => said.push(format!("All {devices} devices were heard.")),
        (_, silent) => said.push(format!("Of {devices} devices {silent} were not heard.")),
    }
    said.push(match answers {
        Some(name) => format!("{name} answered for it."),
        None => "Nobody answered for it, nor for a cell above it.".to_owned(),
    });
    said
}
