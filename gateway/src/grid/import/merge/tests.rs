//! Files laid over a registry: what comes out, what is refused.

use std::collections::BTreeSet;

use proptest::prelude::*;

use super::*;
use crate::grid::import::{parse_cells, parse_devices, parse_people, read_absences, read_teams};
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
fn where_a_device_hangs_on_a_plan_is_a_change_like_any_other() {
    use crate::grid::plan::{Change, Picture, Plan, Shows};
    let rows = after(&[grid(), devices("D1,other,a,,A,,,\nD2,other,b,,A,,,\n")]);
    let shows = Shows::Floor { building: "3栋".into(), floor: 5 };
    let plan = Plan {
        code: "P-5F".into(),
        cell: "A".into(),
        name: String::new(),
        shows,
        picture: Picture::default(),
    };
    let rows = Change::Put(plan).apply(&rows).expect("sound").expect("new");
    let file = |rows: &str| {
        parse_devices("d.csv", format!("id,kind,name,plan,plan_x,plan_y\n{rows}").as_bytes()).expect("good")
    };
    let (rows, diff) = merge(&rows, &file("D2,other,b,P-5F,0.25,0.5\nD1,other,a,,,\n"), NOW).expect("good");
    assert_eq!(
        diff.to_string(),
        "0 added, 1 changed, 0 retired\n~ device D2 plan: (none) → P-5F at 0.25, 0.5"
    );
    let (same, diff) = merge(&rows, &devices("D2,other,b,,A,,,\n"), NOW).expect("good");
    assert!(diff.is_empty() && same.pins == rows.pins, "a file without the column leaves it alone");
    let (rows, diff) = merge(&rows, &file("D1,other,a,P-5F,0,1\nD2,other,b,,,\n"), NOW).expect("good");
    assert_eq!((diff.changed, rows.pins.len(), rows.pins[0].device.as_str()), (2, 1, "D1"));
    let (rows, diff) = merge(&rows, &file("D1,other,a,P-6F,0,1\n"), NOW).expect("its picture may follow");
    assert_eq!((rows.pins[0].plan.as_str(), diff.hints.len()), ("P-6F", 1));
    assert!(diff.hints[0].ends_with("not there yet; did you mean `P-5F`?"), "{diff}");
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

fn staffed() -> Rows {
    after(&[
        grid(),
        devices("D1,smoke_detector,a,,A,,,\n"),
        people(
            "w,n,123,lead,A,2026-01-01,,\nv,m,124,deputy,A,2026-01-01,,\nu,o,125,,,,,\ngone,p,126,,,,,yes\n",
        ),
    ])
}

fn absences(rows: &str) -> Result<Parsed, Problems> {
    let text = format!("工号,开始,结束,替岗人,事由,取消\n{rows}");
    read_absences("a.csv", text.as_bytes()).expect("a table").whole()
}

fn teams(rows: &str) -> Result<Parsed, Problems> {
    let text = format!("name,kind,person,part,cells,devices,flat,from,until,retired\n{rows}");
    read_teams("t.csv", text.as_bytes()).expect("a table").whole()
}

fn who(rows: &Rows, when: &str) -> String {
    let registry = crate::grid::Registry::build(rows.clone());
    let cell = registry.cell_by_code("A").expect("there").ix;
    let at = Timestamp::parse_rfc3339(when).expect("valid");
    registry.responsible(cell, at).map_or("-".into(), |person| person.id.clone())
}

#[test]
fn an_absence_is_taken_in_changed_and_cancelled() {
    let rows = staffed();
    let leave = absences("w,2026-12-01,2026-12-03,u,年休,\n").expect("good");
    let (away, diff) = merge(&rows, &leave, NOW).expect("good");
    assert_eq!(diff.to_string(), "1 added, 0 changed, 0 retired\n+ absence w from 2026-12-01 00:00");
    assert_eq!(who(&away, "2026-12-03T23:59:59+08:00"), "u", "the last day counts");
    assert_eq!(who(&away, "2026-12-04T00:00:00+08:00"), "w");
    assert!(merge(&away, &leave, NOW).expect("good").1.is_empty());
    let nobody = absences("w,2026-12-01,,,,\n").expect("good");
    let (away, diff) = merge(&away, &nobody, NOW).expect("good");
    assert_eq!((diff.changed, who(&away, "2027-03-01T00:00:00+08:00")), (1, "v".into()));
    let cancelled = absences("w,2026-12-01,,,,是\n").expect("good");
    let (back, diff) = merge(&away, &cancelled, NOW).expect("good");
    assert_eq!((diff.retired, &back.absences), (1, &rows.absences));
    assert!(merge(&back, &cancelled, NOW).expect("good").1.is_empty());
}

#[test]
fn every_bad_absence_is_named() {
    let wrong =
        absences("w,soon,,,,\nw,2026-12-05,2026-12-01,,,\n,2026-12-05,,,,\nw,2026-12-01,,,,vielleicht\n")
            .expect_err("bad");
    let spots: Vec<_> = wrong.iter().map(|p| format!("{}:{}", p.line, p.column)).collect();
    assert_eq!(spots, ["2:3", "3:14", "4:1", "5:17"], "{wrong}");
    let rows = staffed();
    let file =
        absences("x,2026-12-01,,,,\nw,2026-12-01,2026-12-09,w,,\nw,2026-12-05,,zz,,\nv,2026-12-01,,gone,,\n");
    let text = refused(&rows, &file.expect("good by itself"));
    for wanted in [
        "a.csv:2:1: there is no person `x`",
        "a.csv:3:1: `w` cannot stand in for himself",
        "a.csv:4:1: `w` is absent twice at the same time",
        "a.csv:4:1: there is no person `zz`",
        "a.csv:5:1: `gone` has left; name somebody who is there",
    ] {
        assert!(text.contains(wanted), "{text}\nshould hold\n{wanted}");
    }
}

#[test]
fn a_team_is_for_cells_devices_or_a_flat_and_its_members_have_stand_ins() {
    let rows = staffed();
    let file = teams("3-501,五包一,w,网格员,,D1,3栋501,2026-01-01,,\n3-501,,v,社区,,,,,,\nS-Q,response,u,driver,S,,,2026-11-01,2026-12-31,\n").expect("good");
    let (rows, diff) = merge(&rows, &file, NOW).expect("good");
    assert_eq!((diff.added, diff.hints.len()), (2, 1), "two are not five: {diff}");
    let leave = absences("w,2026-11-01,,u,,\n").expect("good");
    let rows = merge(&rows, &leave, NOW).expect("good").0;
    let registry = crate::grid::Registry::build(rows.clone());
    let ids =
        |name: &str, at| registry.team(name, at).iter().map(|person| person.id.clone()).collect::<Vec<_>>();
    assert_eq!(ids("3-501", NOW), ["u", "v"]);
    assert_eq!(ids("S-Q", Timestamp(0)), [""; 0]);
    let (cell, device) = (registry.cell_by_code("A").expect("there").ix, Some(DeviceIx(0)));
    let names = |device, at| {
        registry.teams_for(cell, device, at).iter().map(|team| team.name.clone()).collect::<Vec<_>>()
    };
    assert_eq!(
        (names(device, NOW), names(None, NOW)),
        (vec!["3-501".to_owned(), "S-Q".to_owned()], vec!["S-Q".to_owned()])
    );
    let over = teams("S-Q,response,u,driver,S,,,2026-11-01,2026-12-31,yes\n").expect("good");
    let (ended, diff) = merge(&rows, &over, NOW).expect("good");
    assert_eq!((diff.retired, ended.teams[1].until), (1, Some(NOW)));
    assert!(merge(&ended, &over, NOW + Millis(5)).expect("good").1.is_empty());
}

#[test]
fn every_bad_team_is_named() {
    let wrong = teams("t,gang,w,,A,,,2026-01-01,,\nu,other,,,A,,,2026-01-01,,\nv,other,w,,A,,,2026-01-01,,\nv,other,u,,S,,,,,\n").expect_err("bad");
    let spots: Vec<_> = wrong.iter().map(|p| format!("{}:{}", p.line, p.column)).collect();
    assert_eq!(spots, ["2:3", "3:9", "5:1"], "{wrong}");
    let file = teams("t,other,w,,Z,D9,,2026-01-01,,\nt,,w,,,,,,,\nn,other,gone,,,,,2026-01-01,,\n")
        .expect("good by itself");
    let text = refused(&staffed(), &file);
    for wanted in [
        "t.csv:2:1: there is no cell `Z` in service",
        "t.csv:2:1: there is no device `D9` in service",
        "t.csv:3:4: `w` is in the team `t` twice",
        "t.csv:4:1: the team `n` is for nothing",
        "t.csv:4:9: `gone` has left",
    ] {
        assert!(text.contains(wanted), "{text}\nshould hold\n{wanted}");
    }
}

fn with(columns: &str, rows: &str) -> Parsed {
    let text = format!("id,name,phone,role,cell,from,{columns}\n{rows}");
    parse_people("p.csv", text.as_bytes()).expect("good")
}

#[test]
fn contacts_and_training_stay_where_a_file_has_no_column_for_them() {
    let rows = staffed();
    let file =
        with("contact:ntfy,contact:email,trained_until", "u,o,125,,,,topic-u,u@example.org,2027-06-30\n");
    let (rows, diff) = merge(&rows, &file, NOW).expect("good");
    assert_eq!(diff.lines, ["~ person u contacts, training"], "no address is shown");
    let u = |rows: &Rows| rows.people.iter().find(|person| person.id == "u").expect("there").clone();
    assert_eq!(u(&rows).trained_until.map(Timestamp::rfc3339).as_deref(), Some("2027-06-30T16:00:00.000Z"));
    let (same, diff) = merge(&rows, &people("u,o,125,,,,,\n"), NOW).expect("good");
    assert!(diff.is_empty() && u(&same) == u(&rows), "{diff}");
    let (less, _) = merge(&rows, &with("contact:ntfy", "u,o,125,,,,\n"), NOW).expect("good");
    assert_eq!(u(&less).contacts.keys().collect::<Vec<_>>(), ["email"], "an empty field takes it away");
}

#[test]
fn training_blocks_a_duty_that_goes_on_beyond_it() {
    let rows = staffed();
    let text = refused(&rows, &with("until,trained_until", "u,o,125,worker,A,2026-01-01,,2026-12-31\n"));
    assert!(
        text.contains(
            "p.csv:2:16: `u` is trained until 2026-12-31, and the duty for the cell `A` has no end"
        ),
        "{text}"
    );
    let fits = with("until,trained_until", "u,o,125,worker,A,2026-01-01,2026-12-31,2026-12-31\n");
    let rows = merge(&rows, &fits, NOW).expect("good").0;
    // Training cut short by a row that names no duty.
    let text = refused(&rows, &with("trained_until", "u,o,125,,,,2026-12-30\n"));
    assert!(
        text.contains(
            "p.csv:2:1: `u` is trained until 2026-12-30, and the duty for the cell `A` goes on longer"
        ),
        "{text}"
    );
}

#[test]
fn both_rows_of_two_leads_are_named_and_hours_that_do_not_meet_are_no_fault() {
    let rows = after(&[grid()]);
    let two = |night: &str| {
        with("hours", &format!("w,n,123,lead,A,2026-01-01,08:00-20:00\nv,m,124,lead,A,2026-01-01,{night}\n"))
    };
    let text = refused(&rows, &two("Sun 19:00-08:00"));
    assert!(
        text.contains("p.csv:2:14: `v` and `w` both lead")
            && text.contains("p.csv:3:14: `v` and `w` both lead"),
        "{text}"
    );
    assert_eq!(merge(&rows, &two("20:00-08:00"), NOW).expect("good").0.duties.len(), 2);
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
