//! Files from the office → rows of the registry. All bad rows are named, and then nothing of the file is used.
//!
//! Two steps, both pure: `parse_*` reads one file by itself; [`merge()`] lays it over the registry and says what differs. The same file twice changes
//! nothing. A row that is missing from a file is left alone: only `retired = yes` takes something out of service. The columns are in docs/import.md.

pub mod absences;
pub mod cells;
pub mod devices;
pub mod dwellings;
pub mod merge;
pub mod moment;
pub mod people;
pub mod teams;
pub mod text;

pub use absences::read_absences;
pub use cells::parse_cells;
pub use devices::{parse_devices, read_devices};
pub use dwellings::{read_buildings, read_households};
pub use merge::{Diff, merge, merge_all};
pub use moment::Moment;
pub use people::{parse_people, read_people};
pub use teams::read_teams;

use std::collections::HashSet;

use crate::model::DeviceKind;
use crate::problem::{Problems, Severity, Spot, instead};
use crate::units::Timestamp;

use super::dwellings::{Building, Household};
use super::{Hours, Role, Rows, TeamKind};

use text::Field;

/// A value from a file and where it stands.
#[derive(Clone, Debug, PartialEq)]
pub struct Placed<T> {
    pub value: T,
    pub at: Spot,
}

/// One file, read and found good by itself.
#[derive(Clone, Debug, PartialEq)]
pub struct Parsed {
    pub file: String,
    pub rows: ParsedRows,
}

/// One file as far as it makes sense: the rows without a mistake of their own, and every mistake.
#[derive(Debug)]
pub struct Read {
    pub parsed: Parsed,
    pub problems: Problems,
}

impl Read {
    /// The file, if nothing in it is wrong by itself.
    pub fn whole(self) -> Result<Parsed, Problems> {
        if self.problems.is_empty() { Ok(self.parsed) } else { Err(self.problems) }
    }

    /// Every mistake in it, those too that only show when it is laid over the registry. Cells stand on each other, so the rest of a file of cells
    /// says nothing while one of them is wrong.
    pub fn against(self, rows: &Rows, now: Timestamp) -> Problems {
        let mut problems = self.problems;
        let cells = matches!(self.parsed.rows, ParsedRows::Cells(_));
        if (!cells || problems.is_empty())
            && let Err(more) = merge(rows, &self.parsed, now)
        {
            problems.extend(more);
        }
        problems.sorted()
    }
}

#[derive(Clone, Debug, PartialEq)]
pub enum ParsedRows {
    Cells(Vec<CellRow>),
    Devices(Vec<DeviceRow>),
    People(Vec<PersonRow>),
    Absences(Vec<AbsenceRow>),
    Teams(Vec<TeamRow>),
    Buildings(Vec<BuildingRow>),
    Households(Vec<HouseholdRow>),
}

#[derive(Clone, Debug, PartialEq)]
pub struct BuildingRow {
    pub cell: Placed<String>,
    pub building: Building,
    pub retired: bool,
}

#[derive(Clone, Debug, PartialEq)]
pub struct HouseholdRow {
    pub cell: Placed<String>,
    pub household: Household,
    /// `None`: the table has no such columns, and a leave that is known stays.
    pub leave: Option<Option<(Moment, Option<Moment>)>>,
    pub retired: bool,
}

#[derive(Clone, Debug, PartialEq)]
pub struct CellRow {
    pub code: Placed<String>,
    pub name: String,
    pub scheme: String,
    pub parent: Option<String>,
    pub kind: String,
    pub polygons: Vec<Vec<Vec<[f64; 2]>>>,
    pub retired: bool,
}

