//! Six hours of a server that hangs up on every call, in virtual time: called seldom, never given up, nothing lost.

use gateway::io::influx::pace::Pace;
use tests::hang_up::HangUp;
use tests::neighbours::eventually;

use super::journal::{Station, task};
use super::*;

#[tokio::test]
async fn six_hours_of_refusal_are_some_hundred_calls_to_influxdb() {
    let server = HangUp::start();
    let settings = settings(server.port);
    let mut station = Station::new();
    station.put(batch(1, vec![report(0, 0, &[(Metric::FLOW, 1.0, Quality::Good)])])).await;
    let sink = Sender::new(&settings).unwrap();
    let (task, _, _) = task(&station, sink, settings, Pace::default());
    let hours = async {
        // What the store does at the start takes real time; after the first call it has nothing to do.
        eventually("the first call", 20, async || (0 < server.calls()).then_some(())).await;
        tokio::time::pause();
        tokio::time::sleep(std::time::Duration::from_secs(6 * 3600)).await;
    };
    let ended = tokio::select! {
        ended = task.run() => Some(ended),
        () = hours => None,
    };
    assert!(ended.is_none(), "it goes on trying");
    let calls = server.calls();
    // Pauses of 15 to 30 s, and at the start the questions of the set-up. On a busy machine virtual time runs on while a call is on its way, up to its time-outs: of 10 s, to
    // connect and for the whole.
    assert!((6 * 3600 / 50..1_500).contains(&calls), "{calls} calls");
    println!("{calls} calls to InfluxDB in 6 h");
}
