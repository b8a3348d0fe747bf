//! People and their duties from a table: one row per duty, so a person may have several rows.
//!
//! A date without a time is that day in China (UTC+8, no summer time): `from` is its first moment, `until` its last, so a duty `until` 2026-12-31 and
//! the next `from` 2027-01-01 leave no hole. With a time, `until` is the moment itself. Messages never hold names or telephone numbers.

use std::collections::HashMap;

use jiff::civil::{Date, DateTime, Time};
use jiff::tz::{Offset, TimeZone};

use super::text::Field;
use super::{Column, DutyRow, Parsed, ParsedRows, PersonRow, Read, Table, bad_code, excel_number};
use crate::grid::Role;
use crate::problem::{Problems, instead};
use crate::units::Timestamp;

const COLUMNS: &[Column] = &[
    Column { names: &["id", "编号", "工号"], required: true },
    Column { names: &["name", "姓名"], required: true },
    Column { names: &["phone", "电话", "手机", "手机号", "联系电话"], required: true },
    Column { names: &["role", "角色", "职务"], required: true },
    Column { names: &["cell", "网格", "网格编码", "所属网格"], required: true },
    Column { names: &["from", "开始", "开始日期", "起"], required: true },
    Column { names: &["until", "结束", "结束日期", "止"], required: false },
    Column { names: &["retired", "停用", "离职"], required: false },
];
const ID: usize = 0;
const NAME: usize = 1;
const PHONE: usize = 2;
const ROLE: usize = 3;
const CELL: usize = 4;
const FROM: usize = 5;
const UNTIL: usize = 6;
const RETIRED: usize = 7;

const ROLES: &[(&str, Role)] = &[
    ("网格长", Role::Lead),
    ("副网格长", Role::Deputy),
    ("网格员", Role::Worker),
    ("协管员", Role::Helper),
    ("楼栋长", Role::Helper),
    ("志愿者", Role::Helper),
];

pub fn parse_people(file: &str, bytes: &[u8]) -> Result<Parsed, Problems> {
    read_people(file, bytes)?.whole()
}

/// An error only when it is no table of people at all.
pub fn read_people(file: &str, bytes: &[u8]) -> Result<Read, Problems> {
    let mut table = Table::read(file, bytes, COLUMNS)?;
    let mut rows: Vec<PersonRow> = Vec::new();
    let mut firsts: HashMap<String, usize> = HashMap::new();
    for row in std::mem::take(&mut table.rows) {
        let id = table.needed(&row, ID);
        if let Some(bad) = bad_code(&id.value) {
            table.wrong(id.at, format!("the id {bad}"));
        }
        let name = table.needed(&row, NAME).value;
        let phone = phone(&mut table, &row);
        let first = *firsts.entry(id.value.clone()).or_insert(rows.len());
        if let Some(first) = rows.get(first)
            && (&first.name, &first.phone) != (&name, &phone)
        {
            let line = first.id.at.line;
            table.wrong(id.at, format!("`{}` has another name or telephone number in line {line}; write the same in every row, or give the other person another id", id.value));
        }
        let retired = table.yes(&row, RETIRED);
        let duty = duty(&mut table, &row);
        rows.push(PersonRow { id, name, phone, duty, retired });
    }
    Ok(table.finish(ParsedRows::People(rows)))
}

/// Digits, `+`, `-` and spaces; kept as written.
fn phone(table: &mut Table<'_>, row: &[Field]) -> String {
    let field = table.field(row, PHONE);
    let digits = field.text.chars().filter(char::is_ascii_digit).count();
    let strange = field.text.chars().any(|c| !c.is_ascii_digit() && !"+- ()".contains(c));
    if excel_number(&field.text) {
        table.wrong(
            field.at,
            "Excel rewrote this telephone number; format the column as text and enter it again",
        );
    } else if !field.text.is_empty() && (strange || !(3..=20).contains(&digits)) {
        table.wrong(
            field.at,
            "this is no telephone number; write digits, such as 025-00000000, or leave it empty",
        );
    }
    field.text
}

fn duty(table: &mut Table<'_>, row: &[Field]) -> Option<DutyRow> {
    let [role, cell, from] = [ROLE, CELL, FROM].map(|column| table.field(row, column));
    let until = table.field(row, UNTIL);
    if [&role, &cell, &from, &until].iter().all(|field| field.text.is_empty()) {
        return None;
    }
    let named = ROLES.iter().find(|(name, _)| *name == role.text).map(|(_, role)| *role);
    let found = named.or_else(|| Role::from_name(&role.text.to_lowercase()));
    if found.is_none() {
        let names = Role::ALL.iter().map(|role| role.name()).chain(ROLES.iter().map(|(name, _)| *name));
        table.wrong(role.at, format!("there is no role `{}`; {}", role.text, instead(&role.text, names)));
    }
    if cell.text.is_empty() {
        table.wrong(cell.at, "the duty has no cell; write the code of the cell");
    }
    let from = moment(table, &from, false);
    let until_at = if until.text.is_empty() { None } else { moment(table, &until, true) };
    if let (Some(from), Some(end)) = (from, until_at)
        && end <= from
    {
        table.wrong(until.at, "the duty ends before it begins; write a later `until`, or leave it empty");
    }
    Some(DutyRow {
        role: found?,
        cell: super::Placed { value: cell.text, at: cell.at },
        from: from?,
        until: until_at,
    })
}

