//! Every alert is told, recorded once when the disk takes it, and never told again for want of a record.

use proptest::prelude::*;

use super::*;
use crate::model::{Alarm, AlarmState, Alert, CellIx, SignalClass};

const AT: Timestamp = Timestamp(1_795_000_000_000);
/// More than any of these tests has.
const MOST: usize = 100;

fn row(alarm: u64, class: SignalClass, channel: &str) -> Row {
    let alert = Alert {
        key: format!("A-{alarm}/1/wang-li/{channel}"),
        alarm: AlarmId(alarm),
        class,
        channel: channel.into(),
        person: Some("wang-li".into()),
        step: 1,
        at: AT,
    };
    let alarm = Alarm {
        id: AlarmId(alarm),
        rule: "smoke".into(),
        class,
        text: "烟雾报警".into(),
        cell: CellIx(0),
        cell_code: "c".into(),
        device: None,
        device_id: None,
        state: AlarmState::Unacknowledged,
        raised: AT,
        raised_steady: Steady(0),
        late: None,
        trigger: None,
        repeats: 0,
        owner: None,
        acknowledged: None,
        returned: None,
        resolved: None,
        closed: None,
        handling: Default::default(),
        ladder: None,
    };
    Row { alert, alarm: Box::new(alarm), attempts: 0, card: None }
}

fn fire(alarm: u64) -> Row {
    row(alarm, SignalClass::Fire, "hook")
}

fn taken() -> Outcome {
    Outcome::Delivered { receipt: "200".into(), id: None }
}

fn again_at(ms: u64) -> Outcome {
    Outcome::Retry { error: "no connection".into(), next_at: Steady(ms) }
}

fn due(unrecorded: &Unrecorded, ms: u64) -> Vec<u64> {
    unrecorded.due("hook", Steady(ms), MOST).iter().map(|row| row.alert.alarm.0).collect()
}

/// What a worker does with the one alert that is due.
fn attempt(unrecorded: &Unrecorded, ms: u64, outcome: Outcome) -> String {
    let rows = unrecorded.due("hook", Steady(ms), MOST);
    let [row] = &rows[..] else { panic!("one alert is due, not {rows:?}") };
    unrecorded.fly(&row.alert.key);
    assert_eq!(due(unrecorded, ms), [0_u64; 0], "what is on its way is not taken twice");
    unrecorded.told(row.clone(), AT, outcome);
    row.alert.key.clone()
}

fn to_record(unrecorded: &Unrecorded, ms: u64) -> Vec<Outcome> {
    unrecorded.to_record("hook", Steady(ms), MOST).into_iter().map(|told| told.outcome).collect()
}

/// A fire whose commit is done.
fn committed(unrecorded: &Unrecorded, alarm: u64) {
    unrecorded.committing(vec![fire(alarm)]);
    unrecorded.committed([fire(alarm).alert.key.as_str()], &BTreeMap::new());
}

fn fresh(unrecorded: &Unrecorded, channel: &str) -> Vec<u64> {
    unrecorded.take_fresh(channel).iter().map(|row| row.alert.alarm.0).collect()
}

#[test]
fn what_is_stored_is_handed_to_its_channel_once_worst_class_first() {
    let unrecorded = Unrecorded::default();
    let rows =
        vec![row(1, SignalClass::Trouble, "hook"), fire(10), row(3, SignalClass::Fire, "sms"), fire(2)];
    let keys: Vec<String> = rows.iter().map(|row| row.alert.key.clone()).collect();
    unrecorded.committing(rows);
    assert_eq!((fresh(&unrecorded, "hook"), due(&unrecorded, 0)), (vec![], vec![]), "it is not on disk");
    assert!(keys.iter().all(|key| unrecorded.holds(key)), "nobody else takes it from the outbox");
    let changed = unrecorded.changed();
    unrecorded.committed(keys.iter().map(String::as_str).chain(["of another commit"]), &BTreeMap::new());
    assert!(changed.has_changed().expect("it is ours"));
    assert_eq!(due(&unrecorded, 0), [0_u64; 0], "it is the page's, in its order");
    assert_eq!(fresh(&unrecorded, "hook"), [2, 10, 1]);
    assert_eq!((fresh(&unrecorded, "hook"), fresh(&unrecorded, "sms")), (vec![], vec![3]));
    assert!(unrecorded.is_empty(), "whoever took it holds it");
    unrecorded.told(fire(2), AT, taken());
    assert_eq!(to_record(&unrecorded, 0), [taken()]);
}

