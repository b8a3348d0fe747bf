//! A stop ends in order whatever the neighbours do; what hangs is named; a second signal ends it at once.

use serde_json::json;
use tests::crash::Victim;
use tests::faulty_disk::FaultyDisk;
use tests::neighbours::eventually;
use tests::running::{Running, fix_ports};
use tests::site::Site;
use tests::standin::Standin;

/// InfluxDB and a webhook take requests and never answer one.
#[tokio::test]
async fn neighbours_that_never_answer_do_not_hold_up_a_stop() {
    let mute = || Standin::start(0, |_| std::future::pending());
    let (influx, webhook) = (mute().await.unwrap(), mute().await.unwrap());
    let site = Site::new(&format!(
        "[[webhook]]\nname = \"duty\"\nurl = \"{}/\"\nsecret = {{ file = \"webhook-secret\" }}\n\
         [influx]\nurl = \"{}\"\norg = \"o\"\nbucket = \"b\"\nbatch_ms = 50\n",
        webhook.url(),
        influx.url()
    ));
    let ports = fix_ports(&site);
    let mut station = Victim::new(site.file("station.toml"), site.file("log"), ports.0);
    station.start().await.unwrap();
    station.ready().await.unwrap();
    let mut detector = tests::mad::Mad::connect(ports.1, "SD-1").await.unwrap();
    detector.publish_safe("gridwarden/up/SD-1", br#"{"values":{"smoke":true}}"#).await.unwrap();
    eventually("both were asked", 20, || async {
        (!webhook.asked().is_empty() && influx.asked().iter().any(|asked| asked.uri.path().contains("write")))
            .then_some(())
    })
    .await;
    station.stop_in_order().await.unwrap(); // Code 0: nothing was stuck.
}

/// The disk does not answer: the stop cannot be finished, and says what hangs.
#[tokio::test]
async fn what_hangs_past_the_grace_period_is_named() {
    let (site, disk, mut station) = hanging().await;
    station.signal("TERM").await;
    let status = station.end(40).await;
    assert!(!status.success(), "{status}");
    let log = station.log();
    assert!(log.contains("these tasks did not end in time: ") && log.contains("driver"), "{log}");
    drop((site, disk));
}

#[tokio::test]
async fn a_second_signal_ends_it_at_once() {
    let (site, disk, mut station) = hanging().await;
    station.signal("TERM").await;
    eventually("it says that it stops", 10, || async {
        station.log().contains("stopping; ask again to end at once").then_some(())
    })
    .await;
    assert!(!station.ended(), "it cannot end while the disk hangs:\n{}", station.log());
    station.signal("TERM").await;
    let status = station.end(10).await; // The grace period is 20 s.
    assert!(!status.success(), "{status}");
    let log = station.log();
    assert!(log.contains("asked a second time to stop: ending at once"), "{log}");
    assert!(!log.contains("did not end in time"), "{log}");
    drop((site, disk));
}

/// A station in the middle of a commit that never ends, and of a read that never ends.
async fn hanging() -> (Site, FaultyDisk, Running) {
    let site = Site::new("");
    let disk = FaultyDisk::new(site.folder.path());
    let ports = fix_ports(&site);
    let environment: Vec<_> =
        disk.environment().into_iter().map(|(name, path)| (name, path.into_os_string())).collect();
    let station = Running::start(&site, ports, &environment).await;
    station.publish("gridwarden/up/SD-4", &json!({"values": {"battery": 90}})).await;
    disk.hangs_altogether();
    let unacknowledged = station.publisher("gridwarden/up/SD-1", &json!({"values": {"smoke": true}}));
    eventually("the commit hangs", 30, || async { station.log().contains("a commit hangs").then_some(()) })
        .await;
    drop(unacknowledged);
    (site, disk, station)
}
