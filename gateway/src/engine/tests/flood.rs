//! A device that says too much: what the limiter remarks about it is an alarm with its name.

use super::*;

#[test]
fn a_loud_device_is_an_alarm_until_it_calms() {
    let loud =
        |rate: f64| Does::Says(says(HALL, &[("messages_thinned", 9e5), ("messages_per_minute", rate)]));
    let mut engine = engine();
    let lines = play(&mut engine, &[(5, loud(1_000_000.0)), (65, loud(900_000.0))], false);
    assert_eq!(lines.len(), 2, "{lines:#?}");
    let alarm = engine.open_alarms().next().expect("an alarm");
    assert_eq!((alarm.rule.as_str(), alarm.class), ("built-in-flood", SignalClass::Trouble));
    assert!(alarm.text.contains("sends 1000000 a minute, more than 6000"), "{}", alarm.text);
    assert_eq!(engine.loud_devices(), [HALL], "a restart can go on watching it");
    play(&mut engine, &[(125, loud(6_000.0))], false);
    assert_eq!(engine.open_alarms().count(), 0, "it is over when the device calms");
}

#[test]
fn a_rule_of_ones_own_replaces_the_built_in_one() {
    let own = r#"
    [flood]
    reports_per_minute_max = 30
    [[rule]]
    name = "too-much"
    class = "trouble"
    text = "{device} talks too much"
    kinds = ["hydrant"]
    threshold = { metric = "messages_per_minute", above = 30.0 }
    "#;
    let book = book(own, &Registry::build(rows()));
    assert_eq!(book.allowance().per_minute, 30);
    assert!(book.rule_named("too-much").is_some() && book.rule_named("built-in-flood").is_none());
}
