//! Acknowledged only after the commit, in order, to the right connection, once; and the will.

use rumqttc::mqttbytes::{QoS, v4};
use rumqttc::v5::mqttbytes::{QoS as QoS5, v5};
use tests::neighbours::eventually;

use super::clients::{Raw, Talker, connect5, mosquitto_pub};
use super::station::{Commits, Station};

fn puback(id: u16) -> Option<v4::Packet> {
    Some(v4::Packet::PubAck(v4::PubAck::new(id)))
}

fn pubrec(id: u16) -> Option<v4::Packet> {
    Some(v4::Packet::PubRec(v4::PubRec::new(id)))
}

#[tokio::test]
async fn nothing_is_acknowledged_before_its_commit_and_all_in_order_after() {
    let station = Station::open("").await;
    station.commits(Commits::Held);
    let mut client = Raw::v4(station.port, v4::Connect::new("c")).await;
    client.publish("t", QoS::AtLeastOnce, 1, false, "first").await;
    client.publish("t", QoS::ExactlyOnce, 2, false, "second").await;
    client.publish("t", QoS::AtLeastOnce, 3, false, "fire").await;
    station.wait_for("three messages", |seen| seen.len() == 3).await;
    client.expect_silence().await;
    station.commits(Commits::ReleasedBackwards);
    assert_eq!(client.read().await, puback(1), "3.1.1 §4.6: in the order of the PUBLISHes");
    assert_eq!(client.read().await, pubrec(2));
    assert_eq!(client.read().await, puback(3));
    station.stop().await;
}

#[tokio::test]
async fn an_acknowledgement_of_an_old_connection_never_reaches_the_new_one() {
    let station = Station::open("").await;
    station.commits(Commits::Held);
    let mut old = Raw::v4(station.port, v4::Connect::new("c")).await;
    old.publish("t", QoS::AtLeastOnce, 1, false, "old").await;
    station.wait_for("the first message", |seen| seen.len() == 1).await;
    let mut new = Raw::v4(station.port, v4::Connect::new("c")).await;
    assert_eq!(old.read().await, None, "taken over");
    station.commits(Commits::ReleasedBackwards);
    new.expect_silence().await;
    station.commits(Commits::Held);
    new.publish("t", QoS::AtLeastOnce, 1, true, "new").await;
    let seen = station.wait_for("the second message", |seen| seen.len() == 2).await;
    assert!(seen[1].dup, "sent again by the client");
    new.expect_silence().await;
    station.commits(Commits::ReleasedBackwards);
    assert_eq!(new.read().await, puback(1));
    station.stop().await;
}

#[tokio::test]
async fn a_qos_2_message_sent_again_is_taken_once() {
    let station = Station::open("").await;
    station.commits(Commits::Held);
    let mut client = Raw::v4(station.port, v4::Connect::new("c")).await;
    for dup in [false, true] {
        client.publish("t", QoS::ExactlyOnce, 7, dup, "once").await;
    }
    client.expect_silence().await;
    station.commits(Commits::AtOnce);
    assert_eq!(client.read().await, pubrec(7));
    client.publish("t", QoS::ExactlyOnce, 7, true, "once").await;
    assert_eq!(client.read().await, pubrec(7));
    for _ in 0..2 {
        client.send(v4::Packet::PubRel(v4::PubRel::new(7))).await;
        assert_eq!(client.read().await, Some(v4::Packet::PubComp(v4::PubComp::new(7))));
    }
    client.publish("t", QoS::ExactlyOnce, 7, false, "the id is free again").await;
    assert_eq!(client.read().await, pubrec(7));
    assert_eq!(station.payloads(), ["once", "the id is free again"]);
    station.stop().await;
}

#[tokio::test]
async fn v5_hears_of_an_unknown_packet_id() {
    let station = Station::open("").await;
    let (mut client, _) = Raw::v5(station.port, connect5("c"), None).await;
    client.send5(v5::Packet::PubRel(v5::PubRel::new(9, None))).await;
    let Some(v5::Packet::PubComp(answer)) = client.read5().await else { panic!("no PUBCOMP") };
    assert_eq!(answer.reason, v5::PubCompReason::PacketIdentifierNotFound);
    station.stop().await;
}

