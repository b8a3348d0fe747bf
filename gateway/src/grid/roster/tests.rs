//! Who answers at which instant, against a second, slower way to say the same.

use proptest::prelude::*;

use super::*;
use crate::grid::vacancy::{self, Gap};
use crate::grid::{Absence, Cell, Duty};
use crate::units::Zone;

const HALF_HOUR: i64 = 1_800_000;

fn at(text: &str) -> Timestamp {
    Timestamp::parse_rfc3339(text).expect("valid")
}

fn cell(ix: u32, code: &str, parent: Option<&str>) -> Cell {
    Cell {
        ix: CellIx(ix),
        code: code.into(),
        name: code.into(),
        scheme: "admin".into(),
        parent: parent.map(str::to_owned),
        kind: "cell".into(),
        polygons: Vec::new(),
        retired: false,
    }
}

/// A street `S` with the cells `A` and `B`; the people a to e.
fn town() -> Rows {
    let person = |id: char| Person { id: id.into(), name: id.into(), ..Person::default() };
    Rows {
        version: 1,
        cells: vec![cell(0, "S", None), cell(1, "A", Some("S")), cell(2, "B", Some("S"))],
        people: ('a'..='e').map(person).collect(),
        ..Rows::default()
    }
}

fn duty(person: &str, cell: &str, role: Role, hours: &str) -> Duty {
    Duty {
        person: person.into(),
        cell: cell.into(),
        role,
        from: at("2026-01-01T00:00:00+08:00"),
        until: None,
        hours: (!hours.is_empty()).then(|| Hours::parse(hours).expect("good")),
    }
}

fn absence(person: &str, from: &str, until: &str, stand_in: Option<&str>) -> Absence {
    Absence {
        person: person.into(),
        from: at(from),
        until: Some(at(until)),
        stand_in: stand_in.map(str::to_owned),
        reason: String::new(),
    }
}

fn answers(rows: &Rows, cell: u32, when: &str) -> String {
    let registry = Registry::build(rows.clone());
    registry.responsible(CellIx(cell), at(when)).map_or("-".into(), |person| person.id.clone())
}

#[test]
fn day_and_night_have_their_people() {
    let mut rows = town();
    rows.duties = vec![
        duty("a", "A", Role::Lead, "Mon-Fri 08:00-20:00"),
        duty("b", "A", Role::Deputy, "20:00-08:00"),
        duty("c", "A", Role::Helper, ""),
        duty("d", "S", Role::DutyOfficer, ""),
        duty("e", "S", Role::Department, ""),
    ];
    for (when, wanted) in [
        ("2026-11-23T07:59:59+08:00", "b"),
        ("2026-11-23T08:00:00+08:00", "a"),
        ("2026-11-23T19:59:59+08:00", "a"),
        ("2026-11-23T20:00:00+08:00", "b"),
        ("2026-11-24T03:00:00+08:00", "b"),
        ("2026-11-28T12:00:00+08:00", "d"), // Saturday: a helper does not answer.
    ] {
        assert_eq!(answers(&rows, 1, when), wanted, "{when}");
    }
    rows.duties.retain(|duty| duty.person != "d");
    assert_eq!(answers(&rows, 1, "2026-11-28T12:00:00+08:00"), "-", "a department does not answer");
}

#[test]
fn a_stand_in_has_every_duty_and_else_the_next_in_order() {
    let mut rows = town();
    rows.duties = vec![
        duty("a", "A", Role::Lead, ""),
        duty("a", "B", Role::Lead, ""),
        duty("b", "A", Role::Deputy, ""),
    ];
    let (from, until) = ("2026-11-23T08:00:00+08:00", "2026-11-25T08:00:00+08:00");
    let night = "2026-11-24T03:00:00+08:00";
    rows.absences = vec![absence("a", from, until, Some("c"))];
    assert_eq!([answers(&rows, 1, from), answers(&rows, 2, night)], ["c", "c"]);
    assert_eq!(answers(&rows, 2, until), "a", "the end does not count");
    rows.absences.push(absence("c", from, until, Some("d")));
    assert_eq!(answers(&rows, 2, night), "d", "the stand-in is absent too");
    rows.absences[1].stand_in = Some("a".into());
    assert_eq!([answers(&rows, 1, night), answers(&rows, 2, night)], ["b", "-"], "they name each other");
    rows.absences = vec![absence("a", from, until, None)];
    assert_eq!([answers(&rows, 1, night), answers(&rows, 2, night)], ["b", "-"]);
    rows.absences = vec![absence("a", from, until, Some("c"))];
    rows.people[2].retired = true;
    assert_eq!(answers(&rows, 1, night), "b", "the stand-in has left");
}

