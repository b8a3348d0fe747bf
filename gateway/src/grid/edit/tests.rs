//! Edits one after the other: what comes out, what is refused, and that nothing unsound ever gets in.

use proptest::prelude::*;

use super::*;
use crate::grid::{Cell, Hours, Registry, TeamKind};
use crate::model::CellIx;
use crate::units::Millis;

const NOW: Timestamp = Timestamp(1_795_000_000_000);
const DAY: Millis = Millis::from_secs(24 * 3600);

fn rows() -> Rows {
    let cell = |ix: u32, code: &str| Cell {
        ix: CellIx(ix),
        code: code.into(),
        name: code.into(),
        scheme: "admin".into(),
        parent: None,
        kind: "cell".into(),
        polygons: Vec::new(),
        retired: false,
    };
    let person = |id: &str| Person { id: id.into(), name: id.into(), ..Person::default() };
    Rows {
        version: 4,
        cells: vec![cell(0, "A"), cell(1, "B")],
        people: ["wang", "li", "zhao"].map(person).into(),
        ..Rows::default()
    }
}

fn lead(person: &str, cell: &str) -> Duty {
    Duty { person: person.into(), cell: cell.into(), role: Role::Lead, from: NOW, until: None, hours: None }
}

fn done(rows: &Rows, edit: &Edit) -> Rows {
    edit.apply(rows, NOW + DAY).expect("sound").expect("a change")
}

fn refused(rows: &Rows, edit: &Edit) -> String {
    match edit.apply(rows, NOW + DAY) {
        Err(Refused::Unsound(wrong)) => wrong.join("\n"),
        Err(Refused::Unknown(what)) => what,
        Ok(_) => panic!("must be refused: {edit:?}"),
    }
}

fn who(rows: &Rows, cell: u32, at: Timestamp) -> Option<String> {
    Registry::build(rows.clone()).responsible(CellIx(cell), at).map(|person| person.id.clone())
}

fn team(members: &[&str]) -> Team {
    let member = |id: &&str| Member { person: (*id).into(), part: "民警".into() };
    Team {
        name: "五包一 3-501".into(),
        kind: TeamKind::FiveInOne,
        members: members.iter().map(member).collect(),
        cells: vec!["A".into()],
        devices: Vec::new(),
        flat: None,
        from: NOW,
        until: None,
    }
}

#[test]
fn a_team_is_put_together_changed_and_ended() {
    let first = done(&rows(), &Edit::Team(team(&["wang", "li"])));
    assert_eq!(Edit::Team(team(&["wang", "li"])).apply(&first, NOW + DAY), Ok(None), "the same again");
    let called = |rows: &Rows, at| {
        let registry = Registry::build(rows.clone());
        registry.team("五包一 3-501", at).iter().map(|person| person.id.clone()).collect::<Vec<_>>()
    };
    let second = done(&first, &Edit::Team(team(&["li", "zhao"])));
    assert_eq!((called(&second, NOW), second.teams.len()), (vec!["li".into(), "zhao".into()], 1));
    let over = done(&second, &Edit::Disband { team: "五包一 3-501".into() });
    assert_eq!(
        (called(&over, NOW + DAY).len(), called(&over, NOW).len()),
        (0, 2),
        "what was stays on record"
    );
    let later = Team { from: NOW + DAY + DAY, ..team(&["wang"]) };
    let planned = done(&rows(), &Edit::Team(later));
    assert_eq!(done(&planned, &Edit::Disband { team: "五包一 3-501".into() }).teams, []);
    for (wrong, said) in [
        (Team { cells: vec!["Z".into()], ..team(&["wang"]) }, "there is no cell `Z`"),
        (Team { cells: Vec::new(), ..team(&["wang"]) }, "is for nothing"),
        (team(&["wang", "wang"]), "is in the team `五包一 3-501` twice"),
        (team(&["nobody"]), "there is no person `nobody`"),
        (team(&[]), "must have 1 to 200 members"),
        (Team { name: " ".into(), ..team(&["wang"]) }, "the name of a team"),
        (Team { until: Some(NOW - DAY), ..team(&["wang"]) }, "ends before it begins"),
    ] {
        let why = refused(&rows(), &Edit::Team(wrong));
        assert!(why.contains(said), "{said}: {why}");
    }
    assert_eq!(refused(&rows(), &Edit::Disband { team: "none".into() }), "There is no team `none`.");
}

