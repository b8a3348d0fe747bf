//! What a reload changes in rules.toml, in one line for the log.

use std::collections::BTreeMap;

use toml::{Table, Value};

/// Rules and ladders by name, added, changed and removed, and the other tables that differ.
pub fn of_rules(old: &str, new: &str) -> String {
    let read = |text: &str| text.parse::<Table>().unwrap_or_default();
    let (old, new) = (read(old), read(new));
    let mut parts = Vec::new();
    for (key, word) in [("rule", "rule"), ("ladder", "ladder")] {
        let (before, after) = (by_name(&old, key), by_name(&new, key));
        for (name, value) in &after {
            match before.get(name) {
                None => parts.push(format!("{word} `{name}` added")),
                Some(same) if same == value => (),
                Some(_) => parts.push(format!("{word} `{name}` changed")),
            }
        }
        let gone = before.keys().filter(|name| !after.contains_key(*name));
        parts.extend(gone.map(|name| format!("{word} `{name}` removed")));
    }
    if old.get("freshness") != new.get("freshness") {
        parts.push("freshness changed".into());
    }
    if parts.is_empty() { "no rule differs".into() } else { parts.join(", ") }
}

/// Several ladders may have one name.
fn by_name<'a>(table: &'a Table, key: &str) -> BTreeMap<&'a str, Vec<&'a Value>> {
    let mut found: BTreeMap<&str, Vec<&Value>> = BTreeMap::new();
    for value in table.get(key).and_then(Value::as_array).into_iter().flatten() {
        if let Some(name) = value.get("name").and_then(Value::as_str) {
            found.entry(name).or_default().push(value);
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_what_was_added_changed_and_removed() {
        let old = "[[rule]]\nname = \"smoke\"\nclass = \"fire\"\n[[rule]]\nname = \"low\"\n[[ladder]]\nname = \"calm\"\n";
        let new = "[freshness]\nlive_within_s = 60\n[[rule]]\nname = \"smoke\"\nclass = \"test\"\n[[rule]]\nname = \"heat\"\n[[ladder]]\nname = \"calm\"\n";
        assert_eq!(
            of_rules(old, new),
            "rule `heat` added, rule `smoke` changed, rule `low` removed, freshness changed"
        );
        assert_eq!(of_rules(new, new), "no rule differs");
    }
}
