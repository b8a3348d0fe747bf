//! Files laid over a registry: what comes out, what is refused.

use std::collections::BTreeSet;

use proptest::prelude::*;

use super::*;
use crate::grid::import::{parse_cells, parse_devices, parse_people};
use crate::model::DeviceIx;
use crate::units::Millis;

const NOW: Timestamp = Timestamp(1_795_000_000_000);

fn square(code: &str, parent: &str, [west, east]: [f64; 2]) -> String {
    format!(
        r#"{{"type":"Feature","properties":{{"code":"{code}","name":"{code}","parent":"{parent}"}},"geometry":{{"type":"Polygon","coordinates":[[[{west},32.1],[{east},32.1],[{east},32.2],[{west},32.2],[{west},32.1]]]}}}}"#
    )
}

fn cells(features: &[String]) -> Parsed {
    let text = format!("{{\"type\":\"FeatureCollection\",\"features\":[\n{}]}}", features.join(",\n"));
    parse_cells("c.geojson", text.as_bytes()).expect("good")
}

fn grid() -> Parsed {
    cells(&[
        square("S", "", [118.0, 118.2]),
        square("A", "S", [118.0, 118.1]),
        square("B", "S", [118.1, 118.2]),
    ])
}

fn devices(rows: &str) -> Parsed {
    parse_devices("d.csv", format!("id,kind,name,address,cell,lon,lat,retired\n{rows}").as_bytes())
        .expect("good")
}

fn people(rows: &str) -> Parsed {
    parse_people("p.csv", format!("id,name,phone,role,cell,from,until,retired\n{rows}").as_bytes())
        .expect("good")
}

fn after(files: &[Parsed]) -> Rows {
    merge_all(&Rows::default(), files, NOW).expect("good").0
}

fn refused(rows: &Rows, parsed: &Parsed) -> String {
    merge(rows, parsed, NOW).expect_err("must be refused").to_string()
}

#[test]
fn a_device_is_located_by_its_coordinates_or_by_name() {
    let rows = after(&[
        grid(),
        devices("D1,other,a,,,118.05,32.15,\nD2,other,b,,S,,,\nD3,other,c,,,118.1,32.15,\n"),
    ]);
    let cells: Vec<_> = rows.devices.iter().map(|device| device.cells.join(" ")).collect();
    assert_eq!(cells, ["A", "S", "A"], "a point on the border goes to the first cell");
    assert_eq!(
        (rows.version, rows.devices[1].ix, rows.devices[0].address.as_str()),
        (1, DeviceIx(1), "native:D1")
    );
}

#[test]
fn what_changed_is_named_and_what_is_missing_stays() {
    let rows = after(&[grid(), devices("D1,other,a,,A,,,\nD2,other,b,,A,,,\nD4,other,b,,A,,,\n")]);
    let (next, diff) =
        merge(&rows, &devices("D2,other,b2,,B,,,\nD3,hydrant,c,,B,,,\nD4,other,b,,A,,,yes\n"), NOW)
            .expect("good");
    assert_eq!(
        diff.to_string(),
        "1 added, 1 changed, 1 retired\n~ device D2 name: b → b2, cell: A → B\n+ device D3\n- device D4"
    );
    assert_eq!((next.version, next.devices.len(), next.devices[3].ix), (2, 4, DeviceIx(3)));
    assert_eq!(next.devices[0], rows.devices[0]);
}

#[test]
fn a_device_back_in_service_is_armed_anew() {
    let rows = after(&[grid(), devices("D1,other,a,,A,,,yes\n")]);
    let later = NOW + Millis::from_secs(60);
    let (next, _) = merge(&rows, &devices("D1,other,a,,A,,,\n"), later).expect("good");
    assert_eq!(next.devices[0].registered, later);
}

#[test]
fn rows_that_fit_nowhere_refuse_the_whole_file() {
    let rows = after(&[grid()]);
    for (file, wanted) in [
        (devices("D1,other,a,,,,,\n"), "d.csv:2:1: the device `D1` stands in no cell; fill in"),
        (
            devices("D1,other,a,,,119,33,\n"),
            "d.csv:2:1: the device `D1` stands in no cell: 119, 33 lies outside",
        ),
        (
            devices("D1,other,a,,AA,,,\n"),
            "d.csv:2:13: the device `D1` stands in the cell `AA`, which does not exist; did you mean `A`?",
        ),
        (devices("D1,other,a,,A;B,,,\n"), "both of the scheme `admin`"),
        (
            devices("D1,other,a,native:x,A,,,\nD2,other,a,native:x,A,,,\n"),
            "d.csv:3:12: the devices `D1` and `D2` have the same address `native:x`",
        ),
        (cells(&[square("C", "X", [119.0, 119.1])]), "the parent `X` of the cell `C` does not exist"),
        (cells(&[square("S", "A", [118.0, 118.2])]), "go round in a circle"),
        (cells(&[square("C", "S", [118.05, 118.15])]), "overlap by"),
        (people("w,n,123,lead,Z,2026-01-01,,\n"), "p.csv:2:14: there is no cell `Z` in service"),
        (
            people("w,n,123,lead,A,2026-01-01,,\nv,m,123,lead,A,2026-05-01,,\n"),
            "p.csv:3:14: `w` and `v` both lead the cell `A`",
        ),
        (people("w,n,123,worker,A,2026-01-01,,\nw,n,123,worker,A,2026-05-01,,\n"), "twice at the same time"),
    ] {
        let text = refused(&rows, &file);
        assert!(text.contains(wanted), "{text}\nshould hold\n{wanted}");
    }
}

