//! Devices that bridges announce: the list that Zigbee2MQTT keeps on `bridge/devices`, and the topics by which Home Assistant learns of entities.
//!
//! Nothing is measured here: what is announced and not registered becomes a proposal in the waiting room, with name, model, the kind that its properties suggest and the
//! profile of its model. What has nothing to do with a neighbourhood's safety (lamps, plugs, remote controls) is passed over.
//!
//! Home Assistant's form is the single entity (`homeassistant/<component>/…/config`) or the whole device (`homeassistant/device/…/config`), with long keys or abbreviated ones, by its
//! documentation of MQTT discovery.

use serde_json::Value;

use super::outcome::Outcome;
use super::profile::shape::Over;
use super::stranger::{Announced, word};
use super::{Context, Decoded, Message};
use crate::model::DeviceKind;

/// What a property or a device class says of a device; the first that is there decides.
const KINDS: &[(&str, DeviceKind)] = &[
    ("smoke", DeviceKind::SmokeDetector),
    ("smoke_state", DeviceKind::SmokeDetector),
    ("smoke_alarm_1", DeviceKind::SmokeDetector),
    ("smoke_alarm_2", DeviceKind::SmokeDetector),
    ("gas", DeviceKind::GasDetector),
    ("gas_sensor_state", DeviceKind::GasDetector),
    ("gas_alarm_1", DeviceKind::GasDetector),
    ("gas_alarm_2", DeviceKind::GasDetector),
    ("carbon_monoxide", DeviceKind::GasDetector),
    ("co_state", DeviceKind::GasDetector),
    ("heat", DeviceKind::HeatDetector),
    ("contact", DeviceKind::DoorSensor),
    ("door", DeviceKind::DoorSensor),
    ("garage_door", DeviceKind::DoorSensor),
    ("opening", DeviceKind::DoorSensor),
    ("window", DeviceKind::DoorSensor),
    ("motion", DeviceKind::MotionSensor),
    ("occupancy", DeviceKind::MotionSensor),
    ("presence", DeviceKind::MotionSensor),
    ("vibration", DeviceKind::Other),
    ("tamper", DeviceKind::Other),
    ("water_leak", DeviceKind::Other),
    ("moisture", DeviceKind::Other),
];

fn kind_of(words: &[&str]) -> Option<DeviceKind> {
    KINDS.iter().find(|(known, _)| words.contains(known)).map(|(_, kind)| *kind)
}

/// `base` is the topic above `bridge`.
pub fn zigbee2mqtt(base: &str, payload: &[u8], outcome: &mut Outcome<'_>) {
    let devices: Vec<Value> = match serde_json::from_slice(payload) {
        Ok(devices) => devices,
        Err(error) => return outcome.unreadable(&error),
    };
    for device in &devices {
        let text = |key: &str| device.get(key).and_then(Value::as_str);
        let (Some(name), None) = (text("friendly_name"), text("type").filter(|kind| *kind == "Coordinator"))
        else {
            continue;
        };
        let definition = device.get("definition").filter(|definition| definition.is_object());
        let of_model = |key: &str| definition.and_then(|definition| definition.get(key)?.as_str());
        let mut properties = Vec::new();
        exposed(definition.and_then(|definition| definition.get("exposes")), 0, &mut properties);
        let Some(kind) = kind_of(&properties) else { continue };
        let model = of_model("model").or(text("model_id"));
        let profile = outcome.profiles().of_model(Over::Zigbee2mqtt, model);
        propose(
            &format!("z2m:{base}/{name}"),
            Announced {
                name: word(text("description").filter(|given| !given.is_empty()).or(Some(name))),
                vendor: word(of_model("vendor")),
                model: word(model),
                kind: Some(profile.map_or(kind, |profile| profile.kind)),
                profile: profile.map(|profile| profile.name.clone()),
            },
            outcome,
        );
    }
}

/// Names of properties, also those inside of features.
fn exposed<'a>(exposes: Option<&'a Value>, depth: u8, into: &mut Vec<&'a str>) {
    const DEPTH_MAX: u8 = 4;
    for one in exposes.and_then(Value::as_array).into_iter().flatten() {
        into.extend(one.get("property").and_then(Value::as_str));
        if depth < DEPTH_MAX {
            exposed(one.get("features"), depth + 1, into);
        }
    }
}

