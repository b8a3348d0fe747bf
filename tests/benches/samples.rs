//! One message of each decoder family, as devices of that kind send them, and a registry that knows the device.

use gateway::decode::samples::context_of;
use gateway::decode::{Context, Family};
use gateway::model::DeviceKind;

pub struct Sample {
    pub family: Family,
    pub name: &'static str,
    pub topic: &'static str,
    pub payload: &'static str,
    /// Of the device, as the registry has it.
    pub address: &'static str,
}

pub fn samples() -> [Sample; 6] {
    [
        Sample {
            family: Family::Native,
            name: "native",
            topic: "gridwarden/up/SD-1",
            payload: r#"{"time":"2026-11-23T02:59:59.120Z","values":{"smoke":false,"temperature":21.4,"battery":93,"rssi":-61}}"#,
            address: "native:SD-1",
        },
        Sample {
            family: Family::Zigbee2mqtt,
            name: "zigbee2mqtt",
            topic: "zigbee2mqtt/hall",
            payload: r#"{"battery":100,"battery_low":false,"last_seen":"2026-11-23T02:59:59Z","linkquality":105,"smoke":false,"tamper":false,"temperature":22.1,"test":false,"voltage":3000}"#,
            address: "z2m:zigbee2mqtt/hall",
        },
        Sample {
            family: Family::Chirpstack,
            name: "chirpstack",
            topic: "application/1/device/24e124538b223213/event/up",
            payload: r#"{"deviceInfo":{"devEui":"24e124538b223213"},"time":"2026-11-23T02:59:59.120Z","fCnt":5,"fPort":85,"object":{"battery":97,"temperature":21.4,"smoke":false},"rxInfo":[{"rssi":-57,"snr":10}]}"#,
            address: "lora:24e124538b223213",
        },
        Sample {
            family: Family::Frigate,
            name: "frigate",
            topic: "frigate/events",
            payload: r#"{"type":"new","before":{"camera":"gate","label":"person"},"after":{"id":"1795402799.1-abc","camera":"gate","label":"person","start_time":1795402799.1,"top_score":0.83,"current_zones":[],"entered_zones":[]}}"#,
            address: "frigate:gate",
        },
        Sample {
            family: Family::Chirpstack,
            name: "chirpstack, bytes by a profile",
            topic: "application/1/device/24e124538b223213/event/up",
            payload: r#"{"deviceInfo":{"devEui":"24e124538b223213","deviceProfileName":"EM500-PP"},"time":"2026-11-23T02:59:59.120Z","fCnt":5,"fPort":85,"data":"AXVkA3sKAA==","rxInfo":[{"rssi":-57,"snr":10}]}"#,
            address: "lora:24e124538b223213",
        },
        Sample {
            family: Family::Profile(gateway::profiles::shipped().ix("tasmota-zigbee").expect("shipped")),
            name: "tasmota, JSON by a profile",
            topic: "tele/bridge/SENSOR",
            payload: r#"{"ZbReceived":{"0x8F20":{"Device":"0x8F20","Name":"hall","Voltage":2.995,"Battery":98,"Temperature":21.01,"Humidity":53.68,"Endpoint":1,"LinkQuality":88}}}"#,
            address: "mqtt:bridge/0x8F20",
        },
    ]
}

pub fn one_device(address: &str) -> Context {
    context_of([(address, DeviceKind::SmokeDetector)], gateway::profiles::shipped())
}
