//! One number of rules.toml becomes another; every other byte stays as it was written.
//!
//! The place is the one that the parser found, so comments and order are kept. What comes out is read again: it must say what was asked, and nothing else may be otherwise.

use super::{Change, weaker_fire_rule};
use crate::config::difference;
use crate::config::rules::{Rule, Rules};

#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CannotEdit {
    #[error("rules.toml cannot be read: {0}")]
    NotRules(String),
    #[error("there is no rule `{0}` any more")]
    NoRule(String),
    #[error("rule `{0}` has changed since: it says {1} now")]
    Changed(String, String),
    #[error(
        "rule `{0}` is for fire, and no proposal makes that less sensitive; if it must be, edit rules.toml by hand"
    )]
    Fire(String),
    #[error("rule `{0}` is written in a way that cannot be changed here; edit rules.toml by hand")]
    Shape(String),
}

/// The text after the change; the same text for one that is not about a rule.
pub fn edit(text: &str, change: &Change) -> Result<String, CannotEdit> {
    let start = if text.starts_with('\u{feff}') { '\u{feff}'.len_utf8() } else { 0 };
    let (mark, body) = text.split_at(start);
    let before = read(body)?;
    let edited = match change {
        Change::Exchange { .. } => return Ok(text.to_owned()),
        Change::Threshold { rule: name, from, to } => {
            let rule = find(&before, name)?;
            let shape = || CannotEdit::Shape(name.clone());
            let threshold = rule.threshold.as_ref().ok_or_else(shape)?;
            let limit = threshold.above.as_ref().or(threshold.below.as_ref()).ok_or_else(shape)?;
            if limit.get_ref() != from {
                return Err(CannotEdit::Changed(name.clone(), limit.get_ref().to_string()));
            }
            replace(body, limit.span(), &format!("{to:?}"))
        }
        Change::Delay { rule: name, from_s, to_s } => {
            let rule = find(&before, name)?;
            let delay = &rule.raise_after_s;
            if delay.get_ref() != from_s {
                return Err(CannotEdit::Changed(name.clone(), format!("{} s", delay.get_ref())));
            }
            match delay.span().is_empty() {
                false => replace(body, delay.span(), &to_s.to_string()),
                true => insert_after_line(body, rule.name.span().end, &format!("raise_after_s = {to_s}")),
            }
        }
    };
    let after = read(&edited)?;
    if let Some(rule) = weaker_fire_rule(&before, &after) {
        return Err(CannotEdit::Fire(rule));
    }
    check(&before, body, &edited, &after, change)?;
    Ok(format!("{mark}{edited}"))
}

/// What the change is about stands in the text as it should afterwards.
pub fn is_in(text: &str, change: &Change) -> bool {
    let Ok(rules) = read(text.trim_start_matches('\u{feff}')) else { return false };
    says(&rules, change)
}

fn says(rules: &Rules, change: &Change) -> bool {
    match change {
        Change::Exchange { .. } => true,
        Change::Threshold { rule, to, .. } => find(rules, rule).is_ok_and(|rule| {
            let threshold = rule.threshold.as_ref();
            let limit = threshold.and_then(|threshold| threshold.above.as_ref().or(threshold.below.as_ref()));
            limit.is_some_and(|limit| limit.get_ref() == to)
        }),
        Change::Delay { rule, to_s, .. } => {
            find(rules, rule).is_ok_and(|rule| rule.raise_after_s.get_ref() == to_s)
        }
    }
}

fn check(before: &Rules, old: &str, new: &str, after: &Rules, change: &Change) -> Result<(), CannotEdit> {
    let (Change::Threshold { rule, .. } | Change::Delay { rule, .. }) = change else { return Ok(()) };
    let only = difference::of_rules(old, new) == format!("rule `{rule}` changed");
    match only && says(after, change) && before.rules.len() == after.rules.len() {
        true => Ok(()),
        false => Err(CannotEdit::Shape(rule.clone())),
    }
}

fn read(text: &str) -> Result<Rules, CannotEdit> {
    toml::from_str(text).map_err(|error| CannotEdit::NotRules(error.message().to_owned()))
}