/// Berlin: October 25, 2026 has the hour from 02:00 to 03:00 twice, March 29 has none.
#[test]
fn a_hand_over_in_the_hour_that_comes_twice_or_never_happens_once() {
    let mut rows = town();
    rows.zone = Zone::named("Europe/Berlin").expect("known");
    rows.duties = vec![duty("a", "A", Role::Lead, "20:00-02:30"), duty("b", "A", Role::Lead, "02:30-20:00")];
    for (when, wanted) in [
        ("2026-10-25T02:29:59+02:00", "a"),
        ("2026-10-25T02:30:00+02:00", "b"),
        ("2026-10-25T02:00:00+01:00", "b"),
        ("2026-10-25T02:29:00+01:00", "b"),
        ("2026-10-25T03:00:00+01:00", "b"),
        ("2026-03-29T01:59:59+01:00", "a"),
        ("2026-03-29T03:00:00+02:00", "b"),
    ] {
        assert_eq!(answers(&rows, 1, when), wanted, "{when}");
    }
    let registry = Registry::build(rows);
    let change = registry.next_change(at("2026-10-25T00:00:00+02:00"));
    assert_eq!(change, Some(at("2026-10-25T02:30:00+02:00")));
    let then = registry.next_change(at("2026-10-25T02:30:00+02:00"));
    assert_eq!(then, Some(at("2026-10-25T20:00:00+01:00")));
}

#[test]
fn a_roster_that_stays_as_it_is_never_changes() {
    let mut rows = town();
    rows.duties = vec![duty("a", "A", Role::Lead, "08:00-20:00"), duty("b", "B", Role::Lead, "")];
    rows.absences =
        vec![Absence { until: None, ..absence("a", "2026-01-02T00:00:00Z", "2027-01-01T00:00:00Z", None) }];
    let registry = Registry::build(rows);
    assert_eq!(
        registry.next_change(at("2026-11-23T00:00:00Z")),
        None,
        "whoever works by day is away for good"
    );
    assert_eq!(Registry::build(town()).next_change(Timestamp(0)), None);
}

#[test]
fn a_gap_says_who_covers_it_and_a_hole_is_the_root_s() {
    let mut rows = town();
    rows.duties = vec![
        duty("a", "A", Role::Lead, ""),
        duty("b", "B", Role::Worker, "08:00-20:00"),
        duty("c", "S", Role::Lead, "Mon-Sat 00:00-24:00"),
    ];
    let registry = Registry::build(rows);
    let (from, until) = (at("2026-11-28T12:00:00+08:00"), at("2026-11-30T12:00:00+08:00")); // Saturday to Monday
    let gaps = vacancy::gaps(&registry, from, until);
    let gap = |cell, from: &str, until: &str, by: Option<u32>| Gap {
        cell: CellIx(cell),
        from: at(&format!("2026-11-{from}:00+08:00")),
        until: at(&format!("2026-11-{until}:00+08:00")),
        covered_by: by.map(CellIx),
    };
    assert_eq!(
        gaps,
        [
            gap(0, "29T00:00", "30T00:00", None),
            gap(2, "28T20:00", "29T00:00", Some(0)),
            gap(2, "29T00:00", "29T08:00", None),
            gap(2, "29T20:00", "30T00:00", None),
            gap(2, "30T00:00", "30T08:00", Some(0)),
        ]
    );
    assert_eq!(vacancy::first_holes(&registry, &gaps), [gaps[0]]);
    assert!(
        vacancy::gaps(&Registry::build(town()), from, until).is_empty(),
        "a station without duties tells nobody by name"
    );
}

#[test]
fn training_is_mentioned_thirty_days_before() {
    let mut rows = town();
    rows.duties = vec![duty("a", "A", Role::Lead, ""), duty("b", "A", Role::Worker, "")];
    let now = at("2026-11-23T00:00:00+08:00");
    rows.people[0].trained_until = Some(now + Millis::from_secs(30 * 24 * 3600));
    rows.people[1].trained_until = Some(now + Millis::from_secs(31 * 24 * 3600));
    rows.people[2].trained_until = Some(now); // Has no duty.
    let registry = Registry::build(rows);
    let told: Vec<_> = vacancy::training_runs_out(&registry, now).iter().map(|(p, _)| p.id.clone()).collect();
    assert_eq!(told, ["a"]);
}

/// A city: every cell with its own day and night people. Counts work, not time: the boundaries looked at are those of the cell.
#[test]
fn a_city_is_looked_at_by_what_changes() {
    let mut rows = town();
    rows.cells = (0..3_689)
        .map(|n| cell(n, &format!("C{n}"), (n > 0).then(|| format!("C{}", (n - 1) / 12)).as_deref()))
        .collect();
    rows.people = (0..2_346).map(|n| Person { id: format!("p{n}"), ..Person::default() }).collect();
    for n in 0..3_689u32 {
        let hours =
            |from: u32| format!("{:02}:{:02}-{:02}:{:02}", from % 24, n % 60, (from + 12) % 24, n % 60);
        rows.duties.push(duty(&format!("p{}", n % 2_346), &format!("C{n}"), Role::Lead, &hours(n % 24)));
        rows.duties.push(duty(
            &format!("p{}", (n + 7) % 2_346),
            &format!("C{n}"),
            Role::Deputy,
            &hours(n % 24 + 12),
        ));
    }
    let from = at("2026-11-23T00:00:00+08:00");
    let registry = Registry::build(rows);
    assert_eq!(vacancy::gaps(&registry, from, from + vacancy::AHEAD), []);
    let edges = registry.boundaries(CellIx(5), from, from + vacancy::AHEAD, &mut Weeks::new());
    assert_eq!(edges.len(), 14);
    assert!(registry.next_change(from).is_some());
}

