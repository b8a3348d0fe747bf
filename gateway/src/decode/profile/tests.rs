//! Mistakes in profiles are named with their place; random bytes never panic in any profile.

use proptest::prelude::*;

use super::*;
use crate::decode::{Family, decode as decode_message};

const HEAD: &str = "title = \"x\"\nkind = \"other\"\nover = \"bytes\"\n[[evidence]]\nkind = \"paper\"\nsource = \"x\"\n[[sample]]\nname = \"x\"\nhex = \"00\"\nexpect = []\n";

#[test]
fn every_mistake_is_named_with_its_place() {
    for (frame, said) in [
        (
            "[[frame]]\n[[frame.field]]\nfrom = { at = 0 }\nmetric = \"presure\"\n",
            "p.toml:14:10: there is no metric `presure`; did you mean `pressure`?",
        ),
        (
            "[[frame]]\n[[frame.field]]\nfrom = { at = 0 }\nmetric = \"pressure\"\nunit = \"degC\"\n",
            "p.toml:15:8: `degC` is no unit for pressure",
        ),
        ("[[frame]]\n[[frame.field]]\nfrom = { at = 0 }\n", "p.toml:13:8: say what the field means"),
        (
            "[[frame]]\n[[frame.field]]\nfrom = { path = \"a\" }\nmetric = \"smoke\"\n",
            "p.toml:13:17: over bytes a place is `at`",
        ),
        (
            "[[frame]]\n[[frame.field]]\nfrom = { at = 0, bits = [4, 9] }\nmetric = \"smoke\"\n",
            "p.toml:13:25: `bits` are the lowest and the highest of 8 bits",
        ),
        (
            "[[frame]]\n[[frame.field]]\nfrom = { at = 0 }\nflags = { 0 = \"battery\" }\n",
            "p.toml:14:15: battery is a number",
        ),
        ("[[frame]]\n[[frame.tag]]\ntag = \"0g\"\nlength = 1\n", "p.toml:13:7: `0g` is no tag"),
        ("[[frame]]\ncolour = 1\n", "p.toml:12:1: there is no key `colour` here"),
    ] {
        let wrong = compile("p", "p.toml", &format!("{HEAD}{frame}")).expect_err(frame).to_string();
        assert!(wrong.starts_with(said), "{wrong}");
    }
}

fn frame(text: &str, hex: &str) -> Result<String, String> {
    let text = format!("{HEAD}[[frame]]\n{text}");
    let profile = compile("p", "p.toml", &text).map_err(|wrong| wrong.to_string())?;
    let bytes = from_hex(hex).ok_or("hex")?;
    let reading = profile.decode_payload(Payload { bytes: &bytes, port: None })?;
    let told = reading.records.into_iter().map(|record| {
        let values = record.values.finish(record.quality);
        values
            .iter()
            .map(|value| format!("{}={}{:?}", value.metric.name(), value.value, value.quality))
            .collect::<Vec<_>>()
            .join(" ")
    });
    Ok(told.chain(reading.complaints).collect::<Vec<_>>().join("; "))
}

#[test]
fn a_broken_loop_is_a_fault_and_no_zero() {
    let field = "[[frame.field]]\nfrom = { at = 0, type = \"u16\" }\nscale = 0.001\nunit = \"MPa\"\nmetric = \"pressure\"\n\
        current_loop = { broken_below_ma = 3.6, over_above_ma = 21, zero_ma = 4 }\ntimes = { from = { at = 2 }, values = { 2 = 0.0625 } }\n";
    assert_eq!(frame(field, "0FA002").unwrap(), "fault=0Good pressure=0Good", "4 mA is zero");
    assert_eq!(frame(field, "2EE002").unwrap(), "fault=0Good pressure=500Good");
    assert_eq!(frame(field, "000002").unwrap(), "fault=1Good", "no current: no pressure");
    assert_eq!(frame(field, "5DC002").unwrap(), "fault=1Good", "24 mA");
    assert!(frame(field, "2EE009").unwrap().contains("does not know"));
}

