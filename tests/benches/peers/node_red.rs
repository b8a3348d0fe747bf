//! Node-RED from npm: MQTT → function → HTTP request, and MQTT → function → InfluxDB node in batches.

use std::path::PathBuf;
use std::process::Command;

use serde_json::{Value, json};
use tests::neighbours::{free_port, root};

use super::{Program, folder, installed};

pub const NAME: &str = "Node-RED 4.1.8";

/// Points that are written together.
pub const BATCH: usize = 500;

/// As the alerts of our webhook name their device.
const TELL: &str = "if (!msg.payload.values || !msg.payload.values.smoke) return null; \
    msg.payload = { alarm: { device: 'D-' + msg.topic.split('-').pop() } }; msg.headers = {}; return msg;";

/// One point of each message, told apart by topic; written when there are enough.
const GATHER: &str = "const rows = context.get('rows') || []; const values = msg.payload.values || msg.payload; const fields = {}; \
    for (const name in values) if (name !== 'last_seen') fields[name] = values[name]; \
    rows.push({ measurement: 'device', fields, tags: { device: msg.topic }, timestamp: new Date(msg.payload.time || msg.payload.last_seen) }); \
    if (rows.length < BATCH) { context.set('rows', rows); return null; } \
    context.set('rows', []); return { payload: rows };";

fn program() -> PathBuf {
    root().join(".run/peers/node-red/node_modules/node-red/red.js")
}

/// Posts to `url` for every smoke message of the broker.
pub fn alerts(broker: u16, url: &str) -> Result<Program, String> {
    run(
        broker,
        &["gridwarden/up/#"],
        json!([
            { "id": "step", "type": "function", "z": "page", "outputs": 1, "wires": [["post"]], "func": TELL },
            { "id": "post", "type": "http request", "z": "page", "method": "POST", "ret": "txt", "url": url, "wires": [[]] },
        ]),
    )
}

/// Writes every message of the broker to the InfluxDB API on this port.
pub fn into_database(broker: u16, database: u16) -> Result<Program, String> {
    run(
        broker,
        &["gridwarden/up/#", "zigbee2mqtt/#"],
        json!([
            { "id": "step", "type": "function", "z": "page", "outputs": 1, "wires": [["write"]],
              "func": GATHER.replace("BATCH", &BATCH.to_string()) },
            { "id": "write", "type": "influxdb batch", "z": "page", "influxdb": "db", "wires": [] },
            { "id": "db", "type": "influxdb", "hostname": "127.0.0.1", "port": database.to_string(), "protocol": "http",
              "database": "bench", "usetls": false, "influxdbVersion": "1.x" },
        ]),
    )
}

/// Messages that these topics hear go to the node `step` as JSON.
fn run(broker: u16, topics: &[&str], nodes: Value) -> Result<Program, String> {
    installed(&program())?;
    let mut all = vec![
        json!({ "id": "page", "type": "tab", "label": "bench" }),
        json!({ "id": "street", "type": "mqtt-broker", "broker": "127.0.0.1", "port": broker.to_string(), "clientid": "flow",
                "autoConnect": true, "protocolVersion": "4", "keepalive": "60", "cleansession": true }),
    ];
    all.extend(topics.iter().enumerate().map(|(at, topic)| {
        json!({ "id": format!("heard-{at}"), "type": "mqtt in", "z": "page", "topic": topic, "qos": "1", "datatype": "json",
                "broker": "street", "inputs": 0, "wires": [["step"]] })
    }));
    all.extend(nodes.as_array().into_iter().flatten().cloned());
    let settings =
        "module.exports = { flowFile: 'flows.json', uiHost: '127.0.0.1', telemetry: { enabled: false } };\n";
    let folder = folder(&[("flows.json", &Value::from(all).to_string()), ("settings.js", settings)]);
    let port = free_port();
    let mut command = Command::new("node");
    command.arg(program()).arg("-u").arg(folder.path());
    command.arg("-s").arg(folder.path().join("settings.js")).args(["-p", &port.to_string()]);
    Program::start(&mut command, folder, Some(port))
}
