//! A device that reports in another unit all of a sudden is named, with what it was and what it is.

use std::fmt::Write as _;
use std::process::Stdio;

use tests::site::{Receiver, Site};
use tokio::io::AsyncWriteExt;
use tokio::process::Command;

#[tokio::test]
async fn a_hydrant_that_changes_its_unit_is_named_once() {
    let receiver = Receiver::start().await;
    let site = Site::new(&receiver.config());
    let station = site.start().await;
    let mut lines = String::new();
    for n in 0..100 {
        let pressure = if n < 60 { 402.0 } else { 0.402 } + f64::from(n % 3) / 1_000.0;
        writeln!(lines, "{{\"values\":{{\"pressure\":{pressure}}}}}").unwrap();
    }
    let mut publisher = Command::new("mosquitto_pub")
        .args(["-p", &station.mqtt_port.to_string(), "-t", "gridwarden/up/HY-1", "-q", "1", "-l"])
        .stdin(Stdio::piped())
        .spawn()
        .unwrap();
    publisher.stdin.take().unwrap().write_all(lines.as_bytes()).await.unwrap();
    assert!(publisher.wait().await.unwrap().success(), "every line is acknowledged");
    let alarms = station.get("/api/v1/alarms?class=trouble").await;
    let alarms = alarms["items"].as_array().unwrap();
    assert_eq!(alarms.len(), 1, "{alarms:?}");
    let text = alarms[0]["text"].as_str().unwrap();
    assert!(
        text.contains("HY-1: pressure was about 402 kPa and is about 0.403 kPa; 1000 is the step"),
        "{text}"
    );
    assert_eq!(alarms[0]["device"]["id"], "HY-1");
    // The low pressure that it seems to be is another alarm, and stands beside it.
    let supervisory = station.get("/api/v1/alarms?class=supervisory").await;
    assert_eq!(supervisory["items"].as_array().map(Vec::len), Some(1), "{supervisory}");
    station.stop().await;
}
