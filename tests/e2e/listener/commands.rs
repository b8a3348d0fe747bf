//! The other direction: what the gateway publishes, and who hears it.

use rumqttc::mqttbytes::{QoS, v4};
use rumqttc::v5::mqttbytes::{QoS as QoS5, v5};
use tests::neighbours::eventually;

use super::clients::{Raw, Talker, connect5, mosquitto_pub};
use super::station::Station;

#[tokio::test]
async fn mosquitto_sub_follows_the_alarm_topics() {
    let station = Station::open("").await;
    station.handle.publish("gw/alarms/A-1", "raised", QoS::AtLeastOnce, true).unwrap();
    for (version, qos) in [("mqttv311", "0"), ("mqttv311", "1"), ("mqttv5", "1"), ("mqttv5", "2")] {
        let arguments = ["-V", version, "-q", qos, "-t", "gw/alarms/#", "-F", "%r %t %p", "-k", "30"];
        let mut follower = Talker::mosquitto_sub(station.port, &arguments);
        assert_eq!(follower.line().await, "1 gw/alarms/A-1 raised", "retained first");
        for payload in ["acknowledged", "closed"] {
            let queued = station.handle.publish("gw/alarms/A-1", payload, QoS::AtLeastOnce, false).unwrap();
            assert_eq!(queued, 1);
            assert_eq!(follower.line().await, format!("0 gw/alarms/A-1 {payload}"));
        }
        follower.kill().await;
        station.wait_for_connections(0).await;
    }
    assert_eq!(station.handle.publish("gw/alarms/A-1", "", QoS::AtLeastOnce, true).unwrap(), 0);
    station.stop().await;
}

#[tokio::test]
async fn devices_do_not_hear_each_other() {
    let station = Station::open("").await;
    let mut client = Raw::v4(station.port, v4::Connect::new("c")).await;
    let mut subscribe = v4::Subscribe::new("#", QoS::AtLeastOnce);
    subscribe.pkid = 1;
    client.send(v4::Packet::Subscribe(subscribe)).await;
    let granted = vec![v4::SubscribeReasonCode::Success(QoS::AtLeastOnce)];
    assert_eq!(client.read().await, Some(v4::Packet::SubAck(v4::SubAck::new(1, granted))));
    for retain in [&[][..], &["-r"]] {
        let arguments = [&["-q", "1", "-t", "t", "-m", "x"], retain].concat();
        assert!(mosquitto_pub(station.port, &arguments).await.status.success());
    }
    station.wait_for("both", |seen| seen.len() == 2).await;
    client.expect_silence().await;
    let mut later = Raw::v4(station.port, v4::Connect::new("later")).await;
    let mut subscribe = v4::Subscribe::new("#", QoS::AtLeastOnce);
    subscribe.pkid = 1;
    later.send(v4::Packet::Subscribe(subscribe)).await;
    assert!(matches!(later.read().await, Some(v4::Packet::SubAck(_))));
    later.expect_silence().await;
    station.stop().await;
}

#[tokio::test]
async fn what_is_not_offered_is_refused_by_its_name() {
    let station = Station::open("").await;
    let (mut client, welcome) = Raw::v5(station.port, connect5(""), None).await;
    let offered = welcome.properties.unwrap();
    assert!(offered.assigned_client_identifier.is_some_and(|id| !id.is_empty()));
    assert_eq!((offered.receive_max, offered.max_packet_size), (Some(1000), Some(256 * 1024)));
    assert_eq!(offered.session_expiry_interval, Some(0));
    let filters = ["ok/+", "$share/g/t", "a#"].map(|path| v5::Filter::new(path, QoS5::ExactlyOnce));
    let mut subscribe = v5::Subscribe::new_many(filters, None);
    subscribe.pkid = 5;
    client.send5(v5::Packet::Subscribe(subscribe)).await;
    let Some(v5::Packet::SubAck(answer)) = client.read5().await else { panic!("no SUBACK") };
    use v5::SubscribeReasonCode::{SharedSubscriptionsNotSupported, Success, TopicFilterInvalid};
    assert_eq!(
        answer.return_codes,
        [Success(QoS5::AtLeastOnce), SharedSubscriptionsNotSupported, TopicFilterInvalid]
    );
    let mut unsubscribe = v5::Unsubscribe { pkid: 6, filters: vec!["ok/+".into()], properties: None };
    unsubscribe.filters.push("never".into());
    client.send5(v5::Packet::Unsubscribe(unsubscribe)).await;
    let Some(v5::Packet::UnsubAck(answer)) = client.read5().await else { panic!("no UNSUBACK") };
    assert_eq!(answer.reasons, [v5::UnsubAckReason::Success, v5::UnsubAckReason::NoSubscriptionExisted]);
    station.stop().await;
}

#[tokio::test]
async fn a_subscriber_that_does_not_read_is_cut_off_and_one_that_reads_is_not() {
    let station = Station::open("").await;
    let mut good = Talker::mosquitto_sub(station.port, &["-q", "1", "-t", "t", "-F", "%l"]);
    let mut subscribe = v4::Subscribe::new("t", QoS::AtLeastOnce);
    subscribe.pkid = 1;
    let mut slow = Raw::v4(station.port, v4::Connect::new("slow")).await;
    slow.send(v4::Packet::Subscribe(subscribe)).await;
    assert!(matches!(slow.read().await, Some(v4::Packet::SubAck(_))));
    station.wait_for_connections(2).await;
    eventually("both subscribed", 20, async || {
        (station.handle.publish("t", "0", QoS::AtLeastOnce, false).unwrap() == 2).then_some(())
    })
    .await;
    good.line().await;
    // Never acknowledged by the slow one: 100 in its window, 256 in its queue.
    for _ in 0..1000 {
        station.handle.publish("t", "x".repeat(100), QoS::AtLeastOnce, false).unwrap();
        let length = good.line().await;
        assert!(length == "100" || length == "1", "{length}");
    }
    station.wait_for_connections(1).await;
    while let Some(packet) = slow.read().await {
        assert!(matches!(packet, v4::Packet::Publish(_)));
    }
    station.stop().await;
}

#[tokio::test]
async fn nonsense_is_not_published() {
    let station = Station::open("").await;
    for topic in ["", "a/+", "a/#", "a\0"] {
        assert!(station.handle.publish(topic, "x", QoS::AtMostOnce, false).is_err(), "{topic:?}");
    }
    assert!(station.handle.publish("t", vec![0; 2 << 20], QoS::AtMostOnce, false).is_err());
    station.stop().await;
}
