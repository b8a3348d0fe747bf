//! The gateway as a Sparkplug host, beside an edge node that somebody else's library speaks for, on a real broker.

use serde_json::{Value, json};
use tests::neighbours::{eventually, mosquitto, root};
use tests::running::{Running, fix_ports};
use tests::site::{Receiver, Site, Station};
use tests::talker::Talker;
use tokio::process::Command;

struct Node(Talker);

impl Node {
    fn start(port: u16) -> Self {
        let mut program = Command::new(root().join(".run/sparkplug/bin/python"));
        program.arg(root().join("tests/neighbours/sparkplug_node.py")).arg(port.to_string());
        Self(Talker::start(&mut program))
    }

    async fn tell(&mut self, command: &str) {
        self.0.tell(command).await;
    }

    async fn says(&mut self, wanted: &str) {
        assert_eq!(self.0.line(20).await, wanted);
    }

    /// Without a word.
    async fn dies(&mut self) {
        self.0.dies().await;
    }
}

/// What the broker keeps of the host.
async fn state(port: u16) -> Value {
    let output = Command::new("mosquitto_sub")
        .args([
            "-p",
            &port.to_string(),
            "-t",
            "spBv1.0/STATE/station-1",
            "-q",
            "1",
            "-C",
            "1",
            "-W",
            "10",
            "-F",
            "%r %q %p",
        ])
        .output()
        .await
        .unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    let (retained, payload) = text.trim().split_once(' ').expect("a retained state");
    let (qos, payload) = payload.split_once(' ').expect("its payload");
    json!({ "retained": retained, "qos": qos, "said": serde_json::from_str::<Value>(payload).unwrap() })
}

async fn alarms(station: &Station, query: &str) -> Vec<Value> {
    station.get(&format!("/api/v1/alarms?{query}")).await["items"].as_array().unwrap().clone()
}

#[tokio::test]
async fn a_node_that_was_born_before_is_asked_and_its_fire_calls() {
    let broker = mosquitto("").await.unwrap();
    let receiver = Receiver::start().await;
    let site = Site::new(&format!(
        "{}[[broker]]\nname = \"main\"\nhost = \"127.0.0.1\"\nport = {}\nclient_id = \"gw\"\nsubscribe = []\n\
         [sparkplug]\nbroker = \"main\"\nhost_id = \"station-1\"\nreorder_timeout_ms = 300\n",
        receiver.config(),
        broker.port
    ));
    let row = "SP-1,smoke_detector,门厅烟感,sparkplug:fire/block-3/hall,S1-C1-G1,3栋门厅,118.905,32.11,\n";
    site.append("devices.csv", row);

    let mut node = Node::start(broker.port);
    node.says("born").await; // Nobody listened.
    let station = site.start().await;
    eventually("the host is online", 20, || async {
        (state(broker.port).await["said"]["online"] == true).then_some(())
    })
    .await;
    let online = state(broker.port).await; // Whoever comes later hears it, too.
    assert_eq!((&online["retained"], &online["qos"]), (&json!("1"), &json!("1")), "{online}");
    assert!(online["said"]["timestamp"].as_i64() > Some(1_700_000_000_000), "{online}");

    node.tell("smoke 0").await;
    node.says("asked").await;
    node.says("born").await;
    node.tell("smoke 1").await;
    let fire = eventually("the fire", 20, || async { alarms(&station, "class=fire").await.pop() }).await;
    assert_eq!(fire["device"]["id"], "SP-1");
    eventually("the webhook", 10, || async { receiver.heard_of(fire["id"].as_str()?).then_some(()) }).await;

    // A message is lost: after the timeout the births are asked for, and what came too early is not lost.
    node.tell("skip").await;
    node.tell("smoke 0").await;
    node.says("asked").await;
    node.says("born").await;
    eventually("the end of the fire", 10, || async {
        (!alarms(&station, "class=fire").await[0]["returned"].is_null()).then_some(())
    })
    .await;

    node.tell("new").await;
    let waiting = eventually("a stranger", 10, || async {
        station.get("/api/v1/waiting").await["items"].as_array()?.first().cloned()
    })
    .await;
    assert_eq!(waiting["address"], "sparkplug:fire/block-3/roof");
    assert_eq!(waiting["kind"], "smoke_detector");
    node.tell("leave").await;

    // Its will takes its detector along.
    node.dies().await;
    eventually("the detector is silent", 20, || async {
        (station.get("/api/v1/devices/SP-1").await["online"] == false).then_some(())
    })
    .await;

    station.stop().await;
    let offline = state(broker.port).await;
    assert_eq!((&offline["said"]["online"], &offline["retained"]), (&json!(false), &json!("1")), "{offline}");
}

#[tokio::test]
async fn a_killed_host_is_offline_by_its_will() {
    let broker = mosquitto("").await.unwrap();
    let site = Site::new(&format!(
        "[[broker]]\nname = \"main\"\nhost = \"127.0.0.1\"\nport = {}\nclient_id = \"gw\"\nsubscribe = []\n\
         [sparkplug]\nbroker = \"main\"\nhost_id = \"station-1\"\n",
        broker.port
    ));
    let ports = fix_ports(&site);
    let running = Running::start(&site, ports, &[]).await;
    let said = |online: bool| {
        let port = broker.port;
        async move {
            let state = state(port).await;
            (state["said"]["online"] == online).then_some(state)
        }
    };
    let born = eventually("the birth", 20, || said(true)).await;
    running.kill().await;
    eventually("the will", 20, || said(false)).await;
    let dead = state(broker.port).await;
    assert_eq!(dead["said"]["timestamp"], born["said"]["timestamp"], "of the same connection");
    assert_eq!((&dead["retained"], &dead["qos"]), (&json!("1"), &json!("1")), "{dead}");
    let running = Running::start(&site, ports, &[]).await;
    let again = eventually("the next birth", 20, || said(true)).await;
    assert!(born["said"]["timestamp"].as_i64() < again["said"]["timestamp"].as_i64(), "{again}");
    running.kill().await;
}
