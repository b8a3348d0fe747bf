//! Orders to LoRaWAN devices through a network server that speaks by ChirpStack's own published messages, on a real broker: waiting, handed over, sent, confirmed, and not; taken back.

use axum::http::StatusCode;
use gateway::store::Store;
use serde_json::{Value, json};
use tests::neighbours::{Neighbour, eventually, mosquitto, publish, python, root};
use tests::site::{Receiver, Site, Station};
use tests::talker::Talker;
use tokio::process::Command;

const UPLINK: &str = "up 017564037B0A00";

struct ChirpStack(Talker);

impl ChirpStack {
    async fn start(broker: &Neighbour) -> Self {
        let mut program = Command::new(python());
        program.arg(root().join("tests/neighbours/chirpstack.py")).arg(broker.port.to_string());
        let mut server = Self(Talker::start(&mut program));
        assert_eq!(server.says().await, "ready");
        server
    }

    async fn says(&mut self) -> String {
        self.0.line(20).await
    }

    /// Something happens, and then it was told what it says; both in any order.
    async fn happens(&mut self, what: &str, told: &[&str]) {
        self.0.tell(what).await;
        let mut said = Vec::new();
        while said.len() <= told.len() {
            said.push(self.says().await);
        }
        said.sort();
        let mut wanted = [&["done"], told].concat();
        wanted.sort_unstable();
        assert_eq!(said, wanted);
    }
}

async fn site(commands: bool) -> (Neighbour, ChirpStack, Site) {
    let broker = mosquitto("").await.unwrap();
    let server = ChirpStack::start(&broker).await;
    let receiver = Receiver::start().await;
    let site = Site::new(&format!(
        "{}[[broker]]\nname = \"main\"\nhost = \"127.0.0.1\"\nport = {}\nclient_id = \"gw\"\ncommands = {commands}\nsubscribe = [\"application/+/device/+/event/+\"]\n\
         [[topic]]\nfilter = \"application/+/device/+/event/+\"\ndecoder = \"chirpstack\"\n",
        receiver.config(),
        broker.port
    ));
    site.append(
        "devices.csv",
        "HY-9,hydrant,东门消火栓,lora:24e124136b502217,S1-C1-G1,东门,118.905,32.11,\n",
    );
    (broker, server, site)
}

fn interval(seconds: u32) -> Value {
    json!({ "profile": "milesight-em500-pp", "order": "report_interval", "value": seconds })
}

async fn give(station: &Station, order: &Value) -> (StatusCode, Value) {
    station.post("/api/v1/devices/HY-9/orders", order).await
}

async fn withdraw(station: &Station, number: u64) -> (StatusCode, Value) {
    station.post(&format!("/api/v1/orders/{number}/withdraw"), &json!({})).await
}

/// Until a message of the device arrives: the broker has the station's subscription. To join is no uplink that an order waits for.
async fn connected(station: &Station, broker: &Neighbour) {
    let joined = json!({ "deviceInfo": { "devEui": "24e124136b502217" } }).to_string();
    eventually("the subscription", 20, || async {
        publish(broker.port, "application/x/device/24e124136b502217/event/join", &joined, &[]).await;
        (station.get("/api/v1/devices/HY-9").await["online"] == true).then_some(())
    })
    .await;
}

async fn newest(station: &Station) -> Value {
    station.get("/api/v1/orders?device=HY-9&limit=1").await["items"][0].clone()
}

async fn becomes(station: &Station, state: &str) -> Value {
    eventually(&format!("the newest order is {state}"), 20, || async {
        let order = newest(station).await;
        (order["state"] == state).then_some(order)
    })
    .await
}

