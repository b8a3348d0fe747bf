//! rules.toml by itself: every rule can begin, can end, and says what it means.

use serde_spanned::Spanned;

use super::super::shape::Page;
use super::{names, range};
use crate::config::rules::{Close, OWN_NAMES, RateRule, Rule, Rules, StateRule, ThresholdRule};
use crate::decode::modbus::quantity::plausible;
use crate::grid::Registry;
use crate::model::{Metric, SignalClass};
use crate::problem::{instead, nearest};

pub fn check(page: &mut Page<'_>, rules: &Rules, registry: Option<&Registry>) {
    if rules.freshness.live_within_s == 0 {
        page.wrong(
            page.at("freshness.live_within_s"),
            "with 0 no reading is ever live, so nobody is ever called; write seconds such as 120",
        );
    }
    range(page, "reports_per_minute_max", &rules.flood.reports_per_minute_max, 1..=60_000_000);
    range(page, "reports_at_once_max", &rules.flood.reports_at_once_max, 1..=10_000_000);
    range(page, "pages_per_person_max", &rules.flood.pages_per_person_max, 2..=1_000);
    range(page, "pages_within_s", &rules.flood.pages_within_s, 1..=86_400);
    range(page, "confirm_within_s", &rules.incidents.confirm_within_s, 0..=86_400);
    range(page, "dark_devices_min", &rules.incidents.dark_devices_min, 2..=1_000_000);
    range(page, "dark_within_s", &rules.incidents.dark_within_s, 0..=86_400);
    range(page, "main_within_s", &rules.incidents.main_within_s, 0..=86_400);
    range(page, "storm_alarms_min", &rules.incidents.storm_alarms_min, 3..=1_000);
    range(page, "storm_within_s", &rules.incidents.storm_within_s, 0..=86_400);
    range(page, "learn_readings", &rules.behaviour.learn_readings, 0..=10_000);
    range(page, "hold_readings", &rules.behaviour.hold_readings, 2..=10_000);
    for (key, number) in
        [("value_spreads", &rules.behaviour.value_spreads), ("pace_factor", &rules.behaviour.pace_factor)]
    {
        if !(4.0..=1_000.0).contains(number.get_ref()) {
            let text = format!("`{key}` must be 4 to 1000; below that, ordinary days are news");
            page.wrong(number.span(), text);
        }
    }
    names(page, "rule", rules.rules.iter().map(|rule| &rule.name));
    for (i, rule) in rules.rules.iter().enumerate() {
        check_condition(page, rule);
        check_stillness(page, rule, &rules.rules);
        check_class(page, rule, i);
        check_text(page, rule, i);
        if OWN_NAMES.contains(&rule.name.get_ref().as_str()) {
            page.wrong(
                rule.name.span(),
                format!(
                    "`{}` names alarms of the station itself; give the rule another name",
                    rule.name.get_ref()
                ),
            );
        }
        if rule.kinds.get_ref().is_empty() {
            page.wrong(
                rule.kinds.span(),
                "the rule is for no kind of device; write at least one, such as `smoke_detector`",
            );
        }
        if let Some(name) = &rule.ladder
            && !rules.ladders.iter().any(|ladder| ladder.name.get_ref() == name.get_ref())
        {
            let known: Vec<&str> =
                rules.ladders.iter().map(|ladder| ladder.name.get_ref().as_str()).collect();
            page.wrong(
                name.span(),
                format!("there is no ladder `{}`; {}", name.get_ref(), instead(name.get_ref(), known)),
            );
        }
        if let Some(registry) = registry {
            check_selection(page, rule, registry);
        }
    }
}

