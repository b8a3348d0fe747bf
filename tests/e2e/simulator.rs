//! The simulator against a real broker: wills are told, what was cut off arrives later, and a broker that dies costs nothing.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use firmware_sim::faults::Act;
use firmware_sim::mqtt::Broker;
use firmware_sim::{Options, neighbourhood};
use rumqttc::{AsyncClient, Event, MqttOptions, Packet, QoS};
use tests::neighbours::{eventually, mosquitto};
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

const STREET: &[u8] = b"id,kind,address,place,silent_after_s
SD-1,smoke_detector,native:SD-1,one,9
SD-2,smoke_detector,native:SD-2,two,9
SD-3,smoke_detector,z2m:zigbee2mqtt/hall,hall,9
CAM-1,access_camera,frigate:gate,gate,
";

/// What a subscriber of everything got, by topic.
type Heard = Arc<Mutex<BTreeMap<String, Vec<String>>>>;

async fn listen(port: u16, heard: Heard) {
    let mut options = MqttOptions::new("listener-of-all", "127.0.0.1", port);
    options.set_keep_alive(Duration::from_secs(5));
    let (client, mut events) = AsyncClient::new(options, 10);
    loop {
        match events.poll().await {
            Ok(Event::Incoming(Packet::ConnAck(_))) => {
                client.try_subscribe("#", QoS::AtLeastOnce).expect("the queue is empty");
            }
            Ok(Event::Incoming(Packet::Publish(publish))) => {
                let text = String::from_utf8(publish.payload.to_vec()).expect("all of it is text");
                heard.lock().unwrap().entry(publish.topic).or_default().push(text);
            }
            Ok(_) => (),
            Err(_) => tokio::time::sleep(Duration::from_millis(50)).await,
        }
    }
}

/// Waits until `topic` carried a message with these words in it, `times` times.
async fn hear(heard: &Heard, topic: &str, words: &str, times: usize) {
    eventually(&format!("{times} × `{words}` on {topic}"), 30, async || {
        let heard = heard.lock().unwrap();
        let found = heard.get(topic)?.iter().filter(|text| text.contains(words)).count();
        (times <= found).then_some(())
    })
    .await;
}

#[tokio::test]
async fn wills_are_told_and_what_was_cut_off_arrives_later() {
    let mut broker = mosquitto("persistence false").await.unwrap();
    let heard = Heard::default();
    let mut tasks = JoinSet::new();
    tasks.spawn(listen(broker.port, heard.clone()));
    let (act, acts) = mpsc::channel(8);
    let stop = CancellationToken::new();
    let options = Options {
        broker: Some(Broker { host: "127.0.0.1".into(), port: broker.port, credentials: None }),
        acts: Some(acts),
        ..Options::new(neighbourhood::read(STREET).unwrap())
    };
    let mut simulation = JoinSet::new();
    simulation.spawn(firmware_sim::run(options, stop.clone()));

    hear(&heard, "gridwarden/up/SD-1/status", "online", 1).await;
    hear(&heard, "gridwarden/up/SD-1", "\"smoke\":false", 1).await;
    hear(&heard, "zigbee2mqtt/hall", "\"smoke\":false", 1).await;

    // A broken connection: the broker tells the will, and the fire that began meanwhile comes when the line is back.
    act.send(("SD-1".into(), Act::Blip { seconds: 3.0 })).await.unwrap();
    act.send(("SD-1".into(), Act::Fire)).await.unwrap();
    hear(&heard, "gridwarden/up/SD-1/status", "offline", 1).await;
    hear(&heard, "gridwarden/up/SD-1", "\"smoke\":true", 1).await;
    hear(&heard, "gridwarden/up/SD-1/status", "online", 2).await;

    // The broker dies and comes back on the same port, having forgotten everything.
    broker.kill().await.unwrap();
    act.send(("SD-2".into(), Act::Fire)).await.unwrap();
    let (port, folder) = (broker.port, tempfile::tempdir().unwrap());
    let file = broker.folder.path().join("mosquitto.conf").to_string_lossy().into_owned();
    let _broker = tests::neighbours::Neighbour::start("/usr/sbin/mosquitto", port, folder, &["-c", &file])
        .await
        .unwrap();
    hear(&heard, "gridwarden/up/SD-2", "\"smoke\":true", 1).await;

    stop.cancel();
    let summary = simulation.join_next().await.expect("it runs").unwrap().unwrap();
    assert_eq!(summary.lost, 0);
    assert!(summary.sent <= summary.acknowledged, "births and repeats come on top: {summary:?}");
    tasks.abort_all();
}
