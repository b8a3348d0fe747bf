//! Devices that nobody registered: they wait, raise no alarm of their own, and are placed from there.

use axum::http::StatusCode;
use gateway::store::Store;
use serde_json::{Value, json};
use tests::neighbours::eventually;
use tests::site::{Receiver, Site, Station};

async fn publish(station: &Station, topic: &str, payload: &Value) {
    tests::neighbours::publish(station.mqtt_port, topic, &payload.to_string(), &[]).await;
}

async fn items(station: &Station, path: &str) -> Vec<Value> {
    station.get(path).await["items"].as_array().unwrap().clone()
}

async fn waiting(station: &Station) -> Vec<Value> {
    items(station, "/api/v1/waiting").await
}

const HALL: &str = "z2m:zigbee2mqtt/3栋/501/hall";

#[tokio::test]
async fn a_stranger_waits_over_a_restart_and_is_placed() {
    let receiver = Receiver::start().await;
    let site = Site::new(&receiver.config());
    let station = site.start().await;
    let bridge = json!([{ "type": "EndDevice", "friendly_name": "3栋/501/hall", "definition": {
        "model": "HS3SA/HS1SA", "vendor": "HEIMAN", "exposes": [{ "property": "smoke" }] } }]);
    publish(&station, "zigbee2mqtt/bridge/devices", &bridge).await;
    let calm = json!({ "smoke": false, "battery": 93 });
    publish(&station, "zigbee2mqtt/3栋/501/hall", &calm).await;
    // Acknowledged, so the room knows it.
    let one = &waiting(&station).await[0];
    assert_eq!(one["address"], HALL);
    assert_eq!((&one["kind"], &one["messages"]), (&json!("smoke_detector"), &json!(1)), "{one}");
    assert_eq!((&one["profile"], &one["vendor"]), (&json!("heiman-hs3sa-hs1sa"), &json!("HEIMAN")), "{one}");
    assert!(one["excerpt"].as_str().unwrap().contains("93"), "{one}");
    assert_eq!(items(&station, "/api/v1/alarms?open=true").await, Vec::<Value>::new(), "no alarm");

    // It burns: nobody knows where, so a trouble alarm says that.
    publish(&station, "zigbee2mqtt/3栋/501/hall", &json!({ "smoke": true })).await;
    let alarms = items(&station, "/api/v1/alarms?open=true").await;
    assert_eq!(alarms.len(), 1, "{alarms:?}");
    assert_eq!(alarms[0]["class"], "trouble");
    assert!(alarms[0]["text"].as_str().unwrap().contains(HALL), "{}", alarms[0]);
    station.stop().await;

    let station = site.start().await;
    let again = &waiting(&station).await[0];
    assert_eq!((&again["messages"], &again["burns"]), (&json!(2), &json!(true)), "{again}");
    publish(&station, "zigbee2mqtt/3栋/501/hall", &json!({ "smoke": true })).await;
    assert_eq!(items(&station, "/api/v1/alarms?open=true").await.len(), 1, "said once, over a restart");

    let place = |cell: &str, id: &str| json!({ "address": HALL, "id": id, "name": "烟感", "cell": cell, "place": "3栋501 \"门厅\", 左" });
    let (status, wrong) = station.post("/api/v1/waiting/place", &place("NOWHERE", "SD-501")).await;
    assert_eq!((status, &wrong["stored"]), (StatusCode::OK, &json!(false)));
    assert!(wrong["problems"][0]["message"].as_str().unwrap().contains("NOWHERE"), "{wrong}");
    let (status, there) = station.post("/api/v1/waiting/place", &place("S1-C1-G1", "SD-1")).await;
    assert_eq!(status, StatusCode::CONFLICT, "{there}");
    let (status, placed) = station.post("/api/v1/waiting/place", &place("S1-C1-G1", "SD-501")).await;
    assert_eq!(
        (status, &placed["added"], &placed["stored"]),
        (StatusCode::OK, &json!(1), &json!(true)),
        "{placed}"
    );
    eventually("it leaves the room", 20, || async { waiting(&station).await.is_empty().then_some(()) }).await;
    let device = station.get("/api/v1/devices/SD-501").await;
    assert_eq!(
        (&device["kind"], &device["place"]),
        (&json!("smoke_detector"), &json!("3栋501 \"门厅\", 左"))
    );
    eventually("the trouble is over: now its own alarms speak", 10, || async {
        (!items(&station, "/api/v1/alarms?class=trouble").await[0]["returned"].is_null()).then_some(())
    })
    .await;

    publish(&station, "zigbee2mqtt/3栋/501/hall", &json!({ "smoke": true })).await;
    let fires = items(&station, "/api/v1/alarms?class=fire").await;
    assert_eq!(fires[0]["device"]["id"], "SD-501", "{fires:?}");
    eventually("the webhook", 10, || async {
        receiver.heard_of(fires[0]["id"].as_str().unwrap()).then_some(())
    })
    .await;
    station.stop().await;
}

#[tokio::test]
async fn a_dismissed_stranger_is_silent_and_can_still_be_found() {
    let receiver = Receiver::start().await;
    let site = Site::new(&format!(
        "{}[[topic]]\nfilter = \"homeassistant/#\"\ndecoder = \"home_assistant\"\n",
        receiver.config()
    ));
    let station = site.start().await;
    let config = json!({ "~": "zigbee2mqtt/neighbour", "dev_cla": "smoke", "stat_t": "~", "o": { "name": "Zigbee2MQTT" },
        "dev": { "ids": "x", "mdl": "TS0205", "mf": "Tuya", "name": "neighbour" } });
    publish(&station, "homeassistant/binary_sensor/x/smoke/config", &config).await;
    let proposed = waiting(&station).await;
    assert_eq!(proposed.len(), 1, "{proposed:?}");
    assert_eq!((&proposed[0]["messages"], &proposed[0]["kind"]), (&json!(0), &json!("smoke_detector")));
    assert_eq!(proposed[0]["profile"], "tuya-ts0205");

    publish(&station, "zigbee2mqtt/neighbour", &json!({ "smoke": true })).await;
    assert_eq!(items(&station, "/api/v1/alarms?open=true").await.len(), 1);
    let address = json!({ "address": "z2m:zigbee2mqtt/neighbour" });
    let (status, dismissed) = station.post("/api/v1/waiting/dismiss", &address).await;
    assert_eq!((status, &dismissed["dismissed"]), (StatusCode::OK, &json!(true)), "{dismissed}");
    eventually("the alarm is over", 10, || async {
        (!items(&station, "/api/v1/alarms").await[0]["returned"].is_null()).then_some(())
    })
    .await;
    for smoke in [false, true] {
        publish(&station, "zigbee2mqtt/neighbour", &json!({ "smoke": smoke })).await;
    }
    assert_eq!(items(&station, "/api/v1/alarms").await.len(), 1, "no alarm any more");
    assert_eq!(waiting(&station).await, Vec::<Value>::new());
    assert_eq!(items(&station, "/api/v1/waiting?dismissed=true").await.len(), 1);
    let (status, _) = station.post("/api/v1/waiting/dismiss", &json!({ "address": "z2m:nobody" })).await;
    assert_eq!(status, StatusCode::NOT_FOUND);
    station.stop().await;
    let log = Store::open_beside(&site.file("data/station.db")).unwrap().audit(None, 10).await.unwrap();
    let line = log.iter().find(|(_, line)| line.what == "waiting.dismiss").map(|(_, line)| line);
    assert_eq!(line.map(|line| line.target.as_str()), Some("device z2m:zigbee2mqtt/neighbour"), "{log:?}");
}