#[test]
fn a_fire_whose_commit_fails_is_told_from_memory_all_the_same() {
    let unrecorded = Unrecorded::default();
    unrecorded.committing(vec![fire(1)]);
    unrecorded.add(fire(1));
    assert_eq!(due(&unrecorded, 0), [1]);
    unrecorded.committed([fire(1).alert.key.as_str()], &BTreeMap::new());
    unrecorded.fly(&fire(1).alert.key);
    unrecorded.told(fire(1), AT, taken());
    assert!(unrecorded.to_record("hook", Steady(0), MOST).is_empty(), "the outbox does not know it yet");
    unrecorded.stored(&fire(1).alert.key);
    assert_eq!(unrecorded.to_record("hook", Steady(0), MOST).len(), 1);
}

#[test]
fn what_is_answered_before_anybody_took_it_is_left_to_the_outbox_and_said_so() {
    let unrecorded = Unrecorded::default();
    let mut left = unrecorded.left_to_outbox();
    committed(&unrecorded, 1);
    assert!(!left.has_changed().unwrap());
    unrecorded.withdraw(AlarmId(1));
    assert!(unrecorded.is_empty());
    assert!(left.has_changed().unwrap(), "it may be pending in the outbox, which nobody would read again");
    left.mark_unchanged();
    unrecorded.withdraw(AlarmId(2));
    assert!(!left.has_changed().unwrap(), "that was never here");
}

#[test]
fn there_is_room_for_so_many_and_the_rest_of_a_storm_comes_from_the_outbox() {
    let unrecorded = Unrecorded::default();
    assert!(unrecorded.has_room_for(FRESH_MAX) && !unrecorded.has_room_for(FRESH_MAX + 1));
    committed(&unrecorded, 1);
    assert!(!unrecorded.has_room_for(FRESH_MAX));
    assert_eq!(fresh(&unrecorded, "hook"), [1]);
    assert!(unrecorded.has_room_for(FRESH_MAX));
}

#[test]
fn what_nobody_has_stored_is_due_at_once_worst_class_first_and_wakes_the_workers() {
    let unrecorded = Unrecorded::default();
    let changed = unrecorded.changed();
    for row in [row(3, SignalClass::Trouble, "hook"), fire(9), row(1, SignalClass::Fire, "mqtt"), fire(2)] {
        unrecorded.add(row);
    }
    assert!(changed.has_changed().expect("it is ours"));
    assert_eq!(due(&unrecorded, 0), [2, 9, 3]);
    assert_eq!(unrecorded.due("mqtt", Steady(0), MOST).len(), 1, "each channel has its own");
    assert_eq!(unrecorded.next_at("hook"), Some(Steady(0)));
    assert_eq!(unrecorded.next_at("sms"), None);
}

#[test]
fn what_nobody_has_tried_goes_over_to_the_outbox() {
    let unrecorded = Unrecorded::default();
    unrecorded.add(fire(1));
    unrecorded.stored(&fire(1).alert.key);
    assert!(unrecorded.is_empty(), "the outbox is its only place");
}

#[test]
fn what_was_told_before_it_was_stored_is_recorded_once_and_not_told_again() {
    let unrecorded = Unrecorded::default();
    unrecorded.add(fire(1));
    let key = attempt(&unrecorded, 0, taken());
    assert_eq!((due(&unrecorded, 1_000_000), to_record(&unrecorded, 1_000_000)), (vec![], vec![]));
    let at = |unrecorded: &Unrecorded| (unrecorded.next_at("hook"), unrecorded.record_at("hook"));
    assert_eq!(at(&unrecorded), (None, None), "there is nothing to do until the disk takes it");
    unrecorded.stored(&key);
    assert!(unrecorded.holds(&key), "the outbox's row is left alone");
    assert_eq!(at(&unrecorded), (None, Some(Steady(0))));
    assert_eq!(to_record(&unrecorded, 0), [taken()]);
    assert_eq!(at(&unrecorded), (None, None));
    assert!(to_record(&unrecorded, 0).is_empty(), "it is handed out once");
    unrecorded.recorded(&key);
    assert!(unrecorded.is_empty());
}

#[test]
fn what_was_on_its_way_when_it_was_stored_is_recorded_and_not_taken_from_the_outbox_too() {
    let unrecorded = Unrecorded::default();
    unrecorded.add(fire(1));
    unrecorded.fly(&fire(1).alert.key);
    unrecorded.stored(&fire(1).alert.key);
    assert!(unrecorded.holds(&fire(1).alert.key));
    unrecorded.told(fire(1), AT, taken());
    assert_eq!(to_record(&unrecorded, 0), [taken()]);
}

