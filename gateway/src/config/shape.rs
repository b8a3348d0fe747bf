//! TOML text → a typed value, or everything that is wrong with its shape at once.
//!
//! serde stops at the first mistake. Here a mistake is named, taken out of the parsed document, and serde is asked again. A misspelt word is taken for
//! the one it resembles, so that the checks of meaning can still run. Text in the file is never repeated when its type is wrong: it may be a secret.

use std::ops::Range;

use serde::de::DeserializeOwned;
use serde_spanned::Spanned;
use toml::de::{DeArray, DeTable, DeValue, Deserializer};

use crate::problem::{Problems, Severity, Spot, instead, nearest};

/// More mistakes of shape than this in one file are not looked for.
const MISTAKES_MAX: usize = 100;

/// A file while it is checked: knows where everything stands and collects what is wrong.
pub struct Page<'a> {
    pub file: &'a str,
    text: &'a str,
    document: DeTable<'a>,
    pub problems: Problems,
}

impl<'a> Page<'a> {
    /// Reads the text; the value is there when its shape is right. `required` are the keys and sections that every such file has.
    pub fn read<T: DeserializeOwned>(file: &'a str, text: &'a str, required: &[&str]) -> (Self, Option<T>) {
        let text = text.strip_prefix('\u{feff}').unwrap_or(text);
        let (document, errors) = DeTable::parse_recoverable(text);
        let mut page =
            Self { file, text, document: document.get_ref().clone(), problems: Problems::default() };
        for error in &errors {
            let message =
                format!("this is not TOML: {}; correct it here or in the line before", error.message());
            page.wrong(error.span().unwrap_or_default(), message);
        }
        if !errors.is_empty() {
            return (page, None);
        }
        for key in required {
            if !page.document.contains_key(*key) {
                page.wrong(0..0, format!("`{key}` is missing; add it, as docs/configuration.md shows"));
            }
        }
        let value = page.fit(document);
        (page, value)
    }

    fn fit<T: DeserializeOwned>(&mut self, mut document: Spanned<DeTable<'a>>) -> Option<T> {
        let mut removed: Vec<(Range<usize>, String)> = Vec::new();
        let mut whole = true;
        for _ in 0..MISTAKES_MAX {
            let error = match T::deserialize(Deserializer::from(document.clone())) {
                Ok(value) => return whole.then_some(value),
                Err(error) => error,
            };
            let span = error.span().unwrap_or_default();
            let message = error.message();
            let quoted = message.split('`').nth(1).unwrap_or_default();
            if message.starts_with("missing field") {
                // At the top it was named before; a key that was taken out because it is wrong was named then.
                if span == document.span() {
                    return None;
                }
                if !removed.iter().any(|(table, key)| *table == span && key == quoted) {
                    self.wrong(span.clone(), explain(message));
                }
            } else {
                self.wrong(span.clone(), explain(message));
            }
            if message.starts_with("unknown field") {
                let known = known_names(message);
                if !mend(document.get_mut(), &span, nearest(quoted, known)) {
                    return None;
                }
                continue;
            }
            if let Some(near) =
                nearest(quoted, known_names(message)).filter(|_| message.starts_with("unknown variant"))
                && let Some(value) =
                    document.get_mut().iter_mut().find_map(|(_, value)| value_at(value, &span))
            {
                *value = DeValue::String(near.to_owned().into());
                continue;
            }
            whole = false;
            removed.push(remove(document.get_mut(), 0..0, &span)?);
        }
        None
    }

    /// Where the value at this path stands, such as `broker.0.tls.ca`; or the last part of the path that is there.
    pub fn at(&self, path: &str) -> Range<usize> {
        let mut parts = path.split('.');
        let first = parts.next().unwrap_or_default();
        let Some(mut value) = self.document.get(first) else { return 0..0 };
        for part in parts {
            let next = match part.parse::<usize>() {
                Ok(index) => value.get_ref().get(index),
                Err(_) => value.get_ref().get(part),
            };
            let Some(next) = next else { break };
            value = next;
        }
        value.span()
    }

    /// The text or list of texts at `path`, whether or not the rest of the file has the right shape.
    pub fn texts(&self, path: &str) -> Vec<(String, Range<usize>)> {
        let mut parts = path.split('.');
        let first = parts.next().and_then(|part| self.document.get(part));
        let value = parts.fold(first, |value, part| value.and_then(|value| value.get_ref().get(part)));
        let one = |value: &Spanned<DeValue<'_>>| Some((value.get_ref().as_str()?.to_owned(), value.span()));
        match value.map(Spanned::get_ref) {
            Some(value) if value.is_array() => {
                value.as_array().into_iter().flat_map(|list| list.iter()).filter_map(one).collect()
            }
            Some(_) | None => value.and_then(one).into_iter().collect(),
        }
    }

