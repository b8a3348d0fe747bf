//! The connection on which we publish, against Mosquitto: confirmed or told why not.

use std::path::Path;

use gateway::io::mqtt::publisher;
use tests::neighbours::{Neighbour, eventually, free_port, mosquitto};
use tokio::process::Command;
use tokio_util::sync::CancellationToken;

use super::broker;

async fn publishes_until_confirmed(version: &str) {
    let port = free_port();
    let broker = broker(port, &format!("version = '{version}'"));
    let (connection, publisher) = publisher::Connection::new(&broker, Path::new(".")).unwrap();
    let stop = CancellationToken::new();
    #[expect(clippy::disallowed_methods, reason = "joined below")]
    let task = tokio::spawn(connection.run(stop.clone()));
    let refused = publisher.publish("out".into(), b"1".to_vec(), true).await;
    assert!(refused.is_err(), "nobody listens yet");

    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("m.conf");
    std::fs::write(&file, format!("listener {port} 127.0.0.1\nallow_anonymous true\n")).unwrap();
    let _neighbour = Neighbour::start("/usr/sbin/mosquitto", port, folder, &["-c", &file.to_string_lossy()])
        .await
        .unwrap();
    eventually("a confirmed message", 40, || {
        let publisher = publisher.clone();
        async move { publisher.publish("out".into(), b"2".to_vec(), true).await.ok() }
    })
    .await;
    let output = Command::new("mosquitto_sub")
        .args(["-p", &port.to_string(), "-t", "out", "-C", "1", "-W", "10"])
        .output()
        .await
        .unwrap();
    assert_eq!(String::from_utf8_lossy(&output.stdout).trim(), "2");
    stop.cancel();
    task.await.unwrap().unwrap();
}

#[tokio::test]
async fn a_message_the_broker_refuses_does_not_cost_the_connection() {
    let folder = tempfile::tempdir().unwrap();
    let rights = folder.path().join("acl");
    std::fs::write(&rights, "topic readwrite good/#\n").unwrap();
    let neighbour = mosquitto(&format!("acl_file {}", rights.display())).await.unwrap();
    let broker = broker(neighbour.port, "version = '5'");
    let (connection, publisher) = publisher::Connection::new(&broker, Path::new(".")).unwrap();
    let stop = CancellationToken::new();
    #[expect(clippy::disallowed_methods, reason = "joined below")]
    let task = tokio::spawn(connection.run(stop.clone()));
    for _ in 0..3 {
        let refused = publisher.publish("bad/1".into(), b"1".to_vec(), false).await.unwrap_err();
        assert!(refused.to_string().contains("NotAuthorized"), "{refused:#}");
        publisher.publish("good/1".into(), b"1".to_vec(), false).await.unwrap();
    }
    let log = neighbour.output();
    assert_eq!(log.matches("New client connected").count(), 1, "{log}");
    stop.cancel();
    task.await.unwrap().unwrap();
}

#[tokio::test]
async fn publishes_until_confirmed_3_1_1() {
    publishes_until_confirmed("3.1.1").await;
}

#[tokio::test]
async fn publishes_until_confirmed_5() {
    publishes_until_confirmed("5").await;
}