#[tokio::test]
async fn every_quality_of_service_of_both_versions_arrives() {
    let station = Station::open("").await;
    let mut expected = Vec::new();
    for version in ["mqttv311", "mqttv5"] {
        for qos in ["0", "1", "2"] {
            let payload = format!("{version}-{qos}");
            let output =
                mosquitto_pub(station.port, &["-V", version, "-q", qos, "-t", "t/1", "-m", &payload]).await;
            assert!(output.status.success(), "{payload}: {output:?}");
            expected.push(payload);
        }
    }
    station.wait_for("six messages", |seen| seen.len() == 6).await;
    assert_eq!(station.stop().await.into_iter().map(|seen| seen.payload).collect::<Vec<_>>(), expected);
}

#[tokio::test]
async fn mosquitto_pub_waits_for_the_commit() {
    let station = Station::open("").await;
    for (version, qos) in [("mqttv311", "1"), ("mqttv311", "2"), ("mqttv5", "1"), ("mqttv5", "2")] {
        let before = station.seen().len();
        station.commits(Commits::Held);
        let arguments = ["-V", version, "-q", qos, "-t", "t", "-m", "held"];
        let running = mosquitto_pub(station.port, &arguments);
        tokio::pin!(running);
        tokio::select! {
            output = &mut running => panic!("it was acknowledged before the commit: {output:?}"),
            _ = station.wait_for("the message", |seen| seen.len() > before) => (),
        }
        station.commits(Commits::AtOnce);
        assert!(running.await.status.success());
    }
    station.stop().await;
}

#[tokio::test]
async fn a_killed_client_leaves_its_will() {
    for version in [&[][..], &["--v5"]] {
        let station = Station::open("").await;
        let arguments = [&["--id", "smoke-1", "--will", "z/smoke-1/availability"], version].concat();
        let (mut paho, _) = Talker::paho(station.port, &arguments).await;
        paho.say("publish z/smoke-1 1 0 alive").await;
        assert_eq!(paho.line().await, "published 0");
        paho.kill().await;
        let seen = station.wait_for("the will", |seen| seen.len() == 2).await;
        assert_eq!((seen[1].topic.as_str(), seen[1].payload.as_str()), ("z/smoke-1/availability", "offline"));
        let (since, received) = seen[1].gone.expect("a Gone");
        assert!(since <= received);
        station.stop().await;
    }
}

#[tokio::test]
async fn a_client_that_says_goodbye_leaves_no_will() {
    for version in [&[][..], &["--v5"]] {
        let station = Station::open("").await;
        let (mut paho, _) =
            Talker::paho(station.port, &[&["--id", "c", "--will", "t/will"], version].concat()).await;
        paho.say("disconnect").await;
        assert_eq!(paho.line().await, "disconnected 0");
        station.wait_for_connections(0).await;
        assert_eq!(station.stop().await, []);
    }
}

#[tokio::test]
async fn v5_can_leave_with_its_will() {
    let station = Station::open("").await;
    let will = v5::LastWill::new("t/will", "offline", QoS5::AtLeastOnce, false, None);
    let (mut client, _) = Raw::v5(station.port, connect5("c"), Some(will)).await;
    client.bytes(&[0xE0, 1, 4]).await;
    station.wait_for("the will", |seen| seen.len() == 1).await;
    station.stop().await;
}

#[tokio::test]
async fn a_silent_client_is_gone_after_one_and_a_half_keep_alives() {
    let station = Station::open("").await;
    let mut connect = v4::Connect::new("c");
    connect.keep_alive = 1;
    connect.last_will = Some(v4::LastWill::new("t/will", "offline", QoS::AtLeastOnce, false));
    let begun = tokio::time::Instant::now();
    let mut client = Raw::v4(station.port, connect).await;
    client.publish("t", QoS::AtLeastOnce, 1, false, "alive").await;
    assert_eq!(client.read().await, puback(1));
    assert_eq!(client.read().await, None);
    let waited = begun.elapsed().as_millis();
    assert!((1_400..4_000).contains(&waited), "{waited} ms");
    let seen = station.wait_for("the will", |seen| seen.len() == 2).await;
    let (since, received) = seen[1].gone.unwrap();
    let silence = received.since(since).0;
    assert!((1_400..4_000).contains(&silence), "since is when it was last heard: {silence} ms");
    station.stop().await;
}