#[test]
fn a_checksum_that_is_wrong_takes_the_message_with_it() {
    for (kind, good, bad) in
        [("sum8", "010203", "010204"), ("xor8", "010203", "010202"), ("zero_sum8", "01FF", "01FE")]
    {
        let text = format!(
            "checksum = {{ kind = \"{kind}\", to = {} }}\n",
            if kind == "zero_sum8" { 0 } else { -1 }
        );
        assert_eq!(frame(&text, good).unwrap(), "", "{kind}");
        assert!(frame(&text, bad).unwrap_err().contains("checksum"), "{kind}");
    }
    // The Modbus request of the specification's appendix: 01 04 02 FF FF B8 80, low byte first.
    let crc = "checksum = { kind = \"crc16_modbus\", to = -2, at = -2, order = \"little\" }\n";
    assert_eq!(frame(crc, "010402FFFFB880").unwrap(), "");
    assert!(frame(crc, "010402FFFEB880").is_err());
}

#[test]
fn a_clock_that_was_never_set_makes_no_fire_old() {
    let text = "time = { from = { at = 0, type = \"u32\" }, epoch = \"2018-09-10T00:00:00+08:00\" }\n[[frame.field]]\nfrom = { at = 4 }\nmetric = \"smoke\"\n";
    assert_eq!(frame(text, "0000000501").unwrap(), "smoke=1Uncertain");
    assert_eq!(frame(text, "02FBE52C01").unwrap(), "smoke=1Good");
}

proptest! {
    #[test]
    fn random_bytes_never_panic_in_any_profile(bytes: Vec<u8>, port: Option<u8>, text in "\\PC{0,80}") {
        for profile in crate::profiles::shipped().all() {
            for bytes in [bytes.as_slice(), text.as_bytes()] {
                if let Ok(reading) = profile.decode_payload(Payload { bytes, port }) {
                    prop_assert!(reading.records.len() <= REPORTS_MAX + 1);
                }
            }
        }
    }

    /// Samples with some bytes changed come much closer to every branch than noise.
    #[test]
    fn bent_samples_never_panic(at in 0usize..200, byte: u8, cut in 0usize..200) {
        let context = crate::decode::samples::context(&["lora:24e124ab"]);
        for profile in crate::profiles::shipped().all() {
            for sample in &profile.samples {
                let hex = sample.hex.as_deref().and_then(from_hex);
                let base64 = sample.base64.as_deref().and_then(from_base64);
                let text = sample.text.as_ref().or(sample.json.as_ref()).map(|text| text.clone().into_bytes());
                let Some(mut bytes) = hex.or(base64).or(text) else { continue };
                if let Some(place) = bytes.get_mut(at) {
                    *place = byte;
                }
                bytes.truncate(cut.max(1));
                let _ = profile.decode_payload(Payload { bytes: &bytes, port: sample.port });
                if let Some(ix) = crate::profiles::shipped().ix(&profile.name) {
                    let message = Message { topic: "tele/a/SENSOR", payload: &bytes, retained: false, dup: false, received: Timestamp(1_795_402_800_000) };
                    let _ = decode_message(Family::Profile(ix), &message, &context);
                }
            }
        }
    }

    /// What is written into a frame by its layout comes out of it.
    #[test]
    fn what_is_encoded_is_decoded(battery in 0u8..=100, pressure: u16) {
        let profiles = crate::profiles::shipped();
        let profile = profiles.get("milesight-em500-pp").unwrap();
        let bytes = [0x01, 0x75, battery, 0x03, 0x7B, pressure.to_le_bytes()[0], pressure.to_le_bytes()[1]];
        let mut reading = profile.decode_payload(Payload { bytes: &bytes, port: Some(85) }).unwrap();
        let values = reading.records.remove(0).values.finish(Quality::Good);
        let told: Vec<f64> = values.iter().map(|value| value.value).collect();
        prop_assert_eq!(told, [f64::from(battery), f64::from(pressure)]);
    }
}
