//! Teams from a table: one row per member. What the team is for stands in its first row; the other rows leave it empty or say the same.

use super::moment::period;
use super::text::Field;
use super::{Column, Moment, ParsedRows, Read, Table, TeamRow};
use crate::grid::TeamKind;
use crate::problem::{Problems, instead};
use crate::units::Timestamp;

const COLUMNS: &[Column] = &[
    Column { names: &["name", "team", "名称", "队伍"], required: true },
    Column { names: &["kind", "类型"], required: true },
    Column { names: &["person", "id", "工号", "成员"], required: true },
    Column { names: &["part", "职责", "分工"], required: false },
    Column { names: &["cells", "cell", "网格"], required: false },
    Column { names: &["devices", "device", "部件"], required: false },
    Column { names: &["flat", "户", "住户"], required: false },
    Column { names: &["from", "开始", "开始日期", "起"], required: true },
    Column { names: &["until", "结束", "结束日期", "止"], required: false },
    Column { names: &["retired", "停用", "解散"], required: false },
];
const NAME: usize = 0;
const KIND: usize = 1;
const PERSON: usize = 2;
const PART: usize = 3;
const CELLS: usize = 4;
const DEVICES: usize = 5;
const FLAT: usize = 6;
const FROM: usize = 7;
const UNTIL: usize = 8;
const RETIRED: usize = 9;
const CHARACTERS_MAX: usize = 100;

/// An error only when it is no table of teams at all.
pub fn read_teams(file: &str, bytes: &[u8]) -> Result<Read, Problems> {
    let mut table = Table::read(file, bytes, COLUMNS)?;
    let mut rows: Vec<TeamRow> = Vec::new();
    for row in std::mem::take(&mut table.rows) {
        let name = table.needed(&row, NAME);
        let first = rows.iter().find(|row| row.name.value == name.value).cloned();
        let person = table.needed(&row, PERSON);
        let [part, cells, devices, flat] =
            [PART, CELLS, DEVICES, FLAT].map(|column| table.field(&row, column));
        for field in [&part, &flat, &Field { text: name.value.clone(), at: name.at }] {
            if field.text.chars().count() > CHARACTERS_MAX {
                table.wrong(
                    field.at,
                    format!("this is longer than {CHARACTERS_MAX} characters; write it shorter"),
                );
            }
        }
        let read = TeamRow {
            kind: kind(&mut table, &row, first.as_ref()),
            person,
            part: part.text,
            cells: codes(&cells),
            devices: codes(&devices),
            flat: Some(flat.text).filter(|flat| !flat.is_empty()),
            from: Moment::Exact(Timestamp(0)),
            until: None,
            retired: table.yes(&row, RETIRED) || first.as_ref().is_some_and(|first| first.retired),
            name,
        };
        let read = times(&mut table, &row, read, first.as_ref());
        let Some(first) = first else {
            rows.push(read);
            continue;
        };
        let same = (read.kind, read.from, read.until, read.retired)
            == (first.kind, first.from, first.until, first.retired)
            && (read.cells.is_empty() || read.cells == first.cells)
            && (read.devices.is_empty() || read.devices == first.devices)
            && (read.flat.is_none() || read.flat == first.flat);
        if !same {
            let line = first.name.at.line;
            table.wrong(read.name.at, format!("the team `{}` is another in line {line}; write the same in every row, or give the other team its own name", first.name.value));
        }
        rows.push(TeamRow { cells: first.cells, devices: first.devices, flat: first.flat, ..read });
    }
    Ok(table.finish(ParsedRows::Teams(rows)))
}

fn kind(table: &mut Table<'_>, row: &[Field], first: Option<&TeamRow>) -> TeamKind {
    let field = table.field(row, KIND);
    if let (true, Some(first)) = (field.text.is_empty(), first) {
        return first.kind;
    }
    TeamKind::from_name(&field.text.to_lowercase()).unwrap_or_else(|| {
        let names = TeamKind::TABLE.iter().flat_map(|(_, names)| names.iter().copied());
        table.wrong(
            field.at,
            format!("there is no kind of team `{}`; {}", field.text, instead(&field.text, names)),
        );
        TeamKind::Other
    })
}

fn times(table: &mut Table<'_>, row: &[Field], read: TeamRow, first: Option<&TeamRow>) -> TeamRow {
    let (from, until) = (table.field(row, FROM), table.field(row, UNTIL));
    match first.filter(|_| from.text.is_empty() && until.text.is_empty()) {
        Some(first) => TeamRow { from: first.from, until: first.until, ..read },
        None => {
            let period = period(table, &from, &until, "the team");
            TeamRow { from: period.from.map_or(read.from, |from| from.value), until: period.until, ..read }
        }
    }
}

/// Several are joined by `;`, or by `、` or `|` where `;` separates the columns.
fn codes(field: &Field) -> Vec<String> {
    let codes = field.text.split([';', '；', '、', '|', ' ']).map(str::trim).filter(|code| !code.is_empty());
    codes.map(str::to_owned).collect()
}