    fn add(&mut self, span: Range<usize>, severity: Severity, message: String) {
        self.problems.add(self.file, Spot::in_text(self.text, span.start), severity, message);
    }

    pub fn wrong(&mut self, span: Range<usize>, message: impl Into<String>) {
        self.add(span, Severity::Error, message.into());
    }

    pub fn warn(&mut self, span: Range<usize>, message: impl Into<String>) {
        self.add(span, Severity::Warning, message.into());
    }

    pub fn hint(&mut self, span: Range<usize>, message: impl Into<String>) {
        self.add(span, Severity::Hint, message.into());
    }
}

/// Renames the key at `span`, or removes it when nothing is near or the right one is there too.
fn mend(table: &mut DeTable<'_>, span: &Range<usize>, near: Option<&str>) -> bool {
    let key = table.keys().find(|key| key.span() == *span).map(|key| key.get_ref().to_string());
    if let Some(key) = key {
        let value = table.remove(key.as_str());
        if let (Some(value), Some(near)) = (value, near.filter(|near| !table.contains_key(*near))) {
            table.insert(Spanned::new(span.clone(), near.to_owned().into()), value);
        }
        return true;
    }
    table.iter_mut().any(|(_, value)| tables_in(value).into_iter().any(|(_, inner)| mend(inner, span, near)))
}

/// The tables that this value is or lists, with their places.
fn tables_in<'v, 'i>(value: &'v mut Spanned<DeValue<'i>>) -> Vec<(Range<usize>, &'v mut DeTable<'i>)> {
    let own = value.span();
    let list = match value.get_mut() {
        DeValue::Table(inner) => return vec![(own, inner)],
        DeValue::Array(list) => list.as_mut(),
        DeValue::String(_)
        | DeValue::Integer(_)
        | DeValue::Float(_)
        | DeValue::Boolean(_)
        | DeValue::Datetime(_) => &mut [],
    };
    list.iter_mut().flat_map(tables_in).collect()
}

/// The innermost value at `span`.
fn value_at<'v, 'i>(value: &'v mut Spanned<DeValue<'i>>, span: &Range<usize>) -> Option<&'v mut DeValue<'i>> {
    if value.span() == *span && value.get_ref().is_str() {
        return Some(value.get_mut());
    }
    match value.get_mut() {
        DeValue::Table(inner) => inner.iter_mut().find_map(|(_, value)| value_at(value, span)),
        DeValue::Array(list) => list.iter_mut().find_map(|value| value_at(value, span)),
        DeValue::String(_)
        | DeValue::Integer(_)
        | DeValue::Float(_)
        | DeValue::Boolean(_)
        | DeValue::Datetime(_) => None,
    }
}

/// Removes the innermost value at `span`; says from which table, and its key there.
fn remove(table: &mut DeTable<'_>, own: Range<usize>, span: &Range<usize>) -> Option<(Range<usize>, String)> {
    for (key, value) in table.iter_mut() {
        let inner = tables_in(value).into_iter().find_map(|(own, inner)| remove(inner, own, span));
        if inner.is_some() {
            return inner;
        }
        if let DeValue::Array(list) = value.get_mut()
            && let Some(at) = list.iter().position(|value| value.span() == *span)
        {
            let kept =
                std::mem::replace(list, DeArray::new()).into_iter().enumerate().filter(|(i, _)| *i != at);
            *list = kept.map(|(_, value)| value).collect();
            return Some((own, key.get_ref().to_string()));
        }
    }
    let key = table.iter().find(|(key, value)| value.span() == *span || key.span() == *span);
    let key = key.map(|(key, _)| key.get_ref().to_string())?;
    table.remove(key.as_str());
    Some((own, key))
}

/// The names after `expected` in serde's messages.
fn known_names(message: &str) -> Vec<&str> {
    let expected = message.split_once("expected").map_or("", |(_, names)| names);
    expected.split('`').skip(1).step_by(2).collect()
}