fn find<'a>(rules: &'a Rules, name: &str) -> Result<&'a Rule, CannotEdit> {
    let rule = rules.rules.iter().find(|rule| rule.name.get_ref() == name);
    rule.ok_or_else(|| CannotEdit::NoRule(name.to_owned()))
}

fn replace(text: &str, place: std::ops::Range<usize>, with: &str) -> String {
    format!("{}{with}{}", &text[..place.start], &text[place.end..])
}

fn insert_after_line(text: &str, place: usize, line: &str) -> String {
    let end = text[place..].find('\n').map_or(text.len(), |more| place + more);
    let end = if text[..end].ends_with('\r') { end - 1 } else { end };
    let indent: String = {
        let begin = text[..place].rfind('\n').map_or(0, |at| at + 1);
        text[begin..].chars().take_while(|c| *c == ' ' || *c == '\t').collect()
    };
    let newline = if text[end..].starts_with('\r') { "\r\n" } else { "\n" };
    format!("{}{newline}{indent}{line}{}", &text[..end], &text[end..])
}

#[cfg(test)]
mod tests {
    use super::*;

    const RULES: &str = "# Ours.\n[[rule]]\nname = \"low\" # 水压\nclass = \"supervisory\"\ntext = \"low\"\nkinds = [\"hydrant\"]\n\
        threshold = { metric = \"pressure\", below = 140.0, clear_above = 150.0 } # GB 50974\n\n\
        [[rule]]\nname = \"hot\"\nclass = \"fire\"\ntext = \"hot\"\nkinds = [\"heat_detector\"]\nraise_after_s = 0\n\
        threshold = { metric = \"temperature\", above = 60.0 }\n";

    fn delay(rule: &str, from_s: u32, to_s: u32) -> Change {
        Change::Delay { rule: rule.into(), from_s, to_s }
    }

    fn limit(rule: &str, from: f64, to: f64) -> Change {
        Change::Threshold { rule: rule.into(), from, to }
    }

    #[test]
    fn one_number_changes_and_nothing_else() {
        for (change, old, new) in [
            (limit("low", 140.0, 132.0), "below = 140.0,", "below = 132.0,"),
            (delay("low", 0, 30), "# 水压\n", "# 水压\nraise_after_s = 30\n"),
            (limit("hot", 60.0, 57.0), "above = 60.0", "above = 57.0"),
        ] {
            let edited = edit(RULES, &change).expect("it can be edited");
            assert_eq!(edited, RULES.replacen(old, new, 1), "{change}");
            assert!(is_in(&edited, &change) && !is_in(RULES, &change));
        }
    }

    #[test]
    fn as_windows_writes_it() {
        let windows = format!("\u{feff}{}", RULES.replace('\n', "\r\n"));
        let edited = edit(&windows, &delay("low", 0, 30)).expect("it can be edited");
        assert_eq!(edited, windows.replacen("# 水压\r\n", "# 水压\r\nraise_after_s = 30\r\n", 1));
    }

    #[test]
    fn a_fire_rule_is_not_made_less_sensitive() {
        for change in [limit("hot", 60.0, 70.0), delay("hot", 0, 10)] {
            assert_eq!(edit(RULES, &change), Err(CannotEdit::Fire("hot".into())), "{change}");
        }
    }

    #[test]
    fn what_has_changed_meanwhile_is_refused() {
        assert_eq!(
            edit(RULES, &limit("low", 141.0, 130.0)),
            Err(CannotEdit::Changed("low".into(), "140".into()))
        );
        assert_eq!(edit(RULES, &delay("low", 5, 30)), Err(CannotEdit::Changed("low".into(), "0 s".into())));
        assert_eq!(edit(RULES, &delay("gone", 5, 30)), Err(CannotEdit::NoRule("gone".into())));
        assert!(matches!(edit("[[rule", &delay("low", 5, 30)), Err(CannotEdit::NotRules(_))));
    }

    #[test]
    fn a_rule_in_one_line_is_left_to_people() {
        let one_line = "rule = [{ name = \"low\", class = \"trouble\", text = \"low\", kinds = [\"hydrant\"], state = { flag = \"fault\" } }]";
        let found = edit(one_line, &delay("low", 0, 30));
        assert!(matches!(found, Err(CannotEdit::Shape(_) | CannotEdit::NotRules(_))), "{found:?}");
    }
}
