//! Whose turn it is: which of the alerts that are due go out now, which of them together, and which wait for a token.
//!
//! Pure. Fire goes alone, first, with places and tokens of its own, and is never folded. Of the others, those of one receiver are folded into one message
//! when more of them wait than the receiver has tokens; those of one person that the engine told as one summary always are.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use super::pace::Pace;
use crate::model::{Alert, SignalClass};
use crate::store::outbox::Row;
use crate::units::Steady;

/// Messages of one channel on their way at the same time, below fire.
const AT_ONCE_MAX: usize = 8;
/// Further places that only fire may take.
const FIRE_AT_ONCE_MAX: usize = 8;
/// Alerts in one message.
const FOLD_MAX: usize = 100;

/// Messages on their way.
#[derive(Default)]
pub struct Places {
    keys: BTreeSet<String>,
    messages: usize,
}

impl Places {
    /// `false` when one of them is on its way, or there is no place for their class.
    fn take(&mut self, rows: &[Row]) -> bool {
        let fire = rows.iter().any(is_fire);
        let most = if fire { AT_ONCE_MAX + FIRE_AT_ONCE_MAX } else { AT_ONCE_MAX };
        if most <= self.messages || rows.iter().any(|row| self.holds(row)) {
            return false;
        }
        self.messages += 1;
        self.keys.extend(rows.iter().map(|row| row.alert.key.clone()));
        true
    }

    pub fn free(&mut self, keys: &[String]) {
        self.messages -= 1;
        for key in keys {
            self.keys.remove(key);
        }
    }

    pub fn holds(&self, row: &Row) -> bool {
        self.keys.contains(&row.alert.key)
    }

    /// Of the alerts on their way.
    pub fn keys(&self) -> &BTreeSet<String> {
        &self.keys
    }

    /// For messages of any class.
    fn free_now(&self) -> usize {
        (AT_ONCE_MAX + FIRE_AT_ONCE_MAX).saturating_sub(self.messages)
    }

    fn full_for(&self, fire: bool) -> bool {
        (if fire { AT_ONCE_MAX + FIRE_AT_ONCE_MAX } else { AT_ONCE_MAX }) <= self.messages
    }
}

/// What comes of the alerts that are due.
#[derive(Default)]
pub struct Turn {
    /// One message each.
    pub go: Vec<Vec<Row>>,
    /// Nothing can be sent to these before then.
    pub wait: Vec<(Row, Steady)>,
    /// These found no place; the next that is free wakes us.
    pub stay: VecDeque<Row>,
}

/// What is practised stands behind all that is real; otherwise the order stays.
pub fn order(rows: &mut VecDeque<Row>) {
    rows.make_contiguous().sort_by_key(is_practice);
}

/// So many rows from the front decide about the next messages. Where nobody counts messages that is one for each place that is free, whatever waits behind them;
/// a summary and what a limit may fold are chosen from all.
pub fn to_look_at(rows: &VecDeque<Row>, pace: &Pace, places: &Places) -> usize {
    let free = places.free_now().min(rows.len());
    let alone = pace.is_without_limits() && !rows.iter().take(free).any(is_summary);
    if alone { free } else { rows.len() }
}

/// `rows` come worst class first, then oldest first. What is practised comes after all that is real, each in a message of its own.
pub fn choose(rows: VecDeque<Row>, pace: &mut Pace, places: &mut Places, now: Steady) -> Turn {
    let mut turn = Turn::default();
    let mut others: BTreeMap<String, Vec<Row>> = BTreeMap::new();
    let mut order = Vec::new();
    let (practice, rows): (Vec<Row>, Vec<Row>) = rows.into_iter().partition(is_practice);
    for row in rows {
        let receiver = pace.receiver(row.alert.person.as_deref()).to_owned();
        if !is_fire(&row) {
            if !others.contains_key(&receiver) {
                order.push(receiver.clone());
            }
            others.entry(receiver).or_default().push(row);
        } else if pace.free(&receiver, true, now) == 0 {
            let until = pace.free_at(&receiver, true, now);
            turn.wait.push((row, until));
        } else {
            send(&mut turn, vec![row], &receiver, pace, places, now);
        }
    }
    for receiver in order {
        let Some(rows) = others.remove(&receiver) else { continue };
        if places.full_for(false) {
            turn.stay.extend(rows);
            continue;
        }
        let free = pace.free(&receiver, false, now) as usize;
        if free == 0 {
            let until = pace.free_at(&receiver, false, now);
            turn.wait.extend(rows.into_iter().map(|row| (row, until)));
        } else if messages(&rows) <= free {
            for message in apart(rows) {
                send(&mut turn, message, &receiver, pace, places, now);
            }
        } else {
            let mut rows = rows;
            let rest = rows.split_off(rows.len().min(FOLD_MAX));
            turn.stay.extend(rest);
            send(&mut turn, rows, &receiver, pace, places, now);
        }
    }
    for row in practice {
        let receiver = pace.receiver(row.alert.person.as_deref()).to_owned();
        if pace.free(&receiver, false, now) == 0 {
            let until = pace.free_at(&receiver, false, now);
            turn.wait.push((row, until));
        } else {
            send(&mut turn, vec![row], &receiver, pace, places, now);
        }
    }
    turn
}

