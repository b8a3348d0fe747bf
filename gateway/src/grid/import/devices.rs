//! Devices from a table: one row per device.

use std::collections::HashMap;

use super::text::Field;
use super::{Column, DeviceRow, Parsed, ParsedRows, Placed, Read, Table, bad_code, cells::in_range};
use crate::grid::Pin;
use crate::model::DeviceKind;
use crate::problem::{Problems, nearest};

const COLUMNS: &[Column] = &[
    Column { names: &["id", "编号", "设备编号"], required: true },
    Column { names: &["kind", "type", "类型", "设备类型"], required: true },
    Column { names: &["name", "名称", "设备名称"], required: true },
    Column { names: &["address", "地址码", "通信地址"], required: false },
    Column { names: &["cell", "cells", "网格", "所属网格", "网格编码"], required: false },
    Column { names: &["place", "位置", "安装位置", "地址"], required: false },
    Column { names: &["lon", "lng", "longitude", "经度"], required: false },
    Column { names: &["lat", "latitude", "纬度"], required: false },
    Column { names: &["silent_after_s", "离线时限_秒", "离线时限"], required: false },
    Column { names: &["retired", "停用"], required: false },
    Column { names: &["plan", "平面图"], required: false },
    Column { names: &["plan_x", "平面图_x", "平面图x"], required: false },
    Column { names: &["plan_y", "平面图_y", "平面图y"], required: false },
];
const ID: usize = 0;
const KIND: usize = 1;
const NAME: usize = 2;
const ADDRESS: usize = 3;
const CELL: usize = 4;
const PLACE: usize = 5;
const LON: usize = 6;
const LAT: usize = 7;
const SILENT_AFTER: usize = 8;
const RETIRED: usize = 9;
const PLAN: usize = 10;
const PLAN_X: usize = 11;
const PLAN_Y: usize = 12;

/// The Chinese names of the kinds. A kind may have several.
const KINDS: &[(&str, DeviceKind)] = &[
    ("烟感", DeviceKind::SmokeDetector),
    ("感烟探测器", DeviceKind::SmokeDetector),
    ("温感", DeviceKind::HeatDetector),
    ("感温探测器", DeviceKind::HeatDetector),
    ("燃气探测器", DeviceKind::GasDetector),
    ("手报", DeviceKind::ManualCallPoint),
    ("手动报警按钮", DeviceKind::ManualCallPoint),
    ("消火栓", DeviceKind::Hydrant),
    ("消防栓", DeviceKind::Hydrant),
    ("水箱", DeviceKind::WaterTank),
    ("水泵", DeviceKind::Pump),
    ("消防泵", DeviceKind::Pump),
    ("门禁摄像头", DeviceKind::AccessCamera),
    ("摄像头", DeviceKind::Camera),
    ("门磁", DeviceKind::DoorSensor),
    ("人体感应", DeviceKind::MotionSensor),
    ("控制器", DeviceKind::Panel),
    ("火灾报警控制器", DeviceKind::Panel),
    ("网关", DeviceKind::Gateway),
    ("其他", DeviceKind::Other),
];

/// How a message finds its device; what comes before the first colon of an address.
const ADDRESSES: &[&str] = &[
    "native",
    "z2m",
    "lora",
    "frigate",
    "modbus",
    "mqtt",
    "imei",
    "ctwing",
    "huawei",
    "gbt26875",
    "meokon",
    "hikvision",
    "dahua",
    "onvif",
    "sparkplug",
];

pub fn parse_devices(file: &str, bytes: &[u8]) -> Result<Parsed, Problems> {
    read_devices(file, bytes)?.whole()
}