pub fn home_assistant(message: &Message<'_>, context: &Context) -> Decoded {
    let mut outcome = Outcome::new(message, context);
    read(message, &mut outcome);
    outcome.finish()
}

fn read(message: &Message<'_>, outcome: &mut Outcome<'_>) {
    let levels: Vec<&str> = message.topic.split('/').collect();
    let (Some(component), Some(&"config")) = (levels.get(1), levels.last()) else { return };
    let config: Value = match serde_json::from_slice(message.payload) {
        Ok(config) => config,
        Err(error) => return outcome.unreadable(&error),
    };
    match key(&config, "components", "cmps").and_then(Value::as_object) {
        None => entity(component, &config, &config, outcome),
        Some(entities) => {
            for one in entities.values() {
                let platform = key(one, "platform", "p").and_then(Value::as_str).unwrap_or_default();
                entity(platform, one, &config, outcome);
            }
        }
    }
}

/// One entity; what it does not say itself stands in the config of the whole device.
fn entity(component: &str, entity: &Value, whole: &Value, outcome: &mut Outcome<'_>) {
    let text = |long: &str, short: &str| {
        key(entity, long, short).or_else(|| key(whole, long, short)).and_then(Value::as_str)
    };
    let class = key(entity, "device_class", "dev_cla").and_then(Value::as_str).unwrap_or_default();
    let kind = match component {
        "camera" => Some(DeviceKind::Camera),
        "binary_sensor" => kind_of(&[class]),
        // The air has a class of its own, `atmospheric_pressure`.
        "sensor" if class == "pressure" => Some(DeviceKind::Hydrant),
        "sensor" if class == "gas" || class == "carbon_monoxide" => kind_of(&[class]),
        _ => None,
    };
    let topic = text("state_topic", "stat_t").or_else(|| text("topic", "t"));
    let (Some(kind), Some(topic)) = (kind, topic) else { return };
    let base = text("~", "~").unwrap_or_default();
    let topic = match (topic.strip_prefix('~'), topic.strip_suffix('~')) {
        (Some(rest), _) => format!("{base}{rest}"),
        (None, Some(rest)) => format!("{rest}{base}"),
        (None, None) => topic.to_owned(),
    };
    let device = key(entity, "device", "dev").or_else(|| key(whole, "device", "dev"));
    let of_device = |long, short| device.and_then(|device| key(device, long, short)?.as_str());
    let origin = key(whole, "origin", "o").and_then(|origin| key(origin, "name", "name")?.as_str());
    let (scheme, over) = match origin {
        Some("Zigbee2MQTT") => ("z2m", Over::Zigbee2mqtt),
        Some(_) | None => ("mqtt", Over::Json),
    };
    let models = [of_device("model_id", "mdl_id"), of_device("model", "mdl")];
    let profile = outcome.profiles().of_model(over, models.into_iter().flatten());
    propose(
        &format!("{scheme}:{topic}"),
        Announced {
            name: word(of_device("name", "name").or_else(|| text("name", "name"))),
            vendor: word(of_device("manufacturer", "mf")),
            model: word(models[1].or(models[0])),
            kind: Some(kind),
            profile: profile.map(|profile| profile.name.clone()),
        },
        outcome,
    );
}

fn key<'a>(object: &'a Value, long: &str, short: &str) -> Option<&'a Value> {
    object.get(long).or_else(|| object.get(short))
}

