//! Seats, take-over and deliveries.

use bytes::{Buf, BytesMut};
use futures::FutureExt;

use super::*;
use crate::io::listener::packet::{Packet, Version, next};

fn hub(seats_max: usize) -> Arc<Hub> {
    Arc::new(Hub::new(seats_max))
}

fn wish(filter: &str, qos: QoS) -> Wish {
    Wish { filter: filter.into(), qos, retained: SendRetained::Always, keep_flag: false }
}

fn state(topic: &str, payload: &str) -> Publication {
    Publication { topic: topic.into(), payload: Bytes::copy_from_slice(payload.as_bytes()) }
}

/// The payloads that `outbound` writes now; all are acknowledged.
fn read(outbound: &mut Option<Box<Outbound>>) -> Vec<String> {
    let outbound = outbound.as_deref_mut().unwrap();
    let (mut read, mut out) = (Vec::new(), BytesMut::new());
    loop {
        outbound.write(&mut out, 1 << 20, Version::V4, None);
        if out.is_empty() {
            return read;
        }
        while let Some((Packet::Publish(publish), length)) = next(&out, Version::V4, 1 << 20).unwrap() {
            read.push(String::from_utf8(publish.payload.to_vec()).unwrap());
            outbound.acknowledged(publish.id);
            out.advance(length);
        }
    }
}

#[test]
fn the_newer_connection_takes_the_seat_and_the_older_one_leaves_it_alone() {
    let hub = hub(1);
    let user: Arc<str> = Arc::from("u");
    let old = hub.enter(&user, "c").unwrap();
    let new = hub.enter(&user, "c").expect("a take-over needs no free seat");
    assert_eq!(old.eviction.wait().now_or_never(), Some(Why::TakenOver));
    drop(old);
    assert_eq!(hub.seats(), 1);
    assert_eq!(hub.enter(&user, "other").err(), Some(Denial::Full));
    assert_eq!(new.eviction.wait().now_or_never(), None);
    drop(new);
    assert_eq!(hub.seats(), 0);
}

#[test]
fn another_user_with_the_same_client_id_takes_nothing_over() {
    let hub = hub(9);
    let first = hub.enter(&Arc::from("u1"), "c").unwrap();
    let _second = hub.enter(&Arc::from("u2"), "c").unwrap();
    assert_eq!(first.eviction.wait().now_or_never(), None);
}

#[test]
fn nobody_enters_a_stopping_hub() {
    let hub = hub(9);
    let seat = hub.enter(&Arc::from("u"), "c").unwrap();
    hub.stop();
    assert_eq!(seat.eviction.wait().now_or_never(), Some(Why::Stopping));
    assert_eq!(hub.enter(&Arc::from("u"), "d").err(), Some(Denial::Stopping));
}

#[test]
fn a_subscriber_never_ends_with_an_older_state() {
    let hub = hub(9);
    let seat = hub.enter(&Arc::from("u"), "c").unwrap();
    let mut outbound = None;
    hub.publish(state("alarms/1", "raised"), QoS::AtLeastOnce, true);
    seat.subscribe(wish("alarms/#", QoS::AtLeastOnce), &mut outbound, 10).unwrap();
    assert_eq!(hub.publish(state("alarms/1", "acknowledged"), QoS::AtLeastOnce, true), 1);
    hub.publish(state("alarms/1", "closed"), QoS::AtLeastOnce, true);
    seat.subscribe(wish("+/1", QoS::AtLeastOnce), &mut outbound, 10).unwrap();
    assert_eq!(read(&mut outbound), ["raised", "acknowledged", "closed", "closed"]);
    assert_eq!(
        hub.publish(state("alarms/1", "once"), QoS::AtLeastOnce, false),
        1,
        "two filters, one delivery"
    );
    assert!(seat.unsubscribe("alarms/#") && !seat.unsubscribe("alarms/#"));
    assert_eq!(hub.publish(state("alarms/2", "x"), QoS::AtLeastOnce, false), 0);
}

#[test]
fn a_full_queue_drops_qos_0_and_cuts_off_a_qos_1_subscriber() {
    for (qos, evicted) in [(QoS::AtMostOnce, None), (QoS::AtLeastOnce, Some(Why::SlowReader))] {
        let hub = hub(9);
        let seat = hub.enter(&Arc::from("u"), "c").unwrap();
        let mut outbound = None;
        seat.subscribe(wish("t", qos), &mut outbound, 10).unwrap();
        for _ in 0..QUEUE_MAX {
            assert_eq!(hub.publish(state("t", "x"), QoS::AtLeastOnce, false), 1);
        }
        assert_eq!(hub.publish(state("t", "x"), QoS::AtLeastOnce, false), 0);
        assert_eq!(seat.eviction.wait().now_or_never(), evicted);
    }
}

#[test]
fn the_window_of_unacknowledged_messages_holds_back_the_rest() {
    let hub = hub(9);
    let seat = hub.enter(&Arc::from("u"), "c").unwrap();
    let mut outbound = None;
    seat.subscribe(wish("t", QoS::AtLeastOnce), &mut outbound, 2).unwrap();
    for n in 0..5 {
        hub.publish(state("t", &n.to_string()), QoS::AtLeastOnce, false);
    }
    let mut out = BytesMut::new();
    outbound.as_deref_mut().unwrap().write(&mut out, 1 << 20, Version::V5, None);
    let mut ids = Vec::new();
    while let Some((Packet::Publish(publish), length)) = next(&out, Version::V5, 1 << 20).unwrap() {
        ids.push(publish.id);
        out.advance(length);
    }
    assert_eq!(ids, [1, 2]);
    ids.into_iter().for_each(|id| outbound.as_deref_mut().unwrap().acknowledged(id));
    assert_eq!(read(&mut outbound), ["2", "3", "4"]);
}

#[test]
fn subscriptions_have_a_limit() {
    let hub = hub(9);
    let seat = hub.enter(&Arc::from("u"), "c").unwrap();
    let mut outbound = None;
    for n in 0..SUBSCRIPTIONS_MAX {
        seat.subscribe(wish(&format!("t/{n}"), QoS::AtMostOnce), &mut outbound, 2).unwrap();
    }
    assert!(seat.subscribe(wish("more", QoS::AtMostOnce), &mut outbound, 2).is_none());
    assert!(
        seat.subscribe(wish("t/0", QoS::AtLeastOnce), &mut outbound, 2).is_some(),
        "a known one is renewed"
    );
    let wishes = hub.lock().subscribers[&seat.number].wishes.len();
    assert_eq!(wishes, SUBSCRIPTIONS_MAX);
}