#[tokio::test]
async fn a_taken_over_client_is_told_and_its_will_is_older_than_the_new_life() {
    let station = Station::open("").await;
    let (mut old, _) = Talker::paho(station.port, &["--v5", "--id", "c", "--will", "t/will"]).await;
    let (mut new, _) = Talker::paho(station.port, &["--v5", "--id", "c", "--will", "t/will"]).await;
    assert_eq!(old.line().await, "disconnected 142", "session taken over");
    new.say("publish t 1 0 alive").await;
    assert_eq!(new.line().await, "published 0");
    let seen = station.wait_for("will and life", |seen| seen.len() == 2).await;
    assert!(seen.iter().any(|seen| seen.gone.is_some()), "{seen:?}");
    assert_eq!(station.handle.connections(), 1);
    station.stop().await;
}

/// As zigbee2mqtt 1.x connects: a session that should persist, retained states, an availability topic as retained will.
#[tokio::test]
async fn a_zigbee2mqtt_like_bridge_is_at_home() {
    let station = Station::open("").await;
    let offline = r#"{"state":"offline"}"#;
    let arguments = [
        "--id",
        "mqttjs_1a2b3c4d",
        "--persistent",
        "--will",
        "zigbee2mqtt/bridge/state",
        "--will-payload",
        offline,
    ];
    for round in 1..=2 {
        let (mut bridge, connected) = Talker::paho(station.port, &arguments).await;
        assert_eq!(connected, "0 0", "welcome, and honest that no session was kept");
        bridge.say("subscribe zigbee2mqtt/+/set 0").await;
        assert_eq!(bridge.line().await, "subscribed 0");
        for line in [
            r#"publish zigbee2mqtt/bridge/state 1 1 {"state":"online"}"#,
            r#"publish zigbee2mqtt/smoke 0 1 {"battery":78,"linkquality":55,"smoke":false}"#,
        ] {
            bridge.say(line).await;
            assert_eq!(bridge.line().await, "published 0");
        }
        assert_eq!(
            station
                .handle
                .publish("zigbee2mqtt/siren/set", r#"{"alarm":true}"#, QoS::AtLeastOnce, false)
                .unwrap(),
            1
        );
        assert_eq!(bridge.line().await, r#"message zigbee2mqtt/siren/set 0 0 {"alarm":true}"#);
        bridge.kill().await;
        let seen = station.wait_for("the will", |seen| seen.len() == 3 * round).await;
        let gone = seen.last().unwrap();
        assert_eq!((gone.topic.as_str(), gone.payload.as_str()), ("zigbee2mqtt/bridge/state", offline));
        assert!(gone.gone.is_some());
    }
    station.stop().await;
}

#[tokio::test]
async fn a_stop_acknowledges_what_is_under_way_and_tells_v5_and_sends_no_will() {
    let station = Station::open("").await;
    station.commits(Commits::Held);
    let will = v5::LastWill::new("t/will", "offline", QoS5::AtLeastOnce, false, None);
    let (mut client, _) = Raw::v5(station.port, connect5("c"), Some(will)).await;
    client.publish5("t", QoS5::AtLeastOnce, 1, "under way").await;
    station.wait_for("the message", |seen| seen.len() == 1).await;
    let mut others = Vec::new();
    for n in 0..20 {
        others.push(Raw::v5(station.port, connect5(&format!("other-{n}")), None).await.0);
    }
    let port = station.port;
    station.begin_stop();
    eventually("the port closes", 20, async || {
        tokio::net::TcpStream::connect(("127.0.0.1", port)).await.is_err().then_some(())
    })
    .await;
    station.commits(Commits::AtOnce);
    let Some(v5::Packet::PubAck(ack)) = client.read5().await else { panic!("no PUBACK") };
    assert_eq!(ack.pkid, 1);
    for mut client in others.into_iter().chain([client]) {
        let Some(v5::Packet::Disconnect(goodbye)) = client.read5().await else { panic!("no DISCONNECT") };
        assert_eq!(goodbye.reason_code, v5::DisconnectReasonCode::ServerShuttingDown);
    }
    let seen = station.stop().await;
    assert_eq!(seen.len(), 1, "{seen:?}");
}
