//! Buildings and households from tables: one row each, known by the cell and how their places begin. Messages never hold names or telephone numbers.

use std::collections::HashMap;

use super::moment::{Moment, period};
use super::text::Field;
use super::{BuildingRow, Column, HouseholdRow, ParsedRows, Read, Table};
use crate::grid::dwellings::{Building, Help, Household};
use crate::problem::{Problems, instead};

const CHARACTERS_MAX: usize = 200;

const BUILDING: &[Column] = &[
    Column { names: &["cell", "网格", "网格编码"], required: true },
    Column { names: &["name", "楼栋", "名称"], required: true },
    Column { names: &["floors", "层数", "地上层数"], required: true },
    Column { names: &["basements", "地下层数"], required: false },
    Column { names: &["structure", "结构", "建筑结构"], required: false },
    Column { names: &["staircases", "楼梯"], required: false },
    Column { names: &["lifts", "电梯"], required: false },
    Column { names: &["hazards", "危险源", "注意事项"], required: false },
    Column { names: &["retired", "停用"], required: false },
];

const HOUSEHOLD: &[Column] = &[
    Column { names: &["cell", "网格", "网格编码"], required: true },
    Column { names: &["place", "门牌", "地址"], required: true },
    Column { names: &["people", "人数"], required: true },
    Column { names: &["help", "需帮助", "特殊情况"], required: false },
    Column { names: &["contact", "联系人"], required: false },
    Column { names: &["phone", "电话", "联系电话"], required: false },
    Column { names: &["neighbours", "邻里组", "互助组"], required: false },
    Column { names: &["retired", "停用", "迁出"], required: false },
    Column { names: &["away_from", "外出开始", "离家日期"], required: false },
    Column { names: &["away_until", "返回日期", "外出结束"], required: false },
];

/// An error only when it is no table of buildings at all.
pub fn read_buildings(file: &str, bytes: &[u8]) -> Result<Read, Problems> {
    let mut table = Table::read(file, bytes, BUILDING)?;
    let mut rows: Vec<BuildingRow> = Vec::new();
    let mut firsts: HashMap<(String, String), u32> = HashMap::new();
    for row in std::mem::take(&mut table.rows) {
        let (cell, name) = (table.needed(&row, 0), table.needed(&row, 1));
        let mut number = |column| {
            let field = table.field(&row, column);
            count(&mut table, &field)
        };
        let (floors, basements, staircases, lifts) = (number(2), number(3), number(5), number(6));
        let [structure, note] = [4, 7].map(|column| short(&mut table, &row, column));
        let retired = table.yes(&row, 8);
        let key = (cell.value.clone(), name.value.clone());
        let line = *firsts.entry(key).or_insert(cell.at.line);
        if line != cell.at.line {
            table.wrong(name.at, format!("`{}` stands in line {line} already; keep one row", name.value));
        }
        let building = Building {
            cell: cell.value.clone(),
            name: name.value,
            floors,
            basements,
            structure,
            staircases,
            lifts,
            note,
        };
        rows.push(BuildingRow { cell, building, retired });
    }
    Ok(table.finish(ParsedRows::Buildings(rows)))
}

/// An error only when it is no table of households at all.
pub fn read_households(file: &str, bytes: &[u8]) -> Result<Read, Problems> {
    let mut table = Table::read(file, bytes, HOUSEHOLD)?;
    let mut rows: Vec<HouseholdRow> = Vec::new();
    let mut firsts: HashMap<(String, String), u32> = HashMap::new();
    for row in std::mem::take(&mut table.rows) {
        let (cell, place) = (table.needed(&row, 0), table.needed(&row, 1));
        let people = table.field(&row, 2);
        let people = count(&mut table, &people);
        let help = table.field(&row, 3);
        let help = helps(&mut table, &help);
        let [contact, phone, neighbours] = [4, 5, 6].map(|column| short(&mut table, &row, column));
        let retired = table.yes(&row, 7);
        let key = (cell.value.clone(), place.value.clone());
        let line = *firsts.entry(key).or_insert(cell.at.line);
        if line != cell.at.line {
            table.wrong(place.at, format!("this door stands in line {line} already; keep one row"));
        }
        let household = Household {
            cell: cell.value.clone(),
            place: place.value,
            people,
            help,
            contact,
            phone,
            neighbours,
            leave: None, // Its days are known when the zone is.
        };
        let leave = table.has(8).then(|| leave(&mut table, &row));
        rows.push(HouseholdRow { cell, household, leave, retired });
    }
    Ok(table.finish(ParsedRows::Households(rows)))
}