/// `None` in an optional column: the file has no such column, so an existing device keeps what it has.
#[derive(Clone, Debug, PartialEq)]
pub struct DeviceRow {
    pub id: Placed<String>,
    pub kind: DeviceKind,
    pub name: String,
    pub address: Option<Placed<String>>,
    pub cells: Option<Vec<Placed<String>>>,
    pub place: Option<String>,
    pub position: Option<Option<[f64; 2]>>,
    pub silent_after_s: Option<Option<u32>>,
    /// Code of a plan and where on it; `Some(None)` takes the device off its plan.
    pub pin: Option<Option<(Placed<String>, [f64; 2])>>,
    pub retired: bool,
}

/// One row of a people file: a person, and usually one duty.
#[derive(Clone, Debug, PartialEq)]
pub struct PersonRow {
    pub id: Placed<String>,
    pub name: String,
    pub phone: String,
    /// Channel and address; empty takes it away. A channel without a column keeps what it has.
    pub contacts: Vec<(String, String)>,
    /// `None`: the file has no such column.
    pub trained_until: Option<Option<Moment>>,
    pub duty: Option<DutyRow>,
    pub retired: bool,
}

impl PersonRow {
    /// Says the same of the person; duties aside.
    fn same_person(&self, other: &Self) -> bool {
        (&self.name, &self.phone, &self.contacts, self.trained_until)
            == (&other.name, &other.phone, &other.contacts, other.trained_until)
    }
}

#[derive(Clone, Debug, PartialEq)]
pub struct DutyRow {
    pub role: Role,
    pub cell: Placed<String>,
    pub from: Moment,
    pub until: Option<Moment>,
    pub hours: Option<Hours>,
}

#[derive(Clone, Debug, PartialEq)]
pub struct AbsenceRow {
    pub person: Placed<String>,
    pub from: Placed<Moment>,
    pub until: Option<Moment>,
    pub stand_in: Option<String>,
    pub reason: String,
    /// It does not take place.
    pub cancelled: bool,
}

/// One member of a team.
#[derive(Clone, Debug, PartialEq)]
pub struct TeamRow {
    pub name: Placed<String>,
    pub kind: TeamKind,
    pub person: Placed<String>,
    pub part: String,
    pub cells: Vec<String>,
    pub devices: Vec<String>,
    pub flat: Option<String>,
    pub from: Moment,
    pub until: Option<Moment>,
    pub retired: bool,
}

impl Parsed {
    pub fn len(&self) -> usize {
        match &self.rows {
            ParsedRows::Cells(rows) => rows.len(),
            ParsedRows::Devices(rows) => rows.len(),
            ParsedRows::People(rows) => rows.len(),
            ParsedRows::Absences(rows) => rows.len(),
            ParsedRows::Teams(rows) => rows.len(),
            ParsedRows::Buildings(rows) => rows.len(),
            ParsedRows::Households(rows) => rows.len(),
        }
    }

    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

/// A column of a table: the names it may have in the header, the English one first.
struct Column {
    names: &'static [&'static str],
    required: bool,
}

/// Columns that people keep for themselves.
const IGNORED: &[&str] = &["备注", "note", "notes", "remark", "remarks", "序号", "no."];

/// A table whose header is known: fields by column.
struct Table<'a> {
    file: &'a str,
    columns: &'static [Column],
    /// For each column its position in the file.
    places: Vec<Option<usize>>,
    /// Columns that are known by how their name begins: the rest of the name, and the position.
    open: Vec<(String, usize)>,
    rows: Vec<Vec<Field>>,
    problems: Problems,
}

impl<'a> Table<'a> {
    fn read(file: &'a str, bytes: &[u8], columns: &'static [Column]) -> Result<Self, Problems> {
        Self::read_with(file, bytes, columns, &[])
    }