#[test]
fn what_failed_is_tried_again_in_its_time_and_counts_its_attempts() {
    let unrecorded = Unrecorded::default();
    unrecorded.add(fire(1));
    let key = attempt(&unrecorded, 0, again_at(500));
    assert_eq!((due(&unrecorded, 499), due(&unrecorded, 500)), (vec![], vec![1]));
    assert_eq!(unrecorded.next_at("hook"), Some(Steady(500)));
    assert_eq!(unrecorded.due("hook", Steady(500), MOST)[0].attempts, 1);
    unrecorded.stored(&key);
    assert!(unrecorded.holds(&key), "the outbox does not know of the first attempt");
    attempt(&unrecorded, 500, taken());
    assert_eq!(to_record(&unrecorded, 500), [taken()]);
}

#[test]
fn what_the_disk_does_not_take_is_recorded_later_and_not_told_again() {
    let unrecorded = Unrecorded::default();
    for outcome in [taken(), Outcome::GaveUp { error: "404".into() }] {
        unrecorded.told(fire(1), AT, outcome.clone()); // The outbox's row.
        assert_eq!(to_record(&unrecorded, 0), std::slice::from_ref(&outcome));
        unrecorded.not_recorded(&fire(1).alert.key, Steady(1_000));
        assert_eq!(unrecorded.record_at("hook"), Some(Steady(1_000)));
        assert_eq!((to_record(&unrecorded, 999), due(&unrecorded, 999)), (vec![], vec![]));
        assert_eq!(to_record(&unrecorded, 1_000), [outcome]);
        unrecorded.recorded(&fire(1).alert.key);
    }
}

#[test]
fn a_failure_the_disk_does_not_take_is_tried_again_from_memory() {
    let unrecorded = Unrecorded::default();
    unrecorded.told(fire(1), AT, again_at(500));
    assert_eq!(to_record(&unrecorded, 0), [again_at(500)]);
    unrecorded.not_recorded(&fire(1).alert.key, Steady(1_000));
    assert!(unrecorded.holds(&fire(1).alert.key));
    assert_eq!((due(&unrecorded, 499), due(&unrecorded, 500)), (vec![], vec![1]));
}

#[test]
fn what_was_answered_is_withdrawn_and_nothing_else() {
    let unrecorded = Unrecorded::default();
    unrecorded.add(fire(1));
    unrecorded.add(fire(2));
    unrecorded.withdraw(AlarmId(1));
    assert_eq!(due(&unrecorded, 0), [2]);
}

#[test]
fn what_was_answered_while_it_was_on_its_way_is_not_tried_again() {
    let unrecorded = Unrecorded::default();
    unrecorded.add(fire(1));
    unrecorded.fly(&fire(1).alert.key);
    unrecorded.withdraw(AlarmId(1));
    unrecorded.told(fire(1), AT, again_at(500));
    assert_eq!(due(&unrecorded, 1_000_000), [0_u64; 0], "somebody has it in hand");
    unrecorded.stored(&fire(1).alert.key);
    assert_eq!(to_record(&unrecorded, 0), [again_at(500)], "the attempt was made all the same");
    unrecorded.not_recorded(&fire(1).alert.key, Steady(1_000));
    assert_eq!(due(&unrecorded, 1_000_000), [0_u64; 0]);
    assert_eq!(to_record(&unrecorded, 1_000).len(), 1);
    unrecorded.recorded(&fire(1).alert.key);
    assert!(unrecorded.is_empty());
}

#[test]
fn what_was_answered_and_arrived_all_the_same_is_recorded_as_told() {
    let unrecorded = Unrecorded::default();
    unrecorded.add(fire(1));
    unrecorded.fly(&fire(1).alert.key);
    unrecorded.withdraw(AlarmId(1));
    unrecorded.told(fire(1), AT, taken());
    unrecorded.stored(&fire(1).alert.key);
    assert_eq!(to_record(&unrecorded, 0), [taken()]);
}

#[derive(Clone, Debug)]
enum Step {
    Add(u64),
    Stored(u64),
    Withdraw(u64),
    Fly(u64),
    Land(bool),
    Record(bool),
}

fn any_step() -> impl Strategy<Value = Step> {
    let alarm = 0..3_u64;
    prop_oneof![
        alarm.clone().prop_map(Step::Add),
        alarm.clone().prop_map(Step::Stored),
        alarm.clone().prop_map(Step::Withdraw),
        alarm.prop_map(Step::Fly),
        any::<bool>().prop_map(Step::Land),
        any::<bool>().prop_map(Step::Record),
    ]
}