/// An error only when it is no table of devices at all.
pub fn read_devices(file: &str, bytes: &[u8]) -> Result<Read, Problems> {
    let mut table = Table::read(file, bytes, COLUMNS)?;
    let mut rows = Vec::new();
    let mut seen: HashMap<String, u32> = HashMap::new();
    for row in std::mem::take(&mut table.rows) {
        let id = table.needed(&row, ID);
        if let Some(bad) = bad_code(&id.value) {
            table.wrong(id.at, format!("the id {bad}"));
        }
        if let Some(line) = seen.insert(id.value.clone(), id.at.line).filter(|_| !id.value.is_empty()) {
            table.wrong(
                id.at,
                format!(
                    "the device `{}` stands in line {line} already; every device needs its own id",
                    id.value
                ),
            );
        }
        let kind = kind(&mut table, &row);
        let name = table.needed(&row, NAME).value;
        let device = DeviceRow {
            kind,
            name,
            address: table.has(ADDRESS).then(|| address(&mut table, &row, &id.value)),
            cells: table.has(CELL).then(|| cells(&table.field(&row, CELL))),
            place: table.has(PLACE).then(|| table.field(&row, PLACE).text),
            position: position(&mut table, &row),
            silent_after_s: table.has(SILENT_AFTER).then(|| silent_after(&mut table, &row)),
            pin: table.has(PLAN).then(|| pin(&mut table, &row)),
            retired: table.yes(&row, RETIRED),
            id,
        };
        rows.push(device);
    }
    Ok(table.finish(ParsedRows::Devices(rows)))
}

fn kind(table: &mut Table<'_>, row: &[Field]) -> DeviceKind {
    let field = table.needed(row, KIND);
    let text = field.value.to_lowercase().replace([' ', '-'], "_");
    let chinese = KINDS.iter().find(|(name, _)| *name == text).map(|(_, kind)| *kind);
    chinese.or_else(|| DeviceKind::from_name(&text)).unwrap_or_else(|| {
        let names = || DeviceKind::ALL.iter().map(|kind| kind.name());
        let near = nearest(&text, names().chain(KINDS.iter().map(|(name, _)| *name)));
        let instead = match near {
            Some(near) => format!("did you mean `{near}`?"),
            None => format!("write one of {}", names().collect::<Vec<_>>().join(", ")),
        };
        if !text.is_empty() {
            table.wrong(field.at, format!("there is no kind of device `{}`; {instead}", field.value));
        }
        DeviceKind::Other
    })
}

/// Empty is the device's own topic.
fn address(table: &mut Table<'_>, row: &[Field], id: &str) -> Placed<String> {
    let field = table.field(row, ADDRESS);
    if field.text.is_empty() {
        return Placed { value: format!("native:{id}"), at: field.at };
    }
    let known =
        field.text.split_once(':').filter(|(path, rest)| ADDRESSES.contains(path) && !rest.is_empty());
    if known.is_none() {
        let message = format!(
            "`{}` is no address; write `native:<id>`, `z2m:<base topic>/<name>`, `lora:<DevEUI>`, `frigate:<camera>`, `mqtt:<as its profile says>`, `imei:<IMEI>`, `ctwing:<id>`, `huawei:<id>`, `hikvision:<name, MAC or IP>`, `dahua:<name>`, `onvif:<name>`, `gbt26875:<device>/<system type>.<system>/<zone>.<point>`, `meokon:<number>` or `modbus:<bus>/<unit>`",
            field.text
        );
        table.wrong(field.at, message);
    }
    if let Some(("modbus", rest)) = known
        && !rest.rsplit_once('/').is_some_and(|(bus, unit)| !bus.is_empty() && unit.parse::<u8>().is_ok())
    {
        table.wrong(
            field.at,
            format!(
                "`{}` names no unit on a bus; write `modbus:<bus>/<unit>`, such as `modbus:hydrants/3`",
                field.text
            ),
        );
    }
    if let Some(("gbt26875", rest)) = known
        && !is_station(rest)
    {
        table.wrong(
            field.at,
            format!(
                "`{}` names nothing behind a transmission device; write `gbt26875:889` for the device itself, `gbt26875:889/1.1` for system 1 of type 1 behind it, `gbt26875:889/1.1/10.2` for its component in zone 10, point 2",
                field.text
            ),
        );
    }
    // A DevEUI is printed in capitals on the label, and small in the messages.
    let value = if field.text.starts_with("lora:") { field.text.to_lowercase() } else { field.text };
    Placed { value, at: field.at }
}

/// `889`, `889/1.1` or `889/1.1/10.2`, as decode/gbt26875.rs reads it: 48 bits, two bytes, two words.
fn is_station(text: &str) -> bool {
    let pair = |part: &str, most: u64| {
        part.split_once('.').is_some_and(|(a, b)| [a, b].into_iter().all(|number| up_to(number, most)))
    };
    let mut parts = text.split('/');
    parts.next().is_some_and(|device| up_to(device, (1 << 48) - 1))
        && parts.next().is_none_or(|system| pair(system, 255))
        && parts.next().is_none_or(|place| pair(place, 65_535))
        && parts.next().is_none()
}

