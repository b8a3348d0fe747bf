//! Ladders: every step reaches somebody on a channel that exists, and the way up ends.

use std::collections::{BTreeMap, BTreeSet};

use serde_spanned::Spanned;

use super::super::shape::Page;
use super::{names, range};
use crate::config::Config;
use crate::config::rules::{Ladder, Rules, Step};
use crate::grid::{Registry, Role};
use crate::model::SignalClass;
use crate::problem::{instead, nearest};

pub fn check(page: &mut Page<'_>, rules: &Rules, config: Option<&Config>, registry: Option<&Registry>) {
    check_variants(page, rules, registry);
    let fire: BTreeSet<&str> = rules
        .rules
        .iter()
        .filter(|rule| *rule.class.get_ref() == SignalClass::Fire)
        .filter_map(|rule| rule.ladder.as_ref().map(|name| name.get_ref().as_str()))
        .collect();
    for (i, ladder) in rules.ladders.iter().enumerate() {
        let name = ladder.name.get_ref();
        if ladder.steps.is_empty() {
            page.wrong(
                ladder.name.span(),
                format!("the ladder `{name}` calls nobody; add a `[[ladder.step]]`"),
            );
        }
        if let Some(first) =
            ladder.steps.first().filter(|step| fire.contains(name.as_str()) && *step.after_s.get_ref() > 0)
        {
            page.wrong(
                first.after_s.span(),
                format!("the fire ladder `{name}` begins late; write 0 for its first step"),
            );
        }
        if let Some(within) = &ladder.progress_within_s {
            range(page, "progress_within_s", within, 10..=604_800);
        }
        range(page, "unanswered_after_s", &ladder.unanswered_after_s, 1..=604_800);
        for pair in ladder.steps.windows(2) {
            if pair[1].after_s.get_ref() <= pair[0].after_s.get_ref() {
                page.wrong(
                    pair[1].after_s.span(),
                    format!(
                        "this step is not later than the one before it; write more than {}",
                        pair[0].after_s.get_ref()
                    ),
                );
            }
        }
        for (j, step) in ladder.steps.iter().enumerate() {
            check_step(page, step, &format!("ladder.{i}.step.{j}"), config, registry);
        }
        check_way(page, rules, ladder);
    }
    if let Some(wanted) = &rules.roll_call.ladder
        && !rules.ladders.iter().any(|known| known.name.get_ref() == wanted.get_ref())
    {
        let known: BTreeSet<&str> = rules.ladders.iter().map(|known| known.name.get_ref().as_str()).collect();
        let wrong =
            format!("there is no ladder `{}`; {}", wanted.get_ref(), instead(wanted.get_ref(), known));
        page.wrong(wanted.span(), wrong);
    }
    let cells = registry.map(Registry::cells).unwrap_or_default();
    for code in rules.roll_call.cells.iter().filter(|_| !cells.is_empty()) {
        if !cells.iter().any(|cell| !cell.retired && cell.code == *code.get_ref()) {
            let known = cells.iter().filter(|cell| !cell.retired).map(|cell| cell.code.as_str());
            let near = nearest(code.get_ref(), known)
                .map_or("correct the code".to_owned(), |near| format!("did you mean `{near}`?"));
            page.warn(code.span(), format!("there is no cell `{}` in service; {near}", code.get_ref()));
        }
    }
}

/// Of the ladders of one name the last, and only the last, is for whatever the others are not for.
fn check_variants(page: &mut Page<'_>, rules: &Rules, registry: Option<&Registry>) {
    let mut by_name: BTreeMap<&str, Vec<&Ladder>> = BTreeMap::new();
    for ladder in &rules.ladders {
        by_name.entry(ladder.name.get_ref()).or_default().push(ladder);
    }
    names(page, "ladder", by_name.values().map(|variants| &variants[0].name));
    let has_condition = |ladder: &Ladder| {
        ladder.hours.is_some() || !ladder.classes.is_empty() || !ladder.cell_kinds.is_empty()
    };
    for (name, variants) in &by_name {
        for (at, ladder) in variants.iter().enumerate() {
            let last = at + 1 == variants.len();
            if last && has_condition(ladder) {
                page.wrong(
                    ladder.name.span(),
                    format!("some alarms would find no ladder `{name}`; add one of this name without `hours`, `classes` and `cell_kinds` after it"),
                );
            } else if !last && !has_condition(ladder) {
                page.wrong(
                    variants[at + 1].name.span(),
                    format!("this ladder `{name}` is never taken, because one before it has no condition; write `hours`, `classes` or `cell_kinds` there, or give this one another name"),
                );
            }
        }
    }
    let Some(registry) = registry.filter(|registry| !registry.cells().is_empty()) else { return };
    for kind in rules.ladders.iter().flat_map(|ladder| &ladder.cell_kinds) {
        if !registry.cells().iter().any(|cell| !cell.retired && cell.kind == *kind.get_ref()) {
            page.warn(
                kind.span(),
                format!("no cell is of the kind `{}`; correct it, or remove it here", kind.get_ref()),
            );
        }
    }
}

