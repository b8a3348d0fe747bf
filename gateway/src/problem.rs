//! What is wrong in a file somebody wrote, where, and what to write instead.
//!
//! Shared by the configuration and the imports. A message is a full sentence in two halves, `what is wrong; what to write instead`, and
//! never holds a secret or a telephone number. [`Problems`] keeps a bounded number, so that a wrong file of a million rows stays readable.

use std::fmt;

/// How many problems are kept; the rest is only counted.
pub const KEPT_MAX: usize = 1_000;

/// What follows from a problem.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Severity {
    /// The gateway does not start; a file is not imported.
    Error,
    /// The gateway starts, but `check` fails: somebody or something is not covered.
    Warning,
    /// Worth a look; nothing fails.
    Hint,
}

/// Line and column, both from 1; columns count characters.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Spot {
    pub line: u32,
    pub column: u32,
}

impl Spot {
    /// Where the byte at `offset` stands in `text`.
    pub fn in_text(text: &str, offset: usize) -> Self {
        let mut end = offset.min(text.len());
        while !text.is_char_boundary(end) {
            end -= 1;
        }
        let before = &text[..end];
        let line_start = before.rfind('\n').map_or(0, |at| at + 1);
        Self {
            line: before.matches('\n').count() as u32 + 1,
            column: before[line_start..].trim_start_matches('\u{feff}').chars().count() as u32 + 1,
        }
    }
}

#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Problem {
    pub file: String,
    pub line: u32,
    pub column: u32,
    pub severity: Severity,
    pub message: String,
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let hint = if self.severity == Severity::Hint { "hint: " } else { "" };
        write!(f, "{}:{}:{}: {hint}{}", self.file, self.line, self.column, self.message)
    }
}

/// Problems of one run, in the order of file, line and column once [`Problems::sorted`].
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Problems {
    kept: Vec<Problem>,
    more: usize,
}

impl Problems {
    pub fn add(&mut self, file: &str, at: Spot, severity: Severity, message: impl Into<String>) {
        if self.kept.len() >= KEPT_MAX {
            self.more += 1;
            return;
        }
        self.kept.push(Problem {
            file: file.to_owned(),
            line: at.line,
            column: at.column,
            severity,
            message: message.into(),
        });
    }

    pub fn extend(&mut self, other: Problems) {
        for problem in other.kept {
            let at = Spot { line: problem.line, column: problem.column };
            self.add(&problem.file, at, problem.severity, problem.message);
        }
        self.more += other.more;
    }

    /// The same with every error as a warning.
    #[must_use]
    pub fn softened(mut self) -> Self {
        for problem in &mut self.kept {
            problem.severity = problem.severity.max(Severity::Warning);
        }
        self
    }

    #[must_use]
    pub fn sorted(mut self) -> Self {
        self.kept.sort();
        self.kept.dedup();
        self
    }

    pub fn is_empty(&self) -> bool {
        self.kept.is_empty() && self.more == 0
    }

    /// How many there are, those not kept included.
    pub fn len(&self) -> usize {
        self.kept.len() + self.more
    }

    pub fn iter(&self) -> impl Iterator<Item = &Problem> {
        self.kept.iter()
    }

    /// Whether one is as bad as `severity` or worse.
    pub fn any(&self, severity: Severity) -> bool {
        self.kept.iter().any(|problem| problem.severity <= severity)
    }
}

impl fmt::Display for Problems {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (at, problem) in self.kept.iter().enumerate() {
            if at > 0 {
                writeln!(f)?;
            }
            write!(f, "{problem}")?;
        }
        if self.more > 0 {
            write!(f, "\n… and {} more", self.more)?;
        }
        Ok(())
    }
}

impl std::error::Error for Problems {}

/// The candidate that was probably meant: at most a third of the letters differ.
pub fn nearest<'a>(word: &str, candidates: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let limit = (word.chars().count() / 3).max(1);
    candidates
        .into_iter()
        .map(|candidate| (distance(word, candidate), candidate))
        .filter(|(distance, _)| *distance <= limit)
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, candidate)| candidate)
}

/// `did you mean \`x\`?`, or else what could be written.
pub fn instead<'a>(word: &str, candidates: impl IntoIterator<Item = &'a str> + Clone) -> String {
    if let Some(near) = nearest(word, candidates.clone()) {
        return format!("did you mean `{near}`?");
    }
    let all: Vec<_> = candidates.into_iter().take(60).map(|candidate| format!("`{candidate}`")).collect();
    if all.is_empty() { "none is defined yet".into() } else { format!("write one of {}", all.join(", ")) }
}

/// How many letters were added, left out, changed or swapped with their neighbour.
fn distance(left: &str, right: &str) -> usize {
    let [left, right] = [left, right].map(|text| text.chars().collect::<Vec<_>>());
    let mut rows = vec![vec![0; right.len() + 1]; left.len() + 1];
    for i in 0..=left.len() {
        for j in 0..=right.len() {
            if i == 0 || j == 0 {
                rows[i][j] = i + j;
                continue;
            }
            let changed = rows[i - 1][j - 1] + usize::from(left[i - 1] != right[j - 1]);
            rows[i][j] = changed.min(rows[i - 1][j] + 1).min(rows[i][j - 1] + 1);
            if 1 < i && 1 < j && left[i - 1] == right[j - 2] && left[i - 2] == right[j - 1] {
                rows[i][j] = rows[i][j].min(rows[i - 2][j - 2] + 1);
            }
        }
    }
    rows[left.len()][right.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spots_count_characters_not_bytes() {
        let text = "\u{feff}名称,id\n网格,x";
        assert_eq!(Spot::in_text(text, text.find("id").expect("there")), Spot { line: 1, column: 4 });
        assert_eq!(Spot::in_text(text, text.find('x').expect("there")), Spot { line: 2, column: 4 });
        assert_eq!(Spot::in_text(text, 10_000), Spot { line: 2, column: 5 });
        assert_eq!(Spot::in_text("网", 1), Spot { line: 1, column: 1 });
    }

    #[test]
    fn the_nearest_name_is_offered_only_when_it_is_near() {
        assert_eq!(nearest("presure", ["pressure", "persons"]), Some("pressure"));
        assert_eq!(nearest("nmae", ["id", "name"]), Some("name"));
        assert_eq!(nearest("klingon", ["pressure", "persons"]), None);
        assert_eq!(instead("x", ["a1", "b2"]), "write one of `a1`, `b2`");
        assert_eq!((distance("kitten", "sitting"), distance("", "abc"), distance("abc", "")), (3, 3, 3));
    }

    #[test]
    fn a_flood_of_problems_is_counted_not_kept() {
        let mut problems = Problems::default();
        for line in 0..1_500 {
            problems.add("a.csv", Spot { line, column: 1 }, Severity::Error, "wrong");
        }
        assert_eq!(problems.len(), 1_500);
        assert!(problems.to_string().ends_with("\n… and 500 more"));
    }
}
