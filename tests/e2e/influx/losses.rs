//! A journal too small for the outage: what it drops before InfluxDB had it is counted, and the station says so itself.

use std::sync::Arc;

use gateway::clock::Clock;
use gateway::engine::rules::RuleBook;
use gateway::health::Health;
use gateway::io::influx::State;
use gateway::io::influx::task::CONSUMER;
use gateway::io::inlet::{self, Outlet, Safe};
use gateway::io::own_trouble::{self, OwnTrouble};
use gateway::io::self_watch::SelfWatch;
use gateway::model::{Action, AlarmId, Deed};
use gateway::store::Commit;
use gateway::world::World;
use tests::neighbours::{eventually, free_port};
use tokio_util::sync::CancellationToken;

use super::journal::{Station, start_with};
use super::*;

/// The next thing that somebody does to the station, granted.
async fn next_action(outlet: &mut Outlet) -> Action {
    let inbound = outlet.urgent.recv().await.expect("the watch runs");
    match inbound.safe {
        Safe::Answer(answer) => answer.send(Ok(AlarmId(1))).expect("it waits for the answer"),
        Safe::Nobody | Safe::Ticket(_) => panic!("an action wants an answer"),
    }
    match inbound.events.into_iter().next() {
        Some(Event::Action(action)) => action,
        other => panic!("not {other:?}"),
    }
}

#[tokio::test]
async fn what_is_dropped_before_influxdb_was_ever_reached_is_counted_and_an_alarm() {
    let mut station = Station::with_journal(10_000);
    let settings = settings(free_port());
    let influx = start_with(&station, Sender::new(&settings).unwrap(), settings);
    station.commit(5).await;
    influx.is(State::Waiting).await;

    let world = World {
        registry: registry(),
        rules: Arc::new(RuleBook::default()),
        rules_text: "".into(),
        topics: Arc::default(),
        freshness: Arc::default(),
        profiles: Arc::default(),
    }
    .share();
    let (inlet, mut outlet) = inlet::channel();
    let trouble = async |trouble| {
        OwnTrouble::resume(trouble, inlet.clone(), world.clone(), &station.store).await.unwrap()
    };
    let (health, stop) = (Arc::new(Health::default()), CancellationToken::new());
    let watch = SelfWatch {
        clock: Clock::continue_after(None),
        store: station.store.clone(),
        written_per_day_max: 0,
        sends_to_influx: true,
        clock_check: health.informative("clock"),
        wear_check: health.informative("wear"),
        journal_check: health.informative("journal"),
        clock_trouble: trouble(own_trouble::CLOCK).await,
        wear_trouble: trouble(own_trouble::WEAR).await,
        loss_trouble: trouble(own_trouble::LOSS).await,
    };
    #[expect(clippy::disallowed_methods, reason = "joined below")]
    let watching = tokio::spawn(watch.run(stop.clone()));
    // Its first look has been when the journal is known to be fine.
    eventually("the first look", 20, async || health.all()["journal"].state.is_ok().then_some(())).await;

    for _ in 0..600 {
        station.commit(5).await;
        // Without a newer snapshot the journal keeps everything.
        let snapshot = Commit { snapshot: Some(vec![1]), ..Commit::default() };
        station.store.commit(&snapshot).await.unwrap();
    }
    let dropped = eventually("readings are dropped", 20, async || {
        Some(station.store.dropped(CONSUMER).await.unwrap()).filter(|dropped| 0 < *dropped)
    })
    .await;
    assert!(dropped < 3_000, "{dropped} of 3,005 readings");
    let said =
        tokio::time::timeout(std::time::Duration::from_secs(20), next_action(&mut outlet)).await.unwrap();
    let Deed::Raise { text, class, .. } = said.what else { panic!("an alarm is raised") };
    assert_eq!((text.as_str(), class), (own_trouble::LOSS.0, gateway::model::SignalClass::Trouble));
    assert!(health.all()["journal"].state.as_ref().unwrap_err().contains("readings so far"));
    stop.cancel();
    watching.await.unwrap().unwrap();
    influx.stop().await;
}