/// Both columns empty: nobody is away.
fn leave(table: &mut Table<'_>, row: &[Field]) -> Option<(Moment, Option<Moment>)> {
    let [from, until] = [8, 9].map(|column| table.field(row, column));
    if from.text.is_empty() {
        if !until.text.is_empty() {
            table.wrong(until.at, "nobody knows from when on; write `away_from`, too");
        }
        return None;
    }
    let period = period(table, &from, &until, "the leave");
    period.from.map(|from| (from.value, period.until))
}

/// A number up to 999; empty is 0.
fn count(table: &mut Table<'_>, field: &Field) -> u16 {
    if field.text.is_empty() {
        return 0;
    }
    match field.text.parse() {
        Ok(count) if count < 1_000 => count,
        Ok(_) | Err(_) => {
            table.wrong(field.at, format!("`{}` is no number from 0 to 999", field.text));
            0
        }
    }
}

fn short(table: &mut Table<'_>, row: &[Field], column: usize) -> String {
    let field = table.field(row, column);
    if field.text.chars().count() > CHARACTERS_MAX {
        table.wrong(field.at, format!("this is longer than {CHARACTERS_MAX} characters; write it shorter"));
    }
    field.text
}

/// Several are joined by `;`, `、` or `|`.
fn helps(table: &mut Table<'_>, field: &Field) -> Vec<Help> {
    let words = field.text.split([';', '；', '、', '|', ' ']).map(str::trim).filter(|word| !word.is_empty());
    let mut helps = Vec::new();
    for word in words {
        match Help::ALL.into_iter().find(|help| help.name() == word || help.zh() == word) {
            Some(help) => helps.push(help),
            None => {
                let known = Help::ALL.into_iter().flat_map(|help| [help.name(), help.zh()]);
                table.wrong(field.at, format!("there is no kind of help `{word}`; {}", instead(word, known)));
            }
        }
    }
    helps
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::grid::import::{Parsed, merge, parse_cells};
    use crate::grid::{Registry, Rows};
    use crate::units::Timestamp;

    const CELLS: &str = r#"{"type":"FeatureCollection","features":[{"type":"Feature","properties":{"code":"G1","name":"一格","scheme":"admin","kind":"residential"},"geometry":{"type":"Polygon","coordinates":[[[118.9,32.1],[118.91,32.1],[118.91,32.12],[118.9,32.1]]]}}]}"#;

    fn cells() -> Rows {
        let cells = parse_cells("c", CELLS.as_bytes()).expect("good cells");
        merge(&Rows::default(), &cells, Timestamp(0)).expect("they fit").0
    }

    fn laid_over(rows: &Rows, read: Read) -> (Rows, String) {
        let parsed: Parsed = read.whole().expect("no row is wrong");
        let (rows, diff) = merge(rows, &parsed, Timestamp(0)).expect("they fit");
        (rows, diff.to_string())
    }

    #[test]
    fn what_a_table_says_is_found_by_the_place_and_twice_changes_nothing() {
        let buildings = "网格,楼栋,层数,建筑结构\nG1,3栋,6,砖混\n";
        let households =
            "cell,place,people,help,contact,phone\nG1,3栋2单元501,2,吸氧;cannot_walk,李奶奶,13800000000\n";
        let (rows, _) = laid_over(&cells(), read_buildings("b.csv", buildings.as_bytes()).expect("a table"));
        let (rows, diff) =
            laid_over(&rows, read_households("h.csv", households.as_bytes()).expect("a table"));
        assert!(!diff.contains("138") && !diff.contains('李'), "{diff}");
        let (again, _) = laid_over(&rows, read_households("h.csv", households.as_bytes()).expect("a table"));
        assert_eq!(again.version, rows.version);
        let registry = Registry::build(rows.clone());
        let found = registry.dwellings().household("G1", "3栋2单元501 厨房").expect("it is found");
        assert_eq!((found.people, found.help.as_slice()), (2, [Help::Oxygen, Help::CannotWalk].as_slice()));
        assert_eq!(
            registry.dwellings().building("G1", "3栋2单元501").map(|building| building.floors),
            Some(6)
        );

        let left = "cell,place,people,retired\nG1,3栋2单元501,0,yes\n";
        let (rows, _) = laid_over(&rows, read_households("h.csv", left.as_bytes()).expect("a table"));
        assert!(rows.households.is_empty(), "nothing is kept of somebody who left");
    }

    #[test]
    fn every_bad_row_is_named() {
        let text = "cell,place,people,help\nG1,1栋101,many,\nG1,1栋102,1,flying\nG2,1栋103,1,\nG1,,1,\nG1,1栋105,1,\nG1,1栋105,1,\n";
        let read = read_households("h.csv", text.as_bytes()).expect("a table");
        let problems = read.against(&cells(), Timestamp(0));
        let lines: Vec<_> = problems.iter().map(|problem| problem.line).collect();
        assert_eq!(lines, [2, 3, 4, 5, 7], "{problems}");
    }
}
