//! Absences from a table: one row each, known by the person and the first day.

use super::moment::period;
use super::{AbsenceRow, Column, ParsedRows, Placed, Read, Table, bad_code};
use crate::problem::Problems;

const COLUMNS: &[Column] = &[
    Column { names: &["id", "person", "编号", "工号"], required: true },
    Column { names: &["from", "开始", "开始日期", "起"], required: true },
    Column { names: &["until", "结束", "结束日期", "止"], required: true },
    Column { names: &["stand_in", "替岗", "替岗人", "代班人"], required: true },
    Column { names: &["reason", "事由", "原因"], required: false },
    Column { names: &["cancelled", "取消", "销假"], required: false },
];
const PERSON: usize = 0;
const FROM: usize = 1;
const UNTIL: usize = 2;
const STAND_IN: usize = 3;
const REASON: usize = 4;
const CANCELLED: usize = 5;
pub const REASON_CHARACTERS_MAX: usize = 200;

/// An error only when it is no table of absences at all.
pub fn read_absences(file: &str, bytes: &[u8]) -> Result<Read, Problems> {
    let mut table = Table::read(file, bytes, COLUMNS)?;
    let mut rows: Vec<AbsenceRow> = Vec::new();
    for row in std::mem::take(&mut table.rows) {
        let person = table.needed(&row, PERSON);
        if let Some(bad) = bad_code(&person.value) {
            table.wrong(person.at, format!("the id {bad}"));
        }
        let [from, until, stand_in, reason] =
            [FROM, UNTIL, STAND_IN, REASON].map(|column| table.field(&row, column));
        let period = period(&mut table, &from, &until, "the absence");
        if reason.text.chars().count() > REASON_CHARACTERS_MAX {
            table.wrong(
                reason.at,
                format!("the reason is longer than {REASON_CHARACTERS_MAX} characters; write it shorter"),
            );
        }
        let cancelled = table.yes(&row, CANCELLED);
        let Some(from) = period.from else { continue };
        if let Some(other) =
            rows.iter().find(|other| other.person.value == person.value && other.from.value == from.value)
        {
            let line = other.person.at.line;
            table.wrong(
                from.at,
                format!(
                    "`{}` is absent from this time on in line {line} already; keep one row",
                    person.value
                ),
            );
        }
        rows.push(AbsenceRow {
            person: Placed { value: person.value, at: person.at },
            from,
            until: period.until,
            stand_in: Some(stand_in.text).filter(|id| !id.is_empty()),
            reason: reason.text,
            cancelled,
        });
    }
    Ok(table.finish(ParsedRows::Absences(rows)))
}
