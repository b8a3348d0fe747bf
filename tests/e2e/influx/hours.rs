//! Six hours of a server that hangs up on every call, in virtual time: called seldom, never given up, nothing lost.

use gateway::io::influx::pace::Pace;
use tests::hang_up::HangUp;
use tokio::time::timeout;

use super::journal::{Station, task};
use super::*;

#[tokio::test(start_paused = true)]
async fn six_hours_of_refusal_are_some_hundred_calls_to_influxdb() {
    let server = HangUp::start();
    let settings = settings(server.port);
    let mut station = Station::new();
    station.put(batch(1, vec![report(0, 0, &[(Metric::FLOW, 1.0, Quality::Good)])])).await;
    let sink = Sender::new(&settings).unwrap();
    let (task, _, _) = task(&station, sink, settings, Pace::default());
    let ended = timeout(std::time::Duration::from_secs(6 * 3600), task.run()).await;
    assert!(ended.is_err(), "it goes on trying");
    let calls = server.calls();
    // Pauses of 15 to 30 s, and at the start the questions of the set-up.
    assert!((500..1_500).contains(&calls), "{calls} calls");
    println!("{calls} calls to InfluxDB in 6 h");
}
