//! Ladders: every step reaches somebody on a channel that exists, and the way up ends.

use std::collections::BTreeSet;

use serde_spanned::Spanned;

use super::super::shape::Page;
use super::names;
use crate::config::Config;
use crate::config::rules::{Ladder, Rules, Step};
use crate::grid::{Registry, Role};
use crate::model::SignalClass;
use crate::problem::{instead, nearest};

pub fn check(page: &mut Page<'_>, rules: &Rules, config: Option<&Config>, registry: Option<&Registry>) {
    names(page, "ladder", rules.ladders.iter().map(|ladder| &ladder.name));
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
    if text == "responsible" || Role::from_name(text).is_some() {
        return;
    }
    match text.split_once(':') {
        Some(("up", levels)) if levels.parse::<u8>().is_ok_and(|levels| levels > 0) => (),
        Some(("up", _)) => page.wrong(
            who.span(),
            format!("`{text}` names no level; write `up:1` for the parent cell, `up:2` for the one above"),
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
        Some(_) | None => {
            let known = ["responsible", "lead", "deputy", "worker", "helper", "up:1", "person:<id>"];
            page.wrong(who.span(), format!("`{text}` is nobody; {}", instead(text, known)));
        }
    }
}

/// `then` leads to another ladder and never back.
fn check_way(page: &mut Page<'_>, rules: &Rules, ladder: &Ladder) {
    let named = |name: &str| rules.ladders.iter().find(|ladder| ladder.name.get_ref() == name);
    let Some(then) = &ladder.then else { return };
    if named(then.get_ref()).is_none() {
        let known: Vec<&str> = rules.ladders.iter().map(|ladder| ladder.name.get_ref().as_str()).collect();
        page.wrong(
            then.span(),
            format!("there is no ladder `{}`; {}", then.get_ref(), instead(then.get_ref(), known)),
        );
        return;
    }
    let mut way = vec![ladder.name.get_ref().as_str()];
    let mut next = ladder.then.as_ref();
    while let Some(name) = next.map(|name| name.get_ref().as_str()) {
        let back = name == way[0];
        way.push(name);
        if back {
            page.wrong(
                then.span(),
                format!(
                    "the ladders go round for ever: {}; leave `then` out of the last one",
                    way.join(" → ")
                ),
            );
            return;
        }
        if way[1..way.len() - 1].contains(&name) {
            return; // A circle further up, which is named there.
        }
        next = named(name).and_then(|ladder| ladder.then.as_ref());
    }
}