    /// Also any column whose name begins with one of `prefixes`.
    fn read_with(
        file: &'a str,
        bytes: &[u8],
        columns: &'static [Column],
        prefixes: &[&str],
    ) -> Result<Self, Problems> {
        let unreadable = |error: text::Unreadable| error.into_problems(file);
        let text = text::decode(bytes).map_err(unreadable)?;
        let mut rows = text::rows(&text).map_err(unreadable)?.into_iter();
        let mut problems = Problems::default();
        let names = || columns.iter().flat_map(|column| column.names.iter().copied());
        let Some(header) = rows.next() else {
            let first: Vec<_> = columns.iter().map(|column| column.names[0]).collect();
            let message = format!("the file is empty; the first line names the columns: {}", first.join(","));
            problems.add(file, Spot { line: 1, column: 1 }, Severity::Error, message);
            return Err(problems);
        };
        let mut places = vec![None; columns.len()];
        let mut open: Vec<(String, usize)> = Vec::new();
        for (position, field) in header.iter().enumerate() {
            let name = normal_header(&field.text);
            if name.is_empty() || IGNORED.contains(&name.as_str()) {
                continue;
            }
            let rest = prefixes.iter().find_map(|prefix| {
                let begins = field.text.get(..prefix.len())?.eq_ignore_ascii_case(prefix);
                begins.then(|| field.text[prefix.len()..].trim()).filter(|rest| !rest.is_empty())
            });
            if let Some(rest) = rest.filter(|rest| open.iter().all(|(known, _)| known != rest)) {
                open.push((rest.to_owned(), position));
                continue;
            }
            let wrong = match columns.iter().position(|column| column.names.contains(&name.as_str())) {
                Some(column) if places[column].is_none() => {
                    places[column] = Some(position);
                    continue;
                }
                Some(_) => format!("the column `{}` stands here a second time; remove one", field.text),
                None => format!("there is no column `{}`; {}", field.text, instead(&name, names())),
            };
            problems.add(file, field.at, Severity::Error, wrong);
        }
        for (column, place) in columns.iter().zip(&places) {
            if column.required && place.is_none() {
                let at = header.first().map_or(Spot { line: 1, column: 1 }, |field| field.at);
                let named = column.names.join("` or `");
                let message = format!("a column is missing; add the column `{named}` to the first line");
                problems.add(file, at, Severity::Error, message);
            }
        }
        if !problems.is_empty() {
            return Err(problems);
        }
        let mut table = Self { file, columns, places, open, rows: Vec::new(), problems };
        for row in rows {
            if let Some(extra) = row.get(header.len()..).into_iter().flatten().find(|f| !f.text.is_empty()) {
                let message = format!(
                    "this row has {} fields but the first line names {} columns; put a field that holds a separator in quotes",
                    row.len(),
                    header.len()
                );
                table.problems.add(file, extra.at, Severity::Error, message);
            }
            table.rows.push(row);
        }
        Ok(table)
    }

    fn has(&self, column: usize) -> bool {
        self.places[column].is_some()
    }

    /// The field of this column; empty and at the start of the row when the row is shorter or the column absent.
    fn field(&self, row: &[Field], column: usize) -> Field {
        let start = row.first().map_or(Spot { line: 1, column: 1 }, |field| field.at);
        let found = self.places[column].and_then(|place| row.get(place)).cloned();
        found.unwrap_or(Field { text: String::new(), at: start })
    }

    /// The fields of the columns that are known by how their name begins.
    fn open_fields(&self, row: &[Field]) -> Vec<(String, Field)> {
        let start = row.first().map_or(Spot { line: 1, column: 1 }, |field| field.at);
        let empty = || Field { text: String::new(), at: start };
        let open = self.open.iter();
        open.map(|(name, place)| (name.clone(), row.get(*place).cloned().unwrap_or_else(empty))).collect()
    }

    /// A field that must not be empty.
    fn needed(&mut self, row: &[Field], column: usize) -> Placed<String> {
        let field = self.field(row, column);
        if field.text.is_empty() {
            let name = self.columns[column].names[0];
            self.wrong(field.at, format!("`{name}` is empty; every row needs one"));
        }
        Placed { value: field.text, at: field.at }
    }