fn moment(table: &mut Table<'_>, field: &Field, end: bool) -> Option<Timestamp> {
    let found = parse_moment(&field.text, end);
    if found.is_none() {
        table.wrong(
            field.at,
            format!("`{}` is no date; write it as 2026-01-31 or 2026-01-31 08:00", field.text),
        );
    }
    found
}

/// `2026-01-31`, `2026/1/31`, `2026年1月31日`, each with or without a time, or RFC 3339.
fn parse_moment(text: &str, end: bool) -> Option<Timestamp> {
    if let Some(at) = Timestamp::parse_rfc3339(text) {
        return Some(at);
    }
    let plain = text.replace(['年', '月', '/'], "-").replace(['日', 'T'], " ");
    let mut parts = plain.split_whitespace();
    let mut numbers = parts.next()?.splitn(3, '-').map(|number| number.parse::<i16>().ok());
    let (year, month, day) = (numbers.next()??, numbers.next()??, numbers.next()??);
    let date = Date::new(year, i8::try_from(month).ok()?, i8::try_from(day).ok()?).ok()?;
    let china = TimeZone::fixed(Offset::constant(8));
    let local = match parts.next() {
        Some(clock) => {
            let mut numbers = clock.splitn(3, ':').map(|number| number.parse::<i8>().ok());
            let (hour, minute) = (numbers.next()??, numbers.next()??);
            let second = numbers.next().unwrap_or(Some(0))?;
            DateTime::from_parts(date, Time::new(hour, minute, second, 0).ok()?)
        }
        None if end => DateTime::from_parts(date.tomorrow().ok()?, Time::midnight()),
        None => DateTime::from_parts(date, Time::midnight()),
    };
    if parts.next().is_some() {
        return None;
    }
    local.to_zoned(china).ok().map(|zoned| Timestamp(zoned.timestamp().as_millisecond()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates_are_read_as_offices_write_them() {
        for (text, end, wanted) in [
            ("2026-01-31", false, Some("2026-01-30T16:00:00.000Z")),
            ("2026-01-31", true, Some("2026-01-31T16:00:00.000Z")),
            ("2026/1/31", false, Some("2026-01-30T16:00:00.000Z")),
            ("2026年1月31日", false, Some("2026-01-30T16:00:00.000Z")),
            ("2026-01-31 08:30", true, Some("2026-01-31T00:30:00.000Z")),
            ("2026/1/31 8:30:15", false, Some("2026-01-31T00:30:15.000Z")),
            ("2026-01-31T08:30:00Z", false, Some("2026-01-31T08:30:00.000Z")),
            ("2026-02-30", false, None),
            ("2026-1", false, None),
            ("31.1.2026", false, None),
            ("2026-01-31 25:00", false, None),
            ("2026-01-31 08:30 x", false, None),
            ("9999-12-31", true, None),
        ] {
            let wanted = wanted.map(str::to_owned);
            assert_eq!(parse_moment(text, end).map(Timestamp::rfc3339), wanted, "{text}");
        }
    }

    #[test]
    fn a_person_may_have_several_duties() {
        let text = "姓名,工号,手机,职务,网格,开始,结束\n王丽,wang,10000000001,网格长,C1,2026-01-01,\n王丽,wang,10000000001,网格员,C2,2026-01-01,2026-06-30\n李四,li,,,,,\n";
        let ParsedRows::People(rows) = parse_people("p.csv", text.as_bytes()).expect("good").rows else {
            unreachable!("people were parsed")
        };
        let roles: Vec<_> = rows.iter().map(|row| row.duty.as_ref().map(|duty| duty.role)).collect();
        assert_eq!(roles, [Some(Role::Lead), Some(Role::Worker), None]);
    }

    #[test]
    fn every_bad_row_is_named_and_no_number_or_name_is_repeated() {
        let text = "id,name,phone,role,cell,from,until\n\
            wang,王丽,1.38E+10,boss,,heute,\n\
            li,李四,10000000002,lead,C1,2026-02-01,2026-01-01\n\
            li,李五,10000000002,lead,C2,2026-02-01,\n";
        let wrong = parse_people("p.csv", text.as_bytes()).expect_err("bad");
        let spots: Vec<_> = wrong.iter().map(|p| format!("{}:{}", p.line, p.column)).collect();
        assert_eq!(spots, ["2:9", "2:18", "2:23", "2:24", "3:38", "4:1"], "{wrong}");
        let text = wrong.to_string();
        assert!(!text.contains("10000000002") && !text.contains('王') && !text.contains('李'));
    }
}