fn check_step(
    page: &mut Page<'_>,
    step: &Step,
    path: &str,
    config: Option<&Config>,
    registry: Option<&Registry>,
) {
    if step.who.is_empty() {
        page.wrong(
            page.at(&format!("{path}.who")),
            "this step calls nobody; write at least one, such as `responsible`",
        );
    }
    if step.channels.is_empty() {
        page.wrong(
            page.at(&format!("{path}.channels")),
            "this step has no way to call; write the name of a `[[webhook]]`, or `mqtt`",
        );
    }
    range(page, "need", &step.need, 1..=20);
    for who in &step.who {
        check_who(page, who, registry);
    }
    let Some(config) = config else { return };
    for channel in &step.channels {
        let name = channel.get_ref().as_str();
        if name == "mqtt" {
            if config.alarm_mqtt.is_none() {
                page.wrong(
                    channel.span(),
                    "the channel `mqtt` needs the section `[alarm_mqtt]` in station.toml; add it there",
                );
            }
        } else if !config.all_channels().iter().any(|(_, known)| known.name.get_ref() == name) {
            let all = config.all_channels();
            let known: Vec<&str> =
                all.iter().map(|(_, known)| known.name.get_ref().as_str()).chain(["mqtt"]).collect();
            page.wrong(
                channel.span(),
                format!("station.toml has no channel `{name}`; {}", instead(name, known)),
            );
        }
    }
}

fn check_who(page: &mut Page<'_>, who: &Spanned<String>, registry: Option<&Registry>) {
    let text = who.get_ref().as_str();
    if ["responsible", "team", "nearest"].contains(&text) || Role::from_name(text).is_some() {
        return;
    }
    match text.split_once(':') {
        Some(("up", levels)) if levels.parse::<u8>().is_ok_and(|levels| levels > 0) => (),
        Some(("up", _)) => page.wrong(
            who.span(),
            format!("`{text}` names no level; write `up:1` for the parent cell, `up:2` for the one above"),
        ),
        Some(("nearest", count)) if count.parse::<u8>().is_ok_and(|count| (1..=20).contains(&count)) => (),
        Some(("nearest", _)) => page.wrong(
            who.span(),
            format!("`{text}` names no number of people; write `nearest`, or `nearest:2` up to `nearest:20`"),
        ),
        Some(("person", id)) => {
            if let Some(registry) =
                registry.filter(|registry| !registry.people().is_empty() && registry.person(id).is_none())
            {
                let near = nearest(id, registry.people().iter().map(|person| person.id.as_str()));
                let instead = near.map_or("write the id of a person in the registry".into(), |near| {
                    format!("did you mean `person:{near}`?")
                });
                page.warn(who.span(), format!("there is no person `{id}`; {instead}"));
            }
        }
        Some(("team", name)) => {
            let teams = registry.map(|registry| registry.rows().teams.as_slice()).unwrap_or_default();
            if !teams.is_empty() && !teams.iter().any(|team| team.name == name) {
                let known: Vec<&str> = teams.iter().map(|team| team.name.as_str()).collect();
                page.warn(who.span(), format!("there is no team `{name}`; {}", instead(name, known)));
            }
        }
        Some(_) | None => {
            let roles = Role::TABLE.iter().map(|line| line.name);
            let known: Vec<&str> = ["responsible"]
                .into_iter()
                .chain(roles)
                .chain(["up:1", "team", "team:<name>", "nearest", "person:<id>"])
                .collect();
            page.wrong(who.span(), format!("`{text}` is nobody; {}", instead(text, known)));
        }
    }
}

/// `then` leads to another ladder and never back, whichever of its variants is taken.
fn check_way(page: &mut Page<'_>, rules: &Rules, ladder: &Ladder) {
    let Some(then) = &ladder.then else { return };
    let start = ladder.name.get_ref().as_str();
    if !rules.ladders.iter().any(|known| known.name.get_ref() == then.get_ref()) {
        let known: BTreeSet<&str> =
            rules.ladders.iter().map(|ladder| ladder.name.get_ref().as_str()).collect();
        page.wrong(
            then.span(),
            format!("there is no ladder `{}`; {}", then.get_ref(), instead(then.get_ref(), known)),
        );
        return;
    }
    // Breadth first, each name once, with the way to it.
    let mut ways: Vec<Vec<&str>> = vec![vec![start, then.get_ref()]];
    let mut seen = BTreeSet::from([then.get_ref().as_str()]);
    let mut at = 0;
    while let Some(way) = ways.get(at).cloned() {
        let here = way[way.len() - 1];
        if here == start {
            page.wrong(
                then.span(),
                format!(
                    "the ladders go round for ever: {}; leave `then` out of the last one",
                    way.join(" → ")
                ),
            );
            return;
        }
        let onward = rules.ladders.iter().filter(|ladder| ladder.name.get_ref() == here);
        for next in onward.filter_map(|ladder| ladder.then.as_ref()) {
            if seen.insert(next.get_ref()) {
                ways.push([way.as_slice(), &[next.get_ref()]].concat());
            }
        }
        at += 1;
    }
}
