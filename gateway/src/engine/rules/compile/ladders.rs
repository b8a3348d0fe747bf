//! The ladders of rules.toml: who is told, step by step, and that every way up ends.

use std::collections::HashSet;

use super::{Problems, seconds};
use crate::config::rules as typed;
use crate::engine::rules::{Ladder, LadderIx, Ladders, Step, Who};
use crate::grid::Role;

/// Ladders by name, in the order in which the names first come.
pub(super) fn ladders(rules: &typed::Rules, problems: &mut Problems) -> Vec<Ladders> {
    let mut names: Vec<&str> = Vec::new();
    for ladder in &rules.ladders {
        if !names.contains(&ladder.name.get_ref().as_str()) {
            names.push(ladder.name.get_ref());
        }
    }
    let mut found: Vec<Ladders> =
        names.iter().map(|name| Ladders { name: (*name).to_owned(), variants: Vec::new() }).collect();
    for ladder in &rules.ladders {
        let then = ladder.then.as_ref().and_then(|wanted| {
            let at = names.iter().position(|name| *name == wanted.get_ref());
            if at.is_none() {
                let what = format!("goes on with `{}`, which does not exist", wanted.get_ref());
                problems.add(ladder.name.get_ref(), what);
            }
            at.map(|at| LadderIx(at as u32))
        });
        let compiled = Ladder {
            classes: ladder.classes.iter().map(|class| *class.get_ref()).collect(),
            cell_kinds: ladder.cell_kinds.iter().map(|kind| kind.get_ref().clone()).collect(),
            hours: ladder.hours.as_ref().map(|hours| *hours.get_ref()),
            steps: ladder.steps.iter().map(|step| compiled_step(ladder, step, problems)).collect(),
            then,
            progress_within: ladder.progress_within_s.as_ref().map(seconds),
            unanswered_after: seconds(&ladder.unanswered_after_s),
        };
        if let Some(at) = names.iter().position(|name| *name == ladder.name.get_ref()) {
            found[at].variants.push(compiled);
        }
    }
    end_circles(&mut found, problems);
    found
}

/// Whatever variants are taken, the way up ends.
fn end_circles(ladders: &mut [Ladders], problems: &mut Problems) {
    for at in 0..ladders.len() {
        for variant in 0..ladders[at].variants.len() {
            let Some(next) = ladders[at].variants[variant].then else { continue };
            if leads_to(ladders, next, LadderIx(at as u32)) {
                let back = ladders[next.0 as usize].name.clone();
                problems.add(
                    &ladders[at].name,
                    format!("goes on with `{back}`, which leads back here; it ends here instead"),
                );
                ladders[at].variants[variant].then = None;
            }
        }
    }
}

fn leads_to(ladders: &[Ladders], from: LadderIx, to: LadderIx) -> bool {
    let (mut seen, mut open) = (HashSet::new(), vec![from]);
    while let Some(at) = open.pop() {
        if at == to {
            return true;
        }
        if seen.insert(at) {
            open.extend(ladders[at.0 as usize].variants.iter().filter_map(|ladder| ladder.then));
        }
    }
    false
}

fn compiled_step(ladder: &typed::Ladder, step: &typed::Step, problems: &mut Problems) -> Step {
    let mut who = Vec::new();
    for text in &step.who {
        match Who::parse(text.get_ref()) {
            Some(one) => who.push(one),
            None => problems.add(
                ladder.name.get_ref(),
                format!(
                    "`{}` is nobody; write `responsible`, a role such as `lead` or `worker`, `up:1`, `team:<name>`, `nearest` or `person:<id>`",
                    text.get_ref()
                ),
            ),
        }
    }
    let channels = step.channels.iter().map(|channel| channel.get_ref().clone()).collect();
    Step { after: seconds(&step.after_s), who, channels, need: *step.need.get_ref() }
}

impl Who {
    /// `responsible`, the name of a role, `up:1` …, `team`, `team:<name>`, `nearest`, `nearest:2` … or `person:<id>`.
    fn parse(text: &str) -> Option<Self> {
        if text == "responsible" {
            return Some(Self::Responsible);
        }
        if text == "team" {
            return Some(Self::Teams);
        }
        if text == "nearest" {
            return Some(Self::Nearest(1));
        }
        if let Some(role) = Role::from_name(text) {
            return Some(Self::Role(role));
        }
        match text.split_once(':')? {
            ("up", levels) => levels.parse().ok().filter(|&levels| 0 < levels).map(Self::Up),
            ("nearest", count) => {
                count.parse().ok().filter(|count| (1..=20).contains(count)).map(Self::Nearest)
            }
            ("person", id) if !id.is_empty() => Some(Self::Person(id.to_owned())),
            ("team", name) if !name.is_empty() => Some(Self::Team(name.to_owned())),
            (_, _) => None,
        }
    }
}