#[test]
fn who_leaves_answers_for_nothing_from_that_instant() {
    let rows = done(&rows(), &Edit::Assign(lead("wang", "A")));
    assert_eq!(who(&rows, 0, NOW + DAY).as_deref(), Some("wang"));
    let left = done(&rows, &Edit::Leave { person: "wang".into() });
    assert_eq!((left.version, who(&left, 0, NOW + DAY)), (6, None));
    assert_eq!(left.duties[0].until, Some(NOW + DAY), "what was stays on record");
    assert!(refused(&left, &Edit::Assign(lead("wang", "B"))).contains("`wang` has left"));
    let back =
        done(&left, &Edit::Person(Person { id: "wang".into(), name: "王".into(), ..Person::default() }));
    assert_eq!(who(&back, 0, NOW + DAY), None, "who comes back gets duties anew");
}

#[test]
fn an_edit_twice_changes_nothing() {
    let rows = done(&rows(), &Edit::Assign(lead("wang", "A")));
    assert_eq!(Edit::Assign(lead("wang", "A")).apply(&rows, NOW + DAY), Ok(None));
    let left = done(&rows, &Edit::Leave { person: "wang".into() });
    assert_eq!(Edit::Leave { person: "wang".into() }.apply(&left, NOW + DAY + DAY), Ok(None));
}

#[test]
fn a_duty_is_ended_or_taken_away() {
    let rows = done(&rows(), &Edit::Assign(lead("wang", "A")));
    let release = |from| Edit::Release { person: "wang".into(), cell: "A".into(), role: Role::Lead, from };
    assert_eq!(done(&rows, &release(NOW)).duties[0].until, Some(NOW + DAY));
    let later = NOW + DAY + DAY;
    let rows = done(&rows, &Edit::Assign(Duty { from: later, cell: "B".into(), ..lead("wang", "B") }));
    let release = Edit::Release { person: "wang".into(), cell: "B".into(), role: Role::Lead, from: later };
    assert_eq!(done(&rows, &release).duties.len(), 1);
    assert!(refused(&rows, &Edit::Back { person: "wang".into(), from: NOW }).contains("has no absence"));
}

#[test]
fn what_makes_no_sense_is_refused_with_its_reason() {
    let mut rows = done(&rows(), &Edit::Assign(lead("wang", "A")));
    rows.people[1].trained_until = Some(NOW + DAY);
    let hours = |text: &str| Some(Hours::parse(text).expect("good"));
    let away = |person: &str, stand_in: &str, days: u64| Absence {
        person: person.into(),
        from: NOW,
        until: Some(NOW + Millis(DAY.0 * days)),
        stand_in: Some(stand_in.into()),
        reason: String::new(),
    };
    for (edit, wanted) in [
        (Edit::Assign(lead("zhao", "A")), "`wang` and `zhao` both lead the cell `A`"),
        (Edit::Assign(lead("zhao", "C")), "there is no cell `C` in service; did you mean `A`?"),
        (Edit::Assign(lead("nobody", "A")), "There is no person `nobody`."),
        (
            Edit::Assign(Duty { until: Some(NOW), from: NOW + DAY, ..lead("zhao", "B") }),
            "ends before it begins",
        ),
        (
            Edit::Assign(lead("li", "B")),
            "`li` is trained until 2026-11-19, and the duty for the cell `B` has no end",
        ),
        (Edit::Assign(Duty { from: NOW + Millis(1), ..lead("wang", "A") }), "twice at the same time"),
        (Edit::Assign(Duty { hours: hours("08:00-20:00"), ..lead("zhao", "A") }), "both lead"),
        (
            Edit::Person(Person { id: "a b".into(), name: "n".into(), ..Person::default() }),
            "the id `a b` holds ' '",
        ),
        (Edit::Person(Person { id: "x".into(), ..Person::default() }), "the name of `x` is empty"),
        (
            Edit::Person(Person {
                id: "x".into(),
                name: "n".into(),
                phone: "1.38E+10".into(),
                ..Person::default()
            }),
            "Excel rewrote",
        ),
        (
            Edit::Person(Person {
                id: "x".into(),
                name: "n".into(),
                contacts: [("ntfy".into(), "a\nb".into())].into(),
                ..Person::default()
            }),
            "no address for `ntfy`",
        ),
        (Edit::Absent(away("wang", "wang", 3)), "cannot stand in for himself"),
        (Edit::Absent(away("wang", "zhaoo", 3)), "there is no person `zhaoo`; did you mean `zhao`?"),
        (Edit::Absent(away("wang", "li", 3)), "the stand-in `li` is trained until"),
        (
            Edit::Person(Person {
                id: "wang".into(),
                name: "王".into(),
                trained_until: Some(NOW),
                ..Person::default()
            }),
            "`wang` is trained until",
        ),
    ] {
        let said = refused(&rows, &edit);
        assert!(said.contains(wanted), "{said}\nshould hold\n{wanted}");
    }
}

