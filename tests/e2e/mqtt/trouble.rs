//! Brokers that refuse, hang up, or send what cannot be read: survived, with pauses, and named in the log.

use std::path::Path;

use gateway::io::inlet;
use gateway::io::mqtt::{Source, publisher};
use tests::hang_up::HangUp;
use tests::neighbours::{eventually, mosquitto};
use tokio::process::Command;
use tokio_util::sync::CancellationToken;

use super::{Client, broker, world};

/// More would hammer the broker. The lower limit is far below the 900 of a quiet machine: the time is virtual but the sockets are not, and a
/// call that a busy kernel answers late costs its whole time limit.
const SOME_HUNDRED: std::ops::Range<usize> = 40..1_500;

/// Hours of a broker that takes every call and hangs up, in virtual time.
async fn six_hours(task: impl Future<Output = anyhow::Result<()>>) {
    let ended = tokio::time::timeout(std::time::Duration::from_secs(6 * 3600), task).await;
    assert!(ended.is_err(), "it goes on trying");
}

#[tokio::test(start_paused = true)]
async fn six_hours_of_refusal_are_some_hundred_calls_to_a_broker() {
    for version in ["3.1.1", "5"] {
        let (reader, writer) = (HangUp::start(), HangUp::start());
        let settings = |port| broker(port, &format!("version = '{version}'"));
        let source = Source::new(&settings(reader.port), Path::new(".")).unwrap();
        let (inlet, _outlet) = inlet::channel();
        six_hours(source.run(world(), inlet, CancellationToken::new())).await;
        let (connection, _publisher) =
            publisher::Connection::new(&settings(writer.port), Path::new(".")).unwrap();
        six_hours(connection.run(CancellationToken::new())).await;
        for (name, calls) in [("source", reader.calls()), ("publisher", writer.calls())] {
            assert!(SOME_HUNDRED.contains(&calls), "{name}, {version}: {calls} calls");
            println!("{name}, MQTT {version}: {calls} calls in 6 h");
        }
    }
}

/// A broker that greets and then hangs up is no better than one that refuses: two stations with one client id do that to each other.
#[tokio::test(start_paused = true)]
async fn a_broker_that_greets_and_hangs_up_is_not_called_more_often() {
    for (version, greeting) in [("3.1.1", &[0x20, 2, 0, 0][..]), ("5", &[0x20, 3, 0, 0, 0])] {
        let (reader, writer) = (HangUp::after(greeting), HangUp::after(greeting));
        let settings = |port| broker(port, &format!("version = '{version}'"));
        let source = Source::new(&settings(reader.port), Path::new(".")).unwrap();
        let (inlet, _outlet) = inlet::channel();
        six_hours(source.run(world(), inlet, CancellationToken::new())).await;
        let (connection, _publisher) =
            publisher::Connection::new(&settings(writer.port), Path::new(".")).unwrap();
        six_hours(connection.run(CancellationToken::new())).await;
        for (name, calls) in [("source", reader.calls()), ("publisher", writer.calls())] {
            assert!(SOME_HUNDRED.contains(&calls), "{name}, {version}: {calls} calls");
            println!("{name}, MQTT {version}: {calls} greetings in 6 h");
        }
    }
}

/// A broker of MQTT 5 that is played: answers CONNECT and SUBSCRIBE, then says `last` and waits for the client to hang up. Returns when it was
/// connected to for the second time, with the time between.
async fn after(last: &'static [u8], max_packet_kb: u32) -> std::time::Duration {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let client = Client::start(&broker(port, &format!("version = '5'\nmax_packet_kb = {max_packet_kb}")));
    let (mut first, _) = listener.accept().await.unwrap();
    let mut buffer = vec![0; 1024];
    assert!(first.read(&mut buffer).await.unwrap() > 0, "CONNECT");
    first.write_all(&[0x20, 3, 0, 0, 0]).await.unwrap();
    let length = first.read(&mut buffer).await.unwrap();
    assert_eq!(buffer[0], 0x82, "SUBSCRIBE: {:?}", &buffer[..length]);
    first.write_all(&[0x90, 4, buffer[2], buffer[3], 0, 1]).await.unwrap();
    first.write_all(last).await.unwrap();
    let gone = gateway::clock::instant();
    while first.read(&mut buffer).await.is_ok_and(|length| length > 0) {}
    let (mut second, _) = tokio::time::timeout(std::time::Duration::from_secs(20), listener.accept())
        .await
        .expect("it connects again")
        .unwrap();
    let pause = gone.elapsed();
    assert!(second.read(&mut buffer).await.unwrap() > 0 && buffer[0] == 0x10, "CONNECT");
    client.end().await;
    pause
}

/// rumqttc cannot read the short forms of DISCONNECT; a connection lost by them is a lost connection like any other.
#[tokio::test]
async fn every_form_of_disconnect_is_survived_with_a_pause() {
    for last in [
        &[0xe0, 0][..],                        // Neither reason nor properties.
        &[0xe0, 1, 0x8b],                      // A reason only: shutting down.
        &[0xe0, 2, 0x8e, 0],                   // Taken over, no properties.
        &[0xe0, 1, 0x42],                      // No such reason.
        &[0xf0, 0],                            // AUTH, never asked for.
        &[0x30, 0xff, 0xff, 0xff, 0xff, 0x7f], // A length that is none.
    ] {
        let pause = after(last, 256).await;
        assert!(pause >= std::time::Duration::from_millis(50), "{last:x?}: no pause, {pause:?}");
    }
}

/// The broker sends it again after every connect. The log says what to change, and the pauses grow.
#[tokio::test]
async fn a_message_that_is_too_large_is_named_in_the_log_with_what_to_change() {
    for version in ["3.1.1", "5"] {
        let neighbour = mosquitto("").await.unwrap();
        let site = tests::site::Site::new(&format!(
            "[[broker]]\nname = \"main\"\nhost = \"127.0.0.1\"\nport = {}\nclient_id = \"s\"\nsubscribe = [\"gridwarden/up/#\"]\n\
             max_packet_kb = 1\nversion = \"{version}\"\n",
            neighbour.port
        ));
        let log = || std::fs::read_to_string(site.file("log")).unwrap_or_default();
        let mut station = Command::new(tests::site::program("gridwarden"))
            .args(["run", "-c"])
            .arg(site.file("station.toml"))
            .stderr(std::fs::File::create(site.file("log")).unwrap())
            .kill_on_drop(true)
            .spawn()
            .unwrap();
        eventually("it is connected", 20, || async {
            log().contains("connected to the broker").then_some(())
        })
        .await;
        let large = "x".repeat(3000);
        let port = neighbour.port.to_string();
        let sent = Command::new("mosquitto_pub")
            .args(["-p", &port, "-t", "gridwarden/up/SD-1", "-q", "1", "-m", &large])
            .status()
            .await
            .unwrap();
        assert!(sent.success());
        let fire =
            ["-p", &port, "-t", "gridwarden/up/SD-1", "-q", "1", "-m", "{\"values\":{\"smoke\":true}}"];
        assert!(Command::new("mosquitto_pub").args(fire).status().await.unwrap().success());
        if version == "3.1.1" {
            eventually("the log says what to change", 20, || async {
                (log().matches("raise that key in station.toml").count() >= 2).then_some(())
            })
            .await;
        } else {
            // Told our limit, the broker keeps it to itself, and the fire behind it gets through.
            let store = gateway::store::Store::open_beside(&site.file("data/station.db")).unwrap();
            eventually("the fire", 20, || async { (store.newest_entry().await.unwrap() > 0).then_some(()) })
                .await;
        }
        station.kill().await.unwrap();
    }
}