fn propose(address: &str, announced: Announced, outcome: &mut Outcome<'_>) {
    if outcome.find(address).is_none()
        && let Some(stranger) = outcome.stranger(address)
    {
        outcome.introduce(stranger, announced);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::decode::{Family, Stranger, decode, samples};
    use crate::units::Timestamp;

    fn proposed(family: Family, topic: &str, payload: &str) -> Vec<Stranger> {
        let context = samples::context(&["z2m:zigbee2mqtt/placed"]);
        let payload = payload.as_bytes();
        let message =
            Message { topic, payload, retained: true, dup: false, received: Timestamp(1_795_402_800_000) };
        let decoded = decode(family, &message, &context);
        assert_eq!(decoded.events, [], "nothing is measured");
        decoded.strangers
    }

    /// In the form of Zigbee2MQTT's documentation of `bridge/devices`; models by zigbee-herdsman-converters.
    const BRIDGE: &str = r#"[
        {"ieee_address":"0x00124b00120144ae","type":"Coordinator","friendly_name":"Coordinator","definition":null,"supported":true},
        {"ieee_address":"0x000d6f000bdf2e1a","type":"EndDevice","friendly_name":"3栋/501/hall","description":"","supported":true,"model_id":"SMOK_V16",
         "definition":{"model":"HS3SA/HS1SA","vendor":"HEIMAN","exposes":[{"type":"binary","property":"smoke"},{"type":"numeric","property":"battery"}]}},
        {"ieee_address":"0x02","type":"EndDevice","friendly_name":"placed","definition":{"model":"x","vendor":"y","exposes":[{"property":"smoke"}]}},
        {"ieee_address":"0x03","type":"Router","friendly_name":"lamp","definition":{"model":"LED1545G12","vendor":"IKEA","exposes":[{"type":"light","features":[{"property":"state"}]}]}},
        {"ieee_address":"0x04","type":"EndDevice","friendly_name":"odd","definition":{"model":"Z","vendor":"V","exposes":[{"type":"composite","features":[{"property":"contact"}]}]}},
        7
    ]"#;

    #[test]
    fn what_zigbee2mqtt_lists_and_nobody_placed_is_proposed() {
        let found = proposed(Family::Zigbee2mqtt, "zigbee2mqtt/bridge/devices", BRIDGE);
        let words: Vec<_> =
            found.iter().map(|one| (one.address.as_str(), one.announced.kind, one.spoke)).collect();
        assert_eq!(
            words,
            [
                ("z2m:zigbee2mqtt/3栋/501/hall", Some(DeviceKind::SmokeDetector), false),
                ("z2m:zigbee2mqtt/odd", Some(DeviceKind::DoorSensor), false),
            ]
        );
        let heiman = &found[0].announced;
        assert_eq!(heiman.profile.as_deref(), Some("heiman-hs3sa-hs1sa"));
        assert_eq!(
            (heiman.vendor.as_deref(), heiman.model.as_deref()),
            (Some("HEIMAN"), Some("HS3SA/HS1SA"))
        );
        assert_eq!(heiman.name.as_deref(), Some("3栋/501/hall"), "an empty description is none");
    }

    #[test]
    fn home_assistant_topics_are_read_in_all_their_forms() {
        let z2m = r#"{"device_class":"smoke","state_topic":"zigbee2mqtt/hall","origin":{"name":"Zigbee2MQTT"},
            "device":{"identifiers":["zigbee2mqtt_0x01"],"name":"hall","manufacturer":"HEIMAN","model":"Smoke detector","model_id":"HS3SA/HS1SA"}}"#;
        let short = r#"{"~":"shelly/a1","dev_cla":"gas","stat_t":"~/status","dev":{"ids":"a1","mf":"Acme","mdl":"G1","name":"kitchen"}}"#;
        let whole = r#"{"dev":{"ids":"e1","name":"gate"},"o":{"name":"esp"},"cmps":{
            "a":{"p":"binary_sensor","dev_cla":"door","stat_t":"esp/gate/door"},
            "b":{"p":"sensor","dev_cla":"temperature","stat_t":"esp/gate/t"},
            "c":{"p":"sensor","dev_cla":"pressure","stat_t":"esp/gate/p"}}}"#;
        for (topic, payload, wanted) in [
            (
                "homeassistant/binary_sensor/0x01/smoke/config",
                z2m,
                vec![("z2m:zigbee2mqtt/hall", DeviceKind::SmokeDetector)],
            ),
            (
                "homeassistant/binary_sensor/a1/config",
                short,
                vec![("mqtt:shelly/a1/status", DeviceKind::GasDetector)],
            ),
            (
                "homeassistant/device/e1/config",
                whole,
                vec![
                    ("mqtt:esp/gate/door", DeviceKind::DoorSensor),
                    ("mqtt:esp/gate/p", DeviceKind::Hydrant),
                ],
            ),
            ("homeassistant/light/a1/config", short, vec![]),
            ("homeassistant/status", "\"online\"", vec![]),
        ] {
            let found = proposed(Family::HomeAssistant, topic, payload);
            let found: Vec<_> =
                found.iter().map(|one| (one.address.as_str(), one.announced.kind.unwrap())).collect();
            assert_eq!(found, wanted, "{topic}");
        }
    }
}
