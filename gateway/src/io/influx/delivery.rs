//! One parcel of lines until each is stored or given up: what to send next, and what an answer changes.
//!
//! Pure: says what to send, is told the [`Verdict`], never waits. Malformed lines are found by what the server names, else by halving.
//! A server that refuses everything with 400 without naming a line may refuse the request and not the lines (a proxy, a wrong parameter), so
//! before any line is given up on such an answer, a harmless probe line must be stored.

use std::time::Duration;

use bytes::Bytes;

use super::verdict::{Cause, Refusal, Verdict};
use crate::wire::line::Lines;

pub struct Delivery {
    /// What must still be sent; the next is the last.
    todo: Vec<Piece>,
    /// Set while the probe is out: why the piece on top was refused.
    doubt: Option<Refusal>,
    /// The server has stored something of this delivery, so the requests as such are right.
    proven: bool,
    given_up: Vec<GivenUp>,
    /// Size of the smallest request with several lines that was too large.
    too_large: Option<usize>,
}

#[derive(Debug, PartialEq, Eq)]
pub enum Next {
    Send {
        lines: Bytes,
        count: usize,
    },
    /// Send one harmless line that certainly is well-formed.
    Probe,
    Done,
}

/// Wait before asking [`Delivery::next`] again.
#[derive(Debug, PartialEq, Eq)]
pub struct Pause {
    pub reason: String,
    /// What the server asks for.
    pub after: Option<Duration>,
    /// Only a person can mend it.
    pub held: bool,
}

/// Lines that will never be stored, with the reason.
#[derive(Debug, PartialEq, Eq)]
pub struct GivenUp {
    pub reason: String,
    pub lines: Vec<Bytes>,
    /// How many, also when the server does not say which.
    pub count: usize,
}

impl Delivery {
    pub fn new(lines: Lines) -> Self {
        let (bytes, ends) = lines.into_parts();
        let whole = Piece { bytes: bytes.into(), ends };
        let todo = if whole.len() == 0 { Vec::new() } else { vec![whole] };
        Self { todo, doubt: None, proven: false, given_up: Vec::new(), too_large: None }
    }

    /// Lines that must still be sent.
    pub fn lines_left(&self) -> usize {
        self.todo.iter().map(Piece::len).sum()
    }

    pub fn next(&self) -> Next {
        match (&self.doubt, self.todo.last()) {
            (Some(_), _) => Next::Probe,
            (None, Some(piece)) => Next::Send { lines: piece.bytes.clone(), count: piece.len() },
            (None, None) => Next::Done,
        }
    }

    /// Takes in what the server said to [`Delivery::next`].
    pub fn answer(&mut self, verdict: Verdict) -> Option<Pause> {
        match self.doubt.take() {
            Some(doubt) => self.after_probe(doubt, verdict),
            None => self.after_lines(verdict),
        }
    }

    /// Everything is stored except these.
    pub fn given_up(self) -> Vec<GivenUp> {
        self.given_up
    }

    pub fn too_large(&self) -> Option<usize> {
        self.too_large
    }

    fn after_lines(&mut self, verdict: Verdict) -> Option<Pause> {
        let piece = self.todo.pop()?;
        match verdict {
            Verdict::Stored => self.proven = true,
            Verdict::Partial(refusal) => {
                self.proven = true;
                self.given_up.push(piece.dropped(refusal));
            }
            Verdict::Malformed(refusal) if refusal.certain || self.proven => self.split(piece, refusal),
            Verdict::Malformed(refusal) => {
                self.todo.push(piece);
                self.doubt = Some(refusal);
            }
            Verdict::TooLarge(reason) if piece.len() == 1 => {
                self.given_up.push(GivenUp::all(piece, reason));
            }
            Verdict::TooLarge(_) => {
                self.too_large = Some(piece.bytes.len());
                self.halve(piece);
            }
            Verdict::Held(reason) => {
                self.todo.push(piece);
                return Some(Pause { reason, after: None, held: true });
            }
            Verdict::Later { reason, after } => {
                self.todo.push(piece);
                return Some(Pause { reason, after, held: false });
            }
        }
        None
    }

    fn after_probe(&mut self, doubt: Refusal, verdict: Verdict) -> Option<Pause> {
        match verdict {
            Verdict::Stored => {
                self.proven = true;
                let piece = self.todo.pop()?;
                self.split(piece, doubt);
                None
            }
            Verdict::Partial(_) | Verdict::Malformed(_) | Verdict::TooLarge(_) => {
                let reason = format!(
                    "{}. It refuses every line, even a plain one: check influx.url, and what stands between",
                    doubt.reason
                );
                Some(Pause { reason, after: None, held: true })
            }
            Verdict::Held(reason) => Some(Pause { reason, after: None, held: true }),
            Verdict::Later { reason, after } => Some(Pause { reason, after, held: false }),
        }
    }

