//! Every detector that Zigbee2MQTT knows, by its real converters (npm: zigbee-herdsman-converters), on a real broker: found, placed, and in danger.
//!
//! What the radio says is chosen by the maker's definition (`tests/neighbours/zigbee`), so a property that the decoder does not know shows here as a danger that nobody heard of.

use std::collections::BTreeSet;

use axum::http::StatusCode;
use gateway::decode::profile::shape::Over;
use serde_json::{Value, json};
use tests::neighbours::{Neighbour, eventually, mosquitto, root};
use tests::site::{Receiver, Site, Station};
use tests::talker::Talker;
use tokio::process::Command;

#[derive(serde::Deserialize)]
struct Detector {
    name: String,
    vendor: String,
    model: String,
    properties: Vec<String>,
    dangers: Vec<String>,
    /// Dangers that no frame begins, or none ends.
    undriven: Vec<String>,
    /// It has a test button.
    tests: bool,
}

impl Detector {
    fn id(&self) -> String {
        self.name.replace(' ', "-")
    }
}

/// In the place of Zigbee2MQTT.
struct Bridge {
    talker: Talker,
    detectors: Vec<Detector>,
}

impl Bridge {
    async fn start(broker: &Neighbour) -> Self {
        let mut program = Command::new("node");
        program.arg(root().join("tests/neighbours/zigbee/bridge.mjs")).arg(broker.port.to_string());
        let mut talker = Talker::start(&mut program);
        let detectors = serde_json::from_str(&talker.line(60).await).unwrap();
        Self { talker, detectors }
    }

    async fn play(&mut self, words: &str) {
        self.talker.tell(words).await;
        assert_eq!(self.talker.line(60).await, "done");
    }
}

/// As the rules of the station ship, with a broker outside.
fn site(receiver: &Receiver, broker: &Neighbour) -> Site {
    let site = Site::new(&format!(
        "{}[[broker]]\nname = \"main\"\nhost = \"127.0.0.1\"\nport = {}\nclient_id = \"gw\"\nsubscribe = [\"zigbee2mqtt/#\"]\nmax_packet_kb = 512\n",
        receiver.config(),
        broker.port
    ));
    let rules = std::fs::read_to_string(root().join("config/rules.toml")).unwrap();
    // So many tests at once are one alarm, of which each would be hidden here.
    let apart = rules.replace("storm_within_s = 600", "storm_within_s = 0");
    assert_ne!(apart, rules);
    site.write("rules.toml", &apart);
    site
}

async fn items(station: &Station, path: &str) -> Vec<Value> {
    station.get(path).await["items"].as_array().unwrap().clone()
}

/// Places what waits, each as what it announced itself to be.
async fn place_all(station: &Station, detectors: &[Detector]) {
    let waiting = eventually("all are announced", 30, || async {
        let waiting = items(station, "/api/v1/waiting?limit=500").await;
        (waiting.len() == detectors.len()).then_some(waiting)
    })
    .await;
    for detector in detectors {
        let address = format!("z2m:zigbee2mqtt/{}", detector.name);
        let one = waiting.iter().find(|one| one["address"] == address).expect("announced");
        let smokes = detector.dangers.iter().any(|danger| danger.starts_with("smoke"));
        let kind = if smokes { "smoke_detector" } else { "gas_detector" };
        assert_eq!(one["kind"], kind, "{} {}", detector.vendor, detector.model);
        let placed = json!({ "address": address, "id": detector.id(), "name": detector.model, "cell": "S1-C1-G1", "place": "1栋" });
        let (status, answer) = station.post("/api/v1/waiting/place", &placed).await;
        assert_eq!((status, &answer["stored"]), (StatusCode::OK, &json!(true)), "{answer}");
    }
    eventually("all have left the room", 30, || async {
        items(station, "/api/v1/waiting").await.is_empty().then_some(())
    })
    .await;
}

/// Waits until exactly these devices have an alarm of this class that goes on.
async fn burning(station: &Station, class: &str, wanted: &BTreeSet<String>) {
    eventually(&format!("{class}: those {} burn, and no other", wanted.len()), 60, || async {
        let alarms = items(station, &format!("/api/v1/alarms?class={class}&limit=200")).await;
        let burning: BTreeSet<String> = alarms
            .iter()
            .filter(|alarm| alarm["returned"].is_null())
            .filter_map(|alarm| alarm["device"]["id"].as_str().map(str::to_owned))
            .collect();
        let wrong: Vec<_> = wanted.symmetric_difference(&burning).collect();
        println!("wrongly silent, or wrongly burning: {wrong:?}"); // Seen when it fails.
        wrong.is_empty().then_some(())
    })
    .await;
}

#[tokio::test]
async fn every_detector_is_found_and_its_danger_calls() {
    let broker = mosquitto("").await.unwrap();
    let receiver = Receiver::start().await;
    let site = site(&receiver, &broker);
    let mut bridge = Bridge::start(&broker).await;
    assert!(90 < bridge.detectors.len(), "the catalogue is there");
    let undriven: Vec<_> =
        bridge.detectors.iter().filter(|one| !one.undriven.is_empty()).map(|one| &one.model).collect();
    assert!(undriven.is_empty(), "no frame for {undriven:?}");
    let station = site.start().await;
    place_all(&station, &bridge.detectors).await;
    let ids = |fits: &dyn Fn(&Detector) -> bool| -> BTreeSet<String> {
        bridge.detectors.iter().filter(|one| fits(one)).map(Detector::id).collect()
    };
    let (none, tests) = (BTreeSet::new(), ids(&|one| one.tests));
    let with_danger: Vec<BTreeSet<String>> =
        (0..2).map(|number| ids(&|one| number < one.dangers.len())).collect();

    bridge.play("calm").await;
    bridge.play("test").await;
    burning(&station, "test", &tests).await;
    burning(&station, "fire", &none).await;
    bridge.play("calm").await;
    burning(&station, "test", &none).await;

    for (number, wanted) in with_danger.iter().enumerate() {
        bridge.play(&format!("danger {number}")).await;
        burning(&station, "fire", wanted).await;
        bridge.play("calm").await;
        burning(&station, "fire", &none).await;
    }
    let letters = items(&station, "/api/v1/dead-letters").await;
    assert_eq!(letters, Vec::<Value>::new(), "everything was understood");
    station.stop().await;
}

#[tokio::test]
async fn every_profile_lists_what_its_model_publishes() {
    let broker = mosquitto("").await.unwrap();
    let bridge = Bridge::start(&broker).await;
    let mut wrong = Vec::new();
    for profile in gateway::profiles::shipped().all().filter(|profile| profile.over == Over::Zigbee2mqtt) {
        let models: Vec<_> =
            bridge.detectors.iter().filter(|one| profile.names.contains(&one.model)).collect();
        if models.is_empty() {
            wrong.push(format!("{}: no such model", profile.name));
        }
        for property in models.iter().flat_map(|model| &model.properties) {
            if !profile.publishes(property) {
                wrong.push(format!("{}: `{property}`", profile.name));
            }
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}