/// serde's message as a sentence for the person who wrote the file.
fn explain(message: &str) -> String {
    let quoted = message.split('`').nth(1).unwrap_or_default();
    if message.starts_with("unknown field") {
        return format!("there is no key `{quoted}` here; {}", instead(quoted, known_names(message)));
    }
    if message.starts_with("missing field") {
        return format!("the key `{quoted}` is missing; add it");
    }
    if message.starts_with("unknown variant") {
        return format!("`{quoted}` is not possible here; {}", instead(quoted, known_names(message)));
    }
    let Some((found, expected)) = message.split_once(", expected ") else {
        return format!("{message}; see docs/configuration.md");
    };
    let kind = found.trim_start_matches("invalid type: ").trim_start_matches("invalid value: ");
    let found = match kind.split([' ', '`', '"']).next().unwrap_or_default() {
        "string" => "text",
        "integer" | "floating" => "a number",
        "boolean" => "true or false",
        "sequence" => "a list",
        "map" => "a table",
        _ => "something else",
    };
    let wanted = match expected {
        "struct Secret" => {
            return "a secret never stands in this file; write `{ file = \"…\" }` or `{ env = \"…\" }`"
                .into();
        }
        "u8" => "a whole number from 0 to 255",
        "u16" => "a whole number from 0 to 65535",
        "u32" => "a whole number from 0 to 4294967295",
        "f64" => "a number",
        "a boolean" => "`true` or `false`",
        "a string" | "path string" | "a borrowed path" => "text in quotes",
        "a sequence" => "a list in `[ ]`, or a section with double brackets, `[[…]]`",
        other if other.starts_with("struct") => "a section or `{ … }`",
        other => other,
    };
    format!("this is {found} that does not fit here; write {wanted}")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{Config, rules::Rules};

    fn wrong_station(text: &str) -> (String, bool) {
        let (page, value) = Page::read::<Config>("s.toml", text, &["station", "store", "rules", "http"]);
        (page.problems.sorted().to_string(), value.is_some())
    }

    const GOOD: &str = "rules = \"r.toml\"\n[station]\nid = \"x\"\nname = \"x\"\n[store]\npath = \"x\"\n[http]\nbind = \"127.0.0.1:1\"\ntoken = []\n";

    #[test]
    fn a_good_file_has_no_problem() {
        assert_eq!(wrong_station(GOOD), (String::new(), true));
    }

    #[test]
    fn several_mistakes_of_shape_are_named_at_once() {
        let text =
            GOOD.replace("name =", "nmae =").replace("path = \"x\"", "path = 5\nhistory_max_days = \"x\"")
                + "colour = 1\n";
        let (problems, usable) = wrong_station(&text);
        assert_eq!(
            problems,
            "s.toml:4:1: there is no key `nmae` here; did you mean `name`?\n\
             s.toml:6:8: this is a number that does not fit here; write text in quotes\n\
             s.toml:7:20: this is text that does not fit here; write a whole number from 0 to 4294967295\n\
             s.toml:11:1: there is no key `colour` here; write one of `bind`, `public_url`, `token`"
        );
        assert!(!usable);
    }

    #[test]
    fn after_a_misspelt_key_the_value_is_still_there() {
        let (problems, usable) = wrong_station(&GOOD.replace("bind", "bnd"));
        assert_eq!(
            (problems.as_str(), usable),
            ("s.toml:8:1: there is no key `bnd` here; did you mean `bind`?", true)
        );
    }

    #[test]
    fn a_secret_in_the_file_is_refused_and_not_repeated() {
        let (problems, _) =
            wrong_station(&GOOD.replace("token = []", "token = [{ name = \"a\", secret = \"hunter2\" }]"));
        assert_eq!(
            problems,
            "s.toml:9:33: a secret never stands in this file; write `{ file = \"…\" }` or `{ env = \"…\" }`"
        );
    }

    #[test]
    fn what_is_missing_is_said_once() {
        let (problems, _) = wrong_station("[station]\nid = \"x\"\n[http]\nbind = \"x\"\ntoken = []\n");
        assert_eq!(
            problems,
            "s.toml:1:1: `rules` is missing; add it, as docs/configuration.md shows\n\
             s.toml:1:1: `store` is missing; add it, as docs/configuration.md shows\n\
             s.toml:1:1: the key `name` is missing; add it"
        );
        let rules = "[[rule]]\nname = \"a\"\nclass = \"fier\"\ntext = \"x\"\nkinds = [\"smoke\"]\n[[rule]]\nname = 5\n";
        let (page, _) = Page::read::<Rules>("r.toml", rules, &[]);
        assert_eq!(
            page.problems.sorted().to_string(),
            "r.toml:3:9: `fier` is not possible here; did you mean `fire`?\n\
             r.toml:5:10: `smoke` is not possible here; write one of `smoke_detector`, `heat_detector`, `gas_detector`, `manual_call_point`, `hydrant`, `water_tank`, `pump`, `access_camera`, `camera`, `door_sensor`, `motion_sensor`, `panel`, `gateway`, `other`\n\
             r.toml:7:8: this is a number that does not fit here; write text in quotes"
        );
    }

    #[test]
    fn every_error_of_syntax_is_named() {
        let (problems, usable) = wrong_station("[station]\nid = \nname = @\n");
        assert!(problems.lines().count() >= 2 && !usable, "{problems}");
    }
}
