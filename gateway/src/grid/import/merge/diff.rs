//! What an import changes, for a person to read before and after. Bounded.

use std::fmt;

/// How many lines of a difference are kept; the rest is only counted.
pub const LINES_MAX: usize = 200;

/// What an import changes.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Diff {
    pub added: usize,
    pub changed: usize,
    pub retired: usize,
    /// `+ device SD-1`, `~ device SD-2 place: a → b`, `- device SD-3`.
    pub lines: Vec<String>,
    /// Worth a look, such as a device whose coordinates lie in another cell than it names.
    pub hints: Vec<String>,
}

impl Diff {
    pub fn is_empty(&self) -> bool {
        self.added + self.changed + self.retired == 0
    }

    pub fn extend(&mut self, other: Diff) {
        self.added += other.added;
        self.changed += other.changed;
        self.retired += other.retired;
        other.lines.into_iter().for_each(|line| self.line(line));
        other.hints.into_iter().for_each(|hint| self.hint(hint));
    }

    fn line(&mut self, line: String) {
        if self.lines.len() < LINES_MAX {
            self.lines.push(line);
        }
    }

    pub(super) fn hint(&mut self, hint: String) {
        if self.hints.len() < LINES_MAX {
            self.hints.push(hint);
        }
    }

    pub(super) fn add(&mut self, what: &str, id: &str) {
        self.added += 1;
        self.line(format!("+ {what} {id}"));
    }

    /// Counts the row once, whatever differs in it; a retirement is counted as that.
    pub(super) fn change(
        &mut self,
        what: &str,
        id: &str,
        changes: &[String],
        was_retired: bool,
        retired: bool,
    ) {
        if retired && !was_retired {
            self.retired += 1;
            self.line(format!("- {what} {id}"));
        } else if !changes.is_empty() {
            self.changed += 1;
            self.line(format!("~ {what} {id} {}", changes.join(", ")));
        }
    }
}

impl fmt::Display for Diff {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} added, {} changed, {} retired", self.added, self.changed, self.retired)?;
        for line in &self.lines {
            write!(f, "\n{line}")?;
        }
        let unseen = (self.added + self.changed + self.retired).saturating_sub(self.lines.len());
        if unseen > 0 {
            write!(f, "\n… and {unseen} more")?;
        }
        for hint in &self.hints {
            write!(f, "\nhint: {hint}")?;
        }
        Ok(())
    }
}
