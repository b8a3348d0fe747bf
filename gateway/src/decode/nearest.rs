//! Which metric somebody meant who misspelt its name.

use crate::model::METRICS;

/// The metric whose name needs the fewest changes, if few enough to be a slip.
pub fn nearest(name: &str) -> Option<&'static str> {
    if name.len() > 40 {
        return None;
    }
    let name = name.to_ascii_lowercase().replace(['-', ' '], "_");
    METRICS
        .iter()
        .map(|spec| (changes(&name, spec.name), spec.name))
        .min_by_key(|(changes, _)| *changes)
        .filter(|(changes, near)| *changes <= near.len().div_ceil(3))
        .map(|(_, near)| near)
}

/// Levenshtein distance in bytes.
fn changes(one: &str, other: &str) -> usize {
    let mut row: Vec<usize> = (0..=other.len()).collect();
    for (above, left) in one.bytes().enumerate() {
        let mut diagonal = row[0];
        row[0] = above + 1;
        for (at, top) in other.bytes().enumerate() {
            let replaced = diagonal + usize::from(left != top);
            diagonal = row[at + 1];
            row[at + 1] = replaced.min(diagonal + 1).min(row[at] + 1);
        }
    }
    row[other.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slips_find_the_metric_that_was_meant() {
        for (slip, meant) in [
            ("temprature", Some("temperature")),
            ("Battery", Some("battery")),
            ("smoke-density", Some("smoke_density")),
            ("presure", Some("pressure")),
            ("colour", None),
            ("", None),
        ] {
            assert_eq!(nearest(slip), meant, "{slip}");
        }
    }
}
