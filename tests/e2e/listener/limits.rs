//! What a broken, greedy or hostile client can do: nothing to others.

use std::time::Duration;

use bytes::BytesMut;
use gateway::io::inlet::QUEUE_MAX;
use rumqttc::mqttbytes::{QoS, v4};
use rumqttc::v5::mqttbytes::{QoS as QoS5, v5};

use super::clients::{Raw, connack, connect5, mosquitto_pub};
use super::station::{Commits, Station};

#[tokio::test]
async fn a_packet_that_is_too_large_is_refused_before_its_body() {
    let station = Station::open("max_packet_kb = 1").await;
    // A length of 2 MB and no body: the answer must not wait for it.
    let mut client = Raw::v4(station.port, v4::Connect::new("c")).await;
    client.bytes(&[0x30, 0xFF, 0xFF, 0x7F]).await;
    assert_eq!(client.read().await, None);
    let (mut client, welcome) = Raw::v5(station.port, connect5("c"), None).await;
    assert_eq!(welcome.properties.unwrap().max_packet_size, Some(1024));
    client.publish5("t", QoS5::AtLeastOnce, 1, &"x".repeat(900)).await;
    assert!(matches!(client.read5().await, Some(v5::Packet::PubAck(_))));
    client.publish5("t", QoS5::AtLeastOnce, 2, &"x".repeat(20_000)).await;
    let Some(v5::Packet::Disconnect(goodbye)) = client.read5().await else { panic!("no DISCONNECT") };
    assert_eq!(goodbye.reason_code, v5::DisconnectReasonCode::PacketTooLarge);
    assert_eq!(station.stop().await.len(), 1);
}