fn check_condition(page: &mut Page<'_>, rule: &Rule) {
    let conditions = [
        rule.state.is_some(),
        rule.threshold.is_some(),
        rule.rate.is_some(),
        rule.presence.is_some(),
        rule.stillness.is_some(),
    ];
    if conditions.iter().filter(|is| **is).count() != 1 {
        page.wrong(
            rule.name.span(),
            format!(
                "the rule `{}` needs exactly one of `state`, `threshold`, `rate`, `presence` and `stillness`",
                rule.name.get_ref()
            ),
        );
    }
    if let Some(state) = &rule.state {
        check_state(page, state);
    }
    if let Some(threshold) = &rule.threshold {
        check_threshold(page, threshold);
    }
    if let Some(rate) = &rule.rate {
        check_rate(page, rate);
    }
    if let Some(presence) = &rule.presence {
        if *presence.silent_after_s.get_ref() == 0 {
            page.wrong(presence.silent_after_s.span(), "after 0 seconds every device is silent all the time; write at least two of its report intervals");
        } else if presence.silent_after_s.get_ref() < presence.gone_after_s.get_ref() {
            page.wrong(presence.gone_after_s.span(), "a device that said good-bye would be missed later than one that just fell silent; write less than `silent_after_s`");
        }
    }
}

fn check_stillness(page: &mut Page<'_>, rule: &Rule, all: &[Rule]) {
    let Some(stillness) = &rule.stillness else { return };
    range(page, "for_h", &stillness.for_h, 1..=336);
    if stillness.metrics.is_empty() {
        page.wrong(rule.name.span(), format!("nothing would show the rule `{}` that somebody is there; write `metrics` such as `door_open`, `motion` and `flow`", rule.name.get_ref()));
    }
    for name in &stillness.metrics {
        if Metric::from_name(name.get_ref()).is_none() {
            let known: Vec<_> = Metric::all().map(Metric::name).collect();
            page.wrong(
                name.span(),
                format!("there is no metric `{}`; {}", name.get_ref(), instead(name.get_ref(), known)),
            );
        }
    }
    if stillness.help.is_empty() {
        page.wrong(
            rule.name.span(),
            format!(
                "the rule `{}` is for no household; write `help` such as `lives_alone`",
                rule.name.get_ref()
            ),
        );
    }
    if *rule.class.get_ref() == SignalClass::Fire {
        page.wrong(rule.class.span(), "that nobody is heard is no fire; write `class = \"supervisory\"`");
    }
    for kind in rule.kinds.get_ref() {
        let heard = |other: &Rule| other.presence.is_some() && other.kinds.get_ref().contains(kind);
        if !all.iter().any(heard) {
            page.wrong(
                rule.kinds.span(),
                format!(
                    "nobody would hear that a sensor of kind `{}` is silent, and its silence is not that of a person; add the kind to a rule with `presence`",
                    kind.name()
                ),
            );
        }
    }
}

/// The metric of this name, of the wanted sort; else a problem.
fn metric(page: &mut Page<'_>, name: &Spanned<String>, flag: bool) -> Option<Metric> {
    let sort = if flag { "flag" } else { "number" };
    match Metric::from_name(name.get_ref()) {
        Some(metric) if metric.spec().flag == flag => Some(metric),
        Some(_) => {
            let instead = if flag { "use `[rule.threshold]` or `[rule.rate]`" } else { "use `[rule.state]`" };
            page.wrong(name.span(), format!("`{}` is not a {sort}; {instead}", name.get_ref()));
            None
        }
        None => {
            let known = Metric::all().filter(|metric| metric.spec().flag == flag).map(Metric::name);
            page.wrong(
                name.span(),
                format!(
                    "there is no {sort} `{}`; {}",
                    name.get_ref(),
                    instead(name.get_ref(), known.collect::<Vec<_>>())
                ),
            );
            None
        }
    }
}

fn check_state(page: &mut Page<'_>, state: &StateRule) {
    metric(page, &state.flag, true);
    if let Some(quiet) = state.latched_quiet_s.as_ref().filter(|quiet| *quiet.get_ref() == 0) {
        page.wrong(quiet.span(), "after 0 seconds every frame would be a new alarm; write how long the device is quiet between two episodes, such as 600");
    }
}