    /// Nothing of `piece` is stored because of some of its lines.
    fn split(&mut self, piece: Piece, refusal: Refusal) {
        if piece.len() == 1 {
            self.given_up.push(GivenUp::all(piece, refusal.reason));
            return;
        }
        let named = piece.named(&refusal);
        if !named.contains(&true) {
            self.halve(piece);
            return;
        }
        let (guilty, rest) = piece.part(&named);
        if rest.len() > 0 {
            self.todo.push(rest);
        }
        self.given_up.push(GivenUp::all(guilty, refusal.reason));
    }

    fn halve(&mut self, piece: Piece) {
        let (first, second) = piece.halves();
        self.todo.push(second);
        self.todo.push(first);
    }
}

impl GivenUp {
    fn all(piece: Piece, reason: String) -> Self {
        Self { reason, count: piece.len(), lines: piece.lines().collect() }
    }
}

/// Lines of one request.
struct Piece {
    bytes: Bytes,
    ends: Vec<usize>,
}

impl Piece {
    fn len(&self) -> usize {
        self.ends.len()
    }

    fn lines(&self) -> impl Iterator<Item = Bytes> + '_ {
        let starts = std::iter::once(0).chain(self.ends.iter().copied());
        starts.zip(&self.ends).map(|(start, &end)| self.bytes.slice(start..end))
    }

    fn halves(mut self) -> (Piece, Piece) {
        let middle = self.ends.len() / 2;
        let at = self.ends[middle - 1];
        let ends = self.ends.split_off(middle).into_iter().map(|end| end - at).collect();
        let second = Piece { bytes: self.bytes.split_off(at), ends };
        (self, second)
    }

    /// Those that are marked, and those that are not.
    fn part(&self, marked: &[bool]) -> (Piece, Piece) {
        let (mut yes, mut no) = (Lines::default(), Lines::default());
        for (line, &marked) in self.lines().zip(marked) {
            if marked { yes.push(&line) } else { no.push(&line) }
        }
        let piece = |lines: Lines| {
            let (bytes, ends) = lines.into_parts();
            Piece { bytes: bytes.into(), ends }
        };
        (piece(yes), piece(no))
    }

    /// Which lines the server names outright.
    fn named(&self, refusal: &Refusal) -> Vec<bool> {
        let mut named: Vec<bool> = self
            .lines()
            .map(|line| refusal.quoted.iter().any(|quoted| quoted.as_bytes() == line.trim_ascii_end()))
            .collect();
        for number in &refusal.numbers {
            if let Some(named) = number.checked_sub(1).and_then(|at| named.get_mut(at)) {
                *named = true;
            }
        }
        named
    }

    /// The lines that a partial write left out, as far as they can be told.
    fn dropped(self, refusal: Refusal) -> GivenUp {
        let named = self.named(&refusal);
        if named.contains(&true) {
            return GivenUp::all(self.part(&named).0, refusal.reason);
        }
        let likely = match &refusal.cause {
            Cause::Retention => self.oldest(refusal.dropped.unwrap_or(0)),
            Cause::FieldType { measurement, field } => {
                self.lines().map(|line| has_field(&line, measurement, field)).collect()
            }
            Cause::Other => named,
        };
        let (found, _) = self.part(&likely);
        let count = refusal.dropped.unwrap_or(found.len()).max(1);
        let reason = match found.len() {
            0 => format!(
                "{}. It left out {count} of {} lines and does not say which; all are in the local history",
                refusal.reason,
                self.len()
            ),
            several if several > count => {
                format!("{}. The {count} it left out are among these {several}", refusal.reason)
            }
            _ => refusal.reason,
        };
        GivenUp { reason, count, lines: found.lines().collect() }
    }

    fn oldest(&self, count: usize) -> Vec<bool> {
        let mut by_time: Vec<_> = self.lines().enumerate().map(|(at, line)| (time_of(&line), at)).collect();
        by_time.sort_unstable();
        let mut marked = vec![false; self.len()];
        for (_, at) in by_time.into_iter().take(count) {
            marked[at] = true;
        }
        marked
    }
}

fn time_of(line: &[u8]) -> i64 {
    let text = String::from_utf8_lossy(line);
    text.trim_end().rsplit(' ').next().and_then(|time| time.parse().ok()).unwrap_or(i64::MAX)
}

/// Whether a line of ours is of this measurement and has this field. Our measurements and fields need no escapes, and our texts
/// in fields contain no `=`.
fn has_field(line: &[u8], measurement: &str, field: &str) -> bool {
    let text = String::from_utf8_lossy(line);
    let Some(rest) = text.strip_prefix(measurement) else { return false };
    let Some((tags_and_fields, _)) = rest.trim_end().rsplit_once(' ') else { return false };
    let Some((tags, fields)) = tags_and_fields.rsplit_once(' ') else { return false };
    let same_measurement = tags.is_empty() || tags.starts_with(',');
    same_measurement && fields.split(',').any(|pair| pair.split('=').next() == Some(field))
}

#[cfg(test)]
mod tests;