/// How many messages these are.
fn messages(rows: &[Row]) -> usize {
    let people: BTreeSet<_> =
        rows.iter().filter(|row| is_summary(row)).map(|row| &row.alert.person).collect();
    rows.iter().filter(|row| !is_summary(row)).count() + people.len()
}

/// One message for each row, and one for each person's summary, in the place of its first row.
fn apart(rows: Vec<Row>) -> Vec<Vec<Row>> {
    let mut messages: Vec<Vec<Row>> = Vec::new();
    for row in rows {
        let same = |message: &&mut Vec<Row>| {
            let whole = FOLD_MAX <= message.len();
            message.first().is_some_and(|first| {
                !whole && is_summary(first) && is_summary(&row) && first.alert.person == row.alert.person
            })
        };
        match messages.iter_mut().find(same) {
            Some(message) => message.push(row),
            None => messages.push(vec![row]),
        }
    }
    messages
}

fn is_summary(row: &Row) -> bool {
    row.alert.step == Alert::SUMMARY
}

fn send(turn: &mut Turn, rows: Vec<Row>, receiver: &str, pace: &mut Pace, places: &mut Places, now: Steady) {
    if places.take(&rows) {
        pace.take(receiver, now);
        turn.go.push(rows);
    } else {
        turn.stay.extend(rows);
    }
}

fn is_practice(row: &Row) -> bool {
    row.alarm.exercise().is_some()
}

fn is_fire(row: &Row) -> bool {
    row.alert.class == SignalClass::Fire
}

#[cfg(test)]
mod tests {
    use super::super::pace::{Each, Limits};
    use super::*;
    use crate::model::{Exercise, Played};
    use crate::store::tests::{alarm, alert};

    fn row(n: u64, class: SignalClass, person: &str) -> Row {
        let alert = Alert { person: Some(person.into()), ..alert(n, class, 1) };
        Row { alert, alarm: Box::new(alarm(n, class)), attempts: 0, card: None }
    }

    fn rows(class: SignalClass, numbers: std::ops::Range<u64>, person: &str) -> VecDeque<Row> {
        numbers.map(|n| row(n, class, person)).collect()
    }

    fn sizes(turn: &Turn) -> Vec<usize> {
        turn.go.iter().map(Vec::len).collect()
    }

    #[test]
    fn more_than_there_are_tokens_become_one_message_and_fire_goes_alone() {
        let mut pace = Pace::new(Limits::of(Each::Channel, &[(20, 60)]));
        let mut places = Places::default();
        let few = choose(rows(SignalClass::Trouble, 0..5, "wang"), &mut pace, &mut places, Steady(0));
        assert_eq!(sizes(&few), [1; 5]);
        let mut mixed = rows(SignalClass::Fire, 5..8, "wang");
        mixed.extend(rows(SignalClass::Trouble, 8..40, "zhao"));
        let many = choose(mixed, &mut pace, &mut places, Steady(1));
        assert_eq!(sizes(&many), [1, 1, 1], "three fires; eight places are taken");
        assert_eq!(many.stay.len(), 32);
        places = Places::default();
        let many = choose(many.stay, &mut pace, &mut places, Steady(2));
        assert_eq!(sizes(&many), [32], "12 tokens are left below fire, 5 for fire");
        for n in 40..51 {
            places = Places::default();
            let one = choose(rows(SignalClass::Trouble, n..n + 1, "wang"), &mut pace, &mut places, Steady(3));
            assert_eq!(one.go.len(), usize::from(n < 46), "{n}");
            assert!(one.wait.iter().all(|(_, until)| *until == Steady(60_000)));
        }
        let fire = choose(rows(SignalClass::Fire, 60..66, "wang"), &mut pace, &mut places, Steady(4));
        assert_eq!((sizes(&fire), fire.wait.len()), (vec![1; 5], 1), "fire has the last quarter");
    }