fn check_threshold(page: &mut Page<'_>, rule: &ThresholdRule) {
    let metric = metric(page, &rule.metric, false);
    let (limit, clear, word, other) = match (&rule.above, &rule.below) {
        (Some(above), None) => (above, &rule.clear_below, "above", (&rule.clear_above, "clear_below")),
        (None, Some(below)) => (below, &rule.clear_above, "below", (&rule.clear_below, "clear_above")),
        (None, None) | (Some(_), Some(_)) => {
            page.wrong(
                rule.metric.span(),
                "a threshold has exactly one of `above` and `below`; write one of them",
            );
            return;
        }
    };
    if let (Some(wrong), right) = other {
        page.wrong(
            wrong.span(),
            format!("the alarm would never clear by this limit; with `{word}` write `{right}`"),
        );
    }
    for value in [Some(limit), clear.as_ref()].into_iter().flatten() {
        if !value.get_ref().is_finite() {
            page.wrong(value.span(), "this is no number; write a finite number");
            return;
        }
    }
    if let Some(clear) = clear {
        let wrong_side = if rule.above.is_some() {
            clear.get_ref() > limit.get_ref()
        } else {
            clear.get_ref() < limit.get_ref()
        };
        if wrong_side {
            let side = if rule.above.is_some() { "at most" } else { "at least" };
            page.wrong(clear.span(), format!("the limit to clear lies on the alarm's side, so the alarm would clear while it stands; write {side} {}", limit.get_ref()));
        }
    }
    let Some(metric) = metric else { return };
    let (low, high) = possible(metric);
    let unit = metric.spec().unit;
    for (value, what) in
        [(Some(limit), "this limit is never reached"), (clear.as_ref(), "the alarm could never clear")]
    {
        if let Some(value) = value.filter(|value| !(low..=high).contains(value.get_ref())) {
            page.wrong(
                value.span(),
                format!(
                    "{what}: {} lies between {low} and {high} {unit}; write a value in between",
                    metric.name()
                )
                .replace(" ;", ";"),
            );
        }
    }
    let at_the_end = if rule.above.is_some() { high } else { low };
    if *limit.get_ref() == at_the_end {
        page.wrong(limit.span(), format!("this limit is never passed: {} lies between {low} and {high} {unit}; write a value in between", metric.name()).replace(" ;", ";"));
    }
}

/// What a value of this metric can be at all.
fn possible(metric: Metric) -> (f64, f64) {
    let (low, high) = plausible(metric);
    match metric.spec().unit {
        "%" => (low.max(0.0), high.min(100.0)),
        "[ppm]" | "%/m" => (low.max(0.0), high),
        _ if metric == Metric::PERSONS || metric == Metric::VEHICLES || metric == Metric::OBJECTS => {
            (0.0, high)
        }
        _ => (low, high),
    }
}

fn check_rate(page: &mut Page<'_>, rate: &RateRule) {
    let metric = metric(page, &rate.metric, false);
    let by = match (&rate.rises_by, &rate.falls_by) {
        (Some(by), None) | (None, Some(by)) => by,
        (None, None) | (Some(_), Some(_)) => {
            page.wrong(
                rate.metric.span(),
                "a rate has exactly one of `rises_by` and `falls_by`; write one of them",
            );
            return;
        }
    };
    if !by.get_ref().is_finite() || *by.get_ref() <= 0.0 {
        page.wrong(
            by.span(),
            "the change must be a number above 0; for a fall write `falls_by` with a positive number",
        );
    } else if let Some((low, high)) = metric.map(possible).filter(|(low, high)| *by.get_ref() > high - low) {
        page.wrong(
            by.span(),
            format!("so much never changes: the values lie between {low} and {high}; write less"),
        );
    }
    if !(1..=86_400).contains(rate.within_s.get_ref()) {
        page.wrong(
            rate.within_s.span(),
            "`within_s` is 1 to 86400; write the seconds in which the change happens",
        );
    }
}

