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
use crate::grid::Registry;
use crate::model::{Action, Deed};
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
            let Some(deed) = due(&world.rules, &world.registry, now) else { continue };
            called = Some(minute);
            match self.inlet.act(Action { who: own_trouble::WHO.to_owned(), what: deed }).await {
                Ok(Ok(first)) => tracing::info!(%first, "the roll is called"),
                Ok(Err(refusal)) => tracing::warn!(%refusal, "the roll is not called"),
                Err(_) => return Ok(()), // The gateway is stopping.
            }
        }
    }
}

/// Whom to ask now.
fn due(rules: &RuleBook, registry: &Registry, now: Timestamp) -> Option<Deed> {
    let cells = rules.roll_call_at(now)?;
    let people = registry.answering_below(cells, now).into_iter();
    let people: Vec<_> = people.map(|(cell, person)| (cell, person.id.clone())).collect();
    (!people.is_empty()).then_some(Deed::RollCall { people, note: None })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::grid::{Cell, Duty, Person, Role, Rows};
    use crate::model::CellIx;

    #[test]
    fn at_its_minute_everybody_on_duty_below_is_asked_once() {
        let cell = |ix, code: &str, parent: Option<&str>| Cell {
            ix: CellIx(ix),
            code: code.into(),
            name: code.into(),
            scheme: "admin".into(),
            parent: parent.map(str::to_owned),
            kind: "residential".into(),
            polygons: Vec::new(),
            retired: false,
        };
        let duty = |person: &str, cell: &str, role| Duty {
            person: person.into(),
            cell: cell.into(),
            role,
            from: Timestamp(0),
            until: None,
            hours: None,
        };
        let person = |id: &str| Person { id: id.into(), name: id.into(), ..Person::default() };
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
        let asked = |config: &str, at: &str| -> Option<Vec<(u32, String)>> {
            let text = format!("[roll_call]\n{config}");
            let (rules, problems) = RuleBook::compile(&toml::from_str(&text).unwrap(), &registry);
            assert_eq!(problems, []);
            let deed = due(&rules, &registry, Timestamp::parse_rfc3339(at).unwrap())?;
            let Deed::RollCall { people, .. } = deed else { panic!("{deed:?}") };
            Some(people.into_iter().map(|(cell, person)| (cell.0, person)).collect())
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
