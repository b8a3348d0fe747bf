//! What holds for every family.

use super::*;

#[test]
fn filters_match_as_the_mqtt_standard_says() {
    for (filter, topic, matches) in [
        ("a/b", "a/b", true),
        ("a/+", "a/b", true),
        ("a/+", "a/b/c", false),
        ("a/#", "a", true),
        ("a/#", "a/b/c", true),
        ("#", "$SYS/x", false),
        ("+/x", "$SYS/x", false),
        ("$SYS/#", "$SYS/x", true),
        ("a/+/c", "a//c", true),
        ("a", "a/b", false),
    ] {
        assert_eq!(filter_matches(filter, topic), matches, "{filter} on {topic}");
    }
}

#[test]
fn the_address_in_a_topic_is_the_one_that_the_decoder_looks_for() {
    for (family, topic, payload, address) in [
        (Family::Native, "gridwarden/up/SD-1", r#"{"values":{"smoke":false}}"#, Some("native:SD-1")),
        (Family::Native, "gridwarden/up/SD-1/status", "offline", Some("native:SD-1")),
        (Family::Native, "gridwarden/up", r#"{"device":"SD-1","values":{}}"#, None),
        (Family::Zigbee2mqtt, "zigbee2mqtt/hall/one", r#"{"smoke":false}"#, Some("z2m:zigbee2mqtt/hall/one")),
        (Family::Meokon, "meokon/up", "{}", None),
    ] {
        assert_eq!(family.address_in(topic).as_deref(), address, "{topic}");
        let Some(address) = address else { continue };
        let (payload, received) = (payload.as_bytes(), Timestamp(1_795_402_800_000));
        let message = Message { topic, payload, retained: false, dup: false, received };
        let decoded = decode(family, &message, &samples::context(&[address]));
        assert_eq!((decoded.events.len(), decoded.rejects), (1, vec![]), "{topic}");
    }
}

#[test]
fn text_in_another_encoding_costs_no_value() {
    let payload = b"{\"place\":\"\xc4\xcf\xc3\xc5\",\"values\":{\"smoke\":true}}";
    let (topic, received) = ("gridwarden/up/SD-1", Timestamp(1_795_402_800_000));
    let message = Message { topic, payload, retained: false, dup: false, received };
    let decoded = decode(Family::Native, &message, &samples::context(&["native:SD-1"]));
    assert!(decoded.events.iter().any(Event::is_urgent), "{decoded:?}");
}

/// One valid sample per family and topic, to be mutated.
const SAMPLES: &[(Family, &str, &str)] = &[
    (
        Family::Native,
        "gridwarden/up/SD-1",
        r#"{"time":1795402800,"values":{"smoke":true,"battery":93.5},"quality":"good"}"#,
    ),
    (
        Family::Native,
        "gridwarden/up",
        r#"[{"device":"SD-1","values":{"smoke":true}},{"device":"SD-1","status":"offline"},7]"#,
    ),
    (
        Family::Zigbee2mqtt,
        "zigbee2mqtt/hall/one",
        r#"{"smoke":true,"battery":78.4,"voltage":2950,"last_seen":"2026-11-23T03:00:00Z","smoke_state":"alarm"}"#,
    ),
    (Family::Zigbee2mqtt, "zigbee2mqtt/hall/one/availability", r#"{"state":"offline"}"#),
    (
        Family::Chirpstack,
        "application/1/device/24e124ab/event/up",
        r#"{"deviceInfo":{"devEui":"24E124AB"},"time":"2026-11-23T03:00:00Z","fCnt":7,"object":{"smoke":1,"inner":{"battery":90}},"rxInfo":[{"rssi":-90,"snr":3.5}]}"#,
    ),
    (
        Family::Chirpstack,
        "application/1/device/24e124ab/event/status",
        r#"{"deviceInfo":{"devEui":"24e124ab"},"margin":9,"batteryLevel":80.5}"#,
    ),
    (
        Family::Frigate,
        "frigate/events",
        r#"{"type":"new","before":{},"after":{"camera":"gate","label":"person","top_score":0.9,"frame_time":1795402800.5}}"#,
    ),
    (
        Family::Frigate,
        "frigate/reviews",
        r#"{"type":"end","before":{"severity":"alert"},"after":{"camera":"gate","severity":"alert","end_time":1795402800}}"#,
    ),
    (Family::Frigate, "frigate/stats", r#"{"cameras":{"gate":{"camera_fps":5.1}}}"#),
    (Family::Frigate, "frigate/gate/person", "2"),
];

const ADDRESSES: [&str; 4] = ["native:SD-1", "z2m:zigbee2mqtt/hall/one", "lora:24e124ab", "frigate:gate"];
const RECEIVED: Timestamp = Timestamp(1_795_402_801_000);

fn message<'a>(topic: &'a str, payload: &'a [u8]) -> Message<'a> {
    Message { topic, payload, retained: false, dup: false, received: RECEIVED }
}

/// What must hold of whatever a decoder makes of whatever it is given.
fn check(decoded: &Decoded) {
    assert!(decoded.events.len() <= REPORTS_MAX, "{} events", decoded.events.len());
    assert!(decoded.rejects.len() <= 17, "{} rejects", decoded.rejects.len());
    for Reject(reason) in &decoded.rejects {
        assert!(reason.len() < 1_200, "a sentence of {} bytes", reason.len());
    }
    for event in &decoded.events {
        if let Event::Report(report) = event {
            assert!(report.values.len() <= VALUES_MAX);
            for (at, value) in report.values.iter().enumerate() {
                assert!(value.value.is_finite(), "{value:?}");
                assert!(!value.metric.spec().flag || value.value == 0.0 || value.value == 1.0, "{value:?}");
                assert!(
                    report.values[..at].iter().all(|other| other.metric != value.metric),
                    "{value:?} twice"
                );
            }
        }
    }
}

#[test]
fn every_sample_is_understood() {
    let context = samples::context(&ADDRESSES);
    for &(family, topic, payload) in SAMPLES {
        let decoded = decode(family, &message(topic, payload.as_bytes()), &context);
        check(&decoded);
        assert!(!decoded.events.is_empty(), "{topic} {payload}: {decoded:?}");
    }
}

#[test]
fn a_cleared_retained_topic_is_nothing() {
    let context = samples::context(&ADDRESSES);
    for &(family, topic, _) in SAMPLES {
        assert_eq!(decode(family, &message(topic, b""), &context), Decoded::default());
    }
}

#[test]
fn a_flood_in_one_message_is_bounded() {
    let context = samples::context(&["native:SD-1"]);
    let many = format!("[{}]", vec![r#"{"device":"SD-1","values":{"smoke":true}}"#; 1_500].join(","));
    let decoded = decode(Family::Native, &message("gridwarden/up", many.as_bytes()), &context);
    check(&decoded);
    assert_eq!(decoded.events.len(), REPORTS_MAX);
    assert!(decoded.rejects[0].0.contains("holds 1500 reports"), "{:?}", decoded.rejects);

    let unknown: Vec<_> = (0..500).map(|at| format!("\"metric{at}\":{at}")).collect();
    let one = format!("{{\"values\":{{\"smoke\":true,{}}}}}", unknown.join(","));
    let decoded = decode(Family::Native, &message("gridwarden/up/SD-1", one.as_bytes()), &context);
    check(&decoded);
    assert_eq!(decoded.events.len(), 1, "the smoke value is kept");

    let worst = format!("[{}]", vec![one.replacen('{', "{\"device\":\"SD-1\",", 1); 300].join(","));
    let decoded = decode(Family::Native, &message("gridwarden/up", worst.as_bytes()), &context);
    check(&decoded);
    assert_eq!(decoded.events.len(), 300);
    assert!(decoded.rejects[16].0.starts_with("149984 more"), "{:?}", decoded.rejects[16]);

    let deep = format!("{}{}", "[".repeat(100_000), "]".repeat(100_000));
    check(&decode(Family::Native, &message("gridwarden/up/SD-1", deep.as_bytes()), &context));
}

#[test]
fn topics_that_are_not_of_the_plant_are_ignored_quietly() {
    let context = samples::context(&ADDRESSES);
    for (family, topic, payload) in [
        (Family::Zigbee2mqtt, "zigbee2mqtt/bridge/state", "{\"state\":\"online\"}"),
        (Family::Zigbee2mqtt, "zigbee2mqtt/bridge/devices", "[]"),
        (Family::Zigbee2mqtt, "zigbee2mqtt/hall/one/set", "{\"silence\":true}"),
        (Family::Zigbee2mqtt, "zigbee2mqtt/lamp/availability", "online"),
        (Family::Chirpstack, "application/1/device/24e124ab/event/ack", "{}"),
        (Family::Chirpstack, "application/1/device/24e124ab/event/log", "{}"),
        (Family::Chirpstack, "application/1/device/24e124ab/command/down", "{}"),
        (Family::Frigate, "frigate/gate/person/snapshot", "\u{0}\u{1}"),
        (Family::Frigate, "frigate/gate/detect/state", "ON"),
        (Family::Frigate, "frigate/courtyard/person", "2"),
        (Family::Frigate, "frigate/available", "online"),
        (Family::Frigate, "frigate/events", r#"{"type":"update","after":{"camera":"gate"}}"#),
        (
            Family::Frigate,
            "frigate/events",
            r#"{"type":"new","after":{"camera":"gate","false_positive":true}}"#,
        ),
    ] {
        let decoded = decode(family, &message(topic, payload.as_bytes()), &context);
        assert_eq!(decoded, Decoded::default(), "{topic}");
    }
}

#[test]
fn frigate_offline_takes_every_camera_with_it() {
    let context = samples::context(&["frigate:gate", "native:SD-1", "frigate:yard"]);
    let decoded = decode(Family::Frigate, &message("frigate/available", b"offline"), &context);
    let gone: Vec<_> = decoded
        .events
        .iter()
        .map(|event| match event {
            Event::Gone { device, .. } => device.0,
            Event::Report(_) | Event::Action(_) => panic!("{event:?}"),
        })
        .collect();
    assert_eq!(gone, [0, 2]);
}

#[test]
fn a_retained_notice_of_absence_is_beaten_by_any_report() {
    let context = samples::context(&["native:SD-1"]);
    for (retained, since) in [(true, Timestamp(0)), (false, RECEIVED)] {
        let message = Message { retained, ..message("gridwarden/up/SD-1/status", b"offline") };
        let decoded = decode(Family::Native, &message, &context);
        assert_eq!(decoded.events, [Event::Gone { device: DeviceIx(0), since, received: RECEIVED }]);
    }
}

mod properties {
    use proptest::prelude::*;

    use super::*;

    fn family() -> impl Strategy<Value = Family> {
        prop_oneof![
            Just(Family::Native),
            Just(Family::Zigbee2mqtt),
            Just(Family::Chirpstack),
            Just(Family::Frigate),
            Just(Family::Meokon)
        ]
    }

    fn topic() -> impl Strategy<Value = String> {
        let known: Vec<String> = SAMPLES.iter().map(|(_, topic, _)| (*topic).to_owned()).collect();
        prop_oneof![4 => proptest::sample::select(known), 1 => ".{0,60}", 1 => "([a-z]{0,3}/){0,4}(up|event|set|bridge)?"]
    }

    /// JSON of the right sort with the wrong things in it.
    fn odd_json() -> impl Strategy<Value = String> {
        let leaf = prop_oneof![
            Just("null".to_owned()),
            Just("true".to_owned()),
            Just("1e308".to_owned()),
            Just("-0".to_owned()),
            Just("\"NaN\"".to_owned()),
            Just("\"1e999\"".to_owned()),
            any::<f64>().prop_filter("JSON has no others", |x| x.is_finite()).prop_map(|x| format!("{x:e}")),
            ".{0,8}".prop_map(|text| serde_json::to_string(&text).unwrap()),
        ];
        let name = proptest::sample::select(vec![
            "device",
            "time",
            "values",
            "status",
            "quality",
            "smoke",
            "battery",
            "voltage",
            "test",
            "last_seen",
            "smoke_state",
            "smoke_density_dbm",
            "deviceInfo",
            "devEui",
            "object",
            "rxInfo",
            "rssi",
            "type",
            "after",
            "camera",
            "cameras",
            "gate",
            "state",
            "pressure_mpa",
            "SD-1",
            "top_score",
            "end_time",
        ]);
        leaf.prop_recursive(4, 64, 8, move |inner| {
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..6).prop_map(|items| format!("[{}]", items.join(","))),
                prop::collection::vec((name.clone(), inner), 0..8).prop_map(|fields| {
                    let fields: Vec<_> =
                        fields.iter().map(|(name, json)| format!("\"{name}\":{json}")).collect();
                    format!("{{{}}}", fields.join(","))
                }),
            ]
        })
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(2_000))]

        /// The short way for the usual form of a filter answers as the levels do.
        #[test]
        fn a_filter_for_all_below_matches_as_its_levels_do(filter in "(/?[ab+]){0,3}/#", topic in "(/?[ab]){0,4}") {
            prop_assert_eq!(filter_matches(&filter, &topic), by_levels(&filter, &topic));
        }

        #[test]
        fn random_bytes_never_panic(family in family(), topic in topic(), payload in prop::collection::vec(any::<u8>(), 0..300)) {
            check(&decode(family, &message(&topic, &payload), &samples::context(&ADDRESSES)));
        }

        #[test]
        fn odd_json_never_panics(family in family(), topic in topic(), payload in odd_json()) {
            check(&decode(family, &message(&topic, payload.as_bytes()), &samples::context(&ADDRESSES)));
        }

        #[test]
        fn mutated_samples_never_panic(
            sample in proptest::sample::select(SAMPLES.to_vec()),
            changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..6),
            cut in any::<prop::sample::Index>(),
            cuts in any::<bool>(),
        ) {
            let (family, topic, payload) = sample;
            let mut payload = payload.as_bytes().to_vec();
            for (at, byte) in changes {
                let at = at.index(payload.len());
                payload[at] = byte;
            }
            if cuts {
                payload.truncate(cut.index(payload.len()));
            }
            check(&decode(family, &message(topic, &payload), &samples::context(&ADDRESSES)));
        }

        #[test]
        fn a_fire_is_found_in_any_z2m_message_that_says_so(battery in 0.0..100.0_f64, extra in "[a-z_]{1,12}", first in any::<bool>()) {
            prop_assume!(!["test", "smoke"].contains(&extra.as_str()));
            let payload = if first {
                format!("{{\"smoke\":true,\"{extra}\":1,\"battery\":{battery}}}")
            } else {
                format!("{{\"battery\":{battery},\"{extra}\":[1,{{}}],\"smoke\":true}}")
            };
            let decoded = decode(Family::Zigbee2mqtt, &message("zigbee2mqtt/hall/one", payload.as_bytes()), &samples::context(&ADDRESSES));
            prop_assert!(decoded.events.iter().any(Event::is_urgent));
        }
    }
}