proptest! {
    /// Whatever order disk, receiver and operator come in: nothing is told after it was taken or answered, and an attempt is recorded
    /// only when the outbox has its row.
    #[test]
    fn nothing_taken_or_answered_is_told_again(steps in prop::collection::vec(any_step(), 1..60)) {
        let unrecorded = Unrecorded::default();
        let (mut added, mut stored, mut over, mut flying) = (vec![], vec![], vec![], vec![]);
        for step in steps {
            match step {
                // The engine tells each alert once.
                Step::Add(alarm) if !added.contains(&alarm) => {
                    added.push(alarm);
                    unrecorded.add(fire(alarm));
                }
                Step::Stored(alarm) if added.contains(&alarm) => {
                    stored.push(alarm);
                    unrecorded.stored(&fire(alarm).alert.key);
                }
                Step::Withdraw(alarm) if added.contains(&alarm) => {
                    over.push(alarm);
                    unrecorded.withdraw(AlarmId(alarm));
                }
                Step::Fly(alarm) => {
                    let mut due = unrecorded.due("hook", Steady(10), MOST).into_iter();
                    if let Some(row) = due.find(|row| row.alert.alarm.0 == alarm) {
                        unrecorded.fly(&row.alert.key);
                        flying.push(row);
                    }
                }
                Step::Land(is_taken) => if let Some(row) = flying.pop() {
                    over.extend(is_taken.then_some(row.alert.alarm.0));
                    unrecorded.told(row, AT, if is_taken { taken() } else { again_at(10) });
                },
                Step::Record(works) => {
                    for told in unrecorded.to_record("hook", Steady(10), MOST) {
                        prop_assert!(stored.iter().any(|&alarm| fire(alarm).alert.key == told.key));
                        match works {
                            true => unrecorded.recorded(&told.key),
                            false => unrecorded.not_recorded(&told.key, Steady(10)),
                        }
                    }
                }
                Step::Add(_) | Step::Stored(_) | Step::Withdraw(_) => (),
            }
            for row in unrecorded.due("hook", Steady(u64::MAX), MOST) {
                prop_assert!(!over.contains(&row.alert.alarm.0), "{:?} is told again", row.alert.alarm);
            }
        }
        prop_assert!(unrecorded.len() <= added.len());
    }
}

fn handed_on() -> Outcome {
    Outcome::HandedOn { error: "403".into(), to: "sms".into() }
}

#[test]
fn without_a_disk_the_other_channel_takes_over_from_memory_and_is_recorded_after_the_first() {
    let unrecorded = Unrecorded::default();
    unrecorded.add(fire(1));
    let key = attempt(&unrecorded, 0, handed_on());
    let next = unrecorded.due("sms", Steady(0), MOST);
    assert_eq!(next.iter().map(|row| row.alert.key.clone()).collect::<Vec<_>>(), [format!("{key}>sms")]);
    unrecorded.fly(&next[0].alert.key);
    unrecorded.told(next[0].clone(), AT, taken());
    assert!(unrecorded.to_record("sms", Steady(0), MOST).is_empty(), "the outbox has no such row yet");
    unrecorded.stored(&key);
    assert_eq!(unrecorded.to_record("hook", Steady(0), MOST).len(), 1);
    unrecorded.recorded(&key);
    let told = unrecorded.to_record("sms", Steady(0), MOST);
    assert_eq!(told.iter().map(|told| told.outcome.clone()).collect::<Vec<_>>(), [taken()]);
    unrecorded.recorded(&next[0].alert.key);
    assert!(unrecorded.is_empty());
}

#[test]
fn a_hand_over_that_the_disk_does_not_take_is_told_all_the_same() {
    let unrecorded = Unrecorded::default();
    unrecorded.told(fire(1), AT, handed_on());
    let key = fire(1).alert.key;
    assert!(unrecorded.due("sms", Steady(0), MOST).is_empty(), "the outbox will have it");
    assert_eq!(unrecorded.to_record("hook", Steady(0), MOST).len(), 1);
    unrecorded.not_recorded(&key, Steady(1_000));
    assert_eq!(unrecorded.due("sms", Steady(0), MOST).len(), 1);
    unrecorded.withdraw(AlarmId(1));
    assert!(unrecorded.due("sms", Steady(0), MOST).is_empty(), "somebody has answered");
}