#[tokio::test]
async fn an_order_waits_for_the_device_and_ends_with_its_own_word() {
    let (broker, mut server, site) = site(true).await;
    let station = site.start().await;
    let (status, given) = give(&station, &interval(1_200)).await;
    assert_eq!(
        (status, &given["state"], &given["hex"]),
        (StatusCode::ACCEPTED, &json!("waiting"), &json!("ff03b004")),
        "{given}"
    );
    assert_eq!(
        (&given["what"], &given["by"]),
        (&json!("report_interval 1200 s (milesight-em500-pp)"), &json!("duty-officer"))
    );
    station.stop().await; // Nobody heard the device yet, and the order survives.

    let station = site.start().await;
    connected(&station, &broker).await;
    assert_eq!(newest(&station).await["state"], "waiting");
    server.happens(UPLINK, &["told 85 ff03b004 confirmed"]).await;
    becomes(&station, "handed").await;
    server.happens("txack", &[]).await;
    becomes(&station, "sent").await;
    server.happens("ack", &[]).await;
    becomes(&station, "confirmed").await;

    // Now it is known where it listens.
    let (_, given) = give(&station, &json!({ "profile": "milesight-em500-pp", "order": "reboot" })).await;
    assert_eq!(given["number"], 2, "{given}");
    assert_eq!(server.says().await, "told 85 ff10ff confirmed");
    becomes(&station, "handed").await;
    server.happens("nack", &[]).await;
    let failed = becomes(&station, "failed").await;
    assert!(failed["note"].as_str().unwrap().contains("did not acknowledge"), "{failed}");

    let (_, given) = give(&station, &json!({ "port": 10, "hex": "01 02" })).await;
    assert_eq!((&given["what"], &given["hex"]), (&json!("bytes"), &json!("0102")), "{given}");
    assert_eq!(server.says().await, "told 10 0102 confirmed");
    server.happens("drop", &[]).await;
    let failed = becomes(&station, "failed").await;
    assert!(failed["note"].as_str().unwrap().contains("too long"), "{failed}");
    assert_eq!(station.get("/api/v1/orders?limit=2").await["next"], "2");

    // What the network server has nobody takes back; what waits is not told when the device is heard.
    give(&station, &interval(900)).await;
    assert_eq!(server.says().await, "told 85 ff038403 confirmed");
    becomes(&station, "handed").await;
    let (status, answer) = withdraw(&station, 4).await;
    assert_eq!(status, StatusCode::CONFLICT, "{answer}");
    assert_eq!(answer["type"], "urn:gridwarden:problem:too-late-to-withdraw", "{answer}");
    assert!(answer["detail"].as_str().unwrap().contains("the network server has it"), "{answer}");
    assert_eq!(newest(&station).await["state"], "handed");
    let letters = station.get("/api/v1/dead-letters").await;
    assert_eq!(letters["items"], json!([]), "the server's answers are understood");
    station.stop().await;

    let station = site.start().await;
    let (_, given) = give(&station, &interval(700)).await;
    assert_eq!(
        (&given["number"], &given["state"]),
        (&json!(5), &json!("waiting")),
        "not heard since the start"
    );
    for _ in 0..2 {
        let (status, taken) = withdraw(&station, 5).await;
        assert_eq!((status, &taken["state"]), (StatusCode::OK, &json!("withdrawn")), "{taken}");
        assert_eq!(taken["note"], "taken back by duty-officer");
    }
    connected(&station, &broker).await;
    server.happens(UPLINK, &[]).await;
    give(&station, &interval(800)).await;
    assert_eq!(
        server.says().await,
        "told 85 ff032003 confirmed",
        "the next one goes, and not the one before"
    );
    becomes(&station, "handed").await;
    assert_eq!(station.get("/api/v1/orders").await["items"][1]["state"], "withdrawn");
    assert_eq!(withdraw(&station, 99).await.0, StatusCode::NOT_FOUND);
    station.stop().await;

    let log = Store::open_beside(&site.file("data/station.db")).unwrap().audit(None, 20).await.unwrap();
    let orders: Vec<_> =
        log.iter().map(|(_, line)| line).filter(|line| line.what == "device.order").collect();
    assert_eq!(orders.len(), 6, "{log:?}");
    assert_eq!((orders[5].who.as_str(), orders[5].target.as_str()), ("duty-officer", "device HY-9"));
    assert_eq!(orders[5].detail, "report_interval 1200 s (milesight-em500-pp); port 85, ff03b004");
    let taken_back: Vec<_> =
        log.iter().map(|(_, line)| line).filter(|line| line.what == "device.order.withdraw").collect();
    let [taken_back] = taken_back[..] else { panic!("one: {log:?}") };
    assert_eq!((taken_back.who.as_str(), taken_back.target.as_str()), ("duty-officer", "device HY-9"));
    assert_eq!(taken_back.detail, "order 5: report_interval 700 s (milesight-em500-pp)");
}

#[tokio::test]
async fn an_order_that_nobody_confirms_is_shown_so() {
    let (broker, mut server, site) = site(false).await;
    let station = site.start().await;
    let mut order = interval(600);
    order["confirm_within_s"] = json!(1);
    give(&station, &order).await;
    becomes(&station, "unconfirmed").await;

    // A broker without `commands = true` is only listened to.
    connected(&station, &broker).await;
    give(&station, &interval(600)).await;
    server.happens(UPLINK, &[]).await;
    let stays = eventually("why it waits", 20, || async {
        let order = newest(&station).await;
        (!order["note"].is_null()).then_some(order)
    })
    .await;
    assert_eq!(stays["state"], "waiting");
    assert!(stays["note"].as_str().unwrap().contains("commands = true"), "{stays}");

    let known = station.get("/api/v1/orders/known").await;
    let known = known["items"].as_array().unwrap();
    let interval_of = json!({ "profile": "milesight-em500-pp", "order": "report_interval", "value": { "unit": "s", "min": 60, "max": 65_535 } });
    assert!(known.contains(&interval_of), "{known:?}");
    assert!(
        known.contains(&json!({ "profile": "milesight-em500-pp", "order": "reboot", "value": null })),
        "{known:?}"
    );
    for (order, words) in [
        (json!({ "profile": "milesight-em500-pp", "order": "sing" }), "report_interval, reboot"),
        (json!({ "profile": "milesight-gs524n", "order": "reboot" }), "nothing"),
        (json!({ "profile": "nobody's", "order": "reboot" }), "nobody's"),
        (interval(5), "60 to 65535 s"),
        (json!({ "profile": "milesight-em500-pp", "order": "report_interval" }), "60 to 65535 s"),
        (json!({ "port": 0, "hex": "01" }), "1 to 223"),
        (json!({ "port": 1, "hex": "0" }), "hexadecimal"),
        (json!({ "port": 1, "hex": "01", "order": "reboot" }), "`profile` and `order`"),
        (json!({ "port": 1, "hex": "01", "confirm_within_s": 0 }), "2592000"),
    ] {
        let (status, answer) = give(&station, &order).await;
        assert_eq!(status, StatusCode::UNPROCESSABLE_ENTITY, "{order} {answer}");
        assert!(answer.to_string().contains(words), "{order} {answer}");
    }
    let (status, answer) = station.post("/api/v1/devices/SD-3/orders", &interval(600)).await;
    assert_eq!(status, StatusCode::CONFLICT, "{answer}");
    let (status, _) = station.post("/api/v1/devices/NOBODY/orders", &interval(600)).await;
    assert_eq!(status, StatusCode::NOT_FOUND);
    station.stop().await;
}
