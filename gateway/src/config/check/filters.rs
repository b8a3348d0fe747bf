//! MQTT topic filters (MQTT 3.1.1 §4.7): which are valid, which covers which, which can meet.

/// What is wrong with a filter, if anything.
pub fn invalid(filter: &str) -> Option<&'static str> {
    if filter.is_empty() {
        return Some("is empty; write a topic filter such as `gridwarden/up/#`");
    }
    if filter.len() > 65_535 || filter.contains('\0') {
        return Some("is too long or holds a zero character; write a shorter filter");
    }
    let mut levels = filter.split('/').peekable();
    while let Some(level) = levels.next() {
        if level == "#" && levels.peek().is_some() {
            return Some("has `#` before its end; `#` may only be the last level");
        }
        if level.len() > 1 && level.contains(['+', '#']) {
            return Some("has a wildcard inside a level; `+` and `#` stand alone between slashes");
        }
    }
    None
}

/// Whether every topic that `narrow` matches is matched by `wide`.
pub fn covers(wide: &str, narrow: &str) -> bool {
    if narrow.starts_with('$') && wide.starts_with(['+', '#']) {
        return false;
    }
    let (mut wide, mut narrow) = (wide.split('/'), narrow.split('/'));
    loop {
        match (wide.next(), narrow.next()) {
            (Some("#"), _) | (None, None) => return true,
            (Some(_) | None, Some("#")) | (Some(_), None) | (None, Some(_)) => return false,
            (Some("+"), Some(_)) => (),
            (Some(one), Some(other)) if one == other => (),
            (Some(_), Some(_)) => return false,
        }
    }
}

/// Whether some topic is matched by both.
pub fn meet(one: &str, other: &str) -> bool {
    let hidden = |a: &str, b: &str| a.starts_with('$') && b.starts_with(['+', '#']);
    if hidden(one, other) || hidden(other, one) {
        return false;
    }
    let (mut one, mut other) = (one.split('/'), other.split('/'));
    loop {
        match (one.next(), other.next()) {
            (Some("#"), _) | (_, Some("#")) | (None, None) => return true,
            (Some("+"), Some(_)) | (Some(_), Some("+")) => (),
            (Some(a), Some(b)) if a == b => (),
            (Some(_) | None, Some(_) | None) => return false,
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::decode::filter_matches;

    #[test]
    fn covering_as_a_person_expects() {
        for (wide, narrow, yes) in [
            ("a/#", "a/b", true),
            ("a/#", "a", true),
            ("a/#", "a/+/c/#", true),
            ("a/+", "a/b", true),
            ("a/+", "a/#", false),
            ("a/b", "a/+", false),
            ("+/b", "a/b", true),
            ("#", "$SYS/x", false),
            ("$SYS/#", "$SYS/x", true),
            ("a/b", "a/b/c", false),
            ("a/+/#", "a/#", false),
        ] {
            assert_eq!(covers(wide, narrow), yes, "{wide} covers {narrow}");
        }
    }

    #[test]
    fn filters_that_the_standard_forbids() {
        for (filter, good) in [
            ("a/b", true),
            ("#", true),
            ("+/+/#", true),
            ("/", true),
            ("", false),
            ("a/#/b", false),
            ("a#", false),
            ("a/b+", false),
            ("##", false),
        ] {
            assert_eq!(invalid(filter).is_none(), good, "{filter}");
        }
    }

    proptest! {
        #[test]
        fn what_is_covered_is_matched(wide in filter(), narrow in filter(), topic in "(a|b|\\$a)(/(a|b)){0,3}") {
            if covers(&wide, &narrow) && filter_matches(&narrow, &topic) {
                prop_assert!(filter_matches(&wide, &topic), "{} should cover {} but misses {}", wide, narrow, topic);
            }
            if filter_matches(&wide, &topic) && filter_matches(&narrow, &topic) {
                prop_assert!(meet(&wide, &narrow), "{} and {} meet in {}", wide, narrow, topic);
            }
        }
    }

    fn filter() -> impl Strategy<Value = String> {
        "(a|b|\\+|\\$a)(/(a|b|\\+)){0,2}(/#)?"
    }
}