#[tokio::test]
async fn a_client_that_is_slow_to_connect_is_dropped() {
    let station = Station::open("").await;
    let mut silent = Raw::open(station.port).await;
    let mut dribbling = Raw::open(station.port).await;
    let dribble = async {
        for byte in [0x10, 0x10, 0, 4, b'M'] {
            dribbling.bytes(&[byte]).await;
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        dribbling.read().await
    };
    let begun = tokio::time::Instant::now();
    assert_eq!(tokio::join!(silent.read(), dribble), (None, None));
    assert!(begun.elapsed() < Duration::from_secs(5), "the patience of this test is 0.4 s");
    station.stop().await;
}

#[tokio::test]
async fn what_is_not_mqtt_is_dropped_and_others_go_on() {
    let station = Station::open("").await;
    let mut good = Raw::v4(station.port, v4::Connect::new("good")).await;
    let mut seed = 7_u64;
    for bytes in [&b"GET / HTTP/1.1\r\n\r\n"[..], b"\x10\xFF\xFF\xFF\xFF", b"\x10\x02\x00\x04", b"\x00"] {
        let mut client = Raw::open(station.port).await;
        client.bytes(bytes).await;
        assert_eq!(client.read().await, None, "{bytes:?}");
    }
    for _ in 0..50 {
        let mut client = Raw::v4(station.port, v4::Connect::new("bad")).await;
        let noise: Vec<u8> = std::iter::repeat_with(|| {
            seed = seed.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
            (seed >> 56) as u8
        })
        .take(300)
        .collect();
        // A reserved packet type first, so that it certainly ends.
        client.bytes(&[&[0xF0][..], &noise].concat()).await;
        assert_eq!(client.read().await, None);
    }
    good.publish("t", QoS::AtLeastOnce, 1, false, "still here").await;
    assert!(matches!(good.read().await, Some(v4::Packet::PubAck(_))));
    assert_eq!(station.stop().await.len(), 1);
}

#[tokio::test]
async fn unknown_protocol_levels_are_told() {
    let station = Station::open("").await;
    for connect in [
        &b"\x10\x0d\x00\x04MQTT\x06\x02\x00\x1e\x00\x01c"[..],
        b"\x10\x0f\x00\x06MQIsdp\x03\x02\x00\x1e\x00\x01c",
    ] {
        let mut client = Raw::open(station.port).await;
        client.bytes(connect).await;
        assert_eq!(client.read().await, Some(connack(v4::ConnectReturnCode::RefusedProtocolVersion)));
        assert_eq!(client.read().await, None);
    }
    station.stop().await;
}

#[tokio::test]
async fn too_many_connections_are_told_but_a_take_over_is_not_one() {
    let station = Station::open("max_connections = 2").await;
    let _first = Raw::v4(station.port, v4::Connect::new("1")).await;
    let mut second = Raw::v4(station.port, v4::Connect::new("2")).await;
    let mut third = Raw::open(station.port).await;
    third.send(v4::Packet::Connect(v4::Connect::new("3"))).await;
    assert_eq!(third.read().await, Some(connack(v4::ConnectReturnCode::ServiceUnavailable)));
    assert_eq!(third.read().await, None);
    let mut third = Raw::open(station.port).await;
    third.send5(v5::Packet::Connect(connect5("3"), None, None)).await;
    let Some(v5::Packet::ConnAck(refusal)) = third.read5().await else { panic!("no CONNACK") };
    assert_eq!(refusal.code, v5::ConnectReturnCode::ServerUnavailable);
    let _again = Raw::v4(station.port, v4::Connect::new("2")).await;
    assert_eq!(second.read().await, None);
    station.stop().await;
}

#[tokio::test]
async fn a_fast_sender_is_slowed_down_and_loses_nothing() {
    let station = Station::open("messages_per_s_max = 200").await;
    let mut client = Raw::v4(station.port, v4::Connect::new("c")).await;
    let begun = tokio::time::Instant::now();
    for n in 0..500_u16 {
        client.publish("t", QoS::AtLeastOnce, n + 1, false, &n.to_string()).await;
    }
    for n in 0..500_u16 {
        assert_eq!(client.read().await, Some(v4::Packet::PubAck(v4::PubAck::new(n + 1))));
    }
    let took = begun.elapsed().as_secs_f64();
    assert!((1.2..8.0).contains(&took), "200 at once, then 200 a second: {took} s");
    let expected: Vec<String> = (0..500).map(|n| n.to_string()).collect();
    assert_eq!(station.payloads(), expected);
    station.stop().await;
}

#[tokio::test]
async fn reading_pauses_while_a_thousand_wait_for_their_commit() {
    let station = Station::open("messages_per_s_max = 1000000").await;
    station.commits(Commits::Held);
    let mut client = Raw::v4(station.port, v4::Connect::new("c")).await;
    for n in 0..3000_u16 {
        client.publish("t", QoS::AtLeastOnce, n + 1, false, "x").await;
    }
    station.wait_for("a thousand", |seen| seen.len() == 1000).await;
    // Another client's message proves that the listener had time for more.
    let mut other = Raw::v4(station.port, v4::Connect::new("other")).await;
    other.publish("t", QoS::AtMostOnce, 0, false, "other").await;
    station.wait_for("the other's", |seen| seen.iter().any(|seen| seen.payload == "other")).await;
    other.expect_silence().await;
    assert_eq!(station.seen().len(), 1001);
    station.commits(Commits::AtOnce);
    for n in 0..3000_u16 {
        assert_eq!(client.read().await, Some(v4::Packet::PubAck(v4::PubAck::new(n + 1))));
    }
    assert_eq!(station.stop().await.len(), 3001);
}

#[tokio::test]
async fn a_pause_of_ours_is_not_the_clients_silence() {
    let station = Station::open("messages_per_s_max = 1000000").await;
    station.commits(Commits::Held);
    let mut connect = v4::Connect::new("c");
    connect.keep_alive = 1;
    let mut client = Raw::v4(station.port, connect).await;
    for n in 0..1000_u16 {
        client.publish("t", QoS::AtLeastOnce, n + 1, false, "x").await;
    }
    station.wait_for("all", |seen| seen.len() == 1000).await;
    // Longer than 1.5 keep-alives; there is no condition to wait for, because nothing may happen.
    tokio::time::sleep(Duration::from_millis(2_000)).await;
    station.commits(Commits::AtOnce);
    for n in 0..1000_u16 {
        assert_eq!(client.read().await, Some(v4::Packet::PubAck(v4::PubAck::new(n + 1))));
    }
    client.expect_silence().await;
    station.stop().await;
}

#[tokio::test]
async fn a_full_queue_holds_the_sender_back_and_loses_nothing() {
    let station = Station::open("messages_per_s_max = 1000000").await;
    station.commits(Commits::Stalled);
    let mut client = Raw::v4(station.port, v4::Connect::new("c")).await;
    let expected: Vec<String> = (0..6000).map(|n| n.to_string()).collect();
    for payload in &expected {
        client.publish("t", QoS::AtMostOnce, 0, false, payload).await;
    }
    client.publish("t", QoS::AtLeastOnce, 1, false, "last").await;
    // While it is held back it can still be taken over, and others are served.
    let mut blocked = Raw::v4(station.port, v4::Connect::new("blocked")).await;
    blocked.publish("t", QoS::AtMostOnce, 0, false, "extra").await;
    let _newer = Raw::v4(station.port, v4::Connect::new("blocked")).await;
    assert_eq!(blocked.read().await, None);
    assert_eq!(station.payloads().len(), 0);
    station.commits(Commits::AtOnce);
    assert_eq!(client.read().await, Some(v4::Packet::PubAck(v4::PubAck::new(1))));
    let mut payloads = station.payloads();
    assert_eq!(payloads.pop().as_deref(), Some("last"));
    payloads.retain(|payload| payload != "extra");
    assert_eq!(payloads, expected);
    station.stop().await;
}

/// The last messages are read together with the goodbye, and there is no room for them yet.
#[tokio::test]
async fn what_was_said_before_a_goodbye_waits_for_room_and_is_not_lost() {
    let station = Station::open("messages_per_s_max = 1000000").await;
    station.commits(Commits::Stalled);
    let mut client = Raw::v4(station.port, v4::Connect::new("c")).await;
    let expected: Vec<String> = (0..QUEUE_MAX + 30).map(|n| n.to_string()).collect();
    let mut out = BytesMut::new();
    for payload in &expected {
        v4::Publish::new("t", QoS::AtMostOnce, payload.as_str()).write(&mut out).unwrap();
    }
    out.extend_from_slice(&[0xE0, 0]);
    client.bytes(&out).await;
    // Another client's answer proves that the listener had time for all of it.
    let mut other = Raw::v4(station.port, v4::Connect::new("other")).await;
    other.expect_silence().await;
    station.commits(Commits::AtOnce);
    let all = station.wait_for("all", |seen| seen.len() == expected.len()).await;
    assert!(all.iter().map(|seen| &seen.payload).eq(&expected));
    station.stop().await;
}

#[tokio::test]
async fn a_client_that_does_not_read_its_acknowledgements_is_cut_off() {
    let station = Station::open("messages_per_s_max = 10000000").await;
    let mut client = Raw::v4(station.port, v4::Connect::new("c")).await;
    let block = {
        let mut out = bytes::BytesMut::new();
        for _ in 0..1000 {
            out.extend_from_slice(&[0xC0, 0]);
        }
        out
    };
    // Pings bring answers of the same size; sooner or later both sockets are full.
    let stuffing = async {
        loop {
            client.bytes(&block).await;
        }
    };
    tokio::select! {
        () = stuffing => (),
        () = station.wait_for_connections(0) => (),
    }
    station.stop().await;
}

#[tokio::test]
async fn a_large_message_that_fits_is_taken_whole() {
    let station = Station::open("").await;
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("picture");
    std::fs::write(&file, "x".repeat(250_000)).unwrap();
    let output = mosquitto_pub(station.port, &["-q", "1", "-t", "t", "-f", &file.to_string_lossy()]).await;
    assert!(output.status.success(), "{output:?}");
    // The dead letter that carries it here keeps the first 4 KiB.
    assert_eq!(station.stop().await[0].payload.len(), 4096);
}