    #[test]
    fn one_person_without_tokens_does_not_hold_up_another() {
        let mut pace = Pace::new(Limits::of(Each::Person, &[(1, 60)]));
        let mut places = Places::default();
        let mut both = rows(SignalClass::Trouble, 0..3, "wang");
        both.extend(rows(SignalClass::Trouble, 3..4, "zhao"));
        let turn = choose(both, &mut pace, &mut places, Steady(0));
        assert_eq!(sizes(&turn), [3, 1], "three for Wang in one, one for Zhao");
        let mut both = rows(SignalClass::Trouble, 4..5, "wang");
        both.extend(rows(SignalClass::Trouble, 5..6, "chen"));
        let turn = choose(both, &mut pace, &mut places, Steady(1));
        assert_eq!((sizes(&turn), turn.wait.len()), (vec![1], 1));
    }

    #[test]
    fn a_summary_is_one_message_for_each_person() {
        let (mut pace, mut places) = (Pace::new(Limits::NONE), Places::default());
        let mut due = rows(SignalClass::Trouble, 0..5, "wang");
        due.extend(rows(SignalClass::Trouble, 5..8, "zhao"));
        due.iter_mut().for_each(|row| row.alert.step = Alert::SUMMARY);
        due.push_front(row(9, SignalClass::Fire, "wang"));
        due.push_back(row(10, SignalClass::Trouble, "wang"));
        let turn = choose(due, &mut pace, &mut places, Steady(0));
        assert_eq!(sizes(&turn), [1, 5, 3, 1], "the fire, two summaries, and what stands for itself");
    }

    #[test]
    fn a_drill_is_in_no_message_with_what_is_real_and_goes_last() {
        let (mut pace, mut places) = (Pace::new(Limits::of(Each::Channel, &[(4, 60)])), Places::default());
        let drill = |n| {
            let mut row = row(n, SignalClass::Test, "wang");
            row.alarm.handling.exercise =
                Some(Box::new(Exercise::new(Played::Drill(SignalClass::Fire), "chen")));
            row
        };
        let mut due = VecDeque::from([drill(1), drill(2)]);
        due.extend(rows(SignalClass::Trouble, 3..9, "wang"));
        let turn = choose(due, &mut pace, &mut places, Steady(0));
        assert_eq!(sizes(&turn), [6, 1, 1], "six in one message for want of tokens, and each drill alone");
        assert!(turn.go[0].iter().all(|row| !is_practice(row)) && is_practice(&turn.go[1][0]));
    }

    #[test]
    fn without_limits_nothing_is_folded() {
        let (mut pace, mut places) = (Pace::new(Limits::NONE), Places::default());
        let turn = choose(rows(SignalClass::Trouble, 0..300, "wang"), &mut pace, &mut places, Steady(0));
        assert_eq!((sizes(&turn), turn.stay.len()), (vec![1; 8], 292));
    }

    #[test]
    fn where_nobody_counts_as_many_are_looked_at_as_there_are_places() {
        let (unlimited, limited) =
            (Pace::new(Limits::NONE), Pace::new(Limits::of(Each::Channel, &[(20, 60)])));
        let mut places = Places::default();
        let fires = rows(SignalClass::Fire, 0..300, "wang");
        assert_eq!(to_look_at(&fires, &unlimited, &places), 16);
        assert_eq!(to_look_at(&fires, &limited, &places), 300, "some may be folded");
        let mut pace = Pace::new(Limits::NONE);
        let turn = choose(fires.iter().take(16).cloned().collect(), &mut pace, &mut places, Steady(0));
        assert_eq!((turn.go.len(), to_look_at(&fires, &unlimited, &places)), (16, 0));
        places.free(&[turn.go[0][0].alert.key.clone()]);
        assert_eq!(to_look_at(&fires, &unlimited, &places), 1);
        let mut summary = rows(SignalClass::Trouble, 0..300, "wang");
        summary[0].alert.step = Alert::SUMMARY;
        assert_eq!(to_look_at(&summary, &unlimited, &places), 300, "others may belong to it");
    }

    #[test]
    fn what_is_practised_stands_behind_what_is_real() {
        let mut mixed = rows(SignalClass::Test, 0..4, "wang");
        mixed[1].alarm.handling.exercise =
            Some(Box::new(Exercise::new(Played::Drill(SignalClass::Fire), "chen")));
        order(&mut mixed);
        assert_eq!(mixed.iter().map(|row| row.alert.alarm.0).collect::<Vec<_>>(), [0, 2, 3, 1]);
    }
}