#[test]
fn two_leads_may_share_a_cell_by_the_clock() {
    let hours = |text: &str| Some(Hours::parse(text).expect("good"));
    let rows = done(&rows(), &Edit::Assign(Duty { hours: hours("08:00-20:00"), ..lead("wang", "A") }));
    let rows = done(&rows, &Edit::Assign(Duty { hours: hours("20:00-08:00"), ..lead("zhao", "A") }));
    let hour = |n: u64| who(&rows, 0, NOW + Millis::from_secs(n * 3600));
    let seen: std::collections::BTreeSet<_> = (0..24).map(hour).collect();
    assert_eq!(seen, [Some("wang".to_owned()), Some("zhao".to_owned())].into());
}

fn edit() -> impl Strategy<Value = Edit> {
    const HOURS: [&str; 4] = ["", "08:00-20:00", "20:00-08:00", "Sat,Sun 00:00-24:00"];
    let id = || prop::sample::select(vec!["wang", "li", "zhao"]).prop_map(str::to_owned);
    let day = || (0..6u64).prop_map(|day| NOW + Millis(DAY.0 * day));
    let duty = (id(), 0..2usize, 0..3usize, day(), prop::option::of(day()), 0..4usize).prop_map(
        |(person, cell, role, from, until, hours)| Duty {
            person,
            cell: ["A", "B"][cell].into(),
            role: Role::TABLE[role].role,
            from,
            until,
            hours: Hours::parse(HOURS[hours]).ok(),
        },
    );
    let absence = (id(), day(), prop::option::of(day()), prop::option::of(id())).prop_map(
        |(person, from, until, stand_in)| Absence { person, from, until, stand_in, reason: String::new() },
    );
    prop_oneof![
        6 => duty.clone().prop_map(Edit::Assign),
        2 => absence.clone().prop_map(Edit::Absent),
        1 => duty.prop_map(|duty| Edit::Release { person: duty.person, cell: duty.cell, role: duty.role, from: duty.from }),
        1 => absence.prop_map(|absence| Edit::Back { person: absence.person, from: absence.from }),
        1 => id().prop_map(|person| Edit::Leave { person }),
        1 => (id(), prop::option::of(day())).prop_map(|(id, trained_until)| {
            Edit::Person(Person { id, name: "n".into(), trained_until, ..Person::default() })
        }),
    ]
}

proptest! {
    /// Whatever is edited in whatever order: one named lead per cell and instant, and an edit that went through goes through again as nothing.
    #[test]
    fn a_cell_never_has_two_leads(edits in prop::collection::vec(edit(), 1..25)) {
        let mut rows = rows();
        for edit in edits {
            if let Ok(Some(next)) = edit.apply(&rows, NOW + DAY) {
                prop_assert_eq!(next.version, rows.version + 1);
                if !matches!(edit, Edit::Release { .. } | Edit::Back { .. }) {
                    prop_assert_eq!(edit.apply(&next, NOW + DAY), Ok(None), "{:?}", edit);
                }
                rows = next;
            }
        }
        rows.absences.clear(); // A stand-in may lead beside another; the named leads may not.
        let registry = Registry::build(rows);
        for half in 0..8 * 48 {
            let at = NOW + Millis::from_secs(half * 1800);
            for cell in registry.cells() {
                let leads = registry.on_duty(cell.ix, at).iter().filter(|(role, _)| *role == Role::Lead).count();
                prop_assert!(leads <= 1, "{leads} lead {} at {at}", cell.code);
            }
        }
    }
}

#[test]
fn a_flat_is_left_and_come_back_to() {
    let flat = Household { cell: "A".into(), place: "3栋501".into(), people: 1, ..Household::default() };
    let rows = Rows { households: vec![flat], ..rows() };
    let at = |leave: Leave| Edit::Away { cell: "A".into(), place: "3栋501".into(), leave };
    let home = Edit::Home { cell: "A".into(), place: "3栋501".into() };
    assert!(refused(&rows, &home).contains("Nobody is away"));
    assert!(refused(&rows, &at(Leave { from: NOW, until: Some(NOW) })).contains("ends before it begins"));
    let elsewhere = Edit::Home { cell: "B".into(), place: "3栋501".into() };
    assert!(refused(&rows, &elsewhere).contains("no household"));

    let left = done(&rows, &at(Leave { from: NOW, until: None }));
    assert_eq!(left.households[0].leave, Some(Leave { from: NOW, until: None }));
    assert_eq!(
        at(Leave { from: NOW, until: None }).apply(&left, NOW),
        Ok(None),
        "the same again changes nothing"
    );
    let back = done(&left, &home);
    assert_eq!(back.households[0].leave, Some(Leave { from: NOW, until: Some(NOW + DAY) }), "it was a leave");
    let planned = done(&rows, &at(Leave { from: NOW + DAY + DAY, until: None }));
    assert_eq!(done(&planned, &home).households[0].leave, None, "it never began");
}