/// A few duties and absences in random order, on half hours of three weeks around the change of the clocks.
fn roster() -> impl Strategy<Value = Rows> {
    let time = 0..21 * 48i64;
    let duty = (
        0..5usize,
        0..3usize,
        0..7usize,
        time.clone(),
        prop::option::of(1..21 * 48i64),
        prop::option::of((0..7usize, 0..48u8, 1..48u8)),
    );
    let absence = (0..5usize, time, prop::option::of(1..300i64), prop::option::of(0..5usize));
    let zone = prop::sample::select(vec!["Europe/Berlin", "Asia/Shanghai"]);
    (prop::collection::vec(duty, 0..7), prop::collection::vec(absence, 0..4), zone).prop_map(
        |(duties, absences, zone)| {
            let mut rows = town();
            let begin = at("2026-10-15T00:00:00Z");
            let instant = |half_hours: i64| Timestamp(begin.0 + half_hours * HALF_HOUR);
            let id = |n: usize| rows.people[n].id.clone();
            let clock = |half: u8| format!("{:02}:{:02}", half % 48 / 2, half % 2 * 30);
            rows.duties = duties
                .iter()
                .map(|(person, cell, role, from, long, hours)| Duty {
                    person: id(*person),
                    cell: rows.cells[*cell].code.clone(),
                    role: Role::TABLE[*role].role,
                    from: instant(*from),
                    until: long.map(|long| instant(from + long)),
                    hours: hours.map(|(day, from, long)| {
                        let days = ["Mon-Fri", "Sat", "Sun", "Sat-Mon", "每天", "Sun-Wed", "Thu"][day];
                        Hours::parse(&format!("{days} {}-{}", clock(from), clock(from + long))).expect("good")
                    }),
                })
                .collect();
            rows.absences = absences
                .iter()
                .map(|(person, from, long, stand_in)| Absence {
                    person: id(*person),
                    from: instant(*from),
                    until: long.map(|long| instant(from + long)),
                    stand_in: stand_in.map(id),
                    reason: String::new(),
                })
                .collect();
            rows.zone = Zone::named(zone).expect("known");
            rows
        },
    )
}

fn everybody(registry: &Registry, at: Timestamp) -> Vec<Vec<(Role, &str)>> {
    let cells = registry.cells().iter();
    cells
        .map(|cell| {
            registry.on_duty(cell.ix, at).into_iter().map(|(role, p)| (role, p.id.as_str())).collect()
        })
        .collect()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    /// The next change is exactly where somebody comes or goes, looked for the slow way.
    #[test]
    fn the_next_change_is_where_the_answer_changes(rows in roster(), start in 0..20 * 24 * 60i64) {
        let registry = Registry::build(rows);
        let now = Timestamp(at("2026-10-15T00:00:00Z").0 + start * 60_000);
        let was = everybody(&registry, now);
        let next = now.0.div_euclid(HALF_HOUR) + 1;
        let slow = (next..next + 42 * 48).map(|n| Timestamp(n * HALF_HOUR)).find(|&at| everybody(&registry, at) != was);
        let found = registry.next_change(now);
        prop_assert_eq!(found.filter(|at| at.0 <= (next + 42 * 48) * HALF_HOUR), slow);
        if let Some(change) = found {
            prop_assert_eq!(everybody(&registry, change - Millis(1)), was);
        }
    }

    /// Whoever answers is on duty in a role that answers, in the cell itself or in the first above it where anybody does; and the week's list agrees at every half hour.
    #[test]
    fn the_list_of_gaps_agrees_with_who_answers(rows in roster(), start in 0..20 * 48i64) {
        let registry = Registry::build(rows);
        let begin = Timestamp(at("2026-10-15T00:00:00Z").0 + start * HALF_HOUR);
        let end = begin + vacancy::AHEAD;
        let gaps = vacancy::gaps(&registry, begin, end);
        let none_at_all = registry.rows().duties.is_empty();
        for half in 0..7 * 48 {
            let at = Timestamp(begin.0 + half * HALF_HOUR);
            for cell in registry.cells() {
                let first = registry.up_from(cell.ix).find_map(|cell| {
                    let on_duty = registry.on_duty(cell, at);
                    on_duty.into_iter().find(|(role, _)| role.answers()).map(|(_, person)| (cell, person))
                });
                prop_assert_eq!(registry.responsible(cell.ix, at), first.map(|(_, person)| person));
                let gap: Vec<_> = gaps.iter().filter(|gap| gap.cell == cell.ix && gap.from <= at && at < gap.until).collect();
                let by = first.map(|(by, _)| by);
                match (none_at_all, by == Some(cell.ix)) {
                    (true, _) | (false, true) => prop_assert!(gap.is_empty(), "{gap:?} at {at}"),
                    (false, false) => {
                        prop_assert_eq!(gap.len(), 1, "at {}", at);
                        prop_assert_eq!(gap[0].covered_by, by);
                    }
                }
            }
        }
    }
}
