//! Roll-calls by the clock on the wall: at the times of `[roll_call]` everybody on duty is asked whether he is there.
//!
//! Whom it concerns is looked up at that moment and said in the deed, so a replay asks the same. A time at which the gateway does not run passes without; a clock that
//! cannot be trusted calls nobody.

use std::time::Duration;

use tokio::select;
use tokio::time::{MissedTickBehavior, interval};
use tokio_util::sync::CancellationToken;

use super::inlet::Inlet;
use super::own_trouble;
use crate::clock::Clock;
use crate::engine::rules::RuleBook;
use crate::grid::{Person, Registry};
use crate::model::{ASKED_MAX, Action, CellIx, Deed};
use crate::units::Timestamp;
use crate::world;

/// Shorter than the minute to which times are given.
const TICK: Duration = Duration::from_secs(10);
const MINUTE_MS: i64 = 60_000;

pub struct RollCalls {
    pub clock: Clock,
    pub world: world::Shared,
    pub inlet: Inlet,
}

impl RollCalls {
    pub async fn run(self, stop: CancellationToken) -> anyhow::Result<()> {
        let mut called = None;
        let mut tick = interval(TICK);
        tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            select! {
                () = stop.cancelled() => return Ok(()),
                _ = tick.tick() => (),
            }
            let now = self.clock.now().wall;
            let minute = now.0.div_euclid(MINUTE_MS);
            if called == Some(minute) || !self.clock.trusted() {
                continue;
            }
            let world = self.world.load();
            for deed in due(&world.rules, &world.registry, now) {
                called = Some(minute);
                match self.inlet.act(Action { who: own_trouble::WHO.to_owned(), what: deed }).await {
                    Ok(Ok(first)) => tracing::info!(%first, "the roll is called"),
                    Ok(Err(refusal)) => tracing::warn!(%refusal, "the roll is not called"),
                    Err(_) => return Ok(()), // The gateway is stopping.
                }
            }
        }
    }
}

/// Whom to ask now: in several roll-calls when they are more than are asked together.
fn due(rules: &RuleBook, registry: &Registry, now: Timestamp) -> Vec<Deed> {
    let Some(cells) = rules.roll_call_at(now) else { return Vec::new() };
    let people = registry.answering_below(cells, now);
    let call = |some: &[(CellIx, &Person)]| {
        let people = some.iter().map(|(cell, person)| (*cell, person.id.clone())).collect();
        Deed::RollCall { people, note: None }
    };
    people.chunks(ASKED_MAX).map(call).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::grid::{Cell, Duty, Role, Rows};

    /// Of each roll-call of this moment, who is asked.
    fn asked(config: &str, registry: &Registry, at: &str) -> Vec<Vec<(u32, String)>> {
        let text = format!("[roll_call]\n{config}");
        let (rules, problems) = RuleBook::compile(&toml::from_str(&text).unwrap(), registry);
        assert_eq!(problems, []);
        let people = |deed| {
            let Deed::RollCall { people, .. } = deed else { panic!("{deed:?}") };
            people.into_iter().map(|(cell, person)| (cell.0, person)).collect()
        };
        due(&rules, registry, Timestamp::parse_rfc3339(at).unwrap()).into_iter().map(people).collect()
    }

    fn cell(ix: u32, code: &str, parent: Option<&str>) -> Cell {
        Cell {
            ix: CellIx(ix),
            code: code.into(),
            name: code.into(),
            scheme: "admin".into(),
            parent: parent.map(str::to_owned),
            kind: "residential".into(),
            polygons: Vec::new(),
            retired: false,
        }
    }

    fn duty(person: &str, cell: &str, role: Role) -> Duty {
        Duty { person: person.into(), cell: cell.into(), role, from: Timestamp(0), until: None, hours: None }
    }

    fn person(id: &str) -> Person {
        Person { id: id.into(), name: id.into(), ..Person::default() }
    }

    #[test]
    fn no_roll_call_is_longer_than_one_by_hand() {
        let ids: Vec<String> = (0..2 * ASKED_MAX + 1).map(|number| format!("p{number:04}")).collect();
        let rows = Rows {
            cells: vec![cell(0, "top", None)],
            people: ids.iter().map(|id| person(id)).collect(),
            duties: ids.iter().map(|id| duty(id, "top", Role::Worker)).collect(),
            ..Rows::default()
        };
        let calls = asked("times = [\"02:00\"]", &Registry::build(rows), "2026-11-22T18:00:00+00:00");
        assert_eq!(calls.iter().map(Vec::len).collect::<Vec<_>>(), [ASKED_MAX, ASKED_MAX, 1]);
        assert_eq!(calls.concat().into_iter().map(|(_, id)| id).collect::<Vec<_>>(), ids);
    }

    #[test]
    fn at_its_minute_everybody_on_duty_below_is_asked_once() {
        let rows = Rows {
            cells: vec![cell(0, "top", None), cell(1, "a", Some("top")), cell(2, "b", Some("top"))],
            people: ["ann", "bob", "carl", "head"].map(person).to_vec(),
            duties: vec![
                duty("carl", "top", Role::DutyOfficer),
                duty("ann", "a", Role::Lead),
                duty("ann", "b", Role::Deputy),
                duty("bob", "b", Role::Worker),
                duty("head", "b", Role::Helper),
            ],
            ..Rows::default()
        };
        let registry = Registry::build(rows);
        let asked = |config: &str, at: &str| {
            let calls = asked(config, &registry, at);
            assert!(calls.len() < 2, "{calls:?}");
            calls.into_iter().next()
        };
        let people = |some: &[(u32, &str)]| {
            Some(some.iter().map(|(cell, person)| (*cell, (*person).to_owned())).collect::<Vec<_>>())
        };
        // Two at night in China.
        let (times, at) = ("times = [\"02:00\", \"14:30\"]", "2026-11-22T18:00:59+00:00");
        assert_eq!(asked(times, at), people(&[(0, "carl"), (1, "ann"), (2, "bob")]));
        assert_eq!(asked(times, "2026-11-22T18:01:00+00:00"), None);
        assert_eq!(asked(&format!("{times}\ncells = [\"b\"]"), at), people(&[(2, "ann"), (2, "bob")]));
        assert_eq!(asked("", at), None);
    }
}