/// A number as it is written back: the address is looked up letter by letter.
fn up_to(text: &str, most: u64) -> bool {
    text.parse::<u64>().is_ok_and(|number| number <= most && number.to_string() == text)
}

/// Several codes are joined by `;`, or by `、` or `|` where `;` separates the columns.
fn cells(field: &Field) -> Vec<Placed<String>> {
    let codes = field.text.split([';', '；', '、', '|', ' ']).map(str::trim).filter(|code| !code.is_empty());
    codes.map(|code| Placed { value: code.to_owned(), at: field.at }).collect()
}

/// `None` when the file has neither column.
fn position(table: &mut Table<'_>, row: &[Field]) -> Option<Option<[f64; 2]>> {
    if !table.has(LON) && !table.has(LAT) {
        return None;
    }
    let (lon, lat) = (table.field(row, LON), table.field(row, LAT));
    if lon.text.is_empty() && lat.text.is_empty() {
        return Some(None);
    }
    let numbers = [&lon, &lat].map(|field| field.text.parse::<f64>().ok());
    match numbers {
        [Some(x), Some(y)] if in_range(x, y) => Some(Some([x, y])),
        [Some(x), Some(y)] => {
            let swapped = if in_range(y, x) {
                "; it seems that longitude and latitude are swapped"
            } else {
                "; write degrees (WGS 84), such as 118.9123 and 32.1034"
            };
            table.wrong(lon.at, format!("{x}, {y} is no longitude and latitude{swapped}"));
            Some(None)
        }
        [x, _] => {
            let field = if x.is_none() { &lon } else { &lat };
            let message = format!(
                "`{}` is no number; give both lon and lat in degrees (WGS 84), such as 118.9123 and 32.1034, or leave both empty",
                field.text
            );
            table.wrong(field.at, message);
            Some(None)
        }
    }
}

/// The plan, and where on it in parts of its width and height.
fn pin(table: &mut Table<'_>, row: &[Field]) -> Option<(Placed<String>, [f64; 2])> {
    let plan = table.field(row, PLAN);
    if plan.text.is_empty() {
        return None;
    }
    let fields = [table.field(row, PLAN_X), table.field(row, PLAN_Y)];
    let parts = fields.each_ref().map(|field| field.text.parse::<f64>().ok());
    let at = match parts {
        [Some(x), Some(y)] => Pin::rounded([x, y]),
        [_, _] => None,
    };
    if at.is_none() {
        let [x, y] = fields.map(|field| field.text);
        table.wrong(plan.at, format!("`{x}`, `{y}` is no place on the plan `{}`; give plan_x and plan_y in parts of its width and height, from 0 (left, top) to 1", plan.text));
    }
    Some((Placed { value: plan.text, at: plan.at }, at?))
}