    fn wrong(&mut self, at: Spot, message: impl Into<String>) {
        self.problems.add(self.file, at, Severity::Error, message);
    }

    /// `yes`, `是` and so on; empty is no.
    fn yes(&mut self, row: &[Field], column: usize) -> bool {
        let field = self.field(row, column);
        match yes(&field.text) {
            Some(yes) => yes,
            None => {
                self.wrong(
                    field.at,
                    format!("`{}` is neither yes nor no; write `yes` or leave it empty", field.text),
                );
                false
            }
        }
    }

    /// Rows with a mistake of their own are left out.
    fn finish(self, mut rows: ParsedRows) -> Read {
        let bad: HashSet<u32> = self.problems.iter().map(|problem| problem.line).collect();
        match &mut rows {
            ParsedRows::Cells(cells) => cells.retain(|row| !bad.contains(&row.code.at.line)),
            ParsedRows::Devices(devices) => devices.retain(|row| !bad.contains(&row.id.at.line)),
            ParsedRows::People(people) => people.retain(|row| !bad.contains(&row.id.at.line)),
            ParsedRows::Absences(absences) => absences.retain(|row| !bad.contains(&row.person.at.line)),
            ParsedRows::Teams(members) => members.retain(|row| !bad.contains(&row.name.at.line)),
            ParsedRows::Buildings(rows) => rows.retain(|row| !bad.contains(&row.cell.at.line)),
            ParsedRows::Households(rows) => rows.retain(|row| !bad.contains(&row.cell.at.line)),
        }
        let parsed = Parsed { file: self.file.to_owned(), rows };
        Read { parsed, problems: self.problems.sorted() }
    }
}

fn yes(text: &str) -> Option<bool> {
    match text.to_lowercase().as_str() {
        "yes" | "y" | "true" | "1" | "是" | "已停用" | "停用" => Some(true),
        "" | "no" | "n" | "false" | "0" | "否" => Some(false),
        _ => None,
    }
}

/// `Silent After (s)` → `silent_after_s`; full-width brackets as half-width.
fn normal_header(text: &str) -> String {
    let mut name = String::new();
    for c in text.trim().to_lowercase().chars() {
        match c {
            '（' | '(' => name.push('_'),
            ')' | '）' | '*' => (),
            ' ' | '-' => name.push('_'),
            c => name.push(c),
        }
    }
    name.replace("__", "_")
}

/// A code or id that can stand in topics, paths and addresses. Says what is wrong with it.
pub(super) fn bad_code(code: &str) -> Option<String> {
    if code.len() > 64 {
        return Some(format!("`{code}` is longer than 64 bytes; choose a shorter one"));
    }
    if excel_number(code) {
        return Some(format!(
            "`{code}` looks like a number that Excel rewrote; format the column as text and enter it again"
        ));
    }
    let bad = code.chars().find(|c| c.is_whitespace() || c.is_control() || "/+#,;\"'\\?&=$".contains(*c))?;
    Some(format!("`{code}` holds {bad:?}; use letters, digits, `-`, `_`, `.` and `:`"))
}

/// `1.38E+10`: what Excel makes of a long number.
fn excel_number(text: &str) -> bool {
    text.contains("E+") && text.chars().all(|c| c.is_ascii_digit() || ".E+".contains(c))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_bad_rows_are_named_at_once_whatever_is_wrong_with_them() {
        let csv = "id,kind,name,cell\nD-1,smoke_detektor,a,NOWHERE\nD-2,smoke_detector,b,NOWHERE\nD-3,smoke_detector,,NOWHERE\n";
        let read = read_devices("devices.csv", csv.as_bytes()).expect("a table of devices");
        let problems = read.against(&Rows::default(), Timestamp(0));
        let lines: Vec<_> = problems.iter().map(|problem| problem.line).collect();
        assert_eq!(lines, [2, 3, 4], "{problems}");
    }
}
