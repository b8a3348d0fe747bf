//! People and their duties from a table: one row per duty, so a person may have several rows.
//!
//! What stands of the person itself (name, telephone, contacts, training) is the same in each of the rows. Messages never hold names, telephone numbers or
//! addresses.

use std::collections::HashMap;

use super::moment::{moment, period};
use super::text::Field;
use super::{Column, DutyRow, Parsed, ParsedRows, PersonRow, Read, Table, bad_code, excel_number};
use crate::grid::{Hours, Role};
use crate::problem::{Problems, instead};

const COLUMNS: &[Column] = &[
    Column { names: &["id", "编号", "工号"], required: true },
    Column { names: &["name", "姓名"], required: true },
    Column { names: &["phone", "电话", "手机", "手机号", "联系电话"], required: true },
    Column { names: &["role", "角色", "职务"], required: true },
    Column { names: &["cell", "网格", "网格编码", "所属网格"], required: true },
    Column { names: &["from", "开始", "开始日期", "起"], required: true },
    Column { names: &["until", "结束", "结束日期", "止"], required: false },
    Column { names: &["retired", "停用", "离职"], required: false },
    Column { names: &["hours", "班次", "值班时间"], required: false },
    Column { names: &["trained_until", "培训有效期", "培训到期"], required: false },
];
/// Columns for any channel: `contact:email`.
const CONTACT: &[&str] = &["contact:", "联系:", "联系方式:"];
const ID: usize = 0;
const NAME: usize = 1;
const PHONE: usize = 2;
const ROLE: usize = 3;
const CELL: usize = 4;
const FROM: usize = 5;
const UNTIL: usize = 6;
const RETIRED: usize = 7;
const HOURS: usize = 8;
const TRAINED_UNTIL: usize = 9;
/// The address of a browser's push service can be long; a whole page cannot be meant.
const CONTACT_BYTES_MAX: usize = 500;
const CHANNEL_BYTES_MAX: usize = 64;

pub fn parse_people(file: &str, bytes: &[u8]) -> Result<Parsed, Problems> {
    read_people(file, bytes)?.whole()
}

/// An error only when it is no table of people at all.
pub fn read_people(file: &str, bytes: &[u8]) -> Result<Read, Problems> {
    let mut table = Table::read_with(file, bytes, COLUMNS, CONTACT)?;
    let mut rows: Vec<PersonRow> = Vec::new();
    let mut firsts: HashMap<String, usize> = HashMap::new();
    for row in std::mem::take(&mut table.rows) {
        let id = table.needed(&row, ID);
        if let Some(bad) = bad_code(&id.value) {
            table.wrong(id.at, format!("the id {bad}"));
        }
        let name = table.needed(&row, NAME).value;
        let phone = phone(&mut table, &row);
        let contacts = contacts(&mut table, &row);
        let trained_until = table.has(TRAINED_UNTIL).then(|| {
            let field = table.field(&row, TRAINED_UNTIL);
            if field.text.is_empty() { None } else { moment(&mut table, &field, true) }
        });
        let retired = table.yes(&row, RETIRED);
        let duty = duty(&mut table, &row);
        let person = PersonRow { id, name, phone, contacts, trained_until, duty, retired };
        let first = *firsts.entry(person.id.value.clone()).or_insert(rows.len());
        if let Some(first) = rows.get(first).filter(|first| !first.same_person(&person)) {
            let (id, line) = (&person.id, first.id.at.line);
            table.wrong(id.at, format!("`{}` has another name, telephone number, contact or training in line {line}; write the same in every row, or give the other person another id", id.value));
        }
        rows.push(person);
    }
    Ok(table.finish(ParsedRows::People(rows)))
}

/// What stands under `contact:<channel>`; empty takes the address away.
fn contacts(table: &mut Table<'_>, row: &[Field]) -> Vec<(String, String)> {
    let mut found = Vec::new();
    for (channel, field) in table.open_fields(row) {
        if let Some(wrong) = bad_contact(&channel, &field.text) {
            table.wrong(field.at, wrong);
        }
        found.push((channel, field.text));
    }
    found
}

fn phone(table: &mut Table<'_>, row: &[Field]) -> String {
    let field = table.field(row, PHONE);
    if let Some(wrong) = bad_phone(&field.text) {
        table.wrong(field.at, wrong);
    }
    field.text
}

/// Digits, `+`, `-` and spaces; kept as written.
pub fn bad_phone(text: &str) -> Option<&'static str> {
    let digits = text.chars().filter(char::is_ascii_digit).count();
    let strange = text.chars().any(|c| !c.is_ascii_digit() && !"+- ()".contains(c));
    if excel_number(text) {
        Some("Excel rewrote this telephone number; format the column as text and enter it again")
    } else if !text.is_empty() && (strange || !(3..=20).contains(&digits)) {
        Some("this is no telephone number; write digits, such as 025-00000000, or leave it empty")
    } else {
        None
    }
}

/// The address itself is not repeated.
pub fn bad_contact(channel: &str, address: &str) -> Option<String> {
    let channel_is_bad = channel.is_empty() || CHANNEL_BYTES_MAX < channel.len();
    if channel_is_bad || CONTACT_BYTES_MAX < address.len() || address.chars().any(char::is_control) {
        return Some(format!("this is no address for `{channel}`; write one line, or leave it empty"));
    }
    None
}

fn duty(table: &mut Table<'_>, row: &[Field]) -> Option<DutyRow> {
    let [role, cell, from] = [ROLE, CELL, FROM].map(|column| table.field(row, column));
    let [until, hours] = [UNTIL, HOURS].map(|column| table.field(row, column));
    if [&role, &cell, &from, &until, &hours].iter().all(|field| field.text.is_empty()) {
        return None;
    }
    let found = Role::from_chinese(&role.text).or_else(|| Role::from_name(&role.text.to_lowercase()));
    if found.is_none() {
        let names = instead(&role.text, Role::names().collect::<Vec<_>>());
        table.wrong(role.at, format!("there is no role `{}`; {names}", role.text));
    }
    if cell.text.is_empty() {
        table.wrong(cell.at, "the duty has no cell; write the code of the cell");
    }
    let period = period(table, &from, &until, "the duty");
    let hours = match hours.text.as_str() {
        "" => None,
        text => Hours::parse(text).map_err(|wrong| table.wrong(hours.at, wrong)).ok(),
    };
    Some(DutyRow {
        role: found?,
        cell: super::Placed { value: cell.text, at: cell.at },
        from: period.from?.value,
        until: period.until,
        hours,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

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