fn check_class(page: &mut Page<'_>, rule: &Rule, i: usize) {
    if *rule.class.get_ref() != SignalClass::Fire {
        return;
    }
    if *rule.raise_after_s.get_ref() > 0 {
        page.wrong(
            rule.raise_after_s.span(),
            "a fire waits for nothing; remove `raise_after_s`, or give the rule another class",
        );
    }
    if rule.ladder.is_none() {
        page.wrong(
            rule.name.span(),
            format!("nobody would be called for the fire rule `{}`; add `ladder`", rule.name.get_ref()),
        );
    }
    if rule.close == Close::Returned {
        page.wrong(
            page.at(&format!("rule.{i}.close")),
            "a fire alarm would close by itself, without anybody having answered; write `resolved`",
        );
    }
    if let Some(presence) = &rule.presence {
        page.wrong(presence.silent_after_s.span(), "silence is no fire; write `class = \"trouble\"`");
    }
}

fn check_text(page: &mut Page<'_>, rule: &Rule, i: usize) {
    const KNOWN: [&str; 3] = ["device", "place", "value"];
    let span = page.at(&format!("rule.{i}.text"));
    if rule.text.trim().is_empty() {
        page.wrong(
            span.clone(),
            "the text is empty; write what a person shall read, such as `烟雾报警 {place}`",
        );
    }
    let mut rest = rule.text.as_str();
    while let Some((_, after)) = rest.split_once('{') {
        let Some((name, behind)) = after.split_once('}') else {
            page.wrong(
                span.clone(),
                "a `{` has no `}`; only `{device}`, `{place}` and `{value}` are filled in",
            );
            return;
        };
        if !KNOWN.contains(&name) {
            page.wrong(span.clone(), format!("`{{{name}}}` is not filled in; {}", instead(name, KNOWN)));
        }
        rest = behind;
    }
}

/// What the rule names in the registry is there.
fn check_selection(page: &mut Page<'_>, rule: &Rule, registry: &Registry) {
    if !registry.cells().is_empty() {
        for code in &rule.cells {
            if registry.cell_by_code(code.get_ref()).is_none_or(|cell| cell.retired) {
                let known =
                    registry.cells().iter().filter(|cell| !cell.retired).map(|cell| cell.code.as_str());
                let near = nearest(code.get_ref(), known);
                page.warn(
                    code.span(),
                    format!(
                        "there is no cell `{}` in service; {}",
                        code.get_ref(),
                        near_or(near, "correct the code")
                    ),
                );
            }
        }
        for kind in &rule.cell_kinds {
            if !registry.cells().iter().any(|cell| !cell.retired && cell.kind == *kind.get_ref()) {
                let near = nearest(kind.get_ref(), registry.cells().iter().map(|cell| cell.kind.as_str()));
                page.warn(
                    kind.span(),
                    format!(
                        "no cell is of the kind `{}`; {}",
                        kind.get_ref(),
                        near_or(near, "correct it, or remove it here")
                    ),
                );
            }
        }
    }
    if registry.devices().is_empty() {
        return;
    }
    for id in &rule.devices {
        match registry.device_by_id(id.get_ref()).filter(|device| !device.retired) {
            None => {
                let near = nearest(id.get_ref(), registry.devices().iter().map(|device| device.id.as_str()));
                page.warn(
                    id.span(),
                    format!(
                        "there is no device `{}` in service; {}",
                        id.get_ref(),
                        near_or(near, "correct the id")
                    ),
                );
            }
            Some(device) if !rule.kinds.get_ref().contains(&device.kind) => {
                page.warn(id.span(), format!("the rule never applies to `{}`, which is a {}; add `{}` to `kinds`, or remove it here", device.id, device.kind.name(), device.kind.name()));
            }
            Some(_) => (),
        }
    }
}

fn near_or(near: Option<&str>, otherwise: &str) -> String {
    near.map_or(otherwise.into(), |near| format!("did you mean `{near}`?"))
}
