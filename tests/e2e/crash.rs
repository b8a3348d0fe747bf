//! kill -9, in short: the long run is `make torture`.

use tests::crash::{Plan, torture};

async fn check(plan: Plan) {
    println!("{plan:?}");
    let figures = torture(&plan).await.unwrap();
    println!(
        "{} readings, {} fires, {} alerts",
        figures.readings_acknowledged, figures.episodes, figures.alerts
    );
    assert!(figures.faults.is_empty(), "seed {}: {:#?}", plan.seed, figures.faults);
    assert!(figures.readings_acknowledged > 100 && figures.episodes > 3, "too little load: {figures:?}");
}

#[tokio::test]
async fn nothing_acknowledged_is_lost_by_kills_at_random_moments() {
    check(Plan { seed: 20_261_123, kills: 8, collectors: 2, smoke_detectors: 3, broker: false }).await;
}

#[tokio::test]
async fn nothing_acknowledged_by_the_broker_is_lost_by_kills_of_the_gateway() {
    check(Plan { seed: 20_261_124, kills: 5, collectors: 2, smoke_detectors: 2, broker: true }).await;
}