fn silent_after(table: &mut Table<'_>, row: &[Field]) -> Option<u32> {
    const YEAR: u32 = 366 * 24 * 3600;
    let field = table.field(row, SILENT_AFTER);
    if field.text.is_empty() {
        return None;
    }
    let seconds = field.text.parse::<u32>().ok().filter(|seconds| (1..=YEAR).contains(seconds));
    if seconds.is_none() {
        table.wrong(field.at, format!("`{}` is no number of seconds from 1 to {YEAR}; write a whole number such as 7200, or leave it empty", field.text));
    }
    seconds
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::grid::import::{parse_cells, parse_people};

    fn devices(text: &str) -> Vec<DeviceRow> {
        let ParsedRows::Devices(rows) = parse_devices("d.csv", text.as_bytes()).expect("good").rows else {
            unreachable!("devices were parsed")
        };
        rows
    }

    #[test]
    fn english_and_chinese_headers_mean_the_same() {
        let english = devices(
            "id,kind,name,address,cell,place,lon,lat,silent_after_s\nSD-1,smoke_detector,a,,C1;V1,3栋,118.9,32.1,7200\n",
        );
        let chinese = devices(
            "编号;类型;名称;地址码;网格;安装位置;经度;纬度;离线时限（秒）\nSD-1;烟感;a;;C1、V1;3栋;118.9;32.1;7200\n",
        );
        assert_eq!(english[0].kind, chinese[0].kind);
        assert_eq!(english[0].silent_after_s, Some(Some(7200)));
        assert_eq!(chinese[0].silent_after_s, Some(Some(7200)));
        let codes = |rows: &[DeviceRow]| -> Vec<String> {
            rows[0].cells.iter().flatten().map(|cell| cell.value.clone()).collect()
        };
        assert_eq!(codes(&english), ["C1", "V1"]);
        assert_eq!(codes(&chinese), ["C1", "V1"]);
        assert_eq!(english[0].address.as_ref().map(|a| a.value.as_str()), Some("native:SD-1"));
    }

    #[test]
    fn a_deveui_is_written_small() {
        let rows = devices("id,kind,name,address\nSD-1,other,a,lora:24E124AB\n");
        assert_eq!(rows[0].address.as_ref().map(|a| a.value.as_str()), Some("lora:24e124ab"));
    }

    #[test]
    fn a_column_the_file_does_not_have_is_not_an_empty_one() {
        let rows = devices("id,kind,name\nSD-1,other,a\n");
        assert_eq!((&rows[0].address, &rows[0].cells, &rows[0].position), (&None, &None, &None));
    }

    #[test]
    fn a_place_on_a_plan_has_three_columns() {
        let rows = devices("id,kind,name,plan,plan_x,plan_y\nA,other,a,P-1,0.25,0.5\nB,other,b,,,\n");
        let pin = |row: &DeviceRow| {
            row.pin.clone().expect("the column is there").map(|(plan, at)| (plan.value, at))
        };
        assert_eq!(pin(&rows[0]), Some(("P-1".into(), [0.25, 0.5])));
        assert_eq!(pin(&rows[1]), None);
        let chinese = devices("编号,类型,名称,平面图,平面图x,平面图y\nA,烟感,a,P-1,0.25,0.5\n");
        assert_eq!(pin(&chinese[0]), pin(&rows[0]));
        for bad in ["P-1,1.5,0", "P-1,,", "P-1,NaN,0"] {
            let text = format!("id,kind,name,plan,plan_x,plan_y\nA,other,a,{bad}\n");
            let wrong = parse_devices("d.csv", text.as_bytes()).expect_err(bad).to_string();
            assert!(wrong.contains("d.csv:2:") && wrong.contains("from 0 (left, top) to 1"), "{wrong}");
        }
    }

    #[test]
    fn every_bad_row_is_named() {
        let text = "id,kind,name,address,cell,lon,lat,silent_after_s\n\
            SD 1,smok_detector,a,,,,,\n\
            SD-2,other,,http:x,,118.9,,0\n\
            SD-2,other,b,modbus:east,,32.1,118.9,\n\
            1.38E+10,other,b,,,,,\n";
        let wrong = parse_devices("d.csv", text.as_bytes()).expect_err("bad");
        let spots: Vec<_> = wrong.iter().map(|p| format!("{}:{}", p.line, p.column)).collect();
        assert_eq!(
            spots,
            ["2:1", "2:6", "3:12", "3:13", "3:27", "3:28", "4:1", "4:14", "4:27", "5:1"],
            "{wrong}"
        );
    }

    proptest! {
        #[test]
        fn random_bytes_never_panic(bytes: Vec<u8>, text: String) {
            for bytes in [bytes.as_slice(), text.as_bytes()] {
                let _ = parse_devices("x", bytes);
                let _ = parse_people("x", bytes);
                let _ = parse_cells("x", bytes);
            }
        }

        #[test]
        fn almost_tables_never_panic(rows in "(id|编号|kind|name|lon|lat|cell|retired|[,;\t\n\"]|[0-9.E+]){0,60}") {
            let _ = parse_devices("x", rows.as_bytes());
            let _ = parse_people("x", rows.as_bytes());
        }

        /// A Chinese Excel writes GB 18030, a newer one UTF-8: the registry is the same.
        #[test]
        fn gb_18030_and_utf_8_give_the_same(names in prop::collection::vec("[\u{4e00}-\u{9fa5}a-z0-9·]{1,8}", 1..6)) {
            let rows: String = names.iter().enumerate().map(|(n, name)| format!("SD-{n},烟感,{name}\r\n")).collect();
            let text = format!("编号,类型,名称\r\n{rows}");
            let (gb, _, _) = encoding_rs::GB18030.encode(&text);
            prop_assert_eq!(parse_devices("d.csv", &gb), parse_devices("d.csv", text.as_bytes()));
        }
    }
}