#[test]
fn a_cell_in_use_cannot_be_retired() {
    let rows = after(&[grid(), devices("D1,other,a,,A,,,\n")]);
    let text = "{\"type\":\"FeatureCollection\",\"features\":[{\"type\":\"Feature\",\"properties\":{\"code\":\"A\",\"name\":\"A\",\"parent\":\"S\",\"retired\":true},\"geometry\":null}]}";
    let file = parse_cells("c.geojson", text.as_bytes()).expect("good");
    assert!(refused(&rows, &file).contains("is retired but still holds cells or devices"));
}

#[test]
fn duties_for_a_cell_are_replaced_and_others_stay() {
    let rows = after(&[grid(), people("w,n,123,lead,A,2026-01-01,,\nw,n,123,worker,B,2026-01-01,,\n")]);
    let (next, diff) =
        merge(&rows, &people("w,n,123,lead,A,2026-01-01,2026-05-31,\nv,m,1234,lead,A,2026-06-01,,\n"), NOW)
            .expect("good");
    assert_eq!((diff.added, diff.changed, next.duties.len()), (1, 1, 3));
    let registry = crate::grid::Registry::build(next);
    let cell = registry.cell_by_code("A").expect("there").ix;
    let lead = |text: &str| {
        let at = Timestamp::parse_rfc3339(text).expect("valid");
        registry.responsible(cell, at).map(|person| person.id.as_str())
    };
    assert_eq!(lead("2026-05-31T23:59:59+08:00"), Some("w"), "the last day counts");
    assert_eq!(lead("2026-06-01T00:00:00+08:00"), Some("v"));
}

#[test]
fn who_leaves_has_no_duty_from_now_on() {
    let rows = after(&[grid(), people("w,n,123,lead,A,2026-01-01,,\n")]);
    let leaves = people("w,n,123,,,,,yes\n");
    let (next, diff) = merge(&rows, &leaves, NOW).expect("good");
    assert_eq!((diff.retired, next.duties[0].until), (1, Some(NOW)));
    let (_, again) = merge(&next, &leaves, NOW + Millis(5)).expect("good");
    assert!(again.is_empty(), "{again}");
}

#[test]
fn gaps_and_stray_coordinates_are_hints() {
    let street = cells(&[square("S", "", [118.0, 118.2]), square("A", "S", [118.0, 118.1])]);
    let (rows, diff) = merge(&Rows::default(), &street, NOW).expect("good");
    assert!(diff.hints[0].ends_with("m² of the cell `S` lie in none of the cells below it"), "{diff}");
    let all = merge(&rows, &cells(&[square("B", "S", [118.1, 118.2])]), NOW).expect("good").0;
    let (_, diff) = merge(&all, &devices("D1,other,a,,B,118.05,32.15,\nD2,other,a,,S,118.05,32.15,\n"), NOW)
        .expect("good");
    assert_eq!(diff.hints, ["the device `D1` is registered in `B`, but its coordinates lie in `A`"]);
}

proptest! {
    /// The same file twice changes nothing, whatever it says and whatever was there before.
    #[test]
    fn merge_is_idempotent(
        first in prop::collection::vec((0..6u8, 0..3u8, 0..4u8, any::<bool>()), 0..12),
        second in prop::collection::vec((0..6u8, 0..3u8, 0..4u8, any::<bool>()), 0..12),
        duties in prop::collection::vec((0..3u8, 0..2u8, 1..9u8, 0..3u8), 0..6),
    ) {
        let table = |rows: &[(u8, u8, u8, bool)]| {
            let mut seen = BTreeSet::new();
            let rows = rows.iter().filter(|row| seen.insert(row.0)).map(|(id, cell, name, retired)| {
                let place = ["A,,", "S,118.15,32.15", ",118.05,32.15"][*cell as usize];
                format!("D{id},other,n{name},,{place},{}\n", if *retired { "yes" } else { "" })
            });
            devices(&rows.collect::<String>())
        };
        let duties: String = duties.iter().map(|(person, cell, month, role)| {
            let role = ["deputy", "worker", "helper"][*role as usize];
            format!("p{person},n,123,{role},{},2026-0{month}-01,2026-0{month}-27,\n", ["A", "B"][*cell as usize])
        }).collect();
        let files = [grid(), table(&first), table(&second), people(&duties)];
        let mut rows = Rows::default();
        for file in &files {
            let Ok((next, _)) = merge(&rows, file, NOW) else { continue };
            for later in [NOW, NOW + Millis::from_secs(1_000_000)] {
                let (again, diff) = merge(&next, file, later).expect("it was good a moment ago");
                prop_assert!(diff.is_empty(), "{}", diff);
                prop_assert_eq!(&again, &next);
            }
            prop_assert!(next.devices.iter().enumerate().all(|(at, device)| device.ix.at() == at));
            rows = next;
        }
    }
}
