//! Printed codes, each for a cell's board or for a device, and who was there when.
//!
//! A code is no secret: it hangs on a wall. It says where somebody stands, and nothing else; one that is abused is ended, and a new one printed. Visits are taken away oldest
//! first beyond [`VISITS_MAX`].

use rusqlite::{Connection, OptionalExtension, Row, params};

use super::{Problem, Store, StoreError, audit, int, unint};
use crate::grid::redraw::CodeMove;
use crate::store::Audit;
use crate::units::Timestamp;

/// Twenty a day by each of 2,346 workers for three months.
pub const VISITS_MAX: u32 = 4_000_000;
/// Letters and digits that nobody mistakes for another: no I, L, O, U (Crockford's base 32).
const LETTERS: &[u8; 32] = b"0123456789ABCDEFGHJKMNPQRSTVWXYZ";
/// 60 bits: not found by trying, and typed in a moment.
pub const CODE_LETTERS: usize = 12;

/// Where a code hangs.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Place {
    /// Code of the cell.
    pub cell: String,
    /// Id of the device in it at which the code hangs; `None`: the cell's board.
    pub device: Option<String>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Point {
    pub number: u64,
    pub code: String,
    pub place: Place,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Visit {
    pub number: u64,
    pub place: Place,
    /// Person id or account.
    pub person: String,
    /// When the phone says that it was there.
    pub at: Timestamp,
    pub received: Timestamp,
    /// How far from the place the phone was; `None` when it did not say, or the place is not known.
    pub metres: Option<u32>,
    pub note: String,
}

#[derive(Clone, Debug)]
pub struct NewVisit {
    pub point: u64,
    pub person: String,
    pub at: Timestamp,
    pub received: Timestamp,
    pub metres: Option<u32>,
    pub note: String,
}

/// Which visits; what is `None` is not asked for.
#[derive(Clone, Debug, Default)]
pub struct Wanted {
    /// Codes; empty: all.
    pub cells: Vec<String>,
    pub person: Option<String>,
    pub from: Option<Timestamp>,
    pub before: Option<u64>,
    pub limit: u32,
}

/// A new code, at random.
pub fn new_code() -> String {
    let mut bytes = [0; CODE_LETTERS];
    getrandom::fill(&mut bytes).expect("the system has random numbers");
    bytes.iter().map(|byte| char::from(LETTERS[usize::from(byte & 31)])).collect()
}

/// A code as somebody typed or scanned it: in small letters, in groups, as a whole address.
pub fn code_of(text: &str) -> Option<String> {
    let last = text.trim().trim_end_matches('/').rsplit('/').next().unwrap_or_default();
    let letter = |letter: char| match letter.to_ascii_uppercase() {
        'O' => '0',
        'I' | 'L' => '1',
        other => other,
    };
    let code: String = last.chars().filter(|c| !matches!(c, ' ' | '-')).map(letter).collect();
    let whole = code.len() == CODE_LETTERS && code.bytes().all(|byte| LETTERS.contains(&byte));
    whole.then_some(code)
}

impl Store {
    /// The point with this code, if it still counts.
    pub async fn point(&self, code: &str) -> Result<Option<Point>, StoreError> {
        let code = code.to_owned();
        self.read(move |connection| {
            let found = connection
                .prepare_cached(
                    "SELECT number, code, cell, device FROM points WHERE code = ?1 AND ended IS NULL",
                )?
                .query_row([code], point)
                .optional()?;
            Ok(found)
        })
        .await
    }

    /// The code of a place; made now when it has none. With `anew` the old one ends.
    pub async fn point_of(&self, place: Place, anew: bool, line: Audit) -> Result<Point, StoreError> {
        self.write(move |writing| {
            let connection = writing.connection;
            let at = line.at;
            if anew {
                connection
                    .prepare_cached(
                        "UPDATE points SET ended = ?3 WHERE cell = ?1 AND device IS ?2 AND ended IS NULL",
                    )?
                    .execute(params![place.cell, place.device, at.0])?;
            }
            if let Some(known) = known(connection, &place)? {
                return Ok(known);
            }
            let code = new_code();
            connection
                .prepare_cached("INSERT INTO points (code, cell, device, made) VALUES (?1, ?2, ?3, ?4)")?
                .execute(params![code, place.cell, place.device, at.0])?;
            let number = unint(connection.last_insert_rowid());
            audit::add(connection, &line)?;
            Ok(Point { number, code, place })
        })
        .await
    }

    /// Says its number.
    pub async fn visit(&self, new: NewVisit) -> Result<u64, StoreError> {
        self.write(move |writing| {
            let NewVisit { point, person, at, received, metres, note } = new;
            let connection = writing.connection;
            connection
                .prepare_cached(
                    "INSERT INTO visits (point, person, at, received, metres, note) VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
                )?
                .execute(params![int(point), person, at.0, received.0, metres, note])?;
            let number = connection.last_insert_rowid();
            connection
                .prepare_cached("DELETE FROM visits WHERE number <= ?1")?
                .execute([number - i64::from(VISITS_MAX)])?;
            Ok(unint(number))
        })
        .await
    }

    /// Newest first.
    pub async fn visits(&self, wanted: Wanted) -> Result<Vec<Visit>, StoreError> {
        self.read(move |connection| {
            let mut sql = String::from(
                "SELECT visits.number, cell, device, person, at, received, metres, note FROM visits JOIN points ON points.number = visits.point WHERE visits.number < ?1",
            );
            let mut values = vec![rusqlite::types::Value::Integer(wanted.before.map_or(i64::MAX, int))];
            if let Some(person) = wanted.person {
                values.push(person.into());
                sql.push_str(&format!(" AND person = ?{}", values.len()));
            }
            if let Some(from) = wanted.from {
                values.push(from.0.into());
                sql.push_str(&format!(" AND at >= ?{}", values.len()));
            }
            if !wanted.cells.is_empty() {
                let places = wanted.cells.into_iter().map(|cell| {
                    values.push(cell.into());
                    format!("?{}", values.len())
                });
                let places = places.collect::<Vec<_>>().join(", ");
                sql.push_str(&format!(" AND cell IN ({places})"));
            }
            sql.push_str(&format!(" ORDER BY visits.number DESC LIMIT {}", wanted.limit));
            let mut statement = connection.prepare(&sql)?;
            let rows = statement.query_map(rusqlite::params_from_iter(values), |row| {
                Ok(Visit {
                    number: unint(row.get(0)?),
                    place: Place { cell: row.get(1)?, device: row.get(2)? },
                    person: row.get(3)?,
                    at: Timestamp(row.get(4)?),
                    received: Timestamp(row.get(5)?),
                    metres: row.get(6)?,
                    note: row.get(7)?,
                })
            })?;
            Ok(rows.collect::<Result<_, _>>()?)
        })
        .await
    }

    /// Every point that counts, with the newest visit to it.
    pub async fn points(&self) -> Result<Vec<(Point, Option<(Timestamp, String)>)>, StoreError> {
        self.read(move |connection| {
            let mut statement = connection.prepare_cached(
                "SELECT number, code, cell, device,
                    (SELECT at FROM visits WHERE point = points.number ORDER BY number DESC LIMIT 1),
                    (SELECT person FROM visits WHERE point = points.number ORDER BY number DESC LIMIT 1)
                 FROM points WHERE ended IS NULL ORDER BY cell, device IS NOT NULL, device",
            )?;
            let rows = statement.query_map((), |row| {
                let at: Option<i64> = row.get(4)?;
                let person: Option<String> = row.get(5)?;
                Ok((point(row)?, at.map(Timestamp).zip(person)))
            })?;
            Ok(rows.collect::<Result<_, _>>()?)
        })
        .await
    }
}

/// After cells were redrawn.
pub(super) fn move_codes(connection: &Connection, moves: &[CodeMove]) -> rusqlite::Result<()> {
    let mut all = connection.prepare_cached("UPDATE points SET cell = ?2 WHERE cell = ?1")?;
    let mut one = connection.prepare_cached("UPDATE points SET cell = ?2 WHERE cell = ?1 AND device = ?3")?;
    for CodeMove { from, device, to } in moves {
        match device {
            None => all.execute(params![from, to])?,
            Some(device) => one.execute(params![from, to, device])?,
        };
    }
    Ok(())
}

fn known(connection: &Connection, place: &Place) -> Result<Option<Point>, Problem> {
    let found = connection
        .prepare_cached(
            "SELECT number, code, cell, device FROM points WHERE cell = ?1 AND device IS ?2 AND ended IS NULL",
        )?
        .query_row(params![place.cell, place.device], point)
        .optional()?;
    Ok(found)
}

fn point(row: &Row<'_>) -> rusqlite::Result<Point> {
    let place = Place { cell: row.get(2)?, device: row.get(3)? };
    Ok(Point { number: unint(row.get(0)?), code: row.get(1)?, place })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_code_is_read_as_people_write_it() {
        for (text, code) in [
            ("8D3K9QWX2MTV", Some("8D3K9QWX2MTV")),
            (" 8d3k-9qwx-2mtv ", Some("8D3K9QWX2MTV")),
            ("https://grid.example/report/8D3K9QWX2MTV", Some("8D3K9QWX2MTV")),
            ("http://10.0.0.9:8080/report/8D3K9QWX2MTV/", Some("8D3K9QWX2MTV")),
            ("OIL000000000", Some("011000000000")),
            ("8D3K9QWX2MT", None),
            ("8D3K9QWX2MTVV", None),
            ("8D3K9QWX2MTU", None),
            ("消防栓消防栓消防栓消防栓", None),
            ("", None),
        ] {
            assert_eq!(code_of(text).as_deref(), code, "{text}");
        }
        let new = new_code();
        assert_eq!(code_of(&new), Some(new.clone()), "every new code can be read back");
        assert_ne!(new_code(), new);
    }
}
