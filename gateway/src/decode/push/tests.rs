//! Envelopes as the platforms build them, around payloads that the shipped profiles know.

use proptest::prelude::*;
use serde_json::json;

use super::*;
use crate::decode::Reject;
use crate::decode::samples;
use crate::model::{Event, Freshness};

/// 2020-05-20T02:11:56Z, in seconds.
const AT_S: i64 = 1_589_940_716;

fn decoded(sender: Sender, envelope: &Value) -> Decoded {
    let context =
        samples::context(&["imei:860803031745975", "imei:865815040244829", "huawei:d-1", "ctwing:c-1"]);
    let payload = envelope.to_string();
    let message = Message {
        topic: "platform",
        payload: payload.as_bytes(),
        retained: false,
        dup: false,
        received: Timestamp((AT_S + 3) * 1000),
    };
    decode(sender, &message, &context)
}

/// Device, freshness and what is set.
type Told = (u32, Freshness, Vec<&'static str>);

/// Of each report; or the first complaint.
fn told(sender: Sender, envelope: &Value) -> Result<Vec<Told>, String> {
    let Decoded { events, rejects, .. } = decoded(sender, envelope);
    if let Some(Reject(why)) = rejects.into_iter().next() {
        return Err(why);
    }
    let one = |event| match event {
        Event::Report(report) => {
            let set = report.values.iter().filter(|value| value.metric.spec().flag && value.value == 1.0);
            (report.device.0, report.freshness, set.map(|value| value.metric.name()).collect())
        }
        Event::Gone { device, .. } => (device.0, Freshness::Live, vec!["gone"]),
        Event::Action(_) => unreachable!("a platform does not act"),
    };
    Ok(events.into_iter().map(one).collect())
}

fn ctwing(payload: Value) -> Value {
    json!({ "messageType": "dataReport", "IMEI": "860803031745975", "deviceId": "c-1", "protocol": "lwm2m",
        "timestamp": AT_S * 1000, "payload": payload })
}

/// A detector with smoke, by its own clock at `AT_S`.
fn huaqiang(alarms: u8) -> String {
    use base64::Engine as _;
    let mut bytes = base64::engine::general_purpose::STANDARD
        .decode("UFUAMBAKLwgBAAMAGwL75SxogDAwcVR5BQgAAAAAAS9kdwJVcVJZAvmvgAL75SwAAAAAAA==")
        .unwrap();
    bytes[13..17].copy_from_slice(&((AT_S - 1_536_508_800) as u32).to_be_bytes());
    bytes[27] = alarms;
    base64::engine::general_purpose::STANDARD.encode(bytes)
}

#[test]
fn bytes_through_ctwing_are_read_by_their_profile_at_their_own_time() {
    let fire = ctwing(json!({ "APPdata": huaqiang(1) }));
    assert_eq!(told(Sender::Ctwing, &fire), Ok(vec![(0, Freshness::Live, vec!["smoke"])]));
    let old = ctwing(
        json!({ "APPdata": "UFUAMBAKLwgBAAMAGwL75SxogDAwcVR5BQgAAAAAAS9kdwJVcVJZAvmvgAL75SwAAAAAAA==" }),
    );
    assert_eq!(told(Sender::Ctwing, &old), Ok(vec![(0, Freshness::Backfill, vec![])]));
}

#[test]
fn fields_that_the_platform_decoded_are_read_too() {
    let silenced = ctwing(
        json!({ "serviceData": { "Alarm_Status": 1, "Battery_Level": 100, "TData": 30, "RSRP": 114 } }),
    );
    assert_eq!(told(Sender::Ctwing, &silenced), Ok(vec![(0, Freshness::Live, vec!["smoke"])]));
}

#[test]
fn a_sleeping_device_is_not_gone() {
    let notice = |protocol: &str, kind: u8| json!({ "messageType": "deviceOnlineOfflineReport", "deviceId": "c-1", "protocol": protocol, "eventType": kind, "timestamp": AT_S * 1000 });
    assert_eq!(told(Sender::Ctwing, &notice("lwm2m", 1)), Ok(vec![(3, Freshness::Live, vec![])]));
    assert_eq!(told(Sender::Ctwing, &notice("lwm2m", 0)), Ok(vec![]));
    assert_eq!(told(Sender::Ctwing, &notice("mqtt", 0)), Ok(vec![(3, Freshness::Live, vec!["gone"])]));
}

#[test]
fn texts_and_states_through_huawei() {
    let line = "N311V31I865815040244829H89861118280005212549X01T28U99S18";
    let service = |data: Value| json!({ "serviceId": "WPS", "data": data, "eventTime": "20200520T021156Z" });
    let old = json!({ "notifyType": "deviceDataChanged", "deviceId": "unknown", "service": service(json!({ "Data": line })) });
    let fire = || Ok(vec![(1, Freshness::Live, vec!["smoke"])]);
    assert_eq!(told(Sender::Huawei, &old), fire(), "known by the IMEI in the text");
    let batch = json!({ "notifyType": "deviceDatasChanged", "deviceId": "unknown", "services": [service(json!({ "Data": line }))] });
    assert_eq!(told(Sender::Huawei, &batch), fire());
    let new = |resource: &str, body: Value| {
        json!({ "resource": resource, "event": "report", "event_time": "20200520T021156Z",
            "notify_data": { "header": { "device_id": "d-1", "node_id": "865815040244829" }, "body": body } })
    };
    let property = json!({ "services": [{ "service_id": "WPS", "properties": { "Data": line }, "event_time": "20200520T021156Z" }] });
    assert_eq!(told(Sender::Huawei, &new("device.property", property)), fire());
    assert_eq!(told(Sender::Huawei, &new("device.message", json!({ "content": line }))), fire());
    assert_eq!(
        told(Sender::Huawei, &new("device.status", json!({ "status": "OFFLINE" }))),
        Ok(vec![(1, Freshness::Live, vec!["gone"])])
    );
    assert_eq!(told(Sender::Huawei, &json!({ "notifyType": "deviceAdded", "deviceId": "x" })), Ok(vec![]));
}

#[test]
fn what_cannot_be_used_says_why() {
    let mut foreign = ctwing(json!({ "APPdata": huaqiang(1) }));
    foreign["IMEI"] = json!("865815040244829");
    let mut stranger = ctwing(json!({ "serviceData": { "Alarm_Status": 1 } }));
    (stranger["IMEI"], stranger["deviceId"]) = (json!("860000000000000"), json!("nobody"));
    for (envelope, why) in [
        (foreign, "its envelope of 865815040244829"),
        (stranger, "`imei:860000000000000` is not registered"),
        (ctwing(json!({ "APPdata": "AAAA" })), "no device profile reads the payload"),
        (json!({ "messageType": "other" }), "messageType"),
        (json!([1]), "messageType"),
    ] {
        let said = told(Sender::Ctwing, &envelope).expect_err(why);
        assert!(said.contains(why), "{said}");
    }
    assert!(told(Sender::Huawei, &json!({})).is_err());
}

/// Which of two profiles is meant is never guessed.
#[test]
fn a_payload_that_two_profiles_read_is_used_by_neither() {
    let profile = |name: &str| {
        let text = "title = \"x\"\nkind = \"smoke_detector\"\nover = \"text\"\n[[evidence]]\nkind = \"paper\"\nsource = \"x\"\n\
            [[frame]]\nseparator = \",\"\n[[frame.field]]\nfrom = { part = 0 }\nvalues = { fire = [\"smoke\"] }\n\
            [[sample]]\nname = \"x\"\ntext = \"fire\"\nexpect = [\"smoke=1\"]\n";
        crate::decode::profile::compile(name, "x.toml", text).expect("good by itself")
    };
    let told = |names: &[&str]| {
        let profiles = crate::decode::profile::Profiles::build(names.iter().map(|name| profile(name)));
        let context = samples::context_with(
            &["imei:860803031745975"],
            std::sync::Arc::new(profiles.expect("no names in common")),
        );
        let payload = ctwing(json!({ "APPdata": "fire" })).to_string();
        let received = Timestamp((AT_S + 3) * 1000);
        let message =
            Message { topic: "platform", payload: payload.as_bytes(), retained: false, dup: false, received };
        let decoded = decode(Sender::Ctwing, &message, &context);
        (decoded.events.len(), decoded.rejects.into_iter().map(|Reject(why)| why).collect::<String>())
    };
    assert_eq!(told(&["a"]), (1, String::new()));
    let (events, why) = told(&["a", "b"]);
    assert_eq!(events, 0);
    assert!(why.contains("`a` and `b` both read this payload"), "{why}");
}

proptest! {
    #[test]
    fn random_bytes_never_panic(bytes in prop::collection::vec(any::<u8>(), 0..400), huawei: bool) {
        let message = Message { topic: "x", payload: &bytes, retained: false, dup: false, received: Timestamp(0) };
        let sender = if huawei { Sender::Huawei } else { Sender::Ctwing };
        decode(sender, &message, &samples::context(&[]));
    }

    #[test]
    fn random_times_and_payloads_never_panic(time in "\\PC{0,20}", data in "\\PC{0,40}") {
        decoded(Sender::Huawei, &json!({ "notifyType": "deviceDataChanged", "service": { "data": data, "eventTime": time } }));
        decoded(Sender::Ctwing, &ctwing(json!({ "APPdata": data })));
    }
}
